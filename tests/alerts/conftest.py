"""Alerts over the real services, told through a Slack that keeps what it has and refuses on request."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.alerts import gathering
from bot.alerts.digest_jobs import DigestRunner
from bot.alerts.digests import Digests
from bot.alerts.facts import AlertView
from bot.alerts.jobs import AlertRunner
from bot.alerts.service import AlertService
from bot.kit.background import Background
from bot.kit.db import Database
from bot.kit.leases import Leases
from bot.kit.secrets import Keyring
from bot.settings import Settings
from bot.slack.api import SlackApi
from bot.slack.hosts import SlackHosts
from bot.slack.post import Poster
from bot.tokens.facts import TokenView
from tests.fakes.backend import FakeBackend, FakeServer
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeContentBackend
from tests.fakes.rooms import ADMIN, Rooms

CHANNEL = "COPS"
Json = dict[str, Any]


@dataclass
class SlackFake:
    """Slack's messages, by channel, behind the real client. What is posted stays, whatever is answered.

    `refusal` is the word with which every call is refused, `refusals` by method, `is_down` that nothing
    arrives, `loses` how many posts are carried out whose answers are lost, `kills` what is raised once
    after a post was carried out, as if the process had ended.
    """

    clock: FakeClock
    messages: list[Json] = field(default_factory=list)
    log: list[tuple[str, Json]] = field(default_factory=list)
    refusal: str | None = None
    refusals: dict[str, str] = field(default_factory=dict)
    is_down: bool = False
    loses: int = 0
    posted: int = 0
    kills: type[BaseException] | None = None
    refused_channels: dict[str, str] = field(default_factory=dict)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def main(self, channel: str = CHANNEL) -> list[Json]:
        """Return the messages of a channel that stand in no thread."""
        return [each for each in self.messages if each["channel"] == channel and "thread_ts" not in each]

    def thread(self, ts: str) -> list[Json]:
        return [each for each in self.messages if each.get("thread_ts") == ts]

    def take_log(self) -> list[str]:
        """Return in short what was posted and updated since the last time."""
        told = [_short(method, body) for method, body in self.log]
        self.log.clear()
        return told

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("down", request=request)
        method = request.url.path.rpartition("/")[2]
        word = self.refusal or self.refusals.get(method)
        if word and method != "auth.test":
            return httpx.Response(200, json={"ok": False, "error": word})
        body: Json = json.loads(request.content) if request.content else dict(request.url.params)
        if word := self.refused_channels.get(body.get("channel", "")):
            return httpx.Response(200, json={"ok": False, "error": word})
        told = self._do(method, body)
        if method == "chat.postMessage" and self.kills:
            kills, self.kills = self.kills, None
            raise kills
        if method == "chat.postMessage" and self.loses:
            self.loses -= 1
            raise httpx.ReadError("lost", request=request)
        return httpx.Response(200, json={"ok": True, **told})

    def _stands(self, ts: str) -> bool:
        return any(each["ts"] == ts for each in self.messages)

    def _do(self, method: str, body: Json) -> Json:
        does: dict[str, Callable[[Json], Json]] = {
            "auth.test": lambda _: {"team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT"},
            "conversations.open": lambda body: {"channel": {"id": f"D{body['users']}"}},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": lambda body: {"messages": self.main(body["channel"])[::-1]},
            "conversations.replies": lambda body: {"messages": self.thread(body["ts"])},
        }
        return does[method](body)

    def _post(self, body: Json) -> Json:
        if "thread_ts" in body and not self._stands(body["thread_ts"]):
            return {"ok": False, "error": "thread_not_found"}
        self.posted += 1
        keys = ("channel", "text", "blocks", "metadata", "thread_ts", "reply_broadcast")
        kept = {key: body[key] for key in keys if key in body}
        self.messages.append({**kept, "ts": f"{self.posted}.0", "user": "UBOT"})
        self.log.append(("chat.postMessage", body))
        return {"ts": f"{self.posted}.0", "channel": body["channel"]}

    def _update(self, body: Json) -> Json:
        found = next((each for each in self.messages if each["ts"] == body["ts"]), None)
        if found is None:
            return {"ok": False, "error": "message_not_found"}
        found |= {"text": body["text"], "blocks": body["blocks"]}
        self.log.append(("chat.update", body))
        return {"ts": body["ts"]}


def _short(method: str, body: Json) -> str:
    first = body["text"].split("\n")[0].partition(" (")[0]
    if method == "chat.update":
        return f"update: {first}"
    if "thread_ts" not in body:
        return f"post: {first}"
    return f"{'broadcast' if body.get('reply_broadcast') else 'reply'}: {first}"


@dataclass
class Desk:
    """One replica after another on one database: `restart` forgets everything that memory held."""

    db: Database
    clock: FakeClock
    keyring: Keyring
    slack: SlackFake
    settings: Settings
    backend: FakeBackend
    content: FakeContentBackend
    rooms: Rooms = field(init=False)
    service: AlertService = field(init=False)
    runner: AlertRunner = field(init=False)
    digests: DigestRunner = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.rooms = Rooms.open(
            self.db,
            self.clock,
            self.keyring,
            backend=self.backend,
            settings=self.settings,
            content=self.content,
        )
        self.service = AlertService(
            db=self.db,
            clock=self.clock,
            audit=self.rooms.audit,
            tokens=self.rooms.tokens,
            licenses=self.rooms.licenses,
            deadlines=self.rooms.deadlines,
            gathering=gathering.Gathering(
                gathering.Rooms(
                    tokens=self.rooms.tokens,
                    devices=self.rooms.devices,
                    profiles=self.rooms.profiles,
                    licenses=self.rooms.licenses,
                    deadlines=self.rooms.deadlines,
                    assignments=self.rooms.assignments,
                    access=self.rooms.access,
                ),
                clock=self.clock,
                settings=self.settings,
            ),
            settings=self.settings,
        )
        api = SlackApi(
            SecretStr("xoxb-1"),
            hosts=SlackHosts.of("http://slack.test/api/"),
            clock=self.clock,
            transport=self.slack.transport(),
        )
        poster, leases = Poster(api, self.clock), Leases(self.db, self.clock)
        self.digests = DigestRunner(
            Digests(
                db=self.db,
                clock=self.clock,
                alerts=self.service,
                audit=self.rooms.audit,
                tokens=self.rooms.tokens,
                devices=self.rooms.devices,
                profiles=self.rooms.profiles,
            ),
            poster=poster,
            leases=leases,
            admins=self._admins,
        )
        self.runner = AlertRunner(
            self.service,
            poster=poster,
            background=Background(),
            leases=leases,
            admins_of=self._admins,
        )

    async def restart(self) -> None:
        """Begin anew, as after a kill: leases of the dead have run out or were ended."""
        self.start()
        await Leases(self.db, self.clock).forget_dead_holders()

    async def _admins(self, _view: AlertView | None = None) -> list[str]:
        return ["UADMIN", "UOTHER"]

    async def token(self, days: float, name: str = "paris", **settings: str) -> tuple[TokenView, FakeServer]:
        """Have a token that expires in so many days."""
        server = self.backend.server(name)
        added = await self.rooms.tokens.add(name, actor=ADMIN, apple_id="ade@example.com", agreed=True)
        return await self.renew(added.token, server, days), server

    async def renew(self, token: TokenView, server: FakeServer, days: float) -> TokenView:
        certificate = await self.rooms.tokens.certificate(token.id, actor=ADMIN)
        file = server.generate_token(certificate.content.decode(), valid_for=timedelta(days=days))
        return (await self.rooms.tokens.upload(token.id, file, actor=ADMIN)).token

    async def _sync(self) -> None:
        """Keep what is in use synced and counted: only expiries are told of it."""
        for token in await self.rooms.tokens.list_tokens(actor=ADMIN):
            if token.state.can_sync:
                await self.rooms.sync(token.name)
        for content_token_id in await self.rooms.licenses.due():
            await self.rooms.licenses.count(content_token_id)

    async def look(self, length: timedelta = timedelta()) -> list[str]:
        """Let time pass, look, and return in short what Slack was told."""
        self.clock.move(length)
        if length >= timedelta(hours=12):
            await self._sync()
        await self.runner.look(self.clock.now())
        return self.slack.take_log()

    async def morning(self, length: timedelta = timedelta()) -> list[str]:
        """Let time pass, tell the digests that are due, and return in short what Slack was told."""
        self.clock.move(length)
        await self.digests.look(self.clock.now())
        return self.slack.take_log()


@pytest.fixture
def slack(clock: FakeClock) -> SlackFake:
    return SlackFake(clock)


def open_desk(db: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake, **changes: Any) -> Desk:
    settings = Settings(**({"channel": CHANNEL, "alert_mention": "SONCALL"} | changes))
    return Desk(db, clock, keyring, slack, settings, FakeBackend(clock), FakeContentBackend(clock))


@pytest.fixture
def desk(sqlite_database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake) -> Desk:
    return open_desk(sqlite_database, clock, keyring, slack)
