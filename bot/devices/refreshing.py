"""Devices read back from the service, so that what is shown is what it has."""

from collections import Counter
from collections.abc import Mapping, Sequence

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

    async def refresh(self, token_id: str, serials: Sequence[str]) -> Mapping[str, DeviceFacts | None]:
        """Read devices, at most 1,000, and store what differs; return what the service said.

        Only devices present on this token are changed: all else is left to the next sync. Raises the
        service's errors.
        """
        connection = await self._books.tokens.connection(token_id)
        told = await connection.details(serials)
        now = self._books.clock.now()
        async with self._books.db.begin() as session:
            await store.lock_devices(session)
            stored = await store.look_up(session, list(told))
            kinds = await store.kinds_by_id(session, {row.kind_id for row in stored.values()})
            updates: list[Stored] = []
            changes: list[NewChange] = []
            counts: Counter[int] = Counter()
            new_kinds: dict[int, Kind] = {}
            for serial, row in stored.items():
                device, before = told[serial], kinds[row.kind_id]
                is_ours = before.token_id == token_id and before.state == DeviceState.PRESENT.value
                if device is None or not is_ours or row.facts == (facts := pack(device)):
                    continue
                after = rules.present_kind(device, token_id)
                number = store.kind_id(after)
                new_kinds[number] = after
                updates.append(row._replace(kind_id=number, facts=facts, updated_at=to_ms(now)))
                counts[row.kind_id] -= 1
                counts[number] += 1
                changed = rules.changed_fields(unpack(row.facts), unpack(facts))
                changes.append(
                    store.new_change(serial, ChangeKind.MODIFIED, at=now, token_id=token_id, changes=changed)
                )
            await store.add_kinds(session, new_kinds)
            await store.update_devices(session, updates)
            await store.count_kinds(session, counts)
            await store.add_changes(session, changes)
        return told
