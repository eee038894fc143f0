"""Enrollment profiles, their versions, and drafts of people who are defining one."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

_LIVE = sa.text("removed_at IS NULL")


class Profile(Table, table=True):
    """One profile of one token. `name_key` is what makes two names the same.

    `version` is the number of the version in force. `is_adopted`: it was found on devices and read from
    the service.
    """

    __tablename__ = "profile"
    __table_args__ = (
        sa.Index(
            "uq_profile_live_name",
            "token_id",
            "name_key",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    token_id: str = Field(foreign_key="token.id", index=True, max_length=32)
    name: str = Field(max_length=125)
    name_key: str = Field(max_length=400)
    version: int
    is_adopted: bool = False
    created_by: str = Field(max_length=80)
    created_at: datetime
    removed_by: str | None = Field(default=None, max_length=80)
    removed_at: datetime | None = None


class ProfileVersion(Table, table=True):
    """One version, which the service knows by a UUID of its own. It never changes.

    `settings` are `ProfileSettings`, `body` is what was sent to the service (or read from it), in its
    own keys. `read_at` is when the MDM server last read this version from this bot.
    """

    __tablename__ = "profile_version"

    profile_id: str = Field(primary_key=True, foreign_key="profile.id", max_length=32)
    number: int = Field(primary_key=True)
    profile_uuid: str = Field(max_length=64, index=True)
    settings: dict[str, Any] = Field(sa_type=sa.JSON)
    body: dict[str, Any] = Field(sa_type=sa.JSON)
    defined_by: str = Field(max_length=80)
    defined_at: datetime
    read_at: datetime | None = None


class DefaultProfile(Table, table=True):
    """The profile that a token's new devices of one platform get by themselves, in its newest version."""

    __tablename__ = "profile_default"

    token_id: str = Field(primary_key=True, foreign_key="token.id", max_length=32)
    platform: str = Field(primary_key=True, max_length=20)
    profile_id: str = Field(foreign_key="profile.id", index=True, max_length=32)
    set_by: str = Field(max_length=80)
    set_at: datetime


class UnknownUuid(Table, table=True):
    """A UUID that devices of a token carry and the service does not tell: asked for once."""

    __tablename__ = "profile_unknown_uuid"

    token_id: str = Field(primary_key=True, foreign_key="token.id", max_length=32)
    profile_uuid: str = Field(primary_key=True, max_length=64)
    asked_at: datetime


class DraftState(StrEnum):
    """`SENDING`: the service is being asked; `DONE`: it was defined, and the draft is spent."""

    OPEN = "open"
    SENDING = "sending"
    DONE = "done"


class ProfileDraft(Table, table=True):
    """What a person has filled in so far, as it was typed: it may be wrong until it is checked.

    `profile_id` and `base_version` name what is edited, None for a new profile. `revision` grows with
    every change that is shown: Slack keeps what it showed under the same ids.
    """

    __tablename__ = "profile_draft"

    id: str = Field(primary_key=True, max_length=32)
    person: str = Field(max_length=80, index=True)
    token_id: str | None = Field(default=None, foreign_key="token.id", max_length=32)
    profile_id: str | None = Field(default=None, foreign_key="profile.id", index=True, max_length=32)
    base_version: int | None = None
    step: str = Field(max_length=20)
    revision: int = 0
    settings: dict[str, Any] = Field(sa_type=sa.JSON)
    remarks: list[str] = Field(sa_type=sa.JSON)
    state: str = Field(max_length=10)
    sending_since: datetime | None = None
    opened_at: datetime
    changed_at: datetime
