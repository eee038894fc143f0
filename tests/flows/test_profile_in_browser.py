"""The wizard filled in by label in a real browser, every setting on, then every setting back."""

import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from bot.backend.profile import (
    Authentication,
    Pairing,
    ProfilePlatform,
    ProfileSettings,
)
from bot.kit.actor import Actor
from tests.fakes.browser import chromium
from tests.fakes.house import House, ready_key_pair

SETUP = Actor.cli("setup")
URL = "https://mdm.example.com/enroll"
FLAGS = (
    *("Mandatory", "Await configuration", "Auto advance", "Shared iPad", "Return to service"),
    "No profile from backup",
)


@pytest.fixture
async def page(paris: House) -> AsyncIterator[Page]:
    async with chromium() as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
        context.set_default_timeout(10_000)
        expect.set_options(timeout=10_000)
        page = await context.new_page()
        await page.goto(paris.slack.base_url)
        yield page


async def choose(page: Page, form: Locator, label: str, *options: str) -> None:
    """Choose options in the select with this label."""
    await form.get_by_label(label, exact=True).click()
    for option in options:
        await page.get_by_role("option", name=option).first.click()
    await page.keyboard.press("Tab")


async def go_on(form: Locator, *, to: str) -> None:
    await form.get_by_role("button", name="Next").click()
    await expect(form.get_by_text(to, exact=True).first).to_be_visible()


async def defined(paris: House, form: Locator, button: str) -> tuple[dict[str, Any], ProfileSettings]:
    """Press the last button; return what the service was sent, and the settings kept here."""
    await form.get_by_role("button", name=button).click()
    await expect(form.get_by_text("is defined")).to_be_visible()
    (profile,) = await paris.bot.services.profiles.list_profiles(actor=SETUP)
    return list(paris.apple.profiles.values())[-1].body, profile.settings


async def fill_in(page: Page, form: Locator, *, certificate: Path) -> None:
    """Give every setting another value than the one it begins with."""
    await form.get_by_label("Name", exact=True).fill("Everything")
    await form.get_by_label("Description").fill("For every device")
    await choose(page, form, "Platform", "Any")
    await go_on(form, to="MDM server URL")
    # Who uses the keyboard goes on at the first field of a step.
    await expect(form.get_by_label("MDM server URL")).to_be_focused()

    await form.get_by_label("MDM server URL").fill(URL)
    await form.get_by_label("Enroll with user affinity").check()
    await choose(page, form, "Authentication method", "Setup Assistant with modern authentication")
    await form.get_by_label("Devices get Company Portal").check()
    await form.get_by_label("The management profile cannot be removed").check()
    await choose(page, form, "Sync with computers", "Allow Apple Configurator by certificate")
    await form.get_by_label("Certificates of computers").set_input_files(certificate)
    await form.get_by_label("Device name template").fill("{{DEVICETYPE}}-{{SERIAL}}")
    await go_on(form, to="Department")

    await form.get_by_label("Department", exact=True).fill("IT Department")
    await form.get_by_label("Department phone").fill("+33 1 23 45 67 89")
    await choose(page, form, "Hidden screens", "Passcode", "Siri")
    await choose(page, form, "Hidden screens, more of Mac", "FileVault")
    await go_on(form, to="Enrolment web URL")

    await form.get_by_label("Enrolment web URL").fill("https://mdm.example.com/sign-in")
    await form.get_by_label("Anchor certificates").set_input_files(certificate)
    await form.get_by_label("Organisation magic").fill("MAGIC-1")
    await form.get_by_label("Language").fill("EN")
    await form.get_by_label("Region").fill("gb")
    await form.get_by_label("Support e-mail").fill("help@example.com")
    for flag in FLAGS:
        await form.get_by_role("checkbox", name=flag).check()
    await go_on(form, to="Sent to Apple")


async def take_back(page: Page, form: Locator) -> None:
    """Take every setting back but the name, the platform and where devices enroll."""
    await form.get_by_label("Description").fill("")
    await go_on(form, to="MDM server URL")
    await form.get_by_label("Enroll without user affinity").check()
    await expect(form.get_by_text("Authentication method")).to_have_count(0)
    await form.get_by_label("Devices are supervised").uncheck()
    await form.get_by_label("The management profile cannot be removed").uncheck()
    await choose(page, form, "Sync with computers", "Allow all")
    await form.get_by_label("Device name template").fill("")
    await go_on(form, to="Department")
    for label in ("Department", "Department phone"):
        await form.get_by_label(label, exact=True).fill("")
    await form.get_by_role("button", name="Show all").click()
    await expect(form.get_by_text("0 of 56 are hidden")).to_be_visible()
    await expect(form.get_by_role("button", name="Show all")).to_be_focused()
    await go_on(form, to="Enrolment web URL")
    await form.get_by_role("button", name="Remove").click()
    await expect(form.get_by_role("button", name="Remove")).to_have_count(0)
    for label in ("Enrolment web URL", "Organisation magic", "Language", "Region", "Support e-mail"):
        await form.get_by_label(label).fill("")
    for flag in FLAGS:
        await form.get_by_role("checkbox", name=flag).uncheck()
    await go_on(form, to="Sent to Apple")


async def test_every_setting_is_filled_in_by_its_label_and_taken_back(
    paris: House, page: Page, tmp_path: Path
) -> None:
    _, certificate = ready_key_pair("computer")
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode()
    file = tmp_path / "computer.pem"
    file.write_text(certificate)
    command = page.get_by_label("Message #device-enrollment")
    await command.fill("/enroll profile create")
    await command.press("Enter")
    form = page.get_by_role("dialog")

    await fill_in(page, form, certificate=file)
    body, settings = await defined(paris, form, "Create profile")
    assert body == {
        "profile_name": "Everything",
        "url": URL,
        "org_magic": "MAGIC-1",
        "department": "IT Department",
        "support_phone_number": "+33 1 23 45 67 89",
        "support_email_address": "help@example.com",
        "configuration_web_url": "https://mdm.example.com/sign-in",
        "language": "en",
        "region": "GB",
        "is_supervised": True,
        "is_mandatory": True,
        "is_mdm_removable": False,
        "allow_pairing": False,
        "await_device_configured": True,
        "auto_advance_setup": True,
        "is_multi_user": True,
        "is_return_to_service": True,
        "do_not_use_profile_from_backup": True,
        "supervising_host_certs": [der],
        "anchor_certs": [der],
        "skip_setup_items": ["Passcode", "Siri", "FileVault"],
    }
    assert settings.description == "For every device"
    assert settings.platform is ProfilePlatform.ANY
    assert settings.user_affinity
    assert settings.authentication is Authentication.SETUP_ASSISTANT_MODERN
    assert settings.install_company_portal
    assert settings.device_name_template == "{{DEVICETYPE}}-{{SERIAL}}"

    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(command).to_be_focused()
    await command.fill("/enroll profile edit Everything")
    await command.press("Enter")
    await take_back(page, form)
    body, settings = await defined(paris, form, "Define version 2")
    token_id = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    assert body == {
        "profile_name": "Everything",
        "url": URL,
        "org_magic": body["org_magic"],
        "is_supervised": False,
        "is_mandatory": False,
        "is_mdm_removable": True,
        "allow_pairing": True,
        "await_device_configured": False,
        "skip_setup_items": [],
    }
    assert str(body["org_magic"]).replace("-", "").lower() == token_id
    expected = ProfileSettings(name="Everything", platform=ProfilePlatform.ANY, mdm_url=URL, supervised=False)
    assert settings == expected
    assert settings.pairing is Pairing.ALL
    assert paris.slack.complaints == []
