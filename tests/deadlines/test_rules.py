from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.deadlines import rules
from bot.deadlines.errors import (
    DatePast,
    DateTooFar,
    DateWrong,
    DeadlineNameWrong,
    DeadlineTagsNotYours,
    DeadlineTagWrong,
)
from bot.kit.errors import EnrollbotError

NOW = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def test_a_day_begins_in_the_zone_of_the_settings() -> None:
    day = rules.parse_day(" 2027-03-01 ", now=NOW, zone=PARIS)
    assert day == date(2027, 3, 1)
    assert rules.begins(day, zone=PARIS) == datetime(2027, 2, 28, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        *[(text, DateWrong) for text in ("", "01.03.2027", "2027-3-1", "2027-02-29", "20270301")],
        *[(text, DateWrong) for text in ("2027-03-01T00:00", "٢٠٢٧-03-01", "tomorrow", "0000-01-01")],
        *[(text, DatePast) for text in ("2026-05-02", "2026-05-01", "2020-01-01", "0001-01-01")],
        ("2057-01-01", DateTooFar),
    ],
)
def test_what_is_no_day_to_come_is_said_to_be_that(typed: str, error: type[EnrollbotError]) -> None:
    """In Paris the second of May has begun."""
    with pytest.raises(error) as refused:
        rules.parse_day(typed, now=NOW, zone=PARIS)
    assert refused.value.next_step


@pytest.mark.parametrize(("hours", "days"), [(25, 2), (24, 1), (1, 1), (0, 0), (-1, 0), (-24, -1), (-25, -1)])
def test_days_left_are_the_hours_over_24_rounded_up(hours: int, days: int) -> None:
    assert rules.days_left(NOW + timedelta(hours=hours), NOW) == days


@pytest.mark.parametrize("name", ["", " ", ".hidden", "a b", "a/b", "...", "-_-", "x" * 41, "naïve"])
def test_names_are_as_those_of_tokens(name: str) -> None:
    with pytest.raises(DeadlineNameWrong):
        rules.check_name(name)
    assert rules.check_name(" mdm-push.2 ") == "mdm-push.2"


def test_who_is_limited_to_tags_sets_and_takes_away_only_those() -> None:
    own = frozenset({"hq", "lab"})
    assert rules.check_tags(["HQ"], own=own, before=["lab", "hq"]) == {"hq"}
    assert rules.check_tags(["hq", "school"], own=own, before=["school", "lab"]) == {"hq", "school"}
    assert rules.check_tags([], own=None) == frozenset()
    for tags, before in (([], []), (["school"], []), (["hq"], ["hq", "school"])):
        with pytest.raises(DeadlineTagsNotYours):
            rules.check_tags(tags, own=own, before=before)
    with pytest.raises(DeadlineTagWrong):
        rules.check_tags(["<!channel>"], own=None)
