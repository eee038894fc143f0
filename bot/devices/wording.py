"""Numbers, times and changes of devices in words. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.devices.facts import Change
from bot.devices.models import ChangeKind
from bot.slack.blocks import escape, local_time, mention

_REASONS = {
    "deleted": "no longer assigned to the server",
    "replaced": "released because it was replaced",
    "missing": "missing from a full sync",
    "token removed": "its token was removed here",
}
_FORGOTTEN_BY = "forgotten by "
_KINDS = {ChangeKind.RETURNED: "came back"}
_NAMES = {
    "model": "model",
    "description": "description",
    "color": "color",
    "asset_tag": "asset tag",
    "os": "system",
    "family": "family",
    "wifi_mac": "Wi-Fi address",
    "bluetooth_mac": "Bluetooth address",
    "ethernet_mac": "Ethernet address",
    "eid": "EID",
    "imei": "IMEI",
    "meid": "MEID",
    "migration_deadline": "move to another server due",
}
_STATUSES = {
    "empty": "no profile any more",
    "assigned": "profile assigned",
    "pushed": "profile fetched (status pushed)",
    "removed": "profile removed",
}
Pair = tuple[Any, Any]
_UUID = re.compile(r"[0-9A-Fa-f-]{16,}")


def how_many(number: int, thing: str = "device") -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def seconds(length_s: float) -> str:
    """Return a length of time as people say it."""
    if length_s < 10:
        return f"{length_s:.1f} s"
    if length_s < 120:
        return f"{length_s:.0f} s"
    return f"{int(length_s // 60)} min {int(length_s % 60)} s"


def clock_time(moment: datetime) -> str:
    """Return the time of day of a moment today, which Slack shows in the reader's zone."""
    return f"<!date^{int(moment.timestamp())}^{{time}}|{moment:%H:%M} UTC>"


def short_profile(profile: str) -> str:
    """Return a profile's name as it is, or the beginning of its UUID where it has none here."""
    return f"{escape(profile[:8])}…" if _UUID.fullmatch(profile) else escape(profile)


def reason(text: str) -> str:
    """Return why a device left, as stored, in words."""
    if text.startswith(_FORGOTTEN_BY):
        return f"by {mention(text.removeprefix(_FORGOTTEN_BY))}"
    return _REASONS.get(text, escape(text))


def change_in_words(change: Change, now: datetime) -> str:
    """Say what happened to a device."""
    kind = f"*{_KINDS.get(change.kind, change.kind.value)}*"
    if change.kind is ChangeKind.ADDED:
        return f"{kind} to token {escape(change.token_name or 'removed here')}"
    if "reason" in change.changes:
        told = reason(str(change.changes["reason"][1]))
        return f"{kind} {told}" if told.startswith("by ") else f"{kind}: {told}"
    parts = _parts(change.changes, now)
    if "token" in change.changes:
        before, after = change.changes["token"]
        kind += f" from token {escape(before)} to {escape(after)}"
    return f"{kind}: {'; '.join(parts)}" if parts else kind


def _parts(changes: Mapping[str, Pair], now: datetime) -> list[str]:
    parts = [*_profile_parts(changes, now), *_server_parts(changes, now)]
    told: dict[str, Callable[[Any], str]] = {
        "is_replacement": lambda is_so: "marked as a replacement" if is_so else "no longer a replacement",
        "released_by_replacement": lambda is_so: "released, replaced by another" if is_so else "not replaced",
        "extra": lambda _: "other details",
    }
    for name, (before, after) in changes.items():
        if name in told:
            parts.append(told[name](after))
        elif name in _NAMES:
            parts.append(_plain_part(_NAMES[name], before, after, now))
    return parts


def _profile_parts(changes: Mapping[str, Pair], now: datetime) -> list[str]:
    parts = []
    uuid_before, uuid_after = changes.get("profile_uuid", (None, None))
    status = changes.get("profile_status", (None, None))[1]
    if uuid_after:
        instead = f" in place of {short_profile(str(uuid_before))}" if uuid_before else ""
        parts.append(f"profile {short_profile(str(uuid_after))} assigned{instead}")
    elif uuid_before:
        parts.append(f"profile {short_profile(str(uuid_before))} taken away")
    if status and not (status == "assigned" and uuid_after) and not (status == "empty" and uuid_before):
        parts.append(_STATUSES.get(str(status), f"profile status {escape(status)}"))
    if not parts and changes.get("profile_pushed_at", (None, None))[1]:
        parts.append(f"profile fetched again {value_in_words(_moment(changes['profile_pushed_at'][1]), now)}")
    if not parts and changes.get("profile_assigned_at", (None, None))[1]:
        moment = _moment(changes["profile_assigned_at"][1])
        parts.append(f"profile assigned again {value_in_words(moment, now)}")
    return parts


def _server_parts(changes: Mapping[str, Pair], now: datetime) -> list[str]:
    at, by = changes.get("assigned_at", (None, None))[1], changes.get("assigned_by", (None, None))[1]
    if not at and not by:
        return []
    when = f" {value_in_words(_moment(at), now)}" if at else ""
    return [f"assigned to the server{when}{f' by {escape(by)}' if by else ''}"]


def _plain_part(name: str, before: Any, after: Any, now: datetime) -> str:
    if after in (None, "", [], ()):
        return f"{name} cleared, before {value_in_words(_moment(before), now)}"
    was = f", before {value_in_words(_moment(before), now)}" if before not in (None, "", [], ()) else ""
    return f"{name} {value_in_words(_moment(after), now)}{was}"


def value_in_words(value: Any, now: datetime) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, datetime):
        return local_time(value, now)
    return escape(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _moment(value: Any) -> Any:
    """Read a time that history keeps as JSON text; anything else stays what it is."""
    if not isinstance(value, str) or len(value) < len("2026-01-01T00:00:00"):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return moment if moment.tzinfo else value
