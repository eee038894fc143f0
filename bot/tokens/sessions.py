"""Where the service's session of a token is kept: sealed in the database, shared by all replicas."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import ServiceUnavailable, Session
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.leases import Lease, Leases
from bot.kit.secrets import Keyring
from bot.tokens import store
from bot.tokens.models import ApiSession

#: Longer than a login with its retries takes, at most 90 s; a replica killed in one delays the others by
#: this much.
_LOGIN_TTL = timedelta(seconds=120)
_LOOK_AGAIN_S = 0.25
_LOOKS = int(_LOGIN_TTL.total_seconds() / _LOOK_AGAIN_S) + 40


class MemorySessions:
    """The session of a token that is not stored yet: it is being tried out."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> Session | None:
        return self.session

    async def renew(self, used: Session | None, login: Callable[[], Awaitable[SecretStr]]) -> Session:
        async with self._lock:
            if self.session is not None and self.session != used:
                return self.session
            version = 1 if used is None else used.version + 1
            self.session = Session(await login(), version)
            return self.session

    async def rotate(self, used: Session, value: SecretStr) -> Session:
        if self.session is None or self.session.version != used.version:
            return self.session or used
        self.session = Session(value, used.version + 1)
        return self.session


class SessionVault:
    """Seals and opens stored sessions, and lets one login per token happen at a time in this process."""

    def __init__(self, *, db: Database, clock: Clock, keyring: Keyring) -> None:
        self.db = db
        self.clock = clock
        self.leases = Leases(db, clock)
        self._keyring = keyring
        self._locks: dict[str, asyncio.Lock] = {}

    def lock(self, token_id: str) -> asyncio.Lock:
        return self._locks.setdefault(token_id, asyncio.Lock())

    def seal(self, token_id: str, value: SecretStr) -> bytes:
        return self._keyring.encrypt(value, table="token_session", column="value", row=token_id)

    def open(self, row: ApiSession | None) -> Session | None:
        if row is None:
            return None
        value = self._keyring.decrypt(row.value, table="token_session", column="value", row=row.token_id)
        return Session(value, row.version)

    async def put(self, session: AsyncSession, token_id: str, value: SecretStr) -> None:
        """Store the session of a token that was just stored, over whatever the former one had."""
        held = await store.api_session(session, token_id)
        seen = None if held is None else held.version
        await store.replace_api_session(
            session,
            token_id,
            seen_version=seen,
            value=self.seal(token_id, value),
            version=1 if seen is None else seen + 1,
        )


class DatabaseSessions:
    """The session of one stored token. Satisfies the port's `Sessions`."""

    def __init__(self, vault: SessionVault, token_id: str) -> None:
        self._vault = vault
        self._token_id = token_id

    async def current(self) -> Session | None:
        async with self._vault.db.read() as session:
            return self._vault.open(await store.api_session(session, self._token_id))

    async def renew(self, used: Session | None, login: Callable[[], Awaitable[SecretStr]]) -> Session:
        """Log in if `used` is still the session stored; else return what somebody else got.

        One login at a time: a lock in this process, a lease between replicas. Raises
        `ServiceUnavailable` when another replica's login does not end.
        """
        async with self._vault.lock(self._token_id):
            for _ in range(_LOOKS):
                held = await self.current()
                if held is not None and (used is None or held.version != used.version):
                    return held
                lease = await self._vault.leases.try_hold(f"login:{self._token_id}", ttl=_LOGIN_TTL)
                if lease is not None:
                    return await self._log_in(lease, used, login)
                await self._vault.clock.sleep(_LOOK_AGAIN_S)
        raise ServiceUnavailable(
            "Another replica's sign-in has not ended.", next_step="Try again in a minute."
        )

    async def rotate(self, used: Session, value: SecretStr) -> Session:
        return await self._store(used, value)

    async def _log_in(
        self, lease: Lease, used: Session | None, login: Callable[[], Awaitable[SecretStr]]
    ) -> Session:
        try:
            # Somebody may have logged in between our look and our lease.
            held = await self.current()
            if held is not None and (used is None or held.version != used.version):
                return held
            return await self._store(used, await login())
        finally:
            await self._vault.leases.release(lease)

    async def _store(self, used: Session | None, value: SecretStr) -> Session:
        version = 1 if used is None else used.version + 1
        async with self._vault.db.begin() as session:
            if await store.live_token(session, self._token_id, locks=True) is None:
                # Removed meanwhile, with all its secrets; the caller's call ends by itself.
                return Session(value, version)
            stored = await store.replace_api_session(
                session,
                self._token_id,
                seen_version=None if used is None else used.version,
                value=self._vault.seal(self._token_id, value),
                version=version,
            )
            held = None if stored else self._vault.open(await store.api_session(session, self._token_id))
        return held or Session(value, version)
