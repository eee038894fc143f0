"""The grammar of an audit QUERY: words that all must hold, some of them negated. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.kit import query as grammar
from bot.kit.query import QueryWord, QueryWrong, ValueWrong

_WHEN = "Write how long ago, such as 30d or 12h, or a date, such as 2026-05-01."
_CHOOSE = "Leave a space behind the colon, type @ and choose the person from Slack's list."
_SERIAL = re.compile(r"[A-Z0-9]{1,32}")


class Key(StrEnum):
    """What one word of a query looks at."""

    ACTOR = "actor"
    ACTION = "action"
    SUBJECT = "subject"
    SERIAL = "serial"
    TOKEN = "token"
    TAG = "tag"
    REFERENCE = "reference"
    SINCE = "since"
    UNTIL = "until"


@dataclass(frozen=True, slots=True)
class Condition:
    """One word; `at` is there for `since` (from then on) and `until` (before then)."""

    key: Key
    value: str
    is_negated: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query; `text` is it as typed."""

    text: str
    conditions: tuple[Condition, ...] = ()

    def of(self, key: Key) -> list[Condition]:
        return [condition for condition in self.conditions if condition.key is key]


def parse(text: str, *, now: datetime) -> Query:
    """Read a query; an empty text means all. Raises `UnknownKey`, `ValueWrong` or another `QueryWrong`."""
    typed = grammar.tidy(text)
    return Query(typed, tuple(_condition(word, now) for word in grammar.words(typed, keys=[*Key])))


def _condition(word: QueryWord, now: datetime) -> Condition:
    if not word.key:
        raise QueryWrong(
            f"“{word.value[:40]}” does not say what to look at.",
            next_step=f'Write subject:"{word.value[:40]}", or one of {", ".join(f"{key}:" for key in Key)}.',
        )
    key, value = Key(word.key), word.value
    if key is Key.ACTOR:
        value = _actor(value)
    elif key is Key.SERIAL:
        value = _serial(value)
    elif key in (Key.ACTION, Key.TAG):
        value = value.lower()
    elif key in (Key.SINCE, Key.UNTIL):
        return Condition(key, value, word.is_negated, _moment(key, value, now))
    return Condition(key, value, word.is_negated)


def _actor(value: str) -> str:
    """Return an actor's id. Slack sends the id of whom one chose, and a name that nobody has as typed."""
    if value.startswith("@"):
        raise ValueWrong("actor", value, next_step=_CHOOSE)
    return value


def _serial(value: str) -> str:
    serial = value.upper()
    if not _SERIAL.fullmatch(serial):
        raise ValueWrong("serial", value, next_step="Write the whole serial number, letters and digits.")
    return serial


def _moment(key: Key, value: str, now: datetime) -> datetime:
    """Return where a span begins or ends: a day that is named belongs to it."""
    if length := grammar.length_of(value):
        return now - length
    day = grammar.day_of(value)
    if day is None or day.year > 9000:
        raise ValueWrong(key.value, value, next_step=_WHEN)
    return day if key is Key.SINCE else day + timedelta(days=1)
