import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlmodel import col

from bot.kit.db import (
    Database,
    DatabaseFolderUnusable,
    DatabaseUrlWrong,
    TransactionInsideTransaction,
    database_url,
    insert_ignoring,
    new_id,
)
from bot.kit.leases import LeaseRow
from bot.kit.once import Claimed
from tests.tables import create_tables

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

COUNT_UP = """
import asyncio, sys
import sqlalchemy as sa
from bot.kit.db import Database
from bot.kit.leases import LeaseRow

async def go(url):
    db = Database.open(url)
    for _ in range(40):
        async with db.begin() as session:
            row = await session.get(LeaseRow, "counter")
            row.epoch += 1
    await db.close()

asyncio.run(go(sys.argv[1]))
"""


class Mishap(Exception):
    pass


async def keys(db: Database) -> list[str]:
    async with db.read() as session:
        return list((await session.execute(sa.select(col(Claimed.key)).order_by(col(Claimed.key)))).scalars())


@pytest.fixture
async def second(database: Database, database_url: str) -> AsyncIterator[Database]:
    """The same database, opened as another process would."""
    db = Database.open(database_url)
    yield db
    await db.close()


@pytest.mark.parametrize(
    ("text", "driver", "name"),
    [
        ("sqlite:///enrollbot.db", "sqlite+aiosqlite", "enrollbot.db"),
        ("sqlite:////var/lib/enrollbot/enrollbot.db", "sqlite+aiosqlite", "/var/lib/enrollbot/enrollbot.db"),
        ("postgresql://bot:pw@db.example.com/enroll", "postgresql+psycopg", "enroll"),
        ("postgres://bot:pw@db.example.com:5433/enroll", "postgresql+psycopg", "enroll"),
        ("postgresql+asyncpg://bot@db.example.com/enroll", "postgresql+psycopg", "enroll"),
        (" postgresql://bot@db.example.com/enroll\n", "postgresql+psycopg", "enroll"),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, driver: str, name: str) -> None:
    url = database_url(text)
    assert (url.drivername, url.database) == (driver, name)


def test_options_of_an_address_are_passed_through() -> None:
    url = database_url("postgres://bot:pw@db.example.com/enroll?sslmode=require&application_name=bot")
    assert dict(url.query) == {"sslmode": "require", "application_name": "bot"}
    assert url.password == "pw"


def test_a_tilde_in_a_path_is_the_home_folder() -> None:
    assert database_url("sqlite:///~/enrollbot.db").database == str(Path.home() / "enrollbot.db")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "enrollbot.db",
        "mysql://bot:hunter2@db.example.com/enroll",
        "postgresql://bot:hunter2@db.example.com:port/enroll",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_wrong_address_is_refused_with_the_two_forms_and_without_its_password(text: str) -> None:
    with pytest.raises(DatabaseUrlWrong) as refused:
        database_url(text)
    assert "ENROLLBOT_DATABASE_URL" in str(refused.value)
    assert "sqlite:///" in str(refused.value)
    assert "postgresql://" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    db = Database.open(f"sqlite:///{tmp_path / 'state' / 'deep' / 'enrollbot.db'}")
    await create_tables(db)
    await db.close()
    assert (tmp_path / "state" / "deep" / "enrollbot.db").is_file()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DatabaseFolderUnusable, match="cannot be used"):
        Database.open(f"sqlite:///{tmp_path / 'file' / 'enrollbot.db'}")


async def test_what_a_transaction_wrote_is_there_after_it(database: Database) -> None:
    async with database.begin() as session:
        session.add(Claimed(key="a", at=NOON))
    assert await keys(database) == ["a"]


async def test_an_error_rolls_the_whole_transaction_back(database: Database) -> None:
    async def fail_half_way() -> None:
        async with database.begin() as session:
            session.add(Claimed(key="a", at=NOON))
            await session.flush()
            raise Mishap

    with pytest.raises(Mishap):
        await fail_half_way()
    assert await keys(database) == []


async def test_rows_can_be_looked_at_after_their_transaction(database: Database) -> None:
    row = Claimed(key="a", at=NOON)
    async with database.begin() as session:
        session.add(row)
    assert (row.key, row.at) == ("a", NOON)


async def test_rows_that_were_read_can_be_looked_at_after_the_session(database: Database) -> None:
    async with database.begin() as session:
        session.add(Claimed(key="a", at=NOON))
    async with database.read() as session:
        row = await session.get_one(Claimed, "a")
    assert (row.key, row.at) == ("a", NOON)


async def test_a_transaction_inside_a_transaction_is_refused_rather_than_waited_for(
    database: Database,
) -> None:
    async def nest() -> None:
        async with asyncio.timeout(5), database.begin() as session:
            session.add(Claimed(key="a", at=NOON))
            async with database.begin():
                pass

    with pytest.raises(TransactionInsideTransaction):
        await nest()
    async with database.begin() as session:
        session.add(Claimed(key="b", at=NOON))
    assert await keys(database) == ["b"]


async def test_two_tasks_take_turns_at_writing(database: Database) -> None:
    async with database.begin() as session:
        session.add(LeaseRow(name="counter", holder="", epoch=0, expires_at=NOON))

    async def count_up() -> None:
        async with database.begin() as session:
            query = sa.select(LeaseRow).where(col(LeaseRow.name) == "counter").with_for_update()
            row = (await session.execute(query)).scalar_one()
            await asyncio.sleep(0)
            row.epoch += 1

    await asyncio.gather(*(count_up() for _ in range(20)))
    async with database.read() as session:
        counter = await session.get_one(LeaseRow, "counter")
    assert counter.epoch == 20


async def test_reading_inside_a_transaction_sees_what_was_there_before(database: Database) -> None:
    async with database.begin() as session:
        session.add(Claimed(key="a", at=NOON))
        await session.flush()
        async with asyncio.timeout(5):
            assert await keys(database) == []


async def test_a_reader_sees_one_view_while_others_write(database: Database, second: Database) -> None:
    count = sa.select(sa.func.count()).select_from(Claimed)
    async with database.begin() as session:
        session.add(Claimed(key="a", at=NOON))
    async with database.read() as session:
        before = (await session.execute(count)).scalar_one()
        async with asyncio.timeout(5), second.begin() as writer:
            writer.add(Claimed(key="b", at=NOON))
        after = (await session.execute(count)).scalar_one()
    assert (before, after) == (1, 1)
    assert await keys(database) == ["a", "b"]


async def test_writing_while_reading_is_refused_and_the_next_transaction_writes(database: Database) -> None:
    async def write() -> None:
        async with database.read() as session:
            session.add(Claimed(key="a", at=NOON))
            await session.flush()

    with pytest.raises(DBAPIError):
        await write()
    for key in ("b", "c"):
        async with database.begin() as session:
            session.add(Claimed(key=key, at=NOON))
    assert await keys(database) == ["b", "c"]


async def test_sqlite_takes_the_write_lock_with_the_first_statement(
    sqlite_database: Database, sqlite_url: str
) -> None:
    impatient = Database.open(f"{sqlite_url}?timeout=0.05")
    async with sqlite_database.begin() as session:
        await session.execute(sa.select(Claimed))
        with pytest.raises(OperationalError, match="locked"):
            async with impatient.begin() as other:
                await other.execute(sa.select(Claimed))
    async with impatient.begin() as other:
        other.add(Claimed(key="a", at=NOON))
    await impatient.close()
    assert await keys(sqlite_database) == ["a"]


async def test_a_writer_that_is_cancelled_while_it_waits_leaves_no_lock(
    sqlite_database: Database, sqlite_url: str
) -> None:
    waiting = Database.open(f"{sqlite_url}?timeout=0.5")
    await keys(waiting)
    async with sqlite_database.begin() as session:
        await session.execute(sa.select(Claimed))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), waiting.begin() as other:
                other.add(Claimed(key="late", at=NOON))
    for db, key in ((sqlite_database, "a"), (waiting, "b"), (sqlite_database, "c")):
        async with db.begin() as session:
            session.add(Claimed(key=key, at=NOON))
    await waiting.close()
    assert await keys(sqlite_database) == ["a", "b", "c"]


async def test_sqlite_is_set_up_to_be_safe_and_to_let_readers_in(sqlite_database: Database) -> None:
    async with sqlite_database.read() as session:
        pragmas = {
            name: (await session.execute(sa.text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10_000}


async def test_a_row_whose_parent_is_missing_is_refused(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(sa.text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        await session.execute(sa.text("CREATE TABLE child (parent INTEGER REFERENCES parent (id))"))
    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(sa.text("INSERT INTO child VALUES (1)"))


async def test_two_processes_write_to_one_sqlite_file_and_wait_for_each_other(
    sqlite_database: Database, sqlite_url: str
) -> None:
    async with sqlite_database.begin() as session:
        session.add(LeaseRow(name="counter", holder="", epoch=0, expires_at=NOON))
    root = Path(__file__).parents[2]
    others = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", COUNT_UP, sqlite_url, cwd=root)
        for _ in range(2)
    ]
    assert [await other.wait() for other in others] == [0, 0]
    async with sqlite_database.read() as session:
        assert (await session.get_one(LeaseRow, "counter")).epoch == 80


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="timezone"):
        async with database.begin() as session:
            session.add(Claimed(key="a", at=datetime(2026, 5, 1, 12, 0)))  # noqa: DTZ001
    assert await keys(database) == []


async def test_a_time_of_any_zone_comes_back_in_utc(database: Database) -> None:
    paris = datetime(2026, 5, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    async with database.begin() as session:
        session.add(Claimed(key="a", at=paris))
    async with database.read() as session:
        at = (await session.get_one(Claimed, "a")).at
    assert at == NOON.replace(microsecond=123456)
    assert at.utcoffset() == timedelta(0)


async def test_times_are_compared_as_moments(database: Database) -> None:
    async with database.begin() as session:
        session.add(Claimed(key="a", at=NOON))
    paris = datetime(2026, 5, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    async with database.read() as session:
        found = await session.execute(sa.select(col(Claimed.key)).where(col(Claimed.at) <= paris))
        assert found.scalars().all() == ["a"]
        found = await session.execute(sa.select(col(Claimed.key)).where(col(Claimed.at) < paris))
        assert found.scalars().all() == []


async def test_a_row_whose_key_is_taken_is_left_alone(database: Database) -> None:
    async with database.begin() as session:
        assert await insert_ignoring(session, Claimed, {"key": "a", "at": NOON})
        assert not await insert_ignoring(session, Claimed, {"key": "a", "at": NOON + timedelta(days=1)})
    async with database.read() as session:
        assert (await session.get_one(Claimed, "a")).at == NOON


async def test_one_of_many_at_once_inserts_a_key(database: Database, second: Database) -> None:
    async def insert(db: Database) -> bool:
        async with db.begin() as session:
            return await insert_ignoring(session, Claimed, {"key": "a", "at": NOON})

    inserted = await asyncio.gather(*(insert(db) for db in (database, second) * 5))
    assert sorted(inserted) == [False] * 9 + [True]


async def test_postgresql_says_its_own_time_and_sqlite_leaves_it_to_the_clock(database: Database) -> None:
    async with database.read() as session:
        moment = await database.now(session)
    if database.dialect == "sqlite":
        assert moment is None
    else:
        assert moment is not None
        assert moment.utcoffset() == timedelta(0)


async def test_postgresql_ends_a_transaction_whose_process_froze(postgres_url: str) -> None:
    db = Database.open(postgres_url)
    async with db.begin() as session:
        await session.execute(sa.text("SELECT 1"))
    async with db.begin() as session:
        shown = (await session.execute(sa.text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
    await db.close()
    assert shown == "30s"


async def test_a_timeout_in_the_address_is_the_administrators(postgres_url: str) -> None:
    db = Database.open(f"{postgres_url}?connect_timeout=3&application_name=enrollbot-test")
    async with db.read() as session:
        shown = (await session.execute(sa.text("SHOW application_name"))).scalar_one()
    await db.close()
    assert shown == "enrollbot-test"


def test_ids_are_never_the_same() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


async def test_a_check_passes_while_the_database_answers(database: Database) -> None:
    await database.check()
    assert await keys(database) == []
