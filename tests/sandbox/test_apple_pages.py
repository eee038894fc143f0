"""Fetch and sync of the stand-in: cursors, limits, changes, protocol versions."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.sandbox.apple import AppleStandIn
from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import Paris, paris


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Paris]:
    async with paris(clock, devices=25) as made:
        yield made


async def refusal(world: Paris, path: str, body: object) -> tuple[int, str]:
    answer = await world.client.post(path, body)
    return answer.status_code, answer.text


async def test_fetch_answers_every_device_once_oldest_first(world: Paris) -> None:
    devices, _ = await world.client.fetch_all(limit=10)

    serials = [device["serial_number"] for device in devices]
    dates = [device["device_assigned_date"] for device in devices]
    assert len(set(serials)) == len(serials) == 25
    assert set(serials) == {device["serial_number"] for device in world.standin.snapshot("paris")}
    assert dates == sorted(dates)


async def test_a_page_keeps_the_limit_and_the_services_maximum(world: Paris) -> None:
    world.standin.switches.page_maximum = 20

    asked = (await world.client.post("/server/devices", {"limit": 7})).json()
    capped = (await world.client.post("/server/devices", {"limit": 5000})).json()

    assert (len(asked["devices"]), asked["more_to_follow"]) == (7, True)
    assert len(capped["devices"]) == 20
    assert asked["fetched_until"] == "2026-05-01T09:00:00Z"


@pytest.mark.parametrize("limit", [0, -1, "10", True, 1.5])
async def test_a_limit_that_is_no_count_is_malformed(world: Paris, limit: object) -> None:
    assert await refusal(world, "/server/devices", {"limit": limit}) == (400, "MALFORMED_REQUEST_BODY")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
async def test_a_body_that_is_no_json_object_is_malformed(world: Paris, body: bytes) -> None:
    answer = await world.client.http.post("/server/devices", content=body, headers=world.client.headers)

    assert (answer.status_code, answer.text) == (400, "MALFORMED_REQUEST_BODY")


async def test_fetching_past_the_end_says_so_and_the_cursor_is_good_for_sync(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()

    assert await refusal(world, "/server/devices", {"cursor": cursor}) == (400, "EXHAUSTED_CURSOR")
    assert (await world.client.post("/devices/sync", {"cursor": cursor})).json()["devices"] == []


async def test_an_empty_sync_gives_a_new_cursor(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()

    page = (await world.client.post("/devices/sync", {"cursor": cursor})).json()

    assert page["cursor"] != cursor
    assert page["more_to_follow"] is False


@pytest.mark.parametrize("cursor", ["nonsense", "MDow", "", None, 17])
async def test_a_cursor_that_the_service_did_not_write_is_invalid(world: Paris, cursor: object) -> None:
    word = "INVALID_CURSOR" if cursor else "CURSOR_REQUIRED"

    assert await refusal(world, "/devices/sync", {"cursor": cursor}) == (400, word)


async def test_a_cursor_of_another_server_is_invalid(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()
    lyon = await world.second_client("lyon")

    answer = await lyon.post("/devices/sync", {"cursor": cursor})

    assert (answer.status_code, answer.text) == (400, "INVALID_CURSOR")


async def test_a_changed_cursor_is_invalid(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()
    changed = ("A" if cursor[12] != "A" else "B").join((cursor[:12], cursor[13:]))

    assert await refusal(world, "/devices/sync", {"cursor": changed}) == (400, "INVALID_CURSOR")


async def test_the_cursor_of_an_unfinished_fetch_is_not_for_sync(world: Paris) -> None:
    page = (await world.client.post("/server/devices", {"limit": 5})).json()

    assert await refusal(world, "/devices/sync", {"cursor": page["cursor"]}) == (400, "INVALID_CURSOR")


async def test_a_cursor_lasts_seven_days(world: Paris, clock: FakeClock) -> None:
    _, cursor = await world.client.fetch_all()
    clock.move(timedelta(days=7))
    await world.client.open_session()
    last_moment = await world.client.post("/devices/sync", {"cursor": cursor})
    clock.move(timedelta(seconds=1))

    assert last_moment.status_code == 200
    assert await refusal(world, "/devices/sync", {"cursor": cursor}) == (400, "EXPIRED_CURSOR")


async def test_sync_tells_what_was_added_modified_and_deleted_in_order(
    world: Paris, clock: FakeClock
) -> None:
    _, cursor = await world.client.fetch_all()
    clock.move(timedelta(hours=1))
    added = world.standin.add_devices("paris", 2)
    clock.move(timedelta(minutes=1))
    modified = world.standin.modify_devices("paris", 1)
    clock.move(timedelta(minutes=1))
    deleted = world.standin.remove_devices("paris", 1)
    await world.client.open_session()

    page = (await world.client.post("/devices/sync", {"cursor": cursor})).json()

    told = [(d["op_type"], d["serial_number"], d["op_date"]) for d in page["devices"]]
    assert told == [
        ("added", added[0], "2026-05-01T10:00:00Z"),
        ("added", added[1], "2026-05-01T10:00:00Z"),
        ("modified", modified[0], "2026-05-01T10:01:00Z"),
        ("deleted", deleted[0], "2026-05-01T10:02:00Z"),
    ]
    assert page["devices"][0]["device_assigned_date"] == "2026-05-01T10:00:00Z"
    assert page["devices"][2]["asset_tag"].startswith("TAG-")


async def test_sync_pages_through_changes_without_losing_or_repeating(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()
    added = world.standin.add_devices("paris", 5)

    seen: list[str] = []
    more = True
    while more:
        page = (await world.client.post("/devices/sync", {"cursor": cursor, "limit": 2})).json()
        seen += [device["serial_number"] for device in page["devices"]]
        cursor, more = page["cursor"], page["more_to_follow"]

    assert seen == added


async def test_what_changes_during_a_fetch_comes_with_the_sync_after_it(world: Paris) -> None:
    first = (await world.client.post("/server/devices", {"limit": 10})).json()
    gone = world.standin.remove_devices("paris", [first["devices"][0]["serial_number"]])
    rest = (await world.client.post("/server/devices", {"cursor": first["cursor"]})).json()

    page = (await world.client.post("/devices/sync", {"cursor": rest["cursor"]})).json()

    assert [(d["serial_number"], d["op_type"]) for d in page["devices"]] == [(gone[0], "deleted")]


async def test_a_device_moved_to_another_server_leaves_this_one(world: Paris) -> None:
    lyon = world.standin.create_server("lyon")
    _, cursor = await world.client.fetch_all()
    moved = world.standin.reassign_devices("paris", 1, to=lyon)

    page = (await world.client.post("/devices/sync", {"cursor": cursor})).json()

    assert [(d["serial_number"], d["op_type"]) for d in page["devices"]] == [(moved[0], "deleted")]
    assert [device["serial_number"] for device in world.standin.snapshot("lyon")] == moved
    assert len(world.standin.snapshot("paris")) == 24


async def test_duplicates_come_again_on_the_next_page_and_stale_in_a_sync(world: Paris) -> None:
    world.standin.switches.duplicates = 2
    devices, cursor = await world.client.fetch_all(limit=10)
    world.standin.add_devices("paris", 3)

    changes = (await world.client.post("/devices/sync", {"cursor": cursor})).json()["devices"]

    serials = [device["serial_number"] for device in devices]
    assert len(set(serials)) == 25
    assert len(serials) > 25
    assert changes[3]["serial_number"] == changes[0]["serial_number"]
    assert changes[3]["op_date"] < changes[0]["op_date"]


async def test_older_protocols_are_told_less(world: Paris) -> None:
    newest, _ = await world.client.fetch_all()
    world.client.headers["X-Server-Protocol-Version"] = "6"
    sixth, _ = await world.client.fetch_all()
    del world.client.headers["X-Server-Protocol-Version"]
    first, _ = await world.client.fetch_all()

    assert any("wifi_mac_address" in device for device in newest)
    assert not any("wifi_mac_address" in device for device in sixth)
    assert {d["os"] for d in newest if d["device_family"] == "iPad"} == {"iPadOS"}
    assert {d["os"] for d in sixth if d["device_family"] == "iPad"} == {"iOS"}
    assert not any("device_family" in device for device in first)


@pytest.mark.parametrize("flaw", ["no serial", "wrong types"])
async def test_an_unreadable_device_is_reported_broken_and_known_whole(world: Paris, flaw: str) -> None:
    broken = world.standin.break_devices("paris", 1, flaw=flaw)

    devices, _ = await world.client.fetch_all()

    serials = [device.get("serial_number") for device in devices]
    assert len(devices) == 25
    if flaw == "no serial":
        assert broken[0] not in serials
    else:
        assert devices[serials.index(broken[0])]["model"] is None
    assert broken[0] in {device["serial_number"] for device in world.standin.snapshot("paris")}


async def test_details_tell_own_foreign_and_unknown_devices_apart(world: Paris) -> None:
    own = world.standin.snapshot("paris")[0]
    foreign = world.standin.add_devices(world.standin.create_server("lyon"), 1)[0]

    answer = await world.client.post("/devices", {"devices": [own["serial_number"], foreign, "C00000000000"]})

    told = answer.json()["devices"]
    assert told[own["serial_number"]]["response_status"] == "SUCCESS"
    assert told[own["serial_number"]]["model"] == own["model"]
    assert told[foreign] == {"response_status": "NOT_ACCESSIBLE"}
    assert told["C00000000000"] == {"response_status": "NOT_FOUND"}


async def test_details_of_no_list_are_refused(world: Paris) -> None:
    assert await refusal(world, "/devices", {}) == (400, "DEVICE_ID_REQUIRED")


def test_the_same_seed_invents_the_same_devices(clock: FakeClock) -> None:
    def serials(seed: int) -> list[str]:
        standin = AppleStandIn(clock, seed=seed)
        standin.create_server("paris", devices=2000)
        return [device["serial_number"] for device in standin.snapshot()]

    first = serials(7)

    assert first == serials(7)
    assert len(set(first)) == 2000
    assert set(first).isdisjoint(serials(8))
