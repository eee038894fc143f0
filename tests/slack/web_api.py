"""A very small Slack Web API on real HTTP: it keeps messages, and fails as it is told."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

TEAM = "T1"
BOT = "UBOT"


@dataclass(frozen=True)
class Fault:
    """What happens to one call. `is_done`: it is carried out first, and only the answer suffers."""

    error: str | None = None
    status: int = 200
    retry_after: int | None = None
    drops: bool = False
    is_done: bool = False


@dataclass
class WebApi:
    """Records each call as (method, arguments); keeps what was posted, by channel."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, Callable[[], web.StreamResponse]] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    authorizations: list[str] = field(default_factory=list)
    socket_answers: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    socket_frames: list[dict[str, Any]] = field(default_factory=list)
    answer_status: int = 200
    #: With which status an answer with a chart is refused, None where charts are taken.
    refuse_charts_with: int | None = None
    base: str = ""

    def add_user(self, user_id: str, **known: Any) -> None:
        self.users[user_id] = {"id": user_id, "team_id": TEAM, "name": user_id.lower()} | known

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults[method].extend(faults)

    def called(self, method: str) -> list[dict[str, Any]]:
        return [body for name, body in self.calls if name == method]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until what has arrived here fits; fails after five seconds."""
        async with asyncio.timeout(5):
            while not holds():
                self.arrived.clear()
                await self.arrived.wait()

    @property
    def api_url(self) -> str:
        return f"{self.base}/api/"

    @property
    def response_url(self) -> str:
        return f"{self.base}/answers/1"

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._method)
        app.router.add_post("/answers/{id}", self._answered)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_post("/upload", self._uploaded)
        app.router.add_get("/socket", self._socket)
        return app

    async def _method(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        body: dict[str, Any] = dict(request.query)
        if request.content_type == "application/json":
            body |= await request.json()
        self.calls.append((method, body))
        self.arrived.set()
        self.authorizations.append(request.headers.get("Authorization", ""))
        fault = self.faults[method].popleft() if self.faults[method] else Fault()
        told = self._do(method, body) if fault == Fault() or fault.is_done else {}
        if fault.drops and request.transport is not None:
            request.transport.abort()
        if fault.status != 200:
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            return web.json_response(
                {"ok": False, "error": "ratelimited"}, status=fault.status, headers=headers
            )
        return web.json_response({"ok": False, "error": fault.error} if fault.error else {"ok": True} | told)

    def _do(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        act = getattr(self, "_" + method.replace(".", "_"), None)
        return act(body) if act else {}

    def _auth_test(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"team_id": TEAM, "user_id": BOT, "bot_id": "B1"}

    def _apps_connections_open(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"{self.base.replace('http', 'ws')}/socket"}

    def _users_info(self, body: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(body["user"])
        return {"user": user} if user else {"ok": False, "error": "user_not_found"}

    def _usergroups_users_list(self, body: dict[str, Any]) -> dict[str, Any]:
        users = self.groups.get(body["usergroup"])
        return {"ok": False, "error": "no_such_subteam"} if users is None else {"users": users}

    def _conversations_open(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"channel": {"id": f"D{body['users']}"}}

    def _chat_postMessage(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Slack's name
        ts = f"{len(self.calls)}.000"
        self.messages[body["channel"]].insert(0, {"ts": ts, "user": BOT, "bot_id": "B1"} | body)
        return {"channel": body["channel"], "ts": ts}

    def _chat_update(self, body: dict[str, Any]) -> dict[str, Any]:
        for message in self.messages[body["channel"]]:
            if message["ts"] == body["ts"]:
                message.update(body)
                return {}
        return {"ok": False, "error": "message_not_found"}

    def _chat_getPermalink(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Slack's name
        if not any(message["ts"] == body["message_ts"] for message in self.messages[body["channel"]]):
            return {"ok": False, "error": "message_not_found"}
        number = body["message_ts"].replace(".", "")
        return {"permalink": f"https://example.slack.com/archives/{body['channel']}/p{number}"}

    def _conversations_history(self, body: dict[str, Any]) -> dict[str, Any]:
        start, size = int(body.get("cursor", 0)), int(body["limit"])
        found = [m for m in self.messages[body["channel"]] if "thread_ts" not in m]
        left = len(found) > start + size
        return {
            "messages": found[start : start + size],
            "response_metadata": {"next_cursor": str(start + size) if left else ""},
        }

    def _conversations_replies(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [m for m in self.messages[body["channel"]] if m.get("thread_ts") == body["ts"]]}

    def _views_open(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"view": {"id": "VNEW"}}

    _views_push = _views_open

    def _files_info(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"file": self.files[body["file"]]}

    def _files_getUploadURLExternal(self, _body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"upload_url": f"{self.base}/upload", "file_id": "F9"}

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_charts_with and "data_visualization" in await request.text():
            refusal = {"ok": False, "error": "invalid_blocks"}
            return web.json_response(refusal, status=self.refuse_charts_with)
        if self.answer_status == 200:
            self.answers.append(await request.json())
        return web.Response(text="ok", status=self.answer_status)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.append(request.headers.get("Authorization", ""))
        return self.contents[request.match_info["name"]]()

    async def _uploaded(self, request: web.Request) -> web.StreamResponse:
        self.uploads.append(await request.read())
        return web.Response(text="OK")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for frame in self.socket_frames:
            await socket.send_json(frame)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self.socket_answers.append(json.loads(message.data))
                self.arrived.set()
        return socket
