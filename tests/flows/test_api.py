"""An MDM server that reads from the running bot, over HTTP."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from bot.kit.actor import Actor
from tests.fakes.clock import FakeClock
from tests.fakes.described import Described
from tests.fakes.house import House, open_house

ROOT = Actor.cli("root")


async def bearer(house: House, name: str = "mdm") -> dict[str, str]:
    added = await house.bot.services.api_tokens.add(name, tags=None, actor=ROOT)
    return {"Authorization": f"Bearer {added.secret.get_secret_value()}"}


async def sends(house: House, head: bytes) -> bytes:
    """Send a request as it stands, and return the first line of the answer."""
    at = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        writer.write(head + b"\r\nHost: bot.example.com\r\nConnection: close\r\n\r\n")
        return (await asyncio.wait_for(reader.read(), 10)).split(b"\r\n", 1)[0]
    finally:
        writer.close()
        await writer.wait_closed()


async def test_an_mdm_server_reads_what_the_bot_knows_until_its_api_token_is_revoked(house: House) -> None:
    token_id = await house.has_token("paris", devices=5)
    profile = await house.has_profile(token_id, "Sales iPad", device_name_template="Sales-{{SERIAL}}")
    good, api_tokens = await bearer(house), house.bot.services.api_tokens
    serial = house.apple.snapshot()[3]["serial_number"]
    async with httpx.AsyncClient(base_url=f"{house.url}/api/v1", headers=good) as client:
        described = Described((await client.get("/openapi.json", headers={"Authorization": ""})).json())
        found = await client.get(f"/devices/{serial.lower()}")
        described.check(found)
        assert (found.status_code, found.json()["serial"], found.json()["token"]) == (200, serial, "paris")
        head = await client.head(f"/devices/{serial}")
        described.check(head)
        assert (head.content, head.headers["content-length"]) == (b"", found.headers["content-length"])

        read = await client.get(f"/profiles/{profile.profile_uuid}")
        described.check(read)
        assert read.json()["settings"]["device_name_template"] == "Sales-{{SERIAL}}"
        assert read.json()["service_profile"]["profile_name"] == "Sales iPad"

        await api_tokens.revoke("mdm", actor=ROOT)
        refused = await client.get(f"/devices/{serial}")
        described.check(refused)
        assert refused.status_code == 401
    [token] = await api_tokens.list_api_tokens(actor=ROOT)
    assert token.last_used_at == house.clock.now()


async def test_the_api_answers_in_socket_mode_too_and_bears_whatever_is_sent(
    house_file: Path, clock: FakeClock
) -> None:
    app_token = SecretStr("xapp-1-A012-34567-planted")
    async with open_house(f"sqlite:///{house_file}", clock, slack_app_token=app_token) as house:
        good = (await bearer(house))["Authorization"].encode()
        for path in (
            b"",
            b"%",
            b"%00",
            b"%ff",
            b"\xc3\x9f",
            b"\xff\xfe",
            b"a b",
            b"a?b=%00",
            b"a#b",
            b"..",
            b"A" * 9000,
        ):
            head = b"GET /api/v1/devices/" + path + b" HTTP/1.1\r\nAuthorization: " + good
            status = (await sends(house, head)).split()[1]
            assert status in (b"400", b"404"), (path, status)
        assert b" 404 " in await sends(house, b"POST /slack/events HTTP/1.1")
        assert b" 401 " in await sends(
            house, b"GET /api/v1/devices/A HTTP/1.1\r\nAuthorization: Bearer \xff\xfe"
        )
