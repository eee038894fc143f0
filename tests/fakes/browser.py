"""The machine's own Chromium, for tests that look at the sandbox's page."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

#: Tells the page that its first visit is over, as it tells itself: run it before the page's own scripts.
PAST_FIRST_VISIT = "localStorage.setItem('first-visit', '\"over\"')"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the Chromium on PATH, or skip the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on PATH: the page is not looked at")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


#: Of each browser the contexts that its tests share, by their settings, each with a page that stays open.
_shared: WeakKeyDictionary[Browser, dict[str, tuple[BrowserContext, Page]]] = WeakKeyDictionary()


async def new_page(browser: Browser, **settings: Any) -> Page:
    """Open a page that knows nothing of others: what a page keeps belongs to its stand-in's port.

    All with the same settings are in one context, in which a page of the same host stays open: that keeps
    their process alive, and starting one takes longer than most tests. `close_pages` ends them.
    """
    shared = _shared.setdefault(browser, {})
    key = repr(sorted(settings.items()))
    if key not in shared:
        context = await browser.new_context(**settings)
        stays = await context.new_page()
        await stays.route("**", _nothing)
        await stays.goto("http://127.0.0.1/")
        shared[key] = (context, stays)
    return await shared[key][0].new_page()


async def close_pages(browser: Browser) -> None:
    """Close what a test has opened, and forget what its pages have kept: their ports may come again."""
    shared = dict(_shared.get(browser, {}).values())
    for context in browser.contexts:
        if context not in shared:
            await context.close()
            continue
        await context.set_offline(offline=False)
        for page in context.pages:
            if page is not shared[context]:
                await _forget(page)
                await page.close()


async def _nothing(route: Route) -> None:
    await route.fulfill(body="")


async def _forget(page: Page) -> None:
    origin: str = await page.evaluate("origin")
    if origin.startswith("http"):
        session = await page.context.new_cdp_session(page)
        await session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
