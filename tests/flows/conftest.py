"""Houses for the flows: see `tests.fakes.house`."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.kit import migrations
from bot.migrations import FOLDER
from tests.fakes.clock import FakeClock
from tests.fakes.house import House as House
from tests.fakes.house import open_house


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, for the houses of one run to begin with a copy of."""
    path = tmp_path_factory.mktemp("flows") / "migrated.db"
    migrations.upgrade(f"sqlite:///{path}", FOLDER)
    return path


@pytest.fixture
def house_file(migrated_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path / "enrollbot.db"))


@pytest.fixture
async def house(house_file: Path, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(f"sqlite:///{house_file}", clock) as running:
        yield running


@pytest.fixture
async def paris(house: House) -> House:
    """A house with one active token, paris, whose 25 devices are synced."""
    await house.has_token("paris", devices=25)
    return house


@pytest.fixture
async def house_on_both(database_url: str, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(database_url, clock) as running:
        yield running
