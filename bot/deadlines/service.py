"""Everything that can be done with dates to watch. Each method checks the right of whoever asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import BackendTexts
from bot.deadlines import rules, store
from bot.deadlines.certificate import read_certificate
from bot.deadlines.errors import (
    CertificateDecides,
    CertificateOlder,
    CertificateOver,
    DeadlineGone,
    DeadlineNameTaken,
    DeadlineUnknown,
    DeliveredAgain,
    OtherTopic,
    TooManyDeadlines,
)
from bot.deadlines.facts import CertificateFacts, DeadlineView, Watched
from bot.deadlines.models import Deadline
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.nearest import nearest
from bot.kit.once import claim_once
from bot.settings import Settings

AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Wishes:
    """What else somebody said of a deadline, as typed; None leaves it as it is."""

    tags: Sequence[str] | None = None
    channel: str | None = None
    owner: str | None = None


class DeadlineService:
    """Keeps the dates that somebody wants to be told of in time."""

    def __init__(
        self, *, db: Database, clock: Clock, audit: AuditService, settings: Settings, texts: BackendTexts
    ) -> None:
        self._db = db
        self.clock = clock
        self._audit = audit
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self.texts = texts

    async def list_deadlines(self, *, actor: Actor) -> list[DeadlineView]:
        """Return the deadlines that the actor may see, the soonest first. Raises `NotAllowed`."""
        actor.require(Role.VIEWER)
        async with self._db.read() as session:
            rows = await store.every(session)
        views = [self._view(row) for row in rows]
        return [view for view in views if actor.rights.role_for(view.tags) >= Role.VIEWER]

    async def get(self, name: str, *, actor: Actor) -> DeadlineView:
        """Return a deadline by its name. Raises `DeadlineUnknown` with the nearest one."""
        seen = {rules.name_key(view.name): view for view in await self.list_deadlines(actor=actor)}
        found = seen.get(rules.name_key(name))
        if found is None:
            near = nearest(rules.name_key(name), seen)
            raise DeadlineUnknown(
                name.strip()[:60], seen[near].name if near else None, slash=self._settings.command
            )
        return found

    async def get_by_id(self, deadline_id: str, *, actor: Actor) -> DeadlineView:
        """Return a deadline. Raises `DeadlineGone` also where the actor may not see it."""
        for view in await self.list_deadlines(actor=actor):
            if view.id == deadline_id:
                return view
        raise DeadlineGone

    async def all_tags_in(self, session: AsyncSession, ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the tags of those that are still watched, inside the caller's transaction."""
        return await store.tags_of(session, ids)

    async def watch(
        self, name: str, day: str, *, actor: Actor, wishes: Wishes | None = None, delivery: str | None = None
    ) -> Watched:
        """Watch a day; under a name that is there already, in place of the day before.

        Raises `DeadlineFault`, `NotAllowed`.
        """
        actor.require(Role.ADMIN)
        checked = rules.check_name(name)
        parsed = rules.parse_day(day, now=self.clock.now(), zone=self._zone)

        def put(row: Deadline, before: DeadlineView | None) -> None:
            if before is not None and before.certificate is not None:
                raise CertificateDecides(before.name)
            row.day, row.at = parsed, rules.begins(parsed, zone=self._zone)

        return await self._put(checked, put, actor=actor, wishes=wishes or Wishes(), delivery=delivery)

    async def watch_certificate(
        self,
        name: str,
        content: bytes,
        *,
        actor: Actor,
        wishes: Wishes | None = None,
        another_topic: bool = False,
        delivery: str | None = None,
    ) -> Watched:
        """Watch the end of a certificate, in place of the one before; only what it says is kept.

        A push certificate with another topic is taken only with `another_topic`. Raises `DeadlineFault`,
        `NotAllowed`.
        """
        actor.require(Role.ADMIN)
        checked, read = rules.check_name(name), read_certificate(content)
        if read.expires_at <= self.clock.now():
            raise CertificateOver(f"{read.expires_at:%Y-%m-%d}")

        def put(row: Deadline, before: DeadlineView | None) -> None:
            if before is not None and before.certificate is not None and not another_topic:
                self._check_renewed(before.certificate, read)
            row.day, row.at = None, read.expires_at
            row.subject, row.topic, row.cert_serial = read.subject, read.topic, read.serial

        return await self._put(checked, put, actor=actor, wishes=wishes or Wishes(), delivery=delivery)

    async def remove(self, name: str, *, actor: Actor, delivery: str | None = None) -> DeadlineView:
        """Watch a date no longer. Raises `DeadlineUnknown`, `NotAllowed`."""
        actor.require(Role.ADMIN)
        seen = await self.get(name, actor=actor)
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            row = await store.named(session, rules.name_key(name))
            if row is None:
                raise DeadlineUnknown(seen.name, None, slash=self._settings.command)
            view = self._view(row)
            actor.require(Role.ADMIN, tags=view.tags)
            await session.delete(row)
            await session.flush()
            await self._record(session, actor, "deadline.removed", view)
        return view

    async def _put(
        self,
        name: str,
        put: Callable[[Deadline, DeadlineView | None], None],
        *,
        actor: Actor,
        wishes: Wishes,
        delivery: str | None,
    ) -> Watched:
        now = self.clock.now()
        try:
            async with self._db.begin() as session:
                await self._claim(session, delivery)
                row = await store.named(session, rules.name_key(name))
                before = self._view(row) if row is not None else None
                if before is not None and actor.rights.role_for(before.tags) < Role.ADMIN:
                    raise DeadlineNameTaken(name)
                if row is None:
                    if await store.count(session) >= AT_MOST:
                        raise TooManyDeadlines(AT_MOST)
                    row = Deadline(
                        id=new_id(),
                        name=name,
                        name_key=rules.name_key(name),
                        at=now,
                        added_by=actor.id,
                        added_at=now,
                        changed_at=now,
                    )
                put(row, before)
                self._take_wishes(row, wishes, actor, is_new=before is None)
                row.changed_at = now
                session.add(row)
                await session.flush()
                view = self._view(row)
                action = "deadline.added" if before is None else "deadline.changed"
                await self._record(session, actor, action, view, before)
        except IntegrityError:
            # Somebody else has just added one of this name.
            raise DeadlineNameTaken(name) from None
        return Watched(view, before)

    def _take_wishes(self, row: Deadline, wishes: Wishes, actor: Actor, *, is_new: bool) -> None:
        if wishes.tags is not None or is_new:
            own = actor.rights.tags_as(Role.ADMIN)
            row.tags = sorted(rules.check_tags(wishes.tags or (), own=own, before=row.tags))
        if wishes.channel is not None:
            row.channel = rules.parse_channel(wishes.channel)
        if wishes.owner is not None:
            row.owner = rules.parse_owner(wishes.owner)

    def _check_renewed(self, before: CertificateFacts, read: CertificateFacts) -> None:
        if before.topic is not None and read.topic != before.topic:
            raise OtherTopic(before.topic, read.topic, service=self.texts.service)
        if read.expires_at < before.expires_at:
            raise CertificateOlder(f"{read.expires_at:%Y-%m-%d}")

    async def _claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def _record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        view: DeadlineView,
        before: DeadlineView | None = None,
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="deadline",
            subject_id=view.id,
            subject_name=view.name,
            tags=view.tags | (before.tags if before else frozenset()),
            detail={"after": _told(view)} | ({"before": _told(before)} if before else {}),
        )

    def _view(self, row: Deadline) -> DeadlineView:
        certificate = None
        if row.subject is not None:
            certificate = CertificateFacts(row.subject, row.topic, row.cert_serial or "", row.at)
        return DeadlineView(
            id=row.id,
            name=row.name,
            at=row.at,
            days_left=rules.days_left(row.at, self.clock.now()),
            day=row.day,
            certificate=certificate,
            tags=frozenset(row.tags),
            channel=row.channel,
            owner=row.owner,
            added_by=row.added_by,
            changed_at=row.changed_at,
        )


def _told(view: DeadlineView) -> dict[str, Any]:
    """Return what the audit keeps of a deadline."""
    certificate = view.certificate
    return {
        "date": _iso(view.day or view.at),
        "tags": sorted(view.tags),
        "channel": view.channel,
        "owner": view.owner,
        "topic": certificate.topic if certificate else None,
        "serial": certificate.serial if certificate else None,
    }


def _iso(moment: date | datetime) -> str:
    return moment.isoformat()
