"""How devices are shown: lists and cards. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

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
    Verdict,
)
from bot.devices.models import DeviceState
from bot.devices.wording import change_in_words, how_many, reason, short_profile, value_in_words
from bot.kit.actor import Role
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
    short,
)
from bot.tokens.blocks import next_button
from bot.tokens.facts import NextAction

PREVIOUS = "device.list.previous"
NEXT = "device.list.next"
EXPORT = "device.export"
SHOW = "device.show"
HISTORY = "device.history"
_HISTORY_SHOWN = 10
_LINES_A_SECTION = 20
_NAMED_AT_MOST = 20
_OFFERED_AT_MOST = 10
#: Characters; a field of a section holds 2,000.
_UNKNOWN_SHOWN = 500
_LABEL_CHARS = 75  # https://docs.slack.dev/reference/block-kit/block-elements/button-element


# Lists


def device_list(page: DevicePageView, *, now: datetime, texts: BackendTexts) -> Message:
    """Show a page of a list, with the way to its neighbours and to the whole as CSV."""
    where = f" for {code(page.query)}" if page.query else ""
    if not page.rows:
        return _nothing(page, where, texts)
    count = "More than 1,000 devices" if page.total is None else how_many(page.total)
    blocks = [section(f"*{count}*{where}")]
    blocks.extend(section(_line(row, now), _show_button("Show", row.serial)) for row in page.rows)
    buttons = []
    if page.previous is not None:
        buttons.append(button("Previous", action_id=PREVIOUS, value=_place(page, before=page.previous)))
    if page.next is not None:
        buttons.append(button("Next", action_id=NEXT, value=_place(page, after=page.next)))
    buttons.append(button("Export CSV", action_id=EXPORT, value=_place(page)))
    return Message.of(*blocks, actions(*buttons))


def _nothing(page: DevicePageView, where: str, texts: BackendTexts) -> Message:
    """Say why a list may be empty, and where to look instead."""
    blocks = [section(f"*No device*{where}")]
    if len(page.beginnings) > 1:
        blocks.append(
            section(
                "All words of a query must hold at once, and no serial number begins with each of"
                f" {_serials(page.beginnings)}. Look at one at a time."
            )
        )
    elif page.beginnings:
        blocks.append(section(f"{escape(texts.service)} is asked about a serial number when it is shown."))
    offered = list(dict.fromkeys(page.beginnings))[:_OFFERED_AT_MOST]
    blocks.extend(section(code(serial), _show_button("Show", serial)) for serial in offered)
    hint = "Removed devices are listed with `removed:yes`, removed and forgotten ones too with `removed:any`."
    return Message.of(*blocks, context(hint))


def _show_button(text: str, serial: str) -> Block:
    """Return a button that names its serial to those who hear the screen: in a list all look alike."""
    made = button(text, action_id=SHOW, value=serial)
    return made | {"accessibility_label": short(f"Show device {serial}", _LABEL_CHARS)}


def _place(page: DevicePageView, *, after: str | None = None, before: str | None = None) -> str:
    place = {"q": page.query, "after": after, "before": before}
    return json.dumps(place, separators=(",", ":"), ensure_ascii=False)


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


def _line(row: DeviceRow, now: datetime) -> str:
    facts = [code(row.serial), escape(row.model), _profile(row), escape(row.token_name or "removed token")]
    if row.state is DeviceState.FORGOTTEN:
        facts.append("*forgotten*")
    elif row.state is DeviceState.REMOVED:
        facts.append(f"*removed* {local_time(row.removed_at, now)}" if row.removed_at else "*removed*")
    return " · ".join(facts)


def _profile(row: DeviceRow) -> str:
    if row.profile_uuid is None or row.profile_status in ("empty", "removed"):
        return "no profile"
    return f"{escape(row.profile_status)} {short_profile(row.profile_name or row.profile_uuid)}"


def exported(count: int, query: str) -> Message:
    where = f" for {code(query)}" if query else ""
    return Message(f"{how_many(count)}{where} as CSV.")


EXPORT_SENT = "The CSV is on its way to you as a direct message."


# One device


def device_card(
    answer: DeviceAnswer, *, texts: BackendTexts, role: Role, now: datetime, more: Sequence[Block] = ()
) -> Message:
    """Show everything known of a device, `more` from rooms above, and why it is or is not ready.

    `role` is what the reader may do with the device's token: it decides on the buttons.
    """
    if answer.view is None:
        return Message.of(
            section(f"{bold(f'Device {answer.serial}')} is not known here."),
            *_asked(answer.asked, texts),
            *_verdict(answer.verdict),
            actions(_show_button("Look again", answer.serial)),
        )
    view = answer.view
    facts = [f"*{name}*\n{value}" for name, value in _facts(view, now)]
    return Message.of(
        section(f"{bold(view.row.serial)} · {escape(view.row.model)}{_whereabouts(view, now)}"),
        *_asked(answer.asked, texts),
        *(fields(*facts[start : start + 10]) for start in range(0, len(facts), 10)),
        *more,
        section("*History*\n" + "\n".join(_newest_history(view.history, now))),
        *_verdict(answer.verdict),
        *_card_buttons(answer, view, role),
    )


def _card_buttons(answer: DeviceAnswer, view: DeviceView, role: Role) -> list[Block]:
    buttons: list[Block] = []
    token = answer.token
    if token is not None and token.next_step is not None and not token.state.can_sync:
        needed = {NextAction.CHECK_AGAIN: Role.OPERATOR}
        steps = [step for step in token.next_step.actions if role >= needed.get(step, Role.ADMIN)]
        buttons.extend(next_button(step, token.id) for step in steps)
    if len(view.history) > _HISTORY_SHOWN:
        buttons.append(button("Whole history", action_id=HISTORY, value=view.row.serial))
    return [actions(*buttons)] if buttons else []


def _whereabouts(view: DeviceView, now: datetime) -> str:
    row = view.row
    if row.state is DeviceState.FORGOTTEN:
        return (
            f" · *forgotten* {local_time(view.forgotten_at, now)}" if view.forgotten_at else " · *forgotten*"
        )
    if row.state is DeviceState.REMOVED:
        when = f" {local_time(row.removed_at, now)}" if row.removed_at else ""
        why = f": {reason(view.removed_reason)}" if view.removed_reason else ""
        return f" · *removed*{when}{why}"
    return ""


def _facts(view: DeviceView, now: datetime) -> list[tuple[str, str]]:
    row, facts = view.row, view.row.facts
    shown: list[tuple[str, object]] = [
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
        ("Bluetooth address", facts.bluetooth_mac),
        ("Ethernet address", facts.ethernet_mac),
        ("IMEI", ", ".join(facts.imei)),
        ("MEID", ", ".join(facts.meid)),
        ("EID", facts.eid),
        ("Replacement", "replaces another device" if facts.is_replacement else None),
        ("Also reported", _unknown_keys(facts.extra)),
        ("Last change here", view.updated_at),
    ]
    first = [("Token", escape(row.token_name or "removed")), ("Profile", _profile(row))]
    return first + [(name, value_in_words(value, now)) for name, value in shown if value]


def _unknown_keys(extra: Mapping[str, object] | None) -> str | None:
    """Return what the service reports under keys that this version does not know."""
    if not extra:
        return None
    return ", ".join(f"{key}: {value}" for key, value in sorted(extra.items()))[:_UNKNOWN_SHOWN]


def _newest_history(history: Sequence[Change], now: datetime) -> list[str]:
    """Return the newest changes, and the first of all: when the device came."""
    lines = [_history_line(change, now) for change in history]
    left = len(lines) - _HISTORY_SHOWN
    if left <= 0:
        return lines
    return [*lines[: _HISTORY_SHOWN - 1], f"… {how_many(left, 'change')} between", lines[-1]]


def device_history(answer: DeviceAnswer, *, now: datetime) -> Message:
    """Show the whole history of a device, the newest change first."""
    if answer.view is None:
        return Message.of(section(f"{bold(f'Device {answer.serial}')} is not known here."))
    lines = [_history_line(change, now) for change in answer.view.history]
    head = section(f"*History of {escape(answer.serial)}* · {_entries(len(lines))}")
    parts = [lines[start : start + _LINES_A_SECTION] for start in range(0, len(lines), _LINES_A_SECTION)]
    return Message.of(head, *(section("\n".join(part)) for part in parts))


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _history_line(change: Change, now: datetime) -> str:
    return f"{local_time(change.at, now)}: {change_in_words(change, now)}"


def _asked(asked: AskedDevice | None, texts: BackendTexts) -> list[Block]:
    return [section(asked_line(asked, texts))] if asked else []


def asked_line(asked: AskedDevice, texts: BackendTexts) -> str:
    """Say what the service answered about a serial that is not known here."""
    if asked.answer is Asked.FOUND:
        coming = "the sync that is running" if asked.is_coming else "the next sync"
        end = "added" if asked.added else f"it comes with {coming}"
        where = f"{code(asked.serial)} is on server {escape(asked.server_name or '')}"
        return f"{escape(texts.service)} says {where}: {end}."
    if asked.answer is Asked.NOT_FOUND and asked.is_limited:
        return f"{code(asked.serial)}: it is not on a token that you may see."
    if asked.answer is Asked.NOT_FOUND:
        return f"{code(asked.serial)}: no token here has it; assign it in {escape(texts.portal)}."
    silent = ", ".join(escape(name) for name in asked.not_asked)
    return f"{code(asked.serial)}: not found; could not ask about {silent}."


def _verdict(verdict: Verdict) -> list[Block]:
    first = f"*Not ready*: {escape(verdict.first)}" if verdict.is_ready is False else bold(verdict.first)
    lines = [first, *(f"• {escape(other)}" for other in verdict.others)]
    if verdict.next_step:
        lines.append(f"Next: {escape(verdict.next_step)}")
    return [section("\n".join(lines))]


# Forgetting


def forgotten(result: Forgotten, *, texts: BackendTexts) -> Message:
    """Tell what was forgotten, and how a device comes back unless it is unassigned."""
    lines = []
    if result.forgotten:
        lines.append(f"{bold(f'{how_many(len(result.forgotten))} forgotten')}: {_serials(result.forgotten)}")
        lines.append(
            "They come back with the next full sync, or when they are reported added again."
            f" Next: unassign them in {escape(texts.portal)} so that they stay away."
        )
    if result.already:
        lines.append(f"Forgotten before: {_serials(result.already)}")
    if result.unknown:
        lines.append(f"Not known here: {_serials(result.unknown)}")
        lines.append(f"Next: check the serial; {code('device show')} asks {escape(texts.service)} about it.")
    return Message.of(section("\n".join(lines)))


def _serials(serials: Sequence[str]) -> str:
    shown = " ".join(code(serial) for serial in serials[:_NAMED_AT_MOST])
    left = len(serials) - _NAMED_AT_MOST
    return shown if left <= 0 else f"{shown} and {left:,} more"
