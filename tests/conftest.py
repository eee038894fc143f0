"""What every test may ask for: a clock, keys, and a database of its own on both engines."""

import asyncio
import contextlib
import gc
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import certifi
import psycopg
import pytest
import structlog
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.clock import FakeClock
from tests.tables import create_tables, empty_tables

POSTGRES_URL = os.environ.get("ENROLLBOT_TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/test")

# What one process of a run has compiled, the others take over: many tests start one.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """Take what was imported and collected as here to stay; else it is looked through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_trusted_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients trust one certificate: loopback is plain HTTP, and reading them all takes too long."""
    path = tmp_path_factory.mktemp("trusted") / "one.pem"
    end = "-----END CERTIFICATE-----\n"
    path.write_text(certifi.contents().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(path))
        patch.setenv("SSL_CERT_FILE", str(path))  # for processes that tests start
        yield


@pytest.fixture(autouse=True)
def unconfigured_logs() -> Iterator[None]:
    """Let no test find the logs as another one has set them up."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([b"k" * 32])


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The address of a PostgreSQL server in which tests may create databases, or a skip."""
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at ENROLLBOT_TEST_POSTGRES_URL: {str(error).splitlines()[0]}")
    return POSTGRES_URL


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'enrollbot.db'}"


@contextlib.contextmanager
def new_database(server_url: str) -> Iterator[str]:
    """Make an empty database on a PostgreSQL server for the length of the block; gives its address."""
    name = f"enrollbot_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        # No test outlives a crash of the server, and waiting for its disk takes longer than most tests.
        server.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    try:
        yield server_url.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The address of an empty database, dropped afterwards."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: str) -> Iterator[str]:
    """The address of a database with every table, for the tests of one run to fill in turn."""
    with new_database(postgres_server) as url:
        asyncio.run(create_tables_at(url))
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, or of `database` where a test asks for both."""
    fixture = "sqlite_url"
    if request.param == "postgresql":
        # Making a database takes PostgreSQL longer than most tests.
        fixture = "postgres_with_tables" if "database" in request.fixturenames else "postgres_url"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table, for the databases of one run to begin with a copy of."""
    path = tmp_path_factory.mktemp("tables") / "tables.db"
    asyncio.run(create_tables_at(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_engine(postgres_with_tables: str) -> AsyncEngine:
    """One engine for the tests of one run: it keeps the statements that it has compiled."""
    return Database.open(postgres_with_tables).engine


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, database_url: str, sqlite_with_tables: Path
) -> AsyncIterator[Database]:
    """A database with every table and no row, on SQLite and on PostgreSQL in turn."""
    if database_url.startswith("sqlite"):
        shutil.copy(sqlite_with_tables, database_url.removeprefix("sqlite:///"))
        db = Database.open(database_url)
    else:
        db = Database(request.getfixturevalue("postgres_engine"))
        await empty_tables(db)
    yield db
    # The connections belong to the loop of this test.
    await db.close()


@pytest.fixture
async def sqlite_database(sqlite_url: str, sqlite_with_tables: Path) -> AsyncIterator[Database]:
    """A database with every table, on SQLite only: for tests that are not about the engine."""
    shutil.copy(sqlite_with_tables, sqlite_url.removeprefix("sqlite:///"))
    db = Database.open(sqlite_url)
    yield db
    await db.close()


async def create_tables_at(url: str) -> None:
    db = Database.open(url)
    await create_tables(db)
    await db.close()
