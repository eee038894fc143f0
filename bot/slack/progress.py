"""One message that shows how far a piece of work is."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.blocks import Message
from bot.slack.post import Posted, Poster, SlackRefused

log = get_logger(__name__)

FIRST_AFTER_S = 3.0
EVERY_S = 3.0
LAST_TRIES = 5
#: Refusals that no second try mends: somebody has to do something first.
_LASTING = frozenset(
    {
        *("not_in_channel", "channel_not_found", "is_archived", "account_inactive", "invalid_auth"),
        *("not_authed", "token_revoked", "token_expired", "missing_scope", "restricted_action"),
    }
)
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class Progress:
    """Shows the newest of the messages given: posted after 3 s (in a thread if given), updated every 3 s.

    Slack's slowness and errors never hold up or fail the work: `show` only notes the message.
    """

    def __init__(
        self,
        poster: Poster,
        channel: str,
        clock: Clock,
        *,
        posted: Posted | None = None,
        metadata: Mapping[str, Any] | None = None,
        thread_ts: str | None = None,
    ) -> None:
        self._poster = poster
        self.channel = channel
        self._clock = clock
        self._metadata = metadata
        self._thread_ts = thread_ts
        self._next_at = clock.monotonic() + FIRST_AFTER_S
        self._newest: Message | None = None
        self._sender: asyncio.Task[None] | None = None
        self._is_waiting = False
        self.posted = posted
        #: Whether Slack refused the last message in a way that lasts until somebody mends it.
        self.is_refused = False

    def show(self, message: Message) -> None:
        """Note how far the work is."""
        self._newest = message
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_newest(), name="progress")

    async def finish(self, message: Message) -> Posted | None:
        """Show the result, tried five times; None when Slack took it at no time.

        What somebody has to mend first is tried once: see `is_refused`.
        """
        await self.stop()
        for tried in range(1, LAST_TRIES + 1):
            if await self._send(message):
                return self.posted
            if self.is_refused:
                break
            if tried < LAST_TRIES:
                await self._clock.sleep(2.0**tried)
        log.error("a result could not be shown", channel=self.channel)
        return None

    async def stop(self) -> None:
        """Show nothing more of what was noted."""
        self._newest = None
        if self._sender is not None:
            # Cut off in the middle of a post, the message would stand there unknown to us.
            if self._is_waiting:
                self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    async def _send_newest(self) -> None:
        while self._newest is not None:
            wait_s = self._next_at - self._clock.monotonic()
            if wait_s > 0:
                self._is_waiting = True
                await self._clock.sleep(wait_s)
                self._is_waiting = False
            message, self._newest = self._newest, None
            self._next_at = self._clock.monotonic() + EVERY_S
            if message is not None:
                await self._send(message)

    async def _send(self, message: Message) -> bool:
        self.is_refused = False
        try:
            await self._post_or_update(message)
        except EnrollbotError as error:
            log.warning("progress not shown", channel=self.channel, error=str(error))
            self.is_refused = isinstance(error, SlackRefused) and error.word in _LASTING
            return False
        return True

    async def _post_or_update(self, message: Message) -> None:
        if self.posted is not None:
            try:
                return await self._poster.update(self.posted, message)
            except SlackRefused as refusal:
                if refusal.word not in _GONE:
                    raise
        self.posted = await self._poster.post(
            self.channel, message, thread_ts=self._thread_ts, metadata=self._metadata
        )
        return None
