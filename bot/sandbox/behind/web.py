"""The calls of the drawer "Behind the scenes", as `bot/sandbox/ui/API.md` describes them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.kit.errors import EnrollbotError
from bot.sandbox.behind.requests import Requests
from bot.sandbox.behind.switches import (
    ClockOrder,
    DeviceOrder,
    LicenceOrder,
    NotASwitch,
    Switches,
    SwitchOrder,
)
from bot.sandbox.slack.streams import live

Order = TypeVar("Order")
Handler = Callable[[Request], Awaitable[Response]]


class Behind:
    """The routes under `/page/behind/`; whoever serves them guards them as the page's own."""

    def __init__(self, switches: Switches, requests: Requests, *, closing: asyncio.Event) -> None:
        self._switches = switches
        self._requests = requests
        self._closing = closing

    def routes(self) -> list[Route]:
        posts = {
            "switches": self._throw,
            "back": self._put_back,
            "devices": self._devices,
            "licences": self._licences,
            "clock": self._move_clock,
            "clear": self._clear,
        }
        return [
            Route("/page/behind/state", self._state),
            Route("/page/behind/events", self._events),
            *(Route(f"/page/behind/{path}", _told(act), methods=["POST"]) for path, act in posts.items()),
        ]

    async def _state(self, _request: Request) -> Response:
        return JSONResponse({"ok": True, **self._switches.state()})

    async def _events(self, request: Request) -> Response:
        known = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return live(self._requests.follow(known), closing=self._closing)

    async def _throw(self, request: Request) -> Response:
        self._switches.throw(await _order(request, SwitchOrder))
        return self._changed()

    async def _put_back(self, _request: Request) -> Response:
        self._switches.put_back()
        return self._changed()

    async def _devices(self, request: Request) -> Response:
        count = self._switches.devices(await _order(request, DeviceOrder))
        return self._changed(count=count)

    async def _licences(self, request: Request) -> Response:
        left = self._switches.licences(await _order(request, LicenceOrder))
        return self._changed(left=left)

    async def _move_clock(self, request: Request) -> Response:
        self._switches.move_clock(await _order(request, ClockOrder))
        return self._changed()

    async def _clear(self, _request: Request) -> Response:
        self._requests.clear()
        return JSONResponse({"ok": True})

    def _changed(self, **facts: object) -> Response:
        self._requests.tell_change()
        return JSONResponse({"ok": True, **facts, **self._switches.state()})


def _told(handler: Handler) -> Handler:
    """Answer a refusal as the page's calls do: with a sentence to show."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except EnrollbotError as refusal:
            return JSONResponse({"ok": False, "error": "refused", "text": str(refusal)}, 400)

    return handle


async def _order(request: Request, order: type[Order]) -> Order:
    try:
        return msgspec.json.decode(await request.body(), type=order)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise NotASwitch(f"That is not what a switch takes: {error}.") from None
