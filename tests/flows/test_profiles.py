"""Profiles from chat: the wizard, versions, files and deletion, with the stand-in for Apple's service."""

import base64
import json
import ssl
from datetime import timedelta
from typing import Any

import pytest

from bot.backend.profile import Authentication
from bot.kit.actor import Actor, Rights, Role
from bot.sandbox.apple.faults import Trouble
from bot.sandbox.slack import people
from bot.sandbox.visitor import Seen, Visitor
from tests.fakes.house import ready_key_pair
from tests.flows.conftest import House

SETUP = Actor.cli("setup")
URL = "https://mdm.example.com/enroll"


async def steps(house: House, who: Visitor, *fills: dict[str, object]) -> Any:
    """Fill in one step after the other, each sent with Next."""
    heard = None
    for values in fills:
        heard = await house.fills(who, values)
        assert heard.errors == {}
    return heard


def sent(house: House) -> list[dict[str, Any]]:
    """Return the profiles that the service was told to define."""
    return [profile.body for profile in house.apple.profiles.values()]


async def test_a_profile_is_created_step_by_step_and_reaches_the_service(paris: House) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    await steps(
        paris,
        ana,
        {"Name": "Sales iPad", "Description": "For the shops", "Platform": "iOS and iPadOS"},
        {"MDM server URL": URL, "Supervised": True, "Locked enrollment": True},
        {
            "Department": "IT Department",
            "Department phone": "+33 1 23 45 67 89",
            "Hidden screens": ["Siri", "Apple Pay"],
        },
        {"Support e-mail": "help@example.com", "More": ["Await configuration"]},
    )
    review = await ana.sees_modal("Sent to Apple")
    assert "Department: IT Department" in review.text
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "is defined" in heard.modal.text
    (body,) = sent(paris)
    assert body == {
        "profile_name": "Sales iPad",
        "url": URL,
        "org_magic": body["org_magic"],
        "department": "IT Department",
        "support_phone_number": "+33 1 23 45 67 89",
        "support_email_address": "help@example.com",
        "is_supervised": True,
        "is_mandatory": False,
        "await_device_configured": True,
        "is_mdm_removable": False,
        "allow_pairing": True,
        "skip_setup_items": ["Payment", "Siri"],
    }
    assert "Profile* *Sales iPad" in paris.posts()
    await ana.closes()
    card = await paris.types(ana, '/enroll profile show "Sales iPad"')
    assert "Enroll without user affinity" in card
    await paris.types(ana, '/enroll profile show "Sales iPad" --json')
    assert json.loads(await ana.downloads("Sales-iPad.json")) == body


async def to_review(house: House, who: Visitor) -> None:
    """Go on to the review without changing anything."""
    while not who_is_at_review(await who.modal()):
        heard = await house.fills(who, {})
        assert heard.errors == {}


def who_is_at_review(modal: Seen | None) -> bool:
    assert modal is not None
    return "*Sent to" in modal.text or "Sent to" in modal.text


async def test_what_is_wrong_stands_at_its_field_and_back_loses_nothing(paris: House) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    assert "Name" in (await paris.fills(ana, {"Name": "Sales/iPad"})).errors
    await paris.fills(ana, {"Name": "Sales iPad", "Description": "Shops"})
    # Paris has no MDM server of its own; locked needs supervised.
    wrong = {"MDM server URL": "http://mdm.example.com", "Supervised": False, "Locked enrollment": True}
    heard = await paris.fills(ana, {**wrong, "Device name template": "{{OWNER}}"})
    assert set(heard.errors) == {"MDM server URL", "Locked enrollment", "Device name template"}
    assert "{{OWNER}}" in heard.errors["Device name template"]
    await paris.presses(ana, "Back")
    await paris.fills(ana, {})
    again = await ana.sees_modal("Device management")
    typed = json.dumps(again.raw)
    assert "http://mdm.example.com" in typed
    assert "{{OWNER}}" in typed
    assert sent(paris) == []


async def test_sign_in_by_company_portal_installs_it_and_is_asked_for_only_with_affinity(
    paris: House,
) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    await paris.fills(ana, {"Name": "Field iPhone"})
    first = await ana.sees_modal("User affinity")
    assert "Authentication method" not in first.text
    await ana.chooses("User affinity", "Enroll with user affinity")
    await ana.sees_modal("Authentication method")
    heard = await paris.fills(ana, {"MDM server URL": URL})
    assert "Authentication method" in heard.errors
    await ana.chooses("Authentication method", "Company Portal")
    await ana.sees_modal("yes, since people sign in with it")
    await to_review(paris, ana)
    await paris.fills(ana, {})
    (profile,) = await paris.bot.services.profiles.list_profiles(actor=SETUP)
    assert profile.settings.authentication is Authentication.COMPANY_PORTAL
    assert profile.settings.install_company_portal
    (body,) = sent(paris)
    assert not any("portal" in str(part).lower() for part in body.items())


async def test_screens_are_hidden_all_at_once_none_or_as_for_a_kiosk(paris: House) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    await steps(paris, ana, {"Name": "Kiosk"}, {"MDM server URL": URL})
    await paris.presses(ana, "Hide all")
    assert "43 of 43 are hidden" in (await ana.sees_modal("are hidden")).text
    await paris.presses(ana, "Show all")
    assert "0 of 43 are hidden" in (await ana.sees_modal("are hidden")).text
    await paris.presses(ana, "Set for shared kiosks")
    await to_review(paris, ana)
    review = await ana.sees_modal("Hidden screens")
    assert "all but Location Services, Software update, SIM setup" in review.text


async def test_an_edit_makes_a_version_and_says_what_changed(paris: House) -> None:
    ana, token = paris.ana, (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    await paris.has_profile(token, "Sales iPad", hidden_screens=("Siri", "Passcode"), department="IT")
    await paris.types(ana, '/enroll profile edit "Sales iPad"')
    await steps(
        paris,
        ana,
        {"Name": "Shop iPad"},
        {},
        {"Department": "Shops", "Hidden screens": ["Siri", "Apple Pay"]},
        {},
    )
    review = await ana.sees_modal("Compared with version 1")
    assert "Department: IT → Shops" in review.text
    assert "now hidden: Apple Pay; now shown: Passcode" in review.text
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "Version 2 of" in heard.modal.text
    assert [body["profile_name"] for body in sent(paris)] == ["Sales iPad", "Shop iPad"]
    card = await paris.presses(ana, "Show profile")
    assert "Version 1" in card
    assert "Name: Sales iPad → Shop iPad" in card


async def test_the_second_of_two_editors_is_told_and_may_define_on_top(paris: House) -> None:
    ana, ben = paris.ana, paris.ben
    await paris.types(ana, "/enroll role grant @ben admin")
    token = (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    await paris.has_profile(token)
    await paris.types(ana, '/enroll profile edit "Sales iPad"')
    heard = await paris.types(ben, '/enroll profile edit "Sales iPad"')
    assert heard.modal is not None
    assert "@ana> is editing" in heard.modal.text or "is editing this profile too" in heard.modal.text
    for who, department in ((ana, "Ana's"), (ben, "Ben's")):
        await steps(paris, who, {}, {}, {"Department": department}, {})
    await paris.fills(ana, {})
    heard = await paris.fills(ben, {})
    assert heard.modal is not None
    assert "was defined while you were editing" in heard.modal.text
    assert "Department: Ana's → Ben's" in heard.modal.text
    assert len(sent(paris)) == 2
    heard = await paris.fills(ben, {})
    assert heard.modal is not None
    assert "Version 3 of" in heard.modal.text


async def test_a_refusal_of_apple_comes_back_at_its_field_and_nothing_is_lost(
    paris: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    monkeypatch.setattr("bot.profiles.rules.faults", lambda *_args, **_settings: [])
    await steps(paris, ana, {"Name": "Sales iPad"}, {"MDM server URL": "ftp://mdm"}, {}, {})
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "*MDM server URL:* Apple does not accept" in heard.modal.text
    assert "CONFIG_URL_INVALID" in heard.modal.text
    await steps(paris, ana, {"MDM server URL": URL}, {}, {})
    paris.apple.faults.plan(Trouble.BROKEN, path="/profile", times=1)
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "Not defined" in heard.modal.text
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "is defined" in heard.modal.text
    (body,) = sent(paris)
    assert body["url"] == URL


async def test_certificates_are_read_listed_and_removed_and_a_key_is_refused(paris: House) -> None:
    ana = paris.ana
    private_key, certificate = ready_key_pair("computer")
    await paris.types(ana, "/enroll profile create")
    await paris.fills(ana, {"Name": "Sales iPad"})
    await ana.chooses("Sync with computers", "Allow Apple Configurator by certificate")
    await ana.sees_modal("Certificates of computers")
    heard = await paris.fills(ana, {"MDM server URL": URL})
    assert "Certificates of computers" in heard.errors
    await ana.uploads("Certificates of computers", "key.pem", private_key.encode())
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "private key" in heard.modal.text
    await ana.uploads("Certificates of computers", "computer.pem", certificate.encode())
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "Setup Assistant screens" in heard.modal.text
    await paris.presses(ana, "Back")
    listed = await ana.sees_modal("SHA-256")
    assert "valid until" in listed.text
    await to_review(paris, ana)
    await paris.fills(ana, {})
    (body,) = sent(paris)
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode()
    assert (body["allow_pairing"], body["supervising_host_certs"]) == (False, [der])


async def test_a_profile_goes_out_and_comes_in_as_json(paris: House) -> None:
    ana, token = paris.ana, (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    made = await paris.has_profile(token, hidden_screens=("Siri", "Newest"), locked=True)
    await paris.types(ana, "/enroll profile create --from")
    await ana.uploads("Profile (.json)", "odd.json", b'{"is_supervised": "yes"}')
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "is_supervised is not true or false" in heard.modal.text
    await ana.closes()
    content = json.dumps({**made.wire, "profile_name": "Copy", "newest_key": 1}).encode()
    await paris.types(ana, "/enroll profile create --from")
    await ana.uploads("Profile (.json)", "profile.json", content)
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "no place here: newest_key" in heard.modal.text
    await steps(paris, ana, {"Platform": "iOS and iPadOS"})
    await to_review(paris, ana)
    await paris.fills(ana, {})
    assert sent(paris)[-1] == {**made.wire, "profile_name": "Copy"}


async def test_a_clone_has_the_same_settings_and_only_what_nobody_carries_is_deleted(paris: House) -> None:
    ana, token = paris.ana, (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    made = await paris.has_profile(token, department="IT")
    heard = await paris.types(ana, '/enroll profile clone "Sales iPad" Lobby')
    assert "Lobby" in heard
    assert [body["department"] for body in sent(paris)] == ["IT", "IT"]
    serial = paris.apple.snapshot()[0]["serial_number"]
    paris.apple.set_profile("paris", [serial], made.profile_uuid)
    await paris.bot.services.devices.start_sync("paris", actor=SETUP, full=False, exempt=True)
    await paris.settle()
    refused = await paris.types(ana, '/enroll profile delete "Sales iPad"')
    assert "• 1 device carries it" in refused
    listed = await paris.types(ana, '/enroll device list profile:"Sales iPad"')
    assert serial in listed
    assert "assigned Sales iPad" in listed
    assert "1 device" in await paris.types(ana, "/enroll profile list")
    await paris.types(ana, "/enroll profile delete Lobby")
    assert "deleted" in await paris.presses(ana, "Delete")
    assert "There is no profile Lobby" in await paris.types(ana, "/enroll profile show Lobby")


async def test_a_profile_found_on_devices_is_read_from_apple_once_and_adopted(paris: House) -> None:
    elsewhere = {"profile_name": "From before", "url": URL, "org_magic": "M", "is_supervised": True}
    known = paris.apple.define_profile("paris", elsewhere).uuid
    serials = [device["serial_number"] for device in paris.apple.snapshot()[:3]]
    paris.apple.set_profile("paris", serials[:2], known)
    paris.apple.set_profile("paris", serials[2:], "F" * 32)
    await paris.bot.services.devices.start_sync("paris", actor=SETUP, full=False, exempt=True)
    await paris.settle()
    for _ in range(2):
        await paris.bot.jobs.run_due("devices.profiles")
        paris.clock.move(timedelta(minutes=2))
    card = await paris.types(paris.ana, '/enroll profile show "From before"')
    assert "Found on devices and read from Apple" in card
    assert "2 devices" in card
    assert paris.apple.log.count("/profile") == 2
    assert "assigned From before" in await paris.types(paris.ana, f"/enroll device show {serials[0]}")


async def test_a_draft_that_was_left_goes_on_where_it_stood_or_starts_over(paris: House) -> None:
    ana = paris.ana
    await paris.types(ana, "/enroll profile create")
    await paris.fills(ana, {"Name": "Sales iPad"})
    await ana.closes()
    heard = await paris.types(ana, "/enroll profile create")
    assert heard.modal is not None
    assert "goes on with your draft" in heard.modal.text
    assert "*Device management*" in heard.modal.text
    await paris.presses(ana, "Back")
    assert "Sales iPad" in json.dumps((await ana.sees_modal("Name")).raw)
    await ana.closes()
    await paris.types(ana, "/enroll profile create")
    await paris.presses(ana, "Start over")
    assert "Sales iPad" not in json.dumps((await ana.sees_modal("Name")).raw)
    await ana.closes()
    paris.clock.move(timedelta(hours=25))
    heard = await paris.types(ana, "/enroll profile create")
    assert heard.modal is not None
    assert "goes on with your draft" not in heard.modal.text


async def test_a_question_that_was_never_answered_is_taken_back_after_a_minute(paris: House) -> None:
    ana, service = paris.ana, paris.bot.services.profiles
    await paris.types(ana, "/enroll profile create")
    await steps(paris, ana, {"Name": "Sales iPad"}, {"MDM server URL": URL}, {}, {})
    # As by a process that died while it asked.
    actor = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
    draft = (await service.drafts.open_new(actor)).id
    await service.drafts.begin_sending(draft, actor)
    await ana.closes()
    heard = await paris.types(ana, "/enroll profile create")
    assert heard.modal is not None
    assert "Checking…" in heard.modal.text
    assert "Wait a moment" in await paris.presses(ana, "Try again")
    paris.clock.move(timedelta(minutes=1))
    await paris.presses(ana, "Try again")
    heard = await paris.fills(ana, {})
    assert heard.modal is not None
    assert "is defined" in heard.modal.text


async def test_with_several_tokens_one_is_chosen_and_names_may_be_the_same(paris: House) -> None:
    ana, token = paris.ana, (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    await paris.has_token("lyon", devices=2)
    await paris.has_profile(token)
    await paris.types(ana, "/enroll profile create")
    assert "Token" in (await paris.fills(ana, {"Name": "Sales iPad"})).errors
    await steps(paris, ana, {"Token": "lyon"}, {"MDM server URL": URL}, {}, {})
    await paris.fills(ana, {})
    await ana.closes()
    assert "Name the token too: lyon/Sales iPad, paris/Sales iPad" in await paris.types(
        ana, '/enroll profile show "Sales iPad"'
    )
    assert "token lyon" in await paris.types(ana, '/enroll profile show "lyon/sales ipad"')
    assert "paris" not in await paris.types(ana, "/enroll profile list --token lyon")


async def test_back_keeps_certificates_and_what_another_platform_hides(paris: House) -> None:
    ana = paris.ana
    _, certificate = ready_key_pair("computer")
    await paris.types(ana, "/enroll profile create")
    await steps(
        paris, ana, {"Name": "Sales iPad"}, {"MDM server URL": URL}, {"Hidden screens": ["Apple Pay", "Zoom"]}
    )
    await ana.uploads("Anchor certificates", "root.pem", certificate.encode())
    await paris.presses(ana, "Back")
    for _ in range(2):
        await paris.presses(ana, "Back")
    # Macs have no Zoom screen; going past their screens and back takes nothing from the iPads'.
    await steps(paris, ana, {"Platform": "macOS"}, {}, {})
    for _ in range(3):
        await paris.presses(ana, "Back")
    await steps(paris, ana, {"Platform": "iOS and iPadOS"}, {}, {}, {})
    await paris.fills(ana, {})
    (body,) = sent(paris)
    assert body["skip_setup_items"] == ["Payment", "Zoom"]
    assert len(body["anchor_certs"]) == 1


async def test_a_draft_that_is_opened_again_says_what_was_defined_since(paris: House) -> None:
    ana, token = paris.ana, (await paris.bot.services.tokens.get("paris", actor=SETUP)).id
    made = await paris.has_profile(token)
    await paris.types(ana, '/enroll profile edit "Sales iPad"')
    await ana.closes()
    service, setup = paris.bot.services.profiles, Actor.cli("setup")
    paris.clock.move(timedelta(minutes=1))
    draft = await service.drafts.open_edit(made.id, setup)
    await service.drafts.begin_sending(draft.id, setup)
    await service.define(draft.id, actor=setup)
    heard = await paris.types(ana, '/enroll profile edit "Sales iPad"')
    assert heard.modal is not None
    assert "Version 2 was defined by" in heard.modal.text
    assert "Start over" in heard.modal.buttons
