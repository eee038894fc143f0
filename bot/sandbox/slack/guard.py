"""Keeps other sites in the same browser away from the stand-in."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class LoopbackOnly:
    """Refuses requests whose Host is no loopback name, and writes that come from another origin.

    The first stops names made to point at this machine (DNS rebinding), the second pages that post here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            word = _refusal(headers, method=scope["method"], scheme=scope["scheme"])
            if word is not None:
                text = "Open this page at its address on this machine (127.0.0.1 or localhost)."
                await JSONResponse({"ok": False, "error": word, "text": text}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class WhileBotIsUp:
    """Keeps the page closed while there is no bot to answer it; the page tries again by itself."""

    def __init__(self, app: ASGIApp, *, is_up: Callable[[], bool]) -> None:
        self._app = app
        self._is_up = is_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/page/") and not self._is_up():
            text = "The bot is starting. A few seconds more."
            await JSONResponse({"ok": False, "error": "bot_starting", "text": text}, 503)(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)


def _refusal(headers: Headers, *, method: str, scheme: str) -> str | None:
    host = headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in LOOPBACK:
        return "host_not_allowed"
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    origin = headers.get("origin")
    if origin is not None and origin != f"{scheme}://{host}":
        return "origin_not_allowed"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "origin_not_allowed"
    return None
