"""Block Kit as plain dicts: pure helpers that keep Slack's limits and make outside text harmless.

What is too long for Slack is cut where a reader sees it ("… and 12 more lines"). What must not be cut
(a button's value, a modal's private metadata) raises ValueError, since that is a mistake in the code.
Limits: https://docs.slack.dev/reference/block-kit
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

Block = dict[str, Any]
"""One block, element or composition object, as Slack's JSON has it."""

View = dict[str, Any]
"""A modal or a home tab, as Slack's JSON has it."""

Style = Literal["primary", "danger"]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
SECTION_CHARS = 3000
FIELD_CHARS = 2000
CONTEXT_CHARS = 2000  # Slack names no limit for a context text; 2,000 has been accepted
TEXT_CHARS = 4000
HEADER_CHARS = 150
METADATA_CHARS = 3000
VALUE_CHARS = 2000
SELECT_OPTIONS = 100

_SPACES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_OPEN_MARKUP = re.compile(r"(<[^<>]*|&[a-z]{0,3})$")
_DATE = re.compile(r"<!date\^\d+\^[^|>]*\|([^>]*)>")
# Pairs only: the asterisk of `F9F*` is what has to be typed.
_BOLD = re.compile(r"(?<!\w)\*(\S(?:[^*\n]*[^*\s])?)\*(?!\w)")


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: `text` carries the same facts as `blocks`, for notifications and screen readers.

    Both are mrkdwn: outside text in either goes through `escape`.
    """

    text: str
    blocks: list[Block] = field(default_factory=list)

    @classmethod
    def of(cls, *blocks: Block) -> "Message":
        """Make a message whose text is read off its blocks."""
        return cls(text_of(blocks), list(blocks))

    @classmethod
    def from_view(cls, view: View) -> "Message":
        """Say in a message what a modal would have said, with its buttons and without its inputs."""
        told = [block for block in view["blocks"] if block["type"] != "input"]
        title = f"*{escape(view['title']['text'])}*" if "title" in view else ""
        text = "\n".join(part for part in (title, text_of(told)) if part)
        return cls(text, [section(title), *told] if title else told)


def escape(text: object) -> str:
    """Make outside text harmless in mrkdwn: it mentions nobody, hides no link and stays on one line."""
    # Half a surrogate pair, which JSON can hold, could not be sent.
    whole = str(text).encode("utf-8", "replace").decode()
    one_line = _BIDI.sub("", _SPACES.sub(" ", whole))
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bold(text: object) -> str:
    """Return outside text as a fact in bold; stars in it would end the bold and are replaced."""
    return f"*{escape(text).replace('*', '∗').strip()}*"


def code(text: object) -> str:
    """Return outside text as something to type; backticks in it would end the code and are replaced."""
    return f"`{escape(text).replace('`', 'ˋ')}`"


def mention(user_id: str) -> str:
    return f"<@{escape(user_id)}>"


def mention_group(group_id: str) -> str:
    return f"<!subteam^{escape(group_id)}>"


def local_time(moment: datetime, now: datetime | None = None, *, stays: bool = False) -> str:
    """Return a moment that Slack shows in the reader's zone, such as "today at 09:12".

    With `stays` it is always a date, for a text that is read days later: what was "tomorrow" when it was
    said would read "yesterday". The fallback, for clients that cannot, is UTC; its year is left out when
    it is the year of `now`.
    """
    day = "{date_short}" if stays else "{date_short_pretty}"
    form = "%a %-d %b, %H:%M UTC" if now and now.year == moment.year else "%a %-d %b %Y, %H:%M UTC"
    return f"<!date^{int(moment.timestamp())}^{day} at {{time}}|{moment.strftime(form)}>"


def trim(text: str, limit: int) -> str:
    """Cut mrkdwn to `limit` characters at a line or a word, and say how much is missing."""
    if len(text) <= limit:
        return text
    room = limit - 40
    head = text[:room]
    if "\n" in head:
        head = head[: head.rindex("\n")]
        return f"{head}\n… and {text[len(head) :].strip().count(chr(10)) + 1} more lines"
    head = _OPEN_MARKUP.sub("", head)
    if " " in head[room // 2 :]:
        head = head[: head.rindex(" ")]
    return f"{head} … and {len(text) - len(head):,} more characters"


def short(text: str, limit: int) -> str:
    """Cut plain text to `limit` characters, ending in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def mrkdwn(text: str, limit: int = SECTION_CHARS) -> Block:
    # Slack refuses an empty text object.
    return {"type": "mrkdwn", "text": trim(text, limit) or " "}


def plain(text: str, limit: int) -> Block:
    """Return a plain_text object: shown as it is, so its text is not escaped."""
    return {"type": "plain_text", "text": short(_SPACES.sub(" ", text), limit) or " ", "emoji": False}


def section(text: str, accessory: Block | None = None) -> Block:
    """Return a paragraph of mrkdwn, at most 3,000 characters, with an optional element beside it."""
    block: Block = {"type": "section", "text": mrkdwn(text)}
    if accessory is not None:
        block["accessory"] = accessory
    return block


def fields(*texts: str) -> Block:
    """Return short facts in two columns: at most 10, each at most 2,000 characters."""
    return {"type": "section", "fields": [mrkdwn(t, FIELD_CHARS) for t in _at_most(texts, 10)]}


def header(text: str) -> Block:
    """Return a plain-text headline of at most 150 characters."""
    return {"type": "header", "text": plain(text, HEADER_CHARS)}


def context(*texts: str) -> Block:
    """Return small grey texts: at most 10."""
    return {"type": "context", "elements": [mrkdwn(t, CONTEXT_CHARS) for t in _at_most(texts, 10)]}


def divider() -> Block:
    return {"type": "divider"}


def actions(*elements: Block, block_id: str | None = None) -> Block:
    """Return a row of buttons and selects, 1 to 25."""
    if not 1 <= len(elements) <= 25:
        raise ValueError(f"an actions block holds 1 to 25 elements, not {len(elements)}")
    block: Block = {"type": "actions", "elements": list(elements)}
    return _with_id(block, block_id)


def button(
    text: str,
    *,
    action_id: str,
    value: str = "",
    style: Style | None = None,
    confirm: Block | None = None,
    url: str | None = None,
) -> Block:
    """Return a button. `value` (at most 2,000 characters) carries an id, never a permission."""
    if len(value) > VALUE_CHARS or len(action_id) > 255:
        raise ValueError(f"the value or id of button {action_id[:40]!r} is too long for Slack")
    element: Block = {"type": "button", "text": plain(text, 75), "action_id": action_id}
    extras = {"value": value or None, "style": style, "confirm": confirm, "url": url}
    return element | {key: extra for key, extra in extras.items() if extra is not None}


def confirm(*, title: str, text: str, confirm: str, deny: str, style: Style | None = None) -> Block:
    """Return the question asked before a button acts: title 100, text 300 (mrkdwn), buttons 30 characters."""
    question: Block = {
        "title": plain(title, 100),
        "text": mrkdwn(text, 300),
        "confirm": plain(confirm, 30),
        "deny": plain(deny, 30),
    }
    return question | ({"style": style} if style else {})


def modal(
    *,
    title: str,
    callback_id: str,
    blocks: Sequence[Block],
    submit: str | None = None,
    close: str = "Cancel",
    private_metadata: str = "",
    notify_on_close: bool = False,
) -> View:
    """Return a modal. Title and buttons hold 24 characters, `private_metadata` 2,800."""
    # 200 of Slack's 3,000 characters are kept for the place that the modal was opened from (call.py).
    if len(private_metadata) > METADATA_CHARS - 200:
        raise ValueError(f"the private metadata of modal {callback_id!r} is too long for Slack")
    view: View = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(title, 24),
        "close": plain(close, 24),
        "blocks": fit(blocks, VIEW_BLOCKS),
        "private_metadata": private_metadata,
        "notify_on_close": notify_on_close,
    }
    return view | ({"submit": plain(submit, 24)} if submit else {})


def home(*blocks: Block) -> View:
    """Return a home tab of at most 100 blocks."""
    return {"type": "home", "blocks": fit(blocks, VIEW_BLOCKS)}


def input_block(
    *,
    label: str,
    block_id: str,
    element: Block,
    hint: str | None = None,
    optional: bool = False,
    tells: bool = False,
) -> Block:
    """Return a labelled input of a modal; its value is read back by `block_id`.

    With `tells`, a choice is told at once, as a pressed button is, by the element's action_id.
    """
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, 2000),
        "element": element,
        "optional": optional,
    }
    extras = {"hint": plain(hint, 2000) if hint else None, "dispatch_action": tells or None}
    return block | {key: extra for key, extra in extras.items() if extra is not None}


def text_input(
    action_id: str = "value",
    *,
    placeholder: str | None = None,
    initial: str | None = None,
    multiline: bool = False,
    max_length: int | None = None,
) -> Block:
    """Return a line of text to fill in, or a paragraph; at most 3,000 characters."""
    element: Block = {"type": "plain_text_input", "action_id": action_id, "multiline": multiline}
    extras = {
        "placeholder": plain(placeholder, 150) if placeholder else None,
        "initial_value": initial or None,
        "max_length": max_length,
    }
    return element | {key: extra for key, extra in extras.items() if extra is not None}


def file_input(filetypes: Sequence[str] = (), *, max_files: int = 1, action_id: str = "value") -> Block:
    """Return a file to hand over. `filetypes` only narrows the file dialog: it checks nothing."""
    element: Block = {"type": "file_input", "action_id": action_id, "max_files": max_files}
    return element | ({"filetypes": list(filetypes)} if filetypes else {})


def option(text: str, value: str, description: str | None = None) -> Block:
    """Return one choice: text 75 and value 150 characters."""
    if len(value) > 150:
        raise ValueError(f"the value of option {text[:40]!r} is too long for Slack")
    choice: Block = {"text": plain(text, 75), "value": value}
    return choice | ({"description": plain(description, 75)} if description else {})


Options = Mapping[str, str] | Iterable[tuple[str, str] | tuple[str, str, str]]
"""Choices as value and text, and a description where there is one: `{"agree": "I agree"}`."""


def checkboxes(options: Options, *, action_id: str = "value", initial: Iterable[str] = ()) -> Block:
    """Return up to 10 boxes; `initial` names the values ticked from the start."""
    choices = _options(options)
    if not 1 <= len(choices) <= 10:
        raise ValueError(f"checkboxes hold 1 to 10 options, not {len(choices)}")
    element: Block = {"type": "checkboxes", "action_id": action_id, "options": choices}
    wanted = set(initial)
    ticked = [choice for choice in choices if choice["value"] in wanted]
    return element | ({"initial_options": ticked} if ticked else {})


def select(
    options: Options,
    *,
    action_id: str = "value",
    placeholder: str | None = None,
    initial: str | Iterable[str] | None = None,
    many: bool = False,
) -> Block:
    """Return a choice of one, or of `many`, from 1 to 100 options; `initial` is a value, or several."""
    choices = _options(options)
    if not 1 <= len(choices) <= SELECT_OPTIONS:
        raise ValueError(f"a select holds 1 to {SELECT_OPTIONS} options, not {len(choices)}")
    kind = "multi_static_select" if many else "static_select"
    element: Block = {"type": kind, "action_id": action_id, "options": choices}
    if placeholder:
        element["placeholder"] = plain(placeholder, 150)
    wanted = {initial} if isinstance(initial, str) else set(initial or ())
    chosen = [choice for choice in choices if choice["value"] in wanted]
    if chosen and many:
        element["initial_options"] = chosen
    elif chosen:
        element["initial_option"] = chosen[0]
    return element


def radio(options: Options, *, action_id: str = "value", initial: str | None = None) -> Block:
    """Return a choice of one, all in sight, from 1 to 10 options; `initial` is a value."""
    choices = _options(options)
    if not 1 <= len(choices) <= 10:
        raise ValueError(f"radio buttons hold 1 to 10 options, not {len(choices)}")
    element: Block = {"type": "radio_buttons", "action_id": action_id, "options": choices}
    chosen = [choice for choice in choices if choice["value"] == initial]
    return element | ({"initial_option": chosen[0]} if chosen else {})


def fit(blocks: Sequence[Block], limit: int) -> list[Block]:
    """Return at most `limit` blocks; the last one says how many were left out."""
    if len(blocks) <= limit:
        return list(blocks)
    kept = list(blocks[: limit - 1])
    return [*kept, context(f"… and {len(blocks) - len(kept):,} more")]


def fitted(message: Message) -> Message:
    """Return the message within Slack's limits for one post."""
    return replace(
        message, text=trim(message.text, TEXT_CHARS) or " ", blocks=fit(message.blocks, MESSAGE_BLOCKS)
    )


def text_of(blocks: Iterable[Block]) -> str:
    """Read the facts off blocks: their texts, without bold and with dates as UTC."""
    lines = [text for block in blocks for text in _texts(block)]
    return _BOLD.sub(r"\1", _DATE.sub(r"\1", "\n".join(lines)))


def number(value: float) -> str:
    """Return a number as it is read: thousands apart, no fraction where there is none."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"


def figures(chart: Block) -> tuple[str, list[tuple[str, list[tuple[str, float]]]]]:
    """Return what a chart shows: its title, and by series (a pie has one, unnamed) labels and values."""
    shown = chart["chart"]
    series = shown.get("series") or [{"name": "", "data": shown.get("segments") or []}]
    groups = [(each["name"], [(point["label"], point["value"]) for point in each["data"]]) for each in series]
    return chart["title"], groups


def _chart_text(chart: Block) -> str:
    title, groups = figures(chart)
    told = []
    for name, points in groups:
        values = ", ".join(f"{label} {number(value)}" for label, value in points)
        told.append(f"{name}: {values}" if len(groups) > 1 else values)
    return escape(f"{title}: {'; '.join(told)}")


def _texts(block: Block) -> list[str]:
    if block["type"] == "header":
        return [escape(block["text"]["text"])]
    if block["type"] == "data_visualization":
        return [_chart_text(block)]
    parts = [block.get("text"), *block.get("fields", ())]
    if block["type"] == "context":
        parts.extend(block["elements"])
    return [part["text"] for part in parts if isinstance(part, dict) and part.get("type") == "mrkdwn"]


def _at_most(texts: Sequence[str], limit: int) -> list[str]:
    if not texts:
        raise ValueError("Slack refuses a block without any text")
    if len(texts) <= limit:
        return list(texts)
    return [*texts[: limit - 1], f"… and {len(texts) - limit + 1:,} more"]


def _options(options: Options) -> list[Block]:
    pairs = options.items() if isinstance(options, Mapping) else options
    return [option(text, value, *description) for value, text, *description in pairs]


def _with_id(block: Block, block_id: str | None) -> Block:
    return block | ({"block_id": block_id} if block_id else {})
