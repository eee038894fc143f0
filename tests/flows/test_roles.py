"""Who may do what, where the registry alone does not tell: guests, failed look-ups, help and home."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.home import blocks as home_blocks
from bot.sandbox import offers
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_furnished
from tests.flows.conftest import Furnished, House


@pytest.fixture
def with_three(furnished: Furnished) -> Path:
    return furnished(3)


@pytest.fixture
async def closed(with_three: Path, clock: FakeClock) -> AsyncIterator[House]:
    """A house in which nobody but Ana has a role."""
    async with open_furnished(with_three, clock, default_role="none") as running:
        yield running


async def test_who_has_no_role_is_told_who_can_grant_one(closed: House) -> None:
    before = await closed.contents()
    await refused(closed, people.BEN, "status", role="viewer")
    assert await closed.contents() == before
    assert "You have no role here yet" in await closed.opens_home(closed.ben)


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
    assert "<@U0ANA> can grant it." in heard
    assert all(message.only_for_me for message in heard.messages)


async def token_id_of(house: House) -> str:
    return (await house.contents())["token_secret"][0].split("'")[1]


async def test_the_page_offers_the_commands_that_help_shows_and_a_role_granted_in_chat_counts_at_once(
    paris: House,
) -> None:
    commands = await offers.slash_commands(paris.settings)
    workspace = paris.slack.workspace
    asking = offers.roles(paris.settings, paris.clock, users=workspace.users, groups=workspace.groups)
    async with asking as role_of:

        async def offered(person: str) -> list[str]:
            (slash,) = offers.allowed(commands, await role_of(person))
            return [f"/enroll {home_blocks.short_usage(entry['usage'])}" for entry in slash["usages"]]

        for person, visitor in ((people.ANA, paris.ana), (people.BEN, paris.ben), (people.CLEO, paris.cleo)):
            helped = (await paris.types(visitor, "/enroll help")).text
            every = await offered(people.ANA)
            assert await offered(person) == [usage for usage in every if f"`{usage}`" in helped]
        assert "/enroll role list" not in await offered(people.BEN)
        await paris.types(paris.ana, "/enroll role grant @mdm-approvers admin")
        assert await offered(people.BEN) == await offered(people.ANA)
