"""The methods of Slack's Web API that a bot of this kind calls, with Slack's own words of refusal."""

import secrets
from collections.abc import Callable
from typing import Any

from bot.sandbox.slack import people
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.hooks import check_content
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.render import Renderer
from bot.sandbox.slack.surfaces import Surfaces
from bot.sandbox.slack.workspace import Workspace

Json = dict[str, Any]
Method = Callable[[Arguments], Json]
METADATA_BYTES = 16_000


class Messages:
    """`chat.*` and `conversations.*`."""

    def __init__(self, workspace: Workspace, *, renderer: Renderer) -> None:
        self._workspace = workspace
        self._renderer = renderer
        self.methods: dict[str, Method] = {
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "conversations.open": self._open,
            "conversations.info": self._info,
            "conversations.list": self._list,
            "conversations.members": self._members,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }

    def _place(self, arguments: Arguments, *, member: bool = True) -> Json:
        place = self._workspace.channel_of(arguments.text("channel"))
        if place.get("is_archived") and member:
            raise SlackRefuses("is_archived")
        if member and people.BOT_USER not in place["members"]:
            raise SlackRefuses("not_in_channel")
        return place

    def _content(self, arguments: Arguments) -> Json:
        content = {"text": arguments.text("text", ""), "blocks": arguments.json("blocks")}
        check_content({**content, "attachments": arguments.json("attachments")})
        return content

    def _thread(self, arguments: Arguments, place: Json) -> str | None:
        thread_ts = arguments.text("thread_ts", "") or None
        if thread_ts is None:
            return None
        parent = self._workspace.message(place["id"], thread_ts)
        if parent is None or "ephemeral_for" in parent:
            raise SlackRefuses("thread_not_found")
        return str(parent.get("thread_ts", thread_ts))

    def _post(self, arguments: Arguments) -> Json:
        place = self._place(arguments)
        content = self._content(arguments)
        thread_ts = self._thread(arguments, place)
        broadcast = thread_ts is not None and arguments.flag("reply_broadcast")
        message = self._workspace.post(
            place["id"],
            user=people.BOT_USER,
            **content,
            thread_ts=thread_ts,
            subtype="thread_broadcast" if broadcast else None,
            metadata=_metadata(arguments),
        )
        shown = self._renderer.api_message(message, metadata=True)
        return {"channel": place["id"], "ts": message["ts"], "message": shown}

    def _post_ephemeral(self, arguments: Arguments) -> Json:
        place = self._place(arguments)
        person = arguments.text("user")
        if person not in place["members"]:
            raise SlackRefuses("user_not_in_channel")
        message = self._workspace.post(
            place["id"],
            user=people.BOT_USER,
            **self._content(arguments),
            ephemeral_for=person,
            thread_ts=self._thread(arguments, place),
        )
        return {"message_ts": message["ts"]}

    def _own(self, arguments: Arguments, *, refusal: str) -> tuple[Json, Json]:
        place = self._place(arguments, member=False)
        message = self._workspace.message(place["id"], arguments.text("ts"))
        if message is None or "ephemeral_for" in message:
            raise SlackRefuses("message_not_found")
        if message["user"] != people.BOT_USER:
            raise SlackRefuses(refusal)
        return place, message

    def _update(self, arguments: Arguments) -> Json:
        place, message = self._own(arguments, refusal="cant_update_message")
        blocks = arguments.json("blocks")
        text = arguments.text("text", "")
        check_content({"text": text or ("-" if blocks == [] else ""), "blocks": blocks})
        self._workspace.change(
            message,
            text=text or message["text"],
            blocks=blocks if blocks is not None else None,
            metadata=_metadata(arguments),
            edited={"user": people.BOT_USER, "ts": self._workspace.new_ts()},
        )
        shown = self._renderer.api_message(message)
        return {"channel": place["id"], "ts": message["ts"], "text": message["text"], "message": shown}

    def _delete(self, arguments: Arguments) -> Json:
        place, message = self._own(arguments, refusal="cant_delete_message")
        self._workspace.erase(message)
        return {"channel": place["id"], "ts": message["ts"]}

    def _permalink(self, arguments: Arguments) -> Json:
        place = self._place(arguments, member=False)
        message = self._workspace.message(place["id"], arguments.text("message_ts"))
        if message is None:
            raise SlackRefuses("message_not_found")
        link = f"{arguments.base_url}/archives/{place['id']}/p{message['ts'].replace('.', '')}"
        return {"channel": place["id"], "permalink": link}

    def _open(self, arguments: Arguments) -> Json:
        users = arguments.words("users")
        if not users:
            place = self._place(arguments, member=False)
        elif len(users) > 1:
            raise SlackRefuses("method_not_supported_for_channel_type")
        elif users[0] in (people.BOT_USER, people.SLACKBOT):
            raise SlackRefuses("cannot_dm_bot")
        else:
            place = self._workspace.direct_channel(users[0])
        full = self._renderer.api_channel(place)
        return {"channel": full if arguments.flag("return_im") else {"id": place["id"]}}

    def _info(self, arguments: Arguments) -> Json:
        return {"channel": self._renderer.api_channel(self._place(arguments, member=False))}

    def _list(self, arguments: Arguments) -> Json:
        wanted = arguments.words("types") or ["public_channel"]
        kinds = {"im" if word == "im" else "channel" for word in wanted if word in ("im", "public_channel")}
        found = [place for place in self._workspace.channels.values() if place["kind"] in kinds]
        page, cursor = _page(found, arguments, most=1000, usual=100)
        shown = [self._renderer.api_channel(place) for place in page]
        return {"channels": shown, "response_metadata": {"next_cursor": cursor}}

    def _members(self, arguments: Arguments) -> Json:
        place = self._place(arguments, member=False)
        page, cursor = _page(place["members"], arguments, most=1000, usual=100)
        return {"members": page, "response_metadata": {"next_cursor": cursor}}

    def _history(self, arguments: Arguments) -> Json:
        place = self._place(arguments)
        found = [
            message
            for message in reversed(self._workspace.messages(place["id"]))
            if "ephemeral_for" not in message
            and (message.get("thread_ts", message["ts"]) == message["ts"] or "subtype" in message)
        ]
        return self._messages(_between(found, arguments), arguments)

    def _replies(self, arguments: Arguments) -> Json:
        place = self._place(arguments)
        parent = self._workspace.message(place["id"], arguments.text("ts"))
        if parent is None or "ephemeral_for" in parent:
            raise SlackRefuses("thread_not_found")
        root = parent.get("thread_ts", parent["ts"])
        thread = [
            message
            for message in self._workspace.messages(place["id"])
            if root in (message["ts"], message.get("thread_ts")) and "ephemeral_for" not in message
        ]
        return self._messages(_between(thread, arguments), arguments)

    def _messages(self, found: list[Json], arguments: Arguments) -> Json:
        page, cursor = _page(found, arguments, most=999, usual=100)
        metadata = arguments.flag("include_all_metadata")
        shown = [self._renderer.api_message(message, metadata=metadata) for message in page]
        more = {"response_metadata": {"next_cursor": cursor}} if cursor else {}
        return {"messages": shown, "has_more": bool(cursor), **more}


class Directory:
    """`auth.test`, `users.*`, `usergroups.*` and what else tells who is who."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.methods: dict[str, Method] = {
            "api.test": self._test,
            "auth.test": self._auth,
            "apps.connections.open": self._connections,
            "bots.info": self._bot,
            "team.info": self._team,
            "users.info": self._user,
            "users.list": self._users,
            "users.lookupByEmail": self._by_email,
            "usergroups.list": self._groups,
            "usergroups.users.list": self._group_users,
        }

    def _test(self, arguments: Arguments) -> Json:
        if "error" in arguments.given:
            raise SlackRefuses(arguments.text("error"))
        return {"args": {key: value for key, value in arguments.given.items() if key != "token"}}

    def _auth(self, arguments: Arguments) -> Json:
        return {
            "url": f"{arguments.base_url}/",
            "team": people.TEAM["name"],
            "user": self._workspace.users[people.BOT_USER]["name"],
            "team_id": people.TEAM["id"],
            "user_id": people.BOT_USER,
            "bot_id": people.BOT_ID,
            "is_enterprise_install": False,
        }

    def _connections(self, arguments: Arguments) -> Json:
        raise SlackRefuses("not_allowed_token_type")

    def _bot(self, arguments: Arguments) -> Json:
        name = self._workspace.users[people.BOT_USER]["name"]
        return {
            "bot": {"id": people.BOT_ID, "app_id": people.APP_ID, "user_id": people.BOT_USER, "name": name}
        }

    def _team(self, arguments: Arguments) -> Json:
        return {"team": people.TEAM}

    def _user(self, arguments: Arguments) -> Json:
        user = self._workspace.users.get(arguments.text("user"))
        if user is None:
            raise SlackRefuses("user_not_found")
        return {"user": user}

    def _users(self, arguments: Arguments) -> Json:
        page, cursor = _page(list(self._workspace.users.values()), arguments, most=1000, usual=1000)
        return {"members": page, "response_metadata": {"next_cursor": cursor}}

    def _by_email(self, arguments: Arguments) -> Json:
        email = arguments.text("email").lower()
        for user in self._workspace.users.values():
            if user["profile"]["email"] == email and not user["deleted"]:
                return {"user": user}
        raise SlackRefuses("users_not_found")

    def _groups(self, arguments: Arguments) -> Json:
        with_users = arguments.flag("include_users")
        return {
            "usergroups": [
                {
                    **{key: value for key, value in group.items() if key != "users" or with_users},
                    "user_count": len(group["users"]),
                }
                for group in self._workspace.groups.values()
            ]
        }

    def _group_users(self, arguments: Arguments) -> Json:
        group = self._workspace.groups.get(arguments.text("usergroup"))
        if group is None:
            raise SlackRefuses("no_such_subteam")
        return {"users": group["users"]}


class Views:
    """`views.*`."""

    def __init__(self, surfaces: Surfaces) -> None:
        self._surfaces = surfaces
        self.methods: dict[str, Method] = {
            "views.open": lambda arguments: self._opened(arguments, self._surfaces.open),
            "views.push": lambda arguments: self._opened(arguments, self._surfaces.push),
            "views.update": self._update,
            "views.publish": self._publish,
        }

    def _opened(self, arguments: Arguments, open_: Callable[[str, Json], Json]) -> Json:
        return {"view": open_(arguments.text("trigger_id"), _view(arguments))}

    def _update(self, arguments: Arguments) -> Json:
        view_id = arguments.text("view_id", "")
        external_id = arguments.text("external_id", "")
        if not view_id and not external_id:
            raise SlackRefuses("invalid_arguments", details=["[ERROR] missing required field: view_id"])
        hash_ = arguments.text("hash", "")
        view = self._surfaces.update(_view(arguments), view_id=view_id, external_id=external_id, hash_=hash_)
        return {"view": view}

    def _publish(self, arguments: Arguments) -> Json:
        hash_ = arguments.text("hash", "")
        return {"view": self._surfaces.publish(arguments.text("user_id"), _view(arguments), hash_=hash_)}


class Files:
    """`files.*`. `uploads` are the files that wait for their bytes, by the secret part of their address."""

    def __init__(self, workspace: Workspace, *, renderer: Renderer) -> None:
        self._workspace = workspace
        self._renderer = renderer
        self.uploads: dict[str, tuple[str, int]] = {}
        self.methods: dict[str, Method] = {
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete,
            "files.info": self._info,
            "files.delete": self._delete,
        }

    def _upload_url(self, arguments: Arguments) -> Json:
        length = arguments.number("length", 0)
        if length <= 0:
            raise SlackRefuses("invalid_arguments", details=["[ERROR] missing required field: length"])
        name = arguments.text("filename")
        file = self._renderer.new_file(name=name, user=people.BOT_USER, content=None)
        secret = secrets.token_hex(16)
        self.uploads[secret] = (file["id"], length)
        return {"upload_url": f"{arguments.base_url}/upload/{secret}", "file_id": file["id"]}

    def take_upload(self, secret: str, content: bytes) -> bool:
        """Keep the bytes of an upload; False when the address or the announced length is wrong."""
        file_id, length = self.uploads.get(secret, ("", -1))
        if len(content) != length:
            return False
        del self.uploads[secret]
        self._workspace.keep_file({**self._workspace.files[file_id], "size": length}, content)
        return True

    def _complete(self, arguments: Arguments) -> Json:
        entries = arguments.json("files")
        if (
            not isinstance(entries, list)
            or not entries
            or not all(isinstance(entry, dict) for entry in entries)
        ):
            raise SlackRefuses("invalid_arguments", details=["[ERROR] missing required field: files"])
        ids = [str(entry.get("id")) for entry in entries]
        for file_id, entry in zip(ids, entries, strict=True):
            if self._workspace.file_content(file_id) is None:
                raise SlackRefuses("file_not_found")
            file = self._workspace.files[file_id]
            self._workspace.keep_file({**file, "title": entry.get("title") or file["name"]})
        for name in arguments.words("channels") or arguments.words("channel_id"):
            self._share(ids, arguments, place=self._workspace.channel_of(name))
        return {"files": [self._renderer.api_file(file_id) for file_id in ids]}

    def _share(self, ids: list[str], arguments: Arguments, *, place: Json) -> None:
        if people.BOT_USER not in place["members"]:
            raise SlackRefuses("not_in_channel")
        for file_id in ids:
            file = self._workspace.files[file_id]
            self._workspace.keep_file({**file, "channels": [*file["channels"], place["id"]]})
        self._workspace.post(
            place["id"],
            user=people.BOT_USER,
            text=arguments.text("initial_comment", ""),
            files=ids,
            thread_ts=arguments.text("thread_ts", "") or None,
        )

    def _info(self, arguments: Arguments) -> Json:
        return {"file": self._renderer.api_file(arguments.text("file"))}

    def _delete(self, arguments: Arguments) -> Json:
        file = self._renderer.api_file(arguments.text("file"))
        if file["user"] != people.BOT_USER:
            raise SlackRefuses("cant_delete_file")
        self._workspace.delete_file(file["id"])
        return {}


def _view(arguments: Arguments) -> Json:
    view = arguments.json("view")
    if not isinstance(view, dict):
        raise SlackRefuses("invalid_arguments", details=["[ERROR] missing required field: view"])
    return view


def _metadata(arguments: Arguments) -> Json | None:
    metadata = arguments.json("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        raise SlackRefuses("invalid_metadata_format")
    if not isinstance(metadata["event_payload"], dict) or not isinstance(metadata["event_type"], str):
        raise SlackRefuses("invalid_metadata_format")
    if len(str(metadata)) > METADATA_BYTES:
        raise SlackRefuses("metadata_too_large")
    return metadata


def _between(found: list[Json], arguments: Arguments) -> list[Json]:
    oldest = _moment(arguments, "oldest", "0")
    latest = _moment(arguments, "latest", "inf")
    edges = (oldest, latest) if arguments.flag("inclusive") else ()
    return [
        message
        for message in found
        if oldest < float(message["ts"]) < latest or float(message["ts"]) in edges
    ]


def _moment(arguments: Arguments, name: str, default: str) -> float:
    try:
        return float(arguments.text(name, default))
    except ValueError:
        raise SlackRefuses(f"invalid_ts_{name}") from None


def _page(found: list[Any], arguments: Arguments, *, most: int, usual: int) -> tuple[list[Any], str]:
    """Return one page and the cursor of the next, empty at the end."""
    limit = max(1, min(most, arguments.number("limit", usual)))
    cursor = arguments.text("cursor", "0")
    if not cursor.isdigit():
        raise SlackRefuses("invalid_cursor")
    start = int(cursor)
    end = start + limit
    return found[start:end], str(end) if end < len(found) else ""
