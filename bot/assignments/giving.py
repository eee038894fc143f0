"""Default profiles for what came with a sync: nobody asks for it, and nobody has to approve it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import store
from bot.assignments.books import SYSTEM, Books, device_of, values_of
from bot.assignments.facts import Found
from bot.assignments.models import Action, Request, RequestState
from bot.backend.profile import Platform
from bot.devices.facts import Arrival, DeviceRow, Unjudged
from bot.devices.rules import waits
from bot.devices.service import DeviceService
from bot.kit.db import new_id
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.profiles.facts import DefaultView
from bot.tokens.errors import TokenGone

log = get_logger(__name__)

#: How long a sync waits after the service could not be asked about profiles that its devices carry.
_REST = timedelta(minutes=5)


class Giving:
    """Judges finished syncs: what waits and came with one becomes work, which no person asked for."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices
        #: Tokens whose service did not answer, and until when they rest.
        self._rests: dict[str, datetime] = {}

    async def judge(self) -> int:
        """Look at what came with finished syncs; returns how many devices are to get a default.

        The syncs of one token are judged in order, so that each device is looked at once.
        """
        given = 0
        for sync in await self._devices.unjudged():
            if self._rests.get(sync.token_id, sync.until) > self._books.clock.now():
                continue
            try:
                given += await self._judge(sync)
            except EnrollbotError as error:
                log.warning("defaults not given yet", sync=sync.sync_id, reason=str(error))
                self._rests[sync.token_id] = self._books.clock.now() + _REST
        return given

    async def _judge(self, sync: Unjudged) -> int:
        rows = await self._arrivals(sync)
        async with self._books.db.begin() as session:
            await store.lock(session)
            if not await self._devices.judge_in(session, sync.sync_id):
                return 0
            held = await store.holds(session, [row.serial for row in rows])
            free = [row for row in rows if row.serial not in held]
            defaults = await self._defaults(session, sync.token_id) if free else {}
            for platform, default in defaults.items():
                inside = [row for row in free if row.platform == platform.value]
                if inside:
                    await self._add(session, sync, default, inside)
        return len(free)

    async def _arrivals(self, sync: Unjudged) -> Sequence[DeviceRow]:
        """Return devices that came with a sync and wait; asks the service about profiles not known here."""
        if sync.is_first or sync.since is None:
            # These were there before anybody chose a default: `token default` asks about them.
            return []
        async with self._books.db.read() as session:
            defaults = await self._defaults(session, sync.token_id)
        if not defaults:
            return []
        try:
            await self._books.tokens.get_by_id(sync.token_id, actor=SYSTEM)
        except TokenGone:
            return []
        rows = await self._devices.waiting(
            sync.token_id,
            list(defaults),
            missing=await self._devices.uuids(sync.token_id),
            arrival=Arrival(sync.since, sync.until),
        )
        carried = {row.profile_uuid for row in rows if row.profile_uuid}
        missing = await self._books.profiles.defaults.missing(sync.token_id, carried)
        return [row for row in rows if waits(row.profile_status, row.profile_uuid, missing=missing)]

    async def _defaults(self, session: AsyncSession, token_id: str) -> Mapping[Platform, DefaultView]:
        found = await self._books.profiles.defaults.of_in(session, [token_id])
        return {each.platform: each for each in found}

    async def _add(
        self, session: AsyncSession, sync: Unjudged, default: DefaultView, rows: Sequence[DeviceRow]
    ) -> None:
        """Put devices to work at once, as a request that nobody sees: its result stands with the sync's."""
        now = self._books.clock.now()
        request = Request(
            id=new_id(),
            action=Action.ASSIGN.value,
            state=RequestState.RUNNING.value,
            token_id=sync.token_id,
            profile_id=default.profile_id,
            profile_version=default.version,
            profile_uuid=default.profile_uuid,
            profile_name=default.profile_name,
            platforms=[default.platform.value],
            sync_id=sync.sync_id,
            devices=len(rows),
            facts=values_of(Found()),
            requested_by=SYSTEM.id,
            made_at=now,
            requested_at=now,
        )
        await store.add(session, request, [device_of(row) for row in rows])
        await store.hold_all(session, request.id)
