"""The main screens look as they did: each is compared with the picture of it in `pictures/`.

`make pictures` draws the pictures anew after a change that is meant; look at them before you commit them.
"""

import asyncio
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from playwright.async_api import Page

from tests.fakes.scenes import PHONE, SCENES, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURES = Path(__file__).parent / "pictures"
MADE_WITH = PICTURES / "made-with.json"
IS_WRITING = os.environ.get("PICTURES") == "write"
MOST_BYTES = 60_000
COLOURS = 128
#: How far a channel of a pixel may be off, of 255: the pictures are kept with a palette.
FAR = 40
#: How many pixels may be farther off. The smallest button has over a thousand.
MOST_OFF = 250

WIDE = {"width": 1100, "height": 700}
SCREENS: dict[str, tuple[str, dict[str, Any]]] = {
    "channel": ("channel", {"viewport": WIDE}),
    "modal": ("modal", {"viewport": WIDE}),
    "home": ("home", {"viewport": WIDE}),
    "thread": ("thread", {"viewport": WIDE}),
    "dark": ("channel", {"viewport": WIDE, "color_scheme": "dark"}),
    "phone": ("channel", {"viewport": PHONE, "has_touch": True}),
}


async def shown(stage: Stage, name: str) -> Page:
    scene, settings = SCREENS[name]
    page = await stage.opened(frozen=True, **settings)
    await SCENES[scene](stage, page)
    return page


async def drawn(page: Page) -> Image.Image:
    png = await page.screenshot(animations="disabled", caret="hide")
    return Image.open(io.BytesIO(png)).convert("RGB")


async def fonts_of(page: Page) -> list[str]:
    """Name the fonts that the page is drawn with, and their versions."""
    session = await page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        await session.send(f"{domain}.enable")
    root = (await session.send("DOM.getDocument"))["root"]["nodeId"]
    texts = await session.send("DOM.querySelectorAll", {"nodeId": root, "selector": "h1, strong, code, time"})
    used = [await session.send("CSS.getPlatformFontsForNode", {"nodeId": node}) for node in texts["nodeIds"]]
    families = {font["familyName"] for text in used for font in text["fonts"]}
    assert families
    return [await version_of(family) for family in sorted(families)]


async def version_of(family: str) -> str:
    if shutil.which("fc-match") is None:
        return family
    asking = ("fc-match", "--format", "%{family[0]} %{fontversion}", family)
    process = await asyncio.create_subprocess_exec(*asking, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


async def surroundings(page: Page) -> dict[str, Any]:
    """Say what decides how a page is drawn here, apart from the page."""
    browser = page.context.browser
    assert browser is not None
    return {"chromium": browser.version.split(".")[0], "fonts": await fonts_of(page)}


def pixels_off(one: Image.Image, other: Image.Image) -> int:
    """Count the pixels that differ by more than a palette explains."""
    if one.size != other.size:
        return max(one.width * one.height, other.width * other.height)
    red, green, blue = ImageChops.difference(one, other).split()
    worst = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(worst.histogram()[FAR + 1 :])


def keep(image: Image.Image, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    reduced = image.quantize(COLOURS, dither=Image.Dither.NONE)
    reduced.save(PICTURES / f"{name}.png", optimize=True)


def kept(name: str) -> Image.Image:
    return Image.open(PICTURES / f"{name}.png").convert("RGB")


async def skip_unless_drawn_alike(page: Page) -> None:
    here, there = await surroundings(page), json.loads(MADE_WITH.read_text())
    # Not every screen has text in every font.
    if here["chromium"] != there["chromium"] or not set(here["fonts"]) <= set(there["fonts"]):
        pytest.skip(f"the pictures were made with {there}, here it is {here}: make pictures draws them anew")


@pytest.mark.parametrize("name", SCREENS)
async def test_a_screen_looks_as_in_its_picture(scene_stage: Stage, name: str, tmp_path: Path) -> None:
    page = await shown(scene_stage, name)
    if IS_WRITING:
        keep(await drawn(page), name)
        if name == "channel":
            MADE_WITH.write_text(json.dumps(await surroundings(page), indent=2) + "\n")
    else:
        await skip_unless_drawn_alike(page)
    now = await drawn(page)
    now.save(tmp_path / f"{name}.png")
    off = pixels_off(now, kept(name))
    assert off <= MOST_OFF, f"{off} pixels of {name} differ; it looks like {tmp_path / f'{name}.png'} now"


@pytest.mark.parametrize(
    "change",
    ["button => { button.style.background = '#4a154b'; }", "button => { button.style.marginTop = '6px'; }"],
    ids=["recoloured", "moved"],
)
async def test_a_changed_element_is_seen(scene_stage: Stage, change: str) -> None:
    page = await shown(scene_stage, "channel")
    await skip_unless_drawn_alike(page)
    await page.get_by_role("button", name="Export CSV").evaluate(change)
    assert pixels_off(await drawn(page), kept("channel")) > MOST_OFF


async def test_the_pictures_are_small() -> None:
    sizes = {name: (PICTURES / f"{name}.png").stat().st_size for name in SCREENS}
    assert {name: size for name, size in sizes.items() if size >= MOST_BYTES} == {}
