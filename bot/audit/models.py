"""The audit: acts of people, and one entry per job run. Never pruned, never changed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

#: What the chain's first entry follows.
BEGINNING = "0" * 64


class AuditEntry(Table, table=True):
    """One act. `mac` chains it to the entry before: changing or removing one breaks all later ones."""

    __tablename__ = "audit_entry"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(index=True)
    actor: str = Field(max_length=80, index=True)
    actor_kind: str = Field(max_length=10)
    action: str = Field(max_length=60, index=True)
    subject_kind: str = Field(max_length=40)
    subject_id: str = Field(max_length=80, index=True)
    subject_name: str = Field(max_length=200)
    tags: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    reference: str = Field(default="", max_length=40)
    key_id: str = Field(max_length=16)
    mac: str = Field(max_length=64)


class AuditHead(Table, table=True):
    """The end of the chain, one row: what the next entry is chained to, and what orders the writers."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int
    mac: str = Field(max_length=64)
