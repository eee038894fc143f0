"""`audit` and its buttons: parse, call the service, render."""

import contextlib

from bot.audit.errors import ExportedBefore
from bot.audit.facts import Form
from bot.audit.service import AuditService
from bot.home import audit_blocks as blocks
from bot.kit.actor import Role
from bot.kit.clock import Clock
from bot.slack.call import Call
from bot.slack.commands import Flag, Spec
from bot.slack.router import Router


def register(router: Router, service: AuditService, *, clock: Clock) -> None:
    """Register the screens of the audit, which is below every room that acts and has no screens itself."""
    screens = _Screens(service, clock)
    admin = Role.ADMIN
    router.command(
        "audit",
        role=admin,
        usage="audit [QUERY] [--export]",
        summary="Who did what, such as actor: @ana action:token.renewed since:30d -token:paris.",
        spec=Spec(query=True, options=(Flag("--export"),)),
        handler=screens.audit,
    )
    router.action(blocks.PREVIOUS, role=admin, handler=screens.turn_page)
    router.action(blocks.NEXT, role=admin, handler=screens.turn_page)
    router.action(blocks.EXPORT, role=admin, handler=screens.press_export)


class _Screens:
    def __init__(self, service: AuditService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def audit(self, call: Call) -> None:
        if call.args.flag("--export"):
            await self._export(call, call.args.text)
            return
        await self._page(call, call.args.text)

    async def turn_page(self, call: Call) -> None:
        query, after, before = blocks.place_of(call.value)
        await self._page(call, query, after=after, before=before, replace=True)

    async def press_export(self, call: Call) -> None:
        query, _, _ = blocks.place_of(call.value)
        await self._export(call, query)

    async def _page(
        self,
        call: Call,
        query: str,
        *,
        after: int | None = None,
        before: int | None = None,
        replace: bool = False,
    ) -> None:
        found = await self._service.page(query, actor=call.actor, after=after, before=before)
        await call.answer(blocks.page(found, now=self._clock.now()), replace=replace)

    async def _export(self, call: Call, query: str) -> None:
        with contextlib.suppress(ExportedBefore):
            async with self._service.exported(query, actor=call.actor, delivery=call.delivery) as made:
                files = made.files
                comment = blocks.exported(made)
                await call.send_file(name="audit.jsonl", content=files[Form.JSONL], comment=comment)
                await call.send_file(name="audit.csv", content=files[Form.CSV])
            await call.answer(blocks.EXPORT_SENT)
