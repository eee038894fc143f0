"""Telling a channel what somebody has just done."""

from typing import Protocol

from bot.kit.logs import get_logger
from bot.slack.api import SlackRefused, SlackUnreachable
from bot.slack.blocks import Message, escape
from bot.slack.call import Call

log = get_logger(__name__)


class Posts(Protocol):
    """What telling a channel needs of the poster."""

    async def post(self, channel: str, message: Message) -> object: ...


async def tell_channel(poster: Posts, channel: str | None, message: Message, *, call: Call) -> None:
    """Post to a channel, if there is one. What is done stays done when Slack refuses; the person is told."""
    if channel is None:
        return
    try:
        await poster.post(channel, message)
    except (SlackRefused, SlackUnreachable) as error:
        log.warning("channel not told", channel=channel, reason=str(error))
        await call.answer(
            f"This is done, but <#{escape(channel)}> could not be told: {escape(error.message)}"
        )
