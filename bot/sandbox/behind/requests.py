"""The last requests between Slack, the bot and Apple, in one list, without secrets."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox.apple.faults import Logged
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.bodies import Mask, clip, cut
from bot.sandbox.slack.standin import SlackStandIn
from bot.sandbox.slack.streams import event

Json = dict[str, Any]
KEPT = 500
_PLACES = {"hooks": "response_url", "upload": "file upload", "files-pri": "file download"}


class Requests:
    """Listens to both stand-ins from now on, keeps the last 500 requests, and lets pages follow them."""

    def __init__(self, apple: AppleStandIn, slack: SlackStandIn) -> None:
        self._mask = Mask(lambda: [*slack.log.secrets, *apple.secrets()])
        self._run = secrets.token_hex(4)
        self._kept: deque[Json] = deque(maxlen=KEPT)
        self._number = 0
        self._clearings = 0
        self._changes = 0
        self._news = asyncio.Event()
        apple.log.listeners.append(lambda logged: self._add(_of_apple(logged)))
        slack.log.listeners.append(lambda entry: self._add(_of_slack(entry)))

    def entries(self) -> list[Json]:
        """Return what is kept, oldest first."""
        return list(self._kept)

    def clear(self) -> None:
        self._kept.clear()
        self._clearings += 1
        self._tell()

    def tell_change(self) -> None:
        """Let the pages ask for the state of the switches anew."""
        self._changes += 1
        self._tell()

    async def follow(self, known: str = "") -> AsyncIterator[str]:
        """Yield events for ever: every request behind the event id `known`, or all that are kept."""
        run, _, number = known.rpartition("-")
        after = int(number) if run == self._run and number.isdecimal() else 0
        if known and not after:
            yield event("cleared", {})
        clearings, changes = self._clearings, self._changes
        while True:
            news = self._news
            if clearings != self._clearings:
                clearings = self._clearings
                yield event("cleared", {})
            if changes != self._changes:
                changes = self._changes
                yield event("state", {})
            for entry in [entry for entry in self._kept if entry["n"] > after]:
                after = entry["n"]
                yield event("request", entry, event_id=f"{self._run}-{after}")
            if news is self._news:
                await news.wait()

    def _add(self, entry: Json) -> None:
        self._number += 1
        shown = {key: _clipped(self._mask(value)) for key, value in entry.items()}
        self._kept.append({"n": self._number, **shown})
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _clipped(value: Any) -> Any:
    """Cut a text, or the parts of a request: a body that is too long must not take its headers with it."""
    return {key: clip(part) for key, part in value.items()} if isinstance(value, dict) else clip(value)


def _of_apple(logged: Logged) -> Json:
    return {
        "at": logged.at.timestamp(),
        "from": "bot",
        "to": "apple",
        "method": logged.method,
        "path": logged.path,
        "note": ", ".join(filter(None, (logged.server, logged.answer))),
        "status": logged.status or None,
        "took_ms": logged.took_ms,
        "is_error": not 200 <= logged.status < 400,
        "sent": logged.sent,
        "answered": logged.answered,
    }


def _of_slack(entry: Json) -> Json:
    sent, answer = entry["sent"], entry["answer"]
    from_slack = entry["from"] == "slack"
    refusal = _refusal(answer)
    failed = entry["status"] is None or entry["status"] >= 400
    path, note = _from_slack(sent["body"]) if from_slack else (_place(entry["url"]), _about(sent))
    return {
        "at": entry["at"],
        "from": entry["from"],
        "to": entry["to"],
        "method": entry["method"],
        "path": path,
        "note": refusal or (str(answer) if failed else note),
        "status": entry["status"],
        "took_ms": entry["took_ms"],
        "is_error": failed or bool(refusal),
        "sent": {**sent, "body": cut(sent["body"])} if from_slack else {"body": cut(sent)},
        "answered": {"body": cut(answer)},
    }


def _refusal(answer: Any) -> str:
    is_no = isinstance(answer, dict) and answer.get("ok") is False
    return str(answer.get("error", "refused")) if is_no else ""


def _place(url: str) -> str:
    """Say where the bot called, in Slack's words: a method, a response URL, a file."""
    first, _, rest = urlsplit(url).path.lstrip("/").partition("/")
    return rest if first == "api" else _PLACES.get(first, first)


def _about(sent: Any) -> str:
    return str(sent.get("text") or sent.get("channel") or "")[:200] if isinstance(sent, dict) else str(sent)


def _from_slack(body: Any) -> tuple[str, str]:
    """Say what came to the bot: its kind, and what it is about."""
    if not isinstance(body, dict):
        return "request", ""
    if "command" in body:
        return "command", f"{body['command']} {body.get('text', '')}".strip()
    payload = body.get("payload")
    if isinstance(payload, dict):
        acts = payload.get("actions") or [{}]
        about = acts[0].get("action_id") or payload.get("view", {}).get("callback_id") or ""
        return str(payload.get("type", "interaction")), str(about)
    if isinstance(body.get("event"), dict):
        return "event", str(body["event"].get("type", ""))
    return str(body.get("type", "request")), ""
