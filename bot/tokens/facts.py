"""What this room's service answers with: plain values, nothing secret, ready to be shown."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.tokens.models import WishKind, WishReason


class TokenState(StrEnum):
    """Where a token stands; `in_words` are the words people read."""

    AWAITING = "awaiting token"
    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    TERMS = "terms not signed"
    REJECTED = "rejected"

    def in_words(self, *, service: str) -> str:
        return f"{self.value} by {service}" if self is TokenState.REJECTED else self.value

    @property
    def can_sync(self) -> bool:
        return self in (TokenState.ACTIVE, TokenState.EXPIRING)


class NextAction(StrEnum):
    """A button that leads on; its value is the token's id."""

    GET_CERTIFICATE = "token.certificate"
    UPLOAD = "token.upload"
    RENEW = "token.renew"
    CHECK_AGAIN = "token.check"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is to be done next, and the buttons that lead there.

    `text` is mrkdwn in which `{name}`, `{server}` and `{org}` are filled in by the screen.
    """

    text: str
    actions: tuple[NextAction, ...]


@dataclass(frozen=True, slots=True)
class TokenView:
    """Everything about a token that may be shown. What comes from the service is None until it came.

    `days_left` is the ceiling of the hours left over 24, 0 or less once expired. `rejected_since` is
    None until a rejection counts. `warn_days` are the token's own or those of the settings.
    `next_step` is None when nothing needs to be done. `refused_first_at` is when the service refused the
    token first, None once it accepts it again.
    """

    id: str
    name: str
    state: TokenState
    days_left: int | None
    tags: frozenset[str]
    expected_apple_id: str | None
    mdm_url: str | None
    channel: str | None
    approvals_channel: str | None
    owner: str | None
    warn_days: tuple[int, ...]
    agreed_by: str | None
    agreed_at: datetime | None
    added_by: str
    added_at: datetime
    server_uuid: str | None
    server_name: str | None
    org_name: str | None
    org_id: str | None
    org_type: str | None
    made_by: str | None
    expires_at: datetime | None
    installed_at: datetime | None
    installed_by: str | None
    full_page_size: int | None
    delta_page_size: int | None
    asked_at: datetime | None
    last_ok_at: datetime | None
    rejected_since: datetime | None
    refused_word: str | None
    terms_since: datetime | None
    renewal_opened_at: datetime | None
    certificate_fingerprint: str | None
    staged_fingerprint: str | None
    next_step: NextStep | None
    refused_first_at: datetime | None = None
    order_size: int | None = None

    @property
    def has_token(self) -> bool:
        return self.installed_at is not None

    @property
    def in_doubt(self) -> bool:
        """Whether it was refused and that does not count yet: such a token is not called well."""
        return self.state.can_sync and self.refused_first_at is not None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as a file to hand to the portal. Public by nature."""

    file_name: str
    content: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Added:
    """A new token that awaits its server token.

    `steps` are what to do in the portal, mrkdwn with the places of `BackendTexts` still to be filled in.
    """

    token: TokenView
    certificate: Certificate
    steps: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Former:
    """What a renewal replaced."""

    expires_at: datetime
    made_by: str | None
    key_replaced: bool


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A server token that is stored now. `former` is None for the first one.

    `remarks` are sentences about the Apple ID that made it.
    """

    token: TokenView
    former: Former | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What the service said when asked about a token: accepted or not (None: unclear), and how."""

    accepted: bool | None
    terms_open: bool
    sentence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """A token that the service was just asked about.

    `syncing` names the tokens that sync now because their organisation's terms were accepted.
    """

    token: TokenView
    answer: ServiceAnswer
    syncing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal that was opened. `certificate` is there when a new key pair was asked for.

    `warning` and `steps` are mrkdwn with places to be filled in. `running` names work of the bot under
    way on this token.
    """

    token: TokenView
    answer: ServiceAnswer
    warning: str
    sign_in_as: str | None
    steps: tuple[str, ...]
    certificate: Certificate | None
    running: tuple[str, ...]

    @property
    def may_go_on(self) -> bool:
        """Whether a token generated now could be checked here: else it ends the one in use for nothing."""
        return self.answer.accepted is not None and not self.answer.terms_open


@dataclass(frozen=True, slots=True)
class WaitingSync:
    """A sync that somebody wants; see `SyncWish`."""

    id: str
    token_id: str
    kind: WishKind
    reason: WishReason
    asked_by: str
    asked_at: datetime
    exempt: bool
    channel: str | None
    user_id: str | None
