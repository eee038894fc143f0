"""What a newcomer finds in a new sandbox, and that each trouble in it can be mended there."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bot.alerts.jobs import LOOK_EVERY
from bot.sandbox import run
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.seed import LOCATION, PORTAL_PROFILE, PROFILES, READY, SCHOOL, SCHOOLS, hand_out, seed
from bot.sandbox.visitor import Visitor
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEVICES = 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[run.Sandbox]:
    async with run.sandbox(folder=tmp_path_factory.mktemp("new") / "box", devices=DEVICES) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def ana(box: run.Sandbox) -> Visitor:
    visitor = Visitor(box.slack, "ana", within=20)
    await visitor.messages()
    return visitor


def soon(box: run.Sandbox) -> None:
    """Let the bot look at once for what it looks for every few seconds."""
    box.move_clock(LOOK_EVERY)


async def abm(box: run.Sandbox, path: str, **form: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{box.abm_url}/{path}", data=form)


async def test_terms_are_told_and_work_goes_on_once_they_are_signed(box: run.Sandbox, ana: Visitor) -> None:
    await ana.sees("Sync of token nice did not finish")
    soon(box)
    alert = await ana.sees(f"{SCHOOLS} (organisation")
    assert "critical" in alert.text
    await ana.presses("Check again")
    await ana.sees(f"still not accepted for {SCHOOLS}")
    await abm(box, f"{box.apple.organisation(SCHOOLS).org_id}/terms")
    await ana.presses("Check again")
    await ana.sees(f"Accepted. {SCHOOL} is syncing.")
    soon(box)
    await ana.sees(f"Token {SCHOOL} synced")


async def test_too_few_licences_are_told_until_more_are_bought(box: run.Sandbox, ana: Visitor) -> None:
    alert = await ana.sees("Company Portal: 17 licences left")
    assert {"Check again", "Acknowledge"} <= set(alert.buttons)
    location = box.apple.content.find(LOCATION)
    await abm(box, f"locations/{location.uid}/licences", app=location.stock[0].adam_id, count="100")
    await ana.types("/enroll vpp sync hq")
    await ana.sees("291 apps")
    soon(box)
    await ana.sees("There are enough licences: 117 of 600 free.")


async def test_a_token_that_expires_is_told_until_it_is_renewed(box: run.Sandbox, ana: Visitor) -> None:
    alert = await ana.sees("Token paris expires in 12 days")
    assert alert.buttons[0] == "Renew token"
    await ana.types(f"/enroll token upload {READY}")
    server = box.apple.server(READY)
    file = await abm(box, f"servers/{server.server_uuid}/token", apple_id="ade@example.com")
    await ana.uploads("Server token (.p7m)", "paris.p7m", file.content, submit=True)
    await ana.sees_modal("Token renewed")
    await ana.closes()
    await ana.sees("Resolved: token expiry")


async def test_what_one_person_asks_for_another_can_approve(box: run.Sandbox) -> None:
    offered = box.slack.page.offered
    assert offered is not None

    async def approves(person: str) -> bool:
        commands = await offered(person)
        return any(each["usage"].startswith("request stop") for each in commands["commands"][0]["usages"])

    assert [await approves(person) for person in ("U0ANA", "U0BEN", "U0CLEO")] == [True, True, False]


@pytest.mark.parametrize("devices", [0, 3, 200])
async def test_most_devices_carry_a_profile_of_their_kind(
    devices: int, clock: FakeClock, tmp_path: Path
) -> None:
    apple = AppleStandIn(clock)
    seed(apple, devices=devices)
    hand_out(apple, {name: name for name in (PORTAL_PROFILE, *PROFILES.values())})
    kinds = Counter(
        (each["device_family"], each.get("profile_uuid"), each["profile_status"])
        for each in apple.snapshot(READY)
    )
    apple.close()
    assert all(profile in (None, PORTAL_PROFILE, PROFILES.get(family)) for family, profile, _ in kinds)
    if devices == 200:
        assert kinds["iPad", PORTAL_PROFILE, "assigned"] > 17
        assert kinds["iPad", PORTAL_PROFILE, "pushed"] > kinds["iPad", PORTAL_PROFILE, "assigned"]
        assert kinds["AppleTV", None, "empty"] > 0
