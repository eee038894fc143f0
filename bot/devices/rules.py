"""What a page of devices means, and when a token may and must be synced. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec

from bot.backend.port import DeviceFacts, Operation
from bot.devices.errors import FullSyncTooSoon, SyncTooSoon, minutes_until
from bot.devices.facts import DeviceView, KeptFacts, Kind, SyncView, Verdict
from bot.devices.models import ChangeKind, DeviceState, SyncKind, SyncState
from bot.devices.query import Condition, Key, system
from bot.profiles.rules import name_key
from bot.tokens.facts import TokenState

BETWEEN_SYNCS = timedelta(minutes=15)
BETWEEN_FULL_SYNCS = timedelta(days=7)
FULL_SYNC_AGE = timedelta(days=8)
LONGEST_RUN = timedelta(minutes=15)
GOES_ON_AFTER = timedelta(minutes=15)
RETRIES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
TELL_AGAIN = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
PAGE_SIZE = 1000
#: The reason of a sync that nobody asked for.
AUTOMATIC = "automatic"
#: A day's slots differ by seconds; without this the full sync of the eighth day would slip to the ninth.
_SLACK = timedelta(hours=1)
_SPREAD_S = 3600


# A page of devices


class Step(Enum):
    """What one reported device means for its row."""

    ADD = "add"
    COMPARE = "compare"
    RETURN = "return"
    MOVE = "move"
    REMOVE = "remove"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Known:
    """What judging a report needs of a stored device. `assigned_at` says since when it is on its server."""

    token_id: str
    state: DeviceState
    assigned_at: datetime | None
    operation_at: datetime | None
    forgotten_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reported:
    """One device of a page, duplicates resolved.

    `added_at` is the newest date at which the page reports it added, None where it does not.
    """

    device: DeviceFacts
    added_at: datetime | None = None


def merge_full(devices: Iterable[DeviceFacts]) -> dict[str, DeviceFacts]:
    """Resolve the duplicates of a page of a full list: the later row wins."""
    return {device.serial: device for device in devices}


def merge_delta(devices: Iterable[DeviceFacts]) -> dict[str, Reported]:
    """Resolve the duplicates of a page of changes: the newest operation wins, ties in page order.

    An operation without a date counts as happening at its place in the page.
    """
    merged: dict[str, Reported] = {}
    for device in devices:
        before = merged.get(device.serial)
        added_at = before.added_at if before else None
        if device.operation == Operation.ADDED:
            added_at = _newest(added_at, device.operation_at)
        newest = before.device if before and _is_older(device, before.device) else device
        merged[device.serial] = Reported(newest, added_at)
    return merged


def _is_older(device: DeviceFacts, other: DeviceFacts) -> bool:
    at, other_at = device.operation_at, other.operation_at
    return at is not None and other_at is not None and at < other_at


def _newest(one: datetime | None, other: datetime | None) -> datetime | None:
    dates = [date for date in (one, other) if date is not None]
    return max(dates, default=None)


def judge(reported: Reported, known: Known | None, *, token_id: str, full_since: datetime | None) -> Step:
    """Say what a report means. `full_since` is when the full list began, None for changes."""
    device = reported.device
    is_deleted = device.operation == Operation.DELETED
    if known is None:
        # Unknown and modified is added: a device moved between servers arrives so.
        return Step.IGNORE if is_deleted else Step.ADD
    if known.token_id == token_id and _is_stale(device, known):
        return Step.IGNORE
    if known.state is DeviceState.FORGOTTEN:
        return Step.RETURN if _comes_back(reported, known, full_since) else Step.IGNORE
    if known.token_id != token_id:
        return _judge_elsewhere(device, known, is_deleted=is_deleted)
    if is_deleted:
        return Step.REMOVE if known.state is DeviceState.PRESENT else Step.IGNORE
    return Step.COMPARE if known.state is DeviceState.PRESENT else Step.RETURN


def _is_stale(device: DeviceFacts, known: Known) -> bool:
    """Whether a newer operation was counted already. A row of a full list has no date and is never stale."""
    at = device.operation_at
    return at is not None and known.operation_at is not None and at < known.operation_at


def _comes_back(reported: Reported, known: Known, full_since: datetime | None) -> bool:
    if reported.device.operation == Operation.DELETED or known.forgotten_at is None:
        return False
    if full_since is not None:
        return full_since >= known.forgotten_at
    return reported.added_at is not None and reported.added_at >= known.forgotten_at


def _judge_elsewhere(device: DeviceFacts, known: Known, *, is_deleted: bool) -> Step:
    if is_deleted:
        return Step.IGNORE
    if known.state is DeviceState.REMOVED:
        return Step.MOVE
    is_newer = device.assigned_at is not None and (
        known.assigned_at is None or device.assigned_at > known.assigned_at
    )
    return Step.MOVE if is_newer else Step.IGNORE


def changed_fields(before: KeptFacts, after: KeptFacts) -> dict[str, list[Any]]:
    """Return `{field: [before, after]}` of what differs, as JSON values."""
    changed = {}
    for name in KeptFacts.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            changed[name] = [msgspec.to_builtins(old), msgspec.to_builtins(new)]
    return changed


def merged_operation_at(reported: datetime | None, known: datetime | None) -> datetime | None:
    """Return the date to keep: a full list has none and never moves a known one back."""
    return _newest(reported, known)


def page_size(allowed: int | None) -> int:
    """Return how many devices to ask for: what the service allows, 1 to 1,000, 1,000 when it is silent."""
    return max(1, min(allowed or PAGE_SIZE, PAGE_SIZE))


# When to sync


def check_by_hand(name: str, *, last_started_at: datetime | None, now: datetime) -> None:
    """Raise `SyncTooSoon` within 15 minutes of the start of the last successful or running sync."""
    if last_started_at is None or now - last_started_at >= BETWEEN_SYNCS:
        return
    allowed_at = last_started_at + BETWEEN_SYNCS
    raise SyncTooSoon(name, allowed_at=allowed_at, minutes=minutes_until(allowed_at, now))


def check_full(name: str, *, last_full_at: datetime | None, now: datetime) -> None:
    """Raise `FullSyncTooSoon` within 7 days of the last completed full sync. The first is always free."""
    if last_full_at is None or now - last_full_at >= BETWEEN_FULL_SYNCS:
        return
    raise FullSyncTooSoon(name, last_at=last_full_at, allowed_at=last_full_at + BETWEEN_FULL_SYNCS)


def automatic_kind(*, last_full_at: datetime | None, now: datetime) -> SyncKind:
    """Return a full sync when the last one started 8 days ago or there was none."""
    if last_full_at is None or now - last_full_at >= FULL_SYNC_AGE - _SLACK:
        return SyncKind.FULL
    return SyncKind.DELTA


def slot_start(token_id: str, *, every: timedelta, now: datetime) -> datetime:
    """Return when the present period of a token's automatic syncs began.

    Each token has its own place in the hour, the same on every replica, so that they don't all ask at
    once.
    """
    place = int.from_bytes(hashlib.sha256(token_id.encode()).digest()[:4], "big") % _SPREAD_S
    length = every.total_seconds()
    begun = (now.timestamp() - place) // length * length + place
    return datetime.fromtimestamp(begun, UTC)


#: However long the service asks to be left alone, it is asked again after this.
LONGEST_LEFT_ALONE = timedelta(hours=24)


def is_due(
    token_id: str,
    *,
    every: timedelta,
    last_ok_at: datetime | None,
    failures: int,
    last_failed_at: datetime | None,
    now: datetime,
) -> bool:
    """Say whether an automatic sync is due: once a period; after a failure in 15 min, 1 h, 4 h.

    `failures` are those since the last success. After the third retry the token's next period counts.
    """
    slot = slot_start(token_id, every=every, now=now)
    if failures == 0 or last_failed_at is None:
        return last_ok_at is None or last_ok_at < slot
    if failures <= len(RETRIES):
        return now >= last_failed_at + RETRIES[failures - 1]
    return last_failed_at < slot


# Why a device is or is not ready


@dataclass(frozen=True, slots=True)
class Reason:
    text: str
    next_step: str | None = None
    is_ready: bool | None = False


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a device is to get: `work` says in a sentence what is being done with it now.

    `default` is the name of its platform's default profile, `is_coming` says that the next sync brings it.
    `is_profile_unknown`: the service was asked now and knows no profile of the UUID that the device has.
    """

    work: str | None = None
    default: str | None = None
    is_coming: bool = False
    is_profile_unknown: bool = False


NO_PROSPECT = Prospect()


def verdict(
    view: DeviceView,
    *,
    token_name: str | None,
    token_state: TokenState | None,
    service: str,
    portal: str,
    terms_step: str,
    prospect: Prospect = NO_PROSPECT,
    portal_stops: tuple[str, str] | None = None,
) -> Verdict:
    """Return the first reason that holds and the others, in the order that `device show` promises.

    `portal_stops` says why the device would get no Company Portal, and until when.
    """
    reasons = [
        *_whether_here(view, portal),
        *_whether_token(token_name, token_state, service, terms_step),
        *([Reason(prospect.work, "Keep it switched off until then.")] if prospect.work else []),
        *_whether_profile(view, prospect),
        *(_of_unknown(view, prospect, service) if prospect.is_profile_unknown else []),
        *_whether_portal(view, portal_stops),
        *_whether_fetched(view),
    ]
    first, *others = reasons or [
        Reason("Ready to enroll: it gets its profile when it is switched on.", is_ready=True)
    ]
    return Verdict(
        is_ready=first.is_ready,
        first=first.text,
        others=tuple(reason.text for reason in others),
        next_step=first.next_step,
    )


def unknown_verdict(
    *,
    service: str,
    portal: str,
    is_certain: bool,
    is_limited: bool = False,
    has_tokens: bool = True,
    unusable: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a serial that is known neither here nor, as far as asked, at the service.

    `unusable` names the tokens that the service could not be asked with. `is_limited`: the person may not
    see every token, and what the others have is neither told nor denied.
    """
    if not has_tokens:
        text = f"Not known: there is no token here yet with which {service} could be asked."
        return Verdict(is_ready=False, first=text, next_step="An admin of this bot adds one with token add.")
    if is_certain and is_limited:
        text = "Not known: it is not on a token that you may see."
        return Verdict(is_ready=False, first=text, next_step="Ask an admin who may see every token.")
    if is_certain:
        text = "Not known: no token here has it."
        return Verdict(
            is_ready=False, first=text, next_step=f"Assign it in {portal}, to the MDM server of a token here."
        )
    text = f"Not known here, and {service} could not be asked everywhere."
    step = "Try again in a minute."
    if unusable:
        step = f"Token {' and token '.join(unusable)} has to work again first; token show says how."
    return Verdict(is_ready=False, first=text, next_step=step)


def _whether_here(view: DeviceView, portal: str) -> list[Reason]:
    reasons = []
    # Coming back clears both dates.
    if view.row.state is DeviceState.REMOVED or view.row.removed_at is not None:
        step = f"To enroll it again, assign it in {portal} to the MDM server of a token here."
        reasons.append(Reason("Removed: it is no longer assigned to the MDM server of a token here.", step))
    if view.row.state is DeviceState.FORGOTTEN or view.forgotten_at is not None:
        step = f"It comes back with the next full sync. If it is gone for good, unassign it in {portal}."
        reasons.append(Reason("Forgotten here by an admin.", step))
    return reasons


def _whether_token(name: str | None, state: TokenState | None, service: str, terms: str) -> list[Reason]:
    if name is None or state is None:
        return [Reason("Its token was removed here.", "Add the token again to manage its devices.")]
    renew = f"Renew token {name}."
    texts: dict[TokenState, Reason] = {
        TokenState.REJECTED: Reason(f"{service} no longer accepts token {name}.", renew),
        TokenState.EXPIRED: Reason(f"Token {name} has expired.", renew),
        TokenState.TERMS: Reason(f"{service} has new terms to accept for token {name}.", terms),
    }
    return [texts[state]] if state in texts else []


def _whether_portal(view: DeviceView, stops: tuple[str, str] | None) -> list[Reason]:
    """Return what would hold up a device that has its profile; one that has fetched it is past that."""
    row = view.row
    is_to_come = row.profile_status != "pushed" and has_profile(row.profile_status, row.profile_uuid)
    if stops is None or row.state is not DeviceState.PRESENT or not is_to_come:
        return []
    why, until = stops
    return [Reason(f"Company Portal blocked: {why[:1].lower()}{why[1:]}.", f"It stops there until {until}.")]


def _whether_profile(view: DeviceView, prospect: Prospect) -> list[Reason]:
    status = view.row.profile_status
    if view.row.state is DeviceState.PRESENT and not has_profile(status, view.row.profile_uuid):
        text = f"No profile: switched on now, it starts unmanaged. {_prospect(status, prospect)}"
        return [Reason(text, "Keep it switched off until it has a profile.")]
    return []


def _of_unknown(view: DeviceView, prospect: Prospect, service: str) -> list[Reason]:
    text = f"Profile unknown to {service}: it knows none with the UUID {view.row.profile_uuid}."
    if prospect.is_coming and prospect.default is not None:
        text += f" The default, {prospect.default}, comes with the next sync."
    return [Reason(text, "Keep it switched off and assign it another profile.")]


def _whether_fetched(view: DeviceView) -> list[Reason]:
    if view.row.state is not DeviceState.PRESENT or view.row.profile_status != "pushed":
        return []
    name = view.row.profile_name or "its profile"
    text = f"Has fetched {name}: set up, or being set up. Another profile needs an erase."
    return [Reason(text, is_ready=None)]


def _prospect(status: str, prospect: Prospect) -> str:
    if status == "removed":
        return "Its profile was taken away, so that no default is given to it by itself."
    if prospect.default is None:
        return "No default profile is set for its platform."
    if prospect.is_coming:
        return f"The default, {prospect.default}, comes with the next sync."
    return f"The default, {prospect.default}, is given by itself only to devices that come from now on."


def arrived_after(view: DeviceView, moment: datetime | None) -> bool:
    """Say whether a device came, or came back, after a moment; False where there was none."""
    if moment is None:
        return False
    came = (ChangeKind.ADDED, ChangeKind.RETURNED, ChangeKind.MOVED)
    return any(change.at > moment for change in view.history if change.kind in came)


# Kinds and queries


def present_kind(device: DeviceFacts, token_id: str) -> Kind:
    """Return the kind of a device that is on a token's server."""
    return Kind(
        token_id,
        DeviceState.PRESENT.value,
        device.model,
        device.family,
        device.os,
        device.platform.value,
        device.profile_status,
        device.profile_uuid,
    )


def has_profile(status: str, profile_uuid: str | None) -> bool:
    """Say whether a device carries a profile: a removed one is none."""
    return profile_uuid is not None and status not in ("empty", "removed")


def lost_profile(before: Kind, after: Kind) -> bool:
    """Say whether a device that carried a profile carries none or another one now.

    What this bot orders is read back at once, so that a sync which finds it was not told of it by us.
    """
    if not has_profile(before.profile_status, before.profile_uuid):
        return False
    is_kept = has_profile(after.profile_status, after.profile_uuid)
    return not is_kept or after.profile_uuid != before.profile_uuid


def waits(status: str, profile_uuid: str | None, *, missing: Collection[str]) -> bool:
    """Say whether a device waits for a profile: it has none, or one of `missing`, which nobody knows.

    One whose profile was taken away on purpose does not wait.
    """
    if has_profile(status, profile_uuid):
        return profile_uuid in missing
    return status != "removed"


def kind_fits(
    kind: Kind,
    condition: Condition,
    *,
    token_name: str | None,
    tags: frozenset[str],
    profile_name: str | None = None,
) -> bool:
    """Say whether devices of a kind can fit a condition; serials and dates are left to the rows."""
    if condition.test in (Key.SERIAL, Key.ADDED):
        return True
    if condition.test is Key.REMOVED and condition.since is not None:
        return kind.state == DeviceState.REMOVED.value
    value = condition.value
    holds = {
        Key.TOKEN: (token_name or "").lower() == value,
        Key.PROFILE: _profile_fits(kind, value, profile_name, token_name),
        Key.MODEL: value in kind.model.lower(),
        Key.FAMILY: (kind.family or "").lower() == value,
        Key.OS: system(kind.os) == value,
        Key.STATUS: kind.profile_status.lower() == value,
        Key.PLATFORM: kind.platform == value,
        Key.TAG: value in {tag.lower() for tag in tags},
        Key.REMOVED: _removal_fits(kind, value),
    }[condition.test]
    return holds is not condition.is_negated


def _profile_fits(kind: Kind, value: str, name: str | None, token_name: str | None) -> bool:
    """Say whether devices of a kind carry the profile of this name, or one whose UUID begins so."""
    has = has_profile(kind.profile_status, kind.profile_uuid)
    if value == "none":
        return not has
    is_named = name is not None and name_key(value) in (name_key(name), name_key(f"{token_name}/{name}"))
    return has and (is_named or (kind.profile_uuid or "").lower().startswith(value.replace("-", "")))


def _removal_fits(kind: Kind, value: str) -> bool:
    states = {"yes": {DeviceState.REMOVED}, "no": {DeviceState.PRESENT}}
    return DeviceState(kind.state) in states.get(value, set(DeviceState))


def tell_again_after(tries: int) -> timedelta:
    """Return how long to wait before a result that Slack did not take is told again."""
    return TELL_AGAIN[min(tries, len(TELL_AGAIN) - 1)]


def is_worth_telling(view: SyncView, *, failures: int) -> bool:
    """Say whether a channel is told of an ended sync.

    Always when somebody asked for it, waits for it, or it was forced; an automatic one when devices came
    or left, one could not be read, or it is the first failure in a row.
    """
    if view.user_id is not None or view.reason != AUTOMATIC or view.forced is not None:
        return True
    if view.state is SyncState.FAILED:
        return failures <= 1
    return any((view.added, view.removed, view.returned, view.moved, view.unreadable))
