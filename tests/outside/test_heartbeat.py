import asyncio
from datetime import datetime, timedelta

import pytest

from bot.audit.service import AuditService
from bot.kit.background import Background
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.kit.leases import Leases
from bot.kit.secrets import Keyring
from bot.outside import calls
from bot.outside.events import Events
from bot.outside.jobs import register
from bot.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import Receiver
from tests.kit.conftest import Lines, logged

__all__ = ["logged"]


def begin(jobs: Jobs, settings: Settings, db: Database, clock: FakeClock) -> None:
    events = Events(db, clock, AuditService(db, Keyring([b"k" * 32]), clock), is_wanted=False)
    leases, background = Leases(db, clock), Background()
    register(jobs, events, settings=settings, db=db, clock=clock, leases=leases, background=background)


class Bot:
    """A bot with one job, which does as it is told."""

    def __init__(self, db: Database, clock: FakeClock, url: str) -> None:
        self.clock = clock
        self.fails = False
        self._background = Background()
        self.jobs = Jobs(db, clock, self._background)
        self.jobs.every("work", timedelta(minutes=1), self._work)
        settings = Settings.load({"ENROLLBOT_HEARTBEAT_URL": url})
        begin(self.jobs, settings, db, clock)

    async def _work(self, _slot: datetime) -> None:
        if self.fails:
            raise ZeroDivisionError

    async def begin(self) -> None:
        """Have every job run once, one after the other, but for the heartbeat."""
        self.jobs.start()
        await self._background.idle()
        self.jobs.stop()
        self.clock.move(timedelta(minutes=1))

    async def round(self) -> None:
        await self.jobs.run_due("work")
        await self.jobs.run_due("heartbeat")
        self.clock.move(timedelta(minutes=1))


@pytest.fixture
async def bot(database: Database, clock: FakeClock, receiver: Receiver) -> Bot:
    bot = Bot(database, clock, receiver.url)
    await bot.begin()
    receiver.received.clear()
    return bot


async def test_each_round_of_jobs_that_went_well_is_told_once(bot: Bot, receiver: Receiver) -> None:
    await bot.round()
    await bot.round()
    bot.clock.move(timedelta(seconds=-1))
    assert not await bot.jobs.run_due("heartbeat")
    assert [(call.method, call.path) for call in receiver.received] == [("GET", "/planted-secret-path")] * 2


async def test_as_long_as_a_job_fails_there_is_silence(bot: Bot, receiver: Receiver, logged: Lines) -> None:
    bot.fails = True
    await bot.round()
    await bot.round()
    assert receiver.received == []
    assert [line["jobs"] for line in logged() if line["event"] == "heartbeat withheld"] == [["work"]] * 2
    bot.fails = False
    await bot.round()
    assert len(receiver.received) == 1


async def test_a_job_that_no_longer_ends_is_silence_too(bot: Bot, receiver: Receiver) -> None:
    await bot.round()
    bot.clock.move(timedelta(hours=1))
    await bot.jobs.run_due("heartbeat")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [307, 404, 500])
async def test_an_address_that_refuses_or_leads_elsewhere_is_named_without_its_path(
    bot: Bot, receiver: Receiver, logged: Lines, status: int
) -> None:
    receiver.statuses = [status]
    await bot.round()
    assert [call.path for call in receiver.received] == ["/planted-secret-path"]
    (line,) = logged()
    assert (line["event"], line["host"], line["reason"]) == (
        *("heartbeat not taken", "127.0.0.1"),
        f"status {status}",
    )
    assert "planted-secret-path" not in str(line)


async def test_an_address_that_hangs_or_is_gone_does_not_fail_the_job(
    bot: Bot, receiver: Receiver, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.05)
    receiver.hangs = asyncio.Event()
    await bot.round()
    receiver.hangs.set()
    assert [line["reason"] for line in logged()] == ["no answer in time"]


async def test_without_an_address_there_is_no_such_job(database: Database, clock: FakeClock) -> None:
    jobs = Jobs(database, clock, Background())
    begin(jobs, Settings.load({}), database, clock)
    with pytest.raises(KeyError):
        await jobs.run_due("heartbeat")


async def test_a_job_of_an_older_version_is_not_waited_for(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    background = Background()
    older = Jobs(database, clock, background)
    older.every("gone with an upgrade", timedelta(minutes=1), lambda _slot: asyncio.sleep(0))
    older.start()
    await background.idle()
    older.stop()
    clock.move(timedelta(hours=1))
    bot = Bot(database, clock, receiver.url)
    await bot.begin()
    await bot.round()
    assert receiver.received
