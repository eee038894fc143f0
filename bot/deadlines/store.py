"""Rows of dates to watch."""

from collections.abc import Sequence

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


async def count(session: AsyncSession) -> int:
    return (await session.execute(sa.select(sa.func.count()).select_from(Deadline))).scalar_one()
