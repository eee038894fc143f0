"""An undecided request is reminded of once, at half of its time and in working hours."""

from datetime import timedelta

import pytest

from bot.sandbox.slack import people
from tests.flows.conftest import House
from tests.flows.test_assigning import goes_on, prepared, requested, serials_of

WAITS = "*REQ-1 still waits for a decision:*"


@pytest.fixture
async def ready(paris: House) -> House:
    """Have it Monday morning: half of 72 hours later it is Tuesday evening."""
    paris.clock.move(timedelta(days=3))
    return await prepared(paris)


async def later(house: House, length: timedelta) -> int:
    """Let time pass; returns how many reminders stand in the channel."""
    house.clock.move(length)
    await house.bot.jobs.run_due("assignments.reminders")
    await goes_on(house)
    messages = house.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
    return sum(WAITS in str(message.get("blocks")) for message in messages)


async def test_half_of_its_time_later_who_can_decide_is_reminded_once(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    assert await later(ready, timedelta(hours=35)) == 0
    assert await later(ready, timedelta(hours=2)) == 0, "it is ten in the evening"
    ready.slack.faults.refuse_posts = "is_archived"
    assert await later(ready, timedelta(hours=12)) == 0
    ready.slack.faults.refuse_posts = None
    assert await later(ready, timedelta(minutes=6)) == 1
    assert await later(ready, timedelta(minutes=10)) == 1
    reminder = next(line for line in ready.posts().splitlines() if WAITS in line)
    assert "Can decide: <@U0ANA>." in reminder


async def test_what_is_decided_is_not_reminded_of(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    await ready.types(ready.ana, "/enroll request cancel REQ-1")
    assert await later(ready, timedelta(hours=49)) == 0


async def test_what_expired_is_requested_again_from_its_card(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    await later(ready, timedelta(hours=73))
    await goes_on(ready)
    assert "REQ-1 has expired" in ready.posts()
    await ready.presses(ready.ben, "Request again")
    await ready.presses(ready.ben, "Send for approval")
    await goes_on(ready)
    assert "*REQ-2 · Assign" in ready.posts()
