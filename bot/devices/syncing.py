"""The sync itself: pages from the service into rows, one transaction a page, resumable at any moment.

Everything that must survive a crash is in the database: the sync's row, the place in the service's list,
what the full list has shown so far. A run reads them, goes on from there, and writes a page only while
its lease is still its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import (
    Connection,
    CursorExhausted,
    CursorUnusable,
    DeviceFacts,
    DevicePage,
    Operation,
)
from bot.devices import rules, store
from bot.devices.errors import CursorRepeated
from bot.devices.facts import Kind, Position, pack, unpack
from bot.devices.models import ChangeKind, DeviceState, Phase, SyncKind, SyncState, from_ms, to_ms
from bot.devices.rules import Known, Reported, Step
from bot.devices.store import PageStart, PageWork, Stored
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Lease, LeaseLost
from bot.kit.logs import get_logger

log = get_logger(__name__)

_STATES = {state.value: state for state in DeviceState}
_CHANGES = {
    Step.COMPARE: ChangeKind.MODIFIED,
    Step.MOVE: ChangeKind.MOVED,
    Step.RETURN: ChangeKind.RETURNED,
}
# An enumeration's `value` is ten times as slow as what it returns.
_looks_of = attrgetter("model", "family", "os", "platform._value_", "profile_status", "profile_uuid")
_LOOK_AT = 5000
_REMOVE_AT_ONCE = 500


@dataclass(slots=True)
class Tally:
    """What a sync did, as counted in its row."""

    pages: int = 0
    received: int = 0
    added: int = 0
    modified: int = 0
    removed: int = 0
    returned: int = 0
    moved: int = 0
    ignored: int = 0
    unreadable: int = 0
    profiles_changed: int = 0

    def values(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Work:
    """One run of one sync. `forced` is set when only a full list from the start helps."""

    sync_id: str
    token_id: str
    kind: SyncKind
    lease: Lease
    connection: Connection
    full_page_size: int
    delta_page_size: int
    service: str
    started_at: datetime
    busy_ms: int
    tally: Tally
    forced: str | None = None
    removals_judged: bool = False
    place: Position = field(default_factory=lambda: Position(Phase.NEW, None, None, None, 0, 0))


class Stopped(Exception):
    """The run reached its longest time, or the process is to stop: it goes on later."""


class Kinds:
    """The kinds met so far: cached, since a token has few and a page a thousand devices."""

    def __init__(self) -> None:
        #: The kinds of devices present on this token, by what of a device makes its kind.
        self.of_looks: dict[tuple[str | None, ...], int] = {}
        self._ids: dict[Kind, int] = {}
        self._kinds: dict[int, Kind] = {}
        self._stored: set[int] = set()
        self._new: set[int] = set()

    def id_of(self, kind: Kind) -> int:
        found = self._ids.get(kind)
        if found is None:
            found = self._ids[kind] = store.kind_id(kind)
            self._kinds[found] = kind
        if found not in self._stored:
            self._new.add(found)
        return found

    def __getitem__(self, number: int) -> Kind:
        return self._kinds[number]

    async def load(self, session: AsyncSession, ids: set[int]) -> None:
        """Make kinds of stored devices known."""
        missing = ids - self._kinds.keys()
        for number, kind in (await store.kinds_by_id(session, missing)).items():
            self._kinds[number], self._ids[kind] = kind, number
            self._stored.add(number)

    async def save(self, session: AsyncSession) -> frozenset[int]:
        """Store what is new; give the result to `saved` once the transaction is committed."""
        new = frozenset(self._new)
        await store.add_kinds(session, {number: self._kinds[number] for number in new})
        return new

    def saved(self, new: frozenset[int]) -> None:
        self._stored |= new
        self._new -= new


class Seen:
    """The bits of the full list being read: which device numbers it has shown."""

    def __init__(self, chunks: dict[int, bytearray]) -> None:
        self._chunks = chunks
        self._changed: set[int] = set()

    def add(self, number: int) -> None:
        chunk, bit = divmod(number, store.CHUNK_BITS)
        bits = self._chunks.get(chunk)
        if bits is None:
            bits = self._chunks[chunk] = bytearray(store.CHUNK_BITS // 8)
        mark = 1 << (bit & 7)
        if not bits[bit >> 3] & mark:
            bits[bit >> 3] |= mark
            self._changed.add(chunk)

    def add_all(self, numbers: Sequence[int]) -> None:
        """Add many: the devices of one page were numbered in a row, and mostly still come together."""
        if not numbers:
            return
        first, last = min(numbers), max(numbers)
        if last - first + 1 != len(numbers):
            for number in numbers:
                self.add(number)
            return
        while first <= last:
            chunk = first // store.CHUNK_BITS
            end = min(last, (chunk + 1) * store.CHUNK_BITS - 1)
            self._fill(chunk, first % store.CHUNK_BITS, end % store.CHUNK_BITS)
            first = end + 1

    def _fill(self, chunk: int, first: int, last: int) -> None:
        bits = self._chunks.setdefault(chunk, bytearray(store.CHUNK_BITS // 8))
        part = slice(first >> 3, (last >> 3) + 1)
        mask = ((1 << (last - first + 1)) - 1) << (first & 7)
        filled = int.from_bytes(bits[part], "little") | mask
        bits[part] = filled.to_bytes(part.stop - part.start, "little")
        self._changed.add(chunk)

    def __contains__(self, number: int) -> bool:
        chunk, bit = divmod(number, store.CHUNK_BITS)
        bits = self._chunks.get(chunk)
        return bits is not None and bool(bits[bit >> 3] & (1 << (bit & 7)))

    def total(self) -> int:
        return sum(int.from_bytes(bits, "big").bit_count() for bits in self._chunks.values())

    def take_changed(self) -> dict[int, bytes]:
        changed = {chunk: bytes(self._chunks[chunk]) for chunk in self._changed}
        self._changed = set()
        return changed


@dataclass(frozen=True, slots=True)
class Prepared:
    """A page, its duplicates resolved: `listed` of a full list, or the `reports` of changes.

    `rows` are serial, kind and packed facts; of changes the serial only.
    """

    page: DevicePage
    rows: list[tuple[str, int, bytes]]
    listed: dict[str, DeviceFacts] | None = None
    reports: Mapping[str, Reported] = field(default_factory=dict)


class Syncing:
    """Runs one sync once, from where the database says that it stands."""

    def __init__(
        self,
        work: Work,
        *,
        db: Database,
        clock: Clock,
        is_stopping: Callable[[], bool],
        show: Callable[[Work], None],
    ) -> None:
        self._work = work
        self._db = db
        self._clock = clock
        self._is_stopping = is_stopping
        self._show = show
        self._kinds = Kinds()
        self._seen = Seen({})
        self._knows_most = False
        self._began = clock.monotonic()

    async def run(self) -> None:
        """Read and store until the service has nothing more, and mark the sync finished.

        Raises what the backend raises, `Stopped`, `CursorRepeated`, `LeaseLost`; everything up to the
        last whole page is stored then.
        """
        work = self._work
        async with self._db.read() as session:
            work.place = await store.position(session, work.token_id)
            listed_by = await store.last_full_id(session, work.token_id)
        self._knows_most = work.place.numbers > 0
        if work.place.phase is not Phase.DELTA or (work.kind is SyncKind.FULL and listed_by != work.sync_id):
            await self._read_full()
        elif work.place.full_id is not None:
            # A sync that failed had read its list to the end.
            await self._finish_full(ends=False)
            await self._read_delta()
        else:
            await self._read_delta()

    async def _read_delta(self) -> None:
        try:
            await self._read(SyncKind.DELTA)
        except CursorUnusable as refusal:
            await self._force(refusal.reason)
        except CursorExhausted:
            await self._force("exhausted")
        else:
            return
        await self._read_full()

    async def _read_full(self) -> None:
        work = self._work
        work.kind = SyncKind.FULL
        if work.place.phase is not Phase.FULL and work.place.full_id is None:
            await self._begin_full()
        async with self._db.read() as session:
            self._seen = Seen(await store.seen(session, work.token_id))
        if work.place.phase is Phase.FULL:
            await self._read_list()
        if work.place.phase is Phase.AFTER:
            await self._read_after()
        await self._finish_full(ends=True)

    async def _read_list(self) -> None:
        """Read the full list. Where its cursor is used up before its end, changes come after it."""
        try:
            await self._read(SyncKind.FULL)
        except CursorUnusable as refusal:
            if self._work.place.cursor is None:
                raise
            await self._force(refusal.reason)
            await self._read(SyncKind.FULL)
        except CursorExhausted:
            if self._work.place.cursor is None:
                raise
            self._work.place = replace(self._work.place, phase=Phase.AFTER)
            async with self._writing() as session:
                await store.put_position(session, self._work.token_id, self._work.place)

    async def _read_after(self) -> None:
        """Read the changes after a list before it is judged: one of them may be what it does not show."""
        try:
            await self._read(SyncKind.DELTA)
        except CursorUnusable as refusal:
            await self._force(refusal.reason)
        except CursorExhausted:
            await self._force("exhausted")
        else:
            return
        await self._read(SyncKind.FULL)

    async def _force(self, reason: str) -> None:
        """Begin a full list because the service no longer takes the cursor."""
        log.warning("full sync forced", sync=self._work.sync_id, reason=reason)
        self._work.forced = reason
        await self._begin_full()

    async def _begin_full(self) -> None:
        work = self._work
        work.kind = SyncKind.FULL
        numbers = work.place.numbers
        work.place = Position(Phase.FULL, None, work.sync_id, self._clock.now(), 0, numbers)
        self._seen = Seen({})
        async with self._writing() as session:
            await store.forget_seen(session, work.token_id)
            await store.put_position(session, work.token_id, work.place)
            await store.set_disturbed(session, [work.token_id], is_disturbed=False)
            await self._save_progress(session, ends=False)

    async def _read(self, kind: SyncKind) -> None:
        """Follow the cursor: the next page is on its way while this one is written."""
        cursor = self._work.place.cursor
        coming = asyncio.create_task(self._fetch(kind, cursor))
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                page = await self._arrival(coming)
                repeats = page.more_to_follow and page.cursor == cursor
                goes_on = page.more_to_follow and not repeats and not self._must_stop()
                cursor = page.cursor
                if goes_on:
                    coming = asyncio.create_task(self._fetch(kind, cursor))
                prepared = self._prepare(page, kind)
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._store(prepared))
                if not goes_on:
                    await writing
                    await self._end_reading(page, kind, repeats=repeats)
                    return
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            if writing is not None:
                # Whatever ended the reading: a page that was begun is written, and a lost lease comes first.
                await writing

    async def _end_reading(self, page: DevicePage, kind: SyncKind, *, repeats: bool) -> None:
        if repeats and self._work.place.full_id is not None:
            # From its start the list may be readable; from here it, or what changed since, is not.
            async with self._writing() as session:
                place = replace(self._work.place, phase=Phase.NEW, cursor=None, full_id=None)
                await store.put_position(session, self._work.token_id, place)
        if repeats:
            raise CursorRepeated(self._work.service)
        if page.more_to_follow:
            raise Stopped

    async def _fetch(self, kind: SyncKind, cursor: str | None) -> DevicePage:
        work = self._work
        if kind is SyncKind.FULL:
            return await work.connection.full_page(cursor, limit=rules.page_size(work.full_page_size))
        return await work.connection.delta_page(cursor or "", limit=rules.page_size(work.delta_page_size))

    async def _arrival(self, coming: asyncio.Task[DevicePage]) -> DevicePage:
        """Wait for a page until the longest time of a run is over."""
        left_s = max(0.05, rules.LONGEST_RUN.total_seconds() - self._elapsed_s())
        done, _ = await asyncio.wait([coming], timeout=left_s)
        if not done:
            raise Stopped
        return coming.result()

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._began

    def _must_stop(self) -> bool:
        return self._is_stopping() or self._elapsed_s() >= rules.LONGEST_RUN.total_seconds()

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        """Write only while the lease is ours: a holder that froze and wakes changes nothing."""
        async with self._db.begin() as session:
            await store.lock_devices(session)
            if not await self._work.lease.still_held(session):
                raise LeaseLost(self._work.lease.name)
            yield session

    # One page

    def _prepare(self, page: DevicePage, kind: SyncKind) -> Prepared:
        """Do what needs no transaction: it passes while the page before is still being written."""
        if kind is SyncKind.FULL:
            listed = rules.merge_full(page.devices)
            return Prepared(page, self._pack_full(listed), listed=listed)
        reports = rules.merge_delta(page.devices)
        return Prepared(page, [(serial, 0, b"") for serial in reports], reports=reports)

    async def _store(self, prepared: Prepared) -> None:
        """Write a page, its history, its counts and the cursor behind it in one transaction."""
        work, page, is_full = self._work, prepared.page, prepared.listed is not None
        writes = PageWork()
        async with self._db.begin() as session:
            start = await store.begin_page(
                session, work.lease, work.token_id, prepared.rows, compares=is_full and self._knows_most
            )
            await self._kinds.load(session, {row.kind_id for row in start.stored.values()})
            work.place.numbers = start.numbers
            now = self._clock.now()
            if prepared.listed is not None:
                self._apply_full(prepared.listed, prepared.rows, start, writes, now)
            for reported in prepared.reports.values():
                self._apply(reported, start.stored.get(reported.device.serial), writes, now)
            self._note_page(page, is_full=is_full)
            new_kinds = await self._end_page(session, writes)
            if not is_full and not page.more_to_follow and work.place.full_id is None:
                await self._save_progress(session, ends=True)
        self._kinds.saved(new_kinds)
        self._show(work)

    async def _end_page(self, session: AsyncSession, writes: PageWork) -> frozenset[int]:
        work = self._work
        new_kinds = await self._kinds.save(session)
        writes.seen = self._seen.take_changed()
        is_open = await store.end_page(
            session,
            writes,
            token_id=work.token_id,
            place=work.place,
            sync_id=work.sync_id,
            progress=self._progress(),
        )
        if not is_open:
            # Somebody ended this sync: its token was removed.
            raise LeaseLost(work.lease.name)
        await store.set_disturbed(session, sorted(writes.left), is_disturbed=True)
        return new_kinds

    def _pack_full(self, devices: Mapping[str, DeviceFacts]) -> list[tuple[str, int, bytes]]:
        """Return serial, kind and facts of each device of a full list."""
        token_id, ids, id_of = self._work.token_id, self._kinds.of_looks, self._kinds.id_of
        prepared = []
        for serial, device in devices.items():
            looks = _looks_of(device)
            kind_id = ids.get(looks)
            if kind_id is None:
                kind_id = ids[looks] = id_of(rules.present_kind(device, token_id))
            prepared.append((serial, kind_id, pack(device)))
        return prepared

    def _apply_full(
        self,
        devices: Mapping[str, DeviceFacts],
        prepared: Sequence[tuple[str, int, bytes]],
        start: PageStart,
        writes: PageWork,
        now: datetime,
    ) -> None:
        """Apply a page of a full list; what is new or unchanged, nearly all, takes the short way."""
        unchanged, stored = start.unchanged, start.stored
        same = list(unchanged.values())
        others = prepared if not unchanged else [row for row in prepared if row[0] not in unchanged]
        fresh = others if not stored else [row for row in others if row[0] not in stored]
        for serial, kind_id, packed in others if stored else ():
            was = stored.get(serial)
            if was is None:
                continue
            if was.kind_id == kind_id and was.facts == packed:
                same.append(was.number)
            else:
                self._apply(Reported(devices[serial]), was, writes, now, packed=packed)
        self._seen.add_all(same)
        self._add_all(fresh, writes, to_ms(now))
        self._knows_most = 2 * len(fresh) < len(prepared)

    def _add_all(self, fresh: Sequence[tuple[str, int, bytes]], writes: PageWork, now_ms: int) -> None:
        place = self._work.place
        numbers = range(place.numbers, place.numbers + len(fresh))
        writes.inserts += [
            (serial, kind_id, number, packed, None, now_ms, now_ms)
            for number, (serial, kind_id, packed) in zip(numbers, fresh, strict=True)
        ]
        writes.counts.update([kind_id for _, kind_id, _ in fresh])
        self._seen.add_all(numbers)
        place.numbers += len(fresh)
        self._work.tally.added += len(fresh)

    def _apply(
        self,
        reported: Reported,
        was: Stored | None,
        writes: PageWork,
        now: datetime,
        *,
        packed: bytes | None = None,
    ) -> None:
        """Apply one device of a page whose meaning has to be judged."""
        work, device = self._work, reported.device
        full_since = work.place.full_started_at if work.place.phase is Phase.FULL else None
        known = self._known(was) if was else None
        step = rules.judge(reported, known, token_id=work.token_id, full_since=full_since)
        if step is Step.IGNORE:
            work.tally.ignored += 1
            if was is not None and known is not None and self._is_still_here(known, device):
                self._seen.add(was.number)
            return
        if step is Step.REMOVE and was is not None:
            self._remove(was, device, writes, now)
            return
        kind = self._kinds.id_of(rules.present_kind(device, work.token_id))
        facts = packed if packed is not None else pack(device)
        at = _ms(rules.merged_operation_at(device.operation_at, known.operation_at if known else None))
        if was is None:
            number = self._next_number()
            writes.inserts.append((device.serial, kind, number, facts, at, to_ms(now), to_ms(now)))
            work.tally.added += 1
        else:
            row = was._replace(kind_id=kind, facts=facts, operation_at=at)
            number = self._changed(step, was, row, writes, now).number
            writes.counts[was.kind_id] -= 1
        writes.counts[kind] += 1
        if work.place.full_id is not None:
            self._seen.add(number)

    def _changed(self, step: Step, was: Stored, row: Stored, writes: PageWork, now: datetime) -> Stored:
        """Write a known device that is on our server: changed, returned, moved, or just reported again."""
        work = self._work
        changes = {} if was.facts == row.facts else rules.changed_fields(unpack(was.facts), unpack(row.facts))
        from_kind = self._kinds[was.kind_id]
        if step is Step.COMPARE and not changes and was.kind_id == row.kind_id:
            if was.operation_at != row.operation_at:
                writes.updates.append(row)
            return row
        if step is Step.COMPARE:
            work.tally.profiles_changed += rules.lost_profile(from_kind, self._kinds[row.kind_id])
        change = {Step.MOVE: ChangeKind.MOVED, Step.RETURN: ChangeKind.RETURNED}.get(
            step, ChangeKind.MODIFIED
        )
        if from_kind.token_id != work.token_id:
            # Also when it comes back: forgotten or removed on one token, it returns on another.
            changes["token"] = [from_kind.token_id, work.token_id]
            row = row._replace(number=self._next_number())
            writes.left.add(from_kind.token_id)
        row = row._replace(updated_at=to_ms(now), removed_at=None, removed_reason=None, forgotten_at=None)
        writes.updates.append(row)
        writes.changes.append(
            store.new_change(
                row.serial, change, at=now, token_id=work.token_id, sync_id=work.sync_id, changes=changes
            )
        )
        counted = change.value
        setattr(work.tally, counted, getattr(work.tally, counted) + 1)
        return row

    def _remove(self, was: Stored, device: DeviceFacts, writes: PageWork, now: datetime) -> None:
        if self._work.place.full_id is not None:
            # The list may have shown it before: counts no longer tell whether another one is missing.
            writes.left.add(self._work.token_id)
        reason = "replaced" if device.released_by_replacement else "deleted"
        at = rules.merged_operation_at(device.operation_at, _moment(was.operation_at))
        self._mark_removed(was._replace(operation_at=_ms(at)), reason, writes, now)

    def _mark_removed(self, was: Stored, reason: str, writes: PageWork, now: datetime) -> None:
        work = self._work
        kind = self._kinds.id_of(self._kinds[was.kind_id]._replace(state=DeviceState.REMOVED.value))
        row = was._replace(kind_id=kind, updated_at=to_ms(now), removed_at=to_ms(now), removed_reason=reason)
        writes.updates.append(row)
        writes.counts[was.kind_id] -= 1
        writes.counts[kind] += 1
        writes.changes.append(
            store.new_change(
                was.serial,
                ChangeKind.REMOVED,
                at=now,
                token_id=work.token_id,
                sync_id=work.sync_id,
                changes={"reason": [None, reason]},
            )
        )
        work.tally.removed += 1

    def _note_page(self, page: DevicePage, *, is_full: bool) -> None:
        work = self._work
        unreadable = len(page.unreadable)
        work.tally.pages += 1
        work.tally.received += len(page.devices) + unreadable
        work.tally.unreadable += unreadable
        is_listing = work.place.full_id is not None
        ended = is_listing and not page.more_to_follow
        work.place = replace(
            work.place,
            cursor=page.cursor,
            phase=Phase.DELTA if ended else work.place.phase,
            unreadable=work.place.unreadable + (unreadable if is_listing else 0),
        )

    def _next_number(self) -> int:
        number = self._work.place.numbers
        self._work.place.numbers = number + 1
        return number

    def _known(self, was: Stored) -> Known:
        kind = self._kinds[was.kind_id]
        is_elsewhere = kind.token_id != self._work.token_id
        return Known(
            token_id=kind.token_id,
            state=_STATES[kind.state],
            assigned_at=unpack(was.facts).assigned_at if is_elsewhere else None,
            operation_at=_moment(was.operation_at),
            forgotten_at=_moment(was.forgotten_at),
        )

    def _is_still_here(self, known: Known, device: DeviceFacts) -> bool:
        """Say whether a change that is ignored still shows a device to be here, for a list to be judged."""
        is_here = known.token_id == self._work.token_id and known.state is DeviceState.PRESENT
        return self._work.place.full_id is not None and is_here and device.operation != Operation.DELETED

    async def _save_progress(self, session: AsyncSession, *, ends: bool) -> None:
        """Write what was done into the sync's row, with its end when this was the last of it."""
        work = self._work
        values = self._progress()
        if ends:
            values |= {"state": SyncState.FINISHED.value, "ended_at": self._clock.now()}
        if not await store.change_sync(session, work.sync_id, values):
            # Somebody ended this sync: its token was removed.
            raise LeaseLost(work.lease.name)

    def _progress(self) -> dict[str, object]:
        work = self._work
        return {
            **work.tally.values(),
            "kind": work.kind.value,
            "forced": work.forced,
            "removals_judged": work.removals_judged,
            "busy_ms": work.busy_ms + round(self._elapsed_s() * 1000),
        }

    # The end of a full list

    async def _finish_full(self, *, ends: bool) -> None:
        """Mark removed what the whole list has not shown, and note that it was read.

        Nothing is removed when a device of the list, or of changes that this sync read, could not be read:
        it may be the missing one.
        """
        work = self._work
        work.removals_judged = work.place.unreadable == 0 and work.tally.unreadable == 0
        if work.removals_judged:
            async with self._db.read() as session:
                self._seen = Seen(await store.seen(session, work.token_id))
                kinds = [
                    kind
                    for kind in await store.kinds_of(session, [work.token_id])
                    if kind.state == DeviceState.PRESENT.value
                ]
                is_disturbed = await store.is_disturbed(session, work.token_id)
            total = sum(kind.devices for kind in kinds)
            if is_disturbed or total != self._seen.total():
                for kind in kinds:
                    await self._remove_unseen(kind.id)
        async with self._writing() as session:
            work.place = replace(work.place, full_id=None)
            await store.put_position(session, work.token_id, work.place)
            await store.forget_seen(session, work.token_id)
            started_at = work.place.full_started_at or work.started_at
            await store.end_full(
                session,
                work.token_id,
                sync_id=work.sync_id,
                started_at=started_at,
                ended_at=self._clock.now(),
            )
            await self._save_progress(session, ends=ends)

    async def _remove_unseen(self, kind_id: int) -> None:
        after = ""
        while True:
            async with self._db.read() as session:
                batch = await store.devices_of_kind(session, kind_id, after=after, limit=_LOOK_AT)
            unseen = [serial for serial, number in batch if number not in self._seen]
            for start in range(0, len(unseen), _REMOVE_AT_ONCE):
                await self._remove_all(unseen[start : start + _REMOVE_AT_ONCE])
            if len(batch) < _LOOK_AT:
                return
            after = batch[-1][0]

    async def _remove_all(self, serials: Sequence[str]) -> None:
        writes = PageWork()
        async with self._writing() as session:
            stored = await store.look_up(session, serials)
            await self._kinds.load(session, {row.kind_id for row in stored.values()})
            for row in stored.values():
                kind = self._kinds[row.kind_id]
                is_here = kind.token_id == self._work.token_id and kind.state == DeviceState.PRESENT.value
                if is_here and row.number not in self._seen:
                    self._mark_removed(row, "missing", writes, self._clock.now())
            new_kinds = await self._kinds.save(session)
            await store.write(session, writes)
            await self._save_progress(session, ends=False)
        self._kinds.saved(new_kinds)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_ms(value)
