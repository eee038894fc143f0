"""Charts as Slack's `data_visualization` blocks, and the same as bars of text. Pure; knows no feature.

A chart stands in messages only: Slack refuses it in modals and home tabs, where `text_bars` takes its place.
What is too much for one chart is brought together ("others"), never left out in silence. At most two charts
stand in a message; a third is sent as bars of text.
https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from bot.slack.blocks import Block, Message, escape, figures, number, section, short

CHART = "data_visualization"
TITLE_CHARS = 50
NAME_CHARS = 20
SEGMENTS = 6
CATEGORIES = 20
#: Labels below a line stand side by side; more would run into each other.
MOMENTS = 10
CHARTS_A_MESSAGE = 2
#: A row of bars fits a phone: name, number and bar.
BAR_CELLS = 12
_CELL, _HALF = "█", "▌"
_OTHERS = "others"

Kind = Literal["bar", "line", "area"]
Values = Mapping[str, float]
"""Plain values by name, in the order in which they are shown; none is negative."""


def pie(title: str, values: Values) -> Block:
    """Return the parts of a whole, the largest first: at most six, the last of them for all others.

    Raises ValueError where there is nothing to show: no value above zero.
    """
    parts = largest({name: value for name, value in _checked(values).items() if value}, SEGMENTS)
    if not parts:
        raise ValueError(f"nothing to draw in {title!r}")
    segments = [
        {"label": name, "value": value} for name, value in zip(_names(parts), parts.values(), strict=True)
    ]
    return _chart(title, {"type": "pie", "segments": segments})


def bars(title: str, values: Values, *, unit: str, x_label: str = "") -> Block:
    """Return one bar a name, in the order given: at most 20, the last of them for all others."""
    kept = _first(_checked(values), CATEGORIES)
    return _series("bar", title, kept.keys(), {unit: list(kept.values())}, x_label=x_label, y_label=unit)


def lines(
    title: str,
    moments: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    y_label: str,
    kind: Kind = "line",
) -> Block:
    """Return values over time, one per moment in each of 1 to 6 series.

    Of more than 10 moments every n-th is shown, the oldest and the newest always.
    """
    if not 1 <= len(series) <= SEGMENTS or any(len(values) != len(moments) for values in series.values()):
        raise ValueError(f"{title!r} needs 1 to {SEGMENTS} series with a value for each moment")
    kept = _thinned(len(moments), MOMENTS)
    thinned = {name: [values[at] for at in kept] for name, values in series.items()}
    return _series(kind, title, [moments[at] for at in kept], thinned, y_label=y_label)


def largest(values: Values, most: int) -> dict[str, float]:
    """Return values, the largest first; what is more than `most` is one value for all others."""
    ordered = dict(sorted(values.items(), key=lambda each: (-each[1], each[0])))
    return _first(ordered, most)


def smallest(values: Values, most: int) -> dict[str, float]:
    """Return values, the smallest first; those that are more than `most` are left out: the title says so."""
    return dict(sorted(values.items(), key=lambda each: (each[1], each[0]))[:most])


def text_bars(title: str, values: Values, *, unit: str = "") -> Block:
    """Return values as aligned bars of text, at most 20 rows; the number stands before its bar."""
    named = f"*{escape(title)}*" + (f" ({escape(unit)})" if unit else "")
    return section(f"{named}\n{_table(_first(_checked(values), CATEGORIES))}" if values else named)


def has_charts(message: Message) -> bool:
    return any(block["type"] == CHART for block in message.blocks)


def without_charts(message: Message) -> Message:
    """Return a message with bars of text in place of its charts, for workspaces that take none."""
    return _with_charts(message, 0)


def fitting(message: Message) -> Message:
    """Return a message with as many charts as Slack takes in one; the others are bars of text."""
    return _with_charts(message, CHARTS_A_MESSAGE)


def _with_charts(message: Message, most: int) -> Message:
    left, blocks = most, []
    for block in message.blocks:
        is_kept = block["type"] != CHART or left > 0
        left -= block["type"] == CHART
        blocks.append(block if is_kept else _in_text(block))
    return replace(message, blocks=blocks)


def _in_text(block: Block) -> Block:
    title, groups = figures(block)
    if len(groups) == 1:
        name, values = groups[0]
        return text_bars(title, dict(values), unit="" if name.lower() in title.lower() else name)
    parts = [f"*{escape(title)}*"]
    for name, values in groups:
        parts.append(f"{escape(name)}\n{_table(dict(values))}")
    return section("\n".join(parts))


def _chart(title: str, chart: dict[str, Any]) -> Block:
    return {"type": CHART, "title": short(_one_line(title), TITLE_CHARS), "chart": chart}


def _series(
    kind: Kind,
    title: str,
    categories: Iterable[str],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str = "",
    y_label: str = "",
) -> Block:
    names = _names(categories)
    if not names:
        raise ValueError(f"nothing to draw in {title!r}")
    drawn = [
        {
            "name": name,
            "data": [{"label": label, "value": value} for label, value in zip(names, values, strict=True)],
        }
        for name, values in zip(_names(series), series.values(), strict=True)
    ]
    labels = {"x_label": x_label, "y_label": y_label}
    axes = {key: short(_one_line(text), TITLE_CHARS) for key, text in labels.items() if text}
    return _chart(title, {"type": kind, "series": drawn, "axis_config": {"categories": names, **axes}})


def _checked(values: Values) -> Values:
    if any(value < 0 for value in values.values()):
        raise ValueError("a bar has no length below zero")
    return values


def _first(values: Values, most: int) -> dict[str, float]:
    """Keep the first values; those that are too many are summed up as the last one."""
    if len(values) <= most:
        return dict(values)
    pairs = list(values.items())
    kept = dict(pairs[: most - 1])
    # A value may be called so itself.
    kept[_OTHERS] = kept.get(_OTHERS, 0) + sum(value for _, value in pairs[most - 1 :])
    return kept


def _thinned(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})


def _names(names: Iterable[str]) -> list[str]:
    """Cut names to Slack's length and keep them apart: two long ones may begin alike."""
    made: list[str] = []
    for name in names:
        whole = _one_line(name) or "–"
        cut, number = short(whole, NAME_CHARS), 2
        while cut in made:
            end = f" {number}"
            cut, number = short(whole, NAME_CHARS - len(end)) + end, number + 1
        made.append(cut)
    return made


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _table(values: Values) -> str:
    """Return rows of name, number and bar in a monospaced block; numbers end under each other."""
    names = _names(values)
    numbers = [number(value) for value in values.values()]
    top = max(values.values(), default=0)
    wide, high = max(map(_width, names), default=0), max(map(len, numbers), default=0)
    rows = [
        f"{name}{' ' * (wide - _width(name))}  {told:>{high}}  {_bar(value, top)}".rstrip()
        for name, told, value in zip(names, numbers, values.values(), strict=True)
    ]
    return "```" + "\n".join(escape(row).replace("`", "ˋ") for row in rows) + "```"


def _bar(value: float, top: float) -> str:
    """Draw a value beside the largest; what is above zero is never drawn as nothing."""
    halves = max(round(value / top * BAR_CELLS * 2), 1) if value > 0 else 0
    return _CELL * (halves // 2) + _HALF * (halves % 2)


def _width(text: str) -> int:
    """Count the cells of a monospaced text: wide letters take two, marks on letters none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
