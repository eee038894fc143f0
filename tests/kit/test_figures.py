import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from bot.kit import figures
from bot.kit.background import Background
from bot.kit.figures import CALLS, Facts, count_call
from tests.fakes.clock import FakeClock


class House:
    """Facts that are read from a list, with a gate before it."""

    def __init__(self, clock: FakeClock) -> None:
        self.background, self.registry = Background(), CollectorRegistry()
        self.devices, self.reads = 3, 0
        self.open = asyncio.Event()
        self.open.set()
        self.facts = Facts(self._gather, clock=clock, background=self.background)
        self.registry.register(self.facts)

    async def _gather(self) -> Sequence[Metric]:
        self.reads += 1
        await self.open.wait()
        return [GaugeMetricFamily("devices", "Devices.", value=self.devices)]

    async def scraped(self) -> str:
        await self.facts.refresh()
        return generate_latest(self.registry).decode()


@pytest.fixture
def house(clock: FakeClock) -> House:
    return House(clock)


async def test_facts_are_read_when_asked_for_and_kept_for_a_few_seconds(
    house: House, clock: FakeClock
) -> None:
    assert "devices 3.0" in await house.scraped()
    house.devices = 4
    assert "devices 3.0" in await house.scraped()
    assert house.reads == 1
    await clock.sleep(figures.FRESH_S + 1)
    assert "devices 4.0" in await house.scraped()


async def test_a_slow_database_holds_no_scrape_up_and_its_old_facts_are_not_told_for_long(
    house: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "PATIENCE_S", 0.01)
    await house.scraped()
    house.open.clear()
    await clock.sleep(30)
    assert "enrollbot_facts_up 1.0" in await house.scraped()
    await clock.sleep(31)
    said = await house.scraped()
    assert "enrollbot_facts_up 0.0" in said
    assert "devices 3" not in said
    assert house.reads == 2
    house.open.set()
    await house.background.idle()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (302, "ok"), (403, "refused"), (429, "throttled"), (503, "throttled"), (500, "failed")],
)
def test_a_call_is_counted_by_how_it_ended(status: int, outcome: str) -> None:
    before = CALLS.labels("test", outcome)._value.get()
    count_call("test", status)
    assert CALLS.labels("test", outcome)._value.get() == before + 1
