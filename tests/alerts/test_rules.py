"""The ladder, and what a look changes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.alerts import rules
from bot.alerts.facts import Attempt, Gathered, Kind, Level, Part, Word
from bot.alerts.rules import Rung
from bot.devices.facts import TokenSyncFacts
from bot.kit.hours import WorkingHours
from tests.builders import NOW, alert_view, token_view

USUAL = (30, 14, 7, 3, 1)
NOTE, WARNING, CRITICAL = Level


@pytest.mark.parametrize(
    ("left", "warn_days", "rung"),
    [
        (31, USUAL, None),
        (30.01, USUAL, None),
        (30, USUAL, Rung(30, NOTE)),
        (14.01, USUAL, Rung(30, NOTE)),
        (12, USUAL, Rung(14, NOTE)),
        (7, USUAL, Rung(7, WARNING)),
        (2.5, USUAL, Rung(3, WARNING)),
        (1, USUAL, Rung(1, CRITICAL)),
        (0, USUAL, Rung(0, CRITICAL)),
        (-0.9, USUAL, Rung(0, CRITICAL)),
        (-1, USUAL, Rung(-1, CRITICAL)),
        (-300, USUAL, Rung(-7, CRITICAL)),
        (50, (60, 5), Rung(60, NOTE)),
        (6, (60, 5), Rung(60, NOTE)),
        (5, (60, 5), Rung(5, WARNING)),
        (0.1, (45,), Rung(45, NOTE)),
        (0, (45,), Rung(0, CRITICAL)),
    ],
)
def test_of_several_missed_rungs_the_present_one_counts(
    left: float, warn_days: tuple[int, ...], rung: Rung | None
) -> None:
    assert rules.rung_of(NOW + timedelta(days=left), warn_days=warn_days, now=NOW) == rung


@pytest.mark.parametrize(("level", "days"), [(NOTE, 7), (WARNING, 1), (CRITICAL, None)])
def test_the_next_level_is_known_beforehand(level: Level, days: int | None) -> None:
    expires_at = NOW + timedelta(days=20)
    worse_at = None if days is None else expires_at - timedelta(days=days)
    assert rules.next_level_at(expires_at, warn_days=USUAL, level=level) == worse_at


@pytest.mark.parametrize("typed", ["AL-7", "al-7", "al7", "7", " #7 "])
def test_an_alert_is_named_by_its_label_or_number(typed: str) -> None:
    assert rules.number_of(typed) == 7


def gathered(**facts: object) -> Gathered:
    return Gathered(NOW, (), {}, **facts)  # type: ignore[arg-type]


def test_an_alert_of_which_nobody_knows_whether_it_still_holds_stays() -> None:
    view = alert_view(opened_at=NOW - timedelta(hours=1))
    assert rules.is_missing(view, gathered())
    assert not rules.is_missing(view, gathered(unclear={(Kind.SYNC_FAILING, view.subject)}))
    assert rules.is_missing(view, gathered(unclear={(Kind.SYNC_FAILING, "id-lyon")}))


@pytest.mark.parametrize(
    ("in_doubt", "is_running", "up", "is_unclear"),
    [
        (False, False, timedelta(hours=1), False),
        (True, False, timedelta(hours=1), True),
        (False, True, timedelta(hours=1), True),
        (False, False, timedelta(minutes=59), True),
    ],
)
def test_only_a_sync_that_ends_says_whether_syncs_still_fail(
    in_doubt: bool, is_running: bool, up: timedelta, is_unclear: bool
) -> None:
    token = token_view(refused_first_at=NOW if in_doubt else None)
    running: Any = object() if is_running else None
    syncs = TokenSyncFacts(running=running)
    assert token.in_doubt is in_doubt
    assert rules.is_sync_unclear(token, syncs, now=NOW, up_since=NOW - up) is is_unclear


def test_a_snoozed_alert_says_nothing_of_a_promise_that_ran_out() -> None:
    hours = WorkingHours.parse("Mon-Sun 00:00-24:00", "UTC")
    shown: dict[str, Any] = {"message_ts": "1.0", "posted_level": Level.WARNING, "shown": 1, "version": 1}
    view = alert_view(word=Word.LAPSED.value, **shown)
    assert rules.next_part(view, now=NOW, hours=hours) is Part.WORD
    snoozed = replace(view, snoozed_until=NOW + timedelta(days=1))
    assert rules.next_part(snoozed, now=NOW, hours=hours) is None


def test_the_reply_of_a_day_says_what_a_promise_that_ran_out_would() -> None:
    attempt = Attempt(Part.DAY, Level.CRITICAL, -1)
    assert rules.told(alert_view(word=Word.LAPSED.value), attempt, now=NOW)["word"] is None
