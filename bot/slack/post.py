"""Posting to channels and people: paced, limited, and looked up before anything is posted twice."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from bot.kit.clock import Clock
from bot.kit.logs import get_logger
from bot.slack.abilities import REFUSED_BLOCKS, Charts
from bot.slack.api import SlackApi, SlackRefused, SlackUnclear, SlackUnreachable
from bot.slack.blocks import Message, fitted

__all__ = ["Posted", "Poster", "SlackRefused", "SlackUnclear", "SlackUnreachable"]

log = get_logger(__name__)

# https://docs.slack.dev/apis/web-api/rate-limits: about one message a second and channel.
PACE_S = 1.0
HISTORY_PAGES = 3
HISTORY_PAGE = 100
UPLOAD_TIMEOUT_S = 60.0
_KEPT_AT_MOST = 5000
_PIECE_BYTES = 256 * 1024
_LINK = re.compile(r"https?://[^\s<>|]{1,490}")


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: enough to update it or to answer in its thread."""

    channel: str
    ts: str


class Poster:
    """Posts as the bot. Everything here may take long: never await it before an acknowledgement."""

    def __init__(self, api: SlackApi, clock: Clock, charts: Charts | None = None) -> None:
        self._api = api
        self._clock = clock
        self._charts = charts or Charts(api, clock)
        self._free_at: dict[str, float] = {}
        self._direct: dict[str, str] = {}

    async def post(
        self,
        channel: str,
        message: Message,
        *,
        thread_ts: str | None = None,
        broadcast: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Posted:
        """Post a message, in a thread when `thread_ts` is given (`broadcast`: in the channel as well).

        `metadata` is Slack's `{"event_type", "event_payload"}`; `find` looks for the payload's `id`.
        After a lost answer the history is looked at before posting again; where the bot may not read it,
        the message may stand twice. Raises SlackRefused, SlackUnreachable.
        """
        mark = uuid.uuid4().hex
        place: dict[str, Any] = {"channel": channel, "metadata": _marked(metadata, mark)}
        if thread_ts:
            place |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        await self._pace(channel)
        try:
            return await self._posted(message, place)
        except SlackUnclear:
            if earlier := await self._look_back(channel, mark, thread_ts):
                return earlier
            return await self._posted(message, place)

    async def update(self, posted: Posted, message: Message) -> None:
        """Rewrite a message in place. Raises SlackRefused (`message_not_found`), SlackUnreachable."""
        # Blocks that are left out of an update would stay as they were.
        place = {"channel": posted.channel, "ts": posted.ts, "blocks": []}
        await self._sent("chat.update", message, place, is_repeatable=True)

    async def permalink(self, posted: Posted) -> str:
        """Return the address at which people find a message. Raises SlackRefused, SlackUnreachable.

        https://docs.slack.dev/reference/methods/chat.getPermalink: needs no scope.
        """
        told = await self._api.read("chat.getPermalink", channel=posted.channel, message_ts=posted.ts)
        link = str(told.get("permalink") or "")
        if not _LINK.fullmatch(link):
            raise SlackRefused("no_permalink", method="chat.getPermalink")
        return link

    async def direct(
        self, user_id: str, message: Message, *, metadata: Mapping[str, Any] | None = None
    ) -> Posted:
        """Send a direct message. Raises SlackRefused, SlackUnreachable."""
        return await self.post(await self._direct_channel(user_id), message, metadata=metadata)

    async def upload(
        self,
        channel: str,
        *,
        name: str,
        content: bytes | Path,
        comment: Message | None = None,
        thread_ts: str | None = None,
    ) -> None:
        """Post a file, in a thread when given. Raises SlackRefused, SlackUnreachable.

        What may be too large for memory is given as a path and read as it is sent.
        https://docs.slack.dev/messaging/working-with-files
        """
        length = await asyncio.to_thread(_length, content)
        place = await self._api.read("files.getUploadURLExternal", filename=name, length=length)
        url = self._api.hosts.file_url(str(place.get("upload_url") or ""))
        if url is None:
            raise SlackRefused("upload_url_elsewhere", method="files.getUploadURLExternal")
        await self._send(url, content, length)
        body: dict[str, Any] = {
            "files": [{"id": place["file_id"], "title": name}],
            "channel_id": channel,
        }
        if comment:
            body["initial_comment"] = fitted(comment).text
        if thread_ts:
            body["thread_ts"] = thread_ts
        await self._pace(channel)
        await self._api.write("files.completeUploadExternal", **body)

    async def upload_direct(
        self, user_id: str, *, name: str, content: bytes | Path, comment: Message | None = None
    ) -> None:
        """Send a file by direct message. Raises SlackRefused, SlackUnreachable."""
        channel = await self._direct_channel(user_id)
        await self.upload(channel, name=name, content=content, comment=comment)

    async def find(self, channel: str, *, kind: str, id: str, thread_ts: str | None = None) -> Posted | None:
        """Look through 300 messages, of a thread where given, for the bot's own post with this metadata.

        A channel's are the newest. Raises SlackRefused (`missing_scope`) where the bot may not read them.
        """
        async for message in self._own(channel, thread_ts):
            event_type, payload = _metadata_of(message)
            if event_type == kind and str(payload.get("id")) == id:
                return Posted(channel, str(message["ts"]))
        return None

    async def _posted(self, message: Message, place: Mapping[str, Any]) -> Posted:
        told = await self._sent("chat.postMessage", message, place, is_repeatable=False)
        return Posted(str(told.get("channel") or place["channel"]), str(told["ts"]))

    async def _sent(
        self, method: str, message: Message, place: Mapping[str, Any], *, is_repeatable: bool
    ) -> dict[str, Any]:
        """Send a message with its charts, with bars in their place, or as text, whichever Slack takes."""

        async def send(form: Message) -> dict[str, Any]:
            body = {**place, **_body(form)}
            return await self._api.write(method, is_repeatable=is_repeatable, **body)

        try:
            return await self._charts.sent(message, send)
        except SlackRefused as refusal:
            if refusal.word not in REFUSED_BLOCKS or not message.blocks:
                raise
            log.warning("slack refused the blocks of a message", word=refusal.word)
        return await send(replace(message, blocks=[]))

    async def _pace(self, channel: str) -> None:
        now = self._clock.monotonic()
        if len(self._free_at) >= _KEPT_AT_MOST:
            self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        turn = max(now, self._free_at.get(channel, now))
        self._free_at[channel] = turn + PACE_S
        if turn > now:
            await self._clock.sleep(turn - now)

    async def _look_back(self, channel: str, mark: str, thread_ts: str | None) -> Posted | None:
        try:
            async for message in self._own(channel, thread_ts):
                if _metadata_of(message)[1].get("post") == mark:
                    return Posted(channel, str(message["ts"]))
        except SlackRefused as refusal:
            log.warning("cannot look whether a message arrived", channel=channel, word=refusal.word)
        except SlackUnreachable as error:
            # Whether the post arrived is still unknown, whatever became of the look.
            raise SlackUnclear from error
        return None

    async def _own(self, channel: str, thread_ts: str | None) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the bot's own messages of a channel or a thread."""
        me = await self._api.identity()
        method = "conversations.replies" if thread_ts else "conversations.history"
        params: dict[str, str | int | bool] = {
            "channel": channel,
            "limit": HISTORY_PAGE,
            "include_all_metadata": True,
        }
        if thread_ts:
            params["ts"] = thread_ts
        for _page in range(HISTORY_PAGES):
            told = await self._api.read(method, **params)
            for message in told.get("messages") or ():
                if isinstance(message, dict) and me.wrote(message):
                    yield message
            cursor = (told.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            params["cursor"] = str(cursor)

    async def _direct_channel(self, user_id: str) -> str:
        if user_id not in self._direct:
            told = await self._api.write("conversations.open", is_repeatable=True, users=user_id)
            if len(self._direct) >= _KEPT_AT_MOST:
                self._direct.clear()
            self._direct[user_id] = str(told["channel"]["id"])
        return self._direct[user_id]

    async def _send(self, url: httpx.URL, content: bytes | Path, length: int) -> None:
        body = content if isinstance(content, bytes) else _pieces(content)
        try:
            response = await self._api.http.post(
                url,
                content=body,
                # Slack is told the length; without it a body that is read piece by piece would go in chunks.
                headers={"Content-Length": str(length)},
                timeout=UPLOAD_TIMEOUT_S,
            )
        except httpx.HTTPError as error:
            raise SlackUnreachable from error
        if response.status_code != 200:
            raise SlackRefused(f"upload_{response.status_code}", method="upload")


def _length(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece


def _body(message: Message) -> dict[str, Any]:
    within = fitted(message)
    body: dict[str, Any] = {"text": within.text, "unfurl_links": False, "unfurl_media": False}
    return body | ({"blocks": within.blocks} if within.blocks else {})


def _marked(metadata: Mapping[str, Any] | None, mark: str) -> dict[str, Any]:
    """Give a post a mark of its own, by which it is known again in the history."""
    given = metadata or {}
    payload = given.get("event_payload") or {}
    return {"event_type": given.get("event_type", "post"), "event_payload": {**payload, "post": mark}}


def _metadata_of(message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict):
        return "", {}
    payload = metadata.get("event_payload")
    return str(metadata.get("event_type") or ""), payload if isinstance(payload, dict) else {}
