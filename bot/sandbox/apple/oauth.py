"""Checks the OAuth 1.0a signature of a session request, as the real service would."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from oauthlib.oauth1 import Client
from oauthlib.oauth1.rfc5849 import signature

from bot.sandbox.apple.faults import Switches
from bot.sandbox.apple.state import Server

WINDOW = timedelta(minutes=5)
_NEEDED = frozenset(
    {
        "oauth_consumer_key",
        "oauth_token",
        "oauth_signature_method",
        "oauth_signature",
        "oauth_timestamp",
        "oauth_nonce",
    }
)


class Refused(Exception):
    """An answer other than 200: a status and Apple's bare word."""

    def __init__(self, status: int, word: str = "", **headers: str) -> None:
        self.status = status
        self.word = word
        self.headers = headers
        super().__init__(f"{status} {word}")

    @property
    def note(self) -> str:
        """What the log of requests says of it."""
        return self.word


@dataclass(frozen=True, slots=True)
class Signed:
    """What an Authorization header claims."""

    consumer_key: str
    access_token: str
    timestamp: int
    nonce: str
    signature: str
    parameters: tuple[tuple[str, str], ...]


def read_header(header: str | None, url: str) -> Signed:
    """Read the header of a request to `url`; raise 400 where parameters are missing, doubled or unknown."""
    if not header or not header.lower().startswith("oauth "):
        raise Refused(400)
    try:
        pairs = signature.collect_parameters(
            uri_query=urlsplit(url).query, headers={"Authorization": header}, exclude_oauth_signature=False
        )
        values = dict(pairs)
        timestamp = int(values.get("oauth_timestamp", ""))
    except ValueError:
        raise Refused(400) from None
    names = [name for name, _ in pairs if name.startswith("oauth_")]
    if any(header.count(f"{name}=") != 1 for name in names) or not set(names) >= _NEEDED:
        raise Refused(400)
    if values["oauth_signature_method"] != "HMAC-SHA1" or values.get("oauth_version", "1.0") != "1.0":
        raise Refused(400)
    return Signed(
        consumer_key=values["oauth_consumer_key"],
        access_token=values["oauth_token"],
        timestamp=timestamp,
        nonce=values["oauth_nonce"],
        signature=values["oauth_signature"],
        parameters=tuple(pair for pair in pairs if pair[0] != "oauth_signature"),
    )


class Nonces:
    """The nonces seen inside the window, so that none counts twice."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, str], datetime] = {}

    def check(self, signed: Signed, now: datetime) -> None:
        """Raise 401 for a timestamp outside five minutes or a nonce used before."""
        if abs(now.timestamp() - signed.timestamp) > WINDOW.total_seconds():
            raise Refused(401, "UNAUTHORIZED")
        self._seen = {key: at for key, at in self._seen.items() if now - at <= 2 * WINDOW}
        key = (signed.access_token, signed.timestamp, signed.nonce)
        if key in self._seen:
            raise Refused(401, "UNAUTHORIZED")
        self._seen[key] = now


def check_token(signed: Signed, server: Server | None, now: datetime, switches: Switches) -> Server:
    """Return the server whose live token this is; raise Apple's refusal for any other."""
    if server is None or server.credentials is None:
        raise Refused(401, "UNAUTHORIZED")
    if signed.access_token in server.ended:
        raise Refused(403, switches.replaced_word)
    credentials = server.credentials
    if signed.access_token != credentials.access_token:
        raise Refused(401, "UNAUTHORIZED")
    if credentials.is_rejected:
        raise Refused(403, "token_rejected")
    if now >= credentials.expires_at:
        raise Refused(switches.expired_status, "UNAUTHORIZED")
    return server


def check_signature(signed: Signed, server: Server, url: str) -> None:
    """Raise 401 unless the request to `url` was signed with the secrets of the server's token."""
    assert server.credentials is not None
    parameters = signature.normalize_parameters(signed.parameters)  # type: ignore[arg-type] # takes pairs
    base = signature.signature_base_string("GET", signature.base_string_uri(url), parameters)
    signer = Client(
        server.credentials.consumer_key,
        client_secret=server.credentials.consumer_secret,
        resource_owner_secret=server.credentials.access_secret,
    )
    expected = signature.sign_hmac_sha1_with_client(base, signer)
    if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
        raise Refused(401, "UNAUTHORIZED")
