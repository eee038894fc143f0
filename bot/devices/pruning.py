"""What is no longer kept: the history of devices and ended syncs, after the days of the settings."""

from dataclasses import dataclass
from datetime import timedelta

from bot.devices import store
from bot.devices.books import Books
from bot.kit.actor import Actor

#: Rows of one transaction: on SQLite nobody else writes meanwhile.
BATCH = 500
ACTOR = Actor.job("prune history")


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted."""

    changes: int
    syncs: int


class Pruning:
    """Deletes old history. Devices, requests and the audit are not touched."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def prune(self) -> Pruned:
        """Delete what is older than the settings say, a few rows at a time.

        What `device show` needs stays: moves between tokens, by which it knows where a device began. So do
        the newest syncs of each token, by which the next ones are due.
        """
        before = self._books.clock.now() - timedelta(days=self._books.settings.history_days)
        changes, after = 0, 0
        while True:
            async with self._books.db.begin() as session:
                deleted, last = await store.prune_changes(session, before=before, after=after, limit=BATCH)
            changes += deleted
            if last is None:
                break
            after = last
        syncs = 0
        while True:
            async with self._books.db.begin() as session:
                deleted = await store.prune_syncs(session, before=before, limit=BATCH)
            syncs += deleted
            if deleted < BATCH:
                break
        if changes or syncs:
            await self._record(changes, syncs)
        return Pruned(changes, syncs)

    async def _record(self, changes: int, syncs: int) -> None:
        days = self._books.settings.history_days
        async with self._books.db.begin() as session:
            await self._books.audit.record(
                session,
                actor=ACTOR,
                action="history.pruned",
                subject_kind="history",
                subject_id="*",
                subject_name=f"older than {days} days",
                detail={"changes": changes, "syncs": syncs},
            )
