"""Leases: who may work on something now, as rows claimed by one conditional statement.

A lease has an epoch that grows with every holder. A result is written only in a transaction in
which the epoch is still the writer's, so that a holder that froze past its lease and wakes writes
nothing.
"""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from bot.kit.clock import Clock
from bot.kit.db import Database, Dialect, Statement, Table, insert_ignoring
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger

log = get_logger(__name__)

#: Long enough to outlive a slow transaction, short enough that a killed holder is soon replaced.
DEFAULT_TTL = timedelta(seconds=30)


class LeaseRow(Table, table=True):
    __tablename__ = "lease"

    name: str = Field(primary_key=True, max_length=120)
    holder: str = Field(max_length=120)
    epoch: int
    expires_at: datetime


class LeaseTaken(EnrollbotError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__("This is being worked on already.", next_step="Try again in a moment.")


class LeaseLost(EnrollbotError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__("Another replica took this work over.")


def this_process() -> str:
    """Name this process among all replicas."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Lease:
    """A lease that is held. `epoch` is the number that results are written under."""

    def __init__(self, name: str, holder: str, epoch: int) -> None:
        self.name = name
        self.holder = holder
        self.epoch = epoch

    async def still_held(self, session: AsyncSession) -> bool:
        """Say whether the epoch is still ours, and keep it so until `session`'s transaction ends.

        `session` is a writing one. On PostgreSQL the share lock makes a take-over, which is an UPDATE
        of the row, wait for the end of this transaction; SQLite has one writer anyway.
        """
        query = sa.select(col(LeaseRow.epoch)).where(col(LeaseRow.name) == self.name)
        return (await session.execute(query.with_for_update(read=True))).scalar_one_or_none() == self.epoch

    def epoch_statement(self, dialect: Dialect) -> Statement:
        """Return what `still_held` asks, to be run among other statements: its one value must be `epoch`."""
        lock = " FOR SHARE" if dialect == "postgresql" else ""
        return Statement(f"SELECT epoch FROM lease WHERE name = ?{lock}", (self.name,))  # noqa: S608


class Leases:
    """Claims, renews and gives back leases for one process."""

    def __init__(self, db: Database, clock: Clock, holder: str | None = None) -> None:
        self._db = db
        self._clock = clock
        self.holder = holder or this_process()

    async def try_hold(self, name: str, *, ttl: timedelta = DEFAULT_TTL) -> Lease | None:
        """Claim the lease if it is free or has run out. The caller renews and releases it."""
        async with self._db.begin() as session:
            now = await self._now(session)
            never = {"name": name, "holder": "", "epoch": 0, "expires_at": now}
            await insert_ignoring(session, LeaseRow, never)
            claimed = await session.execute(
                sa.update(LeaseRow)
                .where(col(LeaseRow.name) == name, col(LeaseRow.expires_at) <= now)
                .values(holder=self.holder, epoch=LeaseRow.epoch + 1, expires_at=now + ttl)
                .returning(col(LeaseRow.epoch))
            )
            epoch = claimed.scalar_one_or_none()
        return None if epoch is None else Lease(name, self.holder, epoch)

    @contextlib.asynccontextmanager
    async def hold(self, name: str, *, ttl: timedelta = DEFAULT_TTL) -> AsyncIterator[Lease]:
        """Hold the lease for the length of the block, renewing it. Raises `LeaseTaken`."""
        lease = await self.try_hold(name, ttl=ttl)
        if lease is None:
            raise LeaseTaken(name)
        done = asyncio.Event()
        heart = asyncio.create_task(self._keep(lease, ttl, done), name=f"lease {name}")
        try:
            yield lease
        finally:
            # Asked to end, not cancelled: a cancelled statement costs its connection.
            done.set()
            await heart
            await self._give_back(lease)

    async def renew(self, lease: Lease, *, ttl: timedelta = DEFAULT_TTL) -> bool:
        """Push the end of a lease back. False when somebody else has it by now."""
        async with self._db.begin() as session:
            now = await self._now(session)
            return await self._set_end(session, lease, now + ttl)

    async def release(self, lease: Lease) -> None:
        """Give the lease back; the next holder gets a higher epoch all the same."""
        async with self._db.begin() as session:
            await self._set_end(session, lease, await self._now(session))

    async def forget_dead_holders(self) -> None:
        """End all leases at start on SQLite, where only this process can be alive.

        A process that was killed leaves its leases behind; on PostgreSQL they run out.
        """
        if self._db.dialect != "sqlite":
            return
        async with self._db.begin() as session:
            ended = {"expires_at": self._clock.now(), "epoch": LeaseRow.epoch + 1}
            await session.execute(sa.update(LeaseRow).values(ended))

    async def _give_back(self, lease: Lease) -> None:
        try:
            await self.release(lease)
        except SQLAlchemyError as error:
            # It runs out by itself, and what the block did or raised matters more.
            log.warning("lease not released", lease=lease.name, error=type(error).__name__)

    async def _keep(self, lease: Lease, ttl: timedelta, done: asyncio.Event) -> None:
        while not await _is_set_within(done, ttl.total_seconds() / 3):
            try:
                if not await self.renew(lease, ttl=ttl):
                    log.warning("lease lost", lease=lease.name)
                    return
            except SQLAlchemyError as error:
                # The next beat may get through; the epoch protects what is written meanwhile.
                log.warning("lease not renewed", lease=lease.name, error=type(error).__name__)

    async def _set_end(self, session: AsyncSession, lease: Lease, end: datetime) -> bool:
        done = await session.execute(
            sa.update(LeaseRow)
            .where(col(LeaseRow.name) == lease.name, col(LeaseRow.epoch) == lease.epoch)
            .values(expires_at=end)
            .returning(col(LeaseRow.epoch))
        )
        return done.first() is not None

    async def _now(self, session: AsyncSession) -> datetime:
        return await self._db.now(session) or self._clock.now()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
