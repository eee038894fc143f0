"""Devices that wait for a profile, and those that came with a sync."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.profile import Platform
from bot.devices import rules, store
from bot.devices.books import Books
from bot.devices.facts import Arrival, DeviceRow, Kind, Unjudged
from bot.devices.models import DeviceState
from bot.devices.store import Filter
from bot.devices.views import row_of

_BATCH = 5000
#: Syncs that ended longer ago are not judged any more: the bot was not running then.
_JUDGED_WITHIN = timedelta(days=7)


class Waiting:
    """Finds devices of one token by what they carry. The caller has checked the right to see them."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def uuids(self, token_id: str) -> set[str]:
        """Return the profile UUIDs that present devices of a token have."""
        async with self._books.db.read() as session:
            return (await store.uuids_by_token(session)).get(token_id, set())

    async def waiting(
        self,
        token_id: str,
        platforms: Collection[Platform],
        *,
        missing: Collection[str] = (),
        arrival: Arrival | None = None,
    ) -> list[DeviceRow]:
        """Return devices of these platforms that wait for a profile, by serial; only those of an arrival.

        `missing` are UUIDs that the service knows no profile of.
        """
        values = {platform.value for platform in platforms}
        return await self._found(
            token_id,
            lambda kind: (
                kind.platform in values
                and rules.waits(kind.profile_status, kind.profile_uuid, missing=missing)
            ),
            arrival=arrival,
        )

    async def carrying(
        self, token_id: str, uuids: Collection[str], *, but_set_up: bool = False
    ) -> list[DeviceRow]:
        """Return devices that carry one of these profiles; `but_set_up` leaves out who has fetched it."""
        return await self._found(
            token_id,
            lambda kind: (
                kind.profile_uuid in uuids
                and rules.has_profile(kind.profile_status, kind.profile_uuid)
                and not (but_set_up and kind.profile_status == "pushed")
            ),
        )

    async def _found(
        self, token_id: str, fits: Callable[[Kind], bool], *, arrival: Arrival | None = None
    ) -> list[DeviceRow]:
        names = {token_id: token.name} if (token := await self._books.token_or_none(token_id)) else {}
        found: list[DeviceRow] = []
        after: str | None = None
        while True:
            async with self._books.db.read() as session:
                kinds = await self._kinds(session, token_id, fits)
                wanted = Filter(
                    kinds=list(kinds), weight=sum(count for _, count in kinds.values()), arrival=arrival
                )
                page = await store.page_of(session, wanted, after=after, before=None, limit=_BATCH)
                uuids = {kind.profile_uuid for kind, _ in kinds.values() if kind.profile_uuid}
                profiles = await self._books.profiles.names_in(session, uuids)
            found += [row_of(device, kinds[device.kind_id][0], names, profiles) for device in page]
            if len(page) < _BATCH:
                return found
            after = page[-1].serial

    async def _kinds(
        self, session: AsyncSession, token_id: str, fits: Callable[[Kind], bool]
    ) -> Mapping[int, tuple[Kind, int]]:
        rows = await store.kinds_of(session, [token_id])
        present = [row for row in rows if row.state == DeviceState.PRESENT.value]
        kinds = {row.id: (store.kind_of(row), row.devices) for row in present}
        return {number: each for number, each in kinds.items() if fits(each[0])}

    # Which syncs were judged

    async def unjudged(self) -> Sequence[Unjudged]:
        """Return finished syncs whose arrivals were not looked at yet, the oldest first."""
        since = self._books.clock.now() - _JUDGED_WITHIN
        async with self._books.db.read() as session:
            rows = await store.unjudged_syncs(session, since=since)
            until = {row.token_id: await store.judged_until(session, row.token_id) for row in rows}
        found = []
        for row in rows:
            if row.ended_at is not None:
                found.append(Unjudged(row.id, row.token_id, row.is_first, until[row.token_id], row.ended_at))
                until[row.token_id] = row.ended_at
        return found

    async def judge_in(self, session: AsyncSession, sync_id: str) -> bool:
        """Note inside the caller's transaction that a sync is judged. False when it was already."""
        return await store.judge_sync(session, sync_id, self._books.clock.now())
