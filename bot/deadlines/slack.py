"""`watch list`, `watch add`, `watch remove` and the upload of a certificate: parse, call, render."""

import contextlib
from collections.abc import Iterator

from bot.deadlines import blocks
from bot.deadlines.errors import DeliveredAgain
from bot.deadlines.facts import DeadlineView
from bot.deadlines.rules import check_name, split_tags
from bot.deadlines.service import DeadlineService, Wishes
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import Message, View
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Option, Spec
from bot.slack.router import Router
from bot.slack.telling import Posts, tell_channel

_OPTIONS = (Option("--tags", "a,b"), Option("--channel", "#c"), Option("--owner", "@u|@group"))


def register(router: Router, service: DeadlineService, *, poster: Posts, channel: str | None) -> None:
    """Register every screen of this room. `channel` is told where a deadline has no channel of its own."""
    screens = _Screens(service, poster, channel, router.slash)
    viewer, admin = Role.VIEWER, Role.ADMIN
    router.command(
        "watch list",
        role=viewer,
        usage="watch list",
        summary="Other dates to be told of in time, above all that of the push certificate.",
        handler=screens.show,
    )
    router.command(
        "watch add",
        role=admin,
        usage="watch add NAME DATE [--tags a,b] [--channel #c] [--owner @u|@group]",
        summary="Watch a date such as 2027-03-01; a name that is there gets the new date.",
        spec=Spec(positionals=("NAME", "DATE"), options=_OPTIONS),
        handler=screens.add,
    )
    router.command(
        "watch remove",
        role=admin,
        usage="watch remove NAME",
        summary="Watch a date no longer.",
        spec=Spec(positionals=("NAME",)),
        handler=screens.remove,
    )
    router.action(blocks.NEXT, role=viewer, handler=screens.turn)
    router.action(blocks.PREVIOUS, role=viewer, handler=screens.turn)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export)
    router.action(blocks.UPLOAD, role=admin, handler=screens.open_renewed)
    router.action(blocks.UPLOAD_NEW, role=admin, handler=screens.open_new)
    router.submission(blocks.UPLOAD, role=admin, check=screens.check_upload, then=screens.upload)


class _Screens:
    def __init__(self, service: DeadlineService, poster: Posts, channel: str | None, slash: str) -> None:
        self._service = service
        self._poster = poster
        self._channel = channel
        self._slash = slash
        self._texts = service.texts

    async def show(self, call: Call) -> None:
        await call.answer(await self._page(call, 0))

    async def turn(self, call: Call) -> None:
        first = int(call.value) if call.value.isascii() and call.value.isdigit() else 0
        await call.answer(await self._page(call, first), replace=True)

    async def export(self, call: Call) -> None:
        views = await self._service.list_deadlines(actor=call.actor)
        await call.send_file(name=blocks.FILE_NAME, content=blocks.deadline_csv(views))
        await call.answer(f"`{blocks.FILE_NAME}` is in your direct messages.")

    async def add(self, call: Call) -> None:
        tags = call.args.option("--tags")
        wishes = Wishes(
            tags=None if tags is None else split_tags(tags),
            channel=call.args.option("--channel"),
            owner=call.args.option("--owner"),
        )
        with _once():
            result = await self._service.watch(
                call.args.required("NAME"),
                call.args.required("DATE"),
                actor=call.actor,
                wishes=wishes,
                delivery=call.delivery,
            )
            message = blocks.watched(result, by=call.user_id, texts=self._texts, slash=self._slash)
            await self._tell(call, result.deadline, message)

    async def remove(self, call: Call) -> None:
        with _once():
            view = await self._service.remove(
                call.args.required("NAME"), actor=call.actor, delivery=call.delivery
            )
            await self._tell(call, view, blocks.removed(view, by=call.user_id))

    async def open_new(self, call: Call) -> None:
        await call.show_modal(blocks.upload_modal(None, texts=self._texts))

    async def open_renewed(self, call: Call) -> None:
        view = await self._service.get_by_id(call.value, actor=call.actor)
        call.actor.require(Role.ADMIN, tags=view.tags)
        await call.show_modal(blocks.upload_modal(view, texts=self._texts))

    async def check_upload(self, call: Call) -> View | None:
        if len(call.state.files("file")) != 1:
            raise FieldErrors({"file": "Choose one file: the certificate, without its private key."})
        if not call.metadata:
            try:
                check_name(call.state.text("name"))
            except EnrollbotError as error:
                raise FieldErrors({"name": str(error)}) from None
        return blocks.reading_view()

    async def upload(self, call: Call) -> None:
        view: DeadlineView | None = None
        try:
            if call.metadata:
                view = await self._service.get_by_id(call.metadata, actor=call.actor)
            file = await call.fetch_file(call.state.files("file")[0])
            result = await self._service.watch_certificate(
                view.name if view else call.state.text("name"),
                file.content,
                actor=call.actor,
                wishes=Wishes(tags=None if view else split_tags(call.state.text("tags"))),
                another_topic=blocks.ANOTHER_TOPIC in call.state.checked(blocks.ANOTHER_TOPIC),
                delivery=call.delivery,
            )
        except DeliveredAgain:
            return
        except EnrollbotError as error:
            await call.update_modal(blocks.refused_view(error, view or await self._of_that_name(call)))
            return
        message = blocks.watched(result, by=call.user_id, texts=self._texts, slash=self._slash)
        await call.update_modal(blocks.shown_view(message))
        await tell_channel(self._poster, result.deadline.channel or self._channel, message, call=call)

    async def _of_that_name(self, call: Call) -> DeadlineView | None:
        """Return what stands under the name that was filled in: its own form asks what is to be asked."""
        name = call.state.text("name").lower()
        views = [] if call.metadata else await self._service.list_deadlines(actor=call.actor)
        return next((view for view in views if view.name.lower() == name), None)

    async def _page(self, call: Call, first: int) -> Message:
        views = await self._service.list_deadlines(actor=call.actor)
        role = call.actor.rights.highest
        return blocks.deadline_list(views, texts=self._texts, role=role, slash=self._slash, first=first)

    async def _tell(self, call: Call, view: DeadlineView, message: Message) -> None:
        await call.answer(message)
        await tell_channel(self._poster, view.channel or self._channel, message, call=call)


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield
