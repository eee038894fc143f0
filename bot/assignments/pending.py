"""Which requests wait for a decision, and for whose."""

from collections.abc import Sequence

from bot.assignments import store
from bot.assignments.books import Books
from bot.assignments.facts import Pending
from bot.kit.actor import Actor, Role
from bot.tokens.facts import TokenView


class PendingRequests:
    """Looks for those who decide; decides nothing."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def look(self, tokens: Sequence[TokenView], *, actor: Actor, most: int = 5) -> Pending:
        """Return what waits on these tokens, which the actor may see; at most `most` of the actor's own."""
        mine = [token.id for token in tokens if actor.rights.role_for(token.tags) >= Role.APPROVER]
        not_by = actor.id if self._books.settings.approvals == "required" else None
        async with self._books.db.read() as session:
            rows, decidable = await store.pending(session, mine, most=most, not_by=not_by)
            _, total = await store.pending(session, [token.id for token in tokens], most=0)
            views = [await self._books.view(session, row) for row in rows]
        return Pending(views, decidable, total - decidable)
