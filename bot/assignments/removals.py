"""Asking for the removal of a token: what goes with it."""

from bot.assignments import store
from bot.assignments.books import Books, values_of
from bot.assignments.facts import Found, RequestView
from bot.assignments.models import Action, Request, RequestState
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id


class Removals:
    """Makes previews of a removal."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices

    async def preview(
        self, token_id: str, *, actor: Actor, reason: str | None = None, delivery: str | None = None
    ) -> RequestView:
        """Look at what is removed with a token, and keep that for half an hour.

        Raises `TokenGone`, `NotAllowed`.
        """
        token = await self._books.tokens.get_by_id(token_id, actor=actor)
        actor.require(Role.ADMIN, tags=token.tags)
        counts = await self._devices.counts([token.id])
        profiles = await self._books.profiles.list_profiles(actor=actor, token_id=token.id)
        async with self._books.db.read() as session:
            ends = [f"REQ-{row.number}" for row in await store.open_of(session, token.id)]
        found = Found(of_token=counts[token.id].present, profiles=len(profiles), ends=ends)
        request = Request(
            id=new_id(),
            action=Action.REMOVE.value,
            state=RequestState.PREVIEW.value,
            token_id=token.id,
            devices=0,
            facts=values_of(found),
            reason=(reason or "").strip()[:500] or None,
            requested_by=actor.id,
            made_at=self._books.clock.now(),
        )
        return await self._books.keep_preview(request, [], delivery)
