"""Carries a web service over HTTP: reads the call, lets planned troubles happen, answers, keeps the log."""

import json
import re
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from bot.sandbox.apple.faults import PAGES, Fault, Logged, Trouble
from bot.sandbox.apple.oauth import Refused
from bot.sandbox.apple.service import Answer, Call
from bot.sandbox.apple.world import World
from bot.sandbox.bodies import Mask, clip, opened

_JSON = "application/json;charset=UTF8"
_WORD = "text/plain;Charset=UTF8"
_HTML = "<html><head><title>Sorry</title></head><body><h1>We will be back soon.</h1></body></html>"
_INSTEAD = {Trouble.TOO_MANY: 429, Trouble.BROKEN: 500, Trouble.UNAVAILABLE: 503, Trouble.HTML: 200}
_SHOWN_HEADERS = frozenset(
    {
        "authorization",
        "x-adm-auth-session",
        "x-server-protocol-version",
        "user-agent",
        "content-type",
        "retry-after",
    }
)
_CURSOR = re.compile(r'"more_to_follow":(?:true|false),"cursor":"[^"]*"')


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    headers: dict[str, str]
    note: str
    server: str = ""


class WebService(Protocol):
    """What answers calls. `caller` names whose credentials a call carries, `secrets` are all there are."""

    def answer(self, call: Call) -> Answer: ...

    def caller(self, call: Call) -> str: ...

    def secrets(self) -> list[str]: ...


class Exchange:
    """The ASGI application of a web service."""

    def __init__(self, world: World, service: WebService) -> None:
        self._world = world
        self._service = service
        self._mask = Mask(service.secrets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._world.clock.monotonic()
        request = Request(scope, receive)
        try:
            call = Call(
                method=request.method,
                path=request.url.path,
                url=str(request.url),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.body(),
            )
        except ClientDisconnect:
            return
        fault = self._world.faults.next(call.path)
        reply = _trouble(fault) or self._reply(call, fault)
        if call.path in PAGES and self._world.switches.slow_page_ms:
            await self._world.clock.sleep(self._world.switches.slow_page_ms / 1000)
        self._log(call, reply, began)
        await self._send(reply, fault, receive, send)

    def _reply(self, call: Call, fault: Fault | None) -> _Reply:
        try:
            answer = self._service.answer(call)
        except Refused as refused:
            return _Reply(
                refused.status,
                refused.word.encode(),
                {"Content-Type": _WORD, **refused.headers},
                refused.note,
            )
        if fault is not None and fault.kind is Trouble.REPEAT_CURSOR:
            answer.body = _repeat_cursor(answer, call)
        headers = {"Content-Type": _JSON}
        if answer.session is not None:
            headers["X-ADM-Auth-Session"] = answer.session
        return _Reply(200, answer.body.encode(), headers, answer.note, answer.server)

    async def _send(self, reply: _Reply, fault: Fault | None, receive: Receive, send: Send) -> None:
        kind = fault.kind if fault else None
        if kind is Trouble.STALL:
            await _wait_for_disconnect(receive)
            return
        if kind is Trouble.CLOSE:
            _hang_up(send)
            return
        headers = {
            **reply.headers,
            "Content-Length": str(len(reply.body)),
            "Date": format_datetime(self._world.now(), usegmt=True),
        }
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if kind is Trouble.HALF:
            half = reply.body[: len(reply.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            _hang_up(send)
            return
        await send({"type": "http.response.body", "body": reply.body})

    def _log(self, call: Call, reply: _Reply, began: float) -> None:
        log = self._world.log
        log.add(
            Logged(
                number=log.next_number(),
                at=self._world.now(),
                method=call.method,
                path=call.path,
                server=reply.server or self._service.caller(call),
                status=reply.status,
                request=summary(call.body),
                answer=reply.note,
                took_ms=round((self._world.clock.monotonic() - began) * 1000, 1),
                protocol=call.protocol,
                sent=self._shown(call.headers, call.body),
                answered=self._shown(reply.headers, reply.body),
            )
        )

    def _shown(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        told = {name: value for name, value in headers.items() if name.lower() in _SHOWN_HEADERS}
        return {"headers": self._mask(told), "body": clip(self._mask(opened(body)))}


def summary(body: bytes) -> str:
    """Say what a request body asks for, without whatever could be secret in it."""
    if not body:
        return ""
    try:
        asked = json.loads(body)
    except ValueError:
        return f"{len(body)} bytes that are not JSON"
    if not isinstance(asked, dict):
        return "not an object"
    words = []
    if isinstance(asked.get("devices"), list):
        words.append(f"{len(asked['devices'])} devices")
    words += [f"{key} {asked[key]}" for key in ("limit", "profile_uuid", "profile_name") if key in asked]
    if asked.get("cursor"):
        words.append("from a cursor")
    return ", ".join(words)


def _trouble(fault: Fault | None) -> _Reply | None:
    """Return what stands in for the answer, or None where the true answer is made first."""
    if fault is None or fault.kind in (Trouble.HALF, Trouble.REPEAT_CURSOR):
        return None
    if fault.kind in (Trouble.STALL, Trouble.CLOSE):
        return _Reply(0, b"", {}, f"planned: {fault.kind}")
    status = _INSTEAD[fault.kind]
    headers = {"Content-Type": _WORD}
    if fault.retry_after and status in (429, 503):
        headers["Retry-After"] = fault.retry_after
    if fault.kind is Trouble.HTML:
        return _Reply(status, _HTML.encode(), {"Content-Type": "text/html"}, "planned: html")
    return _Reply(status, b"", headers, f"planned: {fault.kind}")


def _repeat_cursor(answer: Answer, call: Call) -> str:
    asked = json.loads(call.body)
    if not asked.get("cursor"):
        return answer.body
    return _CURSOR.sub(f'"more_to_follow":true,"cursor":"{asked["cursor"]}"', answer.body)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _hang_up(send: Send) -> None:
    """Close the connection in the middle. ASGI has no word for it, so uvicorn's transport is taken."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise ConnectionResetError("the stand-in hung up")
    transport.abort()
