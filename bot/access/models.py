"""What was granted: roles in chat, to a person or a user group, and API tokens at the command line."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

_LIVE = sa.text("revoked_at IS NULL")


class SubjectKind(StrEnum):
    PERSON = "person"
    GROUP = "group"


class RoleGrant(Table, table=True):
    """One role of one person or user group. `tags` None is every token; granting again replaces them."""

    __tablename__ = "role_grant"

    subject: str = Field(primary_key=True, max_length=40)
    role: str = Field(primary_key=True, max_length=20)
    kind: str = Field(max_length=10)
    tags: list[str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    granted_by: str = Field(max_length=80)
    granted_at: datetime


class ApiToken(Table, table=True):
    """One API token, with which another program reads. Revoked ones stay, so that the list can name them.

    `name_key` is the name in lower case. `digest` is the SHA-256 of the secret in hex, the secret itself is
    kept nowhere. `tags` None is every token. `last_used_at` is right to the minute.
    """

    __tablename__ = "api_token"
    __table_args__ = (
        sa.Index(
            "uq_api_token_live_name", "name_key", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=40)
    name_key: str = Field(max_length=40)
    digest: str = Field(max_length=64, unique=True, repr=False)
    tags: list[str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    made_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
