"""How answers leave for Slack: the real one of `call.Outlet`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from bot.kit.logs import get_logger
from bot.slack.api import SlackApi, SlackRefused, SlackUnreachable
from bot.slack.blocks import Message, View, fitted
from bot.slack.call import ModalTooLate
from bot.slack.files import SlackFile, SlackFiles
from bot.slack.post import Poster

log = get_logger(__name__)

_TOO_LATE = frozenset({"expired_trigger_id", "exchanged_trigger_id", "trigger_expired", "trigger_exchanged"})
_CLOSED = frozenset({"not_found", "view_not_found"})


class SlackOutlet:
    """Sends answers by response_url, ephemeral post, direct message or modal."""

    def __init__(self, api: SlackApi, poster: Poster, files: SlackFiles) -> None:
        self._api = api
        self._poster = poster
        self._files = files

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        allowed = self._api.hosts.answer_url(url)
        if allowed is None:
            log.warning("a response_url that is not slack's")
            return False
        within = fitted(message)
        body = {
            "response_type": "ephemeral",
            "replace_original": replace,
            "text": within.text,
            "blocks": within.blocks,
        }
        try:
            response = await self._api.http.post(allowed, json=body)
        except httpx.HTTPError as error:
            log.warning("answer not delivered", error=type(error).__name__)
            return False
        if response.status_code != 200:
            log.warning("answer refused", status=response.status_code)
        return response.status_code == 200

    async def whisper(self, channel: str, user_id: str, message: Message) -> bool:
        within = fitted(message)
        try:
            await self._api.write(
                "chat.postEphemeral",
                is_repeatable=True,
                channel=channel,
                user=user_id,
                text=within.text,
                blocks=within.blocks,
            )
        except (SlackRefused, SlackUnreachable):
            return False
        return True

    async def direct(self, user_id: str, message: Message) -> None:
        await self._poster.direct(user_id, message)

    async def send_file(
        self, user_id: str, *, name: str, content: bytes | Path, comment: Message | None
    ) -> None:
        await self._poster.upload_direct(user_id, name=name, content=content, comment=comment)

    async def open_view(self, trigger_id: str, view: View, *, push: bool) -> str:
        method = "views.push" if push else "views.open"
        try:
            told = await self._api.write(method, trigger_id=trigger_id, view=view)
        except SlackRefused as refusal:
            if refusal.word in _TOO_LATE:
                raise ModalTooLate from None
            raise
        opened = told.get("view")
        return str(opened.get("id") or "") if isinstance(opened, dict) else ""

    async def update_view(self, view_id: str, view: View) -> bool:
        try:
            await self._api.write("views.update", is_repeatable=True, view_id=view_id, view=view)
        except SlackRefused as refusal:
            if refusal.word in _CLOSED:
                return False
            raise
        return True

    async def publish_home(self, user_id: str, view: View) -> None:
        await self._api.write("views.publish", is_repeatable=True, user_id=user_id, view=view)

    async def fetch_file(self, file: Mapping[str, Any] | str, limit: int = 65536) -> SlackFile:
        return await self._files.fetch_file(file, limit)
