"""Houses for the flows: see `tests.fakes.house`."""

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.kit import migrations
from bot.migrations import FOLDER
from tests.fakes.clock import FakeClock
from tests.fakes.house import DATABASE, furnish, open_furnished, open_house
from tests.fakes.house import House as House

#: Gives a folder to go on in, of a house whose token paris has this many synced devices.
Furnished = Callable[[int], Path]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, for the houses of one run to begin with a copy of."""
    path = tmp_path_factory.mktemp("flows") / DATABASE
    migrations.upgrade(f"sqlite:///{path}", FOLDER)
    return path


@pytest.fixture
def house_file(migrated_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path))


@pytest.fixture(scope="session")
def left_behind(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """Each folder is lived in once a run: a token and its sync take longer than most tests."""

    @functools.cache
    def live(devices: int) -> Path:
        folder = tmp_path_factory.mktemp("furnished")
        shutil.copy(migrated_file, folder)
        asyncio.run(furnish(folder, devices=devices))
        return folder

    return live


@pytest.fixture
def furnished(left_behind: Furnished, tmp_path: Path) -> Furnished:
    return lambda devices: Path(shutil.copytree(left_behind(devices), tmp_path / "furnished"))


@pytest.fixture
def with_paris(furnished: Furnished) -> Path:
    return furnished(25)


@pytest.fixture
async def house(house_file: Path, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(f"sqlite:///{house_file}", clock) as running:
        yield running


@pytest.fixture
async def paris(with_paris: Path, clock: FakeClock) -> AsyncIterator[House]:
    """A house with one active token, paris, whose 25 devices are synced."""
    async with open_furnished(with_paris, clock) as running:
        yield running


@pytest.fixture
async def house_on_both(database_url: str, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(database_url, clock) as running:
        yield running
