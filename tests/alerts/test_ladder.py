"""A token followed from 400 days before its expiry to ten days after, and then renewed."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from math import ceil

from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.tokens.rules import Setting
from tests.alerts.conftest import Desk, SlackFake, open_desk
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN

DAY = timedelta(days=1)
#: From Friday 2026-05-01, 09:00: a token of 400 days then expires on a Wednesday at 11:00.
BEGIN = timedelta(days=4, hours=2)
#: What is posted, with the days left then; what is only updated in place is left out.
POSTS = [
    (30, "post: Token paris expires in 30 days"),
    (7, "broadcast: Token paris expires in 7 days"),
    (1, "broadcast: Token paris expires in 1 day"),
    (0, "reply: Token paris expired just now"),
    (-1, "reply: Token paris expired 1 day ago"),
    *((-day, f"reply: Token paris expired {day} days ago") for day in range(2, 8)),
    (-10, "reply: Resolved"),
]
#: When is looked, in days before the expiry.
MOMENTS = [
    *(340, 180, 31, 30, 29, 20, 14, 13, 8, 7, 6, 3, 2, 1, 0.5, 0),
    *(-0.5, -1, -1.5, -2, -3, -4, -5, -6, -7, -8, -10),
]
BeforeEach = Callable[[int], Awaitable[None]]
Told = list[tuple[int, str]]


async def nothing(_number: int) -> None:
    """Let a step begin as it is."""


async def walk(desk: Desk, moments: Sequence[float], before_each: BeforeEach = nothing) -> Told:
    """Look at each of these moments, in days before the expiry; return what was told, with the days left."""
    told: Told = []
    expires_at = (await desk.rooms.tokens.get("paris", actor=ADMIN)).expires_at
    assert expires_at is not None
    for number, left in enumerate(moments):
        await before_each(number)
        length = expires_at - left * DAY - desk.clock.now()
        told += [(ceil(left), line) for line in await desk.look(length)]
    return told


async def follow(desk: Desk, moments: Sequence[float], before_each: BeforeEach = nothing) -> Told:
    """Follow a token through its last year, and renew it ten days after its end."""
    desk.clock.move(BEGIN)
    token, server = await desk.token(400)
    told = await walk(desk, moments, before_each)
    await desk.renew(token, server, 365)
    for number in range(3):
        await before_each(number)
        told += [(-10, line) for line in await desk.look(timedelta(hours=12))]
    return told


def posts(told: Told) -> Told:
    """Return what was posted, each up to its first sentence."""
    found = [(left, line) for left, line in told if not line.startswith("update")]
    return [(left, "reply: Resolved" if "Resolved" in line else line.split(".")[0]) for left, line in found]


def updates(told: Told) -> list[int]:
    return [left for left, line in told if line.startswith("update")]


async def test_just_the_ladder_is_posted_and_all_else_updated_in_place(desk: Desk) -> None:
    told = await follow(desk, MOMENTS)
    assert posts(told) == POSTS
    assert updates(told) == [14, 7, 3, 1, *range(0, -8, -1), -10]
    (main,) = desk.slack.main()
    assert "Resolved: token expiry · paris" in main["text"]
    assert [block["type"] for block in main["blocks"]] == ["section", "context"]
    assert len(desk.slack.thread(main["ts"])) == len(POSTS) - 1
    assert await desk.service.open_alerts(actor=ADMIN) == []


async def test_the_same_is_told_when_the_bot_is_started_anew_before_every_step(desk: Desk) -> None:
    async def restart(_number: int) -> None:
        await desk.restart()

    assert posts(await follow(desk, MOMENTS, restart)) == POSTS


async def test_the_same_is_told_when_slack_is_down_for_a_third_of_the_steps(desk: Desk) -> None:
    async def go_away(number: int) -> None:
        desk.slack.is_down = number % 3 == 0

    twice = [left - later for left in MOMENTS for later in (0, 0.01)]
    told = await follow(desk, twice, go_away)
    found = [line.replace("14 minutes ago", "just now") for _, line in posts(told)]
    assert found == [line for _, line in POSTS]


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
    token, _ = await desk.token(0.7)
    await desk.rooms.tokens.change(token.id, actor=ADMIN, settings={Setting.OWNER: "UOWNER"})
    (told,) = await desk.look(timedelta(minutes=5))
    assert told.startswith("post: Token paris expires in 1 day")
    assert "<@UOWNER>" in desk.slack.main()[0]["text"]


async def test_a_shorter_walk_on_both_databases(
    database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake
) -> None:
    desk = open_desk(database, clock, keyring, slack)
    clock.move(BEGIN)
    token, server = await desk.token(8)
    told = posts(await walk(desk, [7.5, 7, 3, 1, 0, -1, -2]))
    await desk.renew(token, server, 365)
    told += posts([(-2, line) for line in await desk.look(timedelta(minutes=1))])
    assert [line for _, line in told] == [
        "post: Token paris expires in 7 days",
        "broadcast: Token paris expires in 1 day",
        "reply: Token paris expired just now",
        "reply: Token paris expired 1 day ago",
        "reply: Token paris expired 2 days ago",
        "reply: Resolved",
    ]
