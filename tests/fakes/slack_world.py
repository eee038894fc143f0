"""A Slack stand-in and a tiny bot, both on real HTTP, with `slack_sdk` between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.serving import serving
from bot.sandbox.slack import SlackStandIn
from bot.sandbox.visitor import Visitor
from tests.fakes.clock import FakeClock
from tests.fakes.tiny_bot import TinyBot

Json = dict[str, Any]


@dataclass
class SlackWorld:
    """What a test of the stand-in works with. `slack` speaks as the bot does."""

    clock: FakeClock
    standin: SlackStandIn
    bot: TinyBot
    slack: AsyncWebClient

    def visitor(self, person: str = "ana") -> Visitor:
        return Visitor(self.standin, person)

    async def refusal(self, method: str, **arguments: Any) -> tuple[str, list[str]]:
        """Call a method that must be refused; returns Slack's word and its details."""
        try:
            await self.slack.api_call(method, json=arguments)
        except SlackApiError as error:
            body: Json = error.response.data
            return body["error"], body.get("response_metadata", {}).get("messages", [])
        raise AssertionError(f"{method} was not refused")


@asynccontextmanager
async def slack_world(
    clock: FakeClock, *, folder: Path | None = None, port: int = 0, **settings: Any
) -> AsyncIterator[SlackWorld]:
    """Serve a stand-in and a tiny bot until the end of the block."""
    standin = SlackStandIn(clock, folder=folder, **settings)
    bot = TinyBot(clock, signing_secret=standin.signing_secret)
    async with serving(standin.app, port=port) as standin_url, serving(bot.app) as bot_url:
        standin.base_url = standin_url
        standin.bot_url = f"{bot_url}/slack/events"
        try:
            yield SlackWorld(clock, standin, bot, AsyncWebClient(standin.bot_token, base_url=standin.api_url))
        finally:
            await standin.close()
