"""The enrollment service's JSON, read fast and forgivingly.

Almost every page of a thousand devices fits its struct at once. One that does not is decoded in two
steps: the page, leaving each device as the bytes that came, then each device. So one bad device costs
that device only. A device that has a key or a form unknown here takes a slower, lenient way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from bot.apple.answers import read_moment
from bot.apple.dep.errors import Unreadable

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
# anything else takes the lenient way, which strips and upper-cases
PlainSerial = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{1,64}\Z")]
D = TypeVar("D")

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# PostgreSQL stores no NUL, neither in text nor in JSON
_NUL = b"\\u0000"
_MAX_SERIAL = 64
_MAX_SESSION = 4096
_LONGEST_WAIT_S = 7 * 24 * 3600.0


class Device(
    msgspec.Struct,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={
        "serial": "serial_number",
        "family": "device_family",
        "profile_assigned_at": "profile_assign_time",
        "profile_pushed_at": "profile_push_time",
        "assigned_by": "device_assigned_by",
        "assigned_at": "device_assigned_date",
        "operation": "op_type",
        "operation_at": "op_date",
        "migration_deadline": "mdm_migration_deadline",
        "wifi_mac": "wifi_mac_address",
        "bluetooth_mac": "bluetooth_mac_address",
        "ethernet_mac": "ethernet_mac_address",
        "is_replacement": "is_replacement_device",
    },
):
    """A device as the service describes it (developer.apple.com/documentation/devicemanagement/device).

    Names and order are those of the seam's facts, so that one is made from the other without naming
    each field.
    """

    serial: PlainSerial
    model: str = ""
    description: str | None = None
    color: str | None = None
    asset_tag: str | None = None
    os: str | None = None
    family: str | None = None
    profile_uuid: str | None = None
    profile_status: str = "empty"
    profile_assigned_at: Moment | None = None
    profile_pushed_at: Moment | None = None
    assigned_by: str | None = None
    assigned_at: Moment | None = None
    operation: str | None = None
    operation_at: Moment | None = None
    migration_deadline: Moment | None = None
    wifi_mac: str | None = None
    bluetooth_mac: str | None = None
    ethernet_mac: str | None = None
    eid: str | None = None
    imei: tuple[str, ...] = ()
    meid: tuple[str, ...] = ()
    is_replacement: bool = False
    released_by_replacement: bool = False


Make = Callable[[Device, dict[str, Any] | None], D]
"""Makes what the caller wants of a device and the keys that are not known here."""


class _TolerantDevice(Device, frozen=True, gc=False, forbid_unknown_fields=False):
    """A device with keys that are not known here, when the rest of it is as it should be."""


class UnreadableDevice(Exception):
    """A device that cannot be read; `serial` is None when not even that could be."""

    def __init__(self, serial: str | None, reason: str) -> None:
        self.serial = serial
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Page(Generic[D]):
    devices: list[D]
    unreadable: list[UnreadableDevice]
    cursor: str
    more_to_follow: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token belongs to. `made_by` is the Apple ID that generated the token in use.

    `page_sizes` are how many devices a call may be about at most, by path, for the paths that the service
    says it of; where it does so twice, for two methods, the smaller.
    """

    server_uuid: str
    server_name: str
    org_name: str
    org_id: str | None
    org_type: str | None
    made_by: str | None
    page_sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Results:
    """The service's word per serial, upper-cased, and how long throttled devices must wait."""

    by_serial: Mapping[str, str]
    retry_after_s: float | None = None
    profile_uuid: str | None = None


_MOMENTS = (
    "profile_assign_time",
    "profile_push_time",
    "device_assigned_date",
    "op_date",
    "mdm_migration_deadline",
)
_FLAGS = ("is_replacement_device", "released_by_replacement")
_LISTS = ("imei", "meid")
_KNOWN = frozenset(Device.__struct_encode_fields__)

_device = msgspec.json.Decoder(Device)
_tolerant = msgspec.json.Decoder(_TolerantDevice)
_anything = msgspec.json.Decoder()


class _Serial(msgspec.Struct):
    serial_number: str


_serial = msgspec.json.Decoder(_Serial)


def read_device(raw: bytes, make: Make[D], *, serial: str | None = None) -> D:
    """Read one device, or raise `UnreadableDevice`. `serial` stands in where the device has none."""
    try:
        device = _device.decode(raw)
        if _is_utc(device):
            return make(device, None)
    except _NOT_JSON:
        pass
    try:
        device = _tolerant.decode(raw)
        if _is_utc(device):
            return make(device, _extra(_anything.decode(raw)))
    except _NOT_JSON:
        pass
    return _read_leniently(raw, make, serial)


def _extra(values: dict[str, Any]) -> dict[str, Any] | None:
    """Return the keys that are not known here; the status of details is no fact of the device."""
    extra = {
        key: value
        for key, value in values.items()
        if key not in _KNOWN and key != "response_status" and value is not None
    }
    return extra or None


def _read_unless_nul(raw: bytes, make: Make[D], *, serial: str | None = None) -> D:
    if _NUL in raw:
        raise UnreadableDevice(_serial_of(raw), "holds a character that cannot be stored")
    return read_device(raw, make, serial=serial)


def _is_utc(device: Device) -> bool:
    """Say whether every time is in UTC; the decoder keeps other offsets as they are."""
    return (
        ((moment := device.assigned_at) is None or moment.tzinfo is UTC)
        and ((moment := device.profile_assigned_at) is None or moment.tzinfo is UTC)
        and ((moment := device.profile_pushed_at) is None or moment.tzinfo is UTC)
        and ((moment := device.operation_at) is None or moment.tzinfo is UTC)
        and ((moment := device.migration_deadline) is None or moment.tzinfo is UTC)
    )


def _read_leniently(raw: bytes, make: Make[D], serial: str | None) -> D:
    try:
        values = _anything.decode(raw)
    except _NOT_JSON:
        raise UnreadableDevice(_serial_of(raw) or serial, "is not JSON") from None
    if not isinstance(values, dict):
        raise UnreadableDevice(serial, "is not an object")
    values = {key: value for key, value in values.items() if value is not None}
    named = _normal_serial(values.get("serial_number", serial))
    if named is None:
        raise UnreadableDevice(None, "has no serial number")
    known = {key: _mended(key, value) for key, value in values.items() if key in _KNOWN}
    known["serial_number"] = "PLAIN"  # any serial is good here; the struct wants a plain one
    try:
        device = msgspec.structs.replace(msgspec.convert(known, Device), serial=named)
    except msgspec.ValidationError as failure:
        raise UnreadableDevice(named, f"has an unexpected value: {_path_of(failure)}") from None
    return make(device, _extra(values))


def _mended(key: str, value: object) -> object:
    """Bring a value into the form that the struct wants, where that is safe."""
    if key in _MOMENTS and isinstance(value, str):
        return read_moment(value)
    if key in _FLAGS and isinstance(value, str):
        return is_true(value)
    if key in _LISTS and isinstance(value, str):
        return [value] if value else []
    return value


def is_true(value: bool | str | None) -> bool:  # noqa: FBT001 (a value of Apple's, not a switch)
    """Read a boolean that Apple's own sample of 2018 shows as a string."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def _normal_serial(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    serial = value.strip().upper()
    return serial if 0 < len(serial) <= _MAX_SERIAL and serial.isprintable() else None


def _serial_of(raw: bytes) -> str | None:
    try:
        return _normal_serial(_serial.decode(raw).serial_number)
    except _NOT_JSON:
        return None


def _path_of(failure: msgspec.ValidationError) -> str:
    """Name the key only: the message could repeat a value."""
    _, _, path = str(failure).rpartition("`$.")
    return path.rstrip("`") or "unknown"


class _PlainPage(msgspec.Struct):
    """A page with nothing odd in it: one call reads it all."""

    devices: list[Device]
    cursor: str
    more_to_follow: bool = False


class _Page(msgspec.Struct):
    devices: list[msgspec.Raw] | None = None
    cursor: str | None = None
    more_to_follow: bool | str | None = None


_plain_page = msgspec.json.Decoder(_PlainPage)
_page = msgspec.json.Decoder(_Page)


def read_page(body: bytes, make: Make[D]) -> Page[D]:
    """Read a page of devices; devices that cannot be read are listed apart."""
    if _NUL not in body:
        try:
            plain = _plain_page.decode(body)
        except _NOT_JSON:
            pass
        else:
            if plain.cursor and "\0" not in plain.cursor and all(map(_is_utc, plain.devices)):
                made = [make(device, None) for device in plain.devices]
                return Page(made, [], plain.cursor, plain.more_to_follow)
    return _read_odd_page(body, make)


def _read_odd_page(body: bytes, make: Make[D]) -> Page[D]:
    page = _decode(_page, body)
    if not page.cursor or "\0" in page.cursor:
        raise Unreadable("a page without a cursor")
    devices: list[D] = []
    unreadable: list[UnreadableDevice] = []
    read = read_device if _NUL not in body else _read_unless_nul
    for raw in page.devices or ():
        try:
            devices.append(read(bytes(raw), make))
        except UnreadableDevice as failure:
            unreadable.append(failure)
    return Page(devices, unreadable, page.cursor, is_true(page.more_to_follow))


class _DetailedDevice(Device, frozen=True, gc=False, forbid_unknown_fields=True):
    """A device of details: beside its facts stands whether it was found."""

    response_status: str | None = None


class _PlainDetails(msgspec.Struct):
    devices: dict[str, _DetailedDevice]


class _Details(msgspec.Struct):
    devices: dict[str, msgspec.Raw]


class _Status(msgspec.Struct):
    response_status: str | None = None


_plain_details = msgspec.json.Decoder(_PlainDetails)
_details = msgspec.json.Decoder(_Details)
_status = msgspec.json.Decoder(_Status)
_NOT_OURS = frozenset({"NOT_FOUND", "NOT_ACCESSIBLE"})


def _read_plain_details(body: bytes) -> dict[str, _DetailedDevice] | None:
    """Read details at once where every device is as expected, None where one is not."""
    if _NUL in body:
        return None
    try:
        devices = _plain_details.decode(body).devices
    except _NOT_JSON:
        return None
    return devices if all(map(_is_utc, devices.values())) else None


def read_details(body: bytes, serials: Sequence[str], make: Make[D]) -> dict[str, D | None]:
    """Read what is known of `serials`: None for those not on this server, unreadable ones left out."""
    found: dict[str, D | None] = dict.fromkeys(serials)
    by_upper = {serial.strip().upper(): serial for serial in serials}
    if (plain := _read_plain_details(body)) is not None:
        for name, device in plain.items():
            asked = by_upper.get(name.strip().upper())
            if asked is not None and device.response_status not in _NOT_OURS:
                # Without the status, which is the last: what is made of a device names every field.
                found[asked] = make(Device(*msgspec.structs.astuple(device)[:-1]), None)
        return found
    for name, raw in _decode(_details, body).devices.items():
        asked = by_upper.get(name.strip().upper())
        if asked is None:
            continue
        try:
            if _status.decode(raw).response_status not in _NOT_OURS:
                found[asked] = _read_unless_nul(bytes(raw), make, serial=asked)
        except (UnreadableDevice, *_NOT_JSON):
            del found[asked]
    return found


class _Results(msgspec.Struct):
    devices: dict[str, str] | None = None
    retry_after_seconds: float | None = None
    profile_uuid: str | None = None


_results = msgspec.json.Decoder(_Results, strict=False)


def read_results(body: bytes) -> Results:
    """Read the result per device of assign, unassign and define."""
    answer = _decode(_results, body)
    by_serial = {serial.strip().upper(): word for serial, word in (answer.devices or {}).items()}
    wait = answer.retry_after_seconds
    if wait is not None:
        wait = min(max(wait, 0.0), _LONGEST_WAIT_S)
    return Results(by_serial, wait, answer.profile_uuid)


class _Account(msgspec.Struct):
    server_uuid: str
    server_name: str | None = None
    org_name: str | None = None
    org_id: str | int | None = None
    org_type: str | None = None
    admin_id: str | None = None
    facilitator_id: str | None = None
    urls: msgspec.Raw = msgspec.Raw(b"null")


class _Limit(msgspec.Struct):
    default: int | None = None
    maximum: int | None = None


class _Url(msgspec.Struct):
    uri: str
    limit: _Limit | None = None


_account = msgspec.json.Decoder(_Account)
_urls = msgspec.json.Decoder(list[_Url] | None)


def read_account(body: bytes) -> Account:
    """Read the account details of a token."""
    answer = _decode(_account, body)
    if not answer.server_uuid.strip():
        raise Unreadable("account details without a server")
    return Account(
        server_uuid=answer.server_uuid.strip().upper(),
        server_name=answer.server_name or "",
        org_name=answer.org_name or "",
        org_id=str(answer.org_id) if answer.org_id is not None else None,
        org_type=answer.org_type,
        made_by=answer.admin_id or answer.facilitator_id,
        page_sizes=_page_sizes(answer.urls),
    )


def _page_sizes(urls: msgspec.Raw) -> dict[str, int]:
    try:
        listed = _urls.decode(urls) or []
    except _NOT_JSON:
        return {}
    sizes: dict[str, int] = {}
    for url in listed:
        if url.limit is not None and url.limit.maximum is not None and url.limit.maximum > 0:
            path = urlsplit(url.uri).path
            sizes[path] = min(url.limit.maximum, sizes.get(path, url.limit.maximum))
    return sizes


class _Login(msgspec.Struct):
    auth_session_token: str


_login = msgspec.json.Decoder(_Login)


def read_session(body: bytes) -> str:
    """Read the session token that a login opened."""
    token = _decode(_login, body).auth_session_token.strip()
    if not is_header_value(token):
        raise Unreadable("a session that cannot be sent")
    return token


def is_header_value(text: str) -> bool:
    """Say whether a text can be sent as a header."""
    return 0 < len(text) <= _MAX_SESSION and text.isascii() and text.isprintable()


_profile = msgspec.json.Decoder(dict[str, Any])


def read_profile(body: bytes) -> dict[str, Any]:
    """Read an enrollment profile as it is."""
    return _decode(_profile, body)


T = TypeVar("T")


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except _NOT_JSON:
        what = "a web page" if body.lstrip()[:1] == b"<" else "something other than its JSON"
        raise Unreadable(what) from None
