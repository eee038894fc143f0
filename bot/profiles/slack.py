"""The commands, buttons and modals of profiles: parse, call the service, render."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.backend.port import ProfileRefused
from bot.backend.profile import Authentication, Pairing, Platform, ProfilePlatform
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.profiles import blocks, rules, wording
from bot.profiles.blocks import Place
from bot.profiles.errors import (
    BeingDefined,
    ChangedMeanwhile,
    DeliveredAgain,
    DraftGone,
    ImportWrong,
    ProfileNameTaken,
    SettingsFaulty,
    StillCarried,
    TokenNeeded,
    TokenNotReady,
)
from bot.profiles.facts import ContentFacts, Defined, DraftView, Fault, ProfileView, Step, VersionView
from bot.profiles.models import DraftState
from bot.profiles.service import MAX_FILE, ProfileService
from bot.slack.blocks import Message, View
from bot.slack.call import Call, FieldErrors, ModalState
from bot.slack.commands import Flag, Option, Spec, UsageMismatch
from bot.slack.router import Router
from bot.slack.telling import Posts, asked, tell_channel
from bot.tokens.service import TokenService

#: Count the devices that carry each of these UUIDs.
CarriedOf = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]


def register(
    router: Router,
    service: ProfileService,
    tokens: TokenService,
    *,
    poster: Posts,
    channel: str | None,
    carried_of: CarriedOf,
) -> None:
    """Register every screen of this room. `channel` is told where a token has no channel of its own."""
    screens = _Screens(service, tokens, poster, channel=channel, carried_of=carried_of, slash=router.slash)
    _register_commands(router, screens)
    admin, viewer = Role.ADMIN, Role.VIEWER
    router.action(blocks.CREATE, role=admin, handler=screens.press_create)
    router.action(blocks.EDIT, role=admin, handler=screens.press_edit)
    router.action(blocks.SHOW, role=viewer, handler=screens.press_show)
    router.action(blocks.JSON, role=viewer, handler=screens.press_json)
    router.action(blocks.DELETE, role=admin, handler=screens.press_delete)
    router.action(blocks.NEXT_PAGE, role=viewer, handler=screens.turn)
    router.action(blocks.PREVIOUS_PAGE, role=viewer, handler=screens.turn)
    router.action(blocks.EXPORT, role=viewer, handler=screens.export)
    wizard = screens.wizard
    router.action(blocks.BACK, role=admin, handler=wizard.back)
    router.action(blocks.CHOOSE, role=admin, handler=wizard.choose)
    router.action(blocks.HIDE_ALL, role=admin, handler=wizard.hide_all)
    router.action(blocks.SHOW_ALL, role=admin, handler=wizard.show_all)
    router.action(blocks.KIOSK, role=admin, handler=wizard.hide_for_kiosk)
    router.action(blocks.REMOVE_CERTIFICATE, role=admin, handler=wizard.remove_certificate)
    router.action(blocks.TRY_AGAIN, role=admin, handler=wizard.try_again)
    router.action(blocks.START_OVER, role=admin, handler=wizard.start_over)
    router.submission(blocks.WIZARD, role=admin, check=wizard.check, then=wizard.then)
    router.submission(blocks.IMPORT, role=admin, check=wizard.check_import, then=wizard.import_file)


_NAME = Spec(positionals=("NAME",))


def _register_commands(router: Router, screens: "_Screens") -> None:
    router.command(
        "profile list",
        role=Role.VIEWER,
        usage="profile list [--token NAME]",
        summary="Enrollment profiles, with the devices that carry them.",
        spec=Spec(options=(Option("--token", "NAME"),)),
        handler=screens.list_profiles,
    )
    router.command(
        "profile show",
        role=Role.VIEWER,
        usage="profile show NAME [--json]",
        summary="Every setting of a profile and its versions; as JSON by direct message.",
        spec=Spec(positionals=("NAME",), options=(Flag("--json"),)),
        handler=screens.show,
    )
    router.command(
        "profile create",
        role=Role.ADMIN,
        usage="profile create [--token NAME] [--from]",
        summary="Define a profile step by step; --from reads it from a JSON file.",
        spec=Spec(options=(Option("--token", "NAME"), Flag("--from"))),
        handler=screens.create,
    )
    router.command(
        "profile edit",
        role=Role.ADMIN,
        usage="profile edit NAME",
        summary="Define a new version of a profile.",
        spec=_NAME,
        handler=screens.edit,
    )
    router.command(
        "profile clone",
        role=Role.ADMIN,
        usage="profile clone NAME NEW",
        summary="Define a profile with the settings of another.",
        spec=Spec(positionals=("NAME", "NEW")),
        handler=screens.clone,
    )
    router.command(
        "profile delete",
        role=Role.ADMIN,
        usage="profile delete NAME",
        summary="Delete a profile that no device carries.",
        spec=_NAME,
        handler=screens.delete,
    )


class _Screens:
    """The handlers outside the wizard, with what they need."""

    def __init__(
        self,
        service: ProfileService,
        tokens: TokenService,
        poster: Posts,
        *,
        channel: str | None,
        carried_of: CarriedOf,
        slash: str,
    ) -> None:
        self._service = service
        self._tokens = tokens
        self._poster = poster
        self._channel = channel
        self._carried_of = carried_of
        self._slash = slash
        self._texts = service.texts
        self.wizard = _Wizard(self, service, slash)

    # Looking

    async def list_profiles(self, call: Call) -> None:
        name = call.args.option("--token")
        token_id = (await self._tokens.get(name, actor=call.actor)).id if name else ""
        await call.answer(await self._page(call, token_id, 0))

    async def turn(self, call: Call) -> None:
        token_id, _, first = call.value.partition(":")
        page = await self._page(call, token_id, int(first) if first.isdecimal() else 0)
        await call.answer(page, replace=True)

    async def _page(self, call: Call, token_id: str, first: int) -> Message:
        profiles = await self._service.list_profiles(actor=call.actor, token_id=token_id or None)
        return blocks.profile_list(
            profiles,
            carried=await self._carried(call, profiles),
            role=call.actor.rights.highest,
            slash=self._slash,
            now=self._service.clock.now(),
            token_id=token_id,
            first=first,
            defaults=await self._defaults(profiles),
        )

    async def export(self, call: Call) -> None:
        profiles = await self._service.list_profiles(actor=call.actor, token_id=call.value or None)
        content = blocks.profile_csv(profiles, carried=await self._carried(call, profiles))
        await call.send_file(name="profiles.csv", content=content, comment=blocks.how_many(len(profiles)))
        await call.answer("The file `profiles.csv` is in your direct messages.")

    async def _defaults(self, profiles: Sequence[ProfileView]) -> dict[str, str]:
        """Return the platforms that profiles are the default for, in words."""
        found: dict[str, list[Platform]] = {}
        for each in await self._service.defaults.of({profile.token_id for profile in profiles}):
            found.setdefault(each.profile_id, []).append(each.platform)
        return {profile_id: wording.platforms_in_words(each) for profile_id, each in found.items()}

    async def _carried(self, call: Call, profiles: Sequence[ProfileView]) -> dict[str, int]:
        """Count the devices of each profile, whatever version they carry."""
        uuids = await self._service.uuids_of([each.id for each in profiles])
        carried = await self._carried_of([each for found in uuids.values() for each in found])
        return {
            profile_id: sum(carried.get(each, 0) for each in found) for profile_id, found in uuids.items()
        }

    async def show(self, call: Call) -> None:
        profile = await self._service.get(call.args.required("NAME"), actor=call.actor)
        if call.args.flag("--json"):
            await self._send_json(call, profile)
        else:
            await call.answer(await self._card(call, profile))

    async def press_show(self, call: Call) -> None:
        profile = await self._service.get_by_id(call.value, actor=call.actor)
        await call.answer(await self._card(call, profile))

    async def press_json(self, call: Call) -> None:
        await self._send_json(call, await self._service.get_by_id(call.value, actor=call.actor))

    async def _send_json(self, call: Call, profile: ProfileView) -> None:
        name, content = blocks.json_file(profile)
        comment = f"Version {profile.version} of a profile of token {profile.token_name}"
        await call.send_file(name=name, content=content, comment=comment)
        await call.answer(f"The file `{name}` is in your direct messages.")

    async def _card(self, call: Call, profile: ProfileView) -> Message:
        versions = await self._service.versions(profile.id, actor=call.actor)
        around = blocks.Around(
            carried=await self._carried_of([each.profile_uuid for each in versions]),
            default=(await self._defaults([profile])).get(profile.id),
            content=await self._service.content.of(profile.settings, *(each.settings for each in versions)),
        )
        return blocks.card(
            profile,
            versions,
            around,
            texts=self._texts,
            screens=self._service.screens,
            role=call.actor.rights.role_for(profile.tags),
            now=self._service.clock.now(),
        )

    # Changing

    async def create(self, call: Call) -> None:
        name = call.args.option("--token")
        token_id = (await self._tokens.get(name, actor=call.actor)).id if name else None
        usable = await self._service.drafts.tokens_for(call.actor)
        if token_id and token_id not in {token.id for token in usable}:
            token = await self._tokens.get_by_id(token_id, actor=call.actor)
            call.actor.require(Role.ADMIN, tags=token.tags)
            raise TokenNotReady(token.name)
        if call.args.flag("--from"):
            if not usable:
                raise TokenNeeded(self._slash)
            await call.open_modal(blocks.import_modal(usable, texts=self._texts, token_id=token_id))
            return
        draft = await self._service.drafts.open_new(call.actor, token_id=token_id)
        await call.open_modal(await self.wizard.view(draft, call))

    async def press_create(self, call: Call) -> None:
        draft = await self._service.drafts.open_new(call.actor)
        await call.show_modal(await self.wizard.view(draft, call))

    async def edit(self, call: Call) -> None:
        profile = await self._service.get(call.args.required("NAME"), actor=call.actor)
        draft = await self._service.drafts.open_edit(profile.id, call.actor)
        await call.open_modal(await self.wizard.view(draft, call))

    async def press_edit(self, call: Call) -> None:
        draft = await self._service.drafts.open_edit(call.value, call.actor)
        await call.show_modal(await self.wizard.view(draft, call))

    async def clone(self, call: Call) -> None:
        new_name = call.args.one("NEW")
        profile = await self._service.get(call.args.required("NAME"), actor=call.actor)
        if new_name is None:
            raise UsageMismatch("NEW is missing: the name of the clone.", call.args.usage)
        with _once():
            question = self._service.clone(profile.id, new_name, actor=call.actor, delivery=call.delivery)
            defined = await asked(call, question, service=self._texts.service)
            await call.answer(blocks.done(defined, texts=self._texts, slash=self._slash))
            await self.tell_of(call, defined)

    async def delete(self, call: Call) -> None:
        profile = await self._service.get(call.args.required("NAME"), actor=call.actor)
        call.actor.require(Role.ADMIN, tags=profile.tags)
        try:
            await self._service.require_free(profile)
        except StillCarried as error:
            await self._tell_held(call, profile, error)
            return
        await call.answer(blocks.delete_question(profile))

    async def press_delete(self, call: Call) -> None:
        profile = await self._service.get_by_id(call.value, actor=call.actor)
        with _once():
            try:
                await self._service.delete(profile.id, actor=call.actor, delivery=call.delivery)
            except StillCarried as error:
                await self._tell_held(call, profile, error)
                return
            message = blocks.deleted(profile, by=call.user_id, texts=self._texts)
            await call.answer(message)
            await self.tell(call, profile, message)

    async def _tell_held(self, call: Call, profile: ProfileView, error: StillCarried) -> None:
        devices = (await self._carried(call, [profile]))[profile.id]
        await call.answer(blocks.carried_view(error, profile=profile, slash=self._slash, devices=devices))

    async def older(self, call: Call, profile: ProfileView) -> int:
        """Count the devices that carry an earlier version of a profile."""
        total = (await self._carried(call, [profile]))[profile.id]
        return total - (await self._carried_of([profile.profile_uuid])).get(profile.profile_uuid, 0)

    async def tell_of(self, call: Call, defined: Defined, *, older: int = 0) -> None:
        """Tell the channel of a profile or version that was defined."""
        before = [defined.before.settings] if defined.before else []
        message = blocks.told(
            defined,
            by=call.user_id,
            texts=self._texts,
            screens=self._service.screens,
            content=await self._service.content.of(defined.profile.settings, *before),
            older=older,
        )
        await self.tell(call, defined.profile, message)

    async def tell(self, call: Call, profile: ProfileView, message: Message) -> None:
        token = await self._tokens.get_by_id(profile.token_id, actor=call.actor)
        await tell_channel(self._poster, token.channel or self._channel, message, call=call)


class _Wizard:
    """One modal that moves through the steps; what was typed is kept in the draft at every move."""

    def __init__(self, screens: _Screens, service: ProfileService, slash: str) -> None:
        self._screens = screens
        self._service = service
        self._drafts = service.drafts
        self._slash = slash
        self._texts = service.texts

    async def view(
        self,
        draft: DraftView,
        call: Call,
        *,
        notices: Sequence[str] = (),
        faults: Sequence[Fault] = (),
    ) -> View:
        """Return the draft as it is to be shown: its step, or that the service is being asked."""
        if draft.state is DraftState.SENDING:
            return blocks.checking(draft, texts=self._texts)
        base = None
        if draft.profile is not None and draft.step is Step.REVIEW:
            versions = await self._service.versions(draft.profile.id, actor=call.actor)
            base = next((each for each in versions if each.number == draft.base_version), None)
        return blocks.wizard(
            replace(draft, content=await self._content(draft, base, call)),
            texts=self._texts,
            screens=self._service.screens,
            tokens=await self._drafts.tokens_for(call.actor) if draft.step is Step.BASICS else (),
            now=self._service.clock.now(),
            notices=notices,
            faults=faults,
            base=base,
        )

    async def _content(
        self, draft: DraftView, base: VersionView | None, call: Call
    ) -> tuple[ContentFacts, ...]:
        """Return the content tokens that a step names: those to choose from, and those chosen already."""
        if draft.step not in (Step.MANAGEMENT, Step.REVIEW):
            return ()
        chosen = await self._service.content.of(draft.settings, *([base.settings] if base else []))
        choices = await self._service.content.choices(call.actor) if draft.step is Step.MANAGEMENT else []
        return (*choices, *(each for each in chosen.values() if each not in choices))

    # Sending a step

    async def check(self, call: Call) -> View | None:
        place = self._place(call)
        draft = await self._saved(call, place)
        if _files(call.state, place):
            return blocks.reading(draft)
        faults = await self._drafts.faults(draft, None if place.step is Step.REVIEW else place.step)
        if place.step is not Step.REVIEW:
            if faults:
                raise FieldErrors({place.block(each.setting): each.text for each in faults})
            moved = await self._drafts.save(draft.id, call.actor, {}, step=place.step.after)
            return await self.view(moved, call)
        if faults:
            return await self._at_faults(call, draft, faults)
        return blocks.checking(await self._drafts.begin_sending(draft.id, call.actor), texts=self._texts)

    async def then(self, call: Call) -> None:
        place = self._place(call)
        draft = await self._drafts.get(place.draft_id, call.actor)
        if _files(call.state, place):
            await call.update_modal(await self._with_certificates(call, draft, place))
        elif draft.state is DraftState.SENDING:
            view = await self._defined(call, draft)
            if view is not None:
                await call.update_modal(view)

    async def _defined(self, call: Call, draft: DraftView) -> View | None:
        """Return what is shown next; None when the person has taken the draft back and types again."""
        try:
            defined = await self._service.define(draft.id, actor=call.actor)
        except SettingsFaulty as error:
            return await self._at_faults(call, draft, error.faults)
        except ProfileNameTaken as error:
            return await self._at_faults(call, draft, [Fault("name", str(error))])
        except ProfileRefused as error:
            return await self._at_faults(call, draft, [Fault(error.setting, str(error))])
        except ChangedMeanwhile as error:
            notice = blocks.conflict(error)
            return await self.view(await self._drafts.get(draft.id, call.actor), call, notices=[notice])
        except DraftGone:
            log.warning("a profile was defined for a draft that had been taken back", draft=draft.id)
            return None
        except EnrollbotError as error:
            notice = f"Not defined. {error} Nothing is lost: press the button below to try again."
            return await self.view(await self._drafts.get(draft.id, call.actor), call, notices=[notice])
        older = await self._screens.older(call, defined.profile)
        await self._screens.tell_of(call, defined, older=older)
        return blocks.done_view(defined, texts=self._texts, slash=self._slash, older=older)

    async def _at_faults(self, call: Call, draft: DraftView, faults: Sequence[Fault]) -> View:
        """Go to the step of the first fault, with the faults of that step beside their settings."""
        step = rules.STEP_OF[faults[0].setting]
        moved = await self._drafts.save(draft.id, call.actor, {}, step=step)
        here = [each for each in faults if rules.STEP_OF[each.setting] is step]
        return await self.view(moved, call, faults=here)

    async def _with_certificates(self, call: Call, draft: DraftView, place: Place) -> View:
        """Read the certificates handed over into the draft, and go on where nothing is wrong."""
        draft, faults = await self._read_certificates(call, draft, place)
        faults += await self._drafts.faults(draft, place.step)
        step = place.step if faults else place.step.after
        moved = await self._drafts.save(draft.id, call.actor, {}, step=step)
        return await self.view(moved, call, faults=faults)

    async def _read_certificates(
        self, call: Call, draft: DraftView, place: Place
    ) -> tuple[DraftView, list[Fault]]:
        faults: list[Fault] = []
        for setting in ("host_certificates", "anchor_certificates"):
            kept = list(getattr(draft.settings, setting))
            for file in call.state.files(place.block(setting)):
                try:
                    fetched = await call.fetch_file(file)
                    found = rules.read_certificates(fetched.content, now=self._service.clock.now())
                except EnrollbotError as error:
                    faults.append(Fault(setting, f"{file.get('name') or 'A file'}: {error}"))
                    continue
                kept += [each for each in found if each not in kept]
            if kept != list(getattr(draft.settings, setting)):
                draft = await self._drafts.save(draft.id, call.actor, {setting: tuple(kept)})
        return draft, faults

    # Buttons

    async def back(self, call: Call) -> None:
        place = self._place(call)
        draft = await self._saved(call, place)
        faults: list[Fault] = []
        if _files(call.state, place):
            draft, faults = await self._read_certificates(call, draft, place)
        step = place.step if faults else place.step.before
        draft = await self._drafts.save(draft.id, call.actor, {}, step=step)
        await call.update_modal(await self.view(draft, call, faults=faults))

    async def choose(self, call: Call) -> None:
        """Draw the step anew: what was chosen decides which settings it has."""
        place = self._place(call)
        draft = await self._saved(call, place)
        await call.update_modal(await self.view(draft, call))

    async def hide_all(self, call: Call) -> None:
        draft = await self._saved(call, self._place(call))
        await self._hide(call, draft, rules.hides_all(draft.settings, self._service.screens))

    async def show_all(self, call: Call) -> None:
        await self._hide(call, await self._saved(call, self._place(call)), ())

    async def hide_for_kiosk(self, call: Call) -> None:
        draft = await self._saved(call, self._place(call))
        await self._hide(call, draft, rules.hides_for_kiosk(draft.settings, self._service.screens))

    async def _hide(self, call: Call, draft: DraftView, hidden: Sequence[str]) -> None:
        kept = [*hidden, *self._others_hidden(draft)]
        moved = await self._drafts.save(draft.id, call.actor, {"hidden_screens": tuple(kept)})
        await call.update_modal(await self.view(moved, call))

    async def remove_certificate(self, call: Call) -> None:
        setting, _, digest = call.value.partition(":")
        draft = await self._saved(call, self._place(call))
        if setting in ("host_certificates", "anchor_certificates"):
            # By what it is and not by its place: a second press removes no other one.
            kept = [each for each in getattr(draft.settings, setting) if rules.digest(each) != digest]
            draft = await self._drafts.save(draft.id, call.actor, {setting: tuple(kept)})
        await call.update_modal(await self.view(draft, call))

    async def try_again(self, call: Call) -> None:
        place = self._place(call)
        try:
            draft = await self._drafts.try_again(place.draft_id, call.actor)
        except BeingDefined as error:
            await call.answer(str(error))
            return
        await call.update_modal(await self.view(draft, call))

    async def start_over(self, call: Call) -> None:
        draft = await self._drafts.start_over(self._place(call).draft_id, call.actor)
        await call.update_modal(await self.view(draft, call))

    # Importing

    async def check_import(self, call: Call) -> View | None:
        faults = {}
        if len(call.state.files("file")) != 1:
            faults["file"] = "Choose one JSON file."
        if call.state.has("token") and call.state.selected("token") is None:
            faults["token"] = "Choose the token that the profile belongs to."
        if faults:
            raise FieldErrors(faults)
        return blocks.reading_import()

    async def import_file(self, call: Call) -> None:
        token_id = call.state.selected("token") or call.metadata or None
        try:
            usable = await self._drafts.tokens_for(call.actor)
            if token_id is not None and token_id not in {token.id for token in usable}:
                raise TokenNeeded(self._slash)
            file = await call.fetch_file(call.state.files("file")[0], MAX_FILE)
            settings, remarks = self._service.import_settings(file.content)
            draft = await self._drafts.open_new(
                call.actor, token_id=token_id, settings=settings, remarks=remarks
            )
        except ImportWrong as error:
            await call.update_modal(blocks.refused_import(error))
            return
        await call.update_modal(await self.view(draft, call))

    # Reading what was filled in

    def _place(self, call: Call) -> Place:
        place = Place.read(call.metadata)
        if place is None:
            raise DraftGone(self._slash)
        return place

    async def _saved(self, call: Call, place: Place) -> DraftView:
        """Keep what stands in the inputs of the step, right or wrong; they keep their ids."""
        draft = await self._drafts.get(place.draft_id, call.actor)
        values = self._typed(call.state, place, draft)
        token_id = call.state.selected(place.block("token"))
        return await self._drafts.save(
            draft.id, call.actor, values, step=place.step, token_id=token_id, redraws=False
        )

    def _typed(self, state: ModalState, place: Place, draft: DraftView) -> dict[str, Any]:
        """Return the settings whose inputs the modal had; the others stay as they are."""
        values: dict[str, Any] = {}
        for setting in _TEXTS:
            if state.has(block := place.block(setting)):
                text = state.text(block)
                values[setting] = text if setting == "name" else _folded(setting, text) or None
        for setting in ("supervised", "locked", "install_company_portal", "single_app_mode"):
            if state.has(block := place.block(setting)):
                values[setting] = "yes" in state.checked(block)
        values |= _flags(state, place, draft)
        for setting, kind in _CHOICES.items():
            chosen = state.selected(place.block(setting))
            if chosen in {each.value for each in kind}:
                values[setting] = kind(chosen)
        return values | _enrollment(state, place) | self._screens_chosen(state, place, draft)

    def _screens_chosen(self, state: ModalState, place: Place, draft: DraftView) -> dict[str, Any]:
        groups = wording.groups(draft.settings.platform, self._service.screens)
        blocks_of = {place.block(f"{blocks.HIDDEN}.{key}"): of_group for key, _, of_group in groups}
        if not any(state.has(block) for block in blocks_of):
            return {}
        chosen = {key for block in blocks_of for key in state.checked(block)}
        offered = {screen.key for of_group in blocks_of.values() for screen in of_group}
        kept = [screen.key for screen in self._service.screens if screen.key in chosen & offered]
        return {"hidden_screens": (*kept, *self._others_hidden(draft))}

    def _others_hidden(self, draft: DraftView) -> list[str]:
        """Return hidden screens that this platform does not offer: of another, or not known here."""
        offered = {screen.key for screen in rules.screens_for(draft.settings.platform, self._service.screens)}
        return [key for key in draft.settings.hidden_screens if key not in offered]


log = get_logger(__name__)

_TEXTS = (
    *("name", "description", "device_name_template", "mdm_url", "department", "department_phone"),
    *("web_url", "org_magic", "language", "region", "support_email"),
)
_CHOICES: Mapping[str, type[ProfilePlatform] | type[Authentication] | type[Pairing]] = {
    "platform": ProfilePlatform,
    "authentication": Authentication,
    "pairing": Pairing,
}


def _enrollment(state: ModalState, place: Place) -> dict[str, Any]:
    values: dict[str, Any] = {}
    affinity = state.selected(place.block("user_affinity"))
    if affinity in ("with", "without"):
        values["user_affinity"] = affinity == "with"
    chosen = state.selected(place.block("content_token"))
    if chosen is not None:
        values["content_token"] = None if chosen == blocks.NO_CONTENT_TOKEN else chosen[:40]
    return values


def _flags(state: ModalState, place: Place, draft: DraftView) -> dict[str, bool]:
    if not state.has(block := place.block(blocks.FLAGS)):
        return {}
    ticked = state.checked(block)
    offered = [flag for flag in wording.FLAG_NOTES if rules.is_offered(flag, draft.settings.platform)]
    return {flag: flag in ticked for flag in offered}


def _folded(setting: str, text: str) -> str:
    """Return codes in the case that they are written in; everything else as typed."""
    return {"language": text.lower(), "region": text.upper()}.get(setting, text)


def _files(state: ModalState, place: Place) -> bool:
    return any(state.files(place.block(name)) for name in ("host_certificates", "anchor_certificates"))


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield
