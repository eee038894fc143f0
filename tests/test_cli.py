"""The command line in this process, on a database of its own: what needs no running bot."""

import asyncio
import csv
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import cli
from bot.audit.service import AuditService
from bot.kit import migrations
from bot.kit.actor import Actor
from bot.kit.background import Background
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.kit.secrets import Keyring, generate_key
from bot.migrations import FOLDER
from bot.settings import Settings
from tests.fakes.clock import FakeClock


@pytest.fixture
def recorded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database with three entries, to which the environment's settings lead."""
    key = generate_key()
    environment = {"ENROLLBOT_DATABASE_URL": sqlite_url, "ENROLLBOT_ENCRYPTION_KEYS": key}
    for name, value in (environment | {"SSL_CERT_DIR": "/nowhere"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bot.main.prepare_logs", lambda _settings: None)
    migrations.upgrade(sqlite_url, FOLDER)
    keyring = Keyring.from_text(Settings.load(environment).encryption_keys)
    asyncio.run(record(sqlite_url, keyring, ["Sales iPad", "Kiosk", "=Evil"]))
    return sqlite_url


async def record(url: str, keyring: Keyring, names: Iterable[str]) -> None:
    db = Database.open(url)
    audit = AuditService(db, keyring, FakeClock(datetime(2026, 5, 1, tzinfo=UTC)))
    async with db.begin() as session:
        for name in names:
            await audit.record(
                session,
                actor=Actor("U0ANA"),
                action="profile.defined",
                subject_kind="profile",
                subject_id=name,
                subject_name=name,
            )
    await db.close()


def test_the_audit_is_exported_and_its_head_printed(
    recorded: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def enrollbot(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(["audit", *arguments])
        said = capsysbinary.readouterr()
        return status, said.out.decode(), said.err.decode()

    status, said, _ = enrollbot("verify", "--head")
    assert status == 0
    assert re.fullmatch(r"3 [0-9a-f]{64}\n", said)
    head = said.split()[1]

    status, said, remarks = enrollbot("export")
    entries = [json.loads(line) for line in said.splitlines()]
    assert (status, [entry["number"] for entry in entries], entries[-1]["mac"]) == (0, [1, 2, 3], head)
    assert remarks == "3 entries of the audit written.\n"

    # The shell has taken the quotes away.
    file = tmp_path / "audit.csv"
    assert enrollbot("export", "subject:Sales iPad", "--format", "csv", "--output", str(file))[:2] == (0, "")
    (row,) = csv.DictReader(file.read_text("utf-8-sig").splitlines())
    assert (row["number"], file.stat().st_mode & 0o777) == ("1", 0o600)
    assert enrollbot("export", "subject:=evil -action:audit", "--format", "csv")[1].count("'=Evil") == 2

    status, said, _ = enrollbot("export", "--", "-subject:Kiosk", "action:audit")
    done = [json.loads(line) for line in said.splitlines()]
    assert [(entry["actor_kind"], entry["subject_name"]) for entry in done] == [
        ("cli", "the whole audit"),
        ("cli", 'subject:"Sales iPad"'),
        ("cli", "subject:=evil -action:audit"),
    ]
    told = enrollbot("export", "acter:ana")
    assert (told[0], "Did you mean actor:?" in told[2]) == (1, True)
    told = enrollbot("export", "--output", str(tmp_path / "nowhere" / "audit.jsonl"))
    assert (told[0], "Cannot write" in told[2]) == (1, True)
    status, said, _ = enrollbot("verify", "--head")
    assert said.startswith("8 ")
    assert not said.endswith(f"{head}\n")


def test_the_jobs_are_listed_from_the_database_alone(
    recorded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ENROLLBOT_ENCRYPTION_KEYS")
    assert cli.run(["jobs"]) == 0
    assert "has not run on this database" in capsys.readouterr().out
    asyncio.run(run_jobs(recorded))
    capsys.readouterr()
    assert cli.run(["jobs"]) == 0
    head, history, housekeeping = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "JOB"
    assert history.split() == [
        *("devices.history", "1", "d", "2026-05-01", "00:00:00", "failed", "in", "0.0", "s", "now"),
        *("deletes", "old", "history"),
    ]
    assert "done in 0.0 s" in housekeeping


async def run_jobs(url: str) -> None:
    async def fail(_slot: datetime) -> None:
        raise ZeroDivisionError

    db, background = Database.open(url), Background()
    jobs = Jobs(db, FakeClock(datetime(2026, 5, 1, tzinfo=UTC)), background)
    jobs.every("devices.history", timedelta(days=1), fail, does="deletes old history")
    jobs.start()
    await background.idle()
    jobs.stop()
    await db.close()
