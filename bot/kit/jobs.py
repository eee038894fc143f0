"""Regular work: APScheduler wakes it, the database decides which replica does it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.ext.asyncio import AsyncSession
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
#: A job of a day is looked at this often: it runs soon after its slot begins, whenever the process began.
LOOK_AT_LEAST_EVERY = timedelta(minutes=10)
#: A run that failed is tried again within its slot after this long.
AGAIN_AFTER = timedelta(minutes=15)
#: A run without an end belongs to a process that died; after this long another one does it.
TAKEN_OVER_AFTER = timedelta(hours=1)
#: Jobs that no process has registered for so long belong to an older version.
FORGOTTEN_AFTER = timedelta(days=1)
#: How much later than its interval a job may end well before it counts as late.
MAY_BE_LATE = timedelta(minutes=30)


class KnownJob(Table, table=True):
    """A job that some process has registered, for who looks from outside."""

    __tablename__ = "job"

    name: str = Field(primary_key=True, max_length=80)
    does: str = Field(max_length=200)
    interval_ms: int = Field(sa_type=sa.BigInteger)
    since: datetime
    seen_at: datetime


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
    does: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it stands: its newest run, when it last ended well, and when it is due next.

    `since` is when it was first registered. `ended_at` is None while the newest run goes on, or when its
    process died. `next_at` lies in the past when nothing runs that would do it.
    """

    name: str
    does: str
    interval: timedelta
    since: datetime
    started_at: datetime | None
    ended_at: datetime | None
    failed: bool
    well_at: datetime | None
    next_at: datetime

    def is_well(self, now: datetime) -> bool:
        """Say whether its last end was a good one, no longer ago than its interval and half an hour."""
        ended_badly = self.failed and self.ended_at is not None
        return not ended_badly and now - (self.well_at or self.since) <= self.interval + MAY_BE_LATE


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
        self._slots: dict[str, datetime] = {}
        self.every(
            "housekeeping", TIDY_EVERY, self._housekeep, does="forgets old runs of jobs and old deliveries"
        )

    def every(self, name: str, interval: timedelta, handler: Handler, *, does: str = "") -> None:
        """Call `handler` with the slot's beginning, once in each `interval` over all replicas.

        Slots that passed while nothing ran are made up for by one run, that of the present slot: a handler
        looks at the database for what is due, never at the slot alone. A run that failed is tried again
        after a quarter of an hour. `does` says in plain words what it does, for `enrollbot jobs`.
        """
        self._jobs[name] = Job(name, interval, handler, does)

    @property
    def names(self) -> Sequence[str]:
        """The jobs of this process."""
        return list(self._jobs)

    def start(self) -> None:
        """Begin to wake up; the first time at once."""
        for job in self._jobs.values():
            self._scheduler.add_job(
                self._wake,
                # From where slots begin, so that the next run is when it is said to be.
                IntervalTrigger(
                    seconds=min(job.interval, LOOK_AT_LEAST_EVERY).total_seconds(), start_date=_EPOCH
                ),
                args=[job.name],
                id=job.name,
                coalesce=True,
                misfire_grace_time=MISFIRE_GRACE_S,
            )
        self._scheduler.start()
        if not self._background.stopping.is_set():
            self._background.start(self._begin(), name="begin jobs")

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
        slot = slot_of(self._clock.now(), self._jobs[name].interval)
        before = self._running.get(name)
        if before is not None and not before.done():
            if self._slots[name] != slot:
                log.warning("job still running at its next slot", job=name)
            return
        if not self._background.stopping.is_set():
            self._slots[name] = slot
            self._running[name] = self._background.start(self.run_due(name), name=f"job {name}")

    def _start_again(self, name: str, _ended: asyncio.Task[None]) -> None:
        self._start_if_idle(name)

    async def _begin(self) -> None:
        """Say which jobs there are, then look at each."""
        try:
            async with self._db.begin() as session:
                await self._note_jobs(session)
                if self._db.dialect == "sqlite":
                    # Only this process can be alive there: what has no end was cut off.
                    await session.execute(sa.delete(JobRun).where(col(JobRun.finished_at).is_(None)))
        except Exception:
            # The jobs themselves may find the database again.
            log.exception("jobs not noted")
        for name in self._jobs:
            self._start_if_idle(name)

    async def _note_jobs(self, session: AsyncSession) -> None:
        now = self._clock.now()
        for job in self._jobs.values():
            facts = {
                "does": job.does,
                "interval_ms": round(job.interval / timedelta(milliseconds=1)),
                "seen_at": now,
            }
            if not await insert_ignoring(session, KnownJob, {"name": job.name, "since": now, **facts}):
                known = sa.update(KnownJob).where(col(KnownJob.name) == job.name)
                await session.execute(known.values(facts))

    async def _claim(self, job: Job, slot: datetime) -> bool:
        now = self._clock.now()
        claim = {"claimed_by": self._me, "claimed_at": now, "finished_at": None, "failed": False}
        async with self._db.begin() as session:
            if await insert_ignoring(session, JobRun, {"job": job.name, "slot": slot, **claim}):
                return True
            if job.interval <= AGAIN_AFTER:
                return False
            failed = sa.and_(col(JobRun.failed), col(JobRun.finished_at) <= now - AGAIN_AFTER)
            was_cut_off = sa.and_(
                col(JobRun.finished_at).is_(None), col(JobRun.claimed_at) <= now - TAKEN_OVER_AFTER
            )
            claimed = await session.execute(
                sa.update(JobRun)
                .where(col(JobRun.job) == job.name, col(JobRun.slot) == slot, sa.or_(failed, was_cut_off))
                .values(claim)
                .returning(col(JobRun.job))
            )
            return claimed.first() is not None

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
                .where(
                    col(JobRun.job) == job.name, col(JobRun.slot) == slot, col(JobRun.claimed_by) == self._me
                )
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
            await self._note_jobs(session)
            await session.execute(sa.delete(KnownJob).where(col(KnownJob.seen_at) < now - FORGOTTEN_AFTER))


async def job_views(db: Database) -> Sequence[JobView]:
    """Return every job that is registered, by name, with its newest run; works from any process."""
    newest = sa.select(col(JobRun.job), sa.func.max(col(JobRun.slot)).label("slot")).group_by(col(JobRun.job))
    at = newest.subquery()
    runs = sa.select(JobRun).join(at, sa.and_(at.c.job == col(JobRun.job), at.c.slot == col(JobRun.slot)))
    well = (
        sa.select(col(JobRun.job), sa.func.max(col(JobRun.slot)))
        .where(col(JobRun.failed).is_(False), col(JobRun.finished_at).is_not(None))
        .group_by(col(JobRun.job))
    ).subquery()
    well_runs = sa.select(col(JobRun.job), col(JobRun.finished_at)).join(
        well, sa.and_(well.c.job == col(JobRun.job), well.c[1] == col(JobRun.slot))
    )
    async with db.read() as session:
        jobs = (await session.execute(sa.select(KnownJob).order_by(col(KnownJob.name)))).scalars().all()
        last = {run.job: run for run in (await session.execute(runs)).scalars()}
        ended_well = {row[0]: row[1] for row in await session.execute(well_runs)}
    return [_view(job, last.get(job.name), ended_well.get(job.name)) for job in jobs]


def _view(job: KnownJob, run: JobRun | None, well_at: datetime | None) -> JobView:
    interval = timedelta(milliseconds=job.interval_ms)
    return JobView(
        name=job.name,
        does=job.does,
        interval=interval,
        since=job.since,
        started_at=run.claimed_at if run else None,
        ended_at=run.finished_at if run else None,
        failed=run.failed if run else False,
        well_at=well_at,
        next_at=run.slot + interval if run else job.since,
    )
