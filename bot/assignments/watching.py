"""Keeps true what the cards of undecided requests say: what has changed since, and who could decide."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from bot.assignments import store
from bot.assignments.books import Books
from bot.assignments.facts import Change, ChangeKind, RequestView
from bot.assignments.models import RequestState
from bot.assignments.since import Since
from bot.devices.service import DeviceService

#: So many devices are compared each time; those of a larger request when those of its token have changed.
_COMPARED_ALWAYS = 1000
#: What is known of devices only where they were compared.
_OF_DEVICES = (ChangeKind.DEVICES, ChangeKind.CARRIES)


class Watching:
    """Looks at undecided requests again and again; a card is shown anew when something has changed."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices
        self._since = Since(books, devices)
        #: How the devices of a token stood when those of a large request were compared, by request.
        self._seen: dict[str, str] = {}

    async def look(self) -> int:
        """Mark what has changed since. Returns for how many requests."""
        async with self._books.db.read() as session:
            rows = await store.in_state(session, RequestState.PENDING)
            views = [await self._books.view(session, row) for row in rows]
        self._seen = {key: mark for key, mark in self._seen.items() if key in {view.id for view in views}}
        return sum([await self._mark(view) for view in views])

    async def _mark(self, view: RequestView) -> bool:
        looks = await self._is_to_compare(view)
        changes = await self._since.changes(view, looks_at_devices=looks)
        if not looks:
            changes += [each for each in view.changes if each.kind in _OF_DEVICES]
        if _in_order(changes) == _in_order(view.changes):
            return False
        values = {"changes": msgspec.to_builtins(_in_order(changes)) or None}
        async with self._books.db.begin() as session:
            return await store.change(session, view.id, values, state=RequestState.PENDING)

    async def _is_to_compare(self, view: RequestView) -> bool:
        if view.devices <= _COMPARED_ALWAYS:
            return True
        mark = await self._devices.mark_of(view.token_id)
        is_new = self._seen.get(view.id) != mark
        self._seen[view.id] = mark
        return is_new


def _in_order(changes: Sequence[Change]) -> list[Change]:
    order = list(ChangeKind)
    return sorted(changes, key=lambda each: order.index(each.kind))


#: How often undecided requests are looked at.
WATCH_EVERY = timedelta(seconds=30)
