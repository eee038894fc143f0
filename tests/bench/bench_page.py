# ruff: noqa: T201 - a benchmark prints
"""How soon the sandbox's page shows something: on loopback, with nothing kept from a visit before.

Usage: python -m tests.bench.bench_page
Prints figures, never fails. The real sandbox, 3,000 devices, in the Chromium on PATH.
"""

import asyncio
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from bot.sandbox.run import sandbox
from tests.fakes.browser import chromium

VISITS = 7
#: Tells in which frame the first message stood in the page; the browser itself tells of the first paint.
WATCH = """window.drawn = new Promise(done => new MutationObserver((_, watching) => {
    if (!document.querySelector('article')) return
    watching.disconnect()
    requestAnimationFrame(() => setTimeout(() => done(performance.now())))
}).observe(document, { childList: true, subtree: true }))"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


async def visit(browser: Browser, url: str) -> tuple[float, float]:
    """Open the page as a stranger; returns the milliseconds to the first paint and to the first message."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    await context.add_init_script(WATCH)
    page = await context.new_page()
    await page.goto(url)
    drawn, painted = [float(await page.evaluate(script)) for script in ("window.drawn", FIRST_PAINT)]
    await context.close()
    return painted, drawn


async def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox(folder=Path(folder) / "sandbox") as box, chromium() as browser:
            visits = [await visit(browser, box.url) for _ in range(VISITS)]
    print(f"\n{'the page, ms':<32}{'median':>8}{'worst':>8}")
    for name, taken in zip(("first paint", "first message drawn"), zip(*visits, strict=True), strict=True):
        print(f"{name:<32}{statistics.median(taken):>8.0f}{max(taken):>8.0f}")


def main() -> None:
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        print("no chromium on PATH: the page is not measured")
        return
    asyncio.run(measure())


if __name__ == "__main__":
    main()
