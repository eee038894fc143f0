from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from bot.deadlines.certificate import read_certificate
from bot.deadlines.errors import CertificateFault, HoldsPrivateKey, IsRequest, NoCertificate
from bot.deadlines.facts import CertificateFacts
from bot.kit.errors import EnrollbotError
from tests.deadlines.certificates import TOPIC, push
from tests.fakes import certificates

UNTIL = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
PUSH = push(until=UNTIL)
PEM, DER = PUSH.public_bytes(Encoding.PEM), PUSH.public_bytes(Encoding.DER)
KEY = certificates.private_key()
PASSWORD = BestAvailableEncryption(b"password")
TRADITIONAL, PKCS8 = PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(PUSH.subject).sign(KEY, hashes.SHA256())


READABLE = {
    "pem": PEM,
    "der": DER,
    "windows": PEM.replace(b"\n", b"\r\n"),
    "with attributes": b"Bag Attributes\n" + PEM,
    "second of two": certificates.pem() + PEM,
}


@pytest.mark.parametrize("form", READABLE)
def test_subject_topic_serial_and_end_of_a_push_certificate_are_read(form: str) -> None:
    assert read_certificate(READABLE[form]) == CertificateFacts(
        subject=f"C=US,CN=APSP:0f5e3f4c,UID={TOPIC}", topic=TOPIC, serial="5A17C0FFEE", expires_at=UNTIL
    )


def test_another_certificate_has_no_topic() -> None:
    read = read_certificate(certificates.pem("Packing room", until=UNTIL))
    assert (read.subject, read.topic, read.expires_at) == ("CN=Packing room", None, UNTIL)


KEYS = {
    "traditional": certificates.private_key_pem(TRADITIONAL),
    "pkcs8": certificates.private_key_pem(PKCS8),
    "with password": certificates.private_key_pem(PKCS8, b"password"),
    "der traditional": KEY.private_bytes(Encoding.DER, TRADITIONAL, NoEncryption()),
    "der pkcs8": KEY.private_bytes(Encoding.DER, PKCS8, NoEncryption()),
    "der with password": KEY.private_bytes(Encoding.DER, PKCS8, PASSWORD),
    "p12": pkcs12.serialize_key_and_certificates(b"push", KEY, PUSH, None, NoEncryption()),
    "p12 with password": pkcs12.serialize_key_and_certificates(b"push", KEY, PUSH, None, PASSWORD),
    "after the certificate": PEM + certificates.private_key_pem(PKCS8),
    "before the certificate": certificates.private_key_pem(PKCS8) + PEM,
    "cut off": certificates.private_key_pem(PKCS8)[:60],
}


@pytest.mark.parametrize("form", KEYS)
def test_a_private_key_is_refused_in_every_form(form: str) -> None:
    with pytest.raises(HoldsPrivateKey, match="private key"):
        read_certificate(KEYS[form])


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_a_signing_request_is_told_apart(form: Encoding) -> None:
    with pytest.raises(IsRequest):
        read_certificate(REQUEST.public_bytes(form))


OTHERS = {
    **{"empty": b"", "zero": b"\x00", "text": b"hello", "zeros": b"0" * 65536},
    **{"half a pem": PEM[:200], "half a der": DER[:100], "more than a der": DER + b"x"},
    "nothing inside": b"-----BEGIN CERTIFICATE-----\nAAAA\n",
    "a version that there is not": certificates.of_no_version(DER),
}


@pytest.mark.parametrize("form", OTHERS)
def test_anything_else_is_no_certificate(form: str) -> None:
    with pytest.raises(NoCertificate):
        read_certificate(OTHERS[form])


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_read_or_refused_and_never_more(place: int, byte: int) -> None:
    damaged = DER[:place] + bytes([byte]) + DER[place + 1 :]
    try:
        read = read_certificate(damaged)
    except EnrollbotError as refused:
        assert isinstance(refused, CertificateFault)  # noqa: PT017
    else:
        assert read.expires_at.tzinfo is not None
