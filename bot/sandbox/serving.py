"""Serve an ASGI application on a loopback port from inside the running loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from bot.kit.listening import listen


class _Server(uvicorn.Server):
    """A server that says when it listens and leaves the signals of the process alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self.leaves = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def main_loop(self) -> None:
        await self.leaves.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on 127.0.0.1 and give its base URL, without a slash at the end.

    Port 0 takes a free one. A port in use raises OSError. The server sends no `Date` of its own, so
    that a stand-in can answer with its clock's. At the end, calls under way get one second.
    """
    listener = listen("127.0.0.1", port)
    config = uvicorn.Config(
        app,
        interface="asgi3",  # uvicorn takes a bound method for something older
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    listens = asyncio.create_task(server.listens.wait())
    try:
        await asyncio.wait({task, listens}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listens.cancel()
        server.leaves.set()
        await task
