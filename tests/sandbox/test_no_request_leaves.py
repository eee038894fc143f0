"""The page talks to where it came from and to nobody else: its requests are recorded, its policy is tried."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from tests.fakes.scenes import SCENES, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Nobody listens there; the page must not even try.
ELSEWHERE = "http://127.0.0.1:9/"


@asynccontextmanager
async def another_host() -> AsyncIterator[tuple[str, list[str]]]:
    """Listen on a port that is not the page's; gives its address, and who has called."""
    calls: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append((await reader.readline()).decode().strip())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", calls


def recorded(page: Page) -> list[str]:
    """Note the address of whatever the page asks a network for, sockets and frames included."""
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    return asked


def elsewhere(asked: list[str], stage: Stage) -> list[str]:
    own = (f"{stage.world.standin.base_url}/", "data:", "blob:")
    return [url for url in asked if not url.startswith(own)]


async def test_a_walk_through_the_page_asks_nobody_but_its_origin(scene_stage: Stage) -> None:
    page = await scene_stage.opened(viewport={"width": 1280, "height": 900})
    asked = recorded(page)
    await page.reload()
    await scene_stage.world.slack.chat_postMessage(
        channel="C0ENROLL",
        text="picture",
        blocks=[{"type": "image", "image_url": f"{ELSEWHERE}a.png", "alt_text": "A chart of devices"}],
    )
    await expect(page.get_by_role("note")).to_contain_text("A chart of devices")
    for name in ("thread", "person menu"):
        await SCENES[name](scene_stage, page)
        await page.keyboard.press("Escape")
    for name in ("modal", "requests", "completion", "home"):
        await SCENES[name](scene_stage, page)
        await page.keyboard.press("Escape")
    paths = {url.removeprefix(scene_stage.world.standin.base_url).split("?")[0] for url in asked}
    seen = {"/", "/static/app.js", "/page/snapshot", "/page/commands", "/page/home", "/page/behind/state"}
    assert seen <= paths
    assert elsewhere(asked, scene_stage) == []


def adding(tag: str, **properties: str) -> str:
    pairs = ", ".join(f"{name}: {value}" for name, value in properties.items())
    return f"address => document.head.append(Object.assign(document.createElement('{tag}'), {{ {pairs} }}))"


ATTEMPTS = {
    "connect-src": "address => fetch(address).catch(() => undefined)",
    "img-src": "address => { new Image().src = address; }",
    "script-src-elem": adding("script", src="address"),
    "style-src-elem": adding("link", rel="'stylesheet'", href="address"),
    "frame-src": adding("iframe", src="address").replace("head", "body"),
    "font-src": "address => { new FontFace('far', `url(${address})`).load().catch(() => undefined); }",
    "media-src": "address => { new Audio(address).load(); }",
}


TRY = """
([attempt, address]) => new Promise((resolve) => {
    const tell = (event) => resolve(event.effectiveDirective);
    document.addEventListener("securitypolicyviolation", tell, { once: true });
    (0, eval)(attempt)(address);
})
"""


async def test_the_policy_forbids_every_way_to_another_host(scene_stage: Stage) -> None:
    page = await scene_stage.opened()
    async with another_host() as (address, calls):
        refused = [await page.evaluate(TRY, [attempt, f"{address}far"]) for attempt in ATTEMPTS.values()]
        assert refused == list(ATTEMPTS)
        assert calls == []


async def test_without_the_policy_the_same_would_reach_it_and_be_recorded(scene_stage: Stage) -> None:
    page = await scene_stage.opened(bypass_csp=True)
    asked = recorded(page)
    async with another_host() as (address, calls):
        await page.evaluate(ATTEMPTS["connect-src"], f"{address}far")
        assert calls == ["GET /far HTTP/1.1"]
        assert elsewhere(asked, scene_stage) == [f"{address}far"]


async def test_the_page_comes_with_a_policy_that_allows_its_origin_alone(scene_stage: Stage) -> None:
    page = await scene_stage.opened()
    answer = await page.context.request.get(scene_stage.url)
    policy = dict(part.split(maxsplit=1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    allowed = {word for words in policy.values() for word in words.split()}
    assert allowed <= {"'self'", "'none'", "'unsafe-inline'", "data:"}
    assert "script-src" not in policy
