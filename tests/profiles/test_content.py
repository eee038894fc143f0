"""Profiles whose devices get Company Portal with a content token."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.backend.profile import Authentication
from bot.licenses.errors import StillUsed
from bot.profiles import blocks, rules, wording
from bot.profiles.errors import SettingsFaulty
from bot.profiles.facts import ContentFacts, PortalVersion, Step
from tests.fakes.content import COMPANY_PORTAL, count
from tests.fakes.rooms import ADMIN
from tests.profiles.conftest import SCHOOLS_ADMIN, Room
from tests.profiles.test_rules import filled

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
WITH_PORTAL: dict[str, Any] = {"user_affinity": True, "authentication": Authentication.COMPANY_PORTAL}


def content(**given: object) -> ContentFacts:
    usual: dict[str, object] = {
        **{"id": "hq-id", "name": "hq", "location_id": "1", "location_name": "Example HQ", "state": "active"},
        **{"is_active": True, "is_ended": False, "has_portal": True, "available": 17},
    }
    return ContentFacts(**(usual | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (content(), None),
        (content(available=None), None),
        (content(available=0), "hq has no Company Portal licences left: new devices stop"),
        (content(has_portal=False), "hq has no Company Portal app for devices"),
        (content(state="expired", is_active=False, is_ended=True), "hq is expired: new devices stop"),
        (content(state="revoked", is_active=False, is_ended=True), "until it is renewed"),
        (content(state="not confirmed", is_active=False), "hq could not be checked for days"),
        (None, "not here any more"),
    ],
    ids=range(8),
)
def test_a_profile_warns_of_what_keeps_devices_from_company_portal(
    facts: ContentFacts | None, words: str | None
) -> None:
    known = {"hq-id": facts} if facts else {}
    told = rules.content_warnings(filled(**WITH_PORTAL, content_token="hq-id"), known)
    assert len(told) == (0 if words is None else 1)
    assert words is None or words in told[0]
    locked = rules.content_warnings(filled(**WITH_PORTAL, content_token="hq-id", single_app_mode=True), known)
    assert [("Single App Mode" in each) for each in locked] == [True] * len(told)
    assert rules.content_warnings(filled(content_token="hq-id"), known) == []


def test_a_content_token_is_shown_by_its_name() -> None:
    settings = filled(content_token="hq-id")
    assert wording.named(settings, {"hq-id": content()}).content_token == "hq · Example HQ"
    assert wording.named(settings, {}).content_token == "one that is not here any more"
    assert wording.named(filled(), {}).content_token is None


async def test_a_profile_is_defined_with_a_content_token_and_says_when_it_cannot_work(room: Room) -> None:
    location, hq = await room.rooms.add_content_token()
    draft = await room.draft(**WITH_PORTAL, content_token=hq.id, single_app_mode=True)
    fine = await room.send(draft)
    assert fine.warnings == ()
    settings = fine.profile.settings
    assert (settings.content_token, settings.single_app_mode) == (hq.id, True)
    assert hq.id not in str(room.server.profiles[fine.profile.profile_uuid])

    location.has(count(COMPANY_PORTAL, 500, 500))
    await room.rooms.licenses.sync(hq.id, actor=ADMIN)
    short = await room.edit(fine.profile, description="For the shops")
    assert [each for each in short.warnings if "no Company Portal licences left" in each]


async def test_a_content_token_that_a_profile_uses_is_not_removed(room: Room) -> None:
    _, hq = await room.rooms.add_content_token()
    await room.define(**WITH_PORTAL, content_token=hq.id)
    assert await room.rooms.licenses.uses(hq.id, actor=ADMIN) == ["paris/Sales iPad"]
    assert await room.profiles.content.installed_apps() == {hq.id: (COMPANY_PORTAL,)}
    with pytest.raises(StillUsed):
        await room.rooms.licenses.remove(hq.id, actor=ADMIN, typed_name="hq")


async def test_versions_that_install_company_portal_are_found_earlier_ones_and_of_removed_profiles_too(
    room_on_both: Room,
) -> None:
    room = room_on_both
    _, hq = await room.rooms.add_content_token()
    first = await room.define(**WITH_PORTAL, content_token=hq.id)
    second = (await room.edit(first, single_app_mode=True)).profile
    third = (await room.edit(second, user_affinity=False)).profile  # which rules it out
    gone = await room.define("Kiosk", **WITH_PORTAL, content_token=hq.id)
    await room.define("Plain")
    await room.profiles.delete(gone.id, actor=ADMIN, delivery=None)
    assert await room.profiles.content.portal_versions() == [
        PortalVersion(
            hq.id, gone.profile_uuid, "Kiosk", room.token_id, single_app_mode=False, is_in_force=False
        ),
        PortalVersion(
            hq.id, first.profile_uuid, "Sales iPad", room.token_id, single_app_mode=False, is_in_force=False
        ),
        PortalVersion(
            hq.id, second.profile_uuid, "Sales iPad", room.token_id, single_app_mode=True, is_in_force=False
        ),
    ]
    assert await room.profiles.content.installed_apps() == {}
    back = (await room.edit(third, **WITH_PORTAL, content_token=hq.id)).profile
    assert (await room.profiles.content.portal_versions())[-1].profile_uuid == back.profile_uuid
    assert await room.profiles.content.installed_apps() == {hq.id: (COMPANY_PORTAL,)}


async def test_a_content_token_that_is_not_to_be_seen_is_not_chosen_but_kept(room: Room) -> None:
    _, other = await room.rooms.add_content_token("other", tags=("hidden",))
    with pytest.raises(SettingsFaulty, match="not here any more"):
        await room.define(actor=SCHOOLS_ADMIN, **WITH_PORTAL, content_token=other.id)
    made = await room.define("Field", **WITH_PORTAL, content_token=other.id)
    kept = await room.edit(made, actor=SCHOOLS_ADMIN, description="For the schools")
    assert kept.profile.settings.content_token == other.id
    assert [each.name for each in await room.profiles.content.choices(SCHOOLS_ADMIN)] == []


async def test_the_wizard_offers_content_tokens_and_single_app_mode_with_one(room: Room) -> None:
    _, hq = await room.rooms.add_content_token()
    draft = await room.draft(**WITH_PORTAL, content_token=hq.id)
    draft = await room.drafts.save(draft.id, ADMIN, {}, step=Step.MANAGEMENT)
    choices = tuple(await room.profiles.content.choices(ADMIN))

    def labels(*found: ContentFacts, chosen: str | None) -> list[str]:
        settings = filled(**WITH_PORTAL, content_token=chosen)
        shown = replace(draft, settings=settings, content=found)
        view = blocks.wizard(shown, texts=room.profiles.texts, screens=(), tokens=(), now=NOW)
        return [block["label"]["text"] for block in view["blocks"] if block["type"] == "input"]

    vpp, locked = wording.LABELS["content_token"], wording.LABELS["single_app_mode"]
    assert vpp not in labels(chosen=None)
    assert {vpp, locked} & set(labels(*choices, chosen=None)) == {vpp}
    assert {vpp, locked} <= set(labels(*choices, chosen=hq.id))
    assert {vpp, locked} <= set(labels(chosen="gone"))
