"""Entries as lines of files: every field, for programs (JSON Lines) and for spreadsheets (CSV). Pure."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC
from typing import Any

from bot.audit.facts import Entry, Form
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines

HEADINGS = tuple(field.name for field in fields(Entry))


def head(form: Form) -> bytes:
    """Return how a file begins."""
    return BYTE_ORDER_MARK + csv_lines([HEADINGS]) if form is Form.CSV else b""


def lines(entries: Sequence[Entry], form: Form) -> bytes:
    """Return entries as lines, each as it is chained: times in UTC to the microsecond, tags in order.

    The last field, `link`, is told beside it.
    """
    told = [_told(entry) for entry in entries]
    if form is Form.CSV:
        return csv_lines([_cell(value) for value in entry.values()] for entry in told)
    return b"".join(_json(entry).encode() + b"\n" for entry in told)


def _told(entry: Entry) -> dict[str, Any]:
    told = {name: getattr(entry, name) for name in HEADINGS}
    return told | {"at": entry.at.astimezone(UTC).isoformat()}


def _cell(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    # In ASCII: a lone surrogate of an old name can be written, and is chained so.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
