"""The switches: how the stand-in misbehaves, and what it remembers of the calls made to it."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

PAGES = ("/server/devices", "/devices/sync")


class Trouble(StrEnum):
    """What can happen to a call instead of the answer due."""

    TOO_MANY = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"
    CLOSE = "close"
    STALL = "stall"
    HALF = "half"
    HTML = "html"
    REPEAT_CURSOR = "repeat_cursor"


@dataclass(slots=True)
class Fault:
    """One planned trouble.

    `path` None means the two calls that answer pages, `*` every call. It spares the first `after`
    matching calls, then hits `fraction` of them, `times` times at most (None: without end).
    `retry_after` is the header's text, seconds or an HTTP date; "" leaves the header out.
    """

    kind: Trouble
    fraction: float = 1.0
    times: int | None = None
    after: int = 0
    path: str | None = None
    retry_after: str = "120"

    def matches(self, path: str) -> bool:
        if self.path is None:
            return path in PAGES
        return self.path in ("*", path)


@dataclass(slots=True)
class Switches:
    """What a test or a person may change while the stand-in runs. Times are in seconds unless said.

    `session_life`: how long a session lasts. `rotate_every`: every so many calls the answer carries a
    new session token (0: never), the old one stays good for `rotation_grace`. `throttle_fraction` of
    the devices answer THROTTLED to their first assignment and for `throttle_for` after it;
    `throttled` and `failing` name serials (a named one stays throttled until taken out).
    `slow_page_ms` delays each page. `duplicates`: how many devices of each page come twice.
    `clock_offset` moves the stand-in's clock away from the true one, `Date` header included.
    `replaced_word` is the 403 of a token that a newer one ended (also seen: `signature_invalid`);
    `expired_status` that of one past its expiry (also seen: 403). `assets_a_page` and
    `content_requests_a_second` are the limits of Apps and Books. `assign_maximum` is how many devices an
    order may name; the account says it where that is less than Apple documents.
    """

    session_life: float = 1800
    rotate_every: int = 20
    rotation_grace: float = 60
    single_session: bool = False
    throttle_fraction: float = 0.0
    throttle_for: int = 3600
    throttled: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    slow_page_ms: float = 0
    duplicates: int = 0
    clock_offset: float = 0
    page_default: int = 1000
    page_maximum: int = 1000
    assign_maximum: int = 1000
    replaced_word: str = "token_rejected"
    expired_status: int = 401
    report_profile_changes: bool = True
    assets_a_page: int = 100
    content_requests_a_second: int = 15


class Faults:
    """The planned troubles, taken in the order in which they were planned."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"faults:{seed}")
        self.planned: list[Fault] = []

    def plan(
        self,
        kind: Trouble | str,
        *,
        fraction: float = 1.0,
        times: int | None = None,
        after: int = 0,
        path: str | None = None,
        retry_after: str = "120",
    ) -> Fault:
        """Plan a trouble; see `Fault` for the details."""
        fault = Fault(Trouble(kind), fraction, times, after, path, retry_after)
        self.planned.append(fault)
        return fault

    def clear(self) -> None:
        self.planned.clear()

    def next(self, path: str) -> Fault | None:
        """Return the trouble that hits this call, if one does, and count it."""
        for fault in self.planned:
            if not fault.matches(path) or fault.times == 0:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if self._chance.random() >= fault.fraction:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


@dataclass(frozen=True, slots=True)
class Logged:
    """One call: what came and what was answered, without secrets. `status` 0: no answer.

    `request` and `answer` say it in words, `sent` and `answered` hold headers and body, cut to a length that
    a person reads.
    """

    number: int
    at: datetime
    method: str
    path: str
    server: str
    status: int
    request: str
    answer: str
    took_ms: float
    protocol: int
    sent: dict[str, Any] = field(default_factory=dict)
    answered: dict[str, Any] = field(default_factory=dict)


class RequestLog:
    """The last calls. Functions in `listeners` are called with each as it ends."""

    def __init__(self, size: int = 5000) -> None:
        self.entries: deque[Logged] = deque(maxlen=size)
        self.listeners: list[Callable[[Logged], None]] = []
        self._number = 0

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, entry: Logged) -> None:
        self.entries.append(entry)
        for listener in self.listeners:
            listener(entry)

    def since(self, number: int) -> list[Logged]:
        """Return the calls after call `number`, oldest first; 0 is all that are kept."""
        return [entry for entry in self.entries if entry.number > number]

    def count(self, path: str, *, status: int | None = None) -> int:
        return sum(1 for e in self.entries if e.path == path and status in (None, e.status))
