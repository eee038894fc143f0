"""`watch calendar`: parse, call the service, render."""

from bot.kit.actor import Role
from bot.outside import blocks
from bot.outside.calendars import Calendars
from bot.outside.errors import DeliveredAgain
from bot.slack.call import Call
from bot.slack.commands import Flag, Spec
from bot.slack.router import Router


def register(router: Router, calendars: Calendars) -> None:
    """Register the screens of this room."""

    async def calendar(call: Call) -> None:
        try:
            if call.args.flag("--revoke"):
                ended = await calendars.revoke(actor=call.actor, delivery=call.delivery)
                await call.answer(blocks.revoked(ended))
                return
            address = await calendars.make(actor=call.actor, delivery=call.delivery)
        except DeliveredAgain:
            return
        await call.direct(blocks.link(address.get_secret_value(), slash=router.slash))
        await call.answer(blocks.link_sent())

    router.command(
        "watch calendar",
        role=Role.VIEWER,
        usage="watch calendar [--revoke]",
        summary="A link to your own calendar of expiry dates; --revoke ends your links.",
        spec=Spec(options=(Flag("--revoke"),)),
        handler=calendar,
    )
