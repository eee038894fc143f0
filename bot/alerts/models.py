"""Alerts with all that is told of them, and the morning's digests."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

_OPEN = sa.text("resolved_at IS NULL")


class Alert(Table, table=True):
    """One problem about one subject. People see its number as `AL-7`.

    `facts` are what the texts of its kind are filled with. `rung` is the step of a ladder that ends with
    an expiry: days before it, 0 at it, below 0 the days since. `place` and `mentions` are where it is
    told and who is named when it turns critical; `channel` and `message_ts` are where its message stands.
    `posted_level` is the worst level that was posted, `posted_level_at` when; `told_rung` the last day after
    an expiry that was told. `version` grows with all that shows, `shown` is the version that the message
    has. `word` is what is still to be said in the thread. `posts` counts what stands in the thread;
    `attempt` is the post that was begun and of which nobody knows yet whether it arrived.
    """

    __tablename__ = "alert"
    __table_args__ = (
        sa.Index("uq_alert_open", "kind", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        sa.Index("ix_alert_kind_subject_resolved_at", "kind", "subject", "resolved_at"),
    )

    id: str = Field(primary_key=True, max_length=32)
    number: int = Field(unique=True)
    kind: str = Field(max_length=30)
    subject: str = Field(max_length=120)
    subject_name: str = Field(max_length=255)
    level: int
    rung: int | None = None
    since: datetime
    token_ids: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    place: str | None = Field(default=None, max_length=40)
    mentions: list[str] = Field(default_factory=list, sa_type=sa.JSON)

    opened_at: datetime
    level_since: datetime
    changed_at: datetime
    resolved_at: datetime | None = Field(default=None, index=True)
    ending: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    acknowledged_by: str | None = Field(default=None, max_length=80)
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    snoozed_by: str | None = Field(default=None, max_length=80)
    snoozed_until: datetime | None = None

    channel: str | None = Field(default=None, max_length=40)
    message_ts: str | None = Field(default=None, max_length=40)
    posted_level: int = 0
    posted_level_at: datetime | None = None
    told_rung: int | None = None
    word: str | None = Field(default=None, max_length=20)
    version: int = 1
    shown: int = 0
    resolution_told_at: datetime | None = None
    posts: int = 0
    attempt: str | None = Field(default=None, max_length=40)
    tries: int = 0
    try_at: datetime | None = None
    admins_told_level: int = 0


class AlertDigest(Table, table=True):
    """The digest of one channel on one day, as it is counted where people work (`2026-05-12`).

    `attempted` says that it was begun and perhaps arrived. `posted_at` is None as long as it is due, then
    the moment up to which it tells; `is_silent` that there was nothing to say.
    """

    __tablename__ = "alert_digest"

    channel: str = Field(primary_key=True, max_length=40)
    day: str = Field(primary_key=True, max_length=10)
    made_at: datetime
    attempted: bool = False
    posted_at: datetime | None = None
    is_silent: bool = False
    tries: int = 0
    try_at: datetime | None = None
    admins_told: bool = False
