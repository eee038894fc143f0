"""One Chromium for all tests that look at the page as a whole: starting it takes longer than most of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

from tests.fakes.browser import chromium
from tests.fakes.scenes import Stage, staged


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def scene_stage(shared_browser: Browser, tmp_path: Path) -> AsyncIterator[Stage]:
    """Both stand-ins with a filled channel; for tests marked `asyncio(loop_scope="session")`."""
    async with staged(shared_browser, tmp_path) as made:
        yield made
