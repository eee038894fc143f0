"""Asking for a sync, the limits on it, and the syncs that nobody asks for."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from bot.devices import rules, store
from bot.devices.books import SYSTEM, Books
from bot.devices.errors import LeftAlone, NothingToSync
from bot.devices.facts import SyncStarted
from bot.devices.leaving import Leaving
from bot.devices.models import Phase, Sync, SyncKind, SyncState
from bot.devices.reports import Reports
from bot.devices.views import counts_of
from bot.kit.actor import Actor, ActorKind, Role
from bot.kit.db import new_id
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.tokens.errors import TokenAwaited
from bot.tokens.facts import TokenView, WaitingSync
from bot.tokens.models import WishKind, WishReason

log = get_logger(__name__)


class Syncs:
    """Puts syncs on the work list. `launch` begins one at once, without waiting for the job to look."""

    def __init__(self, books: Books, reports: Reports, leaving: Leaving) -> None:
        self._books = books
        self._reports = reports
        self._leaving = leaving
        self.launch: Callable[[str], None] | None = None

    async def start_sync(
        self,
        name: str,
        *,
        actor: Actor,
        full: bool = False,
        exempt: bool = False,
        delivery: str | None = None,
    ) -> SyncStarted:
        """Put a sync of a token on the work list; `run_sync` or the job does it.

        Answers with the one that runs already, if one does. Raises `SyncTooSoon`, `FullSyncTooSoon`,
        `TokenAwaited`. `exempt` syncs need not wait for the 15 minutes between two.
        """
        token = await self._books.tokens.get(name, actor=actor)
        return await self._start_checked(token, actor, full=full, exempt=exempt, delivery=delivery)

    async def start_sync_by_id(
        self, token_id: str, *, actor: Actor, full: bool = False, delivery: str | None = None
    ) -> SyncStarted:
        """Put a sync of a token on the work list, as `start_sync` does. Raises `TokenGone` as well."""
        token = await self._books.tokens.get_by_id(token_id, actor=actor)
        return await self._start_checked(token, actor, full=full, exempt=False, delivery=delivery)

    async def _start_checked(
        self, token: TokenView, actor: Actor, *, full: bool, exempt: bool, delivery: str | None
    ) -> SyncStarted:
        self._checked(token, actor)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            started = await self._start(session, token, actor, full=full, exempt=exempt)
        if started.is_new and self.launch is not None:
            self.launch(started.sync.id)
        return started

    async def _start(
        self, session: AsyncSession, token: TokenView, actor: Actor, *, full: bool, exempt: bool
    ) -> SyncStarted:
        await store.lock_syncs(session, token.id)
        running = await store.open_sync(session, token.id)
        if running is not None:
            goes_on = await self._go_on(session, running, token, actor, full=full)
            return SyncStarted(await self._reports.view(session, running, token), is_new=goes_on)
        kind = await self._checked_kind(session, token, full=full, exempt=exempt)
        sync = self._new_sync(token.id, kind, reason=WishReason.ASKED.value, asked_by=actor)
        other = await self._insert(session, sync)
        if other is not None:
            return SyncStarted(await self._reports.view(session, other, token), is_new=False)
        await self._record_start(session, actor, sync, token)
        return SyncStarted(await self._reports.view(session, sync, token), is_new=True)

    async def syncable(self, *, actor: Actor, name: str | None = None) -> list[TokenView]:
        """Return the token of this name, or all that the actor may sync.

        Raises `NotAllowed`, `NothingToSync`, `TokenUnknown`, `TokenAwaited`.
        """
        actor.require(Role.OPERATOR)
        if name is not None:
            return [self._checked(await self._books.tokens.get(name, actor=actor), actor)]
        views = await self._books.tokens.list_tokens(actor=actor)
        usable = [
            view for view in views if view.has_token and actor.rights.role_for(view.tags) >= Role.OPERATOR
        ]
        if not usable:
            raise NothingToSync
        return usable

    async def syncable_by_id(self, token_id: str, *, actor: Actor) -> TokenView:
        """Return a token that the actor may sync. Raises `NotAllowed`, `TokenGone`, `TokenAwaited`."""
        return self._checked(await self._books.tokens.get_by_id(token_id, actor=actor), actor)

    def _checked(self, token: TokenView, actor: Actor) -> TokenView:
        actor.require(Role.OPERATOR, tags=token.tags)
        if not token.has_token:
            raise TokenAwaited(token.name, token.id, portal=self._books.texts.portal)
        return token

    async def _go_on(
        self, session: AsyncSession, sync: Sync, token: TokenView, actor: Actor, *, full: bool
    ) -> bool:
        """Let a stopped sync go on because a person asks, as a full one where they ask for that."""
        if full and sync.state == SyncState.STOPPED.value and sync.kind != SyncKind.FULL.value:
            sync.kind = (await self._checked_kind(session, token, full=True, exempt=True)).value
            await store.change_sync(session, sync.id, {"kind": sync.kind})
        goes_on = await self._goes_on_now(session, sync)
        if goes_on:
            await self._record(session, actor, "sync.resumed", sync, token)
        return goes_on

    async def _goes_on_now(self, session: AsyncSession, sync: Sync) -> bool:
        """Let a stopped sync go on at once; False for one that runs."""
        if sync.state != SyncState.STOPPED.value:
            return False
        sync.resume_at = self._books.clock.now()
        await store.change_sync(session, sync.id, {"resume_at": sync.resume_at})
        return True

    async def _checked_kind(
        self, session: AsyncSession, token: TokenView, *, full: bool, exempt: bool
    ) -> SyncKind:
        now = self._books.clock.now()
        cursor = await store.cursor_row(session, token.id)
        ok = await store.newest_sync(session, token.id, states=[SyncState.FINISHED, SyncState.RUNNING])
        if not exempt:
            until = await store.left_alone_until(session, token.id, now)
            if until is not None:
                raise LeftAlone(token.name, service=self._books.texts.service, until=until)
            rules.check_by_hand(token.name, last_started_at=ok.started_at if ok else None, now=now)
        if cursor is None or cursor.phase != Phase.DELTA.value:
            # The first list, or one that was begun: whatever is asked for, it has to be read.
            return SyncKind.FULL
        if full:
            rules.check_full(token.name, last_full_at=cursor.last_full_ended_at, now=now)
        return SyncKind.FULL if full else SyncKind.DELTA

    def _new_sync(
        self, token_id: str, kind: SyncKind, *, reason: str, asked_by: Actor, user_id: str | None = None
    ) -> Sync:
        now = self._books.clock.now()
        is_person = asked_by.kind is ActorKind.PERSON
        return Sync(
            id=new_id(),
            token_id=token_id,
            kind=kind.value,
            reason=reason,
            state=SyncState.RUNNING.value,
            asked_by=asked_by.id,
            asked_by_person=is_person,
            user_id=user_id or (asked_by.id if is_person else None),
            started_at=now,
            resumed_at=now,
        )

    async def _insert(self, session: AsyncSession, sync: Sync) -> Sync | None:
        """Put a sync on the work list. Returns the open one of the token if another replica was first."""
        cursor = await store.cursor_row(session, sync.token_id)
        sync.is_first = cursor is None or cursor.last_full_ended_at is None
        if sync.is_first:
            sync.kind, sync.forced = SyncKind.FULL.value, "first"
        sync.devices_before = counts_of(await store.kinds_of(session, [sync.token_id])).present
        while not await store.add_sync(session, sync):
            other = await store.open_sync(session, sync.token_id)
            if other is not None:
                return other
        return None

    async def _record_start(self, session: AsyncSession, actor: Actor, sync: Sync, token: TokenView) -> None:
        await self._record(session, actor, "sync.started", sync, token)

    async def _record(
        self, session: AsyncSession, actor: Actor, action: str, sync: Sync, token: TokenView
    ) -> None:
        await self._books.audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="token",
            subject_id=token.id,
            subject_name=token.name,
            tags=token.tags,
            detail={"sync": sync.id, "kind": sync.kind, "reason": sync.reason},
        )

    async def take_wishes(self) -> int:
        """Turn the wishes of the tokens room into work. Returns how many were taken.

        A wish that meets an open sync waits until that one has ended, since what it wants to see may have
        happened after the sync read it.
        """
        async with self._books.db.read() as session:
            wishes = await self._books.tokens.sync_wishes(session)
        taken = 0
        for token_id in dict.fromkeys(wish.token_id for wish in wishes):
            async with self._books.db.begin() as session:
                taken += await self._take(session, [wish for wish in wishes if wish.token_id == token_id])
        # Each time, wish or not: a process that was killed in the middle of it leaves no wish behind.
        await self._leaving.release_removed_tokens()
        return taken

    async def _take(self, session: AsyncSession, wishes: Sequence[WaitingSync]) -> int:
        """Take the wishes for one token, unless they have to wait or another replica takes them."""
        token_id = wishes[0].token_id
        is_removed = any(wish.kind is WishKind.REMOVAL for wish in wishes)
        await store.lock_syncs(session, token_id)
        running = await store.open_sync(session, token_id)
        if running is not None and not is_removed:
            if _was_left_in_its_pause(running, wishes):
                await self._goes_on_now(session, running)
            return 0
        taken = await self._books.tokens.take_sync_wishes(session, [wish.id for wish in wishes])
        if is_removed:
            await self._leaving.end_syncs(session, token_id)
        elif taken:
            await self._grant(session, max(taken, key=_weight))
        return len(taken)

    async def _grant(self, session: AsyncSession, wish: WaitingSync) -> None:
        try:
            token = await self._books.tokens.get_by_id(wish.token_id, actor=SYSTEM)
            kind = await self._checked_kind(
                session, token, full=wish.kind is WishKind.FULL, exempt=wish.exempt
            )
        except EnrollbotError as refusal:
            log.info("sync wish dropped", token=wish.token_id, reason=wish.reason, why=str(refusal))
            return
        sync = self._new_sync(
            token.id,
            kind,
            reason=wish.reason,
            asked_by=Actor.job(wish.asked_by),
            user_id=wish.user_id,
        )
        sync.asked_by_person = wish.user_id is not None
        if await self._insert(session, sync) is not None:
            await self._leave_again(session, wish)

    async def _leave_again(self, session: AsyncSession, wish: WaitingSync) -> None:
        """Leave a wish for later: another replica began a sync between our look and our insert."""
        await self._books.tokens.wish_sync(
            session,
            wish.token_id,
            kind=wish.kind,
            reason=wish.reason,
            asked_by=wish.asked_by,
            exempt=wish.exempt,
            channel=wish.channel,
            user_id=wish.user_id,
        )

    async def schedule_due(self) -> int:
        """Put the automatic syncs that are due on the work list. Returns how many."""
        started = 0
        for token in await self._books.tokens.list_tokens(actor=SYSTEM):
            if token.state.can_sync and await self._schedule(token):
                started += 1
        return started

    async def _schedule(self, token: TokenView) -> bool:
        now = self._books.clock.now()
        async with self._books.db.read() as session:
            if await store.open_sync(session, token.id) is not None:
                return False
            ok = await store.newest_sync(session, token.id, states=[SyncState.FINISHED])
            failed = await store.failures_since(session, token.id, ok.started_at if ok else None)
            is_left_alone = await store.left_alone_until(session, token.id, now) is not None
            cursor = await store.cursor_row(session, token.id)
        is_due = rules.is_due(
            token.id,
            every=self._books.settings.sync_every,
            last_ok_at=ok.started_at if ok else None,
            failures=len(failed),
            last_failed_at=failed[0] if failed else None,
            now=now,
        )
        if not is_due or is_left_alone:
            return False
        last_full_at = cursor.last_full_started_at if cursor else None
        kind = rules.automatic_kind(last_full_at=last_full_at, now=now)
        sync = self._new_sync(token.id, kind, reason=rules.AUTOMATIC, asked_by=SYSTEM)
        async with self._books.db.begin() as session:
            await store.lock_syncs(session, token.id)
            if await store.open_sync(session, token.id) is not None:
                return False
            if await self._insert(session, sync) is not None:
                return False
            await self._record_start(session, SYSTEM, sync, token)
        return True


def _was_left_in_its_pause(sync: Sync, wishes: Sequence[WaitingSync]) -> bool:
    """Say whether somebody wished for a sync after this one had stopped."""
    if sync.state != SyncState.STOPPED.value or sync.resume_at is None:
        return False
    return wishes[-1].asked_at >= sync.resume_at - rules.GOES_ON_AFTER


def _weight(wish: WaitingSync) -> tuple[bool, bool, datetime]:
    """Order wishes for one token by how much one sync has to do to fulfil them all."""
    return wish.kind is WishKind.FULL, wish.reason is WishReason.RENEWAL, wish.asked_at
