"""What this room's service answers with: plain values, nothing secret, ready to be shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import SecretStr


class ContentTokenState(StrEnum):
    """Where a content token stands. `UNKNOWN`: nobody could ask the service for days."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "not confirmed"

    @property
    def is_active(self) -> bool:
        """Whether the service gives licences by it, as far as is known."""
        return self in (ContentTokenState.ACTIVE, ContentTokenState.EXPIRING)

    @property
    def is_ended(self) -> bool:
        return self in (ContentTokenState.EXPIRED, ContentTokenState.REVOKED)


class Watch(StrEnum):
    """Why it is told when an app is low. `MANY` are told of together, one content token at a time."""

    PROFILE = "a profile installs it"
    APP = "it has a threshold of its own"
    MANY = "all apps have a threshold"
    NOBODY = "nobody asked for it"


class Level(StrEnum):
    """How scarce the licences of an app are."""

    FINE = "fine"
    LOW = "low"
    NONE = "none left"


@dataclass(frozen=True, slots=True)
class ContentTokenView:
    """Everything about a content token that may be shown.

    `days_left` is the ceiling of the hours left over 24, 0 or less once expired. `ended_since` is since
    when it is expired or revoked, None while it is neither. `apps` and `books` are how many items the
    location has. `warn_days` are those of the settings. `error` is what the last try to read the counts
    met, None when it went well.
    """

    id: str
    name: str
    state: ContentTokenState
    days_left: int
    expires_at: datetime
    ended_since: datetime | None
    tags: frozenset[str]
    location_id: str
    location_name: str
    org_name: str | None
    country: str | None
    is_education: bool
    manager: str | None
    threshold: int | None
    added_by: str
    added_at: datetime
    installed_by: str
    installed_at: datetime
    counted_at: datetime | None
    asked_at: datetime | None
    failures: int
    error: str | None
    apps: int
    books: int
    warn_days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AppLicences:
    """The licences of one app or book of a content token, as last read.

    `name` is None where the store has not told it. `total` and `available` are None where there is no
    limit. `threshold` is what an admin set, for it (`has_own_threshold`) or for the content token. `mark`
    is the number below which it counts as low, None without a limit. `is_listed` is False once the
    location has it no more.
    """

    content_token_id: str
    app_id: str
    pricing: str
    name: str | None
    bundle_id: str | None
    is_book: bool
    total: int | None
    assigned: int
    available: int | None
    retired: int
    device_assignable: bool
    platforms: tuple[str, ...]
    threshold: int | None
    mark: int | None
    level: Level
    is_listed: bool = True
    changed_at: datetime | None = None
    has_own_threshold: bool = False

    @property
    def is_unlimited(self) -> bool:
        return self.total is None

    @property
    def title(self) -> str:
        """What to call it: its name, or its number in the store."""
        return self.name or f"{'book' if self.is_book else 'app'} {self.app_id}"


@dataclass(frozen=True, slots=True)
class JudgedLicences:
    """An app with too few licences left, or that is looked at all the same: a profile installs it."""

    content_token: ContentTokenView
    app: AppLicences
    watch: Watch

    @property
    def is_low(self) -> bool:
        return self.app.level is not Level.FINE

    @property
    def is_watched(self) -> bool:
        return self.watch is not Watch.NOBODY


@dataclass(frozen=True, slots=True)
class Availability:
    """How many licences were available at even steps of time, the newest last; None before the first."""

    since: datetime
    until: datetime
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ContentTokenCard:
    """A content token with its licences, the scarcest first and books last, and how they went."""

    content_token: ContentTokenView
    licences: Sequence[AppLicences]
    availability: dict[tuple[str, str], Availability] = field(default_factory=dict)
    uses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ContentTokenRow:
    """A content token in a list: how many of its apps and books are low, and of how many none are left."""

    content_token: ContentTokenView
    low: int
    none_left: int


@dataclass(frozen=True, slots=True)
class StoredContentToken:
    """A content token that is stored now. `former_expiry` is None for a new one.

    `low` are the scarce ones among `licences`. `alerts_closed` counts the alerts that it mended.
    """

    content_token: ContentTokenView
    licences: Sequence[AppLicences]
    former_expiry: datetime | None = None
    alerts_closed: int = 0

    @property
    def low(self) -> list[AppLicences]:
        return [each for each in self.licences if each.level is not Level.FINE]


@dataclass(frozen=True, slots=True)
class ThresholdSet:
    """A threshold that was set or, with `after` None, cleared; `app` is None for the content token's."""

    content_token: ContentTokenView
    app: AppLicences | None
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that was just made. `secret` stands in its path and is kept nowhere."""

    secret: SecretStr
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What a link is for: a new content token of this name, or the one of this id that is renewed."""

    name: str
    content_token_id: str | None
    tags: tuple[str, ...]
    made_by: str
    expires_at: datetime
