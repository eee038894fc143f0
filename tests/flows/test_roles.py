"""Who may do what: every command and every button, for viewers, operators and people without a role."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.devices import blocks as device_blocks
from bot.home import blocks as home_blocks
from bot.sandbox.slack import people
from bot.tokens import blocks as token_blocks
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_house
from tests.flows.conftest import House

FOR_ADMINS = [
    "token add lyon --apple-id ade@example.com --agree",
    "token add",
    "token upload paris",
    "token renew paris",
    "token renew paris --new-key",
    "token set paris --owner @ben",
    "token tag paris schools",
    "token tag paris",
    "token remove paris",
    "device forget SERIAL",
]
FOR_OPERATORS = ["sync", "sync paris", "sync paris --full"]
FOR_VIEWERS = ["", "status", "token", "token list", "token show paris", "device", "device list model:iPad"]
ADMINS_BUTTONS = [
    token_blocks.ADD,
    token_blocks.UPLOAD,
    token_blocks.UPLOAD_TO_OTHER,
    token_blocks.GET_CERTIFICATE,
    token_blocks.RENEW,
]
OPERATORS_BUTTONS = [token_blocks.CHECK_AGAIN, home_blocks.SYNC_NOW]
VIEWERS_BUTTONS = [
    home_blocks.SHOW_TOKEN,
    device_blocks.SHOW,
    device_blocks.NEXT,
    device_blocks.PREVIOUS,
    device_blocks.EXPORT,
]
MODALS = [token_blocks.ADD, token_blocks.UPLOAD, token_blocks.REMOVE]


@pytest.fixture
async def closed(house_file: Path, clock: FakeClock) -> AsyncIterator[House]:
    """A house in which nobody but Ana has a role."""
    async with open_house(f"sqlite:///{house_file}", clock, default_role="none") as running:
        await running.has_token("paris", devices=3)
        yield running


async def test_a_viewer_may_read_and_nothing_else(paris: House) -> None:
    serial = paris.apple.snapshot()[0]["serial_number"]
    for command in [*FOR_VIEWERS, f"device show {serial}"]:
        heard = await paris.types(paris.cleo, f"/enroll {command}")
        assert "This needs the role" not in heard, command
        assert heard.text, command
    before = await paris.contents()
    for command in FOR_OPERATORS:
        await refused(paris, people.CLEO, command, role="operator")
    for command in FOR_ADMINS:
        await refused(paris, people.CLEO, command, role="admin")
    assert await paris.contents() == before
    assert await paris.cleo.modal() is None


async def test_an_operator_syncs_and_does_what_viewers_do(paris: House) -> None:
    before = await paris.contents()
    for command in FOR_ADMINS:
        await refused(paris, people.BEN, command, role="admin")
    assert await paris.contents() == before
    assert "Token paris was synced less than" in await paris.types(paris.ben, "/enroll sync")


async def test_who_has_no_role_is_told_who_can_grant_one(closed: House) -> None:
    before = await closed.contents()
    for command in FOR_VIEWERS:
        await refused(closed, people.BEN, command, role="viewer")
    for command in FOR_OPERATORS:
        await refused(closed, people.BEN, command, role="operator")
    for command in FOR_ADMINS:
        await refused(closed, people.BEN, command, role="admin")
    assert await closed.contents() == before
    assert "You have no role here yet" in await closed.opens_home(closed.ben)


async def test_a_pressed_button_changes_nothing_for_who_lacks_its_role(paris: House) -> None:
    token_id = await token_id_of(paris)
    before = await paris.contents()
    for who, buttons in (
        (people.CLEO, [*OPERATORS_BUTTONS, *ADMINS_BUTTONS]),
        (people.BEN, ADMINS_BUTTONS),
    ):
        for action_id in buttons:
            sent = len(paris.tap.bodies)
            await paris.forges(who, action_id, token_id)
            assert b"This needs the role" in b"".join(paris.tap.bodies[sent:]), (who, action_id)
    assert await paris.contents() == before


async def test_no_button_answers_who_has_no_role(closed: House) -> None:
    token_id = await token_id_of(closed)
    before = await closed.contents()
    for action_id in [*VIEWERS_BUTTONS, *OPERATORS_BUTTONS, *ADMINS_BUTTONS]:
        sent = len(closed.tap.bodies)
        await closed.forges(people.BEN, action_id, token_id)
        said = b"".join(closed.tap.bodies[sent:])
        assert b"This needs the role" in said, action_id
        assert b"Example Trust" not in said
    assert await closed.contents() == before


async def test_a_modal_sent_by_who_lacks_its_role_changes_nothing(paris: House) -> None:
    token_id = await token_id_of(paris)
    before = await paris.contents()
    filled = {
        "name": {"value": {"value": "paris"}},
        "apple_id": {"value": {"value": "ade@example.com"}},
        "agree": {"value": {"selected_options": [{"value": "agree"}]}},
        "file": {"value": {"files": [{"id": "F0"}]}},
    }
    for who in (people.CLEO, people.BEN):
        for callback_id in MODALS:
            answer = await paris.submits(who, callback_id, token_id, filled)
            assert b"This needs the role admin" in answer.body, (who, callback_id)
    assert await paris.contents() == before


async def test_a_button_drawn_for_an_admin_counts_as_what_its_presser_is(paris: House) -> None:
    paris.apple.faults.plan("html")
    paris.clock.move(paris.settings.sync_every)
    await paris.types(paris.ana, "/enroll sync paris")
    assert "Sync now" in (await paris.cleo.sees("did not finish")).buttons
    before = await paris.contents()
    assert "This needs the role operator" in await paris.presses(paris.cleo, "Sync now")
    assert await paris.contents() == before


async def test_a_guest_and_a_deactivated_person_are_never_more_than_viewers(paris: House) -> None:
    paris.slack.workspace.users[people.BEN]["is_restricted"] = True
    paris.clock.move(paris.settings.sync_every)
    await refused(paris, people.BEN, "sync paris", role="operator")
    paris.slack.workspace.users[people.ANA]["deleted"] = True
    sent = len(paris.tap.bodies)
    await paris.forges(people.ANA, home_blocks.SHOW_TOKEN, await token_id_of(paris))
    assert b"This needs the role viewer" in b"".join(paris.tap.bodies[sent:])


async def test_a_failed_look_up_of_a_person_grants_nothing(paris: House) -> None:
    paris.clock.move(paris.settings.sync_every)
    paris.slack.faults.refuse["users.info"] = "internal_error"
    before = await paris.contents()
    await refused(paris, people.BEN, "sync paris", role="operator")
    assert await paris.contents() == before


async def test_help_shows_what_the_caller_may_do(paris: House) -> None:
    shown = {
        who.person: (await paris.types(who, "/enroll help")).text
        for who in (paris.ana, paris.ben, paris.cleo)
    }
    assert "token renew NAME" in shown["ana"]
    assert "token renew" not in shown["ben"]
    assert "/enroll sync" in shown["ben"]
    assert "/enroll sync" not in shown["cleo"]
    assert "/enroll device list" in shown["cleo"]


async def test_the_home_tab_offers_what_its_reader_may_do(paris: House) -> None:
    shown = {who.person: await paris.opens_home(who) for who in (paris.ana, paris.ben, paris.cleo)}
    assert all("All is well: 1 token works. 25 devices." in text for text in shown.values())
    for label, readers in {"Renew token": {"ana"}, "Add token": {"ana"}, "Sync now": {"ana", "ben"}}.items():
        assert {name for name, text in shown.items() if label in text} == readers


async def refused(house: House, user_id: str, command: str, *, role: str) -> None:
    who = {people.ANA: house.ana, people.BEN: house.ben, people.CLEO: house.cleo}[user_id]
    heard = await house.types(who, f"/enroll {command}")
    assert f"This needs the role {role}." in heard, command
    assert "<@U0ANA> can do this, or ask who runs the bot to change ENROLLBOT_ADMINS" in heard
    assert all(message.only_for_me for message in heard.messages)


async def token_id_of(house: House) -> str:
    return (await house.contents())["token_secret"][0].split("'")[1]
