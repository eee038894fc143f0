"""The client of Apps and Books against a service that misbehaves, over real HTTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from bot.apple.exchange import Patience
from bot.apple.vpp import errors
from bot.apple.vpp.client import VppClient, VppService, may_follow
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_http import Asked, Fault, Reply, ScriptedHttp, json_reply, reply_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TOKEN = SecretStr("eyJplanted+token/==")
BASE = "/mdm/v2"
LOCATION = {"uId": "98", "locationName": "Example HQ", "defaultPlatform": "enterprisestore"}


class Apple:
    """A location with `pages` pages of one app each; `version` names the state of the list."""

    def __init__(self) -> None:
        self.pages = 1
        self.version = "v1"
        self.urls: dict[str, str] = {}
        self.limits: dict[str, object] = {"maxRequestPerSecond": 15}
        self.names: dict[str, dict[str, str]] = {}
        self.ids_a_lookup = 1000
        self.at_once = self.most_at_once = 0
        self.http = ScriptedHttp(self.answer)
        self.config_replies: list[Reply] = []

    @property
    def calls(self) -> list[Asked]:
        return [asked for asked in self.http.asked if asked.path != f"{BASE}/service/config"]

    def answer(self, asked: Asked) -> Reply:
        match asked.path.removeprefix(BASE):
            case "/client/config":
                return json_reply(LOCATION)
            case "/assets":
                return self.page(int(parse_qs(asked.query)["pageIndex"][0]))
            case "/lookup":
                ids = parse_qs(asked.query)["id"][0].split(",")[: self.ids_a_lookup]
                return json_reply({"results": {i: self.names[i] for i in ids if i in self.names}})
        return Reply(status=404)

    def page(self, index: int) -> Reply:
        if index >= self.pages:
            return refusal(400, 9650)
        asset = {"adamId": str(index), "totalCount": 10, "availableCount": 4, "assignedCount": 6}
        answer = {"assets": [asset], "currentPageIndex": index, "totalPages": self.pages}
        return json_reply({**answer, "versionId": self.version})

    def scripted(self, asked: Asked) -> Reply:
        if asked.path != f"{BASE}/service/config":
            return self.answer(asked)
        if self.config_replies:
            return self.config_replies.pop(0)
        return json_reply({"urls": self.urls, "limits": self.limits})


def refusal(status: int, number: int, headers: dict[str, str] | None = None) -> Reply:
    return json_reply({"errorNumber": number, "errorMessage": "no"}, status=status, headers=headers)


@pytest.fixture
async def apple() -> AsyncIterator[Apple]:
    made = Apple()
    made.http.otherwise = made.scripted
    async with made.http.running():
        made.urls["contentMetadataLookup"] = f"{made.http.url}{BASE}/lookup"
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def service(
    apple: Apple, clock: FakeClock, request: pytest.FixtureRequest
) -> AsyncIterator[VppService]:
    patience = Patience(read_s=reply_of(request).waited_for)
    async with httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as http:
        yield VppService(http, base_url=apple.http.url + BASE, clock=clock, patience=patience)


@pytest.fixture
async def client(service: VppService) -> VppClient:
    await service.config()  # what a test scripts is for the calls after it
    return VppClient(service, token=TOKEN)


def ids(assets: list[Any]) -> list[str]:
    return [asset.adam_id for asset in assets]


async def test_the_token_is_sent_with_every_call_but_the_one_that_needs_none(
    client: VppClient, apple: Apple
) -> None:
    await client.client_config()
    await client.assets()
    config, *calls = apple.http.asked
    assert config.path == f"{BASE}/service/config"
    assert "authorization" not in config.headers
    assert [call.headers["authorization"] for call in calls] == [f"Bearer {TOKEN.get_secret_value()}"] * 2
    assert {call.method for call in apple.http.asked} == {"GET"}


async def test_limits_are_kept_for_five_minutes_and_beyond_when_they_cannot_be_had(
    client: VppClient, apple: Apple, clock: FakeClock
) -> None:
    for minutes, asked in ((0, 1), (4, 1), (2, 2)):
        clock.move(timedelta(minutes=minutes))
        await client.client_config()
        assert apple.http.count(f"{BASE}/service/config") == asked
    clock.move(timedelta(minutes=6))
    apple.config_replies = [Reply(status=404)]
    assert (await client.client_config()).location_id == "98"


async def test_the_first_limits_are_needed(service: VppService, apple: Apple) -> None:
    apple.config_replies = [Reply(b"<html>", 200)] * 3
    with pytest.raises(errors.Unreadable):
        await VppClient(service, token=TOKEN).client_config()


async def test_all_pages_are_read_in_their_order_and_five_at_a_time(client: VppClient, apple: Apple) -> None:
    apple.pages = 23
    assert ids(await client.assets()) == [str(index) for index in range(23)]
    assert len(apple.calls) == 23


async def test_no_more_than_five_pages_are_under_way_at_once(
    service: VppService, client: VppClient, apple: Apple
) -> None:
    apple.pages = 23
    under_way: list[int] = []

    async def counted(request: httpx.Request) -> None:
        under_way.append(1)
        most.append(len(under_way))
        await asyncio.sleep(0)

    async def answered(response: httpx.Response) -> None:
        await response.aread()
        under_way.pop()

    most: list[int] = []
    service.http.event_hooks = {"request": [counted], "response": [answered]}
    await client.assets()
    assert max(most) == 5


async def test_a_token_makes_at_most_fifteen_requests_a_second(
    client: VppClient, apple: Apple, clock: FakeClock
) -> None:
    started = clock.monotonic()
    for _ in range(31):
        await client.client_config()
    assert clock.monotonic() - started >= 30 / 15


@pytest.mark.parametrize(("limit", "seconds"), [(5, 3), (1000, 1), ("odd", 1)])
async def test_a_lower_limit_of_the_service_s_own_is_kept(
    service: VppService, apple: Apple, clock: FakeClock, limit: object, seconds: float
) -> None:
    apple.limits["maxRequestPerSecond"] = limit
    client = VppClient(service, token=TOKEN)
    for _ in range(11):
        await client.client_config()
    assert clock.monotonic() == pytest.approx(seconds)


async def test_tokens_do_not_wait_for_each_other(service: VppService, clock: FakeClock) -> None:
    for number in range(11):
        await VppClient(service, token=SecretStr(f"token-{number}")).client_config()
    assert clock.monotonic() == 0


async def test_a_list_that_changes_between_pages_is_read_again_from_the_start(
    client: VppClient, apple: Apple
) -> None:
    apple.pages = 2

    def changing(asked: Asked) -> Reply:
        apple.version = "v2"
        return apple.answer(asked)

    apple.http.script.extend([apple.page(0), changing])
    assert ids(await client.assets()) == ["0", "1"]
    assert len(apple.calls) == 4


async def test_a_list_that_becomes_shorter_is_read_again(client: VppClient, apple: Apple) -> None:
    apple.pages = 3
    apple.http.script.extend([apple.page(0), apple.page(1), refusal(400, 9650)])
    assert ids(await client.assets()) == ["0", "1", "2"]


async def test_a_list_that_never_rests_is_given_up(client: VppClient, apple: Apple) -> None:
    apple.pages = 2
    states = iter(range(1000))

    def restless(asked: Asked) -> Reply:
        apple.version = str(next(states))
        return apple.scripted(asked)

    apple.http.otherwise = restless
    with pytest.raises(errors.ListChanging):
        await client.assets()
    assert len(apple.calls) == 8


async def test_a_list_without_end_is_not_begun(client: VppClient, apple: Apple) -> None:
    apple.http.otherwise = lambda asked: json_reply({"assets": [], "totalPages": 10**9, "versionId": "v"})
    with pytest.raises(errors.Unreadable):
        await client.assets()
    assert len(apple.calls) < 10


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refusal(200, 9625), errors.TokenRevoked),
        (refusal(200, 9622), errors.TokenRevoked),
        (refusal(401, 9621), errors.TokenExpired),
        (refusal(403, 9637), errors.Refused),
        (Reply(status=307, headers={"Location": "http://127.0.0.1:9/"}), errors.Redirected),
    ],
)
async def test_a_refusal_is_not_tried_again(
    client: VppClient, apple: Apple, reply: Reply, expected: type[errors.VppFailure]
) -> None:
    apple.http.script.append(reply)
    with pytest.raises(errors.VppFailure) as failure:
        await client.assets()
    assert type(failure.value) is expected
    assert len(apple.calls) == 1


async def test_a_refused_page_ends_the_others(client: VppClient, apple: Apple) -> None:
    apple.pages = 30
    apple.http.script.extend([apple.page(0), refusal(200, 9625)])
    with pytest.raises(errors.TokenRevoked):
        await client.assets()
    asked = len(apple.calls)
    assert asked < 12
    await asyncio.sleep(0)
    assert len(apple.calls) == asked


TRANSIENT: list[tuple[str, Reply, type[errors.Transient]]] = [
    ("too many requests", refusal(429, 9646), errors.Busy),
    ("too many requests with 200", refusal(200, 9646), errors.Busy),
    ("a bare 429", Reply(status=429), errors.Busy),
    ("an internal error", refusal(500, 9603), errors.Failing),
    ("a dropped connection", Reply(fault=Fault.DROP), errors.Unreachable),
    ("half a body", Reply(b"x" * 1000, fault=Fault.HALF), errors.Unreachable),
    ("a stalled answer", Reply(fault=Fault.STALL), errors.Unreachable),
    ("a web page", Reply(b"<html>Welcome to the hotel</html>"), errors.Unreadable),
    ("no JSON", Reply(b"\xff\xfe\x00"), errors.Unreadable),
    ("JSON of another shape", json_reply([1, 2]), errors.Unreadable),
]


@pytest.mark.parametrize(("what", "reply", "expected"), TRANSIENT, ids=[row[0] for row in TRANSIENT])
async def test_what_may_pass_is_tried_again(
    client: VppClient,
    apple: Apple,
    clock: FakeClock,
    what: str,
    reply: Reply,
    expected: type[errors.Transient],
) -> None:
    apple.http.script.extend([reply] * 2)
    assert ids(await client.assets()) == ["0"]
    first, second = [wait for wait in clock.sleeps if wait > 1 / 15]
    assert 0.25 <= first <= 0.5
    assert 0.5 <= second <= 1


async def test_a_storm_of_refusals_ends_as_a_named_error_with_ever_longer_waits(
    client: VppClient, apple: Apple, clock: FakeClock
) -> None:
    apple.http.otherwise = lambda asked: refusal(429, 9646)
    with pytest.raises(errors.Busy):
        await client.assets()
    assert len(apple.calls) == Patience().tries
    assert clock.monotonic() >= 0.25 + 0.5 + 1 + 2 + 4 + 8


@pytest.mark.parametrize("reply", [refusal(429, 9646, {"Retry-After": "20"}), Reply(status=503)])
async def test_a_wait_that_the_service_asks_for_is_kept(
    client: VppClient, apple: Apple, clock: FakeClock, reply: Reply
) -> None:
    apple.http.script.append(Reply(reply.body, reply.status, {"Retry-After": "120"}))
    await client.assets()
    assert clock.monotonic() >= 120


async def test_while_one_page_waits_no_other_is_asked_for(
    client: VppClient, apple: Apple, clock: FakeClock
) -> None:
    apple.pages = 2
    begun: list[float] = []

    def noted(asked: Asked) -> Reply:
        begun.append(clock.monotonic())
        return apple.scripted(asked)

    apple.http.otherwise = noted
    apple.http.script.append(apple.page(0))
    apple.http.script.append(refusal(429, 9646, {"Retry-After": "60"}))
    await client.assets()
    assert all(moment >= 60 for moment in begun)


async def test_a_longer_wait_than_a_call_may_take_is_handed_on(client: VppClient, apple: Apple) -> None:
    apple.http.script.append(Reply(status=503, headers={"Retry-After": "3600"}))
    with pytest.raises(errors.Failing) as failure:
        await client.assets()
    assert failure.value.retry_after == timedelta(hours=1)
    assert len(apple.calls) == 1


async def test_all_pages_together_are_tried_for_five_minutes(
    client: VppClient, apple: Apple, clock: FakeClock
) -> None:
    apple.pages = 3
    apple.http.script.append(apple.page(0))
    apple.http.otherwise = lambda asked: Reply(status=503, headers={"Retry-After": "100"})
    with pytest.raises(errors.Failing):
        await client.assets()
    assert clock.monotonic() < 300 + 110


BOOK = "https://vpp.itunes.apple.com/mdm/v2"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://vpp.itunes.apple.com/mdm/v2/assets", True),
        ("https://uclient-api.itunes.apple.com/lookup?a=b", True),
        ("https://apple.com/", True),
        ("https://apple.com.example.com/", False),
        ("https://notapple.com/", False),
        ("https://example.com/.apple.com", False),
        ("https://x.apple.com:8443/", False),
        ("https://user@x.apple.com/", False),
        ("https://example.com\\@x.apple.com/", False),
        ("http://vpp.itunes.apple.com/mdm/v2/assets", False),
        ("//vpp.itunes.apple.com/", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_a_token_goes_to_apple_s_hosts_only(url: str, may: bool) -> None:
    assert may_follow(url, base_url=BOOK) is may


def test_a_stand_in_may_name_itself() -> None:
    assert may_follow("http://127.0.0.1:8000/lookup", base_url="http://127.0.0.1:8000/mdm/v2")
    assert not may_follow("http://127.0.0.1:8001/lookup", base_url="http://127.0.0.1:8000/mdm/v2")


async def test_addresses_of_other_hosts_are_not_followed(service: VppService, apple: Apple) -> None:
    elsewhere = ScriptedHttp(lambda asked: json_reply({"results": {}, "assets": []}))
    async with elsewhere.running():
        for key in ("clientConfig", "getAssets", "contentMetadataLookup"):
            apple.urls[key] = f"{elsewhere.url}/{key}"
        client = VppClient(service, token=TOKEN)
        assert (await client.client_config()).location_id == "98"
        assert ids(await client.assets()) == ["0"]
        assert await client.apps(["0"], platform="enterprisestore", country="DE") == {}
    assert elsewhere.asked == []


async def test_an_address_of_the_service_s_own_is_used_with_what_it_carries(
    service: VppService, apple: Apple
) -> None:
    apple.urls["getAssets"] = f"{apple.http.url}{BASE}/assets?region=eu"
    await VppClient(service, token=TOKEN).assets()
    assert parse_qs(apple.calls[0].query) == {"region": ["eu"], "pageIndex": ["0"]}


async def test_names_are_looked_up_with_the_location_s_store_and_country(
    client: VppClient, apple: Apple
) -> None:
    apple.names = {"1": {"name": "One", "bundleId": "com.example.one"}, "2": {"name": "Two"}}
    found = await client.apps(["1", "2", "3"], platform="volumestore", country="DE")
    assert {app_id: app.name for app_id, app in found.items()} == {"1": "One", "2": "Two"}
    (asked,) = apple.calls
    query = {key: values[0] for key, values in parse_qs(asked.query).items()}
    assert query == {
        "version": "2",
        "id": "1,2,3",
        "p": "mdm-lockup",
        "caller": "MDM",
        "platform": "volumestore",
        "cc": "de",
        "l": "en",
    }
    assert asked.headers["cookie"] == f"itvt={TOKEN.get_secret_value()}"
    assert "authorization" not in asked.headers


async def test_a_store_that_names_one_app_at_a_time_is_asked_for_each(
    client: VppClient, apple: Apple
) -> None:
    apple.names = {str(number): {"name": f"App {number}"} for number in range(4)}
    apple.ids_a_lookup = 1
    assert len(await client.apps(["0", "1", "2", "3"], platform="p", country="DE")) == 4
    assert len(apple.calls) == 4


@pytest.mark.parametrize("reply", [Reply(status=403), Reply(b"<html>"), Reply(fault=Fault.STALL)])
async def test_a_look_up_that_does_not_answer_leaves_the_apps_without_names(
    client: VppClient, apple: Apple, reply: Reply
) -> None:
    apple.http.script.extend([reply] * 2)
    assert await client.apps(["1"], platform="p", country="DE") == {}


async def test_no_cookie_is_kept_between_calls(client: VppClient, apple: Apple) -> None:
    apple.http.script.append(json_reply(LOCATION, headers={"Set-Cookie": "who=hq; Path=/"}))
    await client.client_config()
    await client.client_config()
    assert "cookie" not in apple.http.asked[-1].headers


async def test_nothing_secret_shows_in_a_failure(clock: FakeClock) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/service/config"):
            return httpx.Response(200, json={})
        raise httpx.ConnectError(f"cannot send {request.headers.get('authorization')}")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        service = VppService(http, base_url="http://apple.test", clock=clock)
        with pytest.raises(errors.Unreachable) as failure:
            await VppClient(service, token=TOKEN).assets()
    assert "planted" not in f"{failure.value!r} {failure.value} {TOKEN!r}"
