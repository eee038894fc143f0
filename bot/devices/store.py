"""The rows of devices: every statement, none of which commits.

Pages go through the driver as they are (one look-up, one insert, one update, each for many rows), since
a device costs ten microseconds in a sync; everything else is ordinary SQLAlchemy.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.devices.facts import Arrival, Kind, Position
from bot.devices.models import (
    ChangeKind,
    Device,
    DeviceChange,
    DeviceKind,
    DeviceState,
    Phase,
    SeenDevices,
    Sync,
    SyncState,
    TokenCursor,
    to_ms,
)
from bot.kit.db import Statement, insert_ignoring, run_all
from bot.kit.leases import Lease, LeaseLost

#: Any number, the same on every replica: writers of devices on PostgreSQL take turns, as on SQLite, so
#: that two tokens that report one device cannot cross.
_DEVICES_LOCK = 7_204_311_885
#: The first half of a key; the second tells tokens apart.
_SYNCS_LOCK = 7_204_311
CHUNK_BITS = 4096 * 8
_COLUMNS = (
    "serial",
    "kind_id",
    "number",
    "facts",
    "operation_at",
    "first_seen_at",
    "updated_at",
    "removed_at",
    "removed_reason",
    "forgotten_at",
)
_PG_TYPES = ("text", "bigint", "integer", "bytea", "bigint", "bigint", "bigint", "bigint", "text", "bigint")
_CHANGE_COLUMNS = ("serial", "at", "kind", "token_id", "sync_id", "changes")
_CHANGE_PG_TYPES = ("text", "bigint", "text", "text", "text", "json")
_LIST = ", ".join
_LOOK_UP = f"SELECT {_LIST(_COLUMNS)} FROM device WHERE serial "  # noqa: S608 - names of columns
_UPDATED = _COLUMNS[1:]
#: A device seen for the first time has these; the other columns are empty.
_INSERTED = _COLUMNS[:7]
#: Rows that one statement of SQLite takes at once. The driver gives up Python's lock at each step of a
#: statement: row by row it would wait for whatever else runs, which costs more than the rows.
_BLOCK = 500


def _block(width: int) -> str:
    return ",".join(["(" + ",".join("?" * width) + ")"] * _BLOCK)


_LOOK_UP_BLOCK = f"{_LOOK_UP}IN ({','.join('?' * _BLOCK)})"
_INSERT_BLOCK = (
    f"INSERT INTO device ({_LIST(_INSERTED)})"  # noqa: S608 - names of columns
    f" SELECT {_LIST(f'column{n + 1}' for n in range(len(_INSERTED)))}"
    f" FROM (VALUES {_block(len(_INSERTED))}) WHERE column1 IS NOT NULL"
)
#: One row with everything, for the same reason.
_UNCHANGED_BLOCK = (
    "SELECT json_group_object(d.serial, d.number)"  # noqa: S608
    f" FROM (VALUES {_block(3)}) AS v CROSS JOIN device AS d"
    " ON d.serial = v.column1 AND d.kind_id = v.column2 AND d.facts = v.column3"
)
_numbers = msgspec.json.Decoder(dict[str, int])


class Stored(NamedTuple):
    """A device row as the sync reads and writes it; times are milliseconds."""

    serial: str
    kind_id: int
    number: int
    facts: bytes
    operation_at: int | None
    first_seen_at: int
    updated_at: int
    removed_at: int | None = None
    removed_reason: str | None = None
    forgotten_at: int | None = None


#: A device seen for the first time, the first columns of `Stored`: a thousand of these come with a page.
NewDevice = tuple[str, int, int, bytes, int | None, int, int]


class NewChange(NamedTuple):
    """A history row to be written. `changes` is JSON."""

    serial: str
    at: int
    kind: str
    token_id: str
    sync_id: str | None
    changes: str


def new_change(
    serial: str,
    kind: ChangeKind,
    *,
    at: datetime,
    token_id: str,
    sync_id: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> NewChange:
    return NewChange(serial, to_ms(at), kind.value, token_id, sync_id, json.dumps(changes or {}))


@functools.lru_cache(maxsize=4096)
def kind_id(kind: Kind) -> int:
    """Make the id of a kind from its contents: 64 bits, the same everywhere."""
    text = json.dumps(kind).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


# Devices


async def lock_devices(session: AsyncSession) -> None:
    """Let one transaction at a time write devices. On SQLite every writing transaction is alone anyway."""
    await run_all(session, _locks(session))


def _locks(session: AsyncSession) -> list[Statement]:
    return [Statement("SELECT pg_advisory_xact_lock(?)", (_DEVICES_LOCK,))] if _is_postgres(session) else []


async def look_up(session: AsyncSession, serials: Sequence[str]) -> dict[str, Stored]:
    """Return the rows of these serials."""
    if not serials:
        return {}
    return _stored(await run_all(session, _looks(session, serials)))


def _looks(session: AsyncSession, serials: Sequence[str]) -> list[Statement]:
    if _is_postgres(session):
        return [Statement(f"{_LOOK_UP}= ANY(?)", (list(serials),))]
    return [Statement(_LOOK_UP_BLOCK, block) for block in _blocks([(serial,) for serial in serials], 1)]


def _stored(answers: Iterable[Iterable[tuple[Any, ...]]]) -> dict[str, Stored]:
    return {row[0]: Stored._make(row) for rows in answers for row in rows}


def _blocks(rows: Sequence[Sequence[Any]], width: int) -> Iterator[list[Any]]:
    """Lay rows out as the values of statements for `_BLOCK` rows each, the last one filled up with NULL."""
    for start in range(0, len(rows), _BLOCK):
        values = list(chain.from_iterable(rows[start : start + _BLOCK]))
        yield values + [None] * (_BLOCK * width - len(values))


async def insert_devices(session: AsyncSession, rows: Sequence[NewDevice]) -> None:
    await run_all(session, _inserts(session, rows))


async def update_devices(session: AsyncSession, rows: Sequence[Stored]) -> None:
    await run_all(session, _updates(session, rows))


async def add_changes(session: AsyncSession, changes: Sequence[NewChange]) -> None:
    await run_all(session, _histories(session, changes))


def _inserts(session: AsyncSession, rows: Sequence[NewDevice]) -> list[Statement]:
    if not rows:
        return []
    # In the order of the key, so that one page touches each leaf of the index once.
    ordered = sorted(rows)
    if _is_postgres(session):
        return [_pg_insert("device", _INSERTED, _PG_TYPES[: len(_INSERTED)], ordered)]
    return [Statement(_INSERT_BLOCK, block) for block in _blocks(ordered, len(_INSERTED))]


def _updates(session: AsyncSession, rows: Sequence[Stored]) -> list[Statement]:
    if not rows:
        return []
    if _is_postgres(session):
        sets = _LIST(f"{name} = v.{name}" for name in _UPDATED)
        sql = (
            f"UPDATE device AS d SET {sets} FROM unnest({_pg_arrays(_PG_TYPES)})"  # noqa: S608
            f" AS v({_LIST(_COLUMNS)}) WHERE d.serial = v.serial"
        )
        return [Statement(sql, _transposed(sorted(rows)))]
    sql = f"UPDATE device SET {_LIST(f'{name} = ?' for name in _UPDATED)} WHERE serial = ?"  # noqa: S608
    return [Statement(sql, [(*row[1:], row[0]) for row in sorted(rows)], many=True)]


def _histories(session: AsyncSession, changes: Sequence[NewChange]) -> list[Statement]:
    if not changes:
        return []
    if _is_postgres(session):
        return [_pg_insert("device_change", _CHANGE_COLUMNS, _CHANGE_PG_TYPES, changes)]
    marks = ",".join("?" * len(_CHANGE_COLUMNS))
    sql = f"INSERT INTO device_change ({_LIST(_CHANGE_COLUMNS)}) VALUES ({marks})"  # noqa: S608
    return [Statement(sql, changes, many=True)]


def _pg_insert(
    table: str, columns: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Statement:
    sql = f"INSERT INTO {table} ({_LIST(columns)}) SELECT * FROM unnest({_pg_arrays(types)})"  # noqa: S608
    return Statement(sql, _transposed(rows))


def _pg_arrays(types: Sequence[str]) -> str:
    return _LIST(f"?::{name}[]" for name in types)


def _transposed(rows: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


def _is_postgres(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


# Kinds and counts


async def kinds_by_id(session: AsyncSession, ids: Iterable[int]) -> dict[int, Kind]:
    wanted = list(ids)
    if not wanted:
        return {}
    found = await session.scalars(sa.select(DeviceKind).where(col(DeviceKind.id).in_(wanted)))
    return {row.id: kind_of(row) for row in found}


async def kinds_of(session: AsyncSession, token_ids: Sequence[str] | None = None) -> Sequence[DeviceKind]:
    """Return the kinds that have devices, of these tokens or of all."""
    query = sa.select(DeviceKind).where(col(DeviceKind.devices) > 0)
    if token_ids is not None:
        query = query.where(col(DeviceKind.token_id).in_(list(token_ids)))
    return (await session.scalars(query.order_by(col(DeviceKind.id)))).all()


async def kinds_carrying(session: AsyncSession, uuids: Sequence[str]) -> Sequence[DeviceKind]:
    """Return the kinds of present devices that have one of these profile UUIDs."""
    if not uuids:
        return []
    query = sa.select(DeviceKind).where(
        col(DeviceKind.profile_uuid).in_(list(uuids)),
        col(DeviceKind.devices) > 0,
        col(DeviceKind.state) == DeviceState.PRESENT.value,
    )
    return (await session.scalars(query)).all()


async def kinds_without_profile(session: AsyncSession) -> Sequence[DeviceKind]:
    """Return the kinds of present devices that may have no profile, of all tokens."""
    query = sa.select(DeviceKind).where(
        col(DeviceKind.devices) > 0,
        col(DeviceKind.state) == DeviceState.PRESENT.value,
        sa.or_(col(DeviceKind.profile_uuid).is_(None), col(DeviceKind.profile_status) == "empty"),
    )
    return (await session.scalars(query)).all()


async def uuids_by_token(session: AsyncSession) -> dict[str, set[str]]:
    """Return the profile UUIDs that present devices of each token have."""
    query = (
        sa.select(col(DeviceKind.token_id), col(DeviceKind.profile_uuid))
        .where(
            col(DeviceKind.profile_uuid).is_not(None),
            col(DeviceKind.devices) > 0,
            col(DeviceKind.state) == DeviceState.PRESENT.value,
        )
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for token_id, profile_uuid in await session.execute(query):
        found.setdefault(token_id, set()).add(str(profile_uuid))
    return found


def kind_of(row: DeviceKind) -> Kind:
    return Kind(
        row.token_id,
        row.state,
        row.model,
        row.family,
        row.os,
        row.platform,
        row.profile_status,
        row.profile_uuid,
    )


async def add_kinds(session: AsyncSession, kinds: Mapping[int, Kind]) -> None:
    """Make sure that these kinds have rows."""
    for number, kind in sorted(kinds.items()):
        await insert_ignoring(session, DeviceKind, {"id": number, **kind._asdict(), "devices": 0})


async def count_kinds(session: AsyncSession, more: Mapping[int, int]) -> None:
    """Add to the number of devices of each kind."""
    await run_all(session, _counts(more))


def _counts(more: Mapping[int, int]) -> list[Statement]:
    moved = sorted((number, by) for number, by in more.items() if by)
    sql = "UPDATE device_kind SET devices = devices + ? WHERE id = ?"
    return [Statement(sql, [(by, number) for number, by in moved], many=True)] if moved else []


# A page: everything it asks, and everything it writes, in one trip each


class PageStart(NamedTuple):
    """What the transaction of a page finds.

    `numbers` is how many device numbers were given out; `unchanged` are the numbers of devices that are
    stored just as they came, `stored` the rows of the others that are known.
    """

    numbers: int
    unchanged: dict[str, int]
    stored: dict[str, Stored]


async def begin_page(
    session: AsyncSession,
    lease: Lease,
    token_id: str,
    page: Sequence[tuple[str, int, bytes]],
    *,
    compares: bool,
) -> PageStart:
    """Look up the devices of a page, given as serial, kind and facts. Raises `LeaseLost`.

    `compares` leaves it to the database to tell which are stored just as they came: worth it where most
    are. Only SQLite does; on PostgreSQL the rows are all in `stored`.
    """
    is_postgres = _is_postgres(session)
    serials = [device[0] for device in page]
    locks = _locks(session)
    asked = [
        *locks,
        lease.epoch_statement("postgresql" if is_postgres else "sqlite"),
        Statement("SELECT numbers FROM device_cursor WHERE token_id = ?", (token_id,)),
    ]
    compares = compares and not is_postgres
    looks = _comparisons(page) if compares else _looks(session, serials)
    epochs, given, *found = (await run_all(session, [*asked, *looks]))[len(locks) :]
    if epochs != [(lease.epoch,)]:
        raise LeaseLost(lease.name)
    numbers = given[0][0] if given else 0
    if not compares:
        return PageStart(numbers, {}, _stored(found))
    unchanged: dict[str, int] = {}
    for rows in found:
        unchanged |= _numbers.decode(rows[0][0])
    others = [serial for serial in serials if serial not in unchanged]
    return PageStart(numbers, unchanged, await look_up(session, others))


def _comparisons(page: Sequence[tuple[str, int, bytes]]) -> list[Statement]:
    return [Statement(_UNCHANGED_BLOCK, block) for block in _blocks(page, 3)]


@dataclass(slots=True)
class PageWork:
    """What one page changes, gathered before anything is written."""

    inserts: list[NewDevice] = field(default_factory=list)
    updates: list[Stored] = field(default_factory=list)
    changes: list[NewChange] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    left: set[str] = field(default_factory=set)
    seen: Mapping[int, bytes] = field(default_factory=dict)


async def end_page(
    session: AsyncSession,
    writes: PageWork,
    *,
    token_id: str,
    place: Position,
    sync_id: str,
    progress: Mapping[str, Any],
) -> bool:
    """Write a page, the cursor behind it and the progress. Returns whether the sync is still open.

    `progress` holds numbers, texts and truths only.
    """
    moved = Statement(
        "UPDATE device_cursor SET phase = ?, cursor = ?, unreadable = ?, numbers = ? WHERE token_id = ?"
        " RETURNING token_id",
        (place.phase.value, place.cursor, place.unreadable, place.numbers, token_id),
    )
    sets = _LIST(f"{name} = ?" for name in progress)
    noted = Statement(
        f"UPDATE device_sync SET {sets} WHERE id = ? AND ended_at IS NULL RETURNING id",  # noqa: S608
        (*progress.values(), sync_id),
    )
    written = [*_writes(session, writes), *_seen(token_id, writes.seen)]
    *_, placed, open_ids = await run_all(session, [*written, moved, noted])
    if not placed:
        await put_position(session, token_id, place)
    return bool(open_ids)


async def write(session: AsyncSession, writes: PageWork) -> None:
    """Write devices, their history and the counts of their kinds."""
    await run_all(session, _writes(session, writes))


def _writes(session: AsyncSession, writes: PageWork) -> list[Statement]:
    return [
        *_inserts(session, writes.inserts),
        *_updates(session, writes.updates),
        *_histories(session, writes.changes),
        *_counts(writes.counts),
    ]


def _seen(token_id: str, chunks: Mapping[int, bytes]) -> list[Statement]:
    if not chunks:
        return []
    sql = (
        "INSERT INTO device_seen (token_id, chunk, bits) VALUES (?, ?, ?)"
        " ON CONFLICT (token_id, chunk) DO UPDATE SET bits = excluded.bits"
    )
    return [Statement(sql, [(token_id, chunk, bits) for chunk, bits in sorted(chunks.items())], many=True)]


# The place in the service's list


async def position(session: AsyncSession, token_id: str) -> Position:
    """Return how far a token's devices were read; a new token's list from its start."""
    row = await session.get(TokenCursor, token_id)
    if row is None:
        return Position(Phase.NEW, None, None, None, 0, 0)
    return Position(
        Phase(row.phase), row.cursor, row.full_id, row.full_started_at, row.unreadable, row.numbers
    )


async def cursor_row(session: AsyncSession, token_id: str) -> TokenCursor | None:
    return await session.get(TokenCursor, token_id)


async def put_position(session: AsyncSession, token_id: str, place: Position) -> None:
    """Write how far a token's devices were read.

    Not how many numbers were given out: that changes only where numbers are taken, in the transaction
    that read it, since a device that somebody asks for takes one beside a sync.
    """
    values: dict[str, Any] = {
        "phase": place.phase.value,
        "cursor": place.cursor,
        "full_id": place.full_id,
        "full_started_at": place.full_started_at,
        "unreadable": place.unreadable,
    }
    done = await session.execute(
        sa.update(TokenCursor).where(col(TokenCursor.token_id) == token_id).values(**values)
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        fresh = {"token_id": token_id, "numbers": place.numbers, "is_disturbed": False, **values}
        await insert_ignoring(session, TokenCursor, fresh)


async def take_number(session: AsyncSession, token_id: str) -> int:
    """Give out the next device number of a token whose list was read."""
    taken = await session.execute(
        sa.update(TokenCursor)
        .where(col(TokenCursor.token_id) == token_id)
        .values(numbers=TokenCursor.numbers + 1)
        .returning(col(TokenCursor.numbers))
    )
    return taken.scalar_one() - 1


async def last_full_id(session: AsyncSession, token_id: str) -> str | None:
    """Return the sync that read a full list to its end last."""
    row = await session.get(TokenCursor, token_id)
    return None if row is None else row.last_full_id


async def end_full(
    session: AsyncSession, token_id: str, *, sync_id: str, started_at: datetime, ended_at: datetime
) -> None:
    await session.execute(
        sa.update(TokenCursor)
        .where(col(TokenCursor.token_id) == token_id)
        .values(last_full_id=sync_id, last_full_started_at=started_at, last_full_ended_at=ended_at)
    )


async def seen(session: AsyncSession, token_id: str) -> dict[int, bytearray]:
    """Return what the full list being read has shown, as chunks of bits."""
    found = await session.execute(
        sa.select(col(SeenDevices.chunk), col(SeenDevices.bits)).where(col(SeenDevices.token_id) == token_id)
    )
    return {chunk: bytearray(bits) for chunk, bits in found}


async def forget_seen(session: AsyncSession, token_id: str) -> None:
    await session.execute(sa.delete(SeenDevices).where(col(SeenDevices.token_id) == token_id))


async def set_disturbed(session: AsyncSession, token_ids: Sequence[str], *, is_disturbed: bool) -> None:
    """Note that devices left these tokens while their lists were being read, or that a list begins."""
    if token_ids:
        await session.execute(
            sa.update(TokenCursor)
            .where(col(TokenCursor.token_id).in_(list(token_ids)))
            .values(is_disturbed=is_disturbed)
        )


async def is_disturbed(session: AsyncSession, token_id: str) -> bool:
    row = await session.get(TokenCursor, token_id)
    return row is None or row.is_disturbed


async def devices_of_kind(
    session: AsyncSession, kind_id: int, *, after: str, limit: int
) -> list[tuple[str, int]]:
    """Return serial and number of the devices of a kind, by serial."""
    found = await session.execute(
        sa.select(col(Device.serial), col(Device.number))
        .where(col(Device.kind_id) == kind_id, col(Device.serial) > after)
        .order_by(col(Device.serial))
        .limit(limit)
    )
    return [(serial, number) for serial, number in found]


async def arrived(
    session: AsyncSession, token_ids: Sequence[str], arrival: Arrival
) -> list[tuple[Kind, int]]:
    """Return the kinds of the present devices that came or came back, with how many of each did."""
    found = await session.execute(
        sa.select(col(Device.kind_id), sa.func.count())
        .join(DeviceKind, col(DeviceKind.id) == col(Device.kind_id))
        .where(
            col(DeviceKind.token_id).in_(list(token_ids)),
            col(DeviceKind.state) == DeviceState.PRESENT.value,
            _arrived(arrival),
        )
        .group_by(col(Device.kind_id))
    )
    counts = {kind: count for kind, count in found}
    kinds = await kinds_by_id(session, counts)
    return [(kinds[kind], count) for kind, count in counts.items()]


# Syncs


async def lock_syncs(session: AsyncSession, token_id: str) -> None:
    """Let one transaction at a time decide on a token's next sync: what it reads then is what holds.

    On SQLite every writing transaction is alone anyway.
    """
    if _is_postgres(session):
        await session.execute(
            sa.select(sa.func.pg_advisory_xact_lock(_SYNCS_LOCK, sa.func.hashtext(token_id)))
        )


async def open_sync(session: AsyncSession, token_id: str) -> Sync | None:
    """Return the sync of a token that has not ended."""
    found = await session.scalars(
        sa.select(Sync).where(col(Sync.token_id) == token_id, col(Sync.ended_at).is_(None))
    )
    return found.one_or_none()


async def add_sync(session: AsyncSession, sync: Sync) -> bool:
    """Insert a sync; False when one of the token is open already."""
    return await insert_ignoring(session, Sync, sync.model_dump())


async def change_sync(session: AsyncSession, sync_id: str, values: Mapping[str, Any]) -> bool:
    """Write columns of a sync that has not ended. Returns whether it was open."""
    done = await session.execute(
        sa.update(Sync)
        .where(col(Sync.id) == sync_id, col(Sync.ended_at).is_(None))
        .values(**values)
        .returning(col(Sync.id))
    )
    return done.first() is not None


async def due_syncs(session: AsyncSession, now: datetime) -> Sequence[Sync]:
    """Return the open syncs that should be running now."""
    found = await session.scalars(
        sa.select(Sync)
        .where(
            col(Sync.ended_at).is_(None),
            sa.or_(col(Sync.state) == SyncState.RUNNING.value, col(Sync.resume_at) <= now),
        )
        .order_by(col(Sync.started_at), col(Sync.id))
    )
    return found.all()


async def untold_syncs(session: AsyncSession, *, since: datetime, now: datetime) -> Sequence[Sync]:
    """Return the syncs that ended after `since` whose result is to be told now."""
    found = await session.scalars(
        sa.select(Sync)
        .where(
            col(Sync.ended_at) >= since,
            col(Sync.told_at).is_(None),
            sa.or_(col(Sync.tell_at).is_(None), col(Sync.tell_at) <= now),
        )
        .order_by(col(Sync.ended_at), col(Sync.id))
    )
    return found.all()


async def unjudged_syncs(session: AsyncSession, *, since: datetime) -> Sequence[Sync]:
    """Return syncs that finished after `since` and whose arrivals were not judged, the oldest first."""
    found = await session.scalars(
        sa.select(Sync)
        .where(
            col(Sync.ended_at) >= since,
            col(Sync.state) == SyncState.FINISHED.value,
            col(Sync.judged_at).is_(None),
        )
        .order_by(col(Sync.ended_at), col(Sync.id))
    )
    return found.all()


async def judged_until(session: AsyncSession, token_id: str) -> datetime | None:
    """Return when the newest sync of a token ended that was judged."""
    query = sa.select(sa.func.max(col(Sync.ended_at))).where(
        col(Sync.token_id) == token_id, col(Sync.judged_at).is_not(None)
    )
    until: datetime | None = (await session.execute(query)).scalar_one()
    return until


async def judge_sync(session: AsyncSession, sync_id: str, now: datetime) -> bool:
    done = await session.execute(
        sa.update(Sync)
        .where(col(Sync.id) == sync_id, col(Sync.judged_at).is_(None))
        .values(judged_at=now)
        .returning(sa.literal(1))
    )
    return done.first() is not None


async def set_sync(session: AsyncSession, sync_id: str, values: Mapping[str, Any]) -> None:
    """Write columns of a sync, ended or not."""
    await session.execute(sa.update(Sync).where(col(Sync.id) == sync_id).values(**values))


async def newest_sync(
    session: AsyncSession, token_id: str, *, states: Sequence[SyncState] | None = None
) -> Sync | None:
    query = sa.select(Sync).where(col(Sync.token_id) == token_id)
    if states:
        query = query.where(col(Sync.state).in_([state.value for state in states]))
    query = query.order_by(col(Sync.started_at).desc(), col(Sync.id).desc()).limit(1)
    return (await session.scalars(query)).one_or_none()


async def losses(session: AsyncSession, *, since: datetime) -> Sequence[Sync]:
    """Return the syncs that finished after a moment and found something gone, the oldest first."""
    query = sa.select(Sync).where(
        col(Sync.state) == SyncState.FINISHED.value,
        col(Sync.ended_at) > since,
        sa.or_(col(Sync.removed) > 0, col(Sync.profiles_changed) > 0),
    )
    return (await session.scalars(query.order_by(col(Sync.ended_at)))).all()


async def newest_good(session: AsyncSession, token_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when the newest finished sync of each of these tokens began."""
    query = (
        sa.select(col(Sync.token_id), sa.func.max(col(Sync.started_at)))
        .where(col(Sync.token_id).in_(list(token_ids)), col(Sync.state) == SyncState.FINISHED.value)
        .group_by(col(Sync.token_id))
    )
    return {token_id: at for token_id, at in await session.execute(query)}


async def newest_syncs(
    session: AsyncSession, token_ids: Sequence[str], *, states: Sequence[SyncState]
) -> dict[str, Sync]:
    """Return what `newest_sync` does for many tokens, by token; those without one are left out."""
    order = (col(Sync.started_at).desc(), col(Sync.id).desc())
    place = sa.func.row_number().over(partition_by=col(Sync.token_id), order_by=order)
    ranked = (
        sa.select(col(Sync.id), place.label("place"))
        .where(
            col(Sync.token_id).in_(list(token_ids)), col(Sync.state).in_([state.value for state in states])
        )
        .subquery()
    )
    newest = sa.select(Sync).join(ranked, ranked.c.id == col(Sync.id)).where(ranked.c.place == 1)
    return {sync.token_id: sync for sync in await session.scalars(newest)}


async def open_syncs(session: AsyncSession, token_ids: Sequence[str]) -> dict[str, Sync]:
    """Return the syncs of these tokens that have not ended, by token."""
    query = sa.select(Sync).where(col(Sync.token_id).in_(list(token_ids)), col(Sync.ended_at).is_(None))
    return {sync.token_id: sync for sync in await session.scalars(query)}


async def cursor_rows(session: AsyncSession, token_ids: Sequence[str]) -> dict[str, TokenCursor]:
    query = sa.select(TokenCursor).where(col(TokenCursor.token_id).in_(list(token_ids)))
    return {row.token_id: row for row in await session.scalars(query)}


async def left_alone_until(session: AsyncSession, token_id: str, now: datetime) -> datetime | None:
    """Return until when the service asked to be left alone, None when that is over or it did not ask."""
    query = sa.select(sa.func.max(col(Sync.resume_at))).where(
        col(Sync.token_id) == token_id,
        col(Sync.state) == SyncState.FAILED.value,
        col(Sync.resume_at) > now,
    )
    until: datetime | None = (await session.execute(query)).scalar_one()
    return until


async def failures_since(session: AsyncSession, token_id: str, since: datetime | None) -> list[datetime]:
    """Return when syncs failed after `since`, the newest first, at most 10."""
    query = sa.select(col(Sync.ended_at)).where(
        col(Sync.token_id) == token_id, col(Sync.state) == SyncState.FAILED.value
    )
    if since is not None:
        query = query.where(col(Sync.started_at) > since)
    found = await session.scalars(query.order_by(col(Sync.ended_at).desc(), col(Sync.id)).limit(10))
    return [moment for moment in found if moment is not None]


async def prune_changes(
    session: AsyncSession, *, before: datetime, after: int, limit: int
) -> tuple[int, int | None]:
    """Delete old changes among the next `limit` behind the number `after`, moves excepted.

    Rows are numbered as they are written, so that the old ones are the first. Returns how many were
    deleted, and the last number looked at, None when there are no more old ones.
    """
    query = sa.select(col(DeviceChange.id), col(DeviceChange.at), col(DeviceChange.changes))
    query = query.where(col(DeviceChange.id) > after).order_by(col(DeviceChange.id)).limit(limit)
    rows = [(number, changes) for number, at, changes in await session.execute(query) if at < before]
    old = [number for number, changes in rows if "token" not in changes]
    if old:
        await session.execute(sa.delete(DeviceChange).where(col(DeviceChange.id).in_(old)))
    return len(old), rows[-1][0] if len(rows) == limit else None


async def prune_syncs(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` syncs that ended before, but for each token's newest, and its newest good one."""
    newest = sa.select(sa.func.max(col(Sync.started_at)).label("at"), col(Sync.token_id))
    kept = sa.union(
        newest.group_by(col(Sync.token_id)),
        newest.where(col(Sync.state) == SyncState.FINISHED.value).group_by(col(Sync.token_id)),
    ).subquery()
    is_kept = sa.exists().where(kept.c.token_id == Sync.token_id, kept.c.at == Sync.started_at)
    old = sa.select(col(Sync.id)).where(col(Sync.ended_at) < before, ~is_kept).limit(limit)
    done = await session.execute(
        sa.delete(Sync).where(col(Sync.id).in_(old.scalar_subquery())).returning(col(Sync.id))
    )
    return len(done.all())


# Looking


async def device(session: AsyncSession, serial: str) -> tuple[Device, DeviceKind] | None:
    found = await session.execute(
        sa.select(Device, DeviceKind)
        .join(DeviceKind, col(DeviceKind.id) == col(Device.kind_id))
        .where(col(Device.serial) == serial)
    )
    row = found.one_or_none()
    return (row[0], row[1]) if row else None


async def devices_of(session: AsyncSession, serials: Sequence[str]) -> list[tuple[Device, DeviceKind]]:
    """Return the rows of these serials, each with its kind."""
    query = (
        sa.select(Device, DeviceKind)
        .join(DeviceKind, col(DeviceKind.id) == col(Device.kind_id))
        .where(col(Device.serial).in_(list(serials)))
        .order_by(col(Device.serial))
    )
    return [(device, kind) for device, kind in await session.execute(query)]


async def count_present(session: AsyncSession, token_id: str, serials: Sequence[str]) -> int:
    """Return how many of these devices are present on a token."""
    query = (
        sa.select(sa.func.count())
        .select_from(Device)
        .join(DeviceKind, col(DeviceKind.id) == col(Device.kind_id))
        .where(
            col(Device.serial).in_(list(serials)),
            col(DeviceKind.token_id) == token_id,
            col(DeviceKind.state) == DeviceState.PRESENT.value,
        )
    )
    return int((await session.execute(query)).scalar_one())


async def profiles_of(
    session: AsyncSession, token_id: str, serials: Sequence[str]
) -> list[tuple[str, str, str | None]]:
    """Return serial, profile status and profile of these devices, of those present on a token."""
    query = (
        sa.select(col(Device.serial), col(DeviceKind.profile_status), col(DeviceKind.profile_uuid))
        .join(DeviceKind, col(DeviceKind.id) == col(Device.kind_id))
        .where(
            col(Device.serial).in_(list(serials)),
            col(DeviceKind.token_id) == token_id,
            col(DeviceKind.state) == DeviceState.PRESENT.value,
        )
    )
    return [(serial, status, uuid) for serial, status, uuid in await session.execute(query)]


async def changes_of(session: AsyncSession, serial: str, *, limit: int) -> Sequence[DeviceChange]:
    """Return the newest changes of a device, newest first."""
    found = await session.scalars(
        sa.select(DeviceChange)
        .where(col(DeviceChange.serial) == serial)
        .order_by(col(DeviceChange.id).desc())
        .limit(limit)
    )
    return found.all()


@dataclass(frozen=True, slots=True)
class Filter:
    """What a query means for the rows. `weight` is how many devices the kinds have together."""

    kinds: Sequence[int]
    weight: int
    prefixes: Sequence[tuple[str, bool]] = ()
    added: Sequence[tuple[datetime, bool]] = ()
    removed: Sequence[tuple[datetime, bool]] = ()
    arrival: Arrival | None = None

    @property
    def is_by_kind_alone(self) -> bool:
        return not (self.prefixes or self.added or self.removed or self.arrival)


#: Up to here the devices of the kinds are gathered and sorted; above, the serials are walked in order and
#: most of what is met fits, so that ten rows are found soon.
GATHER_AT_MOST = 20_000


async def page_of(
    session: AsyncSession, wanted: Filter, *, after: str | None, before: str | None, limit: int
) -> list[Device]:
    """Return up to `limit` devices by serial, after a serial or before one."""
    if not wanted.kinds:
        return []
    gathers = await _gathers(session, wanted)
    serial = col(Device.serial)
    # An expression instead of the column keeps either engine from walking the wrong index.
    order = sa.literal_column("device.serial || ''") if gathers else serial
    query = sa.select(Device).where(*_conditions(wanted, walks=not gathers))
    if after is not None:
        query = query.where(serial > after)
    if before is not None:
        query = query.where(serial < before)
    is_backwards = before is not None and after is None
    found = await session.scalars(query.order_by(order.desc() if is_backwards else order).limit(limit))
    rows = list(found)
    return rows[::-1] if is_backwards else rows


async def _gathers(session: AsyncSession, wanted: Filter) -> bool:
    if wanted.weight <= GATHER_AT_MOST:
        return True
    dates = [since for since, is_negated in (*wanted.added, *wanted.removed) if not is_negated]
    if not dates:
        return False
    return await count_up_to(session, wanted, limit=GATHER_AT_MOST) < GATHER_AT_MOST


async def count_up_to(session: AsyncSession, wanted: Filter, *, limit: int) -> int:
    """Return how many devices fit, counted up to `limit`."""
    if wanted.is_by_kind_alone or not wanted.kinds:
        return min(wanted.weight, limit)
    walks = wanted.weight > GATHER_AT_MOST
    some = sa.select(sa.literal(1)).select_from(Device).where(*_conditions(wanted, walks=walks)).limit(limit)
    return (await session.execute(sa.select(sa.func.count()).select_from(some.subquery()))).scalar_one()


def _conditions(wanted: Filter, *, walks: bool) -> list[sa.ColumnElement[bool]]:
    kind = sa.literal_column("device.kind_id + 0") if walks else col(Device.kind_id)
    conditions: list[sa.ColumnElement[bool]] = [kind.in_(list(wanted.kinds))]
    serial = col(Device.serial)
    for prefix, is_negated in wanted.prefixes:
        fits = sa.and_(serial >= prefix, serial < prefix + "\U0010ffff")
        conditions.append(sa.not_(fits) if is_negated else fits)
    for column, dates in (
        (col(Device.first_seen_at), wanted.added),
        (col(Device.removed_at), wanted.removed),
    ):
        conditions.extend(column < since if is_negated else column >= since for since, is_negated in dates)
    if wanted.arrival is not None:
        conditions.append(_arrived(wanted.arrival))
    return conditions


def _arrived(arrival: Arrival) -> sa.ColumnElement[bool]:
    first, changed = col(Device.first_seen_at), col(DeviceChange.at)
    came_back = (
        sa.exists()
        .where(
            col(DeviceChange.serial) == col(Device.serial),
            col(DeviceChange.kind).in_([ChangeKind.RETURNED.value, ChangeKind.MOVED.value]),
            changed <= arrival.until,
            *([changed > arrival.since] if arrival.since else []),
        )
        .correlate(Device)
    )
    is_new = sa.and_(first <= arrival.until, *([first > arrival.since] if arrival.since else []))
    # Whatever comes back is written anew then: only those have a history that is worth a look.
    is_written = col(Device.updated_at) > arrival.since if arrival.since else sa.true()
    return sa.or_(is_new, sa.and_(is_written, came_back))
