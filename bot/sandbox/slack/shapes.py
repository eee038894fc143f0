"""What Block Kit lets through (https://docs.slack.dev/reference/block-kit), in Slack's own words.

A check is a function `(value, pointer, problems)`; it adds lines such as
`[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]` to `problems`.
"""

from collections.abc import Callable, Mapping
from typing import Any

Problems = list[str]
Check = Callable[[Any, str, Problems], None]


def problem(problems: Problems, words: str, pointer: str) -> None:
    """Add one line as Slack writes it in `response_metadata.messages`."""
    problems.append(f"[ERROR] {words} [json-pointer:{pointer}]")


def anything(value: Any, pointer: str, problems: Problems) -> None:
    """Let every value through."""


def boolean(value: Any, pointer: str, problems: Problems) -> None:
    if not isinstance(value, bool):
        problem(problems, "must be a boolean", pointer)


def number(value: Any, pointer: str, problems: Problems) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem(problems, "must be a number", pointer)


def string(limit: int, *, least: int = 1) -> Check:
    """Accept a string of `least` to `limit` characters."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, str):
            problem(problems, "must be a string", pointer)
        elif len(value) > limit:
            problem(problems, f"must be less than {limit + 1} characters", pointer)
        elif len(value) < least:
            problem(problems, f"must be more than {least - 1} characters", pointer)

    return check


def whole(lowest: int, highest: int) -> Check:
    """Accept a whole number between both bounds."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            problem(problems, "must be an integer", pointer)
        elif not lowest <= value <= highest:
            problem(problems, f"must be between {lowest} and {highest}", pointer)

    return check


def one_of(*words: str) -> Check:
    def check(value: Any, pointer: str, problems: Problems) -> None:
        if value not in words:
            problem(problems, f"must be one of: {', '.join(words)}", pointer)

    return check


def items(highest: int, check_item: Check, *, least: int = 1) -> Check:
    """Accept a list of `least` to `highest` items that each pass `check_item`."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, list):
            problem(problems, "must be an array", pointer)
            return
        if len(value) > highest:
            problem(problems, f"no more than {highest} items allowed", pointer)
        if len(value) < least:
            problem(problems, f"no less than {least} items required", pointer)
        for index, item in enumerate(value):
            check_item(item, f"{pointer}/{index}", problems)

    return check


def shape(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *, rule: Check | None = None
) -> Check:
    """Accept an object with these keys and no other; `rule` looks at it whole afterwards."""
    known = {**required, **(optional or {})}

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problem(problems, "must be an object", pointer)
            return
        for key in (key for key in required if value.get(key) is None):
            problem(problems, f"missing required field: {key}", pointer)
        for key, part in value.items():
            if key not in known:
                problem(problems, f"invalid additional property: {key}", pointer)
            elif part is not None:
                known[key](part, f"{pointer}/{key}", problems)
        if rule is not None:
            rule(value, pointer, problems)

    return check


def kinds(shapes: Mapping[str, Check], noun: str) -> Check:
    """Accept an object whose `type` is one of `shapes`, in that one's shape."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problem(problems, "must be an object", pointer)
            return
        kind = value.get("type")
        if kind is None:
            problem(problems, "missing required field: type", pointer)
        elif kind not in shapes:
            problem(problems, f"unsupported {noun}: {kind}", f"{pointer}/type")
        else:
            shapes[kind](value, pointer, problems)

    return check


def plain(limit: int) -> Check:
    """Accept a `plain_text` object of at most `limit` characters."""
    return shape({"type": one_of("plain_text"), "text": string(limit)}, {"emoji": boolean})


def mrkdwn(limit: int) -> Check:
    return shape({"type": one_of("mrkdwn"), "text": string(limit)}, {"verbatim": boolean})


def text(limit: int) -> Check:
    """Accept a text object of either kind of at most `limit` characters."""
    return kinds({"plain_text": plain(limit), "mrkdwn": mrkdwn(limit)}, "type")
