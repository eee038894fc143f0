"""The web server's own pages: is the process alive, is it ready, and its figures."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.kit.addresses import is_loopback
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger

log = get_logger(__name__)

#: Says nothing when all is well, raises an EnrollbotError when not.
Check = Callable[[], Awaitable[None]]

#: A probe that gets no answer counts this one as down, so say which part it is before that.
CHECK_TIMEOUT_S = 5

#: What proxies add. One that adds none of them is indistinguishable from a local caller: set
#: ENROLLBOT_ADMIN_TOKEN behind it.
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def web_app(
    routes: Sequence[BaseRoute],
    *,
    checks: Mapping[str, Check],
    registry: CollectorRegistry,
    admin_token: SecretStr | None,
    refresh: Callable[[], Awaitable[None]] | None = None,
) -> Starlette:
    """Mount `routes` beside /healthz, /readyz and /metrics.

    /metrics wants `admin_token` as bearer; without one it answers on loopback only. `refresh` brings its
    figures up to date before they are read.
    """

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        texts = await asyncio.gather(*(_answer(name, check) for name, check in checks.items()))
        answers = dict(zip(checks, texts, strict=True))
        is_ready = all(answer == "ok" for answer in answers.values())
        return JSONResponse(answers, status_code=200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        if not _may_read_metrics(request, admin_token):
            return PlainTextResponse(
                "This needs ENROLLBOT_ADMIN_TOKEN as bearer token.\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        if refresh is not None:
            await refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *routes])


async def _answer(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except EnrollbotError as problem:
        return str(problem)
    except TimeoutError:
        return f"No answer within {CHECK_TIMEOUT_S} seconds."
    except Exception:
        # Not ready is an answer too, whatever the reason; its details are not for everyone.
        log.exception("readiness check failed", check=name)
        return "Failed; the log has the reason."
    return "ok"


def _may_read_metrics(request: Request, admin_token: SecretStr | None) -> bool:
    if admin_token is None:
        # A proxy in front makes everyone look local, and says so.
        is_forwarded = any(header in request.headers for header in _PROXY_HEADERS)
        return request.client is not None and is_loopback(request.client.host) and not is_forwarded
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), b"Bearer " + admin_token.get_secret_value().encode())
