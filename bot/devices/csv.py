"""Devices as a file for spreadsheets, whose formulas are made harmless. Pure."""

from collections.abc import Sequence
from datetime import datetime

from bot.devices.facts import DeviceRow
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines

HEADINGS = (
    *("serial", "token", "state", "model", "description", "family", "os", "platform", "color", "asset_tag"),
    *("profile_status", "profile_uuid", "profile_name", "profile_assigned_at", "profile_pushed_at"),
    *("assigned_to_server_at", "assigned_to_server_by", "first_seen_at", "removed_at", "migration_deadline"),
    *("wifi_mac", "bluetooth_mac", "ethernet_mac", "imei", "meid", "eid"),
)


def csv_rows(rows: Sequence[DeviceRow], *, with_header: bool) -> bytes:
    """Return rows as CSV: UTF-8, with the mark that spreadsheets look for when with the header."""
    lines = csv_lines(_cells(row) for row in rows)
    return BYTE_ORDER_MARK + csv_lines([HEADINGS]) + lines if with_header else lines


def _cells(row: DeviceRow) -> list[str]:
    facts = row.facts
    return [
        *(row.serial, row.token_name or "", row.state.value, row.model, facts.description or ""),
        *(row.family or "", row.os or "", row.platform, facts.color or "", facts.asset_tag or ""),
        *(row.profile_status, row.profile_uuid or "", row.profile_name or ""),
        *(_time(facts.profile_assigned_at), _time(facts.profile_pushed_at)),
        *(_time(facts.assigned_at), facts.assigned_by or ""),
        *(_time(row.first_seen_at), _time(row.removed_at), _time(facts.migration_deadline)),
        *(facts.wifi_mac or "", facts.bluetooth_mac or "", facts.ethernet_mac or ""),
        *(" ".join(facts.imei), " ".join(facts.meid), facts.eid or ""),
    ]


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
