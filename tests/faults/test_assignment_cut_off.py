"""Thousands of devices, of which some are refused, while the work is cut off twice in the middle."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import pytest

from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.apple import AppleConnection
from bot.backend.port import AssignmentResult
from bot.kit.actor import Actor, Rights, Role
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, open_house

SETUP = Actor.cli("setup")
ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))


async def approved(house: House, serials: list[str]) -> str:
    """Have a request for all devices approved; its id."""
    token_id = (await house.bot.services.tokens.get("paris", actor=SETUP)).id
    profile = await house.has_profile(token_id, platform="any")
    service = house.bot.services.assignments
    preview = await service.preview(Action.ASSIGN, actor=BEN, profile=profile, serials=serials)
    assert preview.devices == len(serials)
    await service.send(preview.id, actor=BEN, typed=str(len(serials)))
    await service.approve(preview.id, actor=ANA)
    return preview.id


async def run_on(house: House, request_id: str) -> None:
    """Carry on as the job does, whenever something is due, until the request has ended."""
    service = house.bot.services.assignments
    for _ in range(20):
        if not (await service.get_by_id(request_id, actor=SETUP)).state.is_open:
            return
        house.clock.move(timedelta(hours=3))
        await service.run(request_id, show=lambda _: None, is_stopping=lambda: False)
    raise AssertionError("the request does not end")


@pytest.mark.parametrize(("dies", "devices"), [("before the order", 500), ("after the order", 700)])
async def test_every_device_is_accounted_for_and_no_finished_batch_is_sent_again(
    tmp_path: Path, clock: FakeClock, dies: str, devices: int
) -> None:
    async with open_house(f"sqlite:///{tmp_path / 'enrollbot.db'}", clock) as house:
        house.apple.switches.assign_maximum = 200
        await house.has_token("paris", devices=devices)
        serials = [device["serial_number"] for device in house.apple.snapshot()]
        chosen = random.Random(5)
        failing = set(chosen.sample(serials, devices // 20))
        gone = set(chosen.sample(sorted(set(serials) - failing), devices // 50))
        throttled = set(chosen.sample(sorted(set(serials) - failing - gone), devices // 10))
        house.apple.switches.failing, house.apple.switches.throttled = failing, throttled
        request_id = await approved(house, serials)
        house.apple.remove_devices("paris", sorted(gone))

        orders: list[list[str]] = []
        assign = AppleConnection.assign
        # The second order of the first run, and the second of the next, are cut off.
        cut_at = [2, 4]

        async def cut_off(self: AppleConnection, uuid: str, given: list[str]) -> AssignmentResult:
            orders.append(list(given))
            if dies == "before the order" and len(orders) in cut_at:
                raise asyncio.CancelledError
            answer = await assign(self, uuid, given)
            if dies == "after the order" and len(orders) in cut_at:
                raise asyncio.CancelledError
            return answer

        service = house.bot.services.assignments
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AppleConnection, "assign", cut_off)
            for _ in cut_at:
                run = asyncio.create_task(
                    service.run(request_id, show=lambda _: None, is_stopping=lambda: False)
                )
                await asyncio.gather(run, return_exceptions=True)
                assert run.cancelled()
                house.clock.move(timedelta(minutes=1))
            await service.run(request_id, show=lambda _: None, is_stopping=lambda: False)
            house.apple.switches.throttled = set()
            house.clock.move(timedelta(hours=25))
            await run_on(house, request_id)

        view = await service.get_by_id(request_id, actor=SETUP)
        assert view.state is RequestState.DONE
        as_asked = view.outcomes[Outcome.SUCCESS] + view.outcomes.get(Outcome.ALREADY, 0)
        assert as_asked == devices - len(failing) - len(gone)
        assert view.outcomes[Outcome.FAILED] == len(failing)
        assert view.outcomes[Outcome.NOT_ACCESSIBLE] == len(gone)
        has = {
            d["serial_number"]
            for d in house.apple.snapshot("paris")
            if d.get("profile_uuid") == view.profile_uuid
        }
        rows = await service.results(request_id, actor=SETUP)
        assert has == {row.serial for row in rows if row.outcome in (Outcome.SUCCESS, Outcome.ALREADY)}
        answered = [order for number, order in enumerate(orders, 1) if number not in cut_at]
        first_answers = [
            serial for order in answered for serial in order if serial not in failing | throttled
        ]
        assert len(first_answers) == len(set(first_answers))
