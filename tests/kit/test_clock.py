import asyncio
from datetime import timedelta

from bot.kit.clock import Clock, SystemClock
from tests.fakes.clock import FakeClock


def test_the_system_clock_says_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_monotonic_scale_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


async def test_sleeping_on_the_system_clock_takes_its_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - before >= 0.015


async def test_sleeping_on_a_clock_for_tests_takes_none(clock: FakeClock) -> None:
    fake: Clock = clock
    before = fake.now()
    async with asyncio.timeout(1):
        await fake.sleep(3600)
    assert fake.now() - before == timedelta(hours=1)
    assert fake.monotonic() == 3600
