"""What is shown of a request's body: readable, cut, and without secrets in any writing."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from bot.sandbox.bodies import Mask, clip, cut, opened, size_of

SECRET = "CS_5f0a/7+b=9 and more"
mask = Mask(lambda: [SECRET])


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_planted_secret_is_found_in_clear_encoded_and_anywhere_in_base64(before: str) -> None:
    coded = base64.b64encode(f"{before}{SECRET}{before}".encode()).decode()
    web = base64.urlsafe_b64encode(f"{before}{SECRET}{before}".encode()).decode()
    body: dict[str, Any] = {"a": [f"x {SECRET} y"], SECRET: 1, "b": {"c": quote(SECRET, safe="")}}
    shown = json.dumps(mask({**body, "d": coded, "e": web}))
    core = base64.b64encode(b"\0" * len(before) + SECRET.encode()).decode()[8:-4]
    assert SECRET not in shown
    assert quote(SECRET, safe="") not in shown
    assert core not in shown
    assert core.replace("+", "-").replace("/", "_") not in shown


def test_a_secret_that_json_writes_otherwise_is_found_inside_json_in_a_text() -> None:
    secret = 'a "quoted" \\ é-secret'
    masked = Mask(lambda: [secret])
    for ascii_only in (True, False):
        assert masked(json.dumps({"note": secret}, ensure_ascii=ascii_only)) == '{"note": "…"}'


def test_what_has_the_name_or_the_shape_of_a_secret_is_masked_unplanted() -> None:
    shown = mask(
        {
            "headers": {
                "authorization": 'OAuth oauth_token="AT_1", oauth_nonce="n1!", oauth_timestamp="17"',
                "X-ADM-Auth-Session": "session-1",
                "X-Slack-Signature": "v0=0123456789abcdef0123",
            },
            "auth_session_token": "session-2",
            "token": "verification-1",
            "response_url": "http://127.0.0.1:9/hooks/abc123",
            "text": "the token xoxb-1-2 of Bearer abc.def",
            "trigger_id": "12.34.abcd",
        }
    )
    text = json.dumps(shown)
    for secret in ("AT_1", "n1!", "session-", "0123456789", "verification-1", "abc123", "xoxb", "abc.def"):
        assert secret not in text
    assert 'oauth_timestamp=\\"17\\"' in text
    assert shown["trigger_id"] == "12.34.abcd"


def test_a_page_of_devices_shows_its_beginning_and_how_much_it_was() -> None:
    devices = [
        {"serial_number": f"F9FX{number:04}", "model": "iPad", "color": "x" * 300} for number in range(1000)
    ]
    raw = json.dumps(
        {"devices": devices, "more_to_follow": True, "cursor": "MTow"}, separators=(",", ":")
    ).encode()
    shown = opened(raw)
    assert shown["devices"] == [devices[0], f"… 1,000 devices, {len(raw) // 1000} kB"]
    assert (shown["more_to_follow"], shown["cursor"]) == (True, "MTow")


def test_a_short_list_is_whole_and_a_longer_one_says_its_number() -> None:
    assert opened(b'{"devices":["A","B"]}') == {"devices": ["A", "B"]}
    many = opened(json.dumps({"devices": [f"S{number}" for number in range(40)]}).encode())
    assert many["devices"][:2] == ["S0", "S1"]
    assert many["devices"][2].startswith("… 40 devices, ")
    assert cut({"blocks": list(range(150))})["blocks"][-1] == "… 150 in all"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"", None), (b"T_C_NOT_SIGNED", "T_C_NOT_SIGNED"), (b"\xff\xfe" * 700, "1 kB that are no text")],
)
def test_what_is_not_json_is_shown_as_what_it_is(raw: bytes, shown: str | None) -> None:
    assert opened(raw) == shown


def test_what_nobody_reads_to_its_end_is_clipped() -> None:
    assert clip({"a": "x" * 5000})["a"].endswith(" … 5,000 characters")
    assert len(clip([{"a": "y" * 3000}] * 40)) < 5000
    assert (size_of(999), size_of(412_300)) == ("999 bytes", "412 kB")
