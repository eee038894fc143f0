# ruff: noqa: T201 - a benchmark prints
"""How long a look for what is wrong takes: 50 tokens, 10 content tokens of 300 apps, on a SQLite file.

It is done every ten seconds. Usage: python -m tests.bench.bench_alerts
Prints figures, never fails.
"""

import asyncio
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

from bot.alerts import gathering
from bot.alerts.service import AlertService
from bot.backend.profile import Authentication, ProfileSettings
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.settings import Settings
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.content import count
from tests.fakes.rooms import ADMIN, Rooms
from tests.tables import create_tables

TOKENS = 50
PROFILES_EACH = 2
CONTENT_TOKENS = 10
APPS = 300
DEVICES_EACH = 200
TIMES = 30


async def fill(rooms: Rooms) -> None:
    """Have what a large house has: every third token needs Company Portal, every tenth app is low."""
    content_ids = []
    for number in range(CONTENT_TOKENS):
        location = rooms.content.location(f"Location {number}")
        location.has(*(count(str(1000 + each), 100, 95 if each % 10 == 0 else 10) for each in range(APPS)))
        stored = await rooms.licenses.installing.add(
            f"content-{number}", location.download(), actor=ADMIN, way="bench"
        )
        content_ids.append(stored.content_token.id)
    # One where all apps have a threshold.
    await rooms.licenses.set_threshold(content_ids[0], actor=ADMIN, typed="20")
    for number in range(TOKENS):
        server, token = await rooms.add_token(f"token-{number}")
        uuid = ""
        for each in range(PROFILES_EACH):
            given = ProfileSettings(name=f"Profile {each}", mdm_url="https://mdm.example.com")
            if number % 3 == 0 and each == 0:
                given = ProfileSettings(
                    name=given.name,
                    mdm_url=given.mdm_url,
                    user_affinity=True,
                    authentication=Authentication.COMPANY_PORTAL,
                    content_token=content_ids[number % CONTENT_TOKENS],
                )
            draft = await rooms.profiles.drafts.open_new(ADMIN, token_id=token.id, settings=given)
            await rooms.profiles.drafts.begin_sending(draft.id, ADMIN)
            uuid = (await rooms.profiles.define(draft.id, actor=ADMIN)).profile.profile_uuid
        facts = {"profile_uuid": uuid, "profile_status": "assigned"}
        server.put(*(device(f"T{number}D{each}", **facts) for each in range(DEVICES_EACH)))
    await rooms.run_all()


async def measure(url: str) -> None:
    db = Database.open(url)
    clock = FakeClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC))
    await create_tables(db)
    settings = Settings(channel="COPS")
    rooms = Rooms.open(db, clock, Keyring([b"k" * 32]), settings=settings)
    await fill(rooms)
    looking = gathering.Gathering(
        gathering.Rooms(
            tokens=rooms.tokens,
            devices=rooms.devices,
            profiles=rooms.profiles,
            licenses=rooms.licenses,
            deadlines=rooms.deadlines,
            assignments=rooms.assignments,
            access=rooms.access,
        ),
        clock=clock,
        settings=settings,
    )
    alerts = AlertService(
        db=db,
        clock=clock,
        audit=rooms.audit,
        tokens=rooms.tokens,
        licenses=rooms.licenses,
        deadlines=rooms.deadlines,
        gathering=looking,
        settings=settings,
    )
    await alerts.look()
    taken: dict[str, list[float]] = {"gathered": [], "written": [], "listed as untold": []}
    for _ in range(TIMES):
        clock.move(timedelta(seconds=10))
        began = perf_counter()
        gathered = await looking.look()
        looked = perf_counter()
        await alerts.apply(gathered)
        written = perf_counter()
        await alerts.untold()
        lengths = (looked - began, written - looked, perf_counter() - written)
        for name, length in zip(taken, lengths, strict=True):
            taken[name].append(length * 1000)
    opened = len(await alerts.open_alerts(actor=ADMIN))
    await db.close()
    told = f"a look, {TOKENS} tokens, {CONTENT_TOKENS} x {APPS} apps, {opened} alerts, {db.dialect}, ms"
    print(f"\n{told:<72}{'median':>8}{'worst':>8}")
    for name, each in taken.items():
        print(f"{name:<72}{statistics.median(each):>8.1f}{max(each):>8.1f}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(f"sqlite:///{Path(folder) / 'bench.db'}"))


if __name__ == "__main__":
    main()
