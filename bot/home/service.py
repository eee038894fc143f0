"""Join what the rooms know."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bot.alerts.facts import AlertView
from bot.assignments.service import AssignmentService
from bot.backend.port import BackendTexts
from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.devices.service import DeviceService
from bot.home import rules
from bot.home.facts import Glance, TokenRow
from bot.kit.actor import Actor
from bot.licenses.facts import AppLicences, ContentTokenView
from bot.profiles.service import ProfileService
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService


class Licences(Protocol):
    """What is shown of licences."""

    async def list_content_tokens(self, *, actor: Actor) -> list[ContentTokenView]: ...

    async def licences(self, *, actor: Actor) -> dict[str, list[AppLicences]]: ...


class OpenAlerts(Protocol):
    """What is shown of alerts."""

    async def open_alerts(self, *, actor: Actor) -> list[AlertView]: ...


class HomeService:
    """Reads from the rooms below; changes nothing."""

    def __init__(
        self,
        *,
        tokens: TokenService,
        devices: DeviceService,
        profiles: ProfileService,
        licenses: Licences,
        alerts: OpenAlerts,
        assignments: AssignmentService,
    ) -> None:
        self._tokens = tokens
        self._devices = devices
        self._profiles = profiles
        self._licenses = licenses
        self._alerts = alerts
        self._assignments = assignments

    @property
    def texts(self) -> BackendTexts:
        """The service's own words, for the screens of this room."""
        return self._tokens.texts

    async def glance(self, *, actor: Actor) -> Glance:
        """Return how everything stands, as far as the actor may see it. Asks nobody outside."""
        tokens = await self._tokens.list_tokens(actor=actor)
        rows = await self._rows(tokens)
        carried = {uuid for row in rows for uuid in row.counts.by_profile}
        names = {token.id: token.name for token in tokens}
        known = await self._profiles.names_of(carried, token_ids=names)
        return Glance(
            tokens=rows,
            pending=await self._assignments.pending(tokens, actor=actor),
            by_profile=rules.by_profile(rows, known, names),
            content_tokens=await self._licenses.list_content_tokens(actor=actor),
            alerts=await self._alerts.open_alerts(actor=actor),
            licences=await self._licenses.licences(actor=actor),
            installed=await self._profiles.content.installed_apps(),
        )

    async def for_reader(self, glance: Glance, *, actor: Actor) -> Glance:
        """Return what somebody with the same rights sees: what waits for whose decision differs by person."""
        tokens = [row.token for row in glance.tokens]
        return replace(glance, pending=await self._assignments.pending(tokens, actor=actor))

    async def overview(self, *, actor: Actor) -> list[TokenRow]:
        """Return every token that the actor may see, by name."""
        return await self._rows(await self._tokens.list_tokens(actor=actor))

    async def token(self, name: str, *, actor: Actor) -> TokenRow:
        """Return one token by its name. Raises `TokenUnknown` with the nearest name."""
        return (await self._rows([await self._tokens.get(name, actor=actor)]))[0]

    async def token_by_id(self, token_id: str, *, actor: Actor) -> TokenRow:
        """Return one token by its id. Raises `TokenGone`."""
        return (await self._rows([await self._tokens.get_by_id(token_id, actor=actor)]))[0]

    async def _rows(self, tokens: Sequence[TokenView]) -> list[TokenRow]:
        counts = await self._devices.counts([token.id for token in tokens])
        syncs = await self._devices.sync_facts_of(tokens, counts)
        defaults = rules.defaults_by_token(await self._profiles.defaults.of([token.id for token in tokens]))
        return [
            TokenRow(
                token,
                counts.get(token.id, DeviceCounts()),
                syncs.get(token.id, TokenSyncFacts()),
                defaults.get(token.id, {}),
            )
            for token in tokens
        ]
