"""What can go wrong in a sync, and what must hold then."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from bot.backend.port import (
    BackendError,
    CursorExhausted,
    CursorUnusable,
    DeviceFacts,
    ServiceUnavailable,
    TermsNotSigned,
    TokenRejected,
    UnreadableDevice,
)
from bot.devices.models import Device, SyncKind, SyncState
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device, page
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, VIEWER, Rooms


@pytest.fixture
def rooms(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(sqlite_database, clock, keyring)


async def present(rooms: Rooms) -> list[str]:
    found = await rooms.devices.list_devices("", actor=VIEWER, rows=5000)
    return [row.serial for row in found.rows]


async def small_pages(rooms: Rooms, server: FakeServer, token_id: str, size: int) -> None:
    server.page_size = size
    await rooms.tokens.check(token_id, actor=ADMIN)


async def test_a_page_that_repeats_its_cursor_ends_the_sync(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    server.pages = [page(device("A"), cursor="same", more=True), page(device("B"), cursor="same", more=True)]
    sync = await rooms.sync("paris")
    assert sync.state is SyncState.FAILED
    assert "same place in the list again" in (sync.error or "")
    assert server.pages == []


async def test_a_full_list_that_repeated_its_cursor_is_read_from_its_start_next_time(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    server.pages = [page(device("A"), cursor="x", more=True), page(device("A"), cursor="x", more=True)]
    [failed] = await rooms.run_all()
    assert failed.state is SyncState.FAILED
    sync = await rooms.sync("paris")
    assert sync.state is SyncState.FINISHED
    assert await present(rooms) == ["A", "B"]


@pytest.mark.parametrize("reason", ["expired", "invalid", "required"])
async def test_an_unusable_cursor_forces_a_full_sync_and_says_so(rooms: Rooms, reason: str) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    server.take_silently("A")
    rooms.clock.move(timedelta(hours=1))
    server.refuse("delta_page", CursorUnusable("no", reason=reason))
    sync = await rooms.sync("paris")
    assert (sync.state, sync.kind, sync.forced) == (SyncState.FINISHED, SyncKind.FULL, reason)
    assert await present(rooms) == ["B"]


async def test_a_cursor_that_expires_in_the_middle_of_a_full_list_starts_it_again(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(6)])
    await small_pages(rooms, server, token.id, 2)
    server.pages = [page(device("S0"), cursor="a", more=True), CursorUnusable("no", reason="expired")]
    [sync] = await rooms.run_all()
    assert (sync.state, sync.forced) == (SyncState.FINISHED, "expired")
    assert await present(rooms) == [f"S{n}" for n in range(6)]


async def test_an_exhausted_cursor_goes_on_with_changes_from_the_same_cursor(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.pages = [
        page(device("A"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        page(msgspec.structs.replace(device("B"), operation="added"), cursor="c2"),
    ]
    [sync] = await rooms.run_all()
    assert sync.state is SyncState.FINISHED
    assert server.calls[-3:] == ["full_page", "full_page", "delta_page"]
    assert await present(rooms) == ["A", "B"]


def reported(serial: str, operation: str) -> DeviceFacts:
    return msgspec.structs.replace(device(serial), operation=operation)


async def test_a_deletion_after_an_exhausted_list_hides_no_missing_device(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"), device("Y"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    server.pages = [
        page(device("A"), device("B"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        page(reported("A", "deleted"), cursor="c2"),
    ]
    sync = await rooms.sync("paris", full=True)
    assert (sync.state, sync.removed, sync.removals_judged) == (SyncState.FINISHED, 2, True)
    assert await present(rooms) == ["B"]


async def test_a_change_of_a_forgotten_device_after_a_list_hides_no_missing_one(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"), device("Y"))
    await rooms.run_all()
    await rooms.devices.forget(["A"], actor=ADMIN)
    rooms.clock.move(timedelta(days=8))
    server.pages = [
        page(device("B"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        page(reported("A", "modified"), cursor="c2"),
    ]
    await rooms.sync("paris", full=True)
    assert await present(rooms) == ["B"]


async def test_changes_that_are_exhausted_too_end_in_a_list_from_the_start(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    server.pages = [
        page(device("A"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        CursorExhausted("read to its end"),
    ]
    [sync] = await rooms.run_all()
    assert (sync.state, sync.forced) == (SyncState.FINISHED, "exhausted")
    assert await present(rooms) == ["A", "B"]


async def test_a_cursor_repeated_by_the_changes_after_a_list_is_not_met_again(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    server.pages = [
        page(device("A"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        page(reported("A", "modified"), cursor="c1", more=True),
    ]
    [failed] = await rooms.run_all()
    assert failed.state is SyncState.FAILED
    server.refuse("delta_page", ServiceUnavailable("the same again"), times=None)
    rooms.clock.move(timedelta(hours=1))
    sync = await rooms.sync("paris")
    assert (sync.state, sync.kind) == (SyncState.FINISHED, SyncKind.FULL)
    assert await present(rooms) == ["A", "B"]


async def test_an_unreadable_device_is_counted_and_nothing_is_marked_removed(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    server.pages = [page(device("A"), cursor="c", unreadable=[UnreadableDevice(None, "no serial")])]
    sync = await rooms.sync("paris", full=True)
    assert (sync.state, sync.unreadable, sync.removed, sync.removals_judged) == (
        SyncState.FINISHED,
        1,
        0,
        False,
    )
    assert await present(rooms) == ["A", "B"]


async def test_an_unreadable_device_before_a_break_still_protects_after_it(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    bad = [UnreadableDevice(None, "no serial")]
    server.pages = [page(cursor="c", more=True, unreadable=bad), ServiceUnavailable("busy")]
    assert (await rooms.sync("paris", full=True)).state is SyncState.FAILED
    server.pages = [page(device("A"), cursor="d")]
    sync = await rooms.sync("paris")
    assert (sync.state, sync.kind, sync.removed) == (SyncState.FINISHED, SyncKind.FULL, 0)


async def test_duplicates_in_and_across_pages_leave_one_row_with_the_last_facts(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.pages = [
        page(device("A", color="1"), device("A", color="2"), cursor="a", more=True),
        page(device("B"), device("A", color="3"), cursor="b"),
    ]
    [sync] = await rooms.run_all()
    assert (sync.added, sync.modified, sync.devices) == (2, 1, 2)
    answer = await rooms.devices.show("A", actor=VIEWER)
    assert answer.view is not None
    assert answer.view.row.facts.color == "3"


async def test_a_busy_service_keeps_what_was_read_and_the_next_sync_goes_on(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(9)])
    await small_pages(rooms, server, token.id, 2)

    async def busy(method: str) -> None:
        if method == "full_page" and server.count("full_page") == 3:
            raise ServiceUnavailable("Apple is busy.")

    server.on_call = busy
    [failed] = await rooms.run_all()
    assert (failed.state, failed.error) == (SyncState.FAILED, "Apple is busy.")
    assert len(await present(rooms)) == 4
    sync = await rooms.sync("paris")
    assert (sync.state, sync.pages) == (SyncState.FINISHED, 3)
    assert len(await present(rooms)) == 9


@pytest.mark.parametrize(
    "refusal",
    [lambda: TokenRejected("Rejected.", word="token_rejected"), lambda: TermsNotSigned("Terms.")],
    ids=["rejected", "terms"],
)
async def test_a_refused_token_ends_the_sync_calmly_and_is_noted(
    rooms: Rooms, refusal: Callable[[], BackendError]
) -> None:
    server, token = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(minutes=20))
    error = refusal()
    server.refuse("delta_page", error)
    sync = await rooms.sync("paris")
    assert (sync.state, sync.error) == (SyncState.FAILED, error.message)
    view = await rooms.tokens.get_by_id(token.id, actor=ADMIN)
    assert (view.refused_word == "token_rejected") or (view.terms_since is not None)


async def test_a_session_that_expires_between_pages_costs_nothing(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(6)])
    await small_pages(rooms, server, token.id, 2)

    async def expire(method: str) -> None:
        if method == "full_page" and server.count("full_page") == 2:
            server.expire_session()

    server.on_call = expire
    [sync] = await rooms.run_all()
    assert (sync.state, sync.added) == (SyncState.FINISHED, 6)


async def test_a_sync_stops_after_15_minutes_and_goes_on_15_minutes_later(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n:02}") for n in range(10)])
    await small_pages(rooms, server, token.id, 2)
    server.put(device("GONE"))
    server.take_silently("GONE")

    async def slow(method: str) -> None:
        if method == "full_page":
            rooms.clock.move(timedelta(minutes=6))

    server.on_call = slow
    [stopped] = await rooms.run_all()
    assert stopped.state is SyncState.STOPPED
    assert stopped.resume_at == rooms.clock.now() + timedelta(minutes=15)
    assert await rooms.run_all() == []
    rooms.clock.move(timedelta(minutes=15))
    server.on_call = None
    [sync] = await rooms.run_all()
    assert (sync.id, sync.state, sync.added) == (stopped.id, SyncState.FINISHED, 10)


async def test_a_replica_that_lost_its_lease_writes_nothing(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(4)])
    await small_pages(rooms, server, token.id, 2)

    async def taken_over(method: str) -> None:
        if method == "full_page" and server.count("full_page") == 2:
            async with rooms.db.begin() as session:
                await session.execute(sa.text("UPDATE lease SET epoch = epoch + 1 WHERE name LIKE 'sync:%'"))

    server.on_call = taken_over
    await rooms.devices.take_wishes()
    [sync_id] = await rooms.devices.due_syncs()
    assert await rooms.devices.run_sync(sync_id) is None
    async with rooms.db.read() as session:
        stored = (await session.execute(sa.select(sa.func.count()).select_from(Device))).scalar_one()
    assert stored <= 2


async def test_a_second_run_of_one_sync_does_nothing_while_the_first_holds_the_lease(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    second: list[object] = []

    async def again(method: str) -> None:
        if method == "full_page" and not second:
            [sync_id] = await rooms.devices.due_syncs()
            second.append(await rooms.devices.run_sync(sync_id))

    server.on_call = again
    [sync] = await rooms.run_all()
    assert (sync.state, second) == (SyncState.FINISHED, [None])


async def test_changes_after_a_list_count_before_what_the_list_did_not_show_is_removed(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"), device("C"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    changed = msgspec.structs.replace(device("B", color="GOLD"), operation="modified")
    server.pages = [
        page(device("A"), cursor="c1", more=True),
        CursorExhausted("read to its end"),
        page(changed, cursor="c2"),
    ]
    sync = await rooms.sync("paris", full=True)
    assert (sync.state, sync.removed, sync.removals_judged) == (SyncState.FINISHED, 1, True)
    assert await present(rooms) == ["A", "B"]


@pytest.mark.parametrize("forced", [False, True], ids=["after the list", "before a forced list"])
async def test_an_unreadable_change_keeps_what_is_missing_and_a_reported_deletion_counts(
    rooms: Rooms, forced: bool
) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("MISSING"), device("GONE"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    gone = msgspec.structs.replace(device("GONE"), operation="deleted", operation_at=rooms.clock.now())
    bad = [UnreadableDevice(None, "no serial")]
    server.pages = [page(device("A"), cursor="c1", more=True), CursorExhausted("read to its end")]
    server.pages.append(page(gone, cursor="c2", unreadable=bad))
    if forced:
        server.pages = [
            page(gone, cursor="c1", more=True, unreadable=bad),
            CursorUnusable("no", reason="expired"),
            page(device("A"), cursor="c2"),
        ]
    sync = await rooms.sync("paris", full=not forced)
    assert (sync.state, sync.kind, sync.removed) == (SyncState.FINISHED, SyncKind.FULL, 1)
    assert (sync.unreadable, sync.removals_judged) == (1, False)
    assert await present(rooms) == ["A", "MISSING"]
