"""The words of a query: `key:value`, in quotes where there are spaces, `-` in front negates. Pure.

A space may stand behind the colon, since chats know a name again only where a word begins: `actor: @ana`.
"""

import re
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.kit.errors import EnrollbotError
from bot.kit.nearest import nearest

#: A query travels in the value of a button, which holds 2,000 characters and where quotes take two.
MOST_CHARS = 900
MOST_WORDS = 40
_WORD = re.compile(
    r"(?P<not>-)?(?:(?P<key>[A-Za-z]+):(?: (?!-?[A-Za-z]+:))?)?"
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>\S+))"
)
_LENGTH = re.compile(r"(\d{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class QueryWrong(EnrollbotError):
    """A query, or a word of it, that cannot be used."""


class UnknownKey(QueryWrong):
    def __init__(self, key: str, *, known: Sequence[str]) -> None:
        self.nearest = nearest(key, known, at_least=55)
        hint = f"Did you mean {self.nearest}:?" if self.nearest else f"Known here: {', '.join(known)}."
        super().__init__(f"“{key[:40]}” is not a key of a query.", next_step=hint)


class ValueWrong(QueryWrong):
    """A value that its key cannot have; `next_step` says how to write it."""

    def __init__(self, key: str, value: str, *, next_step: str) -> None:
        super().__init__(f"“{value[:60]}” is not a value for {key}.", next_step=next_step)


@dataclass(frozen=True, slots=True)
class QueryWord:
    """One word; `key` is in lower case and empty where none was typed."""

    key: str
    value: str
    is_negated: bool = False
    is_quoted: bool = False


def tidy(text: str) -> str:
    """Return the query with one space between its words. Raises `QueryWrong` when it is too long."""
    # What no database takes as text is gone before one is asked for it.
    stripped = " ".join(text.encode("utf-8", "replace").decode().replace("\x00", "").split())
    if len(stripped) > MOST_CHARS:
        raise QueryWrong("The query is too long.", next_step=f"Keep it below {MOST_CHARS:,} characters.")
    return stripped


def words(text: str, *, keys: Sequence[str]) -> list[QueryWord]:
    """Split a tidy query. Raises `UnknownKey` with the nearest of `keys`, or another `QueryWrong`."""
    found: list[QueryWord] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise QueryWrong(f"“{text[at : at + 40]}” cannot be read.", next_step="Close the quote.")
        found.append(_word(match, keys))
        at = match.end()
        while at < len(text) and text[at] in " ,;":
            at += 1
    refuse_too_many(found)
    return found


def refuse_too_many(words: Sized) -> None:
    """Raise `QueryWrong` for more words, or what they stand for, than a query may have."""
    if len(words) > MOST_WORDS:
        raise QueryWrong(
            f"{len(words)} words are more than the {MOST_WORDS} that a query may have.",
            next_step="Leave some out.",
        )


def length_of(value: str) -> timedelta | None:
    """Read `30d`, `12h`, `90m` or `2w`; None when it is something else."""
    found = _LENGTH.fullmatch(value.lower())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def day_of(value: str) -> datetime | None:
    """Read `2026-05-01` as the beginning of that day in UTC; None when it is something else."""
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _word(match: re.Match[str], keys: Sequence[str]) -> QueryWord:
    key = (match["key"] or "").lower()
    value = next(match[name] for name in ("double", "single", "bare") if match[name] is not None)
    if key and key not in keys:
        raise UnknownKey(key, known=keys)
    is_bare_key = not key and value.endswith(":")
    if is_bare_key or (key and not value.strip()):
        name = key or value.rstrip(":")
        raise QueryWrong(f"{name}: has no value.", next_step=f"Write one behind it: {name}:x.")
    return QueryWord(key, value.strip(), match["not"] is not None, match["bare"] is None)
