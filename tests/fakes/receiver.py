"""A receiver on loopback that keeps what it was sent, and answers as it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.sandbox.serving import serving


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`statuses` are the answers to come, 200 when there are none left; a 307 leads to /elsewhere."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    hangs: asyncio.Event | None = None

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        self.received.append(Received(request.method, request.url.path, dict(request.headers), body))
        if self.hangs is not None:
            await self.hangs.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return RedirectResponse("/elsewhere") if status == 307 else Response(status_code=status)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver._answer, methods=["GET", "POST"])])
    async with serving(app) as url:
        receiver.url = f"{url}/planted-secret-path"
        yield receiver
