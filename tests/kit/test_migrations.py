"""The migrations make just the tables that the models describe, on both databases."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bot.kit import migrations
from bot.kit.db import Database, Table
from bot.migrations import FOLDER
from tests.tables import import_all_models

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "0017"
loses_data = {loses_data}


def upgrade() -> None:
    {body}
"""


def folder_with_another_revision(tmp_path: Path, *, body: str, loses_data: bool = False) -> Path:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for source in (FOLDER / "env.py", *(FOLDER / "versions").glob("*.py")):
        target = folder / source.relative_to(FOLDER)
        target.write_text(source.read_text())
    text = REVISION.format(loses_data=loses_data, body=body)
    (folder / "versions" / "9999_another.py").write_text(text)
    return folder


async def test_the_migrations_make_just_the_tables_that_the_models_describe(database_url: str) -> None:
    import_all_models()
    applied = await asyncio.to_thread(migrations.upgrade, database_url, FOLDER)
    db = Database.open(database_url)

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Table.metadata))

    async with db.begin() as session:
        found = await (await session.connection()).run_sync(differences)
    await db.close()
    assert found == []
    assert applied[0] == "0001"


async def test_a_second_upgrade_has_nothing_to_do(database_url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, database_url, FOLDER)
    assert await asyncio.to_thread(migrations.upgrade, database_url, FOLDER) == []


async def test_two_replicas_that_start_at_once_migrate_once(postgres_url: str) -> None:
    both = await asyncio.gather(
        *[asyncio.to_thread(migrations.upgrade, postgres_url, FOLDER) for _ in range(2)]
    )
    assert sorted(len(applied) > 0 for applied in both) == [False, True]


async def test_a_migration_that_loses_data_runs_only_when_allowed(database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrations.upgrade, database_url, FOLDER)
    folder = folder_with_another_revision(tmp_path, body='op.drop_table("claimed")', loses_data=True)
    with pytest.raises(migrations.MigrationLosesData, match="9999"):
        await asyncio.to_thread(migrations.upgrade, database_url, folder)
    allowed = await asyncio.to_thread(migrations.upgrade, database_url, folder, allow_data_loss=True)
    assert allowed == ["9999"]


async def test_a_failed_migration_leaves_the_database_as_it_was(database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrations.upgrade, database_url, FOLDER)
    body = 'op.drop_table("claimed"); op.execute("SELECT 1 FROM nowhere")'
    folder = folder_with_another_revision(tmp_path, body=body)
    with pytest.raises(sa.exc.DBAPIError):
        await asyncio.to_thread(migrations.upgrade, database_url, folder)
    db = Database.open(database_url)
    async with db.read() as session:
        assert (await session.execute(sa.text("SELECT count(*) FROM claimed"))).scalar_one() == 0
    await migrations.checker(db, FOLDER)()
    await db.close()


async def test_a_rebuilt_table_keeps_the_rows_that_point_to_it(sqlite_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrations.upgrade, sqlite_url, FOLDER)
    db = Database.open(sqlite_url)
    async with db.begin() as session:
        await session.execute(
            sa.text(
                "INSERT INTO token (id, name, name_key, added_by, added_at, secret_version)"
                " VALUES ('t1', 'paris', 'paris', 'U0ANA', '2026-01-01 00:00:00', 0)"
            )
        )
        await session.execute(sa.text("INSERT INTO token_tag (token_id, tag) VALUES ('t1', 'emea')"))
    await db.close()
    body = (
        'with op.batch_alter_table("token", recreate="always") as batch:\n'
        '        batch.add_column(sa.Column("colour", sa.String(), nullable=True))'
    )
    await asyncio.to_thread(migrations.upgrade, sqlite_url, folder_with_another_revision(tmp_path, body=body))
    db = Database.open(sqlite_url)
    async with db.read() as session:
        assert (await session.execute(sa.text("SELECT tag FROM token_tag"))).scalars().all() == ["emea"]
        assert (await session.execute(sa.text("SELECT name FROM token"))).scalars().all() == ["paris"]
    await db.close()


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str, tmp_path: Path) -> None:
    folder = folder_with_another_revision(tmp_path, body="pass")
    await asyncio.to_thread(migrations.upgrade, database_url, folder)
    with pytest.raises(migrations.DatabaseNewer, match="9999"):
        await asyncio.to_thread(migrations.upgrade, database_url, FOLDER)
    db = Database.open(database_url)
    with pytest.raises(migrations.DatabaseNotMigrated, match="9999"):
        await migrations.checker(db, FOLDER)()
    await db.close()
