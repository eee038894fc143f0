import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.kit.background import Background
from bot.kit.clock import SystemClock
from bot.kit.db import Database
from bot.kit.jobs import KEEP_RUNS, MAY_BE_LATE, JobRun, Jobs, job_views, slot_of
from bot.kit.logs import reference
from bot.kit.once import Claimed, claim_once
from tests.fakes.clock import FakeClock
from tests.kit.conftest import Lines

HOUR = timedelta(hours=1)


class Diary:
    """A handler that writes down the slots it was called for."""

    def __init__(self) -> None:
        self.slots: list[datetime] = []
        self.references: list[str] = []

    async def __call__(self, slot: datetime) -> None:
        self.slots.append(slot)
        self.references.append(reference())


async def fail(_slot: datetime) -> None:
    raise ZeroDivisionError


async def runs(db: Database, job: str) -> list[JobRun]:
    async with db.read() as session:
        query = sa.select(JobRun).where(col(JobRun.job) == job).order_by(col(JobRun.slot))
        return list((await session.execute(query)).scalars())


@pytest.fixture
async def second(database: Database, database_url: str) -> AsyncIterator[Database]:
    db = Database.open(database_url)
    yield db
    await db.close()


@pytest.mark.parametrize(
    ("now", "interval", "slot"),
    [
        (datetime(2026, 5, 1, 9, 59, 59, 999999, tzinfo=UTC), HOUR, datetime(2026, 5, 1, 9, tzinfo=UTC)),
        (datetime(2026, 5, 1, 10, tzinfo=UTC), HOUR, datetime(2026, 5, 1, 10, tzinfo=UTC)),
        (datetime(2026, 5, 1, 23, tzinfo=UTC), HOUR * 24, datetime(2026, 5, 1, tzinfo=UTC)),
        (
            datetime(2026, 5, 1, 9, 0, 0, 149999, tzinfo=UTC),
            timedelta(milliseconds=50),
            datetime(2026, 5, 1, 9, 0, 0, 100000, tzinfo=UTC),
        ),
    ],
)
def test_a_slot_begins_where_its_interval_does(now: datetime, interval: timedelta, slot: datetime) -> None:
    assert slot_of(now, interval) == slot


async def test_a_slot_is_run_once_over_two_replicas(
    database: Database, second: Database, clock: FakeClock
) -> None:
    diary = Diary()
    replicas = [Jobs(db, clock, Background()) for db in (database, second)]
    for jobs in replicas:
        jobs.every("daily sync", HOUR, diary)
    ran = await asyncio.gather(*(jobs.run_due("daily sync") for jobs in replicas * 3))
    assert sorted(ran) == [False] * 5 + [True]
    assert diary.slots == [datetime(2026, 5, 1, 9, tzinfo=UTC)]


async def test_the_next_slot_is_run_again(sqlite_database: Database, clock: FakeClock) -> None:
    diary, jobs = Diary(), Jobs(sqlite_database, clock, Background())
    jobs.every("sync", HOUR, diary)
    assert await jobs.run_due("sync")
    clock.move(timedelta(minutes=59))
    assert not await jobs.run_due("sync")
    clock.move(timedelta(minutes=1))
    assert await jobs.run_due("sync")
    assert [slot.hour for slot in diary.slots] == [9, 10]


async def test_jobs_do_not_take_each_others_slots(sqlite_database: Database, clock: FakeClock) -> None:
    one, two, jobs = Diary(), Diary(), Jobs(sqlite_database, clock, Background())
    jobs.every("one", HOUR, one)
    jobs.every("two", HOUR, two)
    assert await jobs.run_due("one")
    assert await jobs.run_due("two")
    assert one.slots == two.slots


async def test_a_run_is_recorded_with_its_end(database: Database, clock: FakeClock) -> None:
    jobs = Jobs(database, clock, Background())
    jobs.every("sync", HOUR, Diary())
    await jobs.run_due("sync")
    (run,) = await runs(database, "sync")
    assert (run.failed, run.finished_at) == (False, clock.now())


async def test_a_job_that_fails_is_recorded_and_logged_and_runs_in_its_next_slot(
    database: Database, clock: FakeClock, logged: Lines
) -> None:
    jobs = Jobs(database, clock, Background())
    jobs.every("sync", HOUR, fail)
    assert await jobs.run_due("sync")
    (line,) = logged()
    clock.move(HOUR)
    assert await jobs.run_due("sync")
    assert [run.failed for run in await runs(database, "sync")] == [True, True]
    assert (line["event"], line["job"], line["level"]) == ("job failed", "sync", "error")
    assert "ZeroDivisionError" in line["exception"]
    assert line["reference"]


async def test_each_run_has_a_reference_of_its_own(sqlite_database: Database, clock: FakeClock) -> None:
    diary, jobs = Diary(), Jobs(sqlite_database, clock, Background())
    jobs.every("sync", HOUR, diary)
    await jobs.run_due("sync")
    clock.move(HOUR)
    await jobs.run_due("sync")
    assert len(set(diary.references) - {""}) == 2


async def test_housekeeping_forgets_old_runs_and_claims_and_keeps_the_rest(
    database: Database, clock: FakeClock
) -> None:
    jobs = Jobs(database, clock, Background())
    jobs.every("sync", HOUR, Diary())
    for key in ("old", "new"):
        await jobs.run_due("sync")
        async with database.begin() as session:
            await claim_once(session, key, clock.now())
        clock.move(KEEP_RUNS - HOUR)
    clock.move(timedelta(0) - (KEEP_RUNS - HOUR) + 2 * HOUR)
    assert await jobs.run_due("housekeeping")
    assert len(await runs(database, "sync")) == 1
    async with database.read() as session:
        assert (await session.execute(sa.select(col(Claimed.key)))).scalars().all() == ["new"]


async def test_of_a_frequent_job_only_the_last_hour_is_kept(database: Database, clock: FakeClock) -> None:
    jobs = Jobs(database, clock, Background())
    jobs.every("look", timedelta(seconds=5), Diary())
    jobs.every("report", HOUR, Diary())
    for _ in range(3):
        await jobs.run_due("look")
        await jobs.run_due("report")
        clock.move(timedelta(minutes=40))
    await jobs.run_due("housekeeping")
    assert [clock.now() - run.claimed_at for run in await runs(database, "look")] == [timedelta(minutes=40)]
    assert len(await runs(database, "report")) == 2


async def test_starting_runs_every_job_at_once_and_again_in_its_next_slot(sqlite_database: Database) -> None:
    background, twice = Background(), asyncio.Event()
    diary = Diary()

    async def handle(slot: datetime) -> None:
        await diary(slot)
        if len(diary.slots) == 2:
            twice.set()

    jobs = Jobs(sqlite_database, SystemClock(), background)
    jobs.every("often", timedelta(milliseconds=100), handle)
    jobs.start()
    async with asyncio.timeout(20):
        await twice.wait()
    jobs.stop()
    await background.drain(5)
    assert diary.slots[0] < diary.slots[1]
    assert len(await runs(sqlite_database, "housekeeping")) == 1


async def test_the_first_run_does_not_depend_on_the_machines_clock(
    sqlite_database: Database, clock: FakeClock
) -> None:
    background, ran = Background(), asyncio.Event()

    async def handle(_slot: datetime) -> None:
        ran.set()

    jobs = Jobs(sqlite_database, clock, background)
    jobs.every("daily", HOUR * 24, handle)
    jobs.start()
    async with asyncio.timeout(10):
        await ran.wait()
    jobs.stop()
    await background.drain(5)


async def test_stopping_lets_a_running_job_finish(sqlite_database: Database, clock: FakeClock) -> None:
    background, started, finished = Background(), asyncio.Event(), []

    async def park(_slot: datetime) -> None:
        started.set()
        await background.stopping.wait()
        await asyncio.sleep(0)
        finished.append("parked")

    jobs = Jobs(sqlite_database, clock, background)
    jobs.every("long", HOUR, park)
    jobs.start()
    await started.wait()
    jobs.stop()
    async with asyncio.timeout(10):
        await background.drain(10)
    assert finished == ["parked"]
    (run,) = await runs(sqlite_database, "long")
    assert run.finished_at is not None


async def test_a_job_that_outlasts_its_interval_does_not_run_beside_itself(sqlite_database: Database) -> None:
    background, release = Background(), asyncio.Event()
    beats, at_once, most = asyncio.Event(), 0, 0

    async def long(_slot: datetime) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await release.wait()
        at_once -= 1

    async def beat(slot: datetime) -> None:
        if slot >= first + timedelta(milliseconds=300):
            beats.set()

    jobs = Jobs(sqlite_database, SystemClock(), background)
    first = SystemClock().now()
    jobs.every("long", timedelta(milliseconds=50), long)
    jobs.every("beat", timedelta(milliseconds=50), beat)
    jobs.start()
    async with asyncio.timeout(20):
        await beats.wait()
    jobs.stop()
    release.set()
    await background.drain(5)
    assert most == 1


async def test_nothing_starts_while_the_process_stops(sqlite_database: Database, clock: FakeClock) -> None:
    background, diary = Background(), Diary()
    jobs = Jobs(sqlite_database, clock, background)
    jobs.every("sync", HOUR, diary)
    background.stopping.set()
    jobs.start()
    jobs.stop()
    await background.drain(5)
    assert diary.slots == []


async def test_stopping_what_was_never_started_does_nothing(
    sqlite_database: Database, clock: FakeClock
) -> None:
    jobs = Jobs(sqlite_database, clock, Background())
    jobs.stop()
    assert not await runs(sqlite_database, "housekeeping")


async def test_after_a_jump_of_the_clock_what_is_due_runs_once(
    sqlite_database: Database, clock: FakeClock
) -> None:
    diary, background = Diary(), Background()
    jobs = Jobs(sqlite_database, clock, background)
    jobs.every("sync", HOUR, diary)
    await jobs.run_due("sync")
    clock.move(timedelta(days=30))
    jobs.look_now()
    jobs.look_now()
    await background.drain(5)
    assert [slot - diary.slots[0] for slot in diary.slots] == [timedelta(), timedelta(days=30)]


async def test_a_job_that_runs_while_the_clock_jumps_is_looked_at_when_it_ends(
    sqlite_database: Database, clock: FakeClock
) -> None:
    diary, background, going, free = Diary(), Background(), asyncio.Event(), asyncio.Event()
    jobs = Jobs(sqlite_database, clock, background)

    async def slow(slot: datetime) -> None:
        await diary(slot)
        going.set()
        await free.wait()

    jobs.every("sync", HOUR, slow)
    jobs.look_now()
    await going.wait()
    clock.move(timedelta(days=1))
    jobs.look_now()
    going.clear()
    free.set()
    await going.wait()
    await background.drain(5)
    assert [slot - diary.slots[0] for slot in diary.slots] == [timedelta(), timedelta(days=1)]


async def test_a_day_that_was_missed_is_made_up_for_once_and_soon_after_the_start(
    database: Database, clock: FakeClock
) -> None:
    diary = Diary()

    async def start(background: Background) -> None:
        jobs = Jobs(database, clock, background)
        jobs.every("daily", HOUR * 24, diary)
        jobs.start()
        await background.idle()
        jobs.stop()

    await start(Background())
    clock.move(timedelta(days=3, hours=2))
    await start(Background())
    await start(Background())
    assert [slot.day for slot in diary.slots] == [1, 4]


async def test_a_day_that_failed_is_tried_again_after_a_quarter_of_an_hour(
    database: Database, clock: FakeClock
) -> None:
    jobs, diary = Jobs(database, clock, Background()), Diary()

    async def fail_first(slot: datetime) -> None:
        await diary(slot)
        if len(diary.slots) == 1:
            raise ZeroDivisionError

    jobs.every("daily", HOUR * 24, fail_first)
    assert await jobs.run_due("daily")
    clock.move(timedelta(minutes=14))
    assert not await jobs.run_due("daily")
    clock.move(timedelta(minutes=1))
    assert await jobs.run_due("daily")
    assert not await jobs.run_due("daily")
    (run,) = await runs(database, "daily")
    assert not run.failed


async def test_a_run_that_died_with_its_process_is_taken_over(database: Database, clock: FakeClock) -> None:
    jobs, diary = Jobs(database, clock, Background()), Diary()
    jobs.every("daily", HOUR * 24, diary)
    dead = {"job": "daily", "slot": slot_of(clock.now(), HOUR * 24), "claimed_by": "dead", "failed": False}
    async with database.begin() as session:
        await session.execute(sa.insert(JobRun).values(claimed_at=clock.now(), **dead))
    clock.move(timedelta(minutes=59))
    assert not await jobs.run_due("daily")
    clock.move(timedelta(minutes=1))
    assert await jobs.run_due("daily")
    (run,) = await runs(database, "daily")
    assert (run.claimed_by == "dead", run.finished_at) == (False, clock.now())


async def test_whoever_looks_from_outside_sees_each_job_and_how_it_stands(
    database: Database, clock: FakeClock
) -> None:
    background = Background()
    jobs = Jobs(database, clock, background)
    jobs.every("good", HOUR, Diary(), does="does good")
    jobs.every("bad", HOUR, fail)
    jobs.start()
    await background.idle()
    jobs.stop()
    bad, good, _housekeeping = await job_views(database)
    assert (good.name, good.does, good.interval) == ("good", "does good", HOUR)
    assert (good.started_at, good.ended_at, good.failed) == (clock.now(), clock.now(), False)
    assert good.next_at == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert (bad.failed, bad.well_at) == (True, None)
    assert [good.is_well(clock.now()), bad.is_well(clock.now())] == [True, False]
    assert good.is_well(clock.now() + HOUR + MAY_BE_LATE)
    assert not good.is_well(clock.now() + HOUR + MAY_BE_LATE + timedelta(seconds=1))


async def test_jobs_of_an_older_version_are_forgotten_after_a_day(
    sqlite_database: Database, clock: FakeClock
) -> None:
    for name, registered in (("old", "gone"), ("new", "stays")):
        background = Background()
        jobs = Jobs(sqlite_database, clock, background)
        jobs.every(registered, HOUR, Diary(), does=name)
        jobs.start()
        await background.idle()
        jobs.stop()
        clock.move(timedelta(hours=25))
    assert [job.name for job in await job_views(sqlite_database)] == ["housekeeping", "stays"]
