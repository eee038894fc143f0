"""Requests are listed ten a page and exported whole; a preview is read before it is sent."""

from datetime import timedelta

from bot.assignments import store
from bot.assignments.csv_file import read_serials
from bot.assignments.models import Action, Request, RequestState
from bot.kit.actor import Actor, Rights, Role
from bot.sandbox.slack import people
from tests.flows.conftest import House
from tests.flows.test_assigning import SETUP, prepared, serials_of

BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))


async def has_requests(house: House, states: list[RequestState], *, of: str = people.BEN) -> None:
    """Put requests into the database as they are after some days of use, the oldest first."""
    token = await house.bot.services.tokens.get("paris", actor=SETUP)
    async with house.bot.services.db.begin() as session:
        for number, state in enumerate(states, start=1):
            made_at = house.clock.now() - timedelta(hours=len(states) - number)
            row = Request(
                id=f"request-{number}",
                number=number,
                action=Action.UNASSIGN.value,
                state=state.value,
                token_id=token.id,
                devices=number,
                facts={},
                reason=f"=ticket {number}",
                requested_by=of if number % 2 else people.ANA,
                made_at=made_at,
                requested_at=made_at,
            )
            await store.add(session, row, [])


def numbers(heard: str) -> list[int]:
    """Return the numbers of the requests of a page, in its order."""
    found = [int(part.split("*")[0]) for part in heard.split("*REQ-")[1:]]
    return list(dict.fromkeys(found))


async def test_open_requests_come_first_and_pages_lead_on_and_back(house_on_both: House) -> None:
    house = house_on_both
    await house.has_token("paris", devices=3)
    states = [RequestState.DENIED] * 25
    states[2] = states[20] = RequestState.RUNNING
    states[7] = RequestState.PENDING
    await has_requests(house, states)
    ended = [each for each in range(25, 0, -1) if each not in (21, 8, 3)]
    first = await house.types(house.ana, "/enroll request list")
    assert (numbers(first.text), "Previous" in first.buttons) == ([21, 8, 3, *ended[:7]], False)
    assert numbers((await house.presses(house.ana, "Next")).text) == ended[7:17]
    # What is decided meanwhile takes its new place, and no other is passed over or shown twice for it.
    async with house.bot.services.db.begin() as session:
        await store.put(session, "request-3", {"state": RequestState.DONE.value})
    third = await house.presses(house.ana, "Next")
    assert (numbers(third.text), "Next" in third.buttons) == ([6, 5, 4, 3, 2, 1], False)
    assert numbers((await house.presses(house.ana, "Previous")).text) == ended[7:17]
    # The first page is full again.
    assert numbers((await house.presses(house.ana, "Previous")).text) == [21, 8, *ended[:8]]

    mine = await house.types(house.ana, "/enroll request list --mine")
    assert numbers(mine.text) == [8, *range(24, 9, -2), 6]
    assert numbers((await house.presses(house.ana, "Next")).text) == [4, 2]
    await house.presses(house.ana, "Export CSV")
    lines = (await house.ana.downloads("requests.csv")).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("request,action,state,token,profile,devices,requested_by")
    assert [line.split(",")[0] for line in lines[1:]] == [
        f"REQ-{each}" for each in [8, *range(24, 9, -2), 6, 4, 2]
    ]
    assert lines[1].startswith("REQ-8,unassign,pending,paris,,8,U0ANA,2")
    assert ",'=ticket 8," in lines[1]


async def test_what_a_page_button_carries_is_never_believed(house: House) -> None:
    await house.has_token("paris", devices=3)
    await has_requests(house, [RequestState.DENIED] * 3)
    for value in ("", "[]", '{"after":[7,1]}', '{"after":[0,-1]}', '{"mine":3}', '{"before":[1,1e99]}'):
        await house.forges(people.ANA, "request.list.next", value)
        assert numbers((await house.ana.messages())[-1].text) == [3, 2, 1], value
    for value in ('{"after":[0,9007199254740992]}', '{"before":[2,5,"x"]}'):
        await house.forges(people.ANA, "request.list.next", value)
        assert numbers((await house.ana.messages())[-1].text) == [3, 2, 1], value


async def test_a_preview_is_read_before_it_is_sent_and_a_superseded_one_is_not_listed(paris: House) -> None:
    ready = await prepared(paris)
    serials = serials_of(ready, 3)
    for some in (serials[:2], serials, serials[:1], serials[1:2]):
        ready.clock.move(timedelta(seconds=1))
        await ready.types(
            ready.ben, f'/enroll assign "Sales iPad" {" ".join(some)} --reason "Ticket {len(some)}"'
        )
    await ready.types(ready.ben, "/enroll request list")
    listed = await ready.types(ready.ben, "/enroll request list --mine")
    # Those of one device each stand beside each other; they took the place of what had both.
    assert listed.text.count("*preview* · Assign *Sales iPad* to 1 device") == listed.text.count("*preview*")
    assert listed.buttons == ["Show", "Show", "Export CSV"]
    shown = await ready.presses(ready.ben, "Show")
    assert "*Preview:* Assign *Sales iPad* to 1 device" in shown
    assert "REQ-1 sent for approval" in await ready.presses(ready.ben, "Send for approval")
    assert (await ready.types(ready.ben, "/enroll request list --mine")).buttons == [
        "Show",
        "Details",
        "Export CSV",
    ]
    # It is its requester's alone, and for half an hour.
    (view, *_) = (await ready.bot.services.assignments.list_requests(actor=BEN, mine=True)).rows
    await ready.forges(people.ANA, "request.show_preview", view.id)
    assert "This preview is" in (await ready.ana.messages())[-1].text
    ready.clock.move(timedelta(minutes=30))
    await ready.forges(people.BEN, "request.show_preview", view.id)
    assert "older than half an hour" in (await ready.ben.messages())[-1].text
    assert "preview" not in await ready.types(ready.ben, "/enroll request list --mine")


async def test_devices_that_are_set_up_are_left_out_of_what_a_file_asked_for(paris: House) -> None:
    ready = await prepared(paris)
    token = await ready.bot.services.tokens.get("paris", actor=SETUP)
    kiosk = await ready.has_profile(token.id, "Kiosk", platform="any")
    serials = serials_of(ready, 3)
    ready.apple.set_profile("paris", serials[:1], kiosk.profile_uuid)
    ready.apple.activate_devices("paris", serials[:1])
    await ready.bot.services.devices.refresh(token.id, serials)
    service = ready.bot.services.assignments
    sales = await ready.bot.services.profiles.get("Sales iPad", actor=SETUP)
    read = read_serials("\n".join(["Serial", *serials, serials[0]]).encode()).in_words()
    all_of_them = await service.preview(
        Action.ASSIGN, actor=BEN, profile=sales, serials=serials, remarks=read
    )
    assert (all_of_them.devices, all_of_them.found.set_up) == (3, 1)
    shown = await ready.types(ready.ben, "/enroll request list --mine")
    assert shown.buttons == ["Show", "Export CSV"]
    heard = await ready.presses(ready.ben, "Show")
    assert "1 of 3 devices has already fetched a profile" in heard
    fewer = await ready.presses(ready.ben, "Leave out the 1")
    assert "Assign *Sales iPad* to 2 devices" in fewer
    # Its place is taken, and what was read is still said.
    assert "4 rows read in the column “Serial”: 3 serial numbers." in fewer
    assert "1 row with a serial number that stands above left out." in fewer
    (only,) = (await service.list_requests(actor=BEN, mine=True)).rows
    assert only.devices == 2
