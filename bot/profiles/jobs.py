"""What happens to profiles by itself."""

from datetime import datetime, timedelta

from bot.kit.jobs import Jobs
from bot.profiles.service import ProfileService

SWEEP_EVERY = timedelta(hours=1)


def register(jobs: Jobs, service: ProfileService) -> None:
    """Register the jobs of this room."""

    async def sweep(_slot: datetime) -> None:
        await service.drafts.sweep()

    jobs.every("profiles.drafts", SWEEP_EVERY, sweep, does="deletes forms that were left open")
