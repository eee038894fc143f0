"""The whole story as a newcomer sees it: the unmodified bot as its own process, a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from bot.sandbox.run import Sandbox, sandbox
from bot.sandbox.seed import WAITING_DEVICES
from tests.fakes.browser import chromium

DEVICES = 400


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with sandbox(devices=DEVICES, folder=tmp_path / "sandbox") as running:
        yield running


@pytest.fixture
async def browser(box: Sandbox) -> AsyncIterator[BrowserContext]:
    async with chromium() as started:
        context = await started.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        yield context
        await context.close()


async def type_command(page: Page, text: str) -> None:
    composer = page.get_by_label("Message #device-enrollment")
    await composer.fill(text)
    await composer.press("Enter")


async def get_token_file(browser: BrowserContext, box: Sandbox, certificate: Path, folder: Path) -> Path:
    """In ABM's page: upload the certificate, download the token file."""
    portal = await browser.new_page()
    await portal.goto(box.abm_url)
    await portal.get_by_role("link", name="lyon").click()
    await portal.get_by_label("Public key certificate").set_input_files(certificate)
    await portal.get_by_role("button", name="Upload certificate").click()
    async with portal.expect_download() as download:
        await portal.get_by_role("button", name="Download server token").click()
    token_file = folder / (await download.value).suggested_filename
    await (await download.value).save_as(token_file)
    await portal.close()
    return token_file


async def test_a_newcomer_adds_a_token_and_finds_its_devices(
    box: Sandbox, browser: BrowserContext, tmp_path: Path
) -> None:
    page = await browser.new_page()
    await page.goto(box.url)
    messages = page.get_by_role("article")
    # It opens with a token that is there already, and synced.
    await expect(messages.filter(has_text=f"{DEVICES} devices now")).to_be_visible()

    await type_command(page, "/enroll token add")
    form = page.get_by_role("dialog")
    await form.get_by_label("Name", exact=True).fill("lyon")
    await form.get_by_label("Apple ID").fill("ade@example.com")
    await form.get_by_label("MDM server URL").fill("https://mdm.example.com/enroll")
    await form.get_by_label("I agree that user and device information is sent to Apple").check()
    await form.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("dialog").get_by_text("lyon.pem").first).to_be_visible()
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="enrollbot", exact=False).first.click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="lyon.pem").first.click()
    certificate = tmp_path / "lyon.pem"
    await (await download.value).save_as(certificate)
    token_file = await get_token_file(browser, box, certificate, tmp_path)

    await page.get_by_role("button", name="device-enrollment").first.click()
    await type_command(page, "/enroll token upload lyon")
    upload = page.get_by_role("dialog")
    await upload.get_by_label("Server token (.p7m)").set_input_files(token_file)
    await upload.get_by_role("button", name="Upload").last.click()
    await expect(page.get_by_role("dialog")).to_contain_text("Example Trust")
    await page.keyboard.press("Escape")
    synced = messages.filter(has_text="Token lyon synced")
    await expect(synced).to_contain_text(f"{WAITING_DEVICES} devices now: {WAITING_DEVICES} added")

    await type_command(page, "/enroll device list model:iPad")
    listed = messages.filter(has_text="model:iPad").last
    await expect(listed.get_by_role("button", name="Show")).to_have_count(10)
    first_page = await listed.inner_text()
    serials = [device["serial_number"] for device in box.apple.snapshot()]
    shown = [serial for serial in serials if serial in first_page]
    assert len(shown) == 10
    await listed.get_by_role("button", name="Next").click()
    await expect(listed).not_to_contain_text(shown[0])
    await expect(listed.get_by_role("button", name="Previous")).to_be_visible()

    serial = box.apple.snapshot("lyon")[0]["serial_number"]
    await type_command(page, f"/enroll device show {serial}")
    await expect(messages.filter(has_text=serial).last).to_contain_text("lyon")
    assert box.slack.complaints == []
