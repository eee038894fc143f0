"""Which other token of this bot an uploaded file belongs to, and whether that one needs it."""

from pydantic import SecretStr

from bot.backend.port import EnrollmentBackend, TokenContents, TokenFileUnusable
from bot.kit.actor import Actor, Role
from bot.kit.secrets import SecretUnreadable
from bot.tokens import store
from bot.tokens.asking import Asking
from bot.tokens.books import Books
from bot.tokens.errors import Need, OtherToken, SecretsUnreadable
from bot.tokens.models import Token


class Others:
    """Looks among the tokens that a person may renew; the others are not betrayed."""

    def __init__(self, books: Books, asking: Asking, backend: EnrollmentBackend) -> None:
        self._books = books
        self._asking = asking
        self._backend = backend

    async def that_opens(self, content: bytes, *, but: str, actor: Actor) -> OtherToken | None:
        """Return the token whose certificate a file was made for."""
        async with self._books.db.read() as session:
            fitting = [
                row.token_id
                for row in await store.certificates(session)
                if row.token_id != but and self._backend.fits(content, row.certificate_pem)
            ]
            found = [await store.live_token(session, token_id) for token_id in fitting]
            tokens = [token for token in found if token is not None]
            tags = await store.tags_of(session, fitting)
        for token in tokens:
            if actor.rights.role_for(tags.get(token.id, frozenset())) >= Role.ADMIN:
                return OtherToken(token.id, token.name, await self._need(token, content, actor))
        return None

    async def of_server(self, server_uuid: str, *, but: str, actor: Actor) -> OtherToken | None:
        """Return the token of the server that a file was generated on; it cannot open the file."""
        async with self._books.db.read() as session:
            token = await store.token_of_server(session, server_uuid, but=but)
            tags = await store.tags_of(session, [token.id]) if token else {}
        if token is None or actor.rights.role_for(tags.get(token.id, frozenset())) < Role.ADMIN:
            return None
        return OtherToken(token.id, token.name, await self._ended_or_not(token), can_open=False)

    async def _need(self, token: Token, content: bytes, actor: Actor) -> Need:
        if token.installed_at is None or token.expires_at is None:
            return Need.FILE
        try:
            offered = await self._read(token, content, actor)
            used = await self._asking.credentials(token.id)
        except (TokenFileUnusable, SecretUnreadable, SecretsUnreadable):
            return Need.FILE
        if _is_same(offered.credentials, used):
            return Need.IN_USE
        if offered.expires_at < token.expires_at:
            return Need.OUTDATED
        return await self._ended_or_not(token)

    async def _read(self, token: Token, content: bytes, actor: Actor) -> TokenContents:
        async with self._books.db.read() as session:
            held = await self._books.load(session, token.id, actor)
        return await self._backend.read_token_file(content, held.pairs)

    async def _ended_or_not(self, token: Token) -> Need:
        answer = await self._asking.ask_for_person(token)
        return Need.ENDED if answer.accepted is False else Need.FILE


def _is_same(one: SecretStr, other: SecretStr) -> bool:
    return one.get_secret_value() == other.get_secret_value()
