"""What was granted in chat: a role to a person or a user group, everywhere or for scope tags."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table


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
