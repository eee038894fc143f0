"""Asking for another default profile: what it changes, and the devices that wait for one now."""

from collections.abc import Sequence

from bot.assignments import rules, store
from bot.assignments.books import Books, device_of, values_of
from bot.assignments.errors import NothingToChange
from bot.assignments.facts import RequestView
from bot.assignments.models import Action, Request, RequestState
from bot.backend.port import BackendError
from bot.backend.profile import Platform
from bot.devices.facts import DeviceRow
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.db import new_id
from bot.kit.logs import get_logger
from bot.profiles.facts import ProfileView
from bot.tokens.facts import TokenView

log = get_logger(__name__)


class DefaultChanges:
    """Makes previews of a change of defaults."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices

    async def preview(
        self,
        token_id: str,
        *,
        actor: Actor,
        profile: ProfileView | None,
        platforms: Sequence[Platform],
        includes_waiting: bool = False,
        reason: str | None = None,
        delivery: str | None = None,
    ) -> RequestView:
        """Look at what a profile, or none, as default would change, and keep that for half an hour.

        `includes_waiting` assigns it to the devices that wait now. Raises `NothingToChange`, `NotAllowed`.
        """
        token = await self._books.tokens.get_by_id(token_id, actor=actor)
        actor.require(Role.ADMIN, tags=token.tags)
        before = {
            each.platform: each
            for each in await self._books.profiles.defaults.of([token.id])
            if each.platform in platforms
        }
        waiting = [] if profile is None else await self._waiting(token, platforms)
        ids = {platform: each.profile_id for platform, each in before.items()}
        is_so = all(ids.get(each) == (profile.id if profile else None) for each in platforms)
        if is_so and not waiting:
            how = f"{profile.name} is the default" if profile else "There is no default"
            raise NothingToChange(f"{how} of token {token.name} already.")
        counts = await self._devices.counts([token.id])
        inside = waiting if includes_waiting else []
        overlaps, _ = await self._books.others(inside, [])
        found = rules.found_of(
            inside, {}, platform=None, overlaps=overlaps, of_token=counts[token.id].present
        )
        names = {platform.value: each.profile_name for platform, each in before.items()}
        request = Request(
            id=new_id(),
            action=Action.DEFAULT.value,
            state=RequestState.PREVIEW.value,
            token_id=token.id,
            profile_id=profile.id if profile else None,
            profile_version=profile.version if profile else None,
            profile_uuid=profile.profile_uuid if profile else None,
            profile_name=profile.name if profile else None,
            platforms=[platform.value for platform in platforms],
            devices=len(inside),
            facts={**values_of(found), "defaults": names, "waiting": len(waiting)},
            reason=(reason or "").strip()[:500] or None,
            requested_by=actor.id,
            made_at=self._books.clock.now(),
        )
        return await self._books.keep_preview(request, [device_of(row) for row in inside], delivery)

    async def anew(
        self, before: RequestView, *, actor: Actor, includes_waiting: bool, delivery: str | None
    ) -> RequestView:
        """Make a preview of what another one asked for, as things are now."""
        profile = None
        if before.profile_id is not None:
            profile = await self._books.profiles.get_by_id(before.profile_id, actor=actor)
        return await self.preview(
            before.token_id,
            actor=actor,
            profile=profile,
            platforms=before.platforms,
            includes_waiting=includes_waiting,
            reason=before.reason,
            delivery=delivery,
        )

    async def _waiting(self, token: TokenView, platforms: Sequence[Platform]) -> list[DeviceRow]:
        """Return devices that wait; held ones are given something already."""
        missing: set[str] = set()
        try:
            carried = await self._devices.uuids(token.id)
            missing = await self._books.profiles.defaults.missing(token.id, carried)
        except BackendError as error:
            # Those without any profile are known without asking.
            log.warning("profiles of waiting devices not asked for", token=token.name, reason=str(error))
        rows = await self._devices.waiting(token.id, platforms, missing=missing)
        async with self._books.db.read() as session:
            held = await store.holds(session, [row.serial for row in rows])
        return [row for row in rows if row.serial not in held][: rules.MOST_DEVICES]
