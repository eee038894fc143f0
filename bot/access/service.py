"""Who may do what: grants from chat, admins from the settings, members of user groups from Slack."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import rules, store
from bot.access.errors import GrantedMeanwhile, GroupUnknown, NothingGranted, PersonUnknown
from bot.access.facts import Granted
from bot.access.models import SubjectKind
from bot.audit.service import AuditService
from bot.kit.actor import Actor, Rights, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.kit.once import claim_once
from bot.settings import Settings

log = get_logger(__name__)

#: Return who is in a user group, from at most a minute ago; raises an EnrollbotError when Slack can't tell.
MembersOf = Callable[[str], Awaitable[Collection[str]]]
#: Say whether Slack knows a person; True where Slack can't tell.
IsPerson = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What was granted or revoked; `before` is the grant whose place it took."""

    granted: Granted
    before: Granted | None


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Every grant that an admin may see, the admins by settings, and the role of everybody else."""

    grants: tuple[Granted, ...]
    by_settings: tuple[str, ...]
    default_role: Role


@dataclass(frozen=True, slots=True)
class CouldHold:
    """Who could hold a role: in doubt, more than do.

    `lately` are those of `people` who could only because it was taken less than a day ago; `unclear` are
    user groups of which Slack does not say who is in them. `grants` are those that were looked at.
    """

    everybody: bool
    people: frozenset[str]
    lately: frozenset[str]
    unclear: tuple[str, ...]
    grants: tuple[Granted, ...]


class AccessService:
    """Grants and revokes roles, and says what a person may do."""

    def __init__(self, *, db: Database, clock: Clock, audit: AuditService, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._audit = audit
        self._settings = settings
        self._members_of: MembersOf | None = None
        self._is_person: IsPerson | None = None

    def tell_members(self, members_of: MembersOf, *, is_person: IsPerson | None = None) -> None:
        """Take the functions that say who is in a user group and who there is; the toolkit knows them."""
        self._members_of = members_of
        self._is_person = is_person

    async def rights(self, user_id: str) -> Rights:
        """Return what was granted to a person, in person and by user groups.

        A group whose members Slack does not tell grants nothing.
        """
        if user_id in self._settings.admins:
            return Rights.of(Role.ADMIN)
        async with self._db.read() as session:
            grants = await store.grants(session)
        groups = sorted({each.subject for each in grants if each.kind is SubjectKind.GROUP})
        members = await asyncio.gather(*(self._members(group) for group in groups))
        mine = {group for group, people in zip(groups, members, strict=True) if user_id in people}
        return rules.rights_of(user_id, grants, groups=mine, default_role=self._settings.default_role)

    async def holders(self, role: Role, *, tags: frozenset[str]) -> frozenset[str]:
        """Return who holds a role, or a higher one, for `tags`: in person, by group or by the settings."""
        async with self._db.read() as session:
            grants = await store.grants(session)
        held = [each for each in grants if each.role >= role and (each.tags is None or each.tags & tags)]
        groups = sorted({each.subject for each in held if each.kind is SubjectKind.GROUP})
        members = await asyncio.gather(*(self._members(group) for group in groups))
        people = {each.subject for each in held if each.kind is SubjectKind.PERSON}
        return frozenset(people.union(self._settings.admins, *members))

    async def could_hold(self, role: Role, *, tags: frozenset[str]) -> CouldHold:
        """Return who could hold a role for `tags`; what was taken in the last 24 hours counts as held."""
        async with self._db.read() as session:
            grants = await store.grants(session)
        entries = await self._audit.since(
            ("role.revoked", "role.granted"), self._clock.now() - rules.COUNTED_AFTER
        )
        held = {each.subject for each in grants if each.role >= role and rules.covers(each.tags, tags)}
        taken = {each.subject_id for each in entries if rules.was_held(each.detail, role, tags)}
        told = {
            subject: await self._told(subject) if rules.is_group(subject) else (subject,)
            for subject in sorted(held | taken)
        }
        now = {person for subject in held for person in told[subject] or ()}.union(self._settings.admins)
        before = {person for subject in taken for person in told[subject] or ()}
        return CouldHold(
            everybody=self._settings.default_role >= role,
            people=frozenset(now | before),
            lately=frozenset(before - now),
            unclear=tuple(subject for subject, people in told.items() if people is None),
            grants=tuple(grants),
        )

    async def are_granted_in(self, session: AsyncSession, grants: Sequence[Granted]) -> bool:
        """Say inside a transaction whether the grants are still these; none is taken before its end."""
        return list(grants) == await store.grants(session, locks=True)

    async def groups(self, role: Role, *, tags: frozenset[str]) -> list[str]:
        """Return the user groups that hold a role, or a higher one, for `tags`."""
        async with self._db.read() as session:
            grants = await store.grants(session)
        held = [each for each in grants if each.role >= role and (each.tags is None or each.tags & tags)]
        return sorted({each.subject for each in held if each.kind is SubjectKind.GROUP})

    async def holds(self, user_id: str, role: Role, *, tags: frozenset[str]) -> bool | None:
        """Say whether somebody holds a role for `tags`; None where a group that would give it is not told."""
        if user_id in self._settings.admins:
            return True
        async with self._db.read() as session:
            grants = await store.grants(session)
        groups = sorted({each.subject for each in grants if each.kind is SubjectKind.GROUP})
        told = dict(zip(groups, await asyncio.gather(*(self._told(group) for group in groups)), strict=True))
        mine = {group for group, people in told.items() if people is not None and user_id in people}
        default = self._settings.default_role
        if rules.rights_of(user_id, grants, groups=mine, default_role=default).role_for(tags) >= role:
            return True
        unclear = mine | {group for group, people in told.items() if people is None}
        could = rules.rights_of(user_id, grants, groups=unclear, default_role=default).role_for(tags)
        return None if could >= role else False

    async def granted_by(self, user_id: str, role: Role, *, tags: frozenset[str]) -> str:
        """Return by what somebody holds a role for `tags`: `settings`, `person` or the group's id."""
        if user_id in self._settings.admins:
            return "settings"
        async with self._db.read() as session:
            grants = await store.grants(session)
        held = [each for each in grants if each.role >= role and (each.tags is None or each.tags & tags)]
        if any(each.subject == user_id for each in held):
            return "person"
        for group in sorted({each.subject for each in held if each.kind is SubjectKind.GROUP}):
            if user_id in await self._members(group):
                return group
        return "default role" if self._settings.default_role >= role else "none"

    async def table(self, *, actor: Actor) -> RoleTable:
        """Return who has which role. Raises `NotAllowed`."""
        actor.require(Role.ADMIN)
        async with self._db.read() as session:
            grants = await store.grants(session)
        return RoleTable(
            tuple(rules.as_shown(actor.rights, each) for each in rules.visible(actor.rights, grants)),
            tuple(self._settings.admins),
            self._settings.default_role,
        )

    async def grant(
        self,
        subject: str,
        *,
        role: Role,
        tags: frozenset[str] | None,
        actor: Actor,
        delivery: str | None = None,
    ) -> RoleChange:
        """Grant a role to a person or user group, for every token or for tags; once more replaces the tags.

        Raises `SubjectWrong`, `TagsNeeded`, `TagsNotOwn`, `GroupUnknown`, `PersonUnknown`, `NotAllowed`.
        """
        actor.require(Role.ADMIN)
        found, kind = rules.subject_of(subject)
        rules.check_may_change(actor.rights, tags)
        if kind is SubjectKind.GROUP:
            await self._require_group(found)
        elif self._is_person is not None and not await self._is_person(found):
            raise PersonUnknown(found)
        granted = Granted(found, kind, role, tags, granted_by=actor.id, granted_at=self._clock.now())
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            before = _same(await store.grants(session, locks=True), granted)
            if before is not None:
                rules.check_may_change(actor.rights, before.tags)
            await store.put(session, granted)
            await self._record(session, actor, "role.granted", granted, before)
        return RoleChange(granted, before)

    async def revoke(
        self, subject: str, *, role: Role | None, actor: Actor, delivery: str | None = None
    ) -> list[RoleChange]:
        """Take a role, or every role, from a person or user group.

        Raises `SubjectWrong`, `NothingGranted`, `TagsNeeded`, `TagsNotOwn`, `NotAllowed`; then nothing was
        taken.
        """
        actor.require(Role.ADMIN)
        found, _ = rules.subject_of(subject)
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            seen = rules.visible(actor.rights, await store.grants(session, locks=True))
            taken = [each for each in seen if each.subject == found and role in (None, each.role)]
            if not taken:
                is_by_settings = found in self._settings.admins
                raise NothingGranted(is_by_settings=is_by_settings, role=role, slash=self._settings.command)
            for each in taken:
                rules.check_may_change(actor.rights, each.tags)
                await store.drop(session, each)
                await self._record(session, actor, "role.revoked", each, each)
        return [RoleChange(each, each) for each in taken]

    async def _members(self, group: str) -> Collection[str]:
        return await self._told(group) or ()

    async def _told(self, group: str) -> Collection[str] | None:
        """Return who is in a group, None where Slack does not say."""
        if self._members_of is None:
            return ()
        try:
            return await self._members_of(group)
        except EnrollbotError as error:
            log.warning(
                "a group grants nothing: slack does not say who is in it", group=group, why=str(error)
            )
            return None

    async def _require_group(self, group: str) -> None:
        if self._members_of is None:
            raise GroupUnknown
        try:
            await self._members_of(group)
        except EnrollbotError:
            raise GroupUnknown from None

    async def _claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
            raise GrantedMeanwhile

    async def _record(
        self, session: AsyncSession, actor: Actor, action: str, granted: Granted, before: Granted | None
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind=granted.kind.value,
            subject_id=granted.subject,
            subject_name=granted.subject,
            tags=(granted.tags or frozenset()) | ((before and before.tags) or frozenset()),
            detail={
                "role": granted.role.word,
                "tags": _listed(granted),
                "tags_before": _listed(before) if before else None,
            },
        )


def _same(grants: list[Granted], granted: Granted) -> Granted | None:
    return next((g for g in grants if (g.subject, g.role) == (granted.subject, granted.role)), None)


def _listed(granted: Granted) -> list[str] | str:
    return "every token" if granted.tags is None else sorted(granted.tags)
