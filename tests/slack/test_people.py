from datetime import timedelta
from typing import Any

import pytest

from bot.kit.actor import Grant, Rights, Role
from bot.slack.api import SlackRefused
from tests.fakes.clock import FakeClock
from tests.slack.bot import Bot
from tests.slack.web_api import Fault

ADMIN = Rights((Grant(Role.ADMIN), Grant(Role.OPERATOR, frozenset({"paris"}))))
VIEWER = Rights((Grant(Role.VIEWER), Grant(Role.VIEWER, frozenset({"paris"}))))


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({}, ADMIN),
        ({"is_bot": True}, VIEWER),
        ({"is_restricted": True}, VIEWER),
        ({"is_ultra_restricted": True}, VIEWER),
        ({"is_stranger": True}, VIEWER),
        ({"team_id": "T2"}, VIEWER),
        ({"team_id": None}, VIEWER),
        ({"deleted": True}, Rights()),
        ({"id": "U2"}, Rights()),
    ],
)
async def test_who_a_person_is_limits_what_was_granted(bot: Bot, known: dict[str, Any], left: Rights) -> None:
    bot.web.add_user("U1", **known)
    assert await bot.slack.people.rights("U1", ADMIN) == left


@pytest.mark.parametrize("method", ["users.info", "auth.test"])
@pytest.mark.parametrize("fault", [Fault(error="user_not_found"), Fault(status=500), Fault(drops=True)])
async def test_a_look_up_that_fails_is_no_rights(bot: Bot, method: str, fault: Fault) -> None:
    bot.web.add_user("U1")
    bot.web.fail(method, *[fault] * 3)
    assert await bot.slack.people.rights("U1", ADMIN) == Rights()
    bot.web.faults.clear()
    assert await bot.slack.people.rights("U1", ADMIN) == ADMIN


async def test_what_slack_said_counts_for_five_minutes(bot: Bot, clock: FakeClock) -> None:
    bot.web.add_user("U1")
    assert await bot.slack.people.rights("U1", ADMIN) == ADMIN
    bot.web.add_user("U1", deleted=True)
    clock.move(timedelta(minutes=4, seconds=59))
    assert await bot.slack.people.rights("U1", ADMIN) == ADMIN
    clock.move(timedelta(seconds=1))
    assert await bot.slack.people.rights("U1", ADMIN) == Rights()


async def test_a_person_has_a_name_an_address_and_a_zone(bot: Bot) -> None:
    profile = {"display_name": "", "email": "ana@example.org"}
    bot.web.add_user("U1", real_name="Ana", tz="Europe/Paris", profile=profile)
    person = await bot.slack.people.person("U1")
    assert (person.name, person.email, person.tz) == ("Ana", "ana@example.org", "Europe/Paris")


async def test_who_is_in_a_group_counts_for_a_minute(bot: Bot, clock: FakeClock) -> None:
    bot.web.groups["S01"] = ["U1", "U2"]
    assert await bot.slack.people.members_of("S01") == {"U1", "U2"}
    bot.web.groups["S01"] = ["U2"]
    clock.move(timedelta(seconds=59))
    assert await bot.slack.people.members_of("S01") == {"U1", "U2"}
    clock.move(timedelta(seconds=1))
    assert await bot.slack.people.members_of("S01") == {"U2"}


async def test_a_group_that_slack_does_not_tell_of_has_no_members_from_before(
    bot: Bot, clock: FakeClock
) -> None:
    bot.web.groups["S01"] = ["U1"]
    await bot.slack.people.members_of("S01")
    clock.move(timedelta(minutes=1))
    bot.web.fail("usergroups.users.list", Fault(error="missing_scope"))
    with pytest.raises(SlackRefused, match="missing_scope"):
        await bot.slack.people.members_of("S01")


async def test_the_deactivated_are_found_and_the_unknown_left_out(bot: Bot) -> None:
    bot.web.add_user("U1", deleted=True)
    bot.web.add_user("U2")
    assert await bot.slack.people.deactivated_of(["U1", "U2", "U3"]) == {"U1"}
