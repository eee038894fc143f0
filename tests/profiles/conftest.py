"""The profiles room over the fake enrollment service, and what people do in it."""

from dataclasses import dataclass
from typing import Any

import pytest

from bot.audit.models import AuditEntry
from bot.backend.profile import ProfileSettings
from bot.kit.actor import Actor, Grant, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.profiles.drafts import Drafts
from bot.profiles.facts import Defined, DraftView, ProfileView
from bot.profiles.service import ProfileService
from bot.settings import Settings
from tests.fakes.backend import FakeServer
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, Rooms

BEN = Actor("UBEN", rights=Rights.of(Role.ADMIN))
SCHOOLS_ADMIN = Actor("USCH", rights=Rights((Grant(Role.ADMIN, frozenset({"schools"})),)))
URL = "https://mdm.example.com/enroll"


@dataclass
class Room:
    """The room under test, with a token paris; every profile is defined as an admin does it."""

    rooms: Rooms
    server: FakeServer
    token_id: str

    @property
    def profiles(self) -> ProfileService:
        return self.rooms.profiles

    @property
    def drafts(self) -> Drafts:
        return self.rooms.profiles.drafts

    @property
    def clock(self) -> FakeClock:
        return self.rooms.clock

    async def draft(
        self, name: str = "Sales iPad", *, actor: Actor = ADMIN, token_id: str | None = None, **settings: Any
    ) -> DraftView:
        given = ProfileSettings(**{"name": name, "mdm_url": URL, **settings})
        return await self.drafts.open_new(actor, token_id=token_id or self.token_id, settings=given)

    async def send(self, draft: DraftView, *, actor: Actor = ADMIN) -> Defined:
        await self.drafts.begin_sending(draft.id, actor)
        return await self.profiles.define(draft.id, actor=actor)

    async def define(self, name: str = "Sales iPad", *, actor: Actor = ADMIN, **given: Any) -> ProfileView:
        return (await self.send(await self.draft(name, actor=actor, **given), actor=actor)).profile

    async def edit(self, profile: ProfileView, *, actor: Actor = ADMIN, **values: Any) -> Defined:
        draft = await self.drafts.open_edit(profile.id, actor)
        return await self.send(await self.drafts.save(draft.id, actor, values), actor=actor)

    async def names(self, actor: Actor = ADMIN) -> list[str]:
        return [each.full_name for each in await self.profiles.list_profiles(actor=actor)]

    async def audited(self) -> list[AuditEntry]:
        """Return what the audit says of profiles, oldest first, proven to be whole."""
        await self.rooms.audit.verify()
        entries = reversed(await self.rooms.audit.newest(limit=100))
        return [entry for entry in entries if entry.subject_kind == "profile"]


async def make_room(
    db: Database, clock: FakeClock, keyring: Keyring, *, settings: Settings | None = None
) -> Room:
    rooms = Rooms.open(db, clock, keyring, settings=settings)
    server, token = await rooms.add_token("paris", tags=("schools",))
    return Room(rooms, server, token.id)


@pytest.fixture
async def room(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite, for what does not depend on the database."""
    return await make_room(sqlite_database, clock, keyring)


@pytest.fixture
async def room_on_both(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite and on PostgreSQL in turn, for unique keys, races and what is stored."""
    return await make_room(database, clock, keyring)
