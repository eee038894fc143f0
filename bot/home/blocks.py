"""The screens that join rooms: help, tokens, and what the Home tab and `status` say of a token."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bot.backend.port import BackendTexts
from bot.home.facts import TokenRow
from bot.home.rules import days, devices, worst_first
from bot.kit.actor import Role
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines
from bot.slack import charts
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
    mention,
    section,
    short,
    text_of,
)
from bot.slack.router import Command
from bot.tokens.blocks import next_button, next_text
from bot.tokens.facts import NextAction, TokenState, TokenView

SYNC_NOW = "device.sync"
SHOW_TOKEN = "home.token"
NEXT_TOKENS = "home.tokens.next"
PREVIOUS_TOKENS = "home.tokens.previous"
EXPORT_TOKENS = "home.tokens.export"
PAGE = 10
_COLUMNS = (
    *("token", "state", "days_left", "expires_at", "organisation", "organisation_id", "mdm_server"),
    *("made_by", "mdm_url", "tags", "devices", "devices_without_profile", "last_sync", "default_profiles"),
)
ADD_TOKEN = "token.add"

#: What a button needs that an admin is not alone to press.
_NEEDED = {NextAction.CHECK_AGAIN: Role.OPERATOR}
_LABEL_CHARS = 75  # https://docs.slack.dev/reference/block-kit/block-elements/button-element
_OTHERS = "At a glance"
_GROUPS = {
    **{"status": _OTHERS, "help": _OTHERS, "sync": "Devices", "device": "Devices", "token": "Tokens"},
    **{"assign": "Assignments", "unassign": "Assignments", "request": "Assignments"},
    **{"vpp": "Licences", "alert": "Alerts", "watch": "Deadlines", "audit": "Audit"},
}
_OPTIONS = re.compile(r" \[?--")
_HELP_LINES = 12


def token_list(
    rows: Sequence[TokenRow], *, texts: BackendTexts, role: Role, slash: str, now: datetime, first: int = 0
) -> Message:
    """One page of the tokens, two lines each, the worst first; `first` is the place of the page's first."""
    if not rows:
        return Message.of(section("*There is no enrollment token yet.*"), *beginning(role, slash))
    first = max(0, min(first, len(rows) - 1)) // PAGE * PAGE
    page = worst_first(rows)[first : first + PAGE]
    where = f", {first + 1} to {first + len(page)}" if len(rows) > PAGE else ""
    word = "token" if len(rows) == 1 else "tokens"
    blocks: list[Block] = [section(f"*{len(rows)} enrollment {word}{where}*")]
    if not first and len(left := days_left(rows)) > 1:
        blocks.append(_days_left(left))
    for row in page:
        text = f"{bold(row.token.name)} · {state_line(row.token, texts)}\n{devices_line(row, now)}"
        show = named(button("Show", action_id=SHOW_TOKEN, value=row.token.id), row.token)
        blocks.append(section(text, accessory=show))
    turns = [button("Export CSV", action_id=EXPORT_TOKENS)]
    if first + PAGE < len(rows):
        turns.insert(0, button("Next", action_id=NEXT_TOKENS, value=str(first + PAGE)))
    if first:
        turns.insert(0, button("Previous", action_id=PREVIOUS_TOKENS, value=str(first - PAGE)))
    blocks.append(actions(*turns))
    return Message(text_of(blocks), blocks)


def days_left(rows: Sequence[TokenRow]) -> dict[str, float]:
    """Return the days left of every token that has any; one alone is read as fast in its line."""
    return {row.token.name: max(row.token.days_left, 0) for row in rows if row.token.days_left is not None}


def _days_left(left: Mapping[str, float]) -> Block:
    few = charts.smallest(left, charts.CATEGORIES)
    title = (
        "Days left by token" if len(few) == len(left) else f"The {len(few)} tokens with the fewest days left"
    )
    return charts.bars(title, few, unit="Days left")


def how_many_tokens(number: int) -> str:
    return "1 enrollment token" if number == 1 else f"{number:,} enrollment tokens"


def token_csv(rows: Sequence[TokenRow], *, texts: BackendTexts) -> bytes:
    """All tokens as a file for spreadsheets, times in UTC."""
    return BYTE_ORDER_MARK + csv_lines([_COLUMNS, *(_cells(row, texts) for row in worst_first(rows))])


def _cells(row: TokenRow, texts: BackendTexts) -> list[str]:
    token = row.token
    return [
        *(token.name, token.state.in_words(service=texts.service)),
        "" if token.days_left is None else str(token.days_left),
        *(_iso(token.expires_at), token.org_name or "", token.org_id or "", token.server_name or ""),
        *(token.made_by or "", token.mdm_url or "", " ".join(sorted(token.tags))),
        *(str(row.counts.present), str(row.counts.without_profile), _iso(row.syncs.last_ok_at)),
        ", ".join(f"{name} ({platforms})" for name, platforms in row.defaults.items()),
    ]


def _iso(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def token_card(row: TokenRow, *, texts: BackendTexts, role: Role, now: datetime) -> Message:
    """Everything about one token that may be shown, and what to do next."""
    token = row.token
    title = section(f"{bold(f'Token {token.name}')} · {state_line(token, texts)}")
    blocks: list[Block] = [title, fields(*_facts(row, texts, now))]
    if token.next_step:
        blocks.append(section(next_text(token)))
    buttons = token_buttons(row, role)
    if buttons:
        blocks.append(actions(*buttons))
    blocks.append(context(*_small_print(token, now)))
    return Message(text_of(blocks), blocks)


def help_overview(commands: Sequence[Command], *, slash: str) -> Message:
    """What the caller may do: one line a command, by noun, the options left to the help of one command."""
    groups: dict[str, list[str]] = {}
    for command in commands:
        noun = command.name.split()[0]
        title = _GROUPS.get(noun, f"{noun.capitalize()}s" if " " in command.name else _OTHERS)
        line = f"{code(short_usage(command.usage))} {escape(command.summary)}"
        groups.setdefault(title, []).append(line)
    blocks: list[Block] = [section("*What you can do here*")]
    for title, lines in groups.items():
        blocks += [section("\n".join([bold(title), *chunk])) for chunk in _chunks(lines, _HELP_LINES)]
    blocks.append(
        context(
            f"{code(f'{slash} help token add')} shows the options of a command. Options may stand anywhere;"
            " quote what has spaces; separate serial numbers as you like."
        )
    )
    return Message(text_of(blocks), blocks)


def short_usage(usage: str) -> str:
    """Return a usage line up to its first option."""
    return _OPTIONS.split(usage, maxsplit=1)[0]


def help_topic(commands: Sequence[Command]) -> Message:
    """The commands of one noun, with the role that each needs."""
    texts = [f"{code(c.usage)}\n{escape(c.summary)} _Needs the role {c.role.word}._" for c in commands]
    blocks = [section(text) for text in texts]
    return Message(text_of(blocks), blocks)


def token_lines(row: TokenRow, *, texts: BackendTexts, now: datetime) -> str:
    """Say how a token is, in two to four lines."""
    token = row.token
    where = " · ".join(escape(part) for part in (token.org_name, _server(token, texts)) if part)
    lines = [f"{bold(token.name)} · {state_line(token, texts)}", devices_line(row, now), where]
    return "\n".join(line for line in lines if line)


def token_buttons(row: TokenRow, role: Role) -> list[Block]:
    """Return what somebody with this role for the token may press."""
    token = row.token
    buttons = []
    if token.state.can_sync and role >= Role.OPERATOR:
        buttons.append(named(button("Sync now", action_id=SYNC_NOW, value=token.id), token))
    steps = token.next_step.actions if token.next_step else ()
    allowed = [step for step in steps if role >= _NEEDED.get(step, Role.ADMIN)]
    buttons.extend(named(next_button(step, token.id), token) for step in allowed)
    if role >= Role.ADMIN and token.has_token and NextAction.RENEW not in steps:
        plain = button("Renew token", action_id=NextAction.RENEW.value, value=token.id)
        buttons.append(named(plain, token))
    return buttons


def named(made: Block, token: TokenView) -> Block:
    """Name the token to those who hear the screen: under each token the buttons look alike."""
    label = short(f"{made['text']['text']}: token {token.name}", _LABEL_CHARS)
    return made | {"accessibility_label": label}


def beginning(role: Role, slash: str) -> list[Block]:
    """Return what to do where there is no token yet."""
    if role < Role.ADMIN:
        return [section("An admin of this bot adds the first one.")]
    text = f"Next: add the first one with {code(f'{slash} token add NAME')}, about 10 minutes."
    return [section(text), actions(button("Add token", action_id=ADD_TOKEN, style="primary"))]


def state_line(token: TokenView, texts: BackendTexts) -> str:
    """Say a token's state, and the days left where there are some."""
    state = escape(token.state.in_words(service=texts.service))
    if token.days_left is None or token.state in (TokenState.AWAITING, TokenState.EXPIRED):
        return state
    return f"{state}, {days(token.days_left)} left"


def devices_line(row: TokenRow, now: datetime) -> str:
    """Say how many devices a token has, and when it was synced."""
    if not row.token.has_token:
        return "no server token uploaded yet"
    waiting = row.counts.without_profile
    without = f", {waiting:,} without a profile" if waiting else ""
    default = f" · default profile {_defaults(row)}" if row.defaults else ""
    return f"{devices(row.counts.present)}{without} · {_sync_line(row, now)}{default}"


def _defaults(row: TokenRow) -> str:
    """Name the default profiles; one that all platforms have needs no more words."""
    if len(row.defaults) == 1 and "all platforms" in row.defaults.values():
        return escape(next(iter(row.defaults)))
    return ", ".join(f"{escape(name)} ({platforms})" for name, platforms in row.defaults.items())


def _sync_line(row: TokenRow, now: datetime) -> str:
    syncs = row.syncs
    if syncs.running:
        return f"syncing, {syncs.running.received:,} read so far"
    last = f"last sync {local_time(syncs.last_ok_at, now)}" if syncs.last_ok_at else "not synced yet"
    if syncs.failures:
        times = "once" if syncs.failures == 1 else f"{syncs.failures} times"
        why = f": {escape(syncs.last.error)}" if syncs.last and syncs.last.error else ""
        return f"{last}, failed {times} since{why}"
    return last


def _facts(row: TokenRow, texts: BackendTexts, now: datetime) -> list[str]:
    token = row.token
    none = "" if row.defaults else " · no default profile"
    facts = [
        ("Organisation", escape(f"{token.org_name} ({token.org_id})") if token.org_name else None),
        (f"MDM server in {escape(texts.portal)}", escape(token.server_name) if token.server_name else None),
        ("Expires", local_time(token.expires_at) if token.expires_at else None),
        ("Made by", escape(token.made_by) if token.made_by else None),
        ("Devices", f"{devices_line(row, now)}{none}" if token.has_token else None),
        ("MDM server URL", escape(token.mdm_url) if token.mdm_url else "not set"),
        ("Scope tags", escape(", ".join(sorted(token.tags))) if token.tags else "none"),
        ("Channel", f"<#{escape(token.channel)}>" if token.channel else "the bot's"),
        ("Owner", _owner(token.owner) if token.owner else "nobody"),
        ("Warnings", escape(", ".join(str(day) for day in token.warn_days)) + " days before"),
    ]
    return [f"*{name}*\n{value}" for name, value in facts if value]


def _small_print(token: TokenView, now: datetime) -> list[str]:
    parts = [f"Added by {_person(token.added_by)} {local_time(token.added_at, now)}"]
    if token.installed_at and token.installed_by:
        parts.append(
            f"Server token uploaded by {_person(token.installed_by)} {local_time(token.installed_at, now)}"
        )
    if token.certificate_fingerprint:
        parts.append(f"Certificate {code(token.certificate_fingerprint[:16])}")
    if token.staged_fingerprint:
        parts.append(
            f"New certificate {code(token.staged_fingerprint[:16])}, waiting for a token made for it"
        )
    if token.asked_at:
        parts.append(f"As of {local_time(token.asked_at, now)}")
    return parts


def _server(token: TokenView, texts: BackendTexts) -> str | None:
    return f"MDM server in {texts.portal}: {token.server_name}" if token.server_name else None


def _owner(owner: str) -> str:
    return f"<!subteam^{escape(owner)}>" if owner.startswith("S") else mention(owner)


def _person(who: str) -> str:
    """Name a Slack user; somebody at the command line has an operating system's user name."""
    is_slack_user = who[:1] in ("U", "W") and who.isalnum() and who.isupper()
    return mention(who) if is_slack_user else f"{escape(who)} at the command line"


def _chunks(lines: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (lines[start : start + size] for start in range(0, len(lines), size))
