"""Devices are listed, exported, shown, asked for, forgotten, and come back."""

import csv
import io
import re
from datetime import timedelta

from tests.flows.conftest import House


def serials(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"^`([A-Z0-9]+)`", text, re.MULTILINE)))


def known(house: House) -> list[str]:
    return sorted(device["serial_number"] for device in house.apple.snapshot())


async def test_the_pages_of_a_list_lead_forth_and_back(paris: House) -> None:
    first = await paris.types(paris.cleo, "/enroll device list")
    second = await paris.presses(paris.cleo, "Next")
    third = await paris.presses(paris.cleo, "Next")
    assert "Next" not in third.buttons
    pages = [serials(page.text) for page in (first, second, third)]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [serial for page in pages for serial in page] == known(paris)
    assert serials((await paris.presses(paris.cleo, "Previous")).text) == pages[1]
    back = await paris.presses(paris.cleo, "Previous")
    assert serials(back.text) == pages[0]
    assert "Previous" not in back.buttons


async def test_a_query_narrows_the_list_and_its_pages(paris: House) -> None:
    models = [device["model"] for device in paris.apple.snapshot()]
    ipads = sum("iPad" in model for model in models)
    assert f"{ipads} devices" in await paris.types(paris.ben, "/enroll device list model:iPad")
    heard = await paris.types(paris.ben, "/enroll devices -model:iPad token:paris profile:none")
    assert f"{len(models) - ipads} devices" in heard
    beginning = known(paris)[0][:6]
    assert beginning in await paris.types(paris.ben, f"/enroll device {beginning.lower()}*")
    assert "No device" in await paris.types(paris.ben, "/enroll device list model:zebra")


async def test_a_csv_comes_by_direct_message_with_its_formulas_made_harmless(paris: House) -> None:
    serial = known(paris)[0]
    rows = paris.apple.store.find([serial])
    evil = '=HYPERLINK("http://evil.example","x")'
    row = rows[serial]
    escaped = evil.replace('"', '\\"')
    facts = re.sub(r',"asset_tag":"[^"]*"', "", row.facts) + f',"asset_tag":"{escaped}"'
    paris.apple.store.set_facts({serial: facts})
    paris.apple.set_profile("paris", [serial], None)
    paris.clock.move(timedelta(minutes=15))
    await paris.types(paris.ben, "/enroll sync paris")
    await paris.types(paris.ben, "/enroll device list")
    heard = await paris.presses(paris.ben, "Export CSV")
    assert {message.raw["channel"] for message in heard.messages if message.raw.get("files")} == {"D0BEN"}
    content = await paris.ben.downloads("devices.csv")
    table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [line["serial"] for line in table] == known(paris)
    assert table[0]["asset_tag"] == f"'{evil}"
    assert ("U0BEN", "device.exported", "all devices") in await paris.acts()


async def test_a_name_from_outside_pings_nobody(paris: House) -> None:
    serial = known(paris)[0]
    row = paris.apple.store.find([serial])[serial]
    facts = re.sub(r',"asset_tag":"[^"]*"', "", row.facts) + ',"asset_tag":"<!channel> <@U0ANA>"'
    paris.apple.store.set_facts({serial: facts})
    paris.apple.set_profile("paris", [serial], None)
    paris.clock.move(timedelta(minutes=15))
    await paris.types(paris.ben, "/enroll sync paris")
    heard = await paris.types(paris.ben, f"/enroll device show {serial}")
    assert "&lt;!channel&gt; &lt;@U0ANA&gt;" in heard
    assert "<!channel>" not in heard


async def test_an_unknown_serial_is_asked_of_apple_and_added(paris: House) -> None:
    (new,) = paris.apple.add_devices("paris", 1)
    heard = await paris.types(paris.cleo, f"/enroll device show {new.lower()}")
    assert f"Apple says `{new}` is on server paris: added" in heard
    assert "26 devices" in await paris.types(paris.cleo, "/enroll device list")


async def test_a_serial_that_no_server_has_is_to_be_assigned_in_abm(paris: House) -> None:
    heard = await paris.types(paris.cleo, "/enroll device show NOSUCHSERIAL")
    assert "no token here has it; assign it in ABM" in heard
    paris.apple.faults.plan("503", path="/devices")
    heard = await paris.types(paris.cleo, "/enroll device show NOSUCHSERIAL")
    assert "could not ask about paris" in heard


async def test_a_forgotten_device_comes_back_with_the_next_full_sync(paris: House) -> None:
    one, two = known(paris)[:2]
    heard = await paris.types(paris.ana, f"/enroll device forget {one.lower()},{two}; NOSUCH")
    assert "2 devices forgotten" in heard
    assert "unassign them in" in heard
    assert "Not known here: `NOSUCH`" in heard
    assert "Forgotten before" in await paris.types(paris.ana, f"/enroll device forget {one}")
    paris.apple.modify_devices("paris", [one])
    paris.clock.move(timedelta(minutes=15))
    await paris.types(paris.ben, "/enroll sync paris")
    assert "23 devices" in await paris.types(paris.ben, "/enroll device list")
    assert "Forgotten" in await paris.types(paris.ben, f"/enroll device show {one}")
    paris.clock.move(timedelta(days=7))
    await paris.types(paris.ben, "/enroll sync paris --full")
    assert "2 returned" in paris.posts()
    assert "25 devices" in await paris.types(paris.ben, "/enroll device list")
    actions = [(act[1], act[2]) for act in await paris.acts()]
    assert actions.count(("device.forgotten", one)) == 1


async def test_a_forgotten_device_comes_back_when_apple_reports_it_added_again(paris: House) -> None:
    one = known(paris)[0]
    await paris.types(paris.ana, f"/enroll device forget {one}")
    paris.clock.move(timedelta(minutes=15))
    paris.apple.remove_devices("paris", [one])
    paris.apple.assign_in_portal([one], "paris")
    await paris.types(paris.ben, "/enroll sync paris")
    assert "1 returned" in paris.posts()


async def test_show_leads_from_the_list_to_the_device(paris: House) -> None:
    await paris.types(paris.cleo, "/enroll device list")
    heard = await paris.presses(paris.cleo, "Show")
    assert "History" in heard
    assert "Not ready" in heard
