"""Devices, their history, and the syncs that keep them up to date.

A device row is narrow. What many devices share (token, state, model, family, system, profile) is one
`DeviceKind`, which counts its devices in the same transactions: lists filter the few kinds first, and
counts are sums. Hot columns hold numbers, not texts: times are milliseconds since 1970.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlmodel import Field

from bot.kit.db import Table


class Milliseconds(sa.TypeDecorator[datetime]):
    """An aware UTC datetime kept as milliseconds since 1970: quick to write, quick to compare."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)


# SQLite numbers rows by itself only where the key is a plain INTEGER.
_BigKey = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Byte order on both engines: a list is paged, and searched by beginnings, in one and the same order.
_Serial = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_OPEN = sa.text("ended_at IS NULL")
_REMOVED = sa.text("removed_at IS NOT NULL")


class DeviceState(StrEnum):
    PRESENT = "present"
    REMOVED = "removed"
    FORGOTTEN = "forgotten"


class DeviceKind(Table, table=True):
    """What many devices have in common, and how many they are.

    `id` is made from all the other columns, so that no look-up is needed to write a device.
    """

    __tablename__ = "device_kind"

    id: int = Field(primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"autoincrement": False})
    token_id: str = Field(max_length=32, index=True)
    state: str = Field(max_length=10)
    model: str
    family: str | None = None
    os: str | None = None
    platform: str = Field(max_length=20)
    profile_status: str
    profile_uuid: str | None = Field(default=None, index=True)
    devices: int = 0


class Device(Table, table=True):
    """One device, one row per serial, never erased.

    `number` counts the devices of its token: its place in the record of what a full sync has seen.
    `facts` are the details as the service reported them last, packed (`facts.KeptFacts`).
    `operation_at` is the service's date of the newest operation that counted; a full list has none.
    """

    __tablename__ = "device"
    __table_args__ = (
        sa.Index("ix_device_kind_id_serial", "kind_id", "serial"),
        sa.Index("ix_device_first_seen_at_serial", "first_seen_at", "serial"),
        sa.Index(
            "ix_device_removed_at_serial",
            "removed_at",
            "serial",
            sqlite_where=_REMOVED,
            postgresql_where=_REMOVED,
        ),
    )

    serial: str = Field(primary_key=True, sa_type=_Serial)
    kind_id: int = Field(sa_type=sa.BigInteger)
    number: int
    facts: bytes = Field(repr=False)
    operation_at: datetime | None = Field(default=None, sa_type=Milliseconds)
    first_seen_at: datetime = Field(sa_type=Milliseconds)
    updated_at: datetime = Field(sa_type=Milliseconds)
    removed_at: datetime | None = Field(default=None, sa_type=Milliseconds)
    removed_reason: str | None = Field(default=None, max_length=40)
    forgotten_at: datetime | None = Field(default=None, sa_type=Milliseconds)


class ChangeKind(StrEnum):
    """What happened to a device. `ADDED` is not stored: it is the device's `first_seen_at`."""

    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"
    RETURNED = "returned"
    MOVED = "moved"
    FORGOTTEN = "forgotten"


class DeviceChange(Table, table=True):
    """One change of one device. `changes` is `{field: [before, after]}`."""

    __tablename__ = "device_change"
    __table_args__ = (sa.Index("ix_device_change_serial_id", "serial", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=_BigKey)
    serial: str = Field(sa_type=_Serial)
    at: datetime = Field(sa_type=Milliseconds)
    kind: str = Field(max_length=10)
    token_id: str = Field(max_length=32)
    sync_id: str | None = Field(default=None, max_length=32)
    changes: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)


class SyncKind(StrEnum):
    DELTA = "delta"
    FULL = "full"


class SyncState(StrEnum):
    """`STOPPED` syncs go on by themselves at `resume_at`; they have not ended."""

    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


class Sync(Table, table=True):
    """One sync of one token. Rows that have not ended are the work list; at most one for a token.

    `reason` says why it was started; `forced` why a full sync could not be avoided, None otherwise.
    `asked_by` is a Slack user id or a job's name. `busy_ms` is the time worked, without the pauses.
    `resume_at` is when a stopped one goes on, or until when the service asked to be left alone as one failed.
    `devices_before` is how many devices its token had when it was put on the list. `profiles_changed` counts
    those that were found with another profile than they had here, or with none any more.
    `channel` and `message_ts` are where its progress stands. `told_at` is when the result was told,
    None as long as it is still to be told: not before `tell_at`, after `tell_tries` that failed.
    `told_directly_at` is when a person was told because the channel takes nothing. `judged_at` is when the
    devices that had come with it were looked at for who gets a default profile.
    """

    __tablename__ = "device_sync"
    __table_args__ = (
        sa.Index("uq_device_sync_open", "token_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        sa.Index("ix_device_sync_token_id_started_at", "token_id", "started_at"),
    )

    id: str = Field(primary_key=True, max_length=32)
    token_id: str = Field(max_length=32)
    kind: str = Field(max_length=10)
    reason: str = Field(max_length=20)
    forced: str | None = Field(default=None, max_length=40)
    is_first: bool = False
    state: str = Field(max_length=10)
    asked_by: str = Field(max_length=80)
    asked_by_person: bool = False
    user_id: str | None = Field(default=None, max_length=40)
    started_at: datetime
    resumed_at: datetime
    resume_at: datetime | None = None
    ended_at: datetime | None = Field(default=None, index=True)
    busy_ms: int = 0
    pages: int = 0
    received: int = 0
    added: int = 0
    modified: int = 0
    removed: int = 0
    returned: int = 0
    moved: int = 0
    ignored: int = 0
    unreadable: int = 0
    profiles_changed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    removals_judged: bool = False
    error: str | None = None
    next_step: str | None = None
    channel: str | None = Field(default=None, max_length=40)
    message_ts: str | None = Field(default=None, max_length=40)
    devices_before: int = 0
    told_at: datetime | None = None
    tell_at: datetime | None = None
    tell_tries: int = 0
    told_directly_at: datetime | None = None
    judged_at: datetime | None = None


class Phase(StrEnum):
    """Where the cursor of a token leads: `NEW` to a full list from its start, `FULL` on in that list.

    `AFTER`: to the changes after a list whose cursor was used up; they come before it is judged.
    """

    NEW = "new"
    FULL = "full"
    AFTER = "after"
    DELTA = "delta"


class TokenCursor(Table, table=True):
    """How far the devices of a token were read, written in the transaction of the rows it covers.

    `full_id` is the identity of the full list being read; `unreadable` counts its devices that could
    not be read. `numbers` is how many device numbers were given out. `is_disturbed` says that a device
    left the token otherwise than by this list while it was being read.
    """

    __tablename__ = "device_cursor"

    token_id: str = Field(primary_key=True, max_length=32)
    phase: str = Field(default=Phase.NEW.value, max_length=10)
    cursor: str | None = None
    full_id: str | None = Field(default=None, max_length=32)
    full_started_at: datetime | None = None
    unreadable: int = 0
    numbers: int = 0
    is_disturbed: bool = False
    last_full_id: str | None = Field(default=None, max_length=32)
    last_full_started_at: datetime | None = None
    last_full_ended_at: datetime | None = None


class SeenDevices(Table, table=True):
    """Which devices of a token the full list being read has shown: one bit for each `number`.

    A page of 1,000 devices touches a few chunks of 4 KiB; a row per device would cost as much as the
    devices themselves, and a mark on the device would rewrite every row in every full sync.
    """

    __tablename__ = "device_seen"

    token_id: str = Field(primary_key=True, max_length=32)
    chunk: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    bits: bytes
