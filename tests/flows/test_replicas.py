"""Two bots on one PostgreSQL database: work is done once, and by who may."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.audit.models import AuditEntry
from bot.kit.leases import LeaseRow
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, another_replica, open_house

DAY = timedelta(days=1)


@pytest.fixture
async def two(postgres_url: str, clock: FakeClock) -> AsyncIterator[tuple[House, House]]:
    """Two replicas; what people do reaches the one that Slack was last pointed at."""
    async with open_house(postgres_url, clock) as one:
        one.apple.switches.page_default = one.apple.switches.page_maximum = 10
        await one.has_token("paris", devices=10)
        one.clock.move(DAY)
        async with another_replica(one) as other:
            yield one, other
            one.gate.open()
            await one.quiet()
            await other.quiet()


def point_slack_at(house: House) -> None:
    house.slack.bot_url = f"{house.url}/slack/events"


async def test_a_sync_that_runs_on_one_replica_is_answered_with_its_progress_by_the_other(
    two: tuple[House, House],
) -> None:
    one, other = two
    one.apple.add_devices("paris", 25)
    one.gate.close(after=2)
    await one.ben.types("/enroll sync paris")
    await one.gate.reached.wait()
    point_slack_at(other)
    heard = await other.types(other.ana, "/enroll sync paris")
    assert "Token paris is being synced already" in heard
    assert "read so far" in heard
    # The other one looks for work that nobody does, and leaves this alone.
    one.clock.move(timedelta(seconds=5))
    await other.bot.jobs.run_due("devices.syncs")
    await other.quiet()
    one.gate.open()
    await one.quiet()
    assert one.posts().count("35 devices now: 25 added") == 2  # once, in text and blocks


async def test_each_slot_of_a_job_is_run_by_one_replica(two: tuple[House, House]) -> None:
    one, other = two
    one.clock.move(timedelta(hours=1))
    for job in ("devices.syncs", "devices.schedule", "tokens.account", "housekeeping"):
        assert [await replica.bot.jobs.run_due(job) for replica in (one, other, one)] == [True, False, False]
    one.clock.move(timedelta(hours=24))
    assert await other.bot.jobs.run_due("devices.schedule")
    assert not await one.bot.jobs.run_due("devices.schedule")


async def test_an_automatic_sync_is_run_and_told_once(two: tuple[House, House]) -> None:
    one, other = two
    one.apple.add_devices("paris", 3)
    one.clock.move(timedelta(hours=2))
    asked = one.apple.log.count("/devices/sync", status=200)
    for replica in (one, other):
        await replica.bot.jobs.run_due("devices.schedule")
    for _ in range(2):
        one.clock.move(timedelta(seconds=5))
        for replica in (other, one):
            await replica.bot.jobs.run_due("devices.syncs")
        await one.quiet()
        await other.quiet()
    assert one.apple.log.count("/devices/sync", status=200) == asked + 1
    assert one.posts().count("13 devices now: 3 added") == 2


async def test_a_replica_whose_lease_was_taken_over_writes_nothing(two: tuple[House, House]) -> None:
    one, other = two
    one.apple.add_devices("paris", 40)
    one.gate.close(after=2)
    await one.ben.types("/enroll sync paris")
    await one.gate.reached.wait()
    # The first replica freezes past its lease; the other takes the sync over and ends it.
    async with one.bot.services.db.begin() as session:
        await session.execute(sa.update(LeaseRow).values(expires_at=one.clock.now() - timedelta(days=400)))
    frozen = one.gate
    (sync_id,) = await other.bot.services.devices.due_syncs()
    going_on = other.bot.services.devices.run_sync(sync_id)
    frozen.spare(100)
    ended = await going_on
    assert ended is not None
    assert (ended.devices, ended.added) == (50, 40)
    after = await other.contents()
    frozen.open()
    await one.quiet()
    told = {"device_sync"}  # that its result was told
    now = await other.contents()
    assert {table for table in now if now[table] != after[table]} <= told
    assert "50 devices" in await one.types(one.ben, "/enroll status")


async def test_the_same_delivery_at_both_replicas_acts_once(two: tuple[House, House]) -> None:
    one, other = two
    command = {
        "command": "/enroll",
        "text": "token add lyon --apple-id ade@example.com --agree",
        "user_id": "U0ANA",
        "team_id": "T0SANDBOX",
        "channel_id": "C0ENROLL",
        "trigger_id": one.slack.surfaces.trigger("U0ANA"),
        "response_url": one.slack.hooks.new(person="U0ANA", channel="C0ENROLL"),
    }
    for replica in (one, other):
        point_slack_at(replica)
        assert (await one.slack.courier.send_form(command)).status == 200
    await one.quiet()
    await other.quiet()
    assert [act[1:] for act in await one.acts()].count(("token.added", "lyon")) == 1


async def test_the_chain_of_the_audit_holds_over_both(two: tuple[House, House]) -> None:
    one, other = two
    for number in range(3):
        for replica, who in ((one, one.ana), (other, one.ana)):
            point_slack_at(replica)
            await replica.types(who, f"/enroll token tag paris t{number}")
    proof = await other.bot.services.audit.verify()
    async with one.bot.services.db.read() as session:
        count = (await session.execute(sa.select(sa.func.count()).select_from(AuditEntry))).scalar_one()
    assert proof.entries == count >= 7
