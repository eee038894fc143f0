"""A person at Slack: types commands, presses buttons, sends modals, and reads what comes back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.kit.actor import Actor
from bot.slack.blocks import Block, Message, View
from bot.slack.call import Call, ModalState
from bot.slack.commands import parse, words
from bot.slack.files import SlackFile
from bot.slack.post import SlackRefused
from bot.slack.router import Router
from bot.tokens import slack
from tests.tokens.conftest import ANA, Room


@dataclass
class Outlet:
    """Keeps what leaves. `view` is the modal open now, None when it was closed."""

    answers: list[Message] = field(default_factory=list)
    directs: list[Message] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)
    view: View | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    closes_after_check: bool = False

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        self.answers.append(message)
        return True

    async def whisper(self, channel: str, user_id: str, message: Message) -> bool:
        self.answers.append(message)
        return True

    async def direct(self, user_id: str, message: Message) -> None:
        self.directs.append(message)

    async def send_file(
        self, user_id: str, *, name: str, content: bytes | Path, comment: Message | None
    ) -> None:
        assert isinstance(content, bytes)  # what this room sends is small
        self.sent[name] = content

    async def open_view(self, trigger_id: str, view: View, *, push: bool) -> str:
        self.view = view
        return "V1"

    async def update_view(self, view_id: str, view: View) -> bool:
        if self.view is None:
            return False
        self.view = view
        return True

    async def publish_home(self, user_id: str, view: View) -> None:
        raise AssertionError("tokens have no home tab")

    async def fetch_file(self, file: Mapping[str, Any] | str, limit: int = 65536) -> SlackFile:
        file_id = file if isinstance(file, str) else str(file["id"])
        return SlackFile(file_id, self.files[file_id])

    async def delete_file(self, file: Mapping[str, Any] | str) -> bool:
        raise AssertionError("what this room is handed over may stay in Slack")


class Channel:
    """Keeps what was posted; refuses when told to."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Message]] = []
        self.refuses = False

    async def post(self, channel: str, message: Message) -> None:
        if self.refuses:
            raise SlackRefused("not_in_channel", method="chat.postMessage")
        self.posts.append((channel, message))


class Desk:
    """Everything that one person does, over the real router and service."""

    def __init__(self, room: Room, *, channel: str | None = "COPS") -> None:
        self.room = room
        self.outlet = Outlet()
        self.channel = Channel()
        self.router = Router()
        self._deliveries = 0
        slack.register(self.router, room.tokens, poster=self.channel, channel=channel)

    async def type(self, text: str, *, actor: Actor = ANA, delivery: str | None = None) -> None:
        command, left = self.router.find_command(words(text), actor.rights.highest)
        call = self._call(actor, delivery, response_url="https://hooks.slack.test/1")
        call.args = parse(left, command.spec, usage=command.usage)
        await command.handler(call)

    async def press(self, button: Block, *, actor: Actor = ANA, delivery: str | None = None) -> None:
        screen = self.router.find_action(button["action_id"])
        assert screen is not None
        call = self._call(
            actor, delivery, response_url="https://hooks.slack.test/1", value=button.get("value", "")
        )
        await screen.handler(call)

    async def send(
        self, values: Mapping[str, Any], *, actor: Actor = ANA, delivery: str | None = None
    ) -> None:
        """Send the open modal: its check, what it then shows, and the work behind it."""
        view = self.outlet.view
        assert view is not None
        screen = self.router.find_submission(view["callback_id"])
        assert screen is not None
        metadata = view["private_metadata"]
        call = self._call(
            actor,
            delivery,
            state=ModalState({key: {"value": value} for key, value in values.items()}),
            metadata=json.loads(metadata)["of"] if metadata.startswith("{") else metadata,
            view_id="V1",
        )
        if screen.check is not None:
            self.outlet.view = await screen.check(call)
        if self.outlet.closes_after_check:
            self.outlet.view = None
        if screen.then is not None:
            await screen.then(call)

    async def upload(self, content: bytes, *, delivery: str | None = None) -> None:
        """Send the open upload modal with a file."""
        self.outlet.files["F1"] = content
        await self.send({"file": {"type": "file_input", "files": [{"id": "F1"}]}}, delivery=delivery)

    def _call(self, actor: Actor, delivery: str | None, **known: Any) -> Call:
        self._deliveries += 1
        return Call(
            outlet=self.outlet,
            clock=self.room.clock,
            actor=actor,
            user_id=actor.id,
            team_id="T1",
            delivery=delivery or f"D{self._deliveries}",
            reference="R1",
            received_at=self.room.clock.now(),
            channel_id="CHERE",
            trigger_id="X1",
            **known,
        )


def typed(text: str) -> dict[str, str]:
    """What a text input holds."""
    return {"type": "plain_text_input", "value": text}


def ticked(*values: str) -> dict[str, Any]:
    """What checkboxes hold."""
    return {"type": "checkboxes", "selected_options": [{"value": value} for value in values]}


def said(shown: Message | View | None) -> str:
    """Every text that a message or view shows, in order."""
    assert shown is not None
    found = [block for block in (shown.blocks if isinstance(shown, Message) else shown["blocks"])]
    return "\n".join(_texts(found))


def buttons(shown: Message | View | None) -> dict[str, Block]:
    """The buttons of a message or view by their text."""
    assert shown is not None
    found = shown.blocks if isinstance(shown, Message) else shown["blocks"]
    return {
        element["text"]["text"]: element
        for block in found
        if block["type"] == "actions"
        for element in block["elements"]
    }


def _texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for each in node for text in _texts(each)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if isinstance(node.get("text"), str) else []
    return own + [text for each in node.values() for text in _texts(each)]
