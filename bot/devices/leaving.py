"""Devices that leave without a sync: forgotten by an admin, or with their token."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bot.devices import store
from bot.devices.books import SYSTEM, Books
from bot.devices.errors import TooManySerials
from bot.devices.facts import Forgotten, Kind
from bot.devices.models import ChangeKind, DeviceKind, DeviceState, SyncState, to_ms
from bot.devices.store import Stored
from bot.kit.actor import Actor, Role
from bot.tokens.facts import TokenView

MAX_FORGOTTEN_AT_ONCE = 1000
_REMOVE_BATCH = 500


class Leaving:
    """Forgets devices, and marks those of removed tokens."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def release_removed_tokens(self) -> int:
        """Mark the devices of removed tokens as removed. Returns how many devices there were."""
        async with self._books.db.read() as session:
            kinds = [row for row in await store.kinds_of(session) if row.state != DeviceState.REMOVED.value]
        # The tokens second: one that is added meanwhile has no devices among these.
        live = {token.id for token in await self._books.tokens.list_tokens(actor=SYSTEM)}
        released = 0
        for row in kinds:
            if row.token_id not in live:
                released += await self._release(row)
        return released

    async def end_syncs(self, session: AsyncSession, token_id: str) -> None:
        running = await store.open_sync(session, token_id)
        if running is not None:
            now = self._books.clock.now()
            ended = {"state": SyncState.FAILED.value, "ended_at": now, "told_at": now}
            await store.change_sync(session, running.id, {**ended, "error": "The token was removed."})

    async def _release(self, row: DeviceKind) -> int:
        kind = store.kind_of(row)
        released = 0
        while True:
            async with self._books.db.begin() as session:
                await store.lock_devices(session)
                batch = await store.devices_of_kind(session, row.id, after="", limit=_REMOVE_BATCH)
                stored = await store.look_up(session, [serial for serial, _ in batch])
                gone = kind._replace(state=DeviceState.REMOVED.value)
                await self._put_all(
                    session, stored.values(), kind, gone, ChangeKind.REMOVED, reason="token removed"
                )
            released += len(batch)
            if len(batch) < _REMOVE_BATCH:
                return released

    async def _put_all(
        self,
        session: AsyncSession,
        rows: Iterable[Stored],
        before: Kind,
        after: Kind,
        change: ChangeKind,
        *,
        reason: str,
    ) -> None:
        """Put devices of one kind into another state, with history and counts."""
        now, number = self._books.clock.now(), store.kind_id(after)
        moved = list(rows)
        is_removal = change is ChangeKind.REMOVED
        await store.add_kinds(session, {number: after})
        await store.update_devices(
            session,
            [
                row._replace(
                    kind_id=number,
                    updated_at=to_ms(now),
                    removed_at=to_ms(now) if is_removal else row.removed_at,
                    removed_reason=reason if is_removal else row.removed_reason,
                    forgotten_at=row.forgotten_at if is_removal else to_ms(now),
                )
                for row in moved
            ],
        )
        await store.count_kinds(session, {store.kind_id(before): -len(moved), number: len(moved)})
        changes = {"reason": [None, reason]}
        await store.add_changes(
            session,
            [
                store.new_change(row.serial, change, at=now, token_id=after.token_id, changes=changes)
                for row in moved
            ],
        )
        await store.set_disturbed(session, [before.token_id], is_disturbed=True)

    async def forget(self, serials: Sequence[str], *, actor: Actor, delivery: str | None = None) -> Forgotten:
        """Forget devices: they come back with the next full sync, or when the service adds them again."""
        actor.require(Role.ADMIN)
        if len(serials) > MAX_FORGOTTEN_AT_ONCE:
            raise TooManySerials(len(serials), MAX_FORGOTTEN_AT_ONCE)
        keys = list(dict.fromkeys(serial.strip().upper() for serial in serials))
        visible = await self._books.visible(actor)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            await store.lock_devices(session)
            known = await self._may_forget(session, keys, visible, actor)
            fresh = {
                serial: found
                for serial, found in known.items()
                if found[1].state != DeviceState.FORGOTTEN.value
            }
            for kind in {kind for _, kind in fresh.values()}:
                rows = [row for row, each in fresh.values() if each == kind]
                await self._forget(session, rows, kind, visible.get(kind.token_id), actor)
        return Forgotten(
            forgotten=tuple(serial for serial in keys if serial in fresh),
            already=tuple(serial for serial in keys if serial in known and serial not in fresh),
            unknown=tuple(serial for serial in keys if serial not in known),
        )

    async def _may_forget(
        self, session: AsyncSession, serials: Sequence[str], visible: Mapping[str, TokenView], actor: Actor
    ) -> dict[str, tuple[Stored, Kind]]:
        """Return those of the devices that the actor may forget, with their kinds."""
        stored = await store.look_up(session, serials)
        kinds = await store.kinds_by_id(session, {row.kind_id for row in stored.values()})
        return {
            serial: (row, kinds[row.kind_id])
            for serial, row in stored.items()
            if _is_theirs(kinds[row.kind_id], visible, actor)
        }

    async def _forget(
        self,
        session: AsyncSession,
        rows: Sequence[Stored],
        kind: Kind,
        token: TokenView | None,
        actor: Actor,
    ) -> None:
        forgotten = kind._replace(state=DeviceState.FORGOTTEN.value)
        reason = f"forgotten by {actor.id}"
        await self._put_all(session, rows, kind, forgotten, ChangeKind.FORGOTTEN, reason=reason)
        for row in rows:
            await self._books.audit.record(
                session,
                actor=actor,
                action="device.forgotten",
                subject_kind="device",
                subject_id=row.serial,
                subject_name=row.serial,
                tags=token.tags if token else frozenset(),
                detail={"token": token.name if token else None},
            )


def _is_theirs(kind: Kind, visible: Mapping[str, TokenView], actor: Actor) -> bool:
    token = visible.get(kind.token_id)
    if token is None:
        return actor.rights.is_unlimited
    return actor.rights.role_for(token.tags) >= Role.ADMIN
