"""The Slack app of this process: Bolt between the door (HTTP or Socket Mode) and the dispatcher.

Bolt runs with `process_before_response=True`: it answers Slack when the listener has ended, instead of
looking every 10 ms whether it has acknowledged. That is quicker, and an acknowledgement cannot be lost to
an error that comes after it. It asks of listeners that they never wait, and ours don't: they hand the
work to `kit.background`, which also keeps it through a shutdown, and Bolt's own tasks would not be.
"""

import asyncio
import contextlib
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pydantic import SecretStr
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.kit.actor import Rights
from bot.kit.background import Background
from bot.kit.clock import Clock
from bot.kit.logs import get_logger
from bot.slack.abilities import Charts, Memory
from bot.slack.api import SlackApi, SlackRefused, SlackUnreachable
from bot.slack.dispatch import Claim, Dispatcher, RightsOf
from bot.slack.edge import Edge, Reply
from bot.slack.files import SlackFiles
from bot.slack.guard import Guard
from bot.slack.hosts import SlackHosts
from bot.slack.outlet import SlackOutlet
from bot.slack.payloads import Actions, BadShape, Challenge, Command, Event, Payload, Submitted, read_object
from bot.slack.people import People
from bot.slack.post import Poster
from bot.slack.router import Router

log = get_logger(__name__)

_ANY = re.compile("")
_PARSED = "parsed"
_SENT = "sent"


@dataclass(frozen=True, slots=True)
class Slack:
    """Everything that speaks to Slack, made once per process; rooms receive what they need of it."""

    api: SlackApi
    poster: Poster
    files: SlackFiles
    people: People
    outlet: SlackOutlet

    @classmethod
    def connect(
        cls, bot_token: SecretStr, *, api_url: str | None, clock: Clock, memory: Memory | None = None
    ) -> "Slack":
        """Make the clients; nothing is sent yet. `api_url` is ENROLLBOT_SLACK_API_URL.

        `memory` is where is kept what the workspace refuses, the process's own when None.
        """
        api = SlackApi(bot_token, hosts=SlackHosts.of(api_url), clock=clock)
        charts = Charts(api, clock, memory)
        poster, files = Poster(api, clock, charts), SlackFiles(api)
        return cls(api, poster, files, People(api, clock), SlackOutlet(api, poster, files, charts))

    async def check(self) -> None:
        """Raise SlackRefused or SlackUnreachable unless Slack takes the bot token now."""
        await self.api.read("auth.test")

    async def close(self) -> None:
        await self.api.close()


@dataclass(frozen=True, kw_only=True)
class AppConfig:
    """How payloads arrive: over HTTP with `signing_secret`, or by Socket Mode when `app_token` is set.

    `granters` are the Slack user ids named to people whose role is too low.
    """

    signing_secret: SecretStr | None = None
    app_token: SecretStr | None = None
    granters: tuple[str, ...] = field(default=())


class SlackApp:
    """Receives commands, interactions and events, and dispatches them to the router's handlers.

    `granted_to` returns a person's grants; people limited in Slack (guests, bots) keep less of them.
    """

    def __init__(
        self,
        config: AppConfig,
        *,
        slack: Slack,
        router: Router,
        background: Background,
        clock: Clock,
        granted_to: RightsOf,
        claim: Claim | None = None,
    ) -> None:
        self._config = config
        self._slack = slack
        self._clock = clock
        self._background = background
        self._socket: SocketModeClient | None = None

        async def rights_of(user_id: str) -> Rights:
            return await slack.people.rights(user_id, await granted_to(user_id))

        dispatcher = Dispatcher(
            router=router,
            outlet=slack.outlet,
            clock=clock,
            background=background,
            guard=Guard(granters=config.granters, offers=router.offers_for),
            rights_of=rights_of,
            claim=claim,
        )
        self._bolt = _bolt(dispatcher)

    def edge(self) -> Edge:
        """Return the ASGI app for POST /slack/events; raises SigningSecretMissing."""
        secret = self._config.signing_secret or SecretStr("")
        return Edge(signing_secret=secret, clock=self._clock, take=self.take)

    async def take(self, payload: Payload) -> Reply:
        """Run a payload through Bolt."""
        sent = asyncio.Event()
        body = _bolt_body(payload) | {_SENT: sent}
        request = AsyncBoltRequest(mode="socket_mode", body=body, headers={})
        response: BoltResponse = await self._bolt.async_dispatch(request)
        if response.status >= 400:
            # What Bolt cannot place is of no use to anyone; a 5xx would only bring it back.
            log.error("bolt did not take a payload", status=response.status, kind=type(payload).__name__)
            return Reply(400 if response.status >= 500 else 200, sent=sent)
        if not response.body:
            return Reply(sent=sent)
        # All that is ever answered with words is what a sent modal shows next.
        return Reply(body=response.body, content_type="application/json", sent=sent)

    async def connect_socket(self) -> None:
        """Open Socket Mode. Raises SlackRefused and SlackUnreachable; later losses mend themselves."""
        if self._config.app_token is None or self._socket is not None:
            return
        token = self._config.app_token.get_secret_value()
        web = AsyncWebClient(base_url=self._slack.api.hosts.api_url, timeout=10)
        socket = SocketModeClient(app_token=token, web_client=web)
        socket.socket_mode_request_listeners.append(self._on_socket)
        self._socket = socket
        try:
            # `connect` alone would try a refused token for ever.
            socket.wss_uri = await socket.issue_new_wss_url()
        except SlackApiError as refusal:
            await self.stop()
            raise SlackRefused(str(refusal.response["error"]), method="apps.connections.open") from None
        except (aiohttp.ClientError, OSError) as error:
            await self.stop()
            raise SlackUnreachable from error
        await socket.connect()  # type: ignore[no-untyped-call]

    async def stop(self) -> None:
        """Take no more work from Socket Mode; what runs goes on in the background."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                await self._socket.close()  # type: ignore[no-untyped-call]
            self._socket = None

    async def _on_socket(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        reply = Reply()
        try:
            payload = read_object(request.payload)
            if payload is not None and not isinstance(payload, Challenge):
                reply = await self.take(payload)
        except BadShape as problem:
            log.warning("a socket payload of the wrong shape", problem=problem.message)
        answer = json.loads(reply.body) if reply.body else None
        try:
            await client.send_socket_mode_response(
                SocketModeResponse(envelope_id=request.envelope_id, payload=answer)
            )
        finally:
            reply.sent.set()


def _bolt(dispatcher: Dispatcher) -> AsyncApp:
    """Make the Bolt app: one listener for all, since the router knows the ids."""
    app = AsyncApp(
        name="enrollbot",
        logger=logging.getLogger("slack_bolt"),
        # Read from the environment when left out, and of no use behind the door.
        signing_secret="",
        authorize=_authorize,
        process_before_response=True,
        request_verification_enabled=False,
        ssl_check_enabled=False,
        url_verification_enabled=False,
    )

    async def listen(ack: AsyncAck, body: dict[str, Any]) -> None:
        acknowledgement = await dispatcher.take(body[_PARSED], sent=body[_SENT])
        await ack(**acknowledgement.arguments())

    app.command(_ANY)(listen)
    app.action(_ANY)(listen)
    app.view(_ANY)(listen)
    app.event(_ANY)(listen)
    return app


async def _authorize(team_id: str | None, enterprise_id: str | None) -> AuthorizeResult:
    # One workspace, one token: nothing to look up, and no call of Slack before the acknowledgement.
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id)


def _bolt_body(payload: Payload) -> dict[str, Any]:
    """Return what Bolt needs to find the listener, and the payload itself beside it.

    Bolt reads deep into bodies and raises on unexpected types: it gets only what has been checked.
    """
    parsed: dict[str, Any] = {_PARSED: payload}
    if isinstance(payload, Command):
        return parsed | payload.model_dump(include={"command", "user_id", "team_id", "channel_id"})
    if isinstance(payload, Actions):
        action = {"type": "button", "action_id": payload.actions[0].action_id}
        return parsed | {"type": payload.type, "user": {"id": payload.user.id}, "actions": [action]}
    if isinstance(payload, Submitted):
        view = {"type": "modal", "callback_id": payload.view.callback_id}
        return parsed | {"type": payload.type, "user": {"id": payload.user.id}, "view": view}
    if isinstance(payload, Event):
        event = {"type": payload.event.type, "user": payload.user_id}
        return parsed | {"type": payload.type, "event_id": payload.event_id, "event": event}
    return parsed
