"""What the stand-in for Apple holds when the sandbox is new, with three things to mend.

One token is about to expire, one location is short of Company Portals, and one organisation has new terms to
accept. A plain one has only the first; a server waits in both for its first token.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bot.sandbox.apple.stand_in import AppleStandIn

#: The token that is there already, and how long it still lives.
READY = "paris"
EXPIRES_IN = timedelta(days=12)
#: The server whose token waits to be added.
WAITING = "lyon"
WAITING_DEVICES = 180
#: The organisation with terms to accept, the server of its token, and how long that lives.
SCHOOLS = "Example Schools"
SCHOOL = "nice"
SCHOOL_DEVICES = 60
SCHOOL_EXPIRES_IN = timedelta(days=250)
#: The location that is short of Company Portals, and another one.
LOCATION, OTHER_LOCATION = "Example HQ", "Example Lyon"
APPS = 300
#: How many Company Portals each has, and uses.
PORTALS, OTHER_PORTALS = (500, 483), (60, 12)

#: The profile whose devices need a Company Portal, and those of the other devices, by family.
PORTAL_PROFILE = "Sales iPad"
PROFILES = {"iPad": "Shared iPad", "iPhone": "Field iPhone", "Mac": "Office Mac"}
#: How many of its devices have not been set up yet: more than there are Company Portals left.
NOT_SET_UP = 42
#: One of so many devices came lately and has no profile; more than so many devices have none either.
LATELY = 10
MOST_WITH_PROFILE = 5000


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """What `enrollbot token import` takes of one server."""

    server: str
    private_key: bytes
    certificate: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class Files:
    """What is to be brought into the bot: tokens, and the content token of `LOCATION` unless it is plain."""

    tokens: Sequence[TokenFiles]
    content_token: bytes | None


def seed(apple: AppleStandIn, *, devices: int, plain: bool = False) -> Files | None:
    """Fill a new stand-in; returns what the bot is to have of it, None when it was filled before."""
    if apple.organisations:
        return None
    trust = apple.create_organisation("Example Trust")
    apple.content.create(LOCATION, org_id=trust.org_id, apps=APPS - 1, portal=PORTALS)
    apple.content.create(OTHER_LOCATION, org_id=trust.org_id, apps=40, portal=OTHER_PORTALS)
    apple.create_server(READY, devices=devices)
    apple.create_server(WAITING, devices=WAITING_DEVICES)
    tokens = [_token(apple, READY, "ade@example.com", EXPIRES_IN)]
    if plain:
        return Files(tokens, None)
    schools = apple.create_organisation(SCHOOLS)
    apple.create_server(SCHOOL, devices=SCHOOL_DEVICES, organisation=schools)
    tokens.append(_token(apple, SCHOOL, "head@example.org", SCHOOL_EXPIRES_IN))
    return Files(tokens, apple.content.generate_token(LOCATION)[1])


def hand_out(apple: AppleStandIn, profiles: dict[str, str]) -> None:
    """Let the devices of `READY` carry profiles, given by name with their UUIDs, as if that was long ago.

    The oldest iPads have the one with Company Portal; some of those were not set up yet.
    """
    by_family: dict[str, list[str]] = {}
    for row in apple.store.page(apple.server(READY).number, limit=MOST_WITH_PROFILE):
        family = json.loads(f"{{{row.facts}}}")["device_family"]
        by_family.setdefault(family, []).append(row.serial)
    for family, serials in by_family.items():
        if family not in PROFILES:
            continue
        carrying = serials[: len(serials) - len(serials) // LATELY]
        if family == "iPad":
            new = min(NOT_SET_UP, len(carrying) // 4)
            old = min(PORTALS[1], (len(carrying) - new) // 2)
            portal, carrying = carrying[: old + new], carrying[old + new :]
            apple.carry(READY, portal[:old], profiles[PORTAL_PROFILE], is_fetched=True)
            apple.carry(READY, portal[old:], profiles[PORTAL_PROFILE])
        apple.carry(READY, carrying, profiles[PROFILES[family]], is_fetched=True)


def open_terms(apple: AppleStandIn) -> None:
    """Let Apple publish new terms for the organisation that is to accept some."""
    apple.sign_terms(signed=False, organisation=SCHOOLS)


def _token(apple: AppleStandIn, server: str, apple_id: str, valid_for: timedelta) -> TokenFiles:
    key, certificate = _key_pair(server, apple.now())
    apple.upload_certificate(server, certificate)
    _, token = apple.generate_token(server, apple_id, valid_for=valid_for)
    return TokenFiles(server, key, certificate, token)


def _key_pair(server: str, now: dt.datetime) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=353))
        .not_valid_after(now + timedelta(days=3300))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)
