"""What the stand-in keeps in its folder, and that it stays quick with many devices."""

from datetime import timedelta
from pathlib import Path

import httpx

from bot.kit.clock import SystemClock
from bot.sandbox.apple import AppleStandIn, serve
from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import AppleClient, keys


async def test_a_restart_goes_on_with_everything(clock: FakeClock, tmp_path: Path) -> None:
    before = AppleStandIn(clock, folder=tmp_path)
    server = before.create_server("paris", devices=50)
    before.upload_certificate(server, keys().pem)
    before.generate_token(server)
    assert server.credentials is not None
    async with serve(before) as url, httpx.AsyncClient(base_url=url) as http:
        client = AppleClient(http, clock, server.credentials)
        await client.open_session()
        _, cursor = await client.fetch_all()
        profile = await client.post(
            "/profile", {"profile_name": "A", "url": "https://x.example", "org_magic": "m"}
        )
    added = before.add_devices(server, 3)
    truth = before.snapshot()
    before.close()

    after = AppleStandIn(clock, folder=tmp_path)
    async with serve(after) as url, httpx.AsyncClient(base_url=url) as http:
        client = AppleClient(http, clock, server.credentials, nonces=50)
        await client.open_session()
        changes = (await client.post("/devices/sync", {"cursor": cursor})).json()["devices"]
        read = await client.call("GET", f"/profile?profile_uuid={profile.json()['profile_uuid']}")

    assert after.snapshot() == truth
    assert [device["serial_number"] for device in changes] == added
    assert read.json()["profile_name"] == "A"
    assert set(after.add_devices("paris", 5)).isdisjoint(device["serial_number"] for device in truth)
    after.close()


def test_terms_and_rejections_outlast_a_restart(clock: FakeClock, tmp_path: Path) -> None:
    before = AppleStandIn(clock, folder=tmp_path)
    server = before.create_server("paris")
    before.upload_certificate(server, keys().pem)
    before.generate_token(server)
    before.reject_token(server)
    before.sign_terms(signed=False)
    before.close()

    after = AppleStandIn(clock, folder=tmp_path)

    made = after.server("paris").credentials
    assert made is not None
    assert made.is_rejected
    assert made.expires_at == clock.now() + timedelta(days=365)
    assert not after.organisation().terms_signed
    after.close()


def test_pages_of_a_large_server_are_read_quickly(clock: FakeClock) -> None:
    """A page far into 50,000 devices is found by its position: reading it costs what a page costs."""
    standin = AppleStandIn(clock)
    server = standin.create_server("large", devices=50_000)
    timer = SystemClock()

    began = timer.monotonic()
    for after in range(0, 50_000, 1000):
        assert len(standin.store.page(server.number, after=after, limit=1000)) == 1000
    took = timer.monotonic() - began

    assert took < 5
