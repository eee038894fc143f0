import asyncio
from datetime import timedelta

import pytest

from bot.kit.db import Database
from bot.kit.once import claim_once, forget_claims
from tests.fakes.clock import FakeClock


async def claim(db: Database, key: str, clock: FakeClock) -> bool:
    async with db.begin() as session:
        return await claim_once(session, key, clock.now())


async def test_a_delivery_is_taken_once(database: Database, clock: FakeClock) -> None:
    assert await claim(database, "trigger:1", clock)
    assert not await claim(database, "trigger:1", clock)
    assert await claim(database, "trigger:2", clock)


async def test_two_replicas_take_a_delivery_once(
    database: Database, database_url: str, clock: FakeClock
) -> None:
    second = Database.open(database_url)
    taken = await asyncio.gather(*(claim(db, "trigger:1", clock) for db in (database, second) * 3))
    await second.close()
    assert sorted(taken) == [False] * 5 + [True]


async def test_a_change_that_fails_gives_its_delivery_back(database: Database, clock: FakeClock) -> None:
    async def fail() -> None:
        async with database.begin() as session:
            await claim_once(session, "trigger:1", clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await claim(database, "trigger:1", clock)


async def test_only_old_deliveries_are_forgotten(database: Database, clock: FakeClock) -> None:
    await claim(database, "old", clock)
    clock.move(timedelta(days=1))
    await claim(database, "new", clock)
    async with database.begin() as session:
        await forget_claims(session, before=clock.now())
    assert await claim(database, "old", clock)
    assert not await claim(database, "new", clock)


async def test_keys_too_long_for_the_column_are_still_taken_once(
    database: Database, clock: FakeClock
) -> None:
    assert await claim(database, "e" * 300, clock)
    assert not await claim(database, "e" * 300, clock)
