"""Storing a content token: the first one of a location, and one that renews it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.content import (
    ContentBackend,
    ContentTokenContents,
    ContentTokenExpired,
    ContentTokenRevoked,
)
from bot.backend.port import BackendError
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id
from bot.kit.errors import EnrollbotError
from bot.licenses import rules, store
from bot.licenses.books import Books, Held, fresh, iso
from bot.licenses.counting import Counting, Reading
from bot.licenses.errors import (
    AlreadyStored,
    ChangedMeanwhile,
    FileExpired,
    FileTooLarge,
    LocationHasToken,
    NoFile,
    NotAccepted,
    NotConfirmed,
    RenewalRefused,
    SecretLost,
)
from bot.licenses.facts import StoredContentToken
from bot.licenses.models import ContentToken, ContentTokenTag
from bot.tokens.rules import check_tags, days_left

#: How long a person who hands a file over waits at most for what the service says of it, in seconds.
CHECKED_WITHIN_S = 90


class Installing:
    """Checks a file with the service and only then stores it."""

    def __init__(self, books: Books, backend: ContentBackend, counting: Counting) -> None:
        self._books = books
        self._backend = backend
        self._counting = counting

    async def check_new(
        self, name: str, *, actor: Actor, tags: Sequence[str] = ()
    ) -> tuple[str, frozenset[str]]:
        """Return name and tags as they would be stored; raise what `add` refuses without a file."""
        actor.require(Role.ADMIN)
        checked = rules.check_name(name)
        found_tags = check_tags(tags)
        self._books.require_tags(actor, found_tags)
        await self._books.refuse_taken(checked)
        return checked, found_tags

    async def add(
        self,
        name: str,
        content: bytes,
        *,
        actor: Actor,
        way: str,
        tags: Sequence[str] = (),
        delivery: str | None = None,
    ) -> StoredContentToken:
        """Store the content token of a location that has none here, with its counts.

        `way` says for the audit how the file came. Raises what `check_new` raises, `NoFile`,
        `FileTooLarge`, `ContentTokenUnusable`, `FileExpired`, `NotAccepted`, `NotConfirmed`,
        `LocationHasToken`, `DeliveredAgain`.
        """
        checked, found_tags = await self.check_new(name, actor=actor, tags=tags)
        contents = self._contents(content)
        reading = await self._reading(contents.secret)
        is_taken, other = await self._books.name_of_location(reading.account.location_id, actor)
        if is_taken:
            raise LocationHasToken(reading.account.location_name, other=other)
        row = self._row(checked, contents, reading, actor)
        held = Held(row, found_tags)
        async with self._books.change(checked, row.location_name) as session:
            await self._books.claim(session, delivery)
            session.add(row)
            await session.flush()
            session.add_all(ContentTokenTag(content_token_id=row.id, tag=tag) for tag in sorted(found_tags))
            await store.put_secret(session, row.id, self._books.seal(row.id, contents.secret))
            await self._counting.store_counts(session, row.id, reading)
            detail = _facts_of(row, way) | {"tags": sorted(found_tags)}
            await self._books.record(session, actor, "added", held.subject, detail)
            return await self._stored(session, row, former=None)

    async def renew(
        self,
        content_token_id: str,
        content: bytes,
        *,
        actor: Actor,
        way: str,
        delivery: str | None = None,
    ) -> StoredContentToken:
        """Replace a stored content token by a later one of the same location; else nothing is changed.

        Raises `ContentTokenGone`, `AlreadyStored`, `RenewalRefused` with the fault that decides,
        `ChangedMeanwhile`, `DeliveredAgain`.
        """
        async with self._books.db.read() as session:
            held = await self._books.load(session, content_token_id, actor)
            stored = await self._stored_secret(session, held.row)
        try:
            contents = self._contents(content)
            _refuse_stored(held.row, contents, stored)
            reading = await self._reading(contents.secret)
            await self._refuse_renewal(held.row, contents, reading, actor)
        except AlreadyStored:
            raise
        except EnrollbotError as fault:
            raise await self._refusal(held.row, fault, stored) from None
        return await self._replace(held, contents, reading, actor, way=way, delivery=delivery)

    async def _replace(
        self,
        held: Held,
        contents: ContentTokenContents,
        reading: Reading,
        actor: Actor,
        *,
        way: str,
        delivery: str | None,
    ) -> StoredContentToken:
        row, now = held.row, self._books.clock.now()
        values = self._counting.values(row.id, reading.account) | {
            "expires_at": _expiry(contents, reading),
            "org_name": contents.org_name[:255] if contents.org_name else None,
            "installed_by": actor.id,
            "installed_at": now,
            "secret_version": row.secret_version + 1,
        }
        async with self._books.change(row.name, row.location_name) as session:
            await self._books.claim(session, delivery)
            if not await store.change(session, row.id, values, seen_version=row.secret_version):
                raise ChangedMeanwhile(row.name)
            await store.put_secret(session, row.id, self._books.seal(row.id, contents.secret))
            await self._counting.store_counts(session, row.id, reading)
            now_stored = await fresh(session, row.id)
            detail = _facts_of(now_stored, way) | {
                "before": iso(held.row.expires_at),
                "after": iso(now_stored.expires_at),
            }
            await self._books.record(session, actor, "renewed", held.subject, detail)
            return await self._stored(session, now_stored, former=held)

    def _contents(self, content: bytes) -> ContentTokenContents:
        if not content.strip():
            raise NoFile
        if len(content) > rules.FILE_LIMIT:
            raise FileTooLarge
        contents = self._backend.read_content_token(content)
        if contents.expires_at <= self._books.clock.now():
            raise FileExpired(contents.expires_at, portal=self._books.texts.portal)
        return contents

    async def _reading(self, secret: SecretStr) -> Reading:
        """Ask the service about a content token that is stored nowhere yet."""
        texts = self._books.texts
        try:
            async with asyncio.timeout(CHECKED_WITHIN_S):
                return await self._counting.read(secret)
        except (ContentTokenExpired, ContentTokenRevoked):
            raise NotAccepted(service=texts.service, portal=texts.portal) from None
        except BackendError as error:
            raise NotConfirmed(error.message) from None
        except TimeoutError:
            raise NotConfirmed(f"{texts.service} did not answer within {CHECKED_WITHIN_S} seconds.") from None

    async def _refuse_renewal(
        self, row: ContentToken, contents: ContentTokenContents, reading: Reading, actor: Actor
    ) -> None:
        account = reading.account
        _, other = await self._books.name_of_location(account.location_id, actor, but=row.id)
        fault = rules.renewal_fault(
            rules.Held(row.location_id, row.location_name, row.expires_at),
            rules.Held(account.location_id, account.location_name, _expiry(contents, reading)),
            self._books.clock.now(),
            other=other,
            portal=self._books.texts.portal,
        )
        if fault is not None:
            raise fault

    async def _refusal(
        self, row: ContentToken, fault: EnrollbotError, stored: SecretStr | None
    ) -> RenewalRefused:
        return RenewalRefused(
            row.name,
            fault,
            days_left=days_left(row.expires_at, self._books.clock.now()),
            is_accepted=await self._is_accepted(stored),
            service=self._books.texts.service,
        )

    async def _is_accepted(self, stored: SecretStr | None) -> bool | None:
        """Ask the service whether it still accepts the stored one; None where it does not say."""
        if stored is None:
            return None
        try:
            async with asyncio.timeout(CHECKED_WITHIN_S):
                await self._backend.content_account(stored)
        except (ContentTokenExpired, ContentTokenRevoked):
            return False
        except (BackendError, TimeoutError):
            return None
        return True

    async def _stored_secret(self, session: AsyncSession, row: ContentToken) -> SecretStr | None:
        try:
            return await self._books.open_secret(session, row)
        except SecretLost:
            return None  # the file in hand mends that

    def _row(self, name: str, contents: ContentTokenContents, reading: Reading, actor: Actor) -> ContentToken:
        now, content_token_id = self._books.clock.now(), new_id()
        told = self._counting.values(content_token_id, reading.account)
        return ContentToken(
            id=content_token_id,
            name=name,
            name_key=rules.name_key(name),
            location_id=reading.account.location_id,
            org_name=contents.org_name[:255] if contents.org_name else None,
            added_by=actor.id,
            added_at=now,
            installed_by=actor.id,
            installed_at=now,
            **told | {"expires_at": _expiry(contents, reading)},
        )

    async def _stored(
        self, session: AsyncSession, row: ContentToken, *, former: Held | None
    ) -> StoredContentToken:
        view = (await self._books.views(session, [row]))[0]
        licences = (await self._books.licences(session, [view]))[view.id]
        return StoredContentToken(
            view,
            [each for each in licences if each.is_listed],
            former_expiry=former.row.expires_at if former else None,
        )


def _refuse_stored(row: ContentToken, contents: ContentTokenContents, stored: SecretStr | None) -> None:
    if stored is not None and stored.get_secret_value() == contents.secret.get_secret_value():
        raise AlreadyStored(row.name)


def _expiry(contents: ContentTokenContents, reading: Reading) -> datetime:
    """Return when the service says that the content token expires, else when its file does."""
    return reading.account.expires_at or contents.expires_at


def _facts_of(row: ContentToken, way: str) -> dict[str, Any]:
    return {
        "way": way,
        "location": row.location_name,
        "location_id": row.location_id,
        "expires_at": iso(row.expires_at),
        "manager": row.manager,
    }
