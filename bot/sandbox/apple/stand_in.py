"""The stand-in for Apple as one ASGI application."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from starlette.types import Receive, Scope, Send

from bot.kit.clock import Clock
from bot.sandbox.apple.abm import BusinessManager
from bot.sandbox.apple.content_service import ContentService
from bot.sandbox.apple.control import Control
from bot.sandbox.apple.exchange import Exchange
from bot.sandbox.apple.service import EnrollmentService
from bot.sandbox.apple.world import World
from bot.sandbox.serving import serving


class AppleStandIn(World):
    """Stands in for Apple's device enrollment service, Apps and Books, and Apple Business Manager.

    State lives in `folder`, or in memory without one. The same `seed` invents the same devices and
    credentials. `app` serves the enrollment service at `/`, Apps and Books at `/mdm/v2`, people's pages at
    `/abm`, switches at `/_control`.
    """

    def __init__(self, clock: Clock, folder: Path | None = None, seed: int = 7) -> None:
        super().__init__(clock, folder=folder, seed=seed)
        self.service = EnrollmentService(self)
        self.content_service = ContentService(self)
        self._exchange = Exchange(self, self.service)
        self._content_exchange = Exchange(self, self.content_service)
        self._pages = BusinessManager(self).app
        self._control = Control(self, end_sessions=self.service.end_sessions).app

    def secrets(self) -> list[str]:
        """Return everything that opens this stand-in, or did."""
        return [*self.service.secrets(), *self.content_service.secrets()]

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path == "/" or path.startswith("/abm"):
            await self._pages(scope, receive, send)
        elif path.startswith("/_control/"):
            await self._control(scope, receive, send)
        elif self.content_service.serves(path):
            await self._content_exchange(scope, receive, send)
        else:
            await self._exchange(scope, receive, send)


def serve(standin: AppleStandIn, *, port: int = 0) -> AbstractAsyncContextManager[str]:
    """Give the base URL of a stand-in served on loopback while the context lasts; port 0 is a free one."""
    return serving(standin.app, port=port)
