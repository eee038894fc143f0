"""Which names and dates there may be, and how many days are left. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.deadlines.errors import (
    ChannelWrong,
    DatePast,
    DateTooFar,
    DateWrong,
    DeadlineNameWrong,
    DeadlineTagsNotYours,
    DeadlineTagWrong,
    OwnerWrong,
)

YEARS_AHEAD = 30
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}")
_TAG = re.compile(r"[a-z0-9._-]{1,40}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_TAGS = 20
_NONE = frozenset({"", "none", "-"})


def check_name(text: str) -> str:
    """Return the name as typed, without space around it. Raises `DeadlineNameWrong`."""
    name = text.strip()
    if not _NAME.fullmatch(name) or not re.search(r"[A-Za-z0-9]", name):
        raise DeadlineNameWrong(name[:60])
    return name


def name_key(name: str) -> str:
    """Return what makes two names the same."""
    return name.strip().lower()


def parse_day(text: str, *, now: datetime, zone: ZoneInfo) -> date:
    """Read a day to come, in the time zone of the settings. Raises `DateWrong`, `DatePast`, `DateTooFar`."""
    written = text.strip()
    try:
        day = date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        day = None
    if day is None:
        raise DateWrong(written[:60])
    today = now.astimezone(zone).date()
    if day <= today:
        raise DatePast(written)
    if day.year > today.year + YEARS_AHEAD:
        raise DateTooFar(written, YEARS_AHEAD)
    return day


def begins(day: date, *, zone: ZoneInfo) -> datetime:
    """Return when a day begins: whoever waits for its end may be a day late."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def days_left(at: datetime, now: datetime) -> int:
    """Return the ceiling of the hours left over 24; 0 or less when it is over."""
    return -((now - at) // timedelta(days=1))


def check_tags(
    tags: Iterable[str], *, own: frozenset[str] | None, before: Iterable[str] = ()
) -> frozenset[str]:
    """Return tags as they are kept. `own` are those that the admin is limited to, None for no limit.

    Who is limited neither sets nor takes away others.

    Raises `DeadlineTagWrong`, `DeadlineTagsNotYours`.
    """
    checked = frozenset(tag.strip().lower() for tag in tags)
    for tag in sorted(checked):
        if not _TAG.fullmatch(tag) or len(checked) > _MOST_TAGS:
            raise DeadlineTagWrong(tag[:60])
    if own is not None and (not checked or (checked ^ frozenset(before)) - own):
        raise DeadlineTagsNotYours(own)
    return checked


def split_tags(text: str) -> list[str]:
    """Return what stands between commas, semicolons or spaces, unchecked; nothing for `none`."""
    return [] if text.strip().lower() in _NONE else [word for word in re.split(r"[\s,;]+", text) if word]


def parse_channel(text: str) -> str | None:
    """Return a channel's id, None for `none`. Raises `ChannelWrong`."""
    if text.strip().lower() in _NONE:
        return None
    if not re.fullmatch(r"[CG][A-Z0-9]{2,39}", text.strip()):
        raise ChannelWrong(text.strip()[:60])
    return text.strip()


def parse_owner(text: str) -> str | None:
    """Return the id of a person or user group, None for `none`. Raises `OwnerWrong`."""
    if text.strip().lower() in _NONE:
        return None
    if not re.fullmatch(r"[UWS][A-Z0-9]{2,39}", text.strip()):
        raise OwnerWrong(text.strip()[:60])
    return text.strip()
