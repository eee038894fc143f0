"""What this room answers with: plain values, nothing secret, ready to be shown."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the public part of a certificate says. `topic` is None for one that is not for push.

    `serial` is in hex.
    """

    subject: str
    topic: str | None
    serial: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeadlineView:
    """A date to watch. `days_left` is the ceiling of the hours left over 24, 0 or less when it is over.

    `day` is there where a day was given, `certificate` where a certificate was.
    """

    id: str
    name: str
    at: datetime
    days_left: int
    day: date | None
    certificate: CertificateFacts | None
    tags: frozenset[str]
    channel: str | None
    owner: str | None
    added_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """A date that is watched now; `before` is what stood under its name."""

    deadline: DeadlineView
    before: DeadlineView | None = None
