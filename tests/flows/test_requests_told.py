"""What people read of requests that rest, were refused, or need nobody's approval."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.assignments import rules
from bot.assignments.errors import NotCarriedOut, PreviewStale, SeveralTokens, TooMany
from bot.assignments.models import Action, Outcome, RequestState
from bot.kit.actor import Actor, Rights, Role
from bot.sandbox.apple.faults import Trouble
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_furnished
from tests.flows.conftest import House
from tests.flows.test_assigning import SETUP, goes_on, prepared, requested, serials_of
from tests.flows.test_requests_changed import edit

ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


async def test_a_resting_request_says_why_and_when_it_goes_on(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    ready.apple.faults.plan(Trouble.CLOSE, path="/profile/devices", times=9)
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    resting = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    assert resting.rests_because is not None
    assert "Apple" in resting.rests_because
    for shown in (ready.posts(), str(await ready.types(ready.ana, "/enroll request show REQ-1"))):
        assert f"{resting.rests_because} Goes on by itself" in shown
    await ready.types(ready.ana, "/enroll request stop REQ-1")
    await ready.types(ready.ana, "/enroll request stop REQ-1")
    assert [act for _, act, _ in await ready.acts()].count("request.stopped") == 1


async def test_an_order_refused_as_a_whole_is_told_with_the_reason(ready: House) -> None:
    serials = serials_of(ready, 2)
    await requested(ready, serials)
    view = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    # Apple has lost the profile: every device of the order fails for that.
    del ready.apple.profiles[view.profile_uuid or ""]
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    await goes_on(ready)
    posts = ready.posts()
    assert "Apple refuses the request as wrong (NOT_FOUND)" in posts
    assert "failed three times" not in posts
    rows = await ready.bot.services.assignments.results(view.id, actor=SETUP)
    assert {(row.outcome, row.why) for row in rows} == {
        (Outcome.FAILED, "Apple refuses the request as wrong (NOT_FOUND).")
    }
    file = (await ready.ana.downloads("REQ-1-not-done.csv")).decode("utf-8-sig")
    assert file.count("Apple refuses the request as wrong (NOT_FOUND).") == 2


async def test_what_apple_was_not_asked_about_is_not_called_unknown(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = serials_of(ready, 1)[0]
    heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {serial} NOSUCH1234')
    assert "not known here, nor to Apple on a token that you may see: NOSUCH1234" in heard
    ready.apple.faults.plan(Trouble.CLOSE, path="/devices", times=20)
    heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {serial} NOSUCH1235')
    assert "not known here, and Apple could not be asked about them: NOSUCH1235" in heard
    monkeypatch.setattr(rules, "MOST_DEVICES", 10)
    (profile,) = await ready.bot.services.profiles.list_profiles(actor=SETUP)
    with pytest.raises(TooMany, match="These are more than the 10 that"):
        await ready.bot.services.assignments.preview(
            Action.ASSIGN, actor=BEN, profile=profile, query="model:i"
        )


async def test_where_a_device_was_once_is_no_second_token(ready: House) -> None:
    house = ready
    serials = serials_of(house, 3)
    await house.has_token("lyon", devices=2)
    (profile,) = await house.bot.services.profiles.list_profiles(actor=SETUP)
    service = house.bot.services.assignments
    preview = await service.preview(Action.ASSIGN, actor=BEN, profile=profile, serials=serials)
    await service.send(preview.id, actor=BEN, typed="3")
    await service.approve(preview.id, actor=ANA)
    await goes_on(house)
    other = house.apple.snapshot("lyon")[0]["serial_number"]
    with pytest.raises(SeveralTokens):
        await service.preview(Action.UNASSIGN, actor=BEN, profile=None, serials=[*serials, other])
    house.apple.remove_devices("lyon", [other])
    house.clock.move(timedelta(minutes=16))
    await house.bot.services.devices.start_sync("lyon", actor=ANA)
    await house.settle()
    preview = await service.preview(Action.UNASSIGN, actor=BEN, profile=None, serials=[*serials, other])
    assert preview.devices == 3
    assert preview.found.left_out == {"removed": 1}


async def test_nobody_is_said_to_have_approved_where_approvals_are_off_or_one_s_own(
    with_paris: Path, clock: FakeClock
) -> None:
    async with open_furnished(with_paris, clock, approvals="off") as house:
        await prepared(house)
        heard = await house.types(house.ben, f'/enroll assign "Sales iPad" {serials_of(house, 1)[0]}')
        assert "Nobody but you" not in heard
        await house.presses(house.ben, "Carry out")
        await goes_on(house)
        await goes_on(house)
        assert "REQ-1 needed no approval and has been carried out" in house.posts()
    async with open_furnished(with_paris, clock, approvals="self") as house:
        await house.types(house.ana, "/enroll role grant @ben approver")
        await requested(house, serials_of(house, 3)[1:2])
        assert "Can decide: <@U0ANA>, <@U0BEN>." in house.posts()
        assert "You approved REQ-2" in await house.presses(house.ben, "Approve")
        await goes_on(house)
        assert "was confirmed by <@U0BEN>, who requested it," in house.posts()


async def test_a_preview_that_cannot_be_carried_out_any_more_says_what_is_in_its_way(
    with_paris: Path, clock: FakeClock
) -> None:
    async with open_furnished(with_paris, clock, approvals="off") as house:
        await prepared(house)
        service, serials = house.bot.services.assignments, serials_of(house, 3)
        sales = await house.bot.services.profiles.get("Sales iPad", actor=SETUP)
        first, second = [
            await service.preview(Action.ASSIGN, actor=BEN, profile=sales, serials=serials[each : each + 2])
            for each in (0, 1)
        ]
        await service.send(first.id, actor=BEN)
        with pytest.raises(NotCarriedOut, match="1 of its devices is being worked on in REQ-1"):
            await service.send(second.id, actor=BEN)
        assert (await service.get_by_id(second.id, actor=BEN)).state is RequestState.PREVIEW
        await edit(house)
        with pytest.raises(PreviewStale, match="Nothing was requested: the profile Sales iPad was edited"):
            await service.send(second.id, actor=BEN)


async def test_who_can_decide_is_told_beyond_the_first_names(ready: House) -> None:
    # Deactivated people come first by their ids: the ones behind them are found all the same.
    for number in range(30):
        gone = ready.slack.workspace.users[people.CLEO] | {"id": f"U000{number:02}", "deleted": True}
        ready.slack.workspace.users[f"U000{number:02}"] = gone
        await ready.bot.services.access.grant(f"U000{number:02}", role=Role.APPROVER, tags=None, actor=ANA)
    await requested(ready, serials_of(ready, 1))
    assert "Can decide: <@U0ANA>." in ready.posts()
