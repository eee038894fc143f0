"""A calendar of expiry dates, subscribed to over HTTP."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.kit.actor import Actor, Role
from bot.outside import web
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_furnished
from tests.flows.conftest import Furnished, House

SETUP = Actor.cli("setup")


@pytest.fixture
def with_three(furnished: Furnished) -> Path:
    return furnished(3)


@pytest.fixture
async def public(with_three: Path, clock: FakeClock) -> AsyncIterator[House]:
    async with open_furnished(
        with_three, clock, default_role="none", public_url="https://enrollbot.example.com"
    ) as running:
        await running.bot.services.access.grant(people.BEN, role=Role.VIEWER, tags=None, actor=SETUP)
        yield running


async def link_of(house: House) -> str:
    """Have Ben make a link; returns its path."""
    heard = await house.types(house.ben, "/enroll watch calendar")
    assert "in your direct messages" in heard
    found = re.findall(r"https://enrollbot\.example\.com(/calendar/[\w-]+\.ics)", heard.text)
    assert len(set(found)) == 1
    return str(found[0])


async def get(house: House, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, house.url + path)


async def test_a_link_shows_what_its_maker_may_see_at_that_moment(public: House) -> None:
    await public.types(public.ana, "/enroll watch add contract 2027-03-01 --tags hq")
    path = await link_of(public)
    answer = await get(public, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "no-store" in answer.headers["cache-control"]
    assert "SUMMARY:Token paris expires\r\n" in answer.text
    assert "DTSTART;VALUE=DATE:20270301\r\nSUMMARY:contract is due\r\n" in answer.text
    assert (await get(public, path, "HEAD")).status_code == 200
    access = public.bot.services.access
    await access.revoke(people.BEN, role=Role.VIEWER, actor=SETUP)
    await access.grant(people.BEN, role=Role.VIEWER, tags=frozenset({"hq"}), actor=SETUP)
    limited = (await get(public, path)).text
    assert "contract" in limited
    assert "paris" not in limited
    await access.revoke(people.BEN, role=Role.VIEWER, actor=SETUP)
    closed = await get(public, path)
    assert (closed.status_code, "contract" in closed.text) == (403, False)


async def test_a_revoked_link_and_one_that_was_never_made_look_the_same(public: House) -> None:
    path = await link_of(public)
    secret = path.split("/")[2].removesuffix(".ics")
    assert secret not in str(await public.contents())
    assert "Your calendar link is ended" in await public.types(public.ben, "/enroll watch calendar --revoke")
    answers = [await get(public, each) for each in (path, f"/calendar/{'A' * 43}.ics", "/calendar/x%00.ics")]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.text for answer in answers}) == 1
    assert (await get(public, path, "POST")).status_code == 405


async def test_too_many_reads_in_a_minute_are_refused(public: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "A_MINUTE", 2)
    path = await link_of(public)
    assert [(await get(public, path)).status_code for _ in range(3)] == [200, 200, 429]
    await public.clock.sleep(60)
    assert (await get(public, path)).status_code == 200


async def test_without_a_public_address_there_is_no_link(house: House) -> None:
    heard = await house.types(house.ana, "/enroll watch calendar")
    assert "ENROLLBOT_PUBLIC_URL" in heard
