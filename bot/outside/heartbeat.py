"""The heartbeat: a call a minute for as long as all that the bot does by itself gets done."""

from datetime import datetime, timedelta

from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.jobs import Jobs, job_views
from bot.kit.logs import get_logger
from bot.outside.calls import Caller

log = get_logger(__name__)

EVERY = timedelta(minutes=1)
NAME = "heartbeat"


class Heartbeat:
    """Calls an address that raises an alarm when it is not called."""

    def __init__(self, url: str, *, jobs: Jobs, db: Database, clock: Clock) -> None:
        self._caller = Caller(url)
        self._jobs = jobs
        self._db = db
        self._clock = clock

    async def beat(self, _slot: datetime) -> None:
        """Call, unless a job's last run failed or is late: then it is the silence that tells."""
        now = self._clock.now()
        # Not all that the database knows: a job of an older version ends with it.
        ours = set(self._jobs.names) - {NAME}
        unwell = [job.name for job in await job_views(self._db) if job.name in ours and not job.is_well(now)]
        if unwell:
            log.warning("heartbeat withheld", jobs=unwell)
            return
        async with self._caller.connected():
            answer = await self._caller.call("GET")
        if not answer.is_taken:
            log.warning("heartbeat not taken", host=self._caller.host, reason=str(answer))
