"""One-time links by which a content token is handed over without passing through Slack."""

import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.kit.actor import Actor, Role
from bot.kit.addresses import is_loopback
from bot.kit.db import new_id
from bot.licenses import rules, store
from bot.licenses.books import Books, Subject
from bot.licenses.errors import LinksNotOffered, LinkUnusable
from bot.licenses.facts import LinkFacts, MadeLink
from bot.licenses.install import Installing
from bot.licenses.models import UploadLink

#: 32 random bytes: nobody finds a link by trying.
_SECRET_BYTES = 32
#: Longer than every secret part; what is longer is none, and no work for the database.
_LONGEST = 100


class Links:
    """Makes links and uses them up. Any replica takes what another has made."""

    def __init__(self, books: Books, installing: Installing) -> None:
        self._books = books
        self._installing = installing

    @property
    def base(self) -> str | None:
        """Where the upload pages stand, None where there are none.

        A content token must not travel in clear, so an http address that leads elsewhere is none.
        """
        url = self._books.settings.public_url
        if url is None:
            return None
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
        return f"{url}/upload" if is_safe else None

    def address(self, link: MadeLink) -> str:
        return f"{self.base}/{link.secret.get_secret_value()}"

    async def make_for_new(self, name: str, *, actor: Actor, tags: Sequence[str]) -> MadeLink:
        """Make a link for a new content token. Raises `LinksNotOffered` and what `check_new` raises."""
        self._require_offered()
        checked, found_tags = await self._installing.check_new(name, actor=actor, tags=tags)
        # There is nothing yet that could be the subject of the audit's entry but the name.
        return await self._make(Subject(new_id(), checked, found_tags), actor, content_token_id=None)

    async def make_for_renewal(self, content_token_id: str, *, actor: Actor) -> MadeLink:
        """Make a link to renew a content token. Raises `LinksNotOffered`, `ContentTokenGone`."""
        self._require_offered()
        async with self._books.db.read() as session:
            held = await self._books.load(session, content_token_id, actor, role=Role.ADMIN)
        return await self._make(held.subject, actor, content_token_id=content_token_id)

    async def look(self, secret: str) -> LinkFacts:
        """Return what a link is for; it stays as it is. Raises `LinkUnusable`."""
        async with self._books.db.read() as session:
            return self._facts(await store.open_link(session, self._digest(secret), self._books.clock.now()))

    async def use(self, secret: str) -> LinkFacts:
        """Use a link up: of two who come at once one gets it. Raises `LinkUnusable`."""
        async with self._books.db.begin() as session:
            return self._facts(await store.use_link(session, self._digest(secret), self._books.clock.now()))

    async def sweep(self) -> None:
        """Forget links that nobody can use any more."""
        async with self._books.db.begin() as session:
            await store.forget_links(session, before=self._books.clock.now())

    async def _make(self, subject: Subject, actor: Actor, *, content_token_id: str | None) -> MadeLink:
        secret, now = secrets.token_urlsafe(_SECRET_BYTES), self._books.clock.now()
        link = UploadLink(
            digest=rules.digest(secret),
            content_token_id=content_token_id,
            name=subject.name,
            tags=",".join(sorted(subject.tags)) if content_token_id is None else "",
            made_by=actor.id,
            made_at=now,
            expires_at=now + rules.LINK_LIFE,
        )
        async with self._books.db.begin() as session:
            session.add(link)
            await session.flush()
            detail = {"for": "a new content token" if content_token_id is None else "a renewal"}
            await self._books.record(session, actor, "link_made", subject, detail)
        return MadeLink(SecretStr(secret), link.expires_at)

    def _require_offered(self) -> None:
        if self.base is None:
            raise LinksNotOffered

    def _digest(self, secret: str) -> str:
        if len(secret) > _LONGEST or not secret.isascii():
            raise LinkUnusable(self._books.slash)
        return rules.digest(secret)

    def _facts(self, link: UploadLink | None) -> LinkFacts:
        if link is None:
            raise LinkUnusable(self._books.slash)
        return LinkFacts(
            name=link.name,
            content_token_id=link.content_token_id,
            tags=tuple(tag for tag in link.tags.split(",") if tag),
            made_by=link.made_by,
            expires_at=link.expires_at,
        )
