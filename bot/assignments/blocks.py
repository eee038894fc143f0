"""How requests are shown: previews, cards, progress, results. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from bot.assignments import rules, wording
from bot.assignments.books import NAMED, sentences
from bot.assignments.errors import AlreadyDecided
from bot.assignments.facts import DeviceResultRow, ListKey, RequestPage, RequestView
from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.port import BackendTexts
from bot.kit.errors import EnrollbotError
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines
from bot.slack.blocks import (
    Block,
    Message,
    View,
    actions,
    bold,
    button,
    code,
    confirm,
    context,
    escape,
    input_block,
    local_time,
    mention,
    mention_group,
    modal,
    section,
    short,
    text_input,
)

SEND = "request.send"
SEND_TYPED = "request.send_typed"
LEAVE_OUT = "request.leave_out"
APPROVE = "request.approve"
DENY = "request.deny"
DETAILS = "request.details"
CANCEL = "request.cancel"
BREAK_GLASS = "request.break_glass"
STOP = "request.stop"
AGAIN = "request.again"
UNDO = "request.undo"
CSV = "request.csv"
SHOW_PREVIEW = "request.show_preview"
PREVIOUS = "request.list.previous"
NEXT = "request.list.next"
EXPORT = "request.list.export"
LIST_FILE = "requests.csv"
WITH_WAITING = "request.with_waiting"
WITHOUT_WAITING = "request.without_waiting"

_COLUMNS = (
    *("request", "action", "state", "token", "profile", "devices", "requested_by", "requested_at"),
    *("reason", "decided_by", "decided_at", "decision_reason", "ended_at"),
)
_IN_WORDS = {
    Outcome.WAITING: "waiting",
    Outcome.SENT: "being sent",
    Outcome.SUCCESS: "done",
    Outcome.ALREADY: "were so already",
    Outcome.THROTTLED: "throttled, tried again later",
    Outcome.FAILED: "failed",
    Outcome.NOT_ACCESSIBLE: "not on this server any more",
    Outcome.LEFT_OUT: "left out",
}


def how_many(number: int) -> str:
    return "1 device" if number == 1 else f"{number:,} devices"


def what(view: RequestView) -> str:
    """Return in mrkdwn what a request does."""
    if wording.is_about_token(view):
        return wording.what(view)
    if view.action is Action.UNDO:
        return f"Undo {escape(view.found.undoes)} on {how_many(view.devices)}"
    if view.action is Action.UNASSIGN:
        return f"Take the profile from {how_many(view.devices)}"
    return f"Assign {bold(view.profile_name or '')} to {how_many(view.devices)}"


def preview(view: RequestView, *, texts: BackendTexts, actor: str, approvals: str) -> Message:
    """Show what was found, to who asked only, with the buttons that lead on."""
    found = view.found
    about = "" if wording.is_about_token(view) else f" · token {escape(view.token_name)}"
    lines = [f"*Preview:* {what(view)}{about}", *_counts(view)]
    # How much was read is no warning; what was left out of it is.
    lines += [escape(text) for text in found.remarks[:1]]
    told = [escape(text) for text in (*found.remarks[1:], *sentences(found, service=texts.service))]
    told += _warnings(view, texts=texts)
    if approvals == "required" and not view.may_all_approve and not set(view.approvers) - {actor}:
        who = "Nobody but you" if actor in view.approvers else "Nobody"
        told.append(
            f"{who} could approve this. Next: an admin grants somebody else the role approver. An admin who"
            " requests it can otherwise break the glass, an hour after it was sent."
        )
    row = [button(_send_label(approvals), action_id=SEND, value=view.id, style="primary")]
    if found.waiting:
        row.insert(0, _waiting_button(view))
    elif 0 < found.set_up < view.devices:
        row.insert(0, button(f"Leave out the {found.set_up:,}", action_id=LEAVE_OUT, value=view.id))
    if view.devices:
        row.append(button("Show devices", action_id=CSV, value=view.id))
    return Message.of(
        section("\n".join(lines)),
        *(section(f":warning: {text}") for text in told),
        context("Nothing is requested yet. This preview is kept for 30 minutes."),
        actions(*row),
    )


def _waiting_button(view: RequestView) -> Block:
    """Ask whether devices that wait now get a new default too."""
    if view.devices:
        return button(f"Leave out the {view.devices:,} waiting", action_id=WITHOUT_WAITING, value=view.id)
    return button(f"Include the {view.found.waiting:,} waiting", action_id=WITH_WAITING, value=view.id)


def _send_label(approvals: str) -> str:
    return "Carry out" if approvals == "off" else "Send for approval"


def number_modal(view: RequestView, *, approvals: str) -> View:
    return modal(
        title=_send_label(approvals),
        callback_id=SEND_TYPED,
        submit="Carry out" if approvals == "off" else "Send",
        private_metadata=view.id,
        blocks=[
            section(f"{what(view)}: a large part of token {escape(view.token_name)}."),
            input_block(
                label="Number of devices",
                block_id="number",
                element=text_input(),
                hint=f"Type {view.devices} to confirm.",
            ),
        ],
    )


def deny_modal(view: RequestView) -> View:
    return modal(
        title=f"Deny {view.label}"[:24],
        callback_id=DENY,
        submit="Deny",
        private_metadata=view.id,
        blocks=[
            section(what(view)),
            input_block(
                label="Reason",
                block_id="reason",
                element=text_input(multiline=True, max_length=500),
                hint="The requester is told.",
            ),
        ],
    )


def card(view: RequestView, *, texts: BackendTexts, now: datetime, approvals: str) -> Message:
    """Return the card in the approval channel, as things are now."""
    blocks = _described(view, texts=texts, now=now)
    if view.state is RequestState.PENDING:
        blocks += _changes(view)
        blocks += [section(who_decides(view, approvals=approvals)), _decision_buttons(view)]
    else:
        blocks.append(section(_decided(view, now)))
        row = _later_buttons(view)
        if row:
            blocks.append(actions(*row))
    return Message.of(*blocks)


def _described(view: RequestView, *, texts: BackendTexts, now: datetime) -> list[Block]:
    """Say what is asked for; each part stands for itself, so that none is cut for another's length."""
    parts = [
        "\n".join([f"*{view.label} · {_headline(view)}*", *_about(view, now)]),
        "\n".join(_counts(view)),
        "\n".join(_warnings(view, texts=texts)),
        f"Reason: “{escape(view.reason)}”" if view.reason else "",
    ]
    return [section(part) for part in parts if part]


def _changes(view: RequestView) -> list[Block]:
    """Say what has changed since it was sent, and what to do."""
    told = []
    for change in view.changes or ((view.stale,) if view.stale else ()):
        why, next_step = rules.what_changed(change, view)
        told.append(f"• {escape(short(why, 300))}. {escape(next_step)}")
    return [section("\n".join([":warning: *Changed since it was requested*", *told]))] if told else []


def _headline(view: RequestView) -> str:
    if wording.is_about_token(view):
        return wording.headline(view)
    name = escape(short(view.profile_name or "", 60))
    if view.action is not Action.ASSIGN:
        return what(view)
    return f"Assign “{name}” to {how_many(view.devices)}"


def _about(view: RequestView, now: datetime) -> list[str]:
    org = f" ({escape(view.org_name)})" if view.org_name else ""
    until = ""
    if view.state is RequestState.PENDING and view.expires_at is not None:
        until = f" · expires {local_time(view.expires_at, now)}"
    gone = " (removed)" if view.is_token_removed else ""
    return [f"Requested by {mention(view.requested_by)} · token {escape(view.token_name)}{gone}{org}{until}"]


def _counts(view: RequestView) -> list[str]:
    if wording.is_about_token(view):
        return [*wording.counts(view), *(_devices(view) if view.devices else [])]
    return _devices(view)


def _devices(view: RequestView) -> list[str]:
    found = view.found
    models = ", ".join(f"{count:,} {escape(short(model, 40))}" for model, count in found.by_model.items())
    word = "Carry now" if view.action in (Action.UNASSIGN, Action.UNDO) else "Replaces"
    gives = f" · Given back: {_profiles(found.gives)}" if found.gives else ""
    return [f"Devices: {models} · {word}: {_profiles(found.replaces)}{gives}"]


def _profiles(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{escape(short(name, 40))} {count:,}" if name else f"none {count:,}"
        for name, count in counts.items()
    )


def _warnings(view: RequestView, *, texts: BackendTexts) -> list[str]:
    if wording.is_about_token(view):
        return wording.warnings(view, texts=texts)
    found = view.found
    told = _of_taking_back(view, texts=texts)
    if found.set_up:
        told.append(
            f"{found.set_up:,} of {how_many(view.devices)} {'has' if found.set_up == 1 else 'have'} already"
            " fetched a profile: nothing changes there until they are erased and set up again."
        )
    if found.set_up < view.devices and view.action is Action.ASSIGN:
        told.append(
            f"Takes effect at the next activation. {escape(texts.service)} does not report whether"
            f" {'the others' if found.set_up else 'they'} are in use; any that were switched on before need"
            " an erase too."
        )
    if found.portal_needed:
        told += wording.of_licences(found)
    if found.other_platform:
        told.append(f"{how_many(found.other_platform)} of another platform than the profile is for.")
    return [*told, *wording.of_overlaps(found)]


def _of_taking_back(view: RequestView, *, texts: BackendTexts) -> list[str]:
    if view.action is Action.UNASSIGN:
        return [
            f"The devices stay on the server in {escape(texts.portal)} and start unmanaged at their next"
            " activation."
        ]
    if view.action is Action.UNDO:
        return [
            "Devices that were activated since the assignment keep what they fetched until they are erased."
            f" {escape(texts.service)} can take up to 24 hours over an undo."
        ]
    return []


def able_to_decide(view: RequestView, *, approvals: str) -> list[str]:
    """Return who may decide a request, as far as they were looked up."""
    return [each for each in view.approvers if approvals != "required" or each != view.requested_by]


def who_decides(view: RequestView, *, approvals: str) -> str:
    """Name who can decide a request."""
    if view.may_all_approve:
        but = f" except {mention(view.requested_by)}" if approvals == "required" else ""
        return f"Everybody here{but} can decide."
    able = able_to_decide(view, approvals=approvals)
    if not able:
        who = "but the requester " if view.requested_by in view.approvers else ""
        glass = f" Until then {mention(view.requested_by)} can break the glass." if view.is_glass_open else ""
        return f"Nobody {who}holds approver for this token: an admin grants the role.{glass}"
    shown = ", ".join(mention(each) for each in able[:NAMED])
    return f"Can decide: {shown}{' and others' if len(able) > NAMED else ''}."


def reminder(view: RequestView, *, approvals: str, groups: Sequence[str], now: datetime) -> Message:
    """Remind, in the card's thread, those who can decide; where they are many, their user groups."""
    until = f" It expires {local_time(view.expires_at, now)}." if view.expires_at else ""
    who = who_decides(view, approvals=approvals)
    if groups and len(able_to_decide(view, approvals=approvals)) > NAMED:
        who = f"Can decide: {', '.join(mention_group(each) for each in groups[:NAMED])}."
    return Message.of(
        section(
            f"*{view.label} still waits for a decision:* {what(view)}.{until}\n{who}\n"
            "Next: approve or deny it on its card, at the top of this thread."
        )
    )


def _decision_buttons(view: RequestView) -> Block:
    question = confirm(
        title=f"Approve {view.label}",
        text=_question(view),
        confirm=f"Approve {view.label}",
        deny="Back",
        style="primary",
    )
    row = [
        button("Approve", action_id=APPROVE, value=view.id, style="primary", confirm=question),
        button("Deny", action_id=DENY, value=view.id, style="danger"),
        button("Details", action_id=DETAILS, value=view.id),
        button("Cancel", action_id=CANCEL, value=view.id),
    ]
    if view.is_glass_open:
        row.append(button("Break glass", action_id=BREAK_GLASS, value=view.id, style="danger"))
    if view.stale or view.changes:
        row.append(button("Request again", action_id=AGAIN, value=view.id))
    return actions(*row)


def _question(view: RequestView) -> str:
    if wording.is_about_token(view):
        return wording.question(view)
    return f"*{how_many(view.devices)}*: {_headline_of_confirm(view)}? The list is fixed; see Details."


def _headline_of_confirm(view: RequestView) -> str:
    if view.action is Action.UNASSIGN:
        return "take the profile from them"
    if view.action is Action.UNDO:
        return f"give back what they carried before {escape(view.found.undoes)}"
    return f"assign {bold(short(view.profile_name or '', 60))}"


def _later_buttons(view: RequestView) -> list[Block]:
    row = [button("Details", action_id=DETAILS, value=view.id)]
    if view.devices and view.state is RequestState.RUNNING and view.stop_asked_by is None:
        row.append(button("Stop", action_id=STOP, value=view.id, style="danger"))
    if _is_to_do_again(view):
        row.append(button("Request again", action_id=AGAIN, value=view.id))
    if _can_be_undone(view):
        row.append(button("Undo", action_id=UNDO, value=view.id))
    return row


def _is_to_do_again(view: RequestView) -> bool:
    """Say whether something of a request that has ended was not done."""
    if view.is_token_removed:
        return False
    if view.state is RequestState.DONE:
        return any(view.outcomes.get(each) for each in (Outcome.FAILED, Outcome.LEFT_OUT))
    return view.state is not RequestState.PREVIEW and not view.state.is_open


def _can_be_undone(view: RequestView) -> bool:
    has_ended = view.state in (RequestState.DONE, RequestState.STOPPED) and not wording.is_about_token(view)
    return has_ended and bool(view.outcomes.get(Outcome.SUCCESS))


def _decided(view: RequestView, now: datetime) -> str:
    moment = view.ended_at or view.decided_at
    at = f" {local_time(moment, now)}" if moment else ""
    head = f"{view.label} {rules.how_it_ended(view)}{at}."
    lines = [head]
    if view.decision_reason:
        what_for = "Reason" if view.glass_broken_at is None else "Why the glass was broken"
        lines.append(f"{what_for}: “{escape(view.decision_reason)}”")
    if view.stop_asked_by is not None and view.state is RequestState.RUNNING:
        lines.append(f"Stopped by {mention(view.stop_asked_by)}: it ends after the batch under way.")
    if view.devices and view.state in (RequestState.RUNNING, RequestState.DONE, RequestState.STOPPED):
        lines.append(progress_line(view.outcomes))
    if view.state is RequestState.RUNNING and view.rests_until is not None and view.rests_until > now:
        because = f"{escape(short(view.rests_because, 300))} " if view.rests_because else ""
        lines.append(f"{because}Goes on by itself {local_time(view.rests_until, now)}.")
    return "\n".join(lines)


def progress_line(outcomes: Mapping[Outcome, int]) -> str:
    parts = [f"{outcomes[each]:,} {_IN_WORDS[each]}" for each in _IN_WORDS if outcomes.get(each)]
    return " · ".join(parts) or "nothing done yet"


def progress(view: RequestView) -> Message:
    """Tell, in the card's thread, how far a request is."""
    return Message.of(section(f"*{view.label}:* {progress_line(view.outcomes)}"))


def result(view: RequestView, *, texts: BackendTexts, refused: Sequence[str] = ()) -> Message:
    """Tell, in the card's thread, how it ended. `refused` is why the service took no order, if it was so."""
    done = view.outcomes.get(Outcome.SUCCESS, 0) + view.outcomes.get(Outcome.ALREADY, 0)
    word = "stopped" if view.state is RequestState.STOPPED else "finished"
    told = list(wording.result(view, texts=texts)) if wording.is_about_token(view) else []
    if view.devices:
        told += [f"{done:,} of {how_many(view.devices)} as asked.", progress_line(view.outcomes)]
    if view.is_token_removed and view.state is RequestState.STOPPED:
        told.append("Its token was removed: what was not done by then is left out.")
    lines = [f"*{view.label} {word}:* {told[0]}", *told[1:]]
    if view.outcomes.get(Outcome.FAILED):
        lines.append(_of_failed(refused, texts=texts))
    if view.outcomes.get(Outcome.NOT_ACCESSIBLE):
        lines.append(
            f"Next: devices that are not on this server any more were moved or released in"
            f" {escape(texts.portal)}; a sync is on its way."
        )
    row = _later_buttons(view)[1:]
    return Message.of(section("\n".join(lines)), *([actions(*row)] if row else []))


def _of_failed(refused: Sequence[str], *, texts: BackendTexts) -> str:
    if refused:
        said = " ".join(escape(short(each, 200)) for each in refused)
        return f"{said} Next: the file names the devices; mend what is refused, then request it again."
    return f"Next: look at the file; devices that failed three times need {escape(texts.service)}'s support."


def results_csv(rows: Sequence[DeviceResultRow], *, texts: BackendTexts) -> bytes:
    """Return what became of each device and why, a line each, as a file for spreadsheets."""
    whys = {
        Outcome.FAILED: f"{texts.service} said three times that it failed",
        Outcome.NOT_ACCESSIBLE: "it is not on this MDM server any more",
        Outcome.THROTTLED: f"{texts.service} asked to wait with it",
        Outcome.LEFT_OUT: "the request ended before it was done",
    }
    return BYTE_ORDER_MARK + csv_lines(
        [
            ["serial", "model", "result", "why", "previous_profile_uuid"],
            *(
                [
                    *(row.serial, row.model, row.outcome.value),
                    *(row.why or whys.get(row.outcome, ""), row.previous_uuid or ""),
                ]
                for row in rows
            ),
        ]
    )


def details(
    view: RequestView, rows: Sequence[DeviceResultRow], *, texts: BackendTexts, now: datetime
) -> Message:
    """Show who asked, what was found, and the first devices; the rest is in the file."""
    shown = "\n".join(
        f"{code(row.serial)} {escape(row.model)} · {row.outcome.value}"
        f"{f', {escape(row.why)}' if row.why else ''}"
        for row in rows
    )
    shown += f"\n… and {view.devices - len(rows):,} more" if view.devices > len(rows) else ""
    told = sentences(view.found, service=texts.service)
    is_decided = view.state not in (RequestState.PREVIEW, RequestState.PENDING)
    row = [button("Get CSV", action_id=CSV, value=view.id)] if view.devices else []
    row += _later_buttons(view)[1:] if is_decided else []
    return Message.of(
        *_described(view, texts=texts, now=now),
        *([section(_decided(view, now))] if is_decided else []),
        *([section(shown)] if shown else []),
        *([context(escape(" ".join(told)))] if told else []),
        *([context(f"Its card: <{escape(view.permalink)}|message in Slack>")] if view.permalink else []),
        *([*_changes(view), _decision_buttons(view)] if view.state is RequestState.PENDING else []),
        *([actions(*row)] if row else []),
    )


def sent(view: RequestView) -> Message:
    where = f" in <#{escape(view.channel)}>" if view.channel else ""
    if view.state is RequestState.RUNNING:
        return Message.of(section(f"*{view.label} is being carried out.* Its progress is{where}."))
    return Message.of(
        section(f"*{view.label} sent for approval*{where}. You are told what is decided."),
        actions(button("Cancel", action_id=CANCEL, value=view.id)),
    )


def not_posted(view: RequestView, error: EnrollbotError) -> Message:
    """Tell the requester that nobody could be asked yet."""
    where = f"<#{escape(view.channel)}>" if view.channel else "the channel"
    return Message.of(
        section(
            f"*{view.label} could not be posted* in {where}: {escape(error)}\nIt is tried again by"
            " itself. Next: an admin invites the bot there, or names another channel with"
            " `token set NAME --approvals`."
        ),
        actions(button("Cancel", action_id=CANCEL, value=view.id)),
    )


def too_late(error: AlreadyDecided) -> Message:
    return Message.of(section(f"{error.label} {error.how}. Your press changed nothing."))


def told_requester(view: RequestView) -> Message:
    """Tell the requester what was decided."""
    lines = [f"{view.label} {rules.how_it_ended(view)}: {what(view)}."]
    if view.decision_reason:
        lines.append(f"Reason: “{escape(view.decision_reason)}”")
    if view.devices and view.state in (RequestState.DONE, RequestState.STOPPED):
        lines.append(progress_line(view.outcomes))
    row = [button("Request again", action_id=AGAIN, value=view.id)] if _is_to_do_again(view) else []
    return Message.of(section("\n".join(lines)), *([actions(*row)] if row else []))


def request_list(page: RequestPage, *, slash: str, now: datetime) -> Message:
    """Show a page of a list, with the way to its neighbours and to the whole as CSV."""
    if not page.rows:
        return Message.of(section(f"*No requests.* Ask for one: {code(f'{slash} assign PROFILE SERIAL')}"))
    blocks: list[Block] = [section("*Your requests*" if page.is_mine else "*Assignment requests*")]
    for view in page.rows:
        at = local_time(view.requested_at or view.made_at, now)
        about = "" if wording.is_about_token(view) else f" · token {escape(view.token_name)}"
        line = f"*{view.label}* · {what(view)}{about}\n{view.state.value} · {mention(view.requested_by)} {at}"
        # Nobody sends what they have not read.
        is_preview = view.state is RequestState.PREVIEW
        shows = ("Show", SHOW_PREVIEW) if is_preview else ("Details", DETAILS)
        blocks.append(section(line, button(shows[0], action_id=shows[1], value=view.id)))
    row = []
    if page.previous is not None:
        row.append(button("Previous", action_id=PREVIOUS, value=_place(page, before=page.previous)))
    if page.next is not None:
        row.append(button("Next", action_id=NEXT, value=_place(page, after=page.next)))
    row.append(button("Export CSV", action_id=EXPORT, value=_place(page)))
    return Message.of(*blocks, actions(*row))


def _place(page: RequestPage, *, after: ListKey | None = None, before: ListKey | None = None) -> str:
    keys = {"after": after, "before": before}
    return json.dumps({"mine": page.is_mine, **{name: key for name, key in keys.items() if key is not None}})


def place_of(value: str) -> tuple[bool, ListKey | None, ListKey | None]:
    """Read what a list's button carries: mine, after, before. Anything unreadable is the first page."""
    try:
        place = msgspec.json.decode(value, type=_Place)
    except (msgspec.DecodeError, ValueError):
        return False, None, None
    return place.mine, place.after, place.before


class _Place(msgspec.Struct):
    mine: bool = False
    after: ListKey | None = None
    before: ListKey | None = None


def list_rows(views: Sequence[RequestView], *, with_header: bool) -> bytes:
    """Return requests as lines of a file for spreadsheets, times in UTC."""
    rows = csv_lines([*([_COLUMNS] if with_header else []), *(_cells(view) for view in views)])
    return BYTE_ORDER_MARK + rows if with_header else rows


def _cells(view: RequestView) -> list[str]:
    return [
        *(view.label, view.action.value, view.state.value, view.token_name, view.profile_name or ""),
        *(str(view.devices), view.requested_by, _utc(view.requested_at or view.made_at), view.reason or ""),
        *(view.decided_by or "", _utc(view.decided_at), view.decision_reason or "", _utc(view.ended_at)),
    ]


def _utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def reminder_metadata(view: RequestView) -> dict[str, object]:
    return {"event_type": "request_reminder", "event_payload": {"id": view.id}}


def metadata_of(view: RequestView) -> dict[str, object]:
    """Return what a card carries, by which it is found again after an unclear answer."""
    return {"event_type": "request", "event_payload": {"id": view.id}}
