"""How dates to watch are shown. Pure."""

from collections.abc import Sequence
from datetime import date

from bot.backend.port import BackendTexts
from bot.deadlines.errors import CertificateFault
from bot.deadlines.facts import DeadlineView, Watched
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines
from bot.slack.blocks import (
    Block,
    Message,
    View,
    actions,
    bold,
    button,
    checkboxes,
    code,
    context,
    escape,
    file_input,
    input_block,
    local_time,
    mention,
    mention_group,
    modal,
    section,
    text_input,
)

UPLOAD = "deadline.upload"
UPLOAD_NEW = "deadline.upload.new"
NEXT = "deadline.next"
PREVIOUS = "deadline.previous"
EXPORT = "deadline.export"
FILE_NAME = "deadlines.csv"
PAGE = 10
_COLUMNS = ("name", "date", "days_left", "topic", "serial", "tags", "added_by")
ANOTHER_TOPIC = "another_topic"


def deadline_list(
    views: Sequence[DeadlineView], *, texts: BackendTexts, role: Role, slash: str, first: int = 0
) -> Message:
    """One page of the deadlines, the soonest first; `first` is the place of the page's first."""
    if not views:
        return Message.of(*_none_yet(texts=texts, role=role, slash=slash))
    first = max(0, min(first, len(views) - 1)) // PAGE * PAGE
    page = views[first : first + PAGE]
    where = f", {first + 1} to {first + len(page)}" if len(views) > PAGE else ""
    blocks = [section(f"*{'1 deadline' if len(views) == 1 else f'{len(views):,} deadlines'}{where}*")]
    for view in page:
        upload = button("Upload certificate", action_id=UPLOAD, value=view.id)
        offers = view.certificate is not None and role >= Role.ADMIN
        blocks.append(section(_lines(view), accessory=upload if offers else None))
    turns = [button("Export CSV", action_id=EXPORT)]
    if first + PAGE < len(views):
        turns.insert(0, button("Next", action_id=NEXT, value=str(first + PAGE)))
    if first:
        turns.insert(0, button("Previous", action_id=PREVIOUS, value=str(first - PAGE)))
    if role >= Role.ADMIN:
        turns.append(button("Watch a certificate", action_id=UPLOAD_NEW))
    blocks.append(actions(*turns))
    return Message.of(*blocks)


def _none_yet(*, texts: BackendTexts, role: Role, slash: str) -> list[Block]:
    push = f"the {escape(texts.service)} Push certificate of your MDM server"
    told = f"*No other date is watched yet.* Above all, {push} belongs here: when it expires, the MDM server"
    told += " reaches none of its devices."
    if role < Role.ADMIN:
        return [section(f"{told} An admin of this bot can add it.")]
    return [
        section(f"{told}\nUpload its public part, or type {code(f'{slash} watch add mdm-push 2027-03-01')}."),
        actions(button("Watch a certificate", action_id=UPLOAD_NEW)),
        context(_same_account(texts)),
    ]


def _same_account(texts: BackendTexts) -> str:
    service = escape(texts.service)
    return (
        f"Renew a push certificate with the same {service} Account: another one makes another topic, and then"
        " every device must enroll again."
    )


def deadline_csv(views: Sequence[DeadlineView]) -> bytes:
    """All deadlines as a file for spreadsheets, times in UTC."""
    return BYTE_ORDER_MARK + csv_lines([_COLUMNS, *(_cells(view) for view in views)])


def _cells(view: DeadlineView) -> list[str]:
    certificate = view.certificate
    return [
        *(view.name, view.day.isoformat() if view.day else f"{view.at:%Y-%m-%dT%H:%M:%SZ}"),
        *(str(view.days_left), (certificate.topic or "") if certificate else ""),
        *(certificate.serial if certificate else "", " ".join(sorted(view.tags)), view.added_by),
    ]


def _lines(view: DeadlineView) -> str:
    lines = [f"{bold(view.name)} · {left(view.days_left)} ({when(view)})"]
    if view.certificate is not None:
        lines.append(_certificate(view))
    told = [f"tags {', '.join(code(tag) for tag in sorted(view.tags))}"] if view.tags else []
    told += [f"owner {_owner(view.owner)}"] if view.owner else []
    told += [f"told in <#{escape(view.channel)}>"] if view.channel else []
    if told:
        lines.append(" · ".join(told))
    return "\n".join(lines)


def _certificate(view: DeadlineView) -> str:
    certificate = view.certificate
    if certificate is None:
        return ""
    name = f"Push certificate · topic {code(certificate.topic)}" if certificate.topic else "Certificate"
    return f"{name} · serial {code(certificate.serial)}"


def _owner(owner: str) -> str:
    return mention_group(owner) if owner.startswith("S") else mention(owner)


def left(days: int) -> str:
    """Return in words how long it is until a deadline."""
    if days <= 0:
        return "over"
    return "1 day left" if days == 1 else f"{days:,} days left"


def when(view: DeadlineView) -> str:
    """Return a deadline's day as it was given, or the moment at which a certificate ends."""
    return on(view.day) if view.day else local_time(view.at)


def on(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def watched(result: Watched, *, by: str, texts: BackendTexts, slash: str) -> Message:
    """Say what is watched now."""
    view, before = result.deadline, result.before
    if before is None:
        head = f"*Deadline {escape(view.name)} is watched*: {when(view)}, {left(view.days_left)}."
        head += f" Added by {mention(by)}."
    else:
        head = f"*Deadline {escape(view.name)} changed* by {mention(by)}: {when(before)} → {when(view)},"
        head += f" {left(view.days_left)}."
    blocks = [section(head)]
    if view.certificate is not None:
        blocks.append(section(_certificate(view)))
        blocks.extend(section(remark) for remark in _remarks(result, texts))
        if view.certificate.topic:
            blocks.append(context(_same_account(texts)))
    blocks.append(context(f"{code(f'{slash} watch list')} shows every date that is watched."))
    return Message.of(*blocks)


def _remarks(result: Watched, texts: BackendTexts) -> list[str]:
    after, before = result.deadline.certificate, result.before.certificate if result.before else None
    if after is None:
        return []
    if before is not None and before.topic and before.topic != after.topic:
        return [
            f"*Another topic than before* ({code(before.topic)}): with this certificate in the MDM server,"
            " every device must enroll again."
        ]
    if before is not None and before.topic:
        return ["Same topic as before: devices stay enrolled."]
    if after.topic is None:
        return [
            f"This is no push certificate for an MDM server: {escape(after.subject) or 'it has no subject'}."
        ]
    return []


def removed(view: DeadlineView, *, by: str) -> Message:
    return Message.of(
        section(
            f"*Deadline {escape(view.name)} is watched no longer* (it was {when(view)})."
            f" Removed by {mention(by)}."
        )
    )


def upload_modal(view: DeadlineView | None, *, texts: BackendTexts, name: str = "") -> View:
    """Ask for the public part of a certificate: of a new deadline, or to take the place of one's."""
    blocks: list[Block] = []
    if view is None:
        blocks += [
            section(f"Only what the certificate says is kept. {_same_account(texts)}"),
            input_block(
                label="Name",
                block_id="name",
                element=text_input(placeholder="mdm-push", initial=name, max_length=40),
                hint="1 to 40 letters, digits, dots, dashes or underscores.",
            ),
        ]
    else:
        blocks.append(section(f"{_lines(view)}\n{_same_account(texts)}"))
    blocks.append(
        input_block(
            label="Certificate (.pem or .cer)",
            block_id="file",
            element=file_input(),
            hint="The public part alone, without the private key, at most 64 KiB.",
        )
    )
    if view is None:
        tags = text_input(placeholder="schools, france", max_length=800)
        hint = "Labels that limit who sees this date."
        blocks.append(
            input_block(label="Scope tags", block_id="tags", element=tags, hint=hint, optional=True)
        )
    elif view.certificate is not None:
        box = checkboxes({ANOTHER_TOPIC: "Another certificate is meant, even with another topic"})
        blocks.append(
            input_block(label="Another certificate", block_id=ANOTHER_TOPIC, element=box, optional=True)
        )
    return modal(
        title="Watch a certificate",
        callback_id=UPLOAD,
        submit="Upload",
        private_metadata=view.id if view else "",
        blocks=blocks,
    )


def reading_view() -> View:
    return modal(
        title="Watch a certificate", callback_id=UPLOAD, close="Close", blocks=[section("Reading the file…")]
    )


def shown_view(shown: Message) -> View:
    """Say in the modal what a message says."""
    return modal(title="Watch a certificate", callback_id=UPLOAD, close="Close", blocks=shown.blocks)


def refused_view(error: EnrollbotError, view: DeadlineView | None) -> View:
    """Say why a file was not taken, and lead back to the form."""
    head = "*Not taken.*" if isinstance(error, CertificateFault) or view is None else "*Nothing was changed.*"
    blocks = [section(f"{head} {escape(error.message)}")]
    if error.next_step:
        blocks.append(section(f"Next: {escape(error.next_step)}"))
    again = UPLOAD if view else UPLOAD_NEW
    blocks.append(actions(button("Upload certificate", action_id=again, value=view.id if view else "")))
    return modal(title="Watch a certificate", callback_id=UPLOAD, close="Close", blocks=blocks)
