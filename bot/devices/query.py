"""The grammar of a device QUERY: words that all must hold, some of them negated. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.backend.profile import Platform
from bot.devices.errors import ValueWrong
from bot.kit import query as grammar
from bot.kit.query import QueryWord, QueryWrong

KEYS = ("token", "profile", "model", "family", "os", "status", "platform", "tag", "removed", "added")
STATUSES = ("empty", "assigned", "pushed", "removed")
_PLATFORMS = {"ipados": "ios", "iphoneos": "ios", "osx": "macos", "mac": "macos"}
#: The service has called the Mac's system by more than one name; people use the newest.
_SYSTEMS = {"osx": "macos", "mac": "macos", "mac os": "macos", "mac os x": "macos"}
_SERIAL = re.compile(r"[A-Z0-9]{1,32}\*?")


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
    typed = grammar.tidy(text)
    words = grammar.words(typed, keys=KEYS)
    conditions = tuple(condition for word in words for condition in _conditions(word, now))
    grammar.refuse_too_many(conditions)  # one word may hold several serial numbers
    return Query(typed, conditions)


def system(os: str | None) -> str:
    """Return the word that a system is searched by: `OSX` is `macos`."""
    name = (os or "").lower()
    return _SYSTEMS.get(name, name)


def _conditions(word: QueryWord, now: datetime) -> Sequence[Condition]:
    if not word.key:
        return _serials(word.value, is_negated=word.is_negated, is_quoted=word.is_quoted)
    return [_keyed(Key(word.key), word.value.lower(), now, is_negated=word.is_negated)]


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
    if length := grammar.length_of(value):
        return now - length
    if day := grammar.day_of(value):
        return day
    words = ["7d", "24h", "2026-05-01"]
    raise ValueWrong(test.value, value, known=words if test is Key.ADDED else ["yes", "no", "any", *words])
