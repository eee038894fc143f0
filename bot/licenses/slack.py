"""The commands, buttons and modals of content tokens: parse, call the service, render."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.licenses import blocks
from bot.licenses.errors import DeliveredAgain, StillUsed, TypedNameDiffers
from bot.licenses.facts import ContentTokenView, Level, StoredContentToken
from bot.licenses.service import LicenseService
from bot.slack.blocks import Message, View
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Option, Spec
from bot.slack.router import Router
from bot.slack.telling import Posts, asked, tell_channel
from bot.tokens.rules import split_tags

#: How many content tokens are read at once for one person.
_AT_ONCE = 4
_BY_FILE = "Slack file"


def register(router: Router, service: LicenseService, *, poster: Posts, channel: str | None) -> None:
    """Register every screen of this room. `channel` is told what concerns the team."""
    screens = _Screens(service, poster, channel)
    _register_commands(router, screens)
    viewer, operator, admin = Role.VIEWER, Role.OPERATOR, Role.ADMIN
    for action_id in (blocks.NEXT, blocks.PREVIOUS):
        router.action(action_id, role=viewer, handler=screens.turn_list)
    for action_id in (blocks.NEXT_APPS, blocks.PREVIOUS_APPS):
        router.action(action_id, role=viewer, handler=screens.turn_apps)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export_list)
    router.action(blocks.EXPORT_APPS, role=viewer, handler=screens.export_apps)
    router.action(blocks.SHOW, role=viewer, handler=screens.press_show)
    router.action(blocks.SYNC, role=operator, handler=screens.press_sync)
    router.action(blocks.RENEW, role=admin, handler=screens.press_renew)
    router.action(blocks.FILE, role=admin, handler=screens.open_file)
    router.submission(blocks.FILE, role=admin, check=screens.check_file, then=screens.take_file)
    router.submission(blocks.REMOVE, role=admin, check=screens.check_remove, then=screens.remove)


_ONE_NAME = Spec(positionals=("NAME",))


def _register_commands(router: Router, screens: "_Screens") -> None:
    viewer, operator, admin = Role.VIEWER, Role.OPERATOR, Role.ADMIN
    commands: list[tuple[str, Role, str, str, Spec, Callable[[Call], Awaitable[None]]]] = [
        ("list", viewer, "", "Content tokens, and how many licences are low.", Spec(), screens.show_list),
        (
            "show",
            viewer,
            "NAME",
            "A content token and its licences, the scarcest first.",
            _ONE_NAME,
            screens.show,
        ),
        (
            "add",
            admin,
            "NAME [--tags a,b]",
            "Add the content token of a location by upload page or file.",
            Spec(positionals=("NAME",), options=(Option("--tags", "a,b"),)),
            screens.add,
        ),
        (
            "renew",
            admin,
            "NAME",
            "Renew a content token by upload page or file.",
            _ONE_NAME,
            screens.renew,
        ),
        (
            "sync",
            operator,
            "[NAME]",
            "Read the licence counts now, of one or all.",
            _ONE_NAME,
            screens.sync,
        ),
        (
            "threshold",
            admin,
            "NAME [APP] N",
            "Set below how many free licences an app, or every app, is low; none clears.",
            Spec(positionals=("NAME", "APP", "N")),
            screens.threshold,
        ),
        ("remove", admin, "NAME", "Remove a content token and its secret.", _ONE_NAME, screens.open_remove),
    ]
    for verb, role, usage, summary, spec, handler in commands:
        name = f"vpp {verb}"
        router.command(
            name,
            role=role,
            usage=f"{name} {usage}".strip(),
            summary=summary,
            spec=spec,
            handler=handler,
        )


class _Screens:
    """The handlers, with what they need."""

    def __init__(self, service: LicenseService, poster: Posts, channel: str | None) -> None:
        self._service = service
        self._texts = service.texts
        self._poster = poster
        self._channel = channel

    # Looking

    async def show_list(self, call: Call) -> None:
        await self._list(call)

    async def turn_list(self, call: Call) -> None:
        await self._list(call, first=blocks.place_of(f":{call.value}")[1], replace=True)

    async def _list(self, call: Call, *, first: int = 0, replace: bool = False) -> None:
        rows = await self._service.rows(actor=call.actor)
        message = blocks.content_token_list(
            rows,
            role=call.actor.rights.highest,
            slash=self._service.slash,
            now=self._service.clock.now(),
            first=first,
        )
        await call.answer(message, replace=replace)

    async def export_list(self, call: Call) -> None:
        rows = await self._service.rows(actor=call.actor)
        comment = blocks.exported(len(rows), "content tokens")
        await call.send_file(name="content-tokens.csv", content=blocks.list_csv(rows), comment=comment)
        await call.answer(blocks.EXPORT_SENT)

    async def show(self, call: Call) -> None:
        view = await self._service.get(call.args.required("NAME"), actor=call.actor)
        await self._show(call, view.id)

    async def press_show(self, call: Call) -> None:
        await self._show(call, call.value)

    async def turn_apps(self, call: Call) -> None:
        content_token_id, first = blocks.place_of(call.value)
        await self._show(call, content_token_id, first=first, replace=True)

    async def _show(
        self, call: Call, content_token_id: str, *, first: int = 0, replace: bool = False
    ) -> None:
        card = await self._service.card(content_token_id, actor=call.actor)
        message = blocks.content_token_card(
            card,
            texts=self._texts,
            role=call.actor.rights.role_for(card.content_token.tags),
            now=self._service.clock.now(),
            first=first,
        )
        await call.answer(message, replace=replace)

    async def export_apps(self, call: Call) -> None:
        card = await self._service.card(call.value, actor=call.actor)
        comment = blocks.exported(len(card.licences), f"apps and books of {card.content_token.name}")
        name = f"licences-{card.content_token.name}.csv"
        await call.send_file(name=name, content=blocks.apps_csv(card), comment=comment)
        await call.answer(blocks.EXPORT_SENT)

    # Reading the counts

    async def sync(self, call: Call) -> None:
        name = call.args.one("NAME")
        if name is not None:
            await self._sync(call, [await self._service.get(name, actor=call.actor)])
            return
        seen = await self._service.list_content_tokens(actor=call.actor)
        mine = [each for each in seen if call.actor.rights.role_for(each.tags) >= Role.OPERATOR]
        if not mine:
            await self._list(call)
            return
        await self._sync(call, mine)

    async def press_sync(self, call: Call) -> None:
        await self._sync(call, [await self._service.get_by_id(call.value, actor=call.actor)])

    async def _sync(self, call: Call, content_tokens: Sequence[ContentTokenView]) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(view: ContentTokenView) -> blocks.Synced | None:
            async with turns:
                return await self._sync_one(call, view)

        reading = asyncio.gather(*(one(each) for each in content_tokens))
        done = await asked(call, _awaited(reading), service=self._texts.service)
        results = [each for each in done if each is not None]
        if results:
            await call.answer(blocks.synced(results, now=self._service.clock.now()))

    async def _sync_one(self, call: Call, view: ContentTokenView) -> blocks.Synced | None:
        """Read one; None for a delivery that was taken before."""
        try:
            # Each content token is a change of its own, so each has a claim of its own.
            read = await self._service.sync(view.id, actor=call.actor, delivery=f"{call.delivery}:{view.id}")
            card = await self._service.card(view.id, actor=call.actor)
        except DeliveredAgain:
            return None
        except EnrollbotError as refusal:
            return blocks.Synced(view, refusal=refusal)
        return blocks.Synced(read, [app for app in card.licences if app.level is not Level.FINE])

    # Handing one over

    async def add(self, call: Call) -> None:
        tags = split_tags(call.args.option("--tags") or "")
        name, found = await self._service.installing.check_new(
            call.args.required("NAME"), actor=call.actor, tags=tags
        )
        ways = blocks.Ways(None, None)
        if self._service.links.base is not None:
            link = await self._service.links.make_for_new(name, actor=call.actor, tags=sorted(found))
            ways = blocks.Ways(self._service.links.address(link), link.expires_at)
        now = self._service.clock.now()
        await call.answer(blocks.how_to_add(name, sorted(found), ways, texts=self._texts, now=now))

    async def renew(self, call: Call) -> None:
        await self._renew(call, await self._service.get(call.args.required("NAME"), actor=call.actor))

    async def press_renew(self, call: Call) -> None:
        await self._renew(call, await self._service.get_by_id(call.value, actor=call.actor))

    async def _renew(self, call: Call, view: ContentTokenView) -> None:
        call.actor.require(Role.ADMIN, tags=view.tags)
        ways = blocks.Ways(None, None)
        if self._service.links.base is not None:
            link = await self._service.links.make_for_renewal(view.id, actor=call.actor)
            ways = blocks.Ways(self._service.links.address(link), link.expires_at)
        now = self._service.clock.now()
        await call.answer(blocks.how_to_renew(view, ways, texts=self._texts, now=now))

    async def open_file(self, call: Call) -> None:
        asked_for = _read(call.value)
        view = await self._renews(call, asked_for)
        name = view.name if view else asked_for.get("name", "")
        if view is None:
            name, _ = await self._service.installing.check_new(name, actor=call.actor, tags=_tags(asked_for))
        await call.show_modal(blocks.file_modal(name, metadata=call.value, renews=view))

    async def check_file(self, call: Call) -> View | None:
        if len(call.state.files("file")) != 1:
            raise FieldErrors({"file": "Choose one file: the content token as downloaded."})
        return blocks.checking_view(texts=self._texts)

    async def take_file(self, call: Call) -> None:
        asked_for, file = _read(call.metadata), call.state.files("file")[0]
        name = str(file.get("name") or "")
        try:
            found = await call.fetch_file(file)
            name = found.name
            content: bytes | EnrollbotError = found.content
        except EnrollbotError as error:
            content = error
        # Before anything else is done with it, and whatever it is: it may be a live secret.
        left = None if await call.delete_file(file) else blocks.left_in_slack(name or "you uploaded")
        view, stored = None, None
        try:
            view = await self._renews(call, asked_for)
            stored = await self._store(call, content, asked_for, view)
        except DeliveredAgain:
            return
        except EnrollbotError as error:
            await call.update_modal(blocks.refused_view(error, is_renewal=view is not None, left=left))
        if stored is not None:
            stored = await self._service.close_alerts(stored)
            shown = blocks.stored_view(stored, by=call.user_id, texts=self._texts, left=left)
            await call.update_modal(shown)
            await self._tell(call, blocks.told(stored, by=call.user_id, texts=self._texts))
        if left is not None:
            # The form is soon closed, and this has to be done after that.
            await call.direct(left)

    async def _store(
        self,
        call: Call,
        content: bytes | EnrollbotError,
        asked_for: dict[str, Any],
        view: ContentTokenView | None,
    ) -> StoredContentToken:
        if isinstance(content, EnrollbotError):
            raise content
        installing = self._service.installing
        if view is not None:
            return await installing.renew(
                view.id, content, actor=call.actor, way=_BY_FILE, delivery=call.delivery
            )
        return await installing.add(
            str(asked_for.get("name", "")),
            content,
            actor=call.actor,
            way=_BY_FILE,
            tags=_tags(asked_for),
            delivery=call.delivery,
        )

    async def _renews(self, call: Call, asked_for: dict[str, Any]) -> ContentTokenView | None:
        """Return the content token that a file is to renew, None for a new one."""
        if "name" in asked_for:
            return None
        view = await self._service.get_by_id(str(asked_for.get("id", "")), actor=call.actor)
        call.actor.require(Role.ADMIN, tags=view.tags)
        return view

    # Changing

    async def threshold(self, call: Call) -> None:
        name, app, typed = call.args.required("NAME"), call.args.one("APP"), call.args.one("N")
        if typed is None:
            app, typed = None, call.args.required("APP")
        view = await self._service.get(name, actor=call.actor)
        with _once():
            done = await self._service.set_threshold(
                view.id, actor=call.actor, app=app, typed=typed, delivery=call.delivery
            )
            await call.answer(blocks.threshold_set(done))

    async def open_remove(self, call: Call) -> None:
        view = await self._service.get(call.args.required("NAME"), actor=call.actor)
        call.actor.require(Role.ADMIN, tags=view.tags)
        try:
            await self._service.refuse_used(view.id, actor=call.actor)
        except StillUsed as error:
            await call.answer(blocks.still_used(error))
            return
        await call.open_modal(blocks.remove_modal(view))

    async def check_remove(self, call: Call) -> View | None:
        view = await self._service.get_by_id(call.metadata, actor=call.actor)
        if call.state.text("name") != view.name:
            raise FieldErrors({"name": str(TypedNameDiffers(view.name))})
        return None

    async def remove(self, call: Call) -> None:
        with _once():
            view = await self._service.remove(
                call.metadata,
                actor=call.actor,
                typed_name=call.state.text("name"),
                delivery=call.delivery,
            )
            message = blocks.removed(view, by=call.user_id)
            await call.answer(message)
            await self._tell(call, message)

    async def _tell(self, call: Call, message: Message) -> None:
        await tell_channel(self._poster, self._channel, message, call=call)


async def _awaited(reading: "asyncio.Future[list[blocks.Synced | None]]") -> list[blocks.Synced | None]:
    return await reading


def _read(value: str) -> dict[str, Any]:
    """Read what a button or modal carries; anything else is a content token's id, perhaps of none."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"id": value}


def _tags(asked_for: dict[str, Any]) -> list[str]:
    tags = asked_for.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield
