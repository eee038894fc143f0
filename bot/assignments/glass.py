"""Break glass: an admin approves their own request alone, only while nobody else could."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bot.access.facts import Granted
from bot.access.rules import COUNTED_AFTER
from bot.access.service import CouldHold
from bot.assignments import rules, store
from bot.assignments.books import NAMED, Books
from bot.assignments.errors import GlassClosed
from bot.assignments.facts import RequestView
from bot.assignments.models import RequestState
from bot.kit.actor import Actor, NotAllowed, Role

#: So many requests are looked at each time, those that expire first.
_LOOKED_AT = 50
_ASKED_AT_ONCE = 10
_GRANT = "Have an admin grant somebody the role approver, and let them decide."


@dataclass(frozen=True, slots=True)
class Counted:
    """Who was counted and found unable: `gone` hold approver but are not active in Slack.

    `grants` and `tags`, the token's, are those by which it was counted.
    """

    gone: tuple[str, ...]
    grants: tuple[Granted, ...]
    tags: frozenset[str]


class Glass:
    """Counts who else could approve. Slack is asked, so never inside a transaction."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def count(self, view: RequestView, actor: Actor) -> Counted:
        """Return who was counted. Raises `GlassClosed` unless nobody but the actor could approve it now.

        Whoever did not ask for it approves it as usual, so that it is for the requester only.
        """
        self._check(view, actor)
        could = await self._could_approve(view)
        if could.everybody:
            raise GlassClosed(view.label, "everybody here can approve it", "Ask somebody else to.")
        if could.unclear:
            raise GlassClosed(
                view.label,
                "Slack does not say who is in a user group that may approve it",
                "Try again in a few minutes.",
            )
        gone: list[str] = []
        others = sorted(could.people - {actor.id})
        while others:
            asked, others = others[:_ASKED_AT_ONCE], others[_ASKED_AT_ONCE:]
            active = await asyncio.gather(*(self._books.may_act(each) for each in asked))
            # Of whom Slack does not tell anything, they count as active.
            present = [each for each, may in zip(asked, active, strict=True) if may is not False]
            if present:
                raise GlassClosed(view.label, _who_could(present, could), _next_step(present, could))
            gone += asked
        return Counted(tuple(gone), could.grants, view.tags)

    async def _could_approve(self, view: RequestView) -> CouldHold:
        """Return who could approve it. A tag taken in the last 24 hours counts as a role taken then does."""
        access = self._books.access
        could = await access.could_hold(Role.APPROVER, tags=view.tags)
        since = self._books.clock.now() - COUNTED_AFTER
        tags = view.tags | await self._books.tags_lately(view.token_id, since=since)
        if tags == view.tags:
            return could
        before = await access.could_hold(Role.APPROVER, tags=tags)
        return replace(before, lately=before.lately | (before.people - could.people))

    def _check(self, view: RequestView, actor: Actor) -> None:
        if self._books.settings.approvals != "required":
            raise GlassClosed(view.label, "nobody else is needed to approve it", "Approve it as usual.")
        actor.require(Role.ADMIN, tags=view.tags)
        if view.requested_by != actor.id:
            raise GlassClosed(view.label, "it is not your own request", "Approve it as usual.")
        if view.requested_at is None or self._books.clock.now() < view.requested_at + rules.GLASS_AFTER:
            raise GlassClosed(view.label, "it is less than an hour old", _GRANT)

    async def confirm_in(self, session: AsyncSession, view: RequestView, counted: Counted) -> None:
        """Raise `GlassClosed` where a role or a tag of the token has changed since the count."""
        if view.tags != counted.tags or not await self._books.access.are_granted_in(session, counted.grants):
            raise GlassClosed(view.label, "roles have changed just now", "Look who can approve it now.")

    async def seen_by(self, view: RequestView, actor: Actor) -> RequestView:
        """Return the view with whether the actor could break its glass now."""
        try:
            await self.count(view, actor)
        except (GlassClosed, NotAllowed):
            return replace(view, is_glass_open=False)
        return replace(view, is_glass_open=view.state is RequestState.PENDING)

    async def look(self) -> int:
        """Mark the requests whose glass has opened or closed; returns how many."""
        if self._books.settings.approvals != "required":
            return 0
        async with self._books.db.read() as session:
            rows = await store.unshielded(
                session, asked_before=self._books.clock.now() - rules.GLASS_AFTER, most=_LOOKED_AT
            )
            views = [await self._books.view(session, row) for row in rows]
        return sum([await self._mark(view) for view in views])

    async def _mark(self, view: RequestView) -> bool:
        requester = Actor(view.requested_by, rights=await self._books.rights_of(view.requested_by))
        now = await self.seen_by(view, requester)
        if now.is_glass_open == view.is_glass_open:
            return False
        values = {"glass_open_since": self._books.clock.now() if now.is_glass_open else None}
        async with self._books.db.begin() as session:
            return await store.change(session, view.id, values, state=RequestState.PENDING)

    async def mentioned(self, view: RequestView) -> Sequence[str]:
        """Return who is called when it was broken: as the settings name them, else the admins."""
        if self._books.settings.alert_mention is not None:
            return [self._books.settings.alert_mention]
        return sorted(await self._books.access.holders(Role.ADMIN, tags=view.tags))[:NAMED]

    async def note_told(self, request_id: str) -> None:
        async with self._books.db.begin() as session:
            await store.put(session, request_id, {"glass_told_at": self._books.clock.now()})


def _who_could(present: Collection[str], could: CouldHold) -> str:
    count = "somebody else" if len(present) == 1 else "others"
    if set(present) <= could.lately:
        return f"{count} held approver for this token less than a day ago"
    return f"{count} can approve it"


def _next_step(present: Sequence[str], could: CouldHold) -> str:
    if set(present) <= could.lately:
        return _GRANT
    return "The card names them: ask them to decide."


#: How often it is looked whether a glass has opened or closed.
GLASS_EVERY = timedelta(minutes=1)
