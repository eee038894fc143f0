"""What Slack refuses in blocks and views, each with the place that is wrong."""

from typing import Any

import pytest

from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.sandbox.slack.refusals import SlackRefuses

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(**changes: Any) -> Json:
    return {"type": "button", "action_id": "a", "text": plain("Go"), **changes}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "block_id": "b", "elements": list(elements)}


def section(text: str = "x", **changes: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **changes}


def option(text: str = "iPad", value: str = "ipad") -> Json:
    return {"text": plain(text), "value": value}


def select(*options: Json, **changes: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": list(options), **changes}


def text_input(**changes: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "v"}
    return {"type": "input", "block_id": "i", "label": plain("Name"), "element": element, **changes}


def modal(*blocks: Json, **changes: Any) -> Json:
    return {"type": "modal", "title": plain("Add"), "submit": plain("Add"), "blocks": list(blocks), **changes}


def chart(segments: int) -> Json:
    parts = [{"label": f"p{number}", "value": number} for number in range(segments)]
    return {"type": "data_visualization", "title": "Devices", "chart": {"type": "pie", "segments": parts}}


def table(rows: int, cell: str = "x") -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": cell}]] * rows}


CONFIRM: Json = {"title": plain("Sure?"), "text": mrkdwn("x"), "confirm": plain("Yes"), "deny": plain("No")}

GOOD: list[Json] = [
    section("x" * 3000),
    {"type": "section", "fields": [mrkdwn("a" * 2000)] * 10},
    section(accessory=button(confirm=CONFIRM, style="danger", value="v" * 2000)),
    {"type": "header", "text": plain("h" * 150)},
    {"type": "divider"},
    {"type": "context", "elements": [mrkdwn("x")] * 10},
    actions(*(button(action_id=f"a{number}") for number in range(25))),
    actions(select(option()), {"type": "overflow", "action_id": "o", "options": [option()] * 5}),
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a chart"},
    text_input(),
    table(100),
    chart(6),
    {"type": "markdown", "text": "# x"},
]


@pytest.mark.parametrize("block", GOOD)
def test_blocks_within_the_limits_pass(block: Json) -> None:
    check_message_blocks([block])


def test_fifty_blocks_pass() -> None:
    check_message_blocks([{"type": "divider"}] * 50)


BAD: list[tuple[list[Json], str]] = [
    ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
    ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    ([{"type": "section"}], "must provide at least one of: text, fields [json-pointer:/blocks/0]"),
    ([section(fields=[mrkdwn("x")] * 11)], "no more than 10 items allowed [json-pointer:/blocks/0/fields]"),
    (
        [section(fields=[mrkdwn("x" * 2001)])],
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    (
        [{"type": "header", "text": plain("h" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    (
        [{"type": "header", "text": mrkdwn("h")}],
        "must be one of: plain_text [json-pointer:/blocks/0/text/type]",
    ),
    (
        [{"type": "context", "elements": [mrkdwn("x")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    (
        [actions(*(button(action_id=f"a{number}") for number in range(26)))],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    (
        [actions(button(), button())],
        '`action_id` "a" already exists for block with `block_id` "b"'
        " [json-pointer:/blocks/0/elements/1/action_id]",
    ),
    (
        [actions(button(text=plain("x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    (
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    ([actions(button(text=None))], "missing required field: text [json-pointer:/blocks/0/elements/0]"),
    (
        [actions(button(style="green"))],
        "must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    (
        [actions(button(confirm={**CONFIRM, "text": mrkdwn("x" * 301)}))],
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    ([actions()], "no less than 1 items required [json-pointer:/blocks/0/elements]"),
    (
        [actions(select(option(text="x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]",
    ),
    (
        [actions(select(option(value="x" * 151)))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]",
    ),
    (
        [actions(select(*[option()] * 101))],
        "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    ([{"type": "nonsense"}], "unsupported type: nonsense [json-pointer:/blocks/0/type]"),
    ([{"type": "section", "text": "plain"}], "must be an object [json-pointer:/blocks/0/text]"),
    ([section(colour="red")], "invalid additional property: colour [json-pointer:/blocks/0]"),
    (
        [section(block_id="b"), section(block_id="b")],
        '`block_id` "b" already exists [json-pointer:/blocks/1/block_id]',
    ),
    ([{"type": "alert", "text": mrkdwn("x")}], "unsupported type: alert [json-pointer:/blocks/0/type]"),
    (
        [text_input(element={"type": "file_input", "action_id": "f"})],
        "unsupported element: file_input [json-pointer:/blocks/0/element/type]",
    ),
    ([table(101)], "no more than 100 items allowed [json-pointer:/blocks/0/rows]"),
    ([table(1, cell="")], "must be more than 0 characters [json-pointer:/blocks/0/rows/0/0/text]"),
    ([chart(7)], "no more than 6 items allowed [json-pointer:/blocks/0/chart/segments]"),
    ([chart(1)] * 3, "no more than 2 data_visualization blocks allowed [json-pointer:/blocks]"),
    ([None], "must be an object [json-pointer:/blocks/0]"),  # type: ignore[list-item]  # as a null in JSON
]


@pytest.mark.parametrize(("blocks", "detail"), BAD, ids=[detail for _, detail in BAD])
def test_blocks_beyond_the_limits_are_refused_with_the_place(blocks: list[Json], detail: str) -> None:
    with pytest.raises(SlackRefuses) as caught:
        check_message_blocks(blocks)
    assert caught.value.word == "invalid_blocks"
    assert f"[ERROR] {detail}" in caught.value.details


def test_a_message_has_one_table_at_most() -> None:
    with pytest.raises(SlackRefuses) as caught:
        check_message_blocks([table(1), table(1)])
    assert caught.value.word == "only_one_table_allowed"


def test_markdown_is_counted_over_the_whole_message() -> None:
    with pytest.raises(SlackRefuses) as caught:
        check_message_blocks([{"type": "markdown", "text": "x" * 7000}] * 2)
    assert caught.value.word == "msg_blocks_too_long"


def test_a_modal_within_the_limits_passes() -> None:
    file = {"type": "file_input", "action_id": "f", "filetypes": ["p7m"], "max_files": 1}
    blocks = [text_input(), text_input(block_id="f", element=file), *([{"type": "divider"}] * 98)]
    check_view(modal(*blocks, title=plain("t" * 24), private_metadata="m" * 3000, callback_id="c" * 255))


BAD_VIEWS: list[tuple[Json, str]] = [
    (modal(title=plain("t" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
    (modal(submit=plain("t" * 25)), "must be less than 25 characters [json-pointer:/view/submit/text]"),
    (modal(close=plain("t" * 25)), "must be less than 25 characters [json-pointer:/view/close/text]"),
    (modal(*[{"type": "divider"}] * 101), "no more than 100 items allowed [json-pointer:/view/blocks]"),
    (
        modal(private_metadata="m" * 3001),
        "must be less than 3001 characters [json-pointer:/view/private_metadata]",
    ),
    (modal(callback_id="c" * 256), "must be less than 256 characters [json-pointer:/view/callback_id]"),
    (modal(text_input(), submit=None), "missing required field: submit [json-pointer:/view]"),
    (modal(title=None), "missing required field: title [json-pointer:/view]"),
    (modal(table(1)), "unsupported type: table [json-pointer:/view/blocks/0/type]"),
    ({**modal(), "type": "home"}, "must be one of: modal [json-pointer:/view/type]"),
]


@pytest.mark.parametrize(("view", "detail"), BAD_VIEWS, ids=[detail for _, detail in BAD_VIEWS])
def test_views_beyond_the_limits_are_refused_with_the_place(view: Json, detail: str) -> None:
    with pytest.raises(SlackRefuses) as caught:
        check_view(view)
    assert caught.value.word == "invalid_arguments"
    assert f"[ERROR] {detail}" in caught.value.details


def test_a_view_has_250_kb_at_most() -> None:
    blocks = [section("ü" * 3000) for _ in range(60)]
    with pytest.raises(SlackRefuses) as caught:
        check_view(modal(*blocks))
    assert caught.value.word == "view_too_large"


def test_a_home_tab_takes_no_title() -> None:
    check_view({"type": "home", "blocks": [section()]}, home=True)
    with pytest.raises(SlackRefuses):
        check_view({"type": "home", "title": plain("x"), "blocks": [section()]}, home=True)
