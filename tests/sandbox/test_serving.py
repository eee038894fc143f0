"""What becomes of connections and calls when a served application ends."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from bot.sandbox import serving


class Slow:
    """Answers when it may; tells when it was called, and whether it was let finish."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.may = asyncio.Event()
        self.answered = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await Request(scope, receive).body()
        self.called.set()
        await self.may.wait()
        await PlainTextResponse("done")(scope, receive, send)
        self.answered = True


async def test_a_call_under_way_is_answered_before_the_end() -> None:
    app = Slow()
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        async with serving.serving(app) as url:
            call = asyncio.create_task(client.get(url))
            await app.called.wait()
            asyncio.get_running_loop().call_soon(app.may.set)
        assert app.answered
        assert (await call).text == "done"


async def test_a_call_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE_S", 0.01)
    app = Slow()
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        async with serving.serving(app) as url:
            call = asyncio.create_task(client.get(url))
            await app.called.wait()
        assert (await call).status_code == 500
    assert not app.answered


async def test_a_connection_that_is_kept_open_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "GRACE_S", 60)
    app = Slow()
    app.may.set()
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        async with asyncio.timeout(10), serving.serving(app) as url:
            assert (await client.get(url)).text == "done"
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
