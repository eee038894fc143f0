"""One thing that a person did in Slack, and the ways to answer it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from bot.kit.actor import Actor
from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import METADATA_CHARS, Message, View
from bot.slack.commands import Args
from bot.slack.files import SlackFile

# https://docs.slack.dev/interactivity/handling-user-interaction: 5 uses in 30 minutes. A minute is kept
# back for the way there.
RESPONSE_URL_USES = 5
RESPONSE_URL_LIFE = timedelta(minutes=29)


class FieldErrors(EnrollbotError):
    """What is wrong with the inputs of a modal, by `block_id`: it stays open and shows them there."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(errors.values()))


class ModalTooLate(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "Slack allows three seconds to open a dialog, and they had passed.",
            next_step="Nothing was changed. Please try once more.",
        )


class Outlet(Protocol):
    """How answers leave: what a call needs of Slack."""

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        """Answer by a response_url; False when Slack no longer takes it."""
        ...

    async def whisper(self, channel: str, user_id: str, message: Message) -> bool:
        """Show a message to one person in a channel; False when the bot may not speak there."""
        ...

    async def direct(self, user_id: str, message: Message) -> None: ...

    async def send_file(
        self, user_id: str, *, name: str, content: bytes | Path, comment: Message | None
    ) -> None:
        """Send a file by direct message; a path is read as it is sent."""
        ...

    async def open_view(self, trigger_id: str, view: View, *, push: bool) -> str:
        """Open a modal, or put it on top of the one that is open; returns its id. Raises ModalTooLate."""
        ...

    async def update_view(self, view_id: str, view: View) -> bool:
        """Change an open view; False when the person has closed it."""
        ...

    async def publish_home(self, user_id: str, view: View) -> None: ...

    async def fetch_file(self, file: Mapping[str, Any] | str, limit: int = 65536) -> SlackFile: ...

    async def delete_file(self, file: Mapping[str, Any] | str) -> bool:
        """Delete a file from Slack; False where Slack does not let the bot."""
        ...


class ModalState:
    """What was filled in, by `block_id`. Each input block has one element."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = values or {}

    def has(self, block_id: str) -> bool:
        """Say whether the modal had this input."""
        return isinstance(self._values.get(block_id), dict)

    def text(self, block_id: str) -> str:
        """Return what was typed (or the date or user picked), without spaces around it; empty if nothing."""
        element = self._element(block_id)
        for key in ("value", "selected_date", "selected_user", "selected_conversation", "selected_channel"):
            if isinstance(found := element.get(key), str):
                return found.replace("\x00", "").strip()
        return ""

    def checked(self, block_id: str) -> list[str]:
        """Return the values of the ticked boxes, or of the options chosen among many."""
        options = self._element(block_id).get("selected_options")
        return [value for option in _dicts(options) if isinstance(value := option.get("value"), str)]

    def selected(self, block_id: str) -> str | None:
        """Return the value of the chosen option, None when none was."""
        option = self._element(block_id).get("selected_option")
        value = option.get("value") if isinstance(option, dict) else None
        return value if isinstance(value, str) else None

    def one_selected(self, beginning: str) -> str | None:
        """Return what was chosen in an input whose id is `beginning`, or that and a dot and more.

        A list that gives way to another one is an input of its own, so that no choice is carried over.
        """
        ids = (each for each in self._values if each.split(".")[0] == beginning)
        return next((chosen for each in ids if (chosen := self.selected(each)) is not None), None)

    def files(self, block_id: str) -> list[dict[str, Any]]:
        """Return the files handed over, each at least with its `id` (Slack sends ids or objects)."""
        entries = self._element(block_id).get("files")
        if not isinstance(entries, list):
            return []
        return _dicts([{"id": entry} if isinstance(entry, str) else entry for entry in entries])

    def _element(self, block_id: str) -> Mapping[str, Any]:
        block = self._values.get(block_id)
        elements = _dicts(list(block.values())) if isinstance(block, dict) else []
        return elements[0] if elements else {}


@dataclass(kw_only=True)
class Call:
    """A command, a pressed button, a sent modal or an event, with who did it and where.

    `delivery` is the same when Slack delivers the same thing twice: claim it in the transaction of the
    change. `value` is a button's value or the chosen option's, or what the check of a sent modal leaves for
    what follows; it is data, never permission.
    `is_in_modal`: what was pressed stands in a modal, which is the person's. `owns_modal`: a modal is
    open that this call put there and may change.
    """

    outlet: Outlet
    clock: Clock
    actor: Actor
    user_id: str
    team_id: str
    delivery: str
    reference: str
    received_at: datetime
    channel_id: str = ""
    trigger_id: str = ""
    response_url: str = field(default="", repr=False)
    args: Args = field(default_factory=Args)
    value: str = ""
    state: ModalState = field(default_factory=ModalState)
    metadata: str = ""
    view_id: str = ""
    event: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_in_modal: bool = False
    owns_modal: bool = False
    _uses: int = field(default=0, repr=False)

    async def answer(self, message: Message | str, *, replace: bool = False) -> None:
        """Answer the person only: by response_url while it lives, else where they were, else directly.

        `replace` takes the place of the message whose button was pressed.
        """
        told = Message(message) if isinstance(message, str) else message
        if await self._respond(told, replace=replace):
            return
        can_whisper = bool(self.channel_id) and not self.response_url
        if can_whisper and await self.outlet.whisper(self.channel_id, self.user_id, told):
            return
        await self.direct(told)

    async def open_modal(self, view: View) -> None:
        """Open a modal, within three seconds of what the person did; raises `ModalTooLate`.

        On top of a modal when its button was pressed. `view_id` is then the new one's.
        """
        opened = with_origin(view, self.channel_id)
        self.view_id = await self.outlet.open_view(self.trigger_id, opened, push=self.is_in_modal)
        self.owns_modal = True

    async def show_modal(self, view: View) -> None:
        """Open a modal; in one already open take its place, since Slack stacks no more than three."""
        if self.is_in_modal:
            await self.update_modal(view)
        else:
            await self.open_modal(view)

    async def update_modal(self, view: View) -> None:
        """Change the modal that is open; says the same in a message when it was closed meanwhile."""
        if self.view_id and await self.outlet.update_view(self.view_id, with_origin(view, self.channel_id)):
            return
        await self.answer(Message.from_view(view))

    async def direct(self, message: Message) -> None:
        await self.outlet.direct(self.user_id, message)

    async def send_file(
        self, *, name: str, content: bytes | Path, comment: Message | str | None = None
    ) -> None:
        """Send a file by direct message: Slack has no files that only one person of a channel sees.

        What may be too large for memory is given as a path.
        """
        told = Message(comment) if isinstance(comment, str) else comment
        await self.outlet.send_file(self.user_id, name=name, content=content, comment=told)

    async def publish_home(self, view: View) -> None:
        """Show the person's home tab."""
        await self.outlet.publish_home(self.user_id, view)

    async def fetch_file(self, file: Mapping[str, Any] | str, limit: int = 65536) -> SlackFile:
        """Fetch a file of `state.files`; raises what `bot.slack.files` raises."""
        return await self.outlet.fetch_file(file, limit)

    async def delete_file(self, file: Mapping[str, Any] | str) -> bool:
        """Delete a file of `state.files` from Slack; False where Slack does not let the bot."""
        return await self.outlet.delete_file(file)

    async def _respond(self, message: Message, *, replace: bool) -> bool:
        is_alive = self.clock.now() - self.received_at < RESPONSE_URL_LIFE
        if not self.response_url or not is_alive or self._uses >= RESPONSE_URL_USES:
            return False
        self._uses += 1
        return await self.outlet.respond(self.response_url, message, replace=replace)


def with_origin(view: View, channel_id: str) -> View:
    """Note in a modal where it was opened from, so that what follows can be answered there.

    Left out where it does not fit: the answer then goes directly.
    """
    if view.get("type") != "modal" or not channel_id:
        return view
    note = json.dumps({"in": channel_id, "of": view.get("private_metadata", "")}, separators=(",", ":"))
    return view | {"private_metadata": note} if len(note) <= METADATA_CHARS else view


def origin_of(private_metadata: str) -> tuple[str, str]:
    """Return the channel noted by `with_origin` and the metadata that the screen gave."""
    try:
        note = json.loads(private_metadata)
    except ValueError:
        return "", private_metadata
    if isinstance(note, dict) and set(note) == {"in", "of"}:
        return str(note["in"]), str(note["of"])
    return "", private_metadata


def _dicts(entries: object) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
