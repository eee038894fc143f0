"""The stand-in misbehaves as planned, and keeps a log without secrets."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.sandbox.apple import Logged
from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import Paris, paris


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Paris]:
    async with paris(clock, devices=30) as made:
        yield made


async def page(world: Paris, **body: object) -> httpx.Response:
    return await world.client.post("/server/devices", {"limit": 10, **body})


@pytest.mark.parametrize(("kind", "waits"), [("429", "7"), ("503", "7"), ("500", None)])
async def test_a_page_is_refused_as_often_as_planned(world: Paris, kind: str, waits: str | None) -> None:
    world.standin.faults.plan(kind, times=2, retry_after="7")

    answers = [await page(world) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [int(kind), int(kind), 200]
    assert answers[0].headers.get("retry-after") == waits
    assert answers[0].content == b""


async def test_a_fault_spares_the_first_calls_and_other_paths(world: Paris) -> None:
    world.standin.faults.plan("500", after=1)

    answers = [await page(world), await world.client.call("GET", "/account"), await page(world)]

    assert [answer.status_code for answer in answers] == [200, 200, 500]


async def test_a_fault_can_be_for_one_path_or_for_all(world: Paris) -> None:
    world.standin.faults.plan("503", path="/session", times=1)
    world.standin.faults.plan("500", path="*", times=1)

    session = await world.client.ask_session()
    account = await world.client.call("GET", "/account")

    assert (session.status_code, account.status_code) == (503, 500)


async def test_a_fraction_hits_some_calls_the_same_ones_each_time(world: Paris, clock: FakeClock) -> None:
    async def hits(made: Paris) -> list[int]:
        made.standin.faults.plan("500", fraction=0.5)
        return [(await page(made)).status_code for _ in range(20)]

    first = await hits(world)
    async with paris(clock, devices=30) as again:
        assert await hits(again) == first
    assert set(first) == {200, 500}


async def test_a_connection_is_closed_without_an_answer(world: Paris) -> None:
    world.standin.faults.plan("close", times=1)

    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        await page(world)

    assert (await page(world)).status_code == 200


async def test_half_a_page_ends_in_a_closed_connection(world: Paris) -> None:
    world.standin.faults.plan("half", times=1)

    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        await page(world)

    assert (await page(world)).status_code == 200


async def test_a_stalled_call_is_never_answered(world: Paris) -> None:
    world.standin.faults.plan("stall", times=1)

    with pytest.raises(httpx.ReadTimeout):
        await world.client.http.post(
            "/server/devices", json={}, headers=world.client.headers, timeout=httpx.Timeout(5, read=0.05)
        )

    assert (await page(world)).status_code == 200


async def test_html_comes_with_status_200(world: Paris) -> None:
    world.standin.faults.plan("html", times=1)

    answer = await page(world)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html"


async def test_a_page_repeats_its_cursor(world: Paris) -> None:
    first = (await page(world)).json()
    world.standin.faults.plan("repeat_cursor")

    again = (await page(world, cursor=first["cursor"])).json()

    assert (again["cursor"], again["more_to_follow"]) == (first["cursor"], True)
    assert len(again["devices"]) == 10


async def test_slow_pages_take_the_time_of_the_clock(world: Paris, clock: FakeClock) -> None:
    world.standin.switches.slow_page_ms = 1500

    await page(world)
    await world.client.call("GET", "/account")

    assert clock.sleeps == [1.5]


async def test_a_stand_in_answers_two_calls_at_a_time(world: Paris) -> None:
    world.standin.faults.plan("stall", times=1)
    arrived = asyncio.Event()
    world.standin.log.listeners.append(lambda _: arrived.set())
    stalled = asyncio.create_task(page(world))

    async with asyncio.timeout(5):
        await arrived.wait()
        answer = await page(world)
    stalled.cancel()

    assert answer.status_code == 200


async def test_the_log_says_what_was_asked_and_answered_without_secrets(world: Paris) -> None:
    heard: list[Logged] = []
    world.standin.log.listeners.append(heard.append)
    cursor = (await page(world)).json()["cursor"]
    await page(world, cursor=cursor)
    await world.client.call("GET", "/profile")
    await world.client.ask_session()

    told = [(e.method, e.path, e.status, e.server, e.request, e.answer) for e in heard]
    made = world.client.credentials
    secrets = (made.consumer_secret, made.access_token, made.access_secret, cursor)
    assert told == [
        ("POST", "/server/devices", 200, "paris", "limit 10", "10 devices, more to follow"),
        ("POST", "/server/devices", 200, "paris", "limit 10, from a cursor", "10 devices, more to follow"),
        ("GET", "/profile", 400, "paris", "", "PROFILE_UUID_REQUIRED"),
        ("GET", "/session", 200, "paris", "", "a session"),
    ]
    assert not any(secret in repr(world.standin.log.since(0)) for secret in secrets)
    assert world.standin.log.since(heard[-2].number) == heard[-1:]
    assert world.client.headers["X-ADM-Auth-Session"] not in repr(heard)


async def test_the_log_counts_calls_that_got_no_answer(world: Paris) -> None:
    world.standin.faults.plan("close", times=1)
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        await page(world)
    await page(world)

    assert world.standin.log.count("/server/devices") == 2
    assert world.standin.log.count("/server/devices", status=0) == 1
