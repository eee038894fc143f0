"""Several people press at once, on one replica or two: one decision or none, and each is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col

from bot.assignments.models import RequestState
from bot.kit.actor import Role
from bot.profiles.models import Profile
from bot.sandbox.slack import people
from bot.sandbox.slack.delivery import Courier
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, another_replica, open_furnished, open_house
from tests.flows.test_assigning import SETUP, carried, goes_on, prepared, requested, serials_of
from tests.flows.test_requests_changed import edit

DAN = "U0DAN"


@dataclass
class Pressing:
    """A bot whose buttons people press at once: Ben asks, Ana and Dan may approve."""

    house: House
    replicas: tuple[House, ...]
    doors: tuple[Courier, Courier]

    async def at_once(self, *presses: tuple[str, str, str]) -> list[list[str]]:
        """Send presses (who, action, request) at once, signed as Slack does; what each was answered.

        Those of one person go to both doors by turns, as Slack may send them.
        """
        slack, sent, urls = self.house.slack, [], []
        for number, (who, action_id, value) in enumerate(presses):
            url = slack.hooks.new(person=who, channel=people.ENROLLMENT_CHANNEL)
            urls.append(url)
            payload = {
                "type": "block_actions",
                "user": {"id": who, "team_id": people.TEAM["id"]},
                "team": {"id": people.TEAM["id"]},
                "channel": {"id": people.ENROLLMENT_CHANNEL},
                "trigger_id": slack.surfaces.trigger(who),
                "response_url": url,
                "actions": [{"type": "button", "action_id": action_id, "value": value, "action_ts": "1.1"}],
            }
            sent.append(self.doors[number % 2].send_payload(payload))
        before = self.house.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
        answers = await asyncio.gather(*sent)
        assert {answer.status for answer in answers} == {200}
        for replica in self.replicas:
            await replica.quiet()
        after = self.house.slack.workspace.messages(people.ENROLLMENT_CHANNEL)
        new = [message for message in after if message not in before and "ephemeral_for" in message]
        return [[m["text"] for m in new if m["ephemeral_for"] == who] for who, _, _ in presses]

    async def decisions(self) -> list[tuple[str, str]]:
        return [(who, act) for who, act, _ in await self.house.acts() if act in DECISIONS]

    async def request(self, label: str) -> str:
        return (await self.house.bot.services.assignments.get(label, actor=SETUP)).id


DECISIONS = ("request.approved", "request.denied", "request.cancelled")


async def furnished_for_pressing(house: House, replicas: Sequence[House]) -> Pressing:
    """Have a profile, and Dan in the workspace, who may approve like Ana."""
    await prepared(house)
    token = await house.bot.services.tokens.get("paris", actor=SETUP)
    await house.has_profile(token.id, "Kiosk", platform="any")
    dan = people.user(DAN, name="dan", real_name="Dan", title="approver", tz="Europe/Paris")
    house.slack.workspace.users[DAN] = dan
    await house.bot.services.access.grant(DAN, role=Role.APPROVER, tags=None, actor=SETUP)
    first, second = replicas[0], replicas[-1]
    doors = [
        Courier(
            house.clock,
            bot_url=f"{each.url}/slack/events",
            signing_secret=house.slack.signing_secret,
            faults=house.slack.faults,
            log=house.slack.log,
        )
        for each in (first, second)
    ]
    return Pressing(house, tuple(replicas), (doors[0], doors[1]))


@pytest.fixture(params=["two replicas on PostgreSQL", "one on SQLite"])
async def pressing(
    request: pytest.FixtureRequest, clock: FakeClock, with_paris: Path
) -> AsyncIterator[Pressing]:
    if request.param == "one on SQLite":
        async with open_furnished(with_paris, clock) as house:
            made = await furnished_for_pressing(house, [house])
            yield made
            await asyncio.gather(*(door.close() for door in made.doors))
        return
    async with open_house(request.getfixturevalue("postgres_url"), clock) as house:
        await house.has_token("paris", devices=25)
        async with another_replica(house) as other:
            made = await furnished_for_pressing(house, [house, other])
            yield made
            await asyncio.gather(*(door.close() for door in made.doors))


async def test_two_who_approve_at_once_one_of_them_twice_decide_once(pressing: Pressing) -> None:
    serials = serials_of(pressing.house, 6)
    for number in range(1, 4):
        await requested(pressing.house, serials[2 * number - 2 : 2 * number])
        request_id = await pressing.request(f"REQ-{number}")
        approve = [(who, "request.approve", request_id) for who in (people.ANA, DAN, people.ANA)]
        ana, dan, _ = await pressing.at_once(*approve)
        ((winner, _),) = (await pressing.decisions())[number - 1 :]
        too_late = f"REQ-{number} was approved by <@{winner}>"
        told = [each for each in (*ana, *dan) if each.startswith(too_late)]
        assert len(told) == 2
        assert all(each.endswith("Your press changed nothing.") for each in told)
        assert (len(ana), len(dan)) == (2, 1)
        (mine,) = set(ana if winner == people.ANA else dan) - set(told)
        assert mine == f"You approved REQ-{number}. Its progress is on the card."
    await goes_on(pressing.house)
    assert sum(bool(uuid) for uuid in carried(pressing.house).values()) == 6


async def test_one_who_cancels_while_others_approve_and_deny_leaves_one_decision(pressing: Pressing) -> None:
    await requested(pressing.house, serials_of(pressing.house, 2))
    request_id = await pressing.request("REQ-1")
    ben, ana, dan = await pressing.at_once(
        (people.BEN, "request.cancel", request_id),
        (people.ANA, "request.approve", request_id),
        (DAN, "request.approve", request_id),
    )
    ((winner, act),) = await pressing.decisions()
    told = {people.BEN: ben, people.ANA: ana, DAN: dan}
    (own,) = told.pop(winner)
    assert own.startswith("REQ-1 is cancelled" if act == "request.cancelled" else "You approved REQ-1")
    how = f"REQ-1 was {act.removeprefix('request.')} by <@{winner}>"
    assert all(len(each) == 1 and each[0].startswith(how) for each in told.values()), told
    # The card that they still see is old; pressing on it says the same again.
    (again,) = await pressing.at_once((DAN, "request.approve", request_id))
    assert again[0].startswith(how)
    assert len(await pressing.decisions()) == 1


async def test_of_two_requests_with_one_device_approved_together_one_waits(pressing: Pressing) -> None:
    house = pressing.house
    serials = serials_of(house, 3)
    # Apple lets the devices wait, so that the one that is approved is still at work.
    house.apple.switches.throttled = set(serials)
    await requested(house, serials[:2])
    await requested(house, serials[1:])
    ids = [await pressing.request(label) for label in ("REQ-1", "REQ-2")]
    ana, dan = await pressing.at_once(
        (people.ANA, "request.approve", ids[0]), (DAN, "request.approve", ids[1])
    )
    ((winner, _),) = await pressing.decisions()
    won, lost = ("REQ-1", "REQ-2") if winner == people.ANA else ("REQ-2", "REQ-1")
    mine, other = (ana, dan) if winner == people.ANA else (dan, ana)
    assert mine == [f"You approved {won}. Its progress is on the card."]
    assert len(other) == 1
    assert f"{lost} was not approved: 1 of its devices is being worked on in {won}." in other[0]
    service = house.bot.services.assignments
    assert (await service.get(lost, actor=SETUP)).state is RequestState.PENDING
    house.apple.switches.throttled = set()
    house.clock.move(timedelta(hours=2))
    await goes_on(house)
    await goes_on(house)
    assert (await service.get(won, actor=SETUP)).state is RequestState.DONE
    (told,) = await pressing.at_once((DAN, "request.approve", (await service.get(lost, actor=SETUP)).id))
    assert told == [f"You approved {lost}. Its progress is on the card."]


async def lose_rights(house: House) -> None:
    access = house.bot.services.access
    await access.grant(people.BEN, role=Role.VIEWER, tags=None, actor=SETUP)
    await access.revoke(people.BEN, role=Role.OPERATOR, actor=SETUP)


async def lose_profile(house: House) -> None:
    """Let the profile be gone: here nobody can delete it while a request is about it."""
    async with house.bot.services.db.begin() as session:
        await session.execute(
            sa.update(Profile).where(col(Profile.name) == "Sales iPad").values(removed_at=house.clock.now())
        )


async def test_what_no_longer_holds_is_approved_by_nobody_and_each_is_told_why(pressing: Pressing) -> None:
    house = pressing.house
    serials = serials_of(house, 3)
    happenings: list[tuple[str, Callable[[House], Awaitable[None]], str]] = [
        ("Sales iPad", edit, "the profile Sales iPad was edited meanwhile"),
        ("Sales iPad", lose_profile, "the profile Sales iPad was deleted meanwhile"),
        ("Kiosk", lose_rights, "who requested it may no longer do so"),
    ]
    for number, (profile, happens, why) in enumerate(happenings, 1):
        await house.types(house.ben, f'/enroll assign "{profile}" {serials[number - 1]}')
        await house.presses(house.ben, "Send for approval")
        await goes_on(house)
        await happens(house)
        approve = ("request.approve", await pressing.request(f"REQ-{number}"))
        told = await pressing.at_once((people.ANA, *approve), (DAN, *approve))
        assert all(len(each) == 1 for each in told)
        assert all(f"REQ-{number} was not approved: {why}" in each[0] for each in told)
    assert await pressing.decisions() == []
    assert not any(carried(house).values())
