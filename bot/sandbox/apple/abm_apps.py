"""Apple Business Manager's pages for Apps and Books: a location's licences and its content token."""

from collections.abc import Sequence
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.kit.errors import EnrollbotError
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
from bot.sandbox.apple.apps import COMPANY_PORTAL, UNLIMITED, Stock
from bot.sandbox.apple.locations import Location
from bot.sandbox.apple.state import Organisation
from bot.sandbox.apple.world import World

_MOST_BOUGHT = 10_000


class LocationPages:
    """The pages under `/abm/locations`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/abm/locations/{uid}", self._location),
            Route("/abm/locations/{uid}/token", self._token, methods=["POST"]),
            Route("/abm/locations/{uid}/licences", self._buy, methods=["POST"]),
        ]

    def section(self, organisation: Organisation) -> str:
        """Return the list of an organisation's locations; nothing where it has none."""
        locations = [each for each in self._world.content.all.values() if each.org_id == organisation.org_id]
        if not locations:
            return ""
        rows = "".join(
            f'<tr><td><a href="/abm/locations/{location.uid}">{escape(location.name)}</a></td>'
            f'<td class="number">{len(location.stock):,}</td><td>{self._state(location)}</td></tr>'
            for location in locations
        )
        return f"""
<section aria-labelledby="apps-{organisation.org_id}">
<h2 id="apps-{organisation.org_id}">Apps and Books of {escape(organisation.name)}</h2>
<table><caption>Locations that licences are bought for</caption>
<thead><tr><th scope="col">Location</th><th scope="col" class="number">Apps</th>
<th scope="col">Content token</th></tr></thead><tbody>{rows}</tbody></table>
</section>"""

    async def _location(self, request: Request) -> Response:
        notice = "The licences were bought." if request.query_params.get("notice") == "bought" else None
        return self._page(self._asked(request), notice=notice)

    async def _token(self, request: Request) -> Response:
        location = self._asked(request)
        await read_form(request)
        name, content = self._world.content.generate_token(location)
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def _buy(self, request: Request) -> Response:
        location = self._asked(request)
        form = await read_form(request)
        count = text_of(form, "count")
        if not count.isdecimal() or not 1 <= int(count) <= _MOST_BOUGHT:
            return self._page(location, refusal=f"Give a number from 1 to {_MOST_BOUGHT:,}.")
        try:
            self._world.content.change(location, text_of(form, "app"), bought=int(count))
        except EnrollbotError as refusal:
            return self._page(location, refusal=str(refusal))
        return RedirectResponse(f"/abm/locations/{location.uid}?notice=bought", status_code=303)

    def _asked(self, request: Request) -> Location:
        return self._world.content.find(request.path_params["uid"])

    def _page(self, location: Location, *, notice: str | None = None, refusal: str = "") -> Response:
        organisation = self._world.organisation(location.org_id)
        # What runs out first stands first, unlimited ones and books at the end.
        stock = sorted(location.stock, key=lambda each: (each.adam_id != COMPANY_PORTAL, each.available))
        parts = (
            '<p><a href="/abm">All servers and locations</a></p>',
            f"<h1>{escape(location.name)}</h1>",
            notice_note(notice),
            refusal_note(refusal),
            self._facts(location, organisation),
            _token_form(location),
            _licences(location, stock, is_refused=bool(refusal)),
        )
        return page(location.name, "".join(parts), status=422 if refusal else 200)

    def _facts(self, location: Location, organisation: Organisation) -> str:
        mdm = escape(location.mdm) if location.mdm else "none"
        return f"""
<section aria-labelledby="facts"><h2 id="facts">About this location</h2><dl>
<dt>Organisation</dt><dd>{escape(organisation.name)}</dd>
<dt>Location id</dt><dd><code>{location.uid}</code></dd>
<dt>Managed by</dt><dd>{mdm}</dd>
<dt>Content token</dt><dd>{self._state(location)}</dd></dl></section>"""

    def _state(self, location: Location) -> str:
        token = location.token
        if token is None:
            return "Not downloaded yet"
        if token.is_revoked:
            return "Ended by Apple"
        if token.expires_at <= self._world.now():
            return f"Expired on {time_of(token.expires_at)}"
        return f"Valid until {time_of(token.expires_at)}"


def _token_form(location: Location) -> str:
    return f"""
<section aria-labelledby="token"><h2 id="token">Content token</h2>
<form method="post" action="/abm/locations/{location.uid}/token">
<p class="hint">Whoever has this file can give the location's licences away. It works for a year.</p>
<div><button>Download content token</button></div></form></section>"""


def _licences(location: Location, stock: Sequence[Stock], *, is_refused: bool) -> str:
    sold = (each for each in stock if each.total < UNLIMITED)
    options = "".join(f'<option value="{each.adam_id}">{escape(each.name)}</option>' for each in sold)
    rows = "".join(map(_row, stock))
    return f"""
<section aria-labelledby="licences"><h2 id="licences">Licences</h2>
<form method="post" action="/abm/locations/{location.uid}/licences">
<label for="app">App</label><select id="app" name="app">{options}</select>
<label for="count">Number of licences to buy</label>
<input type="number" id="count" name="count" value="50" min="1" max="{_MOST_BOUGHT}" required
 {described("count-hint", is_refused=is_refused)}>
<p class="hint" id="count-hint">Nothing is paid here.</p>
<div><button>Buy licences</button></div></form>
<table><caption>{len(stock):,} apps and books, the scarcest first</caption><thead><tr><th scope="col">App</th>
<th scope="col">Id in the store</th><th scope="col" class="number">Licences</th>
<th scope="col" class="number">In use</th><th scope="col" class="number">Left</th></tr></thead>
<tbody>{rows}</tbody></table></section>"""


def _row(stock: Stock) -> str:
    is_unlimited = stock.total >= UNLIMITED
    total, left = ("no limit", "") if is_unlimited else (f"{stock.total:,}", f"{stock.available:,}")
    return (
        f"<tr><td>{escape(stock.name)}</td><td><code>{stock.adam_id}</code></td>"
        f'<td class="number">{total}</td><td class="number">{stock.assigned:,}</td>'
        f'<td class="number">{left}</td></tr>'
    )
