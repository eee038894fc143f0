"""What this room's service answers with: plain values, ready to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, NamedTuple

import msgspec

from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.profile import Platform


class ChangeKind(StrEnum):
    """What may have changed since a request was sent, the weightiest first."""

    TOKEN_REMOVED = "token removed"
    PROFILE_DELETED = "profile deleted"
    PROFILE_EDITED = "profile edited"
    REQUESTER = "requester"
    TOKEN_UNUSABLE = "token unusable"
    DEVICES = "devices"
    HELD = "held"
    CARRIES = "carries"

    @property
    def refuses(self) -> bool:
        """Whether a request cannot be approved for it; what is held is refused when it is to be taken."""
        return self not in (ChangeKind.HELD, ChangeKind.CARRIES)


class Change(msgspec.Struct, frozen=True):
    """One thing that has changed: of `count` devices, or what it is now, or the request in its way."""

    kind: ChangeKind
    count: int = 0
    what: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a preview found of the devices asked for.

    `by_model` and `replaces` count the devices that are in the request. The others, by reason, are left
    out: `unknown`, `unasked` (the service did not say), `removed`, `elsewhere` (of another token), `already`
    (carry the profile), `held` (in a running request), `changed` (by somebody else, after what is undone).
    `set_up` and `other_platform` count devices of the request that deserve a warning. `examples` are a few
    serials for each reason. `overlaps` counts devices of the request that other undecided requests are about,
    `held_by` those left out that a running one works on, both by what it is called. `undoes` is the label of
    the request that is undone, `gives` counts what its devices are given back, with an empty name for those
    that had no profile.

    `portal_needed` devices need a Company Portal licence of `portal_left`, None without a limit;
    `portal_stops` says why they would get none, empty where they do.

    Of a change of defaults, `defaults` are the names of the profiles that are default now, by platform, and
    `waiting` is how many devices waited for a profile. Of a removal, `profiles` counts what the token has
    and `ends` names the requests that end with it.
    """

    by_model: dict[str, int] = msgspec.field(default_factory=dict)
    replaces: dict[str, int] = msgspec.field(default_factory=dict)
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    examples: dict[str, list[str]] = msgspec.field(default_factory=dict)
    set_up: int = 0
    other_platform: int = 0
    overlaps: dict[str, int] = msgspec.field(default_factory=dict)
    held_by: dict[str, int] = msgspec.field(default_factory=dict)
    of_token: int = 0
    remarks: list[str] = msgspec.field(default_factory=list)
    undoes: str = ""
    gives: dict[str, int] = msgspec.field(default_factory=dict)
    portal_needed: int = 0
    portal_left: int | None = None
    portal_stops: str = ""
    defaults: dict[str, str] = msgspec.field(default_factory=dict)
    waiting: int = 0
    profiles: int = 0
    ends: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as it is shown. `outcomes` counts its devices once it runs.

    `stale` is what cannot come right again, as it stands now; `changes` is all that was last seen to have
    changed while it waits for a decision.
    """

    id: str
    number: int | None
    action: Action
    state: RequestState
    token_id: str
    token_name: str
    org_name: str | None
    tags: frozenset[str]
    profile_id: str | None
    profile_name: str | None
    profile_version: int | None
    profile_uuid: str | None
    platforms: tuple[Platform, ...]
    sync_id: str | None
    devices: int
    found: Found
    reason: str | None
    requested_by: str
    made_at: datetime
    requested_at: datetime | None
    expires_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    stop_asked_by: str | None
    ended_at: datetime | None
    rests_until: datetime | None
    channel: str | None
    message_ts: str | None
    version: int
    outcomes: Mapping[Outcome, int]
    shown: int = 0
    is_result_told: bool = False
    is_requester_told: bool = False
    tell_tries: int = 0
    approvers: tuple[str, ...] = ()
    undoes_id: str | None = None
    decided_as: str | None = None
    is_glass_open: bool = False
    glass_broken_at: datetime | None = None
    is_glass_told: bool = False
    rests_because: str | None = None
    stale: Change | None = None
    changes: tuple[Change, ...] = ()
    may_all_approve: bool = False
    permalink: str | None = None

    @property
    def label(self) -> str:
        if self.number is not None:
            return f"REQ-{self.number}"
        return "preview" if self.sync_id is None else "default profile"

    @property
    def is_token_removed(self) -> bool:
        return self.stale is not None and self.stale.kind is ChangeKind.TOKEN_REMOVED

    @property
    def needs_number(self) -> bool:
        """Whether the requester types how many devices it is about: over 500, or a fifth of the token."""
        return self.devices > 500 or self.devices * 5 > max(self.found.of_token, 5)


class RequestedDevice(NamedTuple):
    """A device of a request as it is stored, see `models.RequestDevice`; made for many at once."""

    serial: str
    model: str
    previous_uuid: str | None
    target_uuid: str | None = None
    why: str | None = None
    outcome: str = Outcome.WAITING.value
    tries: int = 0
    again_at: datetime | None = None
    batch: int | None = None


class Rank(IntEnum):
    """What stands before what in a list: the greatest first."""

    ENDED = 0
    OPEN = 1
    PREVIEW = 2


class ListKey(NamedTuple):
    """Where a request stands in a list, the greatest first.

    `place` is a request's number, or when a preview was made; `id` is a preview's only.
    """

    rank: Rank
    place: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    id: str = ""


@dataclass(frozen=True, slots=True)
class RequestPage:
    """A page of a list of requests. `previous` and `next` lead on, None where there is no more."""

    rows: list[RequestView]
    is_mine: bool = False
    previous: ListKey | None = None
    next: ListKey | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Requests that wait for a decision, as one person sees them.

    `to_decide` are the first of those that this person may decide, the first to expire first; they are
    `decidable` in all. `others` are those that somebody else has to decide.
    """

    to_decide: Sequence[RequestView] = ()
    decidable: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True)
class DeviceResultRow:
    """What became of one device of a request. `why` is the reason where it was refused or passed over."""

    serial: str
    model: str
    outcome: Outcome
    previous_uuid: str | None
    again_at: datetime | None
    why: str | None = None
