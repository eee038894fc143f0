"""Sending a request for approval, and deciding it: once, by whoever may, whoever else is at it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import rules, store
from bot.assignments.books import SYSTEM, Books
from bot.assignments.effects import Effects
from bot.assignments.errors import (
    AlreadyDecided,
    HeldElsewhere,
    NoPlaceToAsk,
    NotCarriedOut,
    NotYours,
    NumberDiffers,
    OwnRequest,
    PreviewGone,
    PreviewStale,
    RequesterUnclear,
    Stale,
)
from bot.assignments.facts import Change, RequestView
from bot.assignments.glass import Glass
from bot.assignments.models import RequestState
from bot.assignments.since import Since
from bot.kit.actor import Actor, Role


class Deciding:
    """Moves requests from one state to the next, each by one conditional statement."""

    def __init__(self, books: Books, since: Since) -> None:
        self._books = books
        self._effects = Effects(books)
        self._since = since
        self._glass = Glass(books)

    async def send(
        self, request_id: str, *, actor: Actor, typed: str | None = None, delivery: str | None = None
    ) -> RequestView:
        """Send a preview for approval; with approvals off it is carried out at once.

        `typed` is the number of devices where it is a large request. Raises `PreviewGone`, `NumberDiffers`,
        `NoPlaceToAsk`, `PreviewStale`, and `NotCarriedOut` with approvals off.
        """
        now, settings = self._books.clock.now(), self._books.settings
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._own_preview(session, request_id, actor)
            if view.needs_number and (typed or "").strip().replace(",", "") != str(view.devices):
                raise NumberDiffers(view.devices)
            await self._refuse_stale(session, view)
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
                # A newer preview may have taken its place, but its requester has it before them.
                "ended_at": None,
            }
            if not await store.change(session, request_id, values, state=RequestState.PREVIEW):
                raise PreviewGone
            view = await self._books.load(session, request_id, actor, Role.OPERATOR)
            await self._books.record(session, actor, "request.sent", view, {})
            if settings.approvals == "off":
                await self._begin(session, view, actor, by_what=rules.APPROVALS_OFF)
                view = await self._books.load(session, request_id, actor, Role.OPERATOR)
        if view.state is RequestState.RUNNING:
            self._effects.look(view)
        return view

    async def approve(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Approve a request. The right is checked now, not when the button was drawn.

        Raises `AlreadyDecided`, `OwnRequest`, `Stale`, `HeldElsewhere`, `NotAllowed`.
        """
        return await self._approve(request_id, actor=actor, delivery=delivery)

    async def break_glass(
        self, request_id: str, *, actor: Actor, reason: str, delivery: str | None = None
    ) -> RequestView:
        """Approve one's own request as an admin, while nobody else could. It is counted now.

        Raises `GlassClosed`, `GlassReasonShort`, and what `approve` raises.
        """
        typed = rules.glass_reason(reason)
        return await self._approve(request_id, actor=actor, delivery=delivery, glass=typed)

    async def _approve(
        self, request_id: str, *, actor: Actor, delivery: str | None, glass: str | None = None
    ) -> RequestView:
        # Slack is asked before the transaction, never inside it.
        async with self._books.db.read() as session:
            seen = await self._books.load(session, request_id, actor, Role.APPROVER)
        counted = None
        if glass is not None and seen.state is RequestState.PENDING:
            counted = await self._glass.count(seen, actor)
        changes, may_ask = await self._changes(seen)
        by_what = await self._books.access.granted_by(actor.id, Role.APPROVER, tags=seen.tags)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            await self._lock(session, seen)
            view = await self._pending(session, request_id, actor, Role.APPROVER)
            if counted is not None:
                await self._glass.confirm_in(session, view, counted)
            else:
                self.check_decidable(view, actor=actor)
            self._refuse_changed(view, changes, may_ask=may_ask)
            await self._begin(session, view, actor, by_what=by_what, glass=glass if counted else None)
            if counted is not None:
                detail = {"reason": glass, "counted": [actor.id], "not_active": list(counted.gone)}
                await self._books.record(session, actor, "request.glass_broken", view, detail)
            view = await self._books.load(session, request_id, actor, Role.APPROVER)
        self._effects.look(view)
        return view

    async def _changes(self, seen: RequestView) -> tuple[list[Change], bool | None]:
        """Return what has changed of an undecided request, and whether its requester may still ask."""
        if seen.state is not RequestState.PENDING:
            return [], True
        return await self._since.changes(seen), await self._since.may_ask(seen)

    async def _lock(self, session: AsyncSession, seen: RequestView) -> None:
        """Let nobody edit or delete the profile, or remove the token, between our look and our commit.

        One decision at a time comes this far: what it brings about may write the rows shared here.
        """
        await store.lock(session)
        await store.one(session, seen.id, locks=True)
        if seen.profile_id is not None:
            await self._books.profiles.keep_in(session, seen.profile_id)
        await self._books.tokens.keep_in(session, seen.token_id)

    def _refuse_changed(self, view: RequestView, changes: Sequence[Change], *, may_ask: bool | None) -> None:
        # What the transaction sees counts; the rest was looked at just before it.
        found = [view.stale] if view.stale is not None else list(changes)
        for change in found:
            if change.kind.refuses:
                raise Stale(view.label, *rules.what_changed(change, view))
        if may_ask is None:
            raise RequesterUnclear(view.label)

    async def _refuse_stale(self, session: AsyncSession, view: RequestView) -> None:
        await self._lock(session, view)
        view = await self._books.load(session, view.id, SYSTEM, Role.VIEWER)
        if view.stale is not None:
            raise PreviewStale(rules.what_changed(view.stale, view)[0])

    async def deny(
        self, request_id: str, *, actor: Actor, reason: str, delivery: str | None = None
    ) -> RequestView:
        """Deny a request, with a reason that the requester is told."""
        by_what = await self._by_what(request_id, actor, Role.APPROVER)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._pending(session, request_id, actor, Role.APPROVER)
            self.check_decidable(view, actor=actor)
            return await self._end(session, view, actor, RequestState.DENIED, by_what=by_what, reason=reason)

    def check_decidable(self, view: RequestView, *, actor: Actor) -> None:
        """Refuse what is decided already or somebody's own. Raises `AlreadyDecided`, `OwnRequest`."""
        self._check_pending(view)
        if self._books.settings.approvals == "required" and view.requested_by == actor.id:
            raise OwnRequest(view.label)

    async def cancel(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Cancel a request: its requester, or an admin."""
        by_what = await self._by_what(request_id, actor, Role.OPERATOR)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._pending(session, request_id, actor, Role.OPERATOR)
            if view.requested_by != actor.id and actor.rights.role_for(view.tags) < Role.ADMIN:
                raise NotYours(view.label)
            return await self._end(session, view, actor, RequestState.CANCELLED, by_what=by_what)

    async def stop(self, request_id: str, *, actor: Actor, delivery: str | None = None) -> RequestView:
        """Have a running request end after the batch under way."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            view = await self._books.load(session, request_id, actor, Role.APPROVER)
            if not await store.ask_to_stop(session, request_id, actor.id):
                view = await self._books.load(session, request_id, actor, Role.APPROVER)
                if view.state is RequestState.RUNNING:
                    # Somebody asked before: it ends all the same, and stays theirs.
                    return view
                raise AlreadyDecided(view.label, rules.how_it_ended(view))
            await self._books.record(session, actor, "request.stopped", view, {})
            return await self._books.load(session, request_id, actor, Role.APPROVER)

    async def _by_what(self, request_id: str, actor: Actor, role: Role) -> str:
        """Return what counted for somebody's right, such as a group. It may ask Slack: no transaction."""
        async with self._books.db.read() as session:
            seen = await self._books.load(session, request_id, actor, role, counts=False)
        is_anothers = role is Role.OPERATOR and seen.requested_by != actor.id
        return await self._books.access.granted_by(
            actor.id, Role.ADMIN if is_anothers else role, tags=seen.tags
        )

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
        self._check_pending(view)
        return view

    def _check_pending(self, view: RequestView) -> None:
        if view.state is not RequestState.PENDING:
            raise AlreadyDecided(view.label, rules.how_it_ended(view))
        if view.expires_at is not None and view.expires_at <= self._books.clock.now():
            raise AlreadyDecided(view.label, "has expired")

    async def _begin(
        self,
        session: AsyncSession,
        view: RequestView,
        actor: Actor,
        *,
        by_what: str,
        glass: str | None = None,
    ) -> None:
        """Put a request to work, which takes its devices; no two requests have one device."""
        await store.lock(session)
        values: dict[str, Any] = {
            "state": RequestState.RUNNING.value,
            "decided_by": actor.id,
            "decided_at": self._books.clock.now(),
            "decided_as": by_what,
        }
        if glass is not None:
            values |= {"glass_broken_at": values["decided_at"], "decision_reason": glass}
        if not await store.change(session, view.id, values, state=RequestState.PENDING):
            now = await self._books.load(session, view.id, actor, Role.VIEWER)
            raise AlreadyDecided(now.label, rules.how_it_ended(now))
        held = await store.held_elsewhere(session, view.id)
        if held:
            count, other = sum(held.values()), await store.labels(session, list(held))
            if by_what == rules.APPROVALS_OFF:
                raise NotCarriedOut(count, other)
            raise HeldElsewhere(view.label, count, other)
        await store.hold_all(session, view.id)
        await self._effects.apply(session, view, actor=actor)
        detail = {"approved_by": actor.id, "group": by_what}
        await self._books.record(session, actor, "request.approved", view, detail)

    async def _end(
        self,
        session: AsyncSession,
        view: RequestView,
        actor: Actor,
        state: RequestState,
        *,
        by_what: str,
        reason: str | None = None,
    ) -> RequestView:
        now = self._books.clock.now()
        values = {
            "state": state.value,
            "decided_by": actor.id,
            "decided_at": now,
            "decided_as": by_what,
            "decision_reason": (reason or "").strip()[:500] or None,
            "ended_at": now,
        }
        if not await store.change(session, view.id, values, state=RequestState.PENDING):
            after = await self._books.load(session, view.id, actor, Role.VIEWER)
            raise AlreadyDecided(after.label, rules.how_it_ended(after))
        detail = {"group": by_what, "reason": values["decision_reason"]}
        await self._books.record(session, actor, f"request.{state.value}", view, detail)
        return await self._books.load(session, view.id, actor, Role.VIEWER)
