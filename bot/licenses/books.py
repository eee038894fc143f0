"""What every act on content tokens shares: loading, showing, sealing, claiming and recording."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import BackendTexts
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.once import claim_once
from bot.kit.secrets import Keyring, SecretUnreadable
from bot.licenses import rules, store
from bot.licenses.errors import (
    ContentNameTaken,
    ContentTokenGone,
    DeliveredAgain,
    LocationHasToken,
    SecretLost,
)
from bot.licenses.facts import AppLicences, ContentTokenView, JudgedLicences
from bot.licenses.models import ContentToken, LicenceCountRow, Trouble
from bot.settings import Settings
from bot.tokens.errors import TagsNotYours
from bot.tokens.rules import days_left, tags_within

_PLACE = {"table": "content_token_secret", "column": "secret"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry of the audit is about."""

    id: str
    name: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Held:
    """A content token as loaded for a change."""

    row: ContentToken
    tags: frozenset[str]

    @property
    def subject(self) -> Subject:
        return Subject(self.row.id, self.row.name, self.tags)


class Books:
    """The rows of content tokens behind their rules, for one database. Holds no state of its own."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        audit: AuditService,
        texts: BackendTexts,
        settings: Settings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.texts = texts
        self.slash = settings.command
        self.settings = settings
        self._keyring = keyring
        self._audit = audit

    async def load(
        self,
        session: AsyncSession,
        content_token_id: str,
        actor: Actor,
        *,
        role: Role = Role.ADMIN,
        locks: bool = False,
    ) -> Held:
        """Load a content token that the actor holds `role` for. Raises `ContentTokenGone`, `NotAllowed`."""
        row = await store.live_content_token(session, content_token_id, locks=locks)
        tags = (await store.tags_of(session, [content_token_id])).get(content_token_id, frozenset())
        if row is None or actor.rights.role_for(tags) < Role.VIEWER:
            actor.require(role)
            raise ContentTokenGone
        actor.require(role, tags=tags)
        return Held(row, tags)

    async def views(self, session: AsyncSession, rows: Sequence[ContentToken]) -> list[ContentTokenView]:
        ids = [row.id for row in rows]
        tags, items = await store.tags_of(session, ids), await store.items_of(session, ids)
        return [
            self._view(
                row,
                tags.get(row.id, frozenset()),
                apps=items.get((row.id, False), 0),
                books=items.get((row.id, True), 0),
            )
            for row in rows
        ]

    def _view(self, row: ContentToken, tags: frozenset[str], *, apps: int, books: int) -> ContentTokenView:
        now = self.clock.now()
        standing = rules.Standing(
            expires_at=row.expires_at,
            warn_days=self.settings.expiry_warning_days,
            trouble=Trouble(row.trouble) if row.trouble else None,
            trouble_since=row.trouble_since,
            counted_at=row.counted_at,
        )
        return ContentTokenView(
            **{name: getattr(row, name) for name in _SHOWN},
            state=rules.state_of(standing, now),
            days_left=days_left(row.expires_at, now),
            ended_since=rules.ended_since(standing, now),
            tags=tags,
            apps=apps,
            books=books,
            warn_days=tuple(standing.warn_days),
        )

    async def licences(
        self, session: AsyncSession, views: Sequence[ContentTokenView]
    ) -> dict[str, list[AppLicences]]:
        """Return the licences of each content token, the scarcest first, those it had once among them."""
        ids = [view.id for view in views]
        of_apps = await store.thresholds(session, ids)
        return _judged(views, await store.licences(session, ids), of_apps)

    async def looked_at(
        self,
        session: AsyncSession,
        views: Sequence[ContentTokenView],
        *,
        installed: Mapping[str, Collection[str]],
    ) -> list[JudgedLicences]:
        """Return the licences that are low, and those that profiles install; see `rules.looked_at`."""
        ids = [view.id for view in views]
        of_apps = await store.thresholds(session, ids)
        rows = await store.perhaps_low(
            session,
            ids,
            app_ids={app_id for app_ids in installed.values() for app_id in app_ids},
            count=rules.LOW_COUNT,
            percent=rules.LOW_PERCENT,
        )
        return rules.looked_at(
            views,
            _judged(views, rows, of_apps),
            installed=installed,
            thresholds=Counter(content_token_id for content_token_id, _ in of_apps),
        )

    def require_tags(self, actor: Actor, tags: frozenset[str]) -> None:
        """Refuse tags that the actor may not set; an admin limited to tags needs one of them."""
        actor.require(Role.ADMIN, tags=tags)
        forbidden = tags_within(actor.rights, tags)
        if forbidden:
            raise TagsNotYours(forbidden)

    async def refuse_taken(self, name: str) -> None:
        async with self.db.read() as session:
            taken = await store.named(session, rules.name_key(name))
        if taken is not None:
            raise ContentNameTaken(taken.name)

    async def name_of_location(
        self, location_id: str, actor: Actor, *, but: str = ""
    ) -> tuple[bool, str | None]:
        """Say whether a location has another content token, and its name where the actor may see it."""
        async with self.db.read() as session:
            row = await store.of_location(session, location_id, but=but)
            tags = await store.tags_of(session, [row.id]) if row else {}
        if row is None:
            return False, None
        is_seen = actor.rights.role_for(tags.get(row.id, frozenset())) >= Role.VIEWER
        return True, row.name if is_seen else None

    @contextlib.asynccontextmanager
    async def change(self, name: str, location_name: str) -> AsyncIterator[AsyncSession]:
        """Open a writing transaction; name the unique key that two people at once run into."""
        try:
            async with self.db.begin() as session:
                yield session
        except IntegrityError as error:
            # SQLite names the column, PostgreSQL the index.
            told = str(error.orig)
            if "content_token.location_id" in told or "uq_content_token_live_location" in told:
                raise LocationHasToken(location_name, other=None) from None
            if "content_token.name_key" in told or "uq_content_token_live_name" in told:
                raise ContentNameTaken(name) from None
            raise

    def seal(self, content_token_id: str, secret: SecretStr) -> bytes:
        return self._keyring.encrypt(secret, row=content_token_id, **_PLACE)

    async def open_secret(self, session: AsyncSession, row: ContentToken) -> SecretStr:
        """Return the stored secret. Raises `SecretLost`."""
        sealed = await store.secret_of(session, row.id)
        try:
            if sealed is not None:
                return self._keyring.decrypt(sealed, row=row.id, **_PLACE)
        except SecretUnreadable:
            pass
        raise SecretLost(row.name)

    async def claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        subject: Subject,
        detail: Mapping[str, Any],
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=f"content_token.{action}",
            subject_kind="content_token",
            subject_id=subject.id,
            subject_name=subject.name,
            tags=subject.tags,
            detail=detail,
        )


#: What a view shows just as it is stored.
_SHOWN = (
    *("id", "name", "expires_at", "location_id", "location_name", "org_name", "country", "is_education"),
    *("manager", "threshold", "added_by", "added_at", "installed_by", "installed_at"),
    *("counted_at", "asked_at", "failures", "error"),
)


def _judged(
    views: Sequence[ContentTokenView],
    rows: Sequence[LicenceCountRow],
    of_apps: Mapping[tuple[str, str], int],
) -> dict[str, list[AppLicences]]:
    own = {view.id: view.threshold for view in views}
    found: dict[str, list[AppLicences]] = {view.id: [] for view in views}
    for row in rows:
        threshold = of_apps.get((row.content_token_id, row.app_id))
        has_own = threshold is not None
        if threshold is None and row.gone_at is None:
            threshold = own[row.content_token_id]
        found[row.content_token_id].append(licences_of(row, threshold, has_own=has_own))
    return {each: sorted(apps, key=rules.scarcity) for each, apps in found.items()}


def licences_of(row: LicenceCountRow, threshold: int | None, *, has_own: bool = False) -> AppLicences:
    mark = rules.low_mark(row.total, threshold)
    return AppLicences(
        content_token_id=row.content_token_id,
        app_id=row.app_id,
        pricing=row.pricing,
        name=row.name,
        bundle_id=row.bundle_id,
        is_book=row.is_book,
        total=row.total,
        assigned=row.assigned,
        available=row.available,
        retired=row.retired,
        device_assignable=row.device_assignable,
        platforms=tuple(row.platforms.split()),
        threshold=threshold,
        mark=mark,
        level=rules.level_of(row.available, mark),
        is_listed=row.gone_at is None,
        changed_at=row.changed_at,
        has_own_threshold=has_own,
    )


async def fresh(session: AsyncSession, content_token_id: str) -> ContentToken:
    """Read a content token again after a statement changed it behind the session's back."""
    row = await session.get_one(ContentToken, content_token_id)
    await session.refresh(row)
    return row


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
