"""The screens of breaking the glass: counted at the press, and again when the form is sent."""

from bot.assignments import blocks, glass_blocks, rules
from bot.assignments.errors import AlreadyDecided, GlassReasonShort, NumberDiffers, once
from bot.assignments.service import AssignmentService
from bot.kit.actor import Role
from bot.slack.blocks import View
from bot.slack.call import Call, FieldErrors
from bot.slack.router import Router


def register(router: Router, service: AssignmentService) -> None:
    screens = _Screens(service)
    router.action(blocks.BREAK_GLASS, role=Role.ADMIN, handler=screens.open)
    router.submission(blocks.BREAK_GLASS, role=Role.ADMIN, check=screens.check, then=screens.break_it)


class _Screens:
    def __init__(self, service: AssignmentService) -> None:
        self._service = service

    async def open(self, call: Call) -> None:
        view = await self._service.get_by_id(call.value, actor=call.actor)
        if not view.state.is_open or view.decided_by is not None:
            await call.answer(blocks.too_late(AlreadyDecided(view.label, rules.how_it_ended(view))))
            return
        await self._service.glass.count(view, call.actor)
        await call.open_modal(glass_blocks.form(view))

    async def check(self, call: Call) -> View | None:
        view = await self._service.get_by_id(call.metadata, actor=call.actor)
        wrong = {}
        try:
            rules.glass_reason(call.state.text(glass_blocks.REASON))
        except GlassReasonShort as error:
            wrong[glass_blocks.REASON] = str(error)
        typed = call.state.text(glass_blocks.NUMBER).replace(",", "")
        if view.devices and typed != str(view.devices):
            wrong[glass_blocks.NUMBER] = str(NumberDiffers(view.devices))
        if wrong:
            raise FieldErrors(wrong)
        return None

    async def break_it(self, call: Call) -> None:
        with once():
            try:
                view = await self._service.break_glass(
                    call.metadata,
                    actor=call.actor,
                    reason=call.state.text(glass_blocks.REASON),
                    delivery=call.delivery,
                )
            except AlreadyDecided as late:
                await call.answer(blocks.too_late(late))
                return
            self._service.look_now()
            await call.answer(f"You broke the glass of {view.label}. The channel is told.")
