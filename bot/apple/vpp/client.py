"""One method per call of Apps and Books that reads (API version 2). Nothing here changes anything.

https://developer.apple.com/documentation/devicemanagement/app-and-book-management
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import httpx
from pydantic import SecretStr

from bot.apple.exchange import AnswerTooLong, NoAnswer, Patience, exchange, open_http, without_cookies
from bot.apple.vpp import wire
from bot.apple.vpp.errors import (
    Busy,
    ListChanging,
    PageOutOfRange,
    Transient,
    Unreachable,
    Unreadable,
    VppFailure,
    failure_of,
)
from bot.kit.clock import Clock
from bot.kit.logs import get_logger

log = get_logger(__name__)

#: What Apple allows: requests a second of one token, and pages of one list at a time.
REQUESTS_A_SECOND = 15.0
PAGES_AT_ONCE = 5
#: Apple asks for its limits and addresses to be read anew every five minutes.
CONFIG_FOR_S = 300.0
# Requests may arrive closer together than they were sent, by as many as are under way.
_SHARE_OF_ALLOWED = 2 / 3
_MOST_PAGES = 1000
_RESTARTS = 3
_APPS_A_LOOKUP = 50
_SINGLE_LOOKUPS = 100
_CONFIG_TRIES = 3
_LOOKUP_TRIES = 2
_ACCEPT = {"Accept": "application/json"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to come. `tries` bounds how often it is made, `started_at` when its patience began."""

    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    tries: int
    started_at: float


class _Lane:
    """Keeps the requests of one token apart: a new one begins when the one before is far enough away."""

    def __init__(self) -> None:
        self.at_once = asyncio.Semaphore(PAGES_AT_ONCE)
        self._free_at = 0.0

    async def turn(self, clock: Clock, *, a_second: float) -> None:
        now = clock.monotonic()
        begins = max(now, self._free_at)
        self._free_at = begins + 1 / a_second
        if begins > now:
            await clock.sleep(begins - now)

    def rest_until(self, moment: float) -> None:
        """Let no request of this token begin before, whoever wants it."""
        self._free_at = max(self._free_at, moment)


class VppService:
    """Apps and Books at one address: connections, and what is shared by the clients of all tokens."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, clock: Clock, patience: Patience | None = None
    ) -> None:
        self.http = without_cookies(http)
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.patience = patience or Patience()
        self._lanes: dict[str, _Lane] = {}
        self._config: wire.ServiceConfig | None = None
        self._config_until = 0.0
        self._config_lock = asyncio.Lock()

    @classmethod
    def open(cls, *, base_url: str, clock: Clock, patience: Patience | None = None) -> "VppService":
        """Make a service with connections of its own; close it with `aclose`."""
        return cls(open_http(base_url), base_url=base_url, clock=clock, patience=patience)

    async def aclose(self) -> None:
        await self.http.aclose()

    def lane(self, token: SecretStr) -> _Lane:
        key = hashlib.sha256(token.get_secret_value().encode()).hexdigest()
        return self._lanes.setdefault(key, _Lane())

    async def config(self) -> wire.ServiceConfig:
        """Return the addresses and limits, at most five minutes old unless they cannot be had anew."""
        async with self._config_lock:
            if self._config is None or self.clock.monotonic() >= self._config_until:
                self._config = await self._newer_config(self._config)
                self._config_until = self.clock.monotonic() + CONFIG_FOR_S
            return self._config

    async def _newer_config(self, older: wire.ServiceConfig | None) -> wire.ServiceConfig:
        request = _Request(
            f"{self.base_url}/service/config", {}, _ACCEPT, _CONFIG_TRIES, self.clock.monotonic()
        )
        try:
            return await self.call(request, wire.read_config, lane=_Lane(), a_second=REQUESTS_A_SECOND)
        except VppFailure as failure:
            if older is None:
                raise
            log.warning("limits of Apps and Books not read anew", failure=type(failure).__name__)
            return older

    async def call(self, request: _Request, read: Callable[[bytes], T], *, lane: _Lane, a_second: float) -> T:
        """Make a call, and make it again after a transient failure as long as patience lasts."""
        failures = 0
        while True:
            try:
                async with lane.at_once:
                    await lane.turn(self.clock, a_second=a_second)
                    body = await self._exchange(request)
                return read(body)
            except Transient as failure:
                failures += 1
                wait = self._wait_after(failure, failures, request)
                if wait is None:
                    raise
                log.warning(
                    "call to Apps and Books failed, trying again",
                    path=httpx.URL(request.url).path,
                    failure=type(failure).__name__,
                    number=failure.number,
                    wait_s=round(wait, 1),
                )
                if isinstance(failure, Busy):
                    lane.rest_until(self.clock.monotonic() + wait)
            await self.clock.sleep(wait)

    async def _exchange(self, request: _Request) -> bytes:
        try:
            answer = await exchange(
                self.http,
                ("GET", request.url),
                patience=self.patience,
                headers=request.headers,
                params=request.params,
            )
        except NoAnswer as failure:
            raise Unreachable(str(failure)) from None
        except AnswerTooLong:
            raise Unreadable("an answer too long to read") from None
        refusal = failure_of(answer, now=self.clock.now())
        if refusal is not None:
            raise refusal
        return answer.body

    def _wait_after(self, failure: Transient, failures: int, request: _Request) -> float | None:
        if failures >= request.tries:
            return None
        spent = self.clock.monotonic() - request.started_at
        return self.patience.wait_after(failures, retry_after=failure.retry_after, spent_s=spent)


class VppClient:
    """The service as seen with one content token. Every call raises a `VppFailure`."""

    def __init__(self, service: VppService, *, token: SecretStr) -> None:
        self._service = service
        self._token = token

    async def client_config(self) -> wire.ClientConfig:
        """Ask which location the token is for, and who manages it."""
        request = await self._request("clientConfig", "/client/config")
        return await self._call(request, wire.read_client)

    async def assets(self) -> list[wire.Asset]:
        """Read every app and book of the location, all of one state of the list.

        A list that changes while it is read is read again from the start, and given up with
        `ListChanging` when it does so each time. Patience is that of one call for all pages together.
        """
        request = await self._request("getAssets", "/assets")
        for _ in range(1 + _RESTARTS):
            try:
                return await self._all_pages(request)
            except _ListChanged:
                log.info("licence counts changed while they were read, starting again")
        raise ListChanging("the list changed each time that it was read")

    async def _all_pages(self, request: _Request) -> list[wire.Asset]:
        first = await self._page(request, 0)
        if first.pages > _MOST_PAGES:
            raise Unreadable("a list of more pages than can be")
        more = (self._later_page(request, index, first.version) for index in range(1, first.pages))
        pages = [first, *await _together(more)]
        unreadable = sum(page.unreadable for page in pages)
        if unreadable:
            log.warning("apps that cannot be read are left out", count=unreadable)
        return [asset for page in pages for asset in page.assets]

    async def _later_page(self, request: _Request, index: int, version: str | None) -> wire.AssetPage:
        try:
            page = await self._page(request, index)
        except PageOutOfRange:
            raise _ListChanged from None
        if page.version != version:
            raise _ListChanged
        return page

    async def _page(self, request: _Request, index: int) -> wire.AssetPage:
        wanted = replace(request, params={"pageIndex": str(index)})
        return await self._call(wanted, lambda body: wire.read_assets(body, index=index))

    async def apps(self, ids: Sequence[str], *, platform: str, country: str) -> dict[str, wire.App]:
        """Look up what apps are called; those that the store does not tell, or not now, are left out.

        That the store takes several ids at a time is undocumented: where it names only one of them, the
        others are asked for one by one, up to a bound.
        """
        found: dict[str, wire.App] = {}
        try:
            request = await self._lookup_request(platform, country)
            if request is None:
                return found
            for start in range(0, len(ids), _APPS_A_LOOKUP):
                found.update(await self._look_up(request, ids[start : start + _APPS_A_LOOKUP]))
            if len(found) <= 1:
                missing = [app_id for app_id in ids if app_id not in found]
                for app_id in missing[:_SINGLE_LOOKUPS] if len(ids) > 1 else ():
                    found.update(await self._look_up(request, [app_id]))
        except VppFailure as failure:
            log.warning("names of apps not found", failure=type(failure).__name__, number=failure.number)
        return found

    async def _lookup_request(self, platform: str, country: str) -> _Request | None:
        config = await self._service.config()
        url = config.urls.get("contentMetadataLookup", "")
        if not may_follow(url, base_url=self._service.base_url):
            log.warning("the address for names of apps is not followed")
            return None
        params = {"version": "2", "p": "mdm-lockup", "caller": "MDM", "platform": platform}
        params |= {"cc": country.lower(), "l": "en"}
        # Custom apps are named only to who has their location's token.
        headers = {**_ACCEPT, "Cookie": f"itvt={self._token.get_secret_value()}"}
        return _Request(url, params, headers, _LOOKUP_TRIES, self._service.clock.monotonic())

    async def _look_up(self, request: _Request, ids: Sequence[str]) -> dict[str, wire.App]:
        wanted = replace(request, params={**request.params, "id": ",".join(ids)})
        named = await self._call(wanted, wire.read_apps)
        return {app_id: app for app_id, app in named.items() if app_id in ids}

    async def _request(self, key: str, path: str) -> _Request:
        """Return a request to the address that the service names by `key`, if it may be followed."""
        service = self._service
        url = (await service.config()).urls.get(key, "")
        if not may_follow(url, base_url=service.base_url):
            if url:
                log.warning("an address of Apps and Books is not followed", key=key)
            url = service.base_url + path
        headers = {**_ACCEPT, "Authorization": f"Bearer {self._token.get_secret_value()}"}
        return _Request(url, {}, headers, service.patience.tries, service.clock.monotonic())

    async def _call(self, request: _Request, read: Callable[[bytes], T]) -> T:
        config = await self._service.config()
        allowed = min(config.requests_a_second or REQUESTS_A_SECOND, REQUESTS_A_SECOND)
        lane = self._service.lane(self._token)
        return await self._service.call(request, read, lane=lane, a_second=allowed * _SHARE_OF_ALLOWED)


class _ListChanged(Exception):
    """A page belongs to another state of the list than the first."""


def may_follow(url: str, *, base_url: str) -> bool:
    """Say whether a token may be sent to an address that an answer named: Apple's hosts, or the base's."""
    try:
        named, base = httpx.URL(url), httpx.URL(base_url)
    except httpx.InvalidURL:
        return False
    if named.userinfo:
        return False
    if (named.scheme, named.host, named.port) == (base.scheme, base.host, base.port):
        return True
    is_apples = named.host == "apple.com" or named.host.endswith(".apple.com")
    return is_apples and named.scheme == "https" and named.port is None


async def _together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await all; when one fails, the others end before its error is raised."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
