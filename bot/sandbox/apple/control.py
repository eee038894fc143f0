"""The switches over HTTP, for tests and tools that are not in this process: JSON under `/_control`."""

import dataclasses
import ipaddress
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Literal, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.kit.errors import EnrollbotError
from bot.sandbox.apple.apps import COMPANY_PORTAL
from bot.sandbox.apple.faults import Switches, Trouble
from bot.sandbox.apple.locations import Location
from bot.sandbox.apple.state import Server, iso
from bot.sandbox.apple.world import World

Handler = Callable[[Request], Awaitable[Response]]
Order = TypeVar("Order")


class NotAnOrder(EnrollbotError):
    """The JSON sent to a switch is not what it takes."""


class TermsOrder(msgspec.Struct, forbid_unknown_fields=True):
    signed: bool
    organisation: str | None = None


class ServerOrder(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    devices: int = 0
    organisation: str | None = None


class CertificateOrder(msgspec.Struct, forbid_unknown_fields=True):
    server: str
    certificate: str


class TokenOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`generate` answers the file; the others change the token in use."""

    server: str
    action: Literal["generate", "reject", "accept", "expire"]
    apple_id: str = "ade@example.com"
    valid_days: float = 365


class AccessOrder(msgspec.Struct, forbid_unknown_fields=True):
    server: str
    denied: bool | None = None
    may_release: bool | None = None


class DeviceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`count` takes the server's oldest devices, `serials` names them; `add` needs a count."""

    server: str
    action: Literal["add", "remove", "reassign", "modify", "break", "activate", "set_profile"]
    count: int | None = None
    serials: list[str] | None = None
    to: str | None = None
    keep_profile: bool = False
    flaw: str = "no serial"
    profile_uuid: str | None = None


class LocationOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`portal` is how many Company Portals the location has, and how many of them are in use."""

    name: str
    apps: int = 0
    portal: tuple[int, int] | None = None
    organisation: str | None = None


class ContentOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`generate` answers the file; `revoke`, `accept` and `expire` change every token of the location.

    `count` buys licences of an app and assigns some (below zero: frees them); `take` lets an MDM manage the
    location, None nobody.
    """

    location: str
    action: Literal["generate", "revoke", "accept", "expire", "count", "take"]
    valid_days: float = 365
    app: str = COMPANY_PORTAL
    bought: int = 0
    assigned: int = 0
    mdm: str | None = None


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    kind: Trouble
    fraction: float = 1.0
    times: int | None = None
    after: int = 0
    path: str | None = None
    retry_after: str = "120"


class Control:
    """Everything that a test may do to the stand-in, under `/_control`, on loopback only."""

    def __init__(self, world: World, *, end_sessions: Callable[[], None]) -> None:
        self._world = world
        self._end_sessions = end_sessions
        reads = {"state": self._state, "log": self._log, "devices": self._snapshot}
        orders = {
            "terms": self._terms,
            "servers": self._servers,
            "certificate": self._certificate,
            "token": self._token,
            "access": self._access,
            "devices": self._devices,
            "locations": self._locations,
            "content": self._content,
            "faults": self._plan,
            "switches": self._switch,
            "sessions/end": self._end,
        }
        routes = [Route(f"/_control/{name}", _guarded(read)) for name, read in reads.items()]
        routes += [Route(f"/_control/{n}", _guarded(order), methods=["POST"]) for n, order in orders.items()]
        routes.append(Route("/_control/faults", _guarded(self._clear), methods=["DELETE"]))
        self.app = Starlette(routes=routes)

    async def _state(self, request: Request) -> Response:
        world = self._world
        return JSONResponse(
            {
                "now": iso(world.now()),
                "organisations": [dataclasses.asdict(o) for o in world.organisations.values()],
                "servers": [self._server(server) for server in world.servers.values()],
                "locations": [_location(location) for location in world.content.all.values()],
                "switches": msgspec.to_builtins(world.switches),
                "faults": msgspec.to_builtins(world.faults.planned),
            }
        )

    def _server(self, server: Server) -> dict[str, object]:
        made = server.credentials
        token = made and {
            "made_by": made.made_by,
            "made_at": iso(made.made_at),
            "expires_at": iso(made.expires_at),
            "is_rejected": made.is_rejected,
        }
        return {
            "name": server.name,
            "server_uuid": server.server_uuid,
            "org_id": server.org_id,
            "devices": self._world.store.count(server.number),
            "has_certificate": server.certificate_pem is not None,
            "token": token,
            "is_denied": server.is_denied,
            "may_release": server.may_release,
        }

    async def _log(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        entries = self._world.log.since(int(since) if since.isdecimal() else 0)
        return JSONResponse(msgspec.to_builtins(entries))

    async def _snapshot(self, request: Request) -> Response:
        return JSONResponse(self._world.snapshot(request.query_params.get("server")))

    async def _terms(self, request: Request) -> Response:
        order = await _order(request, TermsOrder)
        self._world.sign_terms(signed=order.signed, organisation=order.organisation)
        return _done()

    async def _servers(self, request: Request) -> Response:
        order = await _order(request, ServerOrder)
        server = self._world.create_server(order.name, devices=order.devices, organisation=order.organisation)
        return JSONResponse(self._server(server))

    async def _certificate(self, request: Request) -> Response:
        order = await _order(request, CertificateOrder)
        self._world.upload_certificate(order.server, order.certificate)
        return _done()

    async def _token(self, request: Request) -> Response:
        order = await _order(request, TokenOrder)
        if order.action == "generate":
            valid_for = timedelta(days=order.valid_days)
            name, content = self._world.generate_token(order.server, order.apple_id, valid_for=valid_for)
            headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            return Response(content, media_type="application/pkcs7-mime", headers=headers)
        if order.action == "expire":
            self._world.expire_token(order.server)
        else:
            self._world.reject_token(order.server, rejected=order.action == "reject")
        return _done()

    async def _locations(self, request: Request) -> Response:
        order = await _order(request, LocationOrder)
        organisation = self._world.organisation(order.organisation)
        made = self._world.content.create(
            order.name, org_id=organisation.org_id, apps=order.apps, portal=order.portal
        )
        return JSONResponse(_location(made))

    async def _content(self, request: Request) -> Response:
        order = await _order(request, ContentOrder)
        content = self._world.content
        match order.action:
            case "generate":
                valid_for = timedelta(days=order.valid_days)
                name, file = content.generate_token(order.location, valid_for=valid_for)
                headers = {"Content-Disposition": f'attachment; filename="{name}"'}
                return Response(file, media_type="application/octet-stream", headers=headers)
            case "expire":
                content.expire(order.location)
            case "count":
                content.change(order.location, order.app, bought=order.bought, assigned=order.assigned)
            case "take":
                content.take(order.location, order.mdm)
            case _:
                content.revoke(order.location, revoked=order.action == "revoke")
        return _done()

    async def _access(self, request: Request) -> Response:
        order = await _order(request, AccessOrder)
        if order.denied is not None:
            self._world.deny(order.server, denied=order.denied)
        if order.may_release is not None:
            self._world.allow_release(order.server, allowed=order.may_release)
        return _done()

    async def _devices(self, request: Request) -> Response:
        order = await _order(request, DeviceOrder)
        if order.action == "add":
            return _serials(self._world.add_devices(order.server, order.count or 0))
        devices = order.serials if order.serials is not None else order.count
        if devices is None:
            raise NotAnOrder("Give a count or serials.")
        return _serials(self._change(order, devices))

    def _change(self, order: DeviceOrder, devices: int | list[str]) -> list[str]:
        world, server = self._world, order.server
        match order.action:
            case "remove":
                return world.remove_devices(server, devices)
            case "reassign":
                if order.to is None:
                    raise NotAnOrder("Say to which server, in `to`.")
                return world.reassign_devices(server, devices, to=order.to, keep_profile=order.keep_profile)
            case "modify":
                return world.modify_devices(server, devices)
            case "break":
                return world.break_devices(server, devices, flaw=order.flaw)
            case "activate":
                return world.activate_devices(server, devices)
            case _:
                return world.set_profile(server, devices, order.profile_uuid)

    async def _plan(self, request: Request) -> Response:
        order = await _order(request, FaultOrder)
        self._world.faults.plan(**msgspec.structs.asdict(order))
        return _done()

    async def _clear(self, request: Request) -> Response:
        self._world.faults.clear()
        return _done()

    async def _switch(self, request: Request) -> Response:
        given = await _order(request, dict[str, object])
        switches = self._world.switches
        present = msgspec.to_builtins(switches)
        if unknown := set(given) - set(present):
            raise NotAnOrder(f"There is no switch {sorted(unknown)[0]}.")
        try:
            wanted = msgspec.convert({**present, **given}, Switches)
        except msgspec.ValidationError as error:
            raise NotAnOrder(str(error)) from None
        for name in given:
            setattr(switches, name, getattr(wanted, name))
        return _done()

    async def _end(self, request: Request) -> Response:
        self._end_sessions()
        return _done()


def _location(location: Location) -> dict[str, object]:
    token = location.token
    return {
        "name": location.name,
        "uid": location.uid,
        "org_id": location.org_id,
        "apps": len(location.stock),
        "version": location.version,
        "mdm": location.mdm,
        "token": token and {"expires_at": iso(token.expires_at), "is_revoked": token.is_revoked},
    }


def _guarded(handler: Handler) -> Handler:
    """Answer only this machine, and only programs: a web page elsewhere cannot send JSON here unasked."""

    async def guarded(request: Request) -> Response:
        if not _is_local(request):
            return JSONResponse({"error": "Only from this computer."}, status_code=403)
        if request.method == "POST" and request.headers.get("content-type", "") != "application/json":
            return JSONResponse({"error": "Send application/json."}, status_code=415)
        try:
            return await handler(request)
        except EnrollbotError as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=400)

    return guarded


def _is_local(request: Request) -> bool:
    client = request.client.host if request.client else ""
    try:
        from_here = ipaddress.ip_address(client).is_loopback
    except ValueError:
        from_here = False
    return from_here and request.url.hostname in ("127.0.0.1", "localhost", "::1")


async def _order(request: Request, order: type[Order]) -> Order:
    try:
        return msgspec.json.decode(await request.body(), type=order)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise NotAnOrder(str(error)) from None


def _done() -> Response:
    return JSONResponse({"ok": True})


def _serials(serials: Sequence[str]) -> Response:
    return Response(json.dumps({"serials": list(serials)}), media_type="application/json")
