"""Which profile a token's new devices get by themselves, and which UUIDs the service does not know."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import RequestRefused
from bot.backend.profile import Platform
from bot.kit.actor import Actor
from bot.kit.logs import get_logger
from bot.profiles import store
from bot.profiles.books import Books
from bot.profiles.errors import ProfileGone
from bot.profiles.facts import DefaultView
from bot.profiles.models import DefaultProfile, Profile, ProfileVersion
from bot.tokens.facts import TokenView

log = get_logger(__name__)

#: UUIDs that the service is asked about in one go; devices with another one are left alone.
_ASKED_AT_ONCE = 20


class Defaults:
    """The defaults of tokens. Who may change one is for the room that decides on it."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def of(self, token_ids: Collection[str]) -> list[DefaultView]:
        """Return the defaults of these tokens. The caller has checked the right to see them."""
        async with self._books.db.read() as session:
            return await self.of_in(session, token_ids)

    async def of_in(self, session: AsyncSession, token_ids: Collection[str]) -> list[DefaultView]:
        """Return what `of` does, inside the caller's transaction."""
        return [_view(*row) for row in await store.defaults(session, token_ids)]

    async def change_in(
        self,
        session: AsyncSession,
        token: TokenView,
        platforms: Sequence[Platform],
        profile_id: str | None,
        *,
        actor: Actor,
    ) -> None:
        """Make a profile the default for these platforms, or none, inside the caller's transaction.

        The caller has checked the right. Raises `ProfileGone`.
        """
        named = [platform.value for platform in platforms]
        rows = await store.defaults(session, [token.id])
        before = {row.platform: profile.name for row, profile, _ in rows if row.platform in named}
        after = None
        if profile_id is not None:
            # Locked, so that nobody deletes it before this is done.
            found = await store.live_one(session, profile_id, locks=True)
            if found is None or found[0].token_id != token.id:
                raise ProfileGone
            after = found[0].name
        await store.drop_defaults(session, token.id, named)
        if profile_id is not None:
            now = self._books.clock.now()
            session.add_all(
                DefaultProfile(
                    token_id=token.id, platform=name, profile_id=profile_id, set_by=actor.id, set_at=now
                )
                for name in named
            )
            await session.flush()
        detail = {name: {"before": before.get(name), "after": after} for name in named}
        await self._books.record_of_token(session, actor, "token.default_set", token, detail)

    async def missing(self, token_id: str, uuids: Collection[str]) -> set[str]:
        """Return those of these UUIDs that the service knows no profile of. Raises the service's errors.

        A profile of this token that is known here is not asked about.
        """
        async with self._books.db.read() as session:
            known = {
                version.profile_uuid
                for profile, version in await store.by_uuid(session, uuids)
                if profile.token_id == token_id
            }
        wanted = sorted(set(uuids) - known)[:_ASKED_AT_ONCE]
        if not wanted:
            return set()
        connection = await self._books.tokens.connection(token_id)
        missing = set()
        for each in wanted:
            try:
                if await connection.read_profile(each) is None:
                    missing.add(each)
            except RequestRefused as error:
                log.warning("a profile cannot be asked for", uuid=each, why=str(error))
        return missing

    async def gone(self, token_id: str, uuids: Collection[str]) -> set[str]:
        """Return those of these UUIDs that the service no longer knows. Raises the service's errors."""
        if not uuids:
            return set()
        connection = await self._books.tokens.connection(token_id)
        return {each for each in sorted(set(uuids)) if await connection.read_profile(each) is None}


def _view(row: DefaultProfile, profile: Profile, version: ProfileVersion) -> DefaultView:
    return DefaultView(
        token_id=row.token_id,
        platform=Platform(row.platform),
        profile_id=profile.id,
        profile_name=profile.name,
        profile_uuid=version.profile_uuid,
        version=version.number,
    )
