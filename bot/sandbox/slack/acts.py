"""What people do in Slack, and the payloads that the bot receives for it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.sandbox.slack import people
from bot.sandbox.slack.blocks import elements_of
from bot.sandbox.slack.delivery import Answer, Courier
from bot.sandbox.slack.hooks import Hooks
from bot.sandbox.slack.inputs import VALUE_KEYS, client_errors, values_of
from bot.sandbox.slack.refusals import PageRefuses, SlackRefuses
from bot.sandbox.slack.render import Renderer
from bot.sandbox.slack.surfaces import Surfaces
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
TROUBLE = "We had some trouble connecting. Try again?"
MAX_FILE = 10 * 1024 * 1024


class Acts:
    """The acts of people. Each answers when the bot has taken it in, or after Slack's three seconds."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        renderer: Renderer,
        surfaces: Surfaces,
        hooks: Hooks,
        courier: Courier,
        command: str,
        events: frozenset[str],
        shortcuts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._workspace = workspace
        self._renderer = renderer
        self._surfaces = surfaces
        self._hooks = hooks
        self._courier = courier
        self.command = command
        self.events = events
        self.shortcuts = [dict(shortcut) for shortcut in shortcuts]
        self.complaints: list[str] = []

    # -- commands and messages

    async def command_typed(self, person: str, *, channel: str, command: str, text: str) -> Json:
        """Send a slash command and show what its acknowledgement says."""
        place = self._place(person, channel)
        if command != self.command:
            raise PageRefuses("unknown_command", text=f"{command} is not a valid command.", status=404)
        fields = self._command_fields(person, place=place, command=command, text=text)
        answer = await self._courier.send_form(fields)
        if answer.failure:
            words = f'{command} failed with the error "{answer.failure}"'
            self._workspace.post(place["id"], user=people.SLACKBOT, text=words, ephemeral_for=person)
            return {"error": answer.failure}
        self._show_command_answer(answer, person=person, channel=place["id"])
        return {}

    def _command_fields(self, person: str, *, place: Json, command: str, text: str) -> dict[str, str]:
        return {
            "token": self._workspace.secret("verification", ""),
            "team_id": people.TEAM["id"],
            "team_domain": people.TEAM["domain"],
            "channel_id": place["id"],
            "channel_name": "directmessage" if place["kind"] == "im" else place["name"],
            "user_id": person,
            "user_name": self._workspace.users[person]["name"],
            "command": command,
            "text": self.escaped(text.strip()),
            "api_app_id": people.APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._hooks.new(person=person, channel=place["id"]),
            "trigger_id": self._surfaces.trigger(person),
        }

    def _show_command_answer(self, answer: Answer, *, person: str, channel: str) -> None:
        body = answer.json() or {"text": answer.body.decode(errors="replace").strip()}
        if not body.get("text") and not body.get("blocks"):
            return
        try:
            self._hooks.say(body, person=person, channel=channel)
        except SlackRefuses as refusal:
            self.complaints.append(f"answer to {self.command}: {refusal}")

    def escaped(self, text: str) -> str:
        """Write text as Slack does with `should_escape`: entities, links, and ids for names that exist."""
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return "".join(self._escaped_word(word) for word in re.split(r"(\s+)", text))

    def _escaped_word(self, word: str) -> str:
        if re.fullmatch(r"https?://\S+", word):
            return f"<{word}>"
        if re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", word):
            return f"<mailto:{word}|{word}>"
        return self._escaped_name(word) if word[:1] in ("@", "#") else word

    def _escaped_name(self, word: str) -> str:
        for user in self._workspace.users.values():
            if word == f"@{user['name']}":
                return f"<@{user['id']}|{user['name']}>"
        for group in self._workspace.groups.values():
            if word == f"@{group['handle']}":
                return f"<!subteam^{group['id']}|@{group['handle']}>"
        for channel in self._workspace.channels.values():
            if channel["kind"] == "channel" and word == f"#{channel['name']}":
                return f"<#{channel['id']}|{channel['name']}>"
        return word

    def posted(self, person: str, *, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Post a plain message of a person."""
        place = self._place(person, channel)
        if not text.strip():
            raise PageRefuses("no_text", text="There is nothing to send.")
        message = self._workspace.post(place["id"], user=person, text=text, thread_ts=thread_ts)
        kind = "message.im" if place["kind"] == "im" else "message.channels"
        if kind in self.events:
            event = {**self._renderer.api_message(message), "channel": place["id"], "event_ts": message["ts"]}
            self.event({**event, "channel_type": "im" if place["kind"] == "im" else "channel"})
        return message

    def event(self, event: Json) -> None:
        """Send an event to the bot, repeated until it is taken in."""
        self._courier.send_event(
            {
                "token": self._workspace.secret("verification", ""),
                "team_id": people.TEAM["id"],
                "api_app_id": people.APP_ID,
                "event": event,
                "type": "event_callback",
                "event_id": self._workspace.new_id("Ev"),
                "event_time": int(self._workspace.seconds()),
                "authorizations": [
                    {"team_id": people.TEAM["id"], "user_id": people.BOT_USER, "is_bot": True}
                ],
                "is_ext_shared_channel": False,
            }
        )

    def home_opened(self, person: str, *, tab: str) -> None:
        """Open a tab of the app; the bot hears of it."""
        if "app_home_opened" not in self.events:
            return
        event = {
            "type": "app_home_opened",
            "user": person,
            "channel": self._workspace.direct_channel(person)["id"],
            "tab": tab,
            "event_ts": self._workspace.new_ts(),
        }
        view = self._workspace.homes.get(person)
        self.event({**event, "view": view} if view and tab == "home" else event)

    def _place(self, person: str, channel: str) -> Json:
        try:
            place = self._workspace.channel_of(channel)
        except SlackRefuses:
            place = None
        if place is None or person not in place["members"]:
            raise PageRefuses("channel_not_found", text="There is no such channel for you.", status=404)
        return place

    # -- elements

    async def pressed(
        self, person: str, *, container: Json, block_id: str, action_id: str, value: Json, state: Json
    ) -> Json:
        """Send that a button was pressed or an option chosen."""
        surface, payload = self._surface(person, container)
        block, element = _element(surface, block_id=block_id, action_id=action_id)
        values = self._values(surface, state)
        action: Json = {
            key: element[key]
            for key in ("type", "action_id", "value", "text", "style", "confirm")
            if key in element
        }
        key = VALUE_KEYS.get(element["type"], ("", None))[0]
        if key:
            action[key] = value.get(key)
            if element["type"] != "overflow":
                values[block_id][action_id] = {"type": element["type"], key: value.get(key)}
        action.update(block_id=block["block_id"], action_ts=self._workspace.new_ts())
        self._show_state(surface, values)
        answer = await self._courier.send_payload(
            {
                **self._head("block_actions", person),
                **payload,
                "trigger_id": self._surfaces.trigger(person, view_id=payload["container"].get("view_id")),
                "state": {"values": values},
                "actions": [action],
            }
        )
        return self._failure(person, answer)

    async def options(
        self, person: str, *, container: Json, block_id: str, action_id: str, query: str
    ) -> Json:
        """Ask the bot for the options of an external select."""
        surface, payload = self._surface(person, container)
        _element(surface, block_id=block_id, action_id=action_id)
        where = {"block_id": block_id, "action_id": action_id, "value": query}
        answer = await self._courier.send_payload(
            {**self._head("block_suggestion", person), **payload, **where}
        )
        if answer.failure:
            return {"options": [], **self._failure(person, answer)}
        found = answer.json()
        return {key: found[key] for key in ("options", "option_groups") if key in found} or {"options": []}

    def _surface(self, person: str, container: Json) -> tuple[Json, Json]:
        """Return the message or view that holds an element, and what a payload says of it."""
        if container.get("type") == "view":
            view = self._view(person, str(container.get("view_id")))
            return view, {"container": {"type": "view", "view_id": view["id"]}, "view": view}
        place = self._place(person, str(container.get("channel")))
        message = self._workspace.message(place["id"], str(container.get("ts")))
        if message is None or person not in self._workspace.audience(message):
            raise PageRefuses("message_not_found", text="That message is gone.", status=404)
        ephemeral = "ephemeral_for" in message
        where = {
            "type": "message",
            "message_ts": message["ts"],
            "channel_id": place["id"],
            "is_ephemeral": ephemeral,
        }
        thread_ts = message.get("thread_ts")
        hook = self._hooks.new(person=person, channel=place["id"], ts=message["ts"], thread_ts=thread_ts)
        payload: Json = {
            "container": {**where, "thread_ts": thread_ts} if thread_ts else where,
            "channel": {
                "id": place["id"],
                "name": "directmessage" if place["kind"] == "im" else place["name"],
            },
            "response_url": hook,
        }
        if not ephemeral:
            payload["message"] = self._renderer.api_message(message, metadata=True)
        return message, payload

    def _view(self, person: str, view_id: str) -> Json:
        home = self._workspace.homes.get(person)
        views = [*self._workspace.modals(person), *([home] if home else [])]
        found = next((view for view in views if view["id"] == view_id), None)
        if found is None:
            raise PageRefuses("view_not_found", text="That window is no longer open.", status=404)
        return found

    def _values(self, surface: Json, state: Json) -> Json:
        try:
            return values_of(surface.get("blocks") or [], state, file_of=self._renderer.api_file)
        except SlackRefuses as refusal:
            raise PageRefuses(refusal.word, text="That file is not there any more.") from None

    def _show_state(self, surface: Json, values: Json) -> None:
        if "root_view_id" in surface:
            surface["state"] = {"values": values}

    def _head(self, kind: str, person: str) -> Json:
        user = self._workspace.users[person]
        return {
            "type": kind,
            "team": {"id": people.TEAM["id"], "domain": people.TEAM["domain"]},
            "user": {
                "id": person,
                "username": user["name"],
                "name": user["name"],
                "team_id": user["team_id"],
            },
            "api_app_id": people.APP_ID,
            "token": self._workspace.secret("verification", ""),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _failure(self, person: str, answer: Answer) -> Json:
        if not answer.failure:
            return {}
        notice = {"text": f"That did not work: {answer.failure}.", "level": "error"}
        self._workspace.feed.add("notice", notice, audience=frozenset([person]))
        return {"error": answer.failure}

    # -- shortcuts

    async def shortcut(self, person: str, *, callback_id: str) -> Json:
        """Send that a global shortcut was chosen."""
        self._check_shortcut("global", callback_id)
        user = self._workspace.users[person]
        payload = {
            **self._shortcut_head("shortcut", person, callback_id=callback_id),
            "user": {"id": person, "username": user["name"], "team_id": user["team_id"]},
        }
        return self._failure(person, await self._courier.send_payload(payload))

    async def message_shortcut(self, person: str, *, callback_id: str, channel: str, ts: str) -> Json:
        """Send that a shortcut was chosen at a message; Slack offers none at ephemeral ones."""
        self._check_shortcut("message", callback_id)
        place = self._place(person, channel)
        message = self._workspace.message(place["id"], ts)
        if message is None or "ephemeral_for" in message:
            raise PageRefuses("message_not_found", text="That message is gone.", status=404)
        user = self._workspace.users[person]
        payload = {
            **self._shortcut_head("message_action", person, callback_id=callback_id),
            "user": {"id": person, "name": user["name"], "team_id": user["team_id"]},
            "channel": {
                "id": place["id"],
                "name": "directmessage" if place["kind"] == "im" else place["name"],
            },
            "message_ts": message["ts"],
            "message": self._renderer.api_message(message),
            "response_url": self._hooks.new(person=person, channel=place["id"]),
        }
        return self._failure(person, await self._courier.send_payload(payload))

    def _check_shortcut(self, kind: str, callback_id: str) -> None:
        if (kind, callback_id) not in {(known["type"], known["callback_id"]) for known in self.shortcuts}:
            raise PageRefuses("unknown_shortcut", text="There is no such shortcut.", status=404)

    def _shortcut_head(self, kind: str, person: str, *, callback_id: str) -> Json:
        return {
            "type": kind,
            "token": self._workspace.secret("verification", ""),
            "action_ts": self._workspace.new_ts(),
            "team": {"id": people.TEAM["id"], "domain": people.TEAM["domain"]},
            "is_enterprise_install": False,
            "enterprise": None,
            "callback_id": callback_id,
            "trigger_id": self._surfaces.trigger(person),
        }

    # -- views

    async def submitted(self, person: str, *, view_id: str, state: Json) -> Json:
        """Submit a modal: first Slack's own checks, then the bot's answer."""
        view = self._view(person, view_id)
        values = self._values(view, state)
        errors = client_errors(view["blocks"], values)
        if errors:
            return {"errors": errors}
        self._show_state(view, values)
        answer = await self._courier.send_payload(
            {
                **self._head("view_submission", person),
                "trigger_id": self._surfaces.trigger(person, view_id=view_id),
                "view": view,
                "response_urls": [],
            }
        )
        if answer.failure:
            return {"error": answer.failure, "text": TROUBLE}
        return self._obey(person, view, answer)

    def _obey(self, person: str, view: Json, answer: Answer) -> Json:
        body = answer.json()
        try:
            return self._response_action(person, view, body)
        except SlackRefuses as refusal:
            self.complaints.append(f"answer to view_submission {view['callback_id']}: {refusal}")
            return {"error": refusal.word, "text": TROUBLE}

    def _response_action(self, person: str, view: Json, body: Json) -> Json:
        action = body.get("response_action")
        if action == "errors":
            inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
            errors = body.get("errors") or {}
            if not errors or not set(errors) <= inputs:
                raise SlackRefuses("invalid_arguments", details=["[ERROR] errors must name input blocks"])
            return {"errors": errors}
        if action == "update":
            self._surfaces.update(body.get("view") or {}, view_id=view["id"])
        elif action == "push":
            self._surfaces.push_onto(person, body.get("view") or {})
        elif action == "clear":
            self._surfaces.clear(person)
        elif action is None:
            self._surfaces.close_top(person, view)
        else:
            raise SlackRefuses("invalid_arguments", details=[f"[ERROR] unknown response_action: {action}"])
        return {}

    async def closed(self, person: str, *, view_id: str, whole_stack: bool = False) -> Json:
        """Close a modal, or all of them; the bot hears of those with `notify_on_close`."""
        view = self._view(person, view_id)
        stack = self._workspace.modals(person)
        cleared = whole_stack or view["clear_on_close"]
        gone = list(reversed(stack)) if cleared else [view]
        self._workspace.set_modals(person, [kept for kept in stack if kept not in gone])
        for closed in [closed for closed in gone if closed["notify_on_close"]]:
            payload = {**self._head("view_closed", person), "view": closed, "is_cleared": cleared}
            self._courier.start(self._courier.send_payload(payload))
        return {}

    # -- files

    def uploaded(self, person: str, *, name: str, content: bytes) -> Json:
        """Take a file of a person; it is shown to nobody until it is sent or posted."""
        if len(content) > MAX_FILE:
            raise PageRefuses("file_too_large", text="Files may have at most 10 MB.", status=413)
        if not name:
            raise PageRefuses("no_name", text="The file needs a name.")
        return self._renderer.new_file(name=name, user=person, content=content)

    def posted_file(self, person: str, *, file: Json, channel: str, text: str, thread_ts: str | None) -> Json:
        """Post a file of a person as a message."""
        place = self._place(person, channel)
        return self._workspace.post(
            place["id"], user=person, text=text, files=[file["id"]], thread_ts=thread_ts
        )

    def visible_files(self, person: str) -> set[str]:
        """Return the files that a person may download: their own, and those in messages they see."""
        own = {file["id"] for file in self._workspace.files.values() if file["user"] == person}
        seen = {
            file_id
            for channel in self._workspace.channels
            for message in self._workspace.messages(channel)
            if person in self._workspace.audience(message)
            for file_id in message.get("files", [])
        }
        return own | seen


def _element(surface: Json, *, block_id: str, action_id: str) -> tuple[Json, Json]:
    for block, element in elements_of(surface.get("blocks") or []):
        if block.get("block_id") == block_id and element.get("action_id") == action_id:
            return block, element
    raise PageRefuses("element_not_found", text="That element has changed meanwhile.", status=404)
