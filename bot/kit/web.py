"""The web server's own pages: is the process alive, is it ready, and its figures."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.kit.errors import EnrollbotError

#: Says nothing when all is well, raises an EnrollbotError when not.
Check = Callable[[], Awaitable[None]]

_LOOPBACK = ("127.0.0.1", "::1")


def web_app(
    routes: Sequence[BaseRoute],
    *,
    checks: Mapping[str, Check],
    registry: CollectorRegistry,
    admin_token: SecretStr | None,
) -> Starlette:
    """Mount `routes` beside /healthz, /readyz and /metrics.

    /metrics wants `admin_token` as bearer; without one it answers on loopback only.
    """

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        answers = {name: await _answer(check) for name, check in checks.items()}
        is_ready = all(answer == "ok" for answer in answers.values())
        return JSONResponse(answers, status_code=200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        if not _may_read_metrics(request, admin_token):
            return PlainTextResponse("This needs ENROLLBOT_ADMIN_TOKEN as bearer token.\n", status_code=401)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *routes])


async def _answer(check: Check) -> str:
    try:
        await check()
    except EnrollbotError as problem:
        return str(problem)
    return "ok"


def _may_read_metrics(request: Request, admin_token: SecretStr | None) -> bool:
    if admin_token is None:
        # A proxy in front makes everyone look local, and says so.
        is_forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
        return request.client is not None and request.client.host in _LOOPBACK and not is_forwarded
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), b"Bearer " + admin_token.get_secret_value().encode())
