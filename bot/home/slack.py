"""`status`, `help`, `token list`, `token show` and the Home tab: parse, call the service, render."""

from bot.home import blocks, glance_blocks
from bot.home.facts import Glance, TokenRow
from bot.home.readers import Readers
from bot.home.service import HomeService
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.slack.blocks import Message, View
from bot.slack.call import Call
from bot.slack.commands import Spec
from bot.slack.router import Router


def register(router: Router, service: HomeService, readers: Readers, *, clock: Clock) -> None:
    """Register the screens that join rooms."""
    screens = _Screens(router, service, readers, clock)
    viewer = Role.VIEWER
    router.command(
        "status", role=viewer, usage="status", summary="Health at a glance.", handler=screens.status
    )
    router.command(
        "help",
        role=Role.NONE,
        usage="help [COMMAND]",
        summary="What you can do here.",
        spec=Spec(rest="COMMAND"),
        handler=screens.help,
    )
    router.command(
        "token list",
        role=viewer,
        usage="token list",
        summary="All tokens: state, days left, devices, last sync.",
        handler=screens.token_list,
    )
    router.command(
        "token show",
        role=viewer,
        usage="token show NAME",
        summary="Everything about one token, and what to do next.",
        spec=Spec(positionals=("NAME",)),
        handler=screens.token_show,
    )
    router.action(blocks.SHOW_TOKEN, role=viewer, handler=screens.press_show)
    router.action(blocks.NEXT_TOKENS, role=viewer, handler=screens.turn_tokens)
    router.action(blocks.PREVIOUS_TOKENS, role=viewer, handler=screens.turn_tokens)
    router.action(blocks.EXPORT_TOKENS, role=viewer, handler=screens.export_tokens)
    router.event("app_home_opened", handler=screens.home_tab)


class _Screens:
    def __init__(self, router: Router, service: HomeService, readers: Readers, clock: Clock) -> None:
        self._router = router
        self._readers = readers
        self._service = service
        self._texts = service.texts
        self._clock = clock

    async def status(self, call: Call) -> None:
        shown = glance_blocks.status(
            await self._service.glance(actor=call.actor),
            texts=self._texts,
            rights=call.actor.rights,
            slash=self._router.slash,
            now=self._clock.now(),
        )
        await call.answer(shown)

    async def help(self, call: Call) -> None:
        topic = " ".join(call.args.rest)
        commands = self._router.help_for(call.actor.rights.highest, topic)
        slash = self._router.slash
        await call.answer(
            blocks.help_topic(commands) if topic else blocks.help_overview(commands, slash=slash)
        )

    async def token_list(self, call: Call) -> None:
        await call.answer(await self._page(call))

    async def turn_tokens(self, call: Call) -> None:
        first = int(call.value) if call.value.isdecimal() else 0
        await call.answer(await self._page(call, first=first), replace=True)

    async def export_tokens(self, call: Call) -> None:
        rows = await self._service.overview(actor=call.actor)
        content = blocks.token_csv(rows, texts=self._texts)
        await call.send_file(name="tokens.csv", content=content, comment=blocks.how_many_tokens(len(rows)))
        await call.answer("The file `tokens.csv` is in your direct messages.")

    async def token_show(self, call: Call) -> None:
        row = await self._service.token(call.args.required("NAME"), actor=call.actor)
        await call.answer(self._card(row, call))

    async def press_show(self, call: Call) -> None:
        row = await self._service.token_by_id(call.value, actor=call.actor)
        await call.answer(self._card(row, call))

    async def home_tab(self, call: Call) -> None:
        if call.event.get("tab") not in (None, "home"):
            return
        view = await self._home(call.actor)
        shown = ""
        try:
            await call.publish_home(view)
            shown = glance_blocks.fingerprint(view)
        finally:
            # What Slack did not take now is shown by the job.
            await self._readers.note_opened(call.user_id, fingerprint=shown)

    async def _home(self, actor: Actor) -> View:
        is_viewer = actor.rights.highest >= Role.VIEWER
        return glance_blocks.home_tab(
            await self._service.glance(actor=actor) if is_viewer else Glance(()),
            texts=self._texts,
            rights=actor.rights,
            slash=self._router.slash,
            now=self._clock.now(),
        )

    async def _page(self, call: Call, *, first: int = 0) -> Message:
        return blocks.token_list(
            await self._service.overview(actor=call.actor),
            texts=self._texts,
            role=call.actor.rights.highest,
            slash=self._router.slash,
            now=self._clock.now(),
            first=first,
        )

    def _card(self, row: TokenRow, call: Call) -> Message:
        role = call.actor.rights.role_for(row.token.tags)
        return blocks.token_card(row, texts=self._texts, role=role, now=self._clock.now())
