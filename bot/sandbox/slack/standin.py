"""Puts the stand-in together, and the side that the bot talks to: Web API, response URLs, files."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.kit.clock import Clock
from bot.sandbox.slack import people
from bot.sandbox.slack.acts import Acts
from bot.sandbox.slack.arguments import Arguments, read_arguments
from bot.sandbox.slack.control import Control
from bot.sandbox.slack.delivery import Answer, Courier
from bot.sandbox.slack.guard import LoopbackOnly, WhileBotIsUp
from bot.sandbox.slack.hooks import Hooks
from bot.sandbox.slack.page import Page
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.render import Address, Renderer
from bot.sandbox.slack.streams import BrokenAnswer
from bot.sandbox.slack.surfaces import Surfaces
from bot.sandbox.slack.webapi import Directory, Files, Messages, Method, Views
from bot.sandbox.slack.wire import Faults, RequestLog, readable
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
POSTS = frozenset({"chat.postMessage", "chat.postEphemeral", "chat.update", "files.completeUploadExternal"})
WITHOUT_TOKEN = frozenset({"api.test"})
SLASH: Json = {"command": "/enroll", "usage_hint": "", "description": "", "usages": []}
BURST, BURST_SECONDS = 3, 3.0
LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to Sandbox</body></html>"
)
SCOPES: dict[str, str] = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "conversations.open": "im:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.info": "channels:read",
    "conversations.list": "channels:read",
    "conversations.members": "channels:read",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "files.delete": "files:write",
    "files.info": "files:read",
    "users.info": "users:read",
    "users.list": "users:read",
    "users.lookupByEmail": "users:read.email",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
}


class SlackStandIn:
    """A Slack workspace with one bot, on loopback.

    Serve `app`, set `base_url` to its address and `bot_url` to the bot's `/slack/events`. `commands` (the
    slash command first, each with `command`, `usage_hint`, `description`, `usages`) and `links` are for the
    page; `shortcuts` are those of the bot's manifest. Without a folder all is in memory. `scopes` are the
    bot's; None grants all. While `is_bot_up` is False the page is closed. Close the stand-in before stopping
    its server.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        folder: Path | None = None,
        bot_url: str | None = None,
        commands: Sequence[Mapping[str, Any]] = (SLASH,),
        links: Mapping[str, str] | None = None,
        events: Sequence[str] = ("app_home_opened", "subteam_members_changed"),
        scopes: Sequence[str] | None = None,
        shortcuts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._clock = clock
        self.workspace = Workspace(clock, folder=folder)
        self.bot_token = self.workspace.secret("bot_token", "xoxb-")
        self.signing_secret = self.workspace.secret("signing_secret", "")
        self.faults = Faults()
        verification = self.workspace.secret("verification", "")
        self.log = RequestLog(clock, secrets=(self.bot_token, self.signing_secret, verification))
        self.closing = asyncio.Event()
        self._is_bot_up = True
        self.links = dict(links or {})
        self._address = Address("http://127.0.0.1")
        self._scopes = None if scopes is None else frozenset(scopes)
        self._posts: dict[str, list[float]] = {}
        self.renderer = Renderer(self.workspace, address=self._address)
        self.hooks = Hooks(self.workspace, address=self._address)
        self.surfaces = Surfaces(clock, workspace=self.workspace)
        self.courier = Courier(
            clock, bot_url=bot_url, signing_secret=self.signing_secret, faults=self.faults, log=self.log
        )
        self.acts = Acts(
            self.workspace,
            renderer=self.renderer,
            surfaces=self.surfaces,
            hooks=self.hooks,
            courier=self.courier,
            command=commands[0]["command"],
            events=frozenset(events),
            shortcuts=shortcuts,
        )
        self.page = Page(
            self.workspace,
            renderer=self.renderer,
            acts=self.acts,
            commands=commands,
            links=self.links,
            closing=self.closing,
        )
        self._files = Files(self.workspace, renderer=self.renderer)
        self._methods: dict[str, Method] = {
            **Messages(self.workspace, renderer=self.renderer).methods,
            **Directory(self.workspace).methods,
            **Views(self.surfaces).methods,
            **self._files.methods,
        }
        self.app = self._build()

    @property
    def base_url(self) -> str:
        """Where the stand-in is reached, without a slash at the end."""
        return self._address.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self._address.base_url = url.rstrip("/")

    @property
    def api_url(self) -> str:
        """What `slack_sdk` takes as its `base_url`."""
        return f"{self.base_url}/api/"

    @property
    def is_bot_up(self) -> bool:
        """Whether there is a bot to answer; open pages hear of a change."""
        return self._is_bot_up

    @is_bot_up.setter
    def is_bot_up(self, up: bool) -> None:
        self._is_bot_up = up
        self.workspace.feed.add("bot", {"up": up})

    @property
    def bot_url(self) -> str | None:
        """The bot's address for signed requests; None while there is no bot."""
        return self.courier.bot_url

    @bot_url.setter
    def bot_url(self, url: str | None) -> None:
        self.courier.bot_url = url

    @property
    def complaints(self) -> list[str]:
        """What the bot did that Slack shows to people only as a general error; empty in a good run."""
        return self.acts.complaints

    async def verify_url(self, challenge: str) -> Answer:
        """Send Slack's `url_verification`."""
        token = self.workspace.secret("verification", "")
        return await self.courier.send_json(
            {"type": "url_verification", "token": token, "challenge": challenge}
        )

    def change_group(self, group_id: str, *, users: list[str]) -> None:
        """Change who is in a user group; the bot hears of it when it asked to."""
        old = set(self.workspace.groups[group_id]["users"])
        self.workspace.change_group(group_id, users=users)
        if "subteam_members_changed" in self.acts.events:
            self.acts.event(
                {
                    "type": "subteam_members_changed",
                    "subteam_id": group_id,
                    "team_id": people.TEAM["id"],
                    "added_users": sorted(set(users) - old),
                    "removed_users": sorted(old - set(users)),
                }
            )

    def serve_also(self, routes: Sequence[BaseRoute]) -> None:
        """Serve more paths beside the page, behind the same guards and before its own."""
        self.app.router.routes[0:0] = routes

    def clock_moved(self) -> None:
        """Let every open page ask anew: the clock has jumped, and with it what the page counts from."""
        self.workspace.feed.add("reset", {})

    async def settled(self) -> None:
        """Wait until all events sent so far have been answered or given up."""
        await self.courier.settled()

    async def close(self) -> None:
        """End the live streams and stop sending to the bot."""
        self.closing.set()
        await self.courier.close()
        self.workspace.close()

    def _build(self) -> Starlette:
        control = Control(self.workspace, faults=self.faults, log=self.log, closing=self.closing)
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/hooks/{hook_id}", self._hook, methods=["POST"]),
            Route("/upload/{secret}", self._upload, methods=["POST"]),
            Route("/files-pri/{where:path}", self._private_file),
            *control.routes(),
            *self.page.routes(),
        ]
        closed = Middleware(WhileBotIsUp, is_up=lambda: self._is_bot_up)
        return Starlette(routes=routes, middleware=[Middleware(LoopbackOnly), closed])

    # -- the Web API

    async def _api(self, request: Request) -> Response:
        began = self._clock.monotonic()
        if self.faults.slow:
            await self._clock.sleep(self.faults.slow)
        method = request.path_params["method"]
        sent: Json = {}
        try:
            if self.faults.down:
                return PlainTextResponse("Service Unavailable", 503)
            arguments = await read_arguments(request, base_url=self.base_url)
            sent = dict(arguments.given)
            answer, status, headers = self._call(request, method, arguments), 200, {}
        except SlackRefuses as refusal:
            answer = {"ok": False, "error": refusal.word, **refusal.extra}
            if refusal.details:
                answer["response_metadata"] = {"messages": refusal.details}
            status = 429 if refusal.retry_after is not None else 200
            headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        self.log.add(
            sender="bot",
            method="POST",
            url=f"/api/{method}",
            sent=sent,
            status=status,
            answer=answer,
            began=began,
        )
        if self.faults.take_drop():
            return BrokenAnswer(answer)
        return JSONResponse(answer, status, headers=headers)

    def _call(self, request: Request, method: str, arguments: Arguments) -> Json:
        if method not in self._methods:
            raise SlackRefuses("unknown_method", extra={"req_method": method})
        if method not in WITHOUT_TOKEN:
            self._check_token(request, method, arguments)
        self._check_faults(method, arguments)
        return {"ok": True, **self._methods[method](arguments)}

    def _check_token(self, request: Request, method: str, arguments: Arguments) -> None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        token = bearer or str(arguments.given.get("token", ""))
        if not token:
            raise SlackRefuses("not_authed")
        if token != self.bot_token:
            raise SlackRefuses("invalid_auth")
        needed = SCOPES.get(method, "")
        if str(arguments.given.get("channel", "")).startswith("D"):
            needed = needed.replace("channels:", "im:")
        if needed and self._scopes is not None and needed not in self._scopes:
            provided = ",".join(sorted(self._scopes))
            raise SlackRefuses("missing_scope", extra={"needed": needed, "provided": provided})

    def _check_faults(self, method: str, arguments: Arguments) -> None:
        if self.faults.rate_limit is not None:
            raise SlackRefuses("ratelimited", retry_after=self.faults.rate_limit)
        if method in self.faults.refuse:
            raise SlackRefuses(self.faults.refuse[method])
        if method in POSTS and self.faults.refuse_posts:
            raise SlackRefuses(self.faults.refuse_posts)
        if method in POSTS:
            self._check_charts(arguments.json("blocks"))
        if method in POSTS and self.faults.channel_limit:
            now = self._clock.now().timestamp()
            channel = str(arguments.given.get("channel", ""))
            recent = [at for at in self._posts.get(channel, []) if now - at < BURST_SECONDS]
            if len(recent) >= BURST:
                raise SlackRefuses("ratelimited", retry_after=1)
            self._posts[channel] = [*recent, now]

    def _check_charts(self, blocks: Any) -> None:
        """Refuse charts as Slack refuses a block that a workspace does not know."""
        if not self.faults.refuse_charts or not isinstance(blocks, list):
            return
        for index, block in enumerate(blocks):
            if isinstance(block, dict) and block.get("type") == "data_visualization":
                line = f"[ERROR] unsupported type: data_visualization [json-pointer:/blocks/{index}/type]"
                raise SlackRefuses("invalid_blocks", details=[line])

    # -- response URLs and files

    async def _hook(self, request: Request) -> Response:
        began = self._clock.monotonic()
        raw = await request.body()
        if self.faults.down:
            return PlainTextResponse("Service Unavailable", 503)
        answer, status = "ok", 200
        try:
            body = _object(raw)
            self._check_charts(body.get("blocks"))
            self.hooks.use(request.path_params["hook_id"], body)
        except SlackRefuses as refusal:
            answer = refusal.word
            status = 404 if answer in ("invalid_hook", "used_url", "expired_url") else 400
        sent = readable(raw, request.headers.get("content-type", ""))
        self.log.add(
            sender="bot",
            method="POST",
            url=str(request.url),
            sent=sent,
            status=status,
            answer=answer,
            began=began,
        )
        if status == 200:
            return BrokenAnswer(answer) if self.faults.take_drop() else PlainTextResponse("ok")
        return JSONResponse({"ok": False, "error": answer}, status)

    async def _upload(self, request: Request) -> Response:
        began = self._clock.monotonic()
        kind = request.headers.get("content-type", "")
        content = await _uploaded_bytes(request) if kind.startswith("multipart/") else await request.body()
        taken = not self.faults.down and self._files.take_upload(request.path_params["secret"], content)
        status = 200 if taken else 400
        sent = f"{len(content)} bytes"
        self.log.add(
            sender="bot",
            method="POST",
            url=str(request.url),
            sent=sent,
            status=status,
            answer="",
            began=began,
        )
        return PlainTextResponse(f"OK - {len(content)}" if taken else "bad upload", status)

    async def _private_file(self, request: Request) -> Response:
        began = self._clock.monotonic()
        file_id = request.path_params["where"].partition("/")[0].partition("-")[2]
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        content = self.workspace.file_content(file_id)
        allowed = bearer == self.bot_token and self._may("files:read")
        # Slack shows its login page with status 200 to whoever may not read the file.
        found = content is not None and allowed
        answer = f"{len(content or b'')} bytes" if found else "login page"
        self.log.add(
            sender="bot",
            method="GET",
            url=request.url.path,
            sent={},
            status=200,
            answer=answer,
            began=began,
        )
        if content is None or not allowed:
            return HTMLResponse(LOGIN_PAGE)
        return Response(content, media_type=self.workspace.files[file_id]["mimetype"])

    def _may(self, scope: str) -> bool:
        return self._scopes is None or scope in self._scopes


async def _uploaded_bytes(request: Request) -> bytes:
    async with request.form() as form:
        parts = [part for part in form.values() if not isinstance(part, str)]
        return await parts[0].read() if parts else b""


def _object(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SlackRefuses("invalid_payload")
    return body
