"""A receiver of Slack's signed requests that stands in for the bot in tests of the Slack stand-in."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.kit.clock import Clock

Json = dict[str, Any]
Answerer = Callable[[Json], Awaitable[Response]]


class _VerifierClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


async def _nothing(payload: Json) -> Response:
    return Response()


class TinyBot:
    """Checks each signature, notes each payload, and answers as `answer` says."""

    def __init__(self, clock: Clock, *, signing_secret: str) -> None:
        # The verifier asks an object for the time; its own is the wall clock.
        self._verifier = SignatureVerifier(signing_secret, _VerifierClock(clock))  # type: ignore[arg-type]
        self.payloads: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answerer = _nothing
        self.arrived = asyncio.Semaphore(0)
        self.app = Starlette(routes=[Route("/slack/events", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        headers = dict(request.headers)
        if not self._verifier.is_valid_request(body, headers):
            return PlainTextResponse("invalid signature", 401)
        kind = headers["content-type"]
        payload = json.loads(body) if kind == "application/json" else dict(parse_qsl(body.decode(), True))
        payload = json.loads(payload["payload"]) if "payload" in payload else payload
        self.payloads.append(payload)
        self.headers.append(headers)
        self.arrived.release()
        return await self.answer(payload)

    def answers(self, body: Json | str) -> None:
        """Answer every payload with this body from now on."""

        async def answer(payload: Json) -> Response:
            return PlainTextResponse(body) if isinstance(body, str) else JSONResponse(body)

        self.answer = answer
