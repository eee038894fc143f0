"""What an MDM server reads: answers that are as described, and nothing for who may not."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from bot.access.api_tokens import ApiTokenService
from bot.backend.profile import Authentication, ProfileSettings
from bot.home import openapi, web
from bot.kit.actor import Actor
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.profiles.facts import ProfileView
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.described import Described
from tests.fakes.rooms import ADMIN, Rooms
from tests.kit.conftest import Lines, logged

__all__ = ["logged"]

ROOT = Actor.cli("root")
DESCRIBED = Described(openapi.document())


@dataclass
class Api:
    """The API over a bot's rooms; each answer is held against its description."""

    rooms: Rooms
    tokens: ApiTokenService
    client: httpx.AsyncClient

    async def bearer(self, name: str, *tags: str) -> dict[str, str]:
        added = await self.tokens.add(name, tags=frozenset(tags) if tags else None, actor=ROOT)
        return {"Authorization": f"Bearer {added.secret.get_secret_value()}"}

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def json(self, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self.get(path, headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def api(database: Database, clock: FakeClock, keyring: Keyring) -> AsyncIterator[Api]:
    rooms = Rooms.open(database, clock, keyring)
    tokens = ApiTokenService(db=database, clock=clock, audit=rooms.audit)
    app = Starlette(routes=web.routes(api_tokens=tokens, devices=rooms.devices, profiles=rooms.profiles))

    async def check(answer: httpx.Response) -> None:
        await answer.aread()
        DESCRIBED.check(answer)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://bot.example.com/api/v1",
        event_hooks={"response": [check]},
    ) as client:
        yield Api(rooms, tokens, client)


async def test_a_device_is_answered_with_what_is_known_of_it(api: Api) -> None:
    server, _ = await api.rooms.add_token("paris", tags=("schools",))
    made_elsewhere = "AB" * 16
    server.put(
        device("C02A"),
        device(
            "C02B",
            profile_uuid=made_elsewhere,
            profile_status="pushed",
            profile_pushed_at=api.rooms.clock.now(),
        ),
        device("C02C", profile_uuid=made_elsewhere, profile_status="removed"),
        device("C02D"),
    )
    await api.rooms.run_all()
    api.rooms.clock.move(timedelta(hours=1))
    server.take("C02C")
    await api.rooms.sync("paris")
    await api.rooms.devices.forget(["C02D"], actor=ADMIN)
    everything, schools, hq = (
        await api.bearer("mdm"),
        await api.bearer("s", "schools"),
        await api.bearer("h", "hq"),
    )

    found = await api.json("/devices/C02B", everything)
    assert found == {
        "serial": "C02B",
        "state": "present",
        "is_removed": False,
        "removed_at": None,
        "model": "iPad Air",
        "description": "IPAD AIR WI-FI 128GB SPACE GRAY-USA",
        "color": "SPACE GRAY",
        "asset_tag": None,
        "os": "iPadOS",
        "family": "iPad",
        "platform": "ios",
        "token": "paris",
        "profile_status": "pushed",
        "profile_assigned_at": None,
        "profile_pushed_at": "2026-05-01T09:00:00Z",
        "profile": {"uuid": made_elsewhere, "name": None, "version": None, "is_current": None},
        "device_name": None,
    }
    # In any case, with space around it, and for whoever reads its tag.
    assert await api.json("/devices/%20c02b%20", schools) == found
    removed = await api.json("/devices/C02C", everything)
    assert (removed["state"], removed["is_removed"], removed["profile"]) == ("removed", True, None)
    assert removed["removed_at"] is not None
    assert (await api.json("/devices/C02D", everything))["state"] == "forgotten"

    # Hidden and unknown are answered with the same, and Apple is not asked.
    asked = len(server.calls)
    answers = [await api.get(f"/devices/{serial}", hq) for serial in ("C02A", "C02B", "X999")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert len(server.calls) == asked

    paris = await api.rooms.tokens.get("paris", actor=ADMIN)
    await api.rooms.remove(paris.id)
    assert (await api.json("/devices/C02A", everything))["token"] is None
    assert (await api.get("/devices/C02A", schools)).status_code == 404


async def defined(rooms: Rooms, token_id: str) -> tuple[ProfileView, ProfileView]:
    """Define two versions of a profile: the first as it was, and the one in force."""
    settings = ProfileSettings(
        name="Sales iPad",
        description="For people in sales",
        user_affinity=True,
        authentication=Authentication.SETUP_ASSISTANT_MODERN,
        device_name_template="Sales-{{SERIAL}}-{{DEVICETYPE}}",
        mdm_url="https://mdm.example.com/enroll",
        hidden_screens=("Siri",),
    )
    drafts, made = rooms.profiles.drafts, []
    draft = await drafts.open_new(ADMIN, token_id=token_id, settings=settings)
    for _ in range(2):
        await drafts.begin_sending(draft.id, ADMIN)
        made.append((await rooms.profiles.define(draft.id, actor=ADMIN)).profile)
        draft = await drafts.open_edit(made[0].id, ADMIN)
        draft = await drafts.save(draft.id, ADMIN, {"name": "Sales", "device_name_template": None})
    return made[0], made[1]


async def test_a_profile_is_answered_with_what_apples_has_no_key_for_and_what_apple_was_sent(
    api: Api,
) -> None:
    server, token = await api.rooms.add_token("paris", tags=("schools",))
    first, second = await defined(api.rooms, token.id)
    server.put(device("C02A", profile_uuid=first.profile_uuid, profile_status="assigned"))
    server.put(device("C02B", family=None, profile_uuid=second.profile_uuid, profile_status="pushed"))
    await api.rooms.run_all()
    everything, schools, hq = (
        await api.bearer("mdm"),
        await api.bearer("s", "schools"),
        await api.bearer("h", "hq"),
    )

    plain = await api.json("/devices/C02B", everything)
    assert (plain["profile"]["version"], plain["profile"]["is_current"], plain["device_name"]) == (
        2,
        True,
        None,
    )
    carried = await api.json("/devices/C02A", schools)
    assert carried["profile"] == {
        "uuid": first.profile_uuid,
        "name": "Sales",
        "version": 1,
        "is_current": False,
    }
    assert carried["device_name"] == "Sales-C02A-iPad"

    # Reading a device is not yet reading its profile.
    assert (await api.rooms.profiles.get("Sales", actor=ADMIN)).read_at is None
    found = await api.json(f"/profiles/{first.profile_uuid}", everything)
    settings = found.pop("settings")
    sent = {
        key: value
        for key, value in server.profiles[first.profile_uuid].items()
        if key in found["service_profile"]
    }
    assert found.pop("service_profile") == sent
    assert sent["profile_name"] == "Sales iPad"
    assert found == {
        "uuid": first.profile_uuid,
        "name": "Sales",
        "description": "For people in sales",
        "version": 1,
        "is_current": False,
        "current_uuid": second.profile_uuid,
        "token": "paris",
        "defined_at": "2026-05-01T09:00:00Z",
        "licences_of": None,
    }
    assert list(settings.items())[:6] == [
        ("user_affinity", True),
        ("authentication", "setup_assistant_modern"),
        ("install_company_portal", False),
        ("content_token", None),
        ("single_app_mode", False),
        ("device_name_template", "Sales-{{SERIAL}}-{{DEVICETYPE}}"),
    ]
    assert set(settings) == set(ProfileSettings.__struct_fields__)
    assert settings["hidden_screens"] == ["Siri"]
    # The version that was read is an earlier one: nobody has read the one in force yet.
    assert (await api.rooms.profiles.get("Sales", actor=ADMIN)).read_at is None
    await api.json(f"/profiles/{second.profile_uuid}", schools)
    assert (await api.rooms.profiles.get("Sales", actor=ADMIN)).read_at == api.rooms.clock.now()

    dashed = str(uuid.UUID(first.profile_uuid))
    assert (await api.json(f"/profiles/{dashed}", schools))["uuid"] == first.profile_uuid
    odd = (first.profile_uuid, "0" * 32, "x", "%00", "%20", "-", f"{first.profile_uuid}%00", "%C3%9F" * 32)
    answers = [await api.get(f"/profiles/{each}", hq if each is odd[0] else everything) for each in odd]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert (await api.get(f"/profiles/{dashed}")).status_code == 401


async def test_a_profile_with_company_portal_names_the_location_of_its_licences(api: Api) -> None:
    _, token = await api.rooms.add_token("paris")
    _, content = await api.rooms.add_content_token("hq")
    settings = ProfileSettings(
        name="Sales iPad",
        user_affinity=True,
        authentication=Authentication.COMPANY_PORTAL,
        install_company_portal=True,
        content_token=content.id,
        mdm_url="https://mdm.example.com/enroll",
    )
    draft = await api.rooms.profiles.drafts.open_new(ADMIN, token_id=token.id, settings=settings)
    await api.rooms.profiles.drafts.begin_sending(draft.id, ADMIN)
    made = (await api.rooms.profiles.define(draft.id, actor=ADMIN)).profile
    found = await api.json(f"/profiles/{made.profile_uuid}", await api.bearer("mdm"))
    assert found["settings"]["content_token"] == content.id
    assert found["licences_of"] == {
        "content_token": "hq",
        "location_id": content.location_id,
        "location_name": "Example HQ",
    }


async def test_nobody_reads_without_an_api_token_that_is_good(api: Api) -> None:
    good = await api.bearer("mdm")
    secret = good["Authorization"].removeprefix("Bearer ")
    wrong = (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {secret}",
        secret,
        f"Bearer {secret}x",
        "Bearer \xff",
        f"Bearer {secret} x",
    )
    sent = [[(b"Authorization", each.encode("latin-1"))] for each in wrong]
    refused = [await api.client.get("/devices/C02A", headers=headers) for headers in ([], *sent)]
    # The scheme's case makes no difference.
    assert (await api.get("/devices/C02A", {"authorization": f"bearer {secret}"})).status_code == 404
    await api.tokens.revoke("mdm", actor=ROOT)
    refused.append(await api.get("/devices/C02A", good))
    for answer in refused:
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "enrollbot api-token add NAME" in answer.json()["next_step"]
        assert secret not in answer.text


async def test_odd_paths_and_methods_are_refused_in_json(api: Api) -> None:
    good = await api.bearer("mdm")
    odd = (
        *(
            "",
            "/",
            "/devices",
            "/devices/",
            "/devices/A/",
            "/devices/A/B",
            "/devices//",
            "/devices/%2F",
            "/nothing",
        ),
        *(
            "/devices/%00",
            "/devices/C02%00A",
            "/devices/%ED%A0%80",
            "/devices/%FF",
            "/devices/%C3%9F",
            "/devices/%0A",
        ),
        *(
            "/devices/..%2F..%2Fetc",
            "/devices/'%20OR%201=1",
            f"/devices/{'A' * 5000}",
            "/openapi.json/",
            "/../v2",
        ),
    )
    for path in odd:
        answer = await api.get(path, good)
        assert answer.status_code == 404, path
        assert answer.json()["next_step"]
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await api.client.request(method, "/devices/C02A", headers=good)
        assert (answer.status_code, answer.json()["next_step"]) == (405, "Use GET or HEAD.")
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_head_is_answered_like_get(api: Api) -> None:
    good = await api.bearer("mdm")
    for path, headers, status in (
        ("/openapi.json", {}, 200),
        ("/devices/A", good, 404),
        ("/devices/A", {}, 401),
    ):
        answer = await api.client.head(path, headers=headers)
        assert answer.status_code == status


async def test_a_failure_is_told_with_a_reference_and_nothing_else(
    api: Api, monkeypatch: pytest.MonkeyPatch, logged: Lines
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted detail")

    monkeypatch.setattr(api.rooms.devices, "known", fail)
    answer = await api.get("/devices/A", await api.bearer("mdm"))
    assert answer.status_code == 500
    assert "planted" not in answer.text
    [line] = logged()
    assert line["reference"] in answer.json()["error"]
    assert "planted detail" in line["exception"]


async def test_the_description_is_read_without_an_api_token_and_is_whole(api: Api) -> None:
    described = await api.json("/openapi.json")
    assert described == openapi.document()
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert named == set(described["components"]["schemas"])
    operations = [each["get"] for each in described["paths"].values()]
    assert len({each["operationId"] for each in operations}) == len(operations)


def test_the_examples_of_the_documentation_are_as_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    device_example, profile_example = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    DESCRIBED.hold(device_example, {"$ref": "#/components/schemas/DeviceAnswer"})
    schemas = DESCRIBED.document["components"]["schemas"]
    assert list(profile_example) == list(schemas["ProfileAnswer"]["properties"])
    settings = profile_example["settings"]
    assert settings.pop("…") == "and all the others"
    known = schemas["ProfileSettings"]
    DESCRIBED.hold(settings, {"properties": known["properties"], "additionalProperties": False})
