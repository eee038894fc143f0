"""Working hours: when people want to hear of what is not urgent."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? ([0-9]{1,2}:[0-9]{2})-([0-9]{1,2}:[0-9]{2})", re.IGNORECASE)
_WRONG = "write days and times, such as Mon-Fri 09:00-18:00"


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """On which days (0 is Monday) and from when to when people work, in their own time zone.

    Closing time is not inside; 24:00 is the end of the day.
    """

    days: frozenset[int]
    opens: time
    closes: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, timezone: str) -> "WorkingHours":
        """Read `Mon-Fri 09:00-18:00`; days may run over the end of the week. Raises ValueError."""
        found = _FORM.fullmatch(" ".join(text.split()))
        if found is None:
            raise ValueError(_WRONG)
        first, last = found[1].lower(), (found[2] or found[1]).lower()
        if first not in _DAYS or last not in _DAYS:
            raise ValueError(_WRONG)
        begin, end = _DAYS.index(first), _DAYS.index(last)
        days = frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))
        opens, closes = _time(found[3]), _time(found[4])
        if opens >= closes:
            raise ValueError("working hours end on the day on which they begin")
        return cls(days, opens, closes, ZoneInfo(timezone))

    def includes(self, moment: datetime) -> bool:
        """Say whether people are at work at this moment."""
        local = moment.astimezone(self.zone)
        return local.weekday() in self.days and self.opens <= local.time() < self.closes

    def next_open(self, moment: datetime) -> datetime:
        """Return the first moment from `moment` on at which people are at work, in its own zone."""
        if self.includes(moment):
            return moment
        local = moment.astimezone(self.zone)
        for ahead in range(8):
            day = local.date() + timedelta(days=ahead)
            opens = datetime.combine(day, self.opens, self.zone)
            # Compared as moments: on the day of a change the wall clock would mislead.
            if day.weekday() in self.days and opens.astimezone(moment.tzinfo) >= moment:
                return opens.astimezone(moment.tzinfo)
        raise AssertionError("a week has a working day")

    def morning_of(self, moment: datetime) -> datetime | None:
        """Return when work begins on the day of `moment`, None on a day without work."""
        local = moment.astimezone(self.zone)
        if local.weekday() not in self.days:
            return None
        return datetime.combine(local.date(), self.opens, self.zone).astimezone(moment.tzinfo)


def _time(text: str) -> time:
    hours, minutes = (int(part) for part in text.split(":"))
    if (hours, minutes) == (24, 0):
        return time.max
    if hours > 23 or minutes > 59:
        raise ValueError(_WRONG)
    return time(hours, minutes)
