"""Everything that a person reads about profiles has the words of the service at hand, in the real screens."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bot.backend.port import ProfileRefused, ServiceUnavailable
from bot.backend.profile import Platform, SetupScreen
from bot.kit.actor import Actor, Role
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.secrets import Keyring
from bot.profiles import slack, wording
from bot.profiles.facts import ProfileView
from bot.slack.blocks import Block, View
from bot.slack.call import Call, ModalState
from bot.slack.commands import parse, words
from bot.slack.router import Router
from tests.fakes import certificates
from tests.fakes.backend import FakeBackend
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, VIEWER, Rooms
from tests.profiles.conftest import BEN, URL, Room
from tests.tokens.desk import Channel, said
from tests.tokens.test_words import OTHER, Record, strays

SERVICE, CONFIGURATOR = OTHER.service, OTHER.configurator
ON_ALL = {Platform.IOS: "1.0", Platform.MACOS: "1.0", Platform.TVOS: "1.0"}


class AnotherBackend(FakeBackend):
    """A service whose set-up has screens of its own."""

    @property
    def screens(self) -> Sequence[SetupScreen]:
        greeting = SetupScreen("Hello", "Greeting", "says hello", ON_ALL, is_usual=True)
        return (greeting, SetupScreen("Bye", "Farewell", "says goodbye", ON_ALL, until="iOS 17"))


class Desk:
    """A person in Slack, who types, presses and fills in; `record` is all that this person read."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.record = Record()
        self.channel = Channel()
        self.router = Router()
        self._deliveries = 0
        slack.register(
            self.router,
            room.profiles,
            room.rooms.tokens,
            poster=self.channel,
            channel="COPS",
            carried_of=room.rooms.devices.carried,
        )

    async def type(self, text: str, *, actor: Actor = ADMIN) -> None:
        command, left = self.router.find_command(words(text), actor.rights.highest)
        with self._told():
            call = self._call(actor, response_url="https://hooks.slack.test/1")
            call.args = parse(left, command.spec, usage=command.usage)
            await command.handler(call)

    async def press(self, action_id: str, value: str = "", *, actor: Actor = ADMIN, **filled: Any) -> None:
        """Press a button, in the open modal if there is one."""
        screen = self.router.find_action(action_id)
        assert screen is not None
        with self._told():
            await screen.handler(self._call(actor, value=value, **self._of_modal(filled)))

    async def send(self, *, actor: Actor = ADMIN, **filled: Any) -> None:
        """Send the open modal; `filled` are inputs by their setting, the others keep what they show."""
        view = self.record.view
        assert view is not None
        screen = self.router.find_submission(view["callback_id"])
        assert screen is not None
        assert screen.check is not None
        assert screen.then is not None
        call = self._call(actor, **self._of_modal(filled))
        with self._told():
            self.record.view = await screen.check(call) or view
            self.record.note(self.record.view)
            await screen.then(call)

    def read(self) -> str:
        posted = [text for _, message in self.channel.posts for text in (message.text, said(message))]
        return "\n".join([*self.record.read, *posted])

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except EnrollbotError as error:
            self.record.note(str(error))

    def _of_modal(self, filled: Mapping[str, Any]) -> dict[str, Any]:
        view = self.record.view
        if view is None:
            return {}
        metadata = view["private_metadata"]
        return {
            "state": ModalState(state_of(view, filled)),
            "metadata": json.loads(metadata)["of"] if metadata.startswith("{") else metadata,
            "view_id": "V1",
            "is_in_modal": True,
        }

    def _call(self, actor: Actor, **known: Any) -> Call:
        self._deliveries += 1
        return Call(
            outlet=self.record,
            clock=self.room.clock,
            actor=actor,
            user_id=actor.id,
            team_id="T1",
            delivery=f"D{self._deliveries}",
            reference="R1",
            received_at=self.room.clock.now(),
            channel_id="CHERE",
            trigger_id="X1",
            **known,
        )


def state_of(view: View, filled: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Slack sends of a modal: what its inputs show, but for those filled in otherwise."""
    left, state = dict(filled), {}
    for block in view["blocks"]:
        if block["type"] == "input":
            setting = block["block_id"].partition("|")[0]
            state[block["block_id"]] = {"value": _value(block["element"], left.pop(setting, None))}
    assert left == {}, "the modal has no such input"
    return state


def _value(element: Block, given: Any) -> dict[str, Any]:
    kind = element["type"]
    if kind == "plain_text_input":
        return {"type": kind, "value": element.get("initial_value") if given is None else given}
    if kind == "file_input":
        return {"type": kind, "files": [{"id": each} for each in given or ()]}
    if kind in ("static_select", "radio_buttons"):
        chosen = {"value": given} if given else element.get("initial_option")
        return {"type": kind, "selected_option": chosen}
    chosen = element.get("initial_options", []) if given is None else [{"value": each} for each in given]
    return {"type": kind, "selected_options": chosen}


@pytest.fixture
async def desk(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Desk:
    rooms = Rooms.open(sqlite_database, clock, keyring, backend=AnotherBackend(clock, OTHER))
    server, token = await rooms.add_token("paris")
    return Desk(Room(rooms, server, token.id))


async def test_the_wizard_speaks_of_the_service_at_hand(desk: Desk) -> None:
    await desk.type("profile create")
    await desk.send(name="a/b")
    await desk.send(name="Sales iPad", description="For the shops", platform="any")
    await desk.press("profile.choose", user_affinity="with", pairing="certificates")
    await desk.send(mdm_url="http://x", locked=["yes"], supervised=[], device_name_template="{{X}}")
    desk.record.files["F1"] = certificates.private_key_pem(certificates.PKCS8)
    await desk.send(
        mdm_url=URL,
        supervised=["yes"],
        device_name_template="{{SERIAL}}",
        authentication="company_portal",
        host_certificates=["F1"],
    )
    desk.record.files["F2"] = certificates.pem("Packing room")
    await desk.send(host_certificates=["F2"])
    await desk.press("profile.hide_all")
    await desk.press("profile.back")
    await desk.send()
    await desk.send(department="IT", department_phone="+33 1")
    await desk.send(language="wrong", support_email="wrong", org_magic="\t")
    await desk.send(
        language="en", support_email="help@example.com", flags=list(wording.FLAG_NOTES), org_magic=""
    )
    for error in (
        ServiceUnavailable("It could not be reached."),
        ProfileRefused("It is not accepted.", word="MAGIC_INVALID", setting="org_magic"),
    ):
        desk.room.server.refuse("define_profile", error)
        await desk.send()
    await desk.send()
    await desk.send()
    assert [each.name for each in await desk.room.profiles.list_profiles(actor=ADMIN)] == ["Sales iPad"]
    read = desk.read()
    assert strays(read) == []
    for told in (
        f"Allow {CONFIGURATOR} by certificate",
        f"with {CONFIGURATOR}, or choose another way",
        "This file has a private key in it",
        f"*Sent to {SERVICE}*",
        f"{SERVICE} is being asked to define *Sales iPad*",
        "Not defined. It could not be reached.",
        "It is not accepted.",
        f"{SERVICE} knows it as",
        "Greeting",
        "*Profile* *Sales iPad* *created* by <@UADMIN>",
    ):
        assert told in read


async def test_what_is_done_with_a_profile_speaks_of_the_service_at_hand(desk: Desk) -> None:
    room = desk.room
    await desk.type("profile list", actor=VIEWER)
    await desk.type("profile list")
    made = await room.define(supervised=False, await_configuration=True, hidden_screens=("Hello", "Unknown"))
    await edited_by_two(desk, made)
    found = room.server.put_profile({"profile_name": "Old", "url": URL})
    await room.profiles.adopt(room.token_id, [found])
    for text in ("list", "show sales", 'show "Sales iPad" --json', "show Old", 'clone "Sales iPad" Shop'):
        await desk.type(f"profile {text}")
    await desk.type("profile clone Old Old")
    await desk.type("profile clone Old a/b")
    await desk.press("profile.export")
    await desk.type("profile delete Old")
    await desk.press("profile.delete", (await room.profiles.get("Old", actor=ADMIN)).id)

    async def holds(_token_id: str, _uuids: Sequence[str]) -> list[str]:
        return ["3 devices carry it"]

    room.profiles.tell_holds(holds)
    await desk.type("profile delete Shop")
    await desk.press("profile.delete", (await room.profiles.get("Shop", actor=ADMIN)).id)
    read = desk.read()
    assert strays(read) == []
    for told in (
        "No enrollment profiles",
        f"read from {SERVICE}",
        f"*Sent to {SERVICE}*",
        f"{SERVICE} keeps what it was told",
        "was defined while you were editing",
        "3 devices carry it",
        "The file `profiles.csv`",
    ):
        assert told in read
    assert strays("".join(content.decode() for content in desk.record.sent.values())) == []


async def edited_by_two(desk: Desk, made: ProfileView) -> None:
    """Edit a profile to its review, have somebody else define a version, and be told."""
    await desk.press("profile.edit", made.id)
    await desk.room.drafts.open_edit(made.id, BEN)
    await desk.send(name="Sales iPad")
    await desk.press("profile.start_over")
    for _ in range(4):
        await desk.send()
    await desk.room.edit(made, actor=BEN, department="IT")
    await desk.send()
    await desk.send()
    desk.record.view = None


async def test_an_import_speaks_of_the_service_at_hand(desk: Desk) -> None:
    for content in (b"{", b"[]", b'{"is_supervised": 1}', b'{"profile_name": "Old", "zeta": 1}'):
        await desk.type("profile create --from")
        desk.record.files["F1"] = content
        await desk.send()
        await desk.send(file=["F1"])
        desk.record.view = None
    read = desk.read()
    assert strays(read) == []
    for told in (
        f"A JSON object with {SERVICE}'s keys",
        f"Give a JSON file with {SERVICE}'s keys",
        "Choose one JSON file.",
        "Left out, since they have no place here: zeta.",
    ):
        assert told in read


def test_the_commands_have_no_words_of_one_service(desk: Desk) -> None:
    commands = desk.router.help_for(Role.ADMIN)
    told = "\n".join(f"{command.usage}: {command.summary}" for command in commands)
    assert "Define a profile step by step" in told
    assert strays(told) == []
    assert (
        strays("\n".join([*wording.LABELS.values(), *wording.NOTES.values(), *wording.FLAG_NOTES.values()]))
        == []
    )
