"""Read the public part of a certificate. Pure; nothing of the file is kept."""

import contextlib
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12
from cryptography.x509.oid import NameOID

from bot.deadlines.errors import HoldsPrivateKey, IsRequest, NoCertificate
from bot.deadlines.facts import CertificateFacts
from bot.kit.certificates import UNREADABLE

# A push certificate names its topic in the subject's user id, seen as com.apple.mgmt.External.UUID:
# https://developer.apple.com/documentation/devicemanagement/setting-up-push-notifications-for-your-mdm-customers
_TOPIC = re.compile(r"com\.apple\.mgmt\.[\w.-]{1,150}")
#: What the beginning of a line of a private key in PEM says, whoever wrote it.
_KEY_LINE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"-----BEGIN (?:NEW )?CERTIFICATE REQUEST", re.IGNORECASE)
#: The version of PKCS #12 that follows the outer length; its inside may be read with the password only.
_PKCS12 = re.compile(rb"\x30(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)\x02\x01\x03\x30", re.DOTALL)


def read_certificate(content: bytes) -> CertificateFacts:
    """Return what a certificate says, of several in a PEM file the one for push, else the first.

    Raises `HoldsPrivateKey`, `IsRequest`, `NoCertificate`.
    """
    if _holds_key(content):
        raise HoldsPrivateKey
    found = _certificates(content)
    if not found:
        if _is_request(content):
            raise IsRequest
        raise NoCertificate
    facts = [read for certificate in found if (read := _facts(certificate)) is not None]
    if not facts:
        raise NoCertificate
    return next((each for each in facts if each.topic), facts[0])


def _holds_key(content: bytes) -> bool:
    if _KEY_LINE.search(content) or _PKCS12.match(content):
        return True
    try:
        load_der_private_key(content, password=None)
    except TypeError:
        return True  # it has a password
    except (ValueError, UnsupportedAlgorithm):
        pass
    else:
        return True
    with contextlib.suppress(ValueError, UnsupportedAlgorithm):
        pkcs12.load_pkcs12(content, password=None)
        return True
    return False


def _certificates(content: bytes) -> Sequence[x509.Certificate]:
    with contextlib.suppress(*UNREADABLE):
        return x509.load_pem_x509_certificates(content)
    with contextlib.suppress(*UNREADABLE):
        return [x509.load_der_x509_certificate(content)]
    return []


def _is_request(content: bytes) -> bool:
    if _REQUEST_LINE.search(content):
        return True
    with contextlib.suppress(*UNREADABLE):
        x509.load_der_x509_csr(content)
        return True
    return False


def _facts(certificate: x509.Certificate) -> CertificateFacts | None:
    try:
        subject = certificate.subject
        ids = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.USER_ID)]
        return CertificateFacts(
            subject=subject.rfc4514_string()[:400],
            topic=next((each for each in ids if _TOPIC.fullmatch(each)), None),
            serial=f"{certificate.serial_number:X}"[:64],
            expires_at=certificate.not_valid_after_utc,
        )
    except (ValueError, x509.UnsupportedGeneralNameType):
        return None
