"""Everything that can be done with devices. Each method checks the right of whoever asks."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bot.audit.service import AuditService
from bot.backend.port import BackendError, BackendTexts
from bot.backend.profile import Platform
from bot.devices import rules, store
from bot.devices.asking import Asking, WorkOn
from bot.devices.books import SYSTEM, Books
from bot.devices.facts import Arrival, Arrived, DeviceCounts, Loss
from bot.devices.leaving import Leaving
from bot.devices.lists import Lists
from bot.devices.models import DeviceKind
from bot.devices.pruning import Pruning
from bot.devices.refreshing import Refreshing
from bot.devices.reports import Reports
from bot.devices.runs import Runs
from bot.devices.syncs import Syncs
from bot.devices.views import counts_of
from bot.devices.waiting import Waiting
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Leases
from bot.kit.logs import get_logger
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.tokens.service import TokenService

log = get_logger(__name__)

_AT_ONCE = 5000


class DeviceService:
    """Syncs devices, finds them, and says what is known of them."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        leases: Leases,
        audit: AuditService,
        tokens: TokenService,
        settings: Settings,
        profiles: ProfileService,
    ) -> None:
        self._books = Books(db, clock, leases, audit, tokens, settings, profiles)
        reports, leaving = Reports(self._books), Leaving(self._books)
        self._syncs = Syncs(self._books, reports, leaving)
        runs, lists, asking = Runs(self._books, reports), Lists(self._books), Asking(self._books)
        # One door for the screens and the rooms above, without a line of its own for each of these.
        self.start_sync = self._syncs.start_sync
        self.start_sync_by_id = self._syncs.start_sync_by_id
        self.syncable = self._syncs.syncable
        self.syncable_by_id = self._syncs.syncable_by_id
        self.take_wishes = self._syncs.take_wishes
        self.schedule_due = self._syncs.schedule_due
        self.due_syncs = runs.due_syncs
        self.run_sync = runs.run_sync
        self.sync_view = reports.sync_view
        self.sync_facts = reports.sync_facts
        self.sync_facts_of = reports.sync_facts_of
        self.running_work = reports.running_work
        self.untold = reports.untold
        self.telling = reports.telling
        self.note_told = reports.note_told
        self.put_off_telling = reports.put_off_telling
        self.note_told_directly = reports.note_told_directly
        self.note_message = reports.note_message
        self.list_devices = lists.list_devices
        self.csv = lists.csv
        self.all_of = lists.all_of
        self.of_serials = lists.of_serials
        waiting = Waiting(self._books)
        self.waiting = waiting.waiting
        self.carrying = waiting.carrying
        self.uuids = waiting.uuids
        self.unjudged = waiting.unjudged
        self.judge_in = waiting.judge_in
        self.refresh = Refreshing(self._books).refresh
        self._asking = asking
        self.show = asking.show
        self.known = asking.known
        self.ask = asking.ask
        self.forget = leaving.forget
        self.prune = Pruning(self._books).prune
        self.release_removed_tokens = leaving.release_removed_tokens

    @property
    def clock(self) -> Clock:
        return self._books.clock

    @property
    def texts(self) -> BackendTexts:
        return self._books.texts

    def tell_work(self, launch: Callable[[str], None], look: Callable[[], None] | None = None) -> None:
        """Take what begins a sync at once, and what looks for wishes at once, without waiting for the job."""
        self._syncs.launch = launch
        if look is not None:
            self._books.tokens.tell_wishes(look)

    def tell_work_on(self, work_on: WorkOn) -> None:
        """Take the function that says what is being done with a device; the rooms above know it."""
        self._asking.work_on = work_on

    async def counts(self, token_ids: Sequence[str]) -> dict[str, DeviceCounts]:
        """Return how many devices each token has. The caller has checked the right to see them."""
        async with self._books.db.read() as session:
            kinds = await store.kinds_of(session, token_ids)
        by_token: dict[str, list[DeviceKind]] = {token_id: [] for token_id in token_ids}
        for kind in kinds:
            by_token[kind.token_id].append(kind)
        return {token_id: counts_of(kinds_of_it) for token_id, kinds_of_it in by_token.items()}

    async def last_good(self, token_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when the newest good sync of each token began. The caller has checked the right."""
        async with self._books.db.read() as session:
            return await store.newest_good(session, token_ids)

    async def arrived(
        self, token_ids: Sequence[str], *, since: datetime | None, until: datetime
    ) -> list[Arrived]:
        """Return which devices came or came back after `since`, up to `until`, as they are now.

        The caller has checked the right to see them.
        """
        async with self._books.db.read() as session:
            kinds = await store.arrived(session, token_ids, Arrival(since, until))
        found: Counter[tuple[str, str | None, str | None]] = Counter()
        for kind, devices in kinds:
            has = rules.has_profile(kind.profile_status, kind.profile_uuid)
            found[kind.token_id, kind.family, kind.profile_uuid if has else None] += devices
        return [Arrived(*which, devices) for which, devices in found.items()]

    async def waiting_by_platform(self) -> dict[str, dict[str, int]]:
        """Return how many present devices of each token wait for a profile, by platform; for jobs alone."""
        async with self._books.db.read() as session:
            kinds = await store.kinds_without_profile(session)
        found: dict[str, dict[str, int]] = {}
        for kind in kinds:
            if rules.waits(kind.profile_status, kind.profile_uuid, missing=()):
                platforms = found.setdefault(kind.token_id, {})
                platforms[kind.platform] = platforms.get(kind.platform, 0) + kind.devices
        return found

    async def losses(self, *, since: datetime) -> list[Loss]:
        """Return which syncs found something gone since a moment, the oldest first; for jobs alone."""
        async with self._books.db.read() as session:
            rows = await store.losses(session, since=since)
        return [
            Loss(
                token_id=row.token_id,
                removed=row.removed,
                devices_before=row.devices_before,
                started_at=row.started_at,
                ended_at=row.ended_at,
                profiles_changed=row.profiles_changed,
            )
            for row in rows
            if row.ended_at is not None
        ]

    async def gone_from(self, token_id: str, serials: Sequence[str]) -> int:
        """Return how many of these devices are not present on a token any more."""
        present = 0
        for first in range(0, len(serials), _AT_ONCE):
            async with self._books.db.read() as session:
                present += await store.count_present(session, token_id, serials[first : first + _AT_ONCE])
        return len(serials) - present

    async def carry_otherwise(self, token_id: str, before: Mapping[str, str | None]) -> dict[str | None, int]:
        """Count devices present on a token that carry another profile than before, by what they carry now.

        `before` has the profile of each, None where it had none.
        """
        serials, now = list(before), Counter[str | None]()
        for first in range(0, len(serials), _AT_ONCE):
            async with self._books.db.read() as session:
                found = await store.profiles_of(session, token_id, serials[first : first + _AT_ONCE])
            for serial, status, uuid in found:
                carries = uuid if rules.has_profile(status, uuid) else None
                if carries != before[serial]:
                    now[carries] += 1
        return dict(now.most_common())

    async def mark_of(self, token_id: str) -> str:
        """Return a text that differs as soon as the devices of a token do."""
        async with self._books.db.read() as session:
            kinds = await store.kinds_of(session, [token_id])
        return ",".join(f"{kind.id}:{kind.devices}" for kind in kinds)

    async def carried(self, uuids: Sequence[str]) -> dict[str, int]:
        """Return how many present devices carry each of these profiles' UUIDs.

        The caller has checked the right to see the profiles.
        """
        async with self._books.db.read() as session:
            kinds = await store.kinds_carrying(session, uuids)
        found: Counter[str] = Counter()
        for kind in kinds:
            if rules.has_profile(kind.profile_status, kind.profile_uuid):
                found[kind.profile_uuid or ""] += kind.devices
        return dict(found)

    async def to_set_up(self, uuids: Sequence[str], platform: Platform) -> dict[str, int]:
        """Return how many present devices have each of these profiles' UUIDs and have not fetched it yet.

        The caller has checked the right to see the profiles.
        """
        async with self._books.db.read() as session:
            kinds = await store.kinds_carrying(session, uuids)
        found: Counter[str] = Counter()
        for kind in kinds:
            has = rules.has_profile(kind.profile_status, kind.profile_uuid)
            if has and kind.profile_status != "pushed" and kind.platform == platform.value:
                found[kind.profile_uuid or ""] += kind.devices
        return dict(found)

    async def adopt_profiles(self) -> int:
        """Have profiles that devices carry and nobody here defined read from the service. Returns how many.

        A token whose service does not answer is left for the next time.
        """
        async with self._books.db.read() as session:
            carried = await store.uuids_by_token(session)
        adopted = 0
        for token in await self._books.tokens.list_tokens(actor=SYSTEM):
            if token.id not in carried or not token.state.can_sync:
                continue
            try:
                adopted += len(await self._books.profiles.adopt(token.id, carried[token.id]))
            except BackendError as error:
                log.warning("profiles not adopted", token=token.name, reason=str(error))
        return adopted
