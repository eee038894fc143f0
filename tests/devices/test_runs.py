"""How a sync that runs ends: written by whoever holds it, whatever happens to the database."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bot.backend.port import ServiceUnavailable
from bot.devices.models import Sync, SyncState
from bot.devices.runs import TRIES_IN_TROUBLE
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device, page
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, Rooms


@pytest.fixture
def rooms(database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(database, clock, keyring)


@pytest.fixture
async def paris(rooms: Rooms) -> FakeServer:
    """A token with two pages of devices, whose first sync is wished and not yet run."""
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(4)])
    server.page_size = 2
    await rooms.tokens.check(token.id, actor=ADMIN)
    return server


async def the_sync(rooms: Rooms) -> Sync:
    async with rooms.db.read() as session:
        return (await session.scalars(sa.select(Sync))).one()


async def take_over(rooms: Rooms) -> None:
    """Give every lease to another replica, as when its holder froze for longer than it lasts."""
    async with rooms.db.begin() as session:
        await session.execute(sa.text("UPDATE lease SET epoch = epoch + 1"))


async def test_a_frozen_holder_that_wakes_to_an_error_does_not_end_its_successors_sync(
    rooms: Rooms, paris: FakeServer
) -> None:
    async def frozen(method: str) -> None:
        if method == "full_page":
            await take_over(rooms)
            raise ServiceUnavailable("Apple is busy.")

    paris.on_call = frozen
    assert await rooms.run_all() == []
    sync = await the_sync(rooms)
    assert (sync.state, sync.ended_at, sync.error) == (SyncState.RUNNING.value, None, None)


async def test_a_frozen_holder_that_parks_its_sync_does_not_stop_its_successors(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    rooms = Rooms.open(sqlite_database, clock, keyring)
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    server.pages = [page(device("A"), cursor="c", more=True)]
    async with rooms.db.begin() as session:
        frozen_after_the_page = (
            "CREATE TRIGGER frozen AFTER UPDATE OF pages ON device_sync WHEN new.pages = 1"
            " BEGIN UPDATE lease SET epoch = epoch + 1; END"
        )
        await session.execute(sa.text(frozen_after_the_page))
    await rooms.devices.take_wishes()
    [sync_id] = await rooms.devices.due_syncs()
    assert await rooms.devices.run_sync(sync_id, is_stopping=lambda: True) is None
    sync = await the_sync(rooms)
    assert (sync.pages, sync.state, sync.resume_at) == (1, SyncState.RUNNING.value, None)


async def test_a_frozen_holder_that_wakes_to_a_fault_of_its_own_does_not_end_its_successors_sync(
    rooms: Rooms, paris: FakeServer
) -> None:
    async def frozen(method: str) -> None:
        if method == "full_page":
            await take_over(rooms)
            raise ZeroDivisionError

    paris.on_call = frozen
    assert await rooms.run_all() == []
    assert (await the_sync(rooms)).state == SyncState.RUNNING.value


@pytest.fixture
def on_sqlite(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(sqlite_database, clock, keyring)


async def refuse_writing(rooms: Rooms, name: str, statement: str) -> None:
    """Let the database refuse a kind of statement, as one whose disk is full does."""
    sql = (
        f"CREATE TRIGGER {name} BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    async with rooms.db.begin() as session:
        await session.execute(sa.text(sql))


async def accept_writing(rooms: Rooms, name: str) -> None:
    async with rooms.db.begin() as session:
        await session.execute(sa.text(f"DROP TRIGGER {name}"))


async def fail_to_store(rooms: Rooms, times: int) -> None:
    for _ in range(times):
        with pytest.raises(SQLAlchemyError):
            await rooms.run_all()


async def test_a_sync_that_cannot_be_stored_pauses_after_some_tries_and_says_why(on_sqlite: Rooms) -> None:
    rooms = on_sqlite
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await refuse_writing(rooms, "full", "INSERT ON device")
    await fail_to_store(rooms, TRIES_IN_TROUBLE - 1)
    [paused] = await rooms.run_all()
    assert paused.state is SyncState.STOPPED
    assert paused.resume_at == rooms.clock.now() + timedelta(minutes=15)
    assert "database does not take" in (paused.error or "")
    assert await rooms.run_all() == []
    await accept_writing(rooms, "full")
    rooms.clock.move(timedelta(minutes=15))
    [sync] = await rooms.run_all()
    assert (sync.state, sync.added, sync.error) == (SyncState.FINISHED, 1, None)


async def test_a_sync_that_cannot_even_be_paused_asks_the_service_no_more_for_a_while(
    on_sqlite: Rooms,
) -> None:
    rooms = on_sqlite
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await refuse_writing(rooms, "full", "INSERT ON device")
    await refuse_writing(rooms, "unstoppable", "UPDATE ON device_sync WHEN new.state = 'stopped'")
    await fail_to_store(rooms, TRIES_IN_TROUBLE)
    asked = server.count("full_page")
    assert await rooms.run_all() == []
    assert server.count("full_page") == asked
    await accept_writing(rooms, "full")
    rooms.clock.move(timedelta(minutes=15))
    assert [sync.state for sync in await rooms.run_all()] == [SyncState.FINISHED]
