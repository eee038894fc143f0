"""Publishes the Home tab anew for those who opened it lately, when something that it shows has changed."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from bot.home import glance_blocks
from bot.home.facts import Glance
from bot.home.readers import Reader, Readers
from bot.home.service import HomeService
from bot.kit.actor import Actor, Rights, Role
from bot.kit.jobs import Jobs
from bot.kit.leases import LeaseTaken
from bot.kit.logs import get_logger
from bot.slack.api import SlackRefused, SlackUnreachable
from bot.slack.blocks import View

log = get_logger(__name__)

LOOK_EVERY = timedelta(seconds=30)
#: https://docs.slack.dev/apis/web-api/rate-limits: views.publish takes about a hundred a minute.
MOST_AT_ONCE = 25
_LEASE = "home.republish"

RightsOf = Callable[[str], Awaitable[Rights]]


class Publishes(Protocol):
    """What is needed of Slack."""

    async def publish_home(self, user_id: str, view: View) -> None: ...


def register(
    jobs: Jobs, service: HomeService, readers: Readers, *, slack: Publishes, rights_of: RightsOf, slash: str
) -> None:
    """Register the job of this room. `rights_of` says what a person may see now."""
    publisher = Republisher(service, readers, slack=slack, rights_of=rights_of, slash=slash)
    jobs.every("home.republish", LOOK_EVERY, publisher.look, does="brings open Home tabs up to date")


class Republisher:
    """Looks what each reader would see now, and publishes what differs from what they see."""

    def __init__(
        self,
        service: HomeService,
        readers: Readers,
        *,
        slack: Publishes,
        rights_of: RightsOf,
        slash: str,
    ) -> None:
        self._service = service
        self._readers = readers
        self._slack = slack
        self._rights_of = rights_of
        self._slash = slash

    async def look(self, _slot: datetime) -> None:
        """Publish at most 25 tabs, those that are out of date for longest first."""
        try:
            async with self._readers.leases.hold(_LEASE):
                await self._publish()
        except LeaseTaken:
            # Slack is slow, and the last run goes on, here or on another replica.
            return

    async def _publish(self) -> None:
        glances: dict[Rights, Glance] = {}
        left = MOST_AT_ONCE
        for reader in await self._readers.lately():
            view = await self._view(reader, glances)
            fingerprint = glance_blocks.fingerprint(view)
            if fingerprint == reader.fingerprint:
                continue
            if not left or not await self._is_shown(reader, view, fingerprint):
                return
            left -= 1

    async def _view(self, reader: Reader, glances: dict[Rights, Glance]) -> View:
        """Make what the reader would see; what only the rights decide is looked at once for all."""
        actor = Actor(reader.user_id, rights=await self._rights_of(reader.user_id))
        glance = Glance(())
        if actor.rights.highest >= Role.VIEWER:
            if actor.rights not in glances:
                glances[actor.rights] = await self._service.glance(actor=actor)
            glance = await self._service.for_reader(glances[actor.rights], actor=actor)
        return glance_blocks.home_tab(
            glance,
            texts=self._service.texts,
            rights=actor.rights,
            slash=self._slash,
            now=self._readers.clock.now(),
        )

    async def _is_shown(self, reader: Reader, view: View, fingerprint: str) -> bool:
        """Publish one; False when Slack takes nothing at the moment, for anybody."""
        try:
            await self._slack.publish_home(reader.user_id, view)
        except SlackUnreachable as error:
            log.info("home tabs wait for slack", reason=str(error))
            return False
        except SlackRefused as refusal:
            if refusal.word == "ratelimited":
                return False
            # This one is not to be had; opening the tab brings them back.
            log.info("a home tab is not taken", user=reader.user_id, word=refusal.word)
            await self._readers.forget(reader.user_id)
            return True
        await self._readers.note_shown(reader.user_id, fingerprint=fingerprint)
        return True
