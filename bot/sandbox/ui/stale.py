"""Tells whether the committed page was built from the sources beside it. Needs no Node.

`build.mjs` notes in `static/BUILD.json` a hash over its sources and one of each file that it wrote;
this computes the same. Exits with 1, and says what to do, when they differ.
"""

import hashlib
import json
import sys
from pathlib import Path

UI = Path(__file__).parent
STATIC = UI.parent / "static"
_SINGLE = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")
_MEND = "Run `make ui` and commit bot/sandbox/static."


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def source_hash(ui: Path) -> str:
    """Return the hash over the names and contents of everything that the page is made of."""
    files = [ui / name for name in _SINGLE] + [path for path in (ui / "src").rglob("*") if path.is_file()]
    lines = sorted(f"{path.relative_to(ui).as_posix()} {_sha(path.read_bytes())}\n" for path in files)
    return _sha("".join(lines).encode())


def complaint(ui: Path = UI, static: Path = STATIC) -> str | None:
    """Return why the built page cannot be trusted, or None."""
    note = static / "BUILD.json"
    if not note.is_file():
        return f"The sandbox's page is not built. {_MEND}"
    built = json.loads(note.read_text())
    if built["sources"] != source_hash(ui):
        return f"The sources of the sandbox's page have changed since it was built. {_MEND}"
    found = {path.name: _sha(path.read_bytes()) for path in static.iterdir() if path != note}
    if found != built["files"]:
        return f"Files of the built page were changed by hand. {_MEND}"
    return None


if __name__ == "__main__":
    sys.exit(complaint())
