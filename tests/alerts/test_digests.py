"""What each channel is told in the morning, and that it is told once, whatever happens."""

import asyncio
from datetime import timedelta

import pytest

from bot.backend.profile import Platform
from bot.deadlines.service import Wishes
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.tokens.rules import Setting
from tests.alerts.conftest import CHANNEL, Desk, SlackFake, open_desk
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.content import count
from tests.fakes.rooms import ADMIN

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SOON = timedelta(minutes=15)
WELL = "post: All is well: 1 token and nothing open."


class Killed(BaseException):
    """The process ends in the middle of it."""


@pytest.fixture
async def quiet(desk: Desk) -> Desk:
    """A token with nothing wrong, on a Friday at nine; the bot has just come."""
    await desk.token(300)
    assert await desk.morning() == []
    return desk


@pytest.fixture
async def open_one(desk: Desk) -> Desk:
    """A token that expires in twelve days, on the Monday after the bot came."""
    await desk.token(15)
    await desk.morning()
    await desk.look(3 * DAY)
    return desk


async def test_a_bot_that_has_just_come_has_nothing_to_look_back_at(desk: Desk) -> None:
    await desk.token(12)
    await desk.look()
    assert await desk.morning() == []
    assert await desk.morning(3 * HOUR) == []


async def test_where_all_is_well_one_line_a_week_says_so_with_the_head_of_the_audit(quiet: Desk) -> None:
    assert await quiet.morning(DAY) == [], "a Saturday"
    assert await quiet.morning(2 * DAY) == [WELL]
    head = await quiet.rooms.audit.head()
    (post,) = quiet.slack.main()
    assert f"{head.entries} entries; the last one's hash is `{head.head}`" in str(post["blocks"])
    for _ in range(4):
        assert await quiet.morning(DAY) == []
    assert await quiet.morning(3 * DAY) == [WELL]


async def test_a_line_missed_on_monday_is_said_on_the_next_day(quiet: Desk) -> None:
    assert await quiet.morning(4 * DAY) == [WELL]
    assert await quiet.morning(DAY) == []


async def test_a_morning_begins_with_the_working_hours_and_ends_with_them(quiet: Desk) -> None:
    assert await quiet.morning(3 * DAY - timedelta(minutes=1)) == []
    assert await quiet.morning(10 * HOUR) == [], "19:00"
    assert await quiet.morning(14 * HOUR + SOON) == [WELL]


async def test_what_is_open_is_listed_every_working_morning_the_worst_first(desk: Desk) -> None:
    await desk.token(15, "lyon")
    await desk.token(5, "paris")
    await desk.morning()
    await desk.look(3 * DAY)
    assert await desk.morning() == ["post: This morning: 2 alerts are open"]
    blocks = desk.slack.main()[-1]["blocks"]
    assert "paris expires in 2 days" in blocks[1]["text"]["text"]
    assert "lyon expires in 12 days" in blocks[2]["text"]["text"]
    assert blocks[-1]["elements"][0]["action_id"] == "alert.list"
    assert await desk.morning(HOUR) == []
    await desk.look(DAY - HOUR)
    assert await desk.morning() == ["post: This morning: 2 alerts are open"]


async def test_of_many_alerts_ten_are_listed_and_the_others_counted(desk: Desk) -> None:
    for number in range(12):
        await desk.token(15, f"token-{number}")
    await desk.morning()
    await desk.look(3 * DAY)
    await desk.morning()
    assert "And 2 more." in str(desk.slack.main()[-1]["blocks"])


async def test_what_arrived_is_told_with_what_it_got(desk: Desk) -> None:
    token, server = await desk.token(300)
    await desk.morning()
    desk.clock.move(2 * DAY)
    sales = server.put_profile({"profile_name": "Sales iPad"})
    pads = [device(f"IPAD{number}", profile_uuid=sales, profile_status="assigned") for number in range(40)]
    macs = [device(f"MAC{number}", family="Mac", platform=Platform.MACOS) for number in range(2)]
    server.put(*pads, *macs, device("TV", family="AppleTV", platform=Platform.TVOS))
    await desk.rooms.sync(token.name)
    await desk.rooms.profiles.adopt(token.id, [sales])
    assert await desk.morning(DAY) == ["post: This morning: nothing is wrong, 43 new devices"]
    assert "paris: 43 new devices, 40 got Sales iPad, 2 Macs and 1 Apple TV without a profile" in str(
        desk.slack.main()[-1]
    )
    assert await desk.morning(DAY) == [], "told once"


async def test_a_token_with_a_channel_of_its_own_is_told_of_there(desk: Desk) -> None:
    lyon, _ = await desk.token(15, "lyon")
    await desk.token(300, "paris")
    await desk.rooms.tokens.change(lyon.id, actor=ADMIN, settings={Setting.CHANNEL: "CLYON"})
    await desk.morning()
    await desk.look(3 * DAY)
    assert sorted(await desk.morning()) == [WELL, "post: This morning: 1 alert is open"]
    assert [each["text"].partition("\n")[0] for each in desk.slack.main("CLYON")][-1:] == [
        "This morning: 1 alert is open"
    ]


async def test_a_date_with_a_channel_of_its_own_is_told_of_there(quiet: Desk) -> None:
    await quiet.rooms.deadlines.watch("lease", "2026-05-13", actor=ADMIN, wishes=Wishes(channel="CDATES"))
    await quiet.look(DAY)
    assert await quiet.morning(2 * DAY) == [WELL], "the other channel's first digest is the next day's"
    assert await quiet.morning(DAY) == ["post: This morning: 1 alert is open"]
    assert quiet.slack.main("CDATES")[-1]["text"].startswith("This morning")


async def test_a_digest_that_slack_refuses_stays_due_and_the_admins_get_it_once(open_one: Desk) -> None:
    open_one.slack.refused_channels[CHANNEL] = "channel_not_found"
    told = await open_one.morning()
    assert told == ["post: This morning: 1 alert is open"] * 2
    assert "could not be posted to <#COPS>" in str(open_one.slack.main("DUADMIN")[-1]["blocks"])
    assert await open_one.morning(HOUR) == []
    open_one.slack.refused_channels.clear()
    assert await open_one.morning(HOUR) == ["post: This morning: 1 alert is open"]
    assert await open_one.morning(HOUR) == []


async def test_yesterdays_is_not_told_any_more_and_todays_looks_back_to_the_last_one(open_one: Desk) -> None:
    open_one.slack.is_down = True
    for _ in range(2):
        assert await open_one.morning() == []
        await open_one.look(DAY)
    open_one.slack.is_down = False
    assert await open_one.morning() == ["post: This morning: 1 alert is open"]
    assert len([each for each in open_one.slack.main() if "morning" in each["text"]]) == 1


async def test_a_post_that_a_killed_process_began_is_found_and_not_repeated(open_one: Desk) -> None:
    open_one.slack.kills = Killed
    with pytest.raises(Killed):
        await open_one.morning()
    open_one.slack.take_log()
    await open_one.restart()
    assert await open_one.morning(SOON) == []
    assert await open_one.morning(SOON) == []


async def test_where_the_history_may_not_be_read_it_stands_twice_at_most(open_one: Desk) -> None:
    open_one.slack.refusals["conversations.history"] = "missing_scope"
    open_one.slack.kills = Killed
    with pytest.raises(Killed):
        await open_one.morning()
    open_one.slack.take_log()
    await open_one.restart()
    assert await open_one.morning(SOON) == ["post: This morning: 1 alert is open"]
    assert await open_one.morning(SOON) == []


async def test_two_replicas_tell_it_once(
    database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake
) -> None:
    desk = open_desk(database, clock, keyring, slack)
    await desk.token(300)
    await desk.morning()
    desk.clock.move(3 * DAY)
    other = open_desk(database, clock, keyring, slack)
    await asyncio.gather(desk.digests.look(clock.now()), other.digests.look(clock.now()))
    assert desk.slack.take_log() == [WELL]


async def test_apps_that_nobody_watches_are_one_line_of_it_and_no_reason_for_one(quiet: Desk) -> None:
    location, content_token = await quiet.rooms.add_content_token("hq", days=300)
    location.has(count("361285480", 100, 97))
    await quiet.rooms.licenses.sync(content_token.id, actor=ADMIN)
    assert await quiet.morning(3 * DAY) == [WELL]
    assert "3 of 100" in str(quiet.slack.main()[-1]["blocks"])
    assert await quiet.morning(DAY) == []
