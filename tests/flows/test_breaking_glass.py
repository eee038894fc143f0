"""An admin approves their own request alone, only while nobody else could, and everybody is told."""

from datetime import timedelta

import pytest

from bot.assignments.errors import GlassClosed, GlassReasonShort
from bot.assignments.facts import RequestView
from bot.assignments.models import Action
from bot.kit.actor import Actor, NotAllowed, Rights, Role
from bot.sandbox.slack import people
from tests.flows.conftest import House
from tests.flows.test_assigning import SETUP, carried, goes_on, prepared, serials_of

ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))
BEN = Actor(people.BEN, rights=Rights.of(Role.OPERATOR))
HOUR = timedelta(hours=1)
WHY = "Ben is on leave, the store opens at noon"


@pytest.fixture
async def ready(paris: House) -> House:
    return await prepared(paris)


async def requested_by_ana(house: House) -> list[str]:
    serials = serials_of(house, 2)
    heard = await house.types(house.ana, f'/enroll assign "Sales iPad" {" ".join(serials)}')
    assert ("Nobody but you could approve this. Next: an admin grants" in heard) is not await ben_may(house)
    await house.presses(house.ana, "Send for approval")
    await goes_on(house)
    return serials


async def ben_may(house: House) -> bool:
    rights = await house.bot.services.access.rights(people.BEN)
    return rights.role_for(frozenset()) >= Role.APPROVER


async def is_offered(house: House, after: timedelta = timedelta(minutes=1)) -> bool:
    """Say whether, so much later, the card has the button."""
    house.clock.move(after)
    await house.bot.jobs.run_due("assignments.glass")
    await goes_on(house)
    return '"Break glass"' in house.posts()


async def pressed(house: House) -> str:
    """Press the button, shown or not, and return what Ana reads; a form is closed again."""
    view = await house.bot.services.assignments.get("REQ-1", actor=SETUP)
    await house.forges(people.ANA, "request.break_glass", view.id)
    if await house.ana.modal() is not None:
        await house.ana.closes()
        return "form"
    return (await house.ana.messages())[-1].text


async def test_it_is_refused_while_anybody_else_could_approve_or_could_a_day_ago(ready: House) -> None:
    await ready.types(ready.ana, "/enroll role grant @ben approver")
    await requested_by_ana(ready)
    assert not await is_offered(ready, 2 * HOUR)
    assert "somebody else can approve it" in await pressed(ready)

    await ready.types(ready.ana, "/enroll role revoke @ben approver")
    assert not await is_offered(ready, 2 * HOUR)
    assert "somebody else held approver for this token less than a day ago" in await pressed(ready)
    assert await is_offered(ready, 23 * HOUR)
    assert "can break the glass" in ready.posts()

    # Another admin appears between the drawing and the press, and then between the form and its sending.
    await ready.types(ready.ana, "/enroll role grant @ben admin")
    assert "somebody else can approve it" in await pressed(ready)
    assert not await is_offered(ready)
    view = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    with pytest.raises(GlassClosed, match="somebody else can approve it"):
        await ready.bot.services.assignments.break_glass(view.id, actor=ANA, reason=WHY)
    assert not any(carried(ready).values())


async def test_an_admin_alone_breaks_it_after_an_hour_and_the_channel_is_told(
    house_on_both: House,
) -> None:
    await house_on_both.has_token("paris", devices=25)
    ready = await prepared(house_on_both)
    # Who has left does not count, nor does who may only request.
    await ready.types(ready.ana, "/enroll role grant @ben approver")
    ready.slack.workspace.change_user(people.BEN, deleted=True)
    ready.clock.move(timedelta(minutes=6))
    serials = serials_of(ready, 2)
    await ready.types(ready.ana, f'/enroll assign "Sales iPad" {" ".join(serials)}')
    await ready.presses(ready.ana, "Send for approval")
    await goes_on(ready)
    assert not await is_offered(ready, HOUR - timedelta(minutes=1))
    assert "it is less than an hour old" in await pressed(ready)
    assert await is_offered(ready)

    assert "Break glass" in (await ready.types(ready.ana, "/enroll request show REQ-1")).buttons
    await ready.presses(ready.ana, "Break glass")
    wrong = await ready.fills(ready.ana, {"Reason": "urgent   ", "Number of devices": "3"})
    assert set(wrong.errors) == {"Reason", "Number of devices"}
    await ready.fills(ready.ana, {"Reason": f"{WHY} <!here>", "Number of devices": "2"})
    await goes_on(ready)
    await goes_on(ready)

    assert {serial for serial, uuid in carried(ready).items() if uuid} == set(serials)
    posts = ready.posts()
    told = "*REQ-1 was approved by <@U0ANA> by break glass* · <@U0ANA>\\nAssign *Sales iPad* to 2 devices"
    assert posts.count(told) == 1
    assert f"Why the glass was broken: “{WHY} &lt;!here&gt;”" in posts
    assert '"Break glass"' not in posts
    shown = await ready.types(ready.ana, "/enroll request show REQ-1")
    assert "was approved by <@U0ANA> by break glass and has been carried out" in shown
    (entry,) = await ready.bot.services.audit.since({"request.glass_broken"}, ready.clock.now() - HOUR)
    assert (entry.actor, entry.detail["reason"]) == (people.ANA, f"{WHY} <!here>")
    assert (entry.detail["counted"], entry.detail["not_active"]) == ([people.ANA], [people.BEN])
    assert "Your press changed nothing" in await pressed(ready)


async def seen_of(house: House, actor: Actor = ANA) -> RequestView:
    """Have Ana ask for a device, two hours ago, and return it."""
    service = house.bot.services.assignments
    sales = await house.bot.services.profiles.get("Sales iPad", actor=SETUP)
    serials = serials_of(house, 1)
    preview = await service.preview(Action.ASSIGN, actor=actor, profile=sales, serials=serials)
    sent = await service.send(preview.id, actor=actor)
    house.clock.move(2 * HOUR)
    return sent


async def test_only_an_admin_breaks_it_for_their_own_request(ready: House) -> None:
    service = ready.bot.services.assignments
    mine, bens = await seen_of(ready), await seen_of(ready, BEN)
    with pytest.raises(GlassClosed, match="it is not your own request"):
        await service.break_glass(bens.id, actor=ANA, reason=WHY)
    for held in (BEN, Actor(people.BEN, rights=Rights.of(Role.APPROVER))):
        with pytest.raises(NotAllowed):
            await service.break_glass(bens.id, actor=held, reason=WHY)
    with pytest.raises(GlassReasonShort):
        await service.break_glass(mine.id, actor=ANA, reason="  urgent  ")
    assert (await service.break_glass(mine.id, actor=ANA, reason=WHY)).glass_broken_at is not None


async def test_a_role_granted_while_it_is_counted_keeps_it_whole(ready: House) -> None:
    services = ready.bot.services
    mine = await seen_of(ready)
    await services.access.grant(people.CLEO, role=Role.APPROVER, tags=None, actor=ANA)

    async def grants_meanwhile(_person: str) -> bool | None:
        await services.access.grant(people.BEN, role=Role.APPROVER, tags=None, actor=ANA)
        return False

    services.assignments.tell_rights(services.access.rights, grants_meanwhile)
    with pytest.raises(GlassClosed, match="roles have changed just now"):
        await services.assignments.break_glass(mine.id, actor=ANA, reason=WHY)
    assert (await services.assignments.get_by_id(mine.id, actor=ANA)).decided_by is None


async def test_who_lost_the_token_with_its_tag_less_than_a_day_ago_counts_as_there(ready: House) -> None:
    services = ready.bot.services
    token = await services.tokens.get("paris", actor=SETUP)
    await services.tokens.tag(token.id, actor=ANA, tags=["shops"])
    await services.access.grant(people.BEN, role=Role.APPROVER, tags=frozenset({"shops"}), actor=ANA)
    mine = await seen_of(ready)
    await services.tokens.tag(token.id, actor=ANA, tags=["offices"])
    with pytest.raises(GlassClosed, match="somebody else held approver for this token less than a day ago"):
        await services.assignments.break_glass(mine.id, actor=ANA, reason=WHY)
    ready.clock.move(25 * HOUR)
    assert (await services.assignments.break_glass(mine.id, actor=ANA, reason=WHY)).decided_by == people.ANA


async def test_where_slack_tells_nothing_of_somebody_they_count_as_there(ready: House) -> None:
    await ready.types(ready.ana, "/enroll role grant @ben approver")
    await requested_by_ana(ready)
    ready.slack.workspace.change_user(people.BEN, deleted=True)
    ready.slack.faults.refuse["users.info"] = "internal_error"
    ready.clock.move(2 * HOUR)
    view = await ready.bot.services.assignments.get("REQ-1", actor=SETUP)
    with pytest.raises(GlassClosed, match="somebody else can approve it"):
        await ready.bot.services.assignments.break_glass(view.id, actor=ANA, reason=WHY)
