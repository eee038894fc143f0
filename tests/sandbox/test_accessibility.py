"""What axe, the checker of accessibility rules, says about the page's screens, in light and in dark."""

from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page

from tests.fakes.scenes import SCENES, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
# So high that nothing is scrolled away: axe judges the contrast of what can be seen only.
WIDE = {"width": 1280, "height": 2600}
NARROW = {"width": 390, "height": 2600}


async def violations(page: Page, *, rule: str = "") -> list[str]:
    """Ask axe about everything that is on the page now; returns its findings, a line an element."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"]} | ({"runOnly": [rule]} if rule else {})
    found: dict[str, Any] = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def violations_in_both_schemes(page: Page) -> list[str]:
    """Light and dark differ in their colours alone."""
    found = [f"light: {line}" for line in await violations(page)]
    await page.emulate_media(color_scheme="dark")
    return found + [f"dark: {line}" for line in await violations(page, rule="color-contrast")]


# The modal without complaints and the tour are looked at on the phone.
@pytest.mark.parametrize("scene", [name for name in SCENES if name not in ("modal", "tour")])
async def test_axe_finds_no_violation_on(scene_stage: Stage, scene: str) -> None:
    page = await scene_stage.opened(viewport=WIDE)
    await SCENES[scene](scene_stage, page)
    assert await violations_in_both_schemes(page) == []


@pytest.mark.parametrize("scene", ["channel", "modal", "home", "switches", "tour"])
async def test_axe_finds_no_violation_at_the_width_of_a_phone_on(scene_stage: Stage, scene: str) -> None:
    page = await scene_stage.opened(viewport=NARROW, has_touch=True)
    if scene == "home":
        await page.get_by_role("button", name="Channels").click()
    await SCENES[scene](scene_stage, page)
    assert await violations_in_both_schemes(page) == []


FAULTS = {
    "color-contrast": "box => { box.style.cssText = 'color: #777; background: #888'; }",
    "button-name": "box => { box.append(document.createElement('button')); }",
    "image-alt": "box => { box.append(new Image(1, 1)); }",
}


@pytest.mark.parametrize("rule", FAULTS)
async def test_a_planted_fault_is_reported(scene_stage: Stage, rule: str) -> None:
    page = await scene_stage.opened(viewport=WIDE)
    await page.get_by_role("article").get_by_text("Who has the").evaluate(FAULTS[rule])
    assert any(line.startswith(rule) for line in await violations(page))
