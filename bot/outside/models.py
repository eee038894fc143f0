"""Events that are to be told to the webhook, and how far the audit was followed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

# SQLite numbers rows by itself only where the key is a plain INTEGER.
_BigKey = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WAITS = sa.text("ended_at IS NULL")


class OutsideEvent(Table, table=True):
    """One event, kept until it was taken or is too old; those of one subject are told in order.

    `id` is what a receiver knows a repetition by. `ended_at` is when it was taken, or given up.
    """

    __tablename__ = "outside_event"
    __table_args__ = (
        sa.Index(
            "ix_outside_event_waiting", "subject", "number", sqlite_where=_WAITS, postgresql_where=_WAITS
        ),
    )

    number: int | None = Field(default=None, primary_key=True, sa_type=_BigKey)
    id: str = Field(max_length=32, unique=True)
    kind: str = Field(max_length=60)
    subject: str = Field(max_length=130)
    at: datetime
    body: dict[str, Any] = Field(sa_type=sa.JSON)
    tries: int = 0
    due_at: datetime
    ended_at: datetime | None = Field(default=None, index=True)
    is_taken: bool = False


class AuditPosition(Table, table=True):
    """How far the audit was followed, one row: events are made in the transaction that moves it."""

    __tablename__ = "outside_position"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int


class CalendarLink(Table, table=True):
    """The secret address of somebody's calendar; a revoked one is deleted.

    `digest` is the SHA-256 of the secret in hex, the secret itself is kept nowhere. `read_at` is right to
    the hour.
    """

    __tablename__ = "calendar_link"

    id: str = Field(primary_key=True, max_length=32)
    digest: str = Field(max_length=64, unique=True, repr=False)
    user_id: str = Field(max_length=40, index=True)
    made_at: datetime
    read_at: datetime | None = None
