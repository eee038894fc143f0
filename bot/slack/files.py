"""Fetching a file that a person handed over in Slack."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.api import SlackApi, SlackRefused, SlackUnreachable

log = get_logger(__name__)

FETCH_TIMEOUT_S = 20.0


class FileTooLarge(EnrollbotError):
    def __init__(self, name: str, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"{name or 'The file'} is larger than {limit // 1024} KiB, so it is not the file asked for.",
            next_step="Check that you chose the right file.",
        )


class FileNotFromSlack(EnrollbotError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name or 'The file'} does not lie on Slack's own servers and was not fetched.",
            next_step="Upload the file itself, not a link to another service.",
        )


class FileNotHandedOver(EnrollbotError):
    """Slack answered with its sign-in page, a redirect or a refusal instead of the file."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Slack did not hand {name or 'the file'} over.",
            next_step="Upload it once more. If that fails too, the Slack app needs the scope files:read.",
        )


@dataclass(frozen=True, slots=True)
class SlackFile:
    """A file as it was handed over. The content may be a secret and stays out of logs."""

    name: str
    content: bytes = field(repr=False)


class SlackFiles:
    """Fetches files with the bot token, from Slack's file hosts only."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api

    async def fetch_file(self, file: Mapping[str, Any] | str, limit: int = 65536) -> SlackFile:
        """Fetch at most `limit` bytes.

        Raises FileTooLarge, FileNotFromSlack, FileNotHandedOver, SlackRefused and SlackUnreachable.
        """
        known = await self._described(file)
        name = str(known.get("name") or known.get("title") or known.get("id") or "")
        size = known.get("size")
        if isinstance(size, int) and size > limit:
            raise FileTooLarge(name, limit)
        url = self._api.hosts.file_url(
            str(known.get("url_private_download") or known.get("url_private") or "")
        )
        if url is None:
            raise FileNotFromSlack(name)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                return SlackFile(name, await self._content(url, name, limit=limit, size=size))
        except (httpx.HTTPError, TimeoutError) as error:
            raise SlackUnreachable from error

    async def delete_file(self, file: Mapping[str, Any] | str) -> bool:
        """Delete a file from Slack. False where Slack refuses: an app may not delete what others uploaded.

        https://docs.slack.dev/reference/methods/files.delete
        """
        file_id = file if isinstance(file, str) else str(file.get("id") or "")
        try:
            await self._api.write("files.delete", is_repeatable=True, file=file_id)
        except SlackRefused as refusal:
            log.warning("file not deleted from slack", word=refusal.word)
            # Of a repeated call the first one may have deleted it.
            return refusal.word == "file_deleted"
        except SlackUnreachable:
            return False
        return True

    async def _described(self, file: Mapping[str, Any] | str) -> Mapping[str, Any]:
        """Return the file's description; Slack sends bare ids, and files that it wants asked about."""
        known: Mapping[str, Any] = {"id": file} if isinstance(file, str) else file
        has_url = known.get("url_private_download") or known.get("url_private")
        if has_url and known.get("file_access") != "check_file_info":
            return known
        told = await self._api.read("files.info", file=str(known.get("id") or ""))
        described = told.get("file")
        return described if isinstance(described, dict) else {}

    async def _content(self, url: httpx.URL, name: str, *, limit: int, size: object) -> bytes:
        headers = {**self._api.authorization, "Accept-Encoding": "identity"}
        content = bytearray()
        async with self._api.http.stream("GET", url, headers=headers, timeout=FETCH_TIMEOUT_S) as response:
            if response.status_code != 200:
                raise FileNotHandedOver(name)
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > limit:
                    raise FileTooLarge(name, limit)
            # Of the size that Slack announced, a web page is what somebody handed over.
            if len(content) != size and _is_sign_in_page(response, content):
                raise FileNotHandedOver(name)
        return bytes(content)


def _is_sign_in_page(response: httpx.Response, content: bytearray) -> bool:
    # With a wrong token or scope Slack answers 200 and its sign-in page.
    is_html = response.headers.get("content-type", "").lower().startswith("text/html")
    head = bytes(content[:200]).lstrip().lower()
    return is_html or head.startswith((b"<!doctype html", b"<html"))
