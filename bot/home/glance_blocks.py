"""How everything stands: the Home tab, and `status`, which says the same in short. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.alerts.blocks import Writer as AlertBlocks
from bot.assignments.blocks import DETAILS, what
from bot.assignments.facts import RequestView
from bot.assignments.new_blocks import NEW
from bot.backend.port import BackendTexts
from bot.home import rules
from bot.home.blocks import (
    ADD_TOKEN,
    NEXT_TOKENS,
    beginning,
    days_left,
    devices_line,
    state_line,
    token_buttons,
    token_lines,
)
from bot.home.facts import Glance, TokenRow
from bot.kit.actor import Rights, Role
from bot.licenses.blocks import days_left as content_days_left
from bot.licenses.facts import ContentTokenView
from bot.slack import charts
from bot.slack.blocks import (
    Block,
    Message,
    View,
    actions,
    bold,
    button,
    code,
    context,
    divider,
    escape,
    header,
    home,
    local_time,
    mention,
    section,
    short,
)

#: Tokens that stand there with their buttons; of more the others are a line each.
_IN_FULL = 12
_LINES = 60
_LINES_A_SECTION = 10
_FINE_LINES = 4
_BARS = 10
_REQUESTS_IN_SHORT = 3
_ALERTS_IN_SHORT = 3
_APPS = 8
_AS_OF = "as_of"


def home_tab(glance: Glance, *, texts: BackendTexts, rights: Rights, slash: str, now: datetime) -> View:
    """The Home tab, the worst first: at most 100 blocks, and bars of text, since it takes no charts."""
    role = rights.highest
    if role < Role.VIEWER:
        return home(section("*You have no role here yet.* An admin of this bot can grant you one."))
    as_of = context(f"As of {local_time(now, now)}") | {"block_id": _AS_OF}
    blocks: list[Block] = [header(rules.headline(glance)), as_of]
    if not glance.tokens:
        return home(*blocks, *beginning(role, slash))
    blocks += _top_buttons(role)
    blocks += _alerts(glance, texts=texts, rights=rights, slash=slash, now=now)
    blocks += _waiting(glance, slash=slash, now=now)
    blocks += _tokens(glance.tokens, texts=texts, rights=rights, slash=slash, now=now)
    if bars := _days_left("Days left by token", days_left(glance.tokens)):
        blocks += [divider(), *bars]
    blocks += _devices(glance)
    blocks += _licences(glance, now)
    return home(*blocks)


def fingerprint(view: View) -> str:
    """Return what tells views apart that say different things; the moment they were made says nothing."""
    told = [block for block in view["blocks"] if block.get("block_id") != _AS_OF]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def status(glance: Glance, *, texts: BackendTexts, rights: Rights, slash: str, now: datetime) -> Message:
    """Health at a glance: what needs somebody first, what is fine in a few lines."""
    blocks: list[Block] = [section(f"*{escape(rules.headline(glance))}*")]
    blocks += _alerts(glance, texts=texts, rights=rights, slash=slash, now=now, most=_ALERTS_IN_SHORT)
    blocks += _waiting(glance, slash=slash, now=now, most=_REQUESTS_IN_SHORT)
    needy, fine = rules.in_trouble(glance.tokens)
    for row in needy[:_IN_FULL]:
        blocks += _with_buttons(row, texts=texts, rights=rights, now=now)
    if len(needy) > _IN_FULL:
        blocks.append(context(f"and {len(needy) - _IN_FULL} more: {code(f'{slash} token list')}"))
    if fine:
        blocks.append(section(_fine(fine, texts=texts, slash=slash, now=now)))
    if not glance.tokens:
        blocks += beginning(rights.highest, slash)
    if glance.by_profile:
        blocks.append(charts.pie("Devices by profile", _profiles(glance)))
        blocks.append(charts.pie("Devices by state", rules.by_state(glance.tokens)))
    if glance.tokens:
        blocks += _top_buttons(rights.highest, adds=False)
    blocks.append(context(f"{code(f'{slash} help')} shows what you can do."))
    return Message.of(*blocks)


def _top_buttons(role: Role, *, adds: bool = True) -> list[Block]:
    row = []
    if role >= Role.OPERATOR:
        row.append(button("New assignment", action_id=NEW))
    if role >= Role.ADMIN and adds:
        row.append(button("Add token", action_id=ADD_TOKEN))
    return [actions(*row)] if row else []


# What is wrong


def _alerts(
    glance: Glance,
    *,
    texts: BackendTexts,
    rights: Rights,
    slash: str,
    now: datetime,
    most: int = 5,
) -> list[Block]:
    """Show the worst alerts with what mends them; count the others."""
    if not glance.alerts:
        return []
    shown = AlertBlocks(texts=texts, slash=slash)
    blocks = [divider(), section("*Open alerts*")]
    for view in glance.alerts[:most]:
        blocks += shown.row(view, rights=rights, now=now)
    more = len(glance.alerts) - most
    if more > 0:
        blocks.append(context(f"and {more} more: {code(f'{slash} alert list')}"))
    return blocks


# What waits for a decision


def _waiting(glance: Glance, *, slash: str, now: datetime, most: int | None = None) -> list[Block]:
    """Show the requests that the reader may decide, with the way to their details; count the others."""
    pending = glance.pending
    shown = pending.to_decide[:most]
    blocks: list[Block] = []
    if shown:
        blocks += [divider(), section(f"*{rules.requests(pending.decidable)} for your decision*")]
    blocks += [section(_request(view, now), accessory=_details(view)) for view in shown]
    more = pending.decidable - len(shown)
    others = f"{rules.requests(pending.others)} for a decision by others." if pending.others else ""
    rest = [f"and {more:,} more." if more else "", others]
    if any(rest):
        told = " ".join(part for part in rest if part)
        if not shown and glance.alerts:
            blocks.append(divider())
        blocks.append(context(f"{told} {code(f'{slash} request list')} shows them."))
    return blocks


def _request(view: RequestView, now: datetime) -> str:
    expires = f" · expires {local_time(view.expires_at, now)}" if view.expires_at else ""
    reason = f"\nReason: “{escape(short(view.reason, 200))}”" if view.reason else ""
    return (
        f"*{view.label}* · {what(view)}\nRequested by {mention(view.requested_by)}"
        f" · token {escape(view.token_name)}{expires}{reason}"
    )


def _details(view: RequestView) -> Block:
    made = button("Details", action_id=DETAILS, value=view.id)
    return made | {"accessibility_label": f"Details: {view.label}"}


# Tokens


def _tokens(
    rows: Sequence[TokenRow], *, texts: BackendTexts, rights: Rights, slash: str, now: datetime
) -> list[Block]:
    """Show tokens, the worst first, each with its buttons; of many those that are fine are a line each."""
    ordered = rules.worst_first(rows)
    needy, fine = rules.in_trouble(rows)
    full, lines = (ordered, []) if len(ordered) <= _IN_FULL else (needy[:_IN_FULL], needy[_IN_FULL:] + fine)
    blocks: list[Block] = []
    for row in full:
        blocks += [divider(), *_with_buttons(row, texts=texts, rights=rights, now=now)]
    if not lines:
        return blocks
    told = [_line(row, texts, now) for row in lines[:_LINES]]
    parts = [told[first : first + _LINES_A_SECTION] for first in range(0, len(told), _LINES_A_SECTION)]
    blocks += [divider(), *(section("\n".join(part)) for part in parts)]
    left = f"and {len(lines) - _LINES} more." if len(lines) > _LINES else "With their buttons:"
    blocks += [
        context(f"{left} {code(f'{slash} token show NAME')}"),
        actions(button("Show tokens", action_id=NEXT_TOKENS, value="0")),
    ]
    return blocks


def _with_buttons(row: TokenRow, *, texts: BackendTexts, rights: Rights, now: datetime) -> list[Block]:
    buttons = token_buttons(row, rights.role_for(row.token.tags))
    told = section(token_lines(row, texts=texts, now=now))
    return [told, actions(*buttons)] if buttons else [told]


def _line(row: TokenRow, texts: BackendTexts, now: datetime) -> str:
    return f"{bold(row.token.name)} · {state_line(row.token, texts)} · {devices_line(row, now)}"


def _fine(rows: Sequence[TokenRow], *, texts: BackendTexts, slash: str, now: datetime) -> str:
    """Say of tokens that are fine a line each, of many no more than how many they are."""
    if len(rows) <= _FINE_LINES:
        return "\n".join(_line(row, texts, now) for row in rows)
    total = rules.devices(sum(row.counts.present for row in rows))
    least = min((row.token.days_left for row in rows if row.token.days_left is not None), default=0)
    return (
        f"{len(rows)} tokens are fine: {total}, {rules.days(least)} left or more."
        f" {code(f'{slash} token list')} shows them."
    )


def _days_left(title: str, left: Mapping[str, float]) -> list[Block]:
    """Draw days left, the fewest first; one alone is read as fast in its line."""
    if len(left) < 2:
        return []
    more = f", the {_BARS} with the fewest" if len(left) > _BARS else ""
    return [charts.text_bars(f"{title}{more}", charts.smallest(left, _BARS))]


# Devices


def _devices(glance: Glance) -> list[Block]:
    states = rules.by_state(glance.tokens)
    if not states:
        return []
    return [
        divider(),
        charts.text_bars("Devices by profile", charts.largest(_profiles(glance), _BARS)),
        charts.text_bars("Devices by state", states),
    ]


def _profiles(glance: Glance) -> dict[str, float]:
    without = sum(row.counts.without_profile for row in glance.tokens)
    return {**glance.by_profile, **({"no profile": without} if without else {})}


# Licences


def _licences(glance: Glance, now: datetime) -> list[Block]:
    """Show content tokens, a line each, and how many licences the scarcest apps have left."""
    if not glance.content_tokens:
        return []
    told = [_content_token(each, now) for each in glance.content_tokens[:_APPS]]
    left = len(glance.content_tokens) - len(told)
    blocks = [
        divider(),
        section("\n".join(["*Licences*", *told, *([f"and {left} more"] if left else [])])),
    ]
    blocks += _days_left("Days left by content token", content_days_left(glance.content_tokens))
    scarce = rules.scarcest(glance, most=_APPS)
    return [*blocks, charts.text_bars("Licences left", scarce)] if scarce else blocks


def _content_token(view: ContentTokenView, now: datetime) -> str:
    left = "" if view.state.is_ended else f", {rules.days(view.days_left)} left"
    counted = f"as of {local_time(view.counted_at, now)}" if view.counted_at else "not counted yet"
    location = escape(short(view.location_name, 30))
    return f"{bold(view.name)} · {view.state.value}{left} · location {location} · {counted}"
