import asyncio

from bot.kit.background import Background
from tests.kit.conftest import Lines


async def test_work_runs_and_is_forgotten_when_it_ends() -> None:
    background, done = Background(), []

    async def work() -> None:
        done.append("done")

    background.start(work(), name="work")
    async with asyncio.timeout(5):
        await background.idle()
    assert done == ["done"]


async def test_waiting_until_idle_waits_for_work_that_work_started() -> None:
    background, done = Background(), []

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        background.start(second(), name="second")

    background.start(first(), name="first")
    await background.idle()
    assert done == ["second"]


async def test_an_error_in_the_work_is_logged_with_its_name(logged: Lines) -> None:
    background = Background()

    async def work() -> None:
        raise ZeroDivisionError("half a page")

    background.start(work(), name="sync of paris")
    await background.idle()
    (line,) = logged()
    assert (line["event"], line["work"]) == ("background work failed", "sync of paris")
    assert "half a page" in line["exception"]


async def test_draining_tells_the_work_to_stop_and_waits_for_it() -> None:
    background, parked = Background(), []

    async def work() -> None:
        await background.stopping.wait()
        await asyncio.sleep(0)
        parked.append("parked")

    assert not background.stopping.is_set()
    background.start(work(), name="work")
    async with asyncio.timeout(5):
        await background.drain(5)
    assert parked == ["parked"]


async def test_work_that_does_not_stop_in_time_is_cancelled_and_named(
    logged: Lines,
) -> None:
    background, ended = Background(), []

    async def stubborn(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    for name in ("one", "two"):
        background.start(stubborn(name), name=name)
    async with asyncio.timeout(5):
        await background.drain(0.01)
    assert sorted(ended) == ["one", "two"]
    assert sorted(line["work"] for line in logged()) == ["one", "two"]


async def test_draining_when_nothing_runs_returns_at_once() -> None:
    background = Background()
    async with asyncio.timeout(5):
        await background.drain(60)
    assert background.stopping.is_set()
