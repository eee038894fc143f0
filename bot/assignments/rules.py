"""What holds for requests: what a device is left out for, what is warned of, and how often is tried. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from bot.assignments.errors import GlassReasonShort, PlatformDiffers, PlatformWrong
from bot.assignments.facts import Change, ChangeKind, Found, ListKey, Rank, RequestedDevice, RequestView
from bot.assignments.models import Action, Request, RequestState
from bot.backend.profile import Platform, ProfilePlatform, ProfileSettings
from bot.devices.facts import DeviceRow
from bot.devices.models import DeviceState
from bot.devices.rules import has_profile
from bot.kit.actor import Role
from bot.profiles.facts import ContentFacts, ProfileView
from bot.profiles.rules import effective, why_portal_stops

MOST_DEVICES = 100_000
BATCH = 1000
PREVIEW_KEPT = timedelta(minutes=30)
#: Apple asks for three tries of a device that failed, then for its support.
TRIES = 3
TRY_AGAIN = (timedelta(minutes=1), timedelta(minutes=5))
#: How long a throttled device is left alone where the service names no time, and at least where it does.
THROTTLED_FOR = timedelta(hours=24)
THROTTLED_AT_LEAST = timedelta(minutes=1)
#: How long a request rests after the service could not be asked, by how often that was in a row.
REST = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
#: How long to wait before what Slack did not take is told again, by how often that was in a row.
TELL_AGAIN = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
#: From what age on an admin may approve their own request alone, where nobody else could.
GLASS_AFTER = timedelta(hours=1)
GLASS_REASON = 10
#: By what a request runs where nobody has to approve; the audit says it too.
APPROVALS_OFF = "approvals are off"
#: Why an undo passes a device over; it stands in the file of results.
CHANGED_SINCE = "changed by somebody else since"
#: Why a device that was sent is left out where its answer never came and cannot be asked for any more.
ANSWER_UNKNOWN = "sent, but its answer is not known"
#: What gives devices a profile or takes theirs, and so can be taken back.
UNDOABLE = frozenset({Action.ASSIGN, Action.UNASSIGN, Action.UNDO})
_EXAMPLES = 5
_TYPED = {"ipados": Platform.IOS, **{each.value: each for each in Platform if each is not Platform.OTHER}}

_LABEL = re.compile(r"(?:req-?)?#?([0-9]{1,9})", re.IGNORECASE)


def list_key(request: Request | RequestView) -> ListKey:
    """Return where a request stands in a list."""
    if request.number is None:
        return ListKey(Rank.PREVIEW, int(request.made_at.timestamp() * 1_000_000), request.id)
    is_open = RequestState(request.state).is_open
    return ListKey(Rank.OPEN if is_open else Rank.ENDED, request.number)


def most_at_once(allowed: int | None) -> int:
    """Return how many devices one order names, where the account allows so many; None: it does not say."""
    return min(allowed or BATCH, BATCH)


def throttled_for(named: timedelta | None) -> timedelta:
    """Return how long a throttled device is left alone; "no time at all" would be asked without end."""
    return THROTTLED_FOR if named is None else max(named, THROTTLED_AT_LEAST)


def number_of(text: str) -> int | None:
    """Read `REQ-12`, `req12` or `12`; None for anything else."""
    found = _LABEL.fullmatch(text.strip())
    return int(found[1]) if found else None


def why_left_out(
    row: DeviceRow, *, action: Action, token_id: str, profile_uuid: str | None, held: Mapping[str, str]
) -> str | None:
    """Say for what reason a device is left out of a request, None where it is in."""
    if row.state is not DeviceState.PRESENT:
        return "removed"
    if row.token_id != token_id:
        return "elsewhere"
    carries = has_profile(row.profile_status, row.profile_uuid)
    if action is Action.ASSIGN and carries and row.profile_uuid == profile_uuid:
        return "already"
    if action is Action.UNASSIGN and not carries:
        return "already"
    return "held" if row.serial in held else None


def sorted_out(
    rows: Sequence[DeviceRow],
    *,
    action: Action,
    token_id: str,
    profile_uuid: str | None,
    held: Mapping[str, str],
) -> tuple[list[DeviceRow], dict[str, list[str]]]:
    """Return the devices that a request is about, and the serials of those left out, by reason."""
    inside: list[DeviceRow] = []
    outside: dict[str, list[str]] = {}
    for row in rows:
        why = why_left_out(row, action=action, token_id=token_id, profile_uuid=profile_uuid, held=held)
        if why is None:
            inside.append(row)
        else:
            outside.setdefault(why, []).append(row.serial)
    return inside, outside


def target_of(action: Action, profile_uuid: str | None, own_target: str | None) -> str | None:
    """Return the profile that a device is to carry after a request, None where it is to have none."""
    if action is Action.UNDO:
        return own_target
    return None if action is Action.UNASSIGN else profile_uuid


def why_not_undone(
    row: DeviceRow, before: RequestView, device: RequestedDevice, held: Mapping[str, str]
) -> str | None:
    """Say why a device that a request has changed is left out of its undo, None where it is in."""
    if row.state is not DeviceState.PRESENT:
        return "removed"
    if row.token_id != before.token_id:
        return "elsewhere"
    given = target_of(before.action, before.profile_uuid, device.target_uuid)
    carried = row.profile_uuid if has_profile(row.profile_status, row.profile_uuid) else None
    if carried != given:
        return "changed"
    return "held" if row.serial in held else None


def found_of(
    inside: Sequence[DeviceRow],
    outside: Mapping[str, Sequence[str]],
    *,
    platform: ProfilePlatform | None,
    overlaps: Mapping[str, int],
    of_token: int,
    held_by: Mapping[str, int] | None = None,
    remarks: Sequence[str] = (),
) -> Found:
    """Count what a preview found. `outside` are the serials left out, by reason."""
    replaces: Counter[str] = Counter()
    for row in inside:
        carries = has_profile(row.profile_status, row.profile_uuid)
        replaces[(row.profile_name or f"profile {(row.profile_uuid or '')[:8]}…") if carries else ""] += 1
    others = [row for row in inside if platform is not None and not _suits(platform, row)]
    set_up = [row for row in inside if row.profile_status == "pushed"]
    examples = {reason: list(serials[:_EXAMPLES]) for reason, serials in outside.items() if serials}
    return Found(
        by_model=dict(Counter(row.model for row in inside).most_common(20)),
        replaces=dict(replaces.most_common(20)),
        left_out={reason: len(serials) for reason, serials in outside.items() if serials},
        examples=examples,
        set_up=len(set_up),
        other_platform=len(others),
        overlaps=dict(overlaps),
        held_by=dict(held_by or {}),
        of_token=of_token,
        remarks=list(remarks),
    )


def with_portal(
    found: Found,
    inside: Sequence[DeviceRow],
    settings: ProfileSettings,
    content: Mapping[str, ContentFacts],
) -> Found:
    """Weigh the devices that will get Company Portal against the licences that are left for it."""
    held = effective(settings)
    if held.content_token is None:
        return found
    theirs = content.get(held.content_token)
    stops = why_portal_stops(theirs)
    return msgspec.structs.replace(
        found,
        portal_needed=sum(row.platform == Platform.IOS.value for row in inside),
        portal_left=theirs.available if theirs else None,
        portal_stops="" if stops is None else f"{stops[0]}: they stop at Company Portal until {stops[1]}.",
    )


def _suits(platform: ProfilePlatform, row: DeviceRow) -> bool:
    return row.platform == Platform.OTHER.value or platform.includes(Platform(row.platform))


def role_to_ask(action: Action) -> Role:
    """Return the role that somebody needs to ask for this; whoever approves holds approver."""
    on_devices = action in (Action.ASSIGN, Action.UNASSIGN, Action.UNDO)
    return Role.OPERATOR if on_devices else Role.ADMIN


def platforms_of(typed: str | None, profile: ProfileView | None) -> tuple[Platform, ...]:
    """Return the platforms whose default is meant: as typed, else the profile's own, else all.

    Raises `PlatformWrong`, `PlatformDiffers`.
    """
    if typed is not None:
        platform = _TYPED.get(typed.strip().lower())
        if platform is None:
            raise PlatformWrong(typed.strip()[:40])
        if profile is not None and not profile.settings.platform.includes(platform):
            raise PlatformDiffers(profile.name, profile.settings.platform, platform)
        return (platform,)
    return tuple(each for each in Platform if profile is None or profile.settings.platform.includes(each))


def what_changed(change: Change, view: RequestView) -> tuple[str, str]:
    """Return what has changed since a request was sent, and what to do, in plain words."""
    profile = f"the profile {view.profile_name}"
    count = f"{change.count:,} of its devices {'is' if change.count == 1 else 'are'}"
    again = "Deny it, and have it requested again as it is now."
    return {
        ChangeKind.TOKEN_REMOVED: (
            "its token was removed meanwhile",
            "Deny it: nothing can be done with that token any more.",
        ),
        ChangeKind.PROFILE_DELETED: (f"{profile} was deleted meanwhile", again),
        ChangeKind.PROFILE_EDITED: (f"{profile} was edited meanwhile", again),
        ChangeKind.REQUESTER: (
            "who requested it may no longer do so",
            "Deny it; somebody who may can request it again.",
        ),
        ChangeKind.TOKEN_UNUSABLE: (
            f"the token {view.token_name} is {change.what}",
            "Mend the token as its page says, then approve.",
        ),
        ChangeKind.DEVICES: (
            f"{count} not on this token any more",
            "Press Request again, which leaves them out, and cancel or deny this one.",
        ),
        ChangeKind.HELD: (
            f"{count} being worked on in {change.what}",
            f"Approve it when {change.what} has ended.",
        ),
        ChangeKind.CARRIES: (
            f"{change.count:,} of its devices {'carries' if change.count == 1 else 'carry'} something else"
            f" by now: {change.what}",
            "Approve it if it is right all the same.",
        ),
    }[change.kind]


def tell_again_after(tries: int) -> timedelta:
    """Return how long to wait before what Slack did not take is told again."""
    return TELL_AGAIN[min(tries, len(TELL_AGAIN) - 1)]


def is_half_over(request: Request, now: datetime) -> bool:
    """Say whether half of the time in which a request can be decided is over."""
    if request.requested_at is None or request.expires_at is None:
        return False
    return now >= request.requested_at + (request.expires_at - request.requested_at) / 2


def glass_reason(typed: str) -> str:
    """Return the reason for breaking the glass. Raises `GlassReasonShort`."""
    reason = typed.strip()[:500]
    if len(reason) < GLASS_REASON:
        raise GlassReasonShort(GLASS_REASON)
    return reason


def how_it_ended(view: RequestView) -> str:
    """Say in plain words what became of a request that is not pending any more; people stand as mentions."""
    by = f" by <@{view.decided_by}>" if view.decided_by else ""
    granted = _how_granted(view, by)
    return {
        RequestState.PREVIEW: "was not sent for approval yet",
        RequestState.PENDING: "waits for a decision",
        RequestState.RUNNING: f"{granted} and is being carried out",
        RequestState.DONE: f"{granted} and has been carried out",
        RequestState.STOPPED: f"{granted} and then stopped",
        RequestState.DENIED: f"was denied{by}",
        RequestState.CANCELLED: f"was cancelled{by}",
        RequestState.EXPIRED: "has expired",
    }[view.state]


def _how_granted(view: RequestView, by: str) -> str:
    if view.decided_as == APPROVALS_OFF:
        return "needed no approval"
    if view.glass_broken_at is not None:
        return f"was approved{by} by break glass"
    if view.decided_by == view.requested_by:
        return f"was confirmed{by}, who requested it,"
    return f"was approved{by}"


def serials_of(words: Iterable[str]) -> list[str]:
    """Return serial numbers in upper case, each once."""
    return list(dict.fromkeys(word.strip().upper() for word in words if word.strip()))
