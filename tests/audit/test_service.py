import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditBroken, AuditService
from bot.kit.actor import Actor
from bot.kit.db import Database
from bot.kit.logs import with_reference
from bot.kit.once import Claimed
from bot.kit.secrets import Keyring
from tests.fakes.clock import FakeClock

OLD, NEW = b"o" * 32, b"n" * 32
ANA = Actor("U0ANA")


@pytest.fixture
def audit(database: Database, keyring: Keyring, clock: FakeClock) -> AuditService:
    return AuditService(database, keyring, clock)


@pytest.fixture
def sqlite_audit(sqlite_database: Database, keyring: Keyring, clock: FakeClock) -> AuditService:
    return AuditService(sqlite_database, keyring, clock)


async def record(audit: AuditService, session: AsyncSession, name: str = "paris", **changes: Any) -> None:
    content: dict[str, Any] = {
        "actor": ANA,
        "action": "token.added",
        "subject_kind": "token",
        "subject_id": "t1",
        "subject_name": name,
    }
    await audit.record(session, **(content | changes))


async def record_alone(audit: AuditService, db: Database, name: str = "paris", **changes: Any) -> None:
    async with db.begin() as session:
        await record(audit, session, name, **changes)


async def fill(audit: AuditService, db: Database, clock: FakeClock, *, entries: int = 5) -> None:
    for number in range(1, entries + 1):
        await record_alone(
            audit, db, f"token {number}", detail={"number": number, "ratio": 0.1, "none": None}
        )
        clock.move(timedelta(seconds=1.234567))


async def tamper(db: Database, *statements: str) -> None:
    async with db.begin() as session:
        for statement in statements:
            await session.execute(sa.text(statement))


async def test_an_empty_audit_holds(audit: AuditService) -> None:
    proof = await audit.verify()
    assert (proof.entries, proof.head) == (0, "0" * 64)


async def test_an_untouched_audit_holds(audit: AuditService, database: Database, clock: FakeClock) -> None:
    await fill(audit, database, clock)
    proof = await audit.verify()
    assert proof.entries == 5
    assert proof.head == (await audit.newest(limit=1))[0].mac


async def test_an_entry_tells_who_did_what_to_what_and_when(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    with with_reference("ABCD1234"):
        await record_alone(audit, database, tags=frozenset({"emea", "apac"}), detail={"days": 365})
    (entry,) = await audit.newest(limit=10)
    assert (entry.number, entry.at, entry.actor, entry.actor_kind) == (1, clock.now(), "U0ANA", "person")
    assert (entry.action, entry.subject_kind, entry.subject_id) == ("token.added", "token", "t1")
    assert (entry.subject_name, entry.tags, entry.detail) == ("paris", ["apac", "emea"], {"days": 365})
    assert entry.reference == "ABCD1234"


async def test_a_job_is_an_actor_too(audit: AuditService, database: Database) -> None:
    await record_alone(audit, database, actor=Actor.job("daily sync"))
    (entry,) = await audit.newest(limit=10)
    assert (entry.actor, entry.actor_kind) == ("daily sync", "job")


async def test_the_newest_come_first_and_no_more_than_asked_for(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    await fill(audit, database, clock)
    assert [entry.number for entry in await audit.newest(limit=2)] == [5, 4]


async def test_an_entry_goes_with_its_change(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    async def fail() -> None:
        async with database.begin() as session:
            session.add(Claimed(key="change", at=clock.now()))
            await record(audit, session)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await audit.newest(limit=1) == []
    await record_alone(audit, database)
    assert (await audit.verify()).entries == 1


async def test_several_acts_of_one_transaction_are_chained(audit: AuditService, database: Database) -> None:
    async with database.begin() as session:
        for name in ("paris", "london", "tokyo"):
            await record(audit, session, name)
    assert (await audit.verify()).entries == 3


async def test_a_name_longer_than_its_column_is_cut(audit: AuditService, database: Database) -> None:
    await record_alone(audit, database, "p" * 500)
    assert (await audit.newest(limit=1))[0].subject_name == "p" * 200
    assert (await audit.verify()).entries == 1


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'U0EVE'",
        "action = 'token.shown'",
        "subject_name = 'other'",
        "detail = '{}'",
        "tags = '[\"x\"]'",
        "reference = 'FORGED'",
        "actor_kind = 'job'",
        "subject_id = 't2'",
        "mac = 'aa'",
        "at = '2020-01-01 00:00:00+00'",
    ],
)
async def test_a_changed_entry_is_found(
    sqlite_audit: AuditService, sqlite_database: Database, clock: FakeClock, change: str
) -> None:
    await fill(sqlite_audit, sqlite_database, clock)
    await tamper(sqlite_database, f"UPDATE audit_entry SET {change} WHERE number = 3")
    with pytest.raises(AuditBroken, match="broken at entry 3") as broken:
        await sqlite_audit.verify()
    assert broken.value.number == 3


@pytest.mark.parametrize("key_id", ["00000000", "no hex"])
async def test_an_entry_that_names_another_key_is_found(
    sqlite_audit: AuditService, sqlite_database: Database, clock: FakeClock, key_id: str
) -> None:
    await fill(sqlite_audit, sqlite_database, clock)
    await tamper(sqlite_database, f"UPDATE audit_entry SET key_id = '{key_id}' WHERE number = 3")
    with pytest.raises(AuditBroken, match="entry 3: the encryption key it names"):
        await sqlite_audit.verify()


async def test_a_removed_entry_is_found(audit: AuditService, database: Database, clock: FakeClock) -> None:
    await fill(audit, database, clock)
    await tamper(database, "DELETE FROM audit_entry WHERE number = 3")
    with pytest.raises(AuditBroken, match="entry 3: it is missing"):
        await audit.verify()


async def test_a_removed_entry_is_found_when_the_later_ones_moved_up(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    await fill(audit, database, clock)
    await tamper(
        database,
        "DELETE FROM audit_entry WHERE number = 3",
        "UPDATE audit_entry SET number = 3 WHERE number = 4",
        "UPDATE audit_entry SET number = 4 WHERE number = 5",
        "UPDATE audit_head SET number = 4",
    )
    with pytest.raises(AuditBroken, match="broken at entry 3"):
        await audit.verify()


@pytest.mark.parametrize("kept", [4, 0])
async def test_entries_removed_at_the_end_are_found(
    sqlite_audit: AuditService, sqlite_database: Database, clock: FakeClock, kept: int
) -> None:
    await fill(sqlite_audit, sqlite_database, clock)
    await tamper(sqlite_database, f"DELETE FROM audit_entry WHERE number > {kept}")
    with pytest.raises(AuditBroken, match=f"entry {kept + 1}: entries at its end are missing"):
        await sqlite_audit.verify()


async def test_a_removed_end_of_the_chain_is_found(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    await fill(audit, database, clock)
    await tamper(database, "DELETE FROM audit_head")
    with pytest.raises(AuditBroken):
        await audit.verify()


async def test_swapped_entries_are_found(audit: AuditService, database: Database, clock: FakeClock) -> None:
    await fill(audit, database, clock)
    await tamper(
        database,
        "UPDATE audit_entry SET number = 99 WHERE number = 2",
        "UPDATE audit_entry SET number = 2 WHERE number = 4",
        "UPDATE audit_entry SET number = 4 WHERE number = 99",
    )
    with pytest.raises(AuditBroken, match="broken at entry 2"):
        await audit.verify()


async def test_an_added_entry_is_found(audit: AuditService, database: Database, clock: FakeClock) -> None:
    await fill(audit, database, clock)
    forger = AuditService(database, Keyring([b"f" * 32]), clock)
    await record_alone(forger, database, "forged")
    with pytest.raises(AuditBroken, match="broken at entry 6"):
        await audit.verify()


async def test_without_its_key_nothing_is_proved(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    await fill(audit, database, clock)
    with pytest.raises(AuditBroken, match="ENROLLBOT_ENCRYPTION_KEYS"):
        await AuditService(database, Keyring([NEW]), clock).verify()


async def test_entries_stay_provable_over_a_change_of_key(database: Database, clock: FakeClock) -> None:
    await record_alone(AuditService(database, Keyring([OLD]), clock), database)
    rotated = AuditService(database, Keyring([NEW, OLD]), clock)
    await record_alone(rotated, database)
    assert (await rotated.verify()).entries == 2
    with pytest.raises(AuditBroken, match="broken at entry 2"):
        await AuditService(database, Keyring([OLD]), clock).verify()


async def all_at_once(works: list[Callable[[], Awaitable[None]]]) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(_run(work))


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def test_two_replicas_recording_at_once_make_one_chain(
    database: Database, database_url: str, keyring: Keyring, clock: FakeClock
) -> None:
    second = Database.open(database_url)
    services = [(AuditService(db, keyring, clock), db) for db in (database, second)]

    async def several(audit: AuditService, db: Database) -> None:
        for _ in range(5):
            await record_alone(audit, db)

    await all_at_once([lambda a=a, d=d: several(a, d) for a, d in services * 2])  # type: ignore[misc]
    await second.close()
    assert (await services[0][0].verify()).entries == 20


async def test_proving_while_others_record_finds_nothing_broken(
    database: Database, database_url: str, keyring: Keyring, clock: FakeClock
) -> None:
    second = Database.open(database_url)
    audit, writer = AuditService(database, keyring, clock), AuditService(second, keyring, clock)
    await fill(writer, second, clock, entries=3)

    async def write() -> None:
        for _ in range(20):
            await record_alone(writer, second)

    async def prove() -> None:
        for _ in range(10):
            assert (await audit.verify()).entries >= 3

    await all_at_once([write, prove])
    await second.close()
