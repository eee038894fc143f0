"""What is shown before a token is removed, and where devices are to be moved to another profile. Pure."""

from collections.abc import Sequence

from bot.backend.port import BackendTexts
from bot.profiles.blocks import MOVE_FIRST
from bot.profiles.facts import ProfileView
from bot.slack.blocks import View, bold, escape, input_block, modal, section, select, short, text_input
from bot.tokens.facts import TokenView

REMOVE = "token.remove"
#: A select holds no more.
_OFFERED = 100


def remove_modal(
    token: TokenView, *, texts: BackendTexts, devices: int, reason: str = "", approvals: str = "required"
) -> View:
    """Ask for the name to be typed, and say what removal does to how many devices."""
    its_own = "Its 1 device is" if devices == 1 else f"Its {devices:,} devices are"
    told = (
        f"Its key pair and credentials are deleted at once and cannot be brought back. {its_own} marked"
        " removed here, and so are its profiles.\n"
        f"Enrolled devices keep working. {escape(texts.service)} keeps the profiles on the devices: they"
        " still get them when they are set up again, until another server takes them over in"
        f" {escape(texts.portal)}."
        if token.has_token
        else "Its key pair is deleted at once: a server token made for its certificate cannot be used then."
    )
    until = "A preview follows" if approvals == "off" else "Nothing is removed before somebody approves it"
    state = escape(token.state.in_words(service=texts.service))
    return modal(
        title="Remove token",
        callback_id=REMOVE,
        submit="Preview",
        private_metadata=token.id,
        blocks=[
            section(f"*Token {escape(token.name)}* ({state})\n{told}"),
            input_block(
                label="Name of the token",
                block_id="name",
                element=text_input(placeholder=token.name, max_length=60),
                hint=f"Type {token.name} to go on. {until}.",
            ),
            input_block(
                label="Reason",
                block_id="reason",
                element=text_input(initial=short(reason, 500), max_length=500),
                optional=True,
            ),
        ],
    )


def move_modal(profile: ProfileView, others: Sequence[ProfileView]) -> View:
    """Ask to which other profile of the token the devices of one are to be moved."""
    options = [(each.id, short(each.name, 75)) for each in others[:_OFFERED]]
    return modal(
        title="Move devices",
        callback_id=MOVE_FIRST,
        submit="Preview",
        private_metadata=profile.id,
        blocks=[
            section(f"Devices that carry {bold(profile.name)} are to get another profile of their token."),
            input_block(
                label="Profile",
                block_id="profile",
                element=select(options, placeholder="Choose a profile"),
                hint="A preview follows, then an approval.",
            ),
        ],
    )


def told_view(title: str, text: str) -> View:
    return modal(title=title, callback_id="request.told", blocks=[section(escape(text))], close="Close")
