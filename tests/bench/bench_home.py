# ruff: noqa: T201 - a benchmark prints
"""How long the Home tab takes to be made: 50 tokens, 100,000 devices, on a SQLite file.

Usage: python -m tests.bench.bench_home [DEVICES]
Prints figures, never fails.
"""

import asyncio
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from bot.home import glance_blocks
from bot.home.service import HomeService
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, NoAlerts, NoLicences, Rooms
from tests.tables import create_tables

TOKENS = 50
TIMES = 30


async def measure(devices: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Database.open(f"sqlite:///{Path(folder) / 'bench.db'}")
        await create_tables(db)
        rooms = Rooms.open(db, FakeClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC)), Keyring([b"k" * 32]))
        for number in range(TOKENS):
            server, _ = await rooms.add_token(f"token-{number}")
            server.put(*[device(f"T{number}D{each}") for each in range(devices // TOKENS)])
            await rooms.run_all()
        home = HomeService(
            tokens=rooms.tokens,
            devices=rooms.devices,
            profiles=rooms.profiles,
            licenses=NoLicences(),
            alerts=NoAlerts(),
            assignments=rooms.assignments,
        )
        taken = []
        for _ in range(TIMES):
            began = perf_counter()
            glance = await home.glance(actor=ADMIN)
            view = glance_blocks.home_tab(
                glance, texts=home.texts, rights=ADMIN.rights, slash="/enroll", now=rooms.clock.now()
            )
            taken.append((perf_counter() - began) * 1000)
        await db.close()
    told = f"the Home tab, {TOKENS} tokens, {devices:,} devices, ms"
    print(f"\n{told:<56}{'median':>8}{'worst':>8}")
    blocks = len(view["blocks"])
    print(f"{f'made, {blocks} blocks':<56}{statistics.median(taken):>8.1f}{max(taken):>8.1f}")


def main() -> None:
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))


if __name__ == "__main__":
    main()
