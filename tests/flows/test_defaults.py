"""The profile that new devices get by themselves: asked for, approved, taken away."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.assignments.models import RequestState
from bot.backend.profile import Platform
from bot.kit.actor import Actor
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import another_replica, open_furnished
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


async def has_default(house: House, name: str = "Kiosk") -> str:
    """Have an approved default for all platforms; the UUID that devices get."""
    profiles = house.bot.services.profiles
    token = await house.bot.services.tokens.get("paris", actor=SETUP)
    profile = await profiles.get(name, actor=SETUP)
    async with house.bot.services.db.begin() as session:
        await profiles.defaults.change_in(session, token, list(Platform), profile.id, actor=SETUP)
    return profile.profile_uuid


async def synced(house: House) -> None:
    """Let a day pass, and with it the sync and what follows from it."""
    await house.waits(timedelta(days=1, hours=1))
    await goes_on(house)


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
    await house.types(house.ana, '/enroll token default paris Kiosk --platform macos --reason "Macs at hq"')
    await approved(house)
    assert "Reason: “Macs at hq”" in house.posts()
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
    assert "was edited meanwhile" in await house.presses(house.ben, "Approve")
    assert await defaults(house) == {}


async def test_a_removed_token_ends_what_runs_and_takes_profiles_and_defaults_with_it(ready: House) -> None:
    house, service = ready, ready.bot.services.assignments
    await house.types(house.ana, "/enroll token default paris Kiosk")
    await approved(house)
    serials = [device["serial_number"] for device in house.apple.snapshot()[:2]]
    house.apple.switches.throttled = {serials[0]}
    await house.types(house.ana, f"/enroll assign Kiosk {' '.join(serials)}")
    await approved(house)
    await house.types(house.ana, '/enroll token remove paris --reason "Closed in May"')
    heard = await house.fills(house.ana, {"Name of the token": "paris"})
    assert "Open requests of this token end with it: REQ-2" in heard
    assert "25 devices and 2 profiles" in heard
    await house.presses(house.ana, "Send for approval")
    third = house.apple.snapshot()[2]["serial_number"]
    await house.types(house.ben, f"/enroll assign Kiosk {third}")
    await house.presses(house.ben, "Send for approval")
    await goes_on(house)
    await house.forges(people.BEN, "request.approve", (await service.get("REQ-3", actor=SETUP)).id)
    await goes_on(house)
    house.clock.move(timedelta(hours=25))
    await goes_on(house)
    ended = [(await service.get(f"REQ-{number}", actor=SETUP)).state for number in (2, 3, 4)]
    assert ended == [RequestState.STOPPED, RequestState.DONE, RequestState.CANCELLED]
    assert "REQ-4 was cancelled" in str(await house.ben.messages())
    assert "Its token was removed: what was not done by then is left out" in house.posts()
    contents = await house.contents()
    assert contents["profile_default"] == contents["assignment_hold"] == contents["token_secret"] == []
    shown = await house.types(house.ana, "/enroll request show REQ-3")
    assert "REQ-3 · Remove token paris" in shown
    assert "Reason: “Closed in May”" in shown


async def test_devices_that_come_get_the_default_by_themselves_and_the_sync_says_so(
    ready_on_both: House,
) -> None:
    house = ready_on_both
    uuid = await has_default(house)
    first = dict(carried(house))
    new = house.apple.add_devices("paris", 3)
    await synced(house)
    # Those of the first sync are left to who chooses the default.
    assert {s: u for s, u in carried(house).items() if u} == dict.fromkeys(new, uuid)
    assert "3 added, 0 modified, 0 removed" in house.posts()
    assert "3 given the default profile *Kiosk*" in house.posts()
    assert ("assignments", "default.given", "default profile") in await house.acts()
    assert (await house.contents())["assignment_hold"] == []
    assert "No requests" in await house.types(house.ana, "/enroll request list")
    house.apple.remove_devices("paris", new[:1])
    await synced(house)
    house.apple.assign_in_portal(new[:1], "paris")
    await synced(house)
    assert carried(house)[new[0]] == uuid
    assert not any(carried(house)[serial] for serial in first)
    heard = await house.types(house.ben, f"/enroll device show {next(iter(first))}")
    assert "The default, Kiosk, is given by itself only to devices that come from now on" in heard
    assert "default for all platforms" in await house.types(house.ben, "/enroll profile list")
    for command in ("token list", "token show paris"):
        assert "default profile Kiosk" in await house.types(house.ben, f"/enroll {command}")
    assert "*Default* of its token for all platforms" in await house.types(
        house.ben, "/enroll profile show Kiosk"
    )


async def test_what_was_unassigned_on_purpose_or_has_a_profile_elsewhere_is_left_alone(ready: House) -> None:
    house = ready
    uuid = await has_default(house)
    taken, gone, known, waits = house.apple.add_devices("paris", 4)
    server = house.apple.server("paris")
    elsewhere = house.apple.define_profile(server, {"profile_name": "Elsewhere", "url": "https://x.example"})
    house.apple.set_profile("paris", [known], elsewhere.uuid)
    house.apple.set_profile("paris", [gone], "F" * 32)
    house.apple.set_profile("paris", [taken], elsewhere.uuid)
    house.apple.change_profile(list(house.apple.store.find([taken]).values()), None)
    await synced(house)
    found = carried(house)
    assert (found[taken], found[known]) == ("", elsewhere.uuid)
    assert (found[gone], found[waits]) == (uuid, uuid)


async def test_a_crash_between_the_sync_and_the_batches_loses_nothing(ready_on_both: House) -> None:
    house = ready_on_both
    uuid = await has_default(house)
    new = house.apple.add_devices("paris", 3)
    house.apple.switches.throttled = {new[0]}
    await house.waits(timedelta(days=1, hours=1))
    assignments = house.bot.services.assignments
    assert await assignments.judge() == 3
    # The process dies here: what is left is the row of what was judged.
    async with another_replica(house) as second:
        assert await second.bot.services.assignments.judge() == 0
        await goes_on(second)
        assert sorted(u for u in carried(house).values() if u) == [uuid, uuid]
        told = await house.types(house.ben, f"/enroll device show {new[0]}")
        assert "Throttled in the assignment of the default profile Kiosk" in told
        # While one is throttled the profile is edited: it gets the newest version.
        await house.types(house.ana, "/enroll profile edit Kiosk")
        for values in ({}, {}, {"Department": "IT"}, {}, {}):
            await house.fills(house.ana, values)
        house.apple.switches.throttled = set()
        house.clock.move(timedelta(hours=25))
        await goes_on(second)
        await goes_on(second)
    newest = (await house.bot.services.profiles.get("Kiosk", actor=SETUP)).profile_uuid
    assert carried(house)[new[0]] == newest != uuid
    assert "3 given the default profile *Kiosk*" in house.posts()


async def test_a_token_without_a_default_lets_its_new_devices_wait(ready: House) -> None:
    new = ready.apple.add_devices("paris", 2)
    await synced(ready)
    assert not any(carried(ready).values())
    told = await ready.types(ready.ben, f"/enroll device show {new[0]}")
    assert "No default profile is set for its platform" in told
    await has_default(ready)
    coming = ready.apple.add_devices("paris", 1)[0]
    ready.clock.move(timedelta(minutes=1))
    told = await ready.types(ready.ben, f"/enroll device show {coming}")
    assert "The default, Kiosk, comes with the next sync" in told
    await synced(ready)
    # They came before there was one: who chose it was asked about them.
    assert not any(carried(ready)[serial] for serial in new)


async def has_kiosk(house: House) -> list[str]:
    """Have two devices with Kiosk, the first of which has fetched it."""
    house.apple.switches.report_profile_changes = True
    serials = [device["serial_number"] for device in house.apple.snapshot()[:2]]
    await house.types(house.ana, f"/enroll assign Kiosk {' '.join(serials)}")
    await approved(house)
    house.apple.activate_devices("paris", serials[:1])
    house.clock.move(timedelta(minutes=16))
    await house.types(house.ana, "/enroll sync paris")
    await goes_on(house)
    return serials


async def test_after_an_edit_it_is_asked_which_devices_get_the_new_version(ready: House) -> None:
    house = ready
    serials = await has_kiosk(house)
    await house.types(house.ana, "/enroll profile edit Kiosk")
    for values in ({}, {}, {"Department": "IT"}, {}, {}):
        heard = await house.fills(house.ana, values)
    assert heard.modal is not None
    assert "2 devices carry an earlier version" in heard.modal.text
    assert {"Those not yet set up", "All of them"} <= set(heard.modal.buttons)
    assert "to 1 device" in await house.presses(house.ana, "Those not yet set up")
    await house.ana.closes()
    heard = await house.presses(house.ben, "All of them")
    assert "Assign *Kiosk* to 2 devices" in heard
    house.clock.move(timedelta(minutes=1))
    await house.presses(house.ben, "Send for approval")
    await goes_on(house)
    assert "You approved" in await house.presses(house.ana, "Approve")
    await goes_on(house)
    newest = (await house.bot.services.profiles.get("Kiosk", actor=SETUP)).profile_uuid
    assert {carried(house)[serial] for serial in serials} == {newest}
    house.clock.move(timedelta(minutes=1))
    assert "No device is left" in await house.presses(house.ben, "Those not yet set up")


async def test_devices_are_moved_to_another_profile_before_theirs_is_deleted(ready: House) -> None:
    house = ready
    serials = await has_kiosk(house)
    heard = await house.types(house.ana, "/enroll profile delete Kiosk")
    assert "2 devices carry it" in heard
    await house.presses(house.ana, "Move devices first")
    heard = await house.fills(house.ana, {"Profile": "Sales iPad"})
    assert "Assign *Sales iPad* to 2 devices" in heard
    await house.ana.closes()
    await approved(house)
    sales = (await house.bot.services.profiles.get("Sales iPad", actor=SETUP)).profile_uuid
    assert {carried(house)[serial] for serial in serials} == {sales}
    assert "Delete profile *Kiosk*" in await house.types(house.ana, "/enroll profile delete Kiosk")


async def test_without_approvals_both_are_done_at_once(with_paris: Path, clock: FakeClock) -> None:
    async with open_furnished(with_paris, clock, approvals="off") as house:
        await prepared(house)
        await house.types(house.ana, "/enroll token default paris Kiosk")
        await house.presses(house.ana, "Carry out")
        assert await defaults(house) == dict.fromkeys(Platform, "Kiosk")
        await house.types(house.ana, "/enroll token remove paris")
        await house.fills(house.ana, {"Name of the token": "paris"})
        await house.presses(house.ana, "Carry out")
        await goes_on(house)
        assert (await house.contents())["token_secret"] == []
        assert "REQ-2 finished:* Token *paris* is removed" in house.posts()
        listed = await house.types(house.ana, "/enroll request list")
        assert "Remove token *paris*" in listed


async def test_who_may_approve_confirms_their_own_default_and_removal_where_that_is_enough(
    with_paris: Path, clock: FakeClock
) -> None:
    async with open_furnished(with_paris, clock, approvals="self") as house:
        await prepared(house)
        heard = await house.types(house.ana, "/enroll token default paris Kiosk")
        assert "Nobody but you" not in heard
        await house.presses(house.ana, "Send for approval")
        await goes_on(house)
        assert await defaults(house) == {}
        await house.presses(house.ana, "Approve")
        assert await defaults(house) == dict.fromkeys(Platform, "Kiosk")
        await house.types(house.ana, "/enroll token remove paris")
        await house.fills(house.ana, {"Name of the token": "paris"})
        await house.presses(house.ana, "Send for approval")
        await goes_on(house)
        assert (await house.contents())["token_secret"] != []
        await house.presses(house.ana, "Approve")
        await goes_on(house)
        assert (await house.contents())["token_secret"] == []
        posts = house.posts()
        assert posts.count("was confirmed by <@U0ANA>, who requested it, and has been carried out") >= 2
        acts = [act for act in await house.acts() if act[1] == "request.approved"]
        assert acts == [("U0ANA", "request.approved", f"REQ-{number}") for number in (1, 2)]
