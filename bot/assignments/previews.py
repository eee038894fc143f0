"""From what somebody asked for to a fixed list of devices, with everything that will not work."""

import asyncio
from collections.abc import Sequence

from bot.assignments import rules, store
from bot.assignments.books import Books, device_of, sentences, values_of
from bot.assignments.errors import NoDevices, PreviewGone, SeveralTokens, TooMany
from bot.assignments.facts import RequestView
from bot.assignments.models import Action, Request, RequestState
from bot.assignments.undoing import Undoing
from bot.devices.facts import MAX_ASKED_SERIALS, Asked, DeviceRow
from bot.devices.models import DeviceState
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id
from bot.profiles.facts import ProfileView
from bot.tokens.facts import TokenView


class Previews:
    """Makes previews, which are requests that nobody else has seen yet."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices
        self._undoing = Undoing(books, devices)

    async def make(
        self,
        action: Action,
        *,
        actor: Actor,
        profile: ProfileView | None,
        serials: Sequence[str] = (),
        query: str | None = None,
        reason: str | None = None,
        remarks: Sequence[str] = (),
        delivery: str | None = None,
    ) -> RequestView:
        """Look at the devices and keep what was found for half an hour.

        Raises `NoDevices`, `SeveralTokens`, `TooMany`, `NotAllowed` and what a query raises.
        """
        actor.require(Role.OPERATOR)
        rows, outside = await self._rows(serials, query, actor)
        token = await self._token(rows, profile, actor)
        actor.require(Role.OPERATOR, tags=token.tags)
        async with self._books.db.read() as session:
            held = await store.holds(session, [row.serial for row in rows])
        # There may be a hundred thousand: in a thread, others are answered meanwhile.
        inside, left_out = await asyncio.to_thread(
            rules.sorted_out,
            rows,
            action=action,
            token_id=token.id,
            profile_uuid=profile.profile_uuid if profile else None,
            held=held,
        )
        outside |= left_out
        overlaps, held_by = await self._books.others(inside, [held[each] for each in outside.get("held", ())])
        counts = await self._devices.counts([token.id])
        found = await asyncio.to_thread(
            rules.found_of,
            inside,
            outside,
            platform=profile.settings.platform if profile else None,
            overlaps=overlaps,
            of_token=counts[token.id].present,
            held_by=held_by,
            remarks=remarks,
        )
        if action is Action.ASSIGN and profile is not None:
            content = await self._books.profiles.content.of(profile.settings)
            found = rules.with_portal(found, inside, profile.settings, content)
        if not inside:
            raise NoDevices(sentences(found, service=self._books.texts.service))
        request = Request(
            id=new_id(),
            action=action.value,
            state=RequestState.PREVIEW.value,
            token_id=token.id,
            profile_id=profile.id if profile else None,
            profile_version=profile.version if profile else None,
            profile_uuid=profile.profile_uuid if profile else None,
            profile_name=profile.name if profile else None,
            devices=len(inside),
            facts=values_of(found),
            reason=(reason or "").strip()[:500] or None,
            requested_by=actor.id,
            made_at=self._books.clock.now(),
        )
        rows_of_it = await asyncio.to_thread(lambda: [device_of(row) for row in inside])
        return await self._books.keep_preview(request, rows_of_it, delivery)

    async def without_set_up(self, request_id: str, *, actor: Actor, delivery: str | None) -> RequestView:
        """Make a preview anew without the devices that have fetched a profile already."""
        async with self._books.db.read() as session:
            before = await self._books.load(session, request_id, actor, Role.OPERATOR)
            devices = await store.devices(session, request_id)
        if before.undoes_id is not None:
            return await self._undoing.make(
                before.undoes_id, actor=actor, delivery=delivery, leaves_set_up=True
            )
        if before.action not in (Action.ASSIGN, Action.UNASSIGN):
            raise PreviewGone
        rows = await self._devices.of_serials([each.serial for each in devices], actor=actor)
        serials = [row.serial for row in rows.values() if row.profile_status != "pushed"]
        if not serials:
            raise NoDevices(["All of them have fetched a profile already."])
        # What was read from a file, and what of it was left out, still holds.
        return await self._anew(before, serials, actor=actor, delivery=delivery, remarks=before.found.remarks)

    async def move(
        self,
        profile_id: str,
        *,
        actor: Actor,
        to: str | None = None,
        but_set_up: bool = False,
        delivery: str | None = None,
    ) -> RequestView:
        """Make a preview that gives devices of a profile its newest version, or another profile (`to`).

        `but_set_up` leaves out devices that have fetched theirs. Raises `NoDevices`, `ProfileGone`.
        """
        profiles = self._books.profiles
        profile = await profiles.get_by_id(profile_id, actor=actor)
        actor.require(Role.OPERATOR, tags=profile.tags)
        target = profile if to is None else await profiles.get_by_id(to, actor=actor)
        uuids = set((await profiles.uuids_of([profile.id]))[profile.id]) - {target.profile_uuid}
        rows = await self._devices.carrying(profile.token_id, uuids, but_set_up=but_set_up)
        if not rows:
            whose = "an earlier version of it" if to is None else "it"
            raise NoDevices([f"None carries {whose}{' and is not set up yet' if but_set_up else ''}."])
        serials = [row.serial for row in rows]
        return await self.make(Action.ASSIGN, actor=actor, profile=target, serials=serials, delivery=delivery)

    async def again(self, request_id: str, *, actor: Actor, delivery: str | None) -> RequestView:
        """Make a preview of what a request asked for, as things are now."""
        async with self._books.db.read() as session:
            before = await self._books.load(session, request_id, actor, Role.OPERATOR)
            devices = await store.devices(session, request_id)
        if before.undoes_id is not None:
            return await self._undoing.make(before.undoes_id, actor=actor, delivery=delivery)
        return await self._anew(before, [each.serial for each in devices], actor=actor, delivery=delivery)

    async def _anew(
        self,
        before: RequestView,
        serials: Sequence[str],
        *,
        actor: Actor,
        delivery: str | None,
        remarks: Sequence[str] = (),
    ) -> RequestView:
        profile = None
        if before.profile_id is not None:
            profile = await self._books.profiles.get_by_id(before.profile_id, actor=actor)
        return await self.make(
            before.action,
            actor=actor,
            profile=profile,
            serials=serials,
            reason=before.reason,
            remarks=remarks,
            delivery=delivery,
        )

    async def _rows(
        self, serials: Sequence[str], query: str | None, actor: Actor
    ) -> tuple[list[DeviceRow], dict[str, list[str]]]:
        """Return the devices asked for, and the serials that nobody knows, by reason."""
        if query is not None:
            rows = await self._devices.all_of(query, actor=actor, most=rules.MOST_DEVICES)
            if len(rows) > rules.MOST_DEVICES:
                raise TooMany(None, rules.MOST_DEVICES)
            return rows, {}
        wanted = rules.serials_of(serials)
        if len(wanted) > rules.MOST_DEVICES:
            raise TooMany(len(wanted), rules.MOST_DEVICES)
        known = await self._devices.of_serials(wanted, actor=actor)
        missing = [serial for serial in wanted if serial not in known]
        if not missing:
            return list(known.values()), {}
        told = await self._devices.ask(missing[:MAX_ASKED_SERIALS], actor=actor)
        added = [each.serial for each in told if each.answer is Asked.FOUND and each.added]
        known |= await self._devices.of_serials(added, actor=actor)
        # What the service denies is one thing, that it could not be asked another.
        denied = {each.serial for each in told if each.answer is Asked.NOT_FOUND}
        outside: dict[str, list[str]] = {}
        for serial in missing:
            if serial not in known:
                outside.setdefault("unknown" if serial in denied else "unasked", []).append(serial)
        return list(known.values()), outside

    async def _token(self, rows: Sequence[DeviceRow], profile: ProfileView | None, actor: Actor) -> TokenView:
        if profile is not None:
            return await self._books.tokens.get_by_id(profile.token_id, actor=actor)
        named = [row for row in rows if row.token_name is not None]
        # Where a device was once does not matter, as long as another is still somewhere.
        there = [row for row in named if row.state is DeviceState.PRESENT] or named
        ids = {row.token_id for row in there}
        if not ids:
            raise NoDevices(["None of them is known here."])
        if len(ids) > 1:
            raise SeveralTokens(sorted({str(row.token_name) for row in there}))
        return await self._books.tokens.get_by_id(ids.pop(), actor=actor)
