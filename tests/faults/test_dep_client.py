"""The enrollment client against a server that misbehaves, over real HTTP."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.apple.dep import errors, wire
from bot.apple.dep.auth import Credentials
from bot.apple.dep.client import DepClient, DepService
from bot.apple.exchange import Patience
from bot.backend.port import Session
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_http import Asked, Fault, Reply, ScriptedHttp, json_reply, reply_of, word_reply
from tests.fakes.sessions import FakeSessions

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CREDENTIALS = Credentials("CK_1", SecretStr("CS_planted"), SecretStr("AT_planted"), SecretStr("AS_planted"))
ACCOUNT = {"server_uuid": "6666ED66666666666666666666666666", "server_name": "paris", "org_name": "Acme"}
PAGE = {"devices": [{"serial_number": "C02A"}], "cursor": "next", "more_to_follow": False}
Serials = wire.Page[str]


def serial(device: wire.Device, extra: dict[str, Any] | None) -> str:
    return device.serial


class Apple:
    """A service that gives a new session at each login and knows only the last one."""

    def __init__(self) -> None:
        self.logins = 0
        self.login_reply: Reply | None = None
        self.http = ScriptedHttp(self.answer)

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/session":
            self.logins += 1
            return self.login_reply or json_reply({"auth_session_token": f"session-{self.logins}"})
        if asked.headers.get("x-adm-auth-session") != f"session-{self.logins}":
            return word_reply(401, "UNAUTHORIZED", {"WWW-Authenticate": "ADM-Auth-Token"})
        return json_reply(ACCOUNT if asked.path == "/account" else PAGE)

    def expire_session(self) -> None:
        self.logins += 1


@pytest.fixture
async def apple() -> AsyncIterator[Apple]:
    made = Apple()
    async with made.http.running():
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def plain_http() -> httpx.AsyncClient:
    """Without the certificates of the machine, which take a while to load."""
    return httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.fixture
async def client(
    apple: Apple, clock: FakeClock, request: pytest.FixtureRequest
) -> AsyncIterator[DepClient[Session]]:
    patience = Patience(read_s=reply_of(request).waited_for)
    async with plain_http() as http:
        service = DepService(http, base_url=apple.http.url, clock=clock, patience=patience)
        yield DepClient(service, credentials=CREDENTIALS, sessions=FakeSessions())


Client = DepClient[Session]


async def test_every_call_names_the_product_and_the_protocol_version(client: Client, apple: Apple) -> None:
    await client.account()
    assert [asked.path for asked in apple.http.asked] == ["/session", "/account"]
    for asked in apple.http.asked:
        assert re.fullmatch(r"enrollbot/[\d.]+", asked.headers["user-agent"])
        assert asked.headers["x-server-protocol-version"] == "10"
    login, call = apple.http.asked
    assert login.headers["authorization"].startswith('OAuth realm="ADM", ')
    assert "x-adm-auth-session" not in login.headers
    assert "authorization" not in call.headers
    assert call.headers["x-adm-auth-session"] == "session-1"


async def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(
    apple: Apple, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    service = DepService.open(base_url=apple.http.url, clock=FakeClock(NOW), patience=Patience(tries=1))
    client = DepClient(service, credentials=CREDENTIALS, sessions=FakeSessions())
    assert (await client.account()).server_name == "paris"
    await service.aclose()


async def test_calls_share_one_session(client: Client, apple: Apple) -> None:
    await client.account()
    await client.until(NOW + timedelta(minutes=15)).account()
    assert apple.http.count("/session") == 1


async def test_an_expired_session_costs_one_login_however_many_calls_meet_it(
    client: Client, apple: Apple
) -> None:
    await client.account()
    apple.expire_session()
    before = apple.http.count("/session")
    await asyncio.gather(*(client.account() for _ in range(30)))
    assert apple.http.count("/session") - before == 1


async def test_a_session_that_expires_mid_sync_is_opened_again_and_the_page_repeated(
    client: Client, apple: Apple
) -> None:
    first = await client.fetch_devices(None, limit=1000, make=serial)
    apple.expire_session()
    second = await client.fetch_devices(first.cursor, limit=1000, make=serial)
    assert second.devices == ["C02A"]
    assert [a.json["cursor"] for a in apple.http.asked if b"cursor" in a.body] == ["next", "next"]


async def test_a_403_forbidden_opens_a_new_session_too(client: Client, apple: Apple) -> None:
    await client.account()
    apple.http.script.append(word_reply(403, "FORBIDDEN"))
    await client.account()
    assert apple.http.count("/session") == 2


@pytest.mark.parametrize("status_and_word", [(401, "UNAUTHORIZED"), (403, "FORBIDDEN"), (401, "")])
async def test_a_service_that_refuses_every_session_is_asked_twice_and_never_in_a_loop(
    client: Client, apple: Apple, status_and_word: tuple[int, str]
) -> None:
    await client.account()
    apple.http.script.extend([word_reply(*status_and_word)] * 10)
    with pytest.raises(errors.TokenRejected):
        await client.account()
    assert apple.http.count("/session") == 2
    assert apple.http.count("/account") == 3


async def test_a_session_sent_along_with_any_answer_is_used_from_then_on(
    client: Client, apple: Apple
) -> None:
    rotated = {"X-ADM-Auth-Session": "rotated-1"}
    apple.http.script.append(json_reply(ACCOUNT, headers=rotated))
    apple.http.script.append(word_reply(400, "INVALID_CURSOR", {"X-ADM-Auth-Session": "rotated-2"}))
    await client.account()
    with pytest.raises(errors.CursorInvalid):
        await client.sync_devices("c", limit=10, make=serial)
    apple.http.script.append(json_reply(ACCOUNT))
    await client.account()
    calls = [asked for asked in apple.http.asked if asked.path != "/session"]
    assert [call.headers["x-adm-auth-session"] for call in calls] == ["session-1", "rotated-1", "rotated-2"]


WORDS: list[tuple[int, str, type[errors.DepFailure]]] = [
    (403, "T_C_NOT_SIGNED", errors.TermsNotSigned),
    (403, "ACCESS_DENIED", errors.AccessDenied),
    (403, "token_rejected", errors.TokenRejected),
    (401, "token_rejected", errors.TokenRejected),
    (403, "signature_invalid", errors.TokenRejected),
    (401, "EXPIRED_TOKEN", errors.TokenRejected),
    (403, "SOMETHING_NEW", errors.TokenRejected),
]
WORDS_OF_CALLS: list[tuple[int, str, type[errors.DepFailure]]] = [
    *WORDS,
    (400, "EXPIRED_CURSOR", errors.CursorExpired),
    (400, "INVALID_CURSOR", errors.CursorInvalid),
    (400, "CURSOR_REQUIRED", errors.CursorRequired),
    (400, "EXHAUSTED_CURSOR", errors.CursorExhausted),
    (400, "MALFORMED_REQUEST_BODY", errors.Refused),
    (404, "NOT_FOUND", errors.NotFound),
    (405, "", errors.MethodRefused),
]
WORDS_OF_LOGINS: list[tuple[int, str, type[errors.DepFailure]]] = [
    *WORDS,
    (401, "UNAUTHORIZED", errors.TokenRejected),
    (403, "FORBIDDEN", errors.TokenRejected),
    (400, "", errors.Refused),
]


@pytest.mark.parametrize(("status", "word", "expected"), WORDS_OF_CALLS)
async def test_each_word_of_a_call_is_a_named_error(
    client: Client, apple: Apple, status: int, word: str, expected: type[errors.DepFailure]
) -> None:
    apple.http.script.append(word_reply(status, word))
    with pytest.raises(errors.DepFailure) as refusal:
        await client.account()
    assert type(refusal.value) is expected
    assert refusal.value.word == word
    assert apple.http.count("/session") == 1
    assert apple.http.count("/account") == 1


@pytest.mark.parametrize(("status", "word", "expected"), WORDS_OF_LOGINS)
async def test_each_word_of_a_login_is_a_named_error(
    client: Client, apple: Apple, status: int, word: str, expected: type[errors.DepFailure]
) -> None:
    apple.login_reply = word_reply(status, word)
    with pytest.raises(errors.DepFailure) as refusal:
        await client.account()
    assert type(refusal.value) is expected
    assert [asked.path for asked in apple.http.asked] == ["/session"]


async def test_a_word_is_kept_as_it_came_but_not_without_end(client: Client, apple: Apple) -> None:
    apple.http.script.append(word_reply(403, "<!channel> " * 100))
    with pytest.raises(errors.DepFailure) as refusal:
        await client.account()
    assert len(refusal.value.word) == 200
    assert refusal.value.word.startswith("<!channel>")


@pytest.mark.parametrize("minutes", [-60, -6, 6, 60])
async def test_a_rejection_with_clocks_apart_says_that_the_clock_is_wrong(
    client: Client, apple: Apple, minutes: int
) -> None:
    theirs = NOW + timedelta(minutes=minutes)
    apple.login_reply = word_reply(401, "UNAUTHORIZED", {"Date": format_datetime(theirs, usegmt=True)})
    with pytest.raises(errors.ClockWrong) as refusal:
        await client.account()
    assert (refusal.value.ours, refusal.value.theirs) == (NOW, theirs)


@pytest.mark.parametrize(
    "date", ["Sun, 22 Nov 2026 09:04:00 GMT", "no date", "Sun, 99 Nov 2026 09:04:00 GMT"]
)
async def test_a_rejection_with_clocks_together_or_unknown_is_the_token_s(
    client: Client, apple: Apple, date: str
) -> None:
    apple.login_reply = word_reply(401, "UNAUTHORIZED", {"Date": date})
    with pytest.raises(errors.TokenRejected):
        await client.account()


@pytest.mark.parametrize(
    "retry_after",
    ["120", format_datetime(NOW + timedelta(seconds=120), usegmt=True)],
    ids=["seconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_that_the_service_asks_for_is_kept(
    client: Client, apple: Apple, clock: FakeClock, status: int, retry_after: str
) -> None:
    apple.http.script.append(word_reply(status, "", {"Retry-After": retry_after}))
    await client.account()
    assert len(clock.sleeps) == 1
    assert 120 <= clock.sleeps[0] <= 121


async def test_a_longer_wait_than_a_call_may_take_is_handed_on(client: Client, apple: Apple) -> None:
    apple.http.script.append(word_reply(429, "", {"Retry-After": "3600"}))
    with pytest.raises(errors.Busy) as refusal:
        await client.account()
    assert refusal.value.retry_after == timedelta(hours=1)
    assert apple.http.count("/account") == 1


TRANSIENT: list[tuple[str, Reply, type[errors.Transient]]] = [
    ("too many requests", word_reply(429, "too_many_requests"), errors.Busy),
    ("500", word_reply(500, ""), errors.Failing),
    ("503", word_reply(503, ""), errors.Failing),
    ("a dropped connection", Reply(fault=Fault.DROP), errors.Unreachable),
    ("half a body", Reply(b"x" * 1000, fault=Fault.HALF), errors.Unreachable),
    ("a stalled answer", Reply(fault=Fault.STALL), errors.Unreachable),
    ("a web page", Reply(b"<html>Welcome to the hotel</html>"), errors.Unreadable),
    ("a web page with 403", Reply(b"<html>403 Forbidden</html>", 403), errors.Unreadable),
    ("a proxy that wants a password", word_reply(407, ""), errors.Unreadable),
    ("half a JSON", Reply(b'{"server_uuid": "66'), errors.Unreadable),
    ("no JSON", Reply(b"\xff\xfe\x00"), errors.Unreadable),
    ("nothing", Reply(), errors.Unreadable),
    ("deep JSON", Reply(b'{"urls":' + b"[" * 100_000), errors.Unreadable),
    ("JSON of another shape", json_reply([1, 2, 3]), errors.Unreadable),
]


@pytest.mark.parametrize(("what", "reply", "expected"), TRANSIENT, ids=[row[0] for row in TRANSIENT])
async def test_what_may_pass_is_tried_again(
    client: Client, apple: Apple, clock: FakeClock, what: str, reply: Reply, expected: type[errors.Transient]
) -> None:
    apple.http.script.extend([reply] * 2)
    assert (await client.account()).server_name == "paris"
    assert len(clock.sleeps) == 2
    assert 0 < clock.sleeps[0] <= 0.5
    assert 0 < clock.sleeps[1] <= 1


@pytest.mark.parametrize(("what", "reply", "expected"), TRANSIENT, ids=[row[0] for row in TRANSIENT])
async def test_what_does_not_pass_ends_as_a_named_error(
    apple: Apple, clock: FakeClock, what: str, reply: Reply, expected: type[errors.Transient]
) -> None:
    apple.http.otherwise = lambda asked: apple.answer(asked) if asked.path == "/session" else reply
    patience = Patience(read_s=reply.waited_for, tries=4)
    async with plain_http() as http:
        service = DepService(http, base_url=apple.http.url, clock=clock, patience=patience)
        client = DepClient(service, credentials=CREDENTIALS, sessions=FakeSessions())
        with pytest.raises(errors.DepFailure) as failure:
            await client.account()
    assert type(failure.value) is expected
    assert apple.http.count("/account") == 4
    assert apple.http.count("/session") == 1


async def test_a_login_that_fails_for_a_moment_is_tried_again(client: Client, apple: Apple) -> None:
    replies = [word_reply(503, ""), Reply(b"<html>"), Reply(fault=Fault.DROP)]
    apple.http.otherwise = lambda asked: (
        replies.pop() if asked.path == "/session" and replies else apple.answer(asked)
    )
    assert (await client.account()).server_name == "paris"
    assert apple.http.count("/session") == 4


async def test_a_server_that_is_not_there_is_unreachable(clock: FakeClock) -> None:
    service = DepService.open(base_url="http://127.0.0.1:9", clock=clock)
    client = DepClient(service, credentials=CREDENTIALS, sessions=FakeSessions())
    with pytest.raises(errors.Unreachable, match="no connection"):
        await client.account()
    await service.aclose()


async def test_nothing_is_tried_beyond_the_deadline(client: Client, apple: Apple, clock: FakeClock) -> None:
    apple.http.script.extend([word_reply(503, "", {"Retry-After": "60"})] * 10)
    with pytest.raises(errors.Failing):
        await client.until(NOW + timedelta(seconds=150)).account()
    assert apple.http.count("/account") == 3
    assert clock.now() < NOW + timedelta(seconds=150)


async def test_all_tries_of_a_call_end_within_five_minutes(
    client: Client, apple: Apple, clock: FakeClock
) -> None:
    apple.http.script.extend([word_reply(503, "", {"Retry-After": "100"})] * 10)
    with pytest.raises(errors.Failing):
        await client.account()
    assert clock.now() < NOW + timedelta(minutes=5)


async def test_a_redirect_is_not_followed(client: Client, apple: Apple) -> None:
    elsewhere = ScriptedHttp(lambda asked: json_reply(ACCOUNT))
    async with elsewhere.running():
        apple.http.script.append(Reply(b"", 307, {"Location": f"{elsewhere.url}/account"}))
        with pytest.raises(errors.Redirected):
            await client.account()
    assert elsewhere.asked == []
    assert apple.http.count("/account") == 1


async def test_addresses_in_the_account_details_are_not_followed(client: Client, apple: Apple) -> None:
    elsewhere = ScriptedHttp(lambda asked: json_reply(PAGE))
    async with elsewhere.running():
        limit = {"default": 100, "maximum": 500}
        urls = [{"uri": f"{elsewhere.url}/server/devices", "http_method": ["POST"], "limit": limit}]
        apple.http.script.append(json_reply({**ACCOUNT, "urls": urls}))
        assert (await client.account()).page_sizes == {"/server/devices": 500}
        await client.fetch_devices(None, limit=500, make=serial)
    assert elsewhere.asked == []


async def test_a_page_keeps_duplicates_a_repeated_cursor_and_names_the_unreadable(
    client: Client, apple: Apple
) -> None:
    devices = [{"serial_number": "A1"}, {"serial_number": "A1"}, {"serial_number": "B2", "os": 5}, 7]
    page = {"devices": devices, "cursor": "same", "more_to_follow": "true"}
    apple.http.script.append(json_reply(page))
    read = await client.sync_devices("same", limit=1000, make=serial)
    assert read.devices == ["A1", "A1"]
    assert (read.cursor, read.more_to_follow) == ("same", True)
    assert [bad.serial for bad in read.unreadable] == ["B2", None]


async def test_no_more_than_a_thousand_devices_are_asked_for(client: Client, apple: Apple) -> None:
    await client.fetch_devices(None, limit=5000, make=serial)
    assert apple.http.asked[-1].json == {"limit": 1000}
    with pytest.raises(ValueError, match="1001 devices"):
        await client.remove_profile(["A"] * 1001)


async def test_assigning_falls_back_to_put_and_stays_with_it(client: Client, apple: Apple) -> None:
    done = json_reply({"profile_uuid": "P", "devices": {"a1": "SUCCESS"}, "retry_after_seconds": 30})
    apple.http.script.extend([word_reply(405, ""), done, done])
    for _ in range(2):
        results = await client.assign_profile("P", ["A1"])
        assert (results.by_serial, results.retry_after_s) == ({"A1": "SUCCESS"}, 30.0)
    calls = [asked for asked in apple.http.asked if asked.path == "/profile/devices"]
    assert [call.method for call in calls] == ["POST", "PUT", "PUT"]
    assert calls[1].json == {"profile_uuid": "P", "devices": ["A1"]}


async def test_removing_a_profile_is_a_delete_with_a_body(client: Client, apple: Apple) -> None:
    apple.http.script.append(json_reply({"devices": {"A1": "NOT_ACCESSIBLE"}}))
    assert (await client.remove_profile(["A1"])).by_serial == {"A1": "NOT_ACCESSIBLE"}
    assert (apple.http.asked[-1].method, apple.http.asked[-1].json) == ("DELETE", {"devices": ["A1"]})


async def test_defining_a_profile_is_not_repeated_where_it_may_have_happened(
    client: Client, apple: Apple
) -> None:
    defined = json_reply({"profile_uuid": "P1", "devices": {}})
    apple.http.script.extend([word_reply(503, ""), defined])
    assert (await client.define_profile({"profile_name": "x"})).profile_uuid == "P1"
    for unclear in (Reply(fault=Fault.DROP), word_reply(500, ""), Reply(b"{")):
        apple.http.script.extend([unclear, defined])
        before = apple.http.count("/profile")
        with pytest.raises(errors.Transient):
            await client.define_profile({"profile_name": "x"})
        assert apple.http.count("/profile") == before + 1
        apple.http.script.clear()


async def test_a_profile_is_read_by_its_uuid(client: Client, apple: Apple) -> None:
    apple.http.script.append(json_reply({"profile_uuid": "P 1", "new_key": [1]}))
    assert await client.fetch_profile("P 1") == {"profile_uuid": "P 1", "new_key": [1]}
    assert apple.http.asked[-1].query in ("profile_uuid=P%201", "profile_uuid=P+1")


async def test_details_tell_devices_of_this_server_from_others(client: Client, apple: Apple) -> None:
    found = {
        "A1": {"serial_number": "A1", "response_status": "SUCCESS", "model": "Mac"},
        "B2": {"response_status": "NOT_FOUND"},
        "C3": {"response_status": "NOT_ACCESSIBLE"},
        "E5": {"serial_number": "E5", "os": 5, "response_status": "SUCCESS"},
        "Z9": {"serial_number": "Z9", "response_status": "SUCCESS"},
    }
    apple.http.script.append(json_reply({"devices": found}))
    read = await client.device_details(["A1", "B2", "C3", "D4", "E5"], make=serial)
    assert read == {"A1": "A1", "B2": None, "C3": None, "D4": None}


async def test_no_cookie_is_kept_between_calls(client: Client, apple: Apple) -> None:
    apple.http.script.append(json_reply(ACCOUNT, headers={"Set-Cookie": "who=paris; Path=/"}))
    await client.account()
    await client.account()
    assert "cookie" not in apple.http.asked[-1].headers


@pytest.mark.parametrize("token", ["", "with\nline", "späti", "x" * 5000, 7, None])
async def test_a_session_that_cannot_be_sent_is_unreadable(
    apple: Apple, client: Client, token: object
) -> None:
    apple.login_reply = json_reply({"auth_session_token": token})
    with pytest.raises(errors.Unreadable):
        await client.account()


async def test_nothing_secret_shows_in_a_failure(clock: FakeClock) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot send {request.headers.get('authorization')}")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        service = DepService(http, base_url="http://apple.test", clock=clock)
        with pytest.raises(errors.Unreachable) as failure:
            await DepClient(service, credentials=CREDENTIALS, sessions=FakeSessions()).account()
    assert "planted" not in f"{failure.value!r} {failure.value} {CREDENTIALS!r}"
    assert "oauth" not in str(failure.value)
