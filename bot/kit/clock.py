"""The only reader of the wall clock."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Says what time it is, and waits. Services hold one; rules receive `now` instead."""

    def now(self) -> datetime:
        """Return the present moment as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back, for durations only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; a clock used in tests returns at once and moves itself on."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
