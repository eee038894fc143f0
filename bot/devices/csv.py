"""Devices as a file for spreadsheets, whose formulas are made harmless. Pure."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from bot.devices.facts import DeviceRow

HEADINGS = (
    *("serial", "token", "state", "model", "description", "family", "os", "platform", "color", "asset_tag"),
    *("profile_status", "profile_uuid", "profile_assigned_at", "profile_pushed_at"),
    *("assigned_to_server_at", "assigned_to_server_by", "first_seen_at", "removed_at", "migration_deadline"),
    *("wifi_mac", "bluetooth_mac", "ethernet_mac", "imei", "meid", "eid"),
)
#: What makes a spreadsheet take a cell for a formula. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def neutral(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a quote before what would start one."""
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value


def csv_rows(rows: Sequence[DeviceRow], *, with_header: bool) -> bytes:
    """Return rows as CSV: UTF-8, with the mark that spreadsheets look for when with the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if with_header:
        writer.writerow(HEADINGS)
    for row in rows:
        writer.writerow([neutral(cell) for cell in _cells(row)])
    return (_BYTE_ORDER_MARK if with_header else b"") + text.getvalue().encode("utf-8", "replace")


def _cells(row: DeviceRow) -> list[str]:
    facts = row.facts
    return [
        *(row.serial, row.token_name or "", row.state.value, row.model, facts.description or ""),
        *(row.family or "", row.os or "", row.platform, facts.color or "", facts.asset_tag or ""),
        *(row.profile_status, row.profile_uuid or ""),
        *(_time(facts.profile_assigned_at), _time(facts.profile_pushed_at)),
        *(_time(facts.assigned_at), facts.assigned_by or ""),
        *(_time(row.first_seen_at), _time(row.removed_at), _time(facts.migration_deadline)),
        *(facts.wifi_mac or "", facts.bluetooth_mac or "", facts.ethernet_mac or ""),
        *(" ".join(facts.imei), " ".join(facts.meid), facts.eid or ""),
    ]


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
