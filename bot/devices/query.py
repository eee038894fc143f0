"""The grammar of a device QUERY: words that all must hold, some of them negated. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rapidfuzz import fuzz, process

from bot.backend.profile import Platform
from bot.devices.errors import QueryWrong, UnknownKey, ValueWrong

KEYS = ("token", "profile", "model", "family", "os", "status", "platform", "tag", "removed", "added")
STATUSES = ("empty", "assigned", "pushed", "removed")
_PLATFORMS = {"ipados": "ios", "iphoneos": "ios", "osx": "macos", "mac": "macos"}
#: The service has called the Mac's system by more than one name; people use the newest.
_SYSTEMS = {"osx": "macos", "mac": "macos", "mac os": "macos", "mac os x": "macos"}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WORD = re.compile(
    r'(?P<not>-)?(?:(?P<key>[A-Za-z]+):)?(?:"(?P<double>[^"]*)"|\'(?P<single>[^\']*)\'|(?P<bare>\S+))'
)
_SERIAL = re.compile(r"[A-Z0-9]{1,32}\*?")
_MOST_WORDS = 40
#: A query travels in the value of a button, which holds 2,000 characters.
_MOST_CHARS = 1500


class Key(StrEnum):
    """What one word of a query looks at."""

    TOKEN = "token"
    PROFILE = "profile"
    MODEL = "model"
    FAMILY = "family"
    OS = "os"
    STATUS = "status"
    PLATFORM = "platform"
    TAG = "tag"
    REMOVED = "removed"
    ADDED = "added"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class Condition:
    """One word. `value` is in lower case but for serials; `since` is there for dates."""

    test: Key
    value: str
    is_negated: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query; `text` is it as typed."""

    text: str
    conditions: tuple[Condition, ...] = ()

    def of(self, test: Key) -> list[Condition]:
        return [condition for condition in self.conditions if condition.test is test]


def parse(text: str, *, now: datetime) -> Query:
    """Read a query. Raises `UnknownKey`, `ValueWrong` or another `QueryWrong`; an empty text means all."""
    stripped = " ".join(text.split())
    if len(stripped) > _MOST_CHARS:
        raise QueryWrong("The query is too long.", next_step=f"Keep it below {_MOST_CHARS:,} characters.")
    conditions: list[Condition] = []
    at = 0
    while at < len(stripped):
        found = _WORD.match(stripped, at)
        if found is None:
            raise QueryWrong(f"“{stripped[at : at + 40]}” cannot be read.", next_step="Close the quote.")
        conditions.extend(_conditions(found, now))
        at = found.end()
        while at < len(stripped) and stripped[at] in " ,;":
            at += 1
    if len(conditions) > _MOST_WORDS:
        raise QueryWrong(
            f"{len(conditions)} words are more than the {_MOST_WORDS} that a query may have.",
            next_step="Leave some out.",
        )
    return Query(stripped, tuple(conditions))


def system(os: str | None) -> str:
    """Return the word that a system is searched by: `OSX` is `macos`."""
    name = (os or "").lower()
    return _SYSTEMS.get(name, name)


def _conditions(found: re.Match[str], now: datetime) -> Sequence[Condition]:
    key, negated = (found["key"] or "").lower(), found["not"] is not None
    quoted = found["double"] if found["double"] is not None else found["single"]
    value = quoted if quoted is not None else found["bare"]
    if not key:
        return _serials(value, is_negated=negated, is_quoted=quoted is not None)
    if key not in KEYS:
        guess = process.extractOne(key, KEYS, scorer=fuzz.ratio, score_cutoff=55)
        raise UnknownKey(key, nearest=guess[0] if guess else None, known=KEYS)
    if not value.strip():
        raise QueryWrong(f"{key}: has no value.", next_step=f"Write one behind it, such as {_example(key)}.")
    return [_keyed(Key(key), value.strip().lower(), now, is_negated=negated)]


def _serials(value: str, *, is_negated: bool, is_quoted: bool) -> Sequence[Condition]:
    parts = [value] if is_quoted else [part for part in re.split(r"[,;]", value) if part]
    serials = [part.strip().upper() for part in parts]
    for serial in serials:
        if serial != "*" and not _SERIAL.fullmatch(serial):
            raise QueryWrong(
                f"“{serial[:40]}” is not the beginning of a serial number.",
                next_step='Search models with model:"iPad Air".',
            )
    return [Condition(Key.SERIAL, serial.rstrip("*"), is_negated) for serial in serials]


def _keyed(test: Key, value: str, now: datetime, *, is_negated: bool) -> Condition:
    if test is Key.STATUS and value not in STATUSES:
        raise ValueWrong("status", value, known=STATUSES)
    if test is Key.OS:
        value = system(value)
    if test is Key.PLATFORM:
        value = _PLATFORMS.get(value, value)
        if value not in {platform.value for platform in Platform}:
            raise ValueWrong("platform", value, known=[platform.value for platform in Platform])
    if test is Key.ADDED or (test is Key.REMOVED and value not in ("yes", "no", "any")):
        return Condition(test, value, is_negated, _since(test, value, now))
    return Condition(test, value, is_negated)


def _since(test: Key, value: str, now: datetime) -> datetime:
    if length := re.fullmatch(r"(\d{1,4})([mhdw])", value):
        return now - timedelta(**{_UNITS[length[2]]: int(length[1])})
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        words = ["7d", "24h", "2026-05-01"]
        known = words if test is Key.ADDED else ["yes", "no", "any", *words]
        raise ValueWrong(test.value, value, known=known) from None


def _example(key: str) -> str:
    examples = {"model": 'model:"iPad Air"', "profile": "profile:none", "added": "added:7d"}
    return examples.get(key, f"{key}:x")
