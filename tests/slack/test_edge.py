import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.kit.actor import Role
from bot.slack.call import Call
from bot.slack.edge import MAX_BODY, Edge, Reply, SigningSecretMissing, sign
from bot.slack.payloads import Payload
from tests.fakes.clock import FakeClock
from tests.slack.bot import FORM, SECRET, Bot

same_bot = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@pytest.fixture
def ran(bot: Bot) -> list[str]:
    """The commands that ran."""
    seen: list[str] = []

    async def note(call: Call) -> None:
        seen.append(call.user_id)

    bot.router.command("status", role=Role.VIEWER, usage="status", summary="", handler=note)
    return seen


def headers_of(bot: Bot, body: bytes, *, age: timedelta = timedelta()) -> dict[str, str]:
    stamp = str(int((bot.clock.now() - age).timestamp()))
    return {
        "content-type": FORM,
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": sign(SECRET, stamp.encode(), body).decode(),
    }


async def test_a_signed_command_is_acknowledged_and_run(bot: Bot, ran: list[str]) -> None:
    response = await bot.command("status")
    assert (response.status_code, response.content, ran) == (200, b"", ["UADMIN"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"x-slack-signature": "v0=" + "0" * 64},
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0=é"},
        {"x-slack-request-timestamp": "x"},
        {"x-slack-request-timestamp": ""},
        {"x-slack-request-timestamp": "1e9"},
        {"x-slack-request-timestamp": "-1"},
        {"x-slack-request-timestamp": "9" * 400},
    ],
)
async def test_who_is_not_slack_gets_no_further(bot: Bot, ran: list[str], wrong: dict[str, str]) -> None:
    body = urlencode(bot.command_fields("status")).encode()
    encoded = {key: value.encode("latin-1") for key, value in (headers_of(bot, body) | wrong).items()}
    response = await bot.send_raw(body, encoded)  # type: ignore[arg-type]
    await bot.background.idle()
    assert (response.status_code, ran) == (401, [])


async def test_an_unsigned_request_gets_no_further(bot: Bot, ran: list[str]) -> None:
    response = await bot.send_raw(b"ssl_check=1&token=x", {"content-type": FORM})
    assert (response.status_code, ran) == (401, [])


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(minutes=5), 200),
        (timedelta(minutes=5, seconds=1), 401),
        (timedelta(minutes=-5, seconds=-1), 401),
    ],
)
async def test_a_request_counts_for_five_minutes(
    bot: Bot, ran: list[str], age: timedelta, status: int
) -> None:
    body = urlencode(bot.command_fields("status")).encode()
    response = await bot.send_raw(body, headers_of(bot, body, age=age))
    await bot.background.idle()
    assert (response.status_code, len(ran)) == (status, 1 if status == 200 else 0)


async def test_a_changed_body_gets_no_further(bot: Bot, ran: list[str]) -> None:
    body = urlencode(bot.command_fields("status")).encode()
    response = await bot.send_raw(body + b"&user_id=UX", headers_of(bot, body))
    assert (response.status_code, ran) == (401, [])


@pytest.mark.parametrize(
    "body",
    [
        b"payload=%7B",
        b"payload=null",
        b"payload=[]",
        b"payload=1",
        b"payload=",
        b'payload={"type":1}',
        b'payload={"type":"block_actions"}',
        b'payload={"type":"block_actions","user":{"id":"U1"},"trigger_id":"1","actions":[]}',
        b'payload={"type":"block_actions","user":[],"trigger_id":"1","actions":[{"action_id":"a"}]}',
        b'payload={"type":"view_submission","user":{"id":"U1"},"view":null}',
        b'payload={"type":"view_submission","user":{"id":"U1"},"view":{"id":"V","state":{"values":[]}}}',
        b'payload={"type":"view_submission","user":{"id":"\\ud800"},"view":{"id":"V"}}',
        b"payload=" + b"[" * 100_000,
        b"command=/enroll&text=status",
        b"ssl_check=1",
        b"\xff\xfe",
        b"command=%ff",
        b"",
        b"&".join(b"a=1" for _ in range(101)),
    ],
)
async def test_a_signed_body_of_the_wrong_shape_is_refused(bot: Bot, body: bytes) -> None:
    assert (await bot.send(body)).status_code == 400


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "", "application/xml"])
async def test_a_signed_body_of_another_content_type_is_refused(bot: Bot, kind: str) -> None:
    assert (await bot.send(b"{}", kind)).status_code == 400


@pytest.mark.parametrize("body", [b"{", b"null", b"[]", b"{}", b'{"type":"event_callback"}', b"1" * 5000])
async def test_a_signed_event_of_the_wrong_shape_is_refused(bot: Bot, body: bytes) -> None:
    assert (await bot.send(body, "application/json")).status_code == 400


@pytest.mark.parametrize(
    "told",
    [
        {"type": "app_rate_limited"},
        {"type": "something_new"},
        {"type": "event_callback", "event_id": "E1", "event": {"type": "star_added", "user": {"id": "U1"}}},
    ],
)
async def test_an_unknown_type_is_answered_with_nothing(bot: Bot, told: dict[str, Any]) -> None:
    response = await bot.send(json.dumps(told).encode(), "application/json; charset=utf-8")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("kind", ["block_suggestion", "message_action", "shortcut"])
async def test_an_unknown_interaction_is_answered_with_nothing(bot: Bot, kind: str) -> None:
    response = await bot.interact({"type": kind, "callback_id": "lookup", "trigger_id": "1.2.3"})
    assert (response.status_code, response.content) == (200, b"")


async def test_another_command_is_answered_with_nothing(bot: Bot, ran: list[str]) -> None:
    response = await bot.command("status", command="/other")
    assert (response.status_code, response.content, ran) == (200, b"", [])


async def test_slack_is_told_that_the_address_is_ours(bot: Bot) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw"}).encode()
    response = await bot.send(body, "application/json")
    assert (response.status_code, response.json()) == (200, {"challenge": "3eZbrw"})


async def test_a_body_over_a_mebibyte_is_refused(bot: Bot) -> None:
    assert (await bot.send(b"a" * (MAX_BODY + 1))).status_code == 413


async def test_other_methods_are_refused(bot: Bot) -> None:
    assert (await bot.send_raw(b"", {}, method="GET")).status_code == 405


async def test_without_a_signing_secret_there_is_no_door(clock: FakeClock) -> None:
    async def take(_payload: Payload) -> Reply:
        return Reply()

    with pytest.raises(SigningSecretMissing):
        Edge(signing_secret=SecretStr(" "), clock=clock, take=take)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "user",
    "team",
    "channel",
    "view",
    "actions",
    "trigger_id",
    "response_url",
    "event",
    "event_id",
    "container",
    "message",
    "authorizations",
    "enterprise",
    "is_enterprise_install",
    "bot_id",
    "function_data",
]
TYPES = ["block_actions", "view_submission", "view_closed", "event_callback", "shortcut", "url_verification"]
payloads = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(KEYS), json_values),
)


@same_bot
@given(body=st.binary(max_size=200))
async def test_any_signed_bytes_are_answered_without_a_failure(bot: Bot, body: bytes) -> None:
    for kind in (FORM, "application/json"):
        assert (await bot.send(body, kind)).status_code in {200, 400}


@same_bot
@given(payload=payloads, odd=json_values)
async def test_any_signed_payload_is_answered_without_a_failure(
    bot: Bot, payload: dict[str, Any], odd: Any
) -> None:
    whole = {
        "user": {"id": "UADMIN"},
        "trigger_id": "1",
        "actions": [{"action_id": "a", "value": "v"}],
        "view": {"id": "V1", "callback_id": "c"},
        "event_id": "E1",
        "event": {"type": "app_home_opened", "user": "UADMIN", "extra": odd},
        "challenge": "c",
    }
    for told in (payload, whole | payload, whole | {"type": payload["type"], "message": odd, "team": None}):
        form = urlencode({"payload": json.dumps(told)}).encode()
        assert (await bot.send(form)).status_code in {200, 400}
        assert (await bot.send(json.dumps(told).encode(), "application/json")).status_code in {200, 400}
    await bot.background.idle()


@same_bot
@given(text=st.text(max_size=200))
async def test_any_command_is_acknowledged_and_answered_without_a_failure(
    bot: Bot, ran: list[str], text: str
) -> None:
    response = await bot.command(text.encode("utf-8", "ignore").decode())
    assert (response.status_code, response.content) == (200, b"")
    assert not any("went wrong" in answer["text"] for answer in bot.web.answers)
