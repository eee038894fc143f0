"""The outbox: what is to be told to the webhook, never lost and in order."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.outside import rules, store
from bot.outside.facts import Event
from bot.outside.models import OutsideEvent

#: How many entries of the audit one transaction follows, and how many events one look takes.
AT_ONCE = 200
KEPT_FOR = timedelta(days=7)


class Events:
    """Makes events of what the audit says and what rooms put here, and hands them out one by one."""

    def __init__(self, db: Database, clock: Clock, audit: AuditService, *, is_wanted: bool) -> None:
        self._db = db
        #: Without a webhook nobody would ever take what rooms put here.
        self._is_wanted = is_wanted
        self._clock = clock
        self._audit = audit

    async def put(self, session: AsyncSession, kind: str, *, subject: str, data: Mapping[str, Any]) -> None:
        """Add an event inside the transaction of the change that it tells of; nothing without a webhook."""
        if not self._is_wanted:
            return
        now = self._clock.now()
        body = {"type": kind, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": dict(data)}
        self._add(session, kind, subject, now, body)
        await session.flush()

    async def follow(self) -> int:
        """Make events of the acts that the audit has since the last look. Returns how many acts it was.

        Every act is in the audit, in the transaction that did it: following it loses none and keeps their
        order. Who looks for the first time begins at its end.
        """
        async with self._db.begin() as session:
            end = await self._audit.head_in(session)
            position = await store.lock_position(session, start=end)
            acts = await self._audit.acts_after(session, position, limit=AT_ONCE)
            now = self._clock.now()
            for act in acts:
                if act.action in rules.TOLD and not rules.is_over(act.at, now):
                    subject = f"{act.subject_kind}:{act.subject_id}"
                    self._add(session, act.action, subject, act.at, rules.body_of(act))
            if acts:
                await store.move_position(session, acts[-1].number)
        return len(acts)

    async def is_idle(self) -> bool:
        """Say whether there is nothing to follow and nothing to tell: a look that writes nothing."""
        async with self._db.read() as session:
            end = await self._audit.head_in(session)
            is_followed = await store.position(session) == end
            return is_followed and not await store.due(session, self._clock.now(), limit=1)

    async def due(self) -> Sequence[Event]:
        """Return what is to be told now, of each subject the oldest that waits."""
        async with self._db.read() as session:
            rows = await store.due(session, self._clock.now(), limit=AT_ONCE)
        return [Event(row.number or 0, row.id, row.kind, row.at, row.body, row.tries) for row in rows]

    async def note_taken(self, event: Event) -> None:
        await self._change(event, {"ended_at": self._clock.now(), "is_taken": True})

    async def give_up(self, event: Event) -> None:
        """Note that an event is told no more."""
        await self._change(event, {"ended_at": self._clock.now()})

    async def note_failed(self, event: Event) -> bool:
        """Note that an event was not taken: it is tried again. Returns False when it is given up."""
        now, tries = self._clock.now(), event.tries + 1
        if rules.is_over(event.at, now):
            await self._change(event, {"tries": tries, "ended_at": now})
            return False
        await self._change(event, {"tries": tries, "due_at": now + rules.wait_after(tries)})
        return True

    async def forget_old(self, _slot: datetime) -> None:
        """Delete events that ended a week ago."""
        async with self._db.begin() as session:
            await store.forget(session, before=self._clock.now() - KEPT_FOR)

    def _add(
        self, session: AsyncSession, kind: str, subject: str, at: datetime, body: dict[str, Any]
    ) -> None:
        row = OutsideEvent(id=new_id(), kind=kind, subject=subject[:130], at=at, body=body, due_at=at)
        session.add(row)

    async def _change(self, event: Event, values: dict[str, Any]) -> None:
        async with self._db.begin() as session:
            await store.change(session, event.number, values)
