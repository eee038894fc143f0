"""The Home tab, over HTTP: what somebody sees who leaves it open."""

from datetime import timedelta

import pytest

from tests.fakes.house import House
from tests.flows.test_assigning import prepared, serials_of


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


async def test_an_open_home_tab_shows_what_somebody_else_does_and_what_waits_for_a_decision(
    ready: House,
) -> None:
    await ready.opens_home(ready.ana)
    await ready.types(ready.ben, f'/enroll assign "Sales iPad" {serials_of(ready, 1)[0]}')
    await ready.presses(ready.ben, "Send for approval")
    ready.clock.move(timedelta(seconds=30))
    await ready.bot.jobs.run_due("home.republish")
    home = await ready.ana.sees_home("1 request waits for your decision")
    assert "REQ-1" in home.text
    assert "Details" in home.buttons
    assert "Approve" in (await ready.presses(ready.ana, "Details")).buttons
