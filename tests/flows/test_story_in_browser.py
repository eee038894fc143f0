"""The whole story as a newcomer sees it: the unmodified bot as its own process, a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from bot.sandbox.run import Sandbox, sandbox
from bot.sandbox.seed import WAITING_DEVICES
from tests.fakes.browser import PAST_FIRST_VISIT, chromium

DEVICES = 400


# Both newcomers come to the same sandbox: starting it takes longer than walking through it.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("story") / "sandbox"
    async with sandbox(devices=DEVICES, folder=folder, plain=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(box: Sandbox) -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def browser(started: Browser) -> AsyncIterator[BrowserContext]:
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
    await portal.get_by_role("link", name="lyon", exact=True).click()
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
    await browser.add_init_script(PAST_FIRST_VISIT)
    page = await browser.new_page()
    await page.goto(box.url)
    messages = page.get_by_role("article")
    # It opens with a token that is there already, and synced.
    await expect(messages.filter(has_text=f"{DEVICES} devices now").first).to_be_visible()

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


async def test_the_tour_leads_a_newcomer_with_the_keyboard_to_a_renewed_token(
    box: Sandbox, browser: BrowserContext, tmp_path: Path
) -> None:
    page = await browser.new_page()
    await page.goto(box.url)
    first = page.get_by_role("dialog", name="Three commands to begin with")
    await expect(first).to_be_focused()
    commands = first.get_by_role("list", name="Suggested commands").get_by_role("button")
    await expect(commands).to_have_count(3)
    await first.get_by_role("button", name="Show me around").press("Enter")

    def step(number: int, title: str) -> Locator:
        return page.get_by_role("dialog", name=title).filter(has_text=f"Step {number} of 5")

    await step(1, "See how the tokens stand").get_by_role("button", name="Send /enroll").press("Enter")
    begin = step(2, "Begin the renewal of paris").get_by_role("button", name="Send /enroll token renew paris")
    # The button keeps the focus from step to step: one goes on with Enter.
    await expect(begin).to_be_focused()
    await begin.press("Enter")
    get = step(3, "Get the new file from Apple")
    link = get.get_by_role("link", name="Open Apple Business Manager")
    async with browser.expect_page() as opening:
        await link.press("Enter")
    portal = await opening.value
    async with portal.expect_download() as download:
        await portal.get_by_role("button", name="Download server token").click()
    token_file = tmp_path / "paris.p7m"
    await (await download.value).save_as(token_file)
    await portal.close()
    await page.reload()
    await get.get_by_role("button", name="I have the file").press("Enter")
    send = step(4, "Upload the file").get_by_role("button", name="Send /enroll token upload paris")
    await send.press("Enter")
    upload = page.get_by_role("dialog", name="Upload server token")
    await upload.get_by_label("Server token (.p7m)").set_input_files(token_file)
    # A key on a button that waits for the file does nothing.
    await expect(upload.get_by_role("button", name="Upload")).to_be_enabled()
    await upload.get_by_role("button", name="Upload").press("Enter")
    await expect(page.get_by_role("dialog", name="Token renewed")).to_be_visible()
    await page.keyboard.press("Escape")
    done = step(5, "The token paris is renewed")
    await done.get_by_role("button", name="Finish").press("Enter")
    await expect(page.get_by_label("Message #device-enrollment")).to_be_focused()
    await type_command(page, "/enroll token list")
    await expect(page.get_by_role("article").filter(has_text="365 days left").last).to_be_visible()
    assert box.slack.complaints == []


async def become(page: Page, name: str) -> None:
    await page.get_by_role("button", name="You are").click()
    await page.get_by_role("menuitemradio", name=name).click()
    await expect(page.get_by_role("button", name=f"You are {name}")).to_be_visible()


async def create_profile(page: Page, name: str) -> None:
    await type_command(page, "/enroll profile create --token paris")
    form = page.get_by_role("dialog")
    await form.get_by_label("Name", exact=True).fill(name)
    for shown in ("MDM server URL", "Department", "Enrolment web URL", "Sent to Apple"):
        await form.get_by_role("button", name="Next").click()
        await expect(form.get_by_text(shown, exact=True).first).to_be_visible()
    await form.get_by_role("button", name="Create profile").click()
    await expect(form.get_by_text("is defined")).to_be_visible()
    await page.keyboard.press("Escape")


async def test_a_newcomer_requests_as_one_person_and_approves_as_another(
    box: Sandbox, browser: BrowserContext, tmp_path: Path
) -> None:
    await browser.add_init_script(PAST_FIRST_VISIT)
    page = await browser.new_page()
    await page.goto(box.url)
    messages = page.get_by_role("article")
    await expect(messages.filter(has_text=f"{DEVICES} devices now").first).to_be_visible()
    await create_profile(page, "Sales iPad")
    pads = [each for each in box.apple.snapshot("paris") if each["device_family"] == "iPad"]
    first, second, third = (each["serial_number"] for each in pads[:3])

    await become(page, "Ben Okoro")
    await type_command(page, f'/enroll assign "Sales iPad" {first} {second} {third} --reason "New school"')
    preview = messages.filter(has_text="Assign Sales iPad to 3 devices").last
    await preview.get_by_role("button", name="Send for approval").click()
    await expect(messages.filter(has_text="REQ-1 sent for approval").last).to_be_visible()
    # One of the three leaves the server in ABM before somebody decides.
    box.apple.remove_devices("paris", [third])

    await become(page, "Ana Lima")
    await page.get_by_role("navigation", name="Channels").get_by_role("button", name="approvals").click()
    card = messages.filter(has_text="REQ-1 · Assign").last
    await expect(card).to_contain_text("New school")
    await card.get_by_role("button", name="Approve").click()
    question = page.get_by_role("alertdialog")
    await expect(question).to_contain_text("3 devices")
    await question.get_by_role("button", name="Approve REQ-1").click()
    await expect(card).to_contain_text("has been carried out")
    await card.get_by_role("button", name="Last reply").click()
    thread = page.get_by_role("complementary", name="Thread")
    await expect(thread.get_by_text("2 of 3 devices as asked").first).to_be_visible()
    async with page.expect_download() as download:
        await thread.get_by_role("link", name="REQ-1-not-done.csv").first.click()
    await (await download.value).save_as(tmp_path / "not-done.csv")
    (row,) = (tmp_path / "not-done.csv").read_text("utf-8-sig").splitlines()[1:]
    assert row.startswith(f"{third},")
    has = {each["serial_number"]: each["profile_status"] for each in box.apple.snapshot("paris")}
    assert [has[first], has[second]] == ["assigned", "assigned"]
    assert box.slack.complaints == []


async def test_a_viewer_is_offered_what_a_viewer_may_do(box: Sandbox, browser: BrowserContext) -> None:
    page = await browser.new_page()
    await page.goto(f"{box.url}/?person=U0CLEO")
    # No tour either: it ends with something that only an admin may do.
    await expect(page.get_by_role("button", name="Skip")).to_be_visible()
    await expect(page.get_by_role("button", name="Show me around")).to_have_count(0)
    await page.get_by_label("Message #device-enrollment").fill("/enroll token ")
    offered = page.get_by_role("listbox", name="Commands").get_by_role("option")
    await expect(offered.get_by_role("code")).to_have_text(["/enroll token list", "/enroll token show NAME"])
