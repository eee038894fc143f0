"""Certificates of computers, made for tests."""

import base64
import functools
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PKCS8 = serialization.PrivateFormat.PKCS8
FROM = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2030, 1, 1, tzinfo=UTC)


@functools.cache
def private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(
    common_name: str | None = "Packing room", *, until: datetime = UNTIL, unit: str | None = None
) -> bytes:
    """A self-signed certificate as PEM, the same one for the same arguments."""
    return _made(common_name, until, unit)


def der(
    common_name: str | None = "Packing room", *, until: datetime = UNTIL, unit: str | None = None
) -> bytes:
    read = x509.load_pem_x509_certificate(pem(common_name, until=until, unit=unit))
    return read.public_bytes(serialization.Encoding.DER)


def of_no_version(certificate: bytes) -> bytes:
    """The same DER, said to be of version 2, which nobody makes."""
    changed = certificate.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    assert changed != certificate
    return changed


def kept(
    common_name: str | None = "Packing room", *, until: datetime = UNTIL, unit: str | None = None
) -> str:
    """A certificate as a profile keeps it: base64 of DER."""
    return base64.b64encode(der(common_name, until=until, unit=unit)).decode("ascii")


def private_key_pem(form: serialization.PrivateFormat, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private_key().private_bytes(serialization.Encoding.PEM, form, encryption)


@functools.cache
def _made(common_name: str | None, until: datetime, unit: str | None) -> bytes:
    named = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in named if text is not None])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(FROM, until.replace(year=until.year - 1)))
        .not_valid_after(until)
        .sign(private_key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
