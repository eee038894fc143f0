import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.backend.port import ServiceUnavailable, Session
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.tokens import store
from bot.tokens.models import Token
from bot.tokens.sessions import DatabaseSessions, MemorySessions, SessionVault
from tests.fakes.clock import FakeClock

TOKEN = "t" * 32


class Door:
    """Counts logins; each gives another session, and may be held shut."""

    def __init__(self) -> None:
        self.logins = 0
        self.opened = asyncio.Event()
        self.opened.set()

    async def login(self) -> SecretStr:
        self.logins += 1
        number = self.logins
        await self.opened.wait()
        return SecretStr(f"session {number}")


class PatientClock(FakeClock):
    """Lets others run while it moves on."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


async def _vault(db: Database, clock: Clock, keyring: Keyring) -> SessionVault:
    async with db.begin() as session:
        if await session.get(Token, TOKEN) is None:
            session.add(Token(id=TOKEN, name="paris", name_key="paris", added_by="U", added_at=clock.now()))
    return SessionVault(db=db, clock=clock, keyring=keyring)


@pytest.fixture
async def vault(database: Database, clock: FakeClock, keyring: Keyring) -> SessionVault:
    return await _vault(database, clock, keyring)


async def test_there_is_no_session_before_the_first_login(vault: SessionVault) -> None:
    sessions = DatabaseSessions(vault, TOKEN)
    assert await sessions.current() is None
    first = await sessions.renew(None, Door().login)
    assert (first.value.get_secret_value(), first.version) == ("session 1", 1)
    assert await sessions.current() == first


async def test_whoever_comes_with_an_older_session_receives_the_newer_one(vault: SessionVault) -> None:
    sessions, door = DatabaseSessions(vault, TOKEN), Door()
    first = await sessions.renew(None, door.login)
    second = await sessions.renew(first, door.login)
    assert await sessions.renew(first, door.login) == second
    assert await sessions.renew(None, door.login) == second
    assert door.logins == 2


async def test_many_at_once_log_in_once(vault: SessionVault) -> None:
    sessions, door = DatabaseSessions(vault, TOKEN), Door()
    first = await sessions.renew(None, door.login)
    got = await asyncio.gather(*(DatabaseSessions(vault, TOKEN).renew(first, door.login) for _ in range(10)))
    assert door.logins == 2
    assert set(session.version for session in got) == {2}


async def test_two_replicas_log_in_once(database: Database, clock: FakeClock, keyring: Keyring) -> None:
    patient, door = PatientClock(clock.now()), Door()
    one, other = [DatabaseSessions(await _vault(database, patient, keyring), TOKEN) for _ in range(2)]
    first = await one.renew(None, door.login)
    got = await asyncio.gather(one.renew(first, door.login), other.renew(first, door.login))
    assert door.logins == 2
    assert got[0] == got[1]


async def test_a_login_that_fails_passes_its_error_on_and_lets_the_next_try(vault: SessionVault) -> None:
    async def fail() -> SecretStr:
        raise ServiceUnavailable("Apple could not be reached.")

    sessions = DatabaseSessions(vault, TOKEN)
    with pytest.raises(ServiceUnavailable):
        await sessions.renew(None, fail)
    assert (await sessions.renew(None, Door().login)).version == 1


async def test_a_replica_that_died_in_its_login_is_waited_for_no_longer_than_its_lease(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    vault = await _vault(sqlite_database, clock, keyring)
    assert await vault.leases.try_hold(f"login:{TOKEN}", ttl=timedelta(seconds=60)) is not None
    began = clock.now()
    assert (await DatabaseSessions(vault, TOKEN).renew(None, Door().login)).version == 1
    assert timedelta(seconds=59) < clock.now() - began < timedelta(seconds=62)


async def test_a_login_keeps_its_lease_for_as_long_as_it_may_take(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    one, other = [await _vault(sqlite_database, clock, keyring) for _ in range(2)]
    seen = []

    async def slow() -> SecretStr:
        clock.move(timedelta(seconds=91))
        seen.append(await other.leases.try_hold(f"login:{TOKEN}", ttl=timedelta(seconds=1)))
        return SecretStr("slow")

    await DatabaseSessions(one, TOKEN).renew(None, slow)
    assert seen == [None]


async def test_an_older_answer_never_replaces_a_newer_session(vault: SessionVault) -> None:
    sessions = DatabaseSessions(vault, TOKEN)
    first = await sessions.renew(None, Door().login)
    second = await sessions.rotate(first, SecretStr("rotated"))
    assert (second.value.get_secret_value(), second.version) == ("rotated", 2)
    assert await sessions.rotate(first, SecretStr("late")) == second
    assert await sessions.current() == second


async def test_a_stored_session_is_sealed(vault: SessionVault) -> None:
    sessions = DatabaseSessions(vault, TOKEN)
    session = await sessions.renew(None, Door().login)
    async with vault.db.read() as reading:
        row = (await reading.connection()).exec_driver_sql
        stored = (await row("SELECT value FROM token_session")).scalar_one()
    assert b"session 1" not in bytes(stored)
    assert "session 1" not in repr(session)


async def test_a_login_that_outlives_its_token_leaves_no_session_behind(vault: SessionVault) -> None:
    async def login() -> SecretStr:
        async with vault.db.begin() as session:
            await store.change_token(session, TOKEN, {"removed_at": vault.clock.now()})
            await store.drop_secrets(session, TOKEN)
        return SecretStr("late")

    sessions = DatabaseSessions(vault, TOKEN)
    assert (await sessions.renew(None, login)).value.get_secret_value() == "late"
    assert await sessions.current() is None


async def test_a_session_in_memory_follows_the_same_rules() -> None:
    sessions, door = MemorySessions(), Door()
    first = await sessions.renew(None, door.login)
    second = await sessions.rotate(first, SecretStr("rotated"))
    assert await sessions.current() == Session(SecretStr("rotated"), 2)
    assert await sessions.rotate(first, SecretStr("late")) == second
    assert await sessions.renew(first, door.login) == second
    assert (await sessions.renew(second, door.login)).version == 3
    assert door.logins == 2
