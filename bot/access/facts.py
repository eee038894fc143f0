"""What was granted, and which API tokens there are, as values."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

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


@dataclass(frozen=True, slots=True)
class ApiTokenView:
    """What may be shown of an API token. `tags` None is every token."""

    id: str
    name: str
    tags: frozenset[str] | None
    made_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AddedApiToken:
    """A new API token with its secret, which cannot be had again."""

    token: ApiTokenView
    secret: SecretStr
