"""The real process is killed (SIGKILL) twice while five thousand devices are given a profile."""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.assignments.models import Outcome, RequestState
from bot.backend.profile import ProfilePlatform, ProfileSettings
from bot.devices.models import DeviceState
from bot.kit.actor import Actor
from bot.main import services
from bot.sandbox.apple.faults import Logged
from bot.sandbox.apple.service import EnrollmentService
from bot.sandbox.run import Sandbox, sandbox
from bot.sandbox.slack import people
from bot.sandbox.visitor import Visitor
from bot.settings import Settings

SETUP = Actor.cli("setup")
DEVICES = 5000
#: The process is killed before it hears of one order, and after it has stored the answer to another.
UNHEARD, STORED = 2, 4


class Orders:
    """Every order as Apple answered it, oldest first; kills the bot at two of these moments."""

    def __init__(self) -> None:
        self.results: list[dict[str, str]] = []
        self.box: Sandbox | None = None
        self._left = [UNHEARD, STORED]
        self._changed = asyncio.Event()

    @property
    def kills(self) -> int:
        return 2 - len(self._left)

    def note(self, results: dict[str, str]) -> None:
        self.results.append(results)
        self._changed.set()

    def called(self, entry: Logged) -> None:
        """Look at a call that Apple has carried out and not yet answered."""
        # The devices of an order are read back when its answer is stored.
        path = {UNHEARD: "/profile/devices", STORED: "/devices"}.get(self._left[0]) if self._left else None
        if self.box is not None and entry.path == path and len(self.results) == self._left[0]:
            os.kill(self.box.bot.pid, signal.SIGKILL)
            self._left.pop(0)
            self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def next_after(self, length: timedelta) -> None:
        """Let time pass until there is another order; a little more where the bot was not ready for it."""
        assert self.box is not None
        before = len(self.results)
        self.box.move_clock(length)
        async with asyncio.timeout(60):
            while len(self.results) == before:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.5)
                if len(self.results) == before:
                    self.box.move_clock(timedelta(minutes=1))


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Orders:
    noted, assign_each = Orders(), EnrollmentService._assign_each

    def assign_and_note(
        self: EnrollmentService, uuid: str, serials: Sequence[str], server: Any
    ) -> tuple[dict[str, str], int | None]:
        results, wait = assign_each(self, uuid, serials, server)
        noted.note(results)
        return results, wait

    monkeypatch.setattr(EnrollmentService, "_assign_each", assign_and_note)
    return noted


async def defined(box: Sandbox) -> str:
    """Have the profile Sales iPad, defined with Apple; its UUID."""
    async with services(Settings.load(box.environment), clock=box.clock) as made:
        token = await made.tokens.get("paris", actor=SETUP)
        wanted = ProfileSettings(
            name="Sales iPad", mdm_url="https://mdm.example.com", platform=ProfilePlatform.ANY
        )
        draft = await made.profiles.drafts.open_new(SETUP, token_id=token.id, settings=wanted)
        await made.profiles.drafts.begin_sending(draft.id, SETUP)
        return (await made.profiles.define(draft.id, actor=SETUP)).profile.profile_uuid


async def carried_out(box: Sandbox, orders: Orders, gone: Sequence[str]) -> str:
    """Have it requested and approved, kill and start the bot, let time pass; the result in the thread."""
    ana, ben = Visitor(box.slack, "ana", within=30), Visitor(box.slack, "ben", within=30)
    await ben.types('/enroll assign "Sales iPad" --where token:paris --reason "New school"')
    await ben.presses("Send for approval")
    await ben.fills({"Number of devices": str(DEVICES)}, submit=True)
    await ana.sees("REQ-1 · Assign", channel=people.APPROVAL_CHANNEL)
    box.apple.remove_devices("paris", gone)
    orders.box = box
    box.apple.log.listeners.append(orders.called)
    await ana.presses("Approve")
    for kill in (1, 2):
        await orders.until(lambda kill=kill: orders.kills == kill)  # type: ignore[misc]
        await box.bot.ended()
        await box.bot.start()
        box.move_clock(timedelta(seconds=10))
    await ana.sees("Goes on by itself", channel=people.APPROVAL_CHANNEL)
    # What failed is tried after a minute and after five, what is throttled after the hour that Apple says.
    await orders.next_after(timedelta(minutes=2))
    await orders.next_after(timedelta(minutes=6))
    box.apple.switches.throttled = set()
    await orders.next_after(timedelta(hours=1))
    return (await ana.sees("REQ-1 finished", channel=people.APPROVAL_CHANNEL)).text


def check_orders(orders: Sequence[dict[str, str]], times: dict[str, int]) -> None:
    """Whoever was given the profile was not sent again, and nobody but for a reason.

    The order of which nothing was heard counts where it gave a device the profile, else not.
    """
    given, sent = Counter[str](), Counter[str]()
    for number, order in enumerate(orders, 1):
        given.update(serial for serial, word in order.items() if word == "SUCCESS")
        sent.update(serial for serial, word in order.items() if number != UNHEARD or word == "SUCCESS")
    assert set(given.values()) == {1}
    assert sent == times


@pytest.mark.timeout(240)
async def test_killed_twice_an_assignment_accounts_for_every_device(tmp_path: Path, orders: Orders) -> None:
    async with sandbox(folder=tmp_path / "box", devices=DEVICES, plain=True) as box:
        await Visitor(box.slack, "ana", within=30).sees("5,000 devices now")
        profile_uuid = await defined(box)
        serials = [each["serial_number"] for each in box.apple.snapshot("paris")]
        odd = random.Random(5).sample(serials, DEVICES * 17 // 100)
        throttled, failing, gone = odd[:500], odd[500:750], odd[750:]
        box.apple.switches.throttled, box.apple.switches.failing = set(throttled), set(failing)
        result = await carried_out(box, orders, gone)
        assert "4,650 of 5,000 devices as asked" in result
        file = await Visitor(box.slack, "ana").downloads("REQ-1-not-done.csv")
        await box.bot.stop()
        async with services(Settings.load(box.environment), clock=box.clock) as made:
            view = await made.assignments.get("REQ-1", actor=SETUP)
            results = await made.assignments.results(view.id, actor=SETUP)
            stored = await made.devices.of_serials(serials, actor=SETUP)
        has = {each["serial_number"]: each.get("profile_uuid") for each in box.apple.snapshot("paris")}

    assert orders.kills == 2
    assert view.state is RequestState.DONE
    rows = dict(line.split(",")[0:3:2] for line in file.decode("utf-8-sig").splitlines()[1:])
    assert rows == dict.fromkeys(failing, "failed") | dict.fromkeys(gone, "not accessible")
    told = Counter(row.outcome for row in results)
    assert told == {Outcome.SUCCESS: 4650, Outcome.FAILED: 250, Outcome.NOT_ACCESSIBLE: 100}
    done = {row.serial for row in results if row.outcome is Outcome.SUCCESS}
    assert done == {serial for serial, uuid in has.items() if uuid == profile_uuid}
    present = {serial: row.profile_uuid for serial, row in stored.items() if row.state is DeviceState.PRESENT}
    assert {serial: present.get(serial) for serial in has} == has
    usual = dict.fromkeys(serials, 1)
    check_orders(orders.results, usual | dict.fromkeys(failing, 3) | dict.fromkeys(throttled, 2))
