"""Telling a channel what somebody has just done, and a person that an answer takes a moment."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from bot.kit.logs import get_logger
from bot.slack.api import SlackRefused, SlackUnreachable
from bot.slack.blocks import Message, escape
from bot.slack.call import Call

log = get_logger(__name__)

Answered = TypeVar("Answered")

#: After how long a person is told that the service is being asked.
SAY_AFTER_S = 3.0


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


async def asked(call: Call, question: Coroutine[Any, Any, Answered], *, service: str) -> Answered:
    """Wait for what the service says; tell the person when that takes longer than a moment."""
    asking = asyncio.create_task(question)
    try:
        done, _ = await asyncio.wait([asking], timeout=SAY_AFTER_S)
        if not done:
            await call.answer(f"Asking {escape(service)}…")
        return await asking
    finally:
        asking.cancel()
