"""The JSON of Apps and Books, read forgivingly: one item that cannot be read costs that item only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bot.apple.answers import is_web_page, read_moment
from bot.apple.vpp.errors import Unreadable

UNLIMITED = 2_147_483_647
"""The total of an item whose licences have no limit."""

_LONGEST_TEXT = 200
# msgspec's errors and Unicode's are ValueErrors
_NOT_JSON = (ValueError, RecursionError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Where the service's calls are, by its own keys, and how many requests a second it bears."""

    urls: Mapping[str, str]
    requests_a_second: float | None


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The location of a token. `mdm` names the MDM that has taken it, None where none has."""

    location_id: str
    location_name: str
    expires_at: datetime | None
    country: str | None
    platform: str | None
    mdm: str | None


class Asset(msgspec.Struct, frozen=True, rename="camel"):
    """An app or book of a location (developer.apple.com/documentation/devicemanagement/get-assets)."""

    adam_id: str | int
    total_count: int
    pricing_param: str = "STDQ"
    product_type: str = "App"
    assigned_count: int = 0
    available_count: int = 0
    retired_count: int = 0
    device_assignable: bool = False
    supported_platforms: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class AssetPage:
    """A page of a location's items. `version` tells one state of the whole list from another."""

    assets: Sequence[Asset]
    unreadable: int
    pages: int
    version: str | None


@dataclass(frozen=True, slots=True)
class App:
    name: str
    bundle_id: str | None


class _Config(msgspec.Struct):
    urls: Any = None
    limits: Any = None


_config = msgspec.json.Decoder(_Config)


def read_config(body: bytes) -> ServiceConfig:
    """Read the service's own description (`service/config`)."""
    answer = _decode(_config, body)
    urls = answer.urls if isinstance(answer.urls, dict) else {}
    limits = answer.limits if isinstance(answer.limits, dict) else {}
    rate = limits.get("maxRequestPerSecond")
    return ServiceConfig(
        {key: url for key, url in urls.items() if isinstance(url, str)},
        float(rate) if isinstance(rate, int | float) and rate > 0 else None,
    )


class _Client(msgspec.Struct, rename="camel"):
    u_id: str | int
    location_name: Any = None
    country: Any = msgspec.field(default=None, name="countryISO2ACode")
    default_platform: Any = None
    token_expiration_date: Any = None
    mdm_info: Any = None


_client = msgspec.json.Decoder(_Client)


def read_client(body: bytes) -> ClientConfig:
    """Read what a token is for (`client/config`)."""
    answer = _decode(_client, body)
    location_id = _text(str(answer.u_id))
    if not location_id:
        raise Unreadable("a location without its id")
    expires = answer.token_expiration_date
    country = _text(answer.country)
    return ClientConfig(
        location_id=location_id,
        location_name=_text(answer.location_name) or location_id,
        expires_at=read_moment(expires) if isinstance(expires, str) else None,
        country=country.upper() if country and len(country) == 2 else None,
        platform=_text(answer.default_platform),
        mdm=_mdm_of(answer.mdm_info),
    )


def _mdm_of(info: object) -> str | None:
    if not isinstance(info, dict):
        return None
    named = (_text(info.get(key)) for key in ("name", "metadata", "id"))
    return next((name for name in named if name), None)


class _Page(msgspec.Struct, rename="camel"):
    assets: list[msgspec.Raw] | None = None
    current_page_index: int | None = None
    next_page_index: int | None = None
    total_pages: int | None = None
    version_id: str | int | None = None


_page = msgspec.json.Decoder(_Page)
_asset = msgspec.json.Decoder(Asset)


def read_assets(body: bytes, *, index: int) -> AssetPage:
    """Read page `index` of a location's items."""
    page = _decode(_page, body)
    if page.current_page_index not in (None, index):
        raise Unreadable("another page than the one asked for")
    if page.total_pages is None and page.next_page_index is not None:
        raise Unreadable("a page of a list without the number of its pages")
    assets: list[Asset] = []
    unreadable = 0
    for raw in page.assets or ():
        try:
            asset = _asset.decode(raw)
        except _NOT_JSON:
            unreadable += 1
        else:
            assets.append(asset)
    version = page.version_id
    return AssetPage(assets, unreadable, page.total_pages or 1, None if version is None else str(version))


class _Lookup(msgspec.Struct):
    results: dict[str, Any]


_lookup = msgspec.json.Decoder(_Lookup)


def read_apps(body: bytes) -> dict[str, App]:
    """Read what apps are called; those without a readable name are left out."""
    found: dict[str, App] = {}
    for app_id, app in _decode(_lookup, body).results.items():
        if not isinstance(app, dict):
            continue
        name = _text(app.get("name"))
        if name:
            found[app_id] = App(name, _text(app.get("bundleId")))
    return found


def _text(value: object) -> str | None:
    """Return a text that can be stored and shown on one line, None for anything else."""
    if not isinstance(value, str):
        return None
    shown = "".join(letter if letter.isprintable() else " " for letter in value)
    return " ".join(shown.split())[:_LONGEST_TEXT] or None


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except _NOT_JSON:
        what = "a web page" if is_web_page(body) else "something other than its JSON"
        raise Unreadable(what) from None
