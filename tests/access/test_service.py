import asyncio
from collections.abc import Collection
from datetime import timedelta

import pytest

from bot.access.errors import GrantedMeanwhile, GroupUnknown, NothingGranted, TagsNeeded, TagsNotOwn
from bot.access.models import SubjectKind
from bot.access.service import AccessService
from bot.audit.service import AuditService
from bot.kit.actor import Actor, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.settings import Settings
from bot.slack.post import SlackRefused
from tests.fakes.clock import FakeClock

ANA = Actor("UANA", rights=Rights.of(Role.ADMIN))
OLE = Actor("UOLE", rights=Rights.of(Role.APPROVER))
SCHOOLS = frozenset({"schools"})
SCHOOLS_ADMIN = Actor("USCH", rights=Rights((Grant(Role.ADMIN, SCHOOLS),)))


class Room:
    """The room under test; `groups` are what Slack tells of user groups."""

    def __init__(self, db: Database, clock: FakeClock, keyring: Keyring) -> None:
        self.audit = AuditService(db, keyring, clock)
        settings = Settings(admins=["UROOT"], default_role="viewer")
        self.access = AccessService(db=db, clock=clock, audit=self.audit, settings=settings)
        self.groups: dict[str, set[str]] = {"S01": {"UBEN", "UOLE"}}
        self.access.tell_members(self.members_of)

    async def members_of(self, group: str) -> Collection[str]:
        if group not in self.groups:
            raise SlackRefused("no_such_subteam")
        return self.groups[group]

    async def role(self, user_id: str, *tags: str) -> Role:
        return (await self.access.rights(user_id)).role_for(frozenset(tags))

    async def grant(self, subject: str, role: Role, *tags: str, actor: Actor = ANA) -> None:
        await self.access.grant(subject, role=role, tags=frozenset(tags) if tags else None, actor=actor)

    async def acts(self) -> list[tuple[str, str, object]]:
        await self.audit.verify()
        found = reversed(await self.audit.newest(limit=50))
        return [(entry.action, entry.subject_id, entry.detail["tags"]) for entry in found]


@pytest.fixture
def room(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    return Room(database, clock, keyring)


async def test_who_could_hold_a_role_counts_what_was_taken_in_the_last_day(
    room: Room, clock: FakeClock
) -> None:
    async def could(*tags: str) -> set[str]:
        found = await room.access.could_hold(Role.APPROVER, tags=frozenset(tags))
        assert not found.everybody
        return set(found.people) - {"UROOT"}

    await room.grant("UEVE", Role.OPERATOR)
    await room.grant("UKIM", Role.APPROVER, "schools")
    await room.grant("S01", Role.APPROVER, "clinics")
    assert await could() == set()
    assert await could("schools") == {"UKIM"}
    assert await could("clinics") == {"UBEN", "UOLE"}
    await room.grant("UKIM", Role.APPROVER, "shops")
    await room.access.revoke("S01", role=None, actor=ANA)
    clock.move(timedelta(hours=24))
    assert await could("schools") == {"UKIM"}
    found = await room.access.could_hold(Role.APPROVER, tags=frozenset({"clinics"}))
    assert found.lately == {"UBEN", "UOLE"}
    del room.groups["S01"]
    found = await room.access.could_hold(Role.APPROVER, tags=frozenset({"clinics"}))
    assert found.unclear == ("S01",)
    clock.move(timedelta(seconds=1))
    assert await could("schools") == await could("clinics") == set()
    assert await could("shops") == {"UKIM"}


async def test_who_has_no_grant_has_the_default_role_and_admins_by_settings_are_unlimited(room: Room) -> None:
    assert await room.role("UBEN") is Role.VIEWER
    assert await room.access.rights("UROOT") == Rights.of(Role.ADMIN)


async def test_a_granted_role_counts_at_once_and_a_revoked_one_no_longer(room: Room) -> None:
    await room.grant("UBEN", Role.APPROVER)
    assert await room.role("UBEN") is Role.APPROVER
    await room.access.revoke("UBEN", role=None, actor=ANA)
    assert await room.role("UBEN") is Role.VIEWER
    assert await room.acts() == [
        ("role.granted", "UBEN", "every token"),
        ("role.revoked", "UBEN", "every token"),
    ]


async def test_a_role_for_tags_reaches_only_what_carries_one(room: Room) -> None:
    await room.grant("UBEN", Role.ADMIN, "schools", "france")
    assert await room.role("UBEN", "schools") is Role.ADMIN
    assert await room.role("UBEN", "hq") is Role.NONE


async def test_granting_once_more_replaces_the_tags(room: Room) -> None:
    await room.grant("UBEN", Role.ADMIN, "schools")
    change = await room.access.grant("UBEN", role=Role.ADMIN, tags=frozenset({"hq"}), actor=ANA)
    assert change.before is not None
    assert change.before.tags == SCHOOLS
    assert (await room.role("UBEN", "schools"), await room.role("UBEN", "hq")) == (Role.NONE, Role.ADMIN)


async def test_a_group_grants_to_its_members_as_long_as_slack_tells_who_they_are(room: Room) -> None:
    await room.grant("S01", Role.OPERATOR)
    assert [await room.role(user) for user in ("UBEN", "UANA")] == [Role.OPERATOR, Role.VIEWER]
    room.groups["S01"] = {"UANA"}
    assert [await room.role(user) for user in ("UBEN", "UANA")] == [Role.VIEWER, Role.OPERATOR]
    del room.groups["S01"]
    assert [await room.role(user) for user in ("UBEN", "UANA")] == [Role.VIEWER, Role.VIEWER]


async def test_an_unknown_group_is_refused(room: Room) -> None:
    with pytest.raises(GroupUnknown):
        await room.grant("S09", Role.ADMIN)
    assert await room.acts() == []


async def test_only_admins_see_grant_and_revoke(room: Room) -> None:
    with pytest.raises(NotAllowed):
        await room.grant("UOLE", Role.ADMIN, actor=OLE)
    with pytest.raises(NotAllowed):
        await room.access.revoke("UBEN", role=None, actor=OLE)
    with pytest.raises(NotAllowed):
        await room.access.table(actor=OLE)
    assert await room.acts() == []


async def test_an_admin_limited_to_tags_changes_and_sees_only_roles_for_them(room: Room) -> None:
    await room.grant("UBEN", Role.OPERATOR)
    await room.grant("UBEN", Role.ADMIN, "schools", "france")
    with pytest.raises(TagsNeeded):
        await room.grant("UOLE", Role.VIEWER, actor=SCHOOLS_ADMIN)
    with pytest.raises(TagsNotOwn):
        await room.grant("UOLE", Role.VIEWER, "france", actor=SCHOOLS_ADMIN)
    with pytest.raises(TagsNotOwn):  # it would take france from Ben
        await room.grant("UBEN", Role.ADMIN, "schools", actor=SCHOOLS_ADMIN)
    with pytest.raises(TagsNotOwn):
        await room.access.revoke("UBEN", role=None, actor=SCHOOLS_ADMIN)
    assert (await room.role("UBEN", "france"), await room.role("UBEN")) == (Role.ADMIN, Role.OPERATOR)
    await room.grant("UOLE", Role.APPROVER, "schools", actor=SCHOOLS_ADMIN)
    seen = (await room.access.table(actor=SCHOOLS_ADMIN)).grants
    assert {(each.subject, each.role) for each in seen} == {("UBEN", Role.ADMIN), ("UOLE", Role.APPROVER)}
    assert len((await room.access.table(actor=ANA)).grants) == 3


async def test_an_admin_by_settings_cannot_be_revoked_in_chat(room: Room) -> None:
    with pytest.raises(NothingGranted, match="ENROLLBOT_ADMINS"):
        await room.access.revoke("UROOT", role=Role.ADMIN, actor=ANA)
    with pytest.raises(NothingGranted, match="Nobody granted the role operator there"):
        await room.access.revoke("UBEN", role=Role.OPERATOR, actor=ANA)


async def test_one_role_of_several_is_revoked(room: Room) -> None:
    await room.grant("S01", Role.OPERATOR)
    await room.grant("S01", Role.VIEWER)
    changes = await room.access.revoke("S01", role=Role.OPERATOR, actor=ANA)
    assert [change.granted.role for change in changes] == [Role.OPERATOR]
    [left] = (await room.access.table(actor=ANA)).grants
    assert (left.kind, left.role, left.granted_by) == (SubjectKind.GROUP, Role.VIEWER, "UANA")


async def test_one_delivery_grants_once(room: Room, clock: FakeClock) -> None:
    await room.access.grant("UBEN", role=Role.ADMIN, tags=None, actor=ANA, delivery="D1")
    clock.move(timedelta(seconds=1))
    with pytest.raises(GrantedMeanwhile):
        await room.access.grant("UBEN", role=Role.ADMIN, tags=None, actor=ANA, delivery="D1")
    assert len(await room.acts()) == 1


async def test_two_grants_at_once_are_both_recorded_and_one_holds(room: Room) -> None:
    await asyncio.gather(room.grant("UBEN", Role.ADMIN, "a"), room.grant("UBEN", Role.ADMIN, "b"))
    [held] = (await room.access.table(actor=ANA)).grants
    acts = await room.acts()
    assert len(acts) == 2
    assert held.tags == frozenset(acts[-1][2])  # type: ignore[call-overload]
