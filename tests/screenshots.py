"""Draw the pictures of the documentation anew: a real sandbox, real commands, a real browser.

`make screenshots` runs this. It writes `docs/images/*.png`.
"""

import asyncio
import io
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, expect

from bot.sandbox.run import Sandbox, sandbox
from tests.fakes.browser import PAST_FIRST_VISIT, chromium

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 150_000
WIDE: ViewportSize = {"width": 1280, "height": 800}
TALL: ViewportSize = {"width": 1280, "height": 1150}
LONG: ViewportSize = {"width": 1280, "height": 1440}
PHONE = {"width": 390, "height": 780}
#: What stands behind the name of a picture, by the colours of the page.
SCHEMES = {"light": "", "dark": "-dark"}
DEVICES = 400
COLOURS = 96
PATIENCE_MS = 20_000


def reduced(png: bytes) -> bytes:
    """Return the same picture with a palette, which screens of text lose little by."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    out = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


async def keep(page: Page, name: str) -> None:
    png = reduced(await page.screenshot(animations="disabled", caret="hide"))
    if len(png) > MOST_BYTES:
        raise ValueError(f"{name}.png would have {len(png)} bytes, more than {MOST_BYTES}")
    (IMAGES / f"{name}.png").write_bytes(png)
    sys.stdout.write(f"docs/images/{name}.png  {len(png) // 1000} kB\n")


async def types(page: Page, text: str) -> None:
    box = page.get_by_label("Message #device-enrollment")
    await box.fill(text)
    await box.press("Enter")


async def opened(browser: Browser, box: Sandbox, **settings: object) -> Page:
    context = await browser.new_context(
        **{"locale": "en-GB", "timezone_id": "Europe/Paris", "reduced_motion": "reduce", **settings}  # type: ignore[arg-type]
    )
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(PAST_FIRST_VISIT)
    page = await context.new_page()
    await page.goto(box.url)
    await expect(page.get_by_role("heading", name="device-enrollment")).to_be_visible()
    return page


async def walk(browser: Browser, box: Sandbox) -> None:
    """Do what a newcomer does and keep a picture of each screen."""
    page = await opened(browser, box, viewport=WIDE)
    messages = page.get_by_role("article")
    await expect(messages.filter(has_text=f"{DEVICES} devices now")).to_be_visible()
    await expect(messages.filter(has_text="new Apple terms to accept").last).to_be_visible()
    # What is counted is shown a few seconds later.
    box.move_clock(timedelta(seconds=20))
    for told in ("devices still need one", "will get none by default"):
        await expect(messages.filter(has_text=told).last).to_be_attached()
    await alerts(browser, box, page)

    await types(page, "/enroll device list model:iPad")
    listed = messages.filter(has_text="model:iPad").last
    await expect(listed.get_by_role("button", name="Export CSV")).to_be_visible()
    await keep(page, "channel")

    await types(page, "/enroll token renew paris")
    renewal = messages.filter(has=page.get_by_role("button", name="Upload", exact=False)).last
    await renewal.get_by_role("button", name="Upload", exact=False).click()
    await expect(page.get_by_role("dialog").get_by_label("Server token (.p7m)")).to_be_attached()
    await keep(page, "renewal")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await profile_and_request(page)

    await page.get_by_role("button", name="Behind the scenes").click()
    drawer = page.get_by_role("dialog", name="Behind the scenes")
    await drawer.get_by_role("tab", name="Requests").click()
    line = drawer.get_by_role("button", name="/server/devices").last
    await line.click()
    await expect(drawer.get_by_role("region", name="Request", exact=True)).to_be_visible()
    await line.evaluate("line => line.scrollIntoView({ block: 'start' })")
    await keep(page, "behind-the-scenes")
    await page.context.close()

    for scheme, name in SCHEMES.items():
        home = await opened(browser, box, viewport=TALL, color_scheme=scheme)
        await home.get_by_role("navigation", name="Channels").get_by_role("button", name="enrollbot").click()
        await home.get_by_role("tab", name="Home").click()
        await expect(home.get_by_role("region", name="Home")).to_contain_text("Licences left")
        await keep(home, f"home{name}")
        await home.context.close()

    phone = await opened(browser, box, viewport=PHONE, has_touch=True)
    await types(phone, "/enroll status")
    await expect(phone.get_by_role("article").last).to_contain_text("shows what you can do")
    await keep(phone, "phone")
    await phone.context.close()
    await ladder(browser, box)


async def alerts(browser: Browser, box: Sandbox, page: Page) -> None:
    """Keep what a newcomer is told at once."""
    await page.set_viewport_size(LONG)
    await keep(page, "alerts")
    await page.set_viewport_size(WIDE)
    dark = await opened(browser, box, viewport=LONG, color_scheme="dark")
    await expect(dark.get_by_text("devices still need one").last).to_be_visible()
    await keep(dark, "alerts-dark")
    await dark.context.close()


async def ladder(browser: Browser, box: Sandbox) -> None:
    """Let a token come to its end, and keep the thread of its alert."""
    page = await opened(browser, box, viewport=TALL)
    for days, told in ((5, "expires in 7 days"), (6, "expires in 1 day"), (2, "expired 1 day ago")):
        box.move_clock(timedelta(days=days))
        # Much is due after days, and a look that is still at work lets the next one be missed.
        await expect(page.get_by_text(f"Token paris {told}").last).to_be_attached(timeout=3 * PATIENCE_MS)
    await page.context.close()
    for scheme, name in SCHEMES.items():
        page = await opened(browser, box, viewport=LONG, color_scheme=scheme)
        await page.get_by_role("button", name="replied to a thread").last.click()
        thread = page.get_by_role("complementary", name="Thread")
        await expect(thread).to_contain_text("expired 1 day ago")
        await page.mouse.move(0, 0)
        await keep(page, f"alert-ladder{name}")
        await page.context.close()


async def profile_and_request(page: Page) -> None:
    """Define a profile as Ana and ask for it as Ben; keep the wizard and the card."""
    await types(page, "/enroll profile create --token paris")
    form = page.get_by_role("dialog")
    await form.get_by_label("Name", exact=True).fill("Kiosk iPad")
    for heading in ("MDM server URL", "Department"):
        await form.get_by_role("button", name="Next").click()
        await expect(form.get_by_text(heading, exact=True).first).to_be_visible()
    await form.get_by_role("button", name="Set for shared kiosks").click()
    await expect(form.get_by_text("40 of 43 are hidden")).to_be_visible()
    await keep(page, "profile")
    for heading in ("Enrolment web URL", "Sent to Apple"):
        await form.get_by_role("button", name="Next").click()
        await expect(form.get_by_text(heading, exact=True).first).to_be_visible()
    await form.get_by_role("button", name="Create profile").click()
    await expect(form.get_by_text("is defined")).to_be_visible()
    await page.keyboard.press("Escape")
    await be(page, "Ana", "Ben")
    await types(
        page,
        '/enroll assign "Kiosk iPad" --where token:paris model:"iPad Air" --reason "New kiosks, ticket 4711"',
    )
    await page.get_by_role("button", name="Send for approval").last.click()
    asked = page.get_by_role("dialog").or_(page.get_by_text("sent for approval").last)
    await expect(asked.first).to_be_visible()
    if await page.get_by_role("dialog").count():
        hint = await page.get_by_role("dialog").get_by_text("to confirm").inner_text()
        await page.get_by_role("dialog").get_by_label("Number of devices").fill(hint.split()[1])
        await page.get_by_role("dialog").get_by_role("button", name="Send").click()
        await expect(page.get_by_role("dialog")).to_contain_text("REQ-1")
        await page.keyboard.press("Escape")
    await be(page, "Ben", "Ana Lima")
    channels = page.get_by_role("navigation", name="Channels")
    await channels.get_by_role("button", name="approvals").click()
    await expect(page.get_by_role("button", name="Approve", exact=True)).to_be_visible()
    await keep(page, "approval")
    await channels.get_by_role("button", name="device-enrollment").click()


async def be(page: Page, now: str, then: str) -> None:
    """Go on as another person."""
    await page.get_by_role("button", name=now).first.click()
    await page.get_by_role("menuitemradio", name=then).first.click()
    await expect(page.get_by_role("button", name=then).first).to_be_visible()


async def main() -> None:
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        sys.exit("make screenshots needs Chromium on the PATH.")
    expect.set_options(timeout=PATIENCE_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox(devices=DEVICES, folder=Path(folder) / "sandbox") as box, chromium() as browser:
            await walk(browser, box)


if __name__ == "__main__":
    asyncio.run(main())
