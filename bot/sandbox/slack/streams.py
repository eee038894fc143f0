"""Answers that are no plain answers: live streams, and one that breaks off."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

KEEP_ALIVE_SECONDS = 15.0


def event(kind: str, data: Any, *, event_id: str | None = None) -> str:
    """Write one Server-Sent Event."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n"


def live(events: AsyncIterator[str], *, closing: asyncio.Event) -> StreamingResponse:
    """Answer with a stream that lasts until the reader goes or the stand-in closes."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_kept_alive(events, closing), media_type="text/event-stream", headers=headers)


async def _kept_alive(events: AsyncIterator[str], closing: asyncio.Event) -> AsyncIterator[str]:
    closed: asyncio.Future[Any] = asyncio.ensure_future(closing.wait())
    coming: asyncio.Future[Any] | None = None
    try:
        yield ": connected\n\n"
        while not closed.done():
            coming = coming or asyncio.ensure_future(anext(events))
            await asyncio.wait({coming, closed}, timeout=KEEP_ALIVE_SECONDS, return_when="FIRST_COMPLETED")
            if coming.done():
                yield coming.result()
                coming = None
            elif not closed.done():
                yield ": still here\n\n"
    finally:
        closed.cancel()
        if coming is not None:
            coming.cancel()


class BrokenAnswer(JSONResponse):
    """Announces more bytes than it sends, so that the connection breaks off in the middle of the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = str(len(self.body) + 100).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
