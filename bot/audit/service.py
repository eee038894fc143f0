"""Record acts in the transaction that does them, show them, and prove that no record was touched."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit import formats, query, rules, store
from bot.audit.errors import ExportedBefore
from bot.audit.facts import AuditPage, Entry, Exported, Form, Told
from bot.audit.models import BEGINNING, AuditEntry
from bot.audit.query import Key, Query
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.logs import reference
from bot.kit.once import claim_once
from bot.kit.secrets import EncryptionKeyWrong, Keyring

PAGE_ROWS = 10
COUNT_UP_TO = 1000
_EXPORT_ROWS = 1000

Involved = Callable[[str], Awaitable[Collection[str]]]
Links = Callable[[AsyncSession, Collection[str]], Awaitable[Mapping[str, str]]]

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
        self._involved_of: Involved | None = None
        self._links_in: Links | None = None

    def tell_involved(self, involved_of: Involved) -> None:
        """Take the function that says which subjects a device was part of, by its serial number.

        A request of thousands of devices is one entry, which does not name them.
        """
        self._involved_of = involved_of

    def tell_links(self, links_in: Links) -> None:
        """Take the function that says which message in Slack is about each of these subjects, by their ids.

        It asks inside the caller's transaction, and no Slack.
        """
        self._links_in = links_in

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

    async def head(self) -> AuditProof:
        """Return how many entries there are and the last one's hash, to compare later. Proves nothing."""
        async with self._db.read() as session:
            head = await store.head(session)
        return AuditProof(head.number, head.mac) if head else AuditProof(0, BEGINNING)

    async def head_in(self, session: AsyncSession) -> int:
        """Return the number of the last entry inside the caller's transaction, 0 for none."""
        head = await store.head(session)
        return head.number if head else 0

    async def acts_after(self, session: AsyncSession, number: int, *, limit: int) -> list[Told]:
        """Return acts behind a number inside the caller's transaction, for who follows the audit.

        Entries are written one after the other, so that none appears later between those that were read.
        """
        return await store.acts_after(session, number, limit=limit)

    async def since(self, actions: Collection[str], at: datetime) -> list[AuditEntry]:
        """Return the entries of some acts from a moment on, for rules that look back; oldest first."""
        async with self._db.read() as session:
            return await store.since(session, actions, at)

    async def newest(self, *, limit: int) -> list[AuditEntry]:
        """Return the newest entries, newest first."""
        async with self._db.read() as session:
            return await store.newest(session, limit=limit)

    async def page(
        self,
        text: str,
        *,
        actor: Actor,
        after: int | None = None,
        before: int | None = None,
        rows: int = PAGE_ROWS,
    ) -> AuditPage:
        """Return a page of the entries that fit a QUERY and that the actor may see, newest first.

        Raises `QueryWrong`.
        """
        wanted = await self._wanted(text, actor)
        backwards = before is not None and after is None
        async with self._db.read() as session:
            found = await store.page_of(session, wanted, after=after, before=before, limit=rows + 1)
            found = await self._with_links(session, found)
            more = len(found) > rows
            # A first page that is the last is all there is; counting would look through the audit again.
            is_all = after is None and before is None and not more
            total = len(found)
            if not is_all:
                total = await store.count_up_to(session, wanted, limit=COUNT_UP_TO + 1)
            is_in_vain = not found and wanted.query.of(Key.ACTION)
            seen = store.Filter(Query(""), wanted.tags)
            actions = await store.actions_of(session, seen) if is_in_vain else []
        entries = (found[1:] if backwards else found[:rows]) if more else found
        has_previous, has_next = (more, True) if backwards else (after is not None, more)
        return AuditPage(
            query=wanted.query.text,
            entries=entries,
            total=None if total > COUNT_UP_TO else total,
            previous=entries[0].number if entries and has_previous else None,
            next=entries[-1].number if entries and has_next else None,
            actions=actions,
            tags=wanted.tags,
        )

    @contextlib.asynccontextmanager
    async def exported(
        self, text: str, *, actor: Actor, forms: Sequence[Form] = tuple(Form), delivery: str | None = None
    ) -> AsyncIterator[Exported]:
        """Write the entries that fit a QUERY to files, which are gone after the block; an act of its own.

        The files are written piece by piece, so that memory does not grow with the audit. Raises
        `QueryWrong`, and `ExportedBefore` when this was delivered before.
        """
        wanted = await self._wanted(text, actor)
        with tempfile.TemporaryDirectory(prefix="enrollbot-audit-") as folder:
            files = {form: Path(folder) / f"audit.{form.value}" for form in forms}
            entries = await self._write(wanted, files)
            typed = wanted.query.text
            async with self._db.begin() as session:
                if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
                    raise ExportedBefore
                await self.record(
                    session,
                    actor=actor,
                    action="audit.exported",
                    subject_kind="audit",
                    subject_id="*",
                    subject_name=typed or "the whole audit",
                    # Who may see what was taken may see that it was.
                    tags=wanted.tags or frozenset(),
                    detail={"query": typed, "entries": entries, "files": [form.value for form in forms]},
                )
            yield Exported(typed, entries, files)

    async def _write(self, wanted: store.Filter, files: Mapping[Form, Path]) -> int:
        written = 0
        for form, path in files.items():
            await asyncio.to_thread(path.write_bytes, formats.head(form))
        async with self._db.read() as session:
            async for fitting in store.fitting(session, wanted, rows=_EXPORT_ROWS):
                entries = await self._with_links(session, fitting)
                await asyncio.to_thread(_append, entries, files)
                written += len(entries)
        return written

    async def _with_links(self, session: AsyncSession, entries: Sequence[Entry]) -> list[Entry]:
        """Return entries with the messages that they are about; the detail's own link goes first."""
        subjects = {entry.subject_id for entry in entries}
        links = await self._links_in(session, subjects) if self._links_in is not None and subjects else {}
        return [
            replace(entry, link=str(entry.detail.get("permalink") or links.get(entry.subject_id, "")))
            for entry in entries
        ]

    async def _wanted(self, text: str, actor: Actor) -> store.Filter:
        """Return what a query finds for an actor: this is where it is decided who sees which entry.

        Admins of every token see all. Those of tags see the entries that carry one of them, none of the
        entries that concern every token.
        """
        actor.require(Role.ADMIN)
        asked = query.parse(text, now=self._clock.now())
        involved: dict[str, Collection[str]] = {}
        if self._involved_of is not None:
            serials = {condition.value for condition in asked.of(Key.SERIAL)}
            involved = {serial: await self._involved_of(serial) for serial in sorted(serials)}
        return store.Filter(asked, actor.rights.tags_as(Role.ADMIN), involved)

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


def _append(entries: Sequence[Entry], files: Mapping[Form, Path]) -> None:
    for form, path in files.items():
        with path.open("ab") as file:
            file.write(formats.lines(entries, form))
