"""Dates as a calendar that others subscribe to (RFC 5545). Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

MEDIA_TYPE = "text/calendar; charset=utf-8"
#: Octets of a line, the end of line left out (RFC 5545, 3.1).
_LINE = 75
#: How often a subscriber should look, as both words that programs know for it.
_EVERY = "PT12H"


@dataclass(frozen=True, slots=True)
class Event:
    """One date. `at` is a moment, or a whole day; `uid` stays the same when it moves.

    `changed_at` is when it was last changed, `warn_days` how many days before it to be reminded.
    """

    uid: str
    title: str
    told: str
    at: datetime | date
    changed_at: datetime
    warn_days: Sequence[int] = ()


def calendar(name: str, events: Iterable[Event]) -> bytes:
    """Return a calendar with these events, in their order."""
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//enrollbot//enrollbot//EN", "CALSCALE:GREGORIAN"),
        *(f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}"),
        *(f"REFRESH-INTERVAL;VALUE=DURATION:{_EVERY}", f"X-PUBLISHED-TTL:{_EVERY}"),
    ]
    body = [line for event in events for line in _event(event)]
    lines += body or _NOTHING
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


#: A calendar has at least one component (3.6), also when there is no date.
_NOTHING = [
    *("BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000"),
    *("TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"),
]


def _event(event: Event) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(event.uid)}"
    yield f"DTSTAMP:{_moment(event.changed_at)}"
    if isinstance(event.at, datetime):
        yield f"DTSTART:{_moment(event.at)}"
    else:
        yield f"DTSTART;VALUE=DATE:{event.at:%Y%m%d}"
    yield f"SUMMARY:{_text(event.title)}"
    yield f"DESCRIPTION:{_text(event.told)}"
    # A date to know of takes nobody's time.
    yield "TRANSP:TRANSPARENT"
    for days in sorted(set(event.warn_days), reverse=True):
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"TRIGGER:-P{days}D"
        yield f"DESCRIPTION:{_text(event.title)}"
        yield "END:VALARM"
    yield "END:VEVENT"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """Return a value of the type TEXT (3.3.11): special characters escaped, control characters left out."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = "".join(letter for letter in whole if letter in "\n\t" or letter.isprintable())
    escaped = plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return escaped.replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """Return a line in pieces of at most 75 octets, never cut inside a character."""
    pieces: list[bytes] = []
    piece = b""
    for letter in line:
        octets = letter.encode("utf-8", "replace")
        # Each further piece begins with the space that continues it.
        if len(piece) + len(octets) > (_LINE - 1 if pieces else _LINE):
            pieces.append(piece)
            piece = b""
        piece += octets
    return b"\r\n ".join([*pieces, piece]) + b"\r\n"
