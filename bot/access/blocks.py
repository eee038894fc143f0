"""How roles are shown: who has which, and what the channel is told. Pure."""

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

_LINES_A_SECTION = 20
_LISTED_AT_MOST = 400


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
    parts = [lines[start : start + _LINES_A_SECTION] for start in range(0, len(lines), _LINES_A_SECTION)]
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
    return f"{_who(granted)} · *{granted.role.word}* {_where(granted)}, {by}{gone}"


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


def _where(granted: Granted) -> str:
    if granted.tags is None:
        return "of every token"
    return "of tokens tagged " + ", ".join(code(tag) for tag in sorted(granted.tags))
