"""Everything that can be done with assignment requests. Each method checks the right of whoever asks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.assignments import rules, store
from bot.assignments.books import Books, MayAct, RightsOf
from bot.assignments.carrying import Carrying
from bot.assignments.deciding import Deciding
from bot.assignments.defaults import DefaultChanges
from bot.assignments.errors import PreviewGone, RequestUnknown
from bot.assignments.facts import DeviceResultRow, RequestView
from bot.assignments.giving import Giving
from bot.assignments.glass import Glass
from bot.assignments.listing import Listing
from bot.assignments.models import Action, Outcome, RequestState
from bot.assignments.pending import PendingRequests
from bot.assignments.previews import Previews
from bot.assignments.reminding import Reminding
from bot.assignments.removals import Removals
from bot.assignments.since import Since
from bot.assignments.undoing import Undoing
from bot.assignments.watching import Watching
from bot.backend.port import BackendTexts
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.leases import Leases


class AssignmentService:
    """Previews, decisions, and what became of each device."""

    def __init__(self, books: Books, *, devices: DeviceService, leases: Leases) -> None:
        self._books = books
        self._look: Callable[[], None] | None = None
        self._since = Since(self._books, devices)
        previews, deciding = Previews(self._books, devices), Deciding(self._books, self._since)
        carrying = Carrying(self._books, devices, leases)
        # One door for the screens, without a line of its own for each of these.
        self.preview = previews.make
        self.without_set_up = previews.without_set_up
        self._previews = previews
        self.preview_move = previews.move
        self._defaults, self._removals = DefaultChanges(self._books, devices), Removals(self._books, devices)
        self.preview_default = self._defaults.preview
        self.preview_removal = self._removals.preview
        self.undo = Undoing(self._books, devices).make
        self.send = deciding.send
        self.approve = deciding.approve
        self.deny = deciding.deny
        self.check_decidable = deciding.check_decidable
        self.cancel = deciding.cancel
        self.stop = deciding.stop
        self.expire = deciding.expire
        self.judge = Giving(self._books, devices).judge
        self.glass = Glass(self._books)
        self.break_glass = deciding.break_glass
        self.reminding = Reminding(self._books)
        self.watch = Watching(self._books, devices).look
        self.due = carrying.due
        self.run = carrying.run
        self.pending = PendingRequests(books).look
        listing = Listing(self._books)
        self.list_requests = listing.page
        self.all_requests = listing.all_of

    @property
    def clock(self) -> Clock:
        return self._books.clock

    @property
    def approvals(self) -> str:
        """Return the policy of the settings: `required`, `self` or `off`."""
        return self._books.settings.approvals

    @property
    def slash(self) -> str:
        return self._books.settings.command

    @property
    def texts(self) -> BackendTexts:
        return self._books.texts

    async def get(self, label: str, *, actor: Actor) -> RequestView:
        """Return a request by its label, such as `REQ-12`. Raises `RequestUnknown`."""
        number = rules.number_of(label)
        async with self._books.db.read() as session:
            row = await store.numbered(session, number) if number is not None else None
            view = await self._books.view(session, row) if row is not None else None
        if view is None or actor.rights.role_for(view.tags) < Role.VIEWER:
            raise RequestUnknown(label.strip()[:40], slash=self._books.settings.command)
        return view

    async def ordered_between(self, token_id: str, first: datetime, last: datetime) -> bool:
        """Say whether an order for devices of a token was sent between two moments; for jobs alone."""
        async with self._books.db.read() as session:
            return await store.ordered_between(session, token_id, first, last)

    async def get_by_id(self, request_id: str, *, actor: Actor) -> RequestView:
        async with self._books.db.read() as session:
            return await self._books.load(session, request_id, actor, Role.VIEWER)

    async def again(self, request_id: str, *, actor: Actor, delivery: str | None) -> RequestView:
        """Make a preview of what a request asked for, as things are now."""
        before = await self.get_by_id(request_id, actor=actor)
        if before.action is Action.DEFAULT:
            return await self._defaults.anew(
                before, actor=actor, includes_waiting=before.devices > 0, delivery=delivery
            )
        if before.action is Action.REMOVE:
            return await self._removals.preview(
                before.token_id, actor=actor, reason=before.reason, delivery=delivery
            )
        return await self._previews.again(request_id, actor=actor, delivery=delivery)

    async def look_at_preview(self, request_id: str, *, actor: Actor) -> RequestView:
        """Return a preview of the actor's own that can still be sent. Raises `PreviewGone`."""
        view = await self.get_by_id(request_id, actor=actor)
        is_kept = self._books.clock.now() - view.made_at < rules.PREVIEW_KEPT
        if view.state is not RequestState.PREVIEW or view.requested_by != actor.id or not is_kept:
            raise PreviewGone
        return view

    async def with_waiting(
        self, request_id: str, *, includes: bool, actor: Actor, delivery: str | None
    ) -> RequestView:
        """Make a preview of a default anew, with the devices that wait now or without them."""
        before = await self.get_by_id(request_id, actor=actor)
        if before.action is not Action.DEFAULT:
            raise PreviewGone
        return await self._defaults.anew(before, actor=actor, includes_waiting=includes, delivery=delivery)

    async def open_counts(self) -> dict[str, int]:
        """Return how many requests are open, by state. The caller has checked the right."""
        async with self._books.db.read() as session:
            return {state.value: count for state, count in (await store.open_counts(session)).items()}

    async def holding(self, token_id: str, uuids: Sequence[str]) -> Sequence[str]:
        """Name, in sentences, the open requests for these profiles. The caller checks the right."""
        async with self._books.db.read() as session:
            rows = await store.open_of(session, token_id, uuids=uuids)
        return [f"REQ-{row.number} is about it" for row in rows]

    async def work_on(self, serial: str) -> str | None:
        """Say, in a sentence, what is being done with a device now; None when nothing is.

        The caller has checked the right to see the device.
        """
        async with self._books.db.read() as session:
            request_id = (await store.holds(session, [serial])).get(serial)
            request = await store.one(session, request_id) if request_id else None
            device = await store.device(session, request.id, serial) if request else None
        if request is None or device is None:
            return None
        what = f"REQ-{request.number}"
        if request.sync_id is not None:
            what = f"the assignment of the default profile {request.profile_name}"
        if device.outcome == Outcome.THROTTLED.value:
            return f"Throttled in {what}: it is tried again by itself."
        return f"Waiting in {what}, which is being carried out."

    async def results(
        self,
        request_id: str,
        *,
        actor: Actor,
        outcome: Sequence[Outcome] | None = None,
        most: int | None = None,
    ) -> list[DeviceResultRow]:
        """Return what became of the devices of a request, by serial, the first `most` of them."""
        async with self._books.db.read() as session:
            await self._books.load(session, request_id, actor, Role.VIEWER)
            rows = await store.devices(session, request_id, outcome=outcome, most=most)
        return [
            DeviceResultRow(
                row.serial, row.model, Outcome(row.outcome), row.previous_uuid, row.again_at, row.why
            )
            for row in rows
        ]

    async def refusals(self, request_id: str) -> list[str]:
        """Return why the service refused whole orders of a request, in its words."""
        async with self._books.db.read() as session:
            return await store.whys(session, request_id)

    async def with_approvers(self, view: RequestView) -> RequestView:
        """Return the view with who may approve it, as far as they are active in Slack."""
        return await self._books.with_approvers(view)

    # What follows

    async def as_it_is(self, view: RequestView) -> RequestView:
        """Return the view with what has changed since, looked at now."""
        if view.state is not RequestState.PENDING:
            return view
        return replace(view, changes=tuple(await self._since.changes(view)))

    def tell_rights(self, rights_of: RightsOf, may_act: MayAct) -> None:
        """Take what says what a person may do now, Slack's own limits included, and who is active there."""
        self._books.rights_of = rights_of
        self._books.may_act = may_act

    def tell_work(self, look: Callable[[], None]) -> None:
        """Take what begins work and shows cards at once, without waiting for the job."""
        self._look = look

    def look_now(self) -> None:
        """Have what was just decided done and shown; without this the job does it in a moment."""
        if self._look is not None:
            self._look()

    async def with_device(self, serial: str) -> Sequence[str]:
        """Return the ids of the requests that a device is in; what of them is told is not decided here."""
        async with self._books.db.read() as session:
            return await store.with_device(session, serial)

    async def links_in(self, session: AsyncSession, request_ids: Collection[str]) -> Mapping[str, str]:
        """Return the links to the cards of these requests inside the caller's transaction."""
        return await store.links(session, request_ids)

    async def unshown(self) -> list[RequestView]:
        """Return requests whose card or result is still to be shown."""
        async with self._books.db.read() as session:
            rows = await store.unshown(session, now=self._books.clock.now())
            return [await self._books.view(session, row) for row in rows]

    async def given_after(self, sync_id: str) -> list[RequestView]:
        """Return what became of the defaults that were given after a sync. For jobs: no right is checked."""
        async with self._books.db.read() as session:
            return [await self._books.view(session, row) for row in await store.given_after(session, sync_id)]

    async def unshown_syncs(self) -> Sequence[str]:
        """Return the syncs whose message does not say yet what became of their defaults."""
        async with self._books.db.read() as session:
            return await store.unshown_syncs(session, now=self._books.clock.now())

    async def note_told_with_sync(self, view: RequestView) -> None:
        """Note that a sync's message says what became of its defaults."""
        async with self._books.db.begin() as session:
            values = {"shown": view.version, "tell_again_at": None, "tell_tries": 0}
            await store.put(session, view.id, values)

    async def note_shown(self, view: RequestView, *, channel: str, ts: str) -> None:
        """Note that the card shows this version of a request."""
        async with self._books.db.begin() as session:
            values: dict[str, Any] = {"channel": channel, "message_ts": ts, "shown": view.version}
            values |= {"tell_again_at": None, "tell_tries": 0}
            if ts != view.message_ts:
                values["permalink"] = None
            await store.put(session, view.id, values)

    async def note_link(self, request_id: str, permalink: str) -> None:
        """Note where in Slack the card stands, for the audit and for who looks at the request."""
        async with self._books.db.begin() as session:
            await store.put(session, request_id, {"permalink": permalink})

    async def note_result_told(self, request_id: str) -> None:
        async with self._books.db.begin() as session:
            await store.put(session, request_id, {"result_told_at": self._books.clock.now()})

    async def note_requester_told(self, request_id: str) -> None:
        async with self._books.db.begin() as session:
            await store.put(session, request_id, {"requester_told_at": self._books.clock.now()})

    async def put_off_telling(self, view: RequestView) -> None:
        """Note that Slack did not take something: it is tried again, less and less often."""
        async with self._books.db.begin() as session:
            again_at = self._books.clock.now() + rules.tell_again_after(view.tell_tries)
            values = {"tell_again_at": again_at, "tell_tries": view.tell_tries + 1}
            await store.put(session, view.id, values)
