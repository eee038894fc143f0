"""How the audit is shown: a page of entries, whatever stands in their detail. Pure."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.audit.facts import AuditPage, Entry, Exported
from bot.kit.actor import ActorKind
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    bold,
    button,
    code,
    context,
    escape,
    local_time,
    mention,
    mention_group,
    section,
    short,
)

PREVIOUS = "audit.previous"
NEXT = "audit.next"
EXPORT = "audit.export"
#: Characters, before they are escaped. Ten entries make one message, so that each has to be brief.
_QUERY_SHOWN = 300
_NAME_SHOWN = 80
_KEY_SHOWN = 40
_VALUE_SHOWN = 100
#: Characters, as sent.
_DETAIL_SHOWN = 600
_ITEMS_SHOWN = 5
_ACTIONS_SHOWN = 30
_DEPTH_SHOWN = 2
_CHANGE = frozenset({"before", "after"})
_HIGHEST_NUMBER = 2**31 - 1
_PERSON = re.compile(r"[UW][A-Z0-9]{2,20}")
_GROUP = re.compile(r"S[A-Z0-9]{2,20}")
_LINK = re.compile(r"https?://[^\s<>|]{1,200}")


def page(found: AuditPage, *, now: datetime) -> Message:
    """Show a page, with the way to its neighbours and to all of it as files."""
    where = f" for {code(short(found.query, _QUERY_SHOWN))}" if found.query else ""
    if not found.entries:
        return Message.of(section(f"*No entry*{where}"), *_hints(found))
    count = "More than 1,000 entries" if found.total is None else _how_many(found.total)
    blocks = [section(f"*{count}*{where}")]
    blocks.extend(section(_entry(entry, now)) for entry in found.entries)
    buttons = []
    if found.previous is not None:
        buttons.append(button("Previous", action_id=PREVIOUS, value=_place(found, before=found.previous)))
    if found.next is not None:
        buttons.append(button("Next", action_id=NEXT, value=_place(found, after=found.next)))
    buttons.append(button("Export", action_id=EXPORT, value=_place(found)))
    return Message.of(*blocks, actions(*buttons), *_hints(found))


def exported(files: Exported) -> Message:
    """Say what comes with the files."""
    where = f" for {code(short(files.query, _QUERY_SHOWN))}" if files.query else ""
    return Message(f"{_how_many(files.entries)} of the audit{where}, as JSON Lines and as CSV.")


EXPORT_SENT = "The files are in your direct messages."


def place_of(value: str) -> tuple[str, int | None, int | None]:
    """Read what a page's button carries: query, after, before. Anything unreadable is the whole audit."""
    try:
        place = json.loads(value)
    except (ValueError, RecursionError):
        return "", None, None
    if not isinstance(place, dict):
        return "", None, None
    query = place.get("q")
    return query if isinstance(query, str) else "", _number(place.get("after")), _number(place.get("before"))


def _number(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _HIGHEST_NUMBER else None


def _place(found: AuditPage, *, after: int | None = None, before: int | None = None) -> str:
    place = {"q": found.query, "after": after, "before": before}
    return json.dumps(place, separators=(",", ":"), ensure_ascii=False)


def _how_many(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _hints(found: AuditPage) -> list[Block]:
    hints = []
    if found.actions:
        more = " …" if len(found.actions) > _ACTIONS_SHOWN else ""
        hints.append(f"Actions here: {' '.join(code(each) for each in found.actions[:_ACTIONS_SHOWN])}{more}")
    if found.tags is not None:
        tags = ", ".join(code(tag) for tag in sorted(found.tags))
        hints.append(f"You see what was done with tokens tagged {tags}.")
    return [context(*hints)] if hints else []


# One entry


def _entry(entry: Entry, now: datetime) -> str:
    reference = f" · {code(entry.reference)}" if entry.reference else ""
    lines = [
        f"{bold(_in_words(entry.action))} · {_subject(entry)}",
        f"{local_time(entry.at, now)} · {_who(entry)} · entry {entry.number:,}{reference}",
    ]
    parts = _parts({**entry.detail, "permalink": entry.link} if entry.link else entry.detail)
    return "\n".join([*lines, parts] if parts else lines)


def _in_words(action: str) -> str:
    """Return an action as a sentence has it: `token.key_replaced` is "Token key replaced"."""
    words = re.sub(r"[._]", " ", action).capitalize()
    return re.sub(r"^Api\b", "API", words)


def _subject(entry: Entry) -> str:
    if _PERSON.fullmatch(entry.subject_id) and entry.subject_kind == "person":
        return mention(entry.subject_id)
    if _GROUP.fullmatch(entry.subject_id) and entry.subject_kind == "group":
        return mention_group(entry.subject_id)
    return escape(short(entry.subject_name or entry.subject_id, _NAME_SHOWN))


def _who(entry: Entry) -> str:
    if entry.actor_kind == ActorKind.PERSON:
        return _person(entry.actor)
    name = escape(short(entry.actor, _NAME_SHOWN))
    told: dict[str, str] = {ActorKind.JOB: f"the job {name}", ActorKind.CLI: f"{name} at the command line"}
    return told.get(entry.actor_kind, name)


def _person(told: object, limit: int = _VALUE_SHOWN) -> str:
    if isinstance(told, str) and _PERSON.fullmatch(told):
        return mention(told)
    return _value(told, limit)


def _people(told: object) -> str:
    if not isinstance(told, list):
        return _person(told)
    more = f" and {len(told) - _ITEMS_SHOWN} more" if len(told) > _ITEMS_SHOWN else ""
    return ", ".join(_person(each, _VALUE_SHOWN // _ITEMS_SHOWN) for each in told[:_ITEMS_SHOWN]) + more


def _group(told: object) -> str:
    """Say by what somebody could approve: mostly the group that counted."""
    if not isinstance(told, str):
        return _value(told)
    if _GROUP.fullmatch(told):
        return f"as a member of {mention_group(told)}"
    return _BY.get(told) or _value(told)


def _message(told: object) -> str:
    if isinstance(told, str) and _LINK.fullmatch(told):
        return f"<{escape(told)}|message in Slack>"
    return f"message: {_value(told)}"


#: How access names what is no group.
_BY = {
    "settings": "as an admin by ENROLLBOT_ADMINS",
    "person": "by a role of their own",
    "default role": "by the role that everyone has",
}

#: How what was said of a request is told, in this order, before all else.
_TOLD: Mapping[str, Callable[[object], str]] = {
    "asked_by": lambda told: f"asked for by {_people(told)}",
    "approved_by": lambda told: f"approved by {_people(told)}",
    "group": _group,
    "reason": lambda told: f"reason: {_value(told)}",
    "permalink": _message,
}


def _parts(detail: Mapping[str, Any]) -> str:
    """Return the detail as one line: whole facts as far as there is room, then how many are left.

    Facts are cut before they are escaped, and the line between two of them: neither ends inside markup.
    """
    known = [tell(detail[key]) for key, tell in _TOLD.items() if _says_something(detail.get(key))]
    left = {key: value for key, value in detail.items() if key not in _TOLD}
    if set(left) >= _CHANGE:
        known.append(_value({key: left.pop(key) for key in ("before", "after")}))
    others = [
        f"{escape(short(key.replace('_', ' '), _KEY_SHOWN))}: {_value(value)}"
        for key, value in left.items()
        if _says_something(value)
    ]
    shown: list[str] = []
    room = _DETAIL_SHOWN
    parts = known + others
    for part in parts:
        room -= len(part)
        if room < 0 and shown:
            break
        shown.append(part)
    more = len(parts) - len(shown)
    return " · ".join([*shown, f"{more:,} more in the export"] if more else shown)


def _says_something(value: object) -> bool:
    return value is not None and value not in ("", [], {})


def _value(value: object, limit: int = _VALUE_SHOWN) -> str:
    return escape(short(_plain(value), limit))


def _plain(value: object, depth: int = 0) -> str:
    """Return a value of JSON as people write it; what changed as `before → after`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list) and depth >= _DEPTH_SHOWN:
        return "…"
    if isinstance(value, dict):
        if set(value) == _CHANGE:
            return f"{_plain(value['before'], depth + 1)} → {_plain(value['after'], depth + 1)}"
        return _some([f"{key} {_plain(each, depth + 1)}" for key, each in _first(value.items())], len(value))
    if isinstance(value, list):
        return _some([_plain(each, depth + 1) for each in _first(value)], len(value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _first(items: Any) -> Sequence[Any]:
    return list(items)[:_ITEMS_SHOWN]


def _some(texts: Sequence[str], number: int) -> str:
    more = f" and {number - len(texts):,} more" if number > len(texts) else ""
    return ", ".join(texts) + more
