"""The commands, buttons and modals of tokens: parse, call the service, render."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import Message, View
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Flag, Option, Spec, UsageMismatch
from bot.slack.router import Router
from bot.slack.telling import Posts, asked, tell_channel
from bot.tokens import blocks
from bot.tokens.errors import (
    AgreementMissing,
    AlreadyInUse,
    AppleIdWrong,
    DeliveredAgain,
    FormWrong,
    NameReserved,
    NameTaken,
    NameWrong,
    TagsNotYours,
    TagWrong,
    TokenAwaited,
    UrlWrong,
)
from bot.tokens.facts import Added, TokenView
from bot.tokens.rules import Setting, split_tags
from bot.tokens.service import TokenService

_FIELDS: dict[type[EnrollbotError], str] = {
    NameReserved: "name",
    NameWrong: "name",
    NameTaken: "name",
    AppleIdWrong: "apple_id",
    UrlWrong: "mdm_url",
    TagWrong: "tags",
    TagsNotYours: "tags",
    AgreementMissing: "agree",
}


def register(router: Router, service: TokenService, *, poster: Posts, channel: str | None) -> None:
    """Register every screen of this room. `channel` is told where a token has no channel of its own."""
    screens = _Screens(service, poster, channel, router.slash)
    _register_commands(router, screens, portal=service.texts.portal)
    admin = Role.ADMIN
    router.action(blocks.ADD, role=admin, handler=screens.open_add)
    router.action(blocks.UPLOAD, role=admin, handler=screens.press_upload)
    router.action(blocks.UPLOAD_TO_OTHER, role=admin, handler=screens.press_upload)
    router.action(blocks.GET_CERTIFICATE, role=admin, handler=screens.send_certificate)
    router.action(blocks.RENEW, role=admin, handler=screens.press_renew)
    router.action(blocks.CHECK_AGAIN, role=Role.OPERATOR, handler=screens.check_again)
    router.offer(TokenAwaited, role=admin, buttons=blocks.upload_offer)
    router.submission(blocks.ADD, role=admin, check=screens.check_add, then=screens.add_from_modal)
    router.submission(blocks.UPLOAD, role=admin, check=screens.check_upload, then=screens.upload)


_ONE_NAME = Spec(positionals=("NAME",))
_ADDING = (Option("--apple-id", "ID"), Option("--mdm-url", "URL"), Option("--tags", "a,b"), Flag("--agree"))
_SETTING = tuple(Option(f"--{setting.value}", "VALUE") for setting in Setting)


def _register_commands(router: Router, screens: "_Screens", *, portal: str) -> None:
    commands: list[tuple[str, str, str, Spec, Callable[[Call], Awaitable[None]]]] = [
        (
            "add",
            "NAME --apple-id ID [--mdm-url URL] [--tags a,b] --agree",
            "Add a token. Without the options: a form.",
            Spec(positionals=("NAME",), options=_ADDING),
            screens.add,
        ),
        ("upload", "NAME", f"Upload the server token made in {portal}.", _ONE_NAME, screens.open_upload),
        (
            "renew",
            "NAME [--new-key]",
            "Renew a token: who signs in where, the steps, and the upload.",
            Spec(positionals=("NAME",), options=(Flag("--new-key"),)),
            screens.renew,
        ),
        (
            "set",
            "NAME [--mdm-url URL] [--channel #c] [--approvals #c] [--owner @u|@group]"
            " [--warn 60,30,14,7,3,1]",
            "Set where devices enroll, who is told, and when to warn; none clears.",
            Spec(positionals=("NAME",), options=_SETTING),
            screens.set_settings,
        ),
        (
            "tag",
            "NAME [a,b,...]",
            "Show or replace the scope tags of a token.",
            Spec(positionals=("NAME",), rest="TAG"),
            screens.tag,
        ),
    ]
    for verb, usage, summary, spec, handler in commands:
        name = f"token {verb}"
        router.command(
            name, role=Role.ADMIN, usage=f"{name} {usage}", summary=summary, spec=spec, handler=handler
        )


class _Screens:
    """The handlers, with what they need."""

    def __init__(self, service: TokenService, poster: Posts, channel: str | None, slash: str) -> None:
        self._service = service
        self._texts = service.texts
        self._slash = slash
        self._poster = poster
        self._channel = channel

    # Adding

    async def open_add(self, call: Call) -> None:
        await call.show_modal(blocks.add_modal(texts=self._texts))

    async def add(self, call: Call) -> None:
        name, apple_id = call.args.one("NAME"), call.args.option("--apple-id")
        if name is None or not (apple_id or call.args.flag("--agree")):
            await call.open_modal(blocks.add_modal(name or "", texts=self._texts))
            return
        if apple_id is None:
            raise UsageMismatch("--apple-id is missing.", call.args.usage)
        with _once():
            added = await self._service.add(
                name,
                actor=call.actor,
                apple_id=apple_id,
                agreed=call.args.flag("--agree"),
                mdm_url=call.args.option("--mdm-url"),
                tags=split_tags(call.args.option("--tags") or ""),
                delivery=call.delivery,
            )
            await call.answer(blocks.added(added, texts=self._texts))
            await self._send_certificate_of(call, added)

    async def check_add(self, call: Call) -> View | None:
        state = call.state
        with _at_fields():
            await self._service.check_new(
                state.text("name"),
                actor=call.actor,
                apple_id=state.text("apple_id"),
                agreed="agree" in state.checked("agree"),
                mdm_url=state.text("mdm_url"),
                tags=split_tags(state.text("tags")),
            )
        return blocks.adding_view()

    async def add_from_modal(self, call: Call) -> None:
        state = call.state
        with _once():
            added = await self._service.add(
                state.text("name"),
                actor=call.actor,
                apple_id=state.text("apple_id"),
                agreed="agree" in state.checked("agree"),
                mdm_url=state.text("mdm_url"),
                tags=split_tags(state.text("tags")),
                delivery=call.delivery,
            )
            await call.update_modal(blocks.added_view(added, texts=self._texts))
            # The form has to be closed before the portal can be opened on a phone; the steps stay here.
            await call.direct(blocks.added(added, texts=self._texts))
            await self._send_certificate_of(call, added)

    async def send_certificate(self, call: Call) -> None:
        with _once():
            token = await self._service.get_by_id(call.value, actor=call.actor)
            certificate = await self._service.certificate(token.id, actor=call.actor, delivery=call.delivery)
            comment = blocks.certificate_comment(token.name, certificate, texts=self._texts)
            await call.send_file(name=certificate.file_name, content=certificate.content, comment=comment)
            await call.answer(blocks.certificate_sent(certificate))

    async def _send_certificate_of(self, call: Call, added: Added) -> None:
        certificate = added.certificate
        comment = blocks.certificate_comment(added.token.name, certificate, texts=self._texts)
        await call.send_file(name=certificate.file_name, content=certificate.content, comment=comment)

    # Uploading

    async def open_upload(self, call: Call) -> None:
        await call.open_modal(blocks.upload_modal(await self._admins_token(call), texts=self._texts))

    async def press_upload(self, call: Call) -> None:
        token = await self._service.get_by_id(call.value, actor=call.actor)
        call.actor.require(Role.ADMIN, tags=token.tags)
        await call.show_modal(blocks.upload_modal(token, texts=self._texts))

    async def check_upload(self, call: Call) -> View | None:
        if len(call.state.files("file")) != 1:
            raise FieldErrors({"file": f"Choose one file: the server token from {self._texts.portal}."})
        return blocks.checking_view(texts=self._texts)

    async def upload(self, call: Call) -> None:
        token = await self._service.get_by_id(call.metadata, actor=call.actor)
        try:
            file = await call.fetch_file(call.state.files("file")[0])
            result = await self._service.upload(
                token.id, file.content, actor=call.actor, channel=self._place(token), delivery=call.delivery
            )
        except DeliveredAgain:
            return
        except AlreadyInUse as error:
            await call.update_modal(blocks.in_use_view(error))
            return
        except EnrollbotError as error:
            await call.update_modal(blocks.refused_view(token, error, texts=self._texts))
            return
        closed = await self._service.close_alerts(token.id)
        message = blocks.uploaded(result, by=call.user_id, texts=self._texts, alerts_closed=closed)
        await call.update_modal(blocks.uploaded_view(result, message))
        await self._tell(call, result.token, message)

    # Renewing

    async def renew(self, call: Call) -> None:
        await self._open_renewal(call, await self._admins_token(call), new_key=call.args.flag("--new-key"))

    async def press_renew(self, call: Call) -> None:
        await self._open_renewal(call, await self._service.get_by_id(call.value, actor=call.actor))

    async def _open_renewal(self, call: Call, token: TokenView, *, new_key: bool = False) -> None:
        with _once():
            opening = self._service.open_renewal(
                token.id, actor=call.actor, new_key=new_key, delivery=call.delivery
            )
            opened = await asked(call, opening, service=self._texts.service)
            await call.answer(blocks.renewal(opened, texts=self._texts))
            if opened.certificate is not None:
                certificate = opened.certificate
                comment = blocks.certificate_comment(opened.token.name, certificate, texts=self._texts)
                await call.send_file(name=certificate.file_name, content=certificate.content, comment=comment)

    async def check_again(self, call: Call) -> None:
        question = self._service.check(call.value, actor=call.actor)
        checked = await asked(call, question, service=self._texts.service)
        await call.answer(blocks.checked(checked, texts=self._texts))

    # Changing

    async def set_settings(self, call: Call) -> None:
        token = await self._admins_token(call)
        named = {setting: call.args.option(f"--{setting.value}") for setting in Setting}
        given = {setting: text for setting, text in named.items() if text is not None}
        with _once():
            view = await self._service.change(
                token.id, actor=call.actor, settings=given, delivery=call.delivery
            )
            await call.answer(blocks.settings_changed(view, has_channel=self._channel is not None))

    async def tag(self, call: Call) -> None:
        token = await self._admins_token(call)
        if not call.args.rest:
            await call.answer(blocks.tags(token, slash=self._slash))
            return
        wanted = [] if [tag.lower() for tag in call.args.rest] == ["none"] else call.args.rest
        with _once():
            view = await self._service.tag(token.id, actor=call.actor, tags=wanted, delivery=call.delivery)
            await call.answer(blocks.tags_set(view))
            if view.tags != token.tags:
                await self._tell(call, view, blocks.tags_changed(view, by=call.user_id))

    # Helpers

    async def _admins_token(self, call: Call) -> TokenView:
        token = await self._service.get(call.args.required("NAME"), actor=call.actor)
        call.actor.require(Role.ADMIN, tags=token.tags)
        return token

    def _place(self, token: TokenView) -> str | None:
        return token.channel or self._channel

    async def _tell(self, call: Call, token: TokenView, message: Message) -> None:
        await tell_channel(self._poster, self._place(token), message, call=call)


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield


@contextlib.contextmanager
def _at_fields() -> Iterator[None]:
    """Show each fault at the input that it is about."""
    try:
        yield
    except FormWrong as error:
        raise FieldErrors({_FIELDS[type(fault)]: str(fault) for fault in error.faults}) from None
    except tuple(_FIELDS) as error:
        raise FieldErrors({_FIELDS[type(error)]: str(error)}) from None
