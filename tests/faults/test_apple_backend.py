"""The whole backend against the stand-in for Apple: from a key pair to the last page, with troubles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from bot.apple.dep.client import DepService
from bot.apple.exchange import Patience
from bot.backend import port
from bot.backend.apple import AppleBackend, AppleConnection
from bot.sandbox.apple.stand_in import AppleStandIn, serve
from tests.fakes.clock import FakeClock
from tests.fakes.sessions import FakeSessions

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
DEVICES = 3000
PAGE = 100


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@asynccontextmanager
async def connected(apple: AppleStandIn, clock: FakeClock) -> AsyncIterator[AppleConnection]:
    """Add a server with devices, hand its token over as people do, and connect with it."""
    apple.create_server("paris", devices=DEVICES)
    async with serve(apple) as url:
        service = DepService.open(base_url=url, clock=clock, patience=Patience(read_s=0.3))
        backend = AppleBackend(service, clock=clock)
        pair = await backend.make_key_pair("paris")
        apple.upload_certificate("paris", pair.certificate_pem)
        _, content = apple.generate_token("paris")
        token = await backend.read_token_file(content, [pair])
        yield backend.connect(token.credentials, FakeSessions())
        await service.aclose()


async def all_devices(connection: AppleConnection) -> dict[str, port.DeviceFacts]:
    found: dict[str, port.DeviceFacts] = {}
    cursor: str | None = None
    while True:
        page = await connection.full_page(cursor, limit=PAGE)
        assert not page.unreadable
        found.update({device.serial: device for device in page.devices})
        cursor = page.cursor
        if not page.more_to_follow:
            return found


async def test_a_token_file_of_the_stand_in_opens_the_account(clock: FakeClock) -> None:
    async with connected(AppleStandIn(clock), clock) as connection:
        account = await connection.account()
    assert account.server_name == "paris"
    assert account.made_by == "ade@example.com"


async def test_a_fifth_of_all_calls_in_trouble_gives_the_same_devices(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    apple.switches.session_life = 120
    for kind in ("429", "503", "500", "close", "half", "html"):
        apple.faults.plan(kind, fraction=0.2 / 6, path="*", retry_after="5")
    async with connected(apple, clock) as connection:
        found = await all_devices(connection)
    truth = {device["serial_number"] for device in apple.snapshot()}
    assert len(truth) == DEVICES
    assert set(found) == truth
    assert (clock.now() - NOW).total_seconds() < 15 * 60


async def test_a_stalled_page_is_asked_for_again(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    apple.faults.plan("stall", times=1, after=1)
    async with connected(apple, clock) as connection:
        assert len(await all_devices(connection)) == DEVICES


async def test_devices_that_cannot_be_read_cost_themselves_only(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    async with connected(apple, clock) as connection:
        apple.break_devices("paris", 3, flaw="no serial")
        page = await connection.full_page(None, limit=1000)
    assert len(page.unreadable) == 3
    assert len(page.devices) == 997


async def test_refusals_of_the_stand_in_are_told_apart(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    async with connected(apple, clock) as connection:
        apple.deny("paris")
        with pytest.raises(port.AccessDenied):
            await connection.account()
        apple.deny("paris", denied=False)
        apple.sign_terms(signed=False)
        with pytest.raises(port.TermsNotSigned):
            await connection.account()
        apple.sign_terms()
        apple.reject_token("paris")
        with pytest.raises(port.TokenRejected):
            await connection.account()
        apple.switches.clock_offset = 3600
        with pytest.raises(port.ClockWrong):
            await connection.account()


async def test_profiles_are_defined_read_assigned_and_removed(clock: FakeClock) -> None:
    apple = AppleStandIn(clock)
    async with connected(apple, clock) as connection:
        serials = sorted(device["serial_number"] for device in apple.snapshot())[:3]
        apple.switches.throttled.add(serials[2])
        profile = {"profile_name": "Sales", "url": "https://mdm.example.com/", "org_magic": "m"}
        defined = await connection.define_profile(profile)
        read = await connection.read_profile(defined.profile_uuid)
        assert read is not None
        assert read["profile_name"] == "Sales"
        assert await connection.read_profile("0" * 32) is None
        given = await connection.assign(defined.profile_uuid, serials)
        assert list(given.results.values()) == ["SUCCESS", "SUCCESS", "THROTTLED"]
        assert given.retry_after is not None
        details = await connection.details([serials[0], "NOTOURS1"])
        facts = details[serials[0]]
        assert facts is not None
        assert (facts.profile_uuid, facts.profile_status) == (defined.profile_uuid, "assigned")
        assert details["NOTOURS1"] is None
        taken = await connection.unassign(serials[:1])
        assert taken.results == {serials[0]: port.DeviceResult.SUCCESS}
