"""What holds for requests: what a device is left out for, what is warned of, and how often is tried. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec

from bot.assignments.errors import PlatformDiffers, PlatformWrong
from bot.assignments.facts import Found, RequestView
from bot.assignments.models import Action, RequestState
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
#: How long a request rests after the service could not be asked, by how often that was in a row.
REST = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
#: How long to wait before what Slack did not take is told again, by how often that was in a row.
TELL_AGAIN = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
_EXAMPLES = 5
_TYPED = {"ipados": Platform.IOS, **{each.value: each for each in Platform if each is not Platform.OTHER}}

_LABEL = re.compile(r"(?:req-?)?#?([0-9]{1,9})", re.IGNORECASE)


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


def found_of(
    inside: Sequence[DeviceRow],
    outside: Mapping[str, Sequence[str]],
    *,
    platform: ProfilePlatform | None,
    overlaps: Mapping[str, int],
    of_token: int,
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
    return Role.OPERATOR if action in (Action.ASSIGN, Action.UNASSIGN) else Role.ADMIN


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


def tell_again_after(tries: int) -> timedelta:
    """Return how long to wait before what Slack did not take is told again."""
    return TELL_AGAIN[min(tries, len(TELL_AGAIN) - 1)]


def how_it_ended(view: RequestView) -> str:
    """Say in plain words what became of a request that is not pending any more; people stand as mentions."""
    by = f" by <@{view.decided_by}>" if view.decided_by else ""
    return {
        RequestState.PREVIEW: "was not sent for approval yet",
        RequestState.PENDING: "waits for a decision",
        RequestState.RUNNING: f"was approved{by} and is being carried out",
        RequestState.DONE: f"was approved{by} and has been carried out",
        RequestState.STOPPED: f"was approved{by} and then stopped",
        RequestState.DENIED: f"was denied{by}",
        RequestState.CANCELLED: f"was cancelled{by}",
        RequestState.EXPIRED: "has expired",
    }[view.state]


def serials_of(words: Iterable[str]) -> list[str]:
    """Return serial numbers in upper case, each once."""
    return list(dict.fromkeys(word.strip().upper() for word in words if word.strip()))
