"""What is told outside Slack by itself."""

from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.outside.heartbeat import EVERY, NAME, Heartbeat
from bot.settings import Settings


def register(jobs: Jobs, *, settings: Settings, db: Database, clock: Clock) -> None:
    """Register the jobs of this room, as far as the settings name an address."""
    if settings.heartbeat_url is not None:
        heartbeat = Heartbeat(settings.heartbeat_url, db=db, clock=clock)
        jobs.every(NAME, EVERY, heartbeat.beat, does="tells the address of the heartbeat that jobs get done")
