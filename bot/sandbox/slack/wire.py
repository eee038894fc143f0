"""What tests can switch on, and the log of what goes between Slack and the bot."""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bot.kit.clock import Clock

Json = dict[str, Any]
MASK = "…"
LOGGED = 2000
LONGEST = 200_000


@dataclass
class Faults:
    """What goes wrong. Everything is off at first; `reset()` switches all off again.

    `refuse_posts` is the word with which posts are refused, `refuse` the word for a method by its name;
    `refuse_charts` makes messages with charts `invalid_blocks`, as in workspaces that do not have them yet;
    `rate_limit` the Retry-After in seconds with which every call is turned away; `channel_limit` switches
    Slack's own limit on (about one message a second and channel); `slow` holds every answer back for so many
    seconds; `down` answers every call with status 503; `deliver_twice` and `drop_answers` count down: so many
    payloads are sent to the bot twice, so many answers to the bot break off after the call was done.
    """

    refuse_posts: str | None = None
    refuse: dict[str, str] = field(default_factory=dict)
    refuse_charts: bool = False
    rate_limit: int | None = None
    channel_limit: bool = False
    slow: float = 0.0
    down: bool = False
    deliver_twice: int = 0
    drop_answers: int = 0

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]  # the dataclass's own first values

    def take_drop(self) -> bool:
        """Say whether this answer breaks off, and count it."""
        self.drop_answers, dropped = max(0, self.drop_answers - 1), self.drop_answers > 0
        return dropped

    def take_twice(self) -> bool:
        """Say whether this payload is sent twice, and count it."""
        self.deliver_twice, twice = max(0, self.deliver_twice - 1), self.deliver_twice > 0
        return twice


class RequestLog:
    """The last requests between Slack and the bot, without secrets; `listeners` hear of each one."""

    def __init__(self, clock: Clock, *, secrets: tuple[str, ...]) -> None:
        self._clock = clock
        self.secrets = secrets
        self._entries: deque[Json] = deque(maxlen=LOGGED)
        self._news = asyncio.Event()
        self._number = 0
        self.listeners: list[Callable[[Json], None]] = []

    def add(
        self,
        *,
        sender: str,
        method: str,
        url: str,
        sent: Any,
        status: int | None,
        answer: Any,
        began: float,
    ) -> None:
        """Note one exchange that began at `began` on the clock's monotonic scale.

        `status` is None when nothing came back.
        """
        self._number += 1
        entry = {
            "n": self._number,
            "at": self._clock.now().timestamp(),
            "from": sender,
            "to": "bot" if sender == "slack" else "slack",
            "method": method,
            "url": self._masked(url),
            "sent": self._masked(sent),
            "status": status,
            "answer": self._masked(answer),
            "took_ms": round((self._clock.monotonic() - began) * 1000, 1),
        }
        self._entries.append(entry)
        for listener in self.listeners:
            listener(entry)
        self._news.set()
        self._news = asyncio.Event()

    def entries(self, after: int = 0) -> list[Json]:
        return [entry for entry in self._entries if entry["n"] > after]

    async def more(self, after: int) -> list[Json]:
        """Wait until there are entries behind number `after`, and return them."""
        while self._number <= after:
            await self._news.wait()
        return self.entries(after)

    def _masked(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False, default=str)
        if len(text) > LONGEST:
            # What is short beside it stays: one sees what it was that was so long.
            is_open = isinstance(value, dict)
            return {k: self._masked(v) for k, v in value.items()} if is_open else f"{len(text)} characters"
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        text = re.sub(r"(/hooks/)[A-Za-z0-9]+", rf"\1{MASK}", text)
        text = re.sub(r"(/upload/)[A-Za-z0-9]+", rf"\1{MASK}", text)
        text = re.sub(r"xox[a-z]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+|v0=[0-9a-f]{16,}", MASK, text)
        return json.loads(text)


def readable(body: bytes, content_type: str) -> Any:
    """Return a body as the log shows it: JSON opened, forms as a dictionary, files as their size."""
    kind = content_type.partition(";")[0].strip()
    try:
        if kind == "application/json":
            return json.loads(body) if body else {}
        if kind == "application/x-www-form-urlencoded":
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            return {**form, **({"payload": json.loads(form["payload"])} if "payload" in form else {})}
        if kind in ("text/plain", ""):
            return body.decode()
    except ValueError:
        return f"{len(body)} unreadable bytes"
    return f"{len(body)} bytes of {kind}"
