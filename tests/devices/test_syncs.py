"""Asking for syncs: by hand, by wish and by themselves, on one replica and on two."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.devices.models import Sync
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import OPERATOR, Rooms


@pytest.fixture
def rooms(database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(database, clock, keyring)


@pytest.fixture
async def second(rooms: Rooms, database_url: str, clock: FakeClock, keyring: Keyring) -> AsyncIterator[Rooms]:
    """Another replica on the same database and the same enrollment service."""
    db = Database.open(database_url)
    yield Rooms.open(db, clock, keyring, backend=rooms.backend)
    await db.close()


async def syncs(rooms: Rooms) -> list[Sync]:
    async with rooms.db.read() as session:
        return list(await session.scalars(sa.select(Sync).order_by(Sync.started_at, Sync.id)))


async def acts(rooms: Rooms, action: str) -> int:
    return sum(entry.action == action for entry in await rooms.audit.newest(limit=100))


async def test_two_replicas_asked_at_once_start_one_sync_and_say_so_once(rooms: Rooms, second: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    answers = await asyncio.gather(
        *(each.devices.start_sync("paris", actor=OPERATOR) for each in [rooms, second] * 4)
    )
    assert sum(answer.is_new for answer in answers) == 1
    [_, started] = await syncs(rooms)
    assert {answer.sync.id for answer in answers} == {started.id}
    assert await acts(rooms, "sync.started") == 1


async def test_two_replicas_start_one_automatic_sync(rooms: Rooms, second: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=25))
    started = await asyncio.gather(*(each.devices.schedule_due() for each in [rooms, second] * 4))
    assert sum(started) == 1
    assert len(await syncs(rooms)) == 2
    assert await acts(rooms, "sync.started") == 1
