"""No secret leaves its place: a whole life is lived, then everything that was said and kept is searched."""

import base64
import binascii
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from bot.kit import logs
from bot.kit.actor import Actor
from bot.kit.secrets import Keyring
from bot.slack.blocks import Message
from bot.tokens.models import KeyPairRow
from tests.fakes.clock import FakeClock
from tests.fakes.house import House, open_house

RENEW = "/enroll token renew paris"
#: What no secret is shorter than, so that a part of it cannot stand somewhere by chance.
SHORTEST = 20

log = logs.get_logger("bot.tests")


@dataclass
class Secrets:
    """Secrets by name, as their owner writes them."""

    found: dict[str, bytes] = field(default_factory=dict)

    def plant(self, name: str, value: str | bytes) -> None:
        content = value.encode() if isinstance(value, str) else value
        assert len(content) >= SHORTEST, f"{name} is too short to search for"
        self.found[name] = content

    def plant_key(self, name: str, pem: str) -> None:
        """Plant a private key: the lines of its PEM, its DER, and its prime as numbers are written."""
        key = load_pem_private_key(pem.encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        lines = pem.strip().splitlines()[3:-2]
        assert len(lines) > 10
        for number, line in enumerate(lines):
            self.plant(f"{name}, line {number}", line)
        der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.plant(f"{name}, in DER", der[len(der) // 2 :])
        prime = key.private_numbers().p
        self.plant(f"{name}, a prime", str(prime))
        self.plant(f"{name}, a prime in hex", f"{prime:x}")

    def within(self, place: bytes) -> list[str]:
        """Return the names of those that stand in `place`: in clear, escaped, in hex or in base64."""
        return [name for name, value in self.found.items() if any(way in place for way in _ways(value))]


def _ways(value: bytes) -> Iterator[bytes]:
    yield value
    written = repr(value)[2:-1]
    yield written.encode()
    yield json.dumps(written)[1:-1].encode()  # a repr inside JSON
    yield binascii.hexlify(value)
    for shift in range(3):
        # Inside a longer text in base64: the characters that come from the value alone.
        coded = base64.b64encode(bytes(shift) + value)[4 if shift else 0 :]
        whole = coded[: len(coded) // 4 * 4 - 4]
        yield whole
        yield whole.replace(b"+", b"-").replace(b"/", b"_")


@dataclass
class Life:
    """A bot that lives, and all that it said and kept so far."""

    house: House
    secrets: Secrets
    lines: io.StringIO
    folder: Path

    def places(self) -> dict[str, bytes]:
        kept = {path.name: path.read_bytes() for path in self.folder.glob("enrollbot.db*")}
        return {"log": self.lines.getvalue().encode(), "Slack": b"\n".join(self.house.tap.bodies)} | kept

    def leaks(self) -> dict[str, list[str]]:
        found = {place: self.secrets.within(content) for place, content in self.places().items()}
        return {place: names for place, names in found.items() if names}

    async def plant_what_is_stored(self) -> None:
        """Plant the private keys that the bot has made by now, Apple's credentials and session tokens."""
        services = self.house.bot.services
        keyring = Keyring.from_text(self.house.settings.encryption_keys)
        async with services.db.read() as session:
            rows = (await session.execute(sa.select(KeyPairRow))).scalars().all()
        for row in rows:
            if row.private_key is not None:
                pem = keyring.decrypt(
                    row.private_key, table=KeyPairRow.__tablename__, column="private_key", row=row.id
                )
                self.secrets.plant_key(f"private key {row.id}", pem.get_secret_value())
        for server in self.house.apple.servers.values():
            if made := server.credentials:
                for part in ("consumer_key", "consumer_secret", "access_token", "access_secret"):
                    self.secrets.plant(f"{part} {server.tokens_made} of {server.name}", getattr(made, part))
        for number, token in enumerate(sorted(self.house.gate.sessions)):
            self.secrets.plant(f"session token {number}", token)


@contextlib.contextmanager
def listening() -> Iterator[io.StringIO]:
    """Collect what the bot logs, ours at every level."""
    root, ours = logging.getLogger(), logging.getLogger("bot")
    before = root.handlers[:], root.level, ours.level
    logs.configure("json")
    ours.setLevel(logging.DEBUG)
    lines = io.StringIO()
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(lines)
    try:
        yield lines
    finally:
        root.handlers[:], root.level, ours.level = before


@contextlib.asynccontextmanager
async def begin_life(folder: Path, clock: FakeClock) -> AsyncIterator[Life]:
    with listening() as lines:
        async with open_house(
            f"sqlite:///{folder / 'enrollbot.db'}", clock, public_url="https://bot.example.com"
        ) as house:
            settings, secrets = house.settings, Secrets()
            secrets.plant("bot token", house.slack.bot_token)
            secrets.plant("signing secret", house.slack.signing_secret)
            secrets.plant("awkward characters", b"\"quoted\" 'twice' \\ <&> \x00\xff \xc3\xa9")
            for number, key in enumerate(settings.each_encryption_key):
                secrets.plant(f"encryption key {number}", base64.urlsafe_b64decode(key.get_secret_value()))
            yield Life(house, secrets, lines, folder)


async def live(life: Life) -> None:
    """Add, upload, renew with a new key, sync, fail in many ways, use wrong files, export, read, remove."""
    house, ana = life.house, life.house.ana
    await house.add_token("paris", devices=12)
    await life.plant_what_is_stored()
    await _renew_with_a_new_key(life)
    await _use_wrong_files(life)
    await _meet_trouble(house)
    await life.plant_what_is_stored()
    await house.types(ana, "/enroll device list")
    await house.presses(ana, "Export CSV")
    await _read_with_an_api_token(life)
    await _hand_content_tokens_over(life)
    await house.types(ana, f"/enroll device forget {house.apple.snapshot()[0]['serial_number']}")
    await house.types(ana, "/enroll token remove paris")
    await house.fills(ana, {"Name of the token": "paris"})
    await house.removes_token("paris")
    await house.settle()


async def _renew_with_a_new_key(life: Life) -> None:
    house, ana = life.house, life.house.ana
    await house.types(ana, f"{RENEW} --new-key")
    await life.plant_what_is_stored()
    house.apple.upload_certificate("paris", await ana.downloads("paris.pem"))
    await house.presses(ana, "Upload server token")
    heard = await house.uploads(ana, house.new_token_file())
    assert "The new key pair is in use" in str(heard)
    await ana.closes()
    await house.settle()
    await life.plant_what_is_stored()


async def _use_wrong_files(life: Life) -> None:
    house, ana = life.house, life.house.ana
    made = house.apple.server("paris").credentials
    assert made is not None
    clear = f'{{"consumer_secret":"{made.consumer_secret}","access_secret":"{made.access_secret}"}}'
    key_lines = [v.decode() for name, v in life.secrets.found.items() if ", line " in name]
    a_key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(key_lines) + "\n-----END PRIVATE KEY-----\n"
    for content in (clear.encode(), a_key.encode(), house.new_token_file()[:-200], b"\0" * 70_000):
        await house.types(ana, "/enroll token upload paris")
        heard = await house.uploads(ana, content)
        assert "Not renewed" in str(heard)
        await ana.closes()
    await life.plant_what_is_stored()


async def _meet_trouble(house: House) -> None:
    for kind in ("html", "500", "half", "close", "429"):
        house.apple.faults.clear()
        house.apple.faults.plan(kind, path="*")
        await house.waits(timedelta(hours=25))
    house.apple.faults.clear()
    house.slack.faults.refuse_posts = "channel_not_found"
    await house.types(house.ana, "/enroll token tag paris schools")
    house.slack.faults.reset()
    house.apple.reject_token("paris")
    await house.waits(timedelta(hours=1))
    await house.types(house.ana, RENEW)


async def _read_with_an_api_token(life: Life) -> None:
    services, cli = life.house.bot.services, Actor.cli("root")
    added = await services.api_tokens.add("mdm", tags=None, actor=cli)
    secret = added.secret.get_secret_value()
    life.secrets.plant("API token", secret)
    life.secrets.plant("API token, its random part", secret[3:])
    log.debug("added", whole=added, sent={"Authorization": f"Bearer {secret}"}, alone=f"it sent {secret}")
    serial = life.house.apple.snapshot()[0]["serial_number"]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}) as client:
        for path in (f"devices/{serial}", f"devices/{secret}", f"{secret}", "devices/%00"):
            await client.get(f"{life.house.url}/api/v1/{path}")
        await services.api_tokens.revoke("mdm", actor=cli)
        answer = await client.get(f"{life.house.url}/api/v1/devices/{serial}")
        assert answer.status_code == 401


async def _hand_content_tokens_over(life: Life) -> None:
    """By link and as a file: good ones, another location's, a damaged one; then read, revoke, remove."""
    house, ana = life.house, life.house.ana
    for name in ("Example HQ", "Example Lyon"):
        house.apple.content.create(name, org_id="6666666", apps=3)
    files = []
    for name, days in (("Example HQ", 20), ("Example Lyon", 300), ("Example HQ", 300)):
        files.append(house.apple.content.generate_token(name, valid_for=timedelta(days=days))[1])
        life.secrets.plant(f"content token {len(files)}", files[-1].strip())
    for command, content in (
        ("add hq", files[0][:-30]),
        ("add hq", files[0]),
        ("renew hq", files[1]),
        ("renew hq", files[2]),
    ):
        heard = await house.types(ana, f"/enroll vpp {command}")
        link = re.findall(r"/upload/([\w-]+)", str([message.raw for message in heard.messages]))[-1]
        async with httpx.AsyncClient() as browser:
            await browser.post(f"{house.url}/upload/{link}", files={"file": ("hq.vpptoken", content)})
        await house.quiet()
        # Slack is given the link; nothing else keeps it.
        assert link.encode() not in b"".join(
            kept for place, kept in life.places().items() if place != "Slack"
        )
    await house.types(ana, "/enroll vpp add lyon")
    await house.presses(ana, "Use a Slack file")
    await house.uploads(ana, files[1], name="lyon.vpptoken", label="Content token (.vpptoken)")
    await ana.closes()
    house.apple.content.revoke("Example HQ")
    await house.types(ana, "/enroll vpp sync")
    await house.types(ana, "/enroll vpp show hq")
    await house.presses(ana, "Export CSV")
    await house.types(ana, "/enroll vpp remove hq")
    await house.fills(ana, {"Name of the content token": "hq"})


async def test_no_secret_is_said_logged_or_kept_in_clear(tmp_path: Path, clock: FakeClock) -> None:
    async with begin_life(tmp_path, clock) as life:
        await live(life)
        assert life.leaks() == {}
        kinds = {name.split()[0] for name in life.secrets.found}
        assert {
            "private",
            "consumer_secret",
            "access_secret",
            "session",
            "bot",
            "signing",
            "API",
            "content",
        } <= kinds
        actions = {action for _, action, _ in await life.house.acts()}
    assert {
        "token.key_replaced",
        "token.removed",
        "api_token.revoked",
        "content_token.added",
        "content_token.renewed",
        "content_token.removed",
        "device.exported",
        "device.forgotten",
    } <= actions
    # The log was indeed listened to, and the database indeed read.
    assert b"session with Apple opened" in life.places()["log"]
    assert b"paris" in life.places()["enrollbot.db"]


async def test_a_leak_is_found_wherever_it_is(tmp_path: Path, clock: FakeClock) -> None:
    async with begin_life(tmp_path, clock) as life:
        assert life.leaks() == {}
        async with life.house.bot.services.db.begin() as session:
            await session.execute(sa.text("CREATE TABLE leak (text TEXT)"))
        for value in life.secrets.found.values():
            log.debug("leak", text=base64.b64encode(b"x" + value).decode())
            await life.house.bot.slack.poster.direct("U0BEN", Message(f"{value!r}"))
            async with life.house.bot.services.db.begin() as session:
                await session.execute(sa.text("INSERT INTO leak VALUES (:text)"), {"text": value.hex()})
        leaks = life.leaks()
    assert {"log", "Slack"} <= set(leaks)
    assert any(place.startswith("enrollbot.db") for place in leaks)
    assert all(names == list(life.secrets.found) for names in leaks.values())
