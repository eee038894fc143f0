"""The door for Slack's requests: who is not Slack, or sends what Slack does not, gets no further.

It stands in front of Bolt because Bolt's own checks raise on a timestamp that is no number and on
bodies such as `payload=[]`, which would be answered with 5xx. `ssl_check` is not answered specially: it
comes unsigned.
"""

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.payloads import BadShape, Challenge, Payload, read_body

log = get_logger(__name__)

MAX_BODY = 1024 * 1024
# https://docs.slack.dev/authentication/verifying-requests-from-slack
REPLAY_WINDOW = timedelta(minutes=5)
_SECONDS = re.compile(rb"[0-9]{1,12}")


class SigningSecretMissing(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "SLACK_SIGNING_SECRET is empty: without it nobody could tell Slack's requests from others.",
            next_step="Copy it from the Slack app's Basic Information page, or set SLACK_APP_TOKEN.",
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to Slack. `sent` is set when it has gone out, or could not."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    sent: asyncio.Event = field(default_factory=asyncio.Event)


Take = Callable[[Payload], Awaitable[Reply]]


class Edge:
    """The ASGI app behind POST /slack/events.

    401: not signed by Slack within five minutes. 413: over 1 MiB. 400: signed, and of the wrong shape.
    200 and nothing: a kind of request that is not known here.
    """

    def __init__(self, *, signing_secret: SecretStr, clock: Clock, take: Take) -> None:
        if not signing_secret.get_secret_value().strip():
            raise SigningSecretMissing
        self._secret = signing_secret
        self._clock = clock
        self._take = take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        reply = await self._reply(scope, receive)
        if reply is None:
            return
        try:
            await _send(send, reply)
        finally:
            reply.sent.set()

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        """Return the answer; None when the sender has left."""
        if scope["method"] != "POST":
            return Reply(405)
        try:
            body = await _body(receive)
        except _TooLarge:
            return Reply(413)
        if body is None:
            return None
        headers = dict(reversed(list(scope["headers"])))
        if not self._is_from_slack(headers, body):
            return Reply(401)
        try:
            payload = read_body(body, headers.get(b"content-type", b"").decode("latin-1"))
        except BadShape as problem:
            log.warning("a signed request of the wrong shape", problem=problem.message)
            return Reply(400)
        if payload is None:
            return Reply()
        if isinstance(payload, Challenge):
            return Reply(body=json.dumps({"challenge": payload.challenge}), content_type="application/json")
        return await self._take(payload)

    def _is_from_slack(self, headers: dict[bytes, bytes], body: bytes) -> bool:
        stamp = headers.get(b"x-slack-request-timestamp", b"")
        if not _SECONDS.fullmatch(stamp):
            return False
        age_s = abs(self._clock.now().timestamp() - int(stamp))
        if age_s > REPLAY_WINDOW.total_seconds():
            log.warning("a request signed too long ago, or a wrong clock", seconds=round(age_s))
            return False
        return hmac.compare_digest(sign(self._secret, stamp, body), headers.get(b"x-slack-signature", b""))


def sign(secret: SecretStr, stamp: bytes, body: bytes) -> bytes:
    """Return the v0 signature of a body: `v0=` and the hex HMAC-SHA256 over `v0:stamp:body`."""
    key = secret.get_secret_value().encode()
    return b"v0=" + hmac.new(key, b"v0:" + stamp + b":" + body, hashlib.sha256).hexdigest().encode()


class _TooLarge(Exception):
    pass


async def _body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        part = await receive()
        if part["type"] != "http.request":
            return None
        body += part.get("body", b"")
        if len(body) > MAX_BODY:
            raise _TooLarge
        if not part.get("more_body", False):
            return bytes(body)


async def _send(send: Send, reply: Reply) -> None:
    body = reply.body.encode()
    start: Message = {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [
            (b"content-type", reply.content_type.encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
