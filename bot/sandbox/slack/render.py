"""How messages, files and people look from outside: to the bot as in Slack, to the page as in API.md."""

import mimetypes
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bot.sandbox.slack import people
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
_KEPT_FOR_API = ("thread_ts", "subtype", "reply_count", "latest_reply", "edited")
_KEPT_FOR_PAGE = (*_KEPT_FOR_API, "blocks", "ephemeral_for", "metadata")


@dataclass
class Address:
    """Where the stand-in is reached, known once it listens, such as `http://127.0.0.1:3000`."""

    base_url: str


class Renderer:
    def __init__(self, workspace: Workspace, *, address: Address) -> None:
        self._workspace = workspace
        self._address = address

    # -- files

    def new_file(self, *, name: str, user: str, content: bytes | None, title: str | None = None) -> Json:
        """Keep a new file; without content it waits for its upload."""
        kind, _ = mimetypes.guess_type(name)
        extension = name.rpartition(".")[2].lower() if "." in name else ""
        file = {
            "id": self._workspace.new_id("F"),
            "created": int(self._workspace.seconds()),
            "name": name,
            "title": title or name,
            "mimetype": kind or "application/octet-stream",
            "filetype": extension or "binary",
            "size": len(content or b""),
            "user": user,
            "mode": "hosted",
            "channels": [],
        }
        self._workspace.keep_file(file, content)
        return file

    def api_file(self, file_id: str) -> Json:
        """Return a file as Slack's API shows it; raises `file_not_found` and `file_deleted`."""
        file = self._workspace.files.get(file_id)
        if file is None:
            raise SlackRefuses("file_not_found")
        if file["mode"] == "tombstone":
            raise SlackRefuses("file_deleted")
        where = f"{self._address.base_url}/files-pri/{people.TEAM['id']}-{file_id}"
        name = quote(file["name"])
        return {
            **file,
            "timestamp": file["created"],
            "user_team": people.TEAM["id"],
            "is_public": False,
            "is_external": False,
            "file_access": "visible",
            "url_private": f"{where}/{name}",
            "url_private_download": f"{where}/download/{name}",
            "permalink": f"{self._address.base_url}/files/{file['user']}/{file_id}/{name}",
        }

    def page_file(self, file_id: str, *, person: str) -> Json:
        file = self._workspace.files[file_id]
        if file["mode"] == "tombstone":
            return {"id": file_id, "mode": "tombstone"}
        keys = ("id", "name", "title", "size", "mimetype", "filetype", "user", "created")
        url = f"/page/files/{file_id}/{quote(file['name'], safe='')}?person={person}"
        return {**{key: file[key] for key in keys}, "url": url}

    # -- messages

    def api_message(self, message: Json, *, metadata: bool = False) -> Json:
        """Return a message as `conversations.history` shows it."""
        shown = {
            "type": "message",
            "user": message["user"],
            "ts": message["ts"],
            "text": message["text"],
            "team": people.TEAM["id"],
            **{key: message[key] for key in _KEPT_FOR_API if key in message},
        }
        if message["user"] == people.BOT_USER:
            shown.update(bot_id=people.BOT_ID, app_id=people.APP_ID)
        if message.get("blocks"):
            shown["blocks"] = message["blocks"]
        if message.get("files"):
            kept = [
                file_id for file_id in message["files"] if self._workspace.files[file_id]["mode"] == "hosted"
            ]
            shown["files"] = [self.api_file(file_id) for file_id in kept]
        if metadata and "metadata" in message:
            shown["metadata"] = message["metadata"]
        return shown

    def page_message(self, message: Json, *, person: str) -> Json:
        sender = {people.BOT_USER: "bot", people.SLACKBOT: "slackbot"}.get(message["user"], "person")
        shown = {
            **{key: message[key] for key in ("ts", "channel", "user", "text")},
            "from": sender,
            **{key: message[key] for key in _KEPT_FOR_PAGE if key in message},
        }
        if message.get("files"):
            shown["files"] = [self.page_file(file_id, person=person) for file_id in message["files"]]
        return shown

    # -- people and channels

    def page_user(self, user: Json) -> Json:
        return {
            **{key: user[key] for key in ("id", "name", "real_name", "tz", "is_bot", "deleted")},
            "title": user["profile"]["title"],
            "image": user["profile"]["image_72"],
        }

    def page_channel(self, channel: Json) -> Json:
        shown = {key: channel[key] for key in ("id", "name", "kind", "topic")}
        return {**shown, "user": people.BOT_USER} if channel["kind"] == "im" else shown

    def api_channel(self, channel: Json) -> Json:
        """Return a channel as `conversations.info` shows it."""
        shown = {
            "id": channel["id"],
            "created": 1_700_000_000,
            "is_im": channel["kind"] == "im",
            "is_channel": channel["kind"] == "channel",
            "is_group": False,
            "is_mpim": False,
            "is_private": False,
            "is_archived": bool(channel.get("is_archived")),
            "is_member": people.BOT_USER in channel["members"],
            "num_members": len(channel["members"]),
        }
        if channel["kind"] == "im":
            return {**shown, "user": channel["user"]}
        return {
            **shown,
            "name": channel["name"],
            "name_normalized": channel["name"],
            "topic": {"value": channel["topic"]},
        }
