"""The rows of tokens: every statement, none of which commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.kit.db import insert_ignoring
from bot.tokens.models import ApiSession, KeyPairRow, KeyPairState, SyncWish, Token, TokenSecret, TokenTag


async def live_tokens(session: AsyncSession) -> Sequence[Token]:
    """Return all tokens that are not removed, by name."""
    found = await session.scalars(
        sa.select(Token).where(col(Token.removed_at).is_(None)).order_by(col(Token.name_key), col(Token.id))
    )
    return found.all()


async def token_named(session: AsyncSession, name_key: str) -> Token | None:
    found = await session.scalars(
        sa.select(Token).where(col(Token.name_key) == name_key, col(Token.removed_at).is_(None))
    )
    return found.one_or_none()


async def live_token(session: AsyncSession, token_id: str, *, locks: bool = False) -> Token | None:
    """Return a token that is not removed; with `locks` nobody changes or removes it before we commit.

    SQLite has one writer anyway.
    """
    query = sa.select(Token).where(col(Token.id) == token_id, col(Token.removed_at).is_(None))
    if locks:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def keep(session: AsyncSession, token_id: str) -> None:
    """Share a token's row: who changes it waits until we commit, and we for them."""
    await session.execute(
        sa.select(col(Token.removed_at)).where(col(Token.id) == token_id).with_for_update(read=True)
    )


async def token_of_server(session: AsyncSession, server_uuid: str, *, but: str | None) -> Token | None:
    """Return the live token of a server, unless it is `but`."""
    found = await session.scalars(
        sa.select(Token).where(
            col(Token.server_uuid) == server_uuid,
            col(Token.removed_at).is_(None),
            col(Token.id) != (but or ""),
        )
    )
    return found.one_or_none()


async def replace_token(
    session: AsyncSession, token_id: str, *, seen_version: int, values: Mapping[str, Any]
) -> bool:
    """Write what a stored token brings, unless another one was stored or the token removed meanwhile."""
    done = await session.execute(
        sa.update(Token)
        .where(
            col(Token.id) == token_id,
            col(Token.removed_at).is_(None),
            col(Token.secret_version) == seen_version,
        )
        .values(**values, secret_version=seen_version + 1)
        .returning(col(Token.id))
    )
    return done.first() is not None


async def change_token(session: AsyncSession, token_id: str, values: Mapping[str, Any]) -> bool:
    """Write columns of a token that is not removed. Returns whether there is one."""
    done = await session.execute(
        sa.update(Token)
        .where(col(Token.id) == token_id, col(Token.removed_at).is_(None))
        .values(**values)
        .returning(col(Token.id))
    )
    return done.first() is not None


async def tags_of(session: AsyncSession, token_ids: Iterable[str] | None = None) -> dict[str, frozenset[str]]:
    """Return the tags per token; tokens without any are left out."""
    query = sa.select(col(TokenTag.token_id), col(TokenTag.tag)).order_by(
        col(TokenTag.token_id), col(TokenTag.tag)
    )
    if token_ids is not None:
        query = query.where(col(TokenTag.token_id).in_(list(token_ids)))
    tags: dict[str, set[str]] = {}
    for token_id, tag in await session.execute(query):
        tags.setdefault(token_id, set()).add(tag)
    return {token_id: frozenset(found) for token_id, found in tags.items()}


async def replace_tags(session: AsyncSession, token_id: str, tags: frozenset[str]) -> None:
    await session.execute(sa.delete(TokenTag).where(col(TokenTag.token_id) == token_id))
    session.add_all(TokenTag(token_id=token_id, tag=tag) for tag in sorted(tags))
    await session.flush()


async def key_pairs(session: AsyncSession, token_id: str) -> Sequence[KeyPairRow]:
    """Return the key pairs of a token, the current one first, the retired ones last."""
    found = await session.scalars(
        sa.select(KeyPairRow)
        .where(col(KeyPairRow.token_id) == token_id)
        .order_by(col(KeyPairRow.state), col(KeyPairRow.made_at).desc(), col(KeyPairRow.id))
    )
    order = {KeyPairState.CURRENT: 0, KeyPairState.STAGED: 1, KeyPairState.RETIRED: 2}
    return sorted(found, key=lambda pair: order[KeyPairState(pair.state)])


async def certificates(session: AsyncSession, token_ids: Iterable[str] | None = None) -> Sequence[KeyPairRow]:
    """Return the key pairs in use or staged, of all tokens that are not removed, by token."""
    query = (
        sa.select(KeyPairRow)
        .join(Token, col(Token.id) == col(KeyPairRow.token_id))
        .where(col(Token.removed_at).is_(None), col(KeyPairRow.state) != KeyPairState.RETIRED.value)
        .order_by(col(Token.name_key), col(KeyPairRow.state), col(KeyPairRow.id))
    )
    if token_ids is not None:
        query = query.where(col(KeyPairRow.token_id).in_(list(token_ids)))
    return (await session.scalars(query)).all()


async def promote_staged(session: AsyncSession, token_id: str, pair_id: str) -> None:
    """Make a staged key pair the current one; the former's private key is dropped."""
    await session.execute(
        sa.update(KeyPairRow)
        .where(col(KeyPairRow.token_id) == token_id, col(KeyPairRow.state) == KeyPairState.CURRENT.value)
        .values(state=KeyPairState.RETIRED.value, private_key=None)
    )
    await session.execute(
        sa.update(KeyPairRow).where(col(KeyPairRow.id) == pair_id).values(state=KeyPairState.CURRENT.value)
    )


async def put_credentials(session: AsyncSession, token_id: str, sealed: bytes) -> None:
    row = await session.get(TokenSecret, token_id)
    if row is None:
        session.add(TokenSecret(token_id=token_id, credentials=sealed))
    else:
        row.credentials = sealed
    await session.flush()


async def credentials(session: AsyncSession, token_id: str) -> bytes | None:
    row = await session.get(TokenSecret, token_id)
    return None if row is None else row.credentials


async def api_session(session: AsyncSession, token_id: str) -> ApiSession | None:
    return await session.get(ApiSession, token_id)


async def replace_api_session(
    session: AsyncSession, token_id: str, *, seen_version: int | None, value: bytes, version: int
) -> bool:
    """Store a session of the service over the version that was seen; False if it is another by now."""
    if seen_version is None:
        row = {"token_id": token_id, "value": value, "version": version}
        return await insert_ignoring(session, ApiSession, row)
    done = await session.execute(
        sa.update(ApiSession)
        .where(col(ApiSession.token_id) == token_id, col(ApiSession.version) == seen_version)
        .values(value=value, version=version)
        .returning(col(ApiSession.token_id))
    )
    return done.first() is not None


async def drop_secrets(session: AsyncSession, token_id: str) -> None:
    """Delete everything secret of a token at once. Certificates stay: they are public."""
    await session.execute(sa.delete(TokenSecret).where(col(TokenSecret.token_id) == token_id))
    await session.execute(sa.delete(ApiSession).where(col(ApiSession.token_id) == token_id))
    await session.execute(
        sa.update(KeyPairRow)
        .where(col(KeyPairRow.token_id) == token_id)
        .values(private_key=None, state=KeyPairState.RETIRED.value)
    )
    await session.execute(sa.delete(SyncWish).where(col(SyncWish.token_id) == token_id))


async def wishes(session: AsyncSession) -> Sequence[SyncWish]:
    """Return all wishes, the oldest first, and leave them."""
    found = await session.scalars(sa.select(SyncWish).order_by(col(SyncWish.asked_at), col(SyncWish.id)))
    return found.all()


async def take_wishes(session: AsyncSession, ids: Collection[str] | None = None) -> Sequence[SyncWish]:
    """Delete these wishes, or all, and return those that were still there, the oldest first."""
    statement = sa.delete(SyncWish)
    if ids is not None:
        statement = statement.where(col(SyncWish.id).in_(list(ids)))
    taken = list(await session.scalars(statement.returning(SyncWish)))
    return sorted(taken, key=lambda wish: (wish.asked_at, wish.id))


async def due_for_account(
    session: AsyncSession, now: datetime, *, every: timedelta, doubt_after: timedelta
) -> Sequence[str]:
    """Return the tokens to ask about: not asked for `every`, or refused and in doubt for `doubt_after`.

    However often it was refused meanwhile, a token stays in doubt until two refusals lie that far apart.
    """
    long_ago = sa.or_(col(Token.asked_at).is_(None), col(Token.asked_at) <= now - every)
    first, last = col(Token.refused_first_at), col(Token.refused_last_at)
    refused = first <= now - doubt_after
    found = await session.execute(
        sa.select(col(Token.id), long_ago, first, last)
        .where(col(Token.removed_at).is_(None), col(Token.expires_at) > now, sa.or_(long_ago, refused))
        .order_by(col(Token.asked_at), col(Token.id))
    )
    return [
        token_id
        for token_id, is_long_ago, first_at, last_at in found
        if is_long_ago or (first_at and last_at and last_at - first_at < doubt_after)
    ]
