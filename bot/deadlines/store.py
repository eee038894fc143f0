"""Rows of dates to watch."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.deadlines.models import Deadline


async def every(session: AsyncSession) -> Sequence[Deadline]:
    """Return all of them, the soonest first."""
    query = sa.select(Deadline).order_by(col(Deadline.at), col(Deadline.name_key))
    return (await session.scalars(query)).all()


async def named(session: AsyncSession, name_key: str) -> Deadline | None:
    """Return the one of a name, which nobody else changes before we commit."""
    query = sa.select(Deadline).where(col(Deadline.name_key) == name_key).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def tags_of(session: AsyncSession, ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the tags of those of them that are still there."""
    query = sa.select(col(Deadline.id), col(Deadline.tags)).where(col(Deadline.id).in_(list(ids)))
    return {each: frozenset(tags) for each, tags in await session.execute(query)}


async def count(session: AsyncSession) -> int:
    return (await session.execute(sa.select(sa.func.count()).select_from(Deadline))).scalar_one()
