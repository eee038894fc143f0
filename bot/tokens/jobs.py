"""What happens to tokens by itself."""

from datetime import datetime, timedelta

from bot.kit.jobs import Jobs
from bot.tokens.service import TokenService

#: Every token is asked about hourly; one refusal is looked into after five minutes.
LOOK_EVERY = timedelta(minutes=5)


def register(jobs: Jobs, service: TokenService) -> None:
    """Register the jobs of this room."""

    async def ask(_slot: datetime) -> None:
        await service.ask_due()

    jobs.every("tokens.account", LOOK_EVERY, ask, does="asks whether tokens are still accepted")
