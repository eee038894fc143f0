"""The small Web API and the Slack app in front of it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.fakes.clock import FakeClock
from tests.slack.bot import Bot, make_bot
from tests.slack.web_api import WebApi


@pytest.fixture
async def web_api() -> AsyncIterator[WebApi]:
    api = WebApi()
    runner = web.AppRunner(api.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    api.base = f"http://127.0.0.1:{port}"
    yield api
    await runner.cleanup()


@pytest.fixture
async def bot(web_api: WebApi, clock: FakeClock) -> AsyncIterator[Bot]:
    made = await make_bot(web_api, clock)
    yield made
    await made.app.stop()
    await made.background.drain(1.0)
    await made.slack.close()
