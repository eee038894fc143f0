"""The words for the service and its portal come from the backend, in every room."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.backend.port import BackendTexts, ServiceUnavailable, TermsNotSigned, TokenRejected
from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home import blocks as home_blocks
from bot.home import glance_blocks
from bot.home.facts import Glance, TokenRow
from bot.kit.actor import Rights, Role
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.secrets import Keyring
from bot.slack.blocks import Message, View
from bot.tokens import blocks, errors, rules
from bot.tokens.errors import FileFitsAnotherToken, Need, OtherToken, RenewalRefused, Standing
from bot.tokens.facts import NextAction, TokenState, TokenView
from tests.builders import NOW, token_view
from tests.fakes.backend import FakeServer
from tests.fakes.clock import FakeClock
from tests.tokens.conftest import ANA, Room, make_room
from tests.tokens.desk import Desk, Outlet, ticked, typed

BOT = Path(blocks.__file__).parents[1]
ROOMS = (
    "audit",
    "access",
    "deadlines",
    "tokens",
    "licenses",
    "profiles",
    "devices",
    "assignments",
    "alerts",
    "outside",
    "home",
)
WORDS = re.compile(r"ABM|Apple(?! IDs?\b)")

OTHER = BackendTexts(
    service="Example Service",
    portal="Example Portal",
    agreement="I agree that information is sent to the Example Service",
    add_steps=("Make a server named *{name}* there.",),
    renew_steps=("Sign in as {apple_id}.",),
    renew_new_key_steps=("Open server *{server}*.",),
    assign_devices_steps=("Assign devices to server *{server}*.",),
    renew_warning="A new token ends the current one.",
    terms_step="Somebody of {org} accepts the terms.",
    configurator="Example Configurator",
)
PORTAL, SERVICE = OTHER.portal, OTHER.service
LATER = NOW + timedelta(days=14)
ENDED = Standing(accepted=False, expires_at=LATER, days_left=14)
UNKNOWN = Standing(accepted=None, expires_at=LATER, days_left=14)
GOOD = Standing(accepted=True, expires_at=LATER, days_left=14)


class Record(Outlet):
    """Keeps everything that a person may read, also what later took its place."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def note(self, shown: Message | View | str) -> None:
        what = [shown.text, shown.blocks] if isinstance(shown, Message) else shown
        self.read.append(json.dumps(what, ensure_ascii=False))

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        self.note(message)
        return await super().respond(url, message, replace=replace)

    async def whisper(self, channel: str, user_id: str, message: Message) -> bool:
        self.note(message)
        return await super().whisper(channel, user_id, message)

    async def direct(self, user_id: str, message: Message) -> None:
        self.note(message)
        await super().direct(user_id, message)

    async def send_file(
        self, user_id: str, *, name: str, content: bytes | Path, comment: Message | None
    ) -> None:
        if comment is not None:
            self.note(comment)
        await super().send_file(user_id, name=name, content=content, comment=comment)

    async def open_view(self, trigger_id: str, view: View, *, push: bool) -> str:
        self.note(view)
        return await super().open_view(trigger_id, view, push=push)

    async def update_view(self, view_id: str, view: View) -> bool:
        self.note(view)
        return await super().update_view(view_id, view)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A person at a bot whose service is another one, and all that this person read."""

    room: Room
    desk: Desk
    record: Record

    async def type(self, text: str) -> None:
        await self._do(self.desk.type(text))

    async def press(self, action: NextAction, token_id: str) -> None:
        await self._do(self.desk.press({"action_id": action.value, "value": token_id}))

    async def send(self, **values: object) -> None:
        await self._do(self.desk.send(values))

    async def upload(self, name: str, content: bytes) -> None:
        await self.type(f"token upload {name}")
        await self._do(self.desk.upload(content))

    async def _do(self, act: Any) -> None:
        try:
            await act
        except EnrollbotError as error:
            self.record.note(str(error))
        if self.record.view is not None:
            self.record.note(self.record.view)

    def read(self) -> str:
        posted = [text for _, message in self.desk.channel.posts for text in (message.text, said(message))]
        return "\n".join([*self.record.read, *posted])


@pytest.fixture
def elsewhere(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Elsewhere:
    room = make_room(sqlite_database, clock, keyring, texts=OTHER)
    desk, record = Desk(room), Record()
    desk.outlet = record
    return Elsewhere(room, desk, record)


def said(message: Message | View) -> str:
    return json.dumps(message.blocks if isinstance(message, Message) else message, ensure_ascii=False)


def strays(text: str) -> list[str]:
    """Return the lines in which a word of Apple's stands."""
    return [line for line in text.splitlines() if WORDS.search(line)]


async def test_adding_a_token_speaks_of_the_service_at_hand(elsewhere: Elsewhere) -> None:
    await elsewhere.type("token add")
    form = {"apple_id": typed("ade@example.com"), "mdm_url": typed(""), "tags": typed("")}
    await elsewhere.send(name=typed("unassigned"), agree=ticked(), **form)
    await elsewhere.send(name=typed("paris"), agree=ticked("agree"), **form)
    await elsewhere.type("token add lyon --apple-id ade@example.com --agree")
    await elsewhere.type("token add reassigned --apple-id ade@example.com")
    token = await elsewhere.room.tokens.get("paris", actor=ANA)
    await elsewhere.press(NextAction.GET_CERTIFICATE, token.id)
    await elsewhere.press(NextAction.CHECK_AGAIN, token.id)
    await elsewhere.type("token renew paris")
    read = elsewhere.read()
    assert strays(read) == []
    for words in (
        OTHER.agreement,
        f"Give the server the same name in {PORTAL}",
        f"{PORTAL} takes no server named unassigned.",
        f"information is sent to {SERVICE}.",
        f"in your direct messages. In {PORTAL}:",
        f"to its server in {PORTAL}. It is no secret.",
        f"Upload the one made in {PORTAL} first.",
    ):
        assert words in read
    agreed = [entry.detail["agreed"] for entry in await elsewhere.room.audited() if "agreed" in entry.detail]
    assert agreed == [OTHER.agreement] * 2


async def test_a_first_upload_speaks_of_the_service_at_hand(elsewhere: Elsewhere) -> None:
    room = elsewhere.room
    token, server = await room.add(), room.backend.server("paris")
    await elsewhere.type("token upload paris")
    await elsewhere.send(file={"type": "file_input", "files": []})
    await elsewhere.upload("paris", b"\n")
    await elsewhere.upload("paris", b"%PDF-1.7")
    content = await room.file_for(token, server)
    for error in (
        TokenRejected("no", word="token_rejected"),
        TermsNotSigned("terms"),
        ServiceUnavailable("It could not be reached."),
    ):
        server.refuse("account", error)
        await elsewhere.upload("paris", content)
    await elsewhere.upload("paris", content)
    await room.add("lyon")
    await elsewhere.upload("lyon", server.generate_token(await certificate_of(room, "lyon")))
    read = elsewhere.read()
    assert strays(read) == []
    for words in (
        f"Choose one file: the server token from {PORTAL}.",
        f"The file that {PORTAL} gave",
        f"Upload the file ending in .p7m as {PORTAL} gave it.",
        f"{SERVICE} does not accept the token in this file",
        f"Generating a token in {PORTAL} ends the current one at once.",
        f"An Administrator accepts them in {PORTAL}",
        f"MDM server in {PORTAL}: paris",
        f"Server paris in {PORTAL} already belongs to token paris.",
    ):
        assert words in read


async def test_a_renewal_speaks_of_the_service_at_hand(elsewhere: Elsewhere) -> None:
    room = elsewhere.room
    token, server = await room.installed(days=20)
    await elsewhere.type("token renew paris --new-key")
    for file in await wrong_files(room, token):
        await elsewhere.upload("paris", file)
    await elsewhere.upload("paris", await room.file_for(token, server))
    read = elsewhere.read()
    assert strays(read) == []
    for words in (
        f"*Server in {PORTAL}:* *paris*",
        f"the server was deleted in {PORTAL} and made again",
        f"{SERVICE} still accepts the current token",
        "*Token paris renewed*",
    ):
        assert words in read


async def test_a_rejection_speaks_of_the_service_at_hand(elsewhere: Elsewhere) -> None:
    room = elsewhere.room
    token, server = await room.installed()
    await elsewhere.press(NextAction.CHECK_AGAIN, token.id)
    server.refuse("account", TermsNotSigned("terms"))
    await elsewhere.press(NextAction.CHECK_AGAIN, token.id)
    server.generate_token("never uploaded")
    for _ in range(2):
        await elsewhere.press(NextAction.CHECK_AGAIN, token.id)
        room.clock.move(timedelta(minutes=6))
    await elsewhere.upload("paris", b"\n")
    read = elsewhere.read()
    assert strays(read) == []
    for words in (
        f"Asked {SERVICE} at",
        f"{SERVICE} no longer accepts the current token",
        f"Renew it: generate a new token in {PORTAL}",
    ):
        assert words in read


async def wrong_files(room: Room, token: TokenView) -> list[bytes]:
    """Files that do not renew a token: of another server, made again, of others, too early."""
    certificate = await room.certificate(token)
    servers: list[FakeServer] = [
        room.backend.server("nice"),
        room.backend.server("paris", uuid="F" * 32),
        room.backend.server("berlin", org_name="Beispiel GmbH", org_id="77"),
    ]
    return [server.generate_token(certificate, valid_for=timedelta(days=9)) for server in servers]


async def certificate_of(room: Room, name: str) -> str:
    return await room.certificate(await room.tokens.get(name, actor=ANA))


def test_the_modal_that_waits_names_the_service_at_hand() -> None:
    shown = said(blocks.checking_view(texts=OTHER))
    assert strays(shown) == []
    assert f"asking {SERVICE} about the token." in shown


def test_the_commands_speak_of_the_service_at_hand(elsewhere: Elsewhere) -> None:
    commands = elsewhere.desk.router.help_for(Role.ADMIN)
    told = "\n".join(f"{command.usage}: {command.summary}" for command in commands)
    assert strays(told) == []
    assert f"Upload the server token made in {PORTAL}." in told


BUILT = {
    errors.NameReserved: errors.NameReserved("unassigned", portal=PORTAL),
    errors.AgreementMissing: errors.AgreementMissing(service=SERVICE),
    errors.TokenAwaited: errors.TokenAwaited("paris", portal=PORTAL),
    errors.SecretsUnreadable: errors.SecretsUnreadable("paris", portal=PORTAL),
    errors.FileEmpty: errors.FileEmpty(portal=PORTAL),
    errors.ServerHasToken: errors.ServerHasToken("paris", server_name="s", other=None, portal=PORTAL),
    errors.FileUnusable: errors.FileUnusable(EnrollbotError("Damaged."), portal=PORTAL),
    errors.RenewedExpired: errors.RenewedExpired(portal=PORTAL),
    errors.NotLater: errors.NotLater(NOW, LATER, portal=PORTAL),
    errors.WrongServer: errors.WrongServer("paris", server_name="paris", made_for="lyon", portal=PORTAL),
    errors.ServerMadeAgain: errors.ServerMadeAgain("paris", server_name="paris", texts=OTHER),
    errors.WrongOrganisation: errors.WrongOrganisation("paris", expected="A", got="B", portal=PORTAL),
}
FAULTS = [fault for fault in BUILT.values() if isinstance(fault, errors.RenewalFault)]


@pytest.mark.parametrize("error", BUILT.values(), ids=[kind.__name__ for kind in BUILT])
def test_an_error_names_the_service_at_hand(error: EnrollbotError) -> None:
    assert strays(str(error)) == []
    assert PORTAL in str(error) or SERVICE in str(error)


@pytest.mark.parametrize("standing", [GOOD, ENDED, UNKNOWN], ids=["good", "ended", "unknown"])
@pytest.mark.parametrize("can_open", [True, False])
def test_a_refusal_names_the_service_at_hand(standing: Standing, can_open: bool) -> None:
    token, other = token_view(), OtherToken("l", "lyon", Need.ENDED, can_open=can_open)
    refusals: list[EnrollbotError] = [
        RenewalRefused("paris", faults=[fault], standing=standing, other=other, portal=PORTAL)
        for fault in FAULTS
    ]
    refusals += [
        FileFitsAnotherToken("paris", other=replace(other, need=need), server_name="s", standing=standing)
        for need in Need
    ]
    for refusal in refusals:
        shown = said(blocks.refused(token, refusal, texts=OTHER)) + str(refusal)
        assert strays(shown) == []
        assert SERVICE in shown


REFUSED_FIRST = NOW - timedelta(minutes=5)
HEALTHS: dict[str, dict[str, Any]] = {
    "awaiting": {"expires_at": None},
    "active": {},
    "expiring": {"expires_at": LATER},
    "expired": {"expires_at": NOW},
    "terms": {"terms_since": NOW},
    "rejected": {"refused_first_at": REFUSED_FIRST, "refused_last_at": NOW},
    "rejected, explained": {
        "refused_first_at": REFUSED_FIRST,
        "refused_last_at": NOW,
        "renewal_opened_at": REFUSED_FIRST - timedelta(hours=1),
    },
    "in doubt": {"refused_first_at": NOW, "refused_last_at": NOW},
    "in doubt, explained": {"refused_first_at": NOW, "refused_last_at": NOW, "renewal_opened_at": NOW},
}


@pytest.mark.parametrize("facts", HEALTHS.values(), ids=HEALTHS)
def test_every_state_is_told_in_the_words_of_the_service_at_hand(facts: dict[str, Any]) -> None:
    usual = {"expires_at": NOW + timedelta(days=200), "warn_days": (30,), "terms_since": None}
    never = dict.fromkeys(("refused_first_at", "refused_last_at", "renewal_opened_at"))
    health = rules.Health(**{**usual, **never, **facts})
    state, step = rules.state_of(health, NOW), rules.next_step(health, NOW, texts=OTHER)
    token = token_view(state=state, next_step=step)
    row = TokenRow(token, DeviceCounts(present=3), TokenSyncFacts())
    shown = "\n".join(
        [
            blocks.next_text(token),
            home_blocks.token_csv([row], texts=OTHER).decode(),
            said(home_blocks.token_card(row, texts=OTHER, role=Role.ADMIN, now=NOW)),
            said(home_blocks.token_list([row], texts=OTHER, role=Role.ADMIN, slash="/enroll", now=NOW)),
            *(
                said(show(Glance([row]), texts=OTHER, rights=Rights.of(Role.ADMIN), slash="/enroll", now=NOW))
                for show in (glance_blocks.status, glance_blocks.home_tab)
            ),
        ]
    )
    assert strays(shown) == []
    assert f"MDM server in {PORTAL}" in shown
    assert (f"rejected by {SERVICE}" in shown) == (state is TokenState.REJECTED)


def literals(source: str) -> Iterator[str]:
    """Return the string literals of a module, the parts of f-strings too, docstrings left out."""
    tree = ast.parse(source)
    told = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, told) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_writes_the_words_out(room: str) -> None:
    modules = sorted((BOT / room).rglob("*.py"))
    assert modules
    found = [
        f"{module.name}: {literal}"
        for module in modules
        for literal in literals(module.read_text("utf-8"))
        if WORDS.search(literal)
    ]
    assert found == []


def test_the_search_finds_words_in_literals_and_leaves_docstrings_and_apple_ids() -> None:
    source = '"""Apple."""\ndef f(x):\n    """ABM."""\n    return "An Apple ID", f"{x} in ABM", "Apple"'
    found = [literal for literal in literals(source) if WORDS.search(literal)]
    assert sorted(found) == [" in ABM", "Apple"]
