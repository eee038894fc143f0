"""Calendars: secret addresses by which somebody's own dates are read."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.deadlines.facts import DeadlineView
from bot.deadlines.service import DeadlineService
from bot.kit.actor import Actor, Rights, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.once import claim_once
from bot.licenses.facts import ContentTokenView
from bot.licenses.service import LicenseService
from bot.outside import ics, store
from bot.outside.errors import CalendarClosed, CalendarUnknown, DeliveredAgain, NoPublicAddress, TooManyLinks
from bot.outside.models import CalendarLink
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

RightsOf = Callable[[str], Awaitable[Rights]]

LINKS_AT_MOST = 10
READ_NOTED_EVERY = timedelta(hours=1)
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Calendars:
    """Makes and revokes links, and reads a calendar with the rights that its maker has now."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        audit: AuditService,
        settings: Settings,
        tokens: TokenService,
        licenses: LicenseService,
        deadlines: DeadlineService,
        rights_of: RightsOf,
    ) -> None:
        self._db = db
        self._clock = clock
        self._audit = audit
        self._settings = settings
        self._tokens = tokens
        self._licenses = licenses
        self._deadlines = deadlines
        #: Says what a person may do now, as far as Slack limits them too; the toolkit knows it.
        self.rights_of = rights_of

    async def make(self, *, actor: Actor, delivery: str | None = None) -> SecretStr:
        """Make a link, which can be had this once. Raises `NoPublicAddress`, `TooManyLinks`, `NotAllowed`."""
        actor.require(Role.VIEWER)
        if self._settings.public_url is None:
            raise NoPublicAddress
        secret = secrets.token_urlsafe(32)
        async with self._db.begin() as session:
            if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                raise DeliveredAgain
            if await store.count_links(session, actor.id) >= LINKS_AT_MOST:
                raise TooManyLinks(LINKS_AT_MOST, slash=self._settings.command)
            now = self._clock.now()
            session.add(CalendarLink(id=new_id(), digest=_digest(secret), user_id=actor.id, made_at=now))
            await session.flush()
            await self._record(session, actor, "calendar.link_made", {})
        return SecretStr(f"{self._settings.public_url}/calendar/{secret}.ics")

    async def revoke(self, *, actor: Actor, delivery: str | None = None) -> int:
        """End every link of the actor at once. Returns how many there were."""
        actor.require(Role.VIEWER)
        async with self._db.begin() as session:
            if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                raise DeliveredAgain
            ended = await store.drop_links(session, actor.id)
            if ended:
                await self._record(session, actor, "calendar.links_revoked", {"links": ended})
        return ended

    async def read(self, secret: str) -> bytes:
        """Return what the maker of a link may see now, as a calendar.

        Raises `CalendarUnknown`, and `CalendarClosed` where the maker has no role any more.
        """
        if not _SECRET.fullmatch(secret):
            raise CalendarUnknown
        digest = _digest(secret)
        async with self._db.read() as session:
            link = await store.link_of(session, digest)
        if link is None or not hmac.compare_digest(link.digest, digest):
            raise CalendarUnknown
        actor = Actor(link.user_id, rights=await self.rights_of(link.user_id))
        if actor.rights.highest < Role.VIEWER:
            raise CalendarClosed
        tokens = await self._tokens.list_tokens(actor=actor)
        events = [
            *map(self._of_token, [view for view in tokens if view.has_token]),
            *map(self._of_content_token, await self._licenses.list_content_tokens(actor=actor)),
            *map(self._of_deadline, await self._deadlines.list_deadlines(actor=actor)),
        ]
        await self._note_read(link)
        return ics.calendar("Device enrollment", events)

    def _of_token(self, view: TokenView) -> ics.Event:
        told = f"{view.org_name}\nNew devices get no profile after that; enrolled devices keep working."
        return ics.Event(
            uid=f"token-{view.id}@enrollbot",
            title=f"Token {view.name} expires",
            told=f"{told}\nNext: {self._settings.command} token renew {view.name}",
            at=view.expires_at or view.added_at,
            changed_at=view.installed_at or view.added_at,
            warn_days=view.warn_days,
        )

    def _of_content_token(self, view: ContentTokenView) -> ics.Event:
        told = f"Location {view.location_name}\nNo licences can be given by it after that."
        return ics.Event(
            uid=f"content-token-{view.id}@enrollbot",
            title=f"Content token {view.name} expires",
            told=f"{told}\nNext: {self._settings.command} vpp renew {view.name}",
            at=view.expires_at,
            changed_at=view.installed_at,
            warn_days=view.warn_days,
        )

    def _of_deadline(self, view: DeadlineView) -> ics.Event:
        certificate = view.certificate
        told = "A date that is watched."
        if certificate is not None and certificate.topic:
            told = (
                f"Push certificate, topic {certificate.topic}\nRenew it with the same"
                f" {self._deadlines.texts.service} Account: with another topic, every device must enroll"
                " again."
            )
        return ics.Event(
            uid=f"deadline-{view.id}@enrollbot",
            title=f"{view.name} expires" if certificate else f"{view.name} is due",
            told=told,
            at=view.day or view.at,
            changed_at=view.changed_at,
            warn_days=self._settings.expiry_warning_days,
        )

    async def _note_read(self, link: CalendarLink) -> None:
        now = self._clock.now()
        if link.read_at is None or now - link.read_at >= READ_NOTED_EVERY:
            async with self._db.begin() as session:
                await store.note_read(session, link.id, now)

    async def _record(self, session: AsyncSession, actor: Actor, action: str, detail: dict[str, int]) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="calendar",
            subject_id=actor.id,
            subject_name=f"calendar of {actor.id}",
            detail=detail,
        )


def _digest(secret: str) -> str:
    """Return what is kept of a secret: 32 random bytes need neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
