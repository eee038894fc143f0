"""The page's own calls, as `bot/sandbox/ui/API.md` describes them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.slack import people
from bot.sandbox.slack.acts import MAX_FILE, Acts
from bot.sandbox.slack.feed import Change
from bot.sandbox.slack.refusals import PageRefuses, SlackRefuses
from bot.sandbox.slack.render import Renderer
from bot.sandbox.slack.streams import event, live
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
Offered = Callable[[str], Awaitable[Json]]
STATIC = Path(__file__).parent.parent / "static"
NOT_BUILT = "The page is not built yet. Run `make ui`, then load this address again.\n"
SHOWN = 500
# Blocks may name pictures anywhere; nothing that the page shows is fetched from outside this machine.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Page:
    """What one page sees and does. `commands` and `links` are shown as they were given.

    `offered` tells what of the snapshot depends on what a person may do in the bot; its keys win.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        renderer: Renderer,
        acts: Acts,
        commands: Sequence[Mapping[str, Any]],
        links: dict[str, str],
        closing: asyncio.Event,
    ) -> None:
        self.offered: Offered | None = None
        self._workspace = workspace
        self._renderer = renderer
        self._acts = acts
        self._commands = list(commands)
        self._links = links
        self._closing = closing

    # -- reading

    def people(self) -> list[Json]:
        """Return who one may be: the members that are people and still there."""
        keys = ("id", "name", "real_name", "title", "tz", "image")
        users = [self._workspace.users[person] for person in self._workspace.human_ids()]
        shown = [self._renderer.page_user(user) for user in users if not user["deleted"]]
        return [{key: user[key] for key in keys} for user in shown]

    def person(self, person: str) -> str:
        """Return the id of an existing person; a name will do."""
        for user in self.people():
            if person in (user["id"], user["name"]):
                return str(user["id"])
        raise PageRefuses("person_not_found", text="Choose who you are first.", status=404)

    def snapshot(self, person: str, *, limit: int = SHOWN) -> Json:
        """Return everything that a person sees, with the newest `limit` messages of each channel."""
        places = [place for place in self._workspace.channels.values() if person in place["members"]]
        pages = {place["id"]: self.messages(person, channel=place["id"], limit=limit) for place in places}
        return {
            "event_id": self._workspace.feed.event_id(),
            "now": self._workspace.seconds(),
            "team": people.TEAM,
            "me": self._renderer.page_user(self._workspace.users[person]),
            "users": [self._renderer.page_user(user) for user in self._workspace.users.values()],
            "usergroups": [
                {key: group[key] for key in ("id", "handle", "name", "users")}
                for group in self._workspace.groups.values()
            ],
            "bot": {
                "id": people.BOT_USER,
                "name": self._workspace.users[people.BOT_USER]["name"],
                "app_id": people.APP_ID,
                "bot_id": people.BOT_ID,
            },
            "channels": [self._renderer.page_channel(place) for place in places],
            "messages": {channel: page["messages"] for channel, page in pages.items()},
            "more": {channel: page["more"] for channel, page in pages.items()},
            "views": self._workspace.modals(person),
            "home": self._workspace.homes.get(person),
            "commands": self._commands,
            "shortcuts": self._acts.shortcuts,
            "links": self._links,
            "first_visit": None,
        }

    def messages(
        self, person: str, *, channel: str, before: float = float("inf"), limit: int = SHOWN
    ) -> Json:
        """Return the newest messages of a channel before a moment, oldest first."""
        if person not in self._workspace.channels.get(channel, {}).get("members", []):
            raise PageRefuses("channel_not_found", text="There is no such channel for you.", status=404)
        seen = [
            message
            for message in self._workspace.messages(channel)
            if person in self._workspace.audience(message) and float(message["ts"]) < before
        ]
        shown = [self._renderer.page_message(message, person=person) for message in seen[-limit:]]
        return {"messages": shown, "more": len(seen) > limit}

    # -- routes

    def routes(self) -> list[BaseRoute]:
        posts: dict[str, Callable[[str, Json], Awaitable[Json]]] = {
            "commands": self._command,
            "posts": self._post,
            "actions": self._action,
            "views/submit": self._submit,
            "views/close": self._close,
            "home": self._home,
            "options": self._options,
            "shortcuts": self._shortcut,
        }
        return [
            Route("/", self._index),
            Route("/static/{path:path}", _static),
            Route("/page/people", _guarded(self._people)),
            Route("/page/snapshot", _guarded(self._snapshot)),
            Route("/page/messages", _guarded(self._older)),
            Route("/page/events", _guarded(self._events)),
            *(
                Route(f"/page/{path}", _guarded(self._posting(act)), methods=["POST"])
                for path, act in posts.items()
            ),
            Route("/page/files", _guarded(self._upload), methods=["POST"]),
            Route("/page/files/{file_id}/{name:path}", _guarded(self._download)),
            Route("/page/{rest:path}", _unknown, methods=["GET", "POST"]),
        ]

    async def _index(self, request: Request) -> Response:
        index = STATIC / "index.html"
        if not index.is_file():
            return PlainTextResponse(NOT_BUILT, 503)
        return FileResponse(index, headers={"Cache-Control": "no-cache", "Content-Security-Policy": POLICY})

    def _asking(self, request: Request) -> str:
        return self.person(request.query_params.get("person", ""))

    async def _people(self, request: Request) -> Response:
        return JSONResponse({"ok": True, "people": self.people()})

    async def _snapshot(self, request: Request) -> Response:
        person = self._asking(request)
        # Before the snapshot is taken, which must not be older than what follows it in the feed.
        offered = await self.offered(person) if self.offered else {}
        return JSONResponse({"ok": True, **self.snapshot(person), **offered})

    async def _older(self, request: Request) -> Response:
        person = self._asking(request)
        query = request.query_params
        try:
            before, limit = float(query.get("before", "inf")), int(query.get("limit", "200"))
        except ValueError:
            raise PageRefuses("invalid_arguments", text="before and limit are numbers.") from None
        page = self.messages(person, channel=query.get("channel", ""), before=before, limit=max(1, limit))
        return JSONResponse({"ok": True, **page})

    async def _events(self, request: Request) -> Response:
        person = self._asking(request)
        known = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return live(self._changes(person, known), closing=self._closing)

    async def _changes(self, person: str, known: str) -> AsyncIterator[str]:
        feed = self._workspace.feed
        after = feed.position(known) if known else feed.number
        if after is None:
            after = feed.number
            yield event("reset", {}, event_id=feed.event_id(after))
        async for change in feed.follow(after, person=person):
            data = self._drawn(change, person)
            if data is not None:
                yield event(change.kind, data, event_id=feed.event_id(change.number))

    def _drawn(self, change: Change, person: str) -> Json | None:
        """Return a change as it looks now; None when it has been overtaken by a later one."""
        if change.kind == "message":
            message = self._workspace.message(change.data["channel"], change.data["ts"])
            if message is None:
                return None
            shown = self._renderer.page_message(message, person=person)
            return {"channel": change.data["channel"], "message": shown}
        if change.kind == "views":
            return {"views": self._workspace.modals(person)}
        if change.kind == "home":
            return {"view": self._workspace.homes.get(person)}
        if change.kind == "channel":
            return {"channel": self._renderer.page_channel(self._workspace.channels[change.data["id"]])}
        return change.data

    def _posting(self, act: Callable[[str, Json], Awaitable[Json]]) -> Handler:
        async def handle(request: Request) -> Response:
            person = self._asking(request)
            try:
                body = json.loads(await request.body() or b"{}")
            except ValueError:
                body = None
            if not isinstance(body, dict):
                raise PageRefuses("invalid_json", text="The body must be a JSON object.")
            return JSONResponse({"ok": True, **await act(person, body)})

        return handle

    async def _command(self, person: str, body: Json) -> Json:
        command, channel = _words(body, "command"), _words(body, "channel")
        return await self._acts.command_typed(
            person, channel=channel, command=command, text=str(body.get("text", ""))
        )

    async def _post(self, person: str, body: Json) -> Json:
        channel, text = _words(body, "channel"), str(body.get("text", ""))
        message = self._acts.posted(person, channel=channel, text=text, thread_ts=body.get("thread_ts"))
        return {"message": self._renderer.page_message(message, person=person)}

    async def _action(self, person: str, body: Json) -> Json:
        return await self._acts.pressed(
            person,
            container=_object(body, "container"),
            block_id=_words(body, "block_id"),
            action_id=_words(body, "action_id"),
            value=_object(body, "value"),
            state=_state(body),
        )

    async def _submit(self, person: str, body: Json) -> Json:
        return await self._acts.submitted(person, view_id=_words(body, "view_id"), state=_state(body))

    async def _close(self, person: str, body: Json) -> Json:
        whole = body.get("all") is True
        return await self._acts.closed(person, view_id=_words(body, "view_id"), whole_stack=whole)

    async def _home(self, person: str, body: Json) -> Json:
        self._acts.home_opened(person, tab=str(body.get("tab", "home")))
        return {}

    async def _options(self, person: str, body: Json) -> Json:
        return await self._acts.options(
            person,
            container=_object(body, "container"),
            block_id=_words(body, "block_id"),
            action_id=_words(body, "action_id"),
            query=str(body.get("query", "")),
        )

    async def _shortcut(self, person: str, body: Json) -> Json:
        callback_id = _words(body, "callback_id")
        if "ts" not in body:
            return await self._acts.shortcut(person, callback_id=callback_id)
        return await self._acts.message_shortcut(
            person, callback_id=callback_id, channel=_words(body, "channel"), ts=_words(body, "ts")
        )

    async def _upload(self, request: Request) -> Response:
        person = self._asking(request)
        query = request.query_params
        if int(request.headers.get("content-length", "0") or "0") > MAX_FILE:
            raise PageRefuses("file_too_large", text="Files may have at most 10 MB.", status=413)
        file = self._acts.uploaded(person, name=query.get("name", ""), content=await request.body())
        if "channel" in query:
            text, thread_ts = query.get("text", ""), query.get("thread_ts")
            self._acts.posted_file(
                person, file=file, channel=query["channel"], text=text, thread_ts=thread_ts
            )
        return JSONResponse({"ok": True, "file": self._renderer.page_file(file["id"], person=person)})

    async def _download(self, request: Request) -> Response:
        person = self._asking(request)
        file_id = request.path_params["file_id"]
        content = self._workspace.file_content(file_id)
        if content is None or file_id not in self._acts.visible_files(person):
            raise PageRefuses("file_not_found", text="That file is not there any more.", status=404)
        file = self._workspace.files[file_id]
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file['name'], safe='')}",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type=file["mimetype"], headers=headers)


def _words(body: Json, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise PageRefuses("invalid_arguments", text=f"{key} is missing.")
    return value


def _object(body: Json, key: str) -> Json:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise PageRefuses("invalid_arguments", text=f"{key} must be an object.")
    return value


def _state(body: Json) -> Json:
    """Return what was typed, by block and action; every level must be an object."""
    state = _object(body, "state")
    levels = [*state.values(), *(entry for block in state.values() for entry in _entries(block))]
    if not all(isinstance(level, dict) for level in levels):
        raise PageRefuses("invalid_arguments", text="state must be objects by block_id and action_id.")
    return state


def _entries(block: object) -> list[Any]:
    return list(block.values()) if isinstance(block, dict) else []


def _guarded(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except PageRefuses as refusal:
            body = {"ok": False, "error": refusal.word, "text": refusal.text}
            return JSONResponse(body, refusal.status)
        except SlackRefuses as refusal:
            text = f"Slack refuses this: {refusal.word}."
            return JSONResponse({"ok": False, "error": refusal.word, "text": text}, 400)

    return handle


async def _static(request: Request) -> Response:
    path = (STATIC / request.path_params["path"]).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        return PlainTextResponse("There is no such file.\n", 404)
    return FileResponse(path, headers={"Cache-Control": "no-cache"})


async def _unknown(request: Request) -> Response:
    return JSONResponse({"ok": False, "error": "unknown_path", "text": "There is no such call."}, 404)
