import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.audit.service import AuditService
from bot.kit.actor import Actor
from bot.kit.background import Background
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.kit.leases import Leases
from bot.kit.secrets import Keyring
from bot.outside import calls, rules
from bot.outside.events import Events
from bot.outside.jobs import register
from bot.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import Received, Receiver
from tests.kit.conftest import Lines, logged

__all__ = ["logged"]

SECRET = "planted-secret-of-the-webhook"


class Outside:
    """The outbox of one database and its sender, with acts to tell."""

    def __init__(self, db: Database, clock: FakeClock, keyring: Keyring, receiver: Receiver) -> None:
        self.db, self.clock = db, clock
        self.audit = AuditService(db, keyring, clock)
        self.events = Events(db, clock, self.audit, is_wanted=True)
        self.jobs = Jobs(db, clock, Background())
        register(
            self.jobs,
            self.events,
            settings=Settings.load(
                {"ENROLLBOT_WEBHOOK_URL": receiver.url, "ENROLLBOT_WEBHOOK_SECRET": SECRET}
            ),
            db=db,
            clock=clock,
            leases=Leases(db, clock),
            background=Background(),
        )

    async def act(self, action: str, subject: str = "t1") -> None:
        async with self.db.begin() as session:
            await self.audit.record(
                session,
                actor=Actor("U0ANA"),
                action=action,
                subject_kind="token",
                subject_id=subject,
                subject_name="Pàris",
                tags=frozenset({"hq"}),
                detail={"before": 1},
            )

    async def look(self) -> None:
        self.clock.move(timedelta(seconds=5))
        assert await self.jobs.run_due("outside.webhook")


@pytest.fixture
async def outside(database: Database, clock: FakeClock, keyring: Keyring, receiver: Receiver) -> Outside:
    made = Outside(database, clock, keyring, receiver)
    await made.act("token.added", "earlier")
    await made.look()
    return made


def told(received: Sequence[Received]) -> list[tuple[str, str]]:
    bodies = [json.loads(each.body) for each in received]
    return [(body["type"], body["data"]["subject"]["id"]) for body in bodies]


async def test_acts_are_told_in_order_once_and_from_now_on(outside: Outside, receiver: Receiver) -> None:
    await outside.act("token.added")
    await outside.act("token.tagged")
    await outside.act("token.renewed")
    await outside.look()
    await outside.look()
    assert told(receiver.received) == [("token.added", "t1"), ("token.renewed", "t1")]
    body = json.loads(receiver.received[0].body)
    assert body["data"] == {
        "subject": {"kind": "token", "id": "t1", "name": "Pàris"},
        "actor": {"kind": "person", "id": "U0ANA"},
        "tags": ["hq"],
        "detail": {"before": 1},
        "audit_number": 2,
    }
    assert datetime.fromisoformat(body["timestamp"]) == datetime(2026, 5, 1, 9, 0, 5, tzinfo=UTC)


async def test_a_delivery_is_signed_over_id_time_and_body(outside: Outside, receiver: Receiver) -> None:
    await outside.act("token.removed")
    await outside.look()
    [sent] = receiver.received
    event_id, stamp = sent.headers["webhook-id"], sent.headers["webhook-timestamp"]
    assert json.loads(sent.body)["id"] == event_id
    assert int(stamp) == outside.clock.now().timestamp()
    signed = f"{event_id}.{stamp}.".encode() + sent.body
    right = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert sent.headers["webhook-signature"] == f"v1,{right}"
    assert SECRET.encode() not in sent.body


async def test_what_was_not_taken_is_tried_again_with_the_same_id_and_holds_back_its_subject_alone(
    outside: Outside, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    await outside.act("token.added", "t1")
    await outside.act("token.renewed", "t1")
    await outside.act("token.added", "t2")
    await outside.look()
    await outside.look()
    assert told(receiver.received) == [("token.added", "t1"), ("token.added", "t2")]
    await outside.look()
    assert told(receiver.received)[2:] == [("token.added", "t1"), ("token.renewed", "t1")]
    first, _, again, renewed = [each.headers["webhook-id"] for each in receiver.received]
    assert first == again != renewed


@pytest.mark.parametrize("status", [307, 400, 404, 503])
async def test_only_a_2xx_counts_as_taken_and_nothing_is_followed(
    outside: Outside, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    await outside.act("token.added")
    await outside.look()
    assert [each.path for each in receiver.received] == ["/planted-secret-path"]
    outside.clock.move(timedelta(minutes=1))
    await outside.look()
    assert len(receiver.received) == 2


async def test_a_receiver_that_hangs_is_left_after_a_while_and_named_without_its_path(
    outside: Outside, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, logged: Lines
) -> None:
    monkeypatch.setattr(calls, "TIMEOUT_S", 0.05)
    receiver.hangs = asyncio.Event()
    await outside.act("token.added", "t1")
    await outside.act("token.added", "t2")
    await outside.look()
    receiver.hangs.set()
    [line] = [line for line in logged() if line["event"] == "event not taken"]
    assert (line["host"], line["reason"]) == ("127.0.0.1", "no answer in time")
    assert "planted-secret-path" not in str(logged())
    monkeypatch.undo()
    outside.clock.move(timedelta(minutes=1))
    await outside.look()
    assert sorted(told(receiver.received)[1:]) == [("token.added", "t1"), ("token.added", "t2")]


async def test_after_a_day_an_event_is_given_up_and_the_next_one_is_told(
    outside: Outside, receiver: Receiver
) -> None:
    receiver.statuses = [500] * 100
    await outside.act("token.added")
    tries = 0
    for _ in range(100):
        await outside.look()
        if len(receiver.received) == tries:
            outside.clock.move(timedelta(minutes=30))
        tries = len(receiver.received)
    assert 25 < tries < 40
    receiver.statuses = []
    await outside.act("token.renewed")
    await outside.look()
    assert told(receiver.received)[tries:] == [("token.renewed", "t1")]


async def test_what_happened_while_the_bot_was_off_for_long_is_not_told(
    outside: Outside, receiver: Receiver
) -> None:
    await outside.act("token.added", "old")
    outside.clock.move(timedelta(hours=25))
    await outside.act("token.added", "new")
    await outside.look()
    assert told(receiver.received) == [("token.added", "new")]


async def test_what_waited_while_there_was_no_webhook_for_a_day_is_not_told(
    outside: Outside, receiver: Receiver
) -> None:
    await outside.act("token.added")
    await outside.events.follow()
    outside.clock.move(timedelta(hours=25))
    await outside.act("token.renewed")
    await outside.look()
    assert told(receiver.received) == [("token.renewed", "t1")]


async def test_without_a_webhook_rooms_leave_no_events(outside: Outside) -> None:
    unwanted = Events(outside.db, outside.clock, outside.audit, is_wanted=False)
    async with outside.db.begin() as session:
        await unwanted.put(session, "alert.opened", subject="alert:7", data={})
    assert await outside.events.due() == []


async def test_rooms_put_events_of_their_own_into_their_transactions(
    outside: Outside, receiver: Receiver
) -> None:
    data: dict[str, Any] = {"subject": {"kind": "alert", "id": "AL-7"}, "level": "critical"}
    async with outside.db.begin() as session:
        await outside.events.put(session, "alert.opened", subject="alert:7", data=data)
    with contextlib.suppress(ZeroDivisionError):
        async with outside.db.begin() as session:
            await outside.events.put(session, "alert.resolved", subject="alert:7", data=data)
            raise ZeroDivisionError
    await outside.look()
    assert told(receiver.received) == [("alert.opened", "AL-7")]
    outside.clock.move(timedelta(days=8))
    await outside.events.forget_old(outside.clock.now())
    assert await outside.events.due() == []


def test_a_secret_with_the_prefix_is_base64() -> None:
    assert rules.signing_key("whsec_" + base64.b64encode(b"0123456789abcdef").decode()) == b"0123456789abcdef"
    assert rules.signing_key("plain") == b"plain"
