"""The calendar's address: for whoever has the link, kept by nobody on the way."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.kit import logs
from bot.kit.clock import Clock
from bot.outside.calendars import Calendars
from bot.outside.errors import CalendarClosed, CalendarUnknown
from bot.outside.ics import MEDIA_TYPE

log = logs.get_logger(__name__)

_HEADERS = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
#: Calendars read at once, over all links: the database has other work.
AT_ONCE = 4
#: From the request to the answer, in seconds.
TIMEOUT_S = 5.0
#: Programs look a few times a day. More than this a minute, over all links, is a mistake or a search.
A_MINUTE = 120


def routes(calendars: Calendars, *, clock: Clock) -> list[BaseRoute]:
    """Return the route of the calendar."""
    return [Route("/calendar/{name}", _Door(calendars, clock).answer)]


class _Door:
    def __init__(self, calendars: Calendars, clock: Clock) -> None:
        self._calendars = calendars
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._reading: set[asyncio.Task[bytes]] = set()
        self._minute = 0
        self._reads = 0

    async def answer(self, request: Request) -> Response:
        if self._is_too_often():
            return _told(429, "Too many requests; try again in a minute.", {"Retry-After": "60"})
        name: str = request.path_params["name"]
        with logs.with_reference(logs.new_reference()):
            try:
                # Left to end by itself when it takes long: a cancelled statement costs its connection.
                reading = self._begin(self._read(name.removesuffix(".ics")))
                async with asyncio.timeout(TIMEOUT_S):
                    content = await asyncio.shield(reading)
            except CalendarUnknown as problem:
                return _told(404, str(problem))
            except CalendarClosed as problem:
                return _told(403, str(problem))
            except TimeoutError:
                return _told(503, "This takes too long now; try again later.", {"Retry-After": "600"})
            except Exception:
                log.exception("the calendar cannot be read")
                return _told(500, "Something went wrong; the log has the reason.")
        disposition = {"Content-Disposition": 'inline; filename="enrollment.ics"'}
        return Response(content, media_type=MEDIA_TYPE, headers=_HEADERS | disposition)

    async def _read(self, secret: str) -> bytes:
        async with self._turns:
            return await self._calendars.read(secret)

    def _begin(self, reading: Coroutine[Any, Any, bytes]) -> asyncio.Task[bytes]:
        task = asyncio.create_task(reading, name="read calendar")
        self._reading.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[bytes]) -> None:
        self._reading.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits for it any more

    def _is_too_often(self) -> bool:
        minute = int(self._clock.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._reads = minute, 0
        self._reads += 1
        return self._reads > A_MINUTE


def _told(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status_code=status, headers=_HEADERS | (headers or {}))
