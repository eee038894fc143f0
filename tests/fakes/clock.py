"""A clock that stands still until it is told to move, and that nobody has to wait for."""

from datetime import datetime, timedelta


class FakeClock:
    """Implements `bot.kit.clock.Clock`. Sleeping returns at once and moves the clock on."""

    def __init__(self, at: datetime) -> None:
        self._now = at
        self._elapsed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.move(timedelta(seconds=seconds))

    def move(self, length: timedelta) -> None:
        """Move on (or back, with a negative length)."""
        self._now += length
        self._elapsed += max(0.0, length.total_seconds())
