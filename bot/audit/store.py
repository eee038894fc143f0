"""Rows of the audit."""

from collections.abc import AsyncIterator, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.audit.models import BEGINNING, AuditEntry, AuditHead
from bot.kit.db import insert_ignoring

_HEAD = 1
_PAGE = 500


async def lock_head(session: AsyncSession) -> AuditHead:
    """Return the end of the chain, locked until the transaction ends: entries are written one by one."""
    await insert_ignoring(session, AuditHead, {"id": _HEAD, "number": 0, "mac": BEGINNING})
    query = sa.select(AuditHead).where(col(AuditHead.id) == _HEAD).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one()


async def head(session: AsyncSession) -> AuditHead | None:
    return await session.get(AuditHead, _HEAD)


async def entries(session: AsyncSession) -> AsyncIterator[AuditEntry]:
    """Yield all entries, oldest first, a page at a time: a reader that gives up leaves no cursor open."""
    after = 0
    while page := await _page(session, after=after):
        for entry in page:
            yield entry
        after = page[-1].number


async def _page(session: AsyncSession, *, after: int) -> Sequence[AuditEntry]:
    query = sa.select(AuditEntry).where(col(AuditEntry.number) > after).order_by(col(AuditEntry.number))
    return (await session.execute(query.limit(_PAGE))).scalars().all()


async def newest(session: AsyncSession, *, limit: int) -> list[AuditEntry]:
    query = sa.select(AuditEntry).order_by(col(AuditEntry.number).desc()).limit(limit)
    return list((await session.execute(query)).scalars())
