"""A new assignment by the form: from the Home tab and from a profile, with each way to say which devices."""

import pytest

from bot.kit.actor import Actor, Role
from bot.sandbox.slack import people
from tests.fakes.house import House
from tests.flows.test_assigning import prepared, serials_of

SETUP = Actor.cli("setup")


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


async def test_from_home_the_preview_comes_by_direct_message(ready: House) -> None:
    assert (
        "New assignment" in (await ready.ben.sees_home("")).buttons
        if await ready.opens_home(ready.ben)
        else ""
    )
    heard = await ready.presses(ready.ben, "New assignment")
    assert heard.modal is not None
    one, two = serials_of(ready, 2)
    heard = await ready.fills(ready.ben, {"Profile": "Sales iPad"})
    assert heard.errors == {"Serial numbers": "Say which devices: serial numbers, a query or a file."}
    heard = await ready.fills(ready.ben, {"Serial numbers": one, "Query": "model:iPad"})
    assert set(heard.errors) == {"Serial numbers", "Query"}
    heard = await ready.fills(ready.ben, {"Serial numbers": f"{one.lower()}, {two}", "Query": ""})
    assert heard.errors == {}
    assert heard.modal is not None
    assert "The preview is in your direct messages." in heard.modal.text
    await ready.ben.closes()
    heard = await ready.presses(ready.ben, "Send for approval")
    assert "REQ-1" in heard.text + str(await ready.ben.modal())
    assert "REQ-1" in str(await ready.acts())


async def test_from_a_profile_the_preview_comes_to_the_channel_and_a_wrong_query_stays_in_the_form(
    ready: House,
) -> None:
    await ready.types(ready.ben, '/enroll profile show "Sales iPad"')
    await ready.presses(ready.ben, "New assignment")
    heard = await ready.fills(ready.ben, {"Query": "colour:red"})
    assert "colour" in heard.errors["Query"]
    heard = await ready.fills(ready.ben, {"Query": "token:paris", "Reason": "Ticket 4711"})
    assert heard.modal is not None
    assert "in the channel, visible to you only" in heard.modal.text
    assert "Preview: Assign Sales iPad to" in heard.text


async def test_the_form_offers_only_what_somebody_may_use(ready: House) -> None:
    access = ready.bot.services.access
    await access.revoke(people.BEN, role=Role.OPERATOR, actor=SETUP)
    await access.grant(people.BEN, role=Role.OPERATOR, tags=frozenset({"elsewhere"}), actor=SETUP)
    await ready.forges(people.BEN, "request.new", "")
    said = "\n".join(message.text for message in await ready.ben.messages())
    assert "There is no enrollment profile that you may assign." in said
