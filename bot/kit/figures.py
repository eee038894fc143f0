"""Figures for Prometheus: what this process has done, counted, and facts that are read when asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from bot.kit.background import Background
from bot.kit.clock import Clock
from bot.kit.logs import get_logger

log = get_logger(__name__)

#: How old facts may be when they are asked for again, in seconds: a scrape costs the database nothing new.
FRESH_S = 5.0
#: How long a scrape waits for facts; it then gets the last ones.
PATIENCE_S = 1.0
#: Facts that could not be read anew for so long are left out: an old truth looks like a new one.
STALE_S = 60.0

CALLS = Counter(
    "enrollbot_calls",
    "Calls to outside services, by how they ended: ok, refused, throttled, failed or unreachable.",
    ["service", "outcome"],
    registry=None,
)
SYNCS = Counter("enrollbot_syncs", "Syncs that ended.", ["kind", "state"], registry=None)
SYNC_PAGES = Counter("enrollbot_sync_pages", "Pages read by syncs that ended.", ["kind"], registry=None)
SYNC_DEVICES = Counter("enrollbot_sync_devices", "Devices read by syncs that ended.", ["kind"], registry=None)
SYNC_SECONDS = Histogram(
    "enrollbot_sync_seconds",
    "How long syncs worked.",
    ["kind"],
    buckets=(1, 5, 15, 60, 300, 900),
    registry=None,
)
_COUNTED = (CALLS, SYNCS, SYNC_PAGES, SYNC_DEVICES, SYNC_SECONDS)


def count_call(service: str, status: int | None) -> None:
    """Count a call to an outside service by the status that it answered, None when there was none."""
    CALLS.labels(service, _outcome(status)).inc()


def register_counted(registry: CollectorRegistry) -> None:
    """Put what this process counts into a registry."""
    for each in _COUNTED:
        registry.register(each)


def _outcome(status: int | None) -> str:
    if status is None:
        return "unreachable"
    if status in (429, 503):
        return "throttled"
    if status >= 500:
        return "failed"
    return "refused" if status >= 400 else "ok"


class Facts:
    """Facts of the database as a collector: read at most every few seconds, and never for long."""

    def __init__(
        self, gather: Callable[[], Awaitable[Sequence[Metric]]], *, clock: Clock, background: Background
    ) -> None:
        self._gather = gather
        self._clock = clock
        self._background = background
        self._read: Sequence[Metric] = ()
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read the facts anew unless they are fresh; returns after a second at most, read or not."""
        if self._age() <= FRESH_S:
            return
        if self._reading is None or self._reading.done():
            self._reading = self._background.start(self._read_anew(), name="gather figures")
        # Waited for, not cancelled: a cancelled statement costs its connection.
        await asyncio.wait({self._reading}, timeout=PATIENCE_S)

    def collect(self) -> Iterable[Metric]:
        """Give what was read last, and say how old it is."""
        age = self._age()
        is_known = age <= STALE_S
        up = GaugeMetricFamily("enrollbot_facts_up", "Whether the facts could be read from the database.")
        up.add_metric([], int(is_known))
        yield up
        if is_known:
            yield from self._read

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._clock.monotonic() - self._read_at

    async def _read_anew(self) -> None:
        began = self._clock.monotonic()
        self._read = await self._gather()
        self._read_at = began
