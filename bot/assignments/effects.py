"""What an approval brings about at once, in its own transaction, before any device is worked on."""

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import store
from bot.assignments.books import SYSTEM, Books
from bot.assignments.facts import RequestView
from bot.assignments.models import Action, RequestState
from bot.kit.actor import Actor

_REMOVED = "Its token was removed."


class Effects:
    """Changes defaults and removes tokens. Whoever is killed afterwards leaves nothing half done."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def apply(self, session: AsyncSession, view: RequestView, *, actor: Actor) -> None:
        """Do what a request does beside its devices. `actor` has the right to let it begin."""
        if view.action is Action.DEFAULT:
            token = await self._books.tokens.get_in(session, view.token_id)
            if token is not None:
                await self._books.profiles.defaults.change_in(
                    session, token, view.platforms, view.profile_id, actor=actor
                )
        elif view.action is Action.REMOVE:
            ended = await self._end_others(session, view)
            await self._books.profiles.remove_all_in(session, view.token_id, actor=actor)
            await self._books.tokens.remove_in(session, view.token_id, actor=actor)
            for other in ended:
                await self._books.record(session, SYSTEM, "request.cancelled", other, {"reason": _REMOVED})

    async def _end_others(self, session: AsyncSession, view: RequestView) -> list[RequestView]:
        """Cancel what waits for a decision about a token that is removed; what runs ends by itself."""
        ended = []
        for row in await store.open_of(session, view.token_id):
            values = {
                "state": RequestState.CANCELLED.value,
                "decision_reason": _REMOVED,
                "ended_at": self._books.clock.now(),
            }
            other = await self._books.view(session, row)
            if await store.change(session, row.id, values, state=RequestState.PENDING):
                ended.append(other)
        return ended

    def look(self, view: RequestView) -> None:
        """Have what was left for other rooms looked at, now that it is committed."""
        if view.action is Action.REMOVE:
            self._books.tokens.look_for_wishes()
