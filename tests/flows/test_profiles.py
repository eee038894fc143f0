"""Profiles from chat: the wizard, versions, files and deletion, with the stand-in for Apple's service."""

import json
from typing import Any

from bot.sandbox.visitor import Visitor
from tests.flows.conftest import House

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
