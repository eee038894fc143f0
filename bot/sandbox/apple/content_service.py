"""Apps and Books (API version 2) as far as it is read: its limits, a location, its apps and their names."""

import base64
import json
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from bot.sandbox.apple.apps import Stock
from bot.sandbox.apple.locations import ContentToken, Location, offset_time
from bot.sandbox.apple.oauth import Refused
from bot.sandbox.apple.service import Answer, Call
from bot.sandbox.apple.world import World

BASE = "/mdm/v2"
LOOKUP = "/WebObjects/MZStorePlatform.woa/wa/lookup"
_REMINDED = timedelta(days=15)
_ERRORS: dict[int, tuple[int, str]] = {
    9602: (400, "Invalid argument."),
    9621: (401, "The token has expired. Generate a new token."),
    9622: (401, "Invalid authentication token."),
    9625: (401, "The sToken has been revoked."),
    9646: (429, "Too many requests."),
    9650: (400, "The page index is out of range."),
    9722: (401, "The Authorization header has a wrong format."),
    9726: (405, "The HTTP method is not allowed."),
}


class ContentRefused(Refused):
    """An error in the service's own form; its `number` says what it is."""

    def __init__(self, number: int, *, status: int | None = None) -> None:
        self.number = number
        expected, message = _ERRORS[number]
        body = json.dumps({"errorNumber": number, "errorMessage": message})
        super().__init__(status or expected, body, **{"Content-Type": "application/json"})

    @property
    def note(self) -> str:
        return f"{self.number}: {_ERRORS[self.number][1]}"


class ContentService:
    """Answers calls as Apple's service would, from the locations of a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lately: dict[str, deque[float]] = defaultdict(deque)
        self._paths: dict[str, Callable[[Call, Location, ContentToken], Answer]] = {
            f"{BASE}/client/config": self._client_config,
            f"{BASE}/assets": self._assets,
        }

    def serves(self, path: str) -> bool:
        return path.startswith(f"{BASE}/") or path == LOOKUP

    def answer(self, call: Call) -> Answer:
        """Answer one call, or raise `Refused`."""
        if call.path == LOOKUP:
            return self._lookup(call)
        is_config = call.path == f"{BASE}/service/config"
        if not is_config and call.path not in self._paths:
            raise Refused(404)
        if call.method != "GET":
            raise ContentRefused(9726)
        if is_config:
            return self._service_config(call)
        location, token = self._authenticate(call)
        self._count(token)
        answer = self._paths[call.path](call, location, token)
        answer.server = location.name
        return answer

    def caller(self, call: Call) -> str:
        """Return the name of the location whose token a call carries, or "" where it carries none."""
        found = self._holder(call.headers.get("authorization", "").removeprefix("Bearer "))
        return found[0].name if found else ""

    def secrets(self) -> list[str]:
        """Return every content token that opens this stand-in, or did, whole and what is inside."""
        texts = [token.text for each in self._world.content.all.values() for token in each.tokens]
        return [*texts, *(_inside(text) for text in texts)]

    def _authenticate(self, call: Call) -> tuple[Location, ContentToken]:
        scheme, _, text = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not text:
            raise ContentRefused(9722)
        found = self._holder(text)
        # An unknown token has been answered with 200 by the real service.
        if found is None:
            raise ContentRefused(9622, status=200)
        if found[1].is_revoked:
            raise ContentRefused(9625)
        if found[1].expires_at <= self._world.now():
            raise ContentRefused(9621)
        return found

    def _holder(self, text: str) -> tuple[Location, ContentToken] | None:
        for location in self._world.content.all.values():
            for token in location.tokens:
                if token.text == text:
                    return location, token
        return None

    def _count(self, token: ContentToken) -> None:
        """Refuse more requests of a token in one second than are allowed."""
        now = self._world.clock.monotonic()
        lately = self._lately[token.text]
        while lately and lately[0] <= now - 1:
            lately.popleft()
        if len(lately) >= self._world.switches.content_requests_a_second:
            raise ContentRefused(9646)
        lately.append(now)

    def _service_config(self, call: Call) -> Answer:
        parts = urlsplit(call.url)
        here = f"{parts.scheme}://{parts.netloc}"
        urls = {"clientConfig": f"{here}{BASE}/client/config", "getAssets": f"{here}{BASE}/assets"}
        limits = {
            "maxAssets": 25,
            "maxSerialNumbers": 1000,
            "maxRequestPerSecond": self._world.switches.content_requests_a_second,
        }
        errors = [{"errorNumber": number, "errorMessage": text} for number, (_, text) in _ERRORS.items()]
        body = {"errorCodes": errors, "limits": limits, "notificationTypes": ["ASSET_COUNT"]}
        return Answer(
            json.dumps({**body, "urls": {**urls, "contentMetadataLookup": here + LOOKUP}}),
            "the configuration",
        )

    def _client_config(self, call: Call, location: Location, token: ContentToken) -> Answer:
        body: dict[str, object] = {
            "countryISO2ACode": location.country,
            "defaultPlatform": location.platform,
            "locationName": location.name,
            "uId": location.uid,
            "websiteURL": "https://business.apple.com",
        }
        if location.mdm is not None:
            body["mdmInfo"] = {"id": location.mdm.lower(), "name": location.mdm, "metadata": ""}
        return Answer(json.dumps(body | self._reminder(token)), "the location")

    def _assets(self, call: Call, location: Location, token: ContentToken) -> Answer:
        index = _number(_query(call).get("pageIndex", "0"))
        size = self._world.switches.assets_a_page
        pages = max(1, -(-len(location.stock) // size))
        if index >= pages:
            raise ContentRefused(9650)
        shown = location.stock[index * size : (index + 1) * size]
        body: dict[str, object] = {
            "assets": [_asset(stock) for stock in shown],
            "currentPageIndex": index,
            "size": len(shown),
            "totalPages": pages,
            "uId": location.uid,
            "versionId": location.version_id,
        }
        if index + 1 < pages:
            body["nextPageIndex"] = index + 1
        return Answer(json.dumps(body | self._reminder(token)), f"{len(shown)} of {len(location.stock)} apps")

    def _reminder(self, token: ContentToken) -> dict[str, object]:
        """Return the token's end, which comes along when it is near."""
        is_near = token.expires_at - self._world.now() <= _REMINDED
        return {"tokenExpirationDate": offset_time(token.expires_at)} if is_near else {}

    def _lookup(self, call: Call) -> Answer:
        asked = _query(call)
        if asked.get("p") != "mdm-lockup":
            raise Refused(400, '{"status": 7011}', **{"Content-Type": "application/json"})
        if asked.get("caller") != "MDM":
            raise Refused(403)
        cookie = call.headers.get("cookie", "")
        found = self._holder(cookie.removeprefix("itvt="))
        theirs = found[0].stock if found else []
        everyones = (s for each in self._world.content.all.values() for s in each.stock if not s.is_custom)
        wanted = asked.get("id", "").split(",")
        results = {
            stock.adam_id: {"id": stock.adam_id, "name": stock.name, "bundleId": stock.bundle_id}
            for stock in (*theirs, *everyones)
            if stock.adam_id in wanted
        }
        name = found[0].name if found else ""
        return Answer(json.dumps({"version": 2, "results": results}), f"{len(results)} names", name)


def _asset(stock: Stock) -> dict[str, object]:
    return {
        "adamId": stock.adam_id,
        "assignedCount": stock.assigned,
        "availableCount": stock.available,
        "deviceAssignable": stock.device_assignable,
        "pricingParam": stock.pricing,
        "productType": "Book" if stock.is_book else "App",
        "retiredCount": 0,
        "revocable": not stock.is_book,
        "supportedPlatforms": stock.platforms,
        "totalCount": stock.total,
    }


def _query(call: Call) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(call.url).query).items()}


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ContentRefused(9602)
    return int(text)


def _inside(text: str) -> str:
    inside: str = json.loads(base64.b64decode(text))["token"]
    return inside
