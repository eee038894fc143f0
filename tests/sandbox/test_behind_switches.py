"""The switches over HTTP, and what the real bot then says; the list of requests, without secrets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bot.sandbox import run
from bot.sandbox.visitor import Visitor
from tests.sandbox.apple_client import AppleClient

# One sandbox for all tests of this file: each leaves its switches as it found them.
pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
DEVICES = 60
PROFILE = {"profile_name": "Sales", "url": "https://mdm.example.com/enroll", "org_magic": "4711"}


class Drawer:
    """The drawer's calls, as the page makes them."""

    def __init__(self, box: run.Sandbox, client: httpx.AsyncClient) -> None:
        self.box = box
        self._client = client
        self.ana = Visitor(box.slack, "ana", within=20)

    async def state(self) -> Json:
        found: Json = (await self._client.get("/page/behind/state")).json()
        return found

    async def post(self, name: str, body: Json | None = None, **headers: str) -> httpx.Response:
        return await self._client.post(f"/page/behind/{name}", json=body or {}, headers=headers)

    async def days(self, count: int) -> None:
        before = (await self.state())["now"]
        answer = await self.post("clock", {"days": count})
        assert round((answer.json()["now"] - before) / 86_400) == count

    async def devices(self) -> dict[str, int]:
        return {server["name"]: server["devices"] for server in (await self.state())["servers"]}

    async def throws(self, switch: str, *, on: bool = True, of: str | None = None) -> Json:
        answer = await self.post("switches", {"switch": switch, "on": on, "of": of})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def says(self, command: str, expected: str) -> str:
        self.ana.reads()
        await self.ana.types(command)
        return (await self.ana.sees(expected)).text

    async def events(self, *until: str) -> list[tuple[str, Json]]:
        """Return what the live stream tells, up to the first event whose data has all these texts."""
        found: list[tuple[str, Json]] = []
        kind = ""
        # The client's own limit is five seconds between two events, and that long the bot may be at work.
        asked = self._client.stream("GET", "/page/behind/events", timeout=None)
        async with asyncio.timeout(30), asked as live:
            async for line in live.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: "):
                    found.append((kind, json.loads(line.removeprefix("data: "))))
                    if all(text in line for text in until):
                        return found
        raise AssertionError(f"{until} was not told")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drawer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Drawer]:
    folder: Path = tmp_path_factory.mktemp("behind") / "box"
    async with (
        run.sandbox(folder=folder, devices=DEVICES, plain=True) as box,
        httpx.AsyncClient(base_url=box.url, trust_env=False) as client,
    ):
        made = Drawer(box, client)
        await made.ana.sees(f"{DEVICES} devices now")
        yield made


async def test_terms_not_signed_are_said_until_they_are_signed(drawer: Drawer) -> None:
    (organisation,) = (await drawer.state())["organisations"]
    thrown = await drawer.throws("terms", of=organisation["id"])
    assert thrown["organisations"][0]["terms_signed"] is False
    drawer.ana.reads()
    await drawer.days(1)
    await drawer.ana.sees("new Apple terms to accept")
    await drawer.ana.presses("Check again")
    await drawer.ana.sees("still not accepted for Example Trust")
    back = await drawer.throws("terms", on=False, of=organisation["id"])
    assert back["organisations"][0]["terms_signed"] is True
    drawer.ana.reads()
    await drawer.ana.presses("Check again")
    await drawer.ana.sees("Accepted. paris is syncing.")
    await drawer.ana.sees("Token paris synced")


async def test_devices_moved_away_are_removed_by_the_next_sync_and_brought_back(drawer: Drawer) -> None:
    before = await drawer.devices()
    answer = await drawer.post("devices", {"act": "move", "server": "paris", "count": 25, "to": "lyon"})
    assert answer.json()["count"] == 25
    assert answer.json()["moved"] == {"server": "paris", "to": "lyon", "count": 25}
    drawer.ana.reads()
    await drawer.days(1)
    assert "25 removed" in (await drawer.ana.sees(f"{before['paris'] - 25} devices now")).text
    back = (await drawer.post("devices", {"act": "back"})).json()
    assert (back["count"], back["moved"]) == (25, None)
    assert await drawer.devices() == before
    assert (await drawer.post("devices", {"act": "back"})).status_code == 400


async def test_every_move_of_devices_is_taken_back_with_everything_else(drawer: Drawer) -> None:
    before = await drawer.devices()
    for to in ("lyon", None):
        await drawer.post("devices", {"act": "move", "server": "paris", "count": 25, "to": to})
    assert (await drawer.devices())["paris"] == before["paris"] - 50
    assert (await drawer.post("back")).json()["moved"] is None
    assert await drawer.devices() == before


@pytest.mark.parametrize("words", [300, 900])
async def test_a_long_body_of_slack_is_cut_and_keeps_its_headers(drawer: Drawer, words: int) -> None:
    long = [{"type": "section", "text": f"{number} " * words} for number in range(99)]
    told = asyncio.create_task(drawer.events(f"kept {words}"))
    drawer.box.slack.log.add(
        sender="slack",
        method="POST",
        url="/slack/events",
        sent={"headers": {"x-kept": f"kept {words}"}, "body": {"type": "block_actions", "blocks": long}},
        status=200,
        answer="",
        began=0.0,
    )
    kind, shown = (await told)[-1]
    assert kind == "request"
    assert shown["sent"]["headers"] == {"x-kept": f"kept {words}"}
    assert "block_actions" in json.dumps(shown["sent"]["body"])
    assert len(json.dumps(shown)) < 100_000


async def test_what_slack_refuses_comes_when_it_takes_posts_again(drawer: Drawer) -> None:
    assert (await drawer.throws("refuse_posts"))["refuse_posts"] is True
    before = await drawer.devices()
    added = await drawer.post("devices", {"act": "add", "server": "paris", "count": 40})
    assert added.json()["count"] == 40
    drawer.ana.reads()
    # Alerts are refused as well: this is the result of the sync.
    result = f"{before['paris'] + 40} devices now"
    told = asyncio.create_task(drawer.events('"note": "not_in_channel"', result))
    await drawer.days(1)
    await told
    assert (await drawer.throws("refuse_posts", on=False))["refuse_posts"] is False
    await drawer.post("devices", {"act": "add", "server": "paris", "count": 1})
    await drawer.days(1)
    await drawer.ana.sees(result)
    # Its sync is told, so nothing of this day is under way any more when the next test begins.
    await drawer.ana.sees(f"{before['paris'] + 41} devices now", channel="C0ENROLL")


async def test_apple_refuses_a_rejected_token_and_throttles_some_until_taken_back(drawer: Drawer) -> None:
    apple = drawer.box.apple
    made = apple.server("paris").credentials
    assert made is not None
    async with httpx.AsyncClient(base_url=drawer.box.abm_url.removesuffix("/abm"), trust_env=False) as http:
        client = AppleClient(http, drawer.box.clock, made)
        await drawer.throws("rejected", of="paris")
        assert (await client.ask_session()).text == "token_rejected"
        await drawer.throws("rejected", on=False, of="paris")
        await client.open_session()
        defined = await client.post("/profile", PROFILE)
        serials = [device["serial_number"] for device in apple.snapshot("paris")]
        order = {"profile_uuid": defined.json()["profile_uuid"], "devices": serials}
        await drawer.throws("throttle")
        throttled = (await client.post("/profile/devices", order)).json()["devices"]
        assert set(throttled.values()) == {"SUCCESS", "THROTTLED"}
        await drawer.throws("throttle", on=False)


async def test_a_location_s_tokens_are_ended_and_its_licences_used_and_bought(drawer: Drawer) -> None:
    drawer.box.apple.content.generate_token("Example HQ")
    ended = (await drawer.throws("revoked", of="Example HQ"))["locations"][0]
    assert (ended["name"], ended["has_token"], ended["revoked"]) == ("Example HQ", True, True)
    before = ended["portals"]["left"]
    used = await drawer.post("licences", {"act": "use", "location": "Example HQ", "count": before})
    assert used.json()["left"] == 0
    bought = await drawer.post("licences", {"act": "buy", "location": "Example HQ", "count": 25})
    assert bought.json()["locations"][0]["portals"] == {"total": ended["portals"]["total"] + 25, "left": 25}
    assert (await drawer.post("back")).json()["locations"][0]["revoked"] is False


async def test_put_everything_back_leaves_no_switch_thrown(drawer: Drawer) -> None:
    first = await drawer.state()
    organisation = first["organisations"][0]["id"]
    for switch in ("throttle", "slow", "refuse_posts", "refuse_charts"):
        assert (await drawer.throws(switch))[switch] is True
    await drawer.throws("terms", of=organisation)
    await drawer.throws("rejected", of="paris")
    assert drawer.box.apple.switches.slow_page_ms > 0
    back = (await drawer.post("back")).json()
    assert not any(back[switch] for switch in ("throttle", "slow", "refuse_posts", "refuse_charts"))
    assert all(entry["terms_signed"] for entry in back["organisations"])
    assert not any(server["rejected"] for server in back["servers"])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("switches", {"switch": "gravity", "on": True}),
        ("switches", {"switch": "terms", "on": True}),
        ("switches", {"switch": "rejected", "on": True, "of": "lyon"}),
        ("switches", {"switch": "slow", "on": "yes"}),
        ("devices", {"act": "add", "server": "nowhere", "count": 1}),
        ("devices", {"act": "add", "server": "paris", "count": 0}),
        ("clock", {"days": -1}),
        ("clock", {"days": 401}),
        ("clock", {"days": 10**12}),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_sentence(drawer: Drawer, name: str, body: Json) -> None:
    before = await drawer.state()
    answer = await drawer.post(name, body)
    assert answer.status_code == 400
    assert answer.json()["text"]
    after = await drawer.state()
    assert {**after, "now": 0} == {**before, "now": 0}


async def test_another_site_throws_no_switch(drawer: Drawer) -> None:
    body = {"switch": "slow", "on": True}
    assert (await drawer.post("switches", body, Origin="https://evil.example")).status_code == 403
    assert (await drawer.post("switches", body, Host="evil.example")).status_code == 403
    assert (await drawer.state())["slow"] is False


async def test_the_list_tells_all_three_sides_and_no_secret(drawer: Drawer) -> None:
    slack, apple = drawer.box.slack, drawer.box.apple
    planted = [
        slack.bot_token,
        slack.signing_secret,
        slack.workspace.secret("verification", ""),
        *apple.service.secrets(),
        drawer.box.environment["ENROLLBOT_ENCRYPTION_KEYS"],
    ]
    hidden = base64.b64encode(f"xy{slack.signing_secret}".encode()).decode()
    await drawer.says(f"/enroll device show {slack.bot_token} {hidden}", "too many")
    shown = await drawer.events("/enroll device show")
    entries = [data for kind, data in shown if kind == "request"]
    ways = {(entry["from"], entry["to"]) for entry in entries}
    assert ways == {("slack", "bot"), ("bot", "slack"), ("bot", "apple")}
    session = next(entry for entry in entries if entry["path"] == "/session")
    assert "oauth_timestamp=" in session["sent"]["headers"]["authorization"]
    assert session["answered"]["body"] == {"auth_session_token": "…"}
    page = next(entry for entry in entries if entry["path"] == "/server/devices")
    assert f"… {DEVICES} devices, " in page["answered"]["body"]["devices"][-1]
    text = json.dumps(shown, ensure_ascii=False)
    for secret in planted:
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode()[:-4] not in text
    assert hidden[4:-4] not in text
    assert [entry["n"] for entry in entries] == sorted(entry["n"] for entry in entries)
    assert all(entry["took_ms"] >= 0 for entry in entries)
    assert (await drawer.post("clear")).status_code == 200
    await drawer.says("/enroll help", "token")
    assert len(await drawer.events("/enroll help")) < len(shown)
