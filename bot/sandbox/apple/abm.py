"""Apple Business Manager's pages for people, as far as enrollment needs them. Plain HTML, no scripts."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.kit.errors import EnrollbotError
from bot.sandbox.apple.abm_apps import LocationPages
from bot.sandbox.apple.abm_page import (
    HEADERS,
    described,
    notice_note,
    page,
    read_form,
    refusal_note,
    text_of,
    time_of,
)
from bot.sandbox.apple.refusals import NotInBusinessManager
from bot.sandbox.apple.state import DeviceRow, Organisation, Server
from bot.sandbox.apple.world import World

DEFAULT_APPLE_ID = "ade@example.com"
_SHOWN = 25
_MOST_BOUGHT = 10_000
_NOTICES = {
    "added": "The server was added. Upload its public key certificate next.",
    "uploaded": "The certificate was uploaded. Now download a server token made for it.",
    "moved": "The devices are assigned to this server.",
    "bought": "The devices were added and assigned to this server.",
    "signed": "The terms and conditions are accepted.",
}


class BusinessManager:
    """The pages under `/abm`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._locations = LocationPages(world)
        self.app = Starlette(
            routes=[
                Route("/", self._home),
                Route("/abm", self._list),
                Route("/abm/{org_id}/servers", self._add, methods=["POST"]),
                Route("/abm/{org_id}/terms", self._sign, methods=["POST"]),
                Route("/abm/servers/{uuid}", self._server),
                Route("/abm/servers/{uuid}/certificate", self._upload, methods=["POST"]),
                Route("/abm/servers/{uuid}/token", self._token, methods=["POST"]),
                Route("/abm/servers/{uuid}/devices", self._devices, methods=["POST"]),
                Route("/abm/servers/{uuid}/purchases", self._buy, methods=["POST"]),
                *self._locations.routes(),
            ],
            exception_handlers={NotInBusinessManager: _not_here},
        )

    async def _home(self, request: Request) -> Response:
        return RedirectResponse("/abm", status_code=303)

    async def _list(self, request: Request) -> Response:
        return self._list_page(notice=request.query_params.get("notice", ""))

    async def _add(self, request: Request) -> Response:
        form = await read_form(request)
        organisation = self._world.organisation(request.path_params["org_id"])
        try:
            server = self._world.create_server(text_of(form, "name"), organisation=organisation)
        except EnrollbotError as refusal:
            return self._list_page(refusal=str(refusal))
        return _to_server(server, "added")

    async def _sign(self, request: Request) -> Response:
        await read_form(request)
        self._world.sign_terms(organisation=request.path_params["org_id"])
        return RedirectResponse("/abm?notice=signed", status_code=303)

    async def _server(self, request: Request) -> Response:
        server = self._asked(request)
        return self._server_page(server, notice=request.query_params.get("notice", ""))

    async def _upload(self, request: Request) -> Response:
        server = self._asked(request)
        form = await read_form(request)
        try:
            self._world.upload_certificate(server, form.get("certificate", b""))
        except EnrollbotError as refusal:
            return self._server_page(server, refusal=str(refusal), field="certificate")
        return _to_server(server, "uploaded")

    async def _token(self, request: Request) -> Response:
        server = self._asked(request)
        form = await read_form(request)
        apple_id = text_of(form, "apple_id") or DEFAULT_APPLE_ID
        try:
            name, content = self._world.generate_token(server, apple_id)
        except EnrollbotError as refusal:
            return self._server_page(server, refusal=str(refusal), field="apple_id")
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/pkcs7-mime", headers=headers)

    async def _devices(self, request: Request) -> Response:
        server = self._asked(request)
        form = await read_form(request)
        serials = [word.upper() for word in re.split(r"[\s,;]+", text_of(form, "serials")) if word]
        unknown = [serial for serial in serials if serial not in self._world.store.find(serials)]
        if unknown or not serials:
            named = ", ".join(unknown[:5]) or "none was given"
            return self._server_page(
                server, refusal=f"Serial numbers not known here: {named}.", field="serials"
            )
        self._world.assign_in_portal(serials, server)
        return _to_server(server, "moved")

    async def _buy(self, request: Request) -> Response:
        server = self._asked(request)
        form = await read_form(request)
        count = text_of(form, "count")
        if not count.isdecimal() or not 1 <= int(count) <= _MOST_BOUGHT:
            return self._server_page(
                server, refusal=f"Give a number from 1 to {_MOST_BOUGHT}.", field="count"
            )
        self._world.add_devices(server, int(count))
        return _to_server(server, "bought")

    def _asked(self, request: Request) -> Server:
        return self._world.server(request.path_params["uuid"])

    def _list_page(self, *, notice: str = "", refusal: str = "") -> Response:
        organisations = list(self._world.organisations.values()) or [self._world.organisation()]
        sections = (self._organisation(each) + self._locations.section(each) for each in organisations)
        body = notice_note(_NOTICES.get(notice)) + refusal_note(refusal) + "".join(sections)
        title = "Device management services"
        return page(title, f"<h1>{title}</h1>{body}", status=422 if refusal else 200)

    def _organisation(self, organisation: Organisation) -> str:
        rows = "".join(self._row(server) for server in self._world.servers_of(organisation))
        empty = '<tr><td colspan="3">No server yet.</td></tr>'
        action = f"/abm/{organisation.org_id}"
        return f"""
<section aria-labelledby="org-{organisation.org_id}">
<h2 id="org-{organisation.org_id}">{escape(organisation.name)}</h2>
{_terms(organisation)}
<table><caption>MDM servers of this organisation</caption>
<thead><tr><th scope="col">Name</th><th scope="col" class="number">Devices</th>
<th scope="col">State</th></tr></thead>
<tbody>{rows or empty}</tbody></table>
<form method="post" action="{action}/servers">
<label for="name-{organisation.org_id}">Server name</label>
<input id="name-{organisation.org_id}" name="name" required maxlength="80" autocomplete="off">
<div><button>Add server</button></div></form>
</section>"""

    def _row(self, server: Server) -> str:
        return (
            f'<tr><td><a href="/abm/servers/{server.server_uuid}">{escape(server.name)}</a></td>'
            f'<td class="number">{self._world.store.count(server.number):,}</td>'
            f"<td>{_state(server, self._world.now())}</td></tr>"
        )

    def _server_page(
        self, server: Server, *, notice: str = "", refusal: str = "", field: str = ""
    ) -> Response:
        organisation = self._world.organisations[server.org_id]
        count = self._world.store.count(server.number)
        parts = (
            '<p><a href="/abm">All servers</a></p>',
            f"<h1>{escape(server.name)}</h1>",
            notice_note(_NOTICES.get(notice)),
            refusal_note(refusal),
            _terms(organisation),
            _facts(server, organisation, count, self._world.now()),
            _certificate_form(server, is_refused=field == "certificate"),
            _token_form(server, is_refused=field == "apple_id"),
            _device_section(server, self._world.store.newest(server.number, _SHOWN), count),
        )
        return page(server.name, "".join(parts), status=422 if refusal else 200)


async def _not_here(request: Request, error: Exception) -> Response:
    return page("Not found", f"<h1>Not found</h1><p>{escape(str(error))}</p>", status=404)


def _to_server(server: Server, notice: str) -> Response:
    return RedirectResponse(f"/abm/servers/{server.server_uuid}?notice={notice}", status_code=303)


def _terms(organisation: Organisation) -> str:
    if organisation.terms_signed:
        return ""
    return f"""
<div class="note warn"><p><strong>{escape(organisation.name)} has new terms and conditions to accept.</strong>
Until an administrator accepts them, MDM servers are refused and no token can be made.</p>
<form method="post" action="/abm/{organisation.org_id}/terms">
<button>Accept terms and conditions</button></form>
</div>"""


def _state(server: Server, now: datetime) -> str:
    credentials = server.credentials
    if credentials is None:
        return (
            "No certificate yet" if server.certificate_pem is None else "Certificate uploaded, no token yet"
        )
    if credentials.is_rejected:
        return "Token ended by Apple"
    if credentials.expires_at <= now:
        return f"Token expired on {time_of(credentials.expires_at)}"
    return f"Token valid until {time_of(credentials.expires_at)}"


def _facts(server: Server, organisation: Organisation, count: int, now: datetime) -> str:
    made = server.credentials
    made_by = f"{escape(made.made_by)}, {time_of(made.made_at)}" if made else "nobody yet"
    return f"""
<section aria-labelledby="facts"><h2 id="facts">About this server</h2><dl>
<dt>Organisation</dt><dd>{escape(organisation.name)}</dd>
<dt>Server UUID</dt><dd><code>{server.server_uuid}</code></dd>
<dt>Devices</dt><dd>{count:,}</dd>
<dt>State</dt><dd>{_state(server, now)}</dd>
<dt>Token made by</dt><dd>{made_by}</dd></dl></section>"""


def _certificate_form(server: Server, *, is_refused: bool) -> str:
    present = "A certificate is uploaded; another one replaces it." if server.certificate_pem else ""
    return f"""
<section aria-labelledby="key"><h2 id="key">Public key</h2>
<form method="post" action="/abm/servers/{server.server_uuid}/certificate" enctype="multipart/form-data">
<label for="certificate">Public key certificate</label>
<input type="file" id="certificate" name="certificate" required accept=".pem,.der,.cer,.crt"
 {described("certificate-hint", is_refused=is_refused)}>
<p class="hint" id="certificate-hint">The .pem or .der file of your MDM server, with an RSA key. {present}</p>
<button>Upload certificate</button></form></section>"""


def _token_form(server: Server, *, is_refused: bool) -> str:
    if server.certificate_pem is None:
        return """
<section aria-labelledby="token"><h2 id="token">Server token</h2>
<p>Upload a public key certificate first. The token is encrypted to it.</p></section>"""
    warning = (
        '<p class="note warn" id="token-warning"><strong>Generating a token ends the current one at once.'
        "</strong> Until the new file is uploaded to your MDM server, it cannot reach Apple.</p>"
        if server.credentials
        else '<p class="hint" id="token-warning">Each new token ends the one before it at once.</p>'
    )
    return f"""
<section aria-labelledby="token"><h2 id="token">Server token</h2>
<form method="post" action="/abm/servers/{server.server_uuid}/token">{warning}
<label for="apple-id">Signed-in Apple ID</label>
<input type="email" id="apple-id" name="apple_id" value="{DEFAULT_APPLE_ID}" required autocomplete="off"
 {described("token-warning", is_refused=is_refused)}>
<div><button>Download server token</button></div></form></section>"""


def _device_section(server: Server, rows: Sequence[DeviceRow], count: int) -> str:
    path = f"/abm/servers/{server.server_uuid}"
    lines = "".join(
        f"<tr><td><code>{row.serial}</code></td><td>{escape(_model(row))}</td><td>{row.assigned_at[:10]}</td>"
        f"<td>{row.status}</td></tr>"
        for row in rows
    )
    caption = f"The {len(rows)} assigned last, of {count:,}" if count else "No devices yet"
    return f"""
<section aria-labelledby="devices"><h2 id="devices">Devices</h2>
<form method="post" action="{path}/devices"><label for="serials">Serial numbers</label>
<textarea id="serials" name="serials" rows="2" required aria-describedby="serials-hint"></textarea>
<p class="hint" id="serials-hint">Of devices on any server here, with spaces or commas between.</p>
<button>Assign to this server</button></form>
<form method="post" action="{path}/purchases"><label for="count">Number of devices to buy</label>
<input type="number" id="count" name="count" value="10" min="1" max="{_MOST_BOUGHT}" required>
<div><button>Buy devices</button></div></form>
<table><caption>{caption}</caption><thead><tr><th scope="col">Serial number</th><th scope="col">Model</th>
<th scope="col">Assigned</th><th scope="col">Profile</th></tr></thead>
<tbody>{lines}</tbody></table></section>"""


def _model(row: DeviceRow) -> str:
    found = re.search(r'"model":"([^"]*)"', row.facts)
    return found[1] if found else ""
