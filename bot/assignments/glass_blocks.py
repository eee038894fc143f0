"""How breaking the glass is shown: the form, and what the channel is told. Pure."""

from collections.abc import Sequence

from bot.assignments.blocks import BREAK_GLASS, what
from bot.assignments.facts import RequestView
from bot.slack.blocks import (
    Message,
    View,
    bold,
    code,
    escape,
    input_block,
    mention,
    mention_group,
    modal,
    section,
    text_input,
)

REASON, NUMBER = "reason", "number"


def form(view: RequestView) -> View:
    """Ask why, and for the number of devices where there are some."""
    number = input_block(
        label="Number of devices",
        block_id=NUMBER,
        element=text_input(),
        hint=f"Type {view.devices} to confirm.",
    )
    return modal(
        title=f"Break glass {view.label}"[:24],
        callback_id=BREAK_GLASS,
        submit="Break glass",
        private_metadata=view.id,
        blocks=[
            section(f"{what(view)} · token {escape(view.token_name)}"),
            section(
                f"Counted just now: nobody else who is active holds approver for token"
                f" {bold(view.token_name)}. You approve your own request alone. The channel is told at once,"
                " with your name and reason, and the audit keeps both."
            ),
            input_block(
                label="Reason",
                block_id=REASON,
                element=text_input(multiline=True, max_length=500),
                hint="Why this cannot wait for a second person.",
            ),
            *([number] if view.devices else []),
        ],
    )


def broken(view: RequestView, *, mentions: Sequence[str], slash: str) -> Message:
    """Tell the channel that somebody approved their own request alone."""
    called = " ".join(mention_group(each) if each.startswith("S") else mention(each) for each in mentions)
    calls = f" · {called}" if called else ""
    by = mention(view.decided_by or view.requested_by)
    return Message.of(
        section(
            f":warning: *{view.label} was approved by {by} by break glass*{calls}\n"
            f"{what(view)} · token {escape(view.token_name)}\n"
            f"Reason: “{escape(view.decision_reason or '')}”\n"
            f"{by} requested it too: nobody else who is active held approver for this token.\n"
            f"Next: grant a second person the role: {code(f'{slash} role grant @NAME approver')}. Whoever"
            " doubts it presses *Stop* on its card."
        )
    )
