import base64
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from bot.apple.exchange import Patience
from bot.apple.vpp.client import VppService
from bot.backend import content
from bot.backend.apple_content import AppleContent
from bot.backend.content import AppFacts, ContentAccount, ContentBackend, LicenceCount
from bot.backend.port import BackendError
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_http import Asked, Reply, ScriptedHttp, json_reply

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TOKEN = SecretStr("planted-token")
PORTAL = {
    "adamId": "719171358",
    "pricingParam": "STDQ",
    "productType": "App",
    "totalCount": 500,
    "assignedCount": 483,
    "availableCount": 17,
    "retiredCount": 2,
    "deviceAssignable": True,
    "supportedPlatforms": ["iOS"],
}


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    def answer(asked: Asked) -> Reply:
        return json_reply({"urls": {"contentMetadataLookup": f"{server.url}/lookup"}})

    server = ScriptedHttp(answer)
    async with server.running():
        yield server


@pytest.fixture
async def backend(http: ScriptedHttp) -> AsyncIterator[AppleContent]:
    clock = FakeClock(NOW)
    async with httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        service = VppService(client, base_url=http.url, clock=clock, patience=Patience(tries=1))
        await service.config()
        yield AppleContent(service, clock=clock)


async def test_the_backend_is_what_the_rooms_need(backend: AppleContent) -> None:
    seam: ContentBackend = backend
    assert seam.company_portal_id == "719171358"


async def test_an_account_is_the_token_s_location(backend: AppleContent, http: ScriptedHttp) -> None:
    answer = {
        "uId": "98",
        "locationName": "Example HQ",
        "tokenExpirationDate": "2027-09-26T08:30:39+0000",
        "countryISO2ACode": "DE",
        "defaultPlatform": "volumestore",
        "mdmInfo": {"name": "Example MDM"},
    }
    http.script.append(json_reply(answer))
    expires = datetime(2027, 9, 26, 8, 30, 39, tzinfo=UTC)
    assert await backend.content_account(TOKEN) == ContentAccount(
        "98", "Example HQ", expires, country="DE", is_education=True, manager="Example MDM"
    )


async def test_counts_tell_licences_without_a_limit(backend: AppleContent, http: ScriptedHttp) -> None:
    free = {"adamId": "1", "totalCount": 2147483647, "availableCount": 2147483600, "assignedCount": 47}
    book: dict[str, object] = {
        "adamId": "2",
        "pricingParam": "PLUS",
        "productType": "Book",
        "totalCount": 3,
        "availableCount": -1,
    }
    http.script.append(json_reply({"assets": [PORTAL, free, book], "totalPages": 1}))
    assert await backend.licence_counts(TOKEN) == [
        LicenceCount(
            app_id="719171358",
            pricing="STDQ",
            total=500,
            assigned=483,
            available=17,
            retired=2,
            device_assignable=True,
            platforms=("iOS",),
        ),
        LicenceCount(app_id="1", pricing="STDQ", assigned=47),
        LicenceCount(app_id="2", pricing="PLUS", is_book=True, total=3, available=0),
    ]


async def test_names_are_those_of_the_location_s_store(backend: AppleContent, http: ScriptedHttp) -> None:
    http.script.append(json_reply({"results": {"1": {"name": "One", "bundleId": "com.example.one"}}}))
    account = ContentAccount("98", "HQ", None, country=None, is_education=False, manager=None)
    assert await backend.app_facts(TOKEN, account, ["1"]) == {"1": AppFacts("One", "com.example.one")}
    assert "platform=enterprisestore" in http.asked[-1].query
    assert "cc=us" in http.asked[-1].query


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (json_reply({"errorNumber": 9621}), content.ContentTokenExpired, "has expired"),
        (json_reply({"errorNumber": 9625}), content.ContentTokenRevoked, "does not accept"),
        (
            json_reply({"errorNumber": 9637, "errorMessage": "Not for facilitators"}, status=403),
            content.ContentRefused,
            "(9637: Not for facilitators)",
        ),
        (
            json_reply({"errorNumber": 9646}, status=429),
            content.ContentUnavailable,
            "requests (9646)",
        ),
        (Reply(status=503), content.ContentUnavailable, "a fault of its own (status 503)"),
        (Reply(b"<html>"), content.ContentUnavailable, "not an answer of Apple's"),
        (Reply(status=302), content.ContentUnavailable, "leads elsewhere"),
    ],
)
async def test_a_refusal_says_what_it_means(
    backend: AppleContent,
    http: ScriptedHttp,
    reply: Reply,
    expected: type[BackendError],
    words: str,
) -> None:
    http.script.append(reply)
    with pytest.raises(BackendError) as failure:
        await backend.licence_counts(TOKEN)
    assert type(failure.value) is expected
    assert words in failure.value.message
    assert "planted" not in f"{failure.value!r} {failure.value}"


async def test_a_wait_that_is_asked_for_is_handed_on(backend: AppleContent, http: ScriptedHttp) -> None:
    http.script.append(Reply(status=503, headers={"Retry-After": "120"}))
    with pytest.raises(content.ContentUnavailable) as failure:
        await backend.content_account(TOKEN)
    assert failure.value.retry_after == timedelta(seconds=120)


async def test_a_file_is_read_and_refused_in_the_seam_s_words(backend: AppleContent) -> None:
    inside = {"token": "t", "expDate": "2027-11-08T22:33:22+0000", "orgName": "Example Trust"}
    file = base64.b64encode(json.dumps(inside).encode())
    read = backend.read_content_token(file + b"\n")
    assert read.secret.get_secret_value() == file.decode()
    assert read.org_name == "Example Trust"
    with pytest.raises(content.ContentTokenUnusable, match="not a content token"):
        backend.read_content_token(b"x")
