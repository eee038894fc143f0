"""The heartbeat: a call a minute for as long as all that the bot does by itself gets done."""

from datetime import datetime, timedelta

from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.jobs import job_views
from bot.kit.logs import get_logger
from bot.outside.calls import Caller

log = get_logger(__name__)

EVERY = timedelta(minutes=1)
NAME = "heartbeat"


class Heartbeat:
    """Calls an address that raises an alarm when it is not called."""

    def __init__(self, url: str, *, db: Database, clock: Clock) -> None:
        self._caller = Caller(url)
        self._db = db
        self._clock = clock

    async def beat(self, _slot: datetime) -> None:
        """Call, unless a job's last run failed or is late: then it is the silence that tells."""
        now = self._clock.now()
        unwell = [job.name for job in await job_views(self._db) if job.name != NAME and not job.is_well(now)]
        if unwell:
            log.warning("heartbeat withheld", jobs=unwell)
            return
        async with self._caller.connected():
            answer = await self._caller.call("GET")
        if not answer.is_taken:
            log.warning("heartbeat not taken", host=self._caller.host, reason=str(answer))
