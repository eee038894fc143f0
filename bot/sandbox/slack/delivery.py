"""Payloads on their way from Slack to the bot: signed, timed, repeated as Slack does."""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from bot.kit.clock import Clock
from bot.sandbox.slack.wire import Faults, RequestLog, readable

Json = dict[str, Any]
PATIENCE = 3.0
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """What the bot said to a payload. `failure` is Slack's word when there is nothing to go on with."""

    status: int = 0
    body: bytes = b""
    content_type: str = ""
    failure: str | None = None

    def json(self) -> Json:
        """Return the body as an object, empty when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Courier:
    """Brings payloads to the bot's address.

    The bot has `patience` seconds (Slack's 3) for its answer. Events that are not taken in are repeated
    after `event_pauses` seconds of the clock, as Slack does.
    """

    def __init__(
        self, clock: Clock, *, bot_url: str | None, signing_secret: str, faults: Faults, log: RequestLog
    ) -> None:
        self.bot_url = bot_url
        self.patience = PATIENCE
        self.event_pauses: tuple[float, ...] = (0.0, 60.0, 300.0)
        self._clock = clock
        self._signing_secret = signing_secret
        self._faults = faults
        self._log = log
        self._client: httpx.AsyncClient | None = None
        self._under_way: set[asyncio.Task[Any]] = set()

    def signed(self, body: bytes) -> dict[str, str]:
        """Return Slack's signature headers for a body, at the clock's present moment."""
        moment = str(int(self._clock.now().timestamp()))
        base = b"v0:" + moment.encode() + b":" + body
        digest = hmac.new(self._signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": f"v0={digest}"}

    async def send_form(self, fields: Mapping[str, str]) -> Answer:
        """Send a slash command."""
        return await self._send_maybe_twice(urlencode(fields).encode(), content_type=FORM)

    async def send_payload(self, payload: Json) -> Answer:
        """Send an interaction, which travels as JSON in a form field."""
        return await self._send_maybe_twice(
            urlencode({"payload": json.dumps(payload)}).encode(), content_type=FORM
        )

    def send_event(self, envelope: Json) -> None:
        """Send an event in the background, up to four times until the bot takes it in."""
        self.start(self._send_event(json.dumps(envelope).encode()))

    async def send_json(self, envelope: Json) -> Answer:
        """Send one JSON payload once, such as `url_verification`."""
        return await self._send_maybe_twice(json.dumps(envelope).encode(), content_type="application/json")

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something in the background; `settled()` waits for it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Wait until everything sent in the background has been answered or given up."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await self.settled()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send_event(self, body: bytes) -> None:
        extra: dict[str, str] = {}
        for number in range(len(self.event_pauses) + 1):
            answer = await self._send_maybe_twice(body, content_type="application/json", extra=extra)
            if answer.failure is None or number == len(self.event_pauses):
                return
            reason = {"operation_timeout": "http_timeout", "dispatch_failed": "connection_failed"}
            extra = {
                "X-Slack-Retry-Num": str(number + 1),
                "X-Slack-Retry-Reason": reason[answer.failure] if answer.status == 0 else "http_error",
            }
            await self._clock.sleep(self.event_pauses[number])

    async def _send_maybe_twice(
        self, body: bytes, *, content_type: str, extra: Mapping[str, str] | None = None
    ) -> Answer:
        if self._faults.take_twice():
            first, _ = await asyncio.gather(
                self._send(body, content_type=content_type, extra=extra),
                self._send(body, content_type=content_type, extra=extra),
            )
            return first
        return await self._send(body, content_type=content_type, extra=extra)

    async def _send(self, body: bytes, *, content_type: str, extra: Mapping[str, str] | None) -> Answer:
        if self.bot_url is None:
            return Answer(failure="dispatch_failed")
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0",
            **self.signed(body),
            **(extra or {}),
        }
        if self._client is None:
            # The bot listens on loopback in plain HTTP; certificates would only cost time.
            self._client = httpx.AsyncClient(timeout=None, trust_env=False, verify=False)
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self.patience):
                response = await self._client.post(self.bot_url, content=body, headers=headers)
            found = Answer(response.status_code, response.content, response.headers.get("content-type", ""))
        except TimeoutError:
            found = Answer(failure="operation_timeout")
        except httpx.HTTPError:
            found = Answer(failure="dispatch_failed")
        if found.failure is None and not 200 <= found.status < 300:
            found = Answer(found.status, found.body, found.content_type, failure="dispatch_failed")
        self._log.add(
            sender="slack",
            method="POST",
            url=self.bot_url,
            sent={"headers": headers, "body": readable(body, content_type)},
            status=found.status or None,
            answer=found.failure or readable(found.body, found.content_type),
            began=began,
        )
        return found


def new_trigger() -> str:
    """Make a trigger id as long and as hard to guess as Slack's."""
    return f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**13)}.{secrets.token_hex(16)}"
