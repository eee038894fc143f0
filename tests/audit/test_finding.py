"""Entries are found, paged, kept from who may not see them, and exported; on both databases."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.audit import rules
from bot.audit.errors import ExportedBefore
from bot.audit.facts import Form
from bot.audit.models import BEGINNING, AuditEntry
from bot.audit.service import AuditService, Involved
from bot.kit.actor import Actor, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.logs import with_reference
from bot.kit.secrets import Keyring
from tests.fakes.clock import FakeClock

ANA = Actor("U0ANA", rights=Rights.of(Role.ADMIN))
BEN = Actor("U0BEN")
JOB = Actor.job("daily sync")
EMEA, APAC = frozenset({"emea"}), frozenset({"apac"})


def limited(*tags: str, role: Role = Role.ADMIN) -> Actor:
    return Actor("U0CLEO", rights=Rights((Grant(role, frozenset(tags)),)))


@pytest.fixture
def audit(database: Database, keyring: Keyring, clock: FakeClock) -> AuditService:
    return AuditService(database, keyring, clock)


#: Who, what, kind and name of the subject, its tags, the detail; an entry a day, the first is number 1.
ACTS: Sequence[tuple[Actor, str, str, str, frozenset[str], dict[str, Any]]] = (
    (ANA, "token.added", "token", "Paris", EMEA, {}),
    (ANA, "token.renewed", "token", "Paris", EMEA, {"days": 365}),
    (BEN, "profile.defined", "profile", "Paris/Sales iPad", EMEA, {"version": 1}),
    (BEN, "device.forgotten", "device", "C02ABC", APAC, {"token": "tokyo"}),
    (JOB, "sync.started", "token", "tokyo", APAC, {"reason": "schedule"}),
    (ANA, "assignment.done", "profile", "tokyo/100% Kiosk", APAC | EMEA, {"serials": ["C02ABC", "C02ABCD"]}),
    (ANA, "role.granted", "person", "U0BEN", frozenset(), {"role": "admin", "tags": None}),
)


async def fill(audit: AuditService, db: Database, clock: FakeClock) -> datetime:
    """Record the acts and return when the first was done."""
    began = clock.now()
    async with db.begin() as session:
        for number, (actor, action, kind, name, tags, detail) in enumerate(ACTS, start=1):
            with with_reference(f"REF{number}"):
                await audit.record(
                    session,
                    actor=actor,
                    action=action,
                    subject_kind=kind,
                    subject_id=name if kind in ("device", "person") else f"id{number}",
                    subject_name=name,
                    tags=tags,
                    detail=detail,
                )
            clock.move(timedelta(days=1))
    return began


def involved_in(subjects: Mapping[str, Sequence[str]]) -> Involved:
    async def involved_of(serial: str) -> Sequence[str]:
        return subjects.get(serial, ())

    return involved_of


async def found(audit: AuditService, text: str, actor: Actor = ANA) -> list[int]:
    page = await audit.page(text, actor=actor)
    assert page.total == len(page.entries)
    return [entry.number for entry in page.entries]


async def test_every_key_finds_its_entries(audit: AuditService, database: Database, clock: FakeClock) -> None:
    began = await fill(audit, database, clock)
    queries = {
        "": [7, 6, 5, 4, 3, 2, 1],
        "actor:U0ANA": [7, 6, 2, 1],
        "actor:u0ben": [4, 3],
        'actor:"daily sync"': [5],
        "action:token.renewed": [2],
        "action:token": [2, 1],
        "action:tok_n": [],
        "token:paris": [3, 2, 1],
        "token:tokyo": [6, 5, 4],
        "-token:tokyo": [7, 3, 2, 1],
        'subject:"sales ipad"': [3],
        "subject:100%": [6],
        "subject:1%": [],
        "subject:U0BEN": [7],
        "serial:c02abc": [6, 4],
        "serial:C02A": [],
        "-serial:C02ABC": [7, 5, 3, 2, 1],
        "tag:emea": [6, 3, 2, 1],
        "tag:eme": [],
        "reference:ref4": [4],
        "since:3d": [7, 6, 5],
        "until:5d": [2, 1],
        "-since:3d": [4, 3, 2, 1],
        f"since:{began:%Y-%m-%d} until:{began + timedelta(days=1):%Y-%m-%d}": [2, 1],
        "actor:U0ANA action:token since:30d -action:token.renewed": [1],
    }
    for text, expected in queries.items():
        assert await found(audit, text) == expected, text
    audit.tell_involved(involved_in({"C02ABC": ["id3", "id5"]}))
    assert await found(audit, "serial:C02ABC") == [6, 5, 4, 3]
    assert await found(audit, "-serial:C02ABC -serial:C02OTHER") == [7, 2, 1]
    assert await found(audit, "serial:C02ABC", limited("emea")) == [6, 3]
    in_vain = await audit.page("action:token.renwed", actor=ANA)
    assert in_vain.actions == sorted({act[1] for act in ACTS})


async def test_an_admin_limited_to_tags_sees_only_what_carries_one_of_them(
    audit: AuditService, database: Database, clock: FakeClock
) -> None:
    await fill(audit, database, clock)
    assert await found(audit, "", limited("emea")) == [6, 3, 2, 1]
    assert await found(audit, "", limited("apac", "other")) == [6, 5, 4]
    assert await found(audit, "tag:apac", limited("emea")) == [6]
    for tags in (["eme"], ["EMEA"], ["em%"], ["_mea"], []):
        assert await found(audit, "", limited(*tags)) == [], tags
    # Other roles held elsewhere show nothing more.
    mixed = Actor("U0CLEO", rights=Rights((Grant(Role.APPROVER), Grant(Role.ADMIN, EMEA))))
    assert await found(audit, "", mixed) == [6, 3, 2, 1]
    assert (await audit.page("action:x", actor=mixed)).actions == sorted(
        {ACTS[n - 1][1] for n in (6, 3, 2, 1)}
    )
    with pytest.raises(NotAllowed):
        await audit.page("", actor=limited("emea", role=Role.APPROVER))
    with pytest.raises(NotAllowed):
        async with audit.exported("", actor=limited("emea", role=Role.APPROVER)):
            pass
    async with audit.exported("", actor=limited("emea")) as made:
        lines = made.files[Form.JSONL].read_bytes().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 6]
    # Their export is seen by those who see what they exported, and by no others.
    assert (await found(audit, "", limited("emea")))[0] == 8
    assert 8 not in await found(audit, "", limited("apac"))


async def test_pages_lead_forth_and_back(audit: AuditService, database: Database, clock: FakeClock) -> None:
    await fill(audit, database, clock)
    first = await audit.page("", actor=ANA, rows=3)
    assert [entry.number for entry in first.entries] == [7, 6, 5]
    assert (first.total, first.previous, first.next) == (7, None, 5)
    second = await audit.page("", actor=ANA, rows=3, after=first.next)
    third = await audit.page("", actor=ANA, rows=3, after=second.next)
    assert [entry.number for entry in [*second.entries, *third.entries]] == [4, 3, 2, 1]
    assert (third.total, third.previous, third.next) == (7, 1, None)
    back = await audit.page("", actor=ANA, rows=3, before=third.previous)
    assert [entry.number for entry in back.entries] == [4, 3, 2]
    assert (back.previous, back.next) == (4, 2)
    beginning = await audit.page("", actor=ANA, rows=3, before=back.previous)
    assert [entry.number for entry in beginning.entries] == [7, 6, 5]
    assert beginning.previous is None
    past = await audit.page("", actor=ANA, after=1)
    assert (past.entries, past.previous, past.next) == ([], None, None)


async def test_an_export_can_be_proved_and_is_an_act_itself(
    audit: AuditService,
    database: Database,
    clock: FakeClock,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.audit.service._EXPORT_ROWS", 2)  # it is written in four pieces
    await fill(audit, database, clock)
    async with audit.exported("", actor=ANA, delivery="E1") as made:
        assert (made.entries, set(made.files)) == (7, set(Form))
        lines = made.files[Form.JSONL].read_text().splitlines()
        table = list(csv.DictReader(made.files[Form.CSV].read_text("utf-8-sig").splitlines()))
        folder = made.files[Form.CSV].parent
    with pytest.raises(FileNotFoundError):
        os.listdir(folder)
    entries = [json.loads(line) for line in lines]
    assert [row["number"] for row in table] == [str(entry["number"]) for entry in entries]
    macs = [BEGINNING, *(entry["mac"] for entry in entries)]
    for entry, before in zip(entries, macs, strict=False):
        previous, _ = entry.pop("previous"), entry.pop("link")
        told = AuditEntry(**(entry | {"at": datetime.fromisoformat(entry["at"])}))
        key = keyring.derive("enrollbot audit chain", key_id=bytes.fromhex(told.key_id))
        assert previous == before
        assert rules.chain(told, previous=previous, key=key) == told.mac
    (act,) = (await audit.page("action:audit.exported", actor=ANA)).entries
    assert (act.actor, act.subject_name, act.detail["entries"]) == ("U0ANA", "the whole audit", 7)
    assert (await audit.verify()).head == act.mac
    with pytest.raises(ExportedBefore):
        async with audit.exported("", actor=ANA, delivery="E1"):
            pass
    async with audit.exported("action:nothing", actor=ANA, forms=[Form.CSV]) as empty:
        assert (empty.entries, list(empty.files)) == (0, [Form.CSV])
        assert empty.files[Form.CSV].read_text("utf-8-sig").startswith("number,at,actor,")
