"""Push certificates, made for tests."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from tests.fakes.certificates import private_key

TOPIC = "com.apple.mgmt.External.0f5e3f4c-8f5e-4a57-9d2b-0d1c5f0c9a11"
OTHER_TOPIC = "com.apple.mgmt.External.11111111-8f5e-4a57-9d2b-0d1c5f0c9a11"
FROM = datetime(2026, 1, 1, tzinfo=UTC)
SERIAL = 0x5A17C0FFEE


def push(topic: str | None = TOPIC, *, until: datetime, serial: int = SERIAL) -> x509.Certificate:
    named = [(NameOID.USER_ID, topic), (NameOID.COMMON_NAME, "APSP:0f5e3f4c"), (NameOID.COUNTRY_NAME, "US")]
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in named if text is not None])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")]))
        .public_key(private_key().public_key())
        .serial_number(serial)
        .not_valid_before(min(FROM, until.replace(year=until.year - 1)))
        .not_valid_after(until)
        .sign(private_key(), hashes.SHA256())
    )
