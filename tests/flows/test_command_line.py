"""`enrollbot` at a shell: exit statuses, and sentences that say how to mend what is wrong."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from bot import cli
from bot.kit.clock import SystemClock
from bot.kit.db import Database
from bot.kit.secrets import generate_key
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, open_house, ready_key_pair


class Ended(NamedTuple):
    status: int | None
    said: str
    complained: str


async def in_own_process(*arguments: str, environment: Mapping[str, str]) -> Ended:
    """Run the command line as a process of its own, with these settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ENROLLBOT_", "SLACK_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        env=inherited | dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in complained
    return Ended(process.returncode, said.decode(), complained.decode())


Shell = Callable[..., Ended]
Enrollbot = Callable[..., Awaitable[Ended]]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Take this process's own settings away, and leave its logs as they were."""
    for name in os.environ:
        if name.startswith(("ENROLLBOT_", "SLACK_")):
            monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield monkeypatch
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def shell(house_file: Path, unset: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command line in this process, on a database of its own: a second quicker than another process."""
    unset.setenv("ENROLLBOT_DATABASE_URL", f"sqlite:///{house_file}")
    unset.setenv("ENROLLBOT_ENCRYPTION_KEYS", generate_key())

    def run(*arguments: str) -> Ended:
        status = cli.run(arguments)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def enrollbot(unset: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Enrollbot:
    """The command line in a thread of this process, beside a bot that is up: it has a loop of its own."""

    async def run(*arguments: str, environment: Mapping[str, str]) -> Ended:
        with unset.context() as settings:
            for name, value in environment.items():
                settings.setenv(name, value)
            capsys.readouterr()
            status = await asyncio.to_thread(cli.run, arguments)
        ended = Ended(status, *capsys.readouterr())
        assert "Traceback" not in ended.complained
        return ended

    return run


def settings_of(house: House, **changes: str) -> dict[str, str]:
    keys = house.settings.encryption_keys
    assert keys is not None
    return {
        "SLACK_BOT_TOKEN": house.slack.bot_token,
        "SLACK_SIGNING_SECRET": house.slack.signing_secret,
        "ENROLLBOT_DATABASE_URL": house.settings.database_url.get_secret_value(),
        "ENROLLBOT_ENCRYPTION_KEYS": keys.get_secret_value(),
        "ENROLLBOT_DEP_URL": house.settings.dep_url,
        "ENROLLBOT_VPP_URL": house.settings.vpp_url,
        "ENROLLBOT_PORT": "0",
    } | changes


async def test_the_audit_is_proved_and_a_touched_entry_is_named(paris: House, enrollbot: Enrollbot) -> None:
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


async def test_a_token_is_imported_and_syncs_when_the_bot_runs(
    house_file: Path, tmp_path: Path, enrollbot: Enrollbot
) -> None:
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


async def test_a_content_token_is_added_and_renewed_from_a_file(
    house_file: Path, tmp_path: Path, enrollbot: Enrollbot
) -> None:
    # The command line has the system's clock.
    async with open_house(f"sqlite:///{house_file}", FakeClock(SystemClock().now())) as house:
        content = house.apple.content
        content.create("Example HQ", org_id="6666666", apps=3, portal=(500, 483))
        file = tmp_path / "hq.vpptoken"
        file.write_bytes(content.generate_token("Example HQ", valid_for=timedelta(days=20))[1])
        settings = settings_of(house)
        wrong = await enrollbot(
            "vpp", "add", "hq", "--file", str(tmp_path / "no.vpptoken"), environment=settings
        )
        assert (wrong.status, "no.vpptoken" in wrong.complained) == (1, True)
        added = await enrollbot(
            *("vpp", "add", "hq", "--file", str(file), "--tags", "schools"), environment=settings
        )
        assert (added.status, added.complained) == (0, "")
        assert "Content token hq added: location Example HQ" in added.said
        assert f"20 days left. Delete {file} now: it is a live secret." in added.said
        again = await enrollbot("vpp", "renew", "hq", "--file", str(file), environment=settings)
        assert (again.status, again.said) == (1, "")
        assert "Nothing" in again.complained
        file.write_bytes(content.generate_token("Example HQ", valid_for=timedelta(days=300))[1])
        renewed = await enrollbot("vpp", "renew", "HQ", "--file", str(file), environment=settings)
        assert (renewed.status, "Content token hq renewed" in renewed.said) == (0, True)
        assert file.read_text().strip() not in added.said + renewed.said + wrong.complained + again.complained
        shown = await house.types(house.ana, "/enroll vpp show hq")
        assert "300 days left" in shown
        assert "schools" in shown


async def test_a_new_key_is_printed_and_taken(house: House, enrollbot: Enrollbot) -> None:
    made = await enrollbot("keys", "generate", environment={})
    assert (made.status, made.complained) == (0, "")
    fresh = house.settings.database_url.get_secret_value().replace("enrollbot.db", "fresh.db")
    settings = settings_of(house, ENROLLBOT_ENCRYPTION_KEYS=made.said.strip(), ENROLLBOT_DATABASE_URL=fresh)
    assert (await enrollbot("audit", "verify", environment=settings)).status == 0


async def test_the_bot_does_not_start_without_its_key_and_says_how_to_mend_it(
    paris: House, enrollbot: Enrollbot
) -> None:
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
    ended = await in_own_process("run", environment=settings_of(house, **wrong))
    assert ended.status == 1
    for name in wrong:
        assert name in ended.complained


async def test_the_bot_does_not_start_without_slacks_credentials(house: House, enrollbot: Enrollbot) -> None:
    settings = settings_of(house, SLACK_BOT_TOKEN="xapp-1", SLACK_SIGNING_SECRET="")
    ended = await enrollbot("run", environment=settings)
    assert ended.status == 1
    assert "SLACK_BOT_TOKEN is not a bot token" in ended.complained
    assert "SLACK_SIGNING_SECRET is missing" in ended.complained
    assert "xapp-1" not in ended.complained


def test_an_api_token_is_shown_once_listed_and_revoked(shell: Shell, house_file: Path) -> None:
    assert (
        "There is no API token yet. Add one with: enrollbot api-token add NAME"
        in shell("api-token", "list").said
    )
    added = shell("api-token", "add", "mdm", "--tags", "Schools, hq")
    [secret] = re.findall(r"eb_[\w-]{43}", added.said)
    assert "the devices and profiles of tokens tagged hq, schools, and changes nothing" in added.said
    for told in (
        "shown this once",
        "Authorization: Bearer SECRET",
        "http://127.0.0.1:3000/api/v1/devices/",
        "revoke mdm",
    ):
        assert told in added.said
    assert shell("api-token", "add", "everything").status == 0
    listed = shell("api-token", "list").said
    assert re.search(
        r"^mdm: of tokens tagged hq, schools, added 20\d\d-.* UTC, never used$", listed, re.MULTILINE
    )
    assert "everything: of every token, added" in listed
    revoked = shell("api-token", "revoke", "MDM")
    assert "API token mdm revoked: from now on its secret is refused. It was never used." in revoked.said
    assert re.search(r"mdm: .* never used, revoked 20", shell("api-token", "list").said)
    assert "The audit is whole: 3 entries" in shell("audit", "verify").said
    for again in (
        listed,
        revoked.said,
        *(path.read_bytes().decode("latin-1") for path in house_file.parent.iterdir()),
    ):
        assert secret[3:] not in again


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "a b"), "cannot be the name of an API token. Use 1 to 40 letters"),
        (("add", "mdm", "--tags", "a/b"), "cannot be a scope tag. Use letters"),
        (("revoke", "mdm"), "There is no API token “mdm” in use. enrollbot api-token list shows"),
    ],
)
def test_an_api_token_that_cannot_be_is_refused(
    shell: Shell, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = shell("api-token", *arguments)
    assert (ended.status, ended.said) == (1, "")
    assert sentence in ended.complained
