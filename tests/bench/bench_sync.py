# ruff: noqa: T201 - a benchmark prints
"""How fast a full sync is: devices a second, beside a naive store of the same pages in the same run.

Usage: python -m tests.bench.bench_sync [DEVICES] [DATABASE_URL]
Prints figures, never fails. Pages of 1,000 devices are served ready-made on loopback by a process of its
own. The reference is an HTTPX loop with json and sqlite3's executemany, which keeps no history.
"""

import asyncio
import json
import os
import resource
import socket
import sqlite3
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pydantic import SecretStr

from bot.backend.apple import AppleBackend
from bot.devices import store
from bot.devices.models import Sync, SyncKind, SyncState
from bot.devices.syncing import Syncing, Tally, Work
from bot.kit.clock import SystemClock
from bot.kit.db import Database, new_id
from bot.kit.leases import Leases
from bot.tokens.sessions import MemorySessions
from tests.tables import create_tables

PAGE = 1000


def device_json(number: int) -> dict[str, Any]:
    # A multiplier without common factors scatters the serials, as real ones are.
    return {
        "serial_number": f"C{(number * 48_271) % 2_147_483_647:010X}Q",
        "model": ("iPad Air", "iPad mini", "MacBook Pro", "iPhone 16")[number % 4],
        "description": "IPAD AIR WI-FI 128GB SPACE GRAY-USA",
        "color": "SPACE GRAY",
        "os": "iPadOS",
        "device_family": "iPad",
        "profile_status": "assigned",
        "profile_uuid": "C1F123098EB5074580041E69883004C3",
        "profile_assign_time": "2026-01-08T16:49:09Z",
        "device_assigned_by": "ade@example.com",
        "device_assigned_date": "2026-01-05T01:55:30Z",
        "wifi_mac_address": "aa:bb:cc:dd:ee:ff",
    }


def rendered_pages(devices: int) -> list[bytes]:
    starts = range(0, devices, PAGE)
    return [
        json.dumps(
            {
                "devices": [device_json(n) for n in range(start, min(start + PAGE, devices))],
                "cursor": str(index + 1),
                "more_to_follow": start + PAGE < devices,
                "fetched_until": "2026-05-01T09:00:00Z",
            }
        ).encode()
        for index, start in enumerate(starts)
    ]


def serve(port: int, devices: int) -> None:
    pages = rendered_pages(devices)

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b'{"auth_session_token":"bench"}')

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(pages[int(asked.get("cursor") or 0)])

        def _answer(self, body: bytes) -> None:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    ThreadingHTTPServer(("127.0.0.1", port), Service).serve_forever()


class Took(NamedTuple):
    """Seconds by the clock, and of this process's work: the first suffer from whatever else runs."""

    wall: float
    work: float

    @classmethod
    def since(cls, began: "Took") -> "Took":
        return cls(*(end - start for end, start in zip(cls.now(), began, strict=True)))

    @classmethod
    def now(cls) -> "Took":
        return cls(time.perf_counter(), time.process_time())


def naive(url: str, path: Path) -> Took:
    """Store the same pages the simple way."""
    began = Took.now()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    names = list(device_json(0))
    connection.execute(f"CREATE TABLE device ({', '.join(names)}, PRIMARY KEY (serial_number))")
    marks = ", ".join("?" * len(names))
    cursor = None
    with httpx.Client() as client:
        while True:
            page = client.post(f"{url}/server/devices", json={"cursor": cursor}).json()
            rows = [[device.get(name) for name in names] for device in page["devices"]]
            with connection:
                connection.executemany(f"INSERT OR REPLACE INTO device VALUES ({marks})", rows)
            cursor = page["cursor"]
            if not page["more_to_follow"]:
                break
    connection.close()
    return Took.since(began)


async def ours(url: str, database: str) -> list[Took]:
    """Sync everything twice."""
    clock = SystemClock()
    db = Database.open(database)
    await create_tables(db)
    async with AppleBackend.open(url, clock=clock) as backend:
        secret = {
            "consumer_key": "CK_bench",
            "consumer_secret": "CS_bench",
            "access_token": "AT_bench",
            "access_secret": "AS_bench",
            "access_token_expiry": "2099-01-01T00:00:00Z",
        }
        connection = backend.connect(SecretStr(json.dumps(secret)), MemorySessions())
        took = [await one_sync(db, clock, connection), await one_sync(db, clock, connection)]
    await db.close()
    return took


async def one_sync(db: Database, clock: SystemClock, connection: Any) -> Took:
    sync_id, now = new_id(), clock.now()
    row = Sync(
        id=sync_id,
        token_id="bench",
        kind=SyncKind.FULL.value,
        reason="asked",
        state=SyncState.RUNNING.value,
        asked_by="bench",
        started_at=now,
        resumed_at=now,
    )
    async with db.begin() as session:
        await store.add_sync(session, row)
    began = Took.now()
    async with Leases(db, clock).hold("sync:bench") as lease:
        work = Work(
            sync_id=sync_id,
            token_id="bench",
            kind=SyncKind.FULL,
            lease=lease,
            connection=connection,
            full_page_size=PAGE,
            delta_page_size=PAGE,
            service="Apple",
            started_at=now,
            busy_ms=0,
            tally=Tally(),
        )
        await Syncing(work, db=db, clock=clock, is_stopping=lambda: False, show=lambda _: None).run()
    return Took.since(began)


def main() -> None:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Process(target=serve, args=(port, devices), daemon=True)
    service.start()
    url = f"http://127.0.0.1:{port}"
    wait_for(url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            reference = naive(url, Path(folder) / "naive.db")
            database = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder}/ours.db"
            first, second = asyncio.run(ours(url, database))
    finally:
        service.terminate()
        service.join()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{devices:,} devices, pages of {PAGE:,}, {os.cpu_count()} cores, peak {peak_mb:.0f} MB")
    for name, took in (
        ("naive store", reference),
        ("first full sync", first),
        ("second, unchanged", second),
    ):
        print(
            f"{name:<20}{took.wall:7.2f} s {devices / took.wall:>9,.0f}/s {reference.wall / took.wall:6.2f} x"
            f"   work {took.work:6.2f} s {reference.work / took.work:6.2f} x the naive store"
        )


def wait_for(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(f"{url}/session", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
