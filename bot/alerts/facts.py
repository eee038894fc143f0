"""What is wrong, how bad it is, and an alert as it is shown: plain values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from bot.deadlines.facts import DeadlineView
from bot.kit.actor import Rights, Role
from bot.licenses.facts import ContentTokenView, JudgedLicences
from bot.tokens.facts import TokenView


class About(StrEnum):
    """What an alert is about, and so who may see it: who may see one of these."""

    TOKENS = "tokens"
    CONTENT_TOKEN = "content token"
    DEADLINE = "deadline"


class Kind(StrEnum):
    """What may be wrong; each has its own texts. The words are those of the audit and of metrics."""

    TOKEN_EXPIRY = "token_expiry"
    TOKEN_REJECTED = "token_rejected"
    TERMS = "terms_not_signed"
    MAKER_GONE = "maker_gone"
    AWAITING_FILE = "awaiting_file"
    SYNC_FAILING = "sync_failing"
    CONTENT_EXPIRY = "content_token_expiry"
    CONTENT_REVOKED = "content_token_revoked"
    LICENCES = "licences_low"
    DEADLINE = "deadline"
    DEVICES_WAITING = "devices_waiting"
    DEVICES_LEFT = "many_devices_left"
    DEFAULT_GONE = "default_profile_gone"
    PROFILES_CHANGED = "profiles_changed_outside"
    APPROVERS_FEW = "approvers_too_few"
    PROFILES_LIMIT = "profiles_near_limit"
    REQUEST_WAITING = "request_waiting"

    @property
    def in_words(self) -> str:
        return self.value.replace("_", " ")

    @property
    def about(self) -> About:
        return _ABOUT.get(self, About.TOKENS)


_ABOUT = {
    **dict.fromkeys((Kind.CONTENT_EXPIRY, Kind.CONTENT_REVOKED, Kind.LICENCES), About.CONTENT_TOKEN),
    Kind.DEADLINE: About.DEADLINE,
}


#: Known by `alert list`, Home and the digest alone: their own room posts them.
NOT_POSTED = frozenset({Kind.REQUEST_WAITING})


class Level(IntEnum):
    NOTE = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now. `subject` tells it from others of its kind; `since` is when it began.

    `rung` is its step on a ladder that ends with an expiry. `token_ids` are the tokens that it is about:
    who may see one of them may see it. The subject of a kind that is about something else is its id, alone
    or before a slash. `facts` are JSON, for the texts of its kind.
    """

    kind: Kind
    subject: str
    subject_name: str
    level: Level
    since: datetime
    rung: int | None = None
    token_ids: tuple[str, ...] = ()
    place: str | None = None
    mentions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortalUse:
    """The profiles whose devices get Company Portal by one content token, and which of them lock them to it.

    `devices` are those that still needed a licence when their tokens, `token_ids`, were last synced, by the
    profile's name; `given` is how many licences were given since then.
    """

    profiles: tuple[str, ...] = ()
    single_app: tuple[str, ...] = ()
    devices: Mapping[str, int] = field(default_factory=dict)
    token_ids: tuple[str, ...] = ()
    given: int = 0

    @property
    def needed(self) -> int:
        return max(0, sum(self.devices.values()) - self.given)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that is wrong, as it was when the looking began.

    `unknown` are kinds that were not looked at or could not be: what is open of them stays as it is.
    `untold` are tokens that could not be looked at: what is open about one of them stays too. `unclear` are
    kinds with the subject of which nobody knows just now whether it still holds: such an alert stays as well.
    `tokens`, `content_tokens` and `deadlines` are all there are, by id; `licences` are those that are low
    or that profiles install.
    """

    began_at: datetime
    problems: Sequence[Problem]
    tokens: Mapping[str, TokenView]
    unknown: Collection[Kind] = ()
    content_tokens: Mapping[str, ContentTokenView] = field(default_factory=dict)
    deadlines: Mapping[str, DeadlineView] = field(default_factory=dict)
    licences: Sequence[JudgedLicences] = ()
    untold: Collection[str] = ()
    unclear: Collection[tuple[Kind, str]] = ()


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as it is shown.

    `scopes` are the tags of each thing that it is about, one empty set where it is about none.
    """

    id: str
    number: int
    kind: Kind
    subject: str
    subject_name: str
    level: Level
    rung: int | None
    since: datetime
    token_ids: tuple[str, ...]
    facts: Mapping[str, Any]
    place: str | None
    mentions: tuple[str, ...]
    opened_at: datetime
    level_since: datetime
    changed_at: datetime
    resolved_at: datetime | None
    ending: Mapping[str, Any]
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None
    snoozed_by: str | None
    snoozed_until: datetime | None
    channel: str | None
    message_ts: str | None
    posted_level: int
    posted_level_at: datetime | None
    told_rung: int | None
    word: str | None
    version: int
    shown: int
    resolution_told_at: datetime | None
    posts: int
    attempt: str | None
    tries: int
    try_at: datetime | None
    admins_told_level: int
    scopes: tuple[frozenset[str], ...] = (frozenset(),)

    @property
    def label(self) -> str:
        return f"AL-{self.number}"

    @property
    def subject_id(self) -> str:
        """The id of the content token or deadline that it is about."""
        return self.subject.partition("/")[0]

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    def is_snoozed(self, now: datetime) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > now

    def role_of(self, rights: Rights) -> Role:
        """Return the role held for what the alert is about: for one of several is enough."""
        return max(rights.role_for(tags) for tags in self.scopes)


class Part(StrEnum):
    """What there is to tell of an alert, in Slack's channel or in the alert's thread."""

    POST = "post"
    RAISE = "raise"
    DAY = "day"
    WORD = "word"
    RESOLVED = "resolved"
    UPDATE = "update"
    #: Nothing new: only to find out whether a post that was begun has arrived.
    LOOK = "look"


class Word(StrEnum):
    """What the thread is told when a promise runs out."""

    LAPSED = "lapsed"
    WOKEN = "woken"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A post that was begun: what of, at which level and rung."""

    part: Part
    level: int
    rung: int | None

    @classmethod
    def read(cls, text: str) -> "Attempt":
        part, level, rung = text.split(":")
        return cls(Part(part), int(level), int(rung) if rung else None)

    def __str__(self) -> str:
        return f"{self.part.value}:{int(self.level)}:{'' if self.rung is None else self.rung}"
