"""Who reads the Home tab, and whether what they see is still so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.home import store
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Leases

#: Who has not opened the tab for so long sees it anew when they open it.
READ_WITHIN = timedelta(days=7)
#: Of more people the others see it anew when they open it.
MOST_READERS = 50


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who opened the tab; `fingerprint` is of what they see."""

    user_id: str
    fingerprint: str


class Readers:
    """Remembers for every replica. Concerns nothing but what is shown, so it needs no right."""

    def __init__(self, db: Database, clock: Clock, leases: Leases) -> None:
        self._db = db
        self.clock = clock
        self.leases = leases

    async def note_opened(self, user_id: str, *, fingerprint: str) -> None:
        """Note that somebody opened the tab and sees this; an empty fingerprint is shown anew."""
        async with self._db.begin() as session:
            await store.note_opened(session, user_id, fingerprint=fingerprint, now=self.clock.now())

    async def note_shown(self, user_id: str, *, fingerprint: str) -> None:
        async with self._db.begin() as session:
            await store.note_shown(session, user_id, fingerprint=fingerprint, now=self.clock.now())

    async def forget(self, user_id: str) -> None:
        async with self._db.begin() as session:
            await store.forget(session, user_id)

    async def lately(self) -> Sequence[Reader]:
        """Return who opened the tab lately, whose view is oldest first; forget those who did long ago."""
        since = self.clock.now() - READ_WITHIN
        async with self._db.begin() as session:
            await store.forget_before(session, since)
            rows = await store.readers(session, since=since, most=MOST_READERS)
        return [Reader(row.user_id, row.fingerprint) for row in rows]
