"""The commands and buttons of this room, over HTTP."""

from datetime import timedelta

import pytest

from bot.backend.port import ServiceUnavailable
from tests.devices.conftest import Desk, buttons, shown
from tests.fakes.backend import FakeServer, device
from tests.fakes.rooms import ADMIN


@pytest.fixture
async def paris(desk: Desk) -> FakeServer:
    """A token with 23 devices, synced an hour ago."""
    server, _ = await desk.rooms.add_token("paris")
    server.put(*[device(f"S{n:03}") for n in range(23)])
    # The upload lets the job look at once: whoever takes the sync, it has ended then.
    await desk.work()
    desk.rooms.clock.move(timedelta(hours=1))
    return server


# Syncs


async def test_a_sync_asked_for_is_said_to_have_started_and_is_done(desk: Desk, paris: FakeServer) -> None:
    paris.put(device("NEW"))
    assert await desk.type("sync paris") == "Sync of token paris started · changes only"
    await desk.work()
    assert (await desk.synced()).added == 1


async def test_sync_without_a_name_syncs_every_token_and_says_which_has_to_wait(
    desk: Desk, paris: FakeServer
) -> None:
    await desk.rooms.add_token("lyon")
    await desk.work()
    said = await desk.type("sync")
    assert "Sync of token paris started · changes only" in said
    assert "Token lyon was synced less than 15 minutes ago. Sync again in 15 minutes, at 10:15 UTC." in said


async def test_a_clock_time_in_a_refusal_is_shown_in_the_readers_zone(desk: Desk, paris: FakeServer) -> None:
    await desk.rooms.sync("paris")
    desk.rooms.clock.move(timedelta(minutes=4))
    await desk.type("sync paris")
    assert "in 11 minutes, at <!date^" in shown(desk.answer)


async def test_a_full_sync_too_soon_offers_one_of_the_changes(desk: Desk, paris: FakeServer) -> None:
    said = await desk.type("sync paris --full")
    assert "had a full sync on Fri 1 May, 09:00 UTC; one in 7 days is allowed." in said
    assert "The next may start on Fri 8 May, 09:00 UTC." in said
    assert "Sync of token paris started" in await desk.press(buttons(desk.answer)["Sync now"])


async def test_a_second_sync_answers_with_the_progress_of_the_first(desk: Desk, paris: FakeServer) -> None:
    await desk.type("sync paris")
    said = await desk.type("sync paris")
    assert said == (
        "Token paris is being synced already · changes only · 0 devices read so far: 0 added, 0 modified,"
        " 0 removed"
    )


@pytest.mark.parametrize(
    ("text", "role"), [("sync paris", "operator"), ("sync", "operator"), ("device forget S001", "admin")]
)
async def test_who_may_only_look_changes_nothing(desk: Desk, paris: FakeServer, text: str, role: str) -> None:
    said = await desk.type(text, user="UVIEW")
    assert f"This needs the role {role}." in said
    assert await desk.rooms.devices.due_syncs() == []
    assert (await desk.rooms.devices.list_devices("", actor=ADMIN)).total == 23


@pytest.mark.parametrize("text", ["device list", "device show S001", "devices S001"])
async def test_without_a_role_nothing_is_seen(desk: Desk, paris: FakeServer, text: str) -> None:
    said = await desk.type(text, user="UNONE")
    assert "This needs the role viewer." in said
    assert "S001" not in shown(desk.answer)


async def test_a_button_drawn_for_an_operator_is_refused_to_a_viewer(desk: Desk, paris: FakeServer) -> None:
    await desk.type("sync paris --full")
    sync_now = buttons(desk.answer)["Sync now"]
    assert "This needs the role operator." in await desk.press(sync_now, user="UVIEW")
    assert await desk.rooms.devices.due_syncs() == []


async def test_a_token_that_awaits_its_server_token_is_not_synced(desk: Desk) -> None:
    assert "There is no token here yet that could be synced." in await desk.type("sync")
    await desk.rooms.tokens.add("paris", actor=ADMIN, apple_id="ade@example.com", agreed=True)
    assert "paris" in await desk.type("sync paris")
    assert await desk.rooms.devices.due_syncs() == []


async def test_an_unknown_token_is_answered_with_the_nearest(desk: Desk, paris: FakeServer) -> None:
    assert "paris" in await desk.type("sync pariss")


@pytest.mark.parametrize("text", ["sync", "sync paris"])
async def test_a_sync_delivered_twice_is_answered_once(desk: Desk, paris: FakeServer, text: str) -> None:
    assert await desk.type_twice(text) == 1


async def test_a_button_of_a_token_that_is_gone_says_so(desk: Desk, paris: FakeServer) -> None:
    said = await desk.press({"action_id": "device.sync", "value": "0" * 32})
    assert "That token is not here any more" in said


# Lists


async def test_pages_lead_on_in_the_same_message(desk: Desk, paris: FakeServer) -> None:
    assert (await desk.type("devices", user="UVIEW")).startswith("23 devices")
    assert "Previous" not in buttons(desk.answer)
    second = await desk.press(buttons(desk.answer)["Next"], user="UVIEW")
    assert "S010" in second
    assert desk.answer["replace_original"] is True
    third = await desk.press(buttons(desk.answer)["Next"], user="UVIEW")
    assert "S022" in third
    assert "Next" not in buttons(desk.answer)
    assert await desk.press(buttons(desk.answer)["Previous"], user="UVIEW") == second


async def test_show_buttons_of_a_list_name_their_serial_to_a_screen_reader(
    desk: Desk, paris: FakeServer
) -> None:
    await desk.type("device list")
    labels = [
        block["accessory"]["accessibility_label"] for block in desk.answer["blocks"] if "accessory" in block
    ]
    assert labels == [f"Show device S{n:03}" for n in range(10)]


async def test_a_list_says_which_devices_are_removed_or_forgotten(desk: Desk, paris: FakeServer) -> None:
    paris.take("S001")
    await desk.rooms.sync("paris")
    await desk.rooms.devices.forget(["S002"], actor=ADMIN)
    said = await desk.type("device list removed:any")
    assert "`S001` · iPad Air · no profile · paris · removed Fri 1 May, 10:00 UTC" in said
    assert "`S002` · iPad Air · no profile · paris · forgotten" in said


async def test_an_empty_list_for_several_serials_says_that_all_words_must_hold(
    desk: Desk, paris: FakeServer
) -> None:
    said = await desk.type("device list S001, S002")
    assert "All words of a query must hold at once" in said
    assert "`S001` `S002`. Look at one at a time." in said
    assert [block["accessory"]["value"] for block in desk.answer["blocks"] if "accessory" in block] == [
        "S001",
        "S002",
    ]
    assert "Removed devices are listed with `removed:yes`" in said


async def test_an_empty_list_for_one_serial_leads_to_asking_apple(desk: Desk, paris: FakeServer) -> None:
    paris.put(device("FRESH"))
    said = await desk.type("device list FRESH")
    assert said.startswith("No device for `FRESH`")
    assert "Apple says `FRESH` is on server paris: added." in await desk.press(buttons(desk.answer)["Show"])


async def test_a_query_that_cannot_be_read_says_what_would_be(desk: Desk, paris: FakeServer) -> None:
    assert "Did you mean model:?" in await desk.type("device list modle:ipad")
    assert "Use one of: paris" in await desk.type("device list token:pariss")


async def test_a_forged_place_in_a_list_is_the_whole_list_of_who_pressed(
    desk: Desk, paris: FakeServer
) -> None:
    for value in ("", "null", "[]", '{"q": 7, "after": {}}'):
        said = await desk.press({"action_id": "device.list.next", "value": value}, user="UVIEW")
        assert said.startswith("23 devices")


async def test_the_export_comes_as_a_direct_message_and_is_said_here(desk: Desk, paris: FakeServer) -> None:
    await desk.type("device list token:paris", user="UVIEW")
    said = await desk.press(buttons(desk.answer)["Export CSV"], user="UVIEW")
    assert said == "The CSV is on its way to you as a direct message."
    [content] = desk.bot.web.uploads
    assert content.decode("utf-8-sig").count("\r\n") == 24
    [sent] = desk.bot.web.called("files.completeUploadExternal")
    assert (sent["channel_id"], sent["initial_comment"]) == ("DUVIEW", "23 devices for `token:paris` as CSV.")


# One device


async def test_a_card_has_facts_history_and_verdict(desk: Desk, paris: FakeServer) -> None:
    paris.put(
        device("S001", profile_uuid="AB12CD34" + "0" * 24, profile_status="assigned", color="GOLD"),
        operation="modified",
    )
    paris.profiles["AB12CD34" + "0" * 24] = {"profile_name": "Kiosk", "url": "https://mdm.example.com"}
    await desk.rooms.sync("paris")
    said = await desk.type("device show s001", user="UVIEW")
    assert "Assigned by\nade@example.com" in said
    assert "modified: profile AB12CD34… assigned; color GOLD, before SPACE GRAY" in said
    assert "Fri 1 May, 09:00 UTC: added to token paris" in said
    assert said.endswith("Ready to enroll: it gets its profile when it is switched on.")
    assert "<!date^" in shown(desk.answer)


async def test_an_unknown_serial_offers_to_look_again(desk: Desk, paris: FakeServer) -> None:
    said = await desk.type("device show NOPE")
    assert "`NOPE`: no token here has it; assign it in ABM." in said
    assert "Next: Assign it in ABM, to the MDM server of a token here." in said
    paris.put(device("NOPE"))
    assert "Apple says `NOPE` is on server paris: added." in await desk.press(
        buttons(desk.answer)["Look again"]
    )


async def test_a_service_that_is_down_is_not_taken_for_an_answer(desk: Desk, paris: FakeServer) -> None:
    paris.refuse("details", ServiceUnavailable("Apple is down."))
    said = await desk.type("device show NOPE")
    assert "could not ask about paris" in said
    assert "Next: Try again in a minute." in said


async def test_without_a_token_a_serial_is_not_said_to_be_unassigned(desk: Desk) -> None:
    said = await desk.type("device show NOPE", user="UVIEW")
    assert "there is no token here yet with which Apple could be asked" in said


async def test_a_long_history_is_shown_whole_on_request(desk: Desk, paris: FakeServer) -> None:
    for number in range(14):
        desk.rooms.clock.move(timedelta(hours=1))
        paris.put(device("S001", asset_tag=f"tag {number}"), operation="modified")
        await desk.rooms.sync("paris")
    said = await desk.type("device show S001")
    assert "… 5 changes between" in said
    assert "added to token paris" in said
    whole = await desk.press(buttons(desk.answer)["Whole history"])
    assert whole.startswith("History of S001 · 15 entries")
    assert all(f"asset tag tag {number}" in whole for number in range(14))


async def test_a_device_of_a_token_that_fails_offers_what_mends_it_to_an_admin_only(
    desk: Desk, paris: FakeServer
) -> None:
    desk.rooms.clock.move(timedelta(days=366))
    said = await desk.type("device show S001", user="UADMIN")
    assert "Not ready: Token paris has expired." in said
    assert list(buttons(desk.answer)) == ["Renew token"]
    await desk.type("device show S001", user="UVIEW")
    assert buttons(desk.answer) == {}


# Forgetting


async def test_forgetting_says_how_devices_come_back_and_which_were_not_known(
    desk: Desk, paris: FakeServer
) -> None:
    said = await desk.type("device forget s001,S002; nope", user="UADMIN")
    assert said.startswith("2 devices forgotten: `S001` `S002`")
    assert "They come back with the next full sync" in said
    assert "Next: unassign them in ABM so that they stay away." in said
    assert said.endswith("Not known here: `NOPE`\nNext: check the serial; `device show` asks Apple about it.")
    assert "Forgotten before: `S001`" in await desk.type("device forget S001", user="UADMIN")


async def test_forgetting_delivered_twice_is_answered_once(desk: Desk, paris: FakeServer) -> None:
    assert await desk.type_twice("device forget S001", user="UADMIN") == 1


async def test_forgetting_wants_serials(desk: Desk, paris: FakeServer) -> None:
    assert "Usage: `/enroll device forget SERIAL...`" in await desk.type("device forget", user="UADMIN")


# Text from outside


async def test_text_from_outside_mentions_nobody(desk: Desk, paris: FakeServer) -> None:
    paris.put(
        device("S001", model="<!channel>", color="<@U1>", asset_tag="*b* & `c`", description="<https://x|y>"),
        operation="modified",
    )
    await desk.rooms.sync("paris")
    for text in ("device show S001", "device list S001", "device list <!here>"):
        said = await desk.type(text)
        assert not any(
            mark in said + shown(desk.answer) for mark in ("<!channel", "<@U1", "<https", "<!here")
        )


async def test_an_answer_that_slack_no_longer_takes_goes_by_direct_message(
    desk: Desk, paris: FakeServer
) -> None:
    desk.bot.web.answer_status = 404
    await desk.bot.command("device show S001", user="UOPER")
    assert "S001 · iPad Air" in desk.directs[-1]
