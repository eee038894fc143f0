"""Record acts in the transaction that does them, and prove that no record was touched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit import rules, store
from bot.audit.models import BEGINNING, AuditEntry
from bot.kit.actor import Actor
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.logs import reference
from bot.kit.secrets import EncryptionKeyWrong, Keyring

_PURPOSE = "enrollbot audit chain"


class AuditBroken(EnrollbotError):
    """The chain does not hold from this entry on."""

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        super().__init__(
            f"The audit is broken at entry {number}: {why}.",
            next_step="Compare it with a backup of the database; entries before that number are sound.",
        )


@dataclass(frozen=True, slots=True)
class AuditProof:
    """How many entries hold, and the mac of the last: the head that is published now and then."""

    entries: int
    head: str


class AuditService:
    """The audit of one database."""

    def __init__(self, db: Database, keyring: Keyring, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock

    async def record(
        self,
        session: AsyncSession,
        *,
        actor: Actor,
        action: str,
        subject_kind: str,
        subject_id: str,
        subject_name: str,
        tags: frozenset[str] = frozenset(),
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry inside the transaction of the change it tells of.

        `action` is `noun.verb` in the past (`token.added`). `detail` is JSON without secrets. Call it
        last: the end of the chain stays locked until the transaction ends, and whoever holds it while
        waiting for another row may be waited for.
        """
        head = await store.lock_head(session)
        key_id = self._keyring.newest_id
        entry = AuditEntry(
            number=head.number + 1,
            at=self._clock.now(),
            actor=actor.id,
            actor_kind=actor.kind.value,
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            subject_name=subject_name[:200],
            tags=sorted(tags),
            detail=dict(detail or {}),
            reference=reference(),
            key_id=key_id.hex(),
            mac="",
        )
        entry.mac = rules.chain(entry, previous=head.mac, key=self._key(key_id))
        session.add(entry)
        head.number, head.mac = entry.number, entry.mac
        await session.flush()

    async def verify(self) -> AuditProof:
        """Walk the whole chain. Raises `AuditBroken` at the first entry that does not hold."""
        async with self._db.read() as session:
            head = await store.head(session)
            number, mac = 0, BEGINNING
            async for entry in store.entries(session):
                self._check(entry, expected=number + 1, previous=mac)
                number, mac = entry.number, entry.mac
        if (head.number, head.mac) != (number, mac) if head else number:
            raise AuditBroken(number + 1, "entries at its end are missing")
        return AuditProof(number, mac)

    async def newest(self, *, limit: int) -> list[AuditEntry]:
        """Return the newest entries, newest first."""
        async with self._db.read() as session:
            return await store.newest(session, limit=limit)

    def _check(self, entry: AuditEntry, *, expected: int, previous: str) -> None:
        if entry.number != expected:
            raise AuditBroken(expected, "it is missing")
        if rules.chain(entry, previous=previous, key=self._key_of(entry)) != entry.mac:
            raise AuditBroken(expected, "it, or the one before it, was changed")

    def _key_of(self, entry: AuditEntry) -> bytes:
        try:
            return self._key(bytes.fromhex(entry.key_id))
        except (EncryptionKeyWrong, ValueError):
            raise AuditBroken(
                entry.number,
                "the encryption key it names is not in ENROLLBOT_ENCRYPTION_KEYS, so it cannot be proved",
            ) from None

    def _key(self, key_id: bytes) -> bytes:
        return self._keyring.derive(_PURPOSE, key_id=key_id)
