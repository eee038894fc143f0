"""`sync`, `device list|show|forget` and their buttons: parse, call the service, render."""

import contextlib
from collections.abc import Sequence

from bot.devices import blocks, sync_blocks
from bot.devices.facts import DeviceAnswer, SyncStarted
from bot.devices.service import DeviceService
from bot.kit.actor import Role
from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.slack.call import Call
from bot.slack.commands import Flag, Spec
from bot.slack.router import Router
from bot.tokens.errors import DeliveredAgain
from bot.tokens.facts import TokenView


def register(router: Router, service: DeviceService, *, clock: Clock) -> None:
    """Register every screen of this room."""
    screens = _Screens(service, clock)
    viewer, operator, admin = Role.VIEWER, Role.OPERATOR, Role.ADMIN
    router.command(
        "sync",
        role=operator,
        usage="sync [NAME] [--full]",
        summary="Bring the device list up to date, of one token or of all.",
        spec=Spec(positionals=("NAME",), options=(Flag("--full"),)),
        handler=screens.sync,
    )
    router.command(
        "device list",
        role=viewer,
        usage="device list [QUERY]",
        summary='Devices, such as token:paris profile:none model:"iPad Air" F9F*.',
        spec=Spec(query=True),
        handler=screens.list_devices,
    )
    router.command(
        "device show",
        role=viewer,
        usage="device show SERIAL",
        summary="Everything known of a device, and why it is or is not ready to enroll.",
        spec=Spec(positionals=("SERIAL",)),
        handler=screens.show,
    )
    router.command(
        "device forget",
        role=admin,
        usage="device forget SERIAL...",
        summary="Leave devices out until the next full sync.",
        spec=Spec(rest="SERIAL"),
        handler=screens.forget,
    )
    router.action(sync_blocks.SYNC_NOW, role=operator, handler=screens.press_sync)
    router.action(sync_blocks.SHOW_DEVICES, role=viewer, handler=screens.press_devices)
    router.action(blocks.PREVIOUS, role=viewer, handler=screens.turn_page)
    router.action(blocks.NEXT, role=viewer, handler=screens.turn_page)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export)
    router.action(blocks.SHOW, role=viewer, handler=screens.press_show)
    router.action(blocks.HISTORY, role=viewer, handler=screens.press_history)


class _Screens:
    def __init__(self, service: DeviceService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def sync(self, call: Call) -> None:
        name = call.args.one("NAME")
        tokens = await self._service.syncable(actor=call.actor, name=name)
        await self._sync(call, tokens, full=call.args.flag("--full"))

    async def press_sync(self, call: Call) -> None:
        token = await self._service.syncable_by_id(call.value, actor=call.actor)
        await self._sync(call, [token], full=False)

    async def _sync(self, call: Call, tokens: Sequence[TokenView], *, full: bool) -> None:
        answers: list[SyncStarted] = []
        refusals: list[sync_blocks.Refused] = []
        for token in tokens:
            # Each token is a change of its own, so each has a claim of its own.
            delivery = f"{call.delivery}:{token.id}"
            try:
                started = await self._service.start_sync_by_id(
                    token.id, actor=call.actor, full=full, delivery=delivery
                )
                answers.append(started)
            except DeliveredAgain:
                continue
            except EnrollbotError as refusal:
                refusals.append(sync_blocks.Refused(token, refusal))
        if answers or refusals:
            await call.answer(sync_blocks.started(answers, refusals, now=self._clock.now()))

    async def list_devices(self, call: Call) -> None:
        await self._list(call, call.args.text)

    async def press_devices(self, call: Call) -> None:
        await self._list(call, call.value)

    async def turn_page(self, call: Call) -> None:
        query, after, before = blocks.place_of(call.value)
        await self._list(call, query, after=after, before=before, replace=True)

    async def _list(
        self,
        call: Call,
        query: str,
        *,
        after: str | None = None,
        before: str | None = None,
        replace: bool = False,
    ) -> None:
        page = await self._service.list_devices(query, actor=call.actor, after=after, before=before)
        message = blocks.device_list(page, now=self._clock.now(), texts=self._service.texts)
        await call.answer(message, replace=replace)

    async def export(self, call: Call) -> None:
        query, _, _ = blocks.place_of(call.value)
        with contextlib.suppress(DeliveredAgain):
            content, count = await self._service.csv(query, actor=call.actor, delivery=call.delivery)
            await call.send_file(name="devices.csv", content=content, comment=blocks.exported(count, query))
            await call.answer(blocks.EXPORT_SENT)

    async def show(self, call: Call) -> None:
        await self._show(call, call.args.required("SERIAL"))

    async def press_show(self, call: Call) -> None:
        await self._show(call, call.value)

    async def _show(self, call: Call, serial: str) -> None:
        answer = await self._service.show(serial, actor=call.actor)
        card = blocks.device_card(
            answer, texts=self._service.texts, role=_role(call, answer), now=self._clock.now()
        )
        await call.answer(card)

    async def press_history(self, call: Call) -> None:
        answer = await self._service.show(call.value, actor=call.actor)
        await call.answer(blocks.device_history(answer, now=self._clock.now()))

    async def forget(self, call: Call) -> None:
        serials = call.args.required_rest("SERIAL")
        with contextlib.suppress(DeliveredAgain):
            result = await self._service.forget(serials, actor=call.actor, delivery=call.delivery)
            await call.answer(blocks.forgotten(result, texts=self._service.texts))


def _role(call: Call, answer: DeviceAnswer) -> Role:
    """Return what the reader may do with the device's token."""
    return call.actor.rights.role_for(answer.token.tags) if answer.token else Role.NONE
