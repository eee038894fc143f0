from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.kit.hours import WorkingHours

PARIS = "Europe/Paris"


def _at(text: str, zone: str = PARIS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_opening_time_is_inside_and_closing_time_is_not() -> None:
    hours = WorkingHours.parse("Mon-Fri 09:00-18:00", PARIS)

    assert not hours.includes(_at("2026-11-26 08:59"))
    assert hours.includes(_at("2026-11-26 09:00"))
    assert hours.includes(_at("2026-11-26 17:59"))
    assert not hours.includes(_at("2026-11-26 18:00"))
    assert not hours.includes(_at("2026-11-28 12:00"))


def test_the_next_opening_passes_over_the_night_and_the_weekend() -> None:
    hours = WorkingHours.parse("Mon-Fri 09:00-18:00", PARIS)

    assert hours.next_open(_at("2026-11-26 12:00")) == _at("2026-11-26 12:00")
    assert hours.next_open(_at("2026-11-26 07:00")) == _at("2026-11-26 09:00")
    assert hours.next_open(_at("2026-11-26 18:00")) == _at("2026-11-27 09:00")
    assert hours.next_open(_at("2026-11-27 18:30")) == _at("2026-11-30 09:00")


def test_hours_are_local_on_both_sides_of_the_change_of_clocks() -> None:
    hours = WorkingHours.parse("Mon-Sun 09:00-18:00", PARIS)

    assert hours.next_open(_at("2026-03-28 20:00")) == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)
    assert hours.next_open(_at("2026-10-24 20:00")) == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


def test_days_may_run_over_the_end_of_the_week_and_one_day_is_enough() -> None:
    assert WorkingHours.parse("sat-mon 8:00-24:00", "UTC").days == {5, 6, 0}
    assert WorkingHours.parse("Wed 08:00-09:00", "UTC").next_open(_at("2026-11-26 12:00", "UTC")) == _at(
        "2026-12-02 08:00", "UTC"
    )


def test_the_morning_of_a_day_without_work_is_none() -> None:
    hours = WorkingHours.parse("Mon-Fri 09:00-18:00", PARIS)

    assert hours.morning_of(_at("2026-11-26 23:00")) == _at("2026-11-26 09:00")
    assert hours.morning_of(_at("2026-11-28 12:00")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9-5",
        "Mon-Fri",
        "Mon-Fri 18:00-09:00",
        "Mon-Fri 09:00-09:00",
        "Foo-Fri 09:00-18:00",
        "Mon 25:00-26:00",
    ],
)
def test_what_is_no_working_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"Mon-Fri 09:00-18:00|end on the day"):
        WorkingHours.parse(text, "UTC")
