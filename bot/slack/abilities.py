"""What a workspace does not take, remembered so that one message in some weeks is sent twice and not each."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Field

from bot.kit.clock import Clock
from bot.kit.db import Database, Table
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.api import SlackApi, SlackRefused
from bot.slack.blocks import Message
from bot.slack.charts import fitting, has_charts, without_charts

log = get_logger(__name__)

#: How long a workspace that refused a chart is sent bars of text before a chart is tried once more.
ASK_AGAIN = timedelta(weeks=4)
#: How Slack says that it does not like the blocks of a message.
REFUSED_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})

Told = TypeVar("Told")


class ChartRefusal(Table, table=True):
    """A workspace that refused a chart, and when. One that has not is not here."""

    __tablename__ = "slack_chart_refusal"

    team_id: str = Field(primary_key=True, max_length=40)
    at: datetime


class Memory(Protocol):
    """Where refusals of charts are remembered."""

    async def refused_at(self, team_id: str) -> datetime | None: ...

    async def note(self, team_id: str, at: datetime) -> None: ...


class InMemory:
    """Remembers as long as the process lives."""

    def __init__(self) -> None:
        self._refused: dict[str, datetime] = {}

    async def refused_at(self, team_id: str) -> datetime | None:
        return self._refused.get(team_id)

    async def note(self, team_id: str, at: datetime) -> None:
        self._refused[team_id] = at


class InDatabase:
    """Remembers for every replica."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def refused_at(self, team_id: str) -> datetime | None:
        async with self._db.read() as session:
            row = await session.get(ChartRefusal, team_id)
            return row.at if row else None

    async def note(self, team_id: str, at: datetime) -> None:
        async with self._db.begin() as session:
            await session.merge(ChartRefusal(team_id=team_id, at=at))


class Charts:
    """Sends messages with charts where the workspace takes them, else with bars of text in their place.

    A message with a chart looks into the database, so it is not to be sent inside a transaction.
    """

    def __init__(self, api: SlackApi, clock: Clock, memory: Memory | None = None) -> None:
        self._api = api
        self._clock = clock
        self._memory = memory or InMemory()

    async def sent(self, message: Message, send: Callable[[Message], Awaitable[Told]]) -> Told:
        """Send a message by `send`, which raises SlackRefused where Slack does not take its blocks.

        Raises what `send` raises for the message without charts.
        """
        if not has_charts(message):
            return await send(message)
        if await self._are_refused():
            return await send(without_charts(message))
        try:
            return await send(fitting(message))
        except SlackRefused as refusal:
            if refusal.word not in REFUSED_BLOCKS:
                raise
            log.info("slack refused a message with charts", word=refusal.word)
        told = await send(without_charts(message))
        # Only now it is certain that the charts were what was refused.
        await self._note()
        return told

    async def _are_refused(self) -> bool:
        try:
            team_id = (await self._api.identity()).team_id
            at = await self._memory.refused_at(team_id)
        except (EnrollbotError, SQLAlchemyError, OSError) as error:
            log.warning("whether charts are taken is not known", error=type(error).__name__)
            return False
        return at is not None and self._clock.now() - at < ASK_AGAIN

    async def _note(self) -> None:
        """Remember the refusal. The message stands already: what fails here must not send it again."""
        try:
            await self._memory.note((await self._api.identity()).team_id, self._clock.now())
        except (EnrollbotError, SQLAlchemyError, OSError) as error:
            log.warning("a refused chart is not remembered", error=type(error).__name__)
