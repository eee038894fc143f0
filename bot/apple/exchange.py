"""One request and its answer over HTTP, and how patiently it is tried again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from random import SystemRandom

import httpx

from bot import __version__
from bot.apple.answers import Answer
from bot.kit.addresses import is_loopback
from bot.kit.figures import count_call

#: A missing or unknown product name is refused by the enrollment service.
USER_AGENT = f"enrollbot/{__version__}"
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_random = SystemRandom()
_SERVICE = "apple"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    `exchange_s` bounds one request with its answer, `call_s` all tries of a call with the waits
    between them. A service that asks for a longer wait than `longest_retry_after_s` is not asked
    again within the call.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    exchange_s: float = 90.0
    call_s: float = 300.0
    tries: int = 7
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 180.0

    def wait_after(self, failures: int, *, retry_after: timedelta | None, spent_s: float) -> float | None:
        """Return the seconds to wait before the next try, None when there is to be none.

        `failures` is how many tries have failed, `spent_s` how long the call has taken so far.
        """
        if retry_after:
            asked = retry_after.total_seconds()
            if asked > self.longest_retry_after_s:
                return None
            wait = asked + _random.uniform(0.0, min(asked / 10, 1.0))
        else:
            longest = min(self.first_wait_s * 2 ** (failures - 1), self.longest_wait_s)
            wait = longest * _random.uniform(0.5, 1.0)
        if failures >= self.tries or spent_s + wait > self.call_s:
            return None
        return wait


class NoAnswer(Exception):
    """No whole answer came. The text is our own: a library's may repeat an address with its key."""


class AnswerTooLong(Exception):
    pass


def open_http(base_url: str) -> httpx.AsyncClient:
    """Make connections for one service; close them with `aclose`."""
    return httpx.AsyncClient(
        limits=httpx.Limits(max_connections=20),
        follow_redirects=False,
        # A proxy of the environment must not stand between the bot and a stand-in on this machine.
        trust_env=not is_loopback(httpx.URL(base_url).host),
    )


def without_cookies(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """Let no cookie stay: different organisations share the connections."""
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


async def exchange(
    http: httpx.AsyncClient,
    request: tuple[str, str],
    *,
    patience: Patience,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request (method, URL) and read its answer to the end; redirects are not followed.

    Raises `NoAnswer` and `AnswerTooLong`.
    """
    method, url = request
    timeout = httpx.Timeout(patience.read_s, connect=patience.connect_s, pool=patience.exchange_s)
    try:
        async with asyncio.timeout(patience.exchange_s):
            async with http.stream(
                method,
                # given apart, they would take the place of those that the address has
                httpx.URL(url).copy_merge_params(params) if params else url,
                content=body,
                headers={"User-Agent": USER_AGENT, **headers},
                timeout=timeout,
                follow_redirects=False,
            ) as response:
                answer = Answer(response.status_code, _lower(response.headers), await _whole(response))
    except TimeoutError:
        count_call(_SERVICE, None)
        raise NoAnswer("no whole answer in time") from None
    except httpx.HTTPError as failure:
        count_call(_SERVICE, None)
        raise NoAnswer(_kind_of_failure(failure)) from None
    count_call(_SERVICE, answer.status)
    return answer


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _whole(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise AnswerTooLong
        parts.append(part)
    return b"".join(parts)


def _kind_of_failure(failure: httpx.HTTPError) -> str:
    if isinstance(failure, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(failure, httpx.TimeoutException):
        return "no whole answer in time"
    if isinstance(failure, httpx.ConnectError):
        return "no connection"
    if isinstance(failure, httpx.ProxyError):
        return "the proxy refused"
    return "the connection broke off"
