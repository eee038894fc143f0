"""Reminds of requests that nobody has decided by half of their time, each once and in working hours."""

from collections.abc import Sequence

from bot.assignments import rules, store
from bot.assignments.books import Books
from bot.assignments.facts import RequestView
from bot.kit.actor import Role


class Reminding:
    """Says which requests are to be reminded of; who takes one up posts it."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def due(self) -> Sequence[str]:
        """Return the ids of requests to remind of now; none outside working hours."""
        now = self._books.clock.now()
        if not self._books.settings.hours.includes(now):
            return []
        async with self._books.db.read() as session:
            rows = await store.unreminded(session, now=now)
        return [row.id for row in rows if rules.is_half_over(row, now)]

    async def half_over(self) -> list[RequestView]:
        """Return the undecided requests half of whose time is over; for jobs alone."""
        now = self._books.clock.now()
        async with self._books.db.read() as session:
            rows = await store.undecided(session, now=now)
            return [await self._books.view(session, row) for row in rows if rules.is_half_over(row, now)]

    async def take(self, request_id: str) -> RequestView | None:
        """Take a reminder up, with who may decide; None where it is decided, or another replica posts it."""
        async with self._books.db.begin() as session:
            if not await store.note_reminded(session, request_id, at=self._books.clock.now()):
                return None
            row = await store.one(session, request_id)
            view = await self._books.view(session, row) if row is not None else None
        return await self._books.with_approvers(view) if view is not None else None

    async def put_back(self, request_id: str) -> None:
        """Note that it was not posted after all: it is due again."""
        async with self._books.db.begin() as session:
            await store.put(session, request_id, {"reminded_at": None})

    async def groups(self, view: RequestView) -> Sequence[str]:
        """Return the user groups whose members may approve a request."""
        return await self._books.access.groups(Role.APPROVER, tags=view.tags)
