"""Drafts: what people have filled in, kept for a day so that nothing is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.profile import ProfileSettings
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id
from bot.profiles import rules, store
from bot.profiles.books import Books, packed
from bot.profiles.errors import BeingDefined, DraftGone, TokenNeeded, TooManyProfiles
from bot.profiles.facts import DraftView, Fault, Step
from bot.profiles.models import DraftState, ProfileDraft
from bot.tokens.errors import TokenGone
from bot.tokens.facts import TokenView

#: How long a draft is kept after its last change.
KEPT_FOR = timedelta(hours=24)
#: After how long an unanswered question to the service may be asked again: its process may be gone.
ASKED_AT_MOST = timedelta(minutes=1)


_SPENT = {"state": DraftState.DONE.value}


class Drafts:
    """Opens, keeps and checks drafts. A draft is its person's alone."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def tokens_for(self, actor: Actor) -> list[TokenView]:
        """Return the tokens that the actor may define profiles with: admin, and in use."""
        return _usable(await self._books.seen(actor), actor)

    async def open_new(
        self,
        actor: Actor,
        *,
        token_id: str | None = None,
        settings: ProfileSettings | None = None,
        remarks: Sequence[str] = (),
    ) -> DraftView:
        """Open a draft of a new profile; without settings given, the one that this person left.

        Raises `TokenNeeded`.
        """
        actor.require(Role.ADMIN)
        seen = await self._books.seen(actor)
        usable = _usable(seen, actor)
        if not usable:
            raise TokenNeeded(self._books.slash)
        if token_id is None and len(usable) == 1:
            token_id = usable[0].id
        async with self._books.db.begin() as session:
            if settings is None and (left := await self._left(session, actor, None)) is not None:
                if token_id is not None:
                    await store.change_draft(session, left.id, {"token_id": token_id}, state=DraftState.OPEN)
                return replace(await self._loaded(session, seen, left.id, actor), is_resumed=True)
            made = self._new(actor, settings or ProfileSettings(), remarks)
            made.token_id = token_id
            session.add(made)
            await session.flush()
            return await self._loaded(session, seen, made.id, actor)

    async def open_edit(self, profile_id: str, actor: Actor) -> DraftView:
        """Open a draft of a profile's next version, or the one that this person left of it."""
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            shown, _ = await self._books.one(session, profile_id, actor, seen=seen, role=Role.ADMIN)
            left = await self._left(session, actor, profile_id)
            if left is not None:
                return replace(await self._loaded(session, seen, left.id, actor), is_resumed=True)
            made = self._new(actor, shown.settings, ())
            made.token_id, made.profile_id, made.base_version = shown.token_id, shown.id, shown.version
            session.add(made)
            await session.flush()
            return await self._loaded(session, seen, made.id, actor)

    async def get(self, draft_id: str, actor: Actor) -> DraftView:
        """Return a draft. Raises `DraftGone`."""
        seen = await self._books.seen(actor)
        async with self._books.db.read() as session:
            return await self._loaded(session, seen, draft_id, actor)

    async def save(
        self,
        draft_id: str,
        actor: Actor,
        values: Mapping[str, Any],
        *,
        step: Step | None = None,
        token_id: str | None = None,
        redraws: bool = True,
    ) -> DraftView:
        """Keep what was typed, right or wrong, and go to a step. Raises `DraftGone`, `BeingDefined`.

        Without `redraws` the inputs keep their ids, so that Slack leaves in them what the person sees.
        The token is chosen for a new profile only.
        """
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            before = await self._loaded(session, seen, draft_id, actor)
            changed: dict[str, Any] = {
                "settings": packed(msgspec.structs.replace(before.settings, **values)),
                "revision": before.revision + redraws,
                "step": (step or before.step).value,
                "changed_at": self._books.clock.now(),
            }
            if token_id is not None and before.profile is None:
                if token_id not in {token.id for token in _usable(seen, actor)}:
                    raise TokenGone
                changed["token_id"] = token_id
            if not await store.change_draft(session, draft_id, changed, state=DraftState.OPEN):
                raise BeingDefined(self._books.texts.service)
            return await self._loaded(session, seen, draft_id, actor)

    async def start_over(self, draft_id: str, actor: Actor) -> DraftView:
        """Give a draft up and open a fresh one of the same thing."""
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            before = await self._loaded(session, seen, draft_id, actor)
            for state in (DraftState.OPEN, DraftState.SENDING):
                await store.change_draft(session, draft_id, _SPENT, state=state)
        if before.profile is not None:
            return await self.open_edit(before.profile.id, actor)
        return await self.open_new(
            actor, token_id=before.token.id if before.token else None, settings=ProfileSettings()
        )

    async def begin_sending(self, draft_id: str, actor: Actor) -> DraftView:
        """Hold the draft while the service is asked: whoever comes second gets `BeingDefined`."""
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            now = self._books.clock.now()
            values = {"state": DraftState.SENDING.value, "sending_since": now, "changed_at": now}
            await self._loaded(session, seen, draft_id, actor)
            if not await store.change_draft(session, draft_id, values, state=DraftState.OPEN):
                raise BeingDefined(self._books.texts.service)
            return await self._loaded(session, seen, draft_id, actor)

    async def reopen(self, sent: DraftView, actor: Actor, **changes: Any) -> DraftView:
        """Take a draft back from the service, unless it was taken back since it was `sent`."""
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            values = {
                "state": DraftState.OPEN.value,
                "sending_since": None,
                "revision": sent.revision + 1,
                **changes,
            }
            await store.change_draft(
                session, sent.id, values, state=DraftState.SENDING, revision=sent.revision
            )
            return await self._loaded(session, seen, sent.id, actor)

    async def try_again(self, draft_id: str, actor: Actor) -> DraftView:
        """Take a draft back that got no answer. Raises `BeingDefined` before a minute is over."""
        draft = await self.get(draft_id, actor)
        if draft.state is not DraftState.SENDING or draft.sending_since is None:
            return draft
        if self._books.clock.now() - draft.sending_since < ASKED_AT_MOST:
            raise BeingDefined(self._books.texts.service)
        return await self.reopen(draft, actor)

    async def spend(self, session: AsyncSession, sent: DraftView) -> None:
        """Mark a draft done. Raises `DraftGone` when it was taken back or finished since it was `sent`."""
        if not await store.change_draft(
            session, sent.id, _SPENT, state=DraftState.SENDING, revision=sent.revision
        ):
            raise DraftGone(self._books.slash)

    async def sweep(self) -> int:
        """Delete drafts that nobody has changed for a day. Returns how many."""
        async with self._books.db.begin() as session:
            return await store.drop_drafts(session, before=self._books.clock.now() - KEPT_FOR)

    async def faults(self, draft: DraftView, step: Step | None = None) -> list[Fault]:
        """Return what is wrong with a draft, or with one step of it."""
        found = []
        if draft.token is None:
            found.append(Fault("token", "Choose the token that the profile belongs to."))
        found += rules.faults(
            draft.settings,
            token_mdm_url=draft.token.mdm_url if draft.token else None,
            now=self._books.clock.now(),
            configurator=self._books.texts.configurator,
        )
        if step is Step.BASICS and draft.no_room:
            # Nobody fills in five steps for what is refused at the end.
            found.append(Fault("name", draft.no_room))
        if draft.token is not None and not any(fault.setting == "name" for fault in found):
            found += await self._name_taken(draft)
        return [fault for fault in found if step is None or rules.STEP_OF[fault.setting] is step]

    async def _name_taken(self, draft: DraftView) -> list[Fault]:
        if draft.token is None:
            return []
        async with self._books.db.read() as session:
            taken = await store.named(session, draft.token.id, rules.name_key(draft.settings.name))
        if taken is None or (draft.profile and taken.id == draft.profile.id):
            return []
        return [
            Fault("name", f"Token {draft.token.name} has a profile of this name already. Choose another one.")
        ]

    async def _left(self, session: AsyncSession, actor: Actor, profile_id: str | None) -> ProfileDraft | None:
        since = self._books.clock.now() - KEPT_FOR
        found = await store.open_drafts(session, since=since, profile_id=profile_id, person=actor.id)
        return found[0] if found else None

    async def _loaded(
        self, session: AsyncSession, seen: Mapping[str, TokenView], draft_id: str, actor: Actor
    ) -> DraftView:
        row = await store.draft(session, draft_id, actor.id)
        since = self._books.clock.now() - KEPT_FOR
        if row is None or row.changed_at < since:
            raise DraftGone(self._books.slash)
        token = {each.id: each for each in _usable(seen, actor)}.get(row.token_id or "")
        if row.token_id is not None and token is None:
            # The token was removed, or the person's role for it was.
            raise DraftGone(self._books.slash)
        shown, others, no_room = None, [], ""
        if row.profile_id is not None:
            shown, _ = await self._books.one(session, row.profile_id, actor, seen=seen, role=Role.ADMIN)
            drafts = await store.open_drafts(session, since=since, profile_id=row.profile_id)
            others = [(each.person, each.changed_at) for each in drafts if each.person != actor.id]
        elif token is not None:
            try:
                await self._books.require_another(session, token)
            except TooManyProfiles as error:
                no_room = str(error)
        return DraftView(
            id=row.id,
            step=Step(row.step),
            revision=row.revision,
            state=DraftState(row.state),
            settings=msgspec.convert(row.settings, ProfileSettings, strict=False),
            token=token,
            profile=shown,
            base_version=row.base_version,
            remarks=tuple(row.remarks),
            opened_at=row.opened_at,
            changed_at=row.changed_at,
            sending_since=row.sending_since,
            others=tuple(others),
            no_room=no_room,
        )

    def _new(self, actor: Actor, settings: ProfileSettings, remarks: Sequence[str]) -> ProfileDraft:
        now = self._books.clock.now()
        return ProfileDraft(
            id=new_id(),
            person=actor.id,
            step=Step.BASICS.value,
            settings=packed(settings),
            remarks=list(remarks),
            state=DraftState.OPEN.value,
            opened_at=now,
            changed_at=now,
        )


def _usable(seen: Mapping[str, TokenView], actor: Actor) -> list[TokenView]:
    """Return the tokens that the actor is admin of and that are in use."""
    return [
        token
        for token in seen.values()
        if token.has_token and actor.rights.role_for(token.tags) >= Role.ADMIN
    ]
