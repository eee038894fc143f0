"""The rows of alerts and digests: every statement, none of which commits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.alerts.models import Alert, AlertDigest
from bot.kit.db import insert_ignoring

#: What orders the numbers of alerts.
_LOCK = 7_204_313


async def lock(session: AsyncSession) -> None:
    """Let one transaction at a time open and end alerts. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def next_number(session: AsyncSession) -> int:
    """Return the number of the next alert; the caller holds the lock."""
    newest = (await session.execute(sa.select(sa.func.max(col(Alert.number))))).scalar_one_or_none()
    return (newest or 0) + 1


async def open_alerts(session: AsyncSession) -> Sequence[Alert]:
    """Return the open alerts, by number."""
    query = sa.select(Alert).where(col(Alert.resolved_at).is_(None)).order_by(col(Alert.number))
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def was_resolved_since(session: AsyncSession, kind: str, subject: str, moment: datetime) -> bool:
    """Say whether an alert of this kind and subject ended at or after a moment."""
    found = await session.execute(
        sa.select(col(Alert.id))
        .where(col(Alert.kind) == kind, col(Alert.subject) == subject, col(Alert.resolved_at) >= moment)
        .limit(1)
    )
    return found.first() is not None


async def insert(session: AsyncSession, row: Mapping[str, Any]) -> bool:
    """Insert an alert unless one is open of its kind and subject. Returns whether it was inserted."""
    return await insert_ignoring(session, Alert, row)


async def one(session: AsyncSession, alert_id: str) -> Alert | None:
    query = sa.select(Alert).where(col(Alert.id) == alert_id)
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def numbered(session: AsyncSession, number: int) -> Alert | None:
    return (await session.scalars(sa.select(Alert).where(col(Alert.number) == number))).one_or_none()


async def put(session: AsyncSession, alert_id: str, values: Mapping[str, Any]) -> None:
    await session.execute(sa.update(Alert).where(col(Alert.id) == alert_id).values(**values))


async def change_open(session: AsyncSession, alert_id: str, values: Mapping[str, Any]) -> bool:
    """Write columns of an alert that is open. Returns whether it was."""
    done = await session.execute(
        sa.update(Alert)
        .where(col(Alert.id) == alert_id, col(Alert.resolved_at).is_(None))
        .values(**values)
        .returning(col(Alert.id))
    )
    return done.first() is not None


async def untold(session: AsyncSession, *, now: datetime) -> Sequence[Alert]:
    """Return the alerts of which something may be to be told now, the worst first."""
    is_owed = sa.or_(
        col(Alert.resolved_at).is_(None),
        col(Alert.attempt).is_not(None),
        sa.and_(
            col(Alert.message_ts).is_not(None),
            sa.or_(col(Alert.resolution_told_at).is_(None), col(Alert.shown) < col(Alert.version)),
        ),
    )
    query = (
        sa.select(Alert)
        .where(is_owed, sa.or_(col(Alert.try_at).is_(None), col(Alert.try_at) <= now))
        .order_by(col(Alert.level).desc(), col(Alert.number))
    )
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def make_digest(session: AsyncSession, channel: str, day: str, now: datetime) -> bool:
    row = {"channel": channel, "day": day, "made_at": now, "attempted": False, "is_silent": False}
    return await insert_ignoring(session, AlertDigest, row | {"tries": 0, "admins_told": False})


async def digest(session: AsyncSession, channel: str, day: str) -> AlertDigest | None:
    query = sa.select(AlertDigest).where(col(AlertDigest.channel) == channel, col(AlertDigest.day) == day)
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def told_digest_before(session: AsyncSession, channel: str, day: str) -> AlertDigest | None:
    """Return the newest digest of a channel before a day that was told, or had nothing to say."""
    query = (
        sa.select(AlertDigest)
        .where(
            col(AlertDigest.channel) == channel,
            col(AlertDigest.day) < day,
            col(AlertDigest.posted_at).is_not(None),
        )
        .order_by(col(AlertDigest.day).desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def was_told_from(session: AsyncSession, channel: str, day: str) -> bool:
    """Say whether a channel was told something by a digest of this day or a later one."""
    query = sa.select(sa.literal(1)).where(
        col(AlertDigest.channel) == channel,
        col(AlertDigest.day) >= day,
        col(AlertDigest.posted_at).is_not(None),
        col(AlertDigest.is_silent).is_(False),
    )
    return (await session.execute(query.limit(1))).first() is not None


async def put_digest(session: AsyncSession, channel: str, day: str, values: Mapping[str, Any]) -> None:
    await session.execute(
        sa.update(AlertDigest)
        .where(col(AlertDigest.channel) == channel, col(AlertDigest.day) == day)
        .values(**values)
    )
