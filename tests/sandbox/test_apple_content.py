"""Apps and Books of the stand-in: what it answers and refuses, its pages and its switches."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.backend.apple_content import COMPANY_PORTAL, AppleContent
from bot.backend.content import ContentTokenExpired, ContentTokenRevoked, ContentUnavailable
from bot.sandbox.apple import AppleStandIn, NotPossible, serve
from bot.sandbox.apple.apps import UNLIMITED
from bot.sandbox.apple.content_service import BASE, LOOKUP
from tests.fakes.clock import FakeClock

APPS = 250
HQ = "Example HQ"


@dataclass
class Office:
    """A location with a token in somebody's hands, the stand-in over HTTP, and the bot's own client of it."""

    apple: AppleStandIn
    http: httpx.AsyncClient
    backend: AppleContent
    clock: FakeClock
    file: bytes

    async def get(self, path: str, token: str | None = None, **query: str) -> httpx.Response:
        shown = self.file.decode().strip() if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        return await self.http.get(BASE + path, params=query, headers=headers)

    async def order(self, name: str, **body: object) -> httpx.Response:
        return await self.http.post(f"/_control/{name}", json=body)


@pytest.fixture
async def office(clock: FakeClock) -> AsyncIterator[Office]:
    apple = AppleStandIn(clock)
    organisation = apple.create_organisation("Example Trust")
    apple.content.create(HQ, org_id=organisation.org_id, apps=APPS - 1, portal=(500, 483))
    async with (
        serve(apple) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
        AppleContent.open(url + BASE, clock=clock) as backend,
    ):
        yield Office(apple, http, backend, clock, apple.content.generate_token(HQ)[1])
    apple.close()


async def test_the_bot_reads_every_app_of_a_location_with_its_name(office: Office) -> None:
    token = office.backend.read_content_token(office.file)
    account = await office.backend.content_account(token.secret)
    counts = await office.backend.licence_counts(token.secret)
    names = await office.backend.app_facts(token.secret, account, [count.app_id for count in counts])

    assert (account.location_name, account.country, account.manager) == (HQ, "FR", None)
    assert (token.expires_at - office.clock.now()).days == 364
    assert len(counts) == len(names) == APPS
    portal = next(count for count in counts if count.app_id == COMPANY_PORTAL)
    assert (portal.total, portal.assigned, portal.available) == (500, 483, 17)
    assert names[COMPANY_PORTAL].name == "Intune Company Portal"
    assert {count.is_book for count in counts} == {True, False}
    assert any(count.total is None for count in counts)
    assert office.apple.log.count(f"{BASE}/assets") == 3


async def test_custom_apps_are_named_only_to_their_location(office: Office) -> None:
    custom = next(stock for stock in office.apple.content.find(HQ).stock if stock.is_custom)
    asked = {"id": custom.adam_id, "p": "mdm-lockup", "caller": "MDM"}
    mine = await office.http.get(
        LOOKUP, params=asked, headers={"Cookie": f"itvt={office.file.decode().strip()}"}
    )
    others = await office.http.get(LOOKUP, params=asked)
    assert list(mine.json()["results"]) == [custom.adam_id]
    assert others.json()["results"] == {}


@pytest.mark.parametrize(
    ("query", "status"), [({}, 400), ({"p": "mdm-lockup"}, 403), ({"p": "mdm-lockup", "caller": "MDM"}, 200)]
)
async def test_a_look_up_needs_to_say_who_asks(office: Office, query: dict[str, str], status: int) -> None:
    assert (await office.http.get(LOOKUP, params=query)).status_code == status


@pytest.mark.parametrize(
    ("token", "status", "number"), [("", 401, 9722), ("eyJub3QiOiAib3VycyJ9", 200, 9622)]
)
async def test_a_wrong_token_is_refused(office: Office, token: str, status: int, number: int) -> None:
    answer = await office.get("/assets", token)
    assert (answer.status_code, answer.json()["errorNumber"]) == (status, number)


@pytest.mark.parametrize(("index", "number"), [("3", 9650), ("-1", 9602), ("x", 9602)])
async def test_a_page_that_is_not_there_is_refused(office: Office, index: str, number: int) -> None:
    assert (await office.get("/assets", pageIndex=index)).json()["errorNumber"] == number


async def test_nothing_can_be_changed(office: Office) -> None:
    answer = await office.http.post(f"{BASE}/client/config", json={"mdmInfo": {"id": "x"}})
    assert (answer.status_code, answer.json()["errorNumber"]) == (405, 9726)


async def test_more_than_fifteen_requests_a_second_are_refused(office: Office) -> None:
    answers = [(await office.get("/client/config")).status_code for _ in range(16)]
    assert answers == [200] * 15 + [429]
    office.clock.move(timedelta(seconds=1))
    assert (await office.get("/client/config")).status_code == 200


async def test_the_bot_keeps_within_what_is_allowed(office: Office) -> None:
    token = office.backend.read_content_token(office.file)
    office.apple.switches.assets_a_page = 5
    assert len(await office.backend.licence_counts(token.secret)) == APPS
    assert office.apple.log.count(f"{BASE}/assets", status=429) == 0


async def test_counts_that_change_make_a_new_version_of_the_list(office: Office) -> None:
    before = (await office.get("/assets")).json()["versionId"]
    answer = await office.order("content", location=HQ, action="count", bought=25, assigned=40)
    after = (await office.get("/assets")).json()
    assert answer.status_code == 200
    assert after["versionId"] != before
    assert (after["assets"][0]["totalCount"], after["assets"][0]["availableCount"]) == (525, 2)


async def test_no_more_licences_are_used_than_there_are(office: Office) -> None:
    with pytest.raises(NotPossible, match="17 of 500"):
        office.apple.content.change(HQ, COMPANY_PORTAL, assigned=18)


async def test_tokens_are_revoked_and_expire_and_a_new_one_is_of_the_same_location(office: Office) -> None:
    token = office.backend.read_content_token(office.file)
    before = await office.backend.content_account(token.secret)
    await office.order("content", location=HQ, action="revoke")
    with pytest.raises(ContentTokenRevoked):
        await office.backend.licence_counts(token.secret)
    await office.order("content", location=HQ, action="accept")
    await office.order("content", location=HQ, action="expire")
    with pytest.raises(ContentTokenExpired):
        await office.backend.licence_counts(token.secret)

    made = await office.order("content", location=HQ, action="generate", valid_days=10)
    renewed = office.backend.read_content_token(made.content)
    assert made.headers["content-disposition"] == 'attachment; filename="sToken_for_Example_HQ.vpptoken"'
    account = await office.backend.content_account(renewed.secret)
    assert account.location_id == before.location_id
    assert account.expires_at == renewed.expires_at


async def test_another_mdm_of_the_location_is_told(office: Office) -> None:
    await office.order("content", location=HQ, action="take", mdm="Example MDM")
    token = office.backend.read_content_token(office.file)
    assert (await office.backend.content_account(token.secret)).manager == "Example MDM"


async def test_planned_troubles_hit_apps_and_books_too(office: Office) -> None:
    token = office.backend.read_content_token(office.file)
    await office.order("faults", kind="503", path=f"{BASE}/assets", times=2)
    await office.order("faults", kind="half", path=f"{BASE}/assets", times=1)
    assert len(await office.backend.licence_counts(token.secret)) == APPS
    await office.order("faults", kind="429", path=f"{BASE}/assets", retry_after="3600")
    with pytest.raises(ContentUnavailable) as failure:
        await office.backend.licence_counts(token.secret)
    assert failure.value.retry_after == timedelta(hours=1)


async def test_locations_are_kept(tmp_path: Path, clock: FakeClock) -> None:
    first = AppleStandIn(clock, folder=tmp_path)
    organisation = first.create_organisation()
    made = first.content.create("Lyon", org_id=organisation.org_id, apps=3, portal=(60, 12))
    first.content.generate_token("Lyon")
    first.close()
    second = AppleStandIn(clock, folder=tmp_path)
    assert second.content.find("Lyon") == made
    second.close()


async def test_a_location_s_page_hands_its_token_over_and_sells_licences(office: Office) -> None:
    uid = office.apple.content.find(HQ).uid
    shown = await office.http.get("/abm")
    assert f"/abm/locations/{uid}" in shown.text
    page = (await office.http.get(f"/abm/locations/{uid}")).text
    assert page.index("Intune Company Portal") < page.index("no limit")

    file = await office.http.post(f"/abm/locations/{uid}/token")
    inside: dict[str, Any] = json.loads(base64.b64decode(file.content))
    assert inside["orgName"] == "Example Trust"
    bought = await office.http.post(
        f"/abm/locations/{uid}/licences", data={"app": COMPANY_PORTAL, "count": "25"}
    )
    refused = await office.http.post(f"/abm/locations/{uid}/licences", data={"app": "1", "count": "25"})
    assert (bought.status_code, refused.status_code) == (303, 422)
    assert office.apple.content.find(HQ).item(COMPANY_PORTAL).available == 42
    assert (await office.http.get("/abm/locations/1")).status_code == 404


async def test_a_page_elsewhere_cannot_take_the_token(office: Office) -> None:
    uid = office.apple.content.find(HQ).uid
    origin = {"Origin": "https://example.com"}
    assert (await office.http.post(f"/abm/locations/{uid}/token", headers=origin)).status_code == 403


async def test_the_log_of_requests_shows_no_token(office: Office) -> None:
    token = office.backend.read_content_token(office.file)
    account = await office.backend.content_account(token.secret)
    await office.backend.app_facts(token.secret, account, [COMPANY_PORTAL])
    await office.get("/assets", "unknown-token-planted")
    log = (await office.http.get("/_control/log")).text
    inside = json.loads(base64.b64decode(office.file))["token"]
    for secret in (token.secret.get_secret_value(), inside, "planted"):
        assert secret not in log
    state = (await office.http.get("/_control/state")).json()
    assert state["locations"][0]["apps"] == APPS
    assert token.secret.get_secret_value() not in json.dumps(state)


def test_invented_licences_fit_together(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    location = apple.content.create("Lyon", org_id=apple.create_organisation().org_id, apps=300)
    assert len({stock.adam_id for stock in location.stock}) == 300
    assert len({stock.name for stock in location.stock}) == 300
    assert all(0 <= stock.assigned <= stock.total <= UNLIMITED for stock in location.stock)
    apple.close()
