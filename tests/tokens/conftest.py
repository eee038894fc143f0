"""A token service over the fake enrollment service, on both databases."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.audit.models import AuditEntry
from bot.audit.service import AuditService
from bot.backend.port import BackendTexts, KeyPair
from bot.kit.actor import Actor, Grant, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.settings import Settings
from bot.tokens import store
from bot.tokens.facts import TokenView, Uploaded, WaitingSync
from bot.tokens.service import TokenService
from tests.fakes.backend import TEXTS, FakeBackend, FakeServer
from tests.fakes.clock import FakeClock

ANA = Actor("UANA", rights=Rights.of(Role.ADMIN))
OLE = Actor("UOLE", rights=Rights.of(Role.OPERATOR))
VIC = Actor("UVIC", rights=Rights.of(Role.VIEWER))
NIL = Actor("UNIL")
SCHOOLS_ADMIN = Actor("USCH", rights=Rights((Grant(Role.ADMIN, frozenset({"schools"})),)))


@dataclass(frozen=True, slots=True)
class Room:
    """The room under test and everything around it that a test may look at."""

    tokens: TokenService
    backend: FakeBackend
    clock: FakeClock
    db: Database
    keyring: Keyring
    audit: AuditService

    async def add(self, name: str = "paris", *, tags: tuple[str, ...] = ()) -> TokenView:
        added = await self.tokens.add(name, actor=ANA, apple_id="ade@example.com", agreed=True, tags=tags)
        return added.token

    async def certificate(self, token: TokenView) -> str:
        return (await self.tokens.certificate(token.id, actor=ANA)).content.decode()

    async def file_for(
        self, token: TokenView, server: FakeServer, *, days: int = 365, made_by: str | None = None
    ) -> bytes:
        """Generate a token on a server, made for the certificate that the token gives out."""
        return server.generate_token(
            await self.certificate(token), valid_for=timedelta(days=days), made_by=made_by
        )

    async def installed(
        self, name: str = "paris", *, days: int = 365, tags: tuple[str, ...] = ()
    ) -> tuple[TokenView, FakeServer]:
        """Add a token, make its server in the portal, and upload the file."""
        token = await self.add(name, tags=tags)
        server = self.backend.server(name)
        return (await self.upload(token, await self.file_for(token, server, days=days))).token, server

    async def upload(self, token: TokenView, content: bytes) -> Uploaded:
        return await self.tokens.upload(token.id, content, actor=ANA)

    async def remove(self, token: TokenView) -> None:
        """Remove a token as an approved request does."""
        async with self.db.begin() as session:
            await self.tokens.remove_in(session, token.id, actor=ANA)
        self.tokens.look_for_wishes()

    async def look(self, token: TokenView) -> TokenView:
        return await self.tokens.get_by_id(token.id, actor=ANA)

    async def key_pairs(self, token: TokenView) -> list[KeyPair]:
        """Open the key pairs as stored, those that still have a private key."""
        async with self.db.read() as session:
            rows = await store.key_pairs(session, token.id)
        return [
            KeyPair(
                self.keyring.decrypt(
                    row.private_key, table="token_key_pair", column="private_key", row=row.id
                ),
                row.certificate_pem,
            )
            for row in rows
            if row.private_key is not None
        ]

    async def wishes(self) -> list[WaitingSync]:
        async with self.db.begin() as session:
            return await self.tokens.take_sync_wishes(session)

    async def audited(self) -> list[AuditEntry]:
        """Return the audit, oldest first, proven to be whole."""
        await self.audit.verify()
        return list(reversed(await self.audit.newest(limit=100)))


def make_room(db: Database, clock: FakeClock, keyring: Keyring, *, texts: BackendTexts = TEXTS) -> Room:
    backend = FakeBackend(clock, texts)
    audit = AuditService(db, keyring, clock)
    tokens = TokenService(
        db=db, clock=clock, keyring=keyring, audit=audit, backend=backend, settings=Settings(channel="COPS")
    )
    return Room(tokens, backend, clock, db, keyring, audit)


@pytest.fixture
def room(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite, for what does not depend on the database."""
    return make_room(sqlite_database, clock, keyring)


@pytest.fixture
def room_on_both(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    """The room on SQLite and on PostgreSQL in turn, for unique keys, races and what is stored."""
    return make_room(database, clock, keyring)
