"""The page holds together from a phone's width to a wide window's."""

import pytest

from tests.fakes.scenes import Stage, thread

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEIGHT = 700
#: On both sides of every width at which the page arranges itself anew.
WIDTHS = (360, 480, 481, 720, 721, 860, 1000, 1001, 1280)


async def test_an_open_thread_reaches_to_the_bottom_at_every_width(scene_stage: Stage) -> None:
    page = await scene_stage.opened(viewport={"width": WIDTHS[0], "height": HEIGHT})
    await thread(scene_stage, page)
    reply = page.get_by_role("complementary", name="Thread").get_by_label("Reply")
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        box = await reply.bounding_box()
        assert box is not None
        assert HEIGHT - 100 < box["y"] + box["height"] < HEIGHT, f"at {width}"
        assert box["x"] + box["width"] <= width, f"at {width}"
        # Beside the channel or over it, one writes at the same height.
        channel = await page.get_by_label("Message #device-enrollment").bounding_box()
        assert channel is not None
        assert (box["y"], box["height"]) == (channel["y"], channel["height"]), f"at {width}"
