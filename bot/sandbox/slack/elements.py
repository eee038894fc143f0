"""The shapes of Block Kit's elements, with the limits of https://docs.slack.dev/reference/block-kit/block-elements."""

from typing import Any

from bot.sandbox.slack.shapes import (
    Check,
    Problems,
    anything,
    boolean,
    items,
    number,
    one_of,
    plain,
    problem,
    shape,
    string,
    text,
    whole,
)

ACTION_ID = string(255)
STYLE = one_of("primary", "danger")
CONFIRM = shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)}, {"style": STYLE}
)
PLACEHOLDER = plain(150)
OPTION = shape({"text": text(75), "value": string(150)}, {"description": text(75), "url": string(3000)})
OPTIONS = items(100, OPTION)
GROUPS = items(100, shape({"label": plain(75), "options": OPTIONS}))
DISPATCH = shape({}, {"trigger_actions_on": items(2, one_of("on_enter_pressed", "on_character_entered"))})


def exactly_one_of(*keys: str) -> Check:
    """Accept an object that carries one of `keys` and not the others."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if sum(value.get(key) is not None for key in keys) != 1:
            problem(problems, f"must have exactly one of: {', '.join(keys)}", pointer)

    return check


def _element(
    kind: str, required: dict[str, Check], optional: dict[str, Check], rule: Check | None = None
) -> Check:
    return shape({"type": one_of(kind), **required}, {"action_id": ACTION_ID, **optional}, rule=rule)


def _select(kind: str, own: dict[str, Check], rule: Check | None = None) -> Check:
    common = {"placeholder": PLACEHOLDER, "confirm": CONFIRM, "focus_on_load": boolean}
    return _element(kind, {}, {**common, **own}, rule)


BUTTON = _element(
    "button",
    {"text": plain(75)},
    {
        "value": string(2000, least=0),
        "url": string(3000),
        "style": STYLE,
        "confirm": CONFIRM,
        "accessibility_label": string(75),
        "visible_to_user_ids": items(100, string(32)),
    },
)
IMAGE = shape(
    {"type": one_of("image"), "alt_text": string(2000)},
    {"image_url": string(3000), "slack_file": anything},
    rule=exactly_one_of("image_url", "slack_file"),
)
_CHOICE = {"focus_on_load": boolean, "confirm": CONFIRM}
_WRITING: dict[str, Check] = {
    "placeholder": PLACEHOLDER,
    "focus_on_load": boolean,
    "dispatch_action_config": DISPATCH,
}
_LISTS: dict[str, Check] = {"options": OPTIONS, "option_groups": GROUPS}
_IDS = items(100, string(32), least=0)
_MAX_CHOSEN: dict[str, Check] = {"max_selected_items": whole(1, 100)}
_FILTER: dict[str, Check] = {"filter": anything, "default_to_current_conversation": boolean}
_RESPONDS: dict[str, Check] = {"response_url_enabled": boolean}
_ONE_LIST = exactly_one_of("options", "option_groups")

SELECTS: dict[str, Check] = {
    "static_select": _select("static_select", {**_LISTS, "initial_option": OPTION}, _ONE_LIST),
    "external_select": _select(
        "external_select", {"initial_option": OPTION, "min_query_length": whole(0, 100)}
    ),
    "users_select": _select("users_select", {"initial_user": string(32)}),
    "conversations_select": _select(
        "conversations_select", {"initial_conversation": string(32), **_FILTER, **_RESPONDS}
    ),
    "channels_select": _select("channels_select", {"initial_channel": string(32), **_RESPONDS}),
}
MULTI_SELECTS: dict[str, Check] = {
    "multi_static_select": _select(
        "multi_static_select", {**_LISTS, **_MAX_CHOSEN, "initial_options": OPTIONS}, _ONE_LIST
    ),
    "multi_external_select": _select(
        "multi_external_select",
        {**_MAX_CHOSEN, "initial_options": OPTIONS, "min_query_length": whole(0, 100)},
    ),
    "multi_users_select": _select("multi_users_select", {**_MAX_CHOSEN, "initial_users": _IDS}),
    "multi_conversations_select": _select(
        "multi_conversations_select", {**_MAX_CHOSEN, **_FILTER, "initial_conversations": _IDS}
    ),
    "multi_channels_select": _select("multi_channels_select", {**_MAX_CHOSEN, "initial_channels": _IDS}),
}
PICKERS: dict[str, Check] = {
    "checkboxes": _element(
        "checkboxes", {"options": items(10, OPTION)}, {**_CHOICE, "initial_options": items(10, OPTION)}
    ),
    "radio_buttons": _element(
        "radio_buttons", {"options": items(10, OPTION)}, {**_CHOICE, "initial_option": OPTION}
    ),
    "datepicker": _element(
        "datepicker", {}, {**_CHOICE, "placeholder": PLACEHOLDER, "initial_date": string(10)}
    ),
    "timepicker": _element(
        "timepicker",
        {},
        {**_CHOICE, "placeholder": PLACEHOLDER, "initial_time": string(5), "timezone": string(64)},
    ),
}
DATETIME = _element("datetimepicker", {}, {**_CHOICE, "initial_date_time": whole(0, 9_999_999_999)})
OVERFLOW = _element("overflow", {"options": items(5, OPTION)}, {"confirm": CONFIRM})

IN_ACTIONS: dict[str, Check] = {
    "button": BUTTON,
    "overflow": OVERFLOW,
    "datetimepicker": DATETIME,
    "workflow_button": anything,
    **SELECTS,
    **PICKERS,
}
IN_SECTION: dict[str, Check] = {
    "button": BUTTON,
    "overflow": OVERFLOW,
    "image": IMAGE,
    "workflow_button": anything,
    **SELECTS,
    **MULTI_SELECTS,
    **PICKERS,
}
IN_INPUT: dict[str, Check] = {
    **SELECTS,
    **MULTI_SELECTS,
    **PICKERS,
    "datetimepicker": DATETIME,
    "plain_text_input": _element(
        "plain_text_input",
        {},
        {
            **_WRITING,
            "initial_value": string(3000, least=0),
            "multiline": boolean,
            "min_length": whole(0, 3000),
            "max_length": whole(1, 3000),
        },
    ),
    "number_input": _element(
        "number_input",
        {"is_decimal_allowed": boolean},
        {**_WRITING, "initial_value": string(100), "min_value": string(100), "max_value": string(100)},
    ),
    "email_text_input": _element("email_text_input", {}, {**_WRITING, "initial_value": string(3000)}),
    "url_text_input": _element("url_text_input", {}, {**_WRITING, "initial_value": string(3000)}),
    "rich_text_input": _element("rich_text_input", {}, {**_WRITING, "initial_value": anything}),
    "file_input": _element(
        "file_input", {}, {"filetypes": items(100, string(32), least=0), "max_files": whole(1, 10)}
    ),
}
RAW_NUMBER = shape({"type": one_of("raw_number"), "value": number}, {"text": string(255)})
