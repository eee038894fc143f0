"""What expires, followed from 400 days before its expiry to ten days after, and then renewed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.tokens.rules import Setting
from tests.alerts.conftest import Desk, SlackFake, open_desk
from tests.deadlines.certificates import push
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN

DAY = timedelta(days=1)
#: From Friday 2026-05-01, 09:00: a token of 400 days then expires on a Wednesday at 11:00.
BEGIN = timedelta(days=4, hours=2)
#: What is posted, with the days left then; what is only updated in place is left out.
POSTS = [
    (30, "post: {} expires in 30 days"),
    (7, "broadcast: {} expires in 7 days"),
    (1, "broadcast: {} expires in 1 day"),
    (0, "reply: {} expired just now"),
    (-1, "reply: {} expired 1 day ago"),
    *((-day, f"reply: {{}} expired {day} days ago") for day in range(2, 8)),
    (-10, "reply: Resolved"),
]
#: When is looked, in days before the expiry.
MOMENTS = [
    *(340, 180, 31, 30, 29, 20, 14, 13, 8, 7, 6, 3, 2, 1, 0.5, 0),
    *(-0.5, -1, -1.5, -2, -3, -4, -5, -6, -7, -8, -10),
]
BeforeEach = Callable[[int], Awaitable[None]]
Told = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Followed:
    """Something that expires: what it is called in messages, when it ends, and how it is renewed."""

    name: str
    over: str
    expires_at: datetime
    renew: Callable[[], Awaitable[Any]]


Begin = Callable[[Desk], Awaitable[Followed]]


async def token(desk: Desk, days: float = 400) -> Followed:
    view, server = await desk.token(days)
    assert view.expires_at is not None
    return Followed(
        "Token paris", "token expiry · paris", view.expires_at, lambda: desk.renew(view, server, 365)
    )


async def content_token(desk: Desk, days: float = 400) -> Followed:
    location, view = await desk.rooms.add_content_token("hq", days=days)

    async def renew() -> None:
        later = location.download(days=365)
        await desk.rooms.licenses.installing.renew(view.id, later, actor=ADMIN, way="test")

    return Followed("Content token hq", "content token expiry · hq", view.expires_at, renew)


async def push_certificate(desk: Desk, days: float = 400) -> Followed:
    async def watch(days: float) -> datetime:
        until = (desk.clock.now() + timedelta(days=days)).replace(microsecond=0)
        content = push(until=until).public_bytes(Encoding.PEM)
        return (await desk.rooms.deadlines.watch_certificate("mdm-push", content, actor=ADMIN)).deadline.at

    return Followed("Push certificate mdm-push", "deadline · mdm-push", await watch(days), lambda: watch(365))


def posts_of(followed: Followed) -> Told:
    return [(left, line.format(followed.name)) for left, line in POSTS]


async def nothing(_number: int) -> None:
    """Let a step begin as it is."""


async def walk(
    desk: Desk, followed: Followed, moments: Sequence[float], before_each: BeforeEach = nothing
) -> Told:
    """Look at each of these moments, in days before the expiry; return what was told, with the days left."""
    told: Told = []
    for number, left in enumerate(moments):
        await before_each(number)
        length = followed.expires_at - left * DAY - desk.clock.now()
        told += [(ceil(left), line) for line in await desk.look(length)]
    return told


async def follow(
    desk: Desk, begin: Begin, moments: Sequence[float], before_each: BeforeEach = nothing
) -> tuple[Followed, Told]:
    """Follow something through its last year, and renew it ten days after its end."""
    desk.clock.move(BEGIN)
    followed = await begin(desk)
    told = await walk(desk, followed, moments, before_each)
    await followed.renew()
    for number in range(3):
        await before_each(number)
        told += [(-10, line) for line in await desk.look(timedelta(hours=12))]
    return followed, told


def posts(told: Told) -> Told:
    """Return what was posted, each up to its first sentence."""
    found = [(left, line) for left, line in told if not line.startswith("update")]
    return [(left, "reply: Resolved" if "Resolved" in line else line.split(".")[0]) for left, line in found]


def updates(told: Told) -> list[int]:
    return [left for left, line in told if line.startswith("update")]


@pytest.mark.parametrize("begin", [token, content_token, push_certificate])
async def test_just_the_ladder_is_posted_and_all_else_updated_in_place(desk: Desk, begin: Begin) -> None:
    followed, told = await follow(desk, begin, MOMENTS)
    assert posts(told) == posts_of(followed)
    assert updates(told) == [14, 7, 3, 1, *range(0, -8, -1), -10]
    (main,) = desk.slack.main()
    assert f"Resolved: {followed.over}" in main["text"]
    assert [block["type"] for block in main["blocks"]] == ["section", "context"]
    assert len(desk.slack.thread(main["ts"])) == len(POSTS) - 1
    assert await desk.service.open_alerts(actor=ADMIN) == []


@pytest.mark.parametrize("begin", [token, content_token])
async def test_the_same_is_told_when_the_bot_is_started_anew_before_every_step(
    desk: Desk, begin: Begin
) -> None:
    async def restart(_number: int) -> None:
        await desk.restart()

    followed, told = await follow(desk, begin, MOMENTS, restart)
    assert posts(told) == posts_of(followed)


@pytest.mark.parametrize("begin", [token, content_token])
async def test_the_same_is_told_when_slack_is_down_for_a_third_of_the_steps(desk: Desk, begin: Begin) -> None:
    async def go_away(number: int) -> None:
        desk.slack.is_down = number % 3 == 0

    twice = [left - later for left in MOMENTS for later in (0, 0.01)]
    followed, told = await follow(desk, begin, twice, go_away)
    found = [line.replace("14 minutes ago", "just now") for _, line in posts(told)]
    assert found == [line for _, line in posts_of(followed)]


async def test_one_that_is_seen_late_gets_one_message_at_its_present_level(desk: Desk) -> None:
    desk.clock.move(BEGIN)
    await desk.token(2.5)
    told = await desk.look(timedelta(minutes=1))
    assert told == ["post: Token paris expires in 3 days"]
    (main,) = desk.slack.main()
    assert "warning" in main["text"]
    assert await desk.look(timedelta(hours=6)) == []


async def test_below_critical_a_post_waits_for_working_hours(desk: Desk) -> None:
    desk.clock.move(timedelta(hours=10))
    await desk.token(20)
    assert await desk.look(timedelta(minutes=5)) == []
    assert await desk.look(timedelta(days=2)) == []
    assert await desk.look(timedelta(hours=14)) == ["post: Token paris expires in 18 days"]


async def test_a_critical_one_names_people_and_waits_for_nobody(desk: Desk) -> None:
    desk.clock.move(timedelta(hours=10))
    view, _ = await desk.token(0.7)
    await desk.rooms.tokens.change(view.id, actor=ADMIN, settings={Setting.OWNER: "UOWNER"})
    (told,) = await desk.look(timedelta(minutes=5))
    assert told.startswith("post: Token paris expires in 1 day")
    assert "<@UOWNER>" in desk.slack.main()[0]["text"]


async def test_a_shorter_walk_on_both_databases(
    database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake
) -> None:
    desk = open_desk(database, clock, keyring, slack)
    clock.move(BEGIN)
    followed = await token(desk, 8)
    told = posts(await walk(desk, followed, [7.5, 7, 3, 1, 0, -1, -2]))
    await followed.renew()
    told += posts([(-2, line) for line in await desk.look(timedelta(minutes=1))])
    assert [line for _, line in told] == [
        "post: Token paris expires in 7 days",
        "broadcast: Token paris expires in 1 day",
        "reply: Token paris expired just now",
        "reply: Token paris expired 1 day ago",
        "reply: Token paris expired 2 days ago",
        "reply: Resolved",
    ]
