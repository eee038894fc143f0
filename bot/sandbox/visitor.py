"""A person at the sandbox's page, for tests: types, presses, fills in, and waits for what should appear."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx

from bot.kit.errors import EnrollbotError
from bot.sandbox.slack.blocks import elements_of
from bot.sandbox.slack.inputs import VALUE_KEYS
from bot.sandbox.slack.standin import SlackStandIn

Json = dict[str, Any]
Found = TypeVar("Found")
FoundOut = TypeVar("FoundOut", covariant=True)
WITHIN = 5.0
CALL_SECONDS = 30.0


class NotSeen(EnrollbotError):
    """What was waited for did not appear; the text says what is to be seen instead."""


class Refused(EnrollbotError):
    """The page's call was refused."""


@dataclass(frozen=True)
class Seen:
    """A message, a modal or the home tab as a person reads it. `raw` is the page's own object."""

    text: str
    raw: Json

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons, in order."""
        elements = elements_of(self.raw.get("blocks") or [])
        return [element["text"]["text"] for _, element in elements if element["type"] == "button"]

    @property
    def only_for_me(self) -> bool:
        return "ephemeral_for" in self.raw

    @property
    def in_thread(self) -> bool:
        return str(self.raw.get("thread_ts", self.raw.get("ts"))) != self.raw.get("ts")


class Door(Protocol):
    """How a visitor reaches the stand-in."""

    def client(self) -> httpx.AsyncClient: ...

    async def news(self, event_id: str, *, person: str) -> None:
        """Wait until something changed behind an event id."""
        ...


class InProcess:
    """Reaches a stand-in in this process, without a socket."""

    def __init__(self, standin: SlackStandIn) -> None:
        self._standin = standin

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self._standin.app)
        return httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            timeout=CALL_SECONDS,
            trust_env=False,
            verify=False,
        )

    async def news(self, event_id: str, *, person: str) -> None:
        feed = self._standin.workspace.feed
        await feed.news(feed.position(event_id) or 0)


class OverHttp:
    """Reaches a stand-in in another process, at the address of its page."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def client(self) -> httpx.AsyncClient:
        # Loopback is plain HTTP: without verify=False every client would read the trusted certificates first.
        return httpx.AsyncClient(base_url=self._base_url, timeout=CALL_SECONDS, trust_env=False, verify=False)

    async def news(self, event_id: str, *, person: str) -> None:
        query = {"person": person, "after": event_id}
        async with (
            self.client() as client,
            client.stream("GET", "/page/events", params=query, timeout=None) as live,
        ):
            async for line in live.aiter_lines():
                if line.startswith("event:"):
                    return


class Finder(Protocol[FoundOut]):
    """Looks for something in a snapshot; None when it is not there yet."""

    def __call__(self, view: Json, /) -> FoundOut | None: ...


class Visitor:
    """One person: `Visitor(standin, "ana")`, or `Visitor("http://127.0.0.1:3000", "ana")` over HTTP.

    Acts wait up to `within` seconds until what they need is there: `presses` for the button, `fills` for the
    modal. `channel` is where commands are typed.
    """

    def __init__(
        self,
        standin: SlackStandIn | str,
        person: str = "ana",
        *,
        channel: str = "C0ENROLL",
        within: float = WITHIN,
    ) -> None:
        self._door: Door = OverHttp(standin) if isinstance(standin, str) else InProcess(standin)
        self.person = person
        self.channel = channel
        self.within = within
        self._typed: dict[str, Json] = {}
        self._view: Json = {}
        self._read: dict[str, str] = {}

    # -- doing

    async def types(self, text: str, *, channel: str | None = None) -> str | None:
        """Type a command (`/enroll status`) or a message; returns Slack's word when the bot fails."""
        place = channel or self.channel
        if not text.startswith("/"):
            await self._call("posts", {"channel": place, "text": text})
            return None
        command, _, rest = text.partition(" ")
        answer = await self._call("commands", {"channel": place, "command": command, "text": rest})
        return answer.get("error")

    async def presses(self, label: str, *, within: float | None = None) -> str | None:
        """Press the newest visible button with this text: in the open modal, else in messages or home."""

        def find(view: Json) -> tuple[Json, Json, Json] | None:
            for surface in _surfaces(view):
                for block, element in reversed(list(elements_of(surface.get("blocks") or []))):
                    if element["type"] == "button" and element["text"]["text"] == label:
                        return surface, block, element
            return None

        surface, block, element = await self._wait(find, f"the button {label!r}", within=within)
        return await self._act(surface, block, element, {})

    async def chooses(self, label: str, option: str, *, within: float | None = None) -> str | None:
        """Choose an option by its text in the element with this placeholder, action id or option."""

        def find(view: Json) -> tuple[Json, Json, Json] | None:
            for surface in _surfaces(view):
                for block, element in elements_of(surface.get("blocks") or []):
                    if element["type"] != "button" and label in _names(block, element):
                        return surface, block, element
            return None

        surface, block, element = await self._wait(find, f"the choice {label!r}", within=within)
        value = await self._value(surface, block, element, option)
        return await self._act(surface, block, element, value)

    async def fills(
        self, values: Mapping[str, object], *, submit: bool = False, within: float | None = None
    ) -> dict[str, str]:
        """Fill inputs of the open modal by their labels; with `submit`, returns the errors by label.

        Texts are given as they are, options by their text (a list where many may be chosen), a checkbox
        with one option also by True or False, a date as `2026-01-31`.
        """
        view = await self._modal_with(list(values), within=within)
        for label, value in values.items():
            block = _input(view, label)
            element = block["element"]
            entry = await self._value(view, block, element, value)
            self._state(view).setdefault(block["block_id"], {})[element["action_id"]] = entry
        return await self.submits() if submit else {}

    async def uploads(self, label: str, name: str, content: bytes, *, submit: bool = False) -> dict[str, str]:
        """Put a file into a file input of the open modal."""
        view = await self._modal_with([label], within=None)
        query = {"person": self.person, "name": name}
        async with self._door.client() as client:
            answer = _checked(await client.post("/page/files", params=query, content=content))
        block = _input(view, label)
        entry = {"type": "file_input", "files": [answer["file"]["id"]]}
        self._state(view)[block["block_id"]] = {block["element"]["action_id"]: entry}
        return await self.submits() if submit else {}

    async def submits(self) -> dict[str, str]:
        """Submit the open modal; returns what stands at its inputs, by label, when it stays open for them."""
        view = await self._modal_with([], within=None)
        answer = await self._call("views/submit", {"view_id": view["id"], "state": self._state(view)})
        if "error" in answer:
            raise Refused(f"{answer['error']}: {answer.get('text', '')}")
        labels = {
            block["block_id"]: block["label"]["text"] for block in view["blocks"] if block["type"] == "input"
        }
        return {
            labels.get(block_id, block_id): str(text) for block_id, text in answer.get("errors", {}).items()
        }

    async def closes(self, *, whole_stack: bool = False) -> None:
        """Close the open modal (Cancel), or all of them."""
        view = await self._modal_with([], within=None)
        await self._call("views/close", {"view_id": view["id"], "all": whole_stack})

    async def opens_home(self) -> None:
        """Open the app's home tab; `sees_home` waits for what it shows."""
        await self._call("home", {"tab": "home"})

    async def downloads(self, name: str, *, within: float | None = None) -> bytes:
        """Download the newest file with this name from the messages."""

        def find(view: Json) -> Json | None:
            files = [file for message in _messages(view) for file in message.get("files", [])]
            return next((file for file in reversed(files) if file.get("name") == name), None)

        file = await self._wait(find, f"the file {name!r}", within=within)
        async with self._door.client() as client:
            response = await client.get(file["url"])
        if response.status_code != 200:
            raise Refused(response.text)
        return response.content

    # -- seeing

    def reads(self) -> None:
        """Take all messages looked at so far as read: `sees` goes on with what is new or changed."""
        self._read = {_key(message): _text(message) for message in _messages(self._view)}

    async def messages(self, channel: str | None = None) -> list[Seen]:
        """Return the messages that are visible now, oldest first: of one channel, or of all."""
        await self._look()
        shown = _messages(self._view)
        return [Seen(_text(message), message) for message in shown if channel in (None, message["channel"])]

    async def modal(self) -> Seen | None:
        """Return the modal on top, None when none is open."""
        await self._look()
        views = self._view["views"]
        return Seen(_text(views[-1]), views[-1]) if views else None

    async def sees(self, text: str, *, within: float | None = None, channel: str | None = None) -> Seen:
        """Wait for a message, modal or home tab with this text; messages first, newest first."""

        def find(view: Json) -> Seen | None:
            messages = [message for message in _messages(view) if channel in (None, message["channel"])]
            unread = [message for message in messages if self._read.get(_key(message)) != _text(message)]
            others = (
                [*view["views"][-1:], *([view["home"]] if view["home"] else [])] if channel is None else []
            )
            for surface in [*reversed(unread), *others]:
                if text in _text(surface):
                    return Seen(_text(surface), surface)
            return None

        return await self._wait(find, f"the text {text!r}", within=within)

    async def sees_modal(self, text: str, *, within: float | None = None) -> Seen:
        """Wait until the modal on top has this text."""

        def find(view: Json) -> Seen | None:
            top = view["views"][-1:]
            return Seen(_text(top[0]), top[0]) if top and text in _text(top[0]) else None

        return await self._wait(find, f"a modal with {text!r}", within=within)

    async def sees_no_modal(self, *, within: float | None = None) -> None:
        """Wait until no modal is open."""
        await self._wait(lambda view: None if view["views"] else True, "no modal", within=within)

    async def sees_home(self, text: str, *, within: float | None = None) -> Seen:
        """Wait until the home tab has this text."""

        def find(view: Json) -> Seen | None:
            home = view["home"]
            return Seen(_text(home), home) if home and text in _text(home) else None

        return await self._wait(find, f"a home tab with {text!r}", within=within)

    # -- inside

    async def _look(self) -> None:
        async with self._door.client() as client:
            self._view = _checked(await client.get("/page/snapshot", params={"person": self.person}))

    async def _wait(self, find: Finder[Found], what: str, *, within: float | None) -> Found:
        try:
            async with asyncio.timeout(self.within if within is None else within):
                while True:
                    await self._look()
                    found = find(self._view)
                    if found is not None:
                        return found
                    await self._door.news(self._view["event_id"], person=self._view["me"]["id"])
        except TimeoutError:
            pass
        raise NotSeen(f"{self.person} does not see {what}. To be seen:\n{_summary(self._view)}")

    async def _modal_with(self, labels: list[str], *, within: float | None) -> Json:
        def find(view: Json) -> Json | None:
            top: list[Json] = view["views"][-1:]
            return top[0] if top and all(_input(top[0], label) for label in labels) else None

        return await self._wait(find, f"a modal with the inputs {labels}", within=within)

    def _state(self, view: Json) -> Json:
        return self._typed.setdefault(view["id"], {})

    async def _act(self, surface: Json, block: Json, element: Json, value: Json) -> str | None:
        body = {
            "container": _container(surface),
            "block_id": block["block_id"],
            "action_id": element["action_id"],
            "value": value,
            "state": self._typed.get(str(surface.get("id")), {}),
        }
        return (await self._call("actions", body)).get("error")

    async def _value(self, surface: Json, block: Json, element: Json, value: object) -> Json:
        """Turn what a person means into the entry that Slack's state has for an element."""
        key, _ = VALUE_KEYS[element["type"]]
        if key not in ("selected_option", "selected_options"):
            return {"type": element["type"], key: value}
        options = element.get("options") or await self._options(surface, block, element, value)
        options = options or [option for group in element["option_groups"] for option in group["options"]]
        by_text = {option["text"]["text"]: option for option in options}
        if key == "selected_option":
            return {"type": element["type"], key: by_text[str(value)]}
        wanted = (list(by_text) if value else []) if isinstance(value, bool) else value
        texts = (
            [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, list | tuple) else []
        )
        return {"type": element["type"], key: [by_text[str(text)] for text in texts]}

    async def _options(self, surface: Json, block: Json, element: Json, value: object) -> list[Json]:
        if "external" not in element["type"]:
            return []
        where = {"block_id": block["block_id"], "action_id": element["action_id"]}
        answer = await self._call("options", {"container": _container(surface), **where, "query": str(value)})
        groups = answer.get("option_groups", [])
        return [*answer.get("options", []), *(option for group in groups for option in group["options"])]

    async def _call(self, path: str, body: Json) -> Json:
        async with self._door.client() as client:
            return _checked(await client.post(f"/page/{path}", params={"person": self.person}, json=body))


def _checked(response: httpx.Response) -> Json:
    try:
        body: Json = response.json()
    except ValueError:
        raise Refused(f"status {response.status_code}: {response.text[:200]}") from None
    if not body.get("ok"):
        raise Refused(f"{body.get('error')}: {body.get('text', '')}")
    return body


def _messages(view: Json) -> list[Json]:
    found = [message for messages in view.get("messages", {}).values() for message in messages]
    return sorted(found, key=lambda message: float(message["ts"]))


def _key(message: Json) -> str:
    return f"{message['channel']} {message['ts']}"


def _surfaces(view: Json) -> list[Json]:
    """Return where one may press, in the order in which a person would look: an open modal hides the rest."""
    if view["views"]:
        return [view["views"][-1]]
    return [*reversed(_messages(view)), *([view["home"]] if view["home"] else [])]


def _container(surface: Json) -> Json:
    if "root_view_id" in surface:
        return {"type": "view", "view_id": surface["id"]}
    return {"type": "message", "channel": surface["channel"], "ts": surface["ts"]}


def _input(view: Json, label: str) -> Json:
    """Return the input block with a label, empty when there is none."""
    blocks = [block for block in view["blocks"] if block["type"] == "input"]
    return next((block for block in blocks if block["label"]["text"] == label), {})


def _names(block: Json, element: Json) -> list[str]:
    label = block.get("label") or element.get("placeholder") or {}
    options = element.get("options") or []
    return [element["action_id"], label.get("text", ""), *(option["text"]["text"] for option in options)]


def _text(surface: Json) -> str:
    return "\n".join(_words(surface))


def _words(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _words(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if isinstance(value, str) and key in (
                "text",
                "title",
                "alt_text",
                "initial_value",
                "caption",
                "name",
            ):
                yield value
            elif key not in ("state", "metadata"):
                yield from _words(value)


def _summary(view: Json) -> str:
    lines = [f"- {message['from']}: {_text(message)[:400]}" for message in _messages(view)[-8:]]
    lines += [f"- modal: {_text(top)[:800]}" for top in view.get("views", [])[-1:]]
    return "\n".join(lines) or "(nothing)"
