import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.apple.dep.auth import Credentials
from bot.apple.dep.client import DepService
from bot.apple.dep.wire import Device
from bot.apple.exchange import Patience
from bot.backend import port
from bot.backend.apple import AppleBackend, AppleConnection
from bot.backend.port import DeviceFacts, DeviceResult, EnrollmentBackend
from bot.backend.profile import Platform
from bot.backend.texts import StepsFileWrong
from tests.fakes import p7m
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_http import Asked, Reply, ScriptedHttp, json_reply, word_reply
from tests.fakes.sessions import FakeSessions

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CREDENTIALS = Credentials("CK_1", SecretStr("CS_planted"), SecretStr("AT_planted"), SecretStr("AS_planted"))


def answer(asked: Asked) -> Reply:
    return json_reply({"auth_session_token": "session"} if asked.path == "/session" else {})


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp(answer).running() as server:
        yield server


@pytest.fixture
async def backend(http: ScriptedHttp) -> AsyncIterator[AppleBackend]:
    clock = FakeClock(NOW)
    async with httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        service = DepService(client, base_url=http.url, clock=clock, patience=Patience(tries=2))
        yield AppleBackend(service, clock=clock)


@pytest.fixture
def connection(backend: AppleBackend) -> AppleConnection:
    return backend.connect(CREDENTIALS.sealed(), FakeSessions())


def test_the_backend_is_what_the_rooms_need(backend: AppleBackend) -> None:
    seam: EnrollmentBackend = backend
    assert seam.texts.service == "Apple"


def test_facts_and_the_wire_share_their_order() -> None:
    facts = DeviceFacts.__struct_fields__
    assert facts == ("platform", *Device.__struct_fields__, "extra")
    defaults = dict(zip(reversed(facts), reversed(DeviceFacts.__struct_defaults__), strict=False))
    for name, default in zip(
        reversed(Device.__struct_fields__), reversed(Device.__struct_defaults__), strict=False
    ):
        assert name == "model" or defaults[name] == default


async def test_the_account_gives_sizes_of_pages_and_orders_of_a_thousand_at_most(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    urls = [
        {"uri": "/server/devices", "limit": {"default": 1000, "maximum": 5000}},
        {"uri": "/devices/sync", "limit": {"maximum": 200}},
        {"uri": "/profile/devices", "http_method": ["DELETE"], "limit": {"maximum": 300}},
        {"uri": "/profile/devices", "http_method": ["POST", "PUT"], "limit": {"maximum": 500}},
    ]
    body = {
        "server_uuid": "AB",
        "server_name": "paris",
        "org_name": "Acme",
        "org_id": "6666666",
        "org_type": "org",
        "admin_id": "ade@acme.co",
    }
    http.script.extend([json_reply({**body, "urls": urls}), json_reply(body)])
    account = await connection.account()
    assert account == port.Account(
        server_uuid="AB",
        server_name="paris",
        org_name="Acme",
        org_id="6666666",
        org_type="org",
        made_by="ade@acme.co",
        full_page_size=1000,
        delta_page_size=200,
        order_size=300,
        asked_at=NOW,
    )
    silent = await connection.account()
    assert (silent.full_page_size, silent.delta_page_size, silent.order_size) == (1000, 1000, 1000)


@pytest.mark.parametrize(
    ("device", "platform"),
    [
        ({"os": "iOS", "device_family": "iPhone"}, Platform.IOS),
        ({"os": "iPadOS", "device_family": "iPad"}, Platform.IOS),
        ({"os": "OSX"}, Platform.MACOS),
        ({"os": "tvOS"}, Platform.TVOS),
        ({"os": "visionOS"}, Platform.VISIONOS),
        ({"device_family": "Mac"}, Platform.MACOS),
        ({"device_family": "AppleTV"}, Platform.TVOS),
        ({"os": "watchOS", "device_family": "Watch"}, Platform.OTHER),
        ({}, Platform.OTHER),
    ],
)
async def test_the_platform_follows_the_system_or_the_family(
    connection: AppleConnection, http: ScriptedHttp, device: dict[str, str], platform: Platform
) -> None:
    http.script.append(json_reply({"devices": [{"serial_number": "A1", **device}], "cursor": "c"}))
    page = await connection.full_page(None, limit=1000)
    assert page.devices[0].platform is platform


async def test_a_page_becomes_facts_with_what_came(connection: AppleConnection, http: ScriptedHttp) -> None:
    raw = b'{"serial_number": "c02a", "model": "Mac", "os": "OSX", "op_type": "added", "new": 1}'
    http.script.append(Reply(b'{"devices":[' + raw + b',5],"cursor":"c2","more_to_follow":true}'))
    page = await connection.delta_page("c1", limit=200)
    expected = DeviceFacts(
        serial="C02A",
        model="Mac",
        platform=Platform.MACOS,
        os="OSX",
        operation="added",
        extra={"new": 1},
    )
    assert list(page.devices) == [expected]
    assert [bad.serial for bad in page.unreadable] == [None]
    assert (page.cursor, page.more_to_follow) == ("c2", True)
    assert http.asked[-1].json == {"cursor": "c1", "limit": 200}


async def test_results_count_silence_and_unknown_words_as_failed(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    http.script.append(json_reply({"devices": {"A1": "SUCCESS", "B2": "EXPLODED", "D4": "NOT_ACCESSIBLE"}}))
    result = await connection.assign("P", ["a1", "B2", "C3", "D4"])
    assert result == port.AssignmentResult(
        {
            "a1": DeviceResult.SUCCESS,
            "B2": DeviceResult.FAILED,
            "C3": DeviceResult.FAILED,
            "D4": DeviceResult.NOT_ACCESSIBLE,
        }
    )


@pytest.mark.parametrize(
    ("more", "expected"), [({"retry_after_seconds": 3600}, timedelta(hours=1)), ({}, timedelta(hours=24))]
)
async def test_throttled_devices_say_for_how_long(
    connection: AppleConnection, http: ScriptedHttp, more: dict[str, Any], expected: timedelta
) -> None:
    http.script.append(json_reply({"devices": {"A1": "THROTTLED"}, **more}))
    result = await connection.assign("P", ["A1"])
    assert result.retry_after == expected


async def test_no_devices_are_no_call(connection: AppleConnection, http: ScriptedHttp) -> None:
    assert (await connection.assign("P", [])).results == {}
    assert (await connection.unassign([])).results == {}
    assert await connection.details([]) == {}
    assert http.asked == []


async def test_details_and_profiles_of_other_servers_are_none(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    http.script.append(json_reply({"devices": {"A1": {"response_status": "NOT_ACCESSIBLE"}}}))
    assert await connection.details(["A1"]) == {"A1": None}
    for status in (400, 404):
        http.script.append(word_reply(status, "NOT_FOUND"))
        assert await connection.read_profile("P") is None


async def test_a_defined_profile_has_its_uuid_and_results(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    http.script.append(json_reply({"profile_uuid": "P", "devices": {"A1": "SUCCESS"}}))
    defined = await connection.define_profile({"profile_name": "x", "devices": ["A1", "B2"]})
    assert defined == port.DefinedProfile("P", {"A1": DeviceResult.SUCCESS, "B2": DeviceResult.FAILED})


APART = {"Date": format_datetime(NOW + timedelta(hours=1), usegmt=True)}


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (word_reply(403, "T_C_NOT_SIGNED"), port.TermsNotSigned, r"new Apple terms.*An Administrator"),
        (word_reply(403, "token_rejected"), port.TokenRejected, r"\(token_rejected\).*renew the token"),
        (
            word_reply(401, "EXPIRED_TOKEN", APART),
            port.ClockWrong,
            r"09:00:00 UTC.*10:00:00 UTC.*Set",
        ),
        (word_reply(403, "ACCESS_DENIED"), port.AccessDenied, "may not do this"),
        (word_reply(400, "EXPIRED_CURSOR"), port.CursorUnusable, "expired.*full sync"),
        (word_reply(400, "INVALID_CURSOR"), port.CursorUnusable, "invalid"),
        (word_reply(400, "CURSOR_REQUIRED"), port.CursorUnusable, "required"),
        (word_reply(400, "EXHAUSTED_CURSOR"), port.CursorExhausted, "read to its end"),
        (word_reply(400, "MALFORMED_REQUEST_BODY"), port.RequestRefused, "MALFORMED_REQUEST_BODY"),
        (word_reply(429, ""), port.ServiceUnavailable, "too many requests"),
        (word_reply(500, ""), port.ServiceUnavailable, "fault of its own"),
        (Reply(b"<html>"), port.ServiceUnavailable, "proxy or sign-in page"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), port.ServiceUnavailable, "leads elsewhere"),
    ],
)
async def test_each_refusal_says_what_to_do(
    connection: AppleConnection,
    http: ScriptedHttp,
    reply: Reply,
    expected: type[port.BackendError],
    words: str,
) -> None:
    http.script.extend([reply] * 2)
    with pytest.raises(expected, match=words) as refusal:
        await connection.delta_page("c", limit=1000)
    assert "planted" not in str(refusal.value)


async def test_a_rejection_keeps_the_word_and_the_clock(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    date = format_datetime(NOW + timedelta(minutes=1), usegmt=True)
    http.script.append(word_reply(403, "signature_invalid", {"Date": date}))
    with pytest.raises(port.TokenRejected) as refusal:
        await connection.account()
    assert (refusal.value.word, refusal.value.at) == ("signature_invalid", NOW + timedelta(minutes=1))


async def test_how_long_apple_wants_to_be_left_alone_is_handed_on(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    http.script.append(word_reply(503, "", {"Retry-After": "900"}))
    with pytest.raises(port.ServiceUnavailable) as refusal:
        await connection.until(NOW + timedelta(minutes=15)).account()
    assert refusal.value.retry_after == timedelta(minutes=15)


async def test_a_token_file_is_opened_with_a_key_pair_made_here(backend: AppleBackend) -> None:
    other, pair = await backend.make_key_pair("lyon"), await backend.make_key_pair("paris")
    expiry = NOW + timedelta(days=365)
    content = p7m.mime(p7m.cms(p7m.token_text(expiry), pair.certificate_pem))
    token = await backend.read_token_file(content, [other, pair])
    assert (token.expires_at, token.key_pair) == (expiry, 1)
    assert token.consumer_key == Credentials.unsealed(token.credentials).consumer_key
    assert backend.fits(content, pair.certificate_pem)
    assert not backend.fits(content, other.certificate_pem)
    assert "planted" not in repr(token)


async def test_each_failure_of_a_file_is_the_seam_s_own(backend: AppleBackend) -> None:
    pair, other = await backend.make_key_pair("paris"), await backend.make_key_pair("lyon")
    good = p7m.cms(p7m.token_text(NOW + timedelta(days=1)), pair.certificate_pem)
    expired = p7m.cms(p7m.token_text(NOW), pair.certificate_pem)
    incomplete = p7m.cms(p7m.token_text(NOW, changes={"access_token": None}), pair.certificate_pem)
    mixed = port.KeyPair(other.private_key_pem, pair.certificate_pem)
    cases: list[tuple[bytes, port.KeyPair, type[port.TokenFileUnusable]]] = [
        (b"hello", pair, port.NotATokenFile),
        (pair.certificate_pem.encode(), pair, port.CertificateInsteadOfToken),
        (good, other, port.TokenFileForAnotherCertificate),
        (good[:-200], pair, port.TokenFileDamaged),
        (incomplete, pair, port.TokenFileIncomplete),
        (expired, pair, port.TokenFileExpired),
        (b"0" * 70_000, pair, port.TokenFileTooLarge),
        (good, mixed, port.KeyPairUnusable),
    ]
    for content, held, expected in cases:
        with pytest.raises(expected) as refusal:
            await backend.read_token_file(content, [held])
        assert type(refusal.value) is expected
        assert refusal.value.next_step


async def test_a_wrong_steps_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StepsFileWrong):
        async with AppleBackend.open(
            "http://apple.test", clock=FakeClock(NOW), steps_file=tmp_path / "none.toml"
        ):
            pass
    async with AppleBackend.open("http://apple.test", clock=FakeClock(NOW)) as backend:
        assert backend.texts.portal == "ABM"
