"""Asking for syncs: by hand, by wish and by themselves, on one replica and on two."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.backend.port import ServiceUnavailable
from bot.devices.errors import FullSyncTooSoon, LeftAlone
from bot.devices.models import ChangeKind, DeviceState, Sync, SyncKind, SyncState
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, OPERATOR, Rooms


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
        return list(await session.scalars(sa.select(Sync).order_by(col(Sync.started_at), col(Sync.id))))


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


async def test_a_service_that_asks_to_be_left_alone_is_left_alone_that_long(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=25))
    server.refuse("delta_page", ServiceUnavailable("busy", retry_after=timedelta(hours=6)))
    await rooms.devices.schedule_due()
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=5, minutes=59))
    assert await rooms.devices.schedule_due() == 0
    with pytest.raises(LeftAlone, match="Apple asked to be left alone until Sat 02 May at 16:00 UTC"):
        await rooms.devices.start_sync("paris", actor=OPERATOR)
    rooms.clock.move(timedelta(minutes=1))
    assert await rooms.devices.schedule_due() == 1


async def test_a_service_is_asked_again_after_a_day_whatever_it_asked_for(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    server.refuse("delta_page", ServiceUnavailable("busy", retry_after=timedelta(days=30)))
    await rooms.sync("paris")
    rooms.clock.move(timedelta(hours=24))
    assert (await rooms.devices.start_sync("paris", actor=OPERATOR)).is_new


async def test_two_replicas_start_one_automatic_sync(rooms: Rooms, second: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=25))
    started = await asyncio.gather(*(each.devices.schedule_due() for each in [rooms, second] * 4))
    assert sum(started) == 1
    assert len(await syncs(rooms)) == 2
    assert await acts(rooms, "sync.started") == 1


async def renew(rooms: Rooms, server: FakeServer) -> None:
    """Upload a newer token of the server, which leaves the wish for a sync."""
    token = await rooms.tokens.get("paris", actor=ADMIN)
    certificate = await rooms.tokens.certificate(token.id, actor=ADMIN)
    rooms.clock.move(timedelta(minutes=1))
    file = server.generate_token(certificate.content.decode())
    await rooms.tokens.upload(token.id, file, actor=ADMIN)


async def test_a_renewal_in_the_middle_of_a_sync_gets_a_sync_of_its_own_afterwards(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=25))
    await rooms.devices.schedule_due()
    await renew(rooms, server)
    assert [sync.reason for sync in await rooms.run_all()] == ["automatic"]
    assert [sync.reason for sync in await rooms.run_all()] == ["renewal"]
    assert await rooms.run_all() == []


async def test_a_renewal_while_a_sync_is_paused_lets_it_go_on_and_gets_its_own_afterwards(
    rooms: Rooms,
) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=25))
    await rooms.devices.schedule_due()
    await pause(rooms)
    await renew(rooms, server)
    assert [(sync.reason, sync.state) for sync in await rooms.run_all()] == [
        ("automatic", SyncState.FINISHED)
    ]
    assert [sync.reason for sync in await rooms.run_all()] == ["renewal"]


async def test_several_wishes_for_one_token_are_one_sync_that_fulfils_them_all(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await renew(rooms, server)
    assert [(sync.kind, sync.is_first) for sync in await rooms.run_all()] == [(SyncKind.FULL, True)]
    assert await rooms.run_all() == []


async def test_wishes_are_taken_by_one_replica(rooms: Rooms, second: Rooms) -> None:
    await rooms.add_token("paris")
    taken = await asyncio.gather(*(each.devices.take_wishes() for each in [rooms, second] * 4))
    assert sum(taken) == 1
    assert len(await syncs(rooms)) == 1


async def test_devices_of_a_removed_token_are_released_though_its_wish_was_taken_by_a_killed_process(
    rooms: Rooms,
) -> None:
    server, token = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    await rooms.remove(token.id)
    async with rooms.db.begin() as session:
        await rooms.tokens.take_sync_wishes(session)
    await rooms.run_all()
    shown = await rooms.devices.show("A", actor=ADMIN)
    assert shown.view is not None
    assert shown.view.row.state is DeviceState.REMOVED


async def pause(rooms: Rooms) -> None:
    """Stop the open sync as one that took too long."""
    async with rooms.db.begin() as session:
        await session.execute(
            sa.update(Sync)
            .where(col(Sync.ended_at).is_(None))
            .values(state=SyncState.STOPPED.value, resume_at=rooms.clock.now() + timedelta(minutes=15))
        )


async def test_a_device_that_returns_on_another_token_was_added_on_the_first(rooms: Rooms) -> None:
    paris, _ = await rooms.add_token("paris")
    lyon, _ = await rooms.add_token("lyon")
    paris.put(device("A"))
    await rooms.run_all()
    await rooms.devices.forget(["A"], actor=ADMIN)
    paris.take("A")
    rooms.clock.move(timedelta(hours=1))
    lyon.put(device("A", assigned_at=rooms.clock.now()))
    assert (await rooms.sync("lyon")).returned == 1
    answer = await rooms.devices.show("A", actor=ADMIN)
    assert answer.view is not None
    returned, *_, added = answer.view.history
    assert returned.changes["token"] == ("paris", "lyon")
    assert (added.kind, added.token_name) == (ChangeKind.ADDED, "paris")


async def test_a_paused_sync_that_a_person_lets_go_on_is_in_the_audit_and_is_full_where_they_say_so(
    rooms: Rooms,
) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=7, hours=1))
    await rooms.devices.start_sync("paris", actor=OPERATOR)
    await pause(rooms)
    answer = await rooms.devices.start_sync("paris", actor=OPERATOR, full=True)
    assert (answer.is_new, answer.sync.kind) == (True, SyncKind.FULL)
    assert await acts(rooms, "sync.resumed") == 1
    [sync] = await rooms.run_all()
    assert (sync.kind, sync.pages, server.calls[-1]) == (SyncKind.FULL, 1, "full_page")


async def test_a_paused_sync_is_not_made_full_before_its_time(rooms: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(days=1))
    await rooms.devices.start_sync("paris", actor=OPERATOR)
    await pause(rooms)
    with pytest.raises(FullSyncTooSoon):
        await rooms.devices.start_sync("paris", actor=OPERATOR, full=True)
    assert await rooms.devices.due_syncs() == []
