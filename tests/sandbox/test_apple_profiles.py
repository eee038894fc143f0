"""Profiles and assignments of the stand-in: what Apple documents as refused is refused."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import Paris, paris

PROFILE: dict[str, Any] = {
    "profile_name": "Sales iPad",
    "url": "https://mdm.example.com/enroll",
    "org_magic": "913FABBB-0032-4E13-9966-D6BBAC900331",
    "is_supervised": True,
    "is_mdm_removable": False,
    "skip_setup_items": ["Siri"],
}


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Paris]:
    async with paris(clock, devices=12) as made:
        yield made


def serials(world: Paris) -> list[str]:
    return [device["serial_number"] for device in world.standin.snapshot("paris")]


def facts(world: Paris, serial: str) -> dict[str, Any]:
    return next(d for d in world.standin.snapshot() if d["serial_number"] == serial)


async def define(world: Paris, **changes: object) -> str:
    answer = await world.client.post("/profile", {**PROFILE, **changes})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["profile_uuid"])


async def test_a_profile_is_kept_as_sent_and_read_back_by_its_uuid(world: Paris) -> None:
    uuid = await define(world)

    answer = await world.client.call("GET", f"/profile?profile_uuid={uuid.lower()}")

    assert answer.json() == {"profile_uuid": uuid, **PROFILE}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"profile_name": None}, "CONFIG_NAME_REQUIRED"),
        ({"profile_name": ""}, "CONFIG_NAME_INVALID"),
        ({"profile_name": "x" * 126}, "CONFIG_NAME_INVALID"),
        ({"url": None}, "CONFIG_URL_REQUIRED"),
        ({"url": "http://mdm.example.com"}, "CONFIG_URL_INVALID"),
        ({"url": "https://mdm.example.com/a b"}, "CONFIG_URL_INVALID"),
        ({"url": "https://mdm.example.com/" + "x" * 2000}, "CONFIG_URL_INVALID"),
        ({"org_magic": None}, "MAGIC_INVALID"),
        ({"org_magic": ""}, "MAGIC_INVALID"),
        ({"department": ""}, "DEPARTMENT_INVALID"),
        ({"department": "x" * 126}, "DEPARTMENT_INVALID"),
        ({"support_phone_number": ""}, "SUPPORT_PHONE_INVALID"),
        ({"support_phone_number": "1" * 51}, "SUPPORT_PHONE_INVALID"),
        ({"support_email_address": "x" * 251}, "SUPPORT_EMAIL_INVALID"),
        ({"is_supervised": False}, "FLAGS_INVALID"),
        ({"is_supervised": "yes"}, "MALFORMED_REQUEST_BODY"),
        ({"language": "English"}, "LOCALE_INVALID"),
        ({"region": "fr"}, "LOCALE_INVALID"),
        ({"devices": "C02"}, "MALFORMED_REQUEST_BODY"),
    ],
)
async def test_a_profile_with_a_fault_is_refused_by_its_word(
    world: Paris, changes: dict[str, object], word: str
) -> None:
    answer = await world.client.post("/profile", {**PROFILE, **changes})

    assert (answer.status_code, answer.text) == (400, word)
    assert world.standin.profiles == {}


async def test_texts_at_their_limits_are_accepted(world: Paris) -> None:
    uuid = await define(
        world,
        profile_name="é" * 125,
        department="d" * 125,
        support_phone_number="1" * 50,
        language="fr",
        region="FR",
    )

    assert world.standin.profiles[uuid].body["profile_name"] == "é" * 125


async def test_reading_a_profile_that_is_not_ones_own_finds_nothing(world: Paris) -> None:
    uuid = await define(world)
    lyon = await world.second_client("lyon")

    missing = await world.client.call("GET", "/profile?profile_uuid=" + "0" * 32)
    foreign = await lyon.call("GET", f"/profile?profile_uuid={uuid}")
    unnamed = await world.client.call("GET", "/profile")

    assert (missing.status_code, missing.text) == (404, "NOT_FOUND")
    assert (foreign.status_code, foreign.text) == (404, "NOT_FOUND")
    assert (unnamed.status_code, unnamed.text) == (400, "PROFILE_UUID_REQUIRED")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_assigning_answers_for_each_device_and_shows_in_the_list(world: Paris, method: str) -> None:
    uuid = await define(world)
    first = serials(world)[0]

    answer = await world.client.call(
        method, "/profile/devices", {"profile_uuid": uuid, "devices": [first, "C00000000000"]}
    )

    told = facts(world, first)
    assert answer.json() == {
        "profile_uuid": uuid,
        "devices": {first: "SUCCESS", "C00000000000": "NOT_ACCESSIBLE"},
    }
    assert (told["profile_status"], told["profile_uuid"]) == ("assigned", uuid)
    assert told["profile_assign_time"] == "2026-05-01T09:00:00Z"


async def test_a_profile_defined_with_devices_is_assigned_at_once(world: Paris) -> None:
    first = serials(world)[0]

    answer = await world.client.post("/profile", {**PROFILE, "devices": [first]})

    assert answer.json()["devices"] == {first: "SUCCESS"}
    assert facts(world, first)["profile_uuid"] == answer.json()["profile_uuid"]


async def test_removing_a_profile_keeps_its_uuid_with_the_status_removed(world: Paris) -> None:
    uuid = await define(world)
    first, second = serials(world)[:2]
    await world.client.post("/profile/devices", {"profile_uuid": uuid, "devices": [first]})

    answer = await world.client.call("DELETE", "/profile/devices", {"devices": [first, second, "C0"]})

    assert answer.json()["devices"] == {first: "SUCCESS", second: "SUCCESS", "C0": "NOT_ACCESSIBLE"}
    assert facts(world, first)["profile_status"] == "removed"
    assert facts(world, second)["profile_status"] == "empty"


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"devices": []}, (400, "PROFILE_UUID_REQUIRED")),
        ({"profile_uuid": "0" * 32}, (400, "DEVICE_ID_REQUIRED")),
        ({"profile_uuid": "0" * 32, "devices": []}, (404, "NOT_FOUND")),
        (
            {"profile_uuid": "0" * 32, "devices": ["C0"] * 3 + [str(n) for n in range(1000)]},
            (400, "MALFORMED_REQUEST_BODY"),
        ),
    ],
)
async def test_an_assignment_with_a_fault_is_refused(
    world: Paris, body: dict[str, object], refused: tuple[int, str]
) -> None:
    answer = await world.client.post("/profile/devices", body)

    assert (answer.status_code, answer.text) == refused


async def test_a_throttled_device_waits_and_then_takes_the_profile(world: Paris, clock: FakeClock) -> None:
    world.standin.switches.throttle_fraction = 1.0
    uuid = await define(world)
    order = {"profile_uuid": uuid, "devices": serials(world)[:2]}

    first = (await world.client.post("/profile/devices", order)).json()
    clock.move(timedelta(minutes=20))
    early = (await world.client.post("/profile/devices", order)).json()
    clock.move(timedelta(minutes=40))
    await world.client.open_session()
    later = (await world.client.post("/profile/devices", order)).json()

    assert set(first["devices"].values()) == set(early["devices"].values()) == {"THROTTLED"}
    assert (first["retry_after_seconds"], early["retry_after_seconds"]) == (3600, 2400)
    assert set(later["devices"].values()) == {"SUCCESS"}
    assert "retry_after_seconds" not in later


@pytest.mark.parametrize(
    ("protocol", "word", "has_wait"),
    [("8", "FAILED", False), ("9", "THROTTLED", False), ("10", "THROTTLED", True)],
)
async def test_throttling_is_told_as_the_protocol_can(
    world: Paris, protocol: str, word: str, *, has_wait: bool
) -> None:
    first = serials(world)[0]
    world.standin.switches.throttled.add(first)
    uuid = await define(world)
    world.client.headers["X-Server-Protocol-Version"] = protocol

    answer = await world.client.post("/profile/devices", {"profile_uuid": uuid, "devices": [first]})

    assert answer.json()["devices"] == {first: word}
    assert ("retry_after_seconds" in answer.json()) is has_wait
    assert facts(world, first)["profile_status"] == "empty"


async def test_a_failing_device_fails_and_keeps_what_it_has(world: Paris) -> None:
    first = serials(world)[0]
    world.standin.switches.failing.add(first)
    uuid = await define(world)

    answer = await world.client.post("/profile/devices", {"profile_uuid": uuid, "devices": [first]})

    assert answer.json()["devices"] == {first: "FAILED"}
    assert facts(world, first)["profile_status"] == "empty"


async def test_a_device_that_fetched_its_profile_is_pushed_and_the_delta_says_so(world: Paris) -> None:
    uuid = await define(world)
    first = serials(world)[0]
    await world.client.post("/profile/devices", {"profile_uuid": uuid, "devices": [first]})
    _, cursor = await world.client.fetch_all()
    world.standin.activate_devices("paris", 12)

    changes = (await world.client.post("/devices/sync", {"cursor": cursor})).json()["devices"]

    assert [(d["serial_number"], d["op_type"], d["profile_status"]) for d in changes] == [
        (first, "modified", "pushed")
    ]
    assert changes[0]["profile_push_time"] == "2026-05-01T09:00:00Z"


async def test_a_profile_changed_behind_the_bots_back_shows_in_the_delta(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()
    world.standin.set_profile("paris", 1, "AB" * 16)

    changes = (await world.client.post("/devices/sync", {"cursor": cursor})).json()["devices"]

    assert [(d["op_type"], d["profile_uuid"]) for d in changes] == [("modified", "AB" * 16)]


async def test_a_moved_device_carries_its_old_profile_along_when_told_to(world: Paris) -> None:
    uuid = await define(world)
    first, second = serials(world)[:2]
    await world.client.post("/profile/devices", {"profile_uuid": uuid, "devices": [first, second]})
    lyon = world.standin.create_server("lyon")

    world.standin.reassign_devices("paris", [first], to=lyon, keep_profile=True)
    world.standin.reassign_devices("paris", [second], to=lyon)

    assert facts(world, first)["profile_uuid"] == uuid
    assert facts(world, second)["profile_status"] == "empty"


async def test_releasing_devices_needs_the_servers_option(world: Paris) -> None:
    first = serials(world)[0]
    refused = await world.client.post("/devices/disown", {"devices": [first]})
    world.standin.allow_release("paris")

    released = await world.client.post("/devices/disown", {"devices": [first, "C0"]})

    assert (refused.status_code, refused.text) == (403, "ACCESS_DENIED")
    assert released.json()["devices"] == {first: "SUCCESS", "C0": "NOT_ACCESSIBLE"}
    assert first not in serials(world)
