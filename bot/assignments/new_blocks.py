"""The form for a new assignment: which profile, which devices, why. Pure."""

from collections import Counter
from collections.abc import Sequence

from bot.profiles.facts import ProfileView
from bot.slack.blocks import (
    SELECT_OPTIONS,
    Block,
    Message,
    View,
    code,
    context,
    file_input,
    input_block,
    modal,
    section,
    select,
    text_input,
)

NEW = "request.new"
CHOOSE_TOKEN = "request.new.token"

#: Inputs of the form, by `block_id`.
TOKEN, PROFILE, NAME, SERIALS, QUERY, FILE, REASON = (
    *("token", "profile", "name"),
    *("serials", "query", "file", "reason"),
)
WAYS = (SERIALS, QUERY, FILE)


def form(profiles: Sequence[ProfileView], *, chosen: str | None = None, token_id: str | None = None) -> View:
    """Ask for everything. `profiles` are those that the person may use, `chosen` the id of one of them.

    Slack's selects hold 100 options: of more profiles the token is asked first, and where that is still too
    much the name is typed.
    """
    return modal(
        title="New assignment",
        callback_id=NEW,
        submit="Preview",
        blocks=[
            *_profile(profiles, chosen, token_id),
            context("Which devices? Fill in one of the three."),
            input_block(
                label="Serial numbers",
                block_id=SERIALS,
                element=text_input(multiline=True),
                hint="Separated by spaces, commas or new lines.",
                optional=True,
            ),
            input_block(
                label="Query",
                block_id=QUERY,
                element=text_input(placeholder='profile:none model:"iPad Air"'),
                hint="As in device list: every device that fits when the preview is made.",
                optional=True,
            ),
            input_block(
                label="File with serial numbers (.csv)",
                block_id=FILE,
                element=file_input(("csv", "txt", "tsv")),
                hint="A column named Serial number is found; else the first column counts.",
                optional=True,
            ),
            input_block(
                label="Reason",
                block_id=REASON,
                element=text_input(max_length=500),
                hint="Whoever decides reads it.",
                optional=True,
            ),
        ],
    )


def _profile(profiles: Sequence[ProfileView], chosen: str | None, token_id: str | None) -> list[Block]:
    if len(profiles) <= SELECT_OPTIONS:
        return [_profile_select(profiles, chosen)]
    tokens = {each.token_id: each.token_name for each in profiles}
    token_id = token_id or next((each.token_id for each in profiles if each.id == chosen), None)
    of_token = [each for each in profiles if each.token_id == token_id]
    if len(tokens) > SELECT_OPTIONS or len(of_token) > SELECT_OPTIONS:
        hint = f"{len(profiles):,} profiles are too many to choose from. Of the same name: token/name."
        return [input_block(label="Profile", block_id=NAME, element=text_input(), hint=hint)]
    named = sorted(tokens.items(), key=lambda each: each[1].lower())
    first = input_block(
        label="Token",
        block_id=TOKEN,
        element=select(named, action_id=CHOOSE_TOKEN, placeholder="Choose a token", initial=token_id),
        hint="Its profiles are offered then.",
        tells=True,
    )
    return [first, *([_profile_select(of_token, chosen)] if of_token else [])]


def _profile_select(profiles: Sequence[ProfileView], chosen: str | None) -> Block:
    shared = Counter(each.name for each in profiles)
    options = [
        (each.id, each.full_name if shared[each.name] > 1 else each.name, f"Token {each.token_name}")
        for each in profiles
    ]
    # Another token's choice must not stand in the new list: each list is an input of its own.
    block_id = f"{PROFILE}.{profiles[0].token_id}" if profiles else PROFILE
    element = select(options, placeholder="Choose a profile", initial=chosen)
    return input_block(label="Profile", block_id=block_id, element=element)


def none_to_use(*, slash: str) -> Message:
    """Say that there is nothing to assign."""
    return Message.of(
        section(
            "*There is no enrollment profile that you may assign.*"
            f"\nNext: an admin defines one with {code(f'{slash} profile create')}."
        )
    )
