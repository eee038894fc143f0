"""What a device is left out for, and what a request is called."""

from datetime import timedelta

import pytest

from bot.assignments import rules, wording
from bot.assignments.carrying import _outcome
from bot.assignments.facts import Found
from bot.assignments.models import Action, Outcome
from bot.backend.port import DeviceFacts, DeviceResult
from bot.backend.profile import Platform, ProfilePlatform, ProfileSettings
from bot.devices.facts import DeviceRow, pack, unpack
from bot.devices.models import DeviceState
from bot.profiles.facts import ContentFacts
from tests.builders import NOW


def row(**facts: object) -> DeviceRow:
    usual: dict[str, object] = {
        "serial": "C02X",
        "token_id": "paris",
        "token_name": "paris",
        "state": DeviceState.PRESENT,
        "model": "iPad Air",
        "family": "iPad",
        "os": "iPadOS",
        "platform": "ios",
        "profile_uuid": None,
        "profile_status": "empty",
        "first_seen_at": NOW,
        "removed_at": None,
        "facts": unpack(pack(DeviceFacts(platform=Platform.IOS, serial="C02X", model="iPad Air"))),
    }
    return DeviceRow(**{**usual, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "action", "why"),
    [
        ({}, Action.ASSIGN, None),
        ({"profile_uuid": "OLD", "profile_status": "assigned"}, Action.ASSIGN, None),
        ({"profile_uuid": "NEW", "profile_status": "assigned"}, Action.ASSIGN, "already"),
        ({"profile_uuid": "NEW", "profile_status": "pushed"}, Action.ASSIGN, "already"),
        ({"profile_uuid": "NEW", "profile_status": "removed"}, Action.ASSIGN, None),
        ({"state": DeviceState.REMOVED}, Action.ASSIGN, "removed"),
        ({"state": DeviceState.FORGOTTEN}, Action.ASSIGN, "removed"),
        ({"token_id": "lyon"}, Action.ASSIGN, "elsewhere"),
        ({"serial": "HELD"}, Action.ASSIGN, "held"),
        ({}, Action.UNASSIGN, "already"),
        ({"profile_uuid": "OLD", "profile_status": "pushed"}, Action.UNASSIGN, None),
        ({"profile_uuid": "OLD", "profile_status": "removed"}, Action.UNASSIGN, "already"),
    ],
)
def test_a_device_is_left_out_for_one_reason(
    facts: dict[str, object], action: Action, why: str | None
) -> None:
    found = rules.why_left_out(
        row(**facts), action=action, token_id="paris", profile_uuid="NEW", held={"HELD": "request"}
    )
    assert found == why


def test_what_deserves_a_warning_is_counted() -> None:
    inside = [
        row(profile_status="pushed", profile_uuid="OLD", profile_name="Kiosk"),
        row(profile_status="assigned", profile_uuid="0123456789AB"),
        row(platform="macos", model="MacBook Air"),
        row(platform="other"),
    ]
    found = rules.found_of(
        inside, {"unknown": ["A", "B"], "held": []}, platform=ProfilePlatform.IOS, overlaps={}, of_token=9
    )
    assert found.by_model == {"iPad Air": 3, "MacBook Air": 1}
    assert found.replaces == {"Kiosk": 1, "profile 01234567…": 1, "": 2}
    assert (found.set_up, found.other_platform, found.left_out) == (1, 1, {"unknown": 2})


@pytest.mark.parametrize(
    ("typed", "number"), [("REQ-12", 12), ("req12", 12), ("#12", 12), ("12", 12), ("REQ-", None), ("x", None)]
)
def test_a_request_is_named_as_people_type_it(typed: str, number: int | None) -> None:
    assert rules.number_of(typed) == number


def test_a_device_that_fails_is_tried_three_times_and_a_throttled_one_as_late_as_asked() -> None:
    wait = rules.TRY_AGAIN[0]
    assert _outcome(DeviceResult.SUCCESS, 0, NOW, wait) == (Outcome.SUCCESS, None)
    assert _outcome(DeviceResult.NOT_ACCESSIBLE, 0, NOW, wait) == (Outcome.NOT_ACCESSIBLE, None)
    assert _outcome(DeviceResult.THROTTLED, 2, NOW, wait) == (Outcome.THROTTLED, NOW + wait)
    tries = [_outcome(DeviceResult.FAILED, number, NOW, wait) for number in (1, 2, 3)]
    assert tries == [
        (Outcome.FAILED, NOW + rules.TRY_AGAIN[0]),
        (Outcome.FAILED, NOW + rules.TRY_AGAIN[1]),
        (Outcome.FAILED, None),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, []),
        ({"available": None}, []),
        ({"available": 2}, []),
        ({"available": 1}, ["Licences: Company Portal 2 needed, 1 left"]),
        (
            {"available": 0},
            [
                "Licences: Company Portal 2 needed, 0 left",
                "Content token hq has no Company Portal licences left: they stop at Company Portal until"
                " there are more.",
            ],
        ),
        (
            {"is_active": False, "is_ended": True, "state": "expired"},
            ["Content token hq is expired: they stop at Company Portal until it is renewed."],
        ),
    ],
    ids=range(6),
)
def test_the_licences_that_devices_will_need_are_weighed(content: dict[str, object], told: list[str]) -> None:
    usual: dict[str, object] = {
        **{"id": "hq-id", "name": "hq", "location_id": "1", "location_name": "Example HQ", "state": "active"},
        **{"is_active": True, "is_ended": False, "has_portal": True, "available": 17},
    }
    facts = ContentFacts(**(usual | content))  # type: ignore[arg-type]
    settings = ProfileSettings(user_affinity=True, install_company_portal=True, content_token="hq-id")
    inside = [row(serial="A"), row(serial="B"), row(serial="C", platform="macos")]
    found = rules.with_portal(Found(), inside, settings, {"hq-id": facts})
    assert found.portal_needed == 2
    assert wording.of_licences(found) == told
    without = ProfileSettings(user_affinity=True, content_token="hq-id")
    assert rules.with_portal(Found(), inside, without, {}) == Found()


@pytest.mark.parametrize(("allowed", "most"), [(None, 1000), (5000, 1000), (1000, 1000), (200, 200)])
def test_an_order_names_a_thousand_devices_at_most_and_fewer_where_the_account_says_so(
    allowed: int | None, most: int
) -> None:
    assert rules.most_at_once(allowed) == most


@pytest.mark.parametrize(
    ("named", "waits"),
    [
        (None, timedelta(hours=24)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=2), timedelta(days=2)),
        (timedelta(0), timedelta(minutes=1)),
    ],
)
def test_a_throttled_device_waits_as_long_as_is_said_a_minute_at_least_and_a_day_in_doubt(
    named: timedelta | None, waits: timedelta
) -> None:
    assert rules.throttled_for(named) == waits
