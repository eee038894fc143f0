"""How answers leave for Slack: the real one of `call.Outlet`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from bot.kit.logs import get_logger
from bot.slack.abilities import REFUSED_BLOCKS, Charts
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

    def __init__(self, api: SlackApi, poster: Poster, files: SlackFiles, charts: Charts) -> None:
        self._api = api
        self._charts = charts
        self._poster = poster
        self._files = files

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        allowed = self._api.hosts.answer_url(url)
        if allowed is None:
            log.warning("a response_url that is not slack's")
            return False
        try:
            return await self._charts.sent(message, lambda form: self._answered(allowed, form, replace))
        except SlackRefused as refusal:
            log.warning("answer refused", word=refusal.word)
            return False

    async def _answered(self, url: httpx.URL, message: Message, replace: bool) -> bool:  # noqa: FBT001
        """Post to a response_url. Raises SlackRefused where Slack does not take the blocks."""
        within = fitted(message)
        body = {
            "response_type": "ephemeral",
            "replace_original": replace,
            "text": within.text,
            "blocks": within.blocks,
        }
        try:
            response = await self._api.http.post(url, json=body)
        except httpx.HTTPError as error:
            log.warning("answer not delivered", error=type(error).__name__)
            return False
        # Slack has been seen to say so with status 200 as well as 400, as JSON and as a bare word.
        if word := next((word for word in REFUSED_BLOCKS if word in response.text[:500]), None):
            raise SlackRefused(word, method="response_url")
        if response.status_code != 200:
            log.warning("answer refused", status=response.status_code)
        return response.status_code == 200

    async def whisper(self, channel: str, user_id: str, message: Message) -> bool:
        async def send(form: Message) -> None:
            within = fitted(form)
            await self._api.write(
                "chat.postEphemeral",
                is_repeatable=True,
                channel=channel,
                user=user_id,
                text=within.text,
                blocks=within.blocks,
            )

        try:
            await self._charts.sent(message, send)
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

    async def delete_file(self, file: Mapping[str, Any] | str) -> bool:
        return await self._files.delete_file(file)
