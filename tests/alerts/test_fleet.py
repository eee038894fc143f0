"""What is told of devices, profiles and people who approve, and what ends it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bot.alerts import fleet_rules
from bot.alerts.blocks import Writer
from bot.alerts.facts import Kind, Level, Problem
from bot.backend.port import ServiceUnavailable
from bot.backend.profile import Platform
from bot.devices.facts import Loss
from bot.kit.actor import Actor, NotAllowed, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.sandbox.slack.blocks import check_message_blocks
from bot.slack.blocks import Message
from bot.tokens.facts import TokenView
from tests.alerts.conftest import Desk, SlackFake, open_desk
from tests.builders import NOW, alert_view, token_view
from tests.fakes.backend import TEXTS, device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, OPERATOR, VIEWER

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PARIS = token_view()
WRITER = Writer(texts=TEXTS, slash="/enroll")


def message(problem: Problem | None) -> Message:
    """Return the alert's message, once Slack would have taken it."""
    assert problem is not None
    shared = ("kind", "subject", "subject_name", "level", "facts", "since", "token_ids")
    made = WRITER.main(alert_view(**{name: getattr(problem, name) for name in shared}), now=NOW)
    check_message_blocks(made.blocks)
    return made


def told(problem: Problem | None) -> list[str]:
    """Return what the alert's message says, a line each."""
    text: str = message(problem).blocks[0]["text"]["text"]
    return text.replace("*", "").split("\n")


def buttons(problem: Problem | None) -> dict[str, str | None]:
    """Return what the alert's buttons carry, by what stands on them."""
    return {each["text"]["text"]: each.get("value") for each in message(problem).blocks[-1]["elements"]}


# Devices that wait


@pytest.mark.parametrize(
    ("waiting", "defaults", "profiles", "age", "devices"),
    [
        ({"ios": 40, "macos": 2}, (), 1, DAY, 42),
        ({"ios": 40, "macos": 2}, ("ios",), 1, DAY, 2),
        ({"ios": 40}, ("ios",), 1, DAY, None),
        ({}, (), 1, DAY, None),
        ({"ios": 40}, (), 0, DAY - timedelta(seconds=1), None),
        ({"ios": 40}, (), 0, DAY, 40),
        ({"ios": 40}, (), 1, timedelta(), 40),
    ],
)
def test_devices_wait_where_no_default_is_for_them_from_the_first_profile_or_day_on(
    waiting: dict[str, int], defaults: Sequence[str], profiles: int, age: timedelta, devices: int | None
) -> None:
    token = replace(PARIS, installed_at=NOW - age)
    found = fleet_rules.waiting_problem(token, waiting, defaults=defaults, profiles=profiles, now=NOW)
    assert (found.facts["devices"] if found else None) == devices
    assert found is None or found.level is Level.WARNING


def test_what_waits_is_told_by_platform_with_how_a_default_is_set() -> None:
    waiting = {"macos": 2, "ios": 40}
    found = fleet_rules.waiting_problem(PARIS, waiting, defaults=(), profiles=1, now=NOW)
    lines = told(found)
    assert lines[0] == "42 devices of token paris have no profile and will get none by default"
    assert lines[1].startswith("Example Trust · 40 iOS and iPadOS, 2 macOS · since ")
    assert "start unmanaged" in lines[2]
    assert "`/enroll token default paris PROFILE`" in lines[3]
    assert buttons(found) == {
        "New assignment": None,
        "Show devices": "token:paris profile:none -status:removed",
        "Acknowledge": "a7",
        "Snooze": "a7",
    }
    without = fleet_rules.waiting_problem(PARIS, {"other": 1}, defaults=(), profiles=0, now=NOW)
    assert "1 device of token paris has no profile" in told(without)[0]
    assert "`/enroll profile create --token paris`" in told(without)[3]
    assert "New assignment" not in buttons(without)


async def test_a_default_ends_it_and_one_that_was_unassigned_does_not_wait(desk: Desk) -> None:
    token, server = await desk.token(300)
    uuid = server.put_profile({"profile_name": "Sales iPad"})
    server.put(*(device(f"WAITS{each}") for each in range(3)), device("TAKEN", profile_status="removed"))
    await desk.rooms.sync("paris")
    (profile,) = await desk.rooms.profiles.adopt(token.id, [uuid])
    assert await desk.look() == [
        "post: 3 devices of token paris have no profile and will get none by default"
    ]
    async with desk.db.begin() as session:
        await desk.rooms.profiles.defaults.change_in(session, token, list(Platform), profile.id, actor=ADMIN)
    assert (await desk.look(MINUTE))[-1].startswith("reply: Resolved")


# Devices that left


def loss(removed: int, before: int = 1000, *, ago: timedelta = DAY) -> Loss:
    return Loss(PARIS.id, removed, before, NOW - ago, NOW - ago)


@pytest.mark.parametrize(
    ("losses", "present", "removed"),
    [
        ([loss(20)], 980, None),
        ([loss(21)], 979, 21),
        ([loss(5, 100)], 95, None),
        ([loss(6, 100)], 94, 6),
        ([loss(21)], 1000, None),
        ([loss(30, ago=2 * DAY), loss(1)], 969, 30),
        ([loss(30, ago=7 * DAY)], 970, None),
        ([], 1000, None),
    ],
)
def test_many_devices_that_left_are_told_for_a_week_or_until_as_many_are_there(
    losses: list[Loss], present: int, removed: int | None
) -> None:
    found = fleet_rules.loss_problem(PARIS, losses, present=present, now=NOW)
    assert (found.facts["removed"] if found else None) == removed


def test_who_left_is_told_with_where_to_look_and_listed_by_a_query() -> None:
    found = fleet_rules.loss_problem(PARIS, [loss(34, 812)], present=778, now=NOW)
    lines = told(found)
    assert lines[0].startswith("34 devices of token paris have left (of 812, seen by the sync of ")
    assert "Enrolled devices keep working" in lines[2]
    assert "who moved them" in lines[3]
    message = WRITER.main(
        alert_view(kind=found.kind, facts=found.facts, token_ids=found.token_ids),  # type: ignore[union-attr]
        now=NOW,
    )
    assert "token:paris removed:2026-04-30" in str(message.blocks)


async def test_devices_that_come_back_end_it(desk: Desk) -> None:
    _, server = await desk.token(300)
    devices = [device(f"D{each}", profile_uuid="A" * 32, profile_status="assigned") for each in range(10)]
    server.put(*devices)
    await desk.rooms.sync("paris")
    server.take("D1", "D2")
    await desk.rooms.sync("paris")
    assert await desk.look() == ["post: 2 devices of token paris have left"]
    server.put(*devices[1:3])
    await desk.rooms.sync("paris")
    assert (await desk.look(MINUTE))[-1].startswith("reply: Resolved")


# Profiles that somebody else changed


async def test_profiles_changed_or_cleared_elsewhere_are_told_and_those_ordered_here_are_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, server = await desk.token(300)
    mine, theirs = "A" * 32, "B" * 32
    server.put(*(device(f"D{each}", profile_uuid=mine, profile_status="assigned") for each in range(5)))
    await desk.rooms.sync("paris")
    server.put(
        device("D1", profile_uuid=theirs, profile_status="assigned"),
        device("D2", profile_status="empty"),
        device("D3", profile_uuid=mine, profile_status="pushed"),
        operation="modified",
    )
    await desk.rooms.sync("paris")
    ordered: list[str] = []

    async def ordered_between(token_id: str, *_: object) -> bool:
        ordered.append(token_id)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(desk.rooms.assignments, "ordered_between", ordered_between)
        await desk.look()
        assert ordered == [token.id]
        assert "profiles changed outside" not in str(await desk.service.open_alerts(actor=ADMIN))
    await desk.look(MINUTE)
    (view,) = [
        each for each in await desk.service.open_alerts(actor=ADMIN) if each.kind is Kind.PROFILES_CHANGED
    ]
    line = WRITER.line(view, now=NOW)
    assert line.startswith("*2 devices of token paris had their profile changed outside enrollbot*")


# Profiles, approvers and requests


@pytest.mark.parametrize(("profiles", "limit", "is_near"), [(89, 100, False), (90, 100, True), (9, 10, True)])
def test_a_token_is_near_its_limit_of_profiles_from_nine_tenths_on(
    profiles: int, limit: int, is_near: bool
) -> None:
    found = fleet_rules.limit_problem(PARIS, profiles, limit=limit, now=NOW)
    assert (found is not None) is is_near
    assert not found or f"Token paris has {profiles} of at most {limit} profiles" in told(found)[0]


async def test_the_profiles_of_each_token_are_counted(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake
) -> None:
    desk = open_desk(sqlite_database, clock, keyring, slack, max_profiles_per_token=10)
    token, server = await desk.token(300)
    uuids = [server.put_profile({"profile_name": f"Profile {number}"}) for number in range(9)]
    await desk.rooms.profiles.adopt(token.id, uuids[:8])
    assert await desk.look() == []
    await desk.rooms.profiles.adopt(token.id, uuids[8:])
    assert await desk.look() == ["post: Token paris has 9 of at most 10 profiles"]


def test_one_approver_alone_and_none_at_all_are_told_apart() -> None:
    alone = fleet_rules.approvers_problem([PARIS, token_view("lyon")], ["U0ANA"], now=NOW)
    assert told(alone)[0] == "Only <@U0ANA> may approve requests for tokens paris, lyon"
    nobody = fleet_rules.approvers_problem([PARIS], [], now=NOW)
    assert told(nobody)[0] == "Nobody may approve requests for token paris"
    assert "whoever runs this bot names one in ENROLLBOT_ADMINS" in told(nobody)[3]
    assert [each.level for each in (alone, nobody) if each] == [Level.NOTE, Level.WARNING]
    assert fleet_rules.approvers_problem([PARIS], ["U0ANA", "U0BEN"], now=NOW) is None


async def test_who_has_left_slack_does_not_count_as_approver(desk: Desk) -> None:
    gone: set[str] = set()
    unknown: set[str] = set()

    async def may_act(person: str) -> bool | None:
        return None if person in unknown else person not in gone

    desk.service.gathering.may_act = may_act
    await desk.token(300)
    await desk.token(300, "lyon")
    setup = Actor.cli("setup")
    for person in ("U0ANA", "U0BEN"):
        await desk.rooms.access.grant(person, role=Role.APPROVER, tags=None, actor=setup)
    await desk.runner.look_at_people(desk.clock.now())
    assert desk.slack.take_log() == []
    gone.add("U0BEN")
    await desk.runner.look_at_people(desk.clock.now())
    assert desk.slack.take_log() == ["post: Only <@U0ANA> may approve requests for tokens lyon, paris"]
    # Of whom Slack does not tell anything nobody says that they have left, nor that they are there.
    unknown.add("U0BEN")
    desk.clock.move(MINUTE)
    await desk.runner.look_at_people(desk.clock.now())
    assert desk.slack.take_log() == []
    (alert,) = await desk.service.open_alerts(actor=ADMIN)
    view, is_told = await desk.service.look_anew(alert.id, actor=OPERATOR)
    assert WRITER.looked(view, is_told=is_told, now=NOW).startswith(
        "It could not be found out just now. AL-1"
    )
    unknown.clear()
    with pytest.raises(NotAllowed):
        await desk.service.look_anew(alert.id, actor=VIEWER)
    view, is_told = await desk.service.look_anew(alert.id, actor=OPERATOR)
    assert WRITER.looked(view, is_told=is_told, now=NOW).startswith("Looked again: Only <@U0ANA> may approve")
    gone.clear()
    view, is_told = await desk.service.look_anew(alert.id, actor=OPERATOR)
    assert WRITER.looked(view, is_told=is_told, now=NOW) == "Looked again: AL-1 is over."


async def test_of_whom_slack_tells_nothing_no_alert_is_raised(desk: Desk) -> None:
    async def may_act(_person: str) -> bool | None:
        return None

    desk.service.gathering.may_act = may_act
    await desk.token(300)
    await desk.rooms.access.grant("U0ANA", role=Role.APPROVER, tags=None, actor=Actor.cli("setup"))
    await desk.runner.look_at_people(desk.clock.now())
    assert await desk.service.open_alerts(actor=ADMIN) == []


async def test_a_request_half_of_whose_time_is_over_is_listed_and_posted_by_its_own_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = await desk.token(300)
    waiting: Any = SimpleNamespace(
        id="R" * 32,
        number=12,
        token_id=token.id,
        requested_by="U0ANA",
        requested_at=desk.clock.now() - DAY,
        made_at=desk.clock.now() - DAY,
        expires_at=desk.clock.now() + DAY,
        devices=412,
    )
    requests = [waiting]

    async def half_over() -> list[Any]:
        return requests

    monkeypatch.setattr(desk.rooms.assignments.reminding, "half_over", half_over)
    assert await desk.look() == []
    (view,) = await desk.service.open_alerts(actor=ADMIN)
    assert WRITER.line(view, now=NOW).startswith("*REQ-12 waits for a decision* (412 devices, token paris)")
    requests.clear()
    assert await desk.look(MINUTE) == []
    assert await desk.service.open_alerts(actor=ADMIN) == []


# Default profiles that the service has lost


async def make_default(desk: Desk, token: TokenView, profile_id: str, platforms: Sequence[Platform]) -> None:
    async with desk.db.begin() as session:
        await desk.rooms.profiles.defaults.change_in(session, token, platforms, profile_id, actor=ADMIN)


async def test_a_default_that_the_service_no_longer_knows_is_told_until_there_is_another(desk: Desk) -> None:
    token, server = await desk.token(300)
    lost, kept = (server.put_profile({"profile_name": name}) for name in ("Sales iPad", "Kiosk"))
    sales, kiosk = await desk.rooms.profiles.adopt(token.id, [lost, kept])
    await make_default(desk, token, sales.id, [Platform.IOS, Platform.TVOS])
    await desk.runner.look_at_defaults(desk.clock.now())
    assert desk.slack.take_log() == []
    del server.profiles[lost]
    await desk.runner.look_at_defaults(desk.clock.now())
    assert desk.slack.take_log() == [
        "post: Apple no longer knows the default profile Sales iPad of token paris"
    ]
    (main,) = desk.slack.main()
    assert "Example Trust · iOS and iPadOS, tvOS · noticed" in main["text"]
    assert '`/enroll profile edit "paris/Sales iPad"`' in main["text"]
    assert await desk.look(MINUTE) == []
    await make_default(desk, token, kiosk.id, [Platform.IOS, Platform.TVOS])
    (alert,) = await desk.service.open_alerts(actor=ADMIN)
    over, is_told = await desk.service.look_anew(alert.id, actor=OPERATOR)
    assert (over.is_open, is_told) == (False, True)
    assert (await desk.look())[-1].endswith("token is known again, or is another one now.")


async def test_while_the_service_does_not_answer_nothing_is_said_of_defaults(desk: Desk) -> None:
    token, server = await desk.token(300)
    uuid = server.put_profile({"profile_name": "Sales iPad"})
    (profile,) = await desk.rooms.profiles.adopt(token.id, [uuid])
    await make_default(desk, token, profile.id, [Platform.IOS])
    del server.profiles[uuid]
    await desk.runner.look_at_defaults(desk.clock.now())
    (alert,) = await desk.service.open_alerts(actor=ADMIN)
    server.profiles[uuid] = {}
    server.refuse("read_profile", ServiceUnavailable("Apple does not answer."))
    desk.clock.move(MINUTE)
    view, is_told = await desk.service.look_anew(alert.id, actor=OPERATOR)
    assert (view.is_open, is_told) == (True, False)
