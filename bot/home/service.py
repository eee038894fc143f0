"""Join what the rooms know of tokens."""

from bot.backend.port import BackendTexts
from bot.devices.facts import DeviceCounts
from bot.devices.service import DeviceService
from bot.home.rules import TokenRow
from bot.kit.actor import Actor
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService


class HomeService:
    """Reads from the rooms below; changes nothing."""

    def __init__(self, *, tokens: TokenService, devices: DeviceService) -> None:
        self._tokens = tokens
        self._devices = devices

    @property
    def texts(self) -> BackendTexts:
        """The service's own words, for the screens of this room."""
        return self._tokens.texts

    async def overview(self, *, actor: Actor) -> list[TokenRow]:
        """Return every token that the actor may see, by name."""
        return await self._rows(await self._tokens.list_tokens(actor=actor))

    async def token(self, name: str, *, actor: Actor) -> TokenRow:
        """Return one token by its name. Raises `TokenUnknown` with the nearest name."""
        return (await self._rows([await self._tokens.get(name, actor=actor)]))[0]

    async def token_by_id(self, token_id: str, *, actor: Actor) -> TokenRow:
        """Return one token by its id. Raises `TokenGone`."""
        return (await self._rows([await self._tokens.get_by_id(token_id, actor=actor)]))[0]

    async def _rows(self, tokens: list[TokenView]) -> list[TokenRow]:
        ids = [token.id for token in tokens]
        counts = await self._devices.counts(ids)
        return [
            TokenRow(token, counts.get(token.id, DeviceCounts()), await self._devices.sync_facts(token.id))
            for token in tokens
        ]
