"""What the rooms need from Apps and Books: content tokens and how many licences there are. Neutral values.

Reading only: nothing here takes a location over or gives anybody a licence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from pydantic import SecretStr

from bot.backend.port import BackendError
from bot.kit.errors import EnrollbotError


@dataclass(frozen=True, slots=True)
class ContentTokenContents:
    """What a content token's file holds. `secret` is what is sent to the service, opaque to the rooms."""

    secret: SecretStr
    expires_at: datetime
    org_name: str | None


@dataclass(frozen=True, slots=True)
class ContentAccount:
    """What the service says about a content token's location.

    `location_id` stays the same over renewals. `manager` is the name of the MDM that has taken the
    location, None where none has. `is_education` and `country` (ISO 3166, two letters) say in which
    store its apps are looked up.
    """

    location_id: str
    location_name: str
    expires_at: datetime | None
    country: str | None
    is_education: bool
    manager: str | None


class LicenceCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many licences of one app or book a location has, as the service counts them.

    An item is told by `app_id` and `pricing` together. `total` and `available` are None where the
    licences have no limit.
    """

    app_id: str
    pricing: str
    is_book: bool = False
    total: int | None = None
    assigned: int = 0
    available: int | None = None
    retired: int = 0
    device_assignable: bool = False
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppFacts:
    """What an app is called in the store."""

    name: str
    bundle_id: str | None = None


class ContentBackend(Protocol):
    """A service that counts licences. Every call that asks it raises the errors below."""

    #: The app that a device may have to sign in with, by its id in the store.
    company_portal_id: str

    def read_content_token(self, content: bytes) -> ContentTokenContents:
        """Read a content token's file. Raises `ContentTokenUnusable`."""
        ...

    async def content_account(self, secret: SecretStr) -> ContentAccount: ...

    async def licence_counts(self, secret: SecretStr) -> Sequence[LicenceCount]:
        """Return the counts of every app and book of the location, of one state of the service."""
        ...

    async def app_facts(
        self, secret: SecretStr, account: ContentAccount, app_ids: Sequence[str]
    ) -> Mapping[str, AppFacts]:
        """Return what apps are called; those that the store does not tell, or not now, are left out."""
        ...


class ContentTokenUnusable(EnrollbotError):
    """A file that cannot be used as content token; the text says why and what to do."""


class ContentTokenExpired(BackendError):
    """The service no longer accepts the content token since its time is over."""


class ContentTokenRevoked(BackendError):
    """The service no longer accepts the content token, though its time is not over."""


class ContentUnavailable(BackendError):
    """The service could not be reached, was busy, or answered with something unreadable, after retries."""

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class ContentRefused(BackendError):
    """The service refused a request as wrong or not allowed.

    `number` is its own number of the error, None where it gave none.
    """

    def __init__(self, message: str, *, number: int | None) -> None:
        super().__init__(message)
        self.number = number
