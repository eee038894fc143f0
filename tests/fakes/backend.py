"""An enrollment service that keeps its state in memory and refuses on request."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
from pydantic import SecretStr

from bot.backend import apple_profile
from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.port import (
    Account,
    AssignmentResult,
    BackendTexts,
    CertificateInsteadOfToken,
    CursorExhausted,
    CursorUnusable,
    DefinedProfile,
    DeviceFacts,
    DevicePage,
    DeviceResult,
    KeyPair,
    NotATokenFile,
    RequestRefused,
    Session,
    Sessions,
    TokenContents,
    TokenFileExpired,
    TokenFileForAnotherCertificate,
    TokenRejected,
    UnreadableDevice,
)
from bot.backend.profile import Platform, ProfileBody, ProfileSettings, ReadProfile, SetupScreen

TEXTS = BackendTexts(
    service="Apple",
    portal="ABM",
    agreement="I agree that user and device information is sent to Apple",
    add_steps=("Make a new server named *{name}* in ABM.", "Upload the certificate.", "Download its token."),
    renew_steps=("Sign in to ABM as {apple_id}.", "Open server *{server}*.", "Download its token."),
    renew_new_key_steps=("Open server *{server}*.", "Upload the new certificate.", "Download its token."),
    assign_devices_steps=("Assign devices to server *{server}* in ABM.",),
    renew_warning="Generating a new token in ABM ends the current one at once.",
    terms_step="An Administrator of {org} signs in to ABM and accepts the new terms.",
    configurator="Apple Configurator",
)

_FILE_MARK = b"FAKE TOKEN FILE\n"


class Now(Protocol):
    def now(self) -> datetime: ...


@dataclass(eq=False)
class FakeServer:
    """One MDM server of the service: its devices, profiles and the token in force.

    Refusals: `refuse("account", error)` answers the next call of that method with the error,
    `times=None` every one until `accept("account")`. Method names are those of the port's
    `Connection`, and `login`. `pages` is a queue of pages (or errors) given instead of the next
    full or delta pages. `on_call` is awaited before each call with the method's name.
    """

    name: str
    uuid: str
    clock: Now
    org_name: str = "Example Trust"
    org_id: str | None = "6666666"
    made_by: str | None = "ade@example.com"
    consumer_key: str = ""
    page_size: int = 1000
    devices: dict[str, DeviceFacts] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    throttled: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    retry_after: timedelta = timedelta(hours=1)
    pages: list[DevicePage | Exception] = field(default_factory=list)
    on_call: Callable[[str], Awaitable[None]] | None = None
    calls: list[str] = field(default_factory=list)
    assigned: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    token_secret: str = ""

    def __post_init__(self) -> None:
        self.consumer_key = self.consumer_key or f"CK_{self.uuid}"
        self._order: dict[str, int] = {}
        self._log: list[DeviceFacts] = []
        self._sequence = 0
        self._tokens_made = 0
        self._cursors_made = 0
        self._cursors_expired_up_to = -1
        self._sessions_made = 0
        self._live_session = ""
        self._once: defaultdict[str, list[Exception]] = defaultdict(list)
        self._always: dict[str, Exception] = {}

    # What happens in the portal

    def generate_token(
        self,
        certificate_pem: str,
        *,
        valid_for: timedelta = timedelta(days=365),
        made_by: str | None = None,
        consumer_key: str | None = None,
    ) -> bytes:
        """Generate a token for the server, as the portal does: the former one ends at once."""
        self._tokens_made += 1
        self.token_secret = f"AS_planted_{self.uuid}_{self._tokens_made}"
        self._live_session = ""
        self.made_by = made_by or self.made_by
        return token_file(
            certificate_pem,
            consumer_key=consumer_key or self.consumer_key,
            secret=self.token_secret,
            server_uuid=self.uuid,
            expires_at=self.clock.now() + valid_for,
        )

    def put(self, *devices: DeviceFacts, operation: str = "added", at: datetime | None = None) -> None:
        """Put devices on the server, or change them, and say so in the deltas."""
        for device in devices:
            if device.serial not in self.devices:
                self._sequence += 1
                self._order[device.serial] = self._sequence
            self.devices[device.serial] = device
            self._note(device, operation, at)

    def take(self, *serials: str, at: datetime | None = None) -> None:
        """Take devices off the server, and say so in the deltas."""
        for serial in serials:
            device = self.devices.pop(serial)
            del self._order[serial]
            self._note(device, "deleted", at)

    def take_silently(self, *serials: str) -> None:
        """Take devices off without a word in the deltas, as the real service has been seen to do."""
        for serial in serials:
            del self.devices[serial], self._order[serial]

    def expire_cursors(self) -> None:
        self._cursors_expired_up_to = self._cursors_made

    def expire_session(self) -> None:
        self._live_session = ""

    def refuse(self, method: str, error: Exception, *, times: int | None = 1) -> None:
        if times is None:
            self._always[method] = error
        else:
            self._once[method].extend([error] * times)

    def accept(self, method: str) -> None:
        self._always.pop(method, None)
        self._once.pop(method, None)

    def count(self, method: str) -> int:
        return self.calls.count(method)

    # What the service does

    async def called(self, method: str) -> None:
        self.calls.append(method)
        if self.on_call is not None:
            await self.on_call(method)
        if self._once[method]:
            raise self._once[method].pop(0)
        if method in self._always:
            raise self._always[method]

    async def login(self, secret: str) -> SecretStr:
        await self.called("login")
        if secret != self.token_secret:
            raise TokenRejected(
                "Apple no longer accepts this token.", word="token_rejected", at=self.clock.now()
            )
        self._sessions_made += 1
        self._live_session = f"session_planted_{self.uuid}_{self._sessions_made}"
        return SecretStr(self._live_session)

    def knows_session(self, session: Session) -> bool:
        return bool(self._live_session) and session.value.get_secret_value() == self._live_session

    def full_page(self, cursor: str | None, limit: int) -> DevicePage:
        if self.pages:
            return _scripted(self.pages)
        log_position, after = len(self._log), 0
        if cursor is not None:
            kind, numbers = self._read_cursor(cursor)
            if kind == "delta":
                raise CursorExhausted("The list was read to its end.")
            log_position, after = numbers
        rest = [serial for serial, place in self._order.items() if place > after]
        page, more = rest[:limit], len(rest) > limit
        following = (
            self._cursor("full", log_position, self._order[page[-1]])
            if more
            else self._cursor("delta", log_position, 0)
        )
        return DevicePage([_without_operation(self.devices[s]) for s in page], (), following, more)

    def delta_page(self, cursor: str, limit: int) -> DevicePage:
        if self.pages:
            return _scripted(self.pages)
        kind, (position, _) = self._read_cursor(cursor)
        if kind != "delta":
            raise CursorUnusable("Apple does not accept the cursor.", reason="invalid")
        page = self._log[position : position + limit]
        position += len(page)
        return DevicePage(page, (), self._cursor("delta", position, 0), position < len(self._log))

    def put_profile(self, profile: Mapping[str, Any]) -> str:
        profile_uuid = hashlib.sha256(f"{self.uuid}/{len(self.profiles)}".encode()).hexdigest()[:32].upper()
        self.profiles[profile_uuid] = {**profile, "profile_uuid": profile_uuid}
        return profile_uuid

    def assign(self, profile_uuid: str | None, serials: Sequence[str]) -> AssignmentResult:
        if profile_uuid is not None and profile_uuid not in self.profiles:
            raise RequestRefused("Apple does not know this profile.", word="NOT_FOUND")
        self.assigned.append((profile_uuid or "", tuple(serials)))
        results = {serial: self._assign_one(profile_uuid, serial) for serial in serials}
        throttled = DeviceResult.THROTTLED in results.values()
        return AssignmentResult(results, self.retry_after if throttled else None)

    def _assign_one(self, profile_uuid: str | None, serial: str) -> DeviceResult:
        if serial not in self.devices:
            return DeviceResult.NOT_ACCESSIBLE
        if serial in self.throttled:
            return DeviceResult.THROTTLED
        if serial in self.failing:
            return DeviceResult.FAILED
        now = self.clock.now()
        changed = msgspec.structs.replace(
            self.devices[serial],
            profile_uuid=profile_uuid,
            profile_status="assigned" if profile_uuid else "removed",
            profile_assigned_at=now if profile_uuid else None,
            profile_pushed_at=None,
        )
        self.put(changed, operation="modified")
        return DeviceResult.SUCCESS

    def _note(self, device: DeviceFacts, operation: str, at: datetime | None) -> None:
        moment = at or self.clock.now()
        self._log.append(msgspec.structs.replace(device, operation=operation, operation_at=moment))

    def _cursor(self, kind: str, position: int, after: int) -> str:
        self._cursors_made += 1
        return f"{kind}:{position}:{after}:{self._cursors_made}"

    def _read_cursor(self, cursor: str) -> tuple[str, tuple[int, int]]:
        try:
            kind, position, after, number = cursor.split(":")
            numbers, made = (int(position), int(after)), int(number)
        except ValueError:
            raise CursorUnusable("Apple does not accept the cursor.", reason="invalid") from None
        if made <= self._cursors_expired_up_to:
            raise CursorUnusable("The cursor is older than 7 days.", reason="expired")
        return kind, numbers


class FakeConnection:
    """The service as seen with one token. Logs in once more when its session ended, never in a loop."""

    def __init__(self, server: FakeServer, secret: str, sessions: Sessions) -> None:
        self.server = server
        self._secret = secret
        self._sessions = sessions

    async def account(self) -> Account:
        await self._authenticated("account")
        server = self.server
        return Account(
            server_uuid=server.uuid,
            server_name=server.name,
            org_name=server.org_name,
            org_id=server.org_id,
            org_type="org",
            made_by=server.made_by,
            full_page_size=server.page_size,
            delta_page_size=server.page_size,
            order_size=1000,
            asked_at=server.clock.now(),
        )

    async def full_page(self, cursor: str | None, *, limit: int) -> DevicePage:
        await self._authenticated("full_page")
        return self.server.full_page(cursor, limit)

    async def delta_page(self, cursor: str, *, limit: int) -> DevicePage:
        await self._authenticated("delta_page")
        return self.server.delta_page(cursor, limit)

    async def details(self, serials: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        await self._authenticated("details")
        known = self.server.devices
        return {s: _without_operation(known[s]) if s in known else None for s in serials}

    async def define_profile(self, profile: Mapping[str, Any]) -> DefinedProfile:
        await self._authenticated("define_profile")
        return DefinedProfile(self.server.put_profile(profile), {})

    async def read_profile(self, profile_uuid: str) -> Mapping[str, Any] | None:
        await self._authenticated("read_profile")
        return self.server.profiles.get(profile_uuid)

    async def assign(self, profile_uuid: str, serials: Sequence[str]) -> AssignmentResult:
        await self._authenticated("assign")
        return self.server.assign(profile_uuid, serials)

    async def unassign(self, serials: Sequence[str]) -> AssignmentResult:
        await self._authenticated("unassign")
        return self.server.assign(None, serials)

    async def _authenticated(self, method: str) -> None:
        session = await self._sessions.current()
        if session is None:
            session = await self._sessions.renew(None, self._login)
        if not self.server.knows_session(session):
            session = await self._sessions.renew(session, self._login)
        if not self.server.knows_session(session):
            raise TokenRejected(
                "Apple refused a fresh session.", word="FORBIDDEN", at=self.server.clock.now()
            )
        await self.server.called(method)

    async def _login(self) -> SecretStr:
        return await self.server.login(self._secret)


class FakeBackend:
    """The whole service: servers by UUID. Satisfies the port's `EnrollmentBackend`."""

    def __init__(self, clock: Now, texts: BackendTexts = TEXTS) -> None:
        self.clock = clock
        self._texts = texts
        self.servers: dict[str, FakeServer] = {}
        self._pairs_made = 0

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

    def server(self, name: str, **facts: Any) -> FakeServer:
        """Make an MDM server in the portal. `facts` are fields of `FakeServer`."""
        uuid = facts.pop("uuid", None) or hashlib.sha256(name.encode()).hexdigest()[:32].upper()
        made = FakeServer(name=name, uuid=uuid, clock=self.clock, **facts)
        self.servers[uuid] = made
        return made

    async def make_key_pair(self, name: str) -> KeyPair:
        self._pairs_made += 1
        return key_pair(f"{name}-{self._pairs_made}")

    async def read_token_file(self, content: bytes, key_pairs: Sequence[KeyPair]) -> TokenContents:
        if b"BEGIN CERTIFICATE" in content:
            raise CertificateInsteadOfToken("This is a certificate, not a server token.")
        facts = _read_file(content)
        if facts is None:
            raise NotATokenFile("This is not a server token file.")
        fitting = [i for i, pair in enumerate(key_pairs) if _mark(pair.certificate_pem) == facts["made_for"]]
        if not fitting:
            raise TokenFileForAnotherCertificate("This file was made for another certificate.")
        expires_at = datetime.fromisoformat(facts["expires_at"])
        if expires_at <= self.clock.now():
            raise TokenFileExpired("The token in this file has expired.")
        return TokenContents(
            credentials=SecretStr(json.dumps({"server": facts["server_uuid"], "secret": facts["secret"]})),
            consumer_key=facts["consumer_key"],
            expires_at=expires_at,
            key_pair=fitting[0],
        )

    def fits(self, content: bytes, certificate_pem: str) -> bool:
        facts = _read_file(content)
        return facts is not None and facts["made_for"] == _mark(certificate_pem)

    def connect(self, credentials: SecretStr, sessions: Sessions) -> FakeConnection:
        facts = json.loads(credentials.get_secret_value())
        return FakeConnection(self.servers[facts["server"]], facts["secret"], sessions)


def key_pair(seed: str) -> KeyPair:
    """Make worthless PEM texts of the right shape: the same ones for the same seed."""
    return KeyPair(
        SecretStr(_pem("PRIVATE KEY", f"planted private key {seed}")),
        _pem("CERTIFICATE", f"certificate {seed}"),
    )


def token_file(
    certificate_pem: str, *, consumer_key: str, secret: str, server_uuid: str, expires_at: datetime
) -> bytes:
    """Make a token file that only the holder of this certificate's key pair can open."""
    facts = {
        "made_for": _mark(certificate_pem),
        "consumer_key": consumer_key,
        "secret": secret,
        "server_uuid": server_uuid,
        "expires_at": expires_at.isoformat(),
    }
    return _FILE_MARK + base64.b64encode(json.dumps(facts).encode())


def device(serial: str, **facts: Any) -> DeviceFacts:
    """One iPad, unless said otherwise."""
    usual: dict[str, Any] = {
        "model": "iPad Air",
        "platform": Platform.IOS,
        "os": "iPadOS",
        "family": "iPad",
        "color": "SPACE GRAY",
        "description": "IPAD AIR WI-FI 128GB SPACE GRAY-USA",
        "assigned_by": "ade@example.com",
        "assigned_at": datetime(2026, 1, 15, 8, 0, tzinfo=UTC),
    }
    return DeviceFacts(serial=serial, **{**usual, **facts})


def page(
    *devices: DeviceFacts,
    cursor: str,
    more: bool = False,
    unreadable: Sequence[UnreadableDevice] = (),
) -> DevicePage:
    """A page to script with `FakeServer.pages`."""
    return DevicePage(devices, unreadable, cursor, more)


def _scripted(pages: list[DevicePage | Exception]) -> DevicePage:
    following = pages.pop(0)
    if isinstance(following, Exception):
        raise following
    return following


def _without_operation(facts: DeviceFacts) -> DeviceFacts:
    return msgspec.structs.replace(facts, operation=None, operation_at=None)


def _read_file(content: bytes) -> dict[str, str] | None:
    if not content.startswith(_FILE_MARK):
        return None
    try:
        facts: dict[str, str] = json.loads(base64.b64decode(content.removeprefix(_FILE_MARK), validate=True))
    except ValueError:
        return None
    return facts


def _mark(certificate_pem: str) -> str:
    return hashlib.sha256(certificate_pem.strip().encode()).hexdigest()


def _pem(kind: str, text: str) -> str:
    body = base64.b64encode(text.encode()).decode()
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
