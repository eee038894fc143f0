"""The rooms up to assignments, wired as the bot wires them, around an in-memory enrollment service."""

from dataclasses import dataclass

from bot.access.service import AccessService
from bot.alerts.facts import AlertView
from bot.assignments.books import Books as RequestBooks
from bot.assignments.service import AssignmentService
from bot.audit.service import AuditService
from bot.deadlines.service import DeadlineService
from bot.devices.facts import SyncView
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Rights, Role
from bot.kit.db import Database
from bot.kit.leases import Leases
from bot.kit.secrets import Keyring
from bot.licenses.facts import AppLicences, ContentTokenView
from bot.licenses.service import LicenseService
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService
from tests.fakes.backend import FakeBackend, FakeServer
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeContentBackend, FakeLocation

ADMIN = Actor("UADMIN", rights=Rights.of(Role.ADMIN))
OPERATOR = Actor("UOPER", rights=Rights.of(Role.OPERATOR))
VIEWER = Actor("UVIEW", rights=Rights.of(Role.VIEWER))


class NoLicences:
    """A house without content tokens."""

    async def list_content_tokens(self, *, actor: Actor) -> list[ContentTokenView]:
        return []

    async def licences(self, *, actor: Actor) -> dict[str, list[AppLicences]]:
        return {}


class NoAlerts:
    """A house in which nothing is wrong."""

    async def open_alerts(self, *, actor: Actor) -> list[AlertView]:
        return []


@dataclass
class Rooms:
    """Services of one replica."""

    db: Database
    clock: FakeClock
    backend: FakeBackend
    audit: AuditService
    tokens: TokenService
    devices: DeviceService
    leases: Leases
    profiles: ProfileService
    assignments: AssignmentService
    licenses: LicenseService
    content: FakeContentBackend
    deadlines: DeadlineService
    access: AccessService

    @classmethod
    def open(
        cls,
        db: Database,
        clock: FakeClock,
        keyring: Keyring,
        *,
        backend: FakeBackend | None = None,
        settings: Settings | None = None,
        content: FakeContentBackend | None = None,
    ) -> "Rooms":
        service = backend or FakeBackend(clock)
        audit = AuditService(db, keyring, clock)
        used = settings or Settings()
        tokens = TokenService(
            db=db, clock=clock, keyring=keyring, audit=audit, backend=service, settings=used
        )
        leases = Leases(db, clock)
        content = content or FakeContentBackend(clock)
        licenses = LicenseService(
            db=db,
            clock=clock,
            keyring=keyring,
            audit=audit,
            backend=content,
            leases=leases,
            texts=service.texts,
            settings=used,
        )
        profiles = ProfileService(
            db=db,
            clock=clock,
            audit=audit,
            backend=service,
            tokens=tokens,
            licenses=licenses,
            settings=used,
        )
        licenses.tell_uses(profiles.content.uses)
        devices = DeviceService(
            db=db,
            clock=clock,
            leases=leases,
            audit=audit,
            tokens=tokens,
            settings=used,
            profiles=profiles,
        )
        access = AccessService(db=db, clock=clock, audit=audit, settings=used)
        books = RequestBooks(
            db=db,
            clock=clock,
            audit=audit,
            access=access,
            tokens=tokens,
            profiles=profiles,
            settings=used,
        )
        assignments = AssignmentService(books, devices=devices, leases=leases)
        deadlines = DeadlineService(db=db, clock=clock, audit=audit, settings=used, texts=service.texts)
        return cls(
            *(db, clock, service, audit, tokens, devices, leases, profiles, assignments, licenses, content),
            *(deadlines, access),
        )

    async def add_token(self, name: str, *, tags: tuple[str, ...] = ()) -> tuple[FakeServer, TokenView]:
        """Add a token and upload its server token; its first sync is wished, not run."""
        server = self.backend.server(name)
        added = await self.tokens.add(
            name, actor=ADMIN, apple_id="ade@example.com", agreed=True, tags=list(tags)
        )
        file = server.generate_token(added.certificate.content.decode())
        uploaded = await self.tokens.upload(added.token.id, file, actor=ADMIN)
        return server, uploaded.token

    async def add_content_token(
        self, name: str = "hq", *, days: float = 365, tags: tuple[str, ...] = ()
    ) -> tuple[FakeLocation, ContentTokenView]:
        """Add a content token of a location of its own, whose licences are counted."""
        location = self.content.location(f"Example {name.upper()}")
        stored = await self.licenses.installing.add(
            name, location.download(days=days), actor=ADMIN, way="test", tags=tags
        )
        return location, stored.content_token

    async def remove(self, token_id: str) -> None:
        """Remove a token as an approved request does."""
        async with self.db.begin() as session:
            await self.profiles.remove_all_in(session, token_id, actor=ADMIN)
            await self.tokens.remove_in(session, token_id, actor=ADMIN)
        self.tokens.look_for_wishes()

    async def run_all(self) -> list[SyncView]:
        """Do what the job does: take the wishes and run what is due."""
        await self.devices.take_wishes()
        done = [await self.devices.run_sync(sync_id) for sync_id in await self.devices.due_syncs()]
        return [view for view in done if view is not None]

    async def sync(self, name: str, *, full: bool = False) -> SyncView:
        """Sync a token by hand, whatever the limits say of the time."""
        started = await self.devices.start_sync(name, actor=ADMIN, full=full, exempt=True)
        view = await self.devices.run_sync(started.sync.id)
        assert view is not None
        return view
