"""What happens to devices by itself: syncs that are due, wanted or left over, and what is told of them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.devices import rules, sync_blocks
from bot.devices.facts import SyncView
from bot.devices.models import SyncState
from bot.devices.service import DeviceService
from bot.kit.background import Background
from bot.kit.errors import EnrollbotError
from bot.kit.figures import SYNC_DEVICES, SYNC_PAGES, SYNC_SECONDS, SYNCS
from bot.kit.jobs import Jobs
from bot.kit.logs import get_logger, new_reference, with_reference
from bot.settings import Settings
from bot.slack.blocks import Message
from bot.slack.post import Posted, Poster
from bot.slack.progress import Progress

log = get_logger(__name__)

#: How soon a sync that another room wished for begins, and one that a killed process left goes on.
LOOK_EVERY = timedelta(seconds=5)
SCHEDULE_EVERY = timedelta(minutes=1)
#: How soon a profile that devices carry and nobody here defined is read from the service.
ADOPT_EVERY = timedelta(minutes=1)
PRUNE_EVERY = timedelta(days=1)
#: Each sync keeps a page and its rows in memory, and on SQLite they write in turns anyway.
AT_ONCE = 4


def register(
    jobs: Jobs, service: DeviceService, *, poster: Poster, background: Background, settings: Settings
) -> None:
    """Register the jobs of this room, and let syncs asked for by hand begin at once."""
    runner = SyncRunner(
        service,
        poster=poster,
        background=background,
        channel=settings.channel,
        admins=tuple(settings.admins),
    )
    service.tell_work(runner.launch, runner.look_now)
    jobs.every("devices.syncs", LOOK_EVERY, runner.look, does="begins and continues syncs, tells results")
    jobs.every("devices.schedule", SCHEDULE_EVERY, runner.schedule, does="begins automatic syncs when due")
    jobs.every("devices.profiles", ADOPT_EVERY, runner.adopt, does="reads profiles found on devices")
    jobs.every("devices.history", PRUNE_EVERY, runner.prune, does="deletes history that is no longer kept")


class SyncRunner:
    """Runs syncs of this process in the background, and tells how they went."""

    def __init__(
        self,
        service: DeviceService,
        *,
        poster: Poster,
        background: Background,
        channel: str | None,
        admins: Sequence[str] = (),
    ) -> None:
        self._service = service
        self._admins = admins
        self._poster = poster
        self._background = background
        self._channel = channel
        self._running: set[str] = set()
        self._teller: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def look(self, _slot: datetime) -> None:
        """Take wishes, run what should be running, tell what is still to be told."""
        await self._service.take_wishes()
        for sync_id in await self._service.due_syncs():
            self.launch(sync_id)
        if self._teller is None or self._teller.done():
            # Slack may take its time, or be down: no sync waits for that.
            self._teller = self._background.start(self._tell_untold(), name="tell syncs")

    def look_now(self) -> None:
        """Look in the background: somebody waits for what a wish brings."""
        if not self._background.stopping.is_set():
            self._background.start(self.look(self._service.clock.now()), name="look for syncs")

    async def schedule(self, slot: datetime) -> None:
        """Put automatic syncs that are due on the work list, and begin them at once."""
        # One that somebody waits for is as good: it is not begun a second time when it has failed.
        await self._service.take_wishes()
        await self._service.schedule_due()
        await self.look(slot)

    async def adopt(self, _slot: datetime) -> None:
        """Take over profiles that were defined elsewhere."""
        await self._service.adopt_profiles()

    async def prune(self, _slot: datetime) -> None:
        """Delete history older than the settings say."""
        pruned = await self._service.prune()
        log.info("history pruned", changes=pruned.changes, syncs=pruned.syncs)

    def launch(self, sync_id: str) -> None:
        """Run a sync in the background unless it runs here already."""
        if sync_id in self._running or self._background.stopping.is_set():
            return
        self._running.add(sync_id)
        self._background.start(self._run(sync_id), name=f"sync {sync_id}")

    async def _run(self, sync_id: str) -> None:
        try:
            with with_reference(new_reference()):
                await self._run_told(sync_id)
        finally:
            self._running.discard(sync_id)

    async def _run_told(self, sync_id: str) -> None:
        # A turn ends with the work: Slack may take its time over the result.
        async with self._turns:
            view = await self._service.sync_view(sync_id)
            progress = self._progress(view)
            shown = _Shown(progress, view, self._service, self._background)
            ended = await self._service.run_sync(
                sync_id, show=shown, is_stopping=self._background.stopping.is_set
            )
        if ended is None:
            if progress is not None:
                await progress.stop()
            return
        log.info("sync", sync=ended.id, state=ended.state.value, pages=ended.pages, devices=ended.received)
        if ended.state is SyncState.STOPPED:
            await self._tell_stop(ended, progress)
            return
        _count(ended)
        await self._tell(ended.id, progress)

    def _progress(self, view: SyncView) -> Progress | None:
        channel = view.channel or view.token_channel or self._channel
        if channel is None:
            return None
        posted = Posted(view.channel, view.message_ts) if view.channel and view.message_ts else None
        return Progress(
            self._poster,
            channel,
            self._service.clock,
            posted=posted,
            metadata=sync_blocks.metadata_of(view),
        )

    async def _tell_stop(self, view: SyncView, progress: Progress | None) -> None:
        if self._background.stopping.is_set():
            return
        message = sync_blocks.sync_stopped(view)
        posted = await progress.finish(message) if progress is not None else None
        if posted is not None:
            await self._service.note_message(view.id, channel=posted.channel, ts=posted.ts)
        else:
            await self._tell_person(view, message)

    async def _tell_untold(self) -> None:
        for view in await self._service.untold():
            if self._background.stopping.is_set():
                return
            if view.id not in self._running:
                await self._tell(view.id, self._progress(view))

    async def _tell(self, sync_id: str, progress: Progress | None) -> None:
        """Tell a result once; what Slack did not take stays to be told."""
        async with self._service.telling(sync_id) as view:
            if view is None:
                return
            if await self._is_told(view, progress):
                await self._service.note_told(sync_id)
            else:
                await self._service.put_off_telling(sync_id)

    async def _is_told(self, view: SyncView, progress: Progress | None) -> bool:
        facts = await self._service.sync_facts(view.token_id)
        is_shown = progress is not None and progress.posted is not None
        if not is_shown and not rules.is_worth_telling(view, failures=facts.failures):
            return True
        message = sync_blocks.sync_result(view, self._service.texts)
        if progress is None:
            return await self._tell_person(view, message)
        posted = await progress.finish(message)
        if posted is not None:
            # What follows from the sync is added to its message.
            await self._service.note_message(view.id, channel=posted.channel, ts=posted.ts)
            return True
        if progress.is_refused and view.told_directly_at is None:
            await self._tell_instead(view, sync_blocks.not_taken(message, progress.channel))
        return False

    async def _tell_instead(self, view: SyncView, message: Message) -> None:
        """Tell who asked, else the admins, what the channel does not take until somebody mends it."""
        told = False
        for person in [view.user_id] if view.user_id else self._admins:
            told |= await self._is_sent(person, view, message)
        if told:
            await self._service.note_told_directly(view.id)

    async def _tell_person(self, view: SyncView, message: Message) -> bool:
        """Without a channel, tell who asked; nobody asked for an automatic sync."""
        return view.user_id is None or await self._is_sent(view.user_id, view, message)

    async def _is_sent(self, person: str, view: SyncView, message: Message) -> bool:
        try:
            await self._poster.direct(person, message)
        except EnrollbotError as error:
            log.warning("sync result not told", sync=view.id, error=str(error))
            return False
        return True


def _count(ended: SyncView) -> None:
    kind = ended.kind.value
    SYNCS.labels(kind, ended.state.value).inc()
    SYNC_PAGES.labels(kind).inc(ended.pages)
    SYNC_DEVICES.labels(kind).inc(ended.received)
    SYNC_SECONDS.labels(kind).observe(ended.took.total_seconds())


class _Shown:
    """Shows a sync's progress where somebody waits for it, and notes once where it stands."""

    def __init__(
        self, progress: Progress | None, view: SyncView, service: DeviceService, background: Background
    ) -> None:
        waits = view.user_id is not None or view.forced is not None
        self._progress = progress if waits else None
        self._service = service
        self._background = background
        self._is_noted = view.message_ts is not None

    def __call__(self, view: SyncView) -> None:
        if self._progress is None:
            return
        self._progress.show(sync_blocks.sync_progress(view))
        posted = self._progress.posted
        if posted is not None and not self._is_noted:
            self._is_noted = True
            note = self._service.note_message(view.id, channel=posted.channel, ts=posted.ts)
            self._background.start(note, name="note progress")
