"""Serve an ASGI application on a loopback port from inside the running loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bot.kit.listening import listen

#: What calls under way get at the end, in seconds.
GRACE_S = 1.0


class _Connections(set[Any]):
    """The open connections; `none` is set while there are none. uvicorn would look ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.none = asyncio.Event()
        self.none.set()

    def add(self, connection: Any) -> None:
        super().add(connection)
        self.none.clear()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        if not self:
            self.none.set()


class _Server(uvicorn.Server):
    """A server that says when it listens, ends without delay and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self.leaves = asyncio.Event()
        self._connections = _Connections()
        self.server_state.connections = self._connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def main_loop(self) -> None:
        await self.leaves.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self._connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(GRACE_S):
                await self._connections.none.wait()
                await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()

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
