"""The sandbox's clock: it moves the bot and the stand-ins together, and only ahead."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bot.sandbox import run
from bot.sandbox.apple.faults import PAGES
from bot.sandbox.clock import ClockRefuses, MovedClock
from bot.sandbox.visitor import Visitor
from tests.fakes.clock import FakeClock

DAY = timedelta(days=1)


def test_a_clock_without_a_file_says_the_time_of_its_base(clock: FakeClock, tmp_path: Path) -> None:
    moved = MovedClock(tmp_path / "clock.json", clock)
    assert (moved.now(), moved.ahead) == (clock.now(), timedelta())


def test_who_holds_the_same_file_has_the_same_time(clock: FakeClock, tmp_path: Path) -> None:
    one, other = (MovedClock(tmp_path / "clock.json", clock) for _ in range(2))
    assert one.move(DAY) == clock.now() + DAY
    assert other.now() == clock.now() + DAY
    other.move(10 * DAY)
    assert one.now() == clock.now() + 11 * DAY
    assert MovedClock(tmp_path / "clock.json", clock).ahead == 11 * DAY, "a restart keeps it"


def test_it_never_goes_back(clock: FakeClock, tmp_path: Path) -> None:
    moved = MovedClock(tmp_path / "clock.json", clock)
    moved.move(7 * DAY)
    (tmp_path / "clock.json").write_text("60")
    assert moved.ahead == 7 * DAY
    (tmp_path / "clock.json").unlink()
    assert moved.ahead == 7 * DAY


@pytest.mark.parametrize("length", [timedelta(), -DAY, timedelta(days=401)])
def test_a_move_back_or_out_of_sight_is_refused(clock: FakeClock, tmp_path: Path, length: timedelta) -> None:
    moved = MovedClock(tmp_path / "clock.json", clock)
    with pytest.raises(ClockRefuses, match="1 to 400 days"):
        moved.move(length)
    assert not (tmp_path / "clock.json").exists()


def test_it_ends_ten_years_ahead(clock: FakeClock, tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text(str(timedelta(days=3640).total_seconds()))
    moved = MovedClock(tmp_path / "clock.json", clock)
    with pytest.raises(ClockRefuses, match="ten years"):
        moved.move(11 * DAY)


def test_durations_and_waiting_stay_true(clock: FakeClock, tmp_path: Path) -> None:
    moved = MovedClock(tmp_path / "clock.json", clock)
    before = moved.monotonic()
    moved.move(30 * DAY)
    assert moved.monotonic() == before


def pages_asked(box: run.Sandbox) -> int:
    return sum(box.apple.log.count(path) for path in PAGES)


async def test_days_pass_for_the_real_bot_and_the_stand_ins_at_once(tmp_path: Path) -> None:
    async with run.sandbox(folder=tmp_path / "box", devices=30, plain=True) as box:
        ana = Visitor(box.slack, "ana", within=20)
        await ana.sees("30 devices now")
        # A day on: the daily sync happens by itself, signed and in a session that both sides take for good.
        box.apple.add_devices("paris", 3)
        box.move_clock(DAY)
        await ana.sees("33 devices now")
        # Eleven days on in all: one sync for the ten days, and the days left are counted from the new time.
        before = pages_asked(box)
        box.apple.add_devices("paris", 1)
        box.move_clock(10 * DAY)
        await ana.sees("34 devices now")
        assert pages_asked(box) == before + 1
        await ana.types("/enroll token show paris")
        await ana.sees("expiring, 1 day left")
        # Two days later the token is over.
        box.move_clock(2 * DAY)
        await ana.types("/enroll token show paris")
        await ana.sees("Token paris · expired")
        async with httpx.AsyncClient() as client:
            ready = await client.get(f"http://127.0.0.1:{box.environment['ENROLLBOT_PORT']}/readyz")
        assert ready.status_code == 200
        assert box.slack.complaints == []
