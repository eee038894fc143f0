"""What happens to undecided requests by themselves: their cards are kept true, and they are reminded of."""

from datetime import datetime, timedelta

from bot.assignments import blocks
from bot.assignments.facts import RequestView
from bot.assignments.glass import GLASS_EVERY
from bot.assignments.service import AssignmentService
from bot.assignments.watching import WATCH_EVERY
from bot.kit.errors import EnrollbotError
from bot.kit.jobs import Jobs
from bot.kit.logs import get_logger
from bot.slack.post import Poster, SlackRefused

log = get_logger(__name__)

REMIND_EVERY = timedelta(minutes=5)


def register(jobs: Jobs, service: AssignmentService, *, poster: Poster) -> None:
    """Register the jobs that look at undecided requests."""
    watcher = RequestWatcher(service, poster=poster)
    jobs.every("assignments.watch", WATCH_EVERY, watcher.watch)
    jobs.every("assignments.glass", GLASS_EVERY, watcher.look_at_glass)
    jobs.every("assignments.reminders", REMIND_EVERY, watcher.remind, does="reminds of undecided requests")


class RequestWatcher:
    """Keeps what is said of undecided requests true."""

    def __init__(self, service: AssignmentService, *, poster: Poster) -> None:
        self._service = service
        self._poster = poster

    async def watch(self, _slot: datetime) -> None:
        """Mark what has changed since; the cards are then shown anew at once."""
        if await self._service.watch():
            self._service.look_now()

    async def look_at_glass(self, _slot: datetime) -> None:
        """Offer an admin to approve alone while nobody else could, and take the offer back."""
        if await self._service.glass.look():
            self._service.look_now()

    async def remind(self, _slot: datetime) -> None:
        """Remind of what is undecided at half of its time; what Slack does not take is due again."""
        for request_id in await self._service.reminding.due():
            view = await self._service.reminding.take(request_id)
            if view is None:
                continue
            try:
                await self._post(view)
            except EnrollbotError as error:
                log.warning("a request is not reminded of", request=view.label, reason=str(error))
                await self._service.reminding.put_back(request_id)

    async def _post(self, view: RequestView) -> None:
        channel, metadata = view.channel or "", blocks.reminder_metadata(view)
        if await self._stands(view, channel):
            return
        message = blocks.reminder(
            view,
            approvals=self._service.approvals,
            groups=await self._service.reminding.groups(view),
            now=self._service.clock.now(),
        )
        await self._poster.post(channel, message, thread_ts=view.message_ts, metadata=metadata)

    async def _stands(self, view: RequestView, channel: str) -> bool:
        """Look whether an earlier try was posted although its answer was lost."""
        try:
            found = await self._poster.find(
                channel, kind="request_reminder", id=view.id, thread_ts=view.message_ts
            )
        except SlackRefused as refusal:
            # Not every channel may be read: then it is posted, at worst once more.
            if refusal.word != "missing_scope":
                raise
            return False
        return found is not None
