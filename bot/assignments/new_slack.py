"""The form for a new assignment: opened, read and previewed, as `assign` does."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from bot.assignments import blocks, new_blocks
from bot.assignments.csv_file import MOST_BYTES, read_serials
from bot.assignments.errors import DeliveredAgain
from bot.assignments.facts import RequestView
from bot.assignments.models import Action
from bot.assignments.service import AssignmentService
from bot.kit.actor import Actor, NotAllowed, Role
from bot.kit.errors import EnrollbotError
from bot.profiles.facts import ProfileView
from bot.profiles.service import ProfileService
from bot.slack.blocks import View, modal, section
from bot.slack.call import Call, FieldErrors, ModalState
from bot.slack.commands import Spec, parse, words
from bot.slack.router import Router


def register(router: Router, service: AssignmentService, profiles: ProfileService, *, approvals: str) -> None:
    """Register the form. `approvals` is the policy of the settings."""
    screens = _Screens(service, profiles, approvals=approvals, slash=router.slash)
    router.action(new_blocks.NEW, role=Role.OPERATOR, handler=screens.open)
    router.action(new_blocks.CHOOSE_TOKEN, role=Role.OPERATOR, handler=screens.choose_token)
    router.submission(new_blocks.NEW, role=Role.OPERATOR, check=screens.check, then=screens.show)


class _Screens:
    def __init__(
        self, service: AssignmentService, profiles: ProfileService, *, approvals: str, slash: str
    ) -> None:
        self._service = service
        self._profiles = profiles
        self._approvals = approvals
        self._slash = slash

    async def open(self, call: Call) -> None:
        """Open the form; the value is a profile's id where its card was pressed."""
        if view := await self._form(call, chosen=call.value or None):
            await call.show_modal(view)

    async def choose_token(self, call: Call) -> None:
        if view := await self._form(call, token_id=call.value):
            await call.update_modal(view)

    async def _form(self, call: Call, **chosen: str | None) -> View | None:
        """Return the form, None where there is nothing to choose, which is then told."""
        profiles = await self._usable(call.actor)
        if profiles:
            return new_blocks.form(profiles, **chosen)
        await call.answer(new_blocks.none_to_use(slash=self._slash))
        return None

    async def check(self, call: Call) -> View | None:
        """Make the preview; what is wrong stands at its input, and the form stays as it was filled in."""
        way = _way(call.state)
        profile = await self._profile(call)
        try:
            asked = await _asked(call, way)
            view = await self._service.preview(
                Action.ASSIGN,
                actor=call.actor,
                profile=profile,
                reason=call.state.text(new_blocks.REASON),
                delivery=call.delivery,
                **asked,
            )
        except (NotAllowed, DeliveredAgain):
            raise
        except EnrollbotError as error:
            raise FieldErrors({way: str(error)}) from None
        call.value = view.id
        return _ready(call)

    async def show(self, call: Call) -> None:
        with contextlib.suppress(DeliveredAgain):
            view = await self._service.get_by_id(call.value, actor=call.actor)
            await call.answer(await self._preview(view, call.user_id))

    async def _preview(self, view: RequestView, person: str) -> Any:
        view = await self._service.with_approvers(view)
        return blocks.preview(view, texts=self._service.texts, actor=person, approvals=self._approvals)

    async def _usable(self, actor: Actor) -> Sequence[ProfileView]:
        found = await self._profiles.list_profiles(actor=actor)
        return [each for each in found if actor.rights.role_for(each.tags) >= Role.OPERATOR]

    async def _profile(self, call: Call) -> ProfileView:
        if call.state.has(new_blocks.NAME):
            try:
                return await self._profiles.get(call.state.text(new_blocks.NAME), actor=call.actor)
            except EnrollbotError as error:
                raise FieldErrors({new_blocks.NAME: str(error)}) from None
        chosen = call.state.one_selected(new_blocks.PROFILE)
        if chosen is None:
            place = new_blocks.TOKEN if call.state.has(new_blocks.TOKEN) else new_blocks.PROFILE
            raise FieldErrors({place: "Choose a profile."})
        return await self._profiles.get_by_id(chosen, actor=call.actor)


def _way(state: ModalState) -> str:
    """Return the input that says which devices. Raises FieldErrors unless it is just one."""
    filled = {
        new_blocks.SERIALS: bool(state.text(new_blocks.SERIALS)),
        new_blocks.QUERY: bool(state.text(new_blocks.QUERY)),
        new_blocks.FILE: bool(state.files(new_blocks.FILE)),
    }
    given = [way for way, is_filled in filled.items() if is_filled]
    if not given:
        raise FieldErrors({new_blocks.SERIALS: "Say which devices: serial numbers, a query or a file."})
    if len(given) > 1:
        raise FieldErrors({way: "Fill in one of the three; the others stay empty." for way in given})
    return given[0]


async def _asked(call: Call, way: str) -> dict[str, Any]:
    """Return what `AssignmentService.preview` takes. Raises what reading it raises."""
    if way == new_blocks.FILE:
        file = await call.fetch_file(call.state.files(way)[0], MOST_BYTES)
        read = await asyncio.to_thread(read_serials, file.content, file.name)
        return {"serials": read.serials, "remarks": read.in_words()}
    typed = words(call.state.text(way))
    if way == new_blocks.QUERY:
        return {"query": parse(typed, Spec(query=True), usage="device list [QUERY]").text}
    return {"serials": parse(typed, Spec(rest="SERIAL"), usage="assign PROFILE SERIAL...").rest}


def _ready(call: Call) -> View:
    where = "in the channel, visible to you only" if call.channel_id else "in your direct messages"
    return modal(
        title="Preview ready",
        callback_id="request.new.ready",
        blocks=[section(f"The preview is {where}. Nothing is requested until you send it from there.")],
        close="Close",
    )
