"""A service of licences that keeps its state in memory and refuses on request."""

import base64
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import SecretStr

from bot.backend.content import (
    AppFacts,
    ContentAccount,
    ContentTokenContents,
    ContentTokenExpired,
    ContentTokenRevoked,
    ContentTokenUnusable,
    LicenceCount,
)

COMPANY_PORTAL = "719171358"


class Now(Protocol):
    def now(self) -> datetime: ...


def count(app_id: str, total: int | None, assigned: int = 0, **more: object) -> LicenceCount:
    """Make the counts of an app; `total` None has no limit."""
    available = None if total is None else total - assigned
    facts = {"pricing": "STDQ", "platforms": ("iOS",), "device_assignable": True} | more
    return LicenceCount(app_id=app_id, total=total, assigned=assigned, available=available, **facts)  # type: ignore[arg-type]


@dataclass(eq=False)
class FakeLocation:
    """One location: its apps, and the content tokens made for it, the newest last.

    `refusals` are errors that the next calls meet, one each; `always` is one that every call meets.
    `on_call` is awaited by every call before it is answered.
    """

    clock: Now
    id: str
    name: str
    counts: dict[tuple[str, str], LicenceCount] = field(default_factory=dict)
    manager: str | None = None
    country: str | None = "FR"
    tokens: dict[str, datetime] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    refusals: list[Exception] = field(default_factory=list)
    always: Exception | None = None
    calls: list[str] = field(default_factory=list)
    on_call: Callable[[str], Awaitable[None]] | None = None
    _made: itertools.count = field(default_factory=itertools.count)  # type: ignore[type-arg]

    def has(self, *counts: LicenceCount) -> None:
        """Set what the location has of these apps; the others stay."""
        self.counts |= {(each.app_id, each.pricing): each for each in counts}

    def assign(self, app_id: str, number: int) -> None:
        """Give so many licences of an app away."""
        before = self.counts[app_id, "STDQ"]
        assert before.available is not None
        self.counts[app_id, "STDQ"] = replace_counts(before, before.assigned + number)

    def download(self, *, days: float = 365) -> bytes:
        """Make a content token, as the portal gives it: the earlier ones stay good."""
        expires_at = (self.clock.now() + timedelta(days=days)).replace(microsecond=0)
        told = {
            "token": f"sToken_planted_{self.id}_{next(self._made)}_{'x' * 40}",
            "expDate": expires_at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "orgName": "Example Trust",
        }
        content = base64.b64encode(json.dumps(told).encode())
        self.tokens[content.decode()] = expires_at
        return content

    def revoke_all(self) -> None:
        """Change the password of the account that made them."""
        self.revoked |= set(self.tokens)


def replace_counts(before: LicenceCount, assigned: int) -> LicenceCount:
    total = before.total
    return count(
        before.app_id,
        total,
        assigned,
        pricing=before.pricing,
        is_book=before.is_book,
        retired=before.retired,
        device_assignable=before.device_assignable,
        platforms=before.platforms,
    )


class FakeContentBackend:
    """The service: its locations by id, and what its store calls apps."""

    company_portal_id = COMPANY_PORTAL

    def __init__(self, clock: Now) -> None:
        self._clock = clock
        self.locations: dict[str, FakeLocation] = {}
        self.store: dict[str, AppFacts] = {
            COMPANY_PORTAL: AppFacts("Company Portal", "com.example.portal"),
            "361309726": AppFacts("Pages", "com.example.pages"),
        }
        self.names_asked: list[tuple[str, ...]] = []
        self.store_is_down = False

    def location(self, name: str = "Example HQ") -> FakeLocation:
        """Open a location with Company Portal, Pages and a book."""
        made = FakeLocation(self._clock, f"20490250004{len(self.locations):05}", name)
        made.has(
            count(COMPANY_PORTAL, 500, 100),
            count("361309726", None, 12),
            count("1439419580", 30, 5, pricing="PLUS", is_book=True, device_assignable=False),
        )
        self.locations[made.id] = made
        return made

    def read_content_token(self, content: bytes) -> ContentTokenContents:
        try:
            told = json.loads(base64.b64decode(content, validate=True))
            expires_at = datetime.strptime(told["expDate"], "%Y-%m-%dT%H:%M:%S%z")
        except (ValueError, KeyError, TypeError):
            raise ContentTokenUnusable(
                "This file is no content token.", next_step="Choose the file ending in .vpptoken."
            ) from None
        return ContentTokenContents(SecretStr(content.decode()), expires_at, told.get("orgName"))

    async def content_account(self, secret: SecretStr) -> ContentAccount:
        location, expires_at = await self._open(secret, "account")
        return ContentAccount(
            location_id=location.id,
            location_name=location.name,
            expires_at=expires_at,
            country=location.country,
            is_education=False,
            manager=location.manager,
        )

    async def licence_counts(self, secret: SecretStr) -> Sequence[LicenceCount]:
        location, _ = await self._open(secret, "counts")
        return list(location.counts.values())

    async def app_facts(
        self, secret: SecretStr, account: ContentAccount, app_ids: Sequence[str]
    ) -> Mapping[str, AppFacts]:
        self.names_asked.append(tuple(app_ids))
        if self.store_is_down:
            return {}
        return {app_id: self.store[app_id] for app_id in app_ids if app_id in self.store}

    async def _open(self, secret: SecretStr, call: str) -> tuple[FakeLocation, datetime]:
        value = secret.get_secret_value()
        for location in self.locations.values():
            if value in location.tokens:
                if location.on_call is not None:
                    await location.on_call(call)
                return self._answer(location, value, call)
        raise ContentTokenRevoked("The service no longer accepts the content token.")

    def _answer(self, location: FakeLocation, value: str, call: str) -> tuple[FakeLocation, datetime]:
        location.calls.append(call)
        if location.refusals:
            raise location.refusals.pop(0)
        if location.always is not None:
            raise location.always
        if value in location.revoked:
            raise ContentTokenRevoked("The service no longer accepts the content token.")
        if location.tokens[value] <= self._clock.now():
            raise ContentTokenExpired("The content token has expired.")
        return location, location.tokens[value]


__all__ = ["COMPANY_PORTAL", "FakeContentBackend", "FakeLocation", "count"]
