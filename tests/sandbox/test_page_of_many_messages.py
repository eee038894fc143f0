"""A channel of five thousand messages: only those in sight stand in the page, and nothing jumps."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world

pytestmark = pytest.mark.asyncio(loop_scope="session")

MESSAGES = 5000
#: What may stand in the page at once: a window's worth, and some above and below.
AT_ONCE = 150
#: Ends once the list has stood still for eight frames: it goes to its end in steps, as it measures rows.
AT_REST = """box => new Promise(done => {
    let [top, frames] = [-1, 0]
    const look = () => {
        frames = box.scrollTop === top ? frames + 1 : 0
        top = box.scrollTop
        frames < 8 ? requestAnimationFrame(look) : done()
    }
    look()
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world() -> AsyncIterator[SlackWorld]:
    async with slack_world(FakeClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC))) as made:
        for number in range(MESSAGES):
            say(made, f"message {number}" + " and more of it" * (number % 40))
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Browser) -> Browser:
    return shared_browser


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, world: SlackWorld) -> AsyncIterator[Page]:
    page = await opened(browser, world)
    yield page
    await page.close()


def say(world: SlackWorld, text: str) -> None:
    world.standin.workspace.post(people.ENROLLMENT_CHANNEL, user=people.BOT_USER, text=text)


async def opened(browser: Browser, world: SlackWorld) -> Page:
    page = await browser.new_page()
    await page.goto(f"{world.standin.base_url}/?person={people.ANA}")
    await page.get_by_role("region", name="Channel").evaluate(AT_REST)
    await expect(page.get_by_role("log").get_by_role("article").last).to_be_in_viewport()
    return page


def shown(page: Page, number: int) -> Locator:
    return (
        page.get_by_role("log")
        .get_by_role("article")
        .filter(has_text=f"message {number} ")
        .or_(page.get_by_role("log").get_by_text(f"message {number}", exact=True))
        .first
    )


async def in_the_page(page: Page) -> int:
    return await page.get_by_role("log").get_by_role("article").count()


async def scroll_to_top(page: Page) -> None:
    await page.get_by_role("region", name="Channel").evaluate("box => { box.scrollTop = 0 }")


async def test_only_what_is_in_sight_stands_in_the_page(page: Page) -> None:
    assert 0 < await in_the_page(page) < AT_ONCE


async def test_one_scrolls_up_to_the_first_message_and_back_to_the_last(page: Page) -> None:
    first, earlier = shown(page, 0), page.get_by_role("button", name="Show earlier messages")
    channel = page.get_by_role("region", name="Channel")
    for _ in range(MESSAGES):
        await scroll_to_top(page)
        await channel.evaluate(AT_REST)
        assert await in_the_page(page) < AT_ONCE
        if await earlier.or_(page.get_by_role("button", name="Loading…")).count() == 0:
            break
    await scroll_to_top(page)
    await expect(first).to_be_in_viewport()
    await page.get_by_role("region", name="Channel").evaluate("box => { box.scrollTop = box.scrollHeight }")
    await expect(shown(page, MESSAGES - 1)).to_be_in_viewport()


async def test_a_new_message_is_in_sight_where_one_is_at_the_end(page: Page, world: SlackWorld) -> None:
    say(world, "said while one is at the end")
    await expect(page.get_by_text("said while one is at the end", exact=True)).to_be_in_viewport()


async def test_a_new_message_moves_nothing_where_one_reads_above(page: Page, world: SlackWorld) -> None:
    channel = page.get_by_role("region", name="Channel")
    await channel.evaluate("box => { box.scrollTop = box.scrollHeight - 6000 }")
    await expect(shown(page, MESSAGES - 1)).not_to_be_in_viewport()
    await channel.evaluate(AT_REST)
    before = await channel.evaluate("box => box.scrollTop")
    say(world, "said while one reads above")
    below = page.get_by_role("button", name="New messages below")
    await expect(below).to_be_visible()
    assert abs(await channel.evaluate("box => box.scrollTop") - before) < 2
    await below.click()
    await expect(page.get_by_text("said while one reads above", exact=True)).to_be_in_viewport()


async def test_the_answer_to_a_command_is_in_sight_wherever_one_reads(page: Page, world: SlackWorld) -> None:
    channel = page.get_by_role("region", name="Channel")
    await channel.evaluate("box => { box.scrollTop = box.scrollHeight - 6000 }")
    await channel.evaluate(AT_REST)
    world.bot.answers({"response_type": "ephemeral", "text": "the answer to what was asked"})
    composer = page.get_by_label("Message #device-enrollment")
    await composer.fill("/enroll status")
    await composer.press("Enter")
    await expect(page.get_by_text("the answer to what was asked", exact=True)).to_be_in_viewport()
