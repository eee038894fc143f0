"""Rows of what was granted."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.access.facts import Granted
from bot.access.models import RoleGrant, SubjectKind
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
