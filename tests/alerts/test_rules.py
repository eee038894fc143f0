"""The ladder, and what a look changes."""

from datetime import timedelta

import pytest

from bot.alerts import rules
from bot.alerts.facts import Level
from bot.alerts.rules import Rung
from tests.builders import NOW

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
