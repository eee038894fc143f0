"""The drawer "Behind the scenes" in a real browser, with real stand-ins and a tiny bot."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from bot.sandbox.apple import AppleStandIn
from bot.sandbox.behind.requests import Requests
from bot.sandbox.behind.switches import Switches
from bot.sandbox.behind.web import Behind
from bot.sandbox.clock import MovedClock
from bot.sandbox.slack.standin import SlackStandIn
from tests.fakes.browser import close_pages, new_page
from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world
from tests.sandbox.apple_client import keys

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Stage:
    """Both stand-ins with their switches, and a page on which the drawer can be opened."""

    world: SlackWorld
    apple: AppleStandIn
    clock: MovedClock
    browser: Browser

    @property
    def slack(self) -> SlackStandIn:
        return self.world.standin

    async def page(self, **settings: Any) -> Page:
        page = await new_page(self.browser, **settings)
        await page.goto(f"{self.slack.base_url}/?person=U0ANA")
        await expect(page.get_by_role("heading", name="device-enrollment")).to_be_visible()
        return page

    async def drawer(self, tab: str = "Switches", **settings: Any) -> Locator:
        """Open the drawer and return it; its page is `drawer.page`."""
        page = await self.page(**settings)
        await page.get_by_role("button", name="Behind the scenes").click()
        drawer = page.get_by_role("dialog", name="Behind the scenes")
        await drawer.get_by_role("tab", name=tab).click()
        return drawer


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Browser) -> Browser:
    return shared_browser


@pytest_asyncio.fixture(loop_scope="session")
async def stage(clock: FakeClock, browser: Browser, tmp_path: Path) -> AsyncIterator[Stage]:
    moved = MovedClock(tmp_path / "clock.json", clock)
    apple = AppleStandIn(moved)
    for name, devices in (("paris", 30), ("lyon", 5)):
        apple.create_server(name, devices=devices)
    apple.upload_certificate("paris", keys().pem)
    apple.generate_token("paris")
    async with slack_world(clock) as world:
        requests = Requests(apple, world.standin)
        switches = Switches(apple, slack=world.standin.faults, clock=moved, move_clock=moved.move)
        world.standin.serve_also(Behind(switches, requests, closing=world.standin.closing).routes())
        yield Stage(world, apple, moved, browser)
        await close_pages(browser)
    apple.close()


async def says(stage: Stage, text: str) -> None:
    await stage.world.slack.chat_postMessage(channel="C0ENROLL", text=text)


async def test_it_opens_by_keyboard_and_gives_the_focus_back_when_closed(stage: Stage) -> None:
    page = await stage.page()
    button = page.get_by_role("button", name="Behind the scenes")
    await button.focus()
    await page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="Behind the scenes")
    await expect(drawer.get_by_role("tab", name="Switches")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(drawer.get_by_role("tab", name="Requests")).to_be_focused()
    await expect(drawer.get_by_role("region", name="Requests")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(button).to_be_focused()


async def test_escape_in_the_channel_leaves_the_drawer_open(stage: Stage) -> None:
    drawer = await stage.drawer()
    box = drawer.page.get_by_label("Message #device-enrollment")
    await box.fill("hello")
    await box.press("Escape")
    await box.press("Enter")
    await expect(drawer.page.get_by_role("article").filter(has_text="hello")).to_be_visible()
    await expect(drawer).to_be_visible()


async def test_a_switch_is_thrown_survives_a_reload_and_is_taken_back(stage: Stage) -> None:
    drawer = await stage.drawer()
    page = drawer.page
    await drawer.get_by_role("switch", name="Terms not signed").press("Space")
    await expect(drawer.get_by_role("switch", name="Terms not signed")).to_be_checked()
    assert not stage.apple.organisation().terms_signed
    await drawer.get_by_role("switch", name="Slack refuses posts").click()
    await page.reload()
    await page.get_by_role("button", name="Behind the scenes").click()
    await expect(drawer.get_by_role("switch", name="Terms not signed")).to_be_checked()
    await expect(drawer.get_by_role("switch", name="Slow Apple")).not_to_be_checked()
    await drawer.get_by_role("switch", name="Terms not signed").click()
    await expect(drawer.get_by_role("switch", name="Terms not signed")).not_to_be_checked()
    assert stage.apple.organisation().terms_signed
    assert stage.slack.faults.refuse_posts == "not_in_channel"
    await drawer.get_by_role("button", name="Put everything back").click()
    await expect(drawer.get_by_text("All switches are back.")).to_be_visible()
    assert stage.slack.faults.refuse_posts is None


async def test_what_is_changed_elsewhere_shows_at_once_in_an_open_drawer(stage: Stage) -> None:
    one, other = await stage.drawer(), await stage.drawer()
    await one.get_by_role("switch", name="Token rejected · paris").click()
    await expect(other.get_by_role("switch", name="Token rejected · paris")).to_be_checked()


async def test_devices_are_added_moved_away_and_brought_back(stage: Stage) -> None:
    drawer = await stage.drawer()
    await drawer.get_by_role("button", name="Add 40 devices").click()
    await expect(drawer.get_by_text("40 devices were added to paris.")).to_be_visible()
    await drawer.get_by_label("Where to").select_option(label="to no server (unassigned)")
    await drawer.get_by_role("button", name="Move 25 devices").click()
    await expect(drawer.get_by_text("25 devices moved from paris to no server.")).to_be_visible()
    assert len(stage.apple.snapshot("paris")) == 45
    await drawer.get_by_role("button", name="Bring them back").click()
    await expect(drawer.get_by_text("They are back on paris.")).to_be_visible()
    assert len(stage.apple.snapshot("paris")) == 70


async def test_the_clock_is_moved_and_says_what_time_it_is(stage: Stage) -> None:
    drawer = await stage.drawer()
    await expect(drawer.get_by_text("Fri, 1 May 2026, 09:00 UTC")).to_be_visible()
    await drawer.get_by_role("button", name="+11 days").click()
    await expect(drawer.get_by_text("Tue, 12 May 2026, 09:00 UTC").first).to_be_visible()
    await drawer.get_by_label("Days ahead").fill("2")
    await drawer.get_by_label("Days ahead").press("Enter")
    await expect(drawer.get_by_text("13 days ahead")).to_be_visible()
    assert stage.clock.ahead.days == 13


async def test_requests_appear_live_are_opened_filtered_and_searched(stage: Stage) -> None:
    drawer = await stage.drawer("Requests")
    await says(stage, "forty-two devices")
    line = drawer.get_by_role("button", name="chat.postMessage")
    await expect(line).to_have_accessible_name(re.compile("bot to Slack POST chat.postMessage 200"))
    await line.click()
    body = drawer.get_by_role("region", name="Request", exact=True)
    await expect(body).to_contain_text('"text": "forty-two devices"')
    stage.slack.faults.refuse_posts = "not_in_channel"
    with pytest.raises(Exception, match="not_in_channel"):
        await says(stage, "refused")
    await expect(drawer.get_by_role("listitem")).to_have_count(2)
    await drawer.get_by_text("Errors", exact=True).click()
    await expect(drawer.get_by_role("listitem")).to_have_count(1)
    await expect(drawer.get_by_role("listitem")).to_contain_text("not_in_channel")
    await drawer.get_by_text("Apple", exact=True).click()
    await expect(drawer.get_by_text("Nothing matches.")).to_be_visible()
    await drawer.get_by_text("All", exact=True).click()
    await drawer.get_by_label("Search requests").fill("forty")
    await expect(drawer.get_by_role("listitem")).to_have_count(1)


async def test_a_paused_list_stands_still_and_a_cleared_one_is_empty(stage: Stage) -> None:
    drawer = await stage.drawer("Requests")
    await says(stage, "one")
    await expect(drawer.get_by_role("listitem")).to_have_count(1)
    await drawer.get_by_role("button", name="Pause").click()
    await says(stage, "two")
    await expect(drawer.get_by_text("Paused, 1 more since")).to_be_visible()
    await expect(drawer.get_by_role("listitem")).to_have_count(1)
    await drawer.get_by_role("button", name="Go on").click()
    await expect(drawer.get_by_role("listitem")).to_have_count(2)
    await drawer.get_by_role("button", name="Clear").click()
    await expect(drawer.get_by_role("listitem")).to_have_count(0)


async def test_the_list_follows_the_newest_unless_one_has_scrolled_away(stage: Stage) -> None:
    drawer = await stage.drawer("Requests")
    for number in range(30):
        await says(stage, f"number {number}")
    newest = drawer.get_by_role("listitem").last
    await expect(newest).to_contain_text("number 29")
    await expect(newest).to_be_in_viewport()
    # Opened at the lower end, it comes into sight as a whole.
    await newest.get_by_role("button").click()
    await expect(newest.get_by_role("region", name="Answer")).to_be_in_viewport()
    await newest.get_by_role("button").click()
    await drawer.get_by_role("region", name="Requests").evaluate("box => box.scrollTo(0, 0)")
    await expect(drawer.get_by_text("Not following")).to_be_visible()
    await says(stage, "number 30")
    await expect(newest).to_contain_text("number 30")
    await expect(newest).not_to_be_in_viewport()
    await drawer.get_by_role("button", name="To the newest").click()
    await expect(newest).to_be_in_viewport()


async def test_on_a_phone_it_fills_the_page_and_nothing_is_cut_off(stage: Stage) -> None:
    drawer = await stage.drawer(viewport={"width": 360, "height": 740})
    box = await drawer.bounding_box()
    assert box is not None
    assert box["width"] == 360
    for tab in ("Switches", "Requests"):
        await drawer.get_by_role("tab", name=tab).click()
        assert await drawer.evaluate("box => box.scrollWidth <= box.clientWidth")
    close = drawer.get_by_role("button", name="Close")
    await expect(close).to_be_in_viewport(ratio=1)
    await close.click()
    await expect(drawer).to_have_count(0)
