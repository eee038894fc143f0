"""`assign`, `unassign`, `request` and their buttons: parse, call the service, render."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from bot.assignments import blocks
from bot.assignments.csv_file import MOST_BYTES, read_serials
from bot.assignments.errors import AlreadyDecided, NumberDiffers, QueryNeeded, once
from bot.assignments.facts import ListKey, RequestView
from bot.assignments.models import Action, RequestState
from bot.assignments.service import AssignmentService
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.profiles.facts import ProfileView
from bot.profiles.service import ProfileService
from bot.slack.blocks import View, escape, file_input, input_block, modal, section, short, text_input
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Flag, Option, Spec
from bot.slack.router import Router

ASSIGN_CSV = "request.assign_csv"


def register(router: Router, service: AssignmentService, profiles: ProfileService, *, approvals: str) -> None:
    """Register every screen of this room. `approvals` is the policy of the settings."""
    screens = _Screens(service, profiles, approvals=approvals, slash=router.slash)
    operator, approver, viewer = Role.OPERATOR, Role.APPROVER, Role.VIEWER
    router.command(
        "assign",
        role=operator,
        usage='assign PROFILE SERIAL... | --where QUERY | --csv [--reason "..."]',
        summary="Give devices a profile, after a preview and a second person's approval.",
        spec=Spec(
            positionals=("PROFILE",),
            rest="SERIAL",
            options=(Option("--where", "QUERY", query=True), Flag("--csv"), Option("--reason", "TEXT")),
        ),
        handler=screens.assign,
    )
    router.command(
        "unassign",
        role=operator,
        usage='unassign SERIAL... | --where QUERY [--reason "..."]',
        summary="Take the profile from devices, after a preview and a second person's approval.",
        spec=Spec(
            rest="SERIAL", options=(Option("--where", "QUERY", query=True), Option("--reason", "TEXT"))
        ),
        handler=screens.unassign,
    )
    router.command(
        "request list",
        role=viewer,
        usage="request list [--mine]",
        summary="Assignment requests: open ones, and those of the last 30 days.",
        spec=Spec(options=(Flag("--mine"),)),
        handler=screens.list_requests,
    )
    for verb, role, summary, handler in (
        ("show", viewer, "Everything about a request.", screens.show),
        ("cancel", operator, "Cancel a request of your own.", screens.cancel),
        ("stop", approver, "Stop a request that is being carried out.", screens.stop),
    ):
        router.command(
            f"request {verb}",
            role=role,
            usage=f"request {verb} ID",
            summary=summary,
            spec=Spec(positionals=("ID",)),
            handler=handler,
        )
    router.action(blocks.SEND, role=operator, handler=screens.press_send)
    router.action(blocks.LEAVE_OUT, role=operator, handler=screens.press_leave_out)
    router.action(blocks.AGAIN, role=operator, handler=screens.press_again)
    router.action(blocks.UNDO, role=operator, handler=screens.press_undo)
    router.action(blocks.APPROVE, role=approver, handler=screens.press_approve)
    router.action(blocks.DENY, role=approver, handler=screens.press_deny)
    router.action(blocks.CANCEL, role=operator, handler=screens.press_cancel)
    router.action(blocks.STOP, role=approver, handler=screens.press_stop)
    router.action(blocks.DETAILS, role=viewer, handler=screens.press_details)
    router.action(blocks.PREVIOUS, role=viewer, handler=screens.turn_page)
    router.action(blocks.NEXT, role=viewer, handler=screens.turn_page)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export_list)
    router.action(blocks.SHOW_PREVIEW, role=operator, handler=screens.show_preview)
    router.action(blocks.CSV, role=viewer, handler=screens.press_csv)
    router.submission(
        blocks.SEND_TYPED, role=operator, check=screens.check_typed, then=screens.after_decision
    )
    router.submission(blocks.DENY, role=approver, check=screens.check_deny, then=screens.deny)
    router.submission(ASSIGN_CSV, role=operator, check=screens.check_csv, then=screens.assign_csv)


class _Screens:
    def __init__(
        self, service: AssignmentService, profiles: ProfileService, *, approvals: str, slash: str
    ) -> None:
        self._service = service
        self._profiles = profiles
        self._approvals = approvals
        self._slash = slash
        self._texts = service.texts

    # Asking

    async def assign(self, call: Call) -> None:
        profile = await self._profiles.get(call.args.required("PROFILE"), actor=call.actor)
        if call.args.flag("--csv"):
            if call.args.rest or call.args.option("--where") is not None:
                raise QueryNeeded(call.args.usage)
            await call.open_modal(_csv_modal(profile, call.args.option("--reason") or ""))
            return
        await self._preview(call, Action.ASSIGN, profile)

    async def unassign(self, call: Call) -> None:
        await self._preview(call, Action.UNASSIGN, None)

    async def _preview(self, call: Call, action: Action, profile: ProfileView | None) -> None:
        query = call.args.option("--where")
        # Neither of the two is passed over in silence, and no query means no devices.
        if bool(call.args.rest) == (query is not None) or (query is not None and not query.strip()):
            raise QueryNeeded(call.args.usage)
        with once():
            view = await self._service.preview(
                action,
                actor=call.actor,
                profile=profile,
                serials=call.args.rest,
                query=query,
                reason=call.args.option("--reason"),
                delivery=call.delivery,
            )
            await self._show_preview(call, view)

    async def _show_preview(self, call: Call, view: RequestView) -> None:
        view = await self._service.with_approvers(view)
        await call.answer(
            blocks.preview(view, texts=self._texts, actor=call.user_id, approvals=self._approvals)
        )

    async def check_csv(self, call: Call) -> View | None:
        if len(call.state.files("file")) != 1:
            raise FieldErrors({"file": "Choose one file with serial numbers."})
        return modal(
            title="Assign from CSV",
            callback_id="request.csv.reading",
            blocks=[section("Checking…\nReading the file.")],
            close="Close",
        )

    async def assign_csv(self, call: Call) -> None:
        with once():
            try:
                profile = await self._profiles.get_by_id(call.metadata, actor=call.actor)
                file = await call.fetch_file(call.state.files("file")[0], MOST_BYTES)
                read = await asyncio.to_thread(read_serials, file.content, file.name)
                view = await self._service.preview(
                    Action.ASSIGN,
                    actor=call.actor,
                    profile=profile,
                    serials=read.serials,
                    reason=call.state.text("reason"),
                    remarks=read.in_words(),
                    delivery=call.delivery,
                )
            except EnrollbotError as error:
                await call.update_modal(_told("Not requested", str(error)))
                return
            await call.update_modal(_told("File read", "The preview is in the channel, visible to you only."))
            await self._show_preview(call, view)

    async def press_leave_out(self, call: Call) -> None:
        with once():
            view = await self._service.without_set_up(call.value, actor=call.actor, delivery=call.delivery)
            await self._show_preview(call, view)

    async def press_again(self, call: Call) -> None:
        with once():
            view = await self._service.again(call.value, actor=call.actor, delivery=call.delivery)
            await self._show_preview(call, view)

    async def press_undo(self, call: Call) -> None:
        with once():
            view = await self._service.undo(call.value, actor=call.actor, delivery=call.delivery)
            await self._show_preview(call, view)

    async def press_send(self, call: Call) -> None:
        with once():
            try:
                view = await self._service.send(call.value, actor=call.actor, delivery=call.delivery)
            except NumberDiffers:
                view = await self._service.get_by_id(call.value, actor=call.actor)
                await call.open_modal(blocks.number_modal(view, approvals=self._approvals))
                return
            self._service.look_now()
            await call.answer(blocks.sent(view))

    async def check_typed(self, call: Call) -> View | None:
        try:
            view = await self._service.send(
                call.metadata, actor=call.actor, typed=call.state.text("number"), delivery=call.delivery
            )
        except NumberDiffers as error:
            raise FieldErrors({"number": str(error)}) from None
        if view.state is RequestState.RUNNING:
            return _told("Being carried out", f"{view.label}: its card shows how far it is.")
        return _told("Sent for approval", f"{view.label}: you are told what is decided.")

    async def after_decision(self, _call: Call) -> None:
        self._service.look_now()

    # Deciding

    async def press_approve(self, call: Call) -> None:
        async with _told_if_late(call):
            view = await self._service.approve(call.value, actor=call.actor, delivery=call.delivery)
            self._service.look_now()
            await call.answer(f"You approved {view.label}. Its progress is on the card.")

    async def press_deny(self, call: Call) -> None:
        view = await self._service.get_by_id(call.value, actor=call.actor)
        call.actor.require(Role.APPROVER, tags=view.tags)
        # Nobody writes a reason that is refused afterwards.
        async with _told_if_late(call):
            self._service.check_decidable(view, actor=call.actor)
            await call.open_modal(blocks.deny_modal(view))

    async def check_deny(self, call: Call) -> View | None:
        if not call.state.text("reason"):
            raise FieldErrors({"reason": "Say why: the requester is told."})
        return None

    async def deny(self, call: Call) -> None:
        async with _told_if_late(call):
            view = await self._service.deny(
                call.metadata, actor=call.actor, reason=call.state.text("reason"), delivery=call.delivery
            )
            self._service.look_now()
            await call.answer(f"You denied {view.label}. The requester is told.")

    async def press_cancel(self, call: Call) -> None:
        await self._cancel(call, call.value)

    async def cancel(self, call: Call) -> None:
        view = await self._service.get(call.args.required("ID"), actor=call.actor)
        await self._cancel(call, view.id)

    async def _cancel(self, call: Call, request_id: str) -> None:
        async with _told_if_late(call):
            view = await self._service.cancel(request_id, actor=call.actor, delivery=call.delivery)
            self._service.look_now()
            await call.answer(f"{view.label} is cancelled.")

    async def press_stop(self, call: Call) -> None:
        await self._stop(call, call.value)

    async def stop(self, call: Call) -> None:
        view = await self._service.get(call.args.required("ID"), actor=call.actor)
        await self._stop(call, view.id)

    async def _stop(self, call: Call, request_id: str) -> None:
        async with _told_if_late(call):
            view = await self._service.stop(request_id, actor=call.actor, delivery=call.delivery)
            self._service.look_now()
            await call.answer(f"{view.label} ends after the batch under way.")

    # Looking

    async def list_requests(self, call: Call) -> None:
        await self._list(call, mine=call.args.flag("--mine"))

    async def turn_page(self, call: Call) -> None:
        mine, after, before = blocks.place_of(call.value)
        await self._list(call, mine=mine, after=after, before=before, replace=True)

    async def _list(
        self,
        call: Call,
        *,
        mine: bool,
        after: ListKey | None = None,
        before: ListKey | None = None,
        replace: bool = False,
    ) -> None:
        page = await self._service.list_requests(actor=call.actor, mine=mine, after=after, before=before)
        message = blocks.request_list(page, slash=self._slash, now=self._service.clock.now())
        await call.answer(message, replace=replace)

    async def export_list(self, call: Call) -> None:
        mine, _, _ = blocks.place_of(call.value)
        lines: list[bytes] = []
        async for views in self._service.all_requests(actor=call.actor, mine=mine):
            lines.append(await asyncio.to_thread(blocks.list_rows, views, with_header=not lines))
        await call.send_file(name=blocks.LIST_FILE, content=b"".join(lines))
        await call.answer(f"`{blocks.LIST_FILE}` is in your direct messages.")

    async def show_preview(self, call: Call) -> None:
        view = await self._service.look_at_preview(call.value, actor=call.actor)
        await self._show_preview(call, view)

    async def show(self, call: Call) -> None:
        view = await self._service.get(call.args.required("ID"), actor=call.actor)
        await self._details(call, view)

    async def press_details(self, call: Call) -> None:
        await self._details(call, await self._service.get_by_id(call.value, actor=call.actor))

    async def _details(self, call: Call, view: RequestView) -> None:
        view = await self._service.glass.seen_by(await self._service.as_it_is(view), call.actor)
        rows = await self._service.results(view.id, actor=call.actor, most=20)
        await call.answer(blocks.details(view, rows, texts=self._texts, now=self._service.clock.now()))

    async def press_csv(self, call: Call) -> None:
        view = await self._service.get_by_id(call.value, actor=call.actor)
        rows = await self._service.results(view.id, actor=call.actor)
        name = f"{view.label}.csv"
        content = await asyncio.to_thread(blocks.results_csv, rows, texts=self._texts)
        await call.send_file(name=name, content=content)
        await call.answer(f"The file `{name}` is in your direct messages.")


def _csv_modal(profile: ProfileView, reason: str) -> View:
    return modal(
        title="Assign from CSV",
        callback_id=ASSIGN_CSV,
        submit="Read",
        private_metadata=profile.id,
        blocks=[
            input_block(
                label="File with serial numbers (.csv)",
                block_id="file",
                element=file_input(("csv", "txt", "tsv")),
                hint="A column named Serial number is found; else the first column counts. An export of the"
                " portal works as it is.",
            ),
            input_block(
                label="Reason",
                block_id="reason",
                element=text_input(initial=short(reason, 500), max_length=500),
                optional=True,
            ),
        ],
    )


def _told(title: str, text: str) -> View:
    return modal(title=title, callback_id="request.told", blocks=[section(escape(text))], close="Close")


@contextlib.asynccontextmanager
async def _told_if_late(call: Call) -> AsyncIterator[None]:
    """Tell who comes too late what happened, with the people named in it."""
    with once():
        try:
            yield
        except AlreadyDecided as late:
            await call.answer(blocks.too_late(late))
