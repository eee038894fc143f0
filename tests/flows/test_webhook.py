"""What people do is told to a webhook, from the whole bot to a receiver over HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.clock import FakeClock
from tests.fakes.house import open_furnished
from tests.fakes.receiver import Receiver, receiving
from tests.flows.conftest import House
from tests.flows.test_assigning import goes_on, prepared, requested, serials_of

SECRET = SecretStr("planted-secret-of-the-webhook")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def told(with_paris: Path, clock: FakeClock, receiver: Receiver) -> AsyncIterator[House]:
    """A house with paris whose webhook is the receiver and has been looked at once."""
    settings = {"webhook_url": receiver.url, "webhook_secret": SECRET}
    async with open_furnished(with_paris, clock, **settings) as running:
        await look(running)
        yield await prepared(running)


async def look(house: House) -> None:
    house.clock.move(timedelta(seconds=6))
    assert await house.bot.jobs.run_due("outside.webhook")


async def test_a_request_is_told_from_the_question_to_its_end(told: House, receiver: Receiver) -> None:
    await requested(told, serials_of(told, 2))
    await told.presses(told.ana, "Approve")
    await goes_on(told)
    await told.types(told.ana, "/enroll watch add contract 2027-03-01")
    await look(told)
    bodies = [json.loads(each.body) for each in receiver.received]
    requests = [body for body in bodies if body["type"].startswith("request.")]
    assert [body["type"] for body in requests] == ["request.sent", "request.approved", "request.carried_out"]
    assert [body["data"]["subject"]["name"] for body in bodies if body not in requests] == ["contract"]
    assert {body["data"]["subject"]["name"] for body in requests} == {"REQ-1"}
    assert requests[2]["data"]["detail"]["state"] == "done"
    assert not any(SECRET.get_secret_value().encode() in each.body for each in receiver.received)
