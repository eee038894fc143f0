"""`token default`, `token remove` and moves of devices: what needs an approval like an assignment."""

from collections.abc import Awaitable, Callable

from bot.assignments import blocks, changes_blocks, rules
from bot.assignments.errors import once
from bot.assignments.facts import RequestView
from bot.assignments.service import AssignmentService
from bot.devices.service import DeviceService
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.profiles.blocks import MOVE_ALL, MOVE_FIRST, MOVE_OPEN
from bot.profiles.service import ProfileService
from bot.slack.blocks import View, escape
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Flag, Option, Spec, UsageMismatch
from bot.slack.router import Router
from bot.slack.telling import asked
from bot.tokens.errors import TypedNameDiffers
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

#: Shows a preview to who asked for it.
ShowPreview = Callable[[Call, RequestView], Awaitable[None]]


def register(
    router: Router,
    service: AssignmentService,
    *,
    tokens: TokenService,
    profiles: ProfileService,
    devices: DeviceService,
    approvals: str,
) -> None:
    """Register these screens. `approvals` is the policy of the settings."""
    screens = _Screens(service, tokens, profiles, devices, approvals=approvals)
    admin = Role.ADMIN
    router.command(
        "token default",
        role=admin,
        usage='token default NAME PROFILE | --none [--platform ios|macos|tvos] [--reason "..."]',
        summary="Choose the profile that new devices of a token get by themselves.",
        spec=Spec(
            positionals=("NAME", "PROFILE"),
            options=(Flag("--none"), Option("--platform", "PLATFORM"), Option("--reason", "TEXT")),
        ),
        handler=screens.default,
    )
    router.command(
        "token remove",
        role=admin,
        usage='token remove NAME [--reason "..."]',
        summary="Remove a token and its secrets, after a second person's approval.",
        spec=Spec(positionals=("NAME",), options=(Option("--reason", "TEXT"),)),
        handler=screens.open_remove,
    )
    router.action(blocks.WITH_WAITING, role=admin, handler=screens.press_with_waiting)
    router.action(blocks.WITHOUT_WAITING, role=admin, handler=screens.press_without_waiting)
    operator = Role.OPERATOR
    router.action(MOVE_OPEN, role=operator, handler=screens.press_move_open)
    router.action(MOVE_ALL, role=operator, handler=screens.press_move_all)
    router.action(MOVE_FIRST, role=operator, handler=screens.press_move_first)
    router.submission(MOVE_FIRST, role=operator, check=screens.check_move, then=screens.move)
    router.submission(
        changes_blocks.REMOVE, role=admin, check=screens.check_remove, then=screens.preview_removal
    )


class _Screens:
    def __init__(
        self,
        service: AssignmentService,
        tokens: TokenService,
        profiles: ProfileService,
        devices: DeviceService,
        *,
        approvals: str,
    ) -> None:
        self._service = service
        self._tokens = tokens
        self._profiles = profiles
        self._devices = devices
        self._approvals = approvals
        self._texts = service.texts

    async def _show(self, call: Call, view: RequestView) -> None:
        view = await self._service.with_approvers(view)
        await call.answer(
            blocks.preview(view, texts=self._texts, actor=call.user_id, approvals=self._approvals)
        )

    # Defaults

    async def default(self, call: Call) -> None:
        token = await self._admins_token(call)
        name, takes_away = call.args.one("PROFILE"), call.args.flag("--none")
        if (name is None) is not takes_away:
            raise UsageMismatch("Say one of the two: a profile, or --none.", call.args.usage)
        profile = None
        if name is not None:
            profile = await self._profiles.get(name, actor=call.actor, token_id=token.id)
        platforms = rules.platforms_of(call.args.option("--platform"), profile)
        with once():
            question = self._service.preview_default(
                token.id,
                actor=call.actor,
                profile=profile,
                platforms=platforms,
                reason=call.args.option("--reason"),
                delivery=call.delivery,
            )
            await self._show(call, await asked(call, question, service=self._texts.service))

    async def press_with_waiting(self, call: Call) -> None:
        await self._waiting(call, includes=True)

    async def press_without_waiting(self, call: Call) -> None:
        await self._waiting(call, includes=False)

    async def _waiting(self, call: Call, *, includes: bool) -> None:
        with once():
            question = self._service.with_waiting(
                call.value, includes=includes, actor=call.actor, delivery=call.delivery
            )
            await self._show(call, await asked(call, question, service=self._texts.service))

    # Moving devices

    async def press_move_open(self, call: Call) -> None:
        await self._move(call, but_set_up=True)

    async def press_move_all(self, call: Call) -> None:
        await self._move(call, but_set_up=False)

    async def _move(self, call: Call, *, but_set_up: bool) -> None:
        with once():
            view = await self._service.preview_move(
                call.value, actor=call.actor, but_set_up=but_set_up, delivery=call.delivery
            )
            await self._show(call, view)

    async def press_move_first(self, call: Call) -> None:
        profile = await self._profiles.get_by_id(call.value, actor=call.actor)
        call.actor.require(Role.OPERATOR, tags=profile.tags)
        found = await self._profiles.list_profiles(actor=call.actor, token_id=profile.token_id)
        others = [each for each in found if each.id != profile.id]
        if not others:
            await call.answer(f"Token {escape(profile.token_name)} has no other profile: create one first.")
            return
        await call.show_modal(changes_blocks.move_modal(profile, others))

    async def check_move(self, call: Call) -> View | None:
        if not call.state.selected("profile"):
            raise FieldErrors({"profile": "Choose the profile that they are to get."})
        return changes_blocks.told_view("Move devices", "Looking at the devices…")

    async def move(self, call: Call) -> None:
        with once():
            try:
                view = await self._service.preview_move(
                    call.metadata,
                    to=call.state.selected("profile"),
                    actor=call.actor,
                    delivery=call.delivery,
                )
            except EnrollbotError as error:
                await call.update_modal(changes_blocks.told_view("Not requested", str(error)))
                return
            text = "The preview is in the channel, visible to you only."
            await call.update_modal(changes_blocks.told_view("Move devices", text))
            await self._show(call, view)

    # Removing

    async def open_remove(self, call: Call) -> None:
        token = await self._admins_token(call)
        counts = (await self._devices.counts([token.id]))[token.id]
        form = changes_blocks.remove_modal(
            token,
            texts=self._texts,
            devices=counts.present,
            reason=call.args.option("--reason") or "",
            approvals=self._approvals,
        )
        await call.open_modal(form)

    async def check_remove(self, call: Call) -> View | None:
        token = await self._tokens.get_by_id(call.metadata, actor=call.actor)
        if call.state.text("name") != token.name:
            raise FieldErrors({"name": str(TypedNameDiffers(token.name))})
        return None

    async def preview_removal(self, call: Call) -> None:
        with once():
            view = await self._service.preview_removal(
                call.metadata,
                actor=call.actor,
                reason=call.state.text("reason"),
                delivery=call.delivery,
            )
            await self._show(call, view)

    async def _admins_token(self, call: Call) -> TokenView:
        token = await self._tokens.get(call.args.required("NAME"), actor=call.actor)
        call.actor.require(Role.ADMIN, tags=token.tags)
        return token
