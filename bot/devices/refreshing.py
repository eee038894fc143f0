"""Devices read back from the service, so that what is shown is what it has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import DeviceFacts
from bot.devices import rules, store
from bot.devices.books import Books
from bot.devices.facts import Kind, pack, unpack
from bot.devices.models import ChangeKind, DeviceState, to_ms
from bot.devices.store import NewChange, Stored


class Refreshing:
    """Asks the service about devices of one token and stores what differs."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def refresh(
        self, token_id: str, serials: Sequence[str], *, is_changed: bool = False
    ) -> Mapping[str, DeviceFacts | None]:
        """Read devices, at most 1,000, and store what differs; return what the service said.

        `is_changed` says that something was ordered of them, so that something differs. Only devices
        present on this token are changed: all else is left to the next sync. Raises the service's errors.
        """
        connection = await self._books.tokens.connection(token_id)
        told = await connection.details(serials)
        if not is_changed:
            # Mostly nothing differs, and who only looks waits for no writer.
            async with self._books.db.read() as session:
                if not (await self._differing(session, token_id, told)).updates:
                    return told
        async with self._books.db.begin() as session:
            await store.lock_devices(session)
            found = await self._differing(session, token_id, told)
            await store.add_kinds(session, found.kinds)
            await store.update_devices(session, found.updates)
            await store.count_kinds(session, found.counts)
            await store.add_changes(session, found.changes)
        return told

    async def _differing(
        self, session: AsyncSession, token_id: str, told: Mapping[str, DeviceFacts | None]
    ) -> "_Found":
        """Return what is to be stored of devices that are stored otherwise than they are told now."""
        now, found = self._books.clock.now(), _Found()
        stored = await store.look_up(session, list(told))
        kinds = await store.kinds_by_id(session, {row.kind_id for row in stored.values()})
        for serial, row in stored.items():
            device, before = told[serial], kinds[row.kind_id]
            is_ours = before.token_id == token_id and before.state == DeviceState.PRESENT.value
            if device is None or not is_ours or row.facts == (facts := pack(device)):
                continue
            after = rules.present_kind(device, token_id)
            number = store.kind_id(after)
            found.kinds[number] = after
            found.updates.append(row._replace(kind_id=number, facts=facts, updated_at=to_ms(now)))
            found.counts[row.kind_id] -= 1
            found.counts[number] += 1
            changed = rules.changed_fields(unpack(row.facts), unpack(facts))
            found.changes.append(
                store.new_change(serial, ChangeKind.MODIFIED, at=now, token_id=token_id, changes=changed)
            )
        return found


@dataclass(slots=True)
class _Found:
    """What is to be written of devices that have changed."""

    kinds: dict[int, Kind] = field(default_factory=dict)
    updates: list[Stored] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    changes: list[NewChange] = field(default_factory=list)
