"""Devices asked for by serial, also while a sync of their token is under way."""

import pytest

from bot.backend.port import CursorUnusable
from bot.backend.profile import Authentication, ProfileSettings
from bot.devices.blocks import asked_line
from bot.devices.facts import Asked
from bot.devices.models import SyncState
from bot.kit.actor import Actor, Grant, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from tests.fakes.backend import FakeServer, device
from tests.fakes.clock import FakeClock
from tests.fakes.content import COMPANY_PORTAL, count
from tests.fakes.rooms import ADMIN, VIEWER, Rooms


@pytest.fixture
def rooms(database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(database, clock, keyring)


@pytest.fixture
async def paris(rooms: Rooms) -> FakeServer:
    """A synced token with one device, A."""
    server, _ = await rooms.add_token("paris")
    server.put(device("A"))
    await rooms.run_all()
    return server


async def present(rooms: Rooms) -> list[str]:
    page = await rooms.devices.list_devices("", actor=VIEWER, rows=100)
    return [row.serial for row in page.rows]


async def test_a_device_asked_for_beside_a_sync_keeps_its_number_to_itself(
    rooms: Rooms, paris: FakeServer
) -> None:
    async def ask(method: str) -> None:
        if method == "delta_page":
            paris.put(device("SHOWN"))
            await rooms.devices.show("SHOWN", actor=VIEWER)
            paris.take_silently("SHOWN")
            paris.put(device("B"))

    paris.on_call = ask
    paris.refuse("delta_page", CursorUnusable("no", reason="expired"))
    sync = await rooms.sync("paris")
    assert (sync.state, sync.added, sync.removed) == (SyncState.FINISHED, 1, 1)
    assert await present(rooms) == ["A", "B"]


async def test_a_device_asked_for_while_a_full_list_is_read_is_answered_and_not_stored(
    rooms: Rooms, paris: FakeServer
) -> None:
    answers: list[object] = []

    async def ask(method: str) -> None:
        if method == "full_page":
            paris.put(device("SHOWN"))
            answer = await rooms.devices.show("SHOWN", actor=VIEWER)
            paris.take_silently("SHOWN")
            answers.append(answer.asked and (answer.asked.answer, answer.asked.added))
            assert answer.view is None

    paris.on_call = ask
    paris.refuse("delta_page", CursorUnusable("no", reason="expired"))
    await rooms.sync("paris")
    assert answers == [(Asked.FOUND, False)]
    assert await present(rooms) == ["A"]


async def test_who_may_not_see_every_token_is_told_no_more_than_what_they_may_see(
    rooms: Rooms, paris: FakeServer
) -> None:
    await rooms.add_token("lyon", tags=("south",))
    await rooms.run_all()
    limited = Actor("ULIMITED", rights=Rights((Grant(Role.VIEWER, frozenset({"south"})),)))
    for serial in ("A", "NOWHERE"):
        answer = await rooms.devices.show(serial, actor=limited)
        assert answer.verdict.first == "Not known: it is not on a token that you may see."
        assert answer.asked is not None
        assert "not on a token that you may see" in asked_line(answer.asked, rooms.devices.texts)
    assert "no token here has it" in (await rooms.devices.show("NOWHERE", actor=VIEWER)).verdict.first


async def test_what_cannot_be_stored_comes_with_a_running_sync_only_where_one_runs(
    rooms: Rooms, paris: FakeServer
) -> None:
    lyon, _ = await rooms.add_token("lyon")
    lyon.put(device("B"))
    [waiting] = await rooms.devices.ask(["B"], actor=VIEWER)
    assert asked_line(waiting, rooms.devices.texts).endswith("it comes with the next sync.")
    await rooms.devices.take_wishes()
    [coming] = await rooms.devices.ask(["B"], actor=VIEWER)
    assert asked_line(coming, rooms.devices.texts).endswith("it comes with the sync that is running.")


async def test_a_fault_while_asking_is_an_answer_that_is_missing_and_a_line_in_the_log(
    rooms: Rooms, paris: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    paris.refuse("details", ZeroDivisionError())
    [answer] = await rooms.devices.ask(["B"], actor=VIEWER)
    assert (answer.answer, answer.not_asked) == (Asked.UNCLEAR, ("paris",))
    assert "ZeroDivisionError" in capsys.readouterr().out


async def test_a_device_that_would_stop_at_company_portal_is_not_ready_until_it_has_fetched_its_profile(
    rooms: Rooms, paris: FakeServer
) -> None:
    location, hq = await rooms.add_content_token()
    given = ProfileSettings(
        name="Sales iPad",
        mdm_url="https://mdm.example.com",
        user_affinity=True,
        authentication=Authentication.COMPANY_PORTAL,
        content_token=hq.id,
    )
    draft = await rooms.profiles.drafts.open_new(ADMIN, settings=given)
    await rooms.profiles.drafts.begin_sending(draft.id, ADMIN)
    profile = (await rooms.profiles.define(draft.id, actor=ADMIN)).profile

    async def first(status: str) -> str:
        paris.put(device("A", profile_uuid=profile.profile_uuid, profile_status=status))
        await rooms.sync("paris")
        return (await rooms.devices.show("A", actor=VIEWER)).verdict.first

    assert (await first("assigned")).startswith("Ready to enroll")
    location.has(count(COMPANY_PORTAL, 500, 500))
    await rooms.licenses.sync(hq.id, actor=ADMIN)
    answer = (await rooms.devices.show("A", actor=VIEWER)).verdict
    assert answer.first == "Company Portal blocked: content token hq has no Company Portal licences left."
    assert answer.next_step == "It stops there until there are more."
    assert (await first("pushed")).startswith("Has fetched Sales iPad")
