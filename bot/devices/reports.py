"""How syncs stand, and which of them are still to be told."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bot.devices import rules, store
from bot.devices.books import Books
from bot.devices.facts import DeviceCounts, SyncView, TokenSyncFacts
from bot.devices.models import Sync, SyncKind, SyncState
from bot.devices.syncing import Tally
from bot.devices.views import counts_of
from bot.kit.leases import LeaseTaken
from bot.tokens.facts import NextAction, TokenView

_TELL_FOR = timedelta(days=2)
#: What a view shows just as it is stored.
_SYNC_SHOWN = (
    *("id", "token_id", "reason", "forced", "is_first", "asked_by", "asked_by_person", "user_id"),
    *("started_at", "resume_at", "ended_at", "removals_judged", "error", "next_step"),
    *("channel", "message_ts", "devices_before", "told_directly_at", "told_at", *Tally.__slots__),
)


class Reports:
    """Looks at syncs, and notes what was told of them."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def sync_view(self, sync_id: str) -> SyncView:
        async with self._books.db.read() as session:
            sync = await session.get_one(Sync, sync_id)
            token = await self._books.token_or_none(sync.token_id)
            return await self.view(session, sync, token)

    async def untold(self) -> list[SyncView]:
        """Return the ended syncs whose result is to be told now, oldest first."""
        now = self._books.clock.now()
        async with self._books.db.read() as session:
            syncs = await store.untold_syncs(session, since=now - _TELL_FOR, now=now)
        return [await self.sync_view(sync.id) for sync in syncs]

    @contextlib.asynccontextmanager
    async def telling(self, sync_id: str) -> AsyncIterator[SyncView | None]:
        """Hold the right to tell how a sync ended, and return it as it stands.

        None when it was told, is to be told later, or another replica is telling it: the same result stands
        once, and one attempt at a time is under way.
        """
        try:
            async with self._books.leases.hold(f"tell:{sync_id}"):
                async with self._books.db.read() as session:
                    sync = await session.get_one(Sync, sync_id)
                    waits = sync.tell_at is not None and sync.tell_at > self._books.clock.now()
                    is_due = sync.told_at is None and not waits
                yield await self.sync_view(sync_id) if is_due else None
        except LeaseTaken:
            yield None

    async def note_told(self, sync_id: str) -> None:
        async with self._books.db.begin() as session:
            await store.set_sync(session, sync_id, {"told_at": self._books.clock.now()})

    async def put_off_telling(self, sync_id: str) -> None:
        """Note that a result could not be told: it is tried again, less and less often."""
        async with self._books.db.begin() as session:
            sync = await session.get_one(Sync, sync_id)
            again_at = self._books.clock.now() + rules.tell_again_after(sync.tell_tries)
            later = {"tell_at": again_at, "tell_tries": sync.tell_tries + 1}
            await store.set_sync(session, sync_id, later)

    async def note_told_directly(self, sync_id: str) -> None:
        async with self._books.db.begin() as session:
            await store.set_sync(session, sync_id, {"told_directly_at": self._books.clock.now()})

    async def note_message(self, sync_id: str, *, channel: str, ts: str) -> None:
        """Remember where a sync's progress stands, so that a restart goes on with the same message."""
        async with self._books.db.begin() as session:
            await store.set_sync(session, sync_id, {"channel": channel, "message_ts": ts})

    async def sync_facts(self, token_id: str) -> TokenSyncFacts:
        """Return when a token was last synced and what runs. The caller has checked the right to see it."""
        token = await self._books.token_or_none(token_id)
        async with self._books.db.read() as session:
            counts = counts_of(await store.kinds_of(session, [token_id]))
            return (await self._facts(session, {token_id: token}, {token_id: counts}))[token_id]

    async def sync_facts_of(
        self, tokens: Sequence[TokenView], counts: Mapping[str, DeviceCounts]
    ) -> dict[str, TokenSyncFacts]:
        """Return what `sync_facts` does for many tokens, with a handful of statements; `counts` by token."""
        async with self._books.db.read() as session:
            return await self._facts(session, {token.id: token for token in tokens}, counts)

    async def _facts(
        self,
        session: AsyncSession,
        tokens: Mapping[str, TokenView | None],
        counts: Mapping[str, DeviceCounts],
    ) -> dict[str, TokenSyncFacts]:
        ids = list(tokens)
        running = await store.open_syncs(session, ids)
        ended = [SyncState.FINISHED, SyncState.FAILED]
        last = await store.newest_syncs(session, ids, states=ended)
        ok = await store.newest_syncs(session, ids, states=[SyncState.FINISHED])
        cursors = await store.cursor_rows(session, ids)
        failures = {
            each: await store.failures_since(session, each, ok[each].started_at if each in ok else None)
            for each, sync in last.items()
            if sync.state == SyncState.FAILED.value
        }

        def shown(sync: Sync | None) -> SyncView | None:
            if sync is None:
                return None
            present = counts.get(sync.token_id, DeviceCounts()).present
            return _view(sync, tokens[sync.token_id], present=present)

        return {
            each: TokenSyncFacts(
                running=shown(running.get(each)),
                last=shown(last.get(each)),
                last_ok_at=ok[each].started_at if each in ok else None,
                last_full_at=cursors[each].last_full_ended_at if each in cursors else None,
                failures=len(failures.get(each, ())),
            )
            for each in ids
        }

    async def running_work(self, token_id: str) -> Sequence[str]:
        """Name, in sentences, what runs on a token: for `TokenService.tell_running_work`."""
        async with self._books.db.read() as session:
            running = await store.open_sync(session, token_id)
        return [f"A {running.kind} sync is running."] if running else []

    async def view(self, session: AsyncSession, sync: Sync, token: TokenView | None) -> SyncView:
        counts = counts_of(await store.kinds_of(session, [sync.token_id]))
        return _view(sync, token, present=counts.present)


def _view(sync: Sync, token: TokenView | None, *, present: int) -> SyncView:
    shared = {name: getattr(sync, name) for name in _SYNC_SHOWN}
    return SyncView(
        **shared,
        token_name=token.name if token else "(removed)",
        server_name=token.server_name if token else None,
        token_channel=token.channel if token else None,
        kind=SyncKind(sync.kind),
        state=SyncState(sync.state),
        took=timedelta(milliseconds=sync.busy_ms),
        devices=present,
        token_actions=_mending(token) if token else (),
    )


def _mending(token: TokenView) -> tuple[NextAction, ...]:
    """Return what mends a token, from the first refusal on: whether it counts takes five minutes more."""
    if token.refused_word is not None:
        return (NextAction.RENEW,)
    if token.state.can_sync or token.next_step is None:
        return ()
    return token.next_step.actions
