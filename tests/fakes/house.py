"""The whole bot between the stand-ins, over HTTP, in one process, and the people who use it."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlmodel import col
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.apple.token_file import make_key_pair
from bot.audit.models import AuditEntry
from bot.backend.profile import ProfileSettings
from bot.devices.jobs import LOOK_EVERY
from bot.kit.actor import Actor, Rights, Role
from bot.kit.db import Table
from bot.kit.secrets import generate_key
from bot.main import Bot, assemble, services
from bot.profiles.facts import ProfileView
from bot.sandbox.apple import content_service
from bot.sandbox.apple.faults import PAGES
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.serving import serving
from bot.sandbox.slack import people
from bot.sandbox.slack.delivery import Answer
from bot.sandbox.slack.standin import SlackStandIn
from bot.sandbox.visitor import Seen, Visitor
from bot.settings import Settings
from tests.fakes.clock import FakeClock

Json = dict[str, Any]
SERVER_TOKEN = "Server token (.p7m)"
#: What changes without anybody having changed anything: who claimed what, and what is kept of sessions.
_MACHINERY = frozenset({"claimed", "job", "job_run", "lease", "token_session"})
#: What stands in a house's folder, beside what the stand-ins keep there.
DATABASE = "enrollbot.db"
_LEFT = "left.json"


@dataclass
class Heard:
    """What an act brought to the person who did it: new and changed messages, and the modal on top."""

    messages: list[Seen]
    modal: Seen | None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.messages)

    @property
    def buttons(self) -> list[str]:
        return [label for message in self.messages for label in message.buttons]

    def __contains__(self, words: str) -> bool:
        return words in self.text

    def __repr__(self) -> str:
        return f"{self.text}\n[modal] {self.modal and self.modal.text}\n[errors] {self.errors}"


class Gate:
    """Stands before Apple: sees the session tokens, and can hold back calls that answer pages of devices."""

    def __init__(self, app: ASGIApp) -> None:
        self.sessions: set[str] = set()
        self._app = app
        self._open = asyncio.Event()
        self._open.set()
        self._spared = 0
        self.reached = asyncio.Event()

    def close(self, *, after: int = 0) -> None:
        """Let `after` more pages through and hold the next one back; `reached` is set when it is due."""
        self._spared = after
        self.reached.clear()
        self._open.clear()

    def spare(self, pages: int) -> None:
        """Let more pages through and go on holding back those that wait already."""
        self._spared = pages

    def open(self) -> None:
        self._open.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if session := headers.get(b"x-adm-auth-session"):
            self.sessions.add(session.decode())
        if scope["type"] == "http" and scope["path"] in PAGES and not self._open.is_set():
            self._spared -= 1
            if self._spared < 0:
                self.reached.set()
                await self._open.wait()
        await self._app(scope, receive, send)


class Tap:
    """Stands before Slack and keeps every body that the bot sends, as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.bodies: list[bytes] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            part = await receive()
            self.bodies.append(part.get("body", b""))
            return part

        await self._app(scope, heard, send)


@dataclass
class House:
    """A running bot, the services around it, and three people: admin, operator, guest."""

    bot: Bot
    apple: AppleStandIn
    gate: Gate
    slack: SlackStandIn
    tap: Tap
    clock: FakeClock
    url: str
    settings: Settings
    ana: Visitor
    ben: Visitor
    cleo: Visitor

    # What people do; each waits until all that follows from it has been done.

    async def types(self, who: Visitor, command: str, *, channel: str | None = None) -> Heard:
        before = await _shown_to(who)
        failure = await who.types(command, channel=channel)
        assert failure is None, f"{command}: {failure}"
        return await self._heard(who, before)

    async def presses(self, who: Visitor, label: str) -> Heard:
        before = await _shown_to(who)
        failure = await who.presses(label)
        assert failure is None, f"{label}: {failure}"
        return await self._heard(who, before)

    async def fills(self, who: Visitor, values: Mapping[str, object]) -> Heard:
        """Fill in the open modal and send it; `errors` are those at its inputs."""
        before = await _shown_to(who)
        errors = await who.fills(values, submit=True)
        return await self._heard(who, before, errors)

    async def uploads(
        self, who: Visitor, content: bytes, *, name: str = "token.p7m", label: str = SERVER_TOKEN
    ) -> Heard:
        """Hand a file over in the open upload modal."""
        before = await _shown_to(who)
        errors = await who.uploads(label, name, content, submit=True)
        return await self._heard(who, before, errors)

    async def opens_home(self, who: Visitor) -> str:
        await who.opens_home()
        await self.slack.settled()
        await self.quiet()
        return (await who.sees_home("")).text

    async def forges(self, user_id: str, action_id: str, value: str) -> Answer:
        """Send, signed as Slack does, that somebody pressed a button that they were never shown."""
        answer = await self.slack.courier.send_payload(
            {
                "type": "block_actions",
                "user": {"id": user_id, "team_id": people.TEAM["id"]},
                "team": {"id": people.TEAM["id"]},
                "channel": {"id": people.ENROLLMENT_CHANNEL},
                "trigger_id": self.slack.surfaces.trigger(user_id),
                "response_url": self.slack.hooks.new(person=user_id, channel=people.ENROLLMENT_CHANNEL),
                "actions": [{"type": "button", "action_id": action_id, "value": value, "action_ts": value}],
            }
        )
        await self.quiet()
        return answer

    async def submits(self, user_id: str, callback_id: str, metadata: str, values: Json) -> Answer:
        """Send, signed as Slack does, a modal that the person was never shown.

        `values` are its inputs by block id, each as Slack's state has it.
        """
        view = {
            "id": f"V{self.slack.surfaces.trigger(user_id)}",
            "type": "modal",
            "hash": "1.2",
            "callback_id": callback_id,
            "private_metadata": metadata,
            "blocks": [{"type": "input", "block_id": block_id} for block_id in values],
            "state": {"values": values},
        }
        answer = await self.slack.courier.send_payload(
            {
                "type": "view_submission",
                "user": {"id": user_id, "team_id": people.TEAM["id"]},
                "team": {"id": people.TEAM["id"]},
                "trigger_id": self.slack.surfaces.trigger(user_id),
                "view": view,
            }
        )
        await self.quiet()
        return answer

    # What a test needs to be there

    async def add_token(self, name: str, *, devices: int) -> None:
        """Do what an admin does to add a token, without looking at each step."""
        self.apple.create_server(name, devices=devices)
        await self.types(self.ana, f"/enroll token add {name} --apple-id ade@example.com --agree")
        self.apple.upload_certificate(name, await self.ana.downloads(f"{name}.pem"))
        await self.types(self.ana, f"/enroll token upload {name}")
        await self.uploads(self.ana, self.apple.generate_token(name)[1])
        await self.ana.closes()
        await self.settle()

    async def has_token(self, name: str = "paris", *, devices: int = 25) -> str:
        """Have an active token whose devices are synced, brought in from the command line; its id."""
        self.apple.create_server(name, devices=devices)
        private_key, certificate = ready_key_pair(name)
        self.apple.upload_certificate(name, certificate)
        imported = await self.bot.services.tokens.import_token(
            name,
            actor=Actor.cli("setup"),
            private_key_pem=SecretStr(private_key),
            certificate_pem=certificate.encode(),
            token_file=self.apple.generate_token(name)[1],
            agreed=True,
        )
        await self.settle()
        return imported.token.id

    async def has_profile(self, token_id: str, name: str = "Sales iPad", **settings: Any) -> ProfileView:
        """Have a profile, defined with the service as an admin does; `settings` add to the usual."""
        actor, drafts = Actor.cli("setup"), self.bot.services.profiles.drafts
        usual: dict[str, Any] = {"name": name, "mdm_url": "https://mdm.example.com/enroll"}
        draft = await drafts.open_new(actor, token_id=token_id, settings=ProfileSettings(**usual | settings))
        await drafts.begin_sending(draft.id, actor)
        return (await self.bot.services.profiles.define(draft.id, actor=actor)).profile

    async def removes_token(self, name: str) -> None:
        """Have the removal of a token requested by Ana and approved by another admin."""
        ana, other = (Actor(each, rights=Rights.of(Role.ADMIN)) for each in (people.ANA, "U0OTHER"))
        service = self.bot.services.assignments
        token = await self.bot.services.tokens.get(name, actor=ana)
        preview = await service.preview_removal(token.id, actor=ana)
        await service.send(preview.id, actor=ana)
        await service.approve(preview.id, actor=other)
        await self.quiet()

    def new_token_file(self, name: str = "paris", **how: Any) -> bytes:
        """Generate a token in ABM, which ends the present one; a second later, so that it expires later."""
        self.clock.move(timedelta(seconds=1))
        return self.apple.generate_token(name, **how)[1]

    # Time

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        await self.bot.services.background.idle()

    async def settle(self) -> None:
        """Wait until nothing is under way, and do what became due, a few seconds later."""
        await self.quiet()
        self.clock.move(LOOK_EVERY)
        for job in ("devices.syncs", "devices.schedule", "tokens.account"):
            await self.bot.jobs.run_due(job)
        await self.quiet()

    async def waits(self, length: timedelta) -> None:
        """Let time pass, then do what became due, and what that made due."""
        self.clock.move(length)
        await self.settle()
        await self.settle()

    # What can be seen

    async def acts(self) -> list[tuple[str, str, str]]:
        """Return the audit, oldest first: who, what, of what."""
        query = sa.select(AuditEntry).order_by(col(AuditEntry.number))
        async with self.bot.services.db.read() as session:
            entries = (await session.execute(query)).scalars().all()
        return [(entry.actor, entry.action, entry.subject_name) for entry in entries]

    async def contents(self) -> dict[str, list[str]]:
        """Return every row of every table, to see whether anything was changed."""
        async with self.bot.services.db.read() as session:
            return {
                table.name: sorted(repr(tuple(row)) for row in await session.execute(sa.select(table)))
                for table in Table.metadata.sorted_tables
                if table.name not in _MACHINERY
            }

    def posts(self, channel: str = people.ENROLLMENT_CHANNEL) -> str:
        """Return what everybody can read in a channel."""
        return "\n".join(
            json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)
            for message in self.slack.workspace.messages(channel)
            if "ephemeral_for" not in message
        )

    async def _heard(
        self, who: Visitor, before: dict[str, str], errors: dict[str, str] | None = None
    ) -> Heard:
        await self.quiet()
        after = await who.messages()
        new = [message for message in after if before.get(_key(message)) != message.text]
        return Heard(new, await who.modal(), errors or {})


@contextlib.asynccontextmanager
async def open_house(
    database_url: str, clock: FakeClock, *, folder: Path | None = None, **changes: Any
) -> AsyncIterator[House]:
    """Run a bot of its own on a database; `changes` are settings that differ from the usual ones.

    The stand-ins keep what they know in `folder`, or in memory without one.
    """
    async with contextlib.AsyncExitStack() as stack:
        apple = AppleStandIn(clock, folder=folder)
        stack.callback(apple.close)
        gate = Gate(apple.app)
        stack.callback(gate.open)
        if not apple.organisations:
            apple.create_organisation("Example Trust")
        slack = SlackStandIn(clock, folder=folder)
        tap = Tap(slack.app)
        slack.base_url = await stack.enter_async_context(serving(tap))
        stack.push_async_callback(slack.close)
        given = {
            "slack_bot_token": SecretStr(slack.bot_token),
            "slack_signing_secret": SecretStr(slack.signing_secret),
            "slack_api_url": slack.api_url,
            "dep_url": (apple_url := await stack.enter_async_context(serving(gate))),
            "vpp_url": f"{apple_url}{content_service.BASE}",
            "database_url": SecretStr(database_url),
            "encryption_keys": SecretStr(generate_key()),
            "admins": [people.ANA],
            "default_role": "operator",
            "channel": people.ENROLLMENT_CHANNEL,
        }
        settings = Settings(**(given | changes))
        bot, url = await stack.enter_async_context(_running(settings, clock))
        slack.bot_url = f"{url}/slack/events"
        ana, ben, cleo = (Visitor(slack, name) for name in ("ana", "ben", "cleo"))
        yield House(bot, apple, gate, slack, tap, clock, url, settings, ana, ben, cleo)


async def furnish(folder: Path, *, devices: int) -> None:
    """Live in a house on the database of this folder until it has the token paris, and leave it there."""
    clock, key = FakeClock(datetime(2026, 5, 1, 9, 0, tzinfo=UTC)), generate_key()
    database_url = f"sqlite:///{folder / DATABASE}"
    async with open_house(database_url, clock, folder=folder, encryption_keys=SecretStr(key)) as house:
        await house.has_token("paris", devices=devices)
    (folder / _LEFT).write_text(json.dumps({"at": clock.now().isoformat(), "key": key}))


@contextlib.asynccontextmanager
async def open_furnished(folder: Path, clock: FakeClock, **changes: Any) -> AsyncIterator[House]:
    """Go on where `furnish` has left this folder, at the same moment; what was in memory is forgotten."""
    left = json.loads((folder / _LEFT).read_text())
    clock.move(datetime.fromisoformat(left["at"]) - clock.now())
    database_url = f"sqlite:///{folder / DATABASE}"
    given = {"encryption_keys": SecretStr(left["key"])} | changes
    async with open_house(database_url, clock, folder=folder, **given) as house:
        yield house


@contextlib.asynccontextmanager
async def another_replica(house: House) -> AsyncIterator[House]:
    """Run a second bot on the same database; people's commands go to the first."""
    async with _running(house.settings, house.clock) as (bot, url):
        yield replace(house, bot=bot, url=url)


@contextlib.asynccontextmanager
async def _running(settings: Settings, clock: FakeClock) -> AsyncIterator[tuple[Bot, str]]:
    async with contextlib.AsyncExitStack() as stack:
        wired = await stack.enter_async_context(services(settings, clock=clock))
        bot = assemble(wired)
        stack.push_async_callback(bot.slack.close)
        url = await stack.enter_async_context(serving(bot.web))
        stack.push_async_callback(wired.background.drain, 5)
        yield bot, url


@functools.cache
def ready_key_pair(name: str) -> tuple[str, str]:
    """Making keys takes longer than most tests: one pair for each name and run."""
    pair = make_key_pair(name, now=datetime(2026, 1, 1, tzinfo=UTC))
    return pair.private_key_pem.get_secret_value(), pair.certificate_pem


async def _shown_to(who: Visitor) -> dict[str, str]:
    return {_key(message): message.text for message in await who.messages()}


def _key(message: Seen) -> str:
    return f"{message.raw['channel']} {message.raw['ts']}"
