"""Bad input at the bot's own web app: refused, answered calmly, and never done for who may not.

`ENROLLBOT_TEST_EXAMPLES=10000` looks longer.
"""

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.kit.actor import Actor
from bot.sandbox.slack import people
from bot.sandbox.slack.delivery import FORM
from bot.slack.edge import sign
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, open_furnished, open_house
from tests.flows.conftest import Furnished, furnished, left_behind, migrated_file

__all__ = ["furnished", "left_behind", "migrated_file"]

EXAMPLES = int(os.environ.get("ENROLLBOT_TEST_EXAMPLES", "25"))
JSON = "application/json"
Headers = dict[str, str | None]
one_house = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
fewer = settings(one_house, max_examples=max(EXAMPLES // 3, 1))


@pytest.fixture
def with_three(furnished: Furnished) -> Path:
    return furnished(3)


@pytest.fixture
async def house(with_three: Path, clock: FakeClock) -> AsyncIterator[House]:
    async with open_furnished(with_three, clock) as running:
        yield running
        assert running.slack.complaints == []


# Who is not Slack, and what Slack does not send


async def post(
    house: House, body: bytes, kind: str = FORM, *, headers: Headers | None = None
) -> httpx.Response:
    """Send a body to the bot, signed as Slack does; `headers` change or (None) leave out."""
    stamp = str(int(house.clock.now().timestamp()))
    secret = house.settings.slack_signing_secret or SecretStr("")
    given: Headers = {
        "content_type": kind,
        "x_slack_request_timestamp": stamp,
        "x_slack_signature": sign(secret, stamp.encode(), body).decode(),
        **(headers or {}),
    }
    sent = {key.replace("_", "-"): value for key, value in given.items() if value is not None}
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        response = await client.post(f"{house.url}/slack/events", content=body, headers=sent)
    await house.quiet()
    return response


ADDING = "token add lyon --apple-id ade@example.com --agree"


def command(house: House, text: str, *, user_id: str = people.ANA) -> dict[str, str]:
    return {
        "command": "/enroll",
        "text": text.encode("utf-8", "replace").decode(),
        "user_id": user_id,
        "team_id": "T0SANDBOX",
        "channel_id": people.ENROLLMENT_CHANNEL,
        "trigger_id": house.slack.surfaces.trigger(user_id),
        "response_url": house.slack.hooks.new(person=user_id, channel=people.ENROLLMENT_CHANNEL),
    }


def adding(house: House) -> bytes:
    """A command that changes something and answers."""
    return urlencode(command(house, ADDING)).encode()


async def test_the_same_command_signed_by_slack_is_done(house: House) -> None:
    response = await post(house, adding(house))
    assert (response.status_code, response.content) == (200, b"")
    assert ("U0ANA", "token.added", "lyon") in await house.acts()


NOT_SLACK: list[Headers] = [
    {"x_slack_signature": None},
    {"x_slack_signature": ""},
    {"x_slack_signature": "v0=" + "0" * 64},
    {"x_slack_signature": "v1=" + "0" * 64},
    {"x_slack_request_timestamp": None},
    {"x_slack_request_timestamp": "x"},
    {"x_slack_request_timestamp": "1e9"},
    {"x_slack_request_timestamp": "-5"},
    {"x_slack_request_timestamp": "9" * 30},
    {"x_slack_request_timestamp": None, "x_slack_signature": None},
    {"x_slack_request_timestamp": "x", "x_slack_signature": None},
]


async def test_who_is_not_slack_is_turned_away_and_changes_nothing(house: House) -> None:
    before, sent = await house.contents(), len(house.tap.bodies)
    for headers in NOT_SLACK:
        response = await post(house, adding(house), headers=headers)
        assert (response.status_code, response.content) == (401, b""), headers
    assert await house.contents() == before
    assert len(house.tap.bodies) == sent


async def test_a_recorded_request_is_refused_after_five_minutes(house: House) -> None:
    body = adding(house)
    stamp = str(int(house.clock.now().timestamp()))
    signature = sign(SecretStr(house.slack.signing_secret), stamp.encode(), body).decode()
    house.clock.move(timedelta(minutes=5, seconds=1))
    before = await house.contents()
    headers: Headers = {"x_slack_request_timestamp": stamp, "x_slack_signature": signature}
    assert (await post(house, body, headers=headers)).status_code == 401
    assert await house.contents() == before


async def test_a_signature_of_another_body_or_secret_is_refused(house: House) -> None:
    body, before = adding(house), await house.contents()
    stamp = str(int(house.clock.now().timestamp())).encode()
    for other in (
        sign(SecretStr(house.slack.signing_secret), stamp, body + b"&x=1"),
        sign(SecretStr("another secret"), stamp, body),
    ):
        response = await post(house, body, headers={"x_slack_signature": other.decode()})
        assert response.status_code == 401
    assert await house.contents() == before


async def test_what_comes_unsigned_is_not_even_read(house: House) -> None:
    headers: Headers = {"x_slack_signature": None, "x_slack_request_timestamp": "x"}
    for body in (b"ssl_check=1", b"ssl_check=1&token=x", b"payload={", b"payload=null", b"payload=[]"):
        assert (await post(house, body, headers=headers)).status_code == 401, body


WRONG_SHAPES = [
    (b"payload={", FORM),
    (b"payload=null", FORM),
    (b"payload=[]", FORM),
    (b"payload=", FORM),
    (b"payload=" + b"[" * 50_000, FORM),
    (b'payload={"type":"block_actions"}', FORM),
    (b'payload={"type":"view_submission","user":{"id":"U0ANA"},"view":[]}', FORM),
    (b"command=/enroll&text=status", FORM),
    (b"ssl_check=1", FORM),
    (b"", FORM),
    (b"\xff\xfe", FORM),
    (b"null", JSON),
    (b"[]", JSON),
    (b"{", JSON),
    (b'{"type":"event_callback"}', JSON),
    (b"{}", "text/plain"),
]


async def test_a_signed_body_of_the_wrong_shape_gets_400(house: House) -> None:
    before = await house.contents()
    for body, kind in WRONG_SHAPES:
        assert (await post(house, body, kind)).status_code == 400, (body[:80], kind)
    assert await house.contents() == before


async def test_an_unknown_type_gets_200_and_nothing(house: House) -> None:
    sent = len(house.tap.bodies)
    for told in ({"type": "app_rate_limited"}, {"type": "from_the_future", "user": 1}, {"type": "shortcut"}):
        response = await post(house, json.dumps(told).encode(), JSON)
        assert (response.status_code, response.content) == (200, b""), told
    assert len(house.tap.bodies) == sent


# What people and their devices may send

ODD = st.sampled_from(
    [
        *(
            "“paris”",
            "‘x",
            "—full",
            "–-new-key",
            "<@U0BEN|ben>",
            "<#C0ENROLL|ops>",
            "<!channel>",
            "&lt;!here&gt;",
        ),
        *(
            "<mailto:a@b.fr|a@b.fr>",
            "<https://x.example|x>",
            "<",
            "<@",
            "<!subteam^S0MDM>",
            "\u202e",
            "\x00",
            "🍏",
        ),
        *(
            "'; DROP TABLE token; --",
            "{server}",
            "{0}",
            "%s",
            "../..",
            "*",
            "`",
            "%",
            "_",
            "\\",
            '"',
            "a" * 3000,
        ),
        *(
            "1E5",
            "007",
            "NaN",
            "token:paris",
            "token:",
            "-token:paris",
            "added:99999d",
            "added:-1d",
            "removed:yes",
        ),
        *(
            "removed:2026-13-45",
            "status:x",
            'model:"iPad Air"',
            'model:"',
            "os:%",
            "::",
            ":x",
            "tag:*",
            "-",
            "--",
        ),
    ]
)
NOUNS = ["", "status", "help", "token", "tokens", "sync", "device", "devices", "profile", "audit", "hlep"]
VERBS = ["", "list", "show", "add", "upload", "renew", "set", "tag", "remove", "forget", "lsit", "paris"]
OPTIONS = st.sampled_from(
    [
        *(
            "--apple-id",
            "--apple-id=ade@example.com",
            "--agree",
            "--agree=1",
            "--new-key",
            "--full",
            "--help",
        ),
        *(
            "--mdm-url",
            "--mdm-url=https://m.example",
            "--channel",
            "--owner",
            "--warn",
            "--warn=1,2,x",
            "--tags=a,b",
        ),
        *(
            "--warn=99999999999999999999",
            "--owner=none",
            "--nonsense",
            "--mdm-url=https://[::1",
            "--tags=,,;",
        ),
    ]
)
NAMES = st.sampled_from(["paris", "PARIS", "lyon", "p", "paris!", "none", "0D1VGUCM0C", "a,b;c", "x" * 41])
ARGUMENTS = st.lists(ODD | OPTIONS | NAMES | st.text(max_size=20), max_size=4)
COMMANDS = st.builds(
    lambda noun, verb, rest: " ".join([noun, verb, *rest]).strip(),
    st.sampled_from(NOUNS),
    st.sampled_from(VERBS),
    ARGUMENTS,
) | st.text(max_size=200)


async def types(house: House, user_id: str, text: str) -> None:
    """Send a command; it is acknowledged at once, answered with something, and without a crash."""
    sent = len(house.tap.bodies)
    answer = await house.slack.courier.send_form(command(house, text, user_id=user_id))
    assert (answer.failure, answer.status, answer.body) == (None, 200, b"")
    await house.quiet()
    calm(house, since=sent)
    assert any(house.tap.bodies[sent:]), "nobody answered"


async def token_id(house: House) -> str:
    tokens = await house.bot.services.tokens.list_tokens(actor=Actor.job("test"))
    return next(token.id for token in tokens if token.name == "paris")


def close_modals(house: House) -> None:
    """Close what was opened: Slack stacks no more than three."""
    house.slack.workspace.set_modals(people.ANA, [])


def calm(house: House, *, since: int) -> None:
    said = b"\n".join(house.tap.bodies[since:])
    assert b"Something went wrong" not in said
    assert b"Traceback" not in said


@one_house
@given(text=COMMANDS)
@example(text="token set paris --warn=1,2,x --owner")
@example(text="device forget " + " ".join(f"S{n}" for n in range(1500)))
async def test_any_command_of_an_admin_is_answered_calmly(house: House, text: str) -> None:
    await types(house, people.ANA, text)
    close_modals(house)


@one_house
@given(text=COMMANDS)
@example(text="token remove paris")
@example(text="token add lyon --apple-id ade@example.com --agree")
@example(text="token renew paris --new-key")
@example(text="sync paris")
async def test_no_command_of_a_viewer_changes_anything(house: House, text: str) -> None:
    before = await house.contents()
    await types(house, people.CLEO, text)
    assert await house.contents() == before
    assert house.slack.workspace.modals(people.CLEO) == []


#: No button of the bot, any more or ever.
UNKNOWN = ("gone.long.ago", "")
EXPORTS = frozenset(
    {"device.export", "home.tokens.export", "audit.export", "deadline.export", "request.list.export"}
)
VALUES = (
    st.text(max_size=60)
    | st.sampled_from(["PARIS-ID", "0D1VGUCM0C", "null", "[]", '{"q":1}', '{"q":"token:\\"","after":"x"}'])
    | st.builds(
        lambda query, after, before: json.dumps({"q": query, "after": after, "before": before}),
        st.text(max_size=30) | st.none() | st.integers(),
        st.text(max_size=10) | st.none() | st.lists(st.integers(), max_size=2),
        st.text(max_size=10) | st.none(),
    )
)


@one_house
@given(which=st.integers(min_value=0, max_value=999), value=VALUES, is_admin=st.booleans())
async def test_any_button_is_answered_calmly_and_obeys_the_role_alone(
    house: House, which: int, value: str, is_admin: bool
) -> None:
    known = [*house.bot.router.actions, *UNKNOWN]
    action_id = known[which % len(known)]
    paris = await token_id(house)
    sent, before = len(house.tap.bodies), await house.contents()
    who = people.ANA if is_admin else people.CLEO
    answer = await house.forges(who, action_id, value.replace("PARIS-ID", paris))
    assert answer.status in (200, 400)
    calm(house, since=sent)
    if not is_admin and action_id not in EXPORTS:
        assert await house.contents() == before
    close_modals(house)


async def test_characters_that_a_database_cannot_hold_are_answered_calmly(
    postgres_url: str, clock: FakeClock
) -> None:
    async with open_house(postgres_url, clock) as house:
        await house.has_token("paris", devices=3)
        sent, before = len(house.tap.bodies), await house.contents()
        for action_id in set(house.bot.router.actions) - EXPORTS:
            for value in ("A\x00", '{"q":"model:\\u0000","after":"\\u0000"}', "\u202e" + "😀" * 80):
                answer = await house.forges(people.ANA, action_id, value)
                assert answer.status in (200, 400)
                close_modals(house)
        for callback_id in house.bot.router.submissions:
            await house.submits(people.ANA, callback_id, "A\x00", {"name": {"value": {"value": "A\x00"}}})
            close_modals(house)
        for text in ("token show A\x00", "device list model:\x00", "device show \x00A"):
            await types(house, people.ANA, text)
        calm(house, since=sent)
        # Opening a form leaves a draft of what stands in it.
        after = {**await house.contents(), "profile_draft": before["profile_draft"]}
        assert after == before


ENTRY = (
    st.builds(lambda value: {"value": value}, st.text(max_size=60) | st.none() | st.integers())
    | st.builds(
        lambda options: {"selected_options": options}, st.lists(st.just({"value": "agree"}), max_size=2)
    )
    | st.builds(
        lambda url, size: {"type": "file_input", "files": [{"id": "F1", "url_private": url, "size": size}]},
        st.sampled_from(
            ["http://169.254.169.254/x", "file:///etc/passwd", "https://evil.example/x", "", "::", "//"]
        ),
        st.integers() | st.none() | st.text(max_size=5),
    )
    | st.sampled_from(
        [{"files": []}, {"files": ["F0NONE"]}, {"files": [None]}, {"files": {}}, {}, {"value": []}]
    )
)
STATE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("name", "apple_id", "mdm_url", "tags", "agree", "file"), ENTRY.map(lambda e: {"v": e})
    ),
)


@one_house
@given(
    callback_id=st.sampled_from(["token.add", "token.upload", "token.remove", "gone"]),
    metadata=st.text(max_size=40)
    | st.sampled_from(["PARIS-ID", "{}", '{"in":1,"of":2}', '{"in":"C","of":"x"}']),
    state=STATE,
    is_admin=st.booleans(),
)
async def test_any_modal_is_answered_calmly_and_obeys_the_role_alone(
    house: House, callback_id: str, metadata: str, state: dict[str, Any], is_admin: bool
) -> None:
    paris = await token_id(house)
    sent, before = len(house.tap.bodies), await house.contents()
    who = people.ANA if is_admin else people.CLEO
    answer = await house.submits(who, callback_id, metadata.replace("PARIS-ID", paris), state)
    assert answer.status == 200
    assert b"Something went wrong" not in answer.body
    calm(house, since=sent)
    if not is_admin:
        assert await house.contents() == before


@fewer
@given(data=st.data())
async def test_any_file_is_refused_with_a_sentence_and_nothing_stored(
    house: House, data: st.DataObject
) -> None:
    good = house.apple.generate_token("paris")[1]
    content = data.draw(spoilt(good))
    before = await house.contents()
    await house.types(house.ana, "/enroll token upload paris")
    heard = await house.uploads(house.ana, content)
    assert heard.modal is not None
    assert "Something went wrong" not in heard.modal.text
    if "Token paris renewed" not in heard.modal.text:
        assert "Nothing was changed" in heard.modal.text or "Nothing was stored" in heard.modal.text
        after = await house.contents()
        assert {table for table in after if after[table] != before[table]} <= {"token"}
        assert after["token_secret"] == before["token_secret"]
    await house.ana.closes()
    house.clock.move(timedelta(seconds=1))


def spoilt(good: bytes) -> st.SearchStrategy[bytes]:
    """Return files like a good one, with bytes cut off, changed or put in, and any others."""
    at = st.integers(0, len(good) - 1)
    return (
        st.binary(min_size=1, max_size=300)
        | at.map(lambda end: good[: end + 1])
        | st.builds(
            lambda where, byte: good[:where] + bytes([byte]) + good[where + 1 :], at, st.integers(0, 255)
        )
        | st.builds(lambda where, more: good[:where] + more + good[where:], at, st.binary(max_size=20))
        | st.sampled_from(
            [good.replace(b"\n", b"\r\n"), good + good, b"\xef\xbb\xbf" + good, b"\0" * 10_000_000]
        )
    )
