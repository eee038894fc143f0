import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.apple.vpp import wire
from bot.apple.vpp.errors import Unreadable

CLIENT = {
    "countryISO2ACode": "DE",
    "defaultPlatform": "enterprisestore",
    "locationName": "Example HQ",
    "mdmInfo": {"id": "29dd58b6", "metadata": "mdm.example.com", "name": "Example MDM"},
    "notificationAuthToken": "planted",
    "tokenExpirationDate": "2027-09-26T08:30:39+0000",
    "uId": "981060278089131045",
}
ASSET = {
    "adamId": "361309726",
    "assignedCount": 3,
    "availableCount": 22,
    "deviceAssignable": True,
    "pricingParam": "STDQ",
    "productType": "App",
    "retiredCount": 1,
    "revocable": True,
    "supportedPlatforms": ["iOS", "macOS"],
    "totalCount": 25,
}


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_location_is_read_with_the_mdm_that_has_taken_it() -> None:
    assert wire.read_client(packed(CLIENT)) == wire.ClientConfig(
        location_id="981060278089131045",
        location_name="Example HQ",
        expires_at=datetime(2027, 9, 26, 8, 30, 39, tzinfo=UTC),
        country="DE",
        platform="enterprisestore",
        mdm="Example MDM",
    )


def test_a_location_needs_no_more_than_its_id() -> None:
    bare = wire.read_client(packed({"uId": 981060278089131045, "countryISO2ACode": 5, "mdmInfo": []}))
    assert bare == wire.ClientConfig("981060278089131045", "981060278089131045", None, None, None, None)


@pytest.mark.parametrize(
    ("info", "mdm"),
    [
        ({"id": "29dd", "metadata": "mdm.example.com"}, "mdm.example.com"),
        ({"id": "29dd"}, "29dd"),
        ({}, None),
        (None, None),
    ],
)
def test_an_mdm_without_a_name_is_called_by_what_it_has(info: object, mdm: str | None) -> None:
    assert wire.read_client(packed({**CLIENT, "mdmInfo": info})).mdm == mdm


def test_a_page_keeps_what_it_can_read_and_counts_the_rest() -> None:
    odd: list[Any] = [
        {**ASSET, "adamId": 5, "futureKey": {}},
        {"adamId": "1"},
        {**ASSET, "totalCount": "x"},
        7,
    ]
    page = wire.read_assets(
        packed({"assets": [ASSET, *odd], "currentPageIndex": 2, "totalPages": 4, "versionId": "v"}), index=2
    )
    assert [asset.adam_id for asset in page.assets] == ["361309726", 5]
    assert (page.unreadable, page.pages, page.version) == (3, 4, "v")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"assets": 5}',
        packed({"assets": [], "currentPageIndex": 0, "totalPages": 3}),
        packed({"assets": [], "nextPageIndex": 2}),
    ],
)
def test_what_is_no_such_page_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        wire.read_assets(body, index=1)


def test_names_are_made_fit_to_show_and_odd_ones_left_out() -> None:
    results = {
        "1": {"name": " Company\n Portal\u0000", "bundleId": "com.example.portal"},
        "2": {"name": ""},
        "3": {"name": 5},
        "4": [],
    }
    assert wire.read_apps(packed({"results": results})) == {
        "1": wire.App("Company Portal", "com.example.portal")
    }


def test_limits_and_addresses_of_an_odd_form_are_left_out() -> None:
    config = wire.read_config(
        packed({"urls": {"getAssets": "https://a", "x": 5}, "limits": {"maxRequestPerSecond": "15"}})
    )
    assert config == wire.ServiceConfig({"getAssets": "https://a"}, None)
    assert wire.read_config(b'{"limits": {"maxRequestPerSecond": 5}}').requests_a_second == 5


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(packed))
def test_nothing_that_comes_is_more_than_unreadable(body: bytes) -> None:
    for read in (wire.read_config, wire.read_client, wire.read_apps):
        try:
            read(body)
        except Unreadable:
            continue
