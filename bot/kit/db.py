"""The database: one engine, one way to write, one way to read. SQLite and PostgreSQL."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
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

_READ = "enrollbot_read"


class DatabaseUrlWrong(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "ENROLLBOT_DATABASE_URL is not a database address.",
            next_step="Use sqlite:///path/to/enrollbot.db or postgresql://user:password@host/database.",
        )


class Table(SQLModel):
    """Base of every table, so that all of them share one metadata and its naming convention."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


def new_id() -> str:
    """Make the id of a new row before it is inserted, so that secrets can be bound to it."""
    return uuid.uuid4().hex


def database_url(text: str) -> URL:
    """Read a database address as people write it and choose the asynchronous driver.

    Options behind `?` are passed through. Raises `DatabaseUrlWrong`.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise DatabaseUrlWrong from None
    backend = url.drivername.split("+")[0]
    if backend == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseUrlWrong


async def insert_ignoring(session: AsyncSession, table: type[Table], row: Mapping[str, Any]) -> bool:
    """Insert `row` unless its primary or a unique key is taken. Returns whether it was inserted."""
    dialect = session.get_bind().dialect.name
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    done = await session.execute(insert.values(**row).on_conflict_do_nothing().returning(sa.literal(1)))
    return done.first() is not None


class Database:
    """Hands out transactions. `begin` writes, `read` reads; nothing else touches the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.dialect: Dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        # SQLite lets one connection write at a time; waiting here is cheaper than its busy loop.
        self._one_writer = asyncio.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database at `url`. Connects when first used."""
        parsed = database_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls(_sqlite_engine(parsed))
        return cls(create_async_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=10))

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Open the one writing transaction of a step: committed at the end, rolled back on an error."""
        async with (
            self._one_writer,
            AsyncSession(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading: one consistent view, never committed."""
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(**{_READ: True})
            async with AsyncSession(connection, expire_on_commit=False) as session:
                yield session
                await session.rollback()

    async def now(self, session: AsyncSession) -> datetime | None:
        """Return the database's own time on PostgreSQL, None on SQLite (one machine, one clock)."""
        if self.dialect == "sqlite":
            return None
        moment: datetime = (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
        return moment

    async def close(self) -> None:
        await self.engine.dispose()


def _sqlite_engine(url: URL) -> AsyncEngine:
    if url.database and url.database != ":memory:":
        Path(url.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})

    @sa.event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver would begin transactions by itself, too late and always deferred.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Taking the write lock at once avoids the upgrade of a read lock, which SQLite may refuse.
        reads = connection.get_execution_options().get(_READ, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
