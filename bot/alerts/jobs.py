"""What happens to alerts by itself: looked for, told, and told again where Slack took nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from bot.alerts import blocks
from bot.alerts.errors import NoChannel
from bot.alerts.facts import AlertView, Attempt, Part
from bot.alerts.service import AlertService
from bot.kit.background import Background
from bot.kit.errors import EnrollbotError
from bot.kit.jobs import Jobs
from bot.kit.leases import Lease, LeaseLost, Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.slack.blocks import Message
from bot.slack.post import Posted, Poster, SlackRefused

log = get_logger(__name__)

LOOK_EVERY = timedelta(seconds=10)
#: Whoever has left is noticed within the day; Slack is asked about few people.
PEOPLE_EVERY = timedelta(hours=6)
#: A profile is lost rarely, and each default costs a question to the service.
DEFAULTS_EVERY = timedelta(hours=6)
_POSTS = "alerts.posts"
#: More parts than one alert can owe at once.
_PARTS_AT_MOST = 6
#: Slack's words for a message, or a thread, that is no longer there.
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
#: Slack's words for a place that takes nothing until somebody mends it.
_CLOSED = frozenset({"channel_not_found", "not_in_channel", "is_archived"})

AdminsOf = Callable[[AlertView], Awaitable[Sequence[str]]]


def register(
    jobs: Jobs,
    service: AlertService,
    *,
    poster: Poster,
    background: Background,
    leases: Leases,
    admins_of: AdminsOf,
) -> None:
    """Register the jobs of this room, and let what people promise be told at once."""
    runner = AlertRunner(service, poster=poster, background=background, leases=leases, admins_of=admins_of)
    service.tell_work(runner.tell_now)
    jobs.every("alerts.look", LOOK_EVERY, runner.look, does="looks for what is wrong and tells it")
    jobs.every(
        "alerts.people",
        PEOPLE_EVERY,
        runner.look_at_people,
        does="looks who has left whose token is used, and where too few may approve",
    )
    jobs.every(
        "alerts.defaults",
        DEFAULTS_EVERY,
        runner.look_at_defaults,
        does="asks whether the default profiles are still known",
    )


class AlertRunner:
    """Keeps the messages of all alerts true. What Slack does not take stays due."""

    def __init__(
        self,
        service: AlertService,
        *,
        poster: Poster,
        background: Background,
        leases: Leases,
        admins_of: AdminsOf,
    ) -> None:
        self._service = service
        self._writer = blocks.Writer(texts=service.texts, slash=service.settings.command)
        self._poster = poster
        self._background = background
        self._leases = leases
        self._admins_of = admins_of
        self._telling = asyncio.Lock()

    async def look(self, _slot: datetime) -> None:
        """Look for what is wrong, then tell what is due."""
        await self._service.look()
        await self.tell()

    async def look_at_people(self, _slot: datetime) -> None:
        await self._service.apply(await self._service.gathering.look_at_people())
        await self._service.apply(await self._service.gathering.look_at_approvers())
        await self.tell()

    async def look_at_defaults(self, _slot: datetime) -> None:
        await self._service.apply(await self._service.gathering.look_at_defaults())
        await self.tell()

    def tell_now(self) -> None:
        """Tell in the background what has just changed."""
        if not self._background.stopping.is_set():
            self._background.start(self.tell(), name="tell alerts")

    async def tell(self) -> None:
        """Tell all that is due, on one replica at a time."""
        async with self._telling:
            views = await self._service.untold()
            if not views:
                return
            try:
                async with self._leases.hold(_POSTS) as lease:
                    for view in views:
                        await self._tell_or_log(view, lease)
            except LeaseTaken:
                return
            except LeaseLost:
                log.warning("another replica tells alerts now")

    async def _tell_or_log(self, view: AlertView, lease: Lease) -> None:
        """Tell what is due of one alert; a fault of ours in one of them keeps none of the others silent."""
        try:
            await self._tell(view.id, lease)
        except LeaseLost:
            raise
        except Exception:
            log.exception("an alert cannot be told", alert=view.label)

    async def _tell(self, alert_id: str, lease: Lease) -> None:
        """Tell what is due of one alert, part by part, each read anew: it may have changed meanwhile."""
        for _ in range(_PARTS_AT_MOST):
            view, part = await self._service.next_part(alert_id)
            if part is None or self._background.stopping.is_set():
                return
            try:
                await self._tell_part(view, part, lease)
            except EnrollbotError as error:
                if isinstance(error, LeaseLost):
                    raise
                if not await self._begins_anew(view, error, lease):
                    await self._put_off(view, part, error)
                    return

    async def _tell_part(self, view: AlertView, part: Part, lease: Lease) -> None:
        if view.attempt is not None and await self._has_arrived(view, Attempt.read(view.attempt), lease):
            return
        if part is Part.LOOK:
            return
        if part is Part.UPDATE:
            await self._poster.update(_message(view), self._main(view))
            await self._service.note_shown(view, lease=lease)
            return
        if view.message_ts is None and view.place is None:
            raise NoChannel
        await self._service.begin_attempt(view, part, lease=lease)
        posted = await self._post(view, part)
        attempt = Attempt(part, view.level, view.rung)
        await self._service.note_posted(
            view, attempt, channel=posted.channel, ts=posted.ts, lease=lease, is_new=True
        )

    async def _post(self, view: AlertView, part: Part) -> Posted:
        metadata = blocks.metadata(view, post_id=_post_id(view))
        if view.message_ts is None:
            return await self._poster.post(view.place or "", self._main(view), metadata=metadata)
        return await self._poster.post(
            view.channel or "",
            self._writer.reply(view, part, now=self._service.clock.now()),
            thread_ts=view.message_ts,
            broadcast=part is Part.RAISE,
            metadata=metadata,
        )

    async def _has_arrived(self, view: AlertView, attempt: Attempt, lease: Lease) -> bool:
        """Look whether a post that was begun stands already. Where that may not be read, it does not."""
        channel = view.channel or view.place
        found = None
        if channel is not None:
            try:
                found = await self._poster.find(
                    channel, kind=blocks.EVENT, id=_post_id(view), thread_ts=view.message_ts
                )
            except SlackRefused as refusal:
                if refusal.word != "missing_scope":
                    raise
        if found is None:
            await self._service.forget_attempt(view, lease=lease)
            return False
        # What it shows may be older than what is stored: it is brought up to date next.
        await self._service.note_posted(
            view, attempt, channel=found.channel, ts=found.ts, lease=lease, is_new=False
        )
        return True

    async def _begins_anew(self, view: AlertView, error: EnrollbotError, lease: Lease) -> bool:
        """Forget a message that is gone, or whose channel is closed while the alert has another by now."""
        if view.message_ts is None or not isinstance(error, SlackRefused):
            return False
        has_moved = error.word in _CLOSED and view.place not in (None, view.channel)
        if error.word not in _GONE and not has_moved:
            return False
        await self._service.forget_message(view, lease=lease)
        return True

    async def _put_off(self, view: AlertView, part: Part, error: EnrollbotError) -> None:
        log.warning("an alert is not told", alert=view.label, part=part.value, reason=str(error))
        is_news = part in (Part.POST, Part.RAISE) and view.level > view.admins_told_level
        told = is_news and await self._tell_admins(view, error)
        await self._service.put_off(view, told_admins=told)

    async def _tell_admins(self, view: AlertView, error: EnrollbotError) -> bool:
        """Tell the admins directly; returns whether at least one was reached."""
        message = self._writer.directly(view, error, now=self._service.clock.now())
        reached = False
        for admin in await self._admins_of(view):
            try:
                await self._poster.direct(admin, message)
                reached = True
            except EnrollbotError as failure:
                log.warning("an admin cannot be told of an alert", alert=view.label, reason=str(failure))
        return reached

    def _main(self, view: AlertView) -> Message:
        return self._writer.main(view, now=self._service.clock.now())


def _message(view: AlertView) -> Posted:
    return Posted(view.channel or "", view.message_ts or "")


def _post_id(view: AlertView) -> str:
    """Return by what the post that comes next is known again: each one in the thread has a number."""
    return view.id if view.message_ts is None else f"{view.id}/{view.posts + 1}"
