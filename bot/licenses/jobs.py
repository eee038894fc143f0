"""What happens to content tokens by itself: counts are read, old history is forgotten."""

import asyncio
from datetime import datetime, timedelta

from bot.kit.jobs import Jobs
from bot.kit.logs import get_logger
from bot.licenses.service import LicenseService

log = get_logger(__name__)

#: Counts that are due are read by then; each content token has its own moment within its six hours.
LOOK_EVERY = timedelta(minutes=1)
FORGET_EVERY = timedelta(hours=24)
#: The service allows so many requests a second for each location, so several are read at once.
AT_ONCE = 4


def register(jobs: Jobs, service: LicenseService) -> None:
    """Register the jobs of this room."""

    async def count(_slot: datetime) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(content_token_id: str) -> None:
            async with turns:
                try:
                    await service.count(content_token_id)
                except Exception:
                    # One that fails in an unforeseen way keeps nobody from reading the others.
                    log.exception("licences not counted", content_token=content_token_id)

        await asyncio.gather(*(one(each) for each in await service.due()))

    async def forget(_slot: datetime) -> None:
        await service.forget_old()

    jobs.every("licenses.counts", LOOK_EVERY, count, does="reads licence counts that are due")
    jobs.every("licenses.history", FORGET_EVERY, forget, does="deletes old licence counts and upload links")
