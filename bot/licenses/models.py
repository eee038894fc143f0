"""Content tokens, their secrets, licence counts and how these changed, and one-time upload links."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

_LIVE = sa.text("removed_at IS NULL")


class Trouble(StrEnum):
    """Why the service no longer accepts a content token."""

    EXPIRED = "expired"
    REVOKED = "revoked"


class ContentToken(Table, table=True):
    """One content token: the name it has here, and what the service said about its location.

    `manager` is the MDM that has taken the location, None where none has. `threshold` is of all its apps
    that have none of their own. `secret_version` grows with every stored secret, so that counts read with
    a former one are not written. `counted_at` is when counts were last read, `asked_at` when that was
    last tried, `due_at` when it is tried next. `trouble_since` is when `trouble` was met first; `error` is
    the sentence of the last failure, None after a success.
    """

    __tablename__ = "content_token"
    __table_args__ = (
        sa.Index(
            "uq_content_token_live_name", "name_key", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
        sa.Index(
            "uq_content_token_live_location",
            "location_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=40)
    name_key: str = Field(max_length=40)
    location_id: str = Field(max_length=64)
    location_name: str = Field(max_length=255)
    org_name: str | None = Field(default=None, max_length=255)
    country: str | None = Field(default=None, max_length=8)
    is_education: bool = False
    manager: str | None = Field(default=None, max_length=255)
    expires_at: datetime
    threshold: int | None = None

    added_by: str = Field(max_length=80)
    added_at: datetime
    installed_by: str = Field(max_length=80)
    installed_at: datetime
    removed_by: str | None = Field(default=None, max_length=80)
    removed_at: datetime | None = None

    secret_version: int = 1
    counted_at: datetime | None = None
    asked_at: datetime | None = None
    due_at: datetime = Field(index=True)
    failures: int = 0
    trouble: str | None = Field(default=None, max_length=10)
    trouble_since: datetime | None = None
    error: str | None = Field(default=None, max_length=500)


class ContentTokenTag(Table, table=True):
    __tablename__ = "content_token_tag"

    content_token_id: str = Field(primary_key=True, foreign_key="content_token.id", max_length=32)
    tag: str = Field(primary_key=True, max_length=40, index=True)


class ContentTokenSecret(Table, table=True):
    """The content token itself, sealed. There is a row until the content token is removed."""

    __tablename__ = "content_token_secret"

    content_token_id: str = Field(primary_key=True, foreign_key="content_token.id", max_length=32)
    secret: bytes = Field(repr=False)


class LicenceCountRow(Table, table=True):
    """The licences of one app or book of a location, as last read.

    `total` and `available` are None where they have no limit. `gone_at` is when the service no longer
    listed it: the numbers are 0 then, and its name stays known.
    """

    __tablename__ = "licence_count"

    content_token_id: str = Field(primary_key=True, foreign_key="content_token.id", max_length=32)
    app_id: str = Field(primary_key=True, max_length=64)
    pricing: str = Field(primary_key=True, max_length=20)
    is_book: bool = False
    name: str | None = Field(default=None, max_length=255)
    bundle_id: str | None = Field(default=None, max_length=255)
    total: int | None = None
    assigned: int
    available: int | None = None
    retired: int
    device_assignable: bool
    platforms: str = Field(default="", max_length=200)
    changed_at: datetime
    gone_at: datetime | None = None


class LicenceChange(Table, table=True):
    """What the numbers of one app or book were from this moment on."""

    __tablename__ = "licence_change"

    content_token_id: str = Field(primary_key=True, foreign_key="content_token.id", max_length=32)
    app_id: str = Field(primary_key=True, max_length=64)
    pricing: str = Field(primary_key=True, max_length=20)
    at: datetime = Field(primary_key=True, index=True)
    total: int | None = None
    assigned: int
    available: int | None = None


class AppThreshold(Table, table=True):
    """Below how many available licences an app of a content token is low, as an admin set it."""

    __tablename__ = "licence_threshold"

    content_token_id: str = Field(primary_key=True, foreign_key="content_token.id", max_length=32)
    app_id: str = Field(primary_key=True, max_length=64)
    threshold: int


class UploadLink(Table, table=True):
    """A one-time link to hand a content token over; only the digest of its secret part is kept.

    `content_token_id` is the one to renew, None for a new one. `tags` are of the new one, comma-separated.
    """

    __tablename__ = "upload_link"

    digest: str = Field(primary_key=True, max_length=64)
    content_token_id: str | None = Field(default=None, foreign_key="content_token.id", max_length=32)
    name: str = Field(max_length=40)
    tags: str = Field(default="", max_length=1000)
    made_by: str = Field(max_length=80)
    made_at: datetime
    expires_at: datetime = Field(index=True)
    used_at: datetime | None = None
