"""Home tabs that are brought up to date: for whom, when, and what Slack's trouble does to that."""

from datetime import timedelta
from typing import Any

import pytest

from bot.home import glance_blocks
from bot.home.jobs import MOST_AT_ONCE, Republisher
from bot.home.readers import MOST_READERS, READ_WITHIN, Readers
from bot.home.service import HomeService
from bot.kit.actor import Grant, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.sandbox.slack.blocks import check_view
from bot.slack.api import SlackRefused, SlackUnreachable
from bot.slack.blocks import View
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, NoAlerts, NoLicences, Rooms


class Slack:
    """Takes Home tabs, or fails as it is told: for somebody, or for everybody as ''."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.views: dict[str, View] = {}
        self.fails: dict[str, Exception] = {}

    async def publish_home(self, user_id: str, view: View) -> None:
        check_view(view, home=True)
        failure = self.fails.get(user_id) or self.fails.get("")
        if failure is not None:
            raise failure
        self.published.append(user_id)
        self.views[user_id] = view


class Tab:
    """The job with its rooms, and people with rights."""

    def __init__(self, database: Database, clock: FakeClock, keyring: Keyring) -> None:
        self.rooms = Rooms.open(database, clock, keyring)
        self.clock = clock
        self.readers = Readers(database, clock, self.rooms.leases)
        self.slack = Slack()
        self.rights: dict[str, Rights] = {}
        home = HomeService(
            tokens=self.rooms.tokens,
            devices=self.rooms.devices,
            profiles=self.rooms.profiles,
            licenses=NoLicences(),
            alerts=NoAlerts(),
            assignments=self.rooms.assignments,
        )
        self._job = Republisher(
            home, self.readers, slack=self.slack, rights_of=self.rights_of, slash="/enroll"
        )

    async def rights_of(self, user_id: str) -> Rights:
        return self.rights.get(user_id, Rights.of(Role.VIEWER))

    async def looks(self) -> list[str]:
        """Let half a minute pass and the job look; returns for whom it published."""
        self.clock.move(timedelta(seconds=30))
        self.slack.published = []
        await self._job.look(self.clock.now())
        return self.slack.published

    async def opened(self, *people: str) -> None:
        """Have people with the tab open, who see what is so now."""
        for person in people:
            await self.readers.note_opened(person, fingerprint="")
        await self.looks()


@pytest.fixture
def tab(database: Database, clock: FakeClock, keyring: Keyring) -> Tab:
    return Tab(database, clock, keyring)


def said(view: Any) -> str:
    return str(view["blocks"])


async def test_a_change_is_published_once_to_who_opened_the_tab_and_to_nobody_else(tab: Tab) -> None:
    await tab.opened("UANA", "UBEN")
    assert await tab.looks() == []
    server, _ = await tab.rooms.add_token("paris")
    assert set(await tab.looks()) == {"UANA", "UBEN"}
    server.put(device("C02X"))
    await tab.rooms.run_all()
    assert set(await tab.looks()) == {"UANA", "UBEN"}
    assert "All is well: 1 token works. 1 device." in said(tab.slack.views["UBEN"])
    assert await tab.looks() == []


async def test_rights_count_when_it_is_published(tab: Tab) -> None:
    await tab.rooms.add_token("paris", tags=("emea",))
    await tab.opened("UANA", "UBEN")
    tab.rights["UBEN"] = Rights((Grant(Role.VIEWER, frozenset({"apac"})),))
    tab.rights["UANA"] = Rights()
    assert set(await tab.looks()) == {"UANA", "UBEN"}
    assert "paris" not in said(tab.slack.views["UBEN"])
    assert "no role here yet" in said(tab.slack.views["UANA"])


async def test_who_has_not_opened_the_tab_for_a_week_is_left_alone(tab: Tab) -> None:
    await tab.opened("UANA")
    tab.clock.move(READ_WITHIN)
    await tab.rooms.tokens.add("paris", actor=ADMIN, apple_id="ade@example.com", agreed=True)
    assert await tab.looks() == []
    assert await tab.readers.lately() == []


async def test_a_slack_that_does_not_answer_is_left_alone_until_the_next_look(tab: Tab) -> None:
    await tab.opened("UANA", "UBEN")
    await tab.rooms.add_token("paris")
    tab.slack.fails[""] = SlackUnreachable()
    assert await tab.looks() == []
    tab.slack.fails[""] = SlackRefused("ratelimited")
    assert await tab.looks() == []
    tab.slack.fails.clear()
    assert set(await tab.looks()) == {"UANA", "UBEN"}


async def test_somebody_whom_slack_refuses_holds_up_nobody_else(tab: Tab) -> None:
    await tab.opened("UANA", "UBEN")
    await tab.rooms.add_token("paris")
    tab.slack.fails["UANA"] = SlackRefused("user_not_found")
    assert await tab.looks() == ["UBEN"]
    assert [reader.user_id for reader in await tab.readers.lately()] == ["UBEN"]


async def test_a_change_reaches_many_people_in_several_looks_and_everyone_in_the_end(tab: Tab) -> None:
    people = [f"U{number:03}" for number in range(MOST_READERS + 5)]
    for person in people:
        tab.clock.move(timedelta(seconds=1))
        await tab.readers.note_opened(person, fingerprint="")
    first, second = await tab.looks(), await tab.looks()
    assert len(first) == len(second) == MOST_AT_ONCE
    # The five who opened it longest ago see it anew when they open it.
    assert sorted(first + second) == people[5:]
    assert await tab.looks() == []


async def test_one_replica_at_a_time_publishes(tab: Tab) -> None:
    await tab.opened("UANA")
    await tab.rooms.add_token("paris")
    async with tab.rooms.leases.hold("home.republish", ttl=timedelta(minutes=5)):
        assert await tab.looks() == []
    assert await tab.looks() == ["UANA"]


async def test_the_moment_alone_is_no_change(tab: Tab) -> None:
    await tab.rooms.add_token("paris")
    await tab.opened("UANA")
    before = tab.slack.views["UANA"]
    moved = {**before, "blocks": [{**block} for block in before["blocks"]]}
    moved["blocks"][1] = {**moved["blocks"][1], "elements": []}
    assert glance_blocks.fingerprint(moved) == glance_blocks.fingerprint(before)
    moved["blocks"][0] = {"type": "divider"}
    assert glance_blocks.fingerprint(moved) != glance_blocks.fingerprint(before)
