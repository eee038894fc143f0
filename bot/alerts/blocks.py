"""Alerts as messages, replies, lists and modals. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.alerts import content_wording, wording
from bot.alerts.facts import AlertView, Level, Part, Word
from bot.alerts.rules import worst_first
from bot.alerts.words import Mend, Told, person
from bot.assignments import blocks as request_blocks
from bot.assignments import new_blocks
from bot.backend.port import BackendTexts
from bot.deadlines import blocks as deadline_blocks
from bot.devices import sync_blocks
from bot.kit.actor import Rights, Role
from bot.kit.errors import EnrollbotError
from bot.licenses import blocks as license_blocks
from bot.licenses.facts import ContentTokenView
from bot.slack.blocks import (
    Block,
    Message,
    Style,
    View,
    actions,
    button,
    code,
    context,
    escape,
    input_block,
    local_time,
    mention,
    mention_group,
    modal,
    radio,
    section,
    short,
)
from bot.tokens.blocks import next_button
from bot.tokens.facts import NextAction

ACKNOWLEDGE = "alert.acknowledge"
SNOOZE = "alert.snooze"
CHECK_AGAIN = "alert.check"
LIST = "alert.list"
PREVIOUS = "alert.list.previous"
NEXT = "alert.list.next"
EVENT = "alert"

_LENGTHS = {"1d": "1 day", "3d": "3 days", "7d": "7 days"}
_LABEL_CHARS = 75
PAGE = 10
#: What a button needs that an operator may not press.
_NEEDED: dict[NextAction, Role] = {
    action: Role.ADMIN for action in NextAction if action is not NextAction.CHECK_AGAIN
}
#: The buttons of other rooms: label, action, and the role that they need.
_MENDS: dict[Mend, tuple[str, str, Role]] = {
    Mend.RENEW_CONTENT: ("Renew token", license_blocks.RENEW, Role.ADMIN),
    Mend.SHOW_CONTENT: ("Show licences", license_blocks.SHOW, Role.VIEWER),
    Mend.CERTIFICATE: ("Upload certificate", deadline_blocks.UPLOAD, Role.ADMIN),
    Mend.REQUEST: ("Details", request_blocks.DETAILS, Role.VIEWER),
    Mend.ASSIGN: ("New assignment", new_blocks.NEW, Role.OPERATOR),
}


class Writer:
    """Draws alerts in the words of one service."""

    def __init__(self, *, texts: BackendTexts, slash: str) -> None:
        self._texts = texts
        self._slash = slash

    def main(self, view: AlertView, *, now: datetime) -> Message:
        """Return the alert's one message as it should stand now."""
        if not view.is_open:
            return _over(view, now)
        told = self._told(view, now)
        lines = [
            self._headline(view, told),
            told.where,
            told.means,
            f"Next: {told.next}",
        ]
        blocks = [section("\n".join(line for line in lines if line))]
        blocks.append(context(*_small_print(view, now)))
        return Message.of(*blocks, *_buttons(view, told))

    def reply(self, view: AlertView, part: Part, *, now: datetime) -> Message:
        """Return what the alert's thread is told."""
        told = self._told(view, now)
        if part is Part.RAISE:
            lines = [self._headline(view, told), told.means, f"Next: {told.next}"]
            return Message.of(section("\n".join(line for line in lines if line)), *_buttons(view, told))
        if part is Part.DAY:
            return Message.of(section(f"*{told.headline}*. {told.means}"))
        if part is Part.RESOLVED:
            when = local_time(view.resolved_at or now, now)
            return Message.of(section(f"*Resolved* {when}. {wording.ended(view, now=now)}"))
        return Message.of(section(_word(view, told)))

    def directly(self, view: AlertView, error: EnrollbotError, *, now: datetime) -> Message:
        """Return what an admin is told directly while the alert's channel takes nothing."""
        where = f"<#{escape(view.channel or view.place)}>" if view.channel or view.place else "a channel"
        why = context(f"This could not be posted to {where}: {escape(error)} It is tried again.")
        main = self.main(view, now=now)
        return Message.of(*main.blocks, why)

    def line(self, view: AlertView, *, now: datetime) -> str:
        """Return an open alert in one or two lines, for lists."""
        told = self._told(view, now)
        parts = [
            f"{code(view.label)} {view.level.word}",
            f"since {local_time(view.opened_at, now)}",
            *_promises(view, now),
        ]
        return f"*{told.headline}* {told.aside}".rstrip() + "\n" + " · ".join(parts)

    def checked(self, content_token: ContentTokenView, view: AlertView, *, now: datetime) -> str:
        """Say what the service answered about a content token, and whether its alert is over."""
        answer = content_wording.answer(content_token, texts=self._texts, now=now)
        if view.is_open:
            return f"{answer} {view.label} stays open: {self._told(view, now).headline}."
        return f"{answer} {view.label} is over."

    def looked(self, view: AlertView, *, is_told: bool, now: datetime) -> str:
        """Say what came of looking once more."""
        if not view.is_open:
            return f"Looked again: {view.label} is over."
        if not is_told:
            return f"It could not be found out just now. {view.label} stays as it is."
        return f"Looked again: {self._told(view, now).headline}. {view.label} stays open."

    def row(self, view: AlertView, *, rights: Rights, now: datetime) -> list[Block]:
        """Return an open alert as it stands among others: what is wrong, and the buttons for these rights."""
        role = view.role_of(rights)
        return [section(self.line(view, now=now)), *_buttons(view, self._told(view, now), role=role)]

    def listed(self, views: Sequence[AlertView], *, rights: Rights, now: datetime, first: int = 0) -> Message:
        """Return a page of the open alerts, the worst first; `first` is the place of the page's first."""
        if not views:
            return Message.of(section("*No alert is open.*"))
        first = max(0, min(first, len(views) - 1)) // PAGE * PAGE
        page = worst_first(views)[first : first + PAGE]
        where = f", {first + 1} to {first + len(page)}" if len(views) > PAGE else ""
        count = "1 alert is open" if len(views) == 1 else f"{len(views)} alerts are open"
        blocks = [section(f"*{count}{where}*")]
        for view in page:
            blocks += self.row(view, rights=rights, now=now)
        turns = []
        if first:
            turns.append(button("Previous", action_id=PREVIOUS, value=str(first - PAGE)))
        if first + PAGE < len(views):
            turns.append(button("Next", action_id=NEXT, value=str(first + PAGE)))
        return Message.of(*blocks, *([actions(*turns)] if turns else []))

    def _told(self, view: AlertView, now: datetime) -> Told:
        return wording.told(view, texts=self._texts, now=now, slash=self._slash)

    def _headline(self, view: AlertView, told: Told) -> str:
        named = " ".join(_mention(each) for each in view.mentions) if view.level is Level.CRITICAL else ""
        line = " ".join(part for part in (f"*{told.headline.replace('*', '∗')}*", told.aside) if part)
        return f"{line} · {named}" if named else line


def _over(view: AlertView, now: datetime) -> Message:
    what = f"*Resolved: {view.kind.in_words} · {escape(view.subject_name)}*"
    span = f"open from {local_time(view.opened_at, now)} to {local_time(view.resolved_at or now, now)}"
    return Message.of(section(f"{what}\n{wording.ended(view, now=now)}"), context(view.label, span))


def metadata(view: AlertView, *, post_id: str) -> Mapping[str, Any]:
    """Return what a post is known again by: `post_id` is `AlertView.id`, with a number in its thread."""
    return {
        "event_type": EVENT,
        "event_payload": {
            "id": post_id,
            "alert": view.label,
            "kind": view.kind.value,
            "level": view.level.word,
        },
    }


def _buttons(view: AlertView, told: Told, *, role: Role = Role.ADMIN) -> list[Block]:
    """Return the row of buttons; in a channel, which everybody reads, those of every role."""
    token_id = view.token_ids[0] if view.token_ids else ""
    made = [
        next_button(action, token_id) for action in told.actions if role >= _NEEDED.get(action, Role.OPERATOR)
    ]
    if role < Role.OPERATOR:
        return []
    for mend in told.mends:
        label, action_id, needed = _MENDS[mend]
        if role >= needed:
            style: Style | None = "primary" if needed is Role.ADMIN else None
            # The form of an assignment begins with a profile, which nobody has chosen yet.
            value = "" if mend is Mend.ASSIGN else view.subject_id
            made.append(button(label, action_id=action_id, value=value, style=style))
    if told.checks:
        made.append(button("Check again", action_id=CHECK_AGAIN, value=view.id))
    if told.syncs:
        made.append(button("Sync now", action_id=sync_blocks.SYNC_NOW, value=token_id))
    if told.query is not None:
        label = short(f"Show devices{told.query_of}", _LABEL_CHARS)
        made.append(button(label, action_id=sync_blocks.SHOW_DEVICES, value=told.query))
    made.append(button("Acknowledge", action_id=ACKNOWLEDGE, value=view.id))
    if view.level is not Level.CRITICAL:
        made.append(button("Snooze", action_id=SNOOZE, value=view.id))
    return [actions(*(_named(each, view) for each in made))]


def _named(made: Block, view: AlertView) -> Block:
    """Name the subject to those who hear the screen: under each alert the buttons look alike."""
    label = short(f"{made['text']['text']}: {view.subject_name}, {view.label}", _LABEL_CHARS)
    return made | {"accessibility_label": label}


def _small_print(view: AlertView, now: datetime) -> list[str]:
    return [f"{view.label} · {view.level.word}", *_promises(view, now)]


def _promises(view: AlertView, now: datetime) -> list[str]:
    told = []
    if view.acknowledged_until is not None and view.acknowledged_by is not None:
        told.append(
            f"acknowledged by {person(view.acknowledged_by)}, until"
            f" {local_time(view.acknowledged_until, now)}"
        )
    if view.is_snoozed(now) and view.snoozed_until is not None:
        told.append(f"snoozed by {person(view.snoozed_by)}, until {local_time(view.snoozed_until, now)}")
    return told


def _word(view: AlertView, told: Told) -> str:
    if view.word == Word.LAPSED.value:
        who = person(view.acknowledged_by)
        return f"*{told.headline}*. {who} had acknowledged it; that has lapsed, and it still holds."
    return f"*{told.headline}*. It is no longer snoozed."


def _mention(who: str) -> str:
    return mention_group(who) if who.startswith("S") else mention(who)


# Answers


def acknowledged(view: AlertView, *, now: datetime) -> str:
    until = local_time(view.acknowledged_until or now, now)
    return f"You are on {view.label}, until {until} or until it gets worse. Its message says so."


def snoozed(view: AlertView, *, now: datetime) -> str:
    return (
        f"{view.label} is silent until {local_time(view.snoozed_until or now, now)}, or until it gets worse."
    )


def snooze_modal(view: AlertView) -> View:
    """Ask for how long an alert is to be silent."""
    return modal(
        title=f"Snooze {view.label}",
        callback_id=SNOOZE,
        submit="Snooze",
        private_metadata=view.id,
        blocks=[
            section(
                f"{escape(view.subject_name)}: the alert stays in the list and is silent for a while,"
                " unless it gets worse."
            ),
            input_block(label="For how long", block_id="length", element=radio(_LENGTHS, initial="1d")),
        ],
    )


def example(*, by: str, slash: str) -> Message:
    """Return the alert that shows that alerts arrive here."""
    return Message.of(
        section(
            f"*This is a test alert: nothing is wrong*\nAsked for by {mention(by)}\n"
            "Alerts stand here like this: the fact, what it means for devices, and the next step. A worse"
            " level is posted again in the thread."
        ),
        context(f"{code(f'{slash} alert list')} shows what is open."),
    )


def tested(channel: str, *, mentions: Sequence[str]) -> str:
    """Tell who asked where the test went, and whom a critical alert would name."""
    named = ", ".join(_mention(each) for each in mentions)
    who = (
        f"A critical one names the token's owner, else {named}."
        if named
        else (
            "A critical one names the token's owner; ENROLLBOT_ALERT_MENTION says who is named where there is"
            " none."
        )
    )
    return f"A test alert stands in <#{escape(channel)}>. {who}"
