"""Content tokens and licences: what screens, jobs and the rooms above are offered."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.content import ContentBackend
from bot.backend.port import BackendTexts
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.kit.nearest import nearest
from bot.kit.secrets import Keyring
from bot.licenses import rules, store
from bot.licenses.books import Books, Held, fresh, iso
from bot.licenses.counting import Counting
from bot.licenses.errors import ContentTokenGone, ContentTokenUnknown, StillUsed, TypedNameDiffers
from bot.licenses.facts import (
    AppLicences,
    Availability,
    ContentTokenCard,
    ContentTokenRow,
    ContentTokenView,
    JudgedLicences,
    StoredContentToken,
    ThresholdSet,
)
from bot.licenses.install import Installing
from bot.licenses.links import Links
from bot.settings import Settings

log = get_logger(__name__)

#: Names of the profiles that use a content token, as far as the actor may see them.
Uses = Callable[[str, Actor], Awaitable[Sequence[str]]]
AlertsClosed = Callable[[str], Awaitable[int]]

SHOWN_FOR = timedelta(days=30)
SHOWN_STEPS = 10


class LicenseService:
    """The room's service. `installing` stores content tokens, `links` are how they are handed over."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        audit: AuditService,
        backend: ContentBackend,
        leases: Leases,
        texts: BackendTexts,
        settings: Settings,
    ) -> None:
        self._books = Books(db=db, clock=clock, keyring=keyring, audit=audit, texts=texts, settings=settings)
        self._counting = Counting(self._books, backend, leases)
        self.installing = Installing(self._books, backend, self._counting)
        self.links = Links(self._books, self.installing)
        self.texts = texts
        self.clock = clock
        self.slash = settings.command
        self.company_portal_id = backend.company_portal_id
        self._history_days = settings.history_days
        self._uses: Uses | None = None
        self._alerts_closed: AlertsClosed | None = None

    def tell_uses(self, uses: Uses) -> None:
        """Take the function that names the profiles that use a content token; the rooms above know them."""
        self._uses = uses

    def tell_alerts(self, closed: AlertsClosed) -> None:
        """Take the function that ends a content token's alerts that no longer hold, and counts them."""
        self._alerts_closed = closed

    async def close_alerts(self, stored: StoredContentToken) -> StoredContentToken:
        """End the alerts that a stored content token has mended; returns it with how many those are."""
        if self._alerts_closed is None:
            return stored
        return replace(stored, alerts_closed=await self._alerts_closed(stored.content_token.id))

    async def uses(self, content_token_id: str, *, actor: Actor) -> Sequence[str]:
        """Return the names of the profiles that use a content token."""
        return await self._uses(content_token_id, actor) if self._uses else ()

    # Looking

    async def list_content_tokens(self, *, actor: Actor) -> list[ContentTokenView]:
        """Return the content tokens that the actor may see, by name."""
        actor.require(Role.VIEWER)
        async with self._books.db.read() as session:
            views = await self._books.views(session, await store.live_content_tokens(session))
        return [view for view in views if actor.rights.role_for(view.tags) >= Role.VIEWER]

    async def get(self, name: str, *, actor: Actor) -> ContentTokenView:
        """Return one by its name, whatever the case. Raises `ContentTokenUnknown` with the nearest name."""
        visible = await self.list_content_tokens(actor=actor)
        by_key = {rules.name_key(view.name): view for view in visible}
        if rules.name_key(name) in by_key:
            return by_key[rules.name_key(name)]
        near = nearest(rules.name_key(name), by_key)
        raise ContentTokenUnknown(
            name.strip()[:60],
            by_key[near].name if near else None,
            slash=self.slash,
            is_limited=not actor.rights.is_unlimited,
        )

    async def get_by_id(self, content_token_id: str, *, actor: Actor) -> ContentTokenView:
        """Return one by its id. Raises `ContentTokenGone` when removed or not to be seen by the actor."""
        actor.require(Role.VIEWER)
        async with self._books.db.read() as session:
            view = await self.get_in(session, content_token_id)
        if view is None or actor.rights.role_for(view.tags) < Role.VIEWER:
            raise ContentTokenGone
        return view

    async def get_in(self, session: AsyncSession, content_token_id: str) -> ContentTokenView | None:
        """Return one inside the caller's transaction, None when it was removed.

        The caller checks the right.
        """
        row = await store.live_content_token(session, content_token_id)
        return (await self._books.views(session, [row]))[0] if row else None

    async def all_tags_in(self, session: AsyncSession, ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the tags of content tokens, also of removed ones, inside the caller's transaction.

        Those without any are left out.
        """
        return await store.tags_of(session, ids)

    async def licences(self, *, actor: Actor) -> dict[str, list[AppLicences]]:
        """Return what each content token that the actor may see has, by its id, the scarcest first.

        Apps that a location no longer has are among them, with `is_listed` False.
        """
        views = await self.list_content_tokens(actor=actor)
        async with self._books.db.read() as session:
            return await self._books.licences(session, views)

    async def rows(self, *, actor: Actor) -> list[ContentTokenRow]:
        """Return the content tokens that the actor may see, those that need care first."""
        views = await self.list_content_tokens(actor=actor)
        async with self._books.db.read() as session:
            found = await self._books.licences(session, views)
        return rules.worst_first(rules.row_of(view, found[view.id]) for view in views)

    async def licences_in(self, session: AsyncSession, view: ContentTokenView) -> list[AppLicences]:
        """Return what one content token has inside the caller's transaction, the scarcest first."""
        return (await self._books.licences(session, [view]))[view.id]

    async def company_portal(self, content_token_id: str, *, actor: Actor) -> AppLicences | None:
        """Return the Company Portal app of a content token, None where the location does not have it.

        Raises `ContentTokenGone`.
        """
        view = await self.get_by_id(content_token_id, actor=actor)
        async with self._books.db.read() as session:
            found = await self.licences_in(session, view)
        return next(
            (each for each in found if each.app_id == self.company_portal_id and each.is_listed), None
        )

    async def below(
        self, *, actor: Actor, installed: Mapping[str, Collection[str]] | None = None
    ) -> list[JudgedLicences]:
        """Return the apps with too few licences, the watched ones first; see `rules.looked_at`."""
        views = await self.list_content_tokens(actor=actor)
        found = await self.looked_at(views, installed=installed or {})
        return [low for low in found if low.is_low]

    async def looked_at(
        self, views: Sequence[ContentTokenView], *, installed: Mapping[str, Collection[str]]
    ) -> list[JudgedLicences]:
        """Return what `below` does, and the apps that profiles install even where enough are left.

        The caller has got `views` by the right to see them.
        """
        async with self._books.db.read() as session:
            return await self._books.looked_at(session, views, installed=installed)

    async def given_since(self, app: AppLicences, moment: datetime) -> int:
        """Return how many more licences of an app are in use than at a moment, 0 where that is not known.

        The caller has checked the right to see it.
        """
        async with self._books.db.read() as session:
            before = await store.assigned_at(session, app.content_token_id, app.app_id, app.pricing, moment)
        return max(0, app.assigned - before) if before is not None else 0

    async def card(self, content_token_id: str, *, actor: Actor) -> ContentTokenCard:
        """Return a content token with its licences, what uses it, and how the scarce ones went."""
        view = await self.get_by_id(content_token_id, actor=actor)
        async with self._books.db.read() as session:
            found = [each for each in await self.licences_in(session, view) if each.is_listed]
            limited = [each.app_id for each in found if not each.is_unlimited]
            changes = await store.changes(session, content_token_id, app_ids=limited)
        now = self.clock.now()
        availability: dict[tuple[str, str], Availability] = {
            key: rules.availability(rows, now, length=SHOWN_FOR, steps=SHOWN_STEPS)
            for key, rows in changes.items()
        }
        return ContentTokenCard(view, found, availability, await self.uses(content_token_id, actor=actor))

    # Changing

    async def set_threshold(
        self,
        content_token_id: str,
        *,
        actor: Actor,
        typed: str,
        app: str | None = None,
        delivery: str | None = None,
    ) -> ThresholdSet:
        """Set below how many available licences an app is low, or all apps; `none` clears.

        Raises `ThresholdWrong`, `AppUnknown`, `AppAmbiguous`, `ContentTokenGone`.
        """
        after = rules.parse_threshold(typed)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, content_token_id, actor, locks=True)
            view = (await self._books.views(session, [held.row]))[0]
            found = None
            if app is not None:
                licences = await self.licences_in(session, view)
                found = rules.find_app(app, licences, name=view.name, slash=self.slash)
            before = await self._put_threshold(session, held, found, after)
            named = {"app": found.title, "app_id": found.app_id} if found else {}
            detail = {**named, "before": before, "after": after}
            await self._books.record(session, actor, "threshold_set", held.subject, detail)
            view = (await self._books.views(session, [await fresh(session, content_token_id)]))[0]
            if found is not None:
                licences = await self.licences_in(session, view)
                key = (found.app_id, found.pricing)
                found = next(each for each in licences if (each.app_id, each.pricing) == key)
        return ThresholdSet(view, found, before, after)

    async def _put_threshold(
        self, session: AsyncSession, held: Held, app: AppLicences | None, after: int | None
    ) -> int | None:
        """Store a threshold; return the one before."""
        if app is None:
            before = held.row.threshold
            await store.change(session, held.row.id, {"threshold": after})
            return before
        of_apps = await store.thresholds(session, [held.row.id])
        await store.put_threshold(session, held.row.id, app.app_id, after)
        return of_apps.get((held.row.id, app.app_id))

    async def refuse_used(self, content_token_id: str, *, actor: Actor) -> None:
        """Raise `StillUsed` while profiles use a content token."""
        view = await self.get_by_id(content_token_id, actor=actor)
        uses = await self.uses(content_token_id, actor=actor)
        if uses:
            raise StillUsed(view.name, uses)

    async def remove(
        self, content_token_id: str, *, actor: Actor, typed_name: str, delivery: str | None = None
    ) -> ContentTokenView:
        """Delete the secret at once and mark the content token removed. Returns it as it was.

        Raises `TypedNameDiffers`, and `StillUsed` while profiles use it.
        """
        await self.refuse_used(content_token_id, actor=actor)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, content_token_id, actor, locks=True)
            if typed_name.strip() != held.row.name:
                raise TypedNameDiffers(held.row.name)
            view = (await self._books.views(session, [held.row]))[0]
            removed = {"removed_at": self.clock.now(), "removed_by": actor.id}
            await store.change(session, content_token_id, removed)
            await store.drop_secret(session, content_token_id)
            detail = {"location": view.location_name, "expires_at": iso(view.expires_at)}
            await self._books.record(session, actor, "removed", held.subject, detail)
        return view

    # Reading the counts

    async def sync(
        self, content_token_id: str, *, actor: Actor, delivery: str | None = None
    ) -> ContentTokenView:
        """Read the counts now; the view says how that went. Raises `LeaseTaken` while they are being read."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, content_token_id, actor, role=Role.OPERATOR)
            # Should this process end before the answer comes, the job reads them.
            await store.change(session, content_token_id, {"due_at": self.clock.now()})
            await self._books.record(session, actor, "sync_asked", held.subject, {})
        await self._counting.refresh(content_token_id)
        return await self.get_by_id(content_token_id, actor=actor)

    async def due(self) -> Sequence[str]:
        """Return the content tokens whose counts are due, the longest overdue first."""
        async with self._books.db.read() as session:
            return await store.due(session, self.clock.now())

    async def count(self, content_token_id: str) -> None:
        """Read the counts of one content token, unless somebody else does."""
        try:
            await self._counting.refresh(content_token_id)
        except LeaseTaken:
            log.info("licences are being counted already", content_token=content_token_id)

    async def forget_old(self) -> None:
        """Delete history that is older than the settings keep, and links that are too old."""
        before = self.clock.now() - timedelta(days=self._history_days)
        async with self._books.db.begin() as session:
            await store.forget_changes(session, before=before)
        await self.links.sweep()
