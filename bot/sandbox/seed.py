"""What the sandbox holds when it is new: two MDM servers, one with its token in the bot; two locations."""

import datetime as dt
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

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
#: The location that is short of Company Portals, and another one.
LOCATION, OTHER_LOCATION = "Example HQ", "Example Lyon"
APPS = 300
#: How many Company Portals each has, and uses.
PORTALS, OTHER_PORTALS = (500, 483), (60, 12)


@dataclass(frozen=True, slots=True)
class ImportFiles:
    """What `enrollbot token import` takes."""

    key: Path
    certificate: Path
    token: Path


def seed(apple: AppleStandIn, *, devices: int, folder: Path) -> ImportFiles | None:
    """Fill a new stand-in; returns the files of the ready token, None when it was filled before."""
    if apple.organisations:
        return None
    organisation = apple.create_organisation("Example Trust")
    apple.content.create(LOCATION, org_id=organisation.org_id, apps=APPS - 1, portal=PORTALS)
    apple.content.create(OTHER_LOCATION, org_id=organisation.org_id, apps=40, portal=OTHER_PORTALS)
    apple.create_server(READY, devices=devices)
    apple.create_server(WAITING, devices=WAITING_DEVICES)
    key, certificate = _key_pair(apple.now())
    apple.upload_certificate(READY, certificate)
    _, token = apple.generate_token(READY, "ade@example.com", valid_for=EXPIRES_IN)
    files = ImportFiles(folder / "paris-key.pem", folder / "paris-cert.pem", folder / "paris.p7m")
    for path, content in ((files.key, key), (files.certificate, certificate), (files.token, token)):
        path.touch(mode=0o600)
        path.write_bytes(content)
    return files


def _key_pair(now: dt.datetime) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, READY)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=353))
        .not_valid_after(now + timedelta(days=3300))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)
