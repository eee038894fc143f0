"""What is told outside Slack by itself."""

from bot.kit.background import Background
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.jobs import Jobs
from bot.kit.leases import Leases
from bot.outside.events import Events
from bot.outside.heartbeat import EVERY, NAME, Heartbeat
from bot.outside.rules import signing_key
from bot.outside.webhook import LOOK_EVERY, TIDY_EVERY, Webhook
from bot.settings import Settings


def register(
    jobs: Jobs,
    events: Events,
    *,
    settings: Settings,
    db: Database,
    clock: Clock,
    leases: Leases,
    background: Background,
) -> None:
    """Register the jobs of this room, as far as the settings name an address."""
    if settings.heartbeat_url is not None:
        heartbeat = Heartbeat(settings.heartbeat_url, jobs=jobs, db=db, clock=clock)
        jobs.every(NAME, EVERY, heartbeat.beat, does="tells the address of the heartbeat that jobs get done")
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        webhook = Webhook(
            settings.webhook_url,
            key=signing_key(settings.webhook_secret.get_secret_value()),
            events=events,
            leases=leases,
            clock=clock,
            is_stopping=background.stopping.is_set,
        )
        jobs.every("outside.webhook", LOOK_EVERY, webhook.look, does="tells events to the webhook")
        jobs.every("outside.events", TIDY_EVERY, events.forget_old, does="forgets events that were told")
