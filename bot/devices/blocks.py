"""How devices and syncs are shown: lists, cards, progress and results. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.backend.port import BackendTexts
from bot.devices.facts import (
    Asked,
    AskedDevice,
    Change,
    DeviceAnswer,
    DevicePageView,
    DeviceRow,
    DeviceView,
    Forgotten,
    SyncStarted,
    SyncView,
    Verdict,
)
from bot.devices.models import ChangeKind, DeviceState, SyncKind, SyncState
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    bold,
    button,
    code,
    context,
    escape,
    fields,
    local_time,
    section,
)

PREVIOUS = "device.list.previous"
NEXT = "device.list.next"
EXPORT = "device.export"
SHOW = "device.show"
SYNC_NOW = "device.sync"
_HISTORY_SHOWN = 15
_FORCED = {
    "first": "the first one",
    "expired": "forced: the place reached in the list had expired",
    "invalid": "forced: the place reached in the list was not accepted",
    "required": "forced: the place reached in the list was missing",
    "exhausted": "forced: the place reached in the list was used up",
}
_FIELD_WORDS = {
    "assigned_at": "assigned to the server",
    "assigned_by": "assigned by",
    "profile_uuid": "profile",
    "profile_status": "profile status",
    "profile_assigned_at": "profile assigned",
    "profile_pushed_at": "profile fetched",
}
_REASONS = {
    "deleted": "no longer assigned to the server",
    "replaced": "released because it was replaced",
    "missing": "missing from a full sync",
    "token removed": "its token was removed here",
}


def how_many(number: int, thing: str = "device") -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


# Syncs


def started(answers: Sequence[SyncStarted], refusals: Sequence[str]) -> Message:
    """Answer who asked for syncs: what was started, what runs already, what was refused and why."""
    lines = [_started_line(answer) for answer in answers]
    return Message.of(section("\n".join([*lines, *(escape(refusal) for refusal in refusals)])))


def _started_line(answer: SyncStarted) -> str:
    sync = answer.sync
    if answer.is_new:
        return f"{bold(f'Sync of token {sync.token_name} started')} · {_kind(sync)}"
    return f"{bold(f'Token {sync.token_name} is being synced already')} · {_kind(sync)} · {_so_far(sync)}"


def sync_progress(sync: SyncView) -> Message:
    return Message.of(
        section(f"{bold(f'Token {sync.token_name} is syncing')} · {_kind(sync)}\n{_so_far(sync)}")
    )


def sync_stopped(sync: SyncView) -> Message:
    """Tell that a sync paused: nothing is lost and nothing has to be done."""
    when = f" It goes on by itself at {local_time(sync.resume_at)}." if sync.resume_at else ""
    text = f"{bold(f'Sync of token {sync.token_name} is paused')} · {_kind(sync)}\n{_so_far(sync)}"
    return Message.of(section(f"{text}\nWhat was read is kept.{when}"))


def sync_result(sync: SyncView, texts: BackendTexts) -> Message:
    """Tell how a sync ended: counts, pages and time, or what failed and what comes next."""
    if sync.state is SyncState.FAILED:
        return _failure(sync)
    lines = [
        f"{bold(f'Token {sync.token_name} synced')} · {_kind(sync)}",
        f"{how_many(sync.devices)} now: {_counts(sync)}",
        f"{how_many(sync.pages, 'page')} in {seconds(sync.took.total_seconds())}",
    ]
    if sync.unreadable:
        lines.append(_unreadable(sync))
    blocks = [section("\n".join(lines))]
    if sync.is_first and sync.devices == 0:
        blocks.extend(_no_devices(sync, texts))
    return Message.of(*blocks)


def _failure(sync: SyncView) -> Message:
    error = escape(sync.error or "")
    step = sync.next_step or "It is tried again by itself, in 15 minutes the first time."
    text = (
        f"{bold(f'Sync of token {sync.token_name} did not finish')} · {_kind(sync)}\n{error}\n"
        f"{_so_far(sync)}. What was read is kept; enrolled devices are not touched.\nNext: {escape(step)}"
    )
    return Message.of(section(text), actions(button("Sync now", action_id=SYNC_NOW, value=sync.token_id)))


def _no_devices(sync: SyncView, texts: BackendTexts) -> list[Block]:
    server = escape(sync.server_name or sync.token_name)
    steps = [
        f"{number}. {step.replace('{server}', server).replace('{name}', escape(sync.token_name))}"
        for number, step in enumerate(texts.assign_devices_steps, 1)
    ]
    head = f"No device is assigned to server *{server}* in {texts.portal} yet. Next:"
    return [section("\n".join([head, *steps]))]


def _kind(sync: SyncView) -> str:
    word = "full sync" if sync.kind is SyncKind.FULL else "changes only"
    why = _FORCED.get(sync.forced or "", f"forced: {escape(sync.forced)}" if sync.forced else "")
    return f"{word}, {why}" if why else word


def _so_far(sync: SyncView) -> str:
    return f"{how_many(sync.received)} read so far: {_counts(sync)}"


def _counts(sync: SyncView) -> str:
    counts = [f"{sync.added:,} added", f"{sync.modified:,} modified", f"{sync.removed:,} removed"]
    if sync.returned:
        counts.append(f"{sync.returned:,} returned")
    if sync.moved:
        counts.append(f"{sync.moved:,} moved here from another token")
    return ", ".join(counts)


def _unreadable(sync: SyncView) -> str:
    text = f"{how_many(sync.unreadable)} could not be read."
    if sync.kind is SyncKind.FULL and not sync.removals_judged:
        text += " Nothing was marked removed in this sync, since one of them may be what seems missing."
    return text


def seconds(length_s: float) -> str:
    """Return a length of time as people say it."""
    if length_s < 10:
        return f"{length_s:.1f} s"
    if length_s < 120:
        return f"{length_s:.0f} s"
    return f"{int(length_s // 60)} min {int(length_s % 60)} s"


# Lists


def device_list(page: DevicePageView) -> Message:
    """Show a page of a list, with the way to its neighbours and to the whole as CSV."""
    count = "more than 1,000 devices" if page.total is None else how_many(page.total)
    where = f" for {code(page.query)}" if page.query else ""
    if not page.rows:
        hint = "Removed devices are listed with `removed:yes`."
        return Message.of(section(f"*No device*{where}"), context(hint))
    blocks = [section(f"*{count}*{where}")]
    blocks.extend(section(_line(row), button("Show", action_id=SHOW, value=row.serial)) for row in page.rows)
    buttons = []
    if page.previous is not None:
        buttons.append(button("Previous", action_id=PREVIOUS, value=_place(page, before=page.previous)))
    if page.next is not None:
        buttons.append(button("Next", action_id=NEXT, value=_place(page, after=page.next)))
    buttons.append(button("Export CSV", action_id=EXPORT, value=_place(page)))
    return Message.of(*blocks, actions(*buttons))


def _place(page: DevicePageView, *, after: str | None = None, before: str | None = None) -> str:
    return json.dumps({"q": page.query, "after": after, "before": before}, separators=(",", ":"))


def place_of(value: str) -> tuple[str, str | None, str | None]:
    """Read what a list's button carries: query, after, before. Anything unreadable is the whole list."""
    try:
        place = json.loads(value)
    except ValueError:
        return "", None, None
    if not isinstance(place, dict):
        return "", None, None
    texts = [place.get(key) if isinstance(place.get(key), str) else None for key in ("q", "after", "before")]
    return texts[0] or "", texts[1], texts[2]


def _line(row: DeviceRow) -> str:
    facts = [code(row.serial), escape(row.model), _profile(row), escape(row.token_name or "removed token")]
    if row.state is not DeviceState.PRESENT:
        facts.append(f"_{row.state.value}_")
    return " · ".join(facts)


def _profile(row: DeviceRow) -> str:
    if row.profile_uuid is None or row.profile_status in ("empty", "removed"):
        return "no profile"
    return f"{escape(row.profile_status)} {escape(row.profile_uuid[:8])}…"


def exported(count: int, query: str) -> Message:
    where = f" for {code(query)}" if query else ""
    return Message(f"{how_many(count)}{where} as CSV.")


EXPORT_SENT = "The CSV is on its way to you as a direct message."


# One device


def device_card(answer: DeviceAnswer, *, now: datetime, more: Sequence[Block] = ()) -> Message:
    """Show everything known of a device, `more` from rooms above, and why it is or is not ready."""
    if answer.view is None:
        return Message.of(
            section(f"{bold(f'Device {answer.serial}')} is not known here."),
            *_asked(answer.asked),
            *_verdict(answer.verdict),
        )
    view = answer.view
    return Message.of(
        section(f"{bold(view.row.serial)} · {escape(view.row.model)} · {view.row.state.value}"),
        *_asked(answer.asked),
        fields(*(f"*{name}*\n{value}" for name, value in _facts(view, now)[:10])),
        *more,
        section("*History*\n" + "\n".join(_history(view.history, now))),
        *_verdict(answer.verdict),
    )


def _facts(view: DeviceView, now: datetime) -> list[tuple[str, str]]:
    row, facts = view.row, view.row.facts
    shown: list[tuple[str, object]] = [
        ("Token", row.token_name or "removed"),
        ("Profile", None),
        ("Description", facts.description),
        ("Family and system", " · ".join(part for part in (row.family, row.os) if part)),
        ("Assigned to the server", facts.assigned_at),
        ("Assigned by", facts.assigned_by),
        ("Profile assigned", facts.profile_assigned_at),
        ("Profile fetched", facts.profile_pushed_at),
        ("Color", facts.color),
        ("Asset tag", facts.asset_tag),
        ("Moves to another server by", facts.migration_deadline),
        ("Wi-Fi address", facts.wifi_mac),
        ("IMEI", ", ".join(facts.imei)),
    ]
    told = [(name, _value(value, now)) for name, value in shown if value]
    told.insert(1, ("Profile", _profile(row)))
    return told


def _history(history: Sequence[Change], now: datetime) -> list[str]:
    lines = [f"{local_time(change.at, now)}: {_change(change, now)}" for change in history[:_HISTORY_SHOWN]]
    left = len(history) - _HISTORY_SHOWN
    return [*lines, f"… and {left:,} older"] if left > 0 else lines


def _change(change: Change, now: datetime) -> str:
    if change.kind is ChangeKind.MOVED and "token" in change.changes:
        before, after = change.changes["token"]
        return f"*moved* from token {escape(before)} to {escape(after)}"
    if "reason" in change.changes:
        reason = str(change.changes["reason"][1])
        return f"*{change.kind.value}*: {escape(_REASONS.get(reason, reason))}"
    if change.kind is ChangeKind.ADDED:
        return f"*added* to token {escape(change.token_name or 'removed here')}"
    told = "; ".join(
        f"{_FIELD_WORDS.get(name, name.replace('_', ' '))}: {_value(before, now)} → {_value(after, now)}"
        for name, (before, after) in change.changes.items()
    )
    return f"*{change.kind.value}*" + (f": {told}" if told else "")


def _value(value: Any, now: datetime) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, datetime):
        return local_time(value, now)
    return escape(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _asked(asked: AskedDevice | None) -> list[Block]:
    return [section(asked_line(asked))] if asked else []


def asked_line(asked: AskedDevice) -> str:
    """Say what the service answered about a serial that is not known here."""
    if asked.answer is Asked.FOUND:
        end = "added" if asked.added else "it comes with the sync that is running"
        return f"Apple says {code(asked.serial)} is on server {escape(asked.server_name or '')}: {end}."
    if asked.answer is Asked.NOT_FOUND:
        return f"{code(asked.serial)}: no token here has it; assign it in ABM."
    silent = ", ".join(escape(name) for name in asked.not_asked)
    return f"{code(asked.serial)}: not found; could not ask about {silent}."


def _verdict(verdict: Verdict) -> list[Block]:
    mark = "*Ready*" if verdict.is_ready else "*Not ready*"
    lines = [f"{mark}: {escape(verdict.first)}", *(f"• {escape(other)}" for other in verdict.others)]
    if verdict.next_step:
        lines.append(f"Next: {escape(verdict.next_step)}")
    return [section("\n".join(lines))]


# Forgetting


def forgotten(result: Forgotten, *, portal: str) -> Message:
    """Tell what was forgotten, and how a device comes back unless it is unassigned."""
    lines = []
    if result.forgotten:
        lines.append(f"{bold(f'{how_many(len(result.forgotten))} forgotten')}: {_serials(result.forgotten)}")
        lines.append(
            "They come back with the next full sync, or when they are reported added again."
            f" Next: unassign them in {portal} so that they stay away."
        )
    if result.already:
        lines.append(f"Forgotten before: {_serials(result.already)}")
    if result.unknown:
        lines.append(f"Not known here: {_serials(result.unknown)}")
    return Message.of(section("\n".join(lines)))


def _serials(serials: Sequence[str]) -> str:
    shown = " ".join(code(serial) for serial in serials[:20])
    return shown if len(serials) <= 20 else f"{shown} and {len(serials) - 20:,} more"


def metadata_of(sync: SyncView) -> Mapping[str, Any]:
    """Return the metadata by which a sync's message is known again."""
    return {"event_type": "sync", "event_payload": {"kind": "sync", "id": sync.id}}
