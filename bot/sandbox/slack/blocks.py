"""The shapes of Block Kit's blocks and views, and the checks that run over a whole message or view."""

import json
from collections.abc import Iterator
from typing import Any

from bot.sandbox.slack.elements import (
    IMAGE,
    IN_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    RAW_NUMBER,
    exactly_one_of,
)
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.shapes import (
    Check,
    Problems,
    anything,
    boolean,
    items,
    kinds,
    mrkdwn,
    one_of,
    plain,
    problem,
    shape,
    string,
    text,
    whole,
)

Json = dict[str, Any]
VIEW_BYTES = 250_000
MESSAGE_CHARACTERS = 40_000
MARKDOWN_CHARACTERS = 12_000


def _block(
    kind: str, required: dict[str, Check], optional: dict[str, Check], rule: Check | None = None
) -> Check:
    return shape({"type": one_of(kind), **required}, {"block_id": string(255), **optional}, rule=rule)


def _text_or_fields(value: Any, pointer: str, problems: Problems) -> None:
    if value.get("text") is None and value.get("fields") is None:
        problem(problems, "must provide at least one of: text, fields", pointer)


def _named_once(value: Any, pointer: str, problems: Problems) -> None:
    seen: set[str] = set()
    for index, element in enumerate(value.get("elements") or []):
        name = element.get("action_id") if isinstance(element, dict) else None
        if name is not None and name in seen:
            words = (
                f'`action_id` "{name}" already exists for block with `block_id` "{value.get("block_id", "")}"'
            )
            problem(problems, words, f"{pointer}/elements/{index}/action_id")
        seen.add(str(name))


def _same_length(value: Any, pointer: str, problems: Problems) -> None:
    rows = value.get("rows")
    if isinstance(rows, list) and len({len(row) for row in rows if isinstance(row, list)}) > 1:
        problem(problems, "rows must have the same number of cells", f"{pointer}/rows")


_CELL = kinds(
    {
        "raw_text": shape({"type": one_of("raw_text"), "text": string(3000)}),
        "raw_number": RAW_NUMBER,
        "rich_text": anything,
    },
    "cell type",
)
_COLUMN = shape({}, {"align": one_of("left", "center", "right"), "is_wrapped": boolean})
_POINTS = items(20, shape({"label": string(20), "value": anything}))
_CHART = kinds(
    {
        "pie": shape(
            {"type": one_of("pie"), "segments": items(6, shape({"label": string(20), "value": anything}))}
        ),
        **{
            kind: shape(
                {"type": one_of(kind), "series": items(6, shape({"name": string(20), "data": _POINTS}))},
                {
                    "axis_config": shape(
                        {},
                        {"categories": items(20, string(20)), "x_label": string(50), "y_label": string(50)},
                    )
                },
            )
            for kind in ("bar", "line", "area")
        },
    },
    "chart type",
)
_CARD = _block(
    "card",
    {},
    {
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "icon": anything,
        "hero_image": anything,
        "actions": items(25, kinds(IN_ACTIONS, "element")),
    },
)
_EVERYWHERE: dict[str, Check] = {
    "section": _block(
        "section",
        {},
        {
            "text": text(3000),
            "fields": items(10, text(2000)),
            "accessory": kinds(IN_SECTION, "element"),
            "expand": boolean,
        },
        _text_or_fields,
    ),
    "divider": _block("divider", {}, {}),
    "header": _block("header", {"text": plain(150)}, {}),
    "image": _block(
        "image",
        {"alt_text": string(2000)},
        {"image_url": string(3000), "slack_file": anything, "title": plain(2000)},
        exactly_one_of("image_url", "slack_file"),
    ),
    "context": _block(
        "context",
        {
            "elements": items(
                10, kinds({"image": IMAGE, "plain_text": plain(3000), "mrkdwn": mrkdwn(3000)}, "element")
            )
        },
        {},
    ),
    "actions": _block("actions", {"elements": items(25, kinds(IN_ACTIONS, "element"))}, {}, _named_once),
    "input": _block(
        "input",
        {"label": plain(2000), "element": kinds(IN_INPUT, "element")},
        {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": _block("rich_text", {"elements": items(1000, anything)}, {}),
    "video": _block("video", {"alt_text": string(2000), "title": plain(200)}, {"video_url": string(3000)}),
}
_FEEDBACK = kinds({"feedback_buttons": anything, "icon_button": anything}, "element")
_MESSAGE_ONLY: dict[str, Check] = {
    "markdown": _block("markdown", {"text": string(MARKDOWN_CHARACTERS)}, {}),
    "file": _block("file", {"external_id": string(255), "source": string(32)}, {}),
    "context_actions": _block("context_actions", {"elements": items(5, _FEEDBACK)}, {}, _named_once),
    "table": _block(
        "table",
        {"rows": items(100, items(20, _CELL))},
        {"column_settings": items(20, _COLUMN)},
        _same_length,
    ),
    "data_table": _block(
        "data_table",
        {"rows": items(101, items(20, _CELL)), "caption": string(255)},
        {
            "page_size": whole(1, 100),
            "row_header_column_index": whole(0, 19),
            "column_settings": items(20, _COLUMN),
        },
        _same_length,
    ),
    "data_visualization": _block("data_visualization", {"title": string(50), "chart": _CHART}, {}),
    "card": _CARD,
    "carousel": _block("carousel", {"elements": items(10, _CARD)}, {}),
    "plan": _block("plan", {"title": anything}, {"tasks": items(100, anything)}),
    "task_card": _block(
        "task_card",
        {"task_id": string(255), "title": anything},
        {key: anything for key in ("status", "details", "output", "sources")},
    ),
    "container": _block(
        "container",
        {"child_blocks": items(10, kinds(_EVERYWHERE, "type"))},
        {
            key: anything
            for key in (
                "title",
                "rich_text_title",
                "subtitle",
                "width",
                "is_collapsible",
                "default_collapsed",
                "has_header_divider",
            )
        },
    ),
}
_ALERT = _block(
    "alert", {"text": text(3000)}, {"level": one_of("default", "info", "warning", "error", "success")}
)
_IN_MESSAGE = kinds({**_EVERYWHERE, **_MESSAGE_ONLY}, "type")
_IN_MODAL = kinds({**_EVERYWHERE, "alert": _ALERT}, "type")
_IN_HOME = kinds(_EVERYWHERE, "type")
_VIEW_COMMON: dict[str, Check] = {
    "callback_id": string(255, least=0),
    "private_metadata": string(3000, least=0),
    "external_id": string(255, least=0),
}
_MODAL = shape(
    {"type": one_of("modal"), "title": plain(24), "blocks": items(100, _IN_MODAL, least=0)},
    {
        **_VIEW_COMMON,
        "submit": plain(24),
        "close": plain(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
_HOME = shape({"type": one_of("home"), "blocks": items(100, _IN_HOME, least=0)}, _VIEW_COMMON)


def check_message_blocks(blocks: Any) -> None:
    """Refuse blocks that Slack would refuse in a message."""
    problems: Problems = []
    items(50, _IN_MESSAGE, least=0)(blocks, "/blocks", problems)
    if not problems:
        _unique_block_ids(blocks, "/blocks", problems)
        _file_inputs_only_in_modals(blocks, "/blocks", problems)
    if problems:
        raise SlackRefuses("invalid_blocks", details=problems)
    _check_sums(blocks)


def _check_sums(blocks: list[Json]) -> None:
    kinds_present = [block["type"] for block in blocks]
    if sum(kind in ("table", "data_table") for kind in kinds_present) > 1:
        raise SlackRefuses("only_one_table_allowed")
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MARKDOWN_CHARACTERS:
        raise SlackRefuses("msg_blocks_too_long")
    if kinds_present.count("data_visualization") > 2:
        line = "[ERROR] no more than 2 data_visualization blocks allowed [json-pointer:/blocks]"
        raise SlackRefuses("invalid_blocks", details=[line])


def check_view(view: Any, *, home: bool = False) -> None:
    """Refuse a view that Slack would refuse to open, push, update or publish."""
    if len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES:
        raise SlackRefuses("view_too_large")
    problems: Problems = []
    (_HOME if home else _MODAL)(view, "/view", problems)
    if not problems:
        _unique_block_ids(view["blocks"], "/view/blocks", problems)
        _submit_with_inputs(view, problems)
    if problems:
        raise SlackRefuses("invalid_arguments", details=problems)


def _unique_block_ids(blocks: list[Json], pointer: str, problems: Problems) -> None:
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        name = block.get("block_id")
        if name is not None and name in seen:
            problem(problems, f'`block_id` "{name}" already exists', f"{pointer}/{index}/block_id")
        seen.add(str(name))


def _file_inputs_only_in_modals(blocks: list[Json], pointer: str, problems: Problems) -> None:
    for index, block in enumerate(blocks):
        if block["type"] == "input" and block["element"]["type"] == "file_input":
            problem(problems, "unsupported element: file_input", f"{pointer}/{index}/element/type")


def _submit_with_inputs(view: Json, problems: Problems) -> None:
    if view["type"] == "home":
        _file_inputs_only_in_modals(view["blocks"], "/view/blocks", problems)
    elif any(block["type"] == "input" for block in view["blocks"]) and view.get("submit") is None:
        problem(problems, "missing required field: submit", "/view")


def elements_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield every interactive element with the block that holds it."""
    for block in blocks:
        kind = block.get("type")
        if kind == "input":
            yield block, block["element"]
        elif kind == "section" and (block.get("accessory") or {}).get("type") not in (None, "image"):
            yield block, block["accessory"]
        elif kind in ("actions", "context_actions"):
            yield from ((block, element) for element in block["elements"])
        elif kind == "card":
            yield from ((block, element) for element in block.get("actions") or [])
        elif kind in ("carousel", "container"):
            yield from elements_of(block.get("elements") or block.get("child_blocks") or [])
