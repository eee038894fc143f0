"""The database: one engine, one way to write, one way to read. SQLite and PostgreSQL."""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from bot.kit.errors import EnrollbotError

Dialect = Literal["sqlite", "postgresql"]

#: Names make constraints droppable; without them a migration cannot say what it drops.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

#: How long a writer waits for another process's transaction before it gives up, in seconds.
BUSY_TIMEOUT_S = 10
#: A process that froze inside a transaction holds its locks for ever; the server ends it after this.
IDLE_IN_TRANSACTION_S = 30

#: libpq's: without them a server that is gone is noticed after many minutes, or never.
_POSTGRES_TIMEOUTS = {"connect_timeout": 10, "tcp_user_timeout": 30_000}

_READ = "enrollbot_read"


class DatabaseUrlWrong(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "ENROLLBOT_DATABASE_URL is not a database address.",
            next_step="Use sqlite:///path/to/enrollbot.db or postgresql://user:password@host/database.",
        )


class DatabaseUnreachable(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("The database does not answer.", next_step="Look whether its server runs.")


class DatabaseFolderUnusable(EnrollbotError):
    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"The database's folder {folder} cannot be used: {why}.",
            next_step="Give ENROLLBOT_DATABASE_URL a folder that this program may write to.",
        )


class TransactionInsideTransaction(RuntimeError):
    """A task opened a writing transaction while it has one open: it would wait for itself."""


class Table(SQLModel):
    """Base of every table, so that all of them share one metadata and its naming convention."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


def new_id() -> str:
    """Make the id of a new row before it is inserted, so that secrets can be bound to it."""
    return uuid.uuid4().hex


def database_url(text: str) -> URL:
    """Read a database address as people write it and choose the asynchronous driver.

    Options behind `?` are passed through. Raises `DatabaseUrlWrong`, also for a database in memory:
    what is promised there would be forgotten.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise DatabaseUrlWrong from None
    backend = url.drivername.split("+")[0]
    if backend == "sqlite" and url.database and url.database != ":memory:":
        path = str(Path(url.database).expanduser())
        return url.set(drivername="sqlite+aiosqlite", database=path)
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseUrlWrong


async def insert_ignoring(session: AsyncSession, table: type[Table], row: Mapping[str, Any]) -> bool:
    """Insert `row` unless its primary or a unique key is taken. Returns whether it was inserted."""
    dialect = session.get_bind().dialect.name
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    done = await session.execute(insert.values(**row).on_conflict_do_nothing().returning(sa.literal(1)))
    return done.first() is not None


class Statement(NamedTuple):
    """A statement in the driver's own form, `?` for each value; `many` runs it once per row of values."""

    sql: str
    values: Sequence[Any] = ()
    many: bool = False


async def run_all(session: AsyncSession, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """Run statements in order inside the session's transaction; returns the rows of each.

    For pages of a thousand rows: on SQLite all of them cost one trip to the driver's thread, where one
    statement of SQLAlchemy costs three or four. `%` is not allowed in their text.
    Raises SQLAlchemy's own errors.
    """
    connection = await session.connection()
    if connection.dialect.name != "sqlite":
        return [await _run_one(connection, statement) for statement in statements]
    driver: Any = (await connection.get_raw_connection()).driver_connection
    # The driver's only way to run several things in one trip; what it offers openly is one call each.
    answer: list[list[tuple[Any, ...]]] = await driver._execute(_run_in_thread, driver._conn, statements)
    return answer


async def _run_one(connection: AsyncConnection, statement: Statement) -> list[tuple[Any, ...]]:
    sql = statement.sql.replace("?", "%s")
    values: Any = list(statement.values) if statement.many else tuple(statement.values)
    done = await connection.exec_driver_sql(sql, values)
    return [tuple(row) for row in done] if done.returns_rows else []


def _run_in_thread(
    connection: sqlite3.Connection, statements: Sequence[Statement]
) -> list[list[tuple[Any, ...]]]:
    answers = []
    for sql, values, many in statements:
        try:
            run = connection.executemany if many else connection.execute
            answers.append(run(sql, values).fetchall())
        except sqlite3.Error as error:
            raise DBAPIError.instance(sql, None, error, sqlite3.Error) from error
    return answers


class Database:
    """Hands out transactions. `begin` writes, `read` reads; nothing else touches the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.dialect: Dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        # SQLite lets one connection write at a time; waiting here is cheaper than its busy loop.
        self._one_writer = asyncio.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()
        self._writers: set[asyncio.Task[Any] | None] = set()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database at `url`. Connects when first used."""
        parsed = database_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls(_sqlite_engine(parsed))
        return cls(_postgres_engine(parsed))

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Open the one writing transaction of a step: committed at the end, rolled back on an error.

        Raises `TransactionInsideTransaction` in a task that has one open already: hand its session on.
        """
        writer = asyncio.current_task()
        if writer in self._writers:
            raise TransactionInsideTransaction
        self._writers.add(writer)
        try:
            async with (
                self._one_writer,
                AsyncSession(self.engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                yield session
        finally:
            self._writers.discard(writer)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading: one consistent view; an attempt to write is refused."""
        options: dict[str, Any] = {_READ: True}
        if self.dialect == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(**options)
            async with AsyncSession(connection, expire_on_commit=False) as session:
                # No rollback here: it would expire what was read, and rows are used after the block.
                yield session

    async def now(self, session: AsyncSession) -> datetime | None:
        """Return the database's own time on PostgreSQL, None on SQLite (one machine, one clock)."""
        if self.dialect == "sqlite":
            return None
        moment: datetime = (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
        return moment

    async def check(self) -> None:
        """Raise `DatabaseUnreachable` unless the database answers."""
        try:
            async with self.read() as session:
                await session.execute(sa.select(sa.literal(1)))
        except (OSError, DBAPIError):
            raise DatabaseUnreachable from None

    async def close(self) -> None:
        await self.engine.dispose()


def _sqlite_engine(url: URL) -> AsyncEngine:
    make_folder(url)
    # Given in the address, the time to wait is the administrator's.
    engine = create_async_engine(url, connect_args=_unless_given(url, {"timeout": BUSY_TIMEOUT_S}))

    @sa.event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver would begin transactions by itself, too late and always deferred.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(_READ, False)
        if connection.info.get(_READ, False) != reads:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(reads)}")
            connection.info[_READ] = reads
        # Taking the write lock at once avoids the upgrade of a read lock, which SQLite may refuse.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        connect_args=_unless_given(url, _POSTGRES_TIMEOUTS),
    )

    @sa.event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Outside a transaction: a setting made inside one is undone by its rollback.
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
        cursor.close()
        connection.autocommit = False

    return engine


def _unless_given(url: URL, arguments: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in arguments.items() if name not in url.query}


def make_folder(url: URL) -> None:
    """Make the folder of a SQLite file. Raises `DatabaseFolderUnusable`."""
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseFolderUnusable(folder, error.strerror or "unknown reason") from None
