"""What was carried out is undone: each device gets back what it carried before."""

import asyncio
from datetime import timedelta

import pytest

from bot.assignments.errors import NoDevices
from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.apple import AppleConnection
from bot.backend.port import AssignmentResult
from bot.kit.actor import Actor, Rights, Role
from bot.profiles.facts import ProfileView
from bot.sandbox.slack import people
from tests.flows.conftest import House
from tests.flows.test_assigning import carried, goes_on, serials_of
from tests.flows.test_requests_changed import edit

SETUP = Actor.cli("setup")
ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))


async def carried_out(house: House, profile: ProfileView | None, serials: list[str]) -> str:
    """Have a request carried out; its id."""
    service = house.bot.services.assignments
    action = Action.UNASSIGN if profile is None else Action.ASSIGN
    preview = await service.preview(action, actor=BEN, profile=profile, serials=serials)
    await service.send(preview.id, actor=BEN, typed=str(len(serials)))
    await service.approve(preview.id, actor=ANA)
    await goes_on(house)
    await goes_on(house)
    return preview.id


async def test_each_device_gets_back_what_it_carried_and_what_others_changed_is_left(paris: House) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    kiosk = await paris.has_profile(token_id, "Kiosk", platform="any")
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    first, second, third, fourth = serials_of(paris, 4)
    await carried_out(paris, kiosk, [first, second])
    await carried_out(paris, sales, [first, second, third, fourth])
    # Apple keeps a profile that is deleted here.
    await paris.bot.services.profiles.delete(kiosk.id, actor=ANA, delivery=None)
    paris.apple.set_profile("paris", [fourth], "F" * 32)
    await paris.bot.services.devices.refresh(token_id, [fourth])

    heard = await paris.presses(paris.ben, "Undo")
    assert "Undo REQ-2 on 3 devices" in heard
    assert "Carry now: Sales iPad 3 · Given back: Kiosk (deleted here) 2, none 1" in heard
    assert f"1 left out, changed by somebody else since: {fourth}" in heard
    assert "keep what they fetched until they are erased" in heard
    await paris.presses(paris.ben, "Send for approval")
    await goes_on(paris)
    assert "REQ-3 · Undo REQ-2 on 3 devices" in paris.posts()
    paris.apple.set_profile("paris", [third], "E" * 32)
    await paris.presses(paris.ana, "Approve")
    await goes_on(paris)
    await goes_on(paris)
    has = carried(paris)
    assert [has[each] for each in (first, second, third, fourth)] == [
        kiosk.profile_uuid,
        kiosk.profile_uuid,
        "E" * 32,
        "F" * 32,
    ]
    undone = await paris.bot.services.assignments.get("REQ-3", actor=SETUP)
    assert undone.outcomes == {Outcome.SUCCESS: 2, Outcome.LEFT_OUT: 1}
    file = (await paris.ana.downloads("REQ-3-not-done.csv")).decode("utf-8-sig")
    assert [line.split(",")[3] for line in file.splitlines()[1:]] == ["changed by somebody else since"]
    request = await paris.bot.services.assignments.get("REQ-2", actor=SETUP)
    with pytest.raises(NoDevices, match="changed by somebody else since"):
        await paris.bot.services.assignments.undo(request.id, actor=BEN, delivery=None)


async def test_an_undo_gives_several_profiles_and_none_back_in_orders_of_their_own(paris: House) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    kiosk = await paris.has_profile(token_id, "Kiosk", platform="any")
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    first, second, third = serials_of(paris, 3)
    await carried_out(paris, kiosk, [first])
    await carried_out(paris, sales, [first, second, third])
    service = paris.bot.services.assignments
    request = await service.get("REQ-2", actor=SETUP)
    preview = await service.undo(request.id, actor=BEN, delivery=None)
    await service.send(preview.id, actor=BEN, typed="3")
    await service.approve(preview.id, actor=ANA)
    paris.clock.move(timedelta(seconds=6))
    await goes_on(paris)
    await goes_on(paris)
    done = await service.get("REQ-3", actor=SETUP)
    assert done.state is RequestState.DONE
    assert done.outcomes == {Outcome.SUCCESS: 3}
    has = carried(paris)
    assert [has[each] for each in (first, second, third)] == [kiosk.profile_uuid, "", ""]
    # The undo is a request like any other: taking it back assigns again what it took.
    again = await service.undo(done.id, actor=BEN, delivery=None)
    assert again.found.gives == {"Sales iPad": 3}


async def test_what_a_device_got_while_a_request_waited_is_what_its_undo_gives_back(paris: House) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    kiosk = await paris.has_profile(token_id, "Kiosk", platform="any")
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    first, second = serials_of(paris, 2)
    service = paris.bot.services.assignments
    waits = await service.preview(Action.ASSIGN, actor=BEN, profile=sales, serials=[first, second])
    await service.send(waits.id, actor=BEN, typed="2")
    await carried_out(paris, kiosk, [first])
    await service.approve(waits.id, actor=ANA)
    await goes_on(paris)
    await goes_on(paris)
    assert carried(paris)[first] == sales.profile_uuid
    undo = await service.undo(waits.id, actor=BEN, delivery=None)
    assert undo.found.gives == {"Kiosk": 1, "": 1}


async def test_what_was_sent_before_a_stop_is_told_as_it_is(
    paris: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    service = paris.bot.services.assignments
    preview = await service.preview(Action.ASSIGN, actor=BEN, profile=sales, serials=serials_of(paris, 2))
    await service.send(preview.id, actor=BEN, typed="2")
    await service.approve(preview.id, actor=ANA)
    assign = AppleConnection.assign

    async def cut_off(self: AppleConnection, uuid: str, serials: list[str]) -> AssignmentResult:
        await assign(self, uuid, serials)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(AppleConnection, "assign", cut_off)
        run = asyncio.create_task(service.run(preview.id, show=lambda _: None, is_stopping=lambda: False))
        await asyncio.gather(run, return_exceptions=True)
    assert (await service.get("REQ-1", actor=SETUP)).outcomes == {Outcome.SENT: 2}
    await service.stop(preview.id, actor=ANA)
    paris.clock.move(timedelta(minutes=1))
    await goes_on(paris)
    stopped = await service.get("REQ-1", actor=SETUP)
    assert stopped.state is RequestState.STOPPED
    assert stopped.outcomes == {Outcome.SUCCESS: 2}


async def test_the_profile_that_was_taken_from_devices_is_given_back(paris: House) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    serials = serials_of(paris, 2)
    await carried_out(paris, sales, serials)
    taken = await carried_out(paris, None, serials)
    assert not any(carried(paris).values())
    service = paris.bot.services.assignments
    undo = await service.undo(taken, actor=BEN, delivery=None)
    assert (undo.found.undoes, undo.found.gives) == ("REQ-2", {"Sales iPad": 2})
    await service.send(undo.id, actor=BEN, typed="2")
    await service.approve(undo.id, actor=ANA)
    await goes_on(paris)
    assert {s: u for s, u in carried(paris).items() if u} == dict.fromkeys(serials, sales.profile_uuid)


async def test_the_former_version_of_a_profile_that_was_edited_since_is_given_back(paris: House) -> None:
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    kiosk = await paris.has_profile(token_id, "Kiosk", platform="any")
    sales = await paris.has_profile(token_id, "Sales iPad", platform="any")
    serials = serials_of(paris, 2)
    await carried_out(paris, kiosk, serials)
    request_id = await carried_out(paris, sales, serials)
    await edit(paris, "Kiosk")
    await edit(paris, "Sales iPad")
    service = paris.bot.services.assignments
    preview = await service.undo(request_id, actor=BEN, delivery=None)
    assert list(preview.found.gives.values()) == [2]
    await service.send(preview.id, actor=BEN, typed="2")
    await service.approve(preview.id, actor=ANA)
    await goes_on(paris)
    assert [carried(paris)[each] for each in serials] == [kiosk.profile_uuid] * 2
