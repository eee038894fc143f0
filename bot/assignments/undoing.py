"""From a request that was carried out to one that gives each device back what it carried before."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from bot.assignments import rules, store
from bot.assignments.books import Books, device_of, sentences, values_of
from bot.assignments.errors import NoDevices, NotUndoable
from bot.assignments.facts import Found, RequestView
from bot.assignments.models import Action, Outcome, Request, RequestState
from bot.devices.facts import DeviceRow
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id


class Undoing:
    """Makes the preview of an undo: devices that somebody has changed since are left out."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices

    async def make(
        self, request_id: str, *, actor: Actor, delivery: str | None, leaves_set_up: bool = False
    ) -> RequestView:
        """Make a preview that undoes a request. Raises `NotUndoable`, `NoDevices`, `NotAllowed`.

        With `leaves_set_up` without the devices that have fetched a profile already.
        """
        async with self._books.db.read() as session:
            before = await self._books.load(session, request_id, actor, Role.OPERATOR)
            done = await store.devices(session, request_id, outcome=[Outcome.SUCCESS])
            held = await store.holds(session, [each.serial for each in done])
        is_done = before.state in (RequestState.DONE, RequestState.STOPPED)
        if not is_done or before.is_token_removed or before.action not in rules.UNDOABLE:
            raise NotUndoable(before.label, rules.how_it_ended(before))
        known = await self._devices.of_serials([each.serial for each in done], actor=actor)
        inside: list[tuple[DeviceRow, str | None]] = []
        outside: dict[str, list[str]] = {}
        for device in done:
            row = known.get(device.serial)
            why = "removed" if row is None else rules.why_not_undone(row, before, device, held)
            if row is None or why is not None:
                outside.setdefault(why or "removed", []).append(device.serial)
            elif not (leaves_set_up and row.profile_status == "pushed"):
                inside.append((row, device.previous_uuid))
        holders = [held[each] for each in outside.get("held", ())]
        found = await self._found(before, inside, outside, holders)
        if not inside:
            raise NoDevices(sentences(found, service=self._books.texts.service))
        request = self._request(before, found, actor, len(inside))
        devices = [device_of(row, target_uuid=target) for row, target in inside]
        return await self._books.keep_preview(request, devices, delivery)

    def _request(self, before: RequestView, found: Found, actor: Actor, devices: int) -> Request:
        return Request(
            id=new_id(),
            action=Action.UNDO.value,
            state=RequestState.PREVIEW.value,
            token_id=before.token_id,
            undoes_id=before.id,
            devices=devices,
            facts=values_of(found),
            reason=f"Undo of {before.label}",
            requested_by=actor.id,
            made_at=self._books.clock.now(),
        )

    async def _found(
        self,
        before: RequestView,
        inside: Sequence[tuple[DeviceRow, str | None]],
        outside: Mapping[str, Sequence[str]],
        holders: Sequence[str],
    ) -> Found:
        overlaps, held_by = await self._books.others([row for row, _ in inside], holders)
        counts = await self._devices.counts([before.token_id])
        found = rules.found_of(
            [row for row, _ in inside],
            outside,
            platform=None,
            overlaps=overlaps,
            of_token=counts[before.token_id].present,
            held_by=held_by,
        )
        targets = Counter(target for _, target in inside)
        names = await self._names(before, [uuid for uuid in targets if uuid is not None])
        gives: Counter[str] = Counter()
        for target, count in targets.most_common(20):
            gives[names[target] if target is not None else ""] += count
        return msgspec.structs.replace(found, undoes=before.label, gives=dict(gives))

    async def _names(self, before: RequestView, uuids: Sequence[str]) -> dict[str, str]:
        """Name profiles as they were: an old version and a deleted one can be given back all the same."""
        known = await self._books.profiles.names_of(uuids, token_ids=[before.token_id])
        names = {}
        for uuid in uuids:
            profile = known.get(uuid)
            if profile is None:
                names[uuid] = f"profile {uuid[:8]}…"
            elif profile.is_removed:
                names[uuid] = f"{profile.name} (deleted here)"
            else:
                names[uuid] = profile.name if profile.is_current else f"{profile.name} (former version)"
        return names
