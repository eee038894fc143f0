from datetime import timedelta

import msgspec
import pytest

from bot.backend.port import ServiceUnavailable
from bot.devices.errors import FullSyncTooSoon, SyncTooSoon
from bot.devices.facts import Asked
from bot.devices.models import ChangeKind, DeviceState, SyncKind, SyncState
from bot.devices.pruning import Pruned
from bot.kit.actor import Actor, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.query import QueryWrong
from bot.kit.secrets import Keyring
from bot.tokens.errors import TokenAwaited
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, OPERATOR, VIEWER, Rooms


@pytest.fixture
def rooms(database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(database, clock, keyring)


async def serials(rooms: Rooms, query: str = "", actor: Actor = VIEWER) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await rooms.devices.list_devices(query, actor=actor, after=after)
        found.extend(row.serial for row in page.rows)
        if page.next is None:
            return found
        after = page.next


async def history(rooms: Rooms, serial: str) -> list[ChangeKind]:
    answer = await rooms.devices.show(serial, actor=VIEWER)
    assert answer.view is not None
    return [change.kind for change in answer.view.history]


async def test_the_first_sync_brings_every_device_and_says_that_it_is_the_first(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.page_size = 7
    server.put(*[device(f"S{n:03}") for n in range(25)])
    await rooms.tokens.check(token.id, actor=ADMIN)
    [sync] = await rooms.run_all()
    assert (sync.state, sync.kind, sync.forced) == (SyncState.FINISHED, SyncKind.FULL, "first")
    assert (sync.added, sync.pages, sync.devices) == (25, 4, 25)
    assert await serials(rooms) == [f"S{n:03}" for n in range(25)]
    assert await history(rooms, "S003") == [ChangeKind.ADDED]


async def test_changes_are_applied_and_kept_as_history(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"), device("C"))
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    server.put(device("B", color="GOLD"), operation="modified")
    server.put(device("D"), operation="modified")
    server.take("C")
    sync = await rooms.sync("paris")
    assert (sync.added, sync.modified, sync.removed, sync.devices) == (1, 1, 1, 3)
    assert await serials(rooms) == ["A", "B", "D"]
    assert await history(rooms, "B") == [ChangeKind.MODIFIED, ChangeKind.ADDED]
    assert await history(rooms, "C") == [ChangeKind.REMOVED, ChangeKind.ADDED]
    assert await serials(rooms, "removed:yes") == ["C"]


async def test_an_unchanged_full_sync_writes_no_device_and_no_history(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(*[device(f"S{n}") for n in range(30)])
    await rooms.run_all()
    rooms.clock.move(timedelta(days=8))
    sync = await rooms.sync("paris", full=True)
    assert (sync.added, sync.modified, sync.removed, sync.received) == (0, 0, 0, 30)
    answer = await rooms.devices.show("S7", actor=VIEWER)
    assert answer.view is not None
    assert answer.view.updated_at == answer.view.row.first_seen_at


async def test_what_a_complete_full_list_no_longer_shows_is_marked_removed(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    server.take_silently("A")
    rooms.clock.move(timedelta(days=8))
    sync = await rooms.sync("paris", full=True)
    assert (sync.removed, sync.removals_judged) == (1, True)
    assert await serials(rooms) == ["B"]
    server.put(device("A"))
    rooms.clock.move(timedelta(hours=1))
    assert (await rooms.sync("paris")).returned == 1
    assert await history(rooms, "A") == [ChangeKind.RETURNED, ChangeKind.REMOVED, ChangeKind.ADDED]


async def test_a_device_moves_to_the_token_that_it_was_assigned_to_last(rooms: Rooms) -> None:
    paris, _ = await rooms.add_token("paris")
    lyon, _ = await rooms.add_token("lyon")
    paris.put(device("A"))
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    lyon.put(device("A", assigned_at=rooms.clock.now()))
    assert (await rooms.sync("lyon")).moved == 1
    paris.take("A")
    assert (await rooms.sync("paris")).removed == 0
    answer = await rooms.devices.show("A", actor=VIEWER)
    assert answer.view is not None
    assert answer.view.row.token_name == "lyon"
    assert answer.view.history[0].changes["token"] == ("paris", "lyon")
    assert answer.view.history[-1].token_name == "paris"


async def test_equal_dates_keep_the_present_token(rooms: Rooms) -> None:
    paris, _ = await rooms.add_token("paris")
    lyon, _ = await rooms.add_token("lyon")
    paris.put(device("A"))
    await rooms.run_all()
    lyon.put(device("A"))
    await rooms.sync("lyon")
    assert await serials(rooms, "token:paris") == ["A"]
    assert await serials(rooms, "token:lyon") == []
    rooms.clock.move(timedelta(days=8))
    assert (await rooms.sync("lyon", full=True)).removed == 0
    assert (await rooms.sync("paris", full=True)).removed == 0


async def test_forgotten_devices_return_only_with_a_full_sync_or_when_added_again(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    result = await rooms.devices.forget(["a", "b", "NOPE"], actor=ADMIN)
    assert (result.forgotten, result.unknown) == (("A", "B"), ("NOPE",))
    rooms.clock.move(timedelta(hours=1))
    server.put(device("A", color="GOLD"), operation="modified")
    assert (await rooms.sync("paris")).returned == 0
    assert await serials(rooms) == []
    server.put(device("B"), operation="added")
    assert (await rooms.sync("paris")).returned == 1
    assert await serials(rooms) == ["B"]
    rooms.clock.move(timedelta(days=8))
    assert (await rooms.sync("paris", full=True)).returned == 1
    assert await history(rooms, "A") == [ChangeKind.RETURNED, ChangeKind.FORGOTTEN, ChangeKind.ADDED]


async def test_only_an_admin_forgets_and_it_is_in_the_audit(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    with pytest.raises(NotAllowed):
        await rooms.devices.forget(["A"], actor=OPERATOR)
    assert await serials(rooms) == ["A"]
    await rooms.devices.forget(["A"], actor=ADMIN)
    [entry] = await rooms.audit.newest(limit=1)
    assert (entry.action, entry.subject_id, entry.actor) == ("device.forgotten", "A", ADMIN.id)


async def test_a_sync_by_hand_waits_15_minutes_after_the_last_success(rooms: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(minutes=10))
    with pytest.raises(SyncTooSoon, match="in 5 minutes, at 09:15"):
        await rooms.devices.start_sync("paris", actor=OPERATOR)
    rooms.clock.move(timedelta(minutes=5))
    assert (await rooms.devices.start_sync("paris", actor=OPERATOR)).is_new
    again = await rooms.devices.start_sync("paris", actor=OPERATOR)
    assert not again.is_new


async def test_a_full_sync_by_hand_waits_7_days(rooms: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(days=6))
    with pytest.raises(FullSyncTooSoon):
        await rooms.devices.start_sync("paris", actor=OPERATOR, full=True)
    rooms.clock.move(timedelta(days=1))
    started = await rooms.devices.start_sync("paris", actor=OPERATOR, full=True)
    assert started.sync.kind is SyncKind.FULL


async def test_who_may_only_look_starts_no_sync(rooms: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    with pytest.raises(NotAllowed):
        await rooms.devices.start_sync("paris", actor=VIEWER)
    assert await rooms.devices.due_syncs() == []


async def test_a_token_that_awaits_its_server_token_is_not_synced(rooms: Rooms) -> None:
    await rooms.tokens.add("paris", actor=ADMIN, apple_id="ade@example.com", agreed=True)
    with pytest.raises(TokenAwaited):
        await rooms.devices.start_sync("paris", actor=OPERATOR)


async def test_automatic_syncs_run_once_a_day_and_full_after_8_days(rooms: Rooms) -> None:
    await rooms.add_token("paris")
    await rooms.run_all()
    kinds = []
    for _day in range(9):
        rooms.clock.move(timedelta(hours=24))
        assert await rooms.devices.schedule_due() == 1
        assert await rooms.devices.schedule_due() == 0
        kinds += [sync.kind for sync in await rooms.run_all()]
        assert await rooms.devices.schedule_due() == 0
    assert [kind.value for kind in kinds] == ["delta"] * 7 + ["full", "delta"]


async def test_the_query_filters_by_every_key(rooms: Rooms) -> None:
    paris, _ = await rooms.add_token("paris", tags=("schools",))
    lyon, _ = await rooms.add_token("lyon")
    paris.put(device("AA1"), device("AB2", model="MacBook Pro", os="OSX", family="Mac"))
    lyon.put(device("BB3", profile_uuid="C" * 32, profile_status="pushed"))
    await rooms.run_all()
    expected = {
        "token:PARIS": ["AA1", "AB2"],
        "tag:schools": ["AA1", "AB2"],
        "-tag:schools": ["BB3"],
        "model:macbook": ["AB2"],
        "-model:macbook": ["AA1", "BB3"],
        "family:mac": ["AB2"],
        "os:ipados": ["AA1", "BB3"],
        "os:macos": ["AB2"],
        "-os:OSX": ["AA1", "BB3"],
        "status:pushed": ["BB3"],
        "profile:none": ["AA1", "AB2"],
        "profile:cccc": ["BB3"],
        "A*": ["AA1", "AB2"],
        "-AB* token:paris": ["AA1"],
        "added:1d": ["AA1", "AB2", "BB3"],
        "-added:1d": [],
        "removed:yes": [],
        "removed:any B": ["BB3"],
    }
    found = {query: await serials(rooms, query) for query in expected}
    assert found == expected
    with pytest.raises(QueryWrong, match="paris"):
        await serials(rooms, "token:pariss")


@pytest.mark.parametrize(
    ("query", "known"), [("-family:Mca", "Mac, iPad"), ("os:tvos", "ipados, macos"), ("tag:none", "schools")]
)
async def test_a_value_that_no_device_has_is_named_with_those_that_some_have(
    rooms: Rooms, query: str, known: str
) -> None:
    paris, _ = await rooms.add_token("paris", tags=("schools",))
    paris.put(device("AA1"), device("AB2", model="MacBook Pro", os="OSX", family="Mac"))
    await rooms.run_all()
    with pytest.raises(QueryWrong, match=f"Use one of: {known}."):
        await serials(rooms, query)


async def test_pages_lead_forward_and_back(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(*[device(f"S{n:03}") for n in range(23)])
    await rooms.run_all()
    first = await rooms.devices.list_devices("", actor=VIEWER)
    second = await rooms.devices.list_devices("", actor=VIEWER, after=first.next)
    third = await rooms.devices.list_devices("", actor=VIEWER, after=second.next)
    back = await rooms.devices.list_devices("", actor=VIEWER, before=third.previous)
    start = await rooms.devices.list_devices("", actor=VIEWER, before=back.previous)
    assert (first.total, first.previous, third.next) == (23, None, None)
    assert [row.serial for row in third.rows] == ["S020", "S021", "S022"]
    assert [row.serial for row in back.rows] == [row.serial for row in second.rows]
    assert [row.serial for row in start.rows] == [row.serial for row in first.rows]
    assert start.previous is None


async def test_a_long_list_is_not_counted_beyond_1000(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(*[device(f"S{n:04}") for n in range(1001)])
    await rooms.run_all()
    assert (await rooms.devices.list_devices("", actor=VIEWER)).total is None
    assert (await rooms.devices.list_devices("S*", actor=VIEWER)).total is None
    assert (await rooms.devices.list_devices("S000*", actor=VIEWER)).total == 10


async def test_who_is_limited_to_tags_sees_only_their_devices(rooms: Rooms) -> None:
    paris, _ = await rooms.add_token("paris", tags=("schools",))
    lyon, _ = await rooms.add_token("lyon")
    paris.put(device("A"))
    lyon.put(device("B"))
    await rooms.run_all()
    limited = Actor("U1", rights=Rights((Grant(Role.VIEWER, frozenset({"schools"})),)))
    assert await serials(rooms, actor=limited) == ["A"]
    assert (await rooms.devices.show("B", actor=limited)).view is None


async def test_an_unknown_serial_is_asked_of_the_service_and_added(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    server.put(device("NEW1"))
    answer = await rooms.devices.show("new1", actor=VIEWER)
    assert answer.asked is not None
    assert (answer.asked.answer, answer.asked.server_name, answer.asked.added) == (Asked.FOUND, "paris", True)
    assert await serials(rooms) == ["NEW1"]
    nowhere = await rooms.devices.show("GONE", actor=VIEWER)
    assert nowhere.verdict.first == "Not known: no token here has it."
    rooms.clock.move(timedelta(hours=1))
    assert (await rooms.sync("paris")).devices == 1


async def test_the_csv_holds_the_query_and_no_formula(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A", description="=HYPERLINK(1)", asset_tag="+1"), device("B", model="@x"))
    await rooms.run_all()
    content, count = await rooms.devices.csv("A", actor=VIEWER)
    text = content.decode("utf-8-sig")
    assert count == 1
    assert "'=HYPERLINK(1)" in text
    assert ",'+1," in text
    assert "\r\nB," not in text
    [entry] = await rooms.audit.newest(limit=1)
    assert (entry.action, entry.detail["devices"]) == ("device.exported", 1)


async def test_devices_of_a_removed_token_are_marked_removed(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(*[device(f"S{n:04}") for n in range(1200)])
    await rooms.run_all()
    await rooms.remove(token.id)
    await rooms.devices.take_wishes()
    counts = (await rooms.devices.counts([token.id]))[token.id]
    assert (counts.present, counts.removed) == (0, 1200)
    answer = await rooms.devices.show("S0001", actor=ADMIN)
    assert answer.view is not None
    assert answer.view.row.state is DeviceState.REMOVED


@pytest.mark.parametrize(
    ("facts", "first"),
    [
        ({}, "No profile: switched on now, it starts unmanaged."),
        ({"profile_uuid": "B" * 32, "profile_status": "pushed"}, "Has fetched its profile"),
        ({"profile_uuid": "B" * 32, "profile_status": "assigned"}, "Ready to enroll"),
        (
            {"profile_uuid": "A" * 32, "profile_status": "assigned"},
            f"Profile unknown to Apple: it knows none with the UUID {'A' * 32}.",
        ),
    ],
)
async def test_device_show_ends_with_why_it_is_ready_or_not(
    rooms: Rooms, facts: dict[str, str], first: str
) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A", **facts))
    server.profiles["B" * 32] = {"profile_name": "Kiosk", "url": "https://mdm.example.com"}
    await rooms.run_all()
    assert (await rooms.devices.show("A", actor=VIEWER)).verdict.first.startswith(first)


async def test_a_profile_is_unknown_only_where_the_service_denies_it_now(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A", profile_uuid="A" * 32, profile_status="pushed"))
    await rooms.run_all()
    shown = (await rooms.devices.show("A", actor=VIEWER)).verdict
    assert shown.first.startswith("Profile unknown to Apple")
    assert shown.others == (
        "Has fetched its profile: set up, or being set up. Another profile needs an erase.",
    )
    server.refuse("read_profile", ServiceUnavailable("Apple"))
    shown = (await rooms.devices.show("A", actor=VIEWER)).verdict
    assert (shown.is_ready, shown.others) == (None, ())
    # It was noted as unreadable, and may be one all the same.
    await rooms.devices.adopt_profiles()
    server.profiles["A" * 32] = {"profile_name": "Kiosk", "url": "https://mdm.example.com"}
    assert (await rooms.devices.show("A", actor=VIEWER)).verdict.is_ready is None


async def test_an_older_change_that_comes_late_changes_nothing(rooms: Rooms) -> None:
    server, _ = await rooms.add_token("paris")
    await rooms.run_all()
    rooms.clock.move(timedelta(hours=1))
    now = rooms.clock.now()
    server.put(device("A", color="NEW"), at=now)
    await rooms.sync("paris")
    server.put(device("A", color="OLD"), operation="modified", at=now - timedelta(minutes=5))
    assert (await rooms.sync("paris")).modified == 0
    answer = await rooms.devices.show("A", actor=VIEWER)
    assert answer.view is not None
    assert answer.view.row.facts.color == "NEW"


async def test_facts_survive_being_stored(rooms: Rooms) -> None:
    made = device("A", imei=("1", "2"), extra={"new_key": [1, {"x": None}]}, wifi_mac="aa:bb")
    server, _ = await rooms.add_token("paris")
    server.put(made)
    await rooms.run_all()
    answer = await rooms.devices.show("A", actor=VIEWER)
    assert answer.view is not None
    kept = msgspec.structs.asdict(answer.view.row.facts)
    assert {name: getattr(made, name) for name in kept} == kept


async def test_history_is_kept_for_the_days_of_the_settings_and_what_a_device_shows_stays_right(
    rooms: Rooms,
) -> None:
    server, _ = await rooms.add_token("paris")
    server.put(device("A"), device("B"))
    await rooms.run_all()
    for color in ("GOLD", "SILVER"):
        rooms.clock.move(timedelta(days=150))
        server.put(device("A", color=color), operation="modified")
        await rooms.sync("paris")
    first = await rooms.devices.show("A", actor=VIEWER)
    rooms.clock.move(timedelta(days=251))
    assert await rooms.devices.prune() == Pruned(changes=1, syncs=2)
    assert await rooms.devices.prune() == Pruned(changes=0, syncs=0)
    second = await rooms.devices.show("A", actor=VIEWER)
    assert first.view is not None
    assert second.view is not None
    assert list(second.view.history) == [first.view.history[0], first.view.history[2]]
    assert second.view.row == first.view.row
    (entry, *_others) = await rooms.audit.newest(limit=1)
    assert (entry.action, entry.detail) == ("history.pruned", {"changes": 1, "syncs": 2})


async def test_the_newest_sync_of_a_token_is_kept_however_old(rooms: Rooms) -> None:
    server, token = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    rooms.clock.move(timedelta(days=500))
    assert (await rooms.devices.prune()).syncs == 0
    assert (await rooms.devices.sync_facts(token.id)).last_ok_at is not None
