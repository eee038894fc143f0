"""The committed page is the one that its sources make, told without Node."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from bot.sandbox.ui.stale import STATIC, UI, complaint

LIMIT = 1_500_000
#: What a browser has to fetch, were it compressed.
PACKED_LIMIT = 700_000


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with `ui` and `static` as they are committed."""
    shutil.copytree(UI, tmp_path / "ui", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(STATIC, tmp_path / "static")
    return tmp_path


def test_the_page_was_built_from_these_sources() -> None:
    assert complaint() is None


@pytest.mark.parametrize("name", ["src/app.tsx", "src/elements/picker.tsx", "package-lock.json", "build.mjs"])
def test_a_source_changed_without_a_build_is_noticed(copy: Path, name: str) -> None:
    with (copy / "ui" / name).open("a") as file:
        file.write("\n")
    assert "have changed" in (complaint(copy / "ui", copy / "static") or "")


def test_a_new_source_is_noticed(copy: Path) -> None:
    (copy / "ui" / "src" / "more.ts").write_text("export {};\n")
    assert "have changed" in (complaint(copy / "ui", copy / "static") or "")


def test_a_built_file_edited_by_hand_is_noticed(copy: Path) -> None:
    (copy / "static" / "app.css").write_text("")
    assert "by hand" in (complaint(copy / "ui", copy / "static") or "")


def test_a_page_that_was_never_built_is_noticed(copy: Path) -> None:
    (copy / "static" / "BUILD.json").unlink()
    assert "not built" in (complaint(copy / "ui", copy / "static") or "")


def test_the_page_names_no_address_outside() -> None:
    index = (STATIC / "index.html").read_text()
    assert "default-src 'self'" in index
    assert "//" not in index.replace("http://www.w3.org/2000/svg", "")
    assert "url(http" not in (STATIC / "app.css").read_text()


def test_the_lock_names_no_index() -> None:
    packages = json.loads((UI / "package-lock.json").read_text())["packages"]
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_the_page_stays_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("app.*")) < LIMIT


def test_the_page_stays_small_when_packed() -> None:
    parts = [STATIC / name for name in ("index.html", "app.css", "app.js")]
    assert sum(len(gzip.compress(part.read_bytes())) for part in parts) <= PACKED_LIMIT
