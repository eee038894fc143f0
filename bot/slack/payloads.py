"""What Slack sends, read once into values with the types that the rest relies on.

Shapes: https://docs.slack.dev/reference/interaction-payloads. Keys that nothing here uses are not looked
at, so that Slack may add to them.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.kit.errors import EnrollbotError

MAX_FIELDS = 100
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

Id = Annotated[str, Field(min_length=1, max_length=255)]


def _or_empty(given: object) -> object:
    if given is None:
        return ""
    # PostgreSQL stores and compares no text with this character, and no person types it.
    return given.replace("\x00", "") if isinstance(given, str) else given


Text = Annotated[str, BeforeValidator(_or_empty)]
"""A text that Slack leaves out or sends as null when it has none; without NUL characters."""


class BadShape(EnrollbotError):
    """A signed request that is not what Slack sends."""

    def __init__(self, what: str) -> None:
        super().__init__(f"This is not a request as Slack sends it: {what}.")


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Named(_Payload):
    id: Id
    team_id: Text = ""


class Command(_Payload):
    """A slash command."""

    command: Id
    text: Text = Field("", repr=False)
    user_id: Id
    team_id: Text = ""
    channel_id: Text = ""
    trigger_id: Id
    response_url: Text = Field("", repr=False)

    @property
    def delivery(self) -> str:
        return _key("command", self.trigger_id)


class Choice(_Payload):
    value: Text = ""


class Action(_Payload):
    """A pressed button or a choice; the choice's value comes in many forms."""

    action_id: Id
    action_ts: Text = ""
    value: Text = ""
    url: Text = ""
    selected_option: Choice | None = None
    selected_user: Text = ""
    selected_conversation: Text = ""
    selected_channel: Text = ""
    selected_date: Text = ""

    @property
    def chosen(self) -> str:
        option = self.selected_option.value if self.selected_option else ""
        picked = (self.selected_user, self.selected_conversation, self.selected_channel, self.selected_date)
        return self.value or option or next((value for value in picked if value), "")


class State(_Payload):
    values: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)


class Shown(_Payload):
    """The modal or home tab that something was done in."""

    id: Id
    type: Text = ""
    callback_id: Text = ""
    hash: Text = ""
    private_metadata: Text = Field("", repr=False)
    state: State | None = None
    blocks: list[dict[str, Any]] = Field(default_factory=list, repr=False)


class Actions(_Payload):
    """A button pressed or a choice made (`block_actions`)."""

    type: Literal["block_actions"]
    user: Named
    team: Named | None = None
    channel: Named | None = None
    trigger_id: Id
    response_url: Text = Field("", repr=False)
    actions: list[Action] = Field(min_length=1)
    view: Shown | None = None
    state: State | None = None

    @property
    def delivery(self) -> str:
        return _key("action", self.trigger_id, self.actions[0].action_id, self.actions[0].action_ts)


class Submitted(_Payload):
    """A modal sent (`view_submission`)."""

    type: Literal["view_submission"]
    user: Named
    team: Named | None = None
    trigger_id: Text = ""
    view: Shown

    @property
    def delivery(self) -> str:
        return _key("view", self.trigger_id, self.view.id, self.view.hash)


class Happened(_Payload):
    """What an event tells."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    type: Id
    user: Text | dict[str, Any] = ""
    channel: Text | dict[str, Any] = ""


class Event(_Payload):
    """An event of the Events API (`event_callback`)."""

    type: Literal["event_callback"]
    team_id: Text = ""
    event_id: Id
    event: Happened

    @property
    def delivery(self) -> str:
        return _key("event", self.event_id)

    @property
    def user_id(self) -> str:
        return self.event.user if isinstance(self.event.user, str) else ""


class Challenge(_Payload):
    """Slack asks whether this address is ours (`url_verification`)."""

    type: Literal["url_verification"]
    challenge: Annotated[str, Field(max_length=1000)]


Payload = Command | Actions | Submitted | Event | Challenge

_KNOWN: dict[str, type[Actions] | type[Submitted] | type[Event] | type[Challenge]] = {
    "block_actions": Actions,
    "view_submission": Submitted,
    "event_callback": Event,
    "url_verification": Challenge,
}


def read_body(body: bytes, content_type: str) -> Payload | None:
    """Read a request's body; None for a kind that is not known here. Raises BadShape."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadShape("not UTF-8") from None
    if kind == "application/json":
        return read_object(_json(text))
    if kind != "application/x-www-form-urlencoded":
        raise BadShape("neither JSON nor a form")
    fields = _form(text)
    if "payload" in fields:
        return read_object(_json(fields["payload"]))
    return _read(Command, fields)


def read_object(told: object) -> Payload | None:
    """Read an interaction, an event or (in Socket Mode) a command. Raises BadShape."""
    if not isinstance(told, dict):
        raise BadShape("not an object")
    if "command" in told and "type" not in told:
        return _read(Command, told)
    kind = told.get("type")
    if not isinstance(kind, str):
        raise BadShape("no type")
    known = _KNOWN.get(kind)
    return _read(known, told) if known else None


def _read(
    kind: type[Command] | type[Actions] | type[Submitted] | type[Event] | type[Challenge],
    told: Mapping[str, Any],
) -> Payload:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors()[:3])
        raise BadShape(f"{where} is missing or of another type") from None


def _json(text: str) -> object:
    try:
        told: object = json.loads(text)
        if _SURROGATE.search(text):
            # Half a character can be read from JSON and then be neither stored nor sent.
            json.dumps(told, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadShape("no JSON") from None
    return told


def _form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadShape("no form") from None
    # The first of two, as Bolt and Slack read it.
    return {key: value for key, value in reversed(pairs)}


def _key(*parts: str) -> str:
    """Return a key that fits a unique column and keeps no trigger id."""
    return f"{parts[0]}:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"
