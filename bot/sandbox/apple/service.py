"""The enrollment web service itself: sessions, account, pages, details, profiles, assignments."""

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from bot.sandbox.apple.oauth import Nonces, Refused, check_signature, check_token, read_header
from bot.sandbox.apple.state import DeviceRow, Operation, Organisation, Server, iso, reported
from bot.sandbox.apple.world import World

CURSOR_LIFE = timedelta(days=7)
NEWEST_PROTOCOL = 10
MOST_ORDERED = 1000
_V10_KEYS = (
    "wifi_mac_address",
    "bluetooth_mac_address",
    "ethernet_mac_address",
    "eid",
    "imei",
    "meid",
    "is_replacement_device",
    "released_by_replacement",
)
_PRODUCT = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(/[A-Za-z0-9!#$%&'*+.^_`|~-]+)?( .*)?")
_UNIQUE = re.compile(r"[0-9A-F]{32}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the service reads it; header names are in lower case."""

    method: str
    path: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def protocol(self) -> int:
        """The protocol version asked for: 1 when none is, 10 at most."""
        text = self.headers.get("x-server-protocol-version", "1")
        return min(int(text), NEWEST_PROTOCOL) if text.isdecimal() and int(text) else 1

    def object(self) -> dict[str, Any]:
        """Return the body's JSON object, or refuse it."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Refused(400, "MALFORMED_REQUEST_BODY") from None
        if not isinstance(value, dict):
            raise Refused(400, "MALFORMED_REQUEST_BODY")
        return value


@dataclass(slots=True)
class Answer:
    """A 200: `body` is JSON text, `note` says for the log what is in it."""

    body: str
    note: str = ""
    server: str = ""
    session: str | None = None


@dataclass(slots=True)
class Session:
    server_uuid: str
    access_token: str
    ends_at: datetime
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a client stands. `position` is the last device fetched, `operation` the last change seen."""

    server: int
    is_fetching: bool
    position: int
    operation: int
    issued_at: datetime


Handler = Callable[[Call, Server], Answer]


class EnrollmentService:
    """Answers calls as Apple's service would, from the state of a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nonces = Nonces()
        self._sessions: dict[str, Session] = {}
        self._issued = 0
        self._throttled_until: dict[str, datetime] = {}
        self._key = f"cursor:{world.seed}".encode()
        self.paths: dict[str, dict[str, Handler]] = {
            "/session": {"GET": self._never},
            "/account": {"GET": self._account},
            "/server/devices": {"POST": self._fetch},
            "/devices/sync": {"POST": self._sync},
            "/devices": {"POST": self._details},
            "/devices/disown": {"POST": self._disown},
            "/profile": {"POST": self._define, "GET": self._profile},
            "/profile/devices": {"POST": self._assign, "PUT": self._assign, "DELETE": self._remove},
        }

    def answer(self, call: Call) -> Answer:
        """Answer one call, or raise `Refused`."""
        methods = self.paths.get(call.path)
        if methods is None:
            raise Refused(404)
        handler = methods.get(call.method)
        if handler is None:
            raise Refused(405, Allow=", ".join(methods))
        _check_user_agent(call)
        if call.path == "/session":
            return self._open_session(call)
        server, session = self._authenticate(call)
        self._check_allowed(server)
        answer = handler(call, server)
        answer.server = server.name
        answer.session = self._rotate(call.headers["x-adm-auth-session"], session)
        return answer

    # Sessions

    def _open_session(self, call: Call) -> Answer:
        now = self._world.now()
        signed = read_header(call.headers.get("authorization"), call.url)
        self._nonces.check(signed, now)
        named = next((s for s in self._world.servers.values() if s.consumer_key == signed.consumer_key), None)
        server = check_token(signed, named, now, self._world.switches)
        check_signature(signed, server, call.url)
        self._check_allowed(server)
        if self._world.switches.single_session:
            self._sessions = {k: s for k, s in self._sessions.items() if s.server_uuid != server.server_uuid}
        life = timedelta(seconds=self._world.switches.session_life)
        token = self._new_session(Session(server.server_uuid, signed.access_token, now + life))
        return Answer(json.dumps({"auth_session_token": token}), "a session", server.name)

    def _authenticate(self, call: Call) -> tuple[Server, Session]:
        session = self._sessions.get(call.headers.get("x-adm-auth-session", ""))
        if session is None or session.ends_at <= self._world.now():
            raise _no_session()
        server = self._world.servers[session.server_uuid]
        credentials = server.credentials
        if (
            credentials is None
            or credentials.access_token != session.access_token
            or credentials.is_rejected
            or credentials.expires_at <= self._world.now()
        ):
            raise _no_session()
        return server, session

    def _check_allowed(self, server: Server) -> None:
        if server.is_denied:
            raise Refused(403, "ACCESS_DENIED")
        if not self._world.organisations[server.org_id].terms_signed:
            raise Refused(403, "T_C_NOT_SIGNED")

    def _rotate(self, token: str, session: Session) -> str | None:
        switches = self._world.switches
        session.calls += 1
        if not switches.rotate_every or session.calls != switches.rotate_every:
            return None
        fresh = Session(session.server_uuid, session.access_token, session.ends_at)
        grace = timedelta(seconds=switches.rotation_grace)
        session.ends_at = min(session.ends_at, self._world.now() + grace)
        return self._new_session(fresh)

    def _new_session(self, session: Session) -> str:
        now = self._world.now()
        self._sessions = {k: s for k, s in self._sessions.items() if s.ends_at > now}
        self._issued += 1
        token = hmac.new(self._key, f"session:{self._issued}:{now}".encode(), hashlib.sha256).hexdigest()
        self._sessions[token] = session
        return token

    def caller(self, call: Call) -> str:
        """Return the name of the server whose session a call carries, or "" where it carries none."""
        session = self._sessions.get(call.headers.get("x-adm-auth-session", ""))
        return self._world.servers[session.server_uuid].name if session else ""

    def secrets(self) -> list[str]:
        """Return every secret that opens this stand-in, or did: credentials and session tokens."""
        made = [(s.credentials, s.ended) for s in self._world.servers.values()]
        live = [
            secret
            for credentials, _ in made
            if credentials
            for secret in (
                credentials.consumer_key,
                credentials.consumer_secret,
                credentials.access_token,
                credentials.access_secret,
            )
        ]
        return [*live, *(token for _, ended in made for token in ended), *self._sessions]

    def end_sessions(self) -> None:
        """End every session at once, as after a restart of Apple's side."""
        self._sessions.clear()

    def _never(self, call: Call, server: Server) -> Answer:
        raise Refused(500)

    # Account

    def _account(self, call: Call, server: Server) -> Answer:
        organisation = self._world.organisations[server.org_id]
        assert server.credentials is not None
        account: dict[str, object] = {
            "server_name": server.name,
            "server_uuid": server.server_uuid,
            "facilitator_id": server.credentials.made_by,
            "admin_id": server.credentials.made_by,
            "org_name": organisation.name,
            "org_email": organisation.email,
            "org_phone": organisation.phone,
            "org_address": organisation.address,
        }
        if call.protocol >= 3:
            account |= self._account_v3(organisation)
        return Answer(json.dumps(account), "the account")

    def _account_v3(self, organisation: Organisation) -> dict[str, object]:
        limits = {
            "default": self._world.switches.page_default,
            "maximum": self._world.switches.page_maximum,
        }
        urls: list[dict[str, object]] = [
            {"uri": path, "http_method": sorted(methods)} for path, methods in self.paths.items()
        ]
        for url in urls:
            if url["uri"] in ("/server/devices", "/devices/sync"):
                url["limit"] = limits
            elif url["uri"] == "/profile/devices" and self._world.switches.assign_maximum < MOST_ORDERED:
                most = self._world.switches.assign_maximum
                url["limit"] = {"default": most, "maximum": most}
        return {
            "org_id": organisation.org_id,
            "org_id_hash": organisation.org_id_hash,
            "org_type": "org",
            "org_version": "v2",
            "urls": urls,
        }

    # Pages

    def _fetch(self, call: Call, server: Server) -> Answer:
        asked = call.object()
        limit, repeats = self._limit(asked)
        cursor = self._fetch_cursor(asked.get("cursor"), server)
        rows = self._world.store.page(server.number, after=cursor.position, limit=limit + 1)
        more = len(rows) > limit
        page = rows[:limit]
        position = page[-1].position if page else cursor.position
        following = self._write_cursor(
            server, is_fetching=more, position=position, operation=cursor.operation
        )
        # A device of the page before comes again, or of this page where there is none before.
        again = self._world.store.newest(server.number, repeats, until=cursor.position) or page[:repeats]
        devices = [_for_version(reported(row), call.protocol) for row in page + again]
        return self._page(devices, following, more=more)

    def _fetch_cursor(self, text: object, server: Server) -> Cursor:
        if text is None:
            return Cursor(
                server=server.number,
                is_fetching=True,
                position=0,
                operation=self._world.store.last_operation(),
                issued_at=self._world.now(),
            )
        cursor = self._read_cursor(text, server)
        if not cursor.is_fetching:
            raise Refused(400, "EXHAUSTED_CURSOR")
        if self._world.now() - cursor.issued_at > CURSOR_LIFE:
            raise Refused(400, "INVALID_CURSOR")
        return cursor

    def _sync(self, call: Call, server: Server) -> Answer:
        asked = call.object()
        if not asked.get("cursor"):
            raise Refused(400, "CURSOR_REQUIRED")
        limit, repeats = self._limit(asked)
        cursor = self._read_cursor(asked["cursor"], server)
        if cursor.is_fetching:
            raise Refused(400, "INVALID_CURSOR")
        if self._world.now() - cursor.issued_at > CURSOR_LIFE:
            raise Refused(400, "EXPIRED_CURSOR")
        found = self._world.store.operations(server.number, after=cursor.operation, limit=limit + 1)
        page, more = found[:limit], len(found) > limit
        operation = page[-1].id if page else cursor.operation
        following = self._write_cursor(server, is_fetching=False, position=0, operation=operation)
        stale = [_stale(entry) for entry in page[:repeats]]
        devices = [_for_version(text, call.protocol) for text in self._operations(page + stale)]
        return self._page(devices, following, more=more)

    def _operations(self, entries: list[Operation]) -> list[str]:
        rows = self._world.store.find(list({entry.serial for entry in entries}))
        return [_operation(entry, rows[entry.serial]) for entry in entries]

    def _limit(self, asked: dict[str, Any]) -> tuple[int, int]:
        """Return how many devices a page holds, and how many of them come twice."""
        switches = self._world.switches
        limit = asked.get("limit", switches.page_default)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise Refused(400, "MALFORMED_REQUEST_BODY")
        most = min(limit, switches.page_maximum)
        repeats = min(switches.duplicates, most - 1)
        return most - repeats, repeats

    def _page(self, devices: list[str], cursor: str, *, more: bool) -> Answer:
        body = (
            f'{{"devices":[{",".join(devices)}],"fetched_until":"{iso(self._world.now())}",'
            f'"more_to_follow":{"true" if more else "false"},"cursor":"{cursor}"}}'
        )
        return Answer(body, f"{len(devices)} devices{', more to follow' if more else ''}")

    def _write_cursor(self, server: Server, *, is_fetching: bool, position: int, operation: int) -> str:
        self._issued += 1
        milliseconds = int(self._world.now().timestamp() * 1000)
        text = f"{server.number}:{int(is_fetching)}:{position}:{operation}:{milliseconds}:{self._issued}"
        mark = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:16]
        return base64.urlsafe_b64encode(f"{text}:{mark}".encode()).decode().rstrip("=")

    def _read_cursor(self, text: object, server: Server) -> Cursor:
        try:
            padded = str(text) + "=" * (-len(str(text)) % 4)
            plain, _, mark = base64.urlsafe_b64decode(padded).decode().rpartition(":")
            number, fetching, position, operation, milliseconds, _ = (int(p) for p in plain.split(":"))
        except ValueError:
            raise Refused(400, "INVALID_CURSOR") from None
        expected = hmac.new(self._key, plain.encode(), hashlib.sha256).hexdigest()[:16]
        if not hmac.compare_digest(mark.encode(), expected.encode()) or number != server.number:
            raise Refused(400, "INVALID_CURSOR")
        issued_at = datetime.fromtimestamp(milliseconds / 1000, tz=self._world.now().tzinfo)
        return Cursor(number, bool(fetching), position, operation, issued_at)

    # Devices

    def _details(self, call: Call, server: Server) -> Answer:
        serials = _serials(call.object())
        rows = self._world.store.find(serials)
        devices = {serial: self._detail(rows.get(serial), server, call.protocol) for serial in serials}
        return Answer(json.dumps({"devices": devices}), f"details of {len(devices)} devices")

    def _detail(self, row: DeviceRow | None, server: Server, protocol: int) -> dict[str, Any]:
        if row is None:
            return {"response_status": "NOT_FOUND"}
        if row.server != server.number:
            return {"response_status": "NOT_ACCESSIBLE"}
        device: dict[str, Any] = json.loads(_for_version(row.body, protocol))
        return {**device, "response_status": "SUCCESS"}

    def _disown(self, call: Call, server: Server) -> Answer:
        serials = _serials(call.object())
        if not server.may_release:
            raise Refused(403, "ACCESS_DENIED")
        rows = self._own(serials, server)
        self._world.release(list(rows.values()))
        results = {serial: "SUCCESS" if serial in rows else "NOT_ACCESSIBLE" for serial in serials}
        return Answer(json.dumps({"devices": results}), _counts(results))

    # Profiles

    def _define(self, call: Call, server: Server) -> Answer:
        body = call.object()
        check_profile(body)
        serials = _serials(body) if body.get("devices") is not None else []
        profile = self._world.define_profile(server, body)
        results, _ = self._assign_each(profile.uuid, serials, server)
        answer = {"profile_uuid": profile.uuid, "devices": _as_version(results, call.protocol)}
        return Answer(json.dumps(answer), f"profile {profile.uuid}")

    def _profile(self, call: Call, server: Server) -> Answer:
        query = parse_qs(call.url.partition("?")[2])
        profile_uuid = _plain_uuid(next(iter(query.get("profile_uuid", [])), ""))
        if not profile_uuid:
            raise Refused(400, "PROFILE_UUID_REQUIRED")
        profile = self._world.profiles.get(profile_uuid)
        if profile is None or profile.server != server.number:
            raise Refused(404, "NOT_FOUND")
        return Answer(json.dumps({"profile_uuid": profile.uuid, **profile.body}), f"profile {profile.uuid}")

    def _assign(self, call: Call, server: Server) -> Answer:
        body = call.object()
        profile_uuid = _plain_uuid(body.get("profile_uuid"))
        if not profile_uuid:
            raise Refused(400, "PROFILE_UUID_REQUIRED")
        serials = _serials(body)
        if len(serials) > self._world.switches.assign_maximum:
            raise Refused(400, "MALFORMED_REQUEST_BODY")
        profile = self._world.profiles.get(profile_uuid)
        if profile is None or profile.server != server.number:
            raise Refused(404, "NOT_FOUND")
        results, wait = self._assign_each(profile.uuid, serials, server)
        answer: dict[str, object] = {
            "profile_uuid": profile.uuid,
            "devices": _as_version(results, call.protocol),
        }
        if wait is not None and call.protocol >= 10:
            answer["retry_after_seconds"] = wait
        return Answer(json.dumps(answer), _counts(results))

    def _assign_each(
        self, profile_uuid: str, serials: Sequence[str], server: Server
    ) -> tuple[dict[str, str], int | None]:
        rows = self._own(serials, server)
        results = {serial: self._verdict(serial, rows) for serial in serials}
        self._world.change_profile(
            [rows[s] for s, word in results.items() if word == "SUCCESS"], profile_uuid
        )
        now = self._world.now()
        waits = [
            (self._throttled_until[serial] - now).total_seconds()
            for serial, word in results.items()
            if word == "THROTTLED"
        ]
        return results, math.ceil(max(waits)) if waits else None

    def _verdict(self, serial: str, rows: dict[str, DeviceRow]) -> str:
        switches = self._world.switches
        if serial not in rows:
            return "NOT_ACCESSIBLE"
        if serial in switches.failing:
            return "FAILED"
        now = self._world.now()
        if serial in switches.throttled or (
            serial not in self._throttled_until and self._world.is_throttled_by_chance(serial)
        ):
            self._throttled_until[serial] = now + timedelta(seconds=switches.throttle_for)
        until = self._throttled_until.get(serial)
        return "THROTTLED" if until is not None and now < until else "SUCCESS"

    def _remove(self, call: Call, server: Server) -> Answer:
        serials = _serials(call.object())
        rows = self._own(serials, server)
        failing = self._world.switches.failing
        results = {
            serial: "NOT_ACCESSIBLE" if serial not in rows else "FAILED" if serial in failing else "SUCCESS"
            for serial in serials
        }
        self._world.change_profile([rows[s] for s, word in results.items() if word == "SUCCESS"], None)
        return Answer(json.dumps({"devices": results}), _counts(results))

    def _own(self, serials: Sequence[str], server: Server) -> dict[str, DeviceRow]:
        found = self._world.store.find(serials)
        return {serial: row for serial, row in found.items() if row.server == server.number}


def _no_session() -> Refused:
    return Refused(401, "UNAUTHORIZED", **{"WWW-Authenticate": "ADM-Auth-Token"})


def _check_user_agent(call: Call) -> None:
    agent = call.headers.get("user-agent", "").strip()
    if not agent:
        raise Refused(400, "USER_AGENT_MISSING")
    if not _PRODUCT.fullmatch(agent):
        raise Refused(400, "USER_AGENT_INVALID")


def _serials(body: dict[str, Any]) -> list[str]:
    serials = body.get("devices")
    if serials is None:
        raise Refused(400, "DEVICE_ID_REQUIRED")
    if not isinstance(serials, list) or not all(isinstance(serial, str) for serial in serials):
        raise Refused(400, "MALFORMED_REQUEST_BODY")
    return list(dict.fromkeys(serials))


def _plain_uuid(text: object) -> str:
    return str(text or "").replace("-", "").upper()


def _counts(results: dict[str, str]) -> str:
    words = sorted(set(results.values()))
    return ", ".join(f"{list(results.values()).count(word)} {word}" for word in words) or "no devices"


def _as_version(results: dict[str, str], protocol: int) -> dict[str, str]:
    if protocol >= 9:
        return results
    return {serial: "FAILED" if word == "THROTTLED" else word for serial, word in results.items()}


def _operation(entry: Operation, row: DeviceRow) -> str:
    body = reported(row) if row.flaw and entry.op_type != "deleted" else entry.body
    return f'{body[:-1]},"op_type":"{entry.op_type}","op_date":"{entry.op_date}"}}'


def _stale(entry: Operation) -> Operation:
    """Return an older word about the same device, such as Apple has been seen to repeat."""
    earlier = datetime.fromisoformat(entry.op_date) - timedelta(hours=1)
    return entry._replace(op_type="modified", op_date=iso(earlier))


def _for_version(device: str, protocol: int) -> str:
    if protocol >= NEWEST_PROTOCOL:
        return device
    keys: dict[str, Any] = json.loads(device)
    for key in _V10_KEYS:
        keys.pop(key, None)
    if protocol < 7 and keys.get("os") == "iPadOS":
        keys["os"] = "iOS"
    if protocol < 2:
        keys.pop("os", None)
        keys.pop("device_family", None)
    return json.dumps(keys)


_FLAGS = (
    "is_mdm_removable",
    "is_supervised",
    "is_mandatory",
    "await_device_configured",
    "is_multi_user",
    "auto_advance_setup",
    "allow_pairing",
    "do_not_use_profile_from_backup",
    "is_return_to_service",
)
_TEXTS = (
    ("profile_name", 125, "CONFIG_NAME_INVALID"),
    ("url", 2000, "CONFIG_URL_INVALID"),
    ("org_magic", 256, "MAGIC_INVALID"),
    ("department", 125, "DEPARTMENT_INVALID"),
    ("support_phone_number", 50, "SUPPORT_PHONE_INVALID"),
    ("support_email_address", 250, "SUPPORT_EMAIL_INVALID"),
)
_NEEDED = (
    ("profile_name", "CONFIG_NAME_REQUIRED"),
    ("url", "CONFIG_URL_REQUIRED"),
    ("org_magic", "MAGIC_INVALID"),
)
_LOCALES = (("language", re.compile(r"[a-z]{2,3}")), ("region", re.compile(r"[A-Z]{2}")))


def check_profile(body: dict[str, Any]) -> None:
    """Raise the refusal that Apple documents for the first fault of a profile. Unknown keys pass."""
    for key, word in _NEEDED:
        if body.get(key) is None:
            raise Refused(400, word)
    for key, most, word in _TEXTS:
        if key in body and not (isinstance(body[key], str) and 1 <= len(body[key]) <= most):
            raise Refused(400, word)
    if not re.fullmatch(r"https://[^\s/]+(/\S*)?", body["url"]):
        raise Refused(400, "CONFIG_URL_INVALID")
    _check_flags(body)
    for key, pattern in _LOCALES:
        if key in body and not (isinstance(body[key], str) and pattern.fullmatch(body[key])):
            raise Refused(400, "LOCALE_INVALID")


def _check_flags(body: dict[str, Any]) -> None:
    if any(key in body and not isinstance(body[key], bool) for key in _FLAGS):
        raise Refused(400, "MALFORMED_REQUEST_BODY")
    if body.get("is_mdm_removable") is False and body.get("is_supervised") is not True:
        raise Refused(400, "FLAGS_INVALID")
