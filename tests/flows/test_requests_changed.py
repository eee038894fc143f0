"""What has changed since a request was sent stands on its card, and it is not approved as it was."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.assignments.errors import AssignmentFault, RequesterUnclear, Stale
from bot.assignments.facts import ChangeKind
from bot.assignments.models import Action
from bot.kit.actor import Actor, Rights, Role
from bot.profiles.books import Books
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_house
from tests.flows.conftest import House
from tests.flows.test_assigning import SETUP, carried, goes_on, prepared, requested, serials_of

ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


async def seen(house: House, label: str = "REQ-1") -> list[ChangeKind]:
    """Return what the card of a request says that has changed, a minute later."""
    house.clock.move(timedelta(seconds=31))
    await goes_on(house)
    view = await house.bot.services.assignments.get(label, actor=SETUP)
    assert view.shown == view.version
    return [each.kind for each in view.changes]


async def edit(house: House, name: str = "Sales iPad") -> None:
    """Put another version of a profile in force."""
    service = house.bot.services.profiles
    profile = await service.get(name, actor=SETUP)
    draft = await service.drafts.open_edit(profile.id, SETUP)
    await service.drafts.begin_sending(draft.id, SETUP)
    await service.define(draft.id, actor=SETUP)


async def test_each_change_is_on_the_card_soon_and_in_details_and_refuses_approval(ready: House) -> None:
    serials = serials_of(ready, 3)
    await requested(ready, serials)
    request = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    approve = ready.bot.services.assignments.approve
    assert await seen(ready) == []

    ready.apple.remove_devices("paris", serials[:1])
    ready.clock.move(timedelta(minutes=16))
    await ready.bot.services.devices.start_sync("paris", actor=ANA)
    await ready.settle()
    # Details look for themselves, before the card was marked.
    shown = await ready.types(ready.ana, "/enroll request show REQ-1")
    assert "1 of its devices is not on this token any more" in shown
    assert await seen(ready) == [ChangeKind.DEVICES]
    assert "1 of its devices is not on this token any more. Press Request again" in ready.posts()
    with pytest.raises(Stale, match="Press Request again, which leaves them out"):
        await approve(request.id, actor=ANA)

    await ready.bot.services.access.grant(people.BEN, role=Role.VIEWER, tags=None, actor=ANA)
    await ready.bot.services.access.revoke(people.BEN, role=Role.OPERATOR, actor=ANA)
    await edit(ready)
    assert await seen(ready) == [ChangeKind.PROFILE_EDITED, ChangeKind.REQUESTER, ChangeKind.DEVICES]
    with pytest.raises(Stale, match="Sales iPad was edited meanwhile"):
        await approve(request.id, actor=ANA)
    assert not any(carried(ready).values())


async def test_a_token_that_apple_refuses_and_a_request_in_the_way_pass(ready: House) -> None:
    serials = serials_of(ready, 3)
    await requested(ready, serials[:2])
    await requested(ready, serials[1:])
    views = (await ready.bot.services.assignments.list_requests(actor=SETUP)).rows
    second, first = views[0], views[1]
    ready.apple.switches.throttled = {serials[1]}
    await ready.bot.services.assignments.approve(first.id, actor=ANA)
    heard = await ready.types(ready.ben, f'/enroll assign "Sales iPad" {" ".join(serials[1:])}')
    assert f"1 left out, held by REQ-1: {serials[1]}" in heard
    assert "Also asked for: 1 device in REQ-2." in heard
    assert await seen(ready, "REQ-2") == [ChangeKind.HELD]
    assert "1 of its devices is being worked on in REQ-1. Approve it when REQ-1 has ended" in ready.posts()
    with pytest.raises(AssignmentFault, match="being worked on in REQ-1"):
        await ready.bot.services.assignments.approve(second.id, actor=ANA)
    ready.apple.switches.throttled = set()
    ready.clock.move(timedelta(hours=25))
    await goes_on(ready)
    # What REQ-1 did is nothing in the way, but no longer what the card says that it replaces.
    assert await seen(ready, "REQ-2") == [ChangeKind.CARRIES]

    token = await ready.bot.services.tokens.get("paris", actor=SETUP)
    assert token.expires_at is not None
    pending = await ready.bot.services.assignments.preview(
        Action.ASSIGN,
        actor=BEN,
        profile=await ready.has_profile(token.id, "Kiosk", platform="any"),
        serials=serials,
    )
    ready.clock.move(token.expires_at - ready.clock.now() - timedelta(minutes=1))
    pending = await ready.bot.services.assignments.again(pending.id, actor=BEN, delivery=None)
    pending = await ready.bot.services.assignments.send(pending.id, actor=BEN, typed="3")
    ready.clock.move(timedelta(minutes=2))
    assert await seen(ready, pending.label) == [ChangeKind.TOKEN_UNUSABLE]
    with pytest.raises(Stale, match="the token paris is expired"):
        await ready.bot.services.assignments.approve(pending.id, actor=ANA)


async def test_what_devices_carry_by_now_is_on_the_card_and_can_be_approved_all_the_same(
    ready: House,
) -> None:
    serials = serials_of(ready, 3)
    token = await ready.bot.services.tokens.get("paris", actor=SETUP)
    kiosk = await ready.has_profile(token.id, "Kiosk", platform="any")
    await requested(ready, serials)
    assert "Replaces: none 3" in ready.posts()
    # Somebody gives two of them a profile elsewhere.
    ready.apple.set_profile("paris", serials[:2], kiosk.profile_uuid)
    ready.clock.move(timedelta(minutes=16))
    await ready.bot.services.devices.start_sync("paris", actor=ANA)
    await ready.settle()
    assert await seen(ready) == [ChangeKind.CARRIES]
    told = "2 of its devices carry something else by now: Kiosk 2. Approve it if it is right all the same."
    assert told in ready.posts()
    await ready.presses(ready.ana, "Approve")
    await goes_on(ready)
    assert "3 of 3 devices as asked" in ready.posts()
    view = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    rows = await ready.bot.services.assignments.results(view.id, actor=SETUP)
    assert [row.previous_uuid for row in rows] == [kiosk.profile_uuid, kiosk.profile_uuid, None]


async def test_where_slack_does_not_say_who_asked_nothing_is_called_lost_nor_approved(ready: House) -> None:
    await requested(ready, serials_of(ready, 1))
    request = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)

    async def cannot_tell(_person: str) -> bool | None:
        return None

    service = ready.bot.services.assignments
    service.tell_rights(service._books.rights_of, cannot_tell)
    assert await seen(ready) == []
    with pytest.raises(RequesterUnclear):
        await service.approve(request.id, actor=ANA)


async def test_a_decision_waits_for_an_edit_that_is_about_to_commit_and_sees_it(
    postgres_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(postgres_url, clock) as house:
        await house.has_token("paris", devices=3)
        await prepared(house)
        await requested(house, serials_of(house, 1))
        request = await house.bot.services.assignments.get("REQ-1", actor=SETUP)
        is_written, commits = asyncio.Event(), asyncio.Event()
        record = Books.record

        async def record_and_wait(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            is_written.set()
            await commits.wait()

        monkeypatch.setattr(Books, "record", record_and_wait)
        editing = asyncio.create_task(edit(house))
        await is_written.wait()
        approving = asyncio.create_task(house.bot.services.assignments.approve(request.id, actor=ANA))
        while not approving.done() and not await _waits_for_a_lock(house):  # noqa: ASYNC110 - the server's lock has no event
            await asyncio.sleep(0.01)
        commits.set()
        await editing
        with pytest.raises(Stale, match="was edited meanwhile"):
            await approving


async def _waits_for_a_lock(house: House) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname"
    async with house.bot.services.db.read() as session:
        found = await session.execute(sa.text(f"{query} = current_database()"))
        return bool(found.scalar_one())
