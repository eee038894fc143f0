from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bot.audit.service import AuditService
from bot.deadlines.errors import (
    CertificateDecides,
    CertificateOlder,
    CertificateOver,
    DeadlineNameTaken,
    DeadlineTagsNotYours,
    DeadlineUnknown,
    DeliveredAgain,
    HoldsPrivateKey,
    OtherTopic,
)
from bot.deadlines.service import DeadlineService, Wishes
from bot.kit.actor import Actor, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.settings import Settings
from tests.deadlines.certificates import OTHER_TOPIC, TOPIC, push
from tests.fakes.backend import TEXTS
from tests.fakes.certificates import PKCS8, private_key_pem
from tests.fakes.clock import FakeClock

ANA = Actor("UANA", rights=Rights.of(Role.ADMIN))
BEN = Actor("UBEN", rights=Rights.of(Role.APPROVER))
CLEO = Actor("UCLEO", rights=Rights.of(Role.VIEWER))
OF_HQ = Actor("UHQ", rights=Rights((Grant(Role.ADMIN, frozenset({"hq"})),)))
NEXT_YEAR = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)


class Room:
    def __init__(self, db: Database, clock: FakeClock, keyring: Keyring) -> None:
        self.audit = AuditService(db, keyring, clock)
        self.deadlines = DeadlineService(
            db=db, clock=clock, audit=self.audit, settings=Settings.load({}), texts=TEXTS
        )

    async def upload(
        self, until: datetime = NEXT_YEAR, topic: str | None = TOPIC, *, meant: bool = False
    ) -> None:
        content = push(topic, until=until).public_bytes(Encoding.PEM)
        await self.deadlines.watch_certificate("push", content, actor=ANA, another_topic=meant)

    async def names(self, actor: Actor = CLEO) -> list[str]:
        return [view.name for view in await self.deadlines.list_deadlines(actor=actor)]


@pytest.fixture
def room(database: Database, clock: FakeClock, keyring: Keyring) -> Room:
    return Room(database, clock, keyring)


async def test_a_day_is_watched_changed_and_watched_no_longer(room: Room, clock: FakeClock) -> None:
    first = await room.deadlines.watch("contract", "2026-05-08", actor=ANA)
    assert (first.before, first.deadline.day, first.deadline.days_left) == (None, date(2026, 5, 8), 7)
    clock.move(timedelta(days=1))
    second = await room.deadlines.watch("Contract", "2027-05-08", actor=ANA)
    assert second.before is not None
    assert (second.before.day, second.before.days_left) == (date(2026, 5, 8), 6)
    [view] = await room.deadlines.list_deadlines(actor=CLEO)
    assert (view.id, view.name, view.day) == (first.deadline.id, "contract", date(2027, 5, 8))
    await room.deadlines.remove("CONTRACT", actor=ANA)
    assert await room.names() == []
    await room.deadlines.watch("contract", "2026-06-01", actor=ANA)
    entries = (await room.audit.newest(limit=10))[::-1]
    assert [entry.action.removeprefix("deadline.") for entry in entries] == [
        "added",
        "changed",
        "removed",
        "added",
    ]
    assert [entry.detail["after"]["date"] for entry in entries] == [
        *("2026-05-08", "2027-05-08", "2027-05-08", "2026-06-01"),
    ]


async def test_a_certificate_tells_its_end_and_only_its_renewal_takes_its_place(room: Room) -> None:
    await room.upload()
    [view] = await room.deadlines.list_deadlines(actor=CLEO)
    assert (view.at, view.day) == (NEXT_YEAR, None)
    assert view.certificate is not None
    assert view.certificate.topic == TOPIC
    with pytest.raises(OtherTopic, match="every device must enroll again"):
        await room.upload(NEXT_YEAR + timedelta(days=300), OTHER_TOPIC)
    with pytest.raises(OtherTopic):
        await room.upload(NEXT_YEAR + timedelta(days=300), None)
    with pytest.raises(CertificateOlder):
        await room.upload(NEXT_YEAR - timedelta(days=1))
    with pytest.raises(CertificateDecides):
        await room.deadlines.watch("push", "2028-01-01", actor=ANA)
    assert await room.deadlines.list_deadlines(actor=CLEO) == [view]
    await room.upload(NEXT_YEAR + timedelta(days=300))
    await room.upload(NEXT_YEAR + timedelta(days=100), OTHER_TOPIC, meant=True)
    [after] = await room.deadlines.list_deadlines(actor=CLEO)
    assert after.certificate is not None
    assert (after.certificate.topic, after.at) == (OTHER_TOPIC, NEXT_YEAR + timedelta(days=100))


async def test_a_certificate_takes_the_place_of_a_day(room: Room) -> None:
    await room.deadlines.watch("push", "2027-03-01", actor=ANA, wishes=Wishes(channel="C0MDM", owner="S0MDM"))
    await room.upload()
    [view] = await room.deadlines.list_deadlines(actor=CLEO)
    assert (view.day, view.at, view.channel, view.owner) == (None, NEXT_YEAR, "C0MDM", "S0MDM")


async def test_what_is_over_and_what_is_secret_is_not_kept(room: Room) -> None:
    with pytest.raises(CertificateOver):
        await room.upload(datetime(2026, 4, 30, tzinfo=UTC))
    with pytest.raises(HoldsPrivateKey):
        await room.deadlines.watch_certificate("push", private_key_pem(PKCS8), actor=ANA)
    assert await room.names() == []
    assert await room.audit.newest(limit=1) == []


async def test_viewers_list_and_admins_change(room: Room) -> None:
    await room.deadlines.watch("contract", "2026-05-08", actor=ANA)
    assert await room.names(CLEO) == ["contract"]
    for act in (
        room.deadlines.watch("other", "2026-05-08", actor=BEN),
        room.deadlines.watch_certificate("other", b"", actor=BEN),
        room.deadlines.remove("contract", actor=BEN),
        room.deadlines.list_deadlines(actor=Actor("UNOBODY")),
    ):
        with pytest.raises(NotAllowed):
            await act


async def test_who_is_limited_to_tags_sees_and_touches_only_what_carries_one(room: Room) -> None:
    await room.deadlines.watch("everyones", "2026-05-08", actor=ANA)
    await room.deadlines.watch("schools", "2026-05-09", actor=ANA, wishes=Wishes(tags=["school"]))
    with pytest.raises(DeadlineTagsNotYours):
        await room.deadlines.watch("mine", "2026-05-10", actor=OF_HQ)
    await room.deadlines.watch("mine", "2026-05-10", actor=OF_HQ, wishes=Wishes(tags=["hq"]))
    assert await room.names(OF_HQ) == ["mine"]
    assert await room.names(ANA) == ["everyones", "schools", "mine"]
    with pytest.raises(DeadlineNameTaken):
        await room.deadlines.watch("schools", "2026-05-11", actor=OF_HQ, wishes=Wishes(tags=["hq"]))
    with pytest.raises(DeadlineUnknown):
        await room.deadlines.remove("schools", actor=OF_HQ)
    await room.deadlines.remove("mine", actor=OF_HQ)
    assert [entry.tags for entry in await room.audit.newest(limit=1)] == [["hq"]]


async def test_an_unknown_name_is_answered_with_the_nearest(room: Room) -> None:
    await room.deadlines.watch("mdm-push", "2026-05-08", actor=ANA)
    with pytest.raises(DeadlineUnknown) as refused:
        await room.deadlines.remove("mdm-pusch", actor=ANA)
    assert refused.value.next_step == "Did you mean mdm-push?"


async def test_a_delivery_is_taken_once(room: Room) -> None:
    await room.deadlines.watch("contract", "2026-05-08", actor=ANA, delivery="d1")
    with pytest.raises(DeliveredAgain):
        await room.deadlines.watch("contract", "2026-05-09", actor=ANA, delivery="d1")
    with pytest.raises(DeliveredAgain):
        await room.deadlines.remove("contract", actor=ANA, delivery="d1")
