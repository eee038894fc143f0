"""Who has opened the Home tab lately, and what they saw there last."""

from datetime import datetime

from sqlmodel import Field

from bot.kit.db import Table


class HomeReader(Table, table=True):
    """A person who opened the Home tab. `fingerprint` is of what they see, empty where it is to be shown."""

    __tablename__ = "home_reader"

    user_id: str = Field(primary_key=True, max_length=40)
    opened_at: datetime = Field(index=True)
    shown_at: datetime
    fingerprint: str = Field(default="", max_length=64)
