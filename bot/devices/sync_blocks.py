"""How syncs are shown: what was started, how far they are, how they ended. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.backend.port import BackendTexts
from bot.devices.errors import FullSyncTooSoon, LeftAlone, SyncTooSoon
from bot.devices.facts import SyncStarted, SyncView
from bot.devices.models import SyncKind, SyncState
from bot.devices.wording import clock_time, how_many, seconds
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import Block, Message, actions, bold, button, escape, local_time, section
from bot.tokens.blocks import next_button
from bot.tokens.facts import NextAction, TokenView
from bot.tokens.models import WishReason
from bot.tokens.rules import fill

SYNC_NOW = "device.sync"
SHOW_DEVICES = "device.list.of"
_FORCED = {
    "first": "the first one",
    "expired": "forced: the place reached in the list had expired",
    "invalid": "forced: the place reached in the list was not accepted",
    "required": "forced: the place reached in the list was missing",
    "exhausted": "forced: the place reached in the list was used up",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A token that was not synced, and why."""

    token: TokenView
    why: EnrollbotError


def started(answers: Sequence[SyncStarted], refusals: Sequence[Refused], *, now: datetime) -> Message:
    """Answer who asked for syncs: what was started, what runs already, what was refused and why."""
    lines = [_started_line(answer) for answer in answers]
    lines.extend(refusal_line(refused.why, now) for refused in refusals)
    blocks = [section("\n".join(lines))]
    if len(refusals) == 1 and isinstance(refusals[0].why, FullSyncTooSoon):
        blocks.append(actions(_sync_button(refusals[0].token.id)))
    return Message.of(*blocks)


def refusal_line(why: EnrollbotError, now: datetime) -> str:
    """Say why a token was not synced, its moments in the reader's zone."""
    if isinstance(why, SyncTooSoon):
        wait = how_many(why.minutes, "minute")
        return f"{escape(why.message)} Sync again in {wait}, at {clock_time(why.allowed_at)}."
    if isinstance(why, LeftAlone):
        return (
            f"{escape(why.service)} asked to be left alone until {local_time(why.until, now)}; token"
            f" {escape(why.name)} is not synced before. It is synced by itself then; nothing is lost."
        )
    if isinstance(why, FullSyncTooSoon):
        return (
            f"Token {escape(why.name)} had a full sync on {local_time(why.last_at, now)}; one in 7 days is"
            f" allowed. The next may start on {local_time(why.allowed_at, now)}."
            " A sync without `--full` brings what has changed."
        )
    return escape(why)


def _started_line(answer: SyncStarted) -> str:
    sync = answer.sync
    if not answer.is_new:
        return f"{bold(f'Token {sync.token_name} is being synced already')} · {_kind(sync)} · {_so_far(sync)}"
    if sync.pages:
        return f"{bold(f'Sync of token {sync.token_name} goes on')} · {_kind(sync)} · {_so_far(sync)}"
    return f"{bold(f'Sync of token {sync.token_name} started')} · {_kind(sync)}"


def not_taken(message: Message, channel: str) -> Message:
    """Tell a person what their channel does not take, and what has to be done about it."""
    why = f"Slack does not let this bot post in <#{channel}>, so this is said there later."
    step = "Next: invite the bot to the channel, or set another one for the token."
    return Message.of(*message.blocks, section(f"{why}\n{step}"))


def sync_progress(sync: SyncView) -> Message:
    return Message.of(
        section(f"{bold(f'Token {sync.token_name} is syncing')} · {_kind(sync)}\n{_so_far(sync)}")
    )


def sync_stopped(sync: SyncView) -> Message:
    """Tell that a sync paused: nothing is lost and nothing has to be done."""
    when = f" It goes on by itself at {clock_time(sync.resume_at)}." if sync.resume_at else ""
    text = f"{bold(f'Sync of token {sync.token_name} is paused')} · {_kind(sync)}\n{_so_far(sync)}"
    if sync.error:
        text += f"\n{escape(sync.error)}"
    lines = [f"{text}\nWhat was read is kept.{when}"]
    if sync.next_step:
        lines.append(f"Next: {escape(sync.next_step)}")
    return Message.of(section("\n".join(lines)))


def sync_result(sync: SyncView, texts: BackendTexts, *, given: Sequence[str] = ()) -> Message:
    """Tell how a sync ended: counts, pages and time, or what failed and what comes next.

    `given` are lines on the default profiles that devices got after it, in mrkdwn.
    """
    if sync.state is SyncState.FAILED:
        return _failure(sync)
    lines = [
        f"{bold(f'Token {sync.token_name} synced')} · {_kind(sync)}",
        f"{how_many(sync.devices)} now: {_counts(sync)}",
        *given,
        f"{how_many(sync.pages, 'page')} in {seconds(sync.took.total_seconds())}",
    ]
    if sync.reason == WishReason.RENEWAL.value:
        counts = f"{sync.devices_before:,} before, {sync.devices:,} after"
        lines.insert(1, f"Devices: {counts}.{'' if sync.unreadable else ' Nothing else to do.'}")
    if sync.unreadable:
        lines.append(_unreadable(sync))
    blocks = [section("\n".join(lines))]
    if sync.is_first:
        blocks.extend(_beginning(sync, texts))
    return Message.of(*blocks)


def _failure(sync: SyncView) -> Message:
    step = sync.next_step or "It is tried again by itself, in 15 minutes the first time."
    text = (
        f"{bold(f'Sync of token {sync.token_name} did not finish')} · {_kind(sync)}\n"
        f"{escape(sync.error or '')}\n"
        f"{_so_far(sync)}. What was read is kept; enrolled devices are not touched.\nNext: {escape(step)}"
    )
    mending = [next_button(action, sync.token_id) for action in _mending(sync)]
    return Message.of(section(text), actions(*mending, _sync_button(sync.token_id)))


def _mending(sync: SyncView) -> list[NextAction]:
    return [action for action in sync.token_actions if action is not NextAction.GET_CERTIFICATE]


def _sync_button(token_id: str) -> Block:
    return button("Sync now", action_id=SYNC_NOW, value=token_id)


def _beginning(sync: SyncView, texts: BackendTexts) -> list[Block]:
    """After the first sync: how devices are assigned where there is none, else the way to them."""
    if sync.devices:
        show = button("Show devices", action_id=SHOW_DEVICES, value=f"token:{sync.token_name}")
        return [actions(show)]
    server = escape(sync.server_name or sync.token_name)
    places = {"server": server, "name": escape(sync.token_name)}
    steps = [f"{number}. {fill(step, places)}" for number, step in enumerate(texts.assign_devices_steps, 1)]
    head = f"No device is assigned to server *{server}* in {texts.portal} yet. Next:"
    return [section("\n".join([head, *steps])), actions(_sync_button(sync.token_id))]


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


def metadata_of(sync: SyncView) -> Mapping[str, Any]:
    """Return the metadata by which a sync's message is known again."""
    return {"event_type": "sync", "event_payload": {"kind": "sync", "id": sync.id}}
