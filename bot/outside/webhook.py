"""The webhook: every event is sent until it is taken, or a day old."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.kit.clock import Clock
from bot.kit.leases import Leases, LeaseTaken
from bot.kit.logs import get_logger
from bot.outside import rules
from bot.outside.calls import Caller
from bot.outside.events import Events
from bot.outside.facts import Event

log = get_logger(__name__)

LOOK_EVERY = timedelta(seconds=5)
TIDY_EVERY = timedelta(hours=1)
#: A round ends here; what is left is for the next one.
ROUND_S = 60.0
_LEASE = "outside.webhook"


class Webhook:
    """Sends events to one address, one at a time and over all replicas by one of them."""

    def __init__(
        self,
        url: str,
        *,
        key: bytes,
        events: Events,
        leases: Leases,
        clock: Clock,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._caller = Caller(url)
        self._key = key
        self._events = events
        self._leases = leases
        self._clock = clock
        self._is_stopping = is_stopping

    async def look(self, _slot: datetime) -> None:
        """Follow the audit and send what is due."""
        if await self._events.is_idle():
            return
        try:
            async with self._leases.hold(_LEASE):
                while await self._events.follow():
                    pass
                await self._send_due()
        except LeaseTaken:
            return

    async def _send_due(self) -> None:
        ends = self._clock.monotonic() + ROUND_S
        due = await self._events.due()
        if not due:
            return
        async with self._caller.connected():
            while due:
                for event in due:
                    if self._is_stopping() or self._clock.monotonic() >= ends:
                        return
                    if rules.is_over(event.at, self._clock.now()):
                        await self._events.give_up(event)
                        log.warning("event given up", kind=event.kind, id=event.id, host=self._caller.host)
                    elif not await self._send(event):
                        # Whoever does not take this one will hardly take the next; both are tried again.
                        return
                due = await self._events.due()

    async def _send(self, event: Event) -> bool:
        body = rules.encoded({"id": event.id, **event.body})
        headers = rules.headers_of(event.id, body, key=self._key, now=self._clock.now())
        answer = await self._caller.call("POST", body=body, headers=headers)
        if answer.is_taken:
            await self._events.note_taken(event)
            return True
        is_tried_again = await self._events.note_failed(event)
        told = {"kind": event.kind, "id": event.id, "host": self._caller.host, "reason": str(answer)}
        log.warning("event not taken" if is_tried_again else "event given up", **told)
        return False
