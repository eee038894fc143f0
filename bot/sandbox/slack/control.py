"""What tests and the page's drawer set over HTTP: faults, the request log, the workspace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox.slack.streams import event, live
from bot.sandbox.slack.wire import Faults, RequestLog
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]


class Control:
    """`/_control/`: faults (GET, POST changes, DELETE resets), requests, events, users and channels."""

    def __init__(
        self, workspace: Workspace, *, faults: Faults, log: RequestLog, closing: asyncio.Event
    ) -> None:
        self._workspace = workspace
        self._faults = faults
        self._log = log
        self._closing = closing

    def routes(self) -> list[Route]:
        return [
            Route("/_control/faults", self._set_faults, methods=["GET", "POST", "DELETE"]),
            Route("/_control/requests", self._requests),
            Route("/_control/events", self._events),
            Route("/_control/users/{user_id}", self._user, methods=["POST"]),
            Route("/_control/channels/{channel_id}/messages", self._messages),
        ]

    async def _set_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.reset()
        if request.method == "POST":
            wanted = await request.json()
            unknown = set(wanted) - {field.name for field in fields(Faults)}
            if unknown:
                return JSONResponse({"ok": False, "error": f"unknown: {', '.join(sorted(unknown))}"}, 400)
            for name, value in wanted.items():
                setattr(self._faults, name, value)
        return JSONResponse({"ok": True, **asdict(self._faults)})

    async def _requests(self, request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        return JSONResponse({"ok": True, "requests": self._log.entries(after)})

    async def _events(self, request: Request) -> Response:
        after = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        return live(self._entries(int(after)), closing=self._closing)

    async def _entries(self, after: int) -> AsyncIterator[str]:
        while True:
            for entry in await self._log.more(after):
                after = entry["n"]
                yield event("request", entry, event_id=str(after))

    async def _user(self, request: Request) -> Response:
        user_id = request.path_params["user_id"]
        if user_id not in self._workspace.users:
            return JSONResponse({"ok": False, "error": "user_not_found"}, 404)
        self._workspace.change_user(user_id, **await request.json())
        return JSONResponse({"ok": True, "user": self._workspace.users[user_id]})

    async def _messages(self, request: Request) -> Response:
        """Return every message of a channel, whoever may see it."""
        channel_id = request.path_params["channel_id"]
        if channel_id not in self._workspace.channels:
            return JSONResponse({"ok": False, "error": "channel_not_found"}, 404)
        return JSONResponse({"ok": True, "messages": self._workspace.messages(channel_id)})
