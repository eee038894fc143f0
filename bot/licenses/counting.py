"""Reading a content token's account and counts, and writing down what changed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.content import (
    AppFacts,
    ContentAccount,
    ContentBackend,
    ContentTokenExpired,
    ContentTokenRevoked,
    ContentUnavailable,
    LicenceCount,
)
from bot.backend.port import BackendError
from bot.kit.errors import EnrollbotError
from bot.kit.leases import Lease, Leases
from bot.kit.logs import get_logger
from bot.licenses import rules, store
from bot.licenses.books import Books
from bot.licenses.errors import SecretLost
from bot.licenses.models import ContentToken, LicenceCountRow, Trouble

log = get_logger(__name__)

#: Thousands of apps are tens of pages, and the service may ask to wait between them.
READ_WITHIN_S = 300
#: Names are a nicety; nobody waits for them longer than this.
NAMES_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Reading:
    """What the service said about a content token: one state of it."""

    account: ContentAccount
    counts: Sequence[LicenceCount]
    names: Mapping[str, AppFacts]


class Counting:
    """Reads counts from the service, one reader a content token over all replicas."""

    def __init__(self, books: Books, backend: ContentBackend, leases: Leases) -> None:
        self._books = books
        self._backend = backend
        self._leases = leases

    async def read(self, secret: SecretStr, *, named: frozenset[str] = frozenset()) -> Reading:
        """Ask for account and counts, and what apps are called but those of `named`.

        Raises what `ContentBackend` raises; `ContentUnavailable` when it takes too long.
        """
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                account = await self._backend.content_account(secret)
                counts = await self._backend.licence_counts(secret)
        except TimeoutError:
            raise ContentUnavailable(
                f"{self._books.texts.service} did not answer within {READ_WITHIN_S // 60} minutes."
            ) from None
        unnamed = sorted({count.app_id for count in counts} - named)
        return Reading(account, counts, await self._names(secret, account, unnamed))

    async def _names(
        self, secret: SecretStr, account: ContentAccount, app_ids: Sequence[str]
    ) -> Mapping[str, AppFacts]:
        if not app_ids:
            return {}
        try:
            async with asyncio.timeout(NAMES_WITHIN_S):
                return await self._backend.app_facts(secret, account, app_ids)
        except (BackendError, TimeoutError) as error:
            log.warning("names of apps not read", apps=len(app_ids), error=type(error).__name__)
            return {}

    async def refresh(self, content_token_id: str) -> None:
        """Read the counts of a stored content token and write what changed, or what went wrong.

        Nothing is written for one that was renewed or removed meanwhile. Raises `LeaseTaken` while
        somebody else reads them.
        """
        async with self._leases.hold(f"licenses:{content_token_id}") as lease:
            async with self._books.db.read() as session:
                row = await store.live_content_token(session, content_token_id)
                if row is None:
                    return
                known = await store.licences(session, [content_token_id])
                try:
                    secret = await self._books.open_secret(session, row)
                except SecretLost as lost:
                    secret, problem = None, lost
            if secret is None:
                await self._write_failure(row, problem, lease)
                return
            named = frozenset(each.app_id for each in known if each.name is not None)
            try:
                reading = await self.read(secret, named=named)
            except BackendError as error:
                await self._write_failure(row, error, lease)
                return
            await self._write(row, reading, lease)

    async def _write(self, row: ContentToken, reading: Reading, lease: Lease) -> None:
        async with self._books.db.begin() as session:
            if await self._is_ours(session, row, lease):
                values = self.values(row.id, reading.account)
                await store.change(session, row.id, values, seen_version=row.secret_version)
                changed = await self.store_counts(session, row.id, reading)
                log.info(
                    "licences counted", content_token=row.name, items=len(reading.counts), changed=changed
                )

    def values(self, content_token_id: str, account: ContentAccount) -> dict[str, Any]:
        """Return what a good answer brings to the columns of a content token."""
        now = self._books.clock.now()
        told: dict[str, Any] = {
            "location_name": account.location_name[:255],
            "country": account.country,
            "is_education": account.is_education,
            "manager": account.manager[:255] if account.manager else None,
        }
        if account.expires_at is not None:
            told["expires_at"] = account.expires_at
        return told | {
            "counted_at": now,
            "asked_at": now,
            "due_at": rules.due_after(content_token_id, now, failures=0, wait=None),
            "failures": 0,
            "trouble": None,
            "trouble_since": None,
            "error": None,
        }

    async def store_counts(self, session: AsyncSession, content_token_id: str, reading: Reading) -> int:
        """Write the counts that are not what they were, each with its row of history; how many those are."""
        now = self._books.clock.now()
        known = {(row.app_id, row.pricing): row for row in await store.licences(session, [content_token_id])}
        changes: list[dict[str, Any]] = []
        for count in reading.counts:
            key = (count.app_id, count.pricing)
            row = known.pop(key, None)
            before = _numbers(row) if row is not None else None
            if row is None:
                row = LicenceCountRow(
                    content_token_id=content_token_id,
                    app_id=count.app_id,
                    pricing=count.pricing,
                    assigned=0,
                    retired=0,
                    device_assignable=False,
                    changed_at=now,
                )
                session.add(row)
            _take(row, count, reading.names.get(count.app_id))
            if before != _numbers(row):
                row.changed_at = now
                changes.append(_change(row))
        for row in known.values():
            if row.gone_at is None:
                row.total, row.assigned, row.available, row.retired = 0, 0, 0, 0
                row.gone_at = row.changed_at = now
                changes.append(_change(row))
        await session.flush()
        await store.add_changes(session, content_token_id, now, changes)
        return len(changes)

    async def _write_failure(self, row: ContentToken, error: EnrollbotError, lease: Lease) -> None:
        now = self._books.clock.now()
        wait: timedelta | None = error.retry_after if isinstance(error, ContentUnavailable) else None
        failures = row.failures + 1
        values: dict[str, Any] = {
            "asked_at": now,
            "failures": failures,
            "due_at": rules.due_after(row.id, now, failures=failures, wait=wait),
            "error": str(error)[:500],
        }
        trouble = _trouble(error)
        if trouble is not None:
            # What came first counts; an answer that is no answer ends no trouble.
            is_same = row.trouble == trouble.value
            values |= {"trouble": trouble.value, "trouble_since": row.trouble_since if is_same else now}
        log.warning("licences not counted", content_token=row.name, error=type(error).__name__)
        async with self._books.db.begin() as session:
            if await self._is_ours(session, row, lease):
                await store.change(session, row.id, values, seen_version=row.secret_version)

    async def _is_ours(self, session: AsyncSession, row: ContentToken, lease: Lease) -> bool:
        """Say whether what was read may be written: nobody took over, and the secret is still the same."""
        if not await lease.still_held(session):
            return False
        now = await store.live_content_token(session, row.id, locks=True)
        return now is not None and now.secret_version == row.secret_version


def _trouble(error: EnrollbotError) -> Trouble | None:
    if isinstance(error, ContentTokenExpired):
        return Trouble.EXPIRED
    return Trouble.REVOKED if isinstance(error, ContentTokenRevoked) else None


def _numbers(row: LicenceCountRow) -> tuple[int | None, int, int | None, bool]:
    return row.total, row.assigned, row.available, row.gone_at is not None


def _take(row: LicenceCountRow, count: LicenceCount, facts: AppFacts | None) -> None:
    row.is_book = count.is_book
    row.total, row.assigned, row.available = count.total, count.assigned, count.available
    row.retired, row.device_assignable = count.retired, count.device_assignable
    row.platforms = " ".join(count.platforms)[:200]
    row.gone_at = None
    if facts is not None:
        row.name = facts.name[:255]
        row.bundle_id = facts.bundle_id[:255] if facts.bundle_id else row.bundle_id


def _change(row: LicenceCountRow) -> dict[str, Any]:
    return {
        "content_token_id": row.content_token_id,
        "app_id": row.app_id,
        "pricing": row.pricing,
        "at": row.changed_at,
        "total": row.total,
        "assigned": row.assigned,
        "available": row.available,
    }
