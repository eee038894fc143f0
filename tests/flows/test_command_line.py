"""`enrollbot` at a shell: exit statuses, and sentences that say how to mend what is wrong."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from bot.kit.clock import SystemClock
from bot.kit.db import Database
from bot.kit.secrets import generate_key
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, open_house, ready_key_pair


class Ended(NamedTuple):
    status: int | None
    said: str
    complained: str


async def enrollbot(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run the command line as a process of its own, with these settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ENROLLBOT_", "SLACK_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        env=inherited | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in complained
    return Ended(process.returncode, said.decode(), complained.decode())


def settings_of(house: House, **changes: str) -> dict[str, str]:
    keys = house.settings.encryption_keys
    assert keys is not None
    return {
        "SLACK_BOT_TOKEN": house.slack.bot_token,
        "SLACK_SIGNING_SECRET": house.slack.signing_secret,
        "ENROLLBOT_DATABASE_URL": house.settings.database_url.get_secret_value(),
        "ENROLLBOT_ENCRYPTION_KEYS": keys.get_secret_value(),
        "ENROLLBOT_DEP_URL": house.settings.dep_url,
        "ENROLLBOT_PORT": "0",
    } | changes


async def test_the_audit_is_proved_and_a_touched_entry_is_named(paris: House) -> None:
    settings = settings_of(paris)
    await paris.types(paris.ana, "/enroll token tag paris schools")
    entries = len(await paris.acts())
    whole = await enrollbot("audit", "verify", environment=settings)
    assert whole.status == 0
    assert f"The audit is whole: {entries} entries" in whole.said
    db = Database.open(settings["ENROLLBOT_DATABASE_URL"])
    async with db.begin() as session:
        touch = "UPDATE audit_entry SET actor = 'U0BEN' WHERE number = :number"
        await session.execute(sa.text(touch), {"number": entries})
    await db.close()
    broken = await enrollbot("audit", "verify", environment=settings)
    assert broken.status == 1
    assert f"broken at entry {entries}" in broken.complained


async def test_a_token_is_imported_and_syncs_when_the_bot_runs(house_file: Path, tmp_path: Path) -> None:
    # The other process has the system's clock, and Apple refuses those whose clock is wrong.
    async with open_house(f"sqlite:///{house_file}", FakeClock(SystemClock().now())) as house:
        house.apple.create_server("paris", devices=4)
        private_key, certificate = ready_key_pair("paris")
        house.apple.upload_certificate("paris", certificate)
        key, cert, token = (tmp_path / name for name in ("key.pem", "cert.pem", "token.p7m"))
        key.write_text(private_key)
        cert.write_text(certificate)
        token.write_bytes(house.apple.generate_token("paris")[1])
        importing = ("token", "import", "paris", "--agree", "--key", str(key), "--cert", str(cert), "--token")
        wrong = await enrollbot(*importing, str(key), environment=settings_of(house))
        assert wrong.status == 1
        assert "not a server token" in wrong.complained
        assert private_key.splitlines()[3] not in wrong.complained
        assert await house.acts() == []
        done = await enrollbot(*importing, str(token), environment=settings_of(house))
        assert done.status == 0
        assert "Token paris imported: Example Trust, MDM server paris" in done.said
        await house.settle()
        assert "4 devices" in await house.types(house.ben, "/enroll status")


async def test_a_new_key_is_printed_and_taken(house: House) -> None:
    made = await enrollbot("keys", "generate")
    assert (made.status, made.complained) == (0, "")
    fresh = house.settings.database_url.get_secret_value().replace("enrollbot.db", "fresh.db")
    settings = settings_of(house, ENROLLBOT_ENCRYPTION_KEYS=made.said.strip(), ENROLLBOT_DATABASE_URL=fresh)
    assert (await enrollbot("audit", "verify", environment=settings)).status == 0


async def test_the_bot_does_not_start_without_its_key_and_says_how_to_mend_it(paris: House) -> None:
    told = {
        "": "There is no encryption key. Make one with `enrollbot keys generate`",
        generate_key(): "None of the encryption keys given opens this database. Put the key",
    }
    for keys, sentence in told.items():
        ended = await enrollbot("run", environment=settings_of(paris, ENROLLBOT_ENCRYPTION_KEYS=keys))
        assert ended.status == 1
        assert sentence in ended.complained.replace("\n", " ")
        assert not keys or keys not in ended.complained


async def test_every_wrong_setting_is_named_at_once(house: House) -> None:
    wrong = {
        "ENROLLBOT_ADMINS": "ana",
        "ENROLLBOT_DEFAULT_ROLE": "king",
        "ENROLLBOT_SYNC_EVERY": "5m",
        "ENROLLBOT_PORT": "http",
        "ENROLLBOT_EXPIRY_WARNING_DAYS": "soon",
    }
    ended = await enrollbot("run", environment=settings_of(house, **wrong))
    assert ended.status == 1
    for name in wrong:
        assert name in ended.complained


async def test_the_bot_does_not_start_without_slacks_credentials(house: House) -> None:
    settings = settings_of(house, SLACK_BOT_TOKEN="xapp-1", SLACK_SIGNING_SECRET="")
    ended = await enrollbot("run", environment=settings)
    assert ended.status == 1
    assert "SLACK_BOT_TOKEN is not a bot token" in ended.complained
    assert "SLACK_SIGNING_SECRET is missing" in ended.complained
    assert "xapp-1" not in ended.complained
