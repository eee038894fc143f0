"""`sync`, `device list|show|forget` and their buttons: parse, call the service, render."""

from bot.devices import blocks
from bot.devices.facts import SyncStarted
from bot.devices.service import DeviceService
from bot.kit.actor import Role
from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.slack.call import Call
from bot.slack.commands import Flag, Spec
from bot.slack.router import Router
from bot.tokens.errors import DeliveredAgain


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
    router.action(blocks.SYNC_NOW, role=operator, handler=screens.press_sync)
    router.action(blocks.PREVIOUS, role=viewer, handler=screens.turn_page)
    router.action(blocks.NEXT, role=viewer, handler=screens.turn_page)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export)
    router.action(blocks.SHOW, role=viewer, handler=screens.press_show)


class _Screens:
    def __init__(self, service: DeviceService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def sync(self, call: Call) -> None:
        name, full = call.args.one("NAME"), call.args.flag("--full")
        if name is not None:
            started = await self._service.start_sync(
                name, actor=call.actor, full=full, delivery=call.delivery
            )
            await call.answer(blocks.started([started], []))
            return
        answers: list[SyncStarted] = []
        refusals: list[str] = []
        for token in await self._service.syncable(actor=call.actor):
            try:
                # Each token is a change of its own, so each has a claim of its own.
                delivery = f"{call.delivery}:{token.id}"
                answers.append(
                    await self._service.start_sync(token.name, actor=call.actor, full=full, delivery=delivery)
                )
            except DeliveredAgain:
                raise
            except EnrollbotError as refusal:
                refusals.append(str(refusal))
        await call.answer(blocks.started(answers, refusals))

    async def press_sync(self, call: Call) -> None:
        started = await self._service.start_sync_by_id(call.value, actor=call.actor, delivery=call.delivery)
        await call.answer(blocks.started([started], []))

    async def list_devices(self, call: Call) -> None:
        page = await self._service.list_devices(call.args.text, actor=call.actor)
        await call.answer(blocks.device_list(page))

    async def turn_page(self, call: Call) -> None:
        query, after, before = blocks.place_of(call.value)
        page = await self._service.list_devices(query, actor=call.actor, after=after, before=before)
        await call.answer(blocks.device_list(page), replace=True)

    async def export(self, call: Call) -> None:
        query, _, _ = blocks.place_of(call.value)
        content, count = await self._service.csv(query, actor=call.actor, delivery=call.delivery)
        await call.send_file(name="devices.csv", content=content, comment=blocks.exported(count, query))
        await call.answer(blocks.EXPORT_SENT)

    async def show(self, call: Call) -> None:
        await self._show(call, call.args.required("SERIAL"))

    async def press_show(self, call: Call) -> None:
        await self._show(call, call.value)

    async def _show(self, call: Call, serial: str) -> None:
        answer = await self._service.show(serial, actor=call.actor)
        await call.answer(blocks.device_card(answer, now=self._clock.now()))

    async def forget(self, call: Call) -> None:
        serials = call.args.required_rest("SERIAL")
        result = await self._service.forget(serials, actor=call.actor, delivery=call.delivery)
        await call.answer(blocks.forgotten(result, portal=self._service.texts.portal))
