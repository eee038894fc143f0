import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.apple.dep import wire
from bot.apple.dep.errors import Unreadable

DEVICE = {
    "serial_number": "C02T0HL0GGC0",
    "description": "MBP 13.3 SPACE GRAY/2.0GHZ/8GB/256GB-USA",
    "model": "MacBook Pro",
    "os": "OSX",
    "device_family": "Mac",
    "color": "SPACE GRAY",
    "asset_tag": "A-1",
    "profile_uuid": "C1F123098EB5074580041E69883004C3",
    "profile_assign_time": "2018-09-08T16:49:09Z",
    "profile_push_time": "2018-09-09T16:49:09Z",
    "profile_status": "pushed",
    "device_assigned_by": "apple-dep@acme.co",
    "device_assigned_date": "2017-10-16T01:55:30Z",
    "op_type": "modified",
    "op_date": "2018-09-10T16:49:09Z",
    "mdm_migration_deadline": "2027-01-01T00:00:00Z",
    "wifi_mac_address": "aa:01",
    "bluetooth_mac_address": "aa:02",
    "ethernet_mac_address": "aa:03",
    "eid": "8904",
    "imei": ["35", "36"],
    "meid": ["37"],
    "is_replacement_device": True,
    "released_by_replacement": False,
}
Read = tuple[wire.Device, dict[str, Any] | None]


def whole(device: wire.Device, extra: dict[str, Any] | None) -> Read:
    return device, extra


def read(**changes: object) -> Read:
    return wire.read_device(json.dumps({**DEVICE, **changes}).encode(), whole)


def page(devices: object, **changes: object) -> wire.Page[Read]:
    value = {"devices": devices, "cursor": "next", "more_to_follow": False, **changes}
    return wire.read_page(json.dumps(value).encode(), whole)


def test_every_key_of_a_device_is_read() -> None:
    device, extra = read()
    assert device == wire.Device(
        serial="C02T0HL0GGC0",
        model="MacBook Pro",
        description="MBP 13.3 SPACE GRAY/2.0GHZ/8GB/256GB-USA",
        color="SPACE GRAY",
        asset_tag="A-1",
        os="OSX",
        family="Mac",
        profile_uuid="C1F123098EB5074580041E69883004C3",
        profile_status="pushed",
        profile_assigned_at=datetime(2018, 9, 8, 16, 49, 9, tzinfo=UTC),
        profile_pushed_at=datetime(2018, 9, 9, 16, 49, 9, tzinfo=UTC),
        assigned_by="apple-dep@acme.co",
        assigned_at=datetime(2017, 10, 16, 1, 55, 30, tzinfo=UTC),
        operation="modified",
        operation_at=datetime(2018, 9, 10, 16, 49, 9, tzinfo=UTC),
        migration_deadline=datetime(2027, 1, 1, tzinfo=UTC),
        wifi_mac="aa:01",
        bluetooth_mac="aa:02",
        ethernet_mac="aa:03",
        eid="8904",
        imei=("35", "36"),
        meid=("37",),
        is_replacement=True,
    )
    assert extra is None


def test_a_device_needs_nothing_but_its_serial() -> None:
    device, _ = wire.read_device(b'{"serial_number":" c02x "}', whole)
    assert device == wire.Device(serial="C02X")


@pytest.mark.parametrize(
    ("came", "serial"),
    [("12345", "12345"), ("a-1/x y", "A-1/X Y"), (" c02x\n", "C02X"), ("A" * 64, "A" * 64)],
)
def test_a_serial_is_stripped_and_in_upper_case(came: str, serial: str) -> None:
    device, _ = read(serial_number=came)
    assert device.serial == serial
    assert device.model == "MacBook Pro"


def test_what_is_not_known_here_is_kept() -> None:
    device, extra = read(os="carOS", profile_status="melted", op_type="exploded", new_key={"a": [1]})
    assert (device.os, device.profile_status, device.operation) == ("carOS", "melted", "exploded")
    assert extra == {"new_key": {"a": [1]}}


def test_empty_values_count_as_absent() -> None:
    device, extra = read(**dict.fromkeys([key for key in DEVICE if key != "serial_number"]))
    assert device == wire.Device(serial="C02T0HL0GGC0")
    assert extra is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-09-08T18:49:09+02:00", datetime(2018, 9, 8, 16, 49, 9, tzinfo=UTC)),
        ("2018-09-08T16:49:09", datetime(2018, 9, 8, 16, 49, 9, tzinfo=UTC)),
        ("2018-09-08 16:49:09", datetime(2018, 9, 8, 16, 49, 9, tzinfo=UTC)),
        ("2018-09-08T16:49:09.500Z", datetime(2018, 9, 8, 16, 49, 9, 500000, tzinfo=UTC)),
        ("2018-09-08", datetime(2018, 9, 8, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_as_utc_or_not_at_all(text: str, expected: datetime | None) -> None:
    device, _ = read(device_assigned_date=text)
    assert device.assigned_at == expected
    assert device.assigned_at is None or device.assigned_at.utcoffset() == UTC.utcoffset(None)


def test_flags_and_lists_may_come_as_strings() -> None:
    device, _ = read(is_replacement_device="TRUE", released_by_replacement="false", imei="35", meid="")
    assert (device.is_replacement, device.released_by_replacement) == (True, False)
    assert (device.imei, device.meid) == (("35",), ())


@pytest.mark.parametrize(
    ("device", "serial"),
    [
        ({**DEVICE, "model": 5}, "C02T0HL0GGC0"),
        ({**DEVICE, "imei": [1]}, "C02T0HL0GGC0"),
        ({**DEVICE, "color": "\0"}, "C02T0HL0GGC0"),
        ({**DEVICE, "serial_number": "A\x07"}, None),
        ({**DEVICE, "profile_push_time": 7}, "C02T0HL0GGC0"),
        ({**DEVICE, "serial_number": 7}, None),
        ({**DEVICE, "serial_number": "  "}, None),
        ({**DEVICE, "serial_number": "A" * 65}, None),
        ({"model": "Mac"}, None),
        ("C02T0HL0GGC0", None),
        (None, None),
        ([], None),
    ],
)
def test_a_device_that_cannot_be_read_costs_that_device_only(device: object, serial: str | None) -> None:
    result = page([DEVICE, device, {"serial_number": "B2"}])
    assert [facts.serial for facts, _ in result.devices] == ["C02T0HL0GGC0", "B2"]
    assert [bad.serial for bad in result.unreadable] == [serial]
    assert "Mac" not in result.unreadable[0].reason


def test_an_odd_device_changes_nothing_of_the_others() -> None:
    devices = [{**DEVICE, "serial_number": f"C{number}"} for number in range(3)]
    plain = page(devices)
    odd = page([*devices, {**DEVICE, "serial_number": "C3", "new_key": 1}])
    assert len(plain.devices) == 3
    assert odd.devices[:3] == plain.devices
    device, extra = odd.devices[3]
    assert msgspec.structs.astuple(device)[1:] == msgspec.structs.astuple(plain.devices[0][0])[1:]
    assert (device.serial, extra) == ("C3", {"new_key": 1})


def test_a_page_of_plain_devices_with_other_offsets_is_read_as_utc() -> None:
    moment = "2018-09-08T18:49:09+02:00"
    (device, _), *_ = page([{**DEVICE, "profile_assign_time": moment}]).devices
    assert device.profile_assigned_at == datetime(2018, 9, 8, 16, 49, 9, tzinfo=UTC)
    assert device.profile_assigned_at.tzinfo is UTC


def test_a_device_of_broken_bytes_costs_that_device_only() -> None:
    body = b'{"devices":[{"serial_number":"A1","color":"\xff"},{"serial_number":"B2"}],"cursor":"c"}'
    result = wire.read_page(body, whole)
    assert [facts.serial for facts, _ in result.devices] == ["B2"]
    assert len(result.unreadable) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), ("false", False), (None, False)]
)
def test_more_to_follow_may_be_a_string(value: object, expected: bool) -> None:
    assert page([], more_to_follow=value).more_to_follow is expected


def test_a_page_without_devices_is_empty() -> None:
    assert wire.read_page(b'{"devices":null,"cursor":"c","new":1}', whole) == wire.Page([], [], "c", False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"devices":[]}',
        b'{"devices":[],"cursor":""}',
        b'{"devices":{},"cursor":"c"}',
        b'{"devices":[{"serial_number":"A1"}',
        b'{"devices":[],"cursor":"a\\u0000"}',
        b"<html></html>",
    ],
)
def test_a_page_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.read_page(body, whole)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from([*DEVICE, "response_status", "unknown"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(KEYS, JSON) | JSON, max_size=5))
def test_every_device_of_any_page_is_read_or_listed(devices: list[object]) -> None:
    result = page(devices)
    assert len(result.devices) + len(result.unreadable) == len(devices)


def outcome(reader: Callable[[bytes], object], body: bytes) -> str:
    try:
        reader(body)
    except Unreadable:
        return "unreadable"
    return "read"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_read_or_unreadable(body: bytes) -> None:
    readers = (
        wire.read_account,
        wire.read_results,
        wire.read_session,
        wire.read_profile,
        lambda answer: wire.read_page(answer, whole),
        lambda answer: wire.read_details(answer, ["A1"], whole),
    )
    assert {outcome(reader, body) for reader in readers} <= {"read", "unreadable"}


def test_account_details_give_the_largest_pages() -> None:
    urls = [
        {"uri": "/session", "http_method": ["GET"]},
        {"uri": "/server/devices", "limit": {"default": 100, "maximum": 500}},
        {"uri": "https://mdmenrollment.apple.com/devices/sync", "limit": {"maximum": 5000}},
        {"uri": "/devices", "limit": {"maximum": 0}},
    ]
    body = {"server_uuid": "ab", "server_name": "paris", "org_id": 7, "facilitator_id": "a@b.c", "urls": urls}
    account = wire.read_account(json.dumps(body).encode())
    assert account.page_sizes == {"/server/devices": 500, "/devices/sync": 5000}
    assert (account.server_uuid, account.org_id, account.made_by) == ("AB", "7", "a@b.c")


@pytest.mark.parametrize("urls", [None, {}, [1], [{"uri": 5}], [{"uri": "/x", "limit": "many"}]])
def test_account_details_may_name_no_pages(urls: object) -> None:
    body = json.dumps({"server_uuid": "AB", "urls": urls}).encode()
    assert wire.read_account(body).page_sizes == {}


def test_results_are_by_upper_case_serial() -> None:
    body = {"devices": {" a1": "SUCCESS"}, "retry_after_seconds": "90", "profile_uuid": "P"}
    assert wire.read_results(json.dumps(body).encode()) == wire.Results({"A1": "SUCCESS"}, 90.0, "P")


def facts(device: wire.Device, extra: dict[str, Any] | None) -> tuple[object, ...]:
    return *msgspec.structs.astuple(device), extra


def test_details_are_read_alike_whether_all_are_as_expected_or_one_is_not() -> None:
    known = {**DEVICE, "response_status": "SUCCESS"}
    plain = json.dumps({"devices": {"a1": known}}).encode()
    odd = json.dumps({"devices": {"a1": known, "B2": {"response_status": "NOT_FOUND"}, "C3": 5}}).encode()
    as_in_a_page = wire.read_device(json.dumps(DEVICE).encode(), facts)
    assert wire.read_details(plain, ["A1"], facts) == {"A1": as_in_a_page}
    assert wire.read_details(odd, ["A1", "B2", "C3"], facts) == {"A1": as_in_a_page, "B2": None}
    assert wire.read_details(plain, ["Z9"], facts) == {"Z9": None}
    gone = json.dumps({"devices": {"A1": known | {"response_status": "NOT_ACCESSIBLE"}}}).encode()
    assert wire.read_details(gone, ["A1"], facts) == {"A1": None}
