"""Do a thing once, however often it is delivered."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from bot.kit.db import Table, insert_ignoring


class Claimed(Table, table=True):
    """A delivery that was taken: its key is what the sender repeats (`event_id`, `trigger_id`)."""

    __tablename__ = "claimed"

    key: str = Field(primary_key=True, max_length=255)
    at: datetime = Field(index=True)


async def claim_once(session: AsyncSession, key: str, now: datetime) -> bool:
    """Claim `key` inside the transaction of the change that it causes.

    Returns False when it was claimed before: the change is done, or being done, elsewhere.
    """
    return await insert_ignoring(session, Claimed, {"key": key[:255], "at": now})


async def forget_claims(session: AsyncSession, *, before: datetime) -> None:
    """Delete claims older than any repeat can be."""
    await session.execute(sa.delete(Claimed).where(col(Claimed.at) < before))
