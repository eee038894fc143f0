"""Killed at seeded moments and restarted, a sync leaves exactly what an undisturbed one leaves."""

import asyncio
import multiprocessing
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import create_tables_at, new_database
from tests.faults.sync_child import PHASES, run

# Each life is forked from a process that has imported the bot and does nothing else.
LIVES = multiprocessing.get_context("forkserver")
LIVES.set_forkserver_preload(["__main__", "tests.faults.sync_child"])
DEVICES = 10_000
KILLS = 10
#: Before which statement of a life it may end: so that ten lives reach into the third sync.
MOMENTS = {"sqlite": range(8, 240), "postgresql": range(8, 85)}
STORED = {
    "devices": "SELECT d.serial, d.number, d.facts, d.operation_at, d.first_seen_at, d.updated_at,"
    " d.removed_at, d.removed_reason, k.state, k.model"
    " FROM device d JOIN device_kind k ON k.id = d.kind_id ORDER BY serial",
    "history": "SELECT serial, at, kind, changes FROM device_change ORDER BY at, serial, kind",
    "kinds": "SELECT state, model, profile_status, devices FROM device_kind WHERE devices > 0"
    " ORDER BY state, model",
    "results": "SELECT kind, forced, state, pages, received, added, modified, removed, returned, ignored,"
    " removals_judged FROM device_sync ORDER BY started_at",
}


def live(url: str, statement: int) -> tuple[int, int]:
    """Run one life in a process of its own; returns its exit status and how many syncs have finished."""
    process = LIVES.Process(target=run, args=(url, statement, DEVICES))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode, rows(url, "SELECT count(*) FROM device_sync WHERE state = 'finished'")[0][0]


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


def stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows(url, sql) for name, sql in STORED.items()}


def run_to_the_end(url: str, moments: list[int]) -> int:
    """Live until all syncs have finished; returns how many lives were cut short."""
    killed = ended = 0
    for statement in [*moments, *[0] * (PHASES + len(moments))]:
        status, now_ended = live(url, statement)
        killed += status != 0
        ended = max(ended, now_ended)
        if ended == PHASES:
            break
    assert ended == PHASES
    return killed


def counted_by_hand() -> dict[str, tuple[str, str]]:
    """State and model of each device after the three syncs, counted without a sync: see `populate`."""
    devices = {}
    for n in range(DEVICES):
        is_taken = (n >= 7 and (n - 7) % 97 == 0) or n % 100 == 3
        # Changed and taken in one delta: what stays is how it was stored before.
        is_changed = n % 50 == 0 and not (n >= 7 and (n - 7) % 97 == 0)
        model = "iPad Air" if is_changed else f"iPad {n % 9}"
        devices[f"S{n:06}"] = ("removed" if is_taken else "present", model)
    for n in range(DEVICES // 40):
        devices[f"T{n:06}"] = ("present", "iPad Air")
    return devices


@pytest.fixture(params=["sqlite", "postgresql"])
def two_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two databases with every table, one for calm lives and one for cut ones."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'calm.db'}", f"sqlite:///{tmp_path / 'killed.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    with new_database(server) as calm, new_database(server) as killed:
        for url in (calm, killed):
            asyncio.run(create_tables_at(url))
        yield calm, killed


@pytest.mark.timeout(240)
def test_killed_at_ten_seeded_moments_a_sync_ends_like_an_undisturbed_one(two_urls: tuple[str, str]) -> None:
    calm, killed = two_urls
    run_to_the_end(calm, [])
    seeded = random.Random(20260501)
    moments = seeded.choices(MOMENTS[killed.partition(":")[0]], k=KILLS)
    assert run_to_the_end(killed, moments) == KILLS
    expected, found = stored(calm), stored(killed)
    assert {row[0]: (row[8], row[9]) for row in expected["devices"]} == counted_by_hand()
    assert expected["results"][2][7] != 0
    for name in STORED:
        assert found[name] == expected[name], name
