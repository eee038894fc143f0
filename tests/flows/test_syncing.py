"""Syncs by hand, by themselves, and what they tell."""

from datetime import timedelta

from bot.devices.jobs import LOOK_EVERY
from tests.flows.conftest import House

DAY = timedelta(days=1)


def kinds(house: House) -> list[str]:
    """Return which kinds of pages were answered so far: of the full list, or of changes."""
    return [
        entry.path for entry in house.apple.log.since(0) if "devices" in entry.path and entry.status == 200
    ]


async def test_a_sync_by_hand_within_fifteen_minutes_says_the_minutes_left(paris: House) -> None:
    paris.clock.move(timedelta(minutes=4))
    heard = await paris.types(paris.ben, "/enroll sync paris")
    assert "Sync again in 11 minutes, at 09:15 UTC" in heard
    paris.clock.move(timedelta(minutes=11))
    paris.apple.add_devices("paris", 2)
    assert "Sync of token paris started" in await paris.types(paris.ben, "/enroll sync paris")
    assert "27 devices now: 2 added, 0 modified, 0 removed" in paris.posts()


async def test_a_full_sync_within_seven_days_says_when_the_next_may_start(paris: House) -> None:
    paris.clock.move(timedelta(days=6, hours=23))
    heard = await paris.types(paris.ben, "/enroll sync paris --full")
    assert "one in 7 days is allowed" in heard
    assert "Fri 8 May, 09:00 UTC" in heard
    paris.clock.move(timedelta(hours=1, minutes=1))
    assert "started* · full sync" in await paris.types(paris.ben, "/enroll sync paris --full")


async def test_one_command_syncs_every_token_and_says_which_have_to_wait(paris: House) -> None:
    paris.clock.move(timedelta(minutes=15))
    await paris.has_token("lyon", devices=3)
    heard = await paris.types(paris.ben, "/enroll sync")
    assert "Sync of token paris started" in heard
    assert "Token lyon was synced less than 15 minutes ago" in heard


async def test_a_second_sync_while_one_runs_answers_with_its_progress(house: House) -> None:
    house.apple.switches.page_default = house.apple.switches.page_maximum = 5
    await house.has_token("paris", devices=5)
    house.clock.move(DAY)
    house.apple.add_devices("paris", 8)
    house.gate.close(after=1)
    await house.ben.types("/enroll sync paris")
    await house.gate.reached.wait()
    await house.ana.types("/enroll sync paris")
    heard = await house.ana.sees("is being synced already")
    assert "read so far" in heard.text
    house.gate.open()
    await house.quiet()
    assert house.posts().count("13 devices now: 8 added") == 2


async def test_the_daily_sync_and_the_full_one_of_the_eighth_day_come_by_themselves(house: House) -> None:
    await house.has_token("paris", devices=25)
    house.apple.add_devices("paris", 2)
    await house.waits(DAY + timedelta(hours=1))
    assert "27 devices now: 2 added" in house.posts()
    assert kinds(house) == ["/server/devices", "/devices/sync"]
    for _ in range(7):
        await house.waits(DAY)
    assert kinds(house)[-1] == "/server/devices"
    assert kinds(house).count("/devices/sync") == 7
    assert house.posts().count("Token paris synced") == 2 * 2  # text and blocks of the two with news


async def test_a_failed_sync_tells_why_once_and_is_tried_again_by_itself(paris: House) -> None:
    paris.apple.faults.plan("html")
    await paris.waits(DAY + timedelta(hours=1))
    assert "did not finish" in paris.posts()
    assert "Sync now" in (await paris.ben.sees("did not finish")).buttons
    paris.apple.faults.clear()
    paris.apple.add_devices("paris", 1)
    await paris.waits(timedelta(minutes=15))
    assert "26 devices now: 1 added" in paris.posts()


async def test_a_failed_sync_does_not_count_for_the_fifteen_minutes(paris: House) -> None:
    paris.clock.move(timedelta(minutes=15))
    paris.apple.faults.plan("html")
    await paris.types(paris.ben, "/enroll sync paris")
    assert "did not finish" in paris.posts()
    paris.apple.faults.clear()
    heard = await paris.presses(paris.ben, "Sync now")
    assert "Token paris synced" in paris.posts().split("did not finish")[-1], heard


async def test_removed_devices_are_marked_and_kept(paris: House) -> None:
    gone = paris.apple.remove_devices("paris", 3)
    paris.clock.move(timedelta(minutes=15))
    await paris.types(paris.ben, "/enroll sync paris")
    assert "22 devices now: 0 added, 0 modified, 3 removed" in paris.posts()
    assert "no longer assigned to the server" in await paris.types(
        paris.ben, f"/enroll device show {gone[0]}"
    )


async def test_a_device_moved_to_another_server_changes_its_token(paris: House) -> None:
    await paris.has_token("lyon", devices=1)
    paris.clock.move(timedelta(minutes=15))
    moved = paris.apple.reassign_devices("paris", 2, to="lyon")
    await paris.types(paris.ben, "/enroll sync lyon")
    assert "2 moved here from another token" in paris.posts()
    await paris.types(paris.ben, "/enroll sync paris")
    shown = await paris.types(paris.ben, f"/enroll device show {moved[0]}")
    assert "*moved* from token paris to lyon" in shown
    assert "3 devices" in await paris.types(paris.ben, "/enroll device list token:lyon")
    assert "23 devices" in await paris.types(paris.ben, "/enroll device list token:paris")


async def test_a_page_that_repeats_its_cursor_ends_the_sync_with_a_sentence(house: House) -> None:
    house.apple.faults.plan("repeat_cursor")
    house.apple.switches.page_default = house.apple.switches.page_maximum = 5
    await house.has_token("paris", devices=12)
    assert "did not finish" in house.posts()
    assert "same place in the list again" in house.posts()


async def test_an_expired_cursor_forces_a_full_sync_and_says_so(paris: House) -> None:
    paris.clock.move(timedelta(days=7, hours=12))
    await paris.types(paris.ben, "/enroll sync paris")
    assert "forced: the place reached in the list had expired" in paris.posts()


async def test_progress_and_result_are_one_message_of_the_channel(house_on_both: House) -> None:
    house = house_on_both
    house.apple.switches.page_default = house.apple.switches.page_maximum = 100
    await house.has_token("paris", devices=450)
    house.clock.move(LOOK_EVERY)
    told = [message for message in await house.ben.messages("C0ENROLL") if "paris" in message.text]
    assert len(told) == 1
    assert "450 devices now: 450 added" in told[0].text
    assert "5 pages" in told[0].text
