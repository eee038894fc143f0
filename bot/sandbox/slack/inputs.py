"""What stands in the inputs of a message or view, and what Slack's client refuses to send."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.slack.blocks import elements_of

Json = dict[str, Any]

# The key of `state.values` for each element, and the element's key for its first value.
VALUE_KEYS: dict[str, tuple[str, str | None]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "overflow": ("selected_option", None),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", None),
}
_LIST_KEYS = {
    "selected_options", "selected_users", "selected_conversations", "selected_channels", "files",
}  # fmt: skip
FileOf = Callable[[str], Json]


def values_of(blocks: list[Json], typed: Mapping[str, Any], *, file_of: FileOf) -> Json:
    """Return `state.values` of a surface: what was typed, else the first values, for every input.

    `typed` is what the page sent, by block id and action id; `file_of` turns a file's id into Slack's object.
    """
    values: Json = {}
    for block, element in elements_of(blocks):
        if element["type"] not in VALUE_KEYS or element["type"] == "overflow":
            continue
        given = (typed.get(block["block_id"]) or {}).get(element["action_id"])
        values.setdefault(block["block_id"], {})[element["action_id"]] = _entry(
            element, given, file_of=file_of
        )
    return values


def _entry(element: Json, given: Json | None, *, file_of: FileOf) -> Json:
    key, first = VALUE_KEYS[element["type"]]
    value = given.get(key) if given is not None else element.get(first or "")
    if value in ("", None):
        value = [] if key in _LIST_KEYS else None
    if key == "files":
        value = [file_of(file if isinstance(file, str) else str(file.get("id"))) for file in value or []]
    return {"type": element["type"], key: value}


def client_errors(blocks: list[Json], values: Mapping[str, Any]) -> dict[str, str]:
    """Return what Slack's client says at each input before it sends a view at all, by block id."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        key, _ = VALUE_KEYS[element["type"]]
        value = values[block["block_id"]][element["action_id"]][key]
        words = _refusal(element, value, optional=bool(block.get("optional")))
        if words is not None:
            errors[block["block_id"]] = words
    return errors


def _refusal(element: Json, value: Any, *, optional: bool) -> str | None:
    if value is None or value == []:
        return None if optional else "Please complete this required field."
    kind = element["type"]
    if kind == "plain_text_input":
        return _length_refusal(element, value)
    if kind == "number_input":
        return _number_refusal(element, value)
    if kind == "email_text_input" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not re.match(r"https?://[^\s]+$", value):
        return "Please enter a valid URL."
    # Slack takes 10 files where a modal names no number, and any number of options.
    most = element.get("max_files", 10) if kind == "file_input" else element.get("max_selected_items")
    if isinstance(value, list) and most is not None and len(value) > most:
        return f"Please choose at most {most}."
    return None


def _length_refusal(element: Json, value: str) -> str | None:
    if len(value) < element.get("min_length", 0):
        return f"Please enter at least {element['min_length']} characters."
    if len(value) > element.get("max_length", 3000):
        return f"Please enter at most {element.get('max_length', 3000)} characters."
    return None


def _number_refusal(element: Json, value: str) -> str | None:
    decimal = element.get("is_decimal_allowed", False)
    if not re.fullmatch(r"-?\d+(\.\d+)?" if decimal else r"-?\d+", value):
        return "Please enter a number." if decimal else "Please enter a whole number."
    if "min_value" in element and float(value) < float(element["min_value"]):
        return f"Please enter a number not below {element['min_value']}."
    if "max_value" in element and float(value) > float(element["max_value"]):
        return f"Please enter a number not above {element['max_value']}."
    return None
