"""The enrollment backend that speaks to Apple's own web services."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from bot.apple import token_file
from bot.apple.dep import errors as dep
from bot.apple.dep import wire
from bot.apple.dep.auth import Credentials
from bot.apple.dep.client import MAX_DEVICES, DepClient, DepService
from bot.backend import apple_profile, port
from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.port import (
    Account,
    AssignmentResult,
    BackendTexts,
    DefinedProfile,
    DeviceFacts,
    DevicePage,
    DeviceResult,
    KeyPair,
    Session,
    Sessions,
    TokenContents,
    UnreadableDevice,
)
from bot.backend.profile import Platform, ProfileBody, ProfileSettings, ReadProfile, SetupScreen
from bot.backend.texts import load_texts
from bot.kit.clock import Clock

THROTTLED_FOR = timedelta(hours=24)
"""How long to leave a throttled device alone where Apple names no time (its advice to Fleet)."""

_BY_OS = {
    "iOS": Platform.IOS,
    "iPadOS": Platform.IOS,
    "OSX": Platform.MACOS,
    "macOS": Platform.MACOS,
    "tvOS": Platform.TVOS,
    "visionOS": Platform.VISIONOS,
}
_BY_FAMILY = {
    "iPhone": Platform.IOS,
    "iPad": Platform.IOS,
    "iPod": Platform.IOS,
    "Mac": Platform.MACOS,
    "AppleTV": Platform.TVOS,
    "Vision": Platform.VISIONOS,
}


class AppleBackend:
    """Implements `port.EnrollmentBackend`."""

    def __init__(self, service: DepService, *, clock: Clock, steps_file: Path | None = None) -> None:
        self._service = service
        self._clock = clock
        self._texts = load_texts(steps_file)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, base_url: str, *, clock: Clock, steps_file: Path | None = None
    ) -> AsyncIterator["AppleBackend"]:
        """Make a backend with connections of its own, closed at the end.

        Raises `texts.StepsFileWrong` when the file with ABM's steps cannot be used.
        """
        service = DepService.open(base_url=base_url, clock=clock)
        try:
            yield cls(service, clock=clock, steps_file=steps_file)
        finally:
            await service.aclose()

    @property
    def texts(self) -> BackendTexts:
        return self._texts

    @property
    def screens(self) -> Sequence[SetupScreen]:
        return APPLE_SCREENS

    def profile_body(self, settings: ProfileSettings, *, mdm_url: str, org_magic: str) -> ProfileBody:
        return apple_profile.body_of(settings, mdm_url=mdm_url, org_magic=org_magic)

    def read_profile_body(self, body: ProfileBody) -> ReadProfile:
        return apple_profile.read_body(body)

    async def make_key_pair(self, name: str) -> KeyPair:
        made = await asyncio.to_thread(token_file.make_key_pair, name, now=self._clock.now())
        return KeyPair(made.private_key_pem, made.certificate_pem)

    async def read_token_file(self, content: bytes, key_pairs: Sequence[KeyPair]) -> TokenContents:
        pairs = [token_file.KeyPair(pair.private_key_pem, pair.certificate_pem) for pair in key_pairs]
        try:
            opened = await asyncio.to_thread(
                token_file.open_token_file, content, pairs, now=self._clock.now()
            )
        except token_file.TokenFileUnusable as failure:
            kind = _FILE_FAILURES[type(failure)]
            raise kind(failure.message, next_step=failure.next_step) from None
        return TokenContents(
            credentials=opened.credentials.sealed(),
            consumer_key=opened.credentials.consumer_key,
            expires_at=opened.expires_at,
            key_pair=opened.key_pair,
        )

    def fits(self, content: bytes, certificate_pem: str) -> bool:
        return token_file.is_made_for(content, certificate_pem)

    def connect(self, credentials: SecretStr, sessions: Sessions) -> "AppleConnection":
        client = DepClient(self._service, credentials=Credentials.unsealed(credentials), sessions=sessions)
        return AppleConnection(client, self._clock)


class AppleConnection:
    """Implements `port.Connection`."""

    def __init__(self, client: DepClient[Session], clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def until(self, deadline: datetime) -> "AppleConnection":
        """Return a connection whose retries end before `deadline`."""
        return AppleConnection(self._client.until(deadline), self._clock)

    async def account(self) -> Account:
        with _translated():
            account = await self._client.account()
        sizes = account.page_sizes
        return Account(
            server_uuid=account.server_uuid,
            server_name=account.server_name,
            org_name=account.org_name,
            org_id=account.org_id,
            org_type=account.org_type,
            made_by=account.made_by,
            full_page_size=min(sizes.get("/server/devices", MAX_DEVICES), MAX_DEVICES),
            delta_page_size=min(sizes.get("/devices/sync", MAX_DEVICES), MAX_DEVICES),
            order_size=min(sizes.get("/profile/devices", MAX_DEVICES), MAX_DEVICES),
            asked_at=self._clock.now(),
        )

    async def full_page(self, cursor: str | None, *, limit: int) -> DevicePage:
        with _translated():
            return _page(await self._client.fetch_devices(cursor, limit=limit, make=device_facts))

    async def delta_page(self, cursor: str, *, limit: int) -> DevicePage:
        with _translated():
            return _page(await self._client.sync_devices(cursor, limit=limit, make=device_facts))

    async def details(self, serials: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        with _translated():
            return await self._client.device_details(serials, make=device_facts)

    async def define_profile(self, profile: ProfileBody) -> DefinedProfile:
        with _translated():
            try:
                defined = await self._client.define_profile(profile)
            except dep.Refused as failure:
                raise apple_profile.refusal_of(failure) or failure from failure
        results = _results(profile.get("devices") or (), defined.by_serial)
        return DefinedProfile(defined.profile_uuid or "", results)

    async def read_profile(self, profile_uuid: str) -> ProfileBody | None:
        with _translated():
            try:
                return await self._client.fetch_profile(profile_uuid)
            except dep.NotFound:
                return None

    async def assign(self, profile_uuid: str, serials: Sequence[str]) -> AssignmentResult:
        with _translated():
            return _assignment(serials, await self._client.assign_profile(profile_uuid, serials))

    async def unassign(self, serials: Sequence[str]) -> AssignmentResult:
        with _translated():
            return _assignment(serials, await self._client.remove_profile(serials))


def device_facts(device: wire.Device, extra: dict[str, Any] | None) -> DeviceFacts:
    """Make the seam's facts of Apple's device, field by field in the order that both share."""
    platform = _BY_OS.get(device.os or "") or _BY_FAMILY.get(device.family or "") or Platform.OTHER
    values: tuple[Any, ...] = (platform, *msgspec.structs.astuple(device), extra)
    return DeviceFacts(*values)


def _page(page: wire.Page[DeviceFacts]) -> DevicePage:
    unreadable = [UnreadableDevice(bad.serial, bad.reason) for bad in page.unreadable]
    return DevicePage(page.devices, unreadable, page.cursor, page.more_to_follow)


def _results(serials: Sequence[str], words: Mapping[str, str]) -> dict[str, DeviceResult]:
    """Pair each serial with its result; one that Apple left out, or a word unknown here, has failed."""
    known = {result.value: result for result in DeviceResult}
    return {
        serial: known.get(words.get(serial.strip().upper(), ""), DeviceResult.FAILED) for serial in serials
    }


def _assignment(serials: Sequence[str], answer: wire.Results) -> AssignmentResult:
    results = _results(serials, answer.by_serial)
    if DeviceResult.THROTTLED not in results.values():
        return AssignmentResult(results)
    if answer.retry_after_s is None:
        return AssignmentResult(results, THROTTLED_FOR)
    return AssignmentResult(results, timedelta(seconds=answer.retry_after_s))


_FILE_FAILURES: Mapping[type[token_file.TokenFileUnusable], type[port.TokenFileUnusable]] = {
    token_file.NotATokenFile: port.NotATokenFile,
    token_file.CertificateInsteadOfToken: port.CertificateInsteadOfToken,
    token_file.MadeForAnotherCertificate: port.TokenFileForAnotherCertificate,
    token_file.TokenFileDamaged: port.TokenFileDamaged,
    token_file.KeyMissing: port.TokenFileIncomplete,
    token_file.TokenExpired: port.TokenFileExpired,
    token_file.TokenFileTooLarge: port.TokenFileTooLarge,
    token_file.KeyPairUnusable: port.KeyPairUnusable,
}

_CURSOR_REASONS: Mapping[type[dep.DepFailure], str] = {
    dep.CursorExpired: "expired",
    dep.CursorInvalid: "invalid",
    dep.CursorRequired: "required",
}
_UNAVAILABLE: Mapping[type[dep.DepFailure], tuple[str, str]] = {
    dep.Unreachable: (
        "Apple could not be reached",
        "It is tried again later; if it lasts, check the network and the proxy of the bot's machine.",
    ),
    dep.Busy: ("Apple has had too many requests", "It is tried again later."),
    dep.Failing: ("Apple's service has a fault of its own", "It is tried again later."),
    dep.Unreadable: (
        "What came back is not an answer of Apple's service",
        "If it lasts, check whether a proxy or sign-in page stands between the bot and Apple.",
    ),
    dep.Redirected: (
        "Apple's address leads elsewhere, which is not followed",
        "Check ENROLLBOT_DEP_URL and the proxy of the bot's machine.",
    ),
}


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the seam's errors in place of the client's."""
    try:
        yield
    except dep.DepFailure as failure:
        raise port_error(failure) from failure


def port_error(failure: dep.DepFailure) -> port.BackendError:
    """Say what a refusal means to the person who meets it."""
    for kind, (message, next_step) in _UNAVAILABLE.items():
        if isinstance(failure, kind):
            wait = failure.retry_after if isinstance(failure, dep.Transient) else None
            return port.ServiceUnavailable(
                f"{message}{_quoted(failure)}.", retry_after=wait, next_step=next_step
            )
    reason = _CURSOR_REASONS.get(type(failure))
    if reason is not None:
        return port.CursorUnusable(
            f"Apple says that the stored place in the device list is {reason}; only a full sync helps.",
            reason=reason,
        )
    if isinstance(failure, dep.CursorExhausted):
        return port.CursorExhausted("Apple's device list was already read to its end.")
    return _refusal(failure)


def _refusal(failure: dep.DepFailure) -> port.BackendError:
    if isinstance(failure, dep.TermsNotSigned):
        return port.TermsNotSigned(
            "The organisation has new Apple terms to accept; the token itself is good.",
            next_step="An Administrator of the organisation signs in to ABM and accepts; no other role can.",
        )
    if isinstance(failure, dep.TokenRejected):
        return port.TokenRejected(
            f"Apple does not accept this token{_quoted(failure)}.",
            word=failure.word,
            at=failure.at,
            next_step="If a newer one was generated in ABM, upload that file; otherwise renew the token.",
        )
    if isinstance(failure, dep.ClockWrong):
        return port.ClockWrong(
            f"This machine's clock says {_clock(failure.ours)}, Apple's says {_clock(failure.theirs)}; Apple"
            " refuses logins whose time is wrong.",
            next_step="Set the clock of the bot's machine (NTP); the token may well be good.",
        )
    if isinstance(failure, dep.AccessDenied):
        return port.AccessDenied(
            f"Apple says that this token may not do this{_quoted(failure)}.",
            next_step="Check in ABM that its MDM server still exists and belongs to the right organisation.",
        )
    return port.RequestRefused(f"Apple refuses the request as wrong{_quoted(failure)}.", word=failure.word)


def _quoted(failure: dep.DepFailure) -> str:
    said = failure.word or (f"status {failure.status}" if failure.status else "")
    return f" ({said})" if said else ""


def _clock(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M:%S} UTC"
