"""What is installed is whole: the page, the migrations, the command, and nothing to build them with."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bot import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return zipfile.Path(next(folder.glob("*.whl")))


def test_the_built_page_is_part_of_the_package_and_its_sources_are_not(wheel: zipfile.Path) -> None:
    assert (wheel / "bot/sandbox/static/index.html").is_file()
    assert (wheel / "bot/sandbox/static/app.js").is_file()
    assert not (wheel / "bot/sandbox/ui").exists()


def test_the_migrations_are_part_of_the_package(wheel: zipfile.Path) -> None:
    present = {path.name for path in (ROOT / "bot" / "migrations" / "versions").glob("*.py")}
    packed = {path.name for path in (wheel / "bot/migrations/versions").iterdir()}
    assert present
    assert packed == present
    assert (wheel / "bot/migrations/env.py").is_file()


def test_the_command_is_named_and_the_version_is_the_packages(wheel: zipfile.Path) -> None:
    info = wheel / f"enrollbot-{__version__}.dist-info"
    assert "enrollbot = bot.cli:run" in (info / "entry_points.txt").read_text()
    assert f"Version: {__version__}" in (info / "METADATA").read_text()


def test_every_file_that_pins_dependencies_pins_them_with_hashes_and_names_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in pin and pin.endswith("\\") for pin in pins)
        assert "--index-url" not in text
        assert "://" not in text


def test_a_lock_names_every_extra_that_a_locked_package_asks_for() -> None:
    """Where a lock pins `name` alone, older pips look for a newer `name[extra]`, and then refuse it."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        pins = [
            Requirement(line.rstrip("\\")) for line in (ROOT / name).read_text().splitlines() if "==" in line
        ]
        locked = {canonicalize_name(pin.name): pin.extras for pin in pins}
        for package in locked:
            for asked in _asked_by(package):
                assert asked.extras <= locked[canonicalize_name(asked.name)], (
                    f"{package} asks for {asked} in {name}"
                )


def _asked_by(package: str) -> list[Requirement]:
    try:
        needs = [Requirement(text) for text in metadata.requires(package) or []]
    except metadata.PackageNotFoundError:  # for another platform
        return []
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
