"""How roles are shown: who has which, and what the channel is told. Pure."""

import math
from collections.abc import Collection, Sequence
from datetime import datetime

from bot.access.facts import Granted
from bot.access.models import SubjectKind
from bot.access.service import RoleChange, RoleTable
from bot.kit.actor import Role
from bot.slack.blocks import (
    Message,
    code,
    context,
    local_time,
    mention,
    mention_group,
    section,
)

_LISTED_AT_MOST = 400
#: Blocks of a message that the grants may take; the head and the hint stand beside them.
_SECTIONS = 40
#: Tags of one grant; a section of ten grants holds that many of the longest.
_TAGS_SHOWN = 3


def role_list(table: RoleTable, *, deactivated: Collection[str], slash: str, now: datetime) -> Message:
    """Show the grants, highest first; `deactivated` are people whose Slack account is."""
    lines = [f"{mention(user)} · *admin* of every token, by ENROLLBOT_ADMINS" for user in table.by_settings]
    lines += [_line(each, deactivated, now) for each in table.grants[:_LISTED_AT_MOST]]
    if len(table.grants) > _LISTED_AT_MOST:
        lines.append(f"… and {len(table.grants) - _LISTED_AT_MOST:,} more")
    everyone = (
        "Everyone else has no role."
        if table.default_role is Role.NONE
        else f"Everyone else has the role {table.default_role.word}."
    )
    at_once = max(1, math.ceil(len(lines) / _SECTIONS))
    parts = [lines[start : start + at_once] for start in range(0, len(lines), at_once)]
    return Message.of(
        section(f"*Roles* · {everyone}"),
        *(section("\n".join(part)) for part in parts),
        context(
            f"{code(f'{slash} role grant @person operator --tags schools')} grants a role,"
            f" {code(f'{slash} role revoke @person')} takes it back."
        ),
    )


def _line(granted: Granted, deactivated: Collection[str], now: datetime) -> str:
    gone = " · *deactivated in Slack: no rights; revoke it*" if granted.subject in deactivated else ""
    by = f"by {mention(granted.granted_by)} {local_time(granted.granted_at, now)}"
    where = _where(granted, at_most=_TAGS_SHOWN)
    return f"{_who(granted)} · *{granted.role.word}* {where}, {by}{gone}"


def granted(change: RoleChange, *, by: str) -> Message:
    """Tell of a granted role: the person who did it, and the channel."""
    given, before = change.granted, change.before
    lines = [f"{_who(given)} *is {given.role.word}* {_where(given)}, granted by {mention(by)}"]
    if before is not None and before.tags != given.tags:
        lines.append(f"Before: {given.role.word} {_where(before)}")
    if given.kind is SubjectKind.GROUP:
        lines.append(
            "Whoever may edit this group in Slack can give themselves this role."
            " A change of its members counts here within a minute."
        )
    return Message.of(section("\n".join(lines)))


def revoked(changes: Sequence[RoleChange], *, by: str) -> Message:
    """Tell of revoked roles."""
    first = changes[0].granted
    roles = "; ".join(f"{each.granted.role.word} {_where(each.granted)}" for each in changes)
    return Message.of(section(f"{_who(first)} *is no longer* {roles}, revoked by {mention(by)}"))


def _who(granted: Granted) -> str:
    if granted.kind is SubjectKind.GROUP:
        return mention_group(granted.subject)
    return mention(granted.subject)


def _where(granted: Granted, *, at_most: int | None = None) -> str:
    if granted.tags is None:
        return "of every token"
    tags = sorted(granted.tags)
    more = f" and {len(tags) - at_most} more" if at_most is not None and len(tags) > at_most else ""
    return "of tokens tagged " + ", ".join(code(tag) for tag in tags[:at_most]) + more
