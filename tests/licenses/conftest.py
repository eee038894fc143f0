"""The room over a fake service of licences, on both databases."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bot.audit.models import AuditEntry
from bot.audit.service import AuditService
from bot.kit.actor import Actor, Grant, Rights, Role
from bot.kit.db import Database
from bot.kit.leases import Leases
from bot.kit.secrets import Keyring
from bot.licenses.facts import AppLicences, ContentTokenView
from bot.licenses.service import LicenseService
from bot.settings import Settings
from tests.fakes.backend import TEXTS
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeContentBackend, FakeLocation

ANA = Actor("UANA", rights=Rights.of(Role.ADMIN))
OLE = Actor("UOLE", rights=Rights.of(Role.OPERATOR))
VIC = Actor("UVIC", rights=Rights.of(Role.VIEWER))
SCHOOLS_ADMIN = Actor("USCH", rights=Rights((Grant(Role.ADMIN, frozenset({"schools"})),)))
PUBLIC_URL = "https://bot.example.com"


@dataclass(frozen=True, slots=True)
class Room:
    """The room under test and everything around it that a test may look at."""

    licenses: LicenseService
    service: FakeContentBackend
    clock: FakeClock
    db: Database
    audit: AuditService

    async def has(
        self, name: str = "hq", *, days: float = 365, tags: tuple[str, ...] = ()
    ) -> tuple[ContentTokenView, FakeLocation]:
        """Have a content token of a location of its own."""
        location = self.service.location(f"Example {name.upper()}")
        content = location.download(days=days)
        stored = await self.licenses.installing.add(name, content, actor=ANA, way="test", tags=tags)
        return stored.content_token, location

    async def look(self, content_token: ContentTokenView) -> ContentTokenView:
        return await self.licenses.get_by_id(content_token.id, actor=ANA)

    async def apps(self, content_token: ContentTokenView) -> dict[str, AppLicences]:
        found = await self.licenses.licences(actor=ANA)
        return {app.app_id: app for app in found[content_token.id]}

    async def count_due(self) -> list[str]:
        """Do what the job does; which content tokens were due."""
        due = list(await self.licenses.due())
        for each in due:
            await self.licenses.count(each)
        return due

    async def waits(self, length: timedelta) -> list[str]:
        self.clock.move(length)
        return await self.count_due()

    async def audited(self) -> list[AuditEntry]:
        """Return the audit, oldest first, proven to be whole."""
        await self.audit.verify()
        return list(reversed(await self.audit.newest(limit=100)))


def make_room(
    db: Database,
    clock: FakeClock,
    keyring: Keyring,
    *,
    service: FakeContentBackend | None = None,
    **settings: Any,
) -> Room:
    backend = service or FakeContentBackend(clock)
    audit = AuditService(db, keyring, clock)
    licenses = LicenseService(
        db=db,
        clock=clock,
        keyring=keyring,
        audit=audit,
        backend=backend,
        leases=Leases(db, clock),
        texts=TEXTS,
        settings=Settings(**({"channel": "COPS", "public_url": PUBLIC_URL} | settings)),
    )
    return Room(licenses, backend, clock, db, audit)


@pytest.fixture
def room(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite, for what does not depend on the database."""
    return make_room(sqlite_database, clock, keyring)


@pytest.fixture
def room_on_both(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite and on PostgreSQL in turn, for unique keys, races and what is stored."""
    return make_room(database, clock, keyring)
