"""Doing a sync: once at a time for a token, to its end, its stop or its failure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot.backend.port import BackendError, ServiceUnavailable
from bot.devices import rules, store
from bot.devices.books import SYSTEM, Books
from bot.devices.errors import CursorRepeated, DeviceFault, NotStored
from bot.devices.facts import SyncView
from bot.devices.models import Sync, SyncKind, SyncState
from bot.devices.reports import Reports
from bot.devices.syncing import Stopped, Syncing, Tally, Work
from bot.kit.errors import EnrollbotError
from bot.kit.leases import Lease, LeaseLost, LeaseTaken
from bot.kit.logs import get_logger
from bot.tokens.facts import TokenView

log = get_logger(__name__)

#: A sync whose pages cannot be stored is tried again at the next look; after so many tries it rests.
TRIES_IN_TROUBLE = 5


class Runs:
    """Runs the syncs of the work list."""

    def __init__(self, books: Books, reports: Reports) -> None:
        self._books = books
        self._reports = reports
        #: How often a sync could not be stored, how many pages it had then, and until when it rests.
        self._troubles: dict[str, tuple[int, int, datetime]] = {}

    async def due_syncs(self) -> list[str]:
        """Return the ids of the syncs that should be running now, also those a killed process left."""
        now = self._books.clock.now()
        async with self._books.db.read() as session:
            due = [sync.id for sync in await store.due_syncs(session, now)]
        return [sync_id for sync_id in due if self._rests_until(sync_id, now) <= now]

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
        async with self._books.db.read() as session:
            sync = await session.get(Sync, sync_id)
        if sync is None or sync.ended_at is not None:
            return None
        try:
            async with self._books.leases.hold(f"sync:{sync.token_id}") as lease:
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
        now = self._books.clock.now()
        running: dict[str, Any] = {"state": SyncState.RUNNING.value, "resume_at": None, "resumed_at": now}
        running |= {"error": None, "next_step": None}
        await self._write(sync_id, lease, running)
        async with self._books.db.read() as session:
            sync = await session.get_one(Sync, sync_id)
        try:
            token = await self._books.tokens.get_by_id(sync.token_id, actor=SYSTEM)
            work = await self._work_of(sync, token, lease)
        except EnrollbotError as error:
            return await self._failed(sync, lease, error)
        shows = _Shows(show, await self._reports.sync_view(sync_id))
        syncing = Syncing(
            work, db=self._books.db, clock=self._books.clock, is_stopping=is_stopping, show=shows
        )
        # Once before the first page, which may be slow.
        shows(work)
        try:
            return await self._outcome(syncing, sync, lease, is_stopping)
        except SQLAlchemyError as error:
            if not self._gives_up(sync, error):
                raise
            await self._rest(sync_id, lease)
            return await self._reports.sync_view(sync_id)

    async def _work_of(self, sync: Sync, token: TokenView, lease: Lease) -> Work:
        return Work(
            sync_id=sync.id,
            token_id=sync.token_id,
            kind=SyncKind(sync.kind),
            lease=lease,
            connection=await self._books.tokens.connection(sync.token_id),
            full_page_size=token.full_page_size or rules.PAGE_SIZE,
            delta_page_size=token.delta_page_size or rules.PAGE_SIZE,
            service=self._books.texts.service,
            started_at=sync.started_at,
            busy_ms=sync.busy_ms,
            tally=Tally(**{name: getattr(sync, name) for name in Tally.__slots__}),
            forced=sync.forced,
        )

    async def _outcome(
        self, syncing: Syncing, sync: Sync, lease: Lease, is_stopping: Callable[[], bool]
    ) -> SyncView | None:
        began = sync.resumed_at
        try:
            await syncing.run()
        except Stopped:
            await self._stop(sync.id, lease, is_shutdown=is_stopping())
        except BackendError as error:
            await self._books.tokens.record_refusal(sync.token_id, error, asked_at=began)
            return await self._failed(sync, lease, error)
        except CursorRepeated as error:
            return await self._failed(sync, lease, error)
        except (LeaseLost, SQLAlchemyError):
            # The row stays on the work list: the job, or the replica that has the lease, goes on.
            raise
        except Exception as error:
            log.exception("sync failed", sync=sync.id, error=type(error).__name__)
            return await self._failed(sync, lease, DeviceFault("Something went wrong in the bot itself."))
        else:
            self._troubles.pop(sync.id, None)
            await self._books.tokens.record_success(sync.token_id, asked_at=began)
        return await self._reports.sync_view(sync.id)

    async def _stop(self, sync_id: str, lease: Lease, *, is_shutdown: bool) -> None:
        now = self._books.clock.now()
        # Stopped by a shutdown it goes on as soon as the bot is back.
        resume_at = now if is_shutdown else now + rules.GOES_ON_AFTER
        await self._write(sync_id, lease, {"state": SyncState.STOPPED.value, "resume_at": resume_at})

    def _gives_up(self, sync: Sync, error: SQLAlchemyError) -> bool:
        """Note that a sync could not be stored; True when that was so too often, with no page between."""
        tries, pages, _ = self._troubles.get(sync.id, (0, sync.pages, sync.resumed_at))
        tries = 1 if sync.pages > pages else tries + 1
        log.error("sync could not be stored", sync=sync.id, tries=tries, error=type(error).__name__)
        now = self._books.clock.now()
        is_lasting = tries >= TRIES_IN_TROUBLE
        self._troubles[sync.id] = (tries, sync.pages, now + rules.GOES_ON_AFTER if is_lasting else now)
        return is_lasting

    def _rests_until(self, sync_id: str, now: datetime) -> datetime:
        return self._troubles[sync_id][2] if sync_id in self._troubles else now

    async def _rest(self, sync_id: str, lease: Lease) -> None:
        """Stop a sync that cannot be stored; where not even that can be written, only this process rests."""
        fault = NotStored()
        values = {
            "state": SyncState.STOPPED.value,
            "resume_at": self._books.clock.now() + rules.GOES_ON_AFTER,
            "error": fault.message,
            "next_step": fault.next_step,
        }
        await self._write(sync_id, lease, values)
        del self._troubles[sync_id]

    async def _failed(self, sync: Sync, lease: Lease, error: EnrollbotError) -> SyncView:
        now = self._books.clock.now()
        asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
        values = {
            "state": SyncState.FAILED.value,
            "ended_at": now,
            "error": error.message,
            "next_step": error.next_step,
            "resume_at": now + min(asked, rules.LONGEST_LEFT_ALONE) if asked else None,
        }
        await self._write(sync.id, lease, values)
        log.warning("sync ended with an error", sync=sync.id, error=type(error).__name__)
        return await self._reports.sync_view(sync.id)

    async def _write(self, sync_id: str, lease: Lease, values: Mapping[str, Any]) -> None:
        """Write how a sync stands while it is ours and open. Raises `LeaseLost`.

        A holder that froze and wakes neither ends nor stops what its successor runs.
        """
        async with self._books.db.begin() as session:
            if not await lease.still_held(session) or not await store.change_sync(session, sync_id, values):
                raise LeaseLost(lease.name)


class _Shows:
    """Passes on how far a sync is, without asking the database for what cannot have changed."""

    def __init__(self, show: Callable[[SyncView], None] | None, view: SyncView) -> None:
        self._show = show
        self._view = view

    def __call__(self, work: Work) -> None:
        if self._show is not None:
            counted: dict[str, Any] = work.tally.values()
            self._show(replace(self._view, kind=work.kind, forced=work.forced, **counted))
