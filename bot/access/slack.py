"""`role list`, `role grant`, `role revoke`: parse, call the service, render."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from bot.access import blocks, rules
from bot.access.errors import GrantedMeanwhile
from bot.access.models import SubjectKind
from bot.access.service import AccessService
from bot.kit.actor import Role
from bot.kit.clock import Clock
from bot.slack.blocks import Message
from bot.slack.call import Call
from bot.slack.commands import Option, Spec
from bot.slack.router import Router
from bot.slack.telling import Posts, tell_channel

#: Return which of these people are deactivated in Slack; those that Slack does not tell are left out.
DeactivatedOf = Callable[[Sequence[str]], Awaitable[Collection[str]]]


def register(
    router: Router,
    service: AccessService,
    *,
    poster: Posts,
    channel: str | None,
    deactivated_of: DeactivatedOf,
    clock: Clock,
) -> None:
    """Register every screen of this room. `channel` is told of every change."""
    screens = _Screens(
        service, poster, channel=channel, deactivated_of=deactivated_of, clock=clock, slash=router.slash
    )
    router.command(
        "role list",
        role=Role.ADMIN,
        usage="role list",
        summary="Who may do what.",
        handler=screens.show,
    )
    router.command(
        "role grant",
        role=Role.ADMIN,
        usage="role grant @USER|@GROUP ROLE [--tags a,b]",
        summary="Grant viewer, operator, approver or admin, for every token or for tags.",
        spec=Spec(positionals=("@USER|@GROUP", "ROLE"), options=(Option("--tags", "a,b"),)),
        handler=screens.grant,
    )
    router.command(
        "role revoke",
        role=Role.ADMIN,
        usage="role revoke @USER|@GROUP [ROLE]",
        summary="Take a role back, or all of them.",
        spec=Spec(positionals=("@USER|@GROUP", "ROLE")),
        handler=screens.revoke,
    )


class _Screens:
    def __init__(
        self,
        service: AccessService,
        poster: Posts,
        *,
        channel: str | None,
        deactivated_of: DeactivatedOf,
        clock: Clock,
        slash: str,
    ) -> None:
        self._service = service
        self._poster = poster
        self._channel = channel
        self._deactivated_of = deactivated_of
        self._clock = clock
        self._slash = slash

    async def show(self, call: Call) -> None:
        table = await self._service.table(actor=call.actor)
        people = [each.subject for each in table.grants if each.kind is SubjectKind.PERSON]
        gone = await self._deactivated_of(list(dict.fromkeys(people)))
        await call.answer(blocks.role_list(table, deactivated=gone, slash=self._slash, now=self._clock.now()))

    async def grant(self, call: Call) -> None:
        subject, role = call.args.required("@USER|@GROUP"), call.args.required("ROLE")
        try:
            change = await self._service.grant(
                subject,
                role=rules.parse_role(role),
                tags=rules.parse_tags(call.args.option("--tags")),
                actor=call.actor,
                delivery=call.delivery,
            )
        except GrantedMeanwhile:
            return
        await self._tell(call, blocks.granted(change, by=call.user_id))

    async def revoke(self, call: Call) -> None:
        subject, role = call.args.required("@USER|@GROUP"), call.args.one("ROLE")
        try:
            changes = await self._service.revoke(
                subject,
                role=rules.parse_role(role) if role else None,
                actor=call.actor,
                delivery=call.delivery,
            )
        except GrantedMeanwhile:
            return
        await self._tell(call, blocks.revoked(changes, by=call.user_id))

    async def _tell(self, call: Call, message: Message) -> None:
        await call.answer(message)
        await tell_channel(self._poster, self._channel, message, call=call)
