"""What the rooms need from an enrollment service, and nothing else.

`apple.py` does it with Apple's own web services. Rooms import this module and `profile.py` only: no
room knows which service is behind it, and every word that a service has of its own comes from
`BackendTexts`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import msgspec
from pydantic import SecretStr

from bot.backend.profile import Platform, ProfileBody, ProfileSettings, ReadProfile, SetupScreen
from bot.kit.errors import EnrollbotError


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA private key and its self-signed certificate, both PEM."""

    private_key_pem: SecretStr
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class TokenContents:
    """What a server token file holds.

    `credentials` is opaque to the rooms: they store it encrypted and hand it back to `connect`.
    `consumer_key` names the MDM server entry and stays the same over renewals.
    `key_pair` is the position, in the key pairs given, of the one that opened the file.
    """

    credentials: SecretStr
    consumer_key: str
    expires_at: datetime
    key_pair: int


@dataclass(frozen=True, slots=True)
class Account:
    """What the service says about a token's MDM server and organisation, as of `asked_at`.

    `made_by` is the Apple ID that generated the token now in use. The page sizes are what the
    service allows a call, already capped at 1,000.
    """

    server_uuid: str
    server_name: str
    org_name: str
    org_id: str | None
    org_type: str | None
    made_by: str | None
    full_page_size: int
    delta_page_size: int
    order_size: int
    asked_at: datetime


class Operation(StrEnum):
    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class DeviceFacts(msgspec.Struct, frozen=True, gc=False):
    """One device as the service reports it. Times are aware UTC.

    `profile_status` and `os`, `family`, `operation` keep words that are not known here. `operation`
    and `operation_at` come with deltas only. `extra` holds the keys that this version does not know,
    None when there are none.
    """

    platform: Platform
    serial: str
    model: str
    description: str | None = None
    color: str | None = None
    asset_tag: str | None = None
    os: str | None = None
    family: str | None = None
    profile_uuid: str | None = None
    profile_status: str = "empty"
    profile_assigned_at: datetime | None = None
    profile_pushed_at: datetime | None = None
    assigned_by: str | None = None
    assigned_at: datetime | None = None
    operation: str | None = None
    operation_at: datetime | None = None
    migration_deadline: datetime | None = None
    wifi_mac: str | None = None
    bluetooth_mac: str | None = None
    ethernet_mac: str | None = None
    eid: str | None = None
    imei: tuple[str, ...] = ()
    meid: tuple[str, ...] = ()
    is_replacement: bool = False
    released_by_replacement: bool = False
    extra: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UnreadableDevice:
    """A device of a page that could not be read. `serial` is None when not even that could be."""

    serial: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page of devices, in the service's order, and the cursor to store with them."""

    devices: Sequence[DeviceFacts]
    unreadable: Sequence[UnreadableDevice]
    cursor: str
    more_to_follow: bool


class DeviceResult(StrEnum):
    SUCCESS = "SUCCESS"
    NOT_ACCESSIBLE = "NOT_ACCESSIBLE"
    FAILED = "FAILED"
    THROTTLED = "THROTTLED"


@dataclass(frozen=True, slots=True)
class AssignmentResult:
    """The result per serial; one that the service left out counts as `FAILED`.

    `retry_after` is how long throttled devices must be left alone, None when none was throttled.
    """

    results: Mapping[str, DeviceResult]
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class DefinedProfile:
    profile_uuid: str
    results: Mapping[str, DeviceResult]


@dataclass(frozen=True, slots=True)
class Session:
    """A session token of the service. `version` grows with every replacement."""

    value: SecretStr
    version: int


class Sessions(Protocol):
    """Where the session of one token is kept, shared by all replicas."""

    async def current(self) -> Session | None:
        """Return the stored session, or None before the first login."""
        ...

    async def renew(self, used: Session | None, login: Callable[[], Awaitable[SecretStr]]) -> Session:
        """Replace `used` by a new session.

        Calls `login` only if the stored session is still the one used; whoever comes second waits
        and receives what the first one got. Errors of `login` pass through.
        """
        ...

    async def rotate(self, used: Session, value: SecretStr) -> Session:
        """Store a session that the service sent along with an answer to `used`.

        Returns what is stored afterwards: an older answer never replaces a newer session.
        """
        ...


class Connection(Protocol):
    """The service, as seen with one token. Every method raises the errors below."""

    async def account(self) -> Account: ...

    async def full_page(self, cursor: str | None, *, limit: int) -> DevicePage:
        """Return a page of all devices, from the start when `cursor` is None."""
        ...

    async def delta_page(self, cursor: str, *, limit: int) -> DevicePage:
        """Return a page of what changed since `cursor`."""
        ...

    async def details(self, serials: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        """Return what the service knows of these serials, at most 1,000.

        None for those not on this server; one whose answer could not be read is left out.
        """
        ...

    async def define_profile(self, profile: ProfileBody) -> DefinedProfile:
        """Define a profile; it has a new UUID each time. Raises `ProfileRefused` too."""
        ...

    async def read_profile(self, profile_uuid: str) -> ProfileBody | None:
        """Return a profile, or None if this server has none of that UUID."""
        ...

    async def assign(self, profile_uuid: str, serials: Sequence[str]) -> AssignmentResult:
        """Give devices, at most 1,000, a profile."""
        ...

    async def unassign(self, serials: Sequence[str]) -> AssignmentResult:
        """Take the profile from devices, at most 1,000."""
        ...


class EnrollmentBackend(Protocol):
    """An enrollment service."""

    @property
    def texts(self) -> "BackendTexts": ...

    @property
    def screens(self) -> Sequence[SetupScreen]:
        """Every screen of Setup Assistant that can be hidden, the usual ones first."""
        ...

    def profile_body(self, settings: ProfileSettings, *, mdm_url: str, org_magic: str) -> ProfileBody:
        """Put a profile into the service's own keys; `mdm_url` and `org_magic` where it has none itself."""
        ...

    def read_profile_body(self, body: ProfileBody) -> ReadProfile:
        """Read a profile from the service's own keys. Raises `ProfileUnreadable`."""
        ...

    async def make_key_pair(self, name: str) -> KeyPair:
        """Make a key pair for the token `name`; takes a few hundred milliseconds, off the loop."""
        ...

    async def read_token_file(self, content: bytes, key_pairs: Sequence[KeyPair]) -> TokenContents:
        """Open a server token file with whichever of `key_pairs` it was made for.

        Raises a `TokenFileUnusable`: not a token file, a certificate, made for another certificate,
        damaged, incomplete, expired, too large; or the key pair itself is no good.
        """
        ...

    def fits(self, content: bytes, certificate_pem: str) -> bool:
        """Say whether a token file was made for this certificate; False for anything unreadable."""
        ...

    def connect(self, credentials: SecretStr, sessions: Sessions) -> Connection: ...


@dataclass(frozen=True, slots=True)
class BackendTexts:
    """The service's own words. Steps are numbered where they are shown.

    `service`, `portal` and `configurator` (which prepares devices by cable) are plain names, `agreement` is
    the label of a box to tick; the others are mrkdwn, in which `{name}` stands for the token's name,
    `{server}` for its MDM server, `{org}` for its organisation, `{apple_id}` for who should sign in.
    `content_token_step` says where a content token is downloaded, and has none of these.
    """

    service: str
    portal: str
    agreement: str
    add_steps: tuple[str, ...]
    renew_steps: tuple[str, ...]
    renew_new_key_steps: tuple[str, ...]
    assign_devices_steps: tuple[str, ...]
    renew_warning: str
    terms_step: str
    configurator: str
    content_token_step: str = "Download the content token of the location."


class BackendError(EnrollbotError):
    """The service refused or could not be reached."""


class TokenRejected(BackendError):
    """The service no longer accepts the token. `word` is what it said, `at` its own clock."""

    def __init__(
        self, message: str, *, word: str = "", at: datetime | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.word = word
        self.at = at


class ClockWrong(BackendError):
    """The service refused and its clock differs from ours by more than it tolerates."""


class TermsNotSigned(BackendError):
    """The organisation has new terms to accept. The token itself is good."""


class AccessDenied(BackendError):
    """The token may not do this."""


class CursorUnusable(BackendError):
    """The cursor is expired, invalid or required: only a full sync from the start helps.

    `reason` is `expired`, `invalid` or `required`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CursorExhausted(BackendError):
    """The full list was already read to its end with this cursor; go on with deltas from it."""


class ServiceUnavailable(BackendError):
    """The service could not be reached, was busy, or answered with something unreadable.

    Raised after the retries; `retry_after` is what the service asked for, if it did.
    """

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class RequestRefused(BackendError):
    """The service refused the request as wrong. `word` is what it said."""

    def __init__(self, message: str, *, word: str = "") -> None:
        super().__init__(message)
        self.word = word


class ProfileRefused(RequestRefused):
    """The service refused a profile for one setting of it, by its name in `ProfileSettings`."""

    def __init__(self, message: str, *, word: str, setting: str) -> None:
        super().__init__(message, word=word)
        self.setting = setting


class TokenFileUnusable(EnrollbotError):
    """A file that cannot be used as server token; subclasses say why."""


class NotATokenFile(TokenFileUnusable):
    pass


class CertificateInsteadOfToken(TokenFileUnusable):
    pass


class TokenFileForAnotherCertificate(TokenFileUnusable):
    pass


class TokenFileDamaged(TokenFileUnusable):
    pass


class TokenFileIncomplete(TokenFileUnusable):
    pass


class TokenFileExpired(TokenFileUnusable):
    pass


class TokenFileTooLarge(TokenFileUnusable):
    pass


class KeyPairUnusable(TokenFileUnusable):
    """The private key or the certificate cannot be read, or they do not belong together."""
