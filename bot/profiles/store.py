"""The rows of profiles: every statement, none of which commits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.kit.db import insert_ignoring
from bot.profiles.models import (
    DefaultProfile,
    DraftState,
    Profile,
    ProfileDraft,
    ProfileVersion,
    UnknownUuid,
)

Row = tuple[Profile, ProfileVersion]

#: What orders those who count the profiles of a token.
_LOCK = 7_204_313


async def live(session: AsyncSession, token_ids: Collection[str] | None = None) -> list[Row]:
    """Return the profiles of tokens (None: of all) that are not removed, each with its version in force."""
    query = (
        sa.select(Profile, ProfileVersion)
        .join(ProfileVersion, _is_current())
        .where(col(Profile.removed_at).is_(None))
        .order_by(col(Profile.name_key), col(Profile.id))
    )
    if token_ids is not None:
        query = query.where(col(Profile.token_id).in_(list(token_ids)))
    return [(profile, version) for profile, version in await session.execute(query)]


async def live_one(session: AsyncSession, profile_id: str, *, locks: bool = False) -> Row | None:
    """Return a profile that is not removed; with `locks` nobody changes it before we commit."""
    query = sa.select(Profile).where(col(Profile.id) == profile_id, col(Profile.removed_at).is_(None))
    if locks:
        query = query.with_for_update().execution_options(populate_existing=True)
    profile = (await session.scalars(query)).one_or_none()
    if profile is None:
        return None
    version = await session.get(ProfileVersion, (profile.id, profile.version))
    return (profile, version) if version is not None else None


async def keep(session: AsyncSession, profile_id: str) -> None:
    """Share the row that an edit and a deletion write: they wait until we commit, and we for them."""
    await session.execute(
        sa.select(col(Profile.version)).where(col(Profile.id) == profile_id).with_for_update(read=True)
    )


async def versions(session: AsyncSession, profile_id: str) -> Sequence[ProfileVersion]:
    """Return all versions of a profile, the newest first."""
    found = await session.scalars(
        sa.select(ProfileVersion)
        .where(col(ProfileVersion.profile_id) == profile_id)
        .order_by(col(ProfileVersion.number).desc())
    )
    return found.all()


async def by_uuid(session: AsyncSession, uuids: Collection[str]) -> list[Row]:
    """Return the versions that the service knows by these UUIDs, also of removed profiles.

    Where several have one UUID, the one that is in use and the newest comes last.
    """
    query = (
        sa.select(Profile, ProfileVersion)
        .join(ProfileVersion, col(ProfileVersion.profile_id) == col(Profile.id))
        .where(col(ProfileVersion.profile_uuid).in_(list(uuids)))
        .order_by(col(Profile.removed_at).is_(None), col(Profile.created_at), col(Profile.id))
    )
    return [(profile, version) for profile, version in await session.execute(query)]


async def naming_content(session: AsyncSession) -> list[tuple[Profile, str, Any, bool]]:
    """Return profile, UUID, settings and being in force of each version that names a content token.

    The database picks them, since few do: settings are large, and all of them are read for nothing.
    """
    settings = col(ProfileVersion.settings)
    in_force = sa.and_(_is_current(), col(Profile.removed_at).is_(None))
    query = (
        sa.select(Profile, col(ProfileVersion.profile_uuid), settings, in_force)
        .join(ProfileVersion, col(ProfileVersion.profile_id) == col(Profile.id))
        .where(settings["content_token"].as_string().is_not(None))
        .order_by(col(Profile.name_key), col(Profile.id), col(ProfileVersion.number))
    )
    rows = await session.execute(query)
    return [(profile, uuid, kept, bool(holds)) for profile, uuid, kept, holds in rows]


async def uuids_of(session: AsyncSession, profile_ids: Collection[str]) -> dict[str, list[str]]:
    """Return the UUIDs of all versions of each profile."""
    query = sa.select(col(ProfileVersion.profile_id), col(ProfileVersion.profile_uuid)).where(
        col(ProfileVersion.profile_id).in_(list(profile_ids))
    )
    found: dict[str, list[str]] = {profile_id: [] for profile_id in profile_ids}
    for profile_id, profile_uuid in await session.execute(query):
        found[profile_id].append(profile_uuid)
    return found


async def named(session: AsyncSession, token_id: str, name_key: str) -> Profile | None:
    found = await session.scalars(
        sa.select(Profile).where(
            col(Profile.token_id) == token_id,
            col(Profile.name_key) == name_key,
            col(Profile.removed_at).is_(None),
        )
    )
    return found.one_or_none()


async def count(session: AsyncSession, token_id: str) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(Profile)
        .where(col(Profile.token_id) == token_id, col(Profile.removed_at).is_(None))
    )
    return int((await session.execute(query)).scalar_one())


async def counts(session: AsyncSession) -> dict[str, int]:
    """Return how many profiles each token has that has any."""
    query = (
        sa.select(col(Profile.token_id), sa.func.count())
        .where(col(Profile.removed_at).is_(None))
        .group_by(col(Profile.token_id))
    )
    return {token_id: count for token_id, count in await session.execute(query)}


async def lock(session: AsyncSession) -> None:
    """Let one transaction at a time count the profiles of a token. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def note_read(
    session: AsyncSession, profile_id: str, number: int, *, now: datetime, unless_since: datetime
) -> None:
    """Note that a version was read now, unless that was noted since then."""
    await session.execute(
        sa.update(ProfileVersion)
        .where(
            col(ProfileVersion.profile_id) == profile_id,
            col(ProfileVersion.number) == number,
            col(ProfileVersion.read_at).is_(None) | (col(ProfileVersion.read_at) <= unless_since),
        )
        .values(read_at=now)
    )


async def change_profile(session: AsyncSession, profile_id: str, values: Mapping[str, Any]) -> None:
    await session.execute(sa.update(Profile).where(col(Profile.id) == profile_id).values(**values))


async def add_version(
    session: AsyncSession, version: ProfileVersion, *, name: str, name_key: str, seen_version: int
) -> bool:
    """Put a version in force, unless another one was since `seen_version`. Returns whether it was."""
    done = await session.execute(
        sa.update(Profile)
        .where(
            col(Profile.id) == version.profile_id,
            col(Profile.version) == seen_version,
            col(Profile.removed_at).is_(None),
        )
        .values(version=version.number, name=name, name_key=name_key)
        .returning(sa.literal(1))
    )
    if done.first() is None:
        return False
    session.add(version)
    await session.flush()
    return True


async def remove_all(session: AsyncSession, token_id: str, values: Mapping[str, Any]) -> int:
    """Mark the profiles of a token removed. Returns how many there were."""
    done = await session.execute(
        sa.update(Profile)
        .where(col(Profile.token_id) == token_id, col(Profile.removed_at).is_(None))
        .values(**values)
        .returning(sa.literal(1))
    )
    return len(done.all())


async def defaults(
    session: AsyncSession, token_ids: Collection[str] | None = None, *, profile_id: str | None = None
) -> list[tuple[DefaultProfile, Profile, ProfileVersion]]:
    """Return the defaults of tokens (None: of all), or those that one profile is, with their profiles."""
    query = (
        sa.select(DefaultProfile, Profile, ProfileVersion)
        .join(Profile, col(Profile.id) == col(DefaultProfile.profile_id))
        .join(ProfileVersion, _is_current())
        .where(col(Profile.removed_at).is_(None))
        .order_by(col(DefaultProfile.token_id), col(DefaultProfile.platform))
    )
    if token_ids is not None:
        query = query.where(col(DefaultProfile.token_id).in_(list(token_ids)))
    if profile_id is not None:
        query = query.where(col(DefaultProfile.profile_id) == profile_id)
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def drop_defaults(
    session: AsyncSession, token_id: str, platforms: Collection[str] | None = None
) -> None:
    """Take away the defaults of a token for these platforms (None: all)."""
    query = sa.delete(DefaultProfile).where(col(DefaultProfile.token_id) == token_id)
    if platforms is not None:
        query = query.where(col(DefaultProfile.platform).in_(list(platforms)))
    await session.execute(query)


async def unknown_uuids(session: AsyncSession, token_id: str) -> set[str]:
    found = await session.scalars(
        sa.select(col(UnknownUuid.profile_uuid)).where(col(UnknownUuid.token_id) == token_id)
    )
    return set(found)


async def note_unknown(session: AsyncSession, token_id: str, profile_uuid: str, now: datetime) -> None:
    row = {"token_id": token_id, "profile_uuid": profile_uuid, "asked_at": now}
    await insert_ignoring(session, UnknownUuid, row)


async def draft(session: AsyncSession, draft_id: str, person: str) -> ProfileDraft | None:
    """Return a draft of this person that is not spent."""
    found = await session.scalars(
        sa.select(ProfileDraft)
        .where(
            col(ProfileDraft.id) == draft_id,
            col(ProfileDraft.person) == person,
            col(ProfileDraft.state) != DraftState.DONE.value,
        )
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def open_drafts(
    session: AsyncSession, *, since: datetime, profile_id: str | None, person: str | None = None
) -> Sequence[ProfileDraft]:
    """Return drafts changed since then of a profile (None: of new ones), the newest first."""
    is_of = (
        col(ProfileDraft.profile_id).is_(None)
        if profile_id is None
        else col(ProfileDraft.profile_id) == profile_id
    )
    query = (
        sa.select(ProfileDraft)
        .where(is_of, col(ProfileDraft.changed_at) > since, col(ProfileDraft.state) != DraftState.DONE.value)
        .order_by(col(ProfileDraft.changed_at).desc())
    )
    if person is not None:
        query = query.where(col(ProfileDraft.person) == person)
    return (await session.scalars(query)).all()


async def change_draft(
    session: AsyncSession,
    draft_id: str,
    values: Mapping[str, Any],
    *,
    state: DraftState,
    revision: int | None = None,
) -> bool:
    """Change a draft that is in `state`, and still at `revision` if given. Returns whether it was."""
    query = sa.update(ProfileDraft).where(
        col(ProfileDraft.id) == draft_id, col(ProfileDraft.state) == state.value
    )
    if revision is not None:
        query = query.where(col(ProfileDraft.revision) == revision)
    done = await session.execute(query.values(**values).returning(sa.literal(1)))
    return done.first() is not None


async def drop_drafts(session: AsyncSession, *, before: datetime) -> int:
    """Delete drafts last changed before then. Returns how many."""
    done = await session.execute(
        sa.delete(ProfileDraft).where(col(ProfileDraft.changed_at) < before).returning(sa.literal(1))
    )
    return len(done.all())


def _is_current() -> sa.ColumnElement[bool]:
    return sa.and_(
        col(ProfileVersion.profile_id) == col(Profile.id), col(ProfileVersion.number) == col(Profile.version)
    )
