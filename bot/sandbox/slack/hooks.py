"""Response URLs, and messages that are asked for by an answer's body: https://docs.slack.dev/interactivity."""

import secrets
from typing import Any

from bot.sandbox.slack import people
from bot.sandbox.slack.blocks import MESSAGE_CHARACTERS, check_message_blocks
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.render import Address
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
USES = 5
LIFE_SECONDS = 1800.0


class Hooks:
    """The response URLs given to the bot: five uses in thirty minutes of the clock each."""

    def __init__(self, workspace: Workspace, *, address: Address) -> None:
        self._workspace = workspace
        self._address = address

    def new(self, *, person: str, channel: str, ts: str | None = None, thread_ts: str | None = None) -> str:
        """Return a fresh response URL for a command (`ts` None) or for an interaction with a message."""
        hook = {
            "id": secrets.token_hex(16),
            "person": person,
            "channel": channel,
            "ts": ts,
            "thread_ts": thread_ts,
            "until": self._workspace.seconds() + LIFE_SECONDS,
            "left": USES,
        }
        self._workspace.keep_hook(hook)
        return f"{self._address.base_url}/hooks/{hook['id']}"

    def use(self, hook_id: str, body: Json) -> None:
        """Do what was posted to a response URL; raises the word with which Slack refuses it."""
        hook = self._workspace.hooks.get(hook_id)
        if hook is None:
            raise SlackRefuses("invalid_hook")
        if self._workspace.seconds() > hook["until"]:
            raise SlackRefuses("expired_url")
        if hook["left"] <= 0:
            raise SlackRefuses("used_url")
        self._workspace.keep_hook({**hook, "left": hook["left"] - 1})
        original = self._workspace.message(hook["channel"], hook["ts"]) if hook["ts"] else None
        if body.get("delete_original"):
            if original is not None:
                self._workspace.erase(original)
            return
        if body.get("replace_original") and original is not None:
            check_content(body)
            self._replace(original, body)
            return
        self.say(body, person=hook["person"], channel=hook["channel"], thread_ts=hook["thread_ts"])

    def _replace(self, original: Json, body: Json) -> None:
        edited = {"user": people.BOT_USER, "ts": self._workspace.new_ts()}
        self._workspace.change(
            original,
            text=body.get("text") or "",
            blocks=body.get("blocks") or [],
            edited=None if "ephemeral_for" in original else edited,
        )

    def say(self, body: Json, *, person: str, channel: str, thread_ts: str | None = None) -> Json:
        """Post what an answer asks for: to the person alone unless it says `in_channel`."""
        check_content(body)
        public = body.get("response_type") == "in_channel"
        return self._workspace.post(
            channel,
            user=people.BOT_USER,
            text=body.get("text") or "",
            blocks=body.get("blocks") or None,
            ephemeral_for=None if public else person,
            thread_ts=body.get("thread_ts") or thread_ts,
        )


def check_content(body: Json) -> None:
    """Refuse a message without content or beyond Slack's limits."""
    text = body.get("text") or ""
    if not isinstance(text, str):
        raise SlackRefuses("invalid_arguments", details=["[ERROR] must be a string [json-pointer:/text]"])
    if not text and not body.get("blocks") and not body.get("attachments"):
        raise SlackRefuses("no_text")
    if len(text) > MESSAGE_CHARACTERS:
        raise SlackRefuses("msg_too_long")
    if body.get("blocks"):
        check_message_blocks(body["blocks"])
