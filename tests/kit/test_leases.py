import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.kit.db import Database
from bot.kit.leases import Lease, LeaseRow, Leases, LeaseTaken, this_process
from bot.kit.once import Claimed
from tests.fakes.clock import FakeClock

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def other_database(database: Database, database_url: str) -> AsyncIterator[Database]:
    db = Database.open(database_url)
    yield db
    await db.close()


@pytest.fixture
def leases(database: Database, clock: FakeClock) -> Leases:
    return Leases(database, clock, "first")


@pytest.fixture
def others(other_database: Database, clock: FakeClock) -> Leases:
    """The leases of another replica."""
    return Leases(other_database, clock, "second")


async def held(leases: Leases, name: str = "token:1") -> Lease:
    lease = await leases.try_hold(name)
    assert lease is not None
    return lease


async def run_out(db: Database, name: str = "token:1") -> None:
    """Let the lease's time be over, whichever clock counts."""
    async with db.begin() as session:
        ended = sa.update(LeaseRow).where(col(LeaseRow.name) == name).values(expires_at=LONG_AGO)
        await session.execute(ended)


async def row(db: Database, name: str = "token:1") -> LeaseRow:
    async with db.read() as session:
        return await session.get_one(LeaseRow, name)


async def write_if_held(db: Database, lease: Lease, key: str) -> bool:
    async with db.begin() as session:
        if not await lease.still_held(session):
            return False
        session.add(Claimed(key=key, at=LONG_AGO))
    return True


async def test_a_lease_has_one_holder(leases: Leases, others: Leases) -> None:
    await held(leases)
    assert await others.try_hold("token:1") is None
    assert await leases.try_hold("token:1") is None


async def test_leases_of_different_names_do_not_meet(leases: Leases, others: Leases) -> None:
    await held(leases, "token:1")
    assert (await held(others, "token:2")).epoch == 1


async def test_of_many_at_once_one_gets_the_lease(leases: Leases, others: Leases) -> None:
    claims = await asyncio.gather(*(each.try_hold("token:1") for each in (leases, others) * 5))
    assert [claim.epoch for claim in claims if claim] == [1]


async def test_the_epoch_grows_with_every_holder(leases: Leases, others: Leases) -> None:
    epochs = []
    for each in (leases, others, leases):
        lease = await held(each)
        epochs.append(lease.epoch)
        await each.release(lease)
    assert epochs == [1, 2, 3]


async def test_a_lease_that_ran_out_is_taken_over(database: Database, leases: Leases, others: Leases) -> None:
    await held(leases)
    await run_out(database)
    assert (await held(others)).epoch == 2
    assert (await row(database)).holder == "second"


async def test_on_sqlite_the_clock_ends_a_lease(sqlite_database: Database, clock: FakeClock) -> None:
    leases = Leases(sqlite_database, clock)
    await leases.try_hold("token:1", ttl=timedelta(seconds=30))
    clock.move(timedelta(seconds=29))
    assert await leases.try_hold("token:1") is None
    clock.move(timedelta(seconds=1))
    assert await leases.try_hold("token:1") is not None


async def test_on_postgresql_only_the_databases_clock_counts(postgres_url: str, clock: FakeClock) -> None:
    db = Database.open(postgres_url)
    async with db.begin() as session:
        await (await session.connection()).run_sync(LeaseRow.metadata.create_all)
    await held(Leases(db, clock))
    clock.move(timedelta(days=365))
    taken = await Leases(db, clock).try_hold("token:1")
    await db.close()
    assert taken is None


async def test_a_holder_that_froze_past_its_lease_writes_nothing(
    database: Database, leases: Leases, others: Leases
) -> None:
    frozen = await held(leases)
    assert await write_if_held(database, frozen, "before")
    await run_out(database)
    taker = await held(others)
    assert not await write_if_held(database, frozen, "after")
    assert await write_if_held(database, taker, "taker")
    async with database.read() as session:
        keys = (await session.execute(sa.select(col(Claimed.key)).order_by(col(Claimed.key)))).scalars().all()
    assert keys == ["before", "taker"]


async def test_a_holder_that_woke_neither_renews_nor_releases_the_next_ones_lease(
    database: Database, leases: Leases, others: Leases
) -> None:
    frozen = await held(leases)
    await run_out(database)
    taker = await held(others)
    end = (await row(database)).expires_at
    assert not await leases.renew(frozen, ttl=timedelta(hours=1))
    await leases.release(frozen)
    assert (await row(database)).expires_at == end
    assert await write_if_held(database, taker, "taker")


async def test_a_lease_that_ran_out_and_was_not_taken_can_go_on(database: Database, leases: Leases) -> None:
    lease = await held(leases)
    await run_out(database)
    assert await leases.renew(lease)
    assert await leases.try_hold("token:1") is None


async def test_a_take_over_waits_for_a_transaction_that_checked_its_lease(
    database: Database, leases: Leases, others: Leases
) -> None:
    lease = await held(leases)
    await run_out(database)
    async with database.begin() as session:
        assert await lease.still_held(session)
        take_over = asyncio.create_task(others.try_hold("token:1"))
        _, waiting = await asyncio.wait({take_over}, timeout=0.3)
        assert waiting == {take_over}
        session.add(Claimed(key="page", at=LONG_AGO))
    async with asyncio.timeout(10):
        taken = await take_over
    assert taken is not None
    assert taken.epoch == 2
    assert not await write_if_held(database, lease, "late")


async def test_a_take_over_that_came_first_is_seen_by_the_writer(
    database: Database, leases: Leases, others: Leases
) -> None:
    lease = await held(leases)
    await run_out(database)
    await held(others)
    async with database.begin() as session:
        assert not await lease.still_held(session)


async def test_holding_renews_the_lease_while_the_block_runs(
    database: Database, leases: Leases, others: Leases
) -> None:
    async with leases.hold("token:1", ttl=timedelta(seconds=0.3)):
        await run_out(database)
        async with asyncio.timeout(10):
            while (await row(database)).expires_at == LONG_AGO:  # noqa: ASYNC110 - a row has no event
                await asyncio.sleep(0.01)


async def test_the_lease_is_free_after_the_block(leases: Leases, others: Leases) -> None:
    async with leases.hold("token:1") as lease:
        assert lease.epoch == 1
        with pytest.raises(LeaseTaken) as refused:
            async with others.hold("token:1"):
                pytest.fail("held twice")
        assert refused.value.name == "token:1"
    async with others.hold("token:1") as lease:
        assert lease.epoch == 2


async def test_the_lease_is_free_after_an_error_or_a_cancellation(leases: Leases, others: Leases) -> None:
    started = asyncio.Event()

    async def work(*, fails: bool) -> None:
        async with leases.hold("token:1"):
            started.set()
            if fails:
                raise ZeroDivisionError
            await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        await work(fails=True)
    started.clear()
    task = asyncio.create_task(work(fails=False))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await held(others)).epoch == 3


async def test_a_database_that_is_gone_at_the_end_does_not_hide_what_the_work_did(
    sqlite_database: Database, clock: FakeClock
) -> None:
    leases = Leases(sqlite_database, clock)
    async with leases.hold("token:1"), sqlite_database.begin() as session:
        await session.execute(sa.text("DROP TABLE lease"))
    async with sqlite_database.read() as session:
        tables = await session.execute(sa.text("SELECT count(*) FROM sqlite_master WHERE name = 'lease'"))
        assert tables.scalar_one() == 0


async def test_on_sqlite_a_start_ends_the_leases_of_a_killed_process(
    sqlite_database: Database, clock: FakeClock
) -> None:
    dead = await held(Leases(sqlite_database, clock, "killed"))
    started = Leases(sqlite_database, clock, "started")
    await started.forget_dead_holders()
    assert (await held(started)).epoch > dead.epoch
    assert not await write_if_held(sqlite_database, dead, "ghost")


async def test_on_postgresql_a_start_leaves_the_leases_of_the_living(
    postgres_url: str, clock: FakeClock
) -> None:
    db = Database.open(postgres_url)
    async with db.begin() as session:
        await (await session.connection()).run_sync(LeaseRow.metadata.create_all)
    living = await held(Leases(db, clock, "living"))
    started = Leases(db, clock, "started")
    await started.forget_dead_holders()
    taken = await started.try_hold("token:1")
    async with db.begin() as session:
        still = await living.still_held(session)
    await db.close()
    assert (taken, still) == (None, True)


def test_each_process_has_a_name_of_its_own() -> None:
    assert this_process() != this_process()
