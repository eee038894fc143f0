"""The rows of content tokens and licences: every statement, none of which commits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from bot.licenses.models import (
    AppThreshold,
    ContentToken,
    ContentTokenSecret,
    ContentTokenTag,
    LicenceChange,
    LicenceCountRow,
    UploadLink,
)


async def live_content_tokens(session: AsyncSession) -> Sequence[ContentToken]:
    """Return all content tokens that are not removed, by name."""
    query = sa.select(ContentToken).where(col(ContentToken.removed_at).is_(None))
    found = await session.scalars(query.order_by(col(ContentToken.name_key), col(ContentToken.id)))
    return found.all()


async def live_content_token(
    session: AsyncSession, content_token_id: str, *, locks: bool = False
) -> ContentToken | None:
    """Return one that is not removed; with `locks` nobody changes or removes it before we commit."""
    query = sa.select(ContentToken).where(
        col(ContentToken.id) == content_token_id, col(ContentToken.removed_at).is_(None)
    )
    if locks:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def named(session: AsyncSession, name_key: str) -> ContentToken | None:
    query = sa.select(ContentToken).where(
        col(ContentToken.name_key) == name_key, col(ContentToken.removed_at).is_(None)
    )
    return (await session.scalars(query)).one_or_none()


async def of_location(session: AsyncSession, location_id: str, *, but: str = "") -> ContentToken | None:
    """Return the live content token of a location, unless it is `but`."""
    query = sa.select(ContentToken).where(
        col(ContentToken.location_id) == location_id,
        col(ContentToken.removed_at).is_(None),
        col(ContentToken.id) != but,
    )
    return (await session.scalars(query)).one_or_none()


async def due(session: AsyncSession, now: datetime) -> Sequence[str]:
    """Return the content tokens whose counts are due, the longest overdue first."""
    query = (
        sa.select(col(ContentToken.id))
        .where(col(ContentToken.removed_at).is_(None), col(ContentToken.due_at) <= now)
        .order_by(col(ContentToken.due_at), col(ContentToken.id))
    )
    return (await session.scalars(query)).all()


async def change(
    session: AsyncSession,
    content_token_id: str,
    values: Mapping[str, Any],
    *,
    seen_version: int | None = None,
) -> bool:
    """Write columns of a content token that is not removed; False where there is none.

    With `seen_version` only while its secret is the one that was seen.
    """
    query = sa.update(ContentToken).where(
        col(ContentToken.id) == content_token_id, col(ContentToken.removed_at).is_(None)
    )
    if seen_version is not None:
        query = query.where(col(ContentToken.secret_version) == seen_version)
    done = await session.execute(query.values(**values).returning(col(ContentToken.id)))
    return done.first() is not None


async def tags_of(session: AsyncSession, ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the tags per content token; those without any are left out."""
    query = sa.select(col(ContentTokenTag.content_token_id), col(ContentTokenTag.tag)).where(
        col(ContentTokenTag.content_token_id).in_(list(ids))
    )
    tags: dict[str, set[str]] = {}
    for content_token_id, tag in await session.execute(query):
        tags.setdefault(content_token_id, set()).add(tag)
    return {content_token_id: frozenset(found) for content_token_id, found in tags.items()}


async def put_secret(session: AsyncSession, content_token_id: str, sealed: bytes) -> None:
    row = await session.get(ContentTokenSecret, content_token_id)
    if row is None:
        session.add(ContentTokenSecret(content_token_id=content_token_id, secret=sealed))
    else:
        row.secret = sealed
    await session.flush()


async def secret_of(session: AsyncSession, content_token_id: str) -> bytes | None:
    row = await session.get(ContentTokenSecret, content_token_id)
    return None if row is None else row.secret


async def drop_secret(session: AsyncSession, content_token_id: str) -> None:
    """Delete the secret, and the links by which another one could be handed over."""
    mine = col(ContentTokenSecret.content_token_id) == content_token_id
    await session.execute(sa.delete(ContentTokenSecret).where(mine))
    await session.execute(sa.delete(UploadLink).where(col(UploadLink.content_token_id) == content_token_id))


# Counts


async def licences(session: AsyncSession, ids: Iterable[str]) -> Sequence[LicenceCountRow]:
    """Return what these content tokens have, and had once."""
    query = (
        sa.select(LicenceCountRow)
        .where(col(LicenceCountRow.content_token_id).in_(list(ids)))
        .order_by(
            col(LicenceCountRow.content_token_id), col(LicenceCountRow.app_id), col(LicenceCountRow.pricing)
        )
    )
    return (await session.scalars(query)).all()


async def perhaps_low(
    session: AsyncSession, ids: Iterable[str], *, app_ids: Iterable[str], count: int, percent: int
) -> Sequence[LicenceCountRow]:
    """Return what may be low: below `count`, `percent` of all or a threshold; and the apps of `app_ids`.

    The database leaves out what is not: this is asked for often, and most of thousands are fine.
    """
    row = LicenceCountRow
    of_app = sa.and_(
        col(AppThreshold.content_token_id) == col(row.content_token_id),
        col(AppThreshold.app_id) == col(row.app_id),
    )
    query = (
        sa.select(row)
        .join(ContentToken, col(ContentToken.id) == col(row.content_token_id))
        .outerjoin(AppThreshold, of_app)
        .where(
            col(row.content_token_id).in_(list(ids)),
            sa.or_(
                col(row.available) < count,
                # Free apps are had by the hundred million, and a hundred times that is no plain integer.
                sa.cast(row.available, sa.BigInteger) * 100 < sa.cast(row.total, sa.BigInteger) * percent,
                col(row.available) < col(ContentToken.threshold),
                col(row.available) < col(AppThreshold.threshold),
                col(row.app_id).in_(list(app_ids)),
            ),
        )
        .order_by(col(row.content_token_id), col(row.app_id), col(row.pricing))
    )
    return (await session.scalars(query)).all()


async def items_of(session: AsyncSession, ids: Iterable[str]) -> dict[tuple[str, bool], int]:
    """Return how many items are listed, by content token and whether they are books."""
    query = (
        sa.select(col(LicenceCountRow.content_token_id), col(LicenceCountRow.is_book), sa.func.count())
        .where(col(LicenceCountRow.content_token_id).in_(list(ids)), col(LicenceCountRow.gone_at).is_(None))
        .group_by(col(LicenceCountRow.content_token_id), col(LicenceCountRow.is_book))
    )
    return {(each, bool(is_book)): count for each, is_book, count in await session.execute(query)}


async def add_changes(
    session: AsyncSession, content_token_id: str, at: datetime, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add what changed at one moment; of two changes at the same moment the later one stands."""
    if not rows:
        return
    same = (col(LicenceChange.content_token_id) == content_token_id, col(LicenceChange.at) == at)
    query = sa.select(col(LicenceChange.app_id), col(LicenceChange.pricing)).where(*same)
    keys = {(row["app_id"], row["pricing"]) for row in rows}
    for app_id, pricing in (await session.execute(query)).all():
        if (app_id, pricing) in keys:
            of_app = (col(LicenceChange.app_id) == app_id, col(LicenceChange.pricing) == pricing)
            await session.execute(sa.delete(LicenceChange).where(*same, *of_app))
    await session.execute(sa.insert(LicenceChange), list(rows))


async def changes(
    session: AsyncSession, content_token_id: str, *, app_ids: Iterable[str]
) -> dict[tuple[str, str], list[tuple[datetime, int | None]]]:
    """Return from when on how many were available, the oldest first, by app and pricing."""
    query = (
        sa.select(LicenceChange)
        .where(
            col(LicenceChange.content_token_id) == content_token_id,
            col(LicenceChange.app_id).in_(list(app_ids)),
        )
        .order_by(col(LicenceChange.at))
    )
    found: dict[tuple[str, str], list[tuple[datetime, int | None]]] = {}
    for row in await session.scalars(query):
        found.setdefault((row.app_id, row.pricing), []).append((row.at, row.available))
    return found


async def assigned_at(
    session: AsyncSession, content_token_id: str, app_id: str, pricing: str, moment: datetime
) -> int | None:
    """Return how many licences were in use at a moment, None when nobody counted before it."""
    query = (
        sa.select(col(LicenceChange.assigned))
        .where(
            col(LicenceChange.content_token_id) == content_token_id,
            col(LicenceChange.app_id) == app_id,
            col(LicenceChange.pricing) == pricing,
            col(LicenceChange.at) <= moment,
        )
        .order_by(col(LicenceChange.at).desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def forget_changes(session: AsyncSession, *, before: datetime) -> None:
    """Delete what was longer ago, but for the newest of each app: it says how the time since began."""
    newer = aliased(LicenceChange)
    of_the_same = (
        col(newer.content_token_id) == col(LicenceChange.content_token_id),
        col(newer.app_id) == col(LicenceChange.app_id),
        col(newer.pricing) == col(LicenceChange.pricing),
    )
    is_newer = (col(newer.at) > col(LicenceChange.at), col(newer.at) <= before)
    has_newer = sa.exists(sa.select(sa.literal(1)).where(*of_the_same, *is_newer))
    await session.execute(
        sa.delete(LicenceChange)
        .where(col(LicenceChange.at) < before, has_newer)
        .execution_options(synchronize_session=False)
    )


# Thresholds


async def thresholds(session: AsyncSession, ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Return the thresholds of apps, by content token and app."""
    query = sa.select(AppThreshold).where(col(AppThreshold.content_token_id).in_(list(ids)))
    return {(row.content_token_id, row.app_id): row.threshold for row in await session.scalars(query)}


async def put_threshold(
    session: AsyncSession, content_token_id: str, app_id: str, threshold: int | None
) -> None:
    row = await session.get(AppThreshold, (content_token_id, app_id))
    if threshold is None and row is not None:
        await session.delete(row)
    elif threshold is not None and row is not None:
        row.threshold = threshold
    elif threshold is not None:
        session.add(AppThreshold(content_token_id=content_token_id, app_id=app_id, threshold=threshold))
    await session.flush()


# Links


async def open_link(session: AsyncSession, digest: str, now: datetime) -> UploadLink | None:
    """Return a link that was not used and is not too old; looking uses nothing up."""
    query = sa.select(UploadLink).where(_is_open(digest, now))
    return (await session.scalars(query)).one_or_none()


async def use_link(session: AsyncSession, digest: str, now: datetime) -> UploadLink | None:
    """Use a link up; None where it is used, too old or unknown: of two at once one gets it."""
    query = sa.update(UploadLink).where(_is_open(digest, now)).values(used_at=now).returning(UploadLink)
    return (await session.scalars(query)).one_or_none()


async def forget_links(session: AsyncSession, *, before: datetime) -> None:
    """Delete links that were of no use from `before` on."""
    await session.execute(sa.delete(UploadLink).where(col(UploadLink.expires_at) <= before))


def _is_open(digest: str, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        col(UploadLink.digest) == digest, col(UploadLink.used_at).is_(None), col(UploadLink.expires_at) > now
    )
