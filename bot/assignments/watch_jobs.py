"""What happens to undecided requests by themselves: what has changed is marked on their cards."""

from datetime import datetime

from bot.assignments.service import AssignmentService
from bot.assignments.watching import WATCH_EVERY
from bot.kit.jobs import Jobs


def register(jobs: Jobs, service: AssignmentService) -> None:
    """Register the jobs that look at undecided requests."""
    watcher = RequestWatcher(service)
    jobs.every("assignments.watch", WATCH_EVERY, watcher.watch)


class RequestWatcher:
    """Keeps what is said of undecided requests true."""

    def __init__(self, service: AssignmentService) -> None:
        self._service = service

    async def watch(self, _slot: datetime) -> None:
        """Mark what has changed since; the cards are then shown anew at once."""
        if await self._service.watch():
            self._service.look_now()
