"""Everything that can be done with devices. Each method checks the right of whoever asks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import BackendError, BackendTexts, DeviceFacts
from bot.devices import query as grammar
from bot.devices import rules, store
from bot.devices.csv import csv_rows
from bot.devices.errors import (
    CursorRepeated,
    DeviceFault,
    NothingToSync,
    TooManySerials,
    ValueWrong,
)
from bot.devices.facts import (
    ASK_WITHIN_S,
    MAX_ASKED_SERIALS,
    MAX_ASKED_TOKENS,
    Asked,
    AskedDevice,
    Change,
    DeviceAnswer,
    DeviceCounts,
    DevicePageView,
    DeviceRow,
    DeviceView,
    Forgotten,
    Kind,
    SyncStarted,
    SyncView,
    TokenSyncFacts,
    pack,
    unpack,
)
from bot.devices.models import (
    ChangeKind,
    Device,
    DeviceChange,
    DeviceKind,
    DeviceState,
    Phase,
    Sync,
    SyncKind,
    SyncState,
    to_ms,
)
from bot.devices.query import Key, Query
from bot.devices.store import Filter, Stored
from bot.devices.syncing import Stopped, Syncing, Tally, Work
from bot.kit.actor import Actor, ActorKind, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.errors import EnrollbotError
from bot.kit.leases import Lease, LeaseLost, Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.kit.once import claim_once
from bot.settings import Settings
from bot.tokens.errors import DeliveredAgain, TokenAwaited, TokenGone
from bot.tokens.facts import TokenView, WaitingSync
from bot.tokens.models import WishKind, WishReason
from bot.tokens.service import TokenService

log = get_logger(__name__)

Details = Mapping[str, DeviceFacts | None]

PAGE_ROWS = 10
COUNT_UP_TO = 1000
HISTORY_ROWS = 100
MAX_FORGOTTEN_AT_ONCE = 1000
_CSV_BATCH = 5000
_REMOVE_BATCH = 500
_SYSTEM = Actor.job("sync")
_TELL_FOR = timedelta(days=2)


class DeviceService:
    """Syncs devices, finds them, and says what is known of them."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        leases: Leases,
        audit: AuditService,
        tokens: TokenService,
        settings: Settings,
    ) -> None:
        self._db = db
        self._clock = clock
        self._leases = leases
        self._audit = audit
        self._tokens = tokens
        self._settings = settings
        self._launch: Callable[[str], None] | None = None

    def tell_work(self, launch: Callable[[str], None]) -> None:
        """Take the function that begins a sync at once, without waiting for the job to look."""
        self._launch = launch

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def texts(self) -> BackendTexts:
        return self._tokens.texts

    # Asking for a sync

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
        token = await self._tokens.get(name, actor=actor)
        return await self._start_checked(token, actor, full=full, exempt=exempt, delivery=delivery)

    async def start_sync_by_id(
        self, token_id: str, *, actor: Actor, delivery: str | None = None
    ) -> SyncStarted:
        """Put a sync of a token on the work list, as `start_sync` does. Raises `TokenGone` as well."""
        token = await self._tokens.get_by_id(token_id, actor=actor)
        return await self._start_checked(token, actor, full=False, exempt=False, delivery=delivery)

    async def _start_checked(
        self, token: TokenView, actor: Actor, *, full: bool, exempt: bool, delivery: str | None
    ) -> SyncStarted:
        actor.require(Role.OPERATOR, tags=token.tags)
        if not token.has_token:
            raise TokenAwaited(token.name)
        async with self._db.begin() as session:
            if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                raise DeliveredAgain
            started = await self._start(session, token, actor, full=full, exempt=exempt)
        if started.is_new and self._launch is not None:
            self._launch(started.sync.id)
        return started

    async def _start(
        self, session: AsyncSession, token: TokenView, actor: Actor, *, full: bool, exempt: bool
    ) -> SyncStarted:
        running = await store.open_sync(session, token.id)
        if running is not None:
            goes_on = await self._goes_on_now(session, running)
            return SyncStarted(await self._sync_view(session, running, token), is_new=goes_on)
        kind = await self._checked_kind(session, token, full=full, exempt=exempt)
        sync = self._new_sync(token.id, kind, reason=WishReason.ASKED.value, asked_by=actor)
        await self._insert(session, sync)
        await self._record_start(session, actor, sync, token)
        return SyncStarted(await self._sync_view(session, sync, token), is_new=True)

    async def syncable(self, *, actor: Actor) -> list[TokenView]:
        """Return the tokens that the actor may sync. Raises `NothingToSync`."""
        actor.require(Role.OPERATOR)
        views = await self._tokens.list_tokens(actor=actor)
        usable = [
            view for view in views if view.has_token and actor.rights.role_for(view.tags) >= Role.OPERATOR
        ]
        if not usable:
            raise NothingToSync
        return usable

    async def _goes_on_now(self, session: AsyncSession, sync: Sync) -> bool:
        """Let a stopped sync go on at once; False for one that runs."""
        if sync.state != SyncState.STOPPED.value:
            return False
        sync.resume_at = self._clock.now()
        await store.change_sync(session, sync.id, {"resume_at": sync.resume_at})
        return True

    async def _checked_kind(
        self, session: AsyncSession, token: TokenView, *, full: bool, exempt: bool
    ) -> SyncKind:
        now = self._clock.now()
        cursor = await store.cursor_row(session, token.id)
        ok = await store.newest_sync(session, token.id, states=[SyncState.FINISHED, SyncState.RUNNING])
        if not exempt:
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
        now = self._clock.now()
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

    async def _insert(self, session: AsyncSession, sync: Sync) -> None:
        cursor = await store.cursor_row(session, sync.token_id)
        sync.is_first = cursor is None or cursor.last_full_ended_at is None
        if sync.is_first:
            sync.kind, sync.forced = SyncKind.FULL.value, "first"
        await store.add_sync(session, sync)

    async def _record_start(self, session: AsyncSession, actor: Actor, sync: Sync, token: TokenView) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action="sync.started",
            subject_kind="token",
            subject_id=token.id,
            subject_name=token.name,
            tags=token.tags,
            detail={"sync": sync.id, "kind": sync.kind, "reason": sync.reason},
        )

    # The work list of syncs

    async def take_wishes(self) -> int:
        """Turn the wishes of the tokens room into work. Returns how many there were."""
        removed: list[str] = []
        async with self._db.begin() as session:
            wishes = await self._tokens.take_sync_wishes(session)
            removed = [wish.token_id for wish in wishes if wish.kind == WishKind.REMOVAL.value]
            for wish in wishes:
                if wish.token_id not in removed:
                    await self._grant(session, wish)
            for token_id in removed:
                await self._end_for_removal(session, token_id)
        if removed:
            await self.release_removed_tokens()
        return len(wishes)

    async def _grant(self, session: AsyncSession, wish: WaitingSync) -> None:
        if await store.open_sync(session, wish.token_id) is not None:
            return
        try:
            token = await self._tokens.get_by_id(wish.token_id, actor=_SYSTEM)
            kind = await self._checked_kind(
                session, token, full=wish.kind == WishKind.FULL.value, exempt=wish.exempt
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
        await self._insert(session, sync)

    async def schedule_due(self) -> int:
        """Put the automatic syncs that are due on the work list. Returns how many."""
        started = 0
        for token in await self._tokens.list_tokens(actor=_SYSTEM):
            if token.state.can_sync and await self._schedule(token):
                started += 1
        return started

    async def _schedule(self, token: TokenView) -> bool:
        now = self._clock.now()
        async with self._db.read() as session:
            if await store.open_sync(session, token.id) is not None:
                return False
            ok = await store.newest_sync(session, token.id, states=[SyncState.FINISHED])
            failed = await store.failures_since(session, token.id, ok.started_at if ok else None)
            cursor = await store.cursor_row(session, token.id)
        is_due = rules.is_due(
            token.id,
            every=self._settings.sync_every,
            last_ok_at=ok.started_at if ok else None,
            failures=len(failed),
            last_failed_at=failed[0] if failed else None,
            now=now,
        )
        if not is_due:
            return False
        last_full_at = cursor.last_full_started_at if cursor else None
        kind = rules.automatic_kind(last_full_at=last_full_at, now=now)
        sync = self._new_sync(token.id, kind, reason=rules.AUTOMATIC, asked_by=_SYSTEM)
        async with self._db.begin() as session:
            if await store.open_sync(session, token.id) is not None:
                return False
            await self._insert(session, sync)
            await self._record_start(session, _SYSTEM, sync, token)
        return True

    async def due_syncs(self) -> list[str]:
        """Return the ids of the syncs that should be running now, also those a killed process left."""
        async with self._db.read() as session:
            return [sync.id for sync in await store.due_syncs(session, self._clock.now())]

    # Doing a sync

    async def run_sync(
        self,
        sync_id: str,
        *,
        show: Callable[[SyncView], None] | None = None,
        is_stopping: Callable[[], bool] | None = None,
    ) -> SyncView | None:
        """Run a sync to its end, its stop or its failure, and return it as it stands then.

        None when another replica is at it, or it was ended meanwhile.
        """
        async with self._db.read() as session:
            sync = await session.get(Sync, sync_id)
        if sync is None or sync.ended_at is not None:
            return None
        try:
            async with self._leases.hold(f"sync:{sync.token_id}") as lease:
                return await self._run_held(
                    sync_id, lease, show=show, is_stopping=is_stopping or (lambda: False)
                )
        except (LeaseTaken, LeaseLost):
            return None

    async def _run_held(
        self,
        sync_id: str,
        lease: Lease,
        *,
        show: Callable[[SyncView], None] | None,
        is_stopping: Callable[[], bool],
    ) -> SyncView | None:
        async with self._db.begin() as session:
            now = self._clock.now()
            running = {"state": SyncState.RUNNING.value, "resume_at": None, "resumed_at": now}
            if not await store.change_sync(session, sync_id, running):
                return None
            sync = await session.get_one(Sync, sync_id)
        try:
            token = await self._tokens.get_by_id(sync.token_id, actor=_SYSTEM)
            work = await self._work_of(sync, token, lease)
        except EnrollbotError as error:
            return await self._failed(sync, error)
        shows = _Shows(show, await self.sync_view(sync_id))
        syncing = Syncing(work, db=self._db, clock=self._clock, is_stopping=is_stopping, show=shows)
        return await self._outcome(syncing, sync, now, is_stopping)

    async def _work_of(self, sync: Sync, token: TokenView, lease: Lease) -> Work:
        return Work(
            sync_id=sync.id,
            token_id=sync.token_id,
            kind=SyncKind(sync.kind),
            lease=lease,
            connection=await self._tokens.connection(sync.token_id),
            full_page_size=token.full_page_size or rules.PAGE_SIZE,
            delta_page_size=token.delta_page_size or rules.PAGE_SIZE,
            service=self.texts.service,
            started_at=sync.started_at,
            busy_ms=sync.busy_ms,
            tally=Tally(**{name: getattr(sync, name) for name in Tally.__slots__}),
            forced=sync.forced,
        )

    async def _outcome(
        self, syncing: Syncing, sync: Sync, began: datetime, is_stopping: Callable[[], bool]
    ) -> SyncView | None:
        try:
            await syncing.run()
        except Stopped:
            await self._stop(sync.id, is_shutdown=is_stopping())
        except BackendError as error:
            await self._tokens.record_refusal(sync.token_id, error, asked_at=began)
            return await self._failed(sync, error)
        except CursorRepeated as error:
            return await self._failed(sync, error)
        except (LeaseLost, SQLAlchemyError):
            # The row stays on the work list: the job, or the replica that has the lease, goes on.
            raise
        except Exception as error:
            log.exception("sync failed", sync=sync.id, error=type(error).__name__)
            return await self._failed(sync, DeviceFault("Something went wrong in the bot itself."))
        else:
            await self._tokens.record_success(sync.token_id, asked_at=began)
        return await self.sync_view(sync.id)

    async def _stop(self, sync_id: str, *, is_shutdown: bool) -> None:
        now = self._clock.now()
        values: dict[str, Any] = {"state": SyncState.STOPPED.value}
        # Stopped by a shutdown it goes on as soon as the bot is back.
        values["resume_at"] = now if is_shutdown else now + rules.GOES_ON_AFTER
        async with self._db.begin() as session:
            await store.change_sync(session, sync_id, values)

    async def _failed(self, sync: Sync, error: EnrollbotError) -> SyncView:
        values = {
            "state": SyncState.FAILED.value,
            "ended_at": self._clock.now(),
            "error": error.message,
            "next_step": error.next_step,
        }
        async with self._db.begin() as session:
            await store.change_sync(session, sync.id, values)
        log.warning("sync ended with an error", sync=sync.id, error=type(error).__name__)
        return await self.sync_view(sync.id)

    # How syncs are told

    async def sync_view(self, sync_id: str) -> SyncView:
        async with self._db.read() as session:
            sync = await session.get_one(Sync, sync_id)
            token = await self._token_or_none(sync.token_id)
            return await self._sync_view(session, sync, token)

    async def untold(self) -> list[SyncView]:
        """Return the ended syncs whose result is still to be told, oldest first."""
        async with self._db.read() as session:
            syncs = await store.untold_syncs(session, since=self._clock.now() - _TELL_FOR)
        return [await self.sync_view(sync.id) for sync in syncs]

    async def note_told(self, sync_id: str) -> None:
        async with self._db.begin() as session:
            await store.set_sync(session, sync_id, {"told_at": self._clock.now()})

    async def note_message(self, sync_id: str, *, channel: str, ts: str) -> None:
        """Remember where a sync's progress stands, so that a restart goes on with the same message."""
        async with self._db.begin() as session:
            await store.set_sync(session, sync_id, {"channel": channel, "message_ts": ts})

    async def sync_facts(self, token_id: str) -> TokenSyncFacts:
        """Return when a token was last synced and what runs. The caller has checked the right to see it."""
        async with self._db.read() as session:
            token = await self._token_or_none(token_id)
            running = await store.open_sync(session, token_id)
            last = await store.newest_sync(session, token_id, states=[SyncState.FINISHED, SyncState.FAILED])
            ok = await store.newest_sync(session, token_id, states=[SyncState.FINISHED])
            failed = await store.failures_since(session, token_id, ok.started_at if ok else None)
            cursor = await store.cursor_row(session, token_id)
            return TokenSyncFacts(
                running=await self._sync_view(session, running, token) if running else None,
                last=await self._sync_view(session, last, token) if last else None,
                last_ok_at=ok.started_at if ok else None,
                last_full_at=cursor.last_full_ended_at if cursor else None,
                failures=len(failed),
            )

    async def running_work(self, token_id: str) -> Sequence[str]:
        """Name, in sentences, what runs on a token: for `TokenService.tell_running_work`."""
        async with self._db.read() as session:
            running = await store.open_sync(session, token_id)
        return [f"A {running.kind} sync is running."] if running else []

    async def _sync_view(self, session: AsyncSession, sync: Sync, token: TokenView | None) -> SyncView:
        counts = _counts(await store.kinds_of(session, [sync.token_id]))
        shared = {name: getattr(sync, name) for name in _SYNC_SHOWN}
        return SyncView(
            **shared,
            token_name=token.name if token else "(removed)",
            server_name=token.server_name if token else None,
            token_channel=token.channel if token else None,
            kind=SyncKind(sync.kind),
            state=SyncState(sync.state),
            took=timedelta(milliseconds=sync.busy_ms),
            devices=counts.present,
        )

    async def _token_or_none(self, token_id: str) -> TokenView | None:
        try:
            return await self._tokens.get_by_id(token_id, actor=_SYSTEM)
        except TokenGone:
            return None

    # Removed tokens

    async def release_removed_tokens(self) -> int:
        """Mark the devices of removed tokens as removed. Returns how many devices there were."""
        live = {token.id for token in await self._tokens.list_tokens(actor=_SYSTEM)}
        async with self._db.read() as session:
            kinds = [
                row
                for row in await store.kinds_of(session)
                if row.token_id not in live and row.state != DeviceState.REMOVED.value
            ]
        released = 0
        for row in kinds:
            released += await self._release(row)
        return released

    async def _end_for_removal(self, session: AsyncSession, token_id: str) -> None:
        running = await store.open_sync(session, token_id)
        if running is not None:
            now = self._clock.now()
            ended = {"state": SyncState.FAILED.value, "ended_at": now, "told_at": now}
            await store.change_sync(session, running.id, {**ended, "error": "The token was removed."})

    async def _release(self, row: DeviceKind) -> int:
        kind = store.kind_of(row)
        released = 0
        while True:
            async with self._db.begin() as session:
                await store.lock_devices(session)
                batch = await store.devices_of_kind(session, row.id, after="", limit=_REMOVE_BATCH)
                stored = await store.look_up(session, [serial for serial, _ in batch])
                gone = kind._replace(state=DeviceState.REMOVED.value)
                await self._put_all(
                    session, stored.values(), kind, gone, ChangeKind.REMOVED, reason="token removed"
                )
            released += len(batch)
            if len(batch) < _REMOVE_BATCH:
                return released

    async def _put_all(
        self,
        session: AsyncSession,
        rows: Iterable[Stored],
        before: Kind,
        after: Kind,
        change: ChangeKind,
        *,
        reason: str,
    ) -> None:
        """Put devices of one kind into another state, with history and counts."""
        now, number = self._clock.now(), store.kind_id(after)
        moved = list(rows)
        is_removal = change is ChangeKind.REMOVED
        await store.add_kinds(session, {number: after})
        await store.update_devices(
            session,
            [
                row._replace(
                    kind_id=number,
                    updated_at=to_ms(now),
                    removed_at=to_ms(now) if is_removal else row.removed_at,
                    removed_reason=reason if is_removal else row.removed_reason,
                    forgotten_at=row.forgotten_at if is_removal else to_ms(now),
                )
                for row in moved
            ],
        )
        await store.count_kinds(session, {store.kind_id(before): -len(moved), number: len(moved)})
        changes = {"reason": [None, reason]}
        await store.add_changes(
            session,
            [
                store.new_change(row.serial, change, at=now, token_id=after.token_id, changes=changes)
                for row in moved
            ],
        )
        await store.set_disturbed(session, [before.token_id], is_disturbed=True)

    # Looking

    async def list_devices(
        self,
        text: str,
        *,
        actor: Actor,
        after: str | None = None,
        before: str | None = None,
        rows: int = PAGE_ROWS,
    ) -> DevicePageView:
        """Return a page of the devices that fit a QUERY, by serial. Raises `QueryWrong`."""
        query, names = await self._read_query(text, actor)
        async with self._db.read() as session:
            kinds, wanted = await self._filter(session, query, actor, names)
            found = await store.page_of(session, wanted, after=after, before=before, limit=rows + 1)
            total = await store.count_up_to(session, wanted, limit=COUNT_UP_TO + 1)
        backwards = before is not None and after is None
        more = len(found) > rows
        page = (found[1:] if backwards else found[:rows]) if more else found
        has_previous, has_next = (more, True) if backwards else (after is not None, more)
        shown_rows = [_row(device, kinds[device.kind_id], _names(names)) for device in page]
        return DevicePageView(
            query=query.text,
            rows=shown_rows,
            total=None if total > COUNT_UP_TO else total,
            previous=page[0].serial if page and has_previous else None,
            next=page[-1].serial if page and has_next else None,
        )

    async def csv(self, text: str, *, actor: Actor, delivery: str | None = None) -> tuple[bytes, int]:
        """Return the devices that fit a QUERY as CSV (UTF-8 with a mark, for spreadsheets), and how many."""
        query, names = await self._read_query(text, actor)
        parts = [part async for part in self._csv_parts(query, actor, names)]
        total = sum(count for _, count in parts)
        async with self._db.begin() as session:
            if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                raise DeliveredAgain
            await self._audit.record(
                session,
                actor=actor,
                action="device.exported",
                subject_kind="device",
                subject_id="*",
                subject_name=query.text or "all devices",
                detail={"query": query.text, "devices": total},
            )
        return b"".join(part for part, _ in parts), total

    async def _csv_parts(
        self, query: Query, actor: Actor, names: Mapping[str, TokenView]
    ) -> AsyncIterator[tuple[bytes, int]]:
        after: str | None = None
        while True:
            async with self._db.read() as session:
                kinds, wanted = await self._filter(session, query, actor, names)
                found = await store.page_of(session, wanted, after=after, before=None, limit=_CSV_BATCH)
            rows = [_row(device, kinds[device.kind_id], _names(names)) for device in found]
            yield await asyncio.to_thread(csv_rows, rows, with_header=after is None), len(rows)
            if len(found) < _CSV_BATCH:
                return
            after = found[-1].serial

    async def show(self, serial: str, *, actor: Actor) -> DeviceAnswer:
        """Return everything known of a device; the service is asked about a serial not known here."""
        actor.require(Role.VIEWER)
        key = serial.strip().upper()
        view, token = await self._look(key, actor)
        asked = None
        if view is None:
            asked = (await self.ask([key], actor=actor))[0]
            view, token = await self._look(key, actor)
        if view is None:
            is_certain = asked is not None and asked.answer is Asked.NOT_FOUND and not asked.not_asked
            verdict = rules.unknown_verdict(
                service=self.texts.service, portal=self.texts.portal, is_certain=is_certain
            )
            return DeviceAnswer(key, None, asked, verdict)
        verdict = rules.verdict(
            view,
            token_name=token.name if token else None,
            token_state=token.state if token else None,
            service=self.texts.service,
            portal=self.texts.portal,
            terms_step=(token.next_step.text if token and token.next_step else ""),
        )
        return DeviceAnswer(key, view, asked, verdict)

    async def _look(self, serial: str, actor: Actor) -> tuple[DeviceView | None, TokenView | None]:
        async with self._db.read() as session:
            found = await store.device(session, serial)
            changes = await store.changes_of(session, serial, limit=HISTORY_ROWS) if found else []
        if found is None:
            return None, None
        device, kind = found
        names = {token.id: token for token in await self._tokens.list_tokens(actor=actor)}
        token = names.get(kind.token_id)
        if token is None and (
            not actor.rights.is_unlimited or await self._token_or_none(kind.token_id) is not None
        ):
            return None, None
        history = [_change(change, _names(names)) for change in changes]
        if len(history) < HISTORY_ROWS:
            history.append(_first_change(device, changes, kind, _names(names)))
        return (
            DeviceView(
                row=_row(device, store.kind_of(kind), _names(names)),
                updated_at=device.updated_at,
                operation_at=device.operation_at,
                removed_reason=device.removed_reason,
                forgotten_at=device.forgotten_at,
                history=history,
            ),
            token,
        )

    async def counts(self, token_ids: Sequence[str]) -> dict[str, DeviceCounts]:
        """Return how many devices each token has. The caller has checked the right to see them."""
        async with self._db.read() as session:
            kinds = await store.kinds_of(session, token_ids)
        return {
            token_id: _counts([kind for kind in kinds if kind.token_id == token_id]) for token_id in token_ids
        }

    # Asking the service

    async def ask(self, serials: Sequence[str], *, actor: Actor) -> list[AskedDevice]:
        """Ask the service about serials not known here, over the tokens that the actor may see.

        At most 1,000 serials and 20 tokens, within 20 seconds. What is found is stored.
        """
        actor.require(Role.VIEWER)
        if len(serials) > MAX_ASKED_SERIALS:
            raise TooManySerials(len(serials), MAX_ASKED_SERIALS)
        visible = [view for view in await self._tokens.list_tokens(actor=actor) if view.has_token]
        asked = [view for view in visible if view.state.can_sync][:MAX_ASKED_TOKENS]
        tasks = {view.id: asyncio.create_task(self._details(view.id, serials)) for view in asked}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=ASK_WITHIN_S)
        answers = {view.id: await _finished(tasks[view.id]) for view in asked}
        silent = tuple(view.name for view in visible if answers.get(view.id) is None)
        found: dict[str, AskedDevice] = {}
        for view in asked:
            for serial, device in (answers[view.id] or {}).items():
                if device is not None and serial not in found:
                    added = await self._add_found(view, device)
                    found[serial] = AskedDevice(serial, Asked.FOUND, view.name, view.server_name, added)
        otherwise = Asked.UNCLEAR if silent else Asked.NOT_FOUND
        return [found.get(serial) or AskedDevice(serial, otherwise, not_asked=silent) for serial in serials]

    async def _details(
        self, token_id: str, serials: Sequence[str]
    ) -> Mapping[str, DeviceFacts | None] | None:
        began = self._clock.now()
        try:
            return await (await self._tokens.connection(token_id)).details(serials)
        except BackendError as error:
            await self._tokens.record_refusal(token_id, error, asked_at=began)
        except EnrollbotError as error:
            log.warning("could not ask about devices", token=token_id, error=str(error))
        return None

    async def _add_found(self, token: TokenView, device: DeviceFacts) -> bool:
        """Store a device that the service knows. False while a full list is read: it comes with that."""
        now = self._clock.now()
        kind = rules.present_kind(device, token.id)
        number = store.kind_id(kind)
        async with self._db.begin() as session:
            await store.lock_devices(session)
            place = await store.position(session, token.id)
            if place.phase is not Phase.DELTA or await store.look_up(session, [device.serial]):
                return False
            row = Stored(device.serial, number, place.numbers, pack(device), None, to_ms(now), to_ms(now))
            place.numbers += 1
            await store.add_kinds(session, {number: kind})
            await store.insert_devices(session, [row])
            await store.count_kinds(session, {number: 1})
            await store.put_position(session, token.id, place)
        return True

    # Forgetting

    async def forget(self, serials: Sequence[str], *, actor: Actor, delivery: str | None = None) -> Forgotten:
        """Forget devices: they come back with the next full sync, or when the service adds them again."""
        actor.require(Role.ADMIN)
        if len(serials) > MAX_FORGOTTEN_AT_ONCE:
            raise TooManySerials(len(serials), MAX_FORGOTTEN_AT_ONCE)
        keys = list(dict.fromkeys(serial.strip().upper() for serial in serials))
        visible = {token.id: token for token in await self._tokens.list_tokens(actor=actor)}
        async with self._db.begin() as session:
            if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                raise DeliveredAgain
            await store.lock_devices(session)
            stored = await store.look_up(session, keys)
            kinds = await store.kinds_by_id(session, {row.kind_id for row in stored.values()})
            known = {
                serial: row
                for serial, row in stored.items()
                if _may_forget(kinds[row.kind_id], visible, actor)
            }
            now_forgotten = [
                serial
                for serial, row in known.items()
                if kinds[row.kind_id].state != DeviceState.FORGOTTEN.value
            ]
            for kind in {kinds[known[serial].kind_id] for serial in now_forgotten}:
                rows = [known[s] for s in now_forgotten if kinds[known[s].kind_id] == kind]
                await self._forget(session, rows, kind, visible.get(kind.token_id), actor)
        return Forgotten(
            forgotten=tuple(serial for serial in keys if serial in now_forgotten),
            already=tuple(serial for serial in keys if serial in known and serial not in now_forgotten),
            unknown=tuple(serial for serial in keys if serial not in known),
        )

    async def _forget(
        self,
        session: AsyncSession,
        rows: Sequence[Stored],
        kind: Kind,
        token: TokenView | None,
        actor: Actor,
    ) -> None:
        forgotten = kind._replace(state=DeviceState.FORGOTTEN.value)
        reason = f"forgotten by {actor.id}"
        await self._put_all(session, rows, kind, forgotten, ChangeKind.FORGOTTEN, reason=reason)
        for row in rows:
            await self._audit.record(
                session,
                actor=actor,
                action="device.forgotten",
                subject_kind="device",
                subject_id=row.serial,
                subject_name=row.serial,
                tags=token.tags if token else frozenset(),
                detail={"token": token.name if token else None},
            )

    # Queries

    async def _read_query(self, text: str, actor: Actor) -> tuple[Query, dict[str, TokenView]]:
        actor.require(Role.VIEWER)
        query = grammar.parse(text, now=self._clock.now())
        visible = {token.id: token for token in await self._tokens.list_tokens(actor=actor)}
        names = {token.name.lower() for token in visible.values()}
        for condition in query.of(Key.TOKEN):
            if condition.value not in names:
                raise _unknown_token(condition.value, names)
        return query, visible

    async def _filter(
        self, session: AsyncSession, query: Query, actor: Actor, visible: Mapping[str, TokenView]
    ) -> tuple[dict[int, Kind], Filter]:
        rows = await store.kinds_of(session, None if actor.rights.is_unlimited else list(visible))
        wanted = [row for row in rows if _fits(row, query, visible)]
        kinds = {row.id: store.kind_of(row) for row in wanted}
        return kinds, Filter(
            kinds=list(kinds),
            weight=sum(row.devices for row in wanted),
            prefixes=[(c.value, c.is_negated) for c in query.of(Key.SERIAL) if c.value],
            added=[(c.since, c.is_negated) for c in query.of(Key.ADDED) if c.since],
            removed=[(c.since, c.is_negated) for c in query.of(Key.REMOVED) if c.since],
        )


class _Shows:
    """Passes on how far a sync is, without asking the database for what cannot have changed."""

    def __init__(self, show: Callable[[SyncView], None] | None, view: SyncView) -> None:
        self._show = show
        self._view = view

    def __call__(self, work: Work) -> None:
        if self._show is not None:
            counted: dict[str, Any] = work.tally.values()
            self._show(replace(self._view, kind=work.kind, forced=work.forced, **counted))


#: What a view shows just as it is stored.
_SYNC_SHOWN = (
    *("id", "token_id", "reason", "forced", "is_first", "asked_by", "asked_by_person", "user_id"),
    *("started_at", "resume_at", "ended_at", "removals_judged", "error", "next_step"),
    *("channel", "message_ts", *Tally.__slots__),
)


async def _finished(
    task: asyncio.Task[Details | None],
) -> Details | None:
    """Return what a task found, None when it was too slow."""
    if not task.done():
        task.cancel()
    found = (await asyncio.gather(task, return_exceptions=True))[0]
    return None if isinstance(found, BaseException) else found


def _may_forget(kind: Kind, visible: Mapping[str, TokenView], actor: Actor) -> bool:
    token = visible.get(kind.token_id)
    if token is None:
        return actor.rights.is_unlimited
    return actor.rights.role_for(token.tags) >= Role.ADMIN


def _fits(row: DeviceKind, query: Query, visible: Mapping[str, TokenView]) -> bool:
    """Whether devices of this kind can fit the query, as far as their kind tells."""
    if not query.of(Key.REMOVED) and row.state != DeviceState.PRESENT.value:
        return False
    token = visible.get(row.token_id)
    kind = store.kind_of(row)
    return all(
        rules.kind_fits(
            kind,
            condition,
            token_name=token.name if token else None,
            tags=token.tags if token else frozenset(),
        )
        for condition in query.conditions
    )


def _unknown_token(name: str, known: Iterable[str]) -> ValueWrong:
    guess = process.extractOne(name, sorted(known), scorer=fuzz.ratio, score_cutoff=55)
    return ValueWrong("token", name, known=[guess[0]] if guess else sorted(known)[:10] or ["none yet"])


def _names(visible: Mapping[str, TokenView]) -> dict[str, str]:
    return {token_id: token.name for token_id, token in visible.items()}


def _row(device: Device, kind: Kind, names: Mapping[str, str]) -> DeviceRow:
    return DeviceRow(
        serial=device.serial,
        token_id=kind.token_id,
        token_name=names.get(kind.token_id),
        state=DeviceState(kind.state),
        model=kind.model,
        family=kind.family,
        os=kind.os,
        platform=kind.platform,
        profile_uuid=kind.profile_uuid,
        profile_status=kind.profile_status,
        first_seen_at=device.first_seen_at,
        removed_at=device.removed_at,
        facts=unpack(device.facts),
    )


def _change(row: DeviceChange, names: Mapping[str, str]) -> Change:
    changes = {name: (before, after) for name, (before, after) in row.changes.items()}
    if "token" in changes:
        before, after = changes["token"]
        changes["token"] = (names.get(before, "another token"), names.get(after, "another token"))
    return Change(row.at, ChangeKind(row.kind), names.get(row.token_id), changes)


def _first_change(
    device: Device, changes: Sequence[DeviceChange], kind: DeviceKind, names: Mapping[str, str]
) -> Change:
    """Make the "added" entry, which is kept as the device's date, with the token that it began with."""
    moves = [change.changes["token"][0] for change in changes if "token" in change.changes]
    return Change(device.first_seen_at, ChangeKind.ADDED, names.get(moves[-1] if moves else kind.token_id))


def _counts(kinds: Sequence[DeviceKind]) -> DeviceCounts:
    states: Counter[str] = Counter()
    by_status: Counter[str] = Counter()
    by_profile: Counter[str] = Counter()
    without = 0
    for kind in kinds:
        states[kind.state] += kind.devices
        if kind.state != DeviceState.PRESENT.value:
            continue
        by_status[kind.profile_status] += kind.devices
        if rules.has_profile(kind.profile_status, kind.profile_uuid):
            by_profile[kind.profile_uuid or ""] += kind.devices
        else:
            without += kind.devices
    return DeviceCounts(
        present=states[DeviceState.PRESENT.value],
        removed=states[DeviceState.REMOVED.value],
        forgotten=states[DeviceState.FORGOTTEN.value],
        without_profile=without,
        by_status=dict(by_status),
        by_profile=dict(by_profile),
    )
