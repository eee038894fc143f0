"""Assignment requests, their devices, and which devices a running one holds."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table


class Action(StrEnum):
    """What a request does. `DEFAULT` changes default profiles, `REMOVE` removes a token."""

    ASSIGN = "assign"
    UNASSIGN = "unassign"
    UNDO = "undo"
    DEFAULT = "default"
    REMOVE = "remove"


class RequestState(StrEnum):
    """Where a request stands. `PREVIEW`: only its requester has seen it, for half an hour."""

    PREVIEW = "preview"
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        return self in (RequestState.PENDING, RequestState.RUNNING)


class Outcome(StrEnum):
    """What became of one device. `SENT`: the service was asked, its answer is not stored yet."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCESS = "success"
    FAILED = "failed"
    THROTTLED = "throttled"
    NOT_ACCESSIBLE = "not accessible"
    ALREADY = "already"
    LEFT_OUT = "left out"


class Request(Table, table=True):
    """One request. People see its number as `REQ-12`.

    The profile's version is fixed: `profile_uuid` is what devices are given, None where theirs is taken.
    An undo, which names the request that it `undoes`, gives each device its own `target_uuid`.
    `facts` are what the preview found, as it is shown (`facts.Found`); `changes` is what no longer holds
    (`facts.Change`). `decided_as` is by what who decided may: a group, mostly. `version` grows with
    everything that the card shows, `shown` is the version that it shows now, and `permalink` leads to it.
    `platforms` are those whose
    default profile it changes. `sync_id` names the sync after which it gives a default profile: nobody asked
    for it, it has no number and no card, and what becomes of it stands in that sync's message.
    A preview's `ended_at` is when a newer one took its place.
    """

    __tablename__ = "assignment_request"

    id: str = Field(primary_key=True, max_length=32)
    number: int | None = Field(default=None, unique=True)
    action: str = Field(max_length=10)
    state: str = Field(max_length=10, index=True)
    token_id: str = Field(foreign_key="token.id", index=True, max_length=32)
    profile_id: str | None = Field(default=None, foreign_key="profile.id", max_length=32)
    profile_version: int | None = None
    profile_uuid: str | None = Field(default=None, max_length=64)
    profile_name: str | None = Field(default=None, max_length=125)
    undoes_id: str | None = Field(default=None, foreign_key="assignment_request.id", max_length=32)
    platforms: list[str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    sync_id: str | None = Field(default=None, index=True, max_length=32)
    devices: int
    facts: dict[str, Any] = Field(sa_type=sa.JSON)
    changes: list[dict[str, Any]] | None = Field(default=None, sa_type=sa.JSON)
    reason: str | None = Field(default=None, max_length=500)
    requested_by: str = Field(max_length=80, index=True)
    made_at: datetime
    requested_at: datetime | None = None
    expires_at: datetime | None = None
    decided_by: str | None = Field(default=None, max_length=80)
    decided_at: datetime | None = None
    decided_as: str | None = Field(default=None, max_length=80)
    decision_reason: str | None = Field(default=None, max_length=500)
    glass_open_since: datetime | None = None
    glass_broken_at: datetime | None = None
    glass_told_at: datetime | None = None
    reminded_at: datetime | None = None
    stop_asked_by: str | None = Field(default=None, max_length=80)
    ended_at: datetime | None = None
    failed_tries: int = 0
    rests_until: datetime | None = None
    rests_because: str | None = Field(default=None, max_length=500)
    channel: str | None = Field(default=None, max_length=40)
    message_ts: str | None = Field(default=None, max_length=40)
    permalink: str | None = Field(default=None, max_length=500)
    version: int = 0
    shown: int = 0
    result_told_at: datetime | None = None
    requester_told_at: datetime | None = None
    tell_again_at: datetime | None = None
    tell_tries: int = 0


class RequestDevice(Table, table=True):
    """One device of a request, and what it carried when it was asked for.

    `target_uuid` is what an undo gives back, None where it had none. `why` is the service's reason where
    it refused a whole order.
    """

    __tablename__ = "assignment_device"

    request_id: str = Field(primary_key=True, foreign_key="assignment_request.id", max_length=32)
    serial: str = Field(primary_key=True, max_length=64)
    model: str
    previous_uuid: str | None = Field(default=None, max_length=64)
    target_uuid: str | None = Field(default=None, max_length=64)
    why: str | None = Field(default=None, max_length=200)
    outcome: str = Field(max_length=20)
    tries: int = 0
    again_at: datetime | None = None
    batch: int | None = None


class RequestBatch(Table, table=True):
    """One order to the service: stored before it is sent, and with what was answered after."""

    __tablename__ = "assignment_batch"

    request_id: str = Field(primary_key=True, foreign_key="assignment_request.id", max_length=32)
    number: int = Field(primary_key=True)
    devices: int
    sent_at: datetime
    answered_at: datetime | None = None


class DeviceHold(Table, table=True):
    """A device that a running request works on: no other may meanwhile."""

    __tablename__ = "assignment_hold"

    serial: str = Field(primary_key=True, max_length=64)
    request_id: str = Field(foreign_key="assignment_request.id", index=True, max_length=32)
