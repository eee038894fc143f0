"""Every command, button and modal of the registry, by every role, with and without tags."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.assignments.models import Action
from bot.kit.actor import Actor, Role
from bot.sandbox.slack import people
from tests.fakes.clock import FakeClock
from tests.fakes.house import open_furnished
from tests.flows.conftest import Furnished, House

#: One line for each command, so that a new one cannot be forgotten. SERIAL is a device of paris.
EXAMPLES = {
    "status": "status",
    "help": "help",
    "token list": "token list",
    "token show": "token show paris",
    "token add": "token add lyon --apple-id ade@example.com --agree --tags hq",
    "token upload": "token upload paris",
    "token renew": "token renew paris",
    "token set": "token set paris --owner none",
    "token tag": "token tag paris",
    "token default": "token default paris Kiosk",
    "token remove": "token remove paris",
    "sync": "sync paris",
    "profile list": "profile list --token paris",
    "profile show": "profile show paris/Kiosk",
    "profile create": "profile create --token paris",
    "profile edit": "profile edit paris/Kiosk",
    "profile clone": "profile clone paris/Kiosk Lobby",
    "profile delete": "profile delete paris/Kiosk",
    "device list": "device list",
    "device show": "device show SERIAL",
    "device forget": "device forget SERIAL",
    "assign": "assign paris/Kiosk SERIAL",
    "unassign": "unassign SERIAL",
    "request list": "request list",
    "request show": "request show REQ-1",
    "request cancel": "request cancel REQ-1",
    "request stop": "request stop REQ-1",
    "watch list": "watch list",
    "watch add": "watch add mdm-push 2027-03-01",
    "watch remove": "watch remove mdm-push",
    "watch calendar": "watch calendar",
    "vpp list": "vpp list",
    "vpp show": "vpp show hq",
    "vpp add": "vpp add nice --tags hq",
    "vpp renew": "vpp renew hq",
    "vpp sync": "vpp sync hq",
    "vpp threshold": "vpp threshold hq 5",
    "vpp remove": "vpp remove hq",
    "alert list": "alert list",
    "alert ack": "alert ack AL-1",
    "alert snooze": "alert snooze AL-1 3d",
    "alert test": "alert test",
    "role list": "role list",
    "role grant": "role grant @cleo viewer --tags hq",
    "role revoke": "role revoke @ben viewer",
    "audit": "audit since:30d",
}
#: What each of them is about: a person limited to other tags learns nothing of it.
ABOUT_PARIS = [name for name, line in EXAMPLES.items() if "paris" in line or "SERIAL" in line]
SETUP = Actor.cli("setup")
ROLES = [role for role in Role if role > Role.NONE]


@pytest.fixture
def with_three(furnished: Furnished) -> Path:
    return furnished(3)


@pytest.fixture
async def closed(with_three: Path, clock: FakeClock) -> AsyncIterator[House]:
    """A house in which nobody but Ana has a role, with a token that is tagged lycee."""
    async with open_furnished(with_three, clock, default_role="none") as running:
        tokens = running.bot.services.tokens
        token_id = (await tokens.get("paris", actor=SETUP)).id
        await tokens.tag(token_id, actor=SETUP, tags=["lycee"])
        kiosk = await running.has_profile(token_id, "Kiosk")
        serials = [running.apple.snapshot()[0]["serial_number"]]
        await running.bot.services.assignments.preview(
            Action.ASSIGN, actor=SETUP, profile=kiosk, serials=serials
        )
        yield running


async def grant(house: House, role: Role, *tags: str) -> None:
    """Let Ben have this role and no other."""
    access = house.bot.services.access
    for held in (await access.table(actor=SETUP)).grants:
        await access.revoke(held.subject, role=held.role, actor=SETUP)
    if role > Role.NONE:
        await access.grant(people.BEN, role=role, tags=frozenset(tags) if tags else None, actor=SETUP)


async def unaudited(house: House) -> dict[str, list[str]]:
    """Return every row but those of the audit, where an export stands even if it exported nothing."""
    rows = await house.contents()
    return {table: found for table, found in rows.items() if not table.startswith("audit")}


async def test_every_command_has_an_example_here(house: House) -> None:
    assert set(EXAMPLES) == set(house.bot.router.commands)


@pytest.mark.parametrize("role", [Role.NONE, *ROLES])
async def test_a_command_is_for_its_role_and_those_above(closed: House, role: Role) -> None:
    serial = closed.apple.snapshot()[0]["serial_number"]
    lines = {name: f"/enroll {line.replace('SERIAL', serial)}" for name, line in EXAMPLES.items()}
    known = closed.bot.router.commands
    await grant(closed, role)
    before = await closed.contents()
    for name in [name for name in lines if known[name].role > role]:
        heard = await closed.types(closed.ben, lines[name])
        assert f"This needs the role {known[name].role.word}." in heard, name
        assert heard.modal is None, name
    assert await closed.contents() == before
    for name in [name for name in lines if known[name].role <= role]:
        await grant(closed, role)  # one of them takes it away
        heard = await closed.types(closed.ben, lines[name])
        assert "This needs the role" not in heard, name
        assert heard.messages or heard.modal, name
        if heard.modal:
            await closed.ben.closes()


@pytest.mark.parametrize("role", [Role.NONE, *ROLES[:-1]])
async def test_a_button_is_for_its_role_and_those_above(closed: House, role: Role) -> None:
    token_id = (await closed.contents())["token_secret"][0].split("'")[1]
    await grant(closed, role)
    before = await closed.contents()
    tried = 0
    for action_id, screen in closed.bot.router.actions.items():
        if screen.role <= role:
            continue
        sent = len(closed.tap.bodies)
        await closed.forges(people.BEN, action_id, token_id)
        said = b"".join(closed.tap.bodies[sent:])
        assert f"This needs the role {screen.role.word}".encode() in said, action_id
        assert b"Example Trust" not in said, action_id
        tried += 1
    assert tried
    assert await closed.contents() == before


@pytest.mark.parametrize("role", [Role.NONE, *ROLES[:-1]])
async def test_a_modal_is_for_its_role_and_those_above(closed: House, role: Role) -> None:
    token_id = (await closed.contents())["token_secret"][0].split("'")[1]
    await grant(closed, role)
    before = await closed.contents()
    filled = {"name": {"value": {"value": "paris"}}, "file": {"value": {"files": [{"id": "F0"}]}}}
    refused = {
        callback_id: screen.role
        for callback_id, screen in closed.bot.router.submissions.items()
        if screen.role > role
    }
    for callback_id, needed in refused.items():
        answer = await closed.submits(people.BEN, callback_id, token_id, filled)
        assert f"This needs the role {needed.word}".encode() in answer.body, callback_id
    assert refused
    assert await closed.contents() == before


@pytest.mark.parametrize("role", ROLES)
async def test_who_is_limited_to_other_tags_learns_nothing_of_a_token(closed: House, role: Role) -> None:
    await grant(closed, role, "hq")
    serial = closed.apple.snapshot()[0]["serial_number"]
    before = await closed.contents()
    for name in ["status", "token list", "device list", *ABOUT_PARIS]:
        heard = await closed.types(closed.ben, f"/enroll {EXAMPLES[name].replace('SERIAL', serial)}")
        assert "Example Trust" not in heard, name
        assert "lycee" not in heard, name
        assert "ade@example.com" not in heard, name
        assert (
            "MDM server" not in heard or "assign it in ABM" in heard or "ABM, to the MDM server" in heard
        ), name
        assert heard.modal is None, name
    after = await closed.contents()
    assert after == before
    home = await closed.opens_home(closed.ben)
    assert "paris" not in home
    assert "Example Trust" not in home


@pytest.mark.parametrize("role", [ROLES[0], ROLES[-1]])  # what a role lacks is told before any token
async def test_a_button_of_a_token_with_other_tags_shows_and_changes_nothing(
    closed: House, role: Role
) -> None:
    rows = await closed.contents()
    ids = [rows[table][0].split("'")[1] for table in ("token_secret", "profile", "assignment_request")]
    await grant(closed, role, "hq")
    before = await unaudited(closed)
    tried = [(action, screen, each) for action, screen in closed.bot.router.actions.items() for each in ids]
    for action_id, screen, value in tried:
        sent = len(closed.tap.bodies)
        await closed.forges(people.BEN, action_id, value)
        said = b"".join(closed.tap.bodies[sent:])
        assert said, (action_id, screen.role)
        if await closed.ben.modal():
            await closed.ben.closes()
        assert b"Example Trust" not in said, action_id
        assert b"lycee" not in said, action_id
        assert b"Kiosk" not in said, action_id
    assert await unaudited(closed) == before


async def test_who_is_limited_to_a_tag_does_with_its_tokens_what_the_role_allows(closed: House) -> None:
    await grant(closed, Role.ADMIN, "lycee")
    assert "Token paris" in await closed.types(closed.ben, "/enroll token show paris")
    assert "Renew token paris" in await closed.types(closed.ben, "/enroll token renew paris")
    heard = await closed.types(closed.ben, "/enroll token tag paris hq")
    assert "hq" in heard
    assert "Tags of paris set" not in heard
    heard = await closed.types(closed.ben, "/enroll token add lyon --apple-id ade@example.com --agree")
    assert "added" not in heard
    tagged = "/enroll token add lyon --apple-id ade@example.com --agree --tags lycee"
    assert "Token lyon added" in await closed.types(closed.ben, tagged)
