"""The devices room behind a real Slack app: commands and buttons over HTTP, syncs by the real jobs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from bot.devices import jobs, slack
from bot.devices.facts import SyncView
from bot.kit.actor import Role
from bot.kit.background import Background
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.kit.secrets import Keyring
from bot.settings import Settings
from bot.slack.blocks import Block
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, Rooms
from tests.slack.bot import Bot, make_bot
from tests.slack.conftest import web_api
from tests.slack.web_api import WebApi

__all__ = ["web_api"]

CHANNEL = "COPS"


class GatedClock(FakeClock):
    """Moves itself on when something sleeps, as long as the gate is open."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.slept = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await self.gate.wait()
        await super().sleep(seconds)


@pytest.fixture
def clock() -> GatedClock:
    return GatedClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC))


@dataclass
class Desk:
    """What a test does and sees. `answers` are what one person saw, `posts` what the channel shows now."""

    bot: Bot
    rooms: Rooms
    jobs: Jobs
    background: Background

    async def type(self, text: str, *, user: str = "UOPER") -> str:
        """Type a command and return the text of its answer; syncs that it starts are not run."""
        await self.bot.command(text, user=user)
        return self.bot.said

    async def type_twice(self, text: str, *, user: str = "UOPER") -> int:
        """Deliver one command twice, past Slack's own check, and return how often it was answered."""
        before = len(self.bot.web.answers)
        fields = self.bot.command_fields(text, user=user)
        for _ in range(2):
            await self.bot.send(urlencode(fields).encode())
            await self.bot.background.idle()
            self.bot.claimed.clear()
        return len(self.bot.web.answers) - before

    async def press(self, element: Block, *, user: str = "UOPER") -> str:
        """Press a button, and return the text of the answer."""
        await self.bot.press(element["action_id"], element.get("value", ""), user=user)
        return self.bot.said

    async def work(self) -> None:
        """Do what the job does every five seconds, to its end."""
        self.rooms.clock.move(jobs.LOOK_EVERY)
        await self.jobs.run_due("devices.syncs")
        await self.background.idle()

    async def synced(self, name: str = "paris") -> SyncView:
        """Return the newest ended sync of a token."""
        token = await self.rooms.tokens.get(name, actor=ADMIN)
        facts = await self.rooms.devices.sync_facts(token.id)
        assert facts.last is not None
        return facts.last

    @property
    def answer(self) -> dict[str, Any]:
        """The last ephemeral answer, whole."""
        return self.bot.web.answers[-1]

    @property
    def posts(self) -> list[dict[str, Any]]:
        """What the channel shows, oldest first."""
        return self.bot.web.messages[CHANNEL][::-1]

    @property
    def directs(self) -> list[str]:
        """The texts of the direct messages to the operator."""
        return [message["text"] for message in self.bot.web.messages["DUOPER"][::-1]]


def shown(message: dict[str, Any]) -> str:
    """Every text that the blocks of a message show."""
    return "\n".join(_texts(message.get("blocks", [])))


def buttons(message: dict[str, Any]) -> dict[str, Block]:
    """The buttons of a message, by what they say."""
    found: dict[str, Block] = {}
    for block in message.get("blocks", []):
        elements = block.get("elements", []) if block["type"] == "actions" else []
        elements = [*elements, *([block["accessory"]] if "accessory" in block else [])]
        found |= {element["text"]["text"]: element for element in elements}
    return found


def _texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for each in node for text in _texts(each)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if isinstance(node.get("text"), str) else []
    return own + [text for each in node.values() for text in _texts(each)]


async def _desk(
    web_api: WebApi, db: Database, clock: FakeClock, keyring: Keyring, *, channel: str | None
) -> AsyncIterator[Desk]:
    bot = await make_bot(web_api, clock)
    bot.roles["UOPER"] = Role.OPERATOR
    web_api.add_user("UOPER")
    web_api.add_user("UADMIN")
    settings = Settings(channel=channel, admins=["UADMIN"])
    rooms = Rooms.open(db, clock, keyring, settings=settings)
    background = Background()
    regular = Jobs(db, clock, background)
    slack.register(bot.router, rooms.devices, clock=clock)
    jobs.register(regular, rooms.devices, poster=bot.slack.poster, background=background, settings=settings)
    yield Desk(bot, rooms, regular, background)
    await bot.app.stop()
    await bot.background.drain(1.0)
    await background.drain(1.0)
    await bot.slack.close()


@pytest.fixture
async def desk(
    web_api: WebApi, sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> AsyncIterator[Desk]:
    """A desk with a channel, on SQLite."""
    async for made in _desk(web_api, sqlite_database, clock, keyring, channel=CHANNEL):
        yield made


@pytest.fixture
async def desk_on_both(
    web_api: WebApi, database: Database, clock: FakeClock, keyring: Keyring
) -> AsyncIterator[Desk]:
    """A desk with a channel, on SQLite and on PostgreSQL in turn."""
    async for made in _desk(web_api, database, clock, keyring, channel=CHANNEL):
        yield made


@pytest.fixture
async def desk_without_channel(
    web_api: WebApi, sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> AsyncIterator[Desk]:
    async for made in _desk(web_api, sqlite_database, clock, keyring, channel=None):
        yield made
