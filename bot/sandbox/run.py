"""Start the sandbox: the stand-ins in this process, the unmodified bot in one of its own.

Only base addresses, credentials and the clock given to the bot differ from `enrollbot run`.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.sandbox import offers
from bot.sandbox.apple import content_service
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.behind.requests import Requests
from bot.sandbox.behind.switches import Switches
from bot.sandbox.behind.web import Behind
from bot.sandbox.clock import MovedClock
from bot.sandbox.furnish import furnish
from bot.sandbox.seed import READY, seed
from bot.sandbox.serving import serving
from bot.sandbox.slack import people
from bot.sandbox.slack.page import Offered
from bot.sandbox.slack.standin import SlackStandIn
from bot.sandbox.tour import first_visit
from bot.settings import Settings
from bot.slack.manifest import EVENTS, SCOPES

Json = dict[str, Any]

SLASH = "/enroll"
MOST_DEVICES = 1_000_000
_RESTARTS = 5
_READY_WITHIN_S = 60
_STOP_WITHIN_S = 20
#: Made by the sandbox in its folder; `--fresh` deletes it and looks at nothing else.
_MARK = "sandbox.json"
#: How far the sandbox's time is ahead, for the bot and the stand-ins alike.
_CLOCK = "clock.json"
#: What tells `bot.sandbox.bot` that the clock was moved.
_MOVED = signal.SIGUSR1


class PortTaken(EnrollbotError):
    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is in use, perhaps by another sandbox.",
            next_step=f"Stop that, or choose another: make run PORT={port + 1}",
        )


class BotFailed(EnrollbotError):
    def __init__(self, what: str) -> None:
        super().__init__(
            f"The bot inside the sandbox {what}; what it said is above.",
            next_step="Nothing is lost: start the sandbox again, or anew with --fresh.",
        )


class NotASandbox(EnrollbotError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} holds something else than a sandbox, so it is left alone.",
            next_step="Name another folder in ENROLLBOT_SANDBOX_FOLDER.",
        )


def default_folder() -> Path:
    """Return where the sandbox keeps its state: never in the working tree."""
    if named := os.environ.get("ENROLLBOT_SANDBOX_FOLDER"):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "enrollbot" / "sandbox"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that runs. `url` is the page, `environment` what the bot was started with."""

    url: str
    abm_url: str
    apple: AppleStandIn
    slack: SlackStandIn
    environment: Mapping[str, str]
    bot: "BotProcess"
    clock: MovedClock

    def move_clock(self, length: timedelta) -> datetime:
        """Move the time of the bot and of the stand-ins ahead; the bot does at once what is due then."""
        now = self.clock.move(length)
        self.slack.clock_moved()
        self.bot.look_at_the_clock()
        return now


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options; `start` takes what they were."""
    parser.add_argument("--devices", type=_count, default=3000, metavar="N", help="devices at first (3000)")
    parser.add_argument("--port", type=int, default=3000, help="port of the page (3000)")
    parser.add_argument("--fresh", action="store_true", help="forget what was done in the sandbox before")


def start(options: argparse.Namespace) -> None:
    """Run the sandbox until it is interrupted."""
    asyncio.run(_run(port=options.port, devices=options.devices, fresh=options.fresh))


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= MOST_DEVICES:
        raise argparse.ArgumentTypeError(f"between 0 and {MOST_DEVICES:,}")
    return number


async def _run(*, port: int, devices: int, fresh: bool) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    print("Starting the sandbox.", flush=True)
    async with sandbox(port=port, devices=devices, fresh=fresh) as box:
        print(f"\n  The sandbox is ready:   {box.url}", flush=True)
        print(f"  Apple Business Manager: {box.abm_url}", flush=True)
        print("\nOpen the first address, type /enroll, and stop with Ctrl+C.", flush=True)
        keeping = asyncio.create_task(_keep_running(box))
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({keeping, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not keeping.done():
            keeping.cancel()
        elif not stopping.is_set():
            await keeping
    print("Stopped. What you did is kept for the next time.", flush=True)


async def _keep_running(box: Sandbox) -> None:
    """Start the bot again when it ends by itself, as a service manager would. Raises `BotFailed`."""
    for _ in range(_RESTARTS):
        await box.bot.ended()
        box.slack.is_bot_up = False
        print("The bot has ended by itself; starting it again.", flush=True)
        await box.bot.start()
        box.slack.is_bot_up = True
    await box.bot.ended()
    raise BotFailed(f"has ended {_RESTARTS + 1} times")


@contextlib.asynccontextmanager
async def sandbox(
    *,
    port: int = 0,
    devices: int = 3000,
    fresh: bool = False,
    folder: Path | None = None,
    plain: bool = False,
) -> AsyncIterator[Sandbox]:
    """Run a sandbox for the length of the block; port 0 is a free one.

    A new one that is `plain` has the expiring token and its devices alone.
    """
    place = folder or default_folder()
    key = _prepare(place, fresh=fresh)
    clock = MovedClock(place / _CLOCK)
    async with contextlib.AsyncExitStack() as stack:
        apple = AppleStandIn(clock, folder=place / "apple")
        stack.callback(apple.close)
        files = await asyncio.to_thread(seed, apple, devices=devices, plain=plain)
        apple_url = await stack.enter_async_context(serving(apple.app))
        bot_port = _free_port()
        settings = Settings.load({"ENROLLBOT_COMMAND": SLASH, "ENROLLBOT_ENCRYPTION_KEYS": key})
        commands = await offers.slash_commands(settings)
        slack = SlackStandIn(
            clock,
            folder=place / "slack",
            bot_url=f"http://127.0.0.1:{bot_port}/slack/events",
            commands=commands,
            shortcuts=offers.shortcuts(settings),
            links={"abm_url": f"{apple_url}/abm"},
            scopes=list(SCOPES),
            events=EVENTS,
        )
        slack.is_bot_up = False
        requests = Requests(apple, slack)
        page_url = await stack.enter_async_context(_page(slack, port))
        slack.base_url = page_url
        stack.push_async_callback(slack.close)
        environment = _environment(place, slack, apple_url=apple_url, bot_port=bot_port, key=key)
        settings, groups = Settings.load(environment), slack.workspace.groups
        if files:
            await furnish(settings, clock, files=files, apple=apple, groups=groups)
        bot = await stack.enter_async_context(_bot(environment, bot_port, clock_file=place / _CLOCK))
        role_of = await stack.enter_async_context(
            offers.roles(settings, clock, users=slack.workspace.users, groups=groups)
        )
        server_url = f"{apple_url}/abm/servers/{apple.server(READY).server_uuid}"
        slack.page.offered = _offered(role_of, commands=commands, server_url=server_url)
        _remember(place, seeded=True)
        box = Sandbox(page_url, f"{apple_url}/abm", apple, slack, environment, bot, clock)
        switches = Switches(apple, slack=slack.faults, clock=clock, move_clock=box.move_clock)
        slack.serve_also(Behind(switches, requests, closing=slack.closing).routes())
        slack.is_bot_up = True
        yield box


def _offered(role_of: offers.RoleOf, *, commands: list[Json], server_url: str) -> Offered:
    async def offered(person: str) -> Json:
        role = await role_of(person)
        visit = first_visit(slash=SLASH, token=READY, server_url=server_url, is_admin=role >= Role.ADMIN)
        return {"commands": offers.allowed(commands, role), "first_visit": visit}

    return offered


def _prepare(folder: Path, *, fresh: bool) -> str:
    """Make the folder, emptied if `fresh` or never filled to the end, and return its encryption key."""
    mark = folder / _MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise NotASandbox(folder)
    if mark.exists() and (fresh or not json.loads(mark.read_text())["seeded"]):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not mark.exists():
        mark.touch(mode=0o600)
        _remember(folder, encryption_key=base64.urlsafe_b64encode(os.urandom(32)).decode(), seeded=False)
    key: str = json.loads(mark.read_text())["encryption_key"]
    return key


def _remember(folder: Path, **facts: object) -> None:
    mark = folder / _MARK
    known = json.loads(mark.read_text() or "{}")
    mark.write_text(json.dumps(known | facts))


def _environment(
    folder: Path, slack: SlackStandIn, *, apple_url: str, bot_port: int, key: str
) -> dict[str, str]:
    """Return what makes the bot talk to the stand-ins: base addresses and credentials, nothing else."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ENROLLBOT_", "SLACK_"))
    }
    return inherited | {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "ENROLLBOT_SLACK_API_URL": slack.api_url,
        "ENROLLBOT_DEP_URL": apple_url,
        "ENROLLBOT_VPP_URL": f"{apple_url}{content_service.BASE}",
        "ENROLLBOT_DATABASE_URL": f"sqlite:///{folder / 'enrollbot.db'}",
        "ENROLLBOT_ENCRYPTION_KEYS": key,
        "ENROLLBOT_ADMINS": people.ANA,
        # Everyone else. Ben approves too, in the group of those who do; Cleo is a guest in this workspace,
        # whom the bot lets see and nothing more.
        "ENROLLBOT_DEFAULT_ROLE": "operator",
        "ENROLLBOT_CHANNEL": people.ENROLLMENT_CHANNEL,
        "ENROLLBOT_APPROVAL_CHANNEL": people.APPROVAL_CHANNEL,
        "ENROLLBOT_COMMAND": SLASH,
        # Whoever tries the bot does so at any hour, and wants to be told at once.
        "ENROLLBOT_WORKING_HOURS": "Mon-Sun 00:00-24:00",
        "ENROLLBOT_HOST": "127.0.0.1",
        "ENROLLBOT_PORT": str(bot_port),
        "ENROLLBOT_PUBLIC_URL": f"http://127.0.0.1:{bot_port}",
        "ENROLLBOT_LOG_FORMAT": "console",
    }


class BotProcess:
    """The bot, as its own process: `enrollbot run` with the clock of `clock_file`, and nothing else."""

    def __init__(self, environment: Mapping[str, str], port: int, *, clock_file: Path) -> None:
        self._environment = dict(environment)
        self._clock_file = clock_file
        self._is_listening = False
        self._url = f"http://127.0.0.1:{port}"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BotFailed("does not run")
        return self._process.pid

    async def start(self) -> None:
        """Start the bot and wait until it says that it is ready. Raises `BotFailed`."""
        self._is_listening = False
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot.sandbox.bot", str(self._clock_file), env=self._environment
        )
        try:
            async with (
                asyncio.timeout(_READY_WITHIN_S),
                httpx.AsyncClient(timeout=5, trust_env=False) as client,
            ):
                while not await self._is_ready(client):  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise BotFailed("is not ready after a minute") from None
        self._is_listening = True

    def look_at_the_clock(self) -> None:
        """Tell the bot that the clock was moved. One that is starting looks by itself."""
        if self._is_listening and self._process is not None and self._process.returncode is None:
            self._process.send_signal(_MOVED)

    async def stop(self) -> None:
        """Stop the bot as an operating system would: SIGTERM, and later SIGKILL."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the bot at once, as a crash would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def ended(self) -> None:
        """Wait until the process ends by itself."""
        if self._process is not None:
            await self._process.wait()

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise BotFailed("did not start")
        try:
            return (await client.get(f"{self._url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.asynccontextmanager
async def _bot(environment: Mapping[str, str], port: int, *, clock_file: Path) -> AsyncIterator[BotProcess]:
    bot = BotProcess(environment, port, clock_file=clock_file)
    try:
        await bot.start()
        yield bot
    finally:
        await bot.stop()


@contextlib.asynccontextmanager
async def _page(slack: SlackStandIn, port: int) -> AsyncIterator[str]:
    try:
        async with serving(slack.app, port=port) as url:
            yield url
    except OSError as error:
        if port and _is_taken(port):
            raise PortTaken(port) from error
        raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
