"""A web server on loopback that answers by script, also in ways that no web server should."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import msgspec
import pytest


@dataclass(frozen=True)
class Asked:
    """A request as it came. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Fault(Enum):
    DROP = auto()
    """Close the connection without an answer."""
    HALF = auto()
    """Promise the whole body, send half of it and close."""
    STALL = auto()
    """Never answer."""


@dataclass(frozen=True)
class Reply:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def waited_for(self) -> float:
        """How many seconds a client of a test waits: short only where the answer never comes."""
        return 0.1 if self.fault is Fault.STALL else 10.0


def reply_of(request: pytest.FixtureRequest) -> Reply:
    """Return the reply that a test is run with, an everyday one where it names none."""
    callspec = getattr(request.node, "callspec", None)
    reply = callspec.params.get("reply") if callspec else None
    return reply if isinstance(reply, Reply) else Reply()


def json_reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    kind = {"Content-Type": "application/json;charset=UTF8"}
    return Reply(msgspec.json.encode(value), status, {**kind, **(headers or {})})


def word_reply(status: int, word: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer as the enrollment service refuses: a bare word of plain text."""
    return Reply(word.encode(), status, {"Content-Type": "text/plain;Charset=UTF8", **(headers or {})})


Answering = Callable[[Asked], Reply]


class ScriptedHttp:
    """Answers with what `script` holds, in order, and with `otherwise` when it is empty.

    `asked` is everything that came.
    """

    def __init__(self, otherwise: Answering) -> None:
        self.otherwise = otherwise
        self.script: deque[Reply | Answering] = deque()
        self.asked: list[Asked] = []
        self.url = ""
        self._closing = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedHttp"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._closing.set()
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await _read(reader)
        self.asked.append(asked)
        made = self.otherwise if asked.path == "/session" or not self.script else self.script.popleft()
        reply = made if isinstance(made, Reply) else made(asked)
        if reply.fault is Fault.STALL:
            await self._closing.wait()
        if reply.fault in (Fault.DROP, Fault.STALL):
            return False
        head = f"HTTP/1.1 {reply.status} Scripted\r\nContent-Length: {len(reply.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        half = reply.fault is Fault.HALF
        writer.write(head.encode() + b"\r\n" + (reply.body[: len(reply.body) // 2] if half else reply.body))
        await writer.drain()
        return not half


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    path, _, query = target.partition("?")
    return Asked(
        method, path, query, headers, await reader.readexactly(int(headers.get("content-length", 0)))
    )
