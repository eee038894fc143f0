import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bot.access import rules
from bot.access.api_tokens import ApiTokenService
from bot.access.errors import (
    ApiTokenNameTaken,
    ApiTokenNameWrong,
    ApiTokenRefused,
    ApiTokenUnknown,
    TagsNeeded,
    TagsNotOwn,
)
from bot.audit.service import AuditService
from bot.kit.actor import Actor, ActorKind, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.clock import FakeClock

ROOT = Actor.cli("root")
OLE = Actor("UOLE", rights=Rights.of(Role.APPROVER))
SCHOOLS = frozenset({"schools"})
SCHOOLS_ADMIN = Actor("USCH", rights=Rights((Grant(Role.ADMIN, SCHOOLS),)))


class Room:
    """The room under test."""

    def __init__(self, db: Database, clock: FakeClock, keyring: Keyring) -> None:
        self.db = db
        self.audit = AuditService(db, keyring, clock)
        self.tokens = ApiTokenService(db=db, clock=clock, audit=self.audit)

    async def add(self, name: str, *tags: str, actor: Actor = ROOT) -> SecretStr:
        added = await self.tokens.add(name, tags=frozenset(tags) if tags else None, actor=actor)
        return added.secret

    async def names(self, *, actor: Actor = ROOT) -> list[tuple[str, bool]]:
        """Return the names, and whether each is in use."""
        found = await self.tokens.list_api_tokens(actor=actor)
        return [(each.name, each.revoked_at is None) for each in found]

    async def acts(self) -> list[tuple[str, str, str, object]]:
        await self.audit.verify()
        found = reversed(await self.audit.newest(limit=50))
        return [(entry.actor_kind, entry.action, entry.subject_name, entry.detail["tags"]) for entry in found]

    async def everything_stored(self) -> str:
        async with self.db.read() as session:
            rows = (await session.execute(sa.text("SELECT * FROM api_token"))).all()
            entries = (await session.execute(sa.text("SELECT * FROM audit_entry"))).all()
        return f"{rows} {entries}"


@pytest.fixture
def room(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    return Room(database, clock, keyring)


async def test_a_secret_stands_for_a_viewer_until_its_token_is_revoked(room: Room, clock: FakeClock) -> None:
    everything, schools = await room.add("mdm"), await room.add("Classroom", "schools")
    actor = await room.tokens.actor_of(everything)
    assert (actor.id, actor.kind, actor.rights) == ("mdm", ActorKind.API, Rights.of(Role.VIEWER))
    limited = (await room.tokens.actor_of(schools)).rights
    assert (limited.role_for(SCHOOLS), limited.role_for(frozenset({"hq"}))) == (Role.VIEWER, Role.NONE)

    clock.move(timedelta(seconds=1))
    await room.tokens.revoke("CLASSROOM", actor=ROOT)
    with pytest.raises(ApiTokenRefused):
        await room.tokens.actor_of(schools)
    with pytest.raises(ApiTokenUnknown, match="api-token list"):
        await room.tokens.revoke("classroom", actor=ROOT)
    assert (await room.tokens.actor_of(everything)).id == "mdm"
    assert await room.names() == [("mdm", True), ("Classroom", False)]
    # The name is free again, and the old secret stays refused.
    again = await room.add("classroom")
    with pytest.raises(ApiTokenRefused):
        await room.tokens.actor_of(schools)
    assert (await room.tokens.actor_of(again)).rights.is_unlimited
    assert await room.acts() == [
        ("cli", "api_token.added", "mdm", "every token"),
        ("cli", "api_token.added", "Classroom", ["schools"]),
        ("cli", "api_token.revoked", "Classroom", ["schools"]),
        ("cli", "api_token.added", "classroom", "every token"),
    ]


async def test_a_secret_is_long_recognisable_and_kept_as_a_digest_only(room: Room) -> None:
    secrets = {(await room.add(name)).get_secret_value() for name in ("one", "two")}
    stored = await room.everything_stored()
    assert len(secrets) == 2
    for secret in secrets:
        assert (secret[:3], len(secret)) == ("eb_", 46)
        assert secret[3:] not in stored
        assert rules.digest_of(secret) in stored


async def test_what_is_no_secret_of_ours_is_refused(room: Room) -> None:
    secret = (await room.add("mdm")).get_secret_value()
    digest = rules.digest_of(secret)
    for wrong in ("", "eb_", digest, secret[:-1], secret + "a", secret[3:], f"eb_{'A' * 43}", "eb_é\0" * 12):
        with pytest.raises(ApiTokenRefused):
            await room.tokens.actor_of(SecretStr(wrong))
    [unused] = await room.tokens.list_api_tokens(actor=ROOT)
    assert unused.last_used_at is None


async def test_its_last_use_is_noted_once_a_minute(room: Room, clock: FakeClock) -> None:
    secret, began = await room.add("mdm"), clock.now()
    seen = []
    for seconds in (0, 59, 1, 30):
        clock.move(timedelta(seconds=seconds))
        await room.tokens.actor_of(secret)
        [token] = await room.tokens.list_api_tokens(actor=ROOT)
        assert token.last_used_at is not None
        seen.append((token.last_used_at - began).total_seconds())
    assert seen == [0, 0, 60, 60]


async def test_two_that_are_added_at_once_with_one_name_are_one(room: Room) -> None:
    adding = [room.add(name) for name in ("mdm", "MDM")]
    done = await asyncio.gather(*adding, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == [ApiTokenNameTaken.__name__, SecretStr.__name__]
    assert len(await room.acts()) == 1


@pytest.mark.parametrize("name", ["", " ", "a b", "mdm/1", "é", "x" * 41, "mdm\n.", "<!channel>"])
def test_a_name_of_other_letters_is_refused(name: str) -> None:
    with pytest.raises(ApiTokenNameWrong, match="Use 1 to 40 letters"):
        rules.check_api_token_name(name)


async def test_only_admins_make_list_and_revoke_and_only_for_tags_of_their_own(room: Room) -> None:
    await room.add("mdm")
    await room.add("both", "schools", "hq")
    for refused in (
        room.tokens.add("x", tags=None, actor=OLE),
        room.tokens.list_api_tokens(actor=OLE),
        room.tokens.revoke("mdm", actor=OLE),
    ):
        with pytest.raises(NotAllowed):
            await refused
    with pytest.raises(TagsNeeded):
        await room.add("x", actor=SCHOOLS_ADMIN)
    with pytest.raises(TagsNotOwn):
        await room.tokens.revoke("both", actor=SCHOOLS_ADMIN)
    with pytest.raises(ApiTokenUnknown, match="Did you mean both"):
        await room.tokens.revoke("botn", actor=SCHOOLS_ADMIN)
    with pytest.raises(ApiTokenUnknown):
        await room.tokens.revoke("mdm", actor=SCHOOLS_ADMIN)
    await room.add("mine", "schools", actor=SCHOOLS_ADMIN)
    assert await room.names(actor=SCHOOLS_ADMIN) == [("both", True), ("mine", True)]
    assert len(await room.acts()) == 3
