"""`alert` and the buttons of alerts: parse, call the service, render."""

import contextlib
from collections.abc import Iterator

from bot.alerts import blocks
from bot.alerts.errors import DeliveredAgain, NoChannel
from bot.alerts.facts import About
from bot.alerts.service import AlertService
from bot.kit.actor import Role
from bot.slack.blocks import Message, View
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Spec
from bot.slack.post import Poster
from bot.slack.router import Router
from bot.slack.telling import asked
from bot.tokens import blocks as token_blocks

_ONE_ID = Spec(positionals=("ID",))


def register(router: Router, service: AlertService, *, poster: Poster) -> None:
    """Register every screen of this room."""
    screens = _Screens(service, poster)
    operator = Role.OPERATOR
    router.command(
        "alert list",
        role=Role.VIEWER,
        usage="alert list",
        summary="What is wrong now, the worst first.",
        handler=screens.list_alerts,
    )
    router.command(
        "alert ack",
        role=operator,
        usage="alert ack ID",
        summary="Say that you are on an alert, for three days.",
        spec=_ONE_ID,
        handler=screens.acknowledge,
    )
    router.command(
        "alert snooze",
        role=operator,
        usage="alert snooze ID 1d|3d|7d",
        summary="Keep an alert silent for a while, not past its next level.",
        spec=Spec(positionals=("ID", "HOW_LONG")),
        handler=screens.snooze,
    )
    router.command(
        "alert test",
        role=Role.ADMIN,
        usage="alert test",
        summary="Post a test alert to the channel.",
        handler=screens.test,
    )
    router.action(blocks.ACKNOWLEDGE, role=operator, handler=screens.press_acknowledge)
    router.action(blocks.SNOOZE, role=operator, handler=screens.press_snooze)
    router.action(blocks.CHECK_AGAIN, role=operator, handler=screens.press_check)
    router.action(blocks.LIST, role=Role.VIEWER, handler=screens.list_alerts)
    router.action(blocks.NEXT, role=Role.VIEWER, handler=screens.turn_page)
    router.action(blocks.PREVIOUS, role=Role.VIEWER, handler=screens.turn_page)
    router.submission(
        blocks.SNOOZE, role=operator, check=screens.check_snooze, then=screens.snooze_from_modal
    )


class _Screens:
    def __init__(self, service: AlertService, poster: Poster) -> None:
        self._service = service
        self._poster = poster
        self._writer = blocks.Writer(texts=service.texts, slash=service.settings.command)

    async def list_alerts(self, call: Call) -> None:
        await call.answer(await self._page(call))

    async def turn_page(self, call: Call) -> None:
        first = int(call.value) if call.value.isdecimal() else 0
        await call.answer(await self._page(call, first=first), replace=True)

    async def _page(self, call: Call, *, first: int = 0) -> Message:
        views = await self._service.open_alerts(actor=call.actor)
        now = self._service.clock.now()
        return self._writer.listed(views, rights=call.actor.rights, now=now, first=first)

    async def acknowledge(self, call: Call) -> None:
        view = await self._service.get(call.args.required("ID"), actor=call.actor)
        await self._acknowledge(call, view.id)

    async def press_acknowledge(self, call: Call) -> None:
        await self._acknowledge(call, call.value)

    async def _acknowledge(self, call: Call, alert_id: str) -> None:
        with _once():
            view = await self._service.acknowledge(alert_id, actor=call.actor, delivery=call.delivery)
            self._service.tell_now()
            await call.answer(blocks.acknowledged(view, now=self._service.clock.now()))

    async def snooze(self, call: Call) -> None:
        view = await self._service.get(call.args.required("ID"), actor=call.actor)
        await self._snooze(call, view.id, call.args.required("HOW_LONG"))

    async def press_snooze(self, call: Call) -> None:
        view = await self._service.snoozable(call.value, actor=call.actor)
        await call.open_modal(blocks.snooze_modal(view))

    async def check_snooze(self, call: Call) -> View | None:
        if call.state.selected("length") is None:
            raise FieldErrors({"length": "Choose for how long."})
        return None

    async def snooze_from_modal(self, call: Call) -> None:
        await self._snooze(call, call.metadata, call.state.selected("length") or "")

    async def _snooze(self, call: Call, alert_id: str, length: str) -> None:
        with _once():
            view = await self._service.snooze(alert_id, length, actor=call.actor, delivery=call.delivery)
            self._service.tell_now()
            await call.answer(blocks.snoozed(view, now=self._service.clock.now()))

    async def press_check(self, call: Call) -> None:
        view = await self._service.get_by_id(call.value, actor=call.actor)
        if view.kind.about is About.CONTENT_TOKEN:
            await self._check_content(call)
            return
        if view.kind in self._service.gathering.seldom:
            await self._look_anew(call)
            return
        question = self._service.check(call.value, actor=call.actor)
        checked = await asked(call, question, service=self._service.texts.service)
        self._service.tell_now()
        await call.answer(token_blocks.checked(checked, texts=self._service.texts))

    async def _check_content(self, call: Call) -> None:
        question = self._service.check_content(call.value, actor=call.actor)
        content_token, view = await asked(call, question, service=self._service.texts.service)
        self._service.tell_now()
        await call.answer(self._writer.checked(content_token, view, now=self._service.clock.now()))

    async def _look_anew(self, call: Call) -> None:
        view, is_told = await self._service.look_anew(call.value, actor=call.actor)
        self._service.tell_now()
        await call.answer(self._writer.looked(view, is_told=is_told, now=self._service.clock.now()))

    async def test(self, call: Call) -> None:
        settings = self._service.settings
        if settings.channel is None:
            raise NoChannel
        named = [settings.alert_mention] if settings.alert_mention else []
        with _once():
            await self._service.record_test(actor=call.actor, delivery=call.delivery)
            example = blocks.example(by=call.user_id, slash=settings.command)
            await self._poster.post(settings.channel, example)
            await call.answer(blocks.tested(settings.channel, mentions=named))


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield
