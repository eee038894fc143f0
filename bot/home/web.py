"""The API that the organisation's MDM server reads: devices, profiles, and what they are described by."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from bot.access.api_tokens import ApiTokenService
from bot.access.errors import ApiTokenRefused
from bot.devices.errors import DeviceUnknown
from bot.devices.service import DeviceService
from bot.home import openapi
from bot.home.answers import (
    DeviceAnswer,
    ErrorAnswer,
    ProfileAnswer,
    device_answer,
    profile_answer,
    uuid_of,
)
from bot.kit import logs
from bot.kit.actor import Actor
from bot.kit.errors import EnrollbotError
from bot.profiles.errors import ProfileUnknown
from bot.profiles.facts import VersionView
from bot.profiles.service import ProfileService

log = logs.get_logger(__name__)

#: Answers are about now and for one program: nobody on the way keeps them.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_BEARER = {"WWW-Authenticate": "Bearer"}
#: Longer than every serial number and UUID; what is longer is none, and no work for the database.
_LONGEST = 100

Reads = Callable[[str, Actor], Awaitable[msgspec.Struct]]


class _ApiTokenMissing(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "This needs an API token.",
            next_step="Send the header Authorization: Bearer SECRET, with the secret that"
            " enrollbot api-token add NAME shows.",
        )


def routes(
    *, api_tokens: ApiTokenService, devices: DeviceService, profiles: ProfileService
) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = _Api(api_tokens, devices, profiles)
    app = Starlette(
        routes=[
            Route("/v1/devices/{name}", api.reading(api.device)),
            Route("/v1/profiles/{name}", api.reading(api.profile)),
            Route("/v1/openapi.json", _describe),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    # A path with a slash too many is another path, not a reason to send the secret once more.
    app.router.redirect_slashes = False
    return [Mount("/api", app=app)]


class _Api:
    def __init__(self, api_tokens: ApiTokenService, devices: DeviceService, profiles: ProfileService) -> None:
        self._api_tokens = api_tokens
        self._devices = devices
        self._profiles = profiles

    def reading(self, reads: Reads) -> Callable[[Request], Awaitable[Response]]:
        """Let `reads` answer who has an API token; what it raises becomes an answer too."""

        async def answer(request: Request) -> Response:
            with logs.with_reference(logs.new_reference()) as reference:
                try:
                    actor = await self._api_tokens.actor_of(_secret_of(request))
                    return _json(await reads(_name_in(request), actor))
                except (_ApiTokenMissing, ApiTokenRefused) as problem:
                    return _error(401, problem, headers=_BEARER)
                except (DeviceUnknown, _NoSuchProfile) as problem:
                    return _error(404, problem)
                except Exception:
                    log.exception("the API cannot answer")
                    return _error(500, _Failed(reference))

        return answer

    async def device(self, serial: str, actor: Actor) -> DeviceAnswer:
        if not _is_plain(serial):
            raise DeviceUnknown
        row = await self._devices.known(serial, actor=actor)
        uuid = uuid_of(row)
        return device_answer(row, version=await self._version(uuid, actor) if uuid else None)

    async def profile(self, uuid: str, actor: Actor) -> ProfileAnswer:
        version = await self._version(uuid, actor) if _is_plain(uuid) else None
        if version is None:
            raise _NoSuchProfile
        await self._profiles.note_read(version)
        held = await self._profiles.content.of_version(version.profile_uuid)
        return profile_answer(version, content=held[1] if held else None)

    async def _version(self, uuid: str, actor: Actor) -> VersionView | None:
        """Return what is known of a profile, None where nothing is, or nothing for the actor to see."""
        try:
            return await self._profiles.version_of(uuid, actor=actor)
        except ProfileUnknown:
            return None


class _Failed(EnrollbotError):
    def __init__(self, reference: str) -> None:
        super().__init__(
            f"Something went wrong (reference {reference}).",
            next_step="Try again; whoever runs the bot finds the reason in its log by the reference.",
        )


class _NoSuchProfile(EnrollbotError):
    """No version here has this UUID, or none that the actor may see: both sound the same."""

    def __init__(self) -> None:
        super().__init__(
            "There is no such profile here, or it is not yours to see.",
            next_step="Read a device: its answer has the UUID of its profile, if it has one.",
        )


class _NoSuchPath(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "There is nothing at this path.", next_step="GET /api/v1/openapi.json says what there is."
        )


class _OnlyReads(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("The API only reads.", next_step="Use GET or HEAD.")


class _NotUnderstood(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "This request cannot be understood.", next_step="GET /api/v1/openapi.json says what there is."
        )


async def _describe(_request: Request) -> Response:
    # It names keys and no devices: programs that make clients from it have no token yet.
    return _json(openapi.document())


async def _refuse(_request: Request, refused: Exception) -> Response:
    """Answer what the routes do not take."""
    status = refused.status_code if isinstance(refused, HTTPException) else 400
    headers = dict(refused.headers or {}) if isinstance(refused, HTTPException) else {}
    problem = {404: _NoSuchPath, 405: _OnlyReads}.get(status, _NotUnderstood)
    return _error(status, problem(), headers=headers)


def _secret_of(request: Request) -> SecretStr:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise _ApiTokenMissing
    return SecretStr(secret.strip())


def _name_in(request: Request) -> str:
    name: str = request.path_params["name"]
    return name.strip()


def _is_plain(text: str) -> bool:
    """Say whether a text can be a serial number or UUID at all: PostgreSQL takes no NUL, for one."""
    return text.isascii() and text.isprintable() and len(text) <= _LONGEST


def _json(answer: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(answer),
        status_code=status,
        media_type="application/json",
        headers={**_HEADERS, **(headers or {})},
    )


def _error(status: int, problem: EnrollbotError, *, headers: Mapping[str, str] | None = None) -> Response:
    answer = ErrorAnswer(error=problem.message, next_step=problem.next_step or "")
    return _json(answer, status=status, headers=headers)
