"""Telling the digests: each once, again where Slack took nothing, on one replica at a time."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from bot.alerts import blocks, digest_blocks, rules
from bot.alerts.digests import Digest, Digests
from bot.alerts.models import AlertDigest
from bot.kit.errors import EnrollbotError
from bot.kit.jobs import Jobs
from bot.kit.leases import Lease, LeaseLost, Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.slack.post import Poster, SlackRefused

log = get_logger(__name__)

LOOK_EVERY = timedelta(minutes=5)
_POSTS = "alerts.digest"

Admins = Callable[[], Awaitable[Sequence[str]]]


def register(jobs: Jobs, digests: Digests, *, poster: Poster, leases: Leases, admins: Admins) -> None:
    """Register the job of the digests. `admins` are told directly what a channel does not take."""
    runner = DigestRunner(digests, poster=poster, leases=leases, admins=admins)
    jobs.every("alerts.digest", LOOK_EVERY, runner.look, does="tells each working morning what is open")


class DigestRunner:
    """Tells today's digests. One that Slack does not take all day is not told: the next one says it."""

    def __init__(self, digests: Digests, *, poster: Poster, leases: Leases, admins: Admins) -> None:
        alerts = digests.alerts
        self._digests = digests
        self._writer = blocks.Writer(texts=alerts.texts, slash=alerts.settings.command)
        self._poster = poster
        self._leases = leases
        self._admins = admins

    async def look(self, _slot: datetime) -> None:
        """Tell what is due."""
        if not await self._digests.due():
            return
        try:
            async with self._leases.hold(_POSTS) as lease:
                # Another replica may have told some before this one held the lease.
                for row in await self._digests.due():
                    await self._tell(row, lease)
        except LeaseTaken:
            return
        except LeaseLost:
            log.warning("another replica tells the digests now")

    async def _tell(self, row: AlertDigest, lease: Lease) -> None:
        digest = await self._digests.compose(row)
        try:
            if row.attempted and await self._has_arrived(row):
                # What it told of may end before this moment; what came since then is told tomorrow.
                await self._digests.note_told(row, row.made_at, lease=lease)
                return
            if not digest.is_silent:
                await self._digests.begin(row, lease=lease)
                await self._poster.post(
                    row.channel,
                    digest_blocks.message(digest, writer=self._writer),
                    metadata=digest_blocks.metadata(_post_id(row)),
                )
            await self._digests.note_told(row, digest.until, lease=lease, is_silent=digest.is_silent)
        except LeaseLost:
            raise
        except EnrollbotError as error:
            log.warning("a digest is not told", channel=row.channel, reason=str(error))
            told = not row.admins_told and await self._tell_admins(digest, error)
            again_after = rules.tell_again_after(row.tries)
            await self._digests.put_off(row, again_after=again_after, told_admins=told, lease=lease)

    async def _has_arrived(self, row: AlertDigest) -> bool:
        """Look whether a post that was begun stands already. Where that may not be read, it does not."""
        try:
            found = await self._poster.find(row.channel, kind=digest_blocks.EVENT, id=_post_id(row))
        except SlackRefused as refusal:
            if refusal.word != "missing_scope":
                raise
            return False
        return found is not None

    async def _tell_admins(self, digest: Digest, error: EnrollbotError) -> bool:
        """Tell the admins directly; returns whether at least one was reached."""
        message = digest_blocks.directly(digest, error, writer=self._writer)
        reached = False
        for admin in await self._admins():
            try:
                await self._poster.direct(admin, message)
                reached = True
            except EnrollbotError as failure:
                log.warning("an admin cannot be told of a digest", reason=str(failure))
        return reached


def _post_id(row: AlertDigest) -> str:
    return f"{row.channel}/{row.day}"
