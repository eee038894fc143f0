"""Dates that somebody wants to be told of in time."""

import datetime as dt

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table


class Deadline(Table, table=True):
    """One date to watch. A removed one is deleted; the audit keeps what it was.

    `name_key` is the name in lower case. `at` is when it is over: the beginning of `day` where a day was
    given, else the end of a certificate, of which the other columns tell. `topic` is what a push
    certificate stands for: devices stay with it when the certificate is renewed. `cert_serial` is in hex.
    """

    __tablename__ = "deadline"

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=40)
    name_key: str = Field(max_length=40, unique=True)
    at: dt.datetime = Field(index=True)
    day: dt.date | None = None
    subject: str | None = Field(default=None, max_length=400)
    topic: str | None = Field(default=None, max_length=200)
    cert_serial: str | None = Field(default=None, max_length=64)
    tags: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    channel: str | None = Field(default=None, max_length=40)
    owner: str | None = Field(default=None, max_length=40)
    added_by: str = Field(max_length=80)
    added_at: dt.datetime
    changed_at: dt.datetime
