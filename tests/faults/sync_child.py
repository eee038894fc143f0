"""A bot that does the next of three syncs, and is killed (SIGKILL) before its n-th database statement.

`run` is the life of one process, a fork of the test's: the imports are paid once. N = 0: not killed. Started
again, it goes on where it died. The service's side is made anew in every life, always the same.
"""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.devices.models import Sync
from bot.kit.db import Database
from bot.kit.leases import LeaseRow
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeBackend, FakeServer, device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, Rooms
from tests.tables import create_tables

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
PHASES = 3
PAGE = 500


def populate(server: FakeServer, clock: FakeClock, devices: int, phase: int) -> None:
    """Let everything happen that has happened at the service by this phase."""
    server.put(*[device(f"S{n:06}", model=f"iPad {n % 9}") for n in range(devices)])
    if phase >= 1:
        clock.move(timedelta(days=8))
        server.put(*[device(f"S{n:06}", color="GOLD") for n in range(0, devices, 50)], operation="modified")
        server.take(*[f"S{n:06}" for n in range(7, devices, 97)])
        server.put(*[device(f"T{n:06}") for n in range(devices // 40)])
    if phase >= 2:
        clock.move(timedelta(days=8))
        server.take_silently(*[f"S{n:06}" for n in range(3, devices, 100) if f"S{n:06}" in server.devices])


def kill_before(db: Database, statement: int) -> None:
    """Arrange for this process to die before its n-th statement, of whatever connection."""
    done = [0]

    def count(_sql: str) -> None:
        done[0] += 1
        if done[0] == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    if db.dialect == "postgresql":
        sa.event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *args: count(args[2]))
        return

    @sa.event.listens_for(db.engine.sync_engine, "checkout")
    def trace(connection: Any, *_others: Any) -> None:
        # SQLite itself counts: the statements of a page go past SQLAlchemy.
        connection.driver_connection._conn.set_trace_callback(count)


async def finished(rooms: Rooms) -> int:
    async with rooms.db.read() as session:
        query = sa.select(sa.func.count()).select_from(Sync).where(Sync.state == "finished")  # type: ignore[arg-type]
        return (await session.execute(query)).scalar_one()


async def _outlive_leases(rooms: Rooms) -> None:
    """Begin when the leases of the life before have run out; the database's own clock cannot be moved."""
    await rooms.leases.forget_dead_holders()
    if rooms.db.dialect == "postgresql":
        async with rooms.db.begin() as session:
            await session.execute(sa.update(LeaseRow).values(expires_at=START))


async def life(url: str, statement: int, devices: int) -> None:
    db = Database.open(url)
    if db.dialect == "sqlite":
        await create_tables(db)
    clock = FakeClock(START)
    rooms = Rooms.open(db, clock, Keyring([b"k" * 32]), backend=FakeBackend(clock))
    server = rooms.backend.server("paris", page_size=PAGE)
    if await rooms.tokens.list_tokens(actor=ADMIN):
        server.token_secret = f"AS_planted_{server.uuid}_1"
    else:
        added = await rooms.tokens.add("paris", actor=ADMIN, apple_id="ade@example.com", agreed=True)
        file = server.generate_token(added.certificate.content.decode())
        await rooms.tokens.upload(added.token.id, file, actor=ADMIN)
    phase = await finished(rooms)
    populate(server, clock, devices, phase)
    await _outlive_leases(rooms)
    if statement:
        kill_before(db, statement)
    await rooms.devices.take_wishes()
    if phase and phase < PHASES and not await rooms.devices.due_syncs():
        await rooms.devices.start_sync("paris", actor=ADMIN, full=phase == 2, exempt=True)
    for sync_id in await rooms.devices.due_syncs():
        await rooms.devices.run_sync(sync_id)
    await db.close()


def run(url: str, statement: int, devices: int) -> None:
    asyncio.run(life(url, statement, devices))
