"""The profile that new devices get by themselves: asked for, approved, taken away."""

from datetime import timedelta

import pytest

from bot.assignments.models import RequestState
from bot.backend.profile import Platform
from bot.kit.actor import Actor
from tests.flows.conftest import House
from tests.flows.test_assigning import carried, goes_on

SETUP = Actor.cli("setup")


async def prepared(house: House) -> House:
    """Give paris two profiles; Ana asks, Ben approves."""
    token = await house.bot.services.tokens.get("paris", actor=SETUP)
    for name in ("Sales iPad", "Kiosk"):
        await house.has_profile(token.id, name, platform="any")
    await house.types(house.ana, "/enroll role grant @ben approver")
    return house


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


@pytest.fixture
async def ready_on_both(house_on_both: House) -> House:
    await house_on_both.has_token("paris", devices=4)
    return await prepared(house_on_both)


async def defaults(house: House) -> dict[Platform, str]:
    token = await house.bot.services.tokens.get("paris", actor=SETUP)
    found = await house.bot.services.profiles.defaults.of([token.id])
    return {each.platform: each.profile_name for each in found}


async def approved(house: House) -> None:
    """Send what Ana has a preview of, and have Ben approve it."""
    await house.presses(house.ana, "Send for approval")
    if (modal := await house.ana.modal()) is not None and "Number of devices" in modal.text:
        count = modal.text.partition("Type ")[2].partition(" ")[0]
        await house.fills(house.ana, {"Number of devices": count})
        await house.ana.closes()
    await goes_on(house)
    assert "You approved" in await house.presses(house.ben, "Approve")
    await goes_on(house)


async def test_a_default_is_asked_for_by_one_and_approved_by_another(ready_on_both: House) -> None:
    house = ready_on_both
    heard = await house.types(house.ana, '/enroll token default paris "Sales iPad"')
    assert "Make *Sales iPad* the default profile of token *paris* for all platforms" in heard
    assert "*4 devices waiting* for a profile are *not* included" in heard
    assert {"Send for approval", "Include the 4 waiting"} <= set(heard.buttons)
    assert await defaults(house) == {}
    await approved(house)
    assert await defaults(house) == dict.fromkeys(Platform, "Sales iPad")
    assert not any(carried(house).values())
    assert "REQ-1 finished:* *Sales iPad* is the default profile of token *paris*" in house.posts().replace(
        "\\", ""
    )
    acts = [act for act in await house.acts() if act[1] in ("token.default_set", "request.approved")]
    assert acts == [("U0BEN", "token.default_set", "paris"), ("U0BEN", "request.approved", "REQ-1")]
    assert "4 devices" in await house.types(house.ana, '/enroll token default paris "Sales iPad"')
    house.clock.move(timedelta(seconds=1))
    heard = await house.presses(house.ana, "Include the 4 waiting")
    assert "assign it to 4 devices waiting now" in heard
    await approved(house)
    assert len(set(carried(house).values())) == 1
    assert "4 of 4 devices as asked" in house.posts()
    heard = await house.types(house.ana, '/enroll token default paris "Sales iPad"')
    assert "is the default of token paris already" in heard


async def test_one_platform_alone_gets_another_default_and_none_takes_it_away(ready: House) -> None:
    house = ready
    await house.types(house.ana, '/enroll token default paris "Sales iPad"')
    await approved(house)
    await house.types(house.ana, "/enroll token default paris Kiosk --platform macos")
    await approved(house)
    assert (await defaults(house))[Platform.MACOS] == "Kiosk"
    heard = await house.types(house.ana, "/enroll token default paris --none")
    assert "Take away the default profile" in heard
    assert "Kiosk (macOS)" in heard
    await approved(house)
    assert await defaults(house) == {}
    assert not any(carried(house).values())
    assert "no default profile any more" in house.posts()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Say one of the two"),
        ("Kiosk --none", "Say one of the two"),
        ("Kiosk --platform windows", "is no platform"),
        ("Tablets --platform macos", "is for ios, not for macos"),
        ("Nothing", "There is no profile Nothing"),
        ("--none", "There is no default of token paris already"),
    ],
)
async def test_what_cannot_be_a_default_is_refused(ready: House, typed: str, words: str) -> None:
    token = await ready.bot.services.tokens.get("paris", actor=SETUP)
    await ready.has_profile(token.id, "Tablets", platform="ios")
    assert words in await ready.types(ready.ana, f"/enroll token default paris {typed}")


async def test_a_profile_that_is_a_default_or_asked_for_is_not_deleted(ready: House) -> None:
    house = ready
    await house.types(house.ana, "/enroll token default paris Kiosk")
    await house.presses(house.ana, "Send for approval")
    await goes_on(house)
    assert "REQ-1 is about it" in await house.types(house.ana, "/enroll profile delete Kiosk")
    assert "You approved" in await house.presses(house.ben, "Approve")
    await goes_on(house)
    heard = await house.types(house.ana, "/enroll profile delete Kiosk")
    assert "new devices get it as the default of its token" in heard


async def test_a_default_whose_profile_was_edited_meanwhile_is_not_approved(ready: House) -> None:
    house = ready
    await house.types(house.ana, "/enroll token default paris Kiosk")
    await house.presses(house.ana, "Send for approval")
    await goes_on(house)
    await house.types(house.ana, "/enroll profile edit Kiosk")
    for values in ({}, {}, {"Department": "IT"}, {}, {}):
        await house.fills(house.ana, values)
    await house.ana.closes()
    assert "edited or deleted meanwhile" in await house.presses(house.ben, "Approve")
    assert await defaults(house) == {}


async def test_a_removed_token_ends_what_runs_and_takes_profiles_and_defaults_with_it(ready: House) -> None:
    house = ready
    await house.types(house.ana, "/enroll token default paris Kiosk")
    await approved(house)
    serials = [device["serial_number"] for device in house.apple.snapshot()[:2]]
    house.apple.switches.throttled = {serials[0]}
    await house.types(house.ana, f"/enroll assign Kiosk {' '.join(serials)}")
    await approved(house)
    await house.types(house.ana, "/enroll token remove paris")
    heard = await house.fills(house.ana, {"Name of the token": "paris"})
    assert "Open requests of this token end with it: REQ-2" in heard
    assert "25 devices and 2 profiles" in heard
    await approved(house)
    house.clock.move(timedelta(hours=25))
    await goes_on(house)
    service = house.bot.services.assignments
    ended = {label: (await service.get(label, actor=SETUP)).state for label in ("REQ-2", "REQ-3")}
    assert ended == {"REQ-2": RequestState.STOPPED, "REQ-3": RequestState.DONE}
    assert "Its token was removed: what was not done by then is left out" in house.posts()
    contents = await house.contents()
    assert contents["profile_default"] == contents["assignment_hold"] == contents["token_secret"] == []
    assert "REQ-3 · Remove token paris" in await house.types(house.ana, "/enroll request show REQ-3")
