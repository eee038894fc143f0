"""What happens to requests by itself: cards shown, approved ones carried out, old ones ended."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.assignments import blocks, glass_blocks, wording
from bot.assignments.books import SYSTEM
from bot.assignments.facts import RequestView
from bot.assignments.models import Outcome, RequestState
from bot.assignments.service import AssignmentService
from bot.devices import sync_blocks
from bot.devices.service import DeviceService
from bot.kit.background import Background
from bot.kit.errors import EnrollbotError
from bot.kit.jobs import Jobs
from bot.kit.leases import Leases, LeaseTaken
from bot.kit.logs import get_logger, new_reference, with_reference
from bot.slack.blocks import Message
from bot.slack.post import Posted, Poster, SlackRefused
from bot.slack.progress import Progress

log = get_logger(__name__)

#: How soon an approved request begins, and how soon what Slack did not take is tried again.
LOOK_EVERY = timedelta(seconds=5)
EXPIRE_EVERY = timedelta(minutes=1)
_CARDS = "requests.cards"
#: Slack's words for a message that is no longer there.
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
#: How often a file of results is handed over again; it can be had by a button at any time.
_FILE_TRIES = 6
_PROBLEMS = (Outcome.FAILED, Outcome.NOT_ACCESSIBLE, Outcome.THROTTLED, Outcome.LEFT_OUT)


def register(
    jobs: Jobs,
    service: AssignmentService,
    devices: DeviceService,
    *,
    poster: Poster,
    background: Background,
    leases: Leases,
) -> None:
    """Register the jobs of this room, and let what was decided begin at once."""
    runner = RequestRunner(service, devices, poster=poster, background=background, leases=leases)
    service.tell_work(runner.look_now)
    jobs.every("assignments.requests", LOOK_EVERY, runner.look, does="carries out requests, shows cards")
    jobs.every("assignments.expiry", EXPIRE_EVERY, runner.expire, does="ends undecided requests")


class RequestRunner:
    """Carries requests of this process out in the background, and keeps their cards true."""

    def __init__(
        self,
        service: AssignmentService,
        devices: DeviceService,
        *,
        poster: Poster,
        background: Background,
        leases: Leases,
    ) -> None:
        self._service = service
        self._devices = devices
        self._poster = poster
        self._background = background
        self._leases = leases
        self._running: set[str] = set()
        self._showing = asyncio.Lock()

    async def look(self, _slot: datetime) -> None:
        """Give defaults after syncs, run what is due and show what has changed."""
        await self._service.judge()
        for request_id in await self._service.due():
            self._launch(request_id)
        await self._show_cards()

    def look_now(self) -> None:
        if not self._background.stopping.is_set():
            self._background.start(self.look(self._service.clock.now()), name="look for requests")

    async def expire(self, _slot: datetime) -> None:
        """End what nobody decided in time."""
        await self._service.expire()

    def _launch(self, request_id: str) -> None:
        if request_id in self._running or self._background.stopping.is_set():
            return
        self._running.add(request_id)
        self._background.start(self._run(request_id), name=f"request {request_id}")

    async def _run(self, request_id: str) -> None:
        try:
            with with_reference(new_reference()):
                # The card is there before the thread that hangs on it.
                await self._show_cards()
                view = await self._service.get_by_id(request_id, actor=SYSTEM)
                progress = self._progress(view)
                ended = await self._service.run(
                    request_id,
                    show=lambda now: progress.show(blocks.progress(now)) if progress else None,
                    is_stopping=self._background.stopping.is_set,
                )
                if progress is not None:
                    await progress.stop()
                if ended is not None:
                    log.info("request", request=ended.label, state=ended.state.value, devices=ended.devices)
        finally:
            self._running.discard(request_id)
        await self._show_cards()

    def _progress(self, view: RequestView) -> Progress | None:
        if view.channel is None or view.message_ts is None:
            return None
        return Progress(self._poster, view.channel, self._service.clock, thread_ts=view.message_ts)

    async def _show_cards(self) -> None:
        """Bring every card up to date and tell results; what Slack does not take stays to be shown."""
        async with self._showing:
            if not await self._service.unshown() and not await self._service.unshown_syncs():
                return
            try:
                async with self._leases.hold(_CARDS):
                    # Read again: another replica may have shown them while we waited.
                    for view in await self._service.unshown():
                        await self._show(view)
                    for sync_id in await self._service.unshown_syncs():
                        await self._show_with_sync(sync_id)
            except LeaseTaken:
                return

    async def _show_with_sync(self, sync_id: str) -> None:
        """Say in a sync's message what became of the defaults; once that message stands."""
        sync = await self._devices.sync_view(sync_id)
        if sync.told_at is None:
            return
        given = await self._service.given_after(sync_id)
        try:
            if sync.channel is not None and sync.message_ts is not None:
                lines = [wording.given(view) for view in given]
                message = sync_blocks.sync_result(sync, self._service.texts, given=lines)
                await self._poster.update(Posted(sync.channel, sync.message_ts), message)
        except SlackRefused as refusal:
            if refusal.word not in _GONE:
                await self._put_off(given, refusal)
                return
        except EnrollbotError as error:
            await self._put_off(given, error)
            return
        for view in given:
            await self._service.note_told_with_sync(view)

    async def _put_off(self, given: Sequence[RequestView], error: EnrollbotError) -> None:
        log.warning("a sync's message does not tell of defaults", reason=str(error))
        for view in given:
            await self._service.put_off_telling(view)

    async def _show(self, view: RequestView) -> None:
        """Do what is still to be told of a request; each part is noted as soon as it is done."""
        try:
            if view.shown < view.version:
                view = await self._show_card(view)
            if view.glass_broken_at is not None and not view.is_glass_told:
                await self._tell_glass(view)
            if not view.state.is_open and not view.is_requester_told:
                await self._tell_requester(view)
            is_carried_out = view.state in (RequestState.DONE, RequestState.STOPPED)
            if is_carried_out and not view.is_result_told:
                await self._tell_result(view)
        except EnrollbotError as error:
            log.warning("what a request has to tell is not told", request=view.label, reason=str(error))
            await self._service.put_off_telling(view)
            if view.message_ts is None and view.tell_tries == 0:
                await self._tell_of_trouble(view, error)

    async def _show_card(self, view: RequestView) -> RequestView:
        if view.state is RequestState.PENDING:
            view = await self._service.with_approvers(view)
        posted = await self._put_card(view)
        await self._service.note_shown(view, channel=posted.channel, ts=posted.ts)
        if view.permalink is None or view.message_ts != posted.ts:
            await self._link(view, posted)
        return replace(view, channel=posted.channel, message_ts=posted.ts)

    async def _link(self, view: RequestView, posted: Posted) -> None:
        """Keep where the card stands; what Slack does not tell now is asked when the card changes."""
        try:
            permalink = await self._poster.permalink(posted)
        except EnrollbotError as error:
            log.warning("slack does not tell the link of a card", request=view.label, reason=str(error))
        else:
            await self._service.note_link(view.id, permalink)

    async def _put_card(self, view: RequestView) -> Posted:
        message = self._card(view)
        if view.channel is not None and view.message_ts is not None:
            posted = Posted(view.channel, view.message_ts)
            try:
                await self._poster.update(posted, message)
            except SlackRefused as refusal:
                # Somebody deleted the card: another one takes its place.
                if refusal.word not in _GONE:
                    raise
            else:
                return posted
        channel = view.channel or ""
        with contextlib.suppress(SlackRefused):
            # A card that was posted and not noted stands there already; not every channel may be read.
            if view.message_ts is None and (
                found := await self._poster.find(channel, kind="request", id=view.id)
            ):
                await self._poster.update(found, message)
                return found
        return await self._poster.post(channel, message, metadata=blocks.metadata_of(view))

    async def _tell_glass(self, view: RequestView) -> None:
        """Tell the channel, once, that somebody approved alone."""
        channel, found = view.channel or "", None
        with contextlib.suppress(SlackRefused):
            found = await self._poster.find(
                channel, kind="request_glass", id=view.id, thread_ts=view.message_ts
            )
        if found is None:
            mentions = await self._service.glass.mentioned(view)
            message = glass_blocks.broken(view, mentions=mentions, slash=self._service.slash)
            metadata = {"event_type": "request_glass", "event_payload": {"id": view.id}}
            await self._poster.post(
                channel, message, thread_ts=view.message_ts, broadcast=True, metadata=metadata
            )
        await self._service.glass.note_told(view.id)

    async def _tell_requester(self, view: RequestView) -> None:
        """Tell who asked, unless they decided; who cannot be written to is passed over."""
        if view.decided_by != view.requested_by:
            try:
                await self._poster.direct(view.requested_by, blocks.told_requester(view))
            except SlackRefused as refusal:
                log.warning("a requester cannot be told", request=view.label, reason=str(refusal))
        await self._service.note_requester_told(view.id)

    async def _tell_of_trouble(self, view: RequestView, error: EnrollbotError) -> None:
        with contextlib.suppress(EnrollbotError):
            await self._poster.direct(view.requested_by, blocks.not_posted(view, error))

    async def _tell_result(self, view: RequestView) -> None:
        """Tell the result in the card's thread, then hand over the file of what was not done.

        A file that Slack does not take is handed over later, as long as it can be seen that the result was
        told already.
        """
        channel, found, is_readable = view.channel or "", None, True
        try:
            found = await self._poster.find(
                channel, kind="request_result", id=view.id, thread_ts=view.message_ts
            )
        except SlackRefused:
            is_readable = False
        if found is None:
            refused = await self._service.refusals(view.id)
            message = blocks.result(view, texts=self._service.texts, refused=refused)
            metadata = {"event_type": "request_result", "event_payload": {"id": view.id}}
            await self._poster.post(channel, message, thread_ts=view.message_ts, metadata=metadata)
        try:
            await self._hand_over(view)
        except EnrollbotError as error:
            if is_readable and view.tell_tries < _FILE_TRIES:
                raise
            # It can be had by the card's Details at any time.
            log.warning("a file of results was not taken", request=view.label, reason=str(error))
        await self._service.note_result_told(view.id)

    async def _hand_over(self, view: RequestView) -> None:
        rows = await self._service.results(view.id, actor=SYSTEM, outcome=_PROBLEMS)
        if rows:
            await self._poster.upload(
                view.channel or "",
                name=f"{view.label}-not-done.csv",
                content=await asyncio.to_thread(blocks.results_csv, rows, texts=self._service.texts),
                thread_ts=view.message_ts,
            )

    def _card(self, view: RequestView) -> Message:
        return blocks.card(
            view,
            texts=self._service.texts,
            now=self._service.clock.now(),
            approvals=self._service.approvals,
        )
