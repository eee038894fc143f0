"""The sandbox's own life: where its state is, what happens when its bot ends, what it refuses to touch."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from bot.sandbox import run
from bot.sandbox.visitor import Visitor


def test_its_state_is_never_in_the_working_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENROLLBOT_SANDBOX_FOLDER", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    assert run.default_folder() == Path("/somewhere/state/enrollbot/sandbox")
    assert not run.default_folder().is_relative_to(Path.cwd())


async def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(run.NotASandbox, match="left alone"):
        async with run.sandbox(folder=tmp_path, fresh=True):
            pass
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("devices", ["-1", "1000001"])
def test_an_impossible_number_of_devices_is_refused(devices: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    run.add_options(parser)
    with pytest.raises(argparse.ArgumentError, match="between 0 and 1,000,000"):
        parser.parse_args(["--devices", devices])


async def test_state_outlives_a_restart_and_a_killed_bot_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    async with run.sandbox(folder=folder, devices=30, plain=True) as box:
        os.kill(box.bot.pid, signal.SIGKILL)
        await box.bot.ended()
        await box.bot.start()
        ana = Visitor(box.slack, "ana", within=15)
        await ana.sees("30 devices now")
        await ana.types("/enroll token tag paris retail")
        await ana.sees("retail")
    async with run.sandbox(folder=folder, devices=30, plain=True) as box:
        ana = Visitor(box.slack, "ana", within=15)
        await ana.types("/enroll token show paris")
        card = await ana.sees("Organisation")
        assert "retail" in card.text
        assert "30 devices" in card.text


async def test_what_runs_in_the_sandbox_is_what_enrollbot_run_runs(tmp_path: Path) -> None:
    """In the same surroundings `enrollbot run` does the same; the sandbox adds the clock alone."""
    async with run.sandbox(folder=tmp_path / "box", devices=7, plain=True) as box:
        await box.bot.stop()
        plain = await asyncio.create_subprocess_exec(sys.executable, "-m", "bot", "run", env=box.environment)
        try:
            # Until the bot listens, connections are refused and tried again.
            transport = httpx.AsyncHTTPTransport(retries=8)
            async with httpx.AsyncClient(transport=transport, timeout=30) as client:
                ready = await client.get(f"http://127.0.0.1:{box.environment['ENROLLBOT_PORT']}/readyz")
            assert ready.status_code == 200
            ana = Visitor(box.slack, "ana", within=15)
            await ana.types("/enroll device list")
            await ana.sees("7 devices")
        finally:
            plain.terminate()
            assert await plain.wait() == 0
