"""What happened to a device, in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.devices.facts import Change
from bot.devices.models import ChangeKind
from bot.devices.wording import change_in_words, clock_time, how_many, seconds

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
OLD, NEW = "01D01D01D" + "0" * 23, "2E02E02E0" + "0" * 23


def told(changes: dict[str, tuple[Any, Any]], kind: ChangeKind = ChangeKind.MODIFIED) -> str:
    return change_in_words(Change(NOW, kind, "paris", changes), NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {
                "profile_uuid": (None, NEW),
                "profile_status": ("empty", "assigned"),
                "profile_assigned_at": (None, "2026-05-01T09:00:00Z"),
            },
            "profile 2E02E02E… assigned",
        ),
        ({"profile_uuid": (OLD, NEW)}, "profile 2E02E02E… assigned in place of 01D01D01…"),
        (
            {"profile_uuid": (OLD, None), "profile_status": ("assigned", "empty")},
            "profile 01D01D01… taken away",
        ),
        ({"profile_status": ("assigned", "pushed")}, "profile fetched (status pushed)"),
        ({"profile_status": ("assigned", "removed")}, "profile removed"),
        ({"profile_status": ("assigned", "<later>")}, "profile status &lt;later&gt;"),
        ({"color": ("SILVER", "GOLD")}, "color GOLD, before SILVER"),
        ({"asset_tag": (None, "A1")}, "asset tag A1"),
        ({"asset_tag": ("A1", None)}, "asset tag cleared, before A1"),
        ({"imei": (["1"], ["1", "2"])}, "IMEI 1, 2, before 1"),
        ({"is_replacement": (False, True)}, "marked as a replacement"),
        ({"extra": (None, {"new": 1})}, "other details"),
    ],
)
def test_what_was_modified_is_said_in_words(changes: dict[str, tuple[Any, Any]], words: str) -> None:
    assert told(changes) == f"*modified*: {words}"


def test_times_of_changes_are_shown_in_the_readers_zone() -> None:
    at = (None, "2026-04-30T08:00:00Z")
    said = told({"assigned_at": at, "assigned_by": (None, "ade@example.com"), "color": ("A", "B")})
    moment = int(datetime(2026, 4, 30, 8, 0, tzinfo=UTC).timestamp())
    assert f"assigned to the server <!date^{moment}^" in said
    assert said.endswith("by ade@example.com; color B, before A")
    assert "profile fetched again <!date^" in told({"profile_pushed_at": at})


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (ChangeKind.ADDED, {}, "*added* to token paris"),
        (ChangeKind.MOVED, {"token": ("lyon", "paris")}, "*moved* from token lyon to paris"),
        (
            ChangeKind.MOVED,
            {"token": ("lyon", "paris"), "color": ("A", "B")},
            "*moved* from token lyon to paris: color B, before A",
        ),
        (ChangeKind.REMOVED, {"reason": (None, "missing")}, "*removed*: missing from a full sync"),
        (ChangeKind.REMOVED, {"reason": (None, "deleted")}, "*removed*: no longer assigned to the server"),
        (ChangeKind.FORGOTTEN, {"reason": (None, "forgotten by UANA")}, "*forgotten* by <@UANA>"),
        (ChangeKind.RETURNED, {}, "*came back*"),
    ],
)
def test_each_kind_of_change_has_its_words(
    kind: ChangeKind, changes: dict[str, tuple[Any, Any]], words: str
) -> None:
    assert told(changes, kind) == words


def test_one_is_not_spoken_of_as_many() -> None:
    assert [how_many(number) for number in (0, 1, 1200)] == ["0 devices", "1 device", "1,200 devices"]
    assert how_many(1, "page") == "1 page"


@pytest.mark.parametrize(
    ("length_s", "words"), [(0.04, "0.0 s"), (9.9, "9.9 s"), (61, "61 s"), (600, "10 min 0 s")]
)
def test_lengths_of_time_are_said_as_people_say_them(length_s: float, words: str) -> None:
    assert seconds(length_s) == words


def test_a_clock_time_has_a_fallback_in_utc() -> None:
    assert clock_time(NOW) == f"<!date^{int(NOW.timestamp())}^{{time}}|09:00 UTC>"
