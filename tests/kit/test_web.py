import asyncio
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.kit import web
from bot.kit.errors import EnrollbotError
from bot.kit.web import Check, web_app
from tests.kit.conftest import Lines

TOKEN = SecretStr("planted-admin-token")


async def fine() -> None:
    return None


async def down() -> None:
    raise EnrollbotError("Slack does not answer.", next_step="Look at status.slack.com.")


async def broken() -> None:
    raise ConnectionResetError("db.example.com: planted detail")


def app(checks: Mapping[str, Check] | None = None, admin_token: SecretStr | None = None) -> Starlette:
    registry = CollectorRegistry()
    Counter("enrollbot_syncs", "Syncs.", registry=registry).inc()

    async def own(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ours")

    return web_app(
        [Route("/own", own)], checks=checks or {"database": fine}, registry=registry, admin_token=admin_token
    )


async def get(
    served: Starlette, path: str, *, caller: str = "127.0.0.1", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(served, client=(caller, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.example.com") as client:
        return await client.get(path, headers=headers)


async def test_a_living_process_is_healthy_even_when_nothing_else_is() -> None:
    answer = await get(app({"database": broken, "slack": down}), "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_ready_when_every_check_is() -> None:
    answer = await get(app({"database": fine, "slack": fine}), "/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "slack": "ok"})


async def test_not_ready_says_which_part_and_why() -> None:
    answer = await get(app({"database": fine, "slack": down}), "/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "database": "ok",
        "slack": "Slack does not answer. Look at status.slack.com.",
    }


async def test_a_check_that_breaks_is_not_ready_and_its_reason_is_for_the_log(logged: Lines) -> None:
    answer = await get(app({"database": broken}), "/readyz")
    assert answer.status_code == 503
    assert "planted" not in answer.text
    (line,) = logged()
    assert (line["event"], line["check"]) == ("readiness check failed", "database")
    assert "planted detail" in line["exception"]


async def test_a_check_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(web, "CHECK_TIMEOUT_S", 0.01)
    async with asyncio.timeout(5):
        answer = await get(app({"database": hang, "slack": fine}), "/readyz")
    assert answer.status_code == 503
    assert answer.json()["slack"] == "ok"
    assert "No answer" in answer.json()["database"]


async def test_routes_of_others_are_served() -> None:
    assert (await get(app(), "/own")).text == "ours"


@pytest.mark.parametrize("caller", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
async def test_without_an_admin_token_the_same_machine_reads_the_figures(caller: str) -> None:
    answer = await get(app(), "/metrics", caller=caller)
    assert answer.status_code == 200
    assert "enrollbot_syncs_total 1.0" in answer.text


@pytest.mark.parametrize("caller", ["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1", "testclient"])
async def test_without_an_admin_token_nobody_else_does(caller: str) -> None:
    answer = await get(app(), "/metrics", caller=caller)
    assert answer.status_code == 401
    assert "ENROLLBOT_ADMIN_TOKEN" in answer.text
    assert "enrollbot_syncs" not in answer.text


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto"]
)
async def test_a_caller_behind_a_local_proxy_is_not_local(header: str) -> None:
    assert (await get(app(), "/metrics", headers={header: "127.0.0.1"})).status_code == 401


async def test_with_an_admin_token_its_bearer_reads_from_anywhere() -> None:
    headers = {"Authorization": "Bearer planted-admin-token", "X-Forwarded-For": "10.0.0.7"}
    answer = await get(app(admin_token=TOKEN), "/metrics", caller="10.0.0.7", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer planted", "planted-admin-token", "Basic planted-admin-token"],
)
async def test_with_an_admin_token_nobody_reads_without_it(given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    answer = await get(app(admin_token=TOKEN), "/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "planted" not in answer.text
