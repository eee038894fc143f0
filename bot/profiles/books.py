"""What every act on profiles shares: loading, showing, claiming and recording."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import EnrollmentBackend
from bot.backend.profile import ProfileBody, ProfileSettings
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.once import claim_once
from bot.profiles import store
from bot.profiles.errors import DeliveredAgain, ProfileGone, ProfileNameTaken, TooManyProfiles
from bot.profiles.facts import ProfileView, VersionView
from bot.profiles.models import Profile, ProfileVersion
from bot.profiles.rules import name_key
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService


class Books:
    """The rows of profiles behind their rules, for one database. Holds no state of its own."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        audit: AuditService,
        backend: EnrollmentBackend,
        tokens: TokenService,
        settings: Settings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.backend = backend
        self.tokens = tokens
        self.texts = backend.texts
        self.slash = settings.command
        self.limit = settings.max_profiles_per_token
        self._audit = audit

    async def seen(self, actor: Actor) -> Mapping[str, TokenView]:
        """Return the tokens that the actor may see, by id.

        Read before a transaction, not inside one: whoever holds a connection and waits for a second one
        may wait for others who do the same.
        """
        return {token.id: token for token in await self.tokens.list_tokens(actor=actor)}

    async def visible(self, actor: Actor, token_ids: Collection[str] | None = None) -> list[ProfileView]:
        """Return the profiles of the tokens that the actor may see, by name and then by token."""
        tokens = await self.seen(actor)
        wanted = [each for each in tokens if token_ids is None or each in token_ids]
        async with self.db.read() as session:
            rows = await store.live(session, wanted)
        views = [view(profile, version, tokens[profile.token_id]) for profile, version in rows]
        return sorted(views, key=lambda each: (name_key(each.name), name_key(each.token_name)))

    async def one(
        self,
        session: AsyncSession,
        profile_id: str,
        actor: Actor,
        *,
        seen: Mapping[str, TokenView],
        role: Role,
        locks: bool = False,
    ) -> tuple[ProfileView, ProfileVersion]:
        """Load a profile of a token `seen`, for a role for it. Raises `ProfileGone`, `NotAllowed`."""
        actor.require(Role.VIEWER)
        row = await store.live_one(session, profile_id, locks=locks)
        token = seen.get(row[0].token_id) if row else None
        if row is None or token is None:
            raise ProfileGone
        actor.require(role, tags=token.tags)
        return view(*row, token), row[1]

    async def require_room(
        self, session: AsyncSession, token: TokenView, name: str, *, but: str | None
    ) -> None:
        """Refuse a name that is taken, and a profile more than a token may have."""
        taken = await store.named(session, token.id, name_key(name))
        if taken is not None and taken.id != but:
            raise ProfileNameTaken(taken.name, token.name)
        if but is None:
            await self.require_another(session, token)

    async def require_another(self, session: AsyncSession, token: TokenView) -> None:
        """Raise `TooManyProfiles` where a token has as many profiles as it may."""
        if await store.count(session, token.id) >= self.limit:
            raise TooManyProfiles(token.name, self.limit)

    def body(self, settings: ProfileSettings, token: TokenView) -> ProfileBody:
        """Return a profile in the service's keys, with what it has from its token."""
        return self.backend.profile_body(settings, mdm_url=token.mdm_url or "", org_magic=org_magic(token.id))

    async def claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        profile: Profile,
        token: TokenView,
        detail: Mapping[str, Any],
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="profile",
            subject_id=profile.id,
            subject_name=f"{token.name}/{profile.name}",
            tags=token.tags,
            detail=detail,
        )

    async def record_of_token(
        self, session: AsyncSession, actor: Actor, action: str, token: TokenView, detail: Mapping[str, Any]
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="token",
            subject_id=token.id,
            subject_name=token.name,
            tags=token.tags,
            detail=detail,
        )


def org_magic(token_id: str) -> str:
    """Return what ties the profiles of a token together: a UUID made once, with the token."""
    return str(uuid.UUID(token_id)).upper()


def is_name_taken(error: IntegrityError) -> bool:
    """Say whether two people at once ran into the unique name. SQLite names columns, PostgreSQL the index."""
    return any(word in str(error.orig) for word in ("profile.name_key", "uq_profile_live_name"))


def settings_of(version: ProfileVersion) -> ProfileSettings:
    return msgspec.convert(version.settings, ProfileSettings, strict=False)


def packed(settings: ProfileSettings) -> dict[str, Any]:
    """Return settings as JSON values."""
    made: dict[str, Any] = msgspec.to_builtins(settings)
    return made


def view(profile: Profile, version: ProfileVersion, token: TokenView) -> ProfileView:
    return ProfileView(
        id=profile.id,
        token_id=profile.token_id,
        token_name=token.name,
        tags=token.tags,
        name=profile.name,
        version=version.number,
        profile_uuid=version.profile_uuid,
        settings=settings_of(version),
        wire=version.body,
        is_adopted=profile.is_adopted,
        created_by=profile.created_by,
        created_at=profile.created_at,
        defined_by=version.defined_by,
        defined_at=version.defined_at,
        read_at=version.read_at,
    )


def version_view(shown: ProfileView, version: ProfileVersion) -> VersionView:
    return VersionView(
        profile=shown,
        number=version.number,
        profile_uuid=version.profile_uuid,
        settings=settings_of(version),
        wire=version.body,
        defined_by=version.defined_by,
        defined_at=version.defined_at,
    )
