"""What this room's service answers with: plain values, ready to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from bot.backend.port import DeviceFacts
from bot.devices.models import ChangeKind, DeviceState, Phase, SyncKind, SyncState
from bot.tokens.facts import NextAction, TokenView

#: Keys of devices that one answer asks the service about, and how many tokens it asks.
MAX_ASKED_SERIALS = 1000
MAX_ASKED_TOKENS = 20
ASK_WITHIN_S = 20.0


class KeptFacts(msgspec.Struct, frozen=True, array_like=True):
    """The details of a device as they are stored. New fields go to the end, with a default."""

    model: str
    description: str | None
    color: str | None
    asset_tag: str | None
    os: str | None
    family: str | None
    profile_uuid: str | None
    profile_status: str
    profile_assigned_at: datetime | None
    profile_pushed_at: datetime | None
    assigned_by: str | None
    assigned_at: datetime | None
    migration_deadline: datetime | None
    wifi_mac: str | None
    bluetooth_mac: str | None
    ethernet_mac: str | None
    eid: str | None
    imei: tuple[str, ...]
    meid: tuple[str, ...]
    is_replacement: bool
    released_by_replacement: bool
    extra: dict[str, Any] | None


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(KeptFacts).decode
# Both name what they share in one order: two slices are quicker than twenty-two look-ups by name.
_FROM = DeviceFacts.__struct_fields__.index("model")
_TO = DeviceFacts.__struct_fields__.index("operation")
_ON = DeviceFacts.__struct_fields__.index("migration_deadline")


def pack(device: DeviceFacts) -> bytes:
    """Pack what is kept of a device; the same facts always give the same bytes."""
    values: tuple[Any, ...] = msgspec.structs.astuple(device)
    return _encode(values[_FROM:_TO] + values[_ON:])


def unpack(packed: bytes) -> KeptFacts:
    return _decode(packed)


class Kind(NamedTuple):
    """What many devices have in common; see `models.DeviceKind`."""

    token_id: str
    state: str
    model: str
    family: str | None
    os: str | None
    platform: str
    profile_status: str
    profile_uuid: str | None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device in a list. `token_name` is None where the token was removed.

    `profile_name` is the name of the profile behind `profile_uuid`, None where it is not known here; an
    earlier version than the one in force is named with it.
    """

    serial: str
    token_id: str
    token_name: str | None
    state: DeviceState
    model: str
    family: str | None
    os: str | None
    platform: str
    profile_uuid: str | None
    profile_status: str
    first_seen_at: datetime
    removed_at: datetime | None
    facts: KeptFacts
    profile_name: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a device's history. `changes` is `{field: (before, after)}`, tokens by name."""

    at: datetime
    kind: ChangeKind
    token_name: str | None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """Everything known of one device, its newest changes first."""

    row: DeviceRow
    updated_at: datetime
    operation_at: datetime | None
    removed_reason: str | None
    forgotten_at: datetime | None
    history: Sequence[Change]


class Asked(StrEnum):
    """What the service says about a serial that is not known here."""

    FOUND = "found"
    NOT_FOUND = "not found"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class AskedDevice:
    """An answer about one unknown serial.

    `added` says that the device was stored with this answer, `is_coming` that a sync runs which brings
    it. `not_asked` names the tokens that could not be asked, and `is_limited` says that there may be
    tokens which the person may not see, so that "not found" is not taken for more than it is.
    """

    serial: str
    answer: Asked
    token_name: str | None = None
    server_name: str | None = None
    added: bool = False
    not_asked: tuple[str, ...] = ()
    is_coming: bool = False
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a device is or is not ready to enroll: the first reason that holds, then the others.

    `is_ready` is None for one that is set up, or being set up.
    """

    is_ready: bool | None
    first: str
    others: tuple[str, ...] = ()
    next_step: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """What `device show` shows: `view` is None for a serial that is not known here.

    `token` is the device's, None when it was removed.
    """

    serial: str
    view: DeviceView | None
    asked: AskedDevice | None
    verdict: Verdict
    token: TokenView | None = None


@dataclass(frozen=True, slots=True)
class DevicePageView:
    """One page of a list. `total` is None when there are more than 1,000.

    `previous` and `next` are the cursors of the neighbouring pages, None at the ends. `beginnings` are
    the serials, or beginnings of them, that the query asks for.
    """

    query: str
    rows: Sequence[DeviceRow]
    total: int | None
    previous: str | None
    next: str | None
    beginnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncView:
    """One sync, as it stands. `took` is the time worked, without pauses.

    `token_actions` are the buttons that mend its token, none when the token is well.
    """

    id: str
    token_id: str
    token_name: str
    server_name: str | None
    kind: SyncKind
    reason: str
    forced: str | None
    is_first: bool
    state: SyncState
    asked_by: str
    asked_by_person: bool
    user_id: str | None
    started_at: datetime
    resume_at: datetime | None
    ended_at: datetime | None
    took: timedelta
    pages: int
    received: int
    added: int
    modified: int
    removed: int
    returned: int
    moved: int
    ignored: int
    unreadable: int
    removals_judged: bool
    devices: int
    error: str | None
    next_step: str | None
    channel: str | None
    message_ts: str | None
    token_channel: str | None
    token_actions: tuple[NextAction, ...] = ()
    devices_before: int = 0
    told_directly_at: datetime | None = None
    told_at: datetime | None = None
    profiles_changed: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """Devices that came, or came back, after `since` (None: whenever) and up to `until`."""

    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Arrived:
    """How many present devices of one token and family came in some time and carry one profile now.

    `profile_uuid` is None for those that carry none.
    """

    token_id: str
    family: str | None
    profile_uuid: str | None
    devices: int


@dataclass(frozen=True, slots=True)
class Loss:
    """What a finished sync found gone: devices marked removed, of how many there were, and profiles.

    `profiles_changed` devices carry another profile than they had here, or none any more.
    """

    token_id: str
    removed: int
    devices_before: int
    started_at: datetime
    ended_at: datetime
    profiles_changed: int = 0


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A finished sync whose arrivals were not looked at yet: devices that came after `since`, up to `until`.

    `since` is None where no sync of the token was judged before. The syncs of a token are judged in order.
    """

    sync_id: str
    token_id: str
    is_first: bool
    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class SyncStarted:
    """The answer to somebody who asked for a sync. `is_new` is False when one was running already."""

    sync: SyncView
    is_new: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `device forget` did: forgotten now, forgotten before, and serials not known here."""

    forgotten: tuple[str, ...]
    already: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """How many devices a token has, by what matters at a glance."""

    present: int = 0
    removed: int = 0
    forgotten: int = 0
    without_profile: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_profile: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenSyncFacts:
    """When a token was last synced: `last_ok_at` is the start of the last sync that finished.

    `failures` counts the syncs that failed since.
    """

    running: SyncView | None = None
    last: SyncView | None = None
    last_ok_at: datetime | None = None
    last_full_at: datetime | None = None
    failures: int = 0


@dataclass(slots=True)
class Position:
    """Where the reading of a token's devices stands, as loaded at the beginning of a run."""

    phase: Phase
    cursor: str | None
    full_id: str | None
    full_started_at: datetime | None
    unreadable: int
    numbers: int
