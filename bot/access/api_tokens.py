"""API tokens: made and revoked at the command line, sent by programs that read."""

import hmac
import secrets
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import rules, store
from bot.access.errors import ApiTokenNameTaken, ApiTokenRefused, ApiTokenUnknown
from bot.access.facts import AddedApiToken, ApiTokenView
from bot.audit.service import AuditService
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.nearest import nearest

#: A program that reads all the time would else write with every request.
USE_NOTED_EVERY = timedelta(minutes=1)


class ApiTokenService:
    """Makes, lists and revokes API tokens, and says who a secret stands for."""

    def __init__(self, *, db: Database, clock: Clock, audit: AuditService) -> None:
        self._db = db
        self._clock = clock
        self._audit = audit

    async def add(self, name: str, *, tags: frozenset[str] | None, actor: Actor) -> AddedApiToken:
        """Make an API token that reads what carries one of `tags`, or everything.

        Its secret is in the answer and nowhere else. Raises `ApiTokenNameWrong`, `ApiTokenNameTaken`,
        `TagsNeeded`, `TagsNotOwn`, `NotAllowed`.
        """
        actor.require(Role.ADMIN)
        rules.check_may_change(actor.rights, tags)
        checked = rules.check_api_token_name(name)
        secret = rules.API_TOKEN_BEGINS + secrets.token_urlsafe(32)
        token = ApiTokenView(new_id(), checked, tags, self._clock.now(), last_used_at=None, revoked_at=None)
        async with self._db.begin() as session:
            is_new = await store.add_api_token(
                session, token, name_key=rules.name_key(checked), digest=rules.digest_of(secret)
            )
            if not is_new:
                raise ApiTokenNameTaken(checked)
            await self._record(session, actor, "api_token.added", token)
        return AddedApiToken(token, SecretStr(secret))

    async def list_api_tokens(self, *, actor: Actor) -> list[ApiTokenView]:
        """Return the API tokens that the actor may see, those in use first. Raises `NotAllowed`."""
        actor.require(Role.ADMIN)
        async with self._db.read() as session:
            found = await store.api_tokens(session)
        return [each for each in found if rules.is_visible(actor.rights, each.tags)]

    async def revoke(self, name: str, *, actor: Actor) -> ApiTokenView:
        """End an API token: its next request is refused.

        Raises `ApiTokenUnknown` with the nearest name, `TagsNotOwn`, `NotAllowed`.
        """
        seen = {
            rules.name_key(each.name): each
            for each in await self.list_api_tokens(actor=actor)
            if each.revoked_at is None
        }
        token = seen.get(rules.name_key(name))
        if token is None:
            raise _unknown(name, seen)
        rules.check_may_change(actor.rights, token.tags)
        async with self._db.begin() as session:
            if not await store.revoke_api_token(session, token.id, now=self._clock.now()):
                raise _unknown(name, {})
            await self._record(session, actor, "api_token.revoked", token)
        return token

    async def actor_of(self, secret: SecretStr) -> Actor:
        """Return who sends this secret: a viewer, limited to the token's tags. Raises `ApiTokenRefused`."""
        given = secret.get_secret_value()
        if not rules.looks_like_api_token(given):
            raise ApiTokenRefused
        digest = rules.digest_of(given)
        async with self._db.read() as session:
            found = await store.api_token_of(session, digest)
        if found is None:
            raise ApiTokenRefused
        token, stored = found
        # The index was asked for a digest, whose beginning tells nobody a secret; this is the last word.
        if not hmac.compare_digest(stored, digest) or token.revoked_at is not None:
            raise ApiTokenRefused
        await self._note_used(token)
        return Actor.api(token.name, tags=token.tags)

    async def _note_used(self, token: ApiTokenView) -> None:
        now = self._clock.now()
        if token.last_used_at is not None and now - token.last_used_at < USE_NOTED_EVERY:
            return
        async with self._db.begin() as session:
            await store.note_api_token_used(session, token.id, now=now, at_most_every=USE_NOTED_EVERY)

    async def _record(self, session: AsyncSession, actor: Actor, action: str, token: ApiTokenView) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="api_token",
            subject_id=token.id,
            subject_name=token.name,
            tags=token.tags or frozenset(),
            detail={"tags": "every token" if token.tags is None else sorted(token.tags)},
        )


def _unknown(name: str, seen: dict[str, ApiTokenView]) -> ApiTokenUnknown:
    near = nearest(name, seen)
    return ApiTokenUnknown(name.strip()[:60], seen[near].name if near else None)
