"""Rows of what was granted, and of API tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.access.facts import ApiTokenView, Granted
from bot.access.models import ApiToken, RoleGrant, SubjectKind
from bot.kit.actor import Role
from bot.kit.db import insert_ignoring


async def grants(session: AsyncSession, *, locks: bool = False) -> list[Granted]:
    """Return all grants, the highest roles first; with `locks` nobody changes one before we commit."""
    query = sa.select(RoleGrant).order_by(col(RoleGrant.subject), col(RoleGrant.role))
    rows: Sequence[RoleGrant] = (await session.scalars(query.with_for_update() if locks else query)).all()
    found = [_granted(row) for row in rows]
    return sorted(found, key=lambda each: (-each.role, each.kind, each.subject))


async def put(session: AsyncSession, granted: Granted) -> None:
    """Store a grant over the one of the same subject and role."""
    values = {
        "kind": granted.kind.value,
        "tags": None if granted.tags is None else sorted(granted.tags),
        "granted_by": granted.granted_by,
        "granted_at": granted.granted_at,
    }
    key = {"subject": granted.subject, "role": granted.role.word}
    if not await insert_ignoring(session, RoleGrant, key | values):
        await session.execute(sa.update(RoleGrant).where(_is(granted)).values(values))


async def drop(session: AsyncSession, granted: Granted) -> None:
    await session.execute(sa.delete(RoleGrant).where(_is(granted)))


def _is(granted: Granted) -> sa.ColumnElement[bool]:
    return sa.and_(col(RoleGrant.subject) == granted.subject, col(RoleGrant.role) == granted.role.word)


def _granted(row: RoleGrant) -> Granted:
    return Granted(
        subject=row.subject,
        kind=SubjectKind(row.kind),
        role=Role[row.role.upper()],
        tags=None if row.tags is None else frozenset(row.tags),
        granted_by=row.granted_by,
        granted_at=row.granted_at,
    )


async def add_api_token(session: AsyncSession, token: ApiTokenView, *, name_key: str, digest: str) -> bool:
    """Store a new API token. Returns False where a live one has its name."""
    row = {
        "id": token.id,
        "name": token.name,
        "name_key": name_key,
        "digest": digest,
        "tags": None if token.tags is None else sorted(token.tags),
        "made_at": token.made_at,
    }
    return await insert_ignoring(session, ApiToken, row)


async def api_tokens(session: AsyncSession) -> list[ApiTokenView]:
    """Return every API token: those in use by name, then the revoked ones, the last revoked first."""
    found = [_api_token(row) for row in (await session.scalars(sa.select(ApiToken))).all()]
    live = [each for each in found if each.revoked_at is None]
    revoked = [(each.revoked_at, each) for each in found if each.revoked_at is not None]
    newest_first = sorted(revoked, key=lambda pair: pair[0], reverse=True)
    return [*sorted(live, key=lambda each: each.name.lower()), *(each for _, each in newest_first)]


async def api_token_of(session: AsyncSession, digest: str) -> tuple[ApiTokenView, str] | None:
    """Return the API token with this digest, and the digest as stored."""
    row = (await session.scalars(sa.select(ApiToken).where(col(ApiToken.digest) == digest))).one_or_none()
    return None if row is None else (_api_token(row), row.digest)


async def note_api_token_used(
    session: AsyncSession, token_id: str, *, now: datetime, at_most_every: timedelta
) -> None:
    last = col(ApiToken.last_used_at)
    is_due = sa.or_(last.is_(None), last <= now - at_most_every)
    await session.execute(
        sa.update(ApiToken).where(col(ApiToken.id) == token_id, is_due).values(last_used_at=now)
    )


async def revoke_api_token(session: AsyncSession, token_id: str, *, now: datetime) -> bool:
    """Returns False where it was revoked before."""
    revoked = (
        sa.update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
        .returning(col(ApiToken.id))
    )
    return (await session.execute(revoked)).first() is not None


def _api_token(row: ApiToken) -> ApiTokenView:
    return ApiTokenView(
        id=row.id,
        name=row.name,
        tags=None if row.tags is None else frozenset(row.tags),
        made_at=row.made_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
