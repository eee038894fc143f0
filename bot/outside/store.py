"""Rows of events and of the place in the audit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from bot.kit.db import insert_ignoring
from bot.outside.models import AuditPosition, CalendarLink, OutsideEvent

_ONE = 1


async def lock_position(session: AsyncSession, *, start: int) -> int:
    """Return how far the audit was followed; nobody else follows it before we commit."""
    await insert_ignoring(session, AuditPosition, {"id": _ONE, "number": start})
    query = sa.select(col(AuditPosition.number)).where(col(AuditPosition.id) == _ONE).with_for_update()
    return (await session.execute(query)).scalar_one()


async def position(session: AsyncSession) -> int | None:
    """Return how far the audit was followed, None when it never was."""
    query = sa.select(col(AuditPosition.number)).where(col(AuditPosition.id) == _ONE)
    return (await session.execute(query)).scalar_one_or_none()


async def move_position(session: AsyncSession, number: int) -> None:
    moved = sa.update(AuditPosition).where(col(AuditPosition.id) == _ONE).values(number=number)
    await session.execute(moved)


async def due(session: AsyncSession, now: datetime, *, limit: int) -> Sequence[OutsideEvent]:
    """Return events that are to be told now: of each subject the oldest that waits."""
    earlier = aliased(OutsideEvent)
    is_behind = sa.exists().where(
        col(earlier.subject) == col(OutsideEvent.subject),
        col(earlier.number) < col(OutsideEvent.number),
        col(earlier.ended_at).is_(None),
    )
    query = (
        sa.select(OutsideEvent)
        .where(col(OutsideEvent.ended_at).is_(None), col(OutsideEvent.due_at) <= now, ~is_behind)
        .order_by(col(OutsideEvent.due_at), col(OutsideEvent.number))
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def change(session: AsyncSession, number: int, values: dict[str, Any]) -> None:
    await session.execute(sa.update(OutsideEvent).where(col(OutsideEvent.number) == number).values(**values))


async def forget(session: AsyncSession, *, before: datetime) -> None:
    """Delete events that ended before."""
    await session.execute(sa.delete(OutsideEvent).where(col(OutsideEvent.ended_at) < before))


async def link_of(session: AsyncSession, digest: str) -> CalendarLink | None:
    query = sa.select(CalendarLink).where(col(CalendarLink.digest) == digest)
    return (await session.scalars(query)).one_or_none()


async def count_links(session: AsyncSession, user_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(CalendarLink).where(col(CalendarLink.user_id) == user_id)
    return (await session.execute(query)).scalar_one()


async def drop_links(session: AsyncSession, user_id: str) -> int:
    """Delete every link of a person. Returns how many there were."""
    dropped = sa.delete(CalendarLink).where(col(CalendarLink.user_id) == user_id)
    return len((await session.execute(dropped.returning(col(CalendarLink.id)))).all())


async def note_read(session: AsyncSession, link_id: str, now: datetime) -> None:
    await session.execute(sa.update(CalendarLink).where(col(CalendarLink.id) == link_id).values(read_at=now))
