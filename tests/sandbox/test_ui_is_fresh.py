"""The committed page is the one that its sources make, told without Node."""

import hashlib
import json
from pathlib import Path

SANDBOX = Path(__file__).parents[2] / "bot" / "sandbox"
UI = SANDBOX / "ui"
STATIC = SANDBOX / "static"
SINGLE = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")
LIMIT = 1_500_000


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def source_hash(ui: Path) -> str:
    """Compute what `build.mjs` notes down: a hash over the names and contents of all sources."""
    files = [ui / name for name in SINGLE] + [path for path in (ui / "src").rglob("*") if path.is_file()]
    lines = sorted(f"{path.relative_to(ui).as_posix()} {sha(path.read_bytes())}\n" for path in files)
    return sha("".join(lines).encode())


def test_the_page_was_built_from_these_sources() -> None:
    built = json.loads((STATIC / "BUILD.json").read_text())
    assert built["sources"] == source_hash(UI), "bot/sandbox/ui has changed: run `make ui` and commit static/"


def test_a_changed_source_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for name in (*SINGLE, "src/main.tsx"):
        (tmp_path / name).write_text(name)
    before = source_hash(tmp_path)
    (tmp_path / "src" / "main.tsx").write_text("changed")
    assert source_hash(tmp_path) != before


def test_the_built_files_were_not_edited_by_hand() -> None:
    built = json.loads((STATIC / "BUILD.json").read_text())
    found = {path.name: sha(path.read_bytes()) for path in STATIC.iterdir() if path.name != "BUILD.json"}
    assert found == built["files"]


def test_the_page_names_no_address_outside() -> None:
    index = (STATIC / "index.html").read_text()
    assert "default-src 'self'" in index
    assert "//" not in index.replace("http://www.w3.org/2000/svg", "")
    assert "url(http" not in (STATIC / "app.css").read_text()


def test_the_lock_names_no_index() -> None:
    assert '"resolved"' not in (UI / "package-lock.json").read_text()


def test_the_page_stays_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("app.*")) < LIMIT
