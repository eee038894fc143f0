"""A content token is handed over, looked at, renewed and removed, over HTTP."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bot.kit.actor import Actor, Role
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import Heard, House, open_house

PUBLIC = "https://bot.example.com"
LABEL = "Content token (.vpptoken)"


@pytest.fixture
async def hq(house_file: Path, clock: FakeClock) -> AsyncIterator[House]:
    """A house whose upload pages are reached, and two locations, of which no content token is here yet."""
    async with open_house(f"sqlite:///{house_file}", clock, public_url=PUBLIC) as running:
        for name in ("Example HQ", "Example Lyon"):
            running.apple.content.create(name, org_id="6666666", apps=13, portal=(500, 483))
        yield running


def link_in(house: House, heard: Heard) -> str:
    """Return where the upload page of the newest answer stands on this machine."""
    found = re.findall(rf"{PUBLIC}(/upload/[\w-]+)", str([message.raw for message in heard.messages]))
    return f"{house.url}{found[-1]}"


async def hands_over(house: House, link: str, content: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(link, files={"file": ("hq.vpptoken", content)}, headers=headers)
    await house.quiet()
    return answer


async def has_hq(house: House) -> None:
    """Hand the content token of Example HQ over by a link."""
    content = house.apple.content.generate_token("Example HQ", valid_for=timedelta(days=20))[1]
    link = link_in(house, await house.types(house.ana, "/enroll vpp add hq"))
    assert (await hands_over(house, link, content)).status_code == 200


async def test_a_link_takes_one_file_from_its_own_page(hq: House) -> None:
    content = hq.apple.content.generate_token("Example HQ", valid_for=timedelta(days=20))[1]
    heard = await hq.types(hq.ana, "/enroll vpp add hq")
    assert "Add content token hq" in heard
    link = link_in(hq, heard)
    async with httpx.AsyncClient() as browser:
        for _ in range(2):
            page = await browser.get(link)
            assert (page.status_code, page.headers["referrer-policy"]) == (200, "no-referrer")
            assert page.headers["cache-control"] == "no-store"
            assert "works once, for another 10 minutes" in page.text
    # What cannot be a file, and what another site sends, leaves the link as it is.
    assert (await hands_over(hq, link, b"")).status_code == 400
    assert (await hands_over(hq, link, b"x" * 100_000)).status_code == 413
    other = {"Sec-Fetch-Site": "cross-site"}
    assert (await hands_over(hq, link, content, **other)).status_code == 403
    assert (await hands_over(hq, link, content, Origin="https://evil.example")).status_code == 403
    done = await hands_over(hq, link, content, Origin="null", **{"Sec-Fetch-Site": "same-origin"})
    assert done.status_code == 200, done.text
    assert "Example HQ" in done.text
    assert (await hands_over(hq, link, content)).status_code == 410
    assert "Content token hq added* by <@U0ANA>" in hq.posts()


def alerts_of(house: House) -> list[str]:
    """Return the first line of each alert's message."""
    return [
        str(message["text"]).split("\n")[0]
        for message in house.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
        if (message.get("metadata") or {}).get("event_type") == "alert"
        and message.get("thread_ts") in (None, message["ts"])
    ]


async def looks(house: House) -> None:
    house.clock.move(timedelta(seconds=10))
    await house.bot.jobs.run_due("alerts.look")
    await house.quiet()


async def test_three_hundred_apps_raise_no_storm_and_two_messages_once_all_are_watched(hq: House) -> None:
    hq.apple.content.create("Example Warehouse", org_id="6666666", apps=300, portal=(500, 483))
    content = hq.apple.content.generate_token("Example Warehouse")[1]
    link = link_in(hq, await hq.types(hq.ana, "/enroll vpp add warehouse"))
    assert (await hands_over(hq, link, content)).status_code == 200
    await looks(hq)
    assert alerts_of(hq) == []
    await hq.types(hq.ana, "/enroll vpp threshold warehouse 400")
    await hq.types(hq.ana, '/enroll vpp threshold warehouse "Intune Company Portal" 50')
    await looks(hq)
    together, portal = sorted(alerts_of(hq))
    assert re.fullmatch(r"Content token warehouse: \d{3} apps low on licences.*", together)
    assert portal == "Intune Company Portal: 17 licences left"


async def test_the_buttons_of_a_content_tokens_alert_ask_again_and_lead_to_the_renewal(hq: House) -> None:
    await has_hq(hq)
    await looks(hq)
    assert alerts_of(hq) == ["Content token hq expires in 20 days (Thu 21 May, 09:00 UTC)"]
    heard = await hq.presses(hq.ben, "Check again")
    assert "content token hq is accepted, and its licences are counted. AL-1 stays open" in heard
    assert "Renew content token hq" in await hq.presses(hq.ana, "Renew token")
    content = hq.apple.content.generate_token("Example HQ", valid_for=timedelta(days=300))[1]
    link = link_in(hq, await hq.types(hq.ana, "/enroll vpp renew hq"))
    hq.clock.move(timedelta(minutes=1))
    assert (await hands_over(hq, link, content)).status_code == 200
    # It is over at once, and the message that tells of the renewal says so.
    assert "1 alert closed. Nothing else to do here." in hq.posts()
    assert alerts_of(hq) == ["Resolved: content token expiry · hq"]
    assert "The content token was renewed, by <@U0ANA>." in hq.posts()


async def test_licences_are_shown_by_page_and_exported(hq: House) -> None:
    await has_hq(hq)
    listed = await hq.types(hq.ben, "/enroll vpp")
    assert "expiring, 20 days left" in listed
    shown = await hq.types(hq.ana, "/enroll vpp show hq")
    assert "Company Portal" in shown
    assert "17 of 500 free · 483 in use · low, below 50" in shown
    assert {"Next", "Export CSV", "Sync now", "Renew token"} <= set(shown.buttons)
    turned = await hq.presses(hq.ana, "Next")
    assert "11 to" in turned
    assert "Previous" in turned.buttons
    await hq.presses(hq.ana, "Export CSV")
    rows = (await hq.ana.downloads("licences-hq.csv")).decode("utf-8-sig").splitlines()
    assert rows[0].startswith("content_token,location,app_id")
    assert any("Company Portal," in row and ",500,483,17," in row for row in rows)


async def test_a_content_token_is_renewed_for_its_location_revoked_and_removed(hq: House) -> None:
    await has_hq(hq)
    wrong = hq.apple.content.generate_token("Example Lyon")[1]
    renewing = link_in(hq, await hq.types(hq.ana, "/enroll vpp renew hq"))
    refused = await hands_over(hq, renewing, wrong)
    assert refused.status_code == 422
    assert "This file is of location Example Lyon" in refused.text
    assert (await hands_over(hq, renewing, wrong)).status_code == 410
    later = hq.apple.content.generate_token("Example HQ")[1]
    renewing = link_in(hq, await hq.types(hq.ana, "/enroll vpp renew hq"))
    assert (await hands_over(hq, renewing, later)).status_code == 200
    assert "Content token hq renewed" in hq.posts()

    hq.apple.content.revoke("Example HQ")
    assert "does not accept" in await hq.types(hq.ben, "/enroll vpp sync hq")
    assert "no longer accepts it" in await hq.types(hq.ben, "/enroll vpp show hq")
    await hq.types(hq.ana, "/enroll vpp remove hq")
    await hq.fills(hq.ana, {"Name of the content token": "hq"})
    assert "Content token hq removed" in hq.posts()
    actions = [action for _, action, name in await hq.acts() if name == "hq"]
    assert actions[:2] == ["content_token.link_made", "content_token.added"]
    assert actions[-1] == "content_token.removed"


async def test_who_lost_their_role_stores_nothing_with_the_link_they_have(hq: House) -> None:
    services, setup = hq.bot.services, Actor.cli("setup")
    await services.access.grant(people.BEN, role=Role.ADMIN, tags=None, actor=setup)
    link = link_in(hq, await hq.types(hq.ben, "/enroll vpp add hq"))
    await services.access.revoke(people.BEN, role=Role.ADMIN, actor=setup)
    answer = await hands_over(hq, link, hq.apple.content.generate_token("Example HQ")[1])
    assert answer.status_code == 422
    assert "This needs the role admin" in answer.text
    assert "No content token yet" in await hq.types(hq.ana, "/enroll vpp")


async def test_a_file_that_slack_keeps_is_said_to_be_still_there(hq: House) -> None:
    content = hq.apple.content.generate_token("Example HQ")[1]
    await hq.types(hq.ana, "/enroll vpp add hq")
    await hq.presses(hq.ana, "Use a Slack file")
    heard = await hq.uploads(hq.ana, content, name="hq.vpptoken", label=LABEL)
    assert heard.modal is not None
    assert "Content token hq added" in heard.modal.text
    assert "hq.vpptoken is still in Slack" in heard.modal.text
    assert "hq.vpptoken is still in Slack" in heard
