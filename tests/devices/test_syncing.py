"""Random pages against a simple model: what the service has is what is stored, however it came."""

import random
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.devices.models import Device, DeviceChange, DeviceKind, SyncState
from bot.devices.syncing import Seen
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, Rooms

MODELS = ("iPad Air", "iPad mini", "iPhone 16")


class World:
    """The service's side, changed at random, and what the bot should have after each sync."""

    def __init__(self, server: FakeServer, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.events: Counter[str] = Counter()

    def change(self, *, silently: bool) -> None:
        """Add, change and take some devices; each serial at most once, so that every change counts."""
        known = sorted(self.server.devices)
        self.random.shuffle(known)
        take, change = known[: len(known) // 9], known[len(known) // 9 : len(known) // 4]
        new = {f"S{self.random.randrange(4000):04}" for _ in range(self.random.choice((0, 3, 700)))}
        new -= set(known)
        for serial in change:
            self.server.put(device(serial, asset_tag=f"{self.random.random()}"), operation="modified")
        (self.server.take_silently if silently else self.server.take)(*take)
        self.server.put(*[device(serial, model=self.random.choice(MODELS)) for serial in sorted(new)])
        self.events = Counter(removed=len(take), modified=len(change), came=len(new))


async def stored(rooms: Rooms) -> dict[str, tuple[str, str, int, str]]:
    """Every device by serial: state, model, number, kind's token."""
    async with rooms.db.read() as session:
        query = sa.select(Device, DeviceKind).join(DeviceKind, DeviceKind.id == Device.kind_id)  # type: ignore[arg-type]
        found = (await session.execute(query)).all()
    return {row.serial: (kind.state, kind.model, row.number, kind.token_id) for row, kind in found}


async def counts(rooms: Rooms) -> dict[str, int]:
    """How many devices of each state the kinds count."""
    async with rooms.db.read() as session:
        kinds = (await session.scalars(sa.select(DeviceKind))).all()
    total: Counter[str] = Counter()
    for kind in kinds:
        total[kind.state] += kind.devices
    return {state: devices for state, devices in total.items() if devices}


async def history(rooms: Rooms) -> Counter[str]:
    async with rooms.db.read() as session:
        return Counter((await session.scalars(sa.select(DeviceChange.kind))).all())  # type: ignore[call-overload]


@pytest.mark.parametrize("seed", range(3))
async def test_after_every_sync_the_devices_are_those_of_the_service(
    database: Database, clock: FakeClock, keyring: Keyring, seed: int
) -> None:
    rooms = Rooms.open(database, clock, keyring)
    server, token = await rooms.add_token("paris")
    server.page_size = 37 * (seed + 1) ** 3
    await rooms.tokens.check(token.id, actor=ADMIN)
    world = World(server, seed)
    world.change(silently=False)
    await rooms.run_all()
    for turn in range(8):
        before, earlier = await stored(rooms), await history(rooms)
        is_full = turn % 2 == seed % 2
        world.change(silently=is_full)
        clock.move(timedelta(days=8))
        sync = await rooms.sync("paris", full=is_full)
        after, total = await stored(rooms), await counts(rooms)
        present = {serial: row for serial, row in after.items() if row[0] == "present"}
        assert sync.state is SyncState.FINISHED
        assert {serial: row[1] for serial, row in present.items()} == {
            serial: facts.model for serial, facts in server.devices.items()
        }
        assert total == dict(Counter(row[0] for row in after.values()))
        assert len({row[2] for row in after.values()}) == len(after)
        assert {serial: row[2] for serial, row in after.items() if serial in before} == {
            serial: row[2] for serial, row in before.items()
        }
        events = world.events
        assert (sync.removed, sync.modified) == (events["removed"], events["modified"])
        assert sync.added + sync.returned == events["came"]
        told = await history(rooms) - earlier
        assert told == +Counter(modified=sync.modified, removed=sync.removed, returned=sync.returned)


async def test_a_full_sync_of_what_is_known_writes_no_history_and_no_device(
    database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    rooms = Rooms.open(database, clock, keyring)
    server, _ = await rooms.add_token("paris")
    server.put(*[device(f"S{number:04}", model=MODELS[number % 3]) for number in range(1500)])
    await rooms.run_all()
    first = await stored(rooms)
    clock.move(timedelta(days=8))
    sync = await rooms.sync("paris", full=True)
    assert (sync.received, sync.added, sync.modified, sync.removed, sync.returned) == (1500, 0, 0, 0, 0)
    assert await stored(rooms) == first
    assert not await history(rooms)
    async with rooms.db.read() as session:
        newest = await session.scalar(sa.select(sa.func.max(Device.updated_at)))
    assert newest is not None
    assert newest < clock.now() - timedelta(days=7)


@pytest.mark.parametrize("seed", range(20))
def test_seen_devices_are_those_that_were_added(seed: int) -> None:
    chosen = random.Random(seed)
    seen, model = Seen({}), set[int]()
    for _ in range(30):
        first = chosen.randrange(70_000)
        length = chosen.choice((0, 1, 7, 8, 9, 1000, 40_000))
        numbers = list(range(first, first + length, chosen.choice((1, 1, 3))))
        chosen.shuffle(numbers)
        seen.add_all(numbers)
        model.update(numbers)
    again = Seen({chunk: bytearray(bits) for chunk, bits in seen.take_changed().items()})
    assert seen.total() == again.total() == len(model)
    assert all((number in again) == (number in model) for number in range(0, 115_000, 7))
