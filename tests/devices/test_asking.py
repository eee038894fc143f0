"""Devices asked for by serial, also while a sync of their token is under way."""

import pytest

from bot.backend.port import CursorUnusable
from bot.devices.facts import Asked
from bot.devices.models import SyncState
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import VIEWER, Rooms


@pytest.fixture
def rooms(database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(database, clock, keyring)


@pytest.fixture
async def paris(rooms: Rooms) -> FakeServer:
    """A synced token with one device, A."""
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    return server


async def present(rooms: Rooms) -> list[str]:
    page = await rooms.devices.list_devices("", actor=VIEWER, rows=100)
    return [row.serial for row in page.rows]


async def test_a_device_asked_for_beside_a_sync_keeps_its_number_to_itself(
    rooms: Rooms, paris: FakeServer
) -> None:
    async def ask(method: str) -> None:
        if method == "delta_page":
            paris.put(device("SHOWN"))
            await rooms.devices.show("SHOWN", actor=VIEWER)
            paris.take_silently("SHOWN")
            paris.put(device("B"))

    paris.on_call = ask
    paris.refuse("delta_page", CursorUnusable("no", reason="expired"))
    sync = await rooms.sync("paris")
    assert (sync.state, sync.added, sync.removed) == (SyncState.FINISHED, 1, 1)
    assert await present(rooms) == ["A", "B"]


async def test_a_device_asked_for_while_a_full_list_is_read_is_answered_and_not_stored(
    rooms: Rooms, paris: FakeServer
) -> None:
    answers: list[object] = []

    async def ask(method: str) -> None:
        if method == "full_page":
            paris.put(device("SHOWN"))
            answer = await rooms.devices.show("SHOWN", actor=VIEWER)
            paris.take_silently("SHOWN")
            answers.append(answer.asked and (answer.asked.answer, answer.asked.added))
            assert answer.view is None

    paris.on_call = ask
    paris.refuse("delta_page", CursorUnusable("no", reason="expired"))
    await rooms.sync("paris")
    assert answers == [(Asked.FOUND, False)]
    assert await present(rooms) == ["A"]
