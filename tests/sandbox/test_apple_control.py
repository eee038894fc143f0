"""The stand-in's switches over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import Paris, keys, paris


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Paris]:
    async with paris(clock, devices=10) as made:
        yield made


async def order(world: Paris, name: str, body: dict[str, Any]) -> httpx.Response:
    return await world.client.http.post(f"/_control/{name}", json=body)


async def test_the_state_tells_servers_and_switches_without_secrets(world: Paris) -> None:
    state = await world.client.http.get("/_control/state")

    server = state.json()["servers"][0]
    made = world.client.credentials
    assert (server["name"], server["devices"], server["has_certificate"]) == ("paris", 10, True)
    assert server["token"]["expires_at"] == "2027-05-01T09:00:00Z"
    assert state.json()["switches"]["throttle_fraction"] == 0.0
    assert made.access_secret not in state.text
    assert made.access_token not in state.text


async def test_a_server_is_made_and_its_token_generated(world: Paris) -> None:
    made = await order(world, "servers", {"name": "lyon", "devices": 4})
    await order(world, "certificate", {"server": "lyon", "certificate": keys().pem})
    token = await order(world, "token", {"server": "lyon", "action": "generate", "valid_days": 12})

    assert made.json()["devices"] == 4
    assert token.headers["content-disposition"] == (
        'attachment; filename="lyon_Token_2026-05-01T09-00-00Z_smime.p7m"'
    )
    assert token.content.startswith(b"Content-Type: application/pkcs7-mime")


@pytest.mark.parametrize(("action", "status"), [("reject", 403), ("expire", 401), ("accept", 200)])
async def test_the_token_in_use_is_ended(world: Paris, action: str, status: int) -> None:
    await order(world, "token", {"server": "paris", "action": action})

    assert (await world.client.ask_session()).status_code == status


async def test_terms_access_and_sessions_are_switched(world: Paris) -> None:
    await order(world, "terms", {"signed": False})
    unsigned = await world.client.call("GET", "/account")
    await order(world, "terms", {"signed": True})
    await order(world, "access", {"server": "paris", "denied": True})
    denied = await world.client.call("GET", "/account")
    await order(world, "access", {"server": "paris", "denied": False})
    await order(world, "sessions/end", {})
    ended = await world.client.call("GET", "/account")

    assert [unsigned.text, denied.text, ended.text] == ["T_C_NOT_SIGNED", "ACCESS_DENIED", "UNAUTHORIZED"]


async def test_devices_are_added_changed_and_moved(world: Paris) -> None:
    _, cursor = await world.client.fetch_all()
    world.standin.create_server("lyon")
    orders: list[dict[str, Any]] = [
        {"action": "add", "count": 2},
        {"action": "modify", "count": 1},
        {"action": "set_profile", "count": 1, "profile_uuid": "AB" * 16},
        {"action": "activate", "count": 1},
        {"action": "reassign", "count": 1, "to": "lyon"},
        {"action": "remove", "count": 1},
    ]
    for each in orders:
        assert (await order(world, "devices", {"server": "paris", **each})).status_code == 200

    changes = (await world.client.post("/devices/sync", {"cursor": cursor})).json()["devices"]
    truth = (await world.client.http.get("/_control/devices", params={"server": "paris"})).json()

    assert [device["op_type"] for device in changes] == [
        *["added"] * 2,
        *["modified"] * 3,
        *["deleted"] * 2,
    ]
    assert len(truth) == 10
    assert {device["server"] for device in truth} == {"paris"}


async def test_a_device_is_broken_and_mended(world: Paris) -> None:
    broken = (await order(world, "devices", {"server": "paris", "action": "break", "count": 1})).json()
    during, _ = await world.client.fetch_all()
    await order(world, "devices", {"server": "paris", "action": "break", "flaw": "", **broken})
    after, _ = await world.client.fetch_all()

    assert sum("serial_number" not in device for device in during) == 1
    assert all("serial_number" in device for device in after)


async def test_faults_are_planned_and_cleared(world: Paris) -> None:
    await order(world, "faults", {"kind": "500"})
    planned = await world.client.post("/server/devices", {})
    await world.client.http.delete("/_control/faults")

    assert planned.status_code == 500
    assert (await world.client.post("/server/devices", {})).status_code == 200


async def test_switches_change_together_or_not_at_all(world: Paris) -> None:
    good = await order(world, "switches", {"throttle_fraction": 0.5, "throttled": ["C02"]})
    unknown = await order(world, "switches", {"session_life": 5, "speed": 1})
    wrong = await order(world, "switches", {"session_life": "long"})

    switches = world.standin.switches
    assert [good.status_code, unknown.status_code, wrong.status_code] == [200, 400, 400]
    assert (switches.throttle_fraction, switches.throttled) == (0.5, {"C02"})
    assert switches.session_life == 1800
    assert "speed" in unknown.json()["error"]


async def test_the_log_is_read_from_a_number_on(world: Paris) -> None:
    first = (await world.client.http.get("/_control/log")).json()
    await world.client.call("GET", "/account")

    later = await world.client.http.get("/_control/log", params={"since": first[-1]["number"]})

    assert [(entry["path"], entry["status"]) for entry in later.json()] == [("/account", 200)]


@pytest.mark.parametrize(
    "body",
    [
        {"server": "nowhere", "action": "add", "count": 1},
        {"server": "paris", "action": "remove"},
        {"server": "paris", "action": "reassign", "count": 1},
        {"server": "paris", "action": "paint", "count": 1},
        {"server": "paris"},
    ],
)
async def test_an_order_that_makes_no_sense_changes_nothing(world: Paris, body: dict[str, Any]) -> None:
    before = world.standin.snapshot()

    answer = await order(world, "devices", body)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert world.standin.snapshot() == before


async def test_a_page_of_another_site_cannot_give_orders(world: Paris) -> None:
    as_a_form = await world.client.http.post("/_control/terms", content=b'{"signed": false}')
    by_name = await world.client.http.get("/_control/state", headers={"Host": "evil.example"})

    assert as_a_form.status_code == 415
    assert by_name.status_code == 403
    assert world.standin.organisation().terms_signed
