"""Calls to addresses that the administrator named: bounded, never redirected, never logged in full."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx

from bot import __version__
from bot.kit.addresses import is_loopback

#: One call with its answer, in seconds. The answer's body is not read.
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """How a call ended: the status, or why there is none."""

    status: int | None
    failure: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        return self.failure or f"status {self.status}"


class Caller:
    """Calls one address. Its path may be a secret: only the host is ever named."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url)
        self._http: httpx.AsyncClient | None = None

    @property
    def host(self) -> str:
        return self._url.host

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Share connections between the calls of this block."""
        async with httpx.AsyncClient(
            follow_redirects=False,
            timeout=TIMEOUT_S,
            headers={"User-Agent": f"enrollbot/{__version__}"},
            # A proxy of the environment must not stand between the bot and a receiver on this machine.
            trust_env=not is_loopback(self.host),
        ) as self._http:
            try:
                yield
            finally:
                self._http = None

    async def call(
        self, method: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answered:
        """Send one request inside `connected`; never raises for what the other side does."""
        if self._http is None:
            raise RuntimeError("call it inside connected()")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                request = self._http.build_request(method, self._url, content=body, headers=headers)
                answer = await self._http.send(request, stream=True)
                await answer.aclose()
        except (TimeoutError, httpx.TimeoutException):
            return Answered(None, "no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The error's own text may hold the address.
            return Answered(None, type(error).__name__)
        return Answered(answer.status_code)
