"""The whole bot between the stand-ins, over HTTP, in one process: what people do, start to end."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from bot.devices.jobs import LOOK_EVERY
from bot.kit.secrets import generate_key
from bot.main import Bot, assemble, services
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.serving import serving
from bot.sandbox.slack import people
from bot.sandbox.slack.standin import SlackStandIn
from bot.sandbox.visitor import Visitor
from bot.settings import Settings
from tests.fakes.clock import FakeClock


@dataclass
class House:
    """A running bot, the services around it, and three people: admin, operator, guest."""

    bot: Bot
    apple: AppleStandIn
    slack: SlackStandIn
    clock: FakeClock
    ana: Visitor
    ben: Visitor
    cleo: Visitor

    async def add_token(self, name: str, *, devices: int) -> None:
        """Do what an admin does to add a token, without looking at each step."""
        self.apple.create_server(name, devices=devices)
        await self.ana.types(f"/enroll token add {name} --apple-id ade@example.com --agree")
        certificate = await self.ana.downloads(f"{name}.pem")
        self.apple.upload_certificate(name, certificate)
        file_name, content = self.apple.generate_token(name)
        await self.ana.types(f"/enroll token upload {name}")
        await self.ana.uploads("Server token (.p7m)", file_name, content, submit=True)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is under way, and do what became due, a few seconds later."""
        await self.bot.services.background.idle()
        self.clock.move(LOOK_EVERY)
        for job in ("devices.syncs", "devices.schedule", "tokens.account"):
            await self.bot.jobs.run_due(job)
        await self.bot.services.background.idle()


@contextlib.asynccontextmanager
async def open_house(database_url: str, clock: FakeClock) -> AsyncIterator[House]:
    async with contextlib.AsyncExitStack() as stack:
        apple = AppleStandIn(clock)
        stack.callback(apple.close)
        apple.create_organisation("Example Trust")
        slack = SlackStandIn(clock)
        slack.base_url = await stack.enter_async_context(serving(slack.app))
        stack.push_async_callback(slack.close)
        settings = Settings(
            slack_bot_token=SecretStr(slack.bot_token),
            slack_signing_secret=SecretStr(slack.signing_secret),
            slack_api_url=slack.api_url,
            dep_url=await stack.enter_async_context(serving(apple.app)),
            database_url=SecretStr(database_url),
            encryption_keys=SecretStr(generate_key()),
            admins=[people.ANA],
            default_role="operator",
            channel=people.ENROLLMENT_CHANNEL,
        )
        wired = await stack.enter_async_context(services(settings, clock=clock))
        bot = assemble(wired)
        stack.push_async_callback(bot.slack.close)
        bot_url = await stack.enter_async_context(serving(bot.web))
        slack.bot_url = f"{bot_url}/slack/events"
        stack.push_async_callback(wired.background.drain, 5)
        ana, ben, cleo = (Visitor(slack, name) for name in ("ana", "ben", "cleo"))
        yield House(bot, apple, slack, clock, ana, ben, cleo)


@pytest.fixture
async def house(sqlite_url: str, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(sqlite_url, clock) as running:
        yield running


@pytest.fixture
async def house_on_both(database_url: str, clock: FakeClock) -> AsyncIterator[House]:
    async with open_house(database_url, clock) as running:
        yield running
