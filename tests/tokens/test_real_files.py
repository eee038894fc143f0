"""The room with the real client and real token files, against the stand-in for Apple."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.audit.service import AuditService
from bot.backend.apple import AppleBackend
from bot.backend.port import CertificateInsteadOfToken
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.sandbox.apple import AppleStandIn, Server, serve
from bot.settings import Settings
from bot.tokens.errors import FileFitsAnotherToken, RenewalRefused, WrongServer
from bot.tokens.facts import TokenState, TokenView
from bot.tokens.service import TokenService
from tests.fakes.clock import FakeClock
from tests.tokens.conftest import ANA


@dataclass
class World:
    apple: AppleStandIn
    tokens: TokenService
    clock: FakeClock

    async def add(self, name: str) -> tuple[TokenView, Server]:
        added = await self.tokens.add(name, actor=ANA, apple_id="ade@example.com", agreed=True)
        server = self.apple.create_server(name)
        self.apple.upload_certificate(server, added.certificate.content.decode())
        return added.token, server

    def file(self, server: Server) -> bytes:
        """Download the server's token: generating it ends the former one."""
        return self.apple.generate_token(server, "ade@example.com")[1]

    async def upload(self, token: TokenView, content: bytes) -> TokenView:
        return (await self.tokens.upload(token.id, content, actor=ANA)).token


@pytest.fixture
async def world(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> AsyncIterator[World]:
    apple = AppleStandIn(clock)
    apple.create_organisation("Example Trust")
    async with serve(apple) as url, AppleBackend.open(url, clock=clock) as backend:
        audit = AuditService(sqlite_database, keyring, clock)
        tokens = TokenService(
            db=sqlite_database,
            clock=clock,
            keyring=keyring,
            audit=audit,
            backend=backend,
            settings=Settings(),
        )
        yield World(apple, tokens, clock)


async def test_a_file_in_apples_form_is_installed_and_renewed(world: World) -> None:
    token, server = await world.add("paris")
    active = await world.upload(token, world.file(server))
    assert (active.state, active.server_name, active.made_by) == (
        TokenState.ACTIVE,
        "paris",
        "ade@example.com",
    )
    world.clock.move(timedelta(days=350))
    opened = await world.tokens.open_renewal(token.id, actor=ANA)
    assert (opened.answer.accepted, opened.token.state) == (True, TokenState.EXPIRING)
    renewed = await world.upload(token, world.file(server))
    assert renewed.state is TokenState.ACTIVE
    assert renewed.days_left == 365
    account = await (await world.tokens.connection(token.id)).account()
    assert account.server_uuid == server.server_uuid


async def test_a_new_key_pair_is_taken_over_with_its_token(world: World) -> None:
    token, server = await world.add("paris")
    await world.upload(token, world.file(server))
    world.clock.move(timedelta(days=1))
    opened = await world.tokens.open_renewal(token.id, actor=ANA, new_key=True)
    assert opened.certificate is not None
    world.apple.upload_certificate(server, opened.certificate.content.decode())
    renewed = await world.upload(token, world.file(server))
    assert (renewed.certificate_fingerprint, renewed.staged_fingerprint) == (
        opened.certificate.fingerprint,
        None,
    )


async def test_wrong_files_are_told_apart(world: World) -> None:
    paris, paris_server = await world.add("paris")
    lyon, lyon_server = await world.add("lyon")
    await world.upload(paris, world.file(paris_server))
    certificate = (await world.tokens.certificate(paris.id, actor=ANA)).content
    with pytest.raises(CertificateInsteadOfToken):
        await world.upload(lyon, certificate)
    with pytest.raises(FileFitsAnotherToken) as fits:
        await world.upload(paris, world.file(lyon_server))
    assert fits.value.other.name == "lyon"
    assert fits.value.standing is not None
    assert fits.value.standing.accepted is True
    world.apple.upload_certificate(lyon_server, certificate.decode())
    with pytest.raises(RenewalRefused) as refused:
        await world.upload(paris, world.file(lyon_server))
    assert isinstance(refused.value.faults[0], WrongServer)
    assert refused.value.standing.accepted is True


async def test_a_token_ended_in_the_portal_is_rejected_after_two_refusals(world: World) -> None:
    token, server = await world.add("paris")
    await world.upload(token, world.file(server))
    world.file(server)
    for _ in range(2):
        world.clock.move(timedelta(hours=1))
        assert await world.tokens.ask_due() == 1
    assert (await world.tokens.get("paris", actor=ANA)).state is TokenState.REJECTED
