"""Apps and Books in Apple Business Manager: locations, their licences and their content tokens."""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.sandbox.apple.apps import Stock, company_portal, invent_stock
from bot.sandbox.apple.refusals import NotInBusinessManager, NotPossible
from bot.sandbox.apple.state import Store

YEAR = timedelta(days=365)


@dataclass(slots=True)
class ContentToken:
    """One downloaded token of a location. `text` is the whole file, which opens nothing but this stand-in."""

    text: str = field(repr=False)
    made_at: datetime
    expires_at: datetime
    is_revoked: bool = False


@dataclass(slots=True)
class Location:
    """A location, as Apps and Books calls an organisational unit that licences are bought for.

    `mdm` is the name of the MDM that has taken it. `version` changes with the list of its apps.
    """

    uid: str
    name: str
    org_id: str
    country: str = "FR"
    platform: str = "enterprisestore"
    mdm: str | None = None
    stock: list[Stock] = field(default_factory=list)
    version: int = 1
    tokens: list[ContentToken] = field(default_factory=list)

    @property
    def version_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.uid}:{self.version}"))

    @property
    def token(self) -> ContentToken | None:
        """The one downloaded last."""
        return self.tokens[-1] if self.tokens else None

    def item(self, adam_id: str) -> Stock:
        for stock in self.stock:
            if stock.adam_id == adam_id:
                return stock
        raise NotInBusinessManager(f"The location {self.name} has no app {adam_id}.")


class Locations:
    """What people do with Apps and Books. A location is named by its name or its uid.

    An older content token goes on working beside a newer one: what Apple does is not documented.
    """

    def __init__(
        self, store: Store, *, seed: int, now: Callable[[], datetime], org_name: Callable[[str], str]
    ) -> None:
        self._store = store
        self._seed = seed
        self._now = now
        self._org_name = org_name
        self.all = {location.uid: location for location in store.load("location", Location)}

    def create(
        self, name: str, *, org_id: str, apps: int = 0, portal: tuple[int, int] | None = None
    ) -> Location:
        """Add a location with so many invented apps; `portal` is how many Company Portals it has and uses."""
        if any(location.name.lower() == name.lower() for location in self.all.values()):
            raise NotPossible(f"There is a location {name} already.")
        number = len(self.all) + 1
        digest = hashlib.sha256(f"location:{self._seed}:{number}".encode()).digest()
        location = Location(str(int.from_bytes(digest[:7])), name, org_id)
        if portal is not None:
            location.stock.append(company_portal(total=portal[0], assigned=portal[1]))
        location.stock += invent_stock(apps, seed=f"{self._seed}:{number}")
        self._keep(location)
        return location

    def find(self, location: Location | str) -> Location:
        if isinstance(location, Location):
            return location
        for candidate in self.all.values():
            if location in (candidate.uid, candidate.name):
                return candidate
        raise NotInBusinessManager(f"There is no location {location} here.")

    def generate_token(self, location: Location | str, *, valid_for: timedelta = YEAR) -> tuple[str, bytes]:
        """Make a content token; return the file's name and bytes."""
        entry = self.find(location)
        now = self._now().replace(microsecond=0)
        secret = hashlib.sha512(f"{self._seed}:{entry.uid}:{len(entry.tokens)}:{now}".encode()).digest()
        inside = {
            "token": base64.b64encode(secret).decode(),
            "expDate": offset_time(now + valid_for),
            "orgName": self._org_name(entry.org_id),
        }
        text = base64.b64encode(json.dumps(inside, separators=(",", ":")).encode()).decode()
        entry.tokens.append(ContentToken(text, now, now + valid_for))
        self._keep(entry)
        return f"sToken_for_{re.sub('[^A-Za-z0-9._-]', '_', entry.name)}.vpptoken", text.encode() + b"\n"

    def revoke(self, location: Location | str, *, revoked: bool = True) -> None:
        """Make every present token refused, as a changed password does, or take that back."""
        entry = self.find(location)
        for token in entry.tokens:
            token.is_revoked = revoked
        self._keep(entry)

    def expire(self, location: Location | str, *, at: datetime | None = None) -> None:
        """Let every present token end at `at`, or at this moment."""
        entry = self.find(location)
        for token in entry.tokens:
            token.expires_at = min(token.expires_at, at or self._now())
        self._keep(entry)

    def change(self, location: Location | str, adam_id: str, *, bought: int = 0, assigned: int = 0) -> Stock:
        """Buy licences of an app, and assign some of them (below zero: free some)."""
        entry = self.find(location)
        stock = entry.item(adam_id)
        if not 0 <= stock.assigned + assigned <= stock.total + bought:
            raise NotPossible(f"{stock.name} has {stock.available:,} of {stock.total:,} licences left.")
        stock.total += bought
        stock.assigned += assigned
        self._changed(entry)
        return stock

    def take(self, location: Location | str, mdm: str | None) -> None:
        """Let an MDM of this name manage the location, or (None) nobody."""
        entry = self.find(location)
        entry.mdm = mdm
        self._keep(entry)

    def _changed(self, location: Location) -> None:
        location.version += 1
        self._keep(location)

    def _keep(self, location: Location) -> None:
        self.all[location.uid] = location
        self._store.save("location", location.uid, location)


def offset_time(moment: datetime) -> str:
    """Write a moment as Apps and Books does: with a numeric zone without a colon."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
