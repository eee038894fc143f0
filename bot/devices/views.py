"""Stored rows as the values that are shown. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bot.devices import rules
from bot.devices.facts import Change, DeviceCounts, DeviceRow, Kind, unpack
from bot.devices.models import ChangeKind, Device, DeviceChange, DeviceKind, DeviceState
from bot.profiles.facts import KnownUuid
from bot.tokens.facts import TokenView
from bot.tokens.rules import fill


def names_of(visible: Mapping[str, TokenView]) -> dict[str, str]:
    return {token_id: token.name for token_id, token in visible.items()}


Profiles = Mapping[str, KnownUuid]
"""The profiles behind UUIDs, as far as they are known here."""


def profile_name(profile_uuid: str | None, profiles: Profiles) -> str | None:
    """Return a profile's name, with its version where that is not the one in force."""
    known = profiles.get(profile_uuid or "")
    if known is None:
        return None
    return known.name if known.is_current else f"{known.name} (version {known.number})"


def row_of(device: Device, kind: Kind, names: Mapping[str, str], profiles: Profiles) -> DeviceRow:
    return DeviceRow(
        serial=device.serial,
        token_id=kind.token_id,
        token_name=names.get(kind.token_id),
        state=DeviceState(kind.state),
        model=kind.model,
        family=kind.family,
        os=kind.os,
        platform=kind.platform,
        profile_uuid=kind.profile_uuid,
        profile_status=kind.profile_status,
        first_seen_at=device.first_seen_at,
        removed_at=device.removed_at,
        facts=unpack(device.facts),
        profile_name=profile_name(kind.profile_uuid, profiles),
    )


def next_step_of(token: TokenView) -> str:
    """Return a token's next step with its names in it, without the stars of mrkdwn."""
    if token.next_step is None:
        return ""
    places = {
        "name": token.name,
        "server": token.server_name or token.name,
        "org": token.org_name or "the organisation",
        "apple_id": token.made_by or token.expected_apple_id or "",
    }
    return fill(token.next_step.text.replace("*", ""), places)


def change_of(row: DeviceChange, names: Mapping[str, str], profiles: Profiles) -> Change:
    changes = {name: (before, after) for name, (before, after) in row.changes.items()}
    if "token" in changes:
        before, after = changes["token"]
        changes["token"] = (names.get(before, "another token"), names.get(after, "another token"))
    if "profile_uuid" in changes:
        before, after = changes["profile_uuid"]
        changes["profile_uuid"] = (
            profile_name(before, profiles) or before,
            profile_name(after, profiles) or after,
        )
    return Change(row.at, ChangeKind(row.kind), names.get(row.token_id), changes)


def first_change(
    device: Device, changes: Sequence[DeviceChange], kind: DeviceKind, names: Mapping[str, str]
) -> Change:
    """Make the "added" entry, which is kept as the device's date, with the token that it began with."""
    moves = [change.changes["token"][0] for change in changes if "token" in change.changes]
    return Change(device.first_seen_at, ChangeKind.ADDED, names.get(moves[-1] if moves else kind.token_id))


def counts_of(kinds: Sequence[DeviceKind]) -> DeviceCounts:
    states: Counter[str] = Counter()
    by_status: Counter[str] = Counter()
    by_profile: Counter[str] = Counter()
    without = 0
    for kind in kinds:
        states[kind.state] += kind.devices
        if kind.state != DeviceState.PRESENT.value:
            continue
        by_status[kind.profile_status] += kind.devices
        if rules.has_profile(kind.profile_status, kind.profile_uuid):
            by_profile[kind.profile_uuid or ""] += kind.devices
        else:
            without += kind.devices
    return DeviceCounts(
        present=states[DeviceState.PRESENT.value],
        removed=states[DeviceState.REMOVED.value],
        forgotten=states[DeviceState.FORGOTTEN.value],
        without_profile=without,
        by_status=dict(by_status),
        by_profile=dict(by_profile),
    )
