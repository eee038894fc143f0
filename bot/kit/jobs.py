"""Regular work: APScheduler wakes it, the database decides which replica does it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlmodel import Field, col

from bot.kit.background import Background
from bot.kit.clock import Clock
from bot.kit.db import Database, Table, insert_ignoring
from bot.kit.leases import this_process
from bot.kit.logs import get_logger, new_reference, with_reference
from bot.kit.once import forget_claims

log = get_logger(__name__)

Handler = Callable[[datetime], Awaitable[None]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A wake-up that comes late (a busy machine, a laptop that slept) is still worth taking.
MISFIRE_GRACE_S = 3600
KEEP_RUNS = timedelta(days=7)
#: Of a job that runs every few seconds a week would be a hundred thousand rows that say nothing.
KEEP_SLOTS = 20
KEEP_AT_LEAST = timedelta(hours=1)
TIDY_EVERY = timedelta(hours=1)


class JobRun(Table, table=True):
    """One slot of one job, claimed by whoever inserted it first."""

    __tablename__ = "job_run"

    job: str = Field(primary_key=True, max_length=80)
    slot: datetime = Field(primary_key=True)
    claimed_by: str = Field(max_length=120)
    claimed_at: datetime
    finished_at: datetime | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    interval: timedelta
    handler: Handler


def slot_of(now: datetime, interval: timedelta) -> datetime:
    """Return the beginning of the interval that `now` lies in, the same on every replica."""
    return now - (now - _EPOCH) % interval


def kept(interval: timedelta) -> timedelta:
    """Return for how long the runs of a job are kept: 20 slots, at least an hour, at most a week."""
    return min(KEEP_RUNS, max(KEEP_AT_LEAST, KEEP_SLOTS * interval))


class Jobs:
    """Runs each registered job once per slot, however many replicas there are."""

    def __init__(self, db: Database, clock: Clock, background: Background) -> None:
        self._db = db
        self._clock = clock
        self._background = background
        self._jobs: dict[str, Job] = {}
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._me = this_process()
        self._running: dict[str, asyncio.Task[None]] = {}
        self.every("housekeeping", TIDY_EVERY, self._housekeep)

    def every(self, name: str, interval: timedelta, handler: Handler) -> None:
        """Call `handler` with the slot's beginning, once in each `interval` over all replicas.

        A slot that passed while nothing ran is not made up for: a handler looks at the database for
        what is due, never at the slot alone.
        """
        self._jobs[name] = Job(name, interval, handler)

    def start(self) -> None:
        """Begin to wake up; the first time at once."""
        for job in self._jobs.values():
            self._scheduler.add_job(
                self._wake,
                IntervalTrigger(seconds=job.interval.total_seconds()),
                args=[job.name],
                id=job.name,
                coalesce=True,
                misfire_grace_time=MISFIRE_GRACE_S,
            )
        self._scheduler.start()
        for name in self._jobs:
            self._start_if_idle(name)

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def look_now(self) -> None:
        """Look at every job at once: each whose present slot has not run runs now, or after its present run.

        For who knows that the clock has jumped: the scheduler waits by the machine's own time. Slots that
        the clock jumped over are not made up for.
        """
        for name in self._jobs:
            before = self._running.get(name)
            if before is None or before.done():
                self._start_if_idle(name)
            else:
                before.add_done_callback(partial(self._start_again, name))

    async def run_due(self, name: str) -> bool:
        """Run `name` now if nobody has run its present slot. Returns whether it ran here."""
        job = self._jobs[name]
        slot = slot_of(self._clock.now(), job.interval)
        if not await self._claim(job, slot):
            return False
        with with_reference(new_reference()):
            await self._run(job, slot)
        return True

    async def _wake(self, name: str) -> None:
        """Start the job and return: what APScheduler waits for, it cancels when it stops."""
        self._start_if_idle(name)

    def _start_if_idle(self, name: str) -> None:
        before = self._running.get(name)
        if before is not None and not before.done():
            log.warning("job still running at its next slot", job=name)
            return
        if not self._background.stopping.is_set():
            self._running[name] = self._background.start(self.run_due(name), name=f"job {name}")

    def _start_again(self, name: str, _ended: asyncio.Task[None]) -> None:
        self._start_if_idle(name)

    async def _claim(self, job: Job, slot: datetime) -> bool:
        async with self._db.begin() as session:
            row = {
                "job": job.name,
                "slot": slot,
                "claimed_by": self._me,
                "claimed_at": self._clock.now(),
                "failed": False,
            }
            return await insert_ignoring(session, JobRun, row)

    async def _run(self, job: Job, slot: datetime) -> None:
        failed = False
        try:
            await job.handler(slot)
        except Exception:
            failed = True
            log.exception("job failed", job=job.name)
        async with self._db.begin() as session:
            await session.execute(
                sa.update(JobRun)
                .where(col(JobRun.job) == job.name, col(JobRun.slot) == slot)
                .values(finished_at=self._clock.now(), failed=failed)
            )

    async def _housekeep(self, _slot: datetime) -> None:
        now = self._clock.now()
        async with self._db.begin() as session:
            await session.execute(sa.delete(JobRun).where(col(JobRun.claimed_at) < now - KEEP_RUNS))
            for job in self._jobs.values():
                old = sa.and_(col(JobRun.job) == job.name, col(JobRun.claimed_at) < now - kept(job.interval))
                await session.execute(sa.delete(JobRun).where(old))
            await forget_claims(session, before=now - KEEP_RUNS)
