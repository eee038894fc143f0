"""What the workspace holds: people, channels, messages, files, modals and home tabs."""

import secrets
from pathlib import Path
from typing import Any

from bot.kit.clock import Clock
from bot.sandbox.slack import people
from bot.sandbox.slack.blocks import elements_of
from bot.sandbox.slack.feed import Feed
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.shelf import Shelf

Json = dict[str, Any]
MODALS_DEEP = 3
DAY = 86_400


class Workspace:
    """The state of the stand-in. Every change is kept at once and told to the feed."""

    def __init__(self, clock: Clock, *, folder: Path | None = None) -> None:
        self._clock = clock
        self._shelf = Shelf(folder)
        self.feed = Feed(secrets.token_hex(4))
        if not self._shelf.all("user"):
            self._furnish()
        self.users = self._shelf.all("user")
        self.groups = self._shelf.all("group")
        self.channels = self._shelf.all("channel")
        self.files = self._shelf.all("file")
        self.homes = self._shelf.all("home")
        self.hooks = self._shelf.all("hook")
        self._modals: dict[str, list[Json]] = {
            person: kept["views"] for person, kept in self._shelf.all("modals").items()
        }
        self._counters: Json = self._shelf.all("secret").get("counters", {"ts": 0, "id": 0})
        self._messages: dict[str, dict[str, Json]] = {channel: {} for channel in self.channels}
        for message in self._shelf.all("message").values():
            self._messages[message["channel"]][message["ts"]] = message

    def _furnish(self) -> None:
        for user in people.first_users():
            self._shelf.keep("user", user["id"], user)
        for channel in people.first_channels():
            self._shelf.keep("channel", channel["id"], channel)
        for group in people.first_groups():
            self._shelf.keep("group", group["id"], group)

    def secret(self, name: str, prefix: str) -> str:
        """Return a secret of this folder, made at random the first time."""
        kept = self._shelf.all("secret").get(name)
        if kept is None:
            kept = {"value": prefix + secrets.token_hex(20)}
            self._shelf.keep("secret", name, kept)
        return str(kept["value"])

    def close(self) -> None:
        self._shelf.close()

    # -- numbers

    def new_ts(self) -> str:
        """Return a moment as Slack writes it, later than every one before."""
        present = int(self._clock.now().timestamp() * 1_000_000)
        self._counters["ts"] = max(present, self._counters["ts"] + 1)
        self._shelf.keep("secret", "counters", self._counters)
        return f"{self._counters['ts'] // 1_000_000}.{self._counters['ts'] % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        self._counters["id"] += 1
        self._shelf.keep("secret", "counters", self._counters)
        return f"{prefix}{self._counters['id']:06d}"

    def seconds(self) -> float:
        """Return the present moment in seconds since 1970."""
        return self._clock.now().timestamp()

    # -- people and channels

    def human_ids(self) -> list[str]:
        return [
            user["id"] for user in self.users.values() if not user["is_bot"] and user["id"] != people.SLACKBOT
        ]

    def change_user(self, user_id: str, **changes: Any) -> None:
        """Change a member, for example `deleted=True` or `is_restricted=True`."""
        self.users[user_id].update(changes)
        self._shelf.keep("user", user_id, self.users[user_id])

    def change_group(self, group_id: str, *, users: list[str]) -> None:
        self.groups[group_id]["users"] = users
        self._shelf.keep("group", group_id, self.groups[group_id])

    def add_channel(self, channel: Json) -> Json:
        self.channels[channel["id"]] = channel
        self._messages.setdefault(channel["id"], {})
        self._shelf.keep("channel", channel["id"], channel)
        self.feed.add("channel", {"id": channel["id"]}, audience=frozenset(channel["members"]))
        return channel

    def set_membership(self, channel_id: str, *, user_id: str, member: bool) -> None:
        members = self.channels[channel_id]["members"]
        if member and user_id not in members:
            members.append(user_id)
        if not member and user_id in members:
            members.remove(user_id)
        self._shelf.keep("channel", channel_id, self.channels[channel_id])

    def direct_channel(self, person: str) -> Json:
        """Return the bot's direct channel with one person, opened when there is none."""
        if person not in self.human_ids() or self.users[person]["deleted"]:
            raise SlackRefuses("user_not_found")
        channel = people.direct_channel(person)
        return self.channels.get(channel["id"]) or self.add_channel(channel)

    def channel_of(self, name: str) -> Json:
        """Find a channel by id, by `#name`, or by the id of the person at its other end."""
        if name in self.users:
            try:
                return self.direct_channel(name)
            except SlackRefuses:
                raise SlackRefuses("channel_not_found") from None
        by_name = {
            channel["name"]: channel for channel in self.channels.values() if channel["kind"] == "channel"
        }
        channel = self.channels.get(name) or by_name.get(name.removeprefix("#"))
        if channel is None:
            raise SlackRefuses("channel_not_found")
        return channel

    # -- messages

    def messages(self, channel_id: str) -> list[Json]:
        """Return the messages of a channel, oldest first."""
        return list(self._messages[channel_id].values())

    def message(self, channel_id: str, ts: str) -> Json | None:
        return self._messages[channel_id].get(ts)

    def post(self, channel_id: str, *, user: str, text: str, **parts: Any) -> Json:
        """Put a message into a channel. `parts` are Slack's own keys, left out when None."""
        message = {"ts": self.new_ts(), "channel": channel_id, "user": user, "text": text}
        message.update({key: value for key, value in parts.items() if value is not None})
        self._name_blocks(message)
        self._messages[channel_id][message["ts"]] = message
        self._tell_message(message)
        parent = self.message(channel_id, message.get("thread_ts", ""))
        if parent is not None and parent is not message and "ephemeral_for" not in message:
            parent["reply_count"] = parent.get("reply_count", 0) + 1
            parent["latest_reply"] = message["ts"]
            parent["thread_ts"] = parent["ts"]
            self._tell_message(parent)
        return message

    def change(self, message: Json, **parts: Any) -> None:
        """Change a message in place; parts that are None stay as they are."""
        message.update({key: value for key, value in parts.items() if value is not None})
        self._name_blocks(message)
        self._tell_message(message)

    def erase(self, message: Json) -> None:
        """Remove a message; one with replies stays as a gravestone, as in Slack."""
        if message.get("reply_count"):
            for key in ("blocks", "files", "metadata"):
                message.pop(key, None)
            self.change(message, text="This message was deleted.", subtype="tombstone", user=people.SLACKBOT)
            return
        del self._messages[message["channel"]][message["ts"]]
        self._shelf.drop("message", f"{message['channel']} {message['ts']}")
        where = {"channel": message["channel"], "ts": message["ts"]}
        self.feed.add("message_gone", where, audience=self.audience(message))

    def audience(self, message: Json) -> frozenset[str]:
        """Return the people who see a message."""
        members = frozenset(self.channels[message["channel"]]["members"])
        return members & {message["ephemeral_for"]} if "ephemeral_for" in message else members

    def _tell_message(self, message: Json) -> None:
        self._shelf.keep("message", f"{message['channel']} {message['ts']}", message)
        where = {"channel": message["channel"], "ts": message["ts"]}
        self.feed.add("message", where, audience=self.audience(message))

    def _name_blocks(self, surface: Json) -> None:
        """Give ids to blocks and elements that came without, as Slack does."""
        for block in surface.get("blocks") or []:
            block.setdefault("block_id", self.new_id("b"))
        for _, element in elements_of(surface.get("blocks") or []):
            element.setdefault("action_id", self.new_id("a"))

    # -- modals and home tabs

    def modals(self, person: str) -> list[Json]:
        """Return the open modals of a person, lowest first."""
        return list(self._modals.get(person, []))

    def set_modals(self, person: str, views: list[Json]) -> None:
        self._modals[person] = views
        self._shelf.keep("modals", person, {"views": views})
        self.feed.add("views", {}, audience=frozenset([person]))

    def modal(self, view_id: str) -> tuple[str, Json] | None:
        """Find an open modal, with the person who sees it."""
        found = [
            (person, view)
            for person, views in self._modals.items()
            for view in views
            if view["id"] == view_id
        ]
        return found[0] if found else None

    def make_view(self, view: Json, *, below: Json | None = None, same: Json | None = None) -> Json:
        """Complete a view as Slack does, on top of `below` or in place of `same`."""
        view_id = same["id"] if same else self.new_id("V")
        made = {
            "id": view_id,
            "team_id": people.TEAM["id"],
            "callback_id": "",
            "private_metadata": "",
            "external_id": "",
            "submit": None,
            "close": None,
            "title": {"type": "plain_text", "text": "View Title", "emoji": True},
            "clear_on_close": False,
            "notify_on_close": False,
            **view,
            "hash": f"{int(self.seconds())}.{secrets.token_hex(4)}",
            "state": {"values": {}},
            "root_view_id": same["root_view_id"] if same else (below or {}).get("root_view_id", view_id),
            "previous_view_id": same["previous_view_id"] if same else (below or {}).get("id"),
            "app_id": people.APP_ID,
            "app_installed_team_id": people.TEAM["id"],
            "bot_id": people.BOT_ID,
        }
        self._name_blocks(made)
        return made

    def set_home(self, person: str, view: Json) -> None:
        self.homes[person] = view
        self._shelf.keep("home", person, view)
        self.feed.add("home", {}, audience=frozenset([person]))

    # -- files and hooks

    def keep_file(self, file: Json, content: bytes | None = None) -> None:
        self.files[file["id"]] = file
        self._shelf.keep("file", file["id"], file)
        if content is not None:
            self._shelf.keep_content(file["id"], content)

    def file_content(self, file_id: str) -> bytes | None:
        return self._shelf.content(file_id)

    def delete_file(self, file_id: str) -> None:
        """Forget a file's content; messages that show it are told again."""
        self.keep_file({**self.files[file_id], "mode": "tombstone"})
        self._shelf.drop_content(file_id)
        for channel in self._messages.values():
            for message in [message for message in channel.values() if file_id in message.get("files", [])]:
                self._tell_message(message)

    def keep_hook(self, hook: Json) -> None:
        """Keep a response URL with the number of its uses; those that ended a day ago are forgotten."""
        for old in [old for old in self.hooks.values() if self.seconds() - old["until"] > DAY]:
            del self.hooks[old["id"]]
            self._shelf.drop("hook", old["id"])
        self.hooks[hook["id"]] = hook
        self._shelf.keep("hook", hook["id"], hook)
