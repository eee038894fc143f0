"""Profiles and the content tokens that give their devices Company Portal."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from bot.backend.profile import ProfileSettings
from bot.kit.actor import Actor
from bot.licenses.facts import ContentTokenView
from bot.licenses.service import LicenseService
from bot.profiles import store
from bot.profiles.books import Books
from bot.profiles.facts import ContentFacts, PortalVersion
from bot.profiles.models import ProfileVersion
from bot.profiles.rules import effective


class Content:
    """Says which content tokens there are to choose from, how they stand, and which profiles use them."""

    def __init__(self, books: Books, licenses: LicenseService) -> None:
        self._books = books
        self._licenses = licenses

    async def choices(self, actor: Actor) -> list[ContentFacts]:
        """Return the content tokens that the actor may see, by name."""
        views = await self._licenses.list_content_tokens(actor=actor)
        found = await self._facts(views)
        return [found[view.id] for view in views]

    async def of(self, *settings: ProfileSettings) -> dict[str, ContentFacts]:
        """Return the content tokens of these settings by id; one that was removed is left out.

        The caller has checked the right to see the profiles: how they stand goes with it.
        """
        wanted = {each.content_token for each in settings if each.content_token is not None}
        views: list[ContentTokenView] = []
        if wanted:
            async with self._books.db.read() as session:
                found = [await self._licenses.get_in(session, each) for each in sorted(wanted)]
            views = [view for view in found if view is not None]
        return await self._facts(views)

    async def of_version(self, profile_uuid: str) -> tuple[ProfileSettings, ContentFacts | None] | None:
        """Return what a version's devices get Company Portal with; None where they need no licence.

        The caller has checked the right to see the device.
        """
        async with self._books.db.read() as session:
            rows = await store.by_uuid(session, [profile_uuid])
        held = effective(_settings(rows[0][1])) if rows else ProfileSettings()
        if held.content_token is None:
            return None
        return held, (await self.of(held)).get(held.content_token)

    async def uses(self, content_token_id: str, actor: Actor) -> list[str]:
        """Return the names of the profiles that use a content token; those not to be seen are counted."""
        seen = await self._books.seen(actor)
        async with self._books.db.read() as session:
            rows = await store.live(session)
        users = [(p, v) for p, v in rows if _settings(v).content_token == content_token_id]
        shown = [f"{seen[p.token_id].name}/{p.name}" for p, _ in users if p.token_id in seen]
        hidden = len(users) - len(shown)
        return [*shown, *([f"{hidden} that you may not see"] if hidden else [])]

    async def installed_apps(self) -> Mapping[str, Collection[str]]:
        """Return the apps that profiles install, by the id of the content token they come from."""
        used = {each.content_token_id for each in await self.portal_versions() if each.is_in_force}
        return {each: (self._licenses.company_portal_id,) for each in used}

    async def portal_versions(self) -> list[PortalVersion]:
        """Return the versions of profiles whose devices get Company Portal by a content token, by name."""
        async with self._books.db.read() as session:
            rows = await store.naming_content(session)
        found = []
        for profile, uuid, settings, is_in_force in rows:
            held = effective(_converted(settings))
            if held.content_token is not None:
                found.append(
                    PortalVersion(
                        held.content_token,
                        uuid,
                        profile.name,
                        profile.token_id,
                        held.single_app_mode,
                        is_in_force,
                    )
                )
        return found

    async def _facts(self, views: Sequence[ContentTokenView]) -> dict[str, ContentFacts]:
        async with self._books.db.read() as session:
            licences = {view.id: await self._licenses.licences_in(session, view) for view in views}
        found = {}
        for view in views:
            portal = next(
                (
                    each
                    for each in licences[view.id]
                    if each.app_id == self._licenses.company_portal_id
                    and each.is_listed
                    and each.device_assignable
                ),
                None,
            )
            found[view.id] = ContentFacts(
                id=view.id,
                name=view.name,
                location_id=view.location_id,
                location_name=view.location_name,
                state=view.state.value,
                is_active=view.state.is_active,
                is_ended=view.state.is_ended,
                has_portal=portal is not None,
                available=portal.available if portal else None,
            )
        return found


def _settings(version: ProfileVersion) -> ProfileSettings:
    return _converted(version.settings)


def _converted(settings: Mapping[str, Any]) -> ProfileSettings:
    return msgspec.convert(settings, ProfileSettings, strict=False)
