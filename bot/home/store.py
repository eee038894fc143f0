"""The rows of who opened the Home tab: every statement, none of which commits."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.home.models import HomeReader
from bot.kit.db import insert_ignoring


async def note_opened(session: AsyncSession, user_id: str, *, fingerprint: str, now: datetime) -> None:
    values = {"opened_at": now, "shown_at": now, "fingerprint": fingerprint}
    if not await insert_ignoring(session, HomeReader, {"user_id": user_id, **values}):
        await session.execute(
            sa.update(HomeReader).where(col(HomeReader.user_id) == user_id).values(**values)
        )


async def note_shown(session: AsyncSession, user_id: str, *, fingerprint: str, now: datetime) -> None:
    """Note what somebody sees now. Who is not here any more does not come back by that."""
    query = sa.update(HomeReader).where(col(HomeReader.user_id) == user_id)
    await session.execute(query.values(fingerprint=fingerprint, shown_at=now))


async def readers(session: AsyncSession, *, since: datetime, most: int) -> Sequence[HomeReader]:
    """Return who opened the tab since then, at most the `most` newest; who waits longest comes first."""
    newest = (
        sa.select(col(HomeReader.user_id))
        .where(col(HomeReader.opened_at) >= since)
        .order_by(col(HomeReader.opened_at).desc(), col(HomeReader.user_id))
        .limit(most)
    )
    query = sa.select(HomeReader).where(col(HomeReader.user_id).in_(newest))
    return (await session.scalars(query.order_by(col(HomeReader.shown_at), col(HomeReader.user_id)))).all()


async def forget(session: AsyncSession, user_id: str) -> None:
    await session.execute(sa.delete(HomeReader).where(col(HomeReader.user_id) == user_id))


async def forget_before(session: AsyncSession, moment: datetime) -> None:
    await session.execute(sa.delete(HomeReader).where(col(HomeReader.opened_at) < moment))
