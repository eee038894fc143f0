"""What was granted, as values."""

from dataclasses import dataclass
from datetime import datetime

from bot.access.models import SubjectKind
from bot.kit.actor import Role


@dataclass(frozen=True, slots=True)
class Granted:
    """One grant as stored. `tags` None is every token."""

    subject: str
    kind: SubjectKind
    role: Role
    tags: frozenset[str] | None
    granted_by: str
    granted_at: datetime
