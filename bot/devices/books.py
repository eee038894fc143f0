"""What every act on devices shares: the database, the clock, the tokens that somebody may see."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import BackendTexts
from bot.kit.actor import Actor
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Leases
from bot.kit.once import claim_once
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.tokens.errors import DeliveredAgain, TokenGone
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

#: Who acts when nobody asked.
SYSTEM = Actor.job("sync")


@dataclass(frozen=True, slots=True)
class Books:
    db: Database
    clock: Clock
    leases: Leases
    audit: AuditService
    tokens: TokenService
    settings: Settings
    profiles: ProfileService

    @property
    def texts(self) -> BackendTexts:
        return self.tokens.texts

    async def claim(self, session: AsyncSession, delivery: str | None) -> None:
        """Claim a delivery inside the change that it causes. Raises `DeliveredAgain`."""
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def visible(self, actor: Actor) -> dict[str, TokenView]:
        """Return the tokens that the actor may see, by id."""
        return {token.id: token for token in await self.tokens.list_tokens(actor=actor)}

    async def token_or_none(self, token_id: str) -> TokenView | None:
        """Return a token, None when it was removed."""
        try:
            return await self.tokens.get_by_id(token_id, actor=SYSTEM)
        except TokenGone:
            return None
