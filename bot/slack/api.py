"""Calls of Slack's Web API: repeated where that is safe, its refusals as sentences.

HTTPX rather than the SDK's client: it tells a call that never left from one whose answer was lost, and
only the first may be repeated blindly (a repeated chat.postMessage is a second message).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.kit.figures import count_call
from bot.kit.logs import get_logger
from bot.slack.hosts import SlackHosts

log = get_logger(__name__)

_SERVICE = "slack"

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
TRIES = 3
LONGEST_WAIT_S = 30.0
PAUSE_S = 1.0
#: Slack's own failures, which say nothing about whether the call was carried out.
_UNCLEAR = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})

_SENTENCES = {
    "channel_not_found": "Slack knows no such channel, or the bot is not in it: invite the bot there.",
    "not_in_channel": "The bot is not in that channel: invite it there.",
    "is_archived": "That channel is archived: choose another one.",
    "account_inactive": "The bot's Slack app was removed or its user deactivated: install the app again.",
    "invalid_auth": "Slack does not accept the bot token: check SLACK_BOT_TOKEN.",
    "not_authed": "Slack does not accept the bot token: check SLACK_BOT_TOKEN.",
    "token_revoked": "The bot token was revoked: install the app again and set SLACK_BOT_TOKEN.",
    "token_expired": "The bot token has expired: install the app again and set SLACK_BOT_TOKEN.",
    "missing_scope": "The Slack app lacks a permission: compare its scopes with manifest.yml, reinstall it.",
    "restricted_action": "This workspace does not let the bot post there: ask a workspace admin.",
    "ratelimited": "Slack takes no more messages for the moment: try again in a minute.",
    "user_not_found": "Slack knows no such person.",
    "cannot_dm_bot": "Slack does not deliver direct messages to bots.",
    "msg_too_long": "The message is too long for Slack.",
    "file_not_found": "Slack no longer has that file: hand it over again.",
    "file_deleted": "That file was deleted in Slack: hand it over again.",
}


class SlackRefused(EnrollbotError):
    """Slack answered with an error word, such as `channel_not_found`. Nothing was done."""

    def __init__(self, word: str, *, method: str = "") -> None:
        self.word = word
        self.method = method
        super().__init__(f"Slack refused ({word}).", next_step=_SENTENCES.get(word))


class SlackUnreachable(EnrollbotError):
    """Slack could not be reached: the call did not arrive."""

    def __init__(self) -> None:
        super().__init__("Slack could not be reached.", next_step="Try again in a minute.")


class SlackUnclear(SlackUnreachable):
    """The answer was lost: the call may have been carried out."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in Slack."""

    team_id: str
    user_id: str
    bot_id: str

    def wrote(self, message: Mapping[str, Any]) -> bool:
        """Say whether a message of a channel's history is the bot's own."""
        by_bot = bool(self.bot_id) and message.get("bot_id") == self.bot_id
        return by_bot or (bool(self.user_id) and message.get("user") == self.user_id)


class SlackApi:
    """Slack's Web API with the bot token. Made once per process; `close` it."""

    def __init__(
        self,
        token: SecretStr,
        *,
        hosts: SlackHosts,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.hosts = hosts
        self._token = token
        self._clock = clock
        self._identity: Identity | None = None
        # A proxy of the environment must not stand between the bot and a stand-in on this machine.
        self.http = httpx.AsyncClient(
            timeout=TIMEOUT, follow_redirects=False, trust_env=not hosts.is_loopback, transport=transport
        )

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.get_secret_value()}"}

    async def close(self) -> None:
        await self.http.aclose()

    async def read(self, method: str, **params: str | int | bool) -> dict[str, Any]:
        """Call a method that changes nothing; repeated when the answer is lost.

        Raises SlackRefused and SlackUnreachable.
        """
        words = {
            key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()
        }
        request = self.http.build_request(
            "GET", self.hosts.api_url + method, params=words, headers=self.authorization
        )
        return await self._call(method, request, is_repeatable=True)

    async def write(self, method: str, *, is_repeatable: bool = False, **body: Any) -> dict[str, Any]:
        """Call a method that changes something.

        Raises SlackRefused, SlackUnreachable, and SlackUnclear when the answer is lost and the call is
        not repeatable.
        """
        request = self.http.build_request(
            "POST", self.hosts.api_url + method, json=body, headers=self.authorization
        )
        return await self._call(method, request, is_repeatable=is_repeatable)

    async def identity(self) -> Identity:
        """Return who the bot is (auth.test, asked once)."""
        if self._identity is None:
            told = await self.read("auth.test")
            self._identity = Identity(
                str(told.get("team_id") or ""), str(told.get("user_id") or ""), str(told.get("bot_id") or "")
            )
        return self._identity

    async def _call(self, method: str, request: httpx.Request, *, is_repeatable: bool) -> dict[str, Any]:
        for left in reversed(range(TRIES)):
            try:
                return await self._once(method, request)
            except _RateLimited as limit:
                if not left or limit.wait_s > LONGEST_WAIT_S:
                    raise SlackRefused("ratelimited", method=method) from None
                log.info("slack asks to wait", method=method, seconds=limit.wait_s)
                await self._clock.sleep(limit.wait_s)
            except SlackUnclear:
                if not (left and is_repeatable):
                    raise
                await self._clock.sleep(PAUSE_S)
            except SlackUnreachable:
                if not left:
                    raise
                await self._clock.sleep(PAUSE_S)
        raise SlackUnreachable

    async def _once(self, method: str, request: httpx.Request) -> dict[str, Any]:
        try:
            response = await self.http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            count_call(_SERVICE, None)
            log.warning("slack not reached", method=method, error=type(error).__name__)
            raise SlackUnreachable from error
        except httpx.HTTPError as error:
            count_call(_SERVICE, None)
            log.warning("slack answer lost", method=method, error=type(error).__name__)
            raise SlackUnclear from error
        if response.status_code != 200:
            count_call(_SERVICE, response.status_code)
        if response.status_code == 429:
            raise _RateLimited(_retry_after(response))
        return _told(method, response)


class _RateLimited(Exception):
    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__()


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(1.0, float(response.headers.get("retry-after", "1")))
    except ValueError:
        return PAUSE_S


def _told(method: str, response: httpx.Response) -> dict[str, Any]:
    try:
        told = response.json()
    except ValueError:
        told = None
    if response.status_code >= 500 or not isinstance(told, dict):
        log.warning("slack answered strangely", method=method, status=response.status_code)
        raise SlackUnclear
    if told.get("ok") is True:
        count_call(_SERVICE, 200)
        return told
    word = str(told.get("error") or "unknown_error")
    if response.status_code == 200:
        # Slack says no with a word, not with a status.
        count_call(_SERVICE, 400)
    log.warning("slack refused", method=method, word=word)
    if word in _UNCLEAR:
        raise SlackUnclear
    raise SlackRefused(word, method=method)
