# ruff: noqa: T201 - a benchmark prints
"""How long an approved request takes, beside a bare loop that makes the same calls and keeps nothing.

Usage: python -m tests.bench.bench_assign [DEVICES] [DATABASE_URL]
Prints figures, never fails. For each thousand devices the service is asked three times: what they carry,
to give them the profile, and what they carry then. It is a process of its own on loopback, once without
delay, where all that counts is our own work, and once with 100 ms a call, as over the internet. "held" is
for how long at most nobody else was answered by our process.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pydantic import SecretStr

from bot.apple.token_file import make_key_pair
from bot.assignments import blocks
from bot.assignments.facts import RequestView
from bot.assignments.models import Action, Outcome
from bot.backend.profile import ProfileSettings
from bot.kit.actor import Actor, Rights, Role
from bot.kit.clock import SystemClock
from bot.kit.secrets import generate_key
from bot.main import Services, services
from bot.settings import Settings
from tests.bench.bench_sync import PAGE, Took, device_json, wait_for
from tests.fakes.p7m import cms, mime, token_text

Json = dict[str, Any]
ANA = Actor("U0ANA", rights=Rights.of(Role.ADMIN))
BEN = Actor("U0BEN", rights=Rights.of(Role.OPERATOR))
PROFILE = "9A5A66952E0998C09434F62E0CFDC351"
ACCOUNT = {"server_uuid": "AB", "server_name": "paris", "org_name": "Example Trust", "org_id": "66"}
DELAYS_MS = (0, 100)


class World:
    """What the service knows: which profile each device carries, and how often it was asked for what."""

    def __init__(self, devices: int) -> None:
        self.calls: Counter[str] = Counter()
        self._known = {each["serial_number"]: each for each in map(device_json, range(devices))}
        self._serials = list(self._known)
        self._carried: dict[str, str] = {}
        self._answers: dict[str, Callable[[Json], Json]] = {
            "/server/devices": self._page,
            "/devices": lambda asked: {"devices": {each: self._shown(each) for each in asked["devices"]}},
            "/profile/devices": self._give,
            "/profile": lambda _: {"profile_uuid": PROFILE, "devices": {}},
        }

    def answer(self, path: str, asked: Json) -> Json:
        self.calls[path] += 1
        known = self._answers.get(path)
        return known(asked) if known is not None else {"auth_session_token": "bench"} | ACCOUNT

    def _page(self, asked: Json) -> Json:
        start = int(asked.get("cursor") or 0)
        page = [self._shown(serial) for serial in self._serials[start : start + PAGE]]
        for each in page:
            del each["response_status"]
        more = start + PAGE < len(self._serials)
        return {"devices": page, "cursor": str(start + PAGE), "more_to_follow": more}

    def _give(self, asked: Json) -> Json:
        self._carried.update(dict.fromkeys(asked["devices"], asked["profile_uuid"]))
        return {"devices": dict.fromkeys(asked["devices"], "SUCCESS")}

    def _shown(self, serial: str) -> Json:
        own = {key: value for key, value in self._known[serial].items() if not key.startswith("profile_")}
        own |= {"response_status": "SUCCESS", "profile_status": "empty"}
        if serial in self._carried:
            own |= {"profile_status": "assigned", "profile_uuid": self._carried[serial]}
        return own


def serve(port: int, devices: int, delay_ms: int) -> None:
    """Be the service, which says at `/calls` what it was asked since it was last asked that."""
    world = World(devices)

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(dict(world.calls) if self.path == "/calls" else world.answer(self.path, {}))
            if self.path == "/calls":
                world.calls.clear()

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/server/devices":
                time.sleep(delay_ms / 1000)
            self._send(world.answer(self.path, asked))

        def _send(self, told: Json) -> None:
            body = json.dumps(told).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    ThreadingHTTPServer(("127.0.0.1", port), Service).serve_forever()


async def bare(url: str, devices: int) -> Took:
    """Make the same calls one after the other, read the answers, and keep nothing."""
    serials = sorted(device_json(number)["serial_number"] for number in range(devices))
    began = Took.now()
    async with httpx.AsyncClient(base_url=url) as client:
        for first in range(0, devices, PAGE):
            some = serials[first : first + PAGE]
            (await client.post("/devices", json={"devices": some})).json()
            order = {"profile_uuid": "B" * 32, "devices": some}
            (await client.post("/profile/devices", json=order)).json()
            (await client.post("/devices", json={"devices": some})).json()
    return Took.since(began)


@asynccontextmanager
async def furnished(url: str, database: str) -> AsyncIterator[Services]:
    """Open the services with a token whose devices are synced."""
    settings = Settings(
        dep_url=url,
        database_url=SecretStr(database),
        encryption_keys=SecretStr(generate_key()),
        admins=[ANA.id],
        channel="C0ENROLL",
        default_role="operator",
    )
    async with services(settings) as made:
        now = SystemClock().now()
        pair = make_key_pair("paris", now=now)
        file = mime(cms(token_text(now + timedelta(days=300)), pair.certificate_pem))
        imported = await made.tokens.import_token(
            "paris",
            actor=ANA,
            private_key_pem=pair.private_key_pem,
            certificate_pem=pair.certificate_pem.encode(),
            token_file=file,
            agreed=True,
        )
        await made.devices.take_wishes()
        for sync_id in await made.devices.due_syncs():
            await made.devices.run_sync(sync_id)
        draft = await made.profiles.drafts.open_new(
            ANA,
            token_id=imported.token.id,
            settings=ProfileSettings(name="Sales iPad", mdm_url="https://mdm.example.com/enroll"),
        )
        await made.profiles.drafts.begin_sending(draft.id, ANA)
        await made.profiles.define(draft.id, actor=ANA)
        yield made


async def calls_of(url: str) -> Counter[str]:
    """Return what the service was asked since the last time."""
    async with httpx.AsyncClient() as client:
        return Counter((await client.get(f"{url}/calls")).json())


class Step(NamedTuple):
    """What one step took, and for how long at most nobody else was answered meanwhile, in seconds."""

    took: Took
    held: float


@asynccontextmanager
async def step(name: str, steps: dict[str, Step]) -> AsyncIterator[None]:
    """Measure a step, and how late something else that is due every 5 ms gets its turn."""
    late = 0.0

    async def wait_for_turns() -> None:
        nonlocal late
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            late = max(late, time.perf_counter() - due)

    waiting = asyncio.create_task(wait_for_turns())
    await asyncio.sleep(0)
    began = Took.now()
    yield
    took = Took.since(began)
    await asyncio.sleep(0.01)
    waiting.cancel()
    steps[name] = Step(took, late)


async def ours(url: str, database: str, devices: int) -> tuple[dict[str, Step], Counter[str]]:
    """Ask, send, approve, and carry out; how long each took, and what the service was asked meanwhile."""
    steps: dict[str, Step] = {}
    serials = [device_json(number)["serial_number"] for number in range(devices)]
    async with furnished(url, database) as made:
        service = made.assignments
        (profile,) = await made.profiles.list_profiles(actor=ANA)
        async with step("preview", steps):
            view = await service.preview(Action.ASSIGN, actor=BEN, profile=profile, serials=serials)
        async with step("sent", steps):
            await service.send(view.id, actor=BEN, typed=str(devices))
        async with step("approved", steps):
            await service.approve(view.id, actor=ANA)
        await calls_of(url)
        async with step("carried out", steps):
            ended: RequestView | None = await service.run(
                view.id, show=lambda _: None, is_stopping=lambda: False
            )
        assert ended is not None
        assert ended.outcomes == {Outcome.SUCCESS: devices}
        calls = await calls_of(url)
        async with step("all results", steps):
            rows = await service.results(view.id, actor=ANA)
            await asyncio.to_thread(blocks.results_csv, rows, texts=service.texts)
        await made.background.drain(30)
    return steps, calls


def measure(devices: int, delay_ms: int, database: str | None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Process(target=serve, args=(port, devices, delay_ms), daemon=True)
    service.start()
    url = f"http://127.0.0.1:{port}"
    wait_for(url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            steps, calls = asyncio.run(
                ours(url, database or f"sqlite:///{Path(folder) / 'bench.db'}", devices)
            )
        reference = asyncio.run(bare(url, devices))
    finally:
        service.terminate()
        service.join()
    least = -(-devices // PAGE)
    print(f"\n{devices:,} devices, {delay_ms} ms a call, {os.cpu_count()} cores")
    print(f"orders: {calls['/profile/devices']} (least: {least}), looks: {calls['/devices']}")
    print(f"{'':<14}{'wall, s':>9}{'work, s':>9}{'held, ms':>10}")
    print(f"{'bare loop':<14}{reference.wall:>9.2f}{reference.work:>9.2f}")
    for name, each in steps.items():
        beside = f"{each.took.wall / reference.wall:>7.2f} x the bare loop" if name == "carried out" else ""
        print(f"{name:<14}{each.took.wall:>9.2f}{each.took.work:>9.2f}{each.held * 1000:>10.0f}{beside}")


def main() -> None:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    database = sys.argv[2] if len(sys.argv) > 2 else None
    # A database that is named is filled once; it has to be empty.
    for delay_ms in DELAYS_MS if database is None else DELAYS_MS[-1:]:
        measure(devices, delay_ms, database)


if __name__ == "__main__":
    main()
