"""The rows of requests: every statement, none of which commits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bot.assignments.facts import ListKey, Rank, RequestedDevice
from bot.assignments.models import (
    DeviceHold,
    Outcome,
    Request,
    RequestBatch,
    RequestDevice,
    RequestState,
)
from bot.kit.db import Statement, run_all

_AT_ONCE = 500
#: A device's columns, by the names and in the order of the value that is made of them.
_DEVICE = [getattr(RequestDevice, name) for name in RequestedDevice._fields]
_TRIED_AGAIN = (Outcome.FAILED.value, Outcome.THROTTLED.value)
#: The largest number that the column holds.
_LARGEST = 2**31 - 1
#: What orders the numbers of requests, and who takes devices into a running one.
_LOCK = 7_204_312


async def lock(session: AsyncSession) -> None:
    """Let one transaction at a time number requests and take devices. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def next_number(session: AsyncSession) -> int:
    """Return the number of the next request; the caller holds the lock."""
    newest = (await session.execute(sa.select(sa.func.max(col(Request.number))))).scalar_one_or_none()
    return (newest or 0) + 1


async def add(session: AsyncSession, request: Request, devices: Sequence[RequestedDevice]) -> None:
    session.add(request)
    await session.flush()
    for first in range(0, len(devices), _AT_ONCE):
        some = devices[first : first + _AT_ONCE]
        rows = [{"request_id": request.id, **device._asdict()} for device in some]
        await session.execute(sa.insert(RequestDevice), rows)


async def one(session: AsyncSession, request_id: str, *, locks: bool = False) -> Request | None:
    """Return a request; with `locks` nobody else changes it before we commit."""
    query = sa.select(Request).where(col(Request.id) == request_id)
    if locks:
        query = query.with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def numbered(session: AsyncSession, number: int) -> Request | None:
    return (await session.scalars(sa.select(Request).where(col(Request.number) == number))).one_or_none()


async def listed(
    session: AsyncSession,
    *,
    token_ids: Collection[str] | None,
    since: datetime,
    most: int,
    requested_by: str | None = None,
    after: ListKey | None = None,
    before: ListKey | None = None,
) -> Sequence[Request]:
    """Return requests that were sent, of tokens or of all (None), the open ones first, then the newest.

    With `before` the nearest ones that stand before it, in the same order.
    """
    is_open = col(Request.state).in_([RequestState.PENDING.value, RequestState.RUNNING.value])
    number = col(Request.number)
    query = (
        sa.select(Request).where(number.is_not(None), is_open | (col(Request.made_at) >= since)).limit(most)
    )
    if after is not None and after.rank == Rank.OPEN:
        query = query.where(sa.not_(is_open) | (number < _number_in(after)))
    elif after is not None and after.rank < Rank.OPEN:
        query = query.where(sa.not_(is_open), number < _number_in(after))
    if before is None:
        query = query.order_by(is_open.desc(), number.desc())
    else:
        query = query.order_by(is_open, number)
        if before.rank > Rank.OPEN:
            return []
        newer = number > _number_in(before)
        query = query.where(is_open & newer if before.rank == Rank.OPEN else is_open | newer)
    if token_ids is not None:
        query = query.where(col(Request.token_id).in_(list(token_ids)))
    if requested_by is not None:
        query = query.where(col(Request.requested_by) == requested_by)
    found = (await session.scalars(query)).all()
    return found if before is None else found[::-1]


def _number_in(key: ListKey) -> int:
    return min(key.place, _LARGEST)


async def pending(
    session: AsyncSession, token_ids: Collection[str], *, most: int, not_by: str | None = None
) -> tuple[Sequence[Request], int]:
    """Return requests of these tokens that wait for a decision, the first to expire first, and how many.

    `not_by` leaves out what that person asked for.
    """
    wanted = [col(Request.state) == RequestState.PENDING.value, col(Request.token_id).in_(list(token_ids))]
    if not_by is not None:
        wanted.append(col(Request.requested_by) != not_by)
    query = sa.select(Request).where(*wanted).order_by(col(Request.expires_at), col(Request.number))
    rows = (await session.scalars(query.limit(most))).all()
    counted = await session.execute(sa.select(sa.func.count()).select_from(Request).where(*wanted))
    return rows, int(counted.scalar_one())


async def previews_of(session: AsyncSession, person: str, *, since: datetime) -> Sequence[Request]:
    query = (
        sa.select(Request)
        .where(
            col(Request.requested_by) == person,
            col(Request.state) == RequestState.PREVIEW.value,
            col(Request.made_at) > since,
            # A newer one has taken the place of what has ended.
            col(Request.ended_at).is_(None),
        )
        .order_by(col(Request.made_at).desc(), col(Request.id).desc())
    )
    return (await session.scalars(query)).all()


async def supersede(session: AsyncSession, preview: Request) -> None:
    """End the previews whose place a newer one takes.

    They ask for the same, of some of its devices, of all, or of more.
    """
    query = sa.select(Request).where(
        col(Request.requested_by) == preview.requested_by,
        col(Request.state) == RequestState.PREVIEW.value,
        col(Request.id) != preview.id,
        col(Request.ended_at).is_(None),
        col(Request.action) == preview.action,
        col(Request.token_id) == preview.token_id,
        col(Request.profile_id).is_not_distinct_from(preview.profile_id),
        col(Request.undoes_id).is_not_distinct_from(preview.undoes_id),
    )
    new, old = sa.orm.aliased(RequestDevice), sa.orm.aliased(RequestDevice)
    for each in (await session.scalars(query)).all():
        if each.platforms != preview.platforms:
            continue
        both = (
            sa.select(sa.func.count())
            .select_from(new)
            .join(old, (col(old.request_id) == each.id) & (col(old.serial) == col(new.serial)))
            .where(col(new.request_id) == preview.id)
        )
        shared = (await session.execute(both)).scalar_one()
        if shared == min(each.devices, preview.devices):
            await put(session, each.id, {"ended_at": preview.made_at})


async def change(
    session: AsyncSession, request_id: str, values: Mapping[str, Any], *, state: RequestState
) -> bool:
    """Change a request that is in `state`; its card is then to be shown anew. Returns whether it was."""
    done = await session.execute(
        sa.update(Request)
        .where(col(Request.id) == request_id, col(Request.state) == state.value)
        .values(**values, version=Request.version + 1)
        .returning(sa.literal(1))
    )
    return done.first() is not None


async def ask_to_stop(session: AsyncSession, request_id: str, person: str) -> bool:
    """Note who wants a running request stopped, once. Returns whether it was noted."""
    done = await session.execute(
        sa.update(Request)
        .where(
            col(Request.id) == request_id,
            col(Request.state) == RequestState.RUNNING.value,
            col(Request.stop_asked_by).is_(None),
        )
        .values(stop_asked_by=person, version=Request.version + 1)
        .returning(sa.literal(1))
    )
    return done.first() is not None


async def put(session: AsyncSession, request_id: str, values: Mapping[str, Any]) -> None:
    """Write what the card does not show."""
    await session.execute(sa.update(Request).where(col(Request.id) == request_id).values(**values))


async def in_state(session: AsyncSession, state: RequestState) -> Sequence[Request]:
    return (await session.scalars(sa.select(Request).where(col(Request.state) == state.value))).all()


async def ordered_between(session: AsyncSession, token_id: str, first: datetime, last: datetime) -> bool:
    """Say whether an order for devices of a token was sent between two moments."""
    query = (
        sa.select(sa.literal(1))
        .select_from(RequestBatch)
        .join(Request, col(Request.id) == col(RequestBatch.request_id))
        .where(col(Request.token_id) == token_id, col(RequestBatch.sent_at).between(first, last))
        .limit(1)
    )
    return (await session.execute(query)).first() is not None


async def undecided(session: AsyncSession, *, now: datetime) -> Sequence[Request]:
    """Return undecided requests that have time left."""
    query = sa.select(Request).where(
        col(Request.state) == RequestState.PENDING.value, col(Request.expires_at) > now
    )
    return (await session.scalars(query.order_by(col(Request.expires_at)))).all()


async def unreminded(session: AsyncSession, *, now: datetime) -> Sequence[Request]:
    """Return undecided requests that have a card and time left, and were not reminded of."""
    query = sa.select(Request).where(
        col(Request.state) == RequestState.PENDING.value,
        col(Request.reminded_at).is_(None),
        col(Request.message_ts).is_not(None),
        col(Request.expires_at) > now,
    )
    return (await session.scalars(query.order_by(col(Request.expires_at)))).all()


async def unshielded(session: AsyncSession, *, asked_before: datetime, most: int) -> Sequence[Request]:
    """Return undecided requests that were sent by a moment, the first to expire first."""
    query = sa.select(Request).where(
        col(Request.state) == RequestState.PENDING.value, col(Request.requested_at) <= asked_before
    )
    return (await session.scalars(query.order_by(col(Request.expires_at)).limit(most))).all()


async def note_reminded(session: AsyncSession, request_id: str, *, at: datetime) -> bool:
    """Note that an undecided request is reminded of. Returns False where it was before, or is decided."""
    noted = await session.execute(
        sa.update(Request)
        .where(
            col(Request.id) == request_id,
            col(Request.state) == RequestState.PENDING.value,
            col(Request.reminded_at).is_(None),
        )
        .values(reminded_at=at)
        .returning(sa.literal(1))
    )
    return noted.first() is not None


async def open_counts(session: AsyncSession) -> dict[RequestState, int]:
    """Return how many requests are open, by state."""
    states = [state for state in RequestState if state.is_open]
    query = (
        sa.select(col(Request.state), sa.func.count())
        .where(col(Request.state).in_([state.value for state in states]))
        .group_by(col(Request.state))
    )
    found = {RequestState(state): count for state, count in await session.execute(query)}
    return {state: found.get(state, 0) for state in states}


async def open_of(
    session: AsyncSession, token_id: str, *, uuids: Collection[str] | None = None
) -> Sequence[Request]:
    """Return requests of a token that were sent and have not ended; of these profiles if given."""
    query = sa.select(Request).where(
        col(Request.token_id) == token_id,
        col(Request.number).is_not(None),
        col(Request.state).in_([RequestState.PENDING.value, RequestState.RUNNING.value]),
    )
    if uuids is not None:
        query = query.where(col(Request.profile_uuid).in_(list(uuids)))
    return (await session.scalars(query.order_by(col(Request.number)))).all()


async def unshown(session: AsyncSession, *, now: datetime) -> Sequence[Request]:
    """Return requests whose card shows less than there is, or of which somebody is still to be told."""
    ended = [RequestState.DONE.value, RequestState.STOPPED.value]
    told = [each.value for each in RequestState if not each.is_open and each is not RequestState.PREVIEW]
    query = sa.select(Request).where(
        col(Request.number).is_not(None),
        col(Request.tell_again_at).is_(None) | (col(Request.tell_again_at) <= now),
        (col(Request.shown) < col(Request.version))
        | (col(Request.state).in_(ended) & col(Request.result_told_at).is_(None))
        | (col(Request.glass_broken_at).is_not(None) & col(Request.glass_told_at).is_(None))
        | (col(Request.state).in_(told) & col(Request.requester_told_at).is_(None)),
    )
    return (await session.scalars(query)).all()


async def given_after(session: AsyncSession, sync_id: str) -> Sequence[Request]:
    """Return what gives default profiles after a sync."""
    query = sa.select(Request).where(col(Request.sync_id) == sync_id)
    return (await session.scalars(query.order_by(col(Request.profile_name), col(Request.id)))).all()


async def unshown_syncs(session: AsyncSession, *, now: datetime) -> Sequence[str]:
    """Return the syncs whose message says less than what became of their defaults."""
    query = sa.select(col(Request.sync_id)).where(
        col(Request.sync_id).is_not(None),
        col(Request.tell_again_at).is_(None) | (col(Request.tell_again_at) <= now),
        col(Request.shown) < col(Request.version),
    )
    return [each for each in (await session.scalars(query.distinct())).all() if each is not None]


async def outcomes(session: AsyncSession, request_id: str) -> dict[Outcome, int]:
    query = (
        sa.select(col(RequestDevice.outcome), sa.func.count())
        .where(col(RequestDevice.request_id) == request_id)
        .group_by(col(RequestDevice.outcome))
    )
    return {Outcome(outcome): count for outcome, count in await session.execute(query)}


async def devices(
    session: AsyncSession,
    request_id: str,
    *,
    outcome: Collection[Outcome] | None = None,
    most: int | None = None,
) -> list[RequestedDevice]:
    query = sa.select(*_DEVICE).where(col(RequestDevice.request_id) == request_id).limit(most)
    if outcome is not None:
        query = query.where(col(RequestDevice.outcome).in_([each.value for each in outcome]))
    return [RequestedDevice(*row) for row in await session.execute(query.order_by(col(RequestDevice.serial)))]


async def has(session: AsyncSession, request_id: str, outcome: Outcome) -> bool:
    """Say whether a device of a request has this outcome."""
    query = sa.select(sa.literal(1)).where(
        col(RequestDevice.request_id) == request_id, col(RequestDevice.outcome) == outcome.value
    )
    return (await session.execute(query.limit(1))).first() is not None


async def links(session: AsyncSession, request_ids: Collection[str]) -> dict[str, str]:
    """Return the links to the cards of requests, of those that have one."""
    query = sa.select(col(Request.id), col(Request.permalink)).where(
        col(Request.id).in_(list(request_ids)), col(Request.permalink).is_not(None)
    )
    return {request_id: str(link) for request_id, link in await session.execute(query)}


async def device(session: AsyncSession, request_id: str, serial: str) -> RequestDevice | None:
    return await session.get(RequestDevice, (request_id, serial))


async def previous(session: AsyncSession, request_id: str) -> dict[str, str | None]:
    """Return what each device of a request carried when it was asked for."""
    wanted = Statement(
        "SELECT serial, previous_uuid FROM assignment_device WHERE request_id = ?", (request_id,)
    )
    return {str(serial): uuid for serial, uuid in (await run_all(session, [wanted]))[0]}


async def serials(session: AsyncSession, request_id: str) -> list[str]:
    """Return the serial numbers of a request's devices."""
    wanted = Statement("SELECT serial FROM assignment_device WHERE request_id = ?", (request_id,))
    return [str(serial) for (serial,) in (await run_all(session, [wanted]))[0]]


async def labels(session: AsyncSession, request_ids: Collection[str]) -> str:
    """Return what a few requests are called, in one line."""
    return ", ".join(await counted(session, dict.fromkeys(list(request_ids)[:3], 1)))


async def counted(session: AsyncSession, counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts of requests by what these are called; what is given after a sync has no number."""
    query = sa.select(col(Request.id), col(Request.number)).where(col(Request.id).in_(list(counts)))
    named: dict[str, int] = {}
    for request_id, number in await session.execute(query.order_by(col(Request.number))):
        label = f"REQ-{number}" if number is not None else "the assignment of a default profile"
        named[label] = named.get(label, 0) + counts[request_id]
    return named


async def whys(session: AsyncSession, request_id: str) -> list[str]:
    """Return the reasons for which the service refused whole orders, three at most."""
    query = (
        sa.select(col(RequestDevice.why))
        .where(
            col(RequestDevice.request_id) == request_id,
            col(RequestDevice.outcome) == Outcome.FAILED.value,
            col(RequestDevice.why).is_not(None),
        )
        .distinct()
        .order_by(col(RequestDevice.why))
        .limit(3)
    )
    return [str(why) for why in await session.scalars(query)]


async def due_devices(
    session: AsyncSession, request_id: str, *, now: datetime, most: int, after: str = ""
) -> list[RequestedDevice]:
    """Return devices that are to be sent now: not yet sent, or due for another try.

    Of those not yet sent the ones behind a serial number: a large request is not looked through for each
    of its orders.
    """
    outcome, serial = col(RequestDevice.outcome), col(RequestDevice.serial)
    query = sa.select(*_DEVICE).where(col(RequestDevice.request_id) == request_id).order_by(serial)
    unsent = query.where(outcome == Outcome.WAITING.value, serial > after)
    found = [RequestedDevice(*row) for row in await session.execute(unsent.limit(most))]
    if len(found) < most:
        again = query.where(outcome.in_(_TRIED_AGAIN), col(RequestDevice.again_at) <= now)
        found += [RequestedDevice(*row) for row in await session.execute(again.limit(most - len(found)))]
    return found


async def due_for_one_target(
    session: AsyncSession, request_id: str, *, now: datetime, most: int
) -> list[RequestedDevice]:
    """Return devices that are to be sent now and are given the same as the first of them."""
    query = (
        sa.select(*_DEVICE)
        .where(
            col(RequestDevice.request_id) == request_id,
            (col(RequestDevice.outcome) == Outcome.WAITING.value)
            | (col(RequestDevice.outcome).in_(_TRIED_AGAIN) & (col(RequestDevice.again_at) <= now)),
        )
        .order_by(col(RequestDevice.serial))
    )
    first = (await session.execute(query.limit(1))).one_or_none()
    if first is None:
        return []
    query = query.where(col(RequestDevice.target_uuid).is_not_distinct_from(first.target_uuid))
    return [RequestedDevice(*row) for row in await session.execute(query.limit(most))]


async def next_due(session: AsyncSession, request_id: str) -> datetime | None:
    """Return when the next device is due for another try, None when none is."""
    query = sa.select(sa.func.min(col(RequestDevice.again_at))).where(
        col(RequestDevice.request_id) == request_id, col(RequestDevice.again_at).is_not(None)
    )
    found: datetime | None = (await session.execute(query)).scalar_one_or_none()
    return found


async def set_devices(
    session: AsyncSession, request_id: str, serials: Sequence[str], values: Mapping[str, Any]
) -> None:
    for first in range(0, len(serials), _AT_ONCE):
        await session.execute(
            sa.update(RequestDevice)
            .where(
                col(RequestDevice.request_id) == request_id,
                col(RequestDevice.serial).in_(list(serials[first : first + _AT_ONCE])),
            )
            .values(**values)
            # Rows that were read are not looked at again: with many, comparing each would take minutes.
            .execution_options(synchronize_session=False)
        )


async def set_outcome(
    session: AsyncSession, request_id: str, *, of: Collection[Outcome], values: Mapping[str, Any]
) -> None:
    """Change all devices of a request that have one of these outcomes."""
    await session.execute(
        sa.update(RequestDevice)
        .where(
            col(RequestDevice.request_id) == request_id,
            col(RequestDevice.outcome).in_([each.value for each in of]),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )


async def add_batch(session: AsyncSession, request_id: str, *, devices: int, now: datetime) -> int:
    query = sa.select(sa.func.max(col(RequestBatch.number))).where(col(RequestBatch.request_id) == request_id)
    number = ((await session.execute(query)).scalar_one_or_none() or 0) + 1
    session.add(RequestBatch(request_id=request_id, number=number, devices=devices, sent_at=now))
    await session.flush()
    return number


async def end_batch(session: AsyncSession, request_id: str, number: int, now: datetime) -> None:
    await session.execute(
        sa.update(RequestBatch)
        .where(col(RequestBatch.request_id) == request_id, col(RequestBatch.number) == number)
        .values(answered_at=now)
    )


async def holds(session: AsyncSession, serials: Sequence[str]) -> dict[str, str]:
    """Return which running request works on each of these devices."""
    found: dict[str, str] = {}
    for first in range(0, len(serials), _AT_ONCE):
        query = sa.select(col(DeviceHold.serial), col(DeviceHold.request_id)).where(
            col(DeviceHold.serial).in_(list(serials[first : first + _AT_ONCE]))
        )
        found |= {serial: request_id for serial, request_id in await session.execute(query)}
    return found


async def hold_all(session: AsyncSession, request_id: str) -> None:
    """Take every device of a request; none may be held by another."""
    devices = sa.select(col(RequestDevice.serial), sa.literal(request_id)).where(
        col(RequestDevice.request_id) == request_id
    )
    await session.execute(sa.insert(DeviceHold).from_select(["serial", "request_id"], devices))


async def held_elsewhere(session: AsyncSession, request_id: str) -> dict[str, int]:
    """Return how many devices of a request other running requests work on, by their ids."""
    query = (
        sa.select(col(DeviceHold.request_id), sa.func.count())
        .join(RequestDevice, col(RequestDevice.serial) == col(DeviceHold.serial))
        .where(col(RequestDevice.request_id) == request_id)
        .group_by(col(DeviceHold.request_id))
    )
    return {other: count for other, count in await session.execute(query)}


async def release(session: AsyncSession, request_id: str) -> None:
    await session.execute(sa.delete(DeviceHold).where(col(DeviceHold.request_id) == request_id))


async def overlaps(session: AsyncSession, serials: Sequence[str]) -> dict[str, int]:
    """Return how many of these devices are in pending requests, by request id."""
    found: dict[str, int] = {}
    for first in range(0, len(serials), _AT_ONCE):
        query = (
            sa.select(col(RequestDevice.request_id), sa.func.count())
            .join(Request, col(Request.id) == col(RequestDevice.request_id))
            .where(
                col(Request.state) == RequestState.PENDING.value,
                col(RequestDevice.serial).in_(list(serials[first : first + _AT_ONCE])),
            )
            .group_by(col(RequestDevice.request_id))
        )
        for request_id, count in await session.execute(query):
            found[request_id] = found.get(request_id, 0) + count
    return found


async def with_device(session: AsyncSession, serial: str) -> Sequence[str]:
    """Return the ids of the requests that a device is in."""
    # By way of the requests, which are far fewer than their devices: each is one look at the primary key.
    query = sa.select(col(Request.id)).join(
        RequestDevice,
        sa.and_(col(RequestDevice.request_id) == col(Request.id), col(RequestDevice.serial) == serial),
    )
    return (await session.scalars(query)).all()


async def drop_previews(session: AsyncSession, *, before: datetime) -> None:
    """Delete previews that were never sent."""
    old = sa.select(col(Request.id)).where(
        col(Request.state) == RequestState.PREVIEW.value, col(Request.made_at) < before
    )
    ids = list(await session.scalars(old))
    await session.execute(sa.delete(RequestDevice).where(col(RequestDevice.request_id).in_(ids)))
    await session.execute(sa.delete(Request).where(col(Request.id).in_(ids)))
