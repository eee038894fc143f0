"""Devices get a profile: a preview, a second person, results per device."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.assignments.errors import AlreadyDecided
from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.apple import AppleConnection
from bot.kit.actor import Actor, Rights, Role
from bot.sandbox.apple.faults import Trouble
from bot.sandbox.slack import people
from tests.fakes.house import another_replica
from tests.flows.conftest import House

SETUP = Actor.cli("setup")


async def prepared(paris: House) -> House:
    """Give paris a profile, Sales iPad; Ben may request, Ana approves."""
    token = await paris.bot.services.tokens.get("paris", actor=SETUP)
    await paris.has_profile(token.id, "Sales iPad", platform="any")
    await paris.types(paris.ana, "/enroll role grant @ben operator")
    return paris


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


@pytest.fixture
async def ready_on_both(house_on_both: House) -> House:
    await house_on_both.has_token("paris", devices=25)
    return await prepared(house_on_both)


async def goes_on(house: House) -> None:
    """Do what the jobs do, until nothing is under way."""
    await house.quiet()
    house.clock.move(timedelta(seconds=6))
    for job in ("assignments.watch", "assignments.requests", "assignments.expiry"):
        await house.bot.jobs.run_due(job)
    await house.quiet()


async def requested(house: House, serials: list[str], *, reason: str = "Ticket 4711") -> None:
    """Have Ben ask for Sales iPad on these devices."""
    await house.types(house.ben, f'/enroll assign "Sales iPad" {" ".join(serials)} --reason "{reason}"')
    await house.presses(house.ben, "Send for approval")
    if (modal := await house.ben.modal()) is not None and "Number of devices" in modal.text:
        await house.fills(house.ben, {"Number of devices": str(len(serials))})
        await house.ben.closes()
    await goes_on(house)


def serials_of(house: House, count: int) -> list[str]:
    return [device["serial_number"] for device in house.apple.snapshot()[:count]]


def carried(house: House) -> dict[str, str]:
    """Return the profile of each device as Apple has it."""
    return {
        each["serial_number"]: each["profile_uuid"]
        if each["profile_status"] in ("assigned", "pushed")
        else ""
        for each in house.apple.snapshot()
    }


async def test_what_is_requested_by_one_and_approved_by_another_reaches_the_devices(ready: House) -> None:
    serials = serials_of(ready, 3)
    heard = await ready.types(
        ready.ben, f'/enroll assign "Sales iPad" {" ".join(serials)} UNKNOWN12 --reason "Ticket 4711"'
    )
    assert "Assign *Sales iPad* to 3 devices" in heard
    assert "UNKNOWN12" in heard
    assert not any(carried(ready).values())
    await ready.presses(ready.ben, "Send for approval")
    await goes_on(ready)
    assert "REQ-1" in ready.posts()
    assert "Ticket 4711" in ready.posts()
    heard = await ready.presses(ready.ana, "Approve")
    assert "You approved REQ-1" in heard
    await goes_on(ready)
    (profile,) = await ready.bot.services.profiles.list_profiles(actor=SETUP)
    assert {s: u for s, u in carried(ready).items() if u} == dict.fromkeys(serials, profile.profile_uuid)
    assert "3 of 3 devices as asked" in ready.posts()
    assert "was approved by" in ready.posts()
    listed = await ready.types(ready.ana, '/enroll device list profile:"Sales iPad"')
    assert all(serial in listed for serial in serials)
    acts = [action for _, action, _ in await ready.acts()]
    assert [a for a in acts if a.startswith("request.")] == [
        "request.sent",
        "request.approved",
        "request.carried_out",
    ]
    told = await ready.types(ready.ana, f"/enroll audit serial:{serials[0]} action:request.approved")
    assert "asked for by <@U0BEN> · approved by <@U0ANA> · as an admin by ENROLLBOT_ADMINS" in told
    assert "reason: Ticket 4711" in told
    told = await ready.types(ready.ana, f"/enroll audit serial:{serials[0]} action:request.carried_out")
    assert "asked for by <@U0BEN> · approved by <@U0ANA> · as an admin by ENROLLBOT_ADMINS" in told
    assert "reason: Ticket 4711" in told
    others = [serial for serial in carried(ready) if serial not in serials]
    assert "No entry" in await ready.types(ready.ana, f"/enroll audit serial:{others[0]}")


async def test_every_act_on_a_request_links_to_its_card(ready: House) -> None:
    # Slack does not tell the link of the first card at once.
    ready.slack.faults.refuse["chat.getPermalink"] = "ratelimited"
    await requested(ready, serials_of(ready, 2))
    ready.slack.faults.reset()
    assert "message in Slack" not in await ready.types(ready.ana, "/enroll audit action:request")
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    (card,) = [
        each
        for each in ready.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
        if each["text"].startswith("REQ-1 ·") and "ephemeral_for" not in each
    ]
    link = f"{ready.slack.base_url}/archives/{people.ENROLLMENT_CHANNEL}/p{card['ts'].replace('.', '')}"
    told = await ready.types(ready.ana, "/enroll audit action:request")
    assert told.text.count(f"<{link}|message in Slack>") == 6  # of each act, in text and blocks
    assert f"<{link}|message in Slack>" in await ready.types(ready.ben, "/enroll request show REQ-1")
    await ready.types(ready.ana, "/enroll audit --export action:request")
    entries = [json.loads(line) for line in (await ready.ana.downloads("audit.jsonl")).splitlines()]
    assert [entry["link"] for entry in entries] == [link] * 3
    # The first were written before it was known.
    assert [entry["detail"].get("permalink") for entry in entries] == [None, None, link]
    await ready.bot.services.audit.verify()


async def test_nobody_decides_their_own_request_and_a_decision_is_made_once(
    ready_on_both: House,
) -> None:
    ready = ready_on_both
    await ready.types(ready.ana, "/enroll role grant @ben approver")
    await requested(ready, serials_of(ready, 2))
    for word in ("Approve", "Deny"):
        assert "your own request" in await ready.presses(ready.ben, word)
        assert await ready.ben.modal() is None
    request = (await ready.bot.services.assignments.list_requests(actor=SETUP)).rows[0]
    answers = await asyncio.gather(
        *(ready.forges(people.ANA, "request.approve", request.id) for _ in range(4)),
        ready.forges(people.ANA, "request.cancel", request.id),
    )
    assert {answer.status for answer in answers} == {200}
    await goes_on(ready)
    decided = [act for act in await ready.acts() if act[1] in ("request.approved", "request.cancelled")]
    assert len(decided) == 1
    heard = await ready.types(ready.ben, "/enroll request show REQ-1")
    assert "REQ-1" in heard
    await ready.forges(people.ANA, "request.approve", request.id)
    assert "Your press changed nothing" in str(await ready.ana.messages())


async def test_a_request_is_denied_with_a_reason_that_its_requester_is_told(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    await ready.presses(ready.ana, "Deny")
    assert "Reason" in (await ready.fills(ready.ana, {"Reason": " "})).errors
    await ready.fills(ready.ana, {"Reason": "Wrong profile <!channel>"})
    await goes_on(ready)
    told = str(await ready.ben.messages())
    assert "REQ-1 was denied" in told
    assert "Wrong profile &lt;!channel&gt;" in told
    assert not any(carried(ready).values())
    act = await ready.types(ready.ana, "/enroll audit action:request.denied")
    assert "asked for by <@U0BEN> · as an admin by ENROLLBOT_ADMINS · reason: Wrong profile" in act
    again = await ready.presses(ready.ben, "Request again")
    assert "Preview" in again


async def test_a_request_is_cancelled_by_who_asked_and_ends_by_itself_in_time(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    assert "REQ-1 is cancelled" in await ready.types(ready.ben, "/enroll request cancel REQ-1")
    await requested(ready, serials_of(ready, 2))
    ready.clock.move(timedelta(hours=73))
    heard = await ready.types(ready.ana, "/enroll request show 2")
    assert "REQ-2" in heard
    request = (await ready.bot.services.assignments.list_requests(actor=SETUP)).rows[0]
    await ready.forges(people.ANA, "request.approve", request.id)
    assert "REQ-2 has expired" in str(await ready.ana.messages())
    await goes_on(ready)
    await goes_on(ready)
    assert "REQ-2 has expired" in ready.posts()
    assert not any(carried(ready).values())


async def test_what_no_longer_holds_is_not_approved(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    await ready.types(ready.ana, "/enroll role revoke @ben")
    # Everybody is an operator by default here: the request stands.
    await ready.types(ready.ana, '/enroll profile edit "Sales iPad"')
    for values in ({}, {}, {"Department": "IT"}, {}, {}):
        await ready.fills(ready.ana, values)
    await ready.ana.closes()
    assert "was edited meanwhile" in await ready.presses(ready.ana, "Approve")
    assert not any(carried(ready).values())


async def test_each_device_is_accounted_for_whatever_apple_answers(ready: House) -> None:
    serials = serials_of(ready, 6)
    ready.apple.switches.throttled = {serials[0]}
    ready.apple.switches.failing = {serials[1]}
    await requested(ready, serials)
    ready.apple.remove_devices("paris", [serials[2]])
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    request = (await ready.bot.services.assignments.list_requests(actor=SETUP)).rows[0]
    assert request.outcomes[Outcome.SUCCESS] == 3
    assert "Goes on by itself" in ready.posts()
    # What was not accessible is asked about at once, not when the request ends a day later.
    await ready.settle()
    heard = await ready.types(ready.ana, f"/enroll device show {serials[2]}")
    assert "no longer assigned to the server" in heard
    for _ in range(2):
        ready.clock.move(timedelta(minutes=6))
        await goes_on(ready)
    ready.apple.switches.throttled = set()
    ready.clock.move(timedelta(hours=25))
    await goes_on(ready)
    await goes_on(ready)
    assert "*REQ-1 finished:* 4 of 6 devices as asked" in ready.posts()
    content = (await ready.ana.downloads("REQ-1-not-done.csv")).decode("utf-8-sig")
    rows = dict(line.split(",")[0:3:2] for line in content.splitlines()[1:])
    assert rows == {serials[1]: "failed", serials[2]: "not accessible"}
    sent = [entry for entry in ready.apple.log.entries if entry.path == "/profile/devices"]
    assert len(sent) == 4  # all, the failed one twice again, the throttled one once


async def test_an_order_names_no_more_devices_than_the_account_allows(ready: House) -> None:
    serials = serials_of(ready, 5)
    ready.apple.switches.assign_maximum = 2
    # Asked every hour what the account says; the stand-in refuses a larger order as malformed.
    await ready.waits(timedelta(hours=1))
    await requested(ready, serials)
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    assert "5 of 5 devices as asked" in ready.posts()
    sent = [entry for entry in ready.apple.log.entries if entry.path == "/profile/devices"]
    assert [entry.status for entry in sent] == [200] * 3


async def test_apple_that_does_not_answer_is_waited_for(ready: House) -> None:
    serials = serials_of(ready, 3)
    await requested(ready, serials)
    ready.apple.faults.plan(Trouble.CLOSE, path="/profile/devices", times=1)
    await ready.presses(ready.ana, "Approve")
    for _ in range(4):
        ready.clock.move(timedelta(minutes=5))
        await goes_on(ready)
    assert "3 of 3 devices as asked" in ready.posts()


async def test_a_large_request_is_confirmed_by_its_number_and_may_come_from_a_file(ready: House) -> None:
    serials = serials_of(ready, 12)
    await ready.types(ready.ben, '/enroll assign "Sales iPad" --csv --reason "New school"')
    lines = [
        "Modell;Seriennummer",
        *(f"iPad;{serial}" for serial in serials),
        f"iPad;{serials[0]}",
        "iPad;",
        "iPad;1,2E+10",
        "Summe;14",
    ]
    await ready.ben.uploads(
        "File with serial numbers (.csv)", "devices.csv", "\r\n".join(lines).encode("utf-16")
    )
    heard = await ready.fills(ready.ben, {})
    assert "Assign *Sales iPad* to 12 devices" in heard
    # Every row is accounted for.
    for told in (
        "16 rows read in the column “Seriennummer”: 12 serial numbers.",
        "1 row without a serial number left out.",
        "1 row with a serial number that stands above left out.",
        "1 row left out that a spreadsheet has probably damaged: row 16 “1,2E+10” (a power of ten).",
        "1 row left out that cannot be a serial number: row 17 “14”",
    ):
        assert told in heard
    await ready.ben.closes()
    await ready.presses(ready.ben, "Send for approval")
    assert "Number of devices" in (await ready.fills(ready.ben, {"Number of devices": "11"})).errors
    await ready.fills(ready.ben, {"Number of devices": "12"})
    await goes_on(ready)
    assert "New school" in ready.posts()


async def test_a_query_names_devices_and_the_profile_is_taken_from_them(ready: House) -> None:
    serials = serials_of(ready, 2)
    await requested(ready, serials)
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    heard = await ready.types(ready.ben, "/enroll unassign")
    assert "Say which devices" in heard
    ready.clock.move(timedelta(seconds=1))
    heard = await ready.types(ready.ben, '/enroll unassign --where profile:"Sales iPad"')
    assert "Take the profile from 2 devices" in heard
    heard = await ready.presses(ready.ben, "Send for approval")
    assert "REQ-2 sent for approval" in heard
    await goes_on(ready)
    assert "You approved REQ-2" in await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    assert "2 of 2 devices as asked" in ready.posts()
    assert not any(carried(ready).values())
    heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {serials[0]} NOSUCH1234')
    assert "NOSUCH1234" in heard
    listed: Any = await ready.types(ready.ben, "/enroll request list --mine")
    assert "preview" in listed


async def test_two_replicas_decide_once_and_one_goes_on_where_the_other_was_killed(
    ready_on_both: House,
) -> None:
    first = ready_on_both
    serials = serials_of(first, 4)
    await requested(first, serials)
    request = (await first.bot.services.assignments.list_requests(actor=SETUP)).rows[0]
    actor = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
    async with another_replica(first) as second:
        decided = await asyncio.gather(
            *(house.bot.services.assignments.approve(request.id, actor=actor) for house in (first, second)),
            return_exceptions=True,
        )
        assert sorted(isinstance(each, AlreadyDecided) for each in decided) == [False, True]
        # Apple takes the order, and the replica that gave it dies before the answer is stored.
        taken = asyncio.Event()
        assign = AppleConnection.assign

        async def assign_and_hang(self: AppleConnection, uuid: str, given: list[str]) -> object:
            await assign(self, uuid, given)
            taken.set()
            return await asyncio.Event().wait()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AppleConnection, "assign", assign_and_hang)
            killed = asyncio.create_task(
                first.bot.services.assignments.run(request.id, show=lambda _: None, is_stopping=lambda: False)
            )
            await taken.wait()
            killed.cancel()
            await asyncio.gather(killed, return_exceptions=True)
        first.clock.move(timedelta(minutes=1))
        await goes_on(second)
        await goes_on(second)
        view = await second.bot.services.assignments.get("REQ-1", actor=SETUP)
    assert view.state is RequestState.DONE
    assert view.outcomes == {Outcome.SUCCESS: 4}
    sent = [entry for entry in first.apple.log.entries if entry.path == "/profile/devices"]
    assert len(sent) == 1
    assert sum(bool(uuid) for uuid in carried(first).values()) == 4


async def test_a_request_of_somebody_who_has_left_is_not_approved(ready: House) -> None:
    await requested(ready, serials_of(ready, 2))
    ready.slack.workspace.users[people.BEN]["deleted"] = True
    ready.clock.move(timedelta(minutes=6))
    assert "who requested it may no longer do so" in await ready.presses(ready.ana, "Approve")
    assert not any(carried(ready).values())


async def test_a_running_request_ends_after_the_batch_under_way_when_it_is_stopped(ready: House) -> None:
    serials = serials_of(ready, 3)
    ready.apple.switches.throttled = {serials[0]}
    await requested(ready, serials)
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    assert "ends after the batch" in await ready.types(ready.ana, "/enroll request stop REQ-1")
    await goes_on(ready)
    assert "*REQ-1 stopped:* 2 of 3 devices as asked" in ready.posts()
    heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {serials[0]}')
    assert "to 1 device" in heard


async def test_many_requests_at_once_each_have_their_number(ready_on_both: House) -> None:
    house = ready_on_both
    service, ben = house.bot.services.assignments, Actor(people.BEN, rights=Rights.of(Role.OPERATOR))
    (profile,) = await house.bot.services.profiles.list_profiles(actor=SETUP)
    serials = serials_of(house, 25)
    previews = await asyncio.gather(
        *(service.preview(Action.ASSIGN, actor=ben, profile=profile, serials=[each]) for each in serials)
    )
    sent = await asyncio.gather(*(service.send(each.id, actor=ben, typed="1") for each in previews))
    assert sorted(each.number or 0 for each in sent) == list(range(1, 26))


async def test_what_slack_does_not_take_is_told_later_and_nothing_twice(ready: House) -> None:
    serials = serials_of(ready, 2)
    ready.apple.switches.failing = {serials[0]}
    await requested(ready, serials)
    posted = ready.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
    (card,) = [each for each in posted if "REQ-1" in each["text"] and "ephemeral_for" not in each]
    ready.slack.workspace.erase(card)
    view = (await ready.bot.services.assignments.list_requests(actor=SETUP)).rows[0]
    await ready.forges(people.ANA, "request.approve", view.id)
    for _ in range(4):
        ready.clock.move(timedelta(minutes=6))
        await goes_on(ready)
    posts = ready.posts().splitlines()
    assert sum("REQ-1 finished" in each for each in posts) == 1
    assert sum("REQ-1 · Assign" in each for each in posts) == 1
    told = [m.text for m in await ready.ben.messages() if m.text.startswith("REQ-1 was approved")]
    assert len(told) == 1


@pytest.mark.parametrize("may_read", [True, False])
async def test_a_file_of_results_that_slack_does_not_take_comes_later_and_the_result_once(
    ready: House, may_read: bool
) -> None:
    serials = serials_of(ready, 2)
    await requested(ready, serials)
    ready.apple.remove_devices("paris", serials[:1])
    ready.slack.faults.refuse["files.completeUploadExternal"] = "internal_error"
    if not may_read:
        ready.slack.faults.refuse["conversations.replies"] = "missing_scope"
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    await goes_on(ready)
    ready.slack.faults.reset()
    for _ in range(2):
        ready.clock.move(timedelta(hours=1))
        await goes_on(ready)
    replies = [m for m in ready.slack.workspace.messages(people.ENROLLMENT_CHANNEL) if m.get("thread_ts")]
    assert sum("REQ-1 finished" in each["text"] for each in replies) == 1
    # Where it cannot be seen that the result was told already, the file waits for a press on Get CSV.
    assert sum(bool(each.get("files")) for each in replies) == may_read


async def test_a_token_may_be_called_removed(house: House) -> None:
    token_id = await house.has_token("removed", devices=25)
    await house.has_profile(token_id, "Sales iPad", platform="any")
    await requested(house, serials_of(house, 2))
    await house.presses(house.ana, "Approve")
    await goes_on(house)
    assert "2 of 2 devices as asked" in house.posts()


async def test_two_ways_to_name_devices_or_an_empty_query_are_refused(ready: House) -> None:
    serial = serials_of(ready, 1)[0]
    for typed in (f"{serial} --where model:iPad", '--where ""', f"--csv {serial}", ""):
        heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {typed}')
        assert "in one way" in heard or "needs a value" in heard, typed


async def test_a_request_whose_token_was_removed_ends_and_lets_its_devices_go(ready: House) -> None:
    serials = serials_of(ready, 2)
    ready.apple.switches.throttled = {serials[0]}
    await requested(ready, serials)
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    await ready.removes_token("paris")
    ready.clock.move(timedelta(hours=25))
    await goes_on(ready)
    await goes_on(ready)
    view = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    assert view.state is RequestState.STOPPED
    assert (await ready.contents())["assignment_hold"] == []
