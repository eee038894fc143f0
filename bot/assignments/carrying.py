"""Carrying requests out: batch by batch, resumed wherever it stopped, no finished batch repeated."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import rules, store
from bot.assignments.books import SYSTEM, Books
from bot.assignments.facts import RequestedDevice, RequestView
from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.port import (
    AssignmentResult,
    BackendError,
    DeviceFacts,
    DeviceResult,
    RequestRefused,
    ServiceUnavailable,
)
from bot.devices.rules import has_profile
from bot.devices.service import DeviceService
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.leases import Lease, LeaseLost, Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.tokens.models import WishKind, WishReason

log = get_logger(__name__)

#: Counting what became of many devices takes longer than their next batch may.
_SHOW_EVERY = timedelta(seconds=1)
Show = Callable[[RequestView], None]


class _Due(NamedTuple):
    """What of a request is to be done now: the devices of the next order, or when others are due again."""

    batch: Sequence[RequestedDevice] = ()
    again_at: datetime | None = None
    is_running: bool = True
    is_to_stop: bool = False


class Carrying:
    """Does what was approved. One replica at a time works on a request."""

    def __init__(self, books: Books, devices: DeviceService, leases: Leases) -> None:
        self._books = books
        self._devices = devices
        self._leases = leases

    async def due(self) -> list[str]:
        """Return the running requests that have something to do now."""
        now = self._books.clock.now()
        async with self._books.db.read() as session:
            running = await store.in_state(session, RequestState.RUNNING)
        return [
            row.id
            for row in running
            if row.rests_until is None or row.rests_until <= now or row.stop_asked_by
        ]

    async def run(
        self, request_id: str, *, show: Show, is_stopping: Callable[[], bool]
    ) -> RequestView | None:
        """Carry a request out as far as it goes now; None where another replica is at it.

        What is left waits for its time: throttled and failed devices, or a service that does not answer.
        """
        try:
            async with self._leases.hold(f"request:{request_id}") as lease:
                view = await self._view(request_id)
                if view.action is Action.REMOVE:
                    # All of it was done with the approval.
                    await self._end(view, lease, RequestState.DONE)
                    return await self._view(request_id)
                if view.stop_asked_by is not None or view.is_token_removed:
                    await self._settle_last(view, lease)
                    await self._end(view, lease, RequestState.STOPPED)
                    return await self._view(request_id)
                try:
                    await self._settle_sent(request_id, lease)
                    await self._follow(request_id, lease)
                    await self._batches(request_id, lease, show=show, is_stopping=is_stopping)
                except LeaseLost:
                    raise
                except EnrollbotError as error:
                    # Also where the token's secrets cannot be had: the request waits, and can be stopped.
                    await self._rest(request_id, lease, error)
        except LeaseTaken:
            return None
        except LeaseLost:
            log.warning("a request was taken over by another replica", request=request_id)
            return None
        return await self._view(request_id)

    async def _follow(self, request_id: str, lease: Lease) -> None:
        """Give what is the default by now: its profile may have been edited, or another one chosen.

        With none any more it ends.
        """
        view = await self._view(request_id)
        if view.sync_id is None or view.state is not RequestState.RUNNING:
            return
        defaults = {each.platform: each for each in await self._books.profiles.defaults.of([view.token_id])}
        default = defaults.get(view.platforms[0])
        if default is None:
            await self._end(view, lease, RequestState.STOPPED)
        elif default.profile_uuid != view.profile_uuid:
            async with self._books.db.begin() as session:
                await self._require(lease, session)
                values = {
                    "profile_id": default.profile_id,
                    "profile_version": default.version,
                    "profile_uuid": default.profile_uuid,
                    "profile_name": default.profile_name,
                }
                await store.change(session, view.id, values, state=RequestState.RUNNING)

    async def _batches(
        self, request_id: str, lease: Lease, *, show: Show, is_stopping: Callable[[], bool]
    ) -> None:
        view = await self._view(request_id, counts=False)
        most = await self._most_at_once(view)
        async with _ReadingBack() as reading:
            shown_at, lost, after = None, False, ""
            while not is_stopping():
                due = await self._due(view, most, after)
                if not due.is_running:
                    return
                if due.batch:
                    unsent = [each.serial for each in due.batch if each.outcome == Outcome.WAITING.value]
                    after = unsent[-1] if unsent else after
                    lost = await self._batch(view, due.batch, lease, reading) or lost
                    if shown_at is None or self._books.clock.now() - shown_at >= _SHOW_EVERY:
                        show(await self._view(request_id))
                        shown_at = self._books.clock.now()
                    continue
                # What is shown at the end is what the service has.
                await reading.finish()
                if due.again_at is not None:
                    await self._wait(view, lease, due.again_at, lost=lost)
                    return
                ended = RequestState.STOPPED if due.is_to_stop else RequestState.DONE
                await self._end(await self._view(request_id), lease, ended)
                return

    async def _due(self, view: RequestView, most: int, after: str) -> _Due:
        """Look what is to be done now; what is looked up for each batch is no more than that takes."""
        async with self._books.db.read() as session:
            row = await store.one(session, view.id)
            if row is None or row.state != RequestState.RUNNING.value:
                return _Due(is_running=False)
            if row.stop_asked_by is not None:
                return _Due(is_to_stop=True)
            now = self._books.clock.now()
            if view.action is Action.UNDO:
                batch = await store.due_for_one_target(session, view.id, now=now, most=most)
            else:
                batch = await store.due_devices(session, view.id, now=now, most=most, after=after)
                if not batch and after:
                    # None is passed over, whatever became of those before.
                    batch = await store.due_devices(session, view.id, now=now, most=most)
            return _Due(batch, None if batch else await store.next_due(session, view.id))

    async def _most_at_once(self, view: RequestView) -> int:
        """Return how many devices one order may name: what the account allows, as far as it says."""
        async with self._books.db.read() as session:
            token = await self._books.tokens.get_in(session, view.token_id)
        return rules.most_at_once(token.order_size if token is not None else None)

    async def _batch(
        self, view: RequestView, batch: Sequence[RequestedDevice], lease: Lease, reading: "_ReadingBack"
    ) -> bool:
        """Order what devices are to carry; whether some were not accessible, which a sync explains."""
        target = _target(view, batch[0])
        told = await self._told(view, [each.serial for each in batch])
        already = [each.serial for each in batch if _carries(told.get(each.serial), target)]
        left = [each for each in batch if each.serial not in set(already)]
        served = [each.serial for each in left if view.sync_id and _has_other(told.get(each.serial), each)]
        changed = [
            each.serial
            for each in left
            if view.action is Action.UNDO and _is_changed(told.get(each.serial), each.previous_uuid)
        ]
        passed = {*already, *served, *changed}
        waiting = [each.serial for each in left if each.serial not in passed]
        if passed:
            async with self._books.db.begin() as session:
                await self._require(lease, session)
                left_out: dict[str, str | None] = {"outcome": Outcome.LEFT_OUT.value, "again_at": None}
                so_already = left_out | {"outcome": Outcome.ALREADY.value}
                await store.set_devices(session, view.id, already, so_already)
                await store.set_devices(session, view.id, served, left_out)
                await store.set_devices(session, view.id, changed, left_out | {"why": rules.CHANGED_SINCE})
        if not waiting:
            return False
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            number = await store.add_batch(
                session, view.id, devices=len(waiting), now=self._books.clock.now()
            )
            sent = {"outcome": Outcome.SENT.value, "batch": number, "again_at": None}
            await store.set_devices(session, view.id, waiting, sent)
            # Another request may have changed them since this one was asked for; an undo gives back this.
            for previous, serials in _carried_otherwise(told, left, set(waiting)).items():
                await store.set_devices(session, view.id, serials, {"previous_uuid": previous})
        try:
            answer = await self._ask(view, target, waiting)
        except ServiceUnavailable:
            # It may have been done all the same: what the devices carry tells, before they are sent again.
            raise
        except RequestRefused as refusal:
            # The same order would be refused again: these devices have failed.
            log.warning("an order was refused", request=view.id, reason=str(refusal))
            given_up = {"outcome": Outcome.FAILED.value, "why": refusal.message[:200]}
            await self._give_up(view, waiting, number, given_up, lease)
            return False
        except BackendError:
            await self._give_up(view, waiting, number, {"outcome": Outcome.WAITING.value}, lease)
            raise
        await self._store(view, {each.serial: each for each in batch}, number, answer, lease)
        await reading.begin(lambda: self._refresh(view, waiting))
        return DeviceResult.NOT_ACCESSIBLE in answer.results.values()

    async def _give_up(
        self,
        view: RequestView,
        serials: Sequence[str],
        number: int,
        values: Mapping[str, str],
        lease: Lease,
    ) -> None:
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            await store.set_devices(session, view.id, serials, values)
            await store.end_batch(session, view.id, number, self._books.clock.now())

    async def _ask(self, view: RequestView, target: str | None, serials: Sequence[str]) -> AssignmentResult:
        began = self._books.clock.now()
        connection = await self._books.tokens.connection(view.token_id)
        try:
            if target is None:
                return await connection.unassign(serials)
            return await connection.assign(target, serials)
        except BackendError as error:
            await self._books.tokens.record_refusal(view.token_id, error, asked_at=began)
            raise

    async def _store(
        self,
        view: RequestView,
        batch: Mapping[str, RequestedDevice],
        number: int,
        answer: AssignmentResult,
        lease: Lease,
    ) -> None:
        now = self._books.clock.now()
        wait = rules.throttled_for(answer.retry_after)
        by_outcome: dict[tuple[Outcome, int, datetime | None], list[str]] = {}
        for serial, result in answer.results.items():
            tries = batch[serial].tries + (result is DeviceResult.FAILED)
            outcome, again_at = _outcome(result, tries, now, wait)
            by_outcome.setdefault((outcome, tries, again_at), []).append(serial)
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            for (outcome, tries, again_at), serials in by_outcome.items():
                values = {"outcome": outcome.value, "tries": tries, "again_at": again_at}
                await store.set_devices(session, view.id, serials, values)
            await store.end_batch(session, view.id, number, now)
            values = {"failed_tries": 0, "rests_until": None, "rests_because": None}
            await store.put(session, view.id, values)

    async def _refresh(self, view: RequestView, serials: Sequence[str]) -> None:
        """Read devices back, so that what is shown is what the service has; a sync mends what this misses."""
        try:
            await self._devices.refresh(view.token_id, serials, is_changed=True)
        except EnrollbotError as error:
            log.warning("devices not read back", request=view.id, reason=str(error))

    async def _told(self, view: RequestView, serials: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        began = self._books.clock.now()
        try:
            return await self._devices.refresh(view.token_id, serials)
        except BackendError as error:
            await self._books.tokens.record_refusal(view.token_id, error, asked_at=began)
            raise

    async def _settle_sent(self, request_id: str, lease: Lease) -> None:
        """Look what became of devices whose answer was never stored: their batch may have been taken."""
        async with self._books.db.read() as session:
            sent = await store.devices(session, request_id, outcome=[Outcome.SENT])
        if not sent:
            return
        view = await self._view(request_id)
        for first in range(0, len(sent), rules.BATCH):
            some = sent[first : first + rules.BATCH]
            told = await self._told(view, [each.serial for each in some])
            is_done = {each.serial: _carries(told.get(each.serial), _target(view, each)) for each in some}
            done = [serial for serial, as_asked in is_done.items() if as_asked]
            left = [serial for serial, as_asked in is_done.items() if not as_asked]
            async with self._books.db.begin() as session:
                await self._require(lease, session)
                await store.set_devices(session, request_id, done, {"outcome": Outcome.SUCCESS.value})
                await store.set_devices(session, request_id, left, {"outcome": Outcome.WAITING.value})

    async def _settle_last(self, view: RequestView, lease: Lease) -> None:
        """Look what became of devices that were sent, before a request ends; it ends all the same.

        What cannot be asked about any more is told as left out, and why.
        """
        try:
            if not view.is_token_removed:
                await self._settle_sent(view.id, lease)
        except LeaseLost:
            raise
        except EnrollbotError as error:
            log.warning("devices of a stopped request not asked about", request=view.id, reason=str(error))

    async def _wait(self, view: RequestView, lease: Lease, again_at: datetime, *, lost: bool) -> None:
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            values = {"rests_until": again_at, "rests_because": None}
            await store.change(session, view.id, values, state=RequestState.RUNNING)
            if lost:
                # It may rest for a day: where they are is asked now.
                await self._wish_sync(session, view)

    async def _wish_sync(self, session: AsyncSession, view: RequestView) -> None:
        await self._books.tokens.wish_sync(
            session,
            view.token_id,
            kind=WishKind.DELTA,
            reason=WishReason.ASKED,
            asked_by=SYSTEM.id,
            exempt=True,
        )

    async def _rest(self, request_id: str, lease: Lease, error: EnrollbotError) -> None:
        """Leave the request alone for a while: the service does not answer, or refuses the token."""
        log.warning("a request rests", request=request_id, reason=str(error))
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            row = await store.one(session, request_id)
            if row is None:
                return
            wait = rules.REST[min(row.failed_tries, len(rules.REST) - 1)]
            if isinstance(error, ServiceUnavailable) and error.retry_after is not None:
                wait = max(wait, error.retry_after)
            values = {
                "failed_tries": row.failed_tries + 1,
                "rests_until": self._books.clock.now() + wait,
                "rests_because": str(error)[:500],
            }
            await store.change(session, request_id, values, state=RequestState.RUNNING)

    async def _end(self, view: RequestView, lease: Lease, state: RequestState) -> None:
        now = self._books.clock.now()
        async with self._books.db.begin() as session:
            await self._require(lease, session)
            values = {"outcome": Outcome.LEFT_OUT.value, "again_at": None}
            unclear = values | {"why": rules.ANSWER_UNKNOWN}
            await store.set_outcome(session, view.id, of=[Outcome.SENT], values=unclear)
            left = (Outcome.WAITING, Outcome.THROTTLED)
            await store.set_outcome(session, view.id, of=left, values=values)
            ended = {
                "state": state.value,
                "ended_at": now,
                "rests_until": None,
                "rests_because": None,
            }
            if not await store.change(session, view.id, ended, state=RequestState.RUNNING):
                return
            await store.release(session, view.id)
            if await store.has(session, view.id, Outcome.NOT_ACCESSIBLE):
                await self._wish_sync(session, view)
            counts = {each.value: count for each, count in (await store.outcomes(session, view.id)).items()}
            await self._books.record(
                session,
                SYSTEM,
                "request.carried_out" if view.sync_id is None else "default.given",
                view,
                {"results": counts, "state": state.value},
            )

    async def _view(self, request_id: str, *, counts: bool = True) -> RequestView:
        async with self._books.db.read() as session:
            return await self._books.load(session, request_id, SYSTEM, Role.VIEWER, counts=counts)

    async def _require(self, lease: Lease, session: AsyncSession) -> None:
        if not await lease.still_held(session):
            raise LeaseLost(lease.name)


class _ReadingBack:
    """Reads the devices of one batch back while the next is worked on: neither waits for the other."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def begin(self, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to read devices back, once those of the batch before are."""
        await self.finish()
        self._task = asyncio.create_task(read())

    async def finish(self) -> None:
        """Wait until what was begun is done; whoever is cancelled meanwhile cancels it too."""
        task, self._task = self._task, None
        if task is not None:
            await task

    async def __aenter__(self) -> "_ReadingBack":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._task is not None and kind is asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            return
        await self.finish()


def _has_other(device: DeviceFacts | None, before: RequestedDevice) -> bool:
    """Say whether somebody gave a device a profile meanwhile, or took its own: no default for it then."""
    if device is None:
        return False
    if device.profile_status == "removed":
        return True
    carries = has_profile(device.profile_status, device.profile_uuid)
    return carries and device.profile_uuid != before.previous_uuid


def _target(view: RequestView, device: RequestedDevice) -> str | None:
    """Return the profile that a device is to carry, None where it is to have none."""
    return rules.target_of(view.action, view.profile_uuid, device.target_uuid)


def _carries(device: DeviceFacts | None, profile_uuid: str | None) -> bool:
    """Say whether a device is known to carry this profile, or with None to carry none."""
    if device is None:
        return False
    carries = has_profile(device.profile_status, device.profile_uuid)
    return carries and device.profile_uuid == profile_uuid if profile_uuid is not None else not carries


def _is_changed(device: DeviceFacts | None, expected: str | None) -> bool:
    """Say whether somebody gave a device something else than it carried when it was asked for."""
    return device is not None and not _carries(device, expected)


def _carried_otherwise(
    told: Mapping[str, DeviceFacts | None], batch: Sequence[RequestedDevice], waiting: Collection[str]
) -> dict[str | None, list[str]]:
    """Return devices that carry something else now than is noted of them, by what that is."""
    found: dict[str | None, list[str]] = {}
    for each in batch:
        device = told.get(each.serial)
        if device is None or each.serial not in waiting:
            continue
        carries = has_profile(device.profile_status, device.profile_uuid)
        now = device.profile_uuid if carries else None
        if now != each.previous_uuid:
            found.setdefault(now, []).append(each.serial)
    return found


def _outcome(
    result: DeviceResult, tries: int, now: datetime, wait: timedelta
) -> tuple[Outcome, datetime | None]:
    """Return what is stored for a result, and when the device is tried again."""
    if result is DeviceResult.SUCCESS:
        return Outcome.SUCCESS, None
    if result is DeviceResult.NOT_ACCESSIBLE:
        return Outcome.NOT_ACCESSIBLE, None
    if result is DeviceResult.THROTTLED:
        return Outcome.THROTTLED, now + wait
    if tries >= rules.TRIES:
        return Outcome.FAILED, None
    return Outcome.FAILED, now + rules.TRY_AGAIN[min(tries, len(rules.TRY_AGAIN)) - 1]
