"""The sandbox's time: the true one, moved ahead by what a file says. All who hold the file agree."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from bot.kit.clock import Clock, SystemClock
from bot.kit.errors import EnrollbotError

LONGEST_MOVE = timedelta(days=400)
#: Certificates and calendars end somewhere; ten years ahead is enough to see everything happen.
FURTHEST = timedelta(days=3650)


class ClockRefuses(EnrollbotError):
    """The clock is not moved as asked: only ahead, and not out of sight."""


class MovedClock:
    """Implements `bot.kit.clock.Clock`: `base` moved ahead by the number of seconds in `file`.

    The file is read again when another process has replaced it, so that the bot and the stand-ins move
    together. Without a file the time is the base's. It never goes back: a smaller number, or a file that is
    gone, changes nothing for who has seen a larger one. Durations and waiting stay true.
    """

    def __init__(self, file: Path, base: Clock | None = None) -> None:
        self._file = file
        self._base = base or SystemClock()
        self._ahead = timedelta()
        self._seen: tuple[int, int] | None = None

    def now(self) -> datetime:
        return self._base.now() + self.ahead

    def monotonic(self) -> float:
        return self._base.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._base.sleep(seconds)

    @property
    def ahead(self) -> timedelta:
        """How far this clock is ahead of its base."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return self._ahead
        mark = (found.st_ino, found.st_mtime_ns)
        if mark != self._seen:
            self._ahead = max(self._ahead, timedelta(seconds=json.loads(self._file.read_text())))
            self._seen = mark
        return self._ahead

    def move(self, length: timedelta) -> datetime:
        """Move the clock ahead for everyone who holds the file, for good; return the time it is then.

        Raises `ClockRefuses` for a length below 0, above 400 days, or beyond ten years in all.
        """
        if not timedelta() < length <= LONGEST_MOVE:
            raise ClockRefuses(
                f"The clock moves ahead by 1 to {LONGEST_MOVE.days} days at a time.",
                next_step="To begin again today, stop the sandbox and start it with --fresh.",
            )
        ahead = self.ahead + length
        if ahead > FURTHEST:
            raise ClockRefuses(
                "The clock is as far ahead as it goes, ten years.",
                next_step="To begin again today, stop the sandbox and start it with --fresh.",
            )
        # Replaced in one step: a reader finds the old number or the new one, never half of it.
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(ahead.total_seconds()))
        os.replace(written, self._file)
        return self.now()
