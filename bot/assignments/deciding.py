"""Sending a request for approval, and deciding it: once, by whoever may, whoever else is at it."""

from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import rules, store
from bot.assignments.books import SYSTEM, Books
from bot.assignments.effects import Effects
from bot.assignments.errors import (
    AlreadyDecided,
    HeldElsewhere,
    NoPlaceToAsk,
    NotYours,
    NumberDiffers,
    OwnRequest,
    PreviewGone,
    Stale,
)
from bot.assignments.facts import RequestView
from bot.assignments.models import RequestState
from bot.kit.actor import Actor, Role


class Deciding:
    """Moves requests from one state to the next, each by one conditional statement."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._effects = Effects(books)

    async def send(
        self, request_id: str, *, actor: Actor, typed: str | None = None, delivery: str | None = None
    ) -> RequestView:
        """Send a preview for approval; with approvals off it is carried out at once.

        `typed` is the number of devices where it is a large request. Raises `PreviewGone`, `NumberDiffers`,
        `NoPlaceToAsk`, `Stale`.
        """
        now, settings = self._books.clock.now(), self._books.settings
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._own_preview(session, request_id, actor)
            if view.needs_number and (typed or "").strip().replace(",", "") != str(view.devices):
                raise NumberDiffers(view.devices)
            if view.is_stale:
                raise Stale("It", _why_stale(view))
            channel = self._books.place(await self._books.tokens.get_in(session, view.token_id))
            if channel is None:
                raise NoPlaceToAsk(settings.command)
            await store.lock(session)
            values: dict[str, Any] = {
                "number": await store.next_number(session),
                "requested_at": now,
                "channel": channel,
                "state": RequestState.PENDING.value,
                "expires_at": now + settings.request_ttl,
            }
            if not await store.change(session, request_id, values, state=RequestState.PREVIEW):
                raise PreviewGone
            view = await self._books.load(session, request_id, actor, Role.OPERATOR)
            await self._books.record(session, actor, "request.sent", view, {"reason": view.reason})
            if settings.approvals == "off":
                await self._begin(session, view, actor, by_what="approvals are off")
                view = await self._books.load(session, request_id, actor, Role.OPERATOR)
        if view.state is RequestState.RUNNING:
            self._effects.look(view)
        return view

    async def approve(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Approve a request. The right is checked now, not when the button was drawn.

        Raises `AlreadyDecided`, `OwnRequest`, `Stale`, `HeldElsewhere`, `NotAllowed`.
        """
        # Slack is asked before the transaction, never inside it.
        async with self._books.db.read() as session:
            seen = await self._books.load(session, request_id, actor, Role.APPROVER)
        requester = await self._books.rights_of(seen.requested_by)
        by_what = await self._books.access.granted_by(actor.id, Role.APPROVER, tags=seen.tags)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._pending(session, request_id, actor, Role.APPROVER)
            if self._books.settings.approvals == "required" and view.requested_by == actor.id:
                raise OwnRequest(view.label)
            if requester.role_for(view.tags) < rules.role_to_ask(view.action):
                raise Stale(view.label, "who requested it may no longer do so")
            await self._begin(session, view, actor, by_what=by_what)
            view = await self._books.load(session, request_id, actor, Role.APPROVER)
        self._effects.look(view)
        return view

    async def deny(
        self, request_id: str, *, actor: Actor, reason: str, delivery: str | None = None
    ) -> RequestView:
        """Deny a request, with a reason that the requester is told."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._pending(session, request_id, actor, Role.APPROVER)
            if self._books.settings.approvals == "required" and view.requested_by == actor.id:
                raise OwnRequest(view.label)
            return await self._end(session, view, actor, RequestState.DENIED, reason=reason)

    async def cancel(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Cancel a request: its requester, or an admin."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._pending(session, request_id, actor, Role.OPERATOR)
            if view.requested_by != actor.id and actor.rights.role_for(view.tags) < Role.ADMIN:
                raise NotYours(view.label)
            return await self._end(session, view, actor, RequestState.CANCELLED)

    async def stop(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Have a running request end after the batch under way."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._books.load(session, request_id, actor, Role.APPROVER)
            changed = await store.change(
                session, request_id, {"stop_asked_by": actor.id}, state=RequestState.RUNNING
            )
            if not changed:
                raise AlreadyDecided(view.label, rules.how_it_ended(view))
            await self._books.record(session, actor, "request.stopped", view, {})
            return await self._books.load(session, request_id, actor, Role.APPROVER)

    async def expire(self) -> int:
        """End requests that nobody decided in time. Returns how many."""
        now, expired = self._books.clock.now(), 0
        async with self._books.db.read() as session:
            pending = await store.in_state(session, RequestState.PENDING)
            previews_before = now - 2 * rules.PREVIEW_KEPT
        for row in pending:
            if row.expires_at is not None and row.expires_at <= now:
                async with self._books.db.begin() as session:
                    values = {"state": RequestState.EXPIRED.value, "ended_at": now}
                    if await store.change(session, row.id, values, state=RequestState.PENDING):
                        expired += 1
                        view = await self._books.view(session, row)
                        await self._books.record(session, SYSTEM, "request.expired", view, {})
        async with self._books.db.begin() as session:
            await store.drop_previews(session, before=previews_before)
        return expired

    async def _own_preview(self, session: AsyncSession, request_id: str, actor: Actor) -> RequestView:
        view = await self._books.load(session, request_id, actor, Role.OPERATOR)
        is_kept = self._books.clock.now() - view.made_at < rules.PREVIEW_KEPT
        if view.state is not RequestState.PREVIEW or view.requested_by != actor.id or not is_kept:
            raise PreviewGone
        actor.require(rules.role_to_ask(view.action), tags=view.tags)
        return view

    async def _pending(self, session: AsyncSession, request_id: str, actor: Actor, role: Role) -> RequestView:
        view = await self._books.load(session, request_id, actor, role)
        if view.state is not RequestState.PENDING:
            raise AlreadyDecided(view.label, rules.how_it_ended(view))
        if view.expires_at is not None and view.expires_at <= self._books.clock.now():
            raise AlreadyDecided(view.label, "has expired")
        return view

    async def _begin(self, session: AsyncSession, view: RequestView, actor: Actor, *, by_what: str) -> None:
        """Put a request to work, which takes its devices; no two requests have one device."""
        if view.is_stale:
            raise Stale(view.label, _why_stale(view))
        await store.lock(session)
        values = {
            "state": RequestState.RUNNING.value,
            "decided_by": actor.id,
            "decided_at": self._books.clock.now(),
        }
        if not await store.change(session, view.id, values, state=RequestState.PENDING):
            now = await self._books.load(session, view.id, actor, Role.VIEWER)
            raise AlreadyDecided(now.label, rules.how_it_ended(now))
        held = await store.held_elsewhere(session, view.id)
        if held:
            raise HeldElsewhere(view.label, sum(held.values()), await self._label(session, list(held)))
        await store.hold_all(session, view.id)
        await self._effects.apply(session, view, actor=actor)
        detail = {"approved_by": actor.id, "group": by_what, "reason": view.reason}
        await self._books.record(session, actor, "request.approved", view, detail)

    async def _label(self, session: AsyncSession, request_ids: Collection[str]) -> str:
        found = [await store.one(session, each) for each in sorted(set(request_ids))[:3]]
        labels = [f"REQ-{each.number}" for each in found if each is not None and each.number is not None]
        return ", ".join(labels) or "the assignment of a default profile"

    async def _end(
        self,
        session: AsyncSession,
        view: RequestView,
        actor: Actor,
        state: RequestState,
        *,
        reason: str | None = None,
    ) -> RequestView:
        now = self._books.clock.now()
        values = {
            "state": state.value,
            "decided_by": actor.id,
            "decided_at": now,
            "decision_reason": (reason or "").strip()[:500] or None,
            "ended_at": now,
        }
        if not await store.change(session, view.id, values, state=RequestState.PENDING):
            after = await self._books.load(session, view.id, actor, Role.VIEWER)
            raise AlreadyDecided(after.label, rules.how_it_ended(after))
        await self._books.record(
            session, actor, f"request.{state.value}", view, {"reason": values["decision_reason"]}
        )
        return await self._books.load(session, view.id, actor, Role.VIEWER)


def _why_stale(view: RequestView) -> str:
    if view.is_token_removed:
        return "its token was removed meanwhile"
    return f"the profile {view.profile_name} was edited or deleted meanwhile"
