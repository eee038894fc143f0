import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

KEPT = 5000


@dataclass(frozen=True)
class Change:
    """Something that the pages of these people should draw; everybody's when `audience` is None."""

    number: int
    kind: str
    data: dict[str, Any]
    audience: frozenset[str] | None


class Feed:
    """The numbered changes of the workspace, for pages and tests that follow it."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.number = 0
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._news = asyncio.Event()

    def add(self, kind: str, data: dict[str, Any], *, audience: frozenset[str] | None = None) -> None:
        self.number += 1
        self._changes.append(Change(self.number, kind, data, audience))
        self._news.set()
        self._news = asyncio.Event()

    def event_id(self, number: int | None = None) -> str:
        return f"{self.run}-{self.number if number is None else number}"

    def position(self, event_id: str) -> int | None:
        """Return the number behind an event id, or None when what came after it is not kept."""
        run, _, number = event_id.rpartition("-")
        if run != self.run or not number.isdigit() or int(number) > self.number:
            return None
        oldest = self._changes[0].number if self._changes else self.number + 1
        return int(number) if int(number) >= oldest - 1 else None

    async def news(self, after: int) -> None:
        """Wait until there is a change behind number `after`."""
        while self.number <= after:
            await self._news.wait()

    async def follow(self, after: int, *, person: str) -> AsyncIterator[Change]:
        """Yield every change behind `after` that this person sees, for ever."""
        while True:
            await self.news(after)
            for change in [change for change in self._changes if change.number > after]:
                after = change.number
                if change.audience is None or person in change.audience:
                    yield change
