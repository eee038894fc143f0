"""One method per call of the enrollment service (device assignment services, protocol version 10).

https://developer.apple.com/documentation/devicemanagement/device-assignment
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import httpx
import msgspec
from pydantic import SecretStr

from bot.apple.answers import Answer
from bot.apple.dep import wire
from bot.apple.dep.auth import Credentials, S, Sessions, authorization
from bot.apple.dep.errors import (
    DepFailure,
    MethodRefused,
    SessionInvalid,
    Transient,
    Unreachable,
    Unreadable,
    failure_of,
)
from bot.apple.exchange import AnswerTooLong, NoAnswer, Patience, exchange, open_http, without_cookies
from bot.kit.clock import Clock
from bot.kit.logs import get_logger

log = get_logger(__name__)

MAX_DEVICES = 1000
"""Devices that one call may carry (Apple: "limit requests to 1000 devices at a time")."""

SESSION_HEADER = "x-adm-auth-session"
# A call that keeps meeting sessions which others have just replaced gives up here.
_SESSIONS_A_CALL = 3
_HEADERS = {
    "X-Server-Protocol-Version": "10",
    "Accept": "application/json;charset=UTF8",
    "Content-Type": "application/json;charset=UTF8",
}

D = TypeVar("D")
T = TypeVar("T")


class DepService:
    """The enrollment service at one address: connections shared by the clients of all tokens."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, clock: Clock, patience: Patience | None = None
    ) -> None:
        self.http = without_cookies(http)
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.patience = patience or Patience()

    @classmethod
    def open(cls, *, base_url: str, clock: Clock, patience: Patience | None = None) -> "DepService":
        """Make a service with connections of its own; close it with `aclose`."""
        return cls(open_http(base_url), base_url=base_url, clock=clock, patience=patience)

    async def aclose(self) -> None:
        await self.http.aclose()

    async def exchange(
        self,
        request: tuple[str, str],
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request (method, path) and read its answer to the end, or raise `Unreachable`."""
        method, path = request
        try:
            return await exchange(
                self.http,
                (method, self.base_url + path),
                patience=self.patience,
                headers={**_HEADERS, **headers},
                params=params,
                body=body,
            )
        except NoAnswer as failure:
            raise Unreachable(str(failure)) from None
        except AnswerTooLong:
            raise Unreadable("an answer too long to read") from None


class DepClient(Generic[S]):
    """The service as seen with one token. Every call raises a `DepFailure`.

    A call logs in at most once. Transient failures are tried again within `Patience`, but never
    beyond `deadline`. Calls may run side by side; they share the session.
    """

    def __init__(
        self,
        service: DepService,
        *,
        credentials: Credentials,
        sessions: Sessions[S],
        deadline: datetime | None = None,
    ) -> None:
        self._service = service
        self._credentials = credentials
        self._sessions = sessions
        self._deadline = deadline
        self._assign_method = "POST"

    def until(self, deadline: datetime) -> "DepClient[S]":
        """Return a client of the same session that neither waits nor tries beyond `deadline`."""
        return DepClient(
            self._service, credentials=self._credentials, sessions=self._sessions, deadline=deadline
        )

    async def account(self) -> wire.Account:
        """Ask whom the token belongs to (`GET /account`)."""
        return await self._call(_Request("GET", "/account"), wire.read_account)

    async def fetch_devices(self, cursor: str | None, *, limit: int, make: wire.Make[D]) -> wire.Page[D]:
        """Read a page of all devices, oldest first, from the start without a cursor."""
        body: dict[str, object] = {"limit": min(limit, MAX_DEVICES)}
        if cursor is not None:
            body["cursor"] = cursor
        request = _Request("POST", "/server/devices", body=_json(body))
        return await self._call(request, lambda answer: wire.read_page(answer, make))

    async def sync_devices(self, cursor: str, *, limit: int, make: wire.Make[D]) -> wire.Page[D]:
        """Read a page of what happened since a cursor, which lives seven days."""
        body = _json({"cursor": cursor, "limit": min(limit, MAX_DEVICES)})
        request = _Request("POST", "/devices/sync", body=body)
        return await self._call(request, lambda answer: wire.read_page(answer, make))

    async def device_details(self, serials: Sequence[str], *, make: wire.Make[D]) -> dict[str, D | None]:
        """Ask about serials, at most 1,000: None for those not on this server."""
        if not serials:
            return {}
        request = _Request("POST", "/devices", body=_devices(serials))
        return await self._call(request, lambda answer: wire.read_details(answer, serials, make))

    async def define_profile(self, profile: Mapping[str, Any]) -> wire.Results:
        """Define a profile; Apple gives it a new UUID each time.

        Not tried again where Apple may have done it already: there is no list to find it in.
        """
        request = _Request("POST", "/profile", body=_json(profile), is_repeatable=False)
        return await self._call(request, _read_defined)

    async def fetch_profile(self, profile_uuid: str) -> dict[str, Any]:
        """Read a profile of this server, or raise `NotFound`."""
        request = _Request("GET", "/profile", params={"profile_uuid": profile_uuid})
        return await self._call(request, wire.read_profile)

    async def assign_profile(self, profile_uuid: str, serials: Sequence[str]) -> wire.Results:
        """Give devices, at most 1,000, a profile. `NotFound` when this server has no such profile."""
        if not serials:
            return wire.Results({})
        request = _Request(
            self._assign_method, "/profile/devices", body=_devices(serials, profile_uuid=profile_uuid)
        )
        try:
            return await self._call(request, wire.read_results)
        except MethodRefused:
            if self._assign_method == "PUT":
                raise
        # The reference of 2018 says PUT, today's pages say POST; /account advertises both.
        self._assign_method = "PUT"
        return await self._call(replace(request, method="PUT"), wire.read_results)

    async def remove_profile(self, serials: Sequence[str]) -> wire.Results:
        """Take the profile from devices, at most 1,000."""
        if not serials:
            return wire.Results({})
        request = _Request("DELETE", "/profile/devices", body=_devices(serials))
        return await self._call(request, wire.read_results)

    async def _call(self, request: "_Request", read: Callable[[bytes], T]) -> T:
        """Make a call, and make it again after a transient failure as long as patience lasts."""
        login = _Login(self._service, self._credentials)
        started = self._service.clock.monotonic()
        failures = 0
        while True:
            try:
                return read(await self._with_session(request, login))
            except Transient as failure:
                failures += 1
                wait = self._wait_after(failure, failures, started)
                if wait is None or not request.may_repeat_after(failure):
                    raise
                log.warning(
                    "call to Apple failed, trying again",
                    path=request.path,
                    failure=type(failure).__name__,
                    word=failure.word,
                    wait_s=round(wait, 1),
                )
            await self._service.clock.sleep(wait)

    async def _with_session(self, request: "_Request", login: "_Login") -> bytes:
        session = await self._sessions.current() or await self._sessions.renew(None, login)
        for _ in range(_SESSIONS_A_CALL):
            answer = await self._service.exchange(
                (request.method, request.path),
                headers={SESSION_HEADER: session.value.get_secret_value()},
                params=request.params,
                body=request.body,
            )
            session = await self._rotated(session, answer)
            if answer.status == 200:
                return answer.body
            failure = failure_of(answer, now=self._service.clock.now())
            if not isinstance(failure, SessionInvalid):
                raise failure
            if login.is_done:
                break
            session = await self._sessions.renew(session, login)
        # even a session opened a moment ago is refused
        raise failure_of(answer, now=self._service.clock.now(), is_login=True)

    async def _rotated(self, session: S, answer: Answer) -> S:
        """Keep the session that came along with an answer, if one did."""
        sent = answer.headers.get(SESSION_HEADER, "")
        if not wire.is_header_value(sent) or sent == session.value.get_secret_value():
            return session
        return await self._sessions.rotate(session, SecretStr(sent))

    def _wait_after(self, failure: Transient, failures: int, started: float) -> float | None:
        """Return the seconds to wait before the next try, None when there is to be none."""
        spent = self._service.clock.monotonic() - started
        wait = self._service.patience.wait_after(failures, retry_after=failure.retry_after, spent_s=spent)
        return None if wait is None or self._is_too_late(wait) else wait

    def _is_too_late(self, wait: float) -> bool:
        if self._deadline is None:
            return False
        return self._service.clock.now() + timedelta(seconds=wait) >= self._deadline


class _Login:
    """Opens a session, and remembers that it did: a call logs in once and never in a loop."""

    def __init__(self, service: DepService, credentials: Credentials) -> None:
        self._service = service
        self._credentials = credentials
        self.is_done = False

    async def __call__(self) -> SecretStr:
        now = self._service.clock.now()
        signed = authorization(self._credentials, url=f"{self._service.base_url}/session", now=now)
        answer = await self._service.exchange(("GET", "/session"), headers=signed)
        if answer.status != 200:
            raise failure_of(answer, now=self._service.clock.now(), is_login=True)
        token = wire.read_session(answer.body)
        self.is_done = True
        log.info("session with Apple opened")
        return SecretStr(token)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: bytes | None = None
    is_repeatable: bool = True

    def may_repeat_after(self, failure: DepFailure) -> bool:
        """Say whether a second try can do no harm: the first was refused, or doing it twice is nothing."""
        return self.is_repeatable or failure.status in (429, 503)


def _json(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value)


def _devices(serials: Sequence[str], **more: str) -> bytes:
    if len(serials) > MAX_DEVICES:
        raise ValueError(f"{len(serials)} devices in one call, {MAX_DEVICES} are allowed")
    return _json({**more, "devices": list(serials)})


def _read_defined(answer: bytes) -> wire.Results:
    defined = wire.read_results(answer)
    if not defined.profile_uuid:
        raise Unreadable("a defined profile without its UUID")
    return defined
