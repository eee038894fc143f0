"""One device: everything known of it, asked of the service where it is not known here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.backend.port import BackendError, DeviceFacts
from bot.devices import rules, store
from bot.devices.books import Books
from bot.devices.errors import DeviceUnknown, TooManySerials
from bot.devices.facts import (
    ASK_WITHIN_S,
    MAX_ASKED_SERIALS,
    MAX_ASKED_TOKENS,
    Asked,
    AskedDevice,
    DeviceAnswer,
    DeviceRow,
    DeviceView,
    Verdict,
    pack,
)
from bot.devices.models import DeviceChange, DeviceKind, DeviceState, Phase, to_ms
from bot.devices.views import change_of, first_change, names_of, next_step_of, row_of
from bot.kit.actor import Actor, Role
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.profiles.rules import why_portal_stops
from bot.tokens.facts import TokenView

log = get_logger(__name__)

#: Say, in a sentence, what is being done with a device now; None when nothing is.
WorkOn = Callable[[str], Awaitable[str | None]]

#: A card does not wait longer for what one line of it says.
PROFILE_ASKED_WITHIN_S = 5

Details = Mapping[str, DeviceFacts | None]

#: Enough for a change every day of the year.
HISTORY_ROWS = 500


class Asking:
    """Shows devices, and asks the service about serials that are not known here."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.work_on: WorkOn | None = None

    async def show(self, serial: str, *, actor: Actor) -> DeviceAnswer:
        """Return everything known of a device; the service is asked about a serial not known here."""
        actor.require(Role.VIEWER)
        key = serial.strip().upper()
        view, token = await self._look(key, actor)
        asked = None
        if view is None:
            asked = (await self.ask([key], actor=actor))[0]
            view, token = await self._look(key, actor)
        if view is None:
            return DeviceAnswer(key, None, asked, await self._unknown(asked, actor))
        verdict = rules.verdict(
            view,
            token_name=token.name if token else None,
            token_state=token.state if token else None,
            service=self._books.texts.service,
            portal=self._books.texts.portal,
            terms_step=next_step_of(token) if token else "",
            prospect=await self._prospect(view, token),
            portal_stops=await self._portal_stops(view.row),
        )
        return DeviceAnswer(key, view, asked, verdict, token)

    async def _prospect(self, view: DeviceView, token: TokenView | None) -> rules.Prospect:
        if token is None or view.row.state is not DeviceState.PRESENT:
            return rules.NO_PROSPECT
        work = await self.work_on(view.row.serial) if self.work_on else None
        defaults = await self._books.profiles.defaults.of([token.id])
        name = next((each.profile_name for each in defaults if each.platform == view.row.platform), None)
        async with self._books.db.read() as session:
            until = await store.judged_until(session, token.id)
        return rules.Prospect(
            work,
            name,
            is_coming=rules.arrived_after(view, until),
            is_profile_unknown=await self._is_profile_unknown(view.row, token),
        )

    async def _portal_stops(self, row: DeviceRow) -> tuple[str, str] | None:
        if row.profile_uuid is None:
            return None
        needed = await self._books.profiles.content.of_version(row.profile_uuid)
        return why_portal_stops(needed[1]) if needed else None

    async def _is_profile_unknown(self, row: DeviceRow, token: TokenView) -> bool:
        """Say whether the service denies the profile that a device has; one known here is not asked about."""
        if row.profile_uuid is None or not rules.has_profile(row.profile_status, row.profile_uuid):
            return False
        if not token.state.can_sync:
            return False
        try:
            async with asyncio.timeout(PROFILE_ASKED_WITHIN_S):
                return bool(await self._books.profiles.defaults.missing(token.id, [row.profile_uuid]))
        except (BackendError, TimeoutError) as error:
            # What is known here is shown all the same.
            log.warning("a device's profile was not asked for", token=token.name, reason=str(error))
            return False

    async def _unknown(self, asked: AskedDevice | None, actor: Actor) -> Verdict:
        usable = [view for view in await self._books.tokens.list_tokens(actor=actor) if view.has_token]
        return rules.unknown_verdict(
            service=self._books.texts.service,
            portal=self._books.texts.portal,
            is_certain=asked is not None and asked.answer is Asked.NOT_FOUND and not asked.not_asked,
            is_limited=not actor.rights.is_unlimited,
            has_tokens=bool(usable) or not actor.rights.is_unlimited,
            unusable=[view.name for view in usable if not view.state.can_sync],
        )

    async def _look(self, serial: str, actor: Actor) -> tuple[DeviceView | None, TokenView | None]:
        async with self._books.db.read() as session:
            found = await store.device(session, serial)
            changes = await store.changes_of(session, serial, limit=HISTORY_ROWS) if found else []
        if found is None:
            return None, None
        device, kind = found
        names = await self._books.visible(actor)
        profiles = await self._books.profiles.names_of(_uuids(kind, changes), token_ids=names)
        token = names.get(kind.token_id)
        if await self._is_hidden(kind.token_id, token, actor):
            return None, None
        history = [change_of(change, names_of(names), profiles) for change in changes]
        history.append(first_change(device, changes, kind, names_of(names)))
        return (
            DeviceView(
                row=row_of(device, store.kind_of(kind), names_of(names), profiles),
                updated_at=device.updated_at,
                operation_at=device.operation_at,
                removed_reason=device.removed_reason,
                forgotten_at=device.forgotten_at,
                history=history,
            ),
            token,
        )

    async def known(self, serial: str, *, actor: Actor) -> DeviceRow:
        """Return a device as it is stored: nobody outside is asked. Raises `DeviceUnknown`."""
        actor.require(Role.VIEWER)
        async with self._books.db.read() as session:
            found = await store.device(session, serial.strip().upper())
        if found is None:
            raise DeviceUnknown
        device, kind = found
        names = await self._books.visible(actor)
        if await self._is_hidden(kind.token_id, names.get(kind.token_id), actor):
            raise DeviceUnknown
        profiles = await self._books.profiles.names_of(_uuids(kind, ()), token_ids=names)
        return row_of(device, store.kind_of(kind), names_of(names), profiles)

    async def _is_hidden(self, token_id: str, visible: TokenView | None, actor: Actor) -> bool:
        """Whether a device's token is not for the actor. One that was removed here is for nobody limited."""
        if visible is not None:
            return False
        return not actor.rights.is_unlimited or await self._books.token_or_none(token_id) is not None

    async def ask(self, serials: Sequence[str], *, actor: Actor) -> list[AskedDevice]:
        """Ask the service about serials not known here, over the tokens that the actor may see.

        At most 1,000 serials and 20 tokens, within 20 seconds. What is found is stored.
        """
        actor.require(Role.VIEWER)
        if len(serials) > MAX_ASKED_SERIALS:
            raise TooManySerials(len(serials), MAX_ASKED_SERIALS)
        visible = [view for view in await self._books.tokens.list_tokens(actor=actor) if view.has_token]
        asked = [view for view in visible if view.state.can_sync][:MAX_ASKED_TOKENS]
        tasks = {view.id: asyncio.create_task(self._details(view.id, serials)) for view in asked}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=ASK_WITHIN_S)
        answers = {view.id: await _finished(tasks[view.id], view.name) for view in asked}
        silent = tuple(view.name for view in visible if answers.get(view.id) is None)
        found: dict[str, AskedDevice] = {}
        for view in asked:
            for serial, device in (answers[view.id] or {}).items():
                if device is not None and serial not in found:
                    found[serial] = await self._found(view, device)
        otherwise = Asked.UNCLEAR if silent else Asked.NOT_FOUND
        is_limited = not actor.rights.is_unlimited
        return [
            found.get(serial) or AskedDevice(serial, otherwise, not_asked=silent, is_limited=is_limited)
            for serial in serials
        ]

    async def _found(self, token: TokenView, device: DeviceFacts) -> AskedDevice:
        added = await self._add_found(token, device)
        async with self._books.db.read() as session:
            is_syncing = await store.open_sync(session, token.id) is not None
        return AskedDevice(
            device.serial,
            Asked.FOUND,
            token.name,
            token.server_name,
            added,
            is_coming=is_syncing and not added,
        )

    async def _details(
        self, token_id: str, serials: Sequence[str]
    ) -> Mapping[str, DeviceFacts | None] | None:
        began = self._books.clock.now()
        try:
            return await (await self._books.tokens.connection(token_id)).details(serials)
        except BackendError as error:
            await self._books.tokens.record_refusal(token_id, error, asked_at=began)
        except EnrollbotError as error:
            log.warning("could not ask about devices", token=token_id, error=str(error))
        return None

    async def _add_found(self, token: TokenView, device: DeviceFacts) -> bool:
        """Store a device that the service knows.

        False while a full list is read or judged: it comes with that, or with the changes after it.
        """
        now = self._books.clock.now()
        kind = rules.present_kind(device, token.id)
        number = store.kind_id(kind)
        async with self._books.db.begin() as session:
            await store.lock_devices(session)
            place = await store.position(session, token.id)
            is_listing = place.phase is not Phase.DELTA or place.full_id is not None
            if is_listing or await store.look_up(session, [device.serial]):
                return False
            place_of = await store.take_number(session, token.id)
            row = (device.serial, number, place_of, pack(device), None, to_ms(now), to_ms(now))
            await store.add_kinds(session, {number: kind})
            await store.insert_devices(session, [row])
            await store.count_kinds(session, {number: 1})
        return True


async def _finished(
    task: asyncio.Task[Details | None],
    token: str,
) -> Details | None:
    """Return what a task found, None when it was too slow or failed, which the log tells."""
    if not task.done():
        task.cancel()
    found = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(found, BaseException):
        log.warning("no answer about devices", token=token, error=type(found).__name__, exc_info=found)
        return None
    return found


def _uuids(kind: DeviceKind, changes: Sequence[DeviceChange]) -> set[str]:
    """Return every profile's UUID that a device has or had."""
    found = {kind.profile_uuid} | {
        each for change in changes for each in change.changes.get("profile_uuid", ())
    }
    return {str(each) for each in found if each}
