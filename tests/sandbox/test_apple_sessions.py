"""The stand-in lets in only whom Apple would let in."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import AppleClient, Paris, paris


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Paris]:
    async with paris(clock) as made:
        yield made


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.text


async def test_a_signed_request_opens_a_session_that_answers_calls(world: Paris) -> None:
    account = await world.client.call("GET", "/account")

    assert account.status_code == 200
    assert account.headers["content-type"] == "application/json;charset=UTF8"
    assert account.json()["server_name"] == "paris"
    assert account.json()["admin_id"] == "ade@example.com"
    assert account.json()["server_uuid"] == world.server.server_uuid


async def test_the_account_says_where_pages_are_and_how_long(world: Paris) -> None:
    urls = {url["uri"]: url for url in (await world.client.call("GET", "/account")).json()["urls"]}

    assert urls["/server/devices"]["limit"] == {"default": 1000, "maximum": 1000}
    assert urls["/profile/devices"]["http_method"] == ["DELETE", "POST", "PUT"]


async def test_the_account_below_protocol_3_keeps_the_organisation_to_itself(world: Paris) -> None:
    world.client.headers["X-Server-Protocol-Version"] = "2"

    account = (await world.client.call("GET", "/account")).json()

    assert "org_id_hash" not in account
    assert "urls" not in account
    assert account["org_name"] == "Example Schools"


async def test_the_date_header_is_the_stand_ins_own_clock(world: Paris) -> None:
    world.standin.switches.clock_offset = 3600

    answer = await world.client.call("GET", "/account")

    assert answer.headers["date"] == "Fri, 01 May 2026 10:00:00 GMT"


@pytest.mark.parametrize("agent", ["", "(no product)"])
async def test_a_call_without_a_proper_user_agent_is_refused(world: Paris, agent: str) -> None:
    world.client.headers["User-Agent"] = agent

    status, word = told(await world.client.ask_session())

    assert status == 400
    assert word == ("USER_AGENT_INVALID" if agent else "USER_AGENT_MISSING")


async def test_a_wrong_secret_is_refused(world: Paris) -> None:
    answer = await world.client.ask_session(world.client.authorization(secret="AS_wrong"))

    assert told(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["content-type"] == "text/plain;Charset=UTF8"


async def test_a_nonce_opens_one_session_only(world: Paris) -> None:
    signed = world.client.authorization(nonce="once")

    first = await world.client.ask_session(signed)
    second = await world.client.ask_session(signed)

    assert (first.status_code, second.status_code) == (200, 401)


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 200), (4, 200), (6, 401)])
async def test_a_timestamp_counts_for_five_minutes_either_way(
    world: Paris, minutes: int, status: int
) -> None:
    signed = world.client.authorization(off=timedelta(minutes=minutes))

    assert (await world.client.ask_session(signed)).status_code == status


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("HMAC-SHA1", "PLAINTEXT"),
        ('oauth_version="1.0"', 'oauth_version="2.0"'),
        ("oauth_nonce=", "oauth_other="),
        ("OAuth ", "Bearer "),
        ("OAuth ", 'OAuth oauth_nonce="twice", '),
    ],
)
async def test_parameters_that_are_unknown_doubled_or_missing_are_a_bad_request(
    world: Paris, before: str, after: str
) -> None:
    signed = world.client.authorization().replace(before, after)

    assert (await world.client.ask_session(signed)).status_code == 400


async def test_an_unknown_consumer_key_is_refused(world: Paris) -> None:
    world.client.credentials.consumer_key = "CK_unknown"

    assert told(await world.client.ask_session()) == (401, "UNAUTHORIZED")


async def test_a_replaced_token_is_rejected_and_its_session_ends(world: Paris) -> None:
    world.standin.generate_token(world.server)

    call = await world.client.call("GET", "/account")
    again = await world.client.ask_session()

    assert told(call) == (401, "UNAUTHORIZED")
    assert call.headers["www-authenticate"] == "ADM-Auth-Token"
    assert told(again) == (403, "token_rejected")


async def test_the_word_for_a_replaced_token_can_be_the_other_one_seen(world: Paris) -> None:
    world.standin.switches.replaced_word = "signature_invalid"
    world.standin.generate_token(world.server)

    assert told(await world.client.ask_session()) == (403, "signature_invalid")


async def test_the_new_token_of_a_server_works_with_the_same_consumer_key(world: Paris) -> None:
    before = world.client.credentials
    world.standin.generate_token(world.server, "lea@example.com")
    assert world.server.credentials is not None
    renewed = AppleClient(world.client.http, world.client.clock, world.server.credentials, nonces=100)

    await renewed.open_session()
    account = (await renewed.call("GET", "/account")).json()

    assert renewed.credentials.consumer_key == before.consumer_key
    assert renewed.credentials.access_token != before.access_token
    assert account["admin_id"] == "lea@example.com"
    assert account["server_uuid"] == world.server.server_uuid


async def test_a_token_that_apple_ended_is_rejected_until_taken_back(world: Paris) -> None:
    world.standin.reject_token("paris")
    rejected = await world.client.ask_session()
    world.standin.reject_token("paris", rejected=False)

    assert told(rejected) == (403, "token_rejected")
    assert (await world.client.ask_session()).status_code == 200


async def test_a_token_past_its_expiry_is_refused(world: Paris, clock: FakeClock) -> None:
    clock.move(timedelta(days=365, seconds=-1))
    before = await world.client.ask_session()
    clock.move(timedelta(seconds=1))

    assert before.status_code == 200
    assert told(await world.client.ask_session()) == (401, "UNAUTHORIZED")


async def test_terms_not_signed_close_sessions_and_calls_until_signed(world: Paris) -> None:
    world.standin.sign_terms(signed=False)
    refused = [await world.client.ask_session(), await world.client.call("GET", "/account")]
    world.standin.sign_terms()

    assert [told(answer) for answer in refused] == [(403, "T_C_NOT_SIGNED")] * 2
    assert (await world.client.call("GET", "/account")).status_code == 200


async def test_a_wrong_signature_is_told_before_terms(world: Paris) -> None:
    world.standin.sign_terms(signed=False)

    answer = await world.client.ask_session(world.client.authorization(secret="AS_wrong"))

    assert told(answer) == (401, "UNAUTHORIZED")


async def test_a_denied_server_may_do_nothing(world: Paris) -> None:
    world.standin.deny("paris")

    assert told(await world.client.call("GET", "/account")) == (403, "ACCESS_DENIED")


async def test_a_session_ends_after_its_life(world: Paris, clock: FakeClock) -> None:
    clock.move(timedelta(seconds=world.standin.switches.session_life))

    ended = await world.client.call("GET", "/account")
    await world.client.open_session()

    assert told(ended) == (401, "UNAUTHORIZED")
    assert (await world.client.call("GET", "/account")).status_code == 200


async def test_a_session_token_is_renewed_on_the_way(world: Paris, clock: FakeClock) -> None:
    world.standin.switches.rotate_every = 2
    old = world.client.headers["X-ADM-Auth-Session"]

    first, second = [await world.client.call("GET", "/account") for _ in range(2)]
    fresh = second.headers["x-adm-auth-session"]
    clock.move(timedelta(seconds=world.standin.switches.rotation_grace))
    late = await world.client.call("GET", "/account")
    world.client.headers["X-ADM-Auth-Session"] = fresh

    assert "x-adm-auth-session" not in first.headers
    assert fresh != old
    assert late.status_code == 401
    assert (await world.client.call("GET", "/account")).status_code == 200


async def test_one_session_at_a_time_can_be_switched_on(world: Paris) -> None:
    world.standin.switches.single_session = True
    await world.client.ask_session()

    assert (await world.client.call("GET", "/account")).status_code == 401


async def test_a_call_without_a_session_is_refused(world: Paris) -> None:
    del world.client.headers["X-ADM-Auth-Session"]

    assert told(await world.client.call("GET", "/account")) == (401, "UNAUTHORIZED")


async def test_a_wrong_method_is_refused_and_an_unknown_path_not_found(world: Paris) -> None:
    wrong = await world.client.call("GET", "/devices/sync")
    unknown = await world.client.call("GET", "/profiles")

    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert unknown.status_code == 404
