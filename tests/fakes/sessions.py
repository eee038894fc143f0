"""The session of one token, kept in memory: what the tokens room keeps in the database."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from bot.backend.port import Session


class FakeSessions:
    """Satisfies the port's `Sessions`. `stored` is the session in force."""

    def __init__(self) -> None:
        self.stored: Session | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> Session | None:
        return self.stored

    async def renew(self, used: Session | None, login: Callable[[], Awaitable[SecretStr]]) -> Session:
        async with self._lock:
            if self.stored is None or self.stored == used:
                self.stored = Session(await login(), self._next_version())
            return self.stored

    async def rotate(self, used: Session, value: SecretStr) -> Session:
        async with self._lock:
            if self.stored is None or self.stored == used:
                self.stored = Session(value, self._next_version())
            return self.stored

    def _next_version(self) -> int:
        return 1 if self.stored is None else self.stored.version + 1
