import asyncio

import pytest

from bot.slack.blocks import Message
from bot.slack.post import Poster
from bot.slack.progress import Progress
from tests.fakes.clock import FakeClock
from tests.slack.bot import Bot
from tests.slack.web_api import Fault


class GatedClock(FakeClock):
    """Sleeps until the test lets the time pass."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock.now())
        self.slept = asyncio.Event()
        self.gate = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await self.gate.wait()
        await super().sleep(seconds)


@pytest.fixture
def gated(clock: FakeClock) -> GatedClock:
    return GatedClock(clock)


def texts(bot: Bot) -> list[str]:
    posts = {"chat.postMessage", "chat.update"}
    return [f"{method} {body['text']}" for method, body in bot.web.calls if method in posts]


async def until_shown(bot: Bot, count: int) -> None:
    await bot.web.until(lambda: len(texts(bot)) == count)


async def test_quick_work_shows_only_its_result(bot: Bot, gated: GatedClock) -> None:
    progress = Progress(bot.slack.poster, "C1", gated)
    progress.show(Message("1 of 2"))
    await gated.slept.wait()
    await progress.finish(Message("done"))
    assert texts(bot) == ["chat.postMessage done"]


async def test_long_work_shows_one_message_that_is_updated(bot: Bot, clock: FakeClock) -> None:
    progress = Progress(bot.slack.poster, "C1", clock)
    for number in range(3):
        progress.show(Message(f"page {number}"))
        await until_shown(bot, number + 1)
    posted = await progress.finish(Message("done"))
    assert texts(bot) == [
        "chat.postMessage page 0",
        "chat.update page 1",
        "chat.update page 2",
        "chat.update done",
    ]
    assert clock.sleeps == [3.0, 3.0, 3.0]
    assert posted == progress.posted


async def test_only_the_newest_is_shown(bot: Bot, gated: GatedClock) -> None:
    progress = Progress(bot.slack.poster, "C1", gated)
    for number in range(50):
        progress.show(Message(f"page {number}"))
    await gated.slept.wait()
    gated.gate.set()
    await until_shown(bot, 1)
    assert texts(bot) == ["chat.postMessage page 49"]


async def test_what_somebody_has_to_mend_first_is_tried_once(bot: Bot, clock: FakeClock) -> None:
    bot.web.fail("chat.postMessage", *[Fault(error="not_in_channel")] * 9)
    progress = Progress(bot.slack.poster, "C1", clock)
    assert await progress.finish(Message("done")) is None
    assert progress.is_refused
    assert len(bot.web.called("chat.postMessage")) == 1


async def test_errors_of_slack_do_not_fail_the_work_and_the_last_update_is_certain(
    bot: Bot, clock: FakeClock
) -> None:
    bot.web.fail("chat.postMessage", *[Fault(error="internal_error")] * 4)
    progress = Progress(bot.slack.poster, "C1", clock)
    progress.show(Message("page 1"))
    await until_shown(bot, 1)
    assert await progress.finish(Message("done")) is not None
    assert bot.web.messages["C1"][0]["text"] == "done"


async def test_a_result_that_slack_takes_at_no_time_is_left_to_the_caller(bot: Bot, clock: FakeClock) -> None:
    bot.web.fail("chat.postMessage", *[Fault(error="channel_not_found")] * 9)
    assert await Progress(bot.slack.poster, "C1", clock).finish(Message("done")) is None


async def test_a_message_that_was_deleted_is_posted_anew(bot: Bot, clock: FakeClock) -> None:
    poster: Poster = bot.slack.poster
    posted = await poster.post("C1", Message("page 1"))
    bot.web.fail("chat.update", Fault(error="message_not_found"))
    await Progress(poster, "C1", clock, posted=posted).finish(Message("done"))
    assert [message["text"] for message in bot.web.messages["C1"]] == ["done", "page 1"]


async def test_a_post_under_way_is_waited_for(bot: Bot, clock: FakeClock) -> None:
    progress = Progress(bot.slack.poster, "C1", clock)
    progress.show(Message("page 1"))
    # It has reached Slack, whose answer is still on its way when the work ends.
    await until_shown(bot, 1)
    await progress.finish(Message("done"))
    assert [message["text"] for message in bot.web.messages["C1"]] == ["done"]


async def test_progress_of_a_card_stands_in_its_thread(bot: Bot, clock: FakeClock) -> None:
    progress = Progress(bot.slack.poster, "C1", clock, thread_ts="100.1")
    progress.show(Message("1 of 2"))
    await until_shown(bot, 1)
    await progress.stop()
    assert bot.web.called("chat.postMessage")[-1]["thread_ts"] == "100.1"
