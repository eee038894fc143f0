"""Bring the database's tables up to date: under a lock, on a connection of their own."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

from bot.kit.db import Database, database_url, make_folder
from bot.kit.errors import EnrollbotError

#: Any number will do, as long as every replica uses the same one.
_POSTGRES_LOCK = 7_301_974

#: How long to wait for another process that migrates the same SQLite file, in seconds.
LOCK_TIMEOUT_S = 60


class MigrationLosesData(EnrollbotError):
    def __init__(self, revisions: list[str]) -> None:
        super().__init__(
            f"Bringing the database up to date would delete data (migration {', '.join(revisions)}).",
            next_step="Make a backup, then run `enrollbot db migrate --allow-data-loss`.",
        )


class MigrationBreaksReferences(EnrollbotError):
    def __init__(self, rows: int) -> None:
        super().__init__(
            f"Bringing the database up to date would leave {rows} rows pointing nowhere. Nothing changed.",
            next_step="Please report this with the version that made the database.",
        )


class DatabaseNewer(EnrollbotError):
    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database was made by a newer enrollbot (migration {revision}).",
            next_step="Start that version again, or restore the backup made before it.",
        )


def upgrade(url: str, folder: Path, *, allow_data_loss: bool = False) -> list[str]:
    """Apply what is missing and return its revisions, oldest first. Blocks; call it off the loop.

    Raises `MigrationLosesData` before touching anything, and `DatabaseNewer`.
    """
    config = _config(folder)
    script = ScriptDirectory.from_config(config)
    with _locked(database_url(url)) as connection:
        pending = _pending(script, MigrationContext.configure(connection).get_current_revision())
        losing = [name for name in pending if getattr(script.get_revision(name).module, "loses_data", False)]
        if losing and not allow_data_loss:
            raise MigrationLosesData(losing)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _check_references(connection)
    return pending


class DatabaseNotMigrated(EnrollbotError):
    def __init__(self, present: str | None, wanted: str | None) -> None:
        super().__init__(
            f"The database is at migration {present or 'none'}, this version wants {wanted}.",
            next_step="Run `enrollbot db migrate`, or update this replica.",
        )


def checker(db: Database, folder: Path) -> Callable[[], Awaitable[None]]:
    """Return a check that raises `DatabaseNotMigrated` unless the tables are this version's."""
    wanted = ScriptDirectory.from_config(_config(folder)).get_current_head()

    async def check() -> None:
        async with db.read() as session:
            connection = await session.connection()
            present = await connection.run_sync(
                lambda plain: MigrationContext.configure(plain).get_current_revision()
            )
        if present != wanted:
            raise DatabaseNotMigrated(present, wanted)

    return check


def write_revision(url: str, folder: Path, message: str) -> None:
    """Write a migration that takes the database at `url` to the models as they are. Blocks."""
    config = _config(folder)
    with _locked(database_url(url)) as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True)


def _pending(script: ScriptDirectory, present: str | None) -> list[str]:
    known = [revision.revision for revision in script.walk_revisions()][::-1]
    if present is None:
        return known
    if present not in known:
        raise DatabaseNewer(present)
    return known[known.index(present) + 1 :]


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url)
    make_folder(url)
    options = {"timeout": LOCK_TIMEOUT_S, "isolation_level": None}
    return sa.create_engine(url.set(drivername="sqlite"), connect_args=options)


@contextmanager
def _locked(url: URL) -> Iterator[sa.Connection]:
    """Open one transaction that no other replica's migration can share."""
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                # Batch mode drops and rebuilds tables; with foreign keys on that would delete rows.
                # The pragma has no effect inside a transaction, so it comes first.
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
            else:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
            yield connection
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("COMMIT")
            connection.commit()
    finally:
        engine.dispose()


def _check_references(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise MigrationBreaksReferences(len(broken))
