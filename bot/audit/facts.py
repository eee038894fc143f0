"""What the audit tells, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. `previous` is the mac of the entry before it, to which `mac` chains this one.

    `link` leads to the message in Slack that the act is about. It is not chained: a message is posted after
    the act it tells of. Acts that followed have it in their detail, which is.
    """

    number: int
    at: datetime
    actor: str
    actor_kind: str
    action: str
    subject_kind: str
    subject_id: str
    subject_name: str
    tags: Sequence[str]
    detail: Mapping[str, Any]
    reference: str
    key_id: str
    mac: str
    previous: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One act, without what chains it to the others."""

    number: int
    at: datetime
    actor: str
    actor_kind: str
    action: str
    subject_kind: str
    subject_id: str
    subject_name: str
    tags: Sequence[str]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of the audit, newest first. `total` None is more than are counted.

    `previous` and `next` are the entry numbers that the neighbouring pages stand before and after.
    `actions` are those that occur, where an action was asked for and nothing found. `tags` are those
    that the reader is limited to, None for none.
    """

    query: str
    entries: Sequence[Entry]
    total: int | None
    previous: int | None = None
    next: int | None = None
    actions: Sequence[str] = ()
    tags: frozenset[str] | None = None


class Form(StrEnum):
    """A form of an exported file."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Exported:
    """Files with the entries that fit a query, oldest first, and how many there are."""

    query: str
    entries: int
    files: Mapping[Form, Path]
