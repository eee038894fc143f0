"""Writes server token files in the layout of Apple's documented sample."""

import base64
import json
import os
import textwrap
from collections.abc import Mapping

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding

from bot.kit.errors import EnrollbotError

_HEADERS = (
    'Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data\n'
    "Content-Transfer-Encoding: base64\n"
    'Content-Disposition: attachment; filename="smime.p7m"\n'
    "Content-Description: S/MIME Encrypted Message\n\n"
)
_CHUNK = 256  # bytes of ciphertext in one OCTET STRING: small, so that readers meet more than one
_INDEFINITE = b"\x80"
_END = b"\x00\x00"


class NotAPublicKey(EnrollbotError):
    """The file uploaded is not what Apple Business Manager takes as a public key."""


def read_certificate(content: bytes) -> x509.Certificate:
    """Read one X.509 certificate with an RSA key, PEM or DER, or raise `NotAPublicKey`."""
    if b"PRIVATE KEY" in content:
        raise NotAPublicKey("This file holds a private key. Upload the certificate, and keep the key.")
    try:
        if b"-----BEGIN" in content:
            certificate = x509.load_pem_x509_certificate(content)
        else:
            certificate = x509.load_der_x509_certificate(content)
    except ValueError:
        raise NotAPublicKey("This is not an X.509 certificate (.pem or .der).") from None
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        raise NotAPublicKey("The certificate's key is not an RSA key.")
    return certificate


def token_file(token: Mapping[str, str], certificate: x509.Certificate) -> bytes:
    """Encrypt the token's JSON to the certificate: S/MIME headers, base64 in 76 columns, LF."""
    message = (
        "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        f"-----BEGIN MESSAGE-----\r\n{json.dumps(token, separators=(',', ':'))}\r\n-----END MESSAGE-----\r\n"
    )
    encoded = base64.b64encode(enveloped(message.encode(), certificate)).decode()
    return (_HEADERS + "\n".join(textwrap.wrap(encoded, 76)) + "\n").encode()


def enveloped(content: bytes, certificate: x509.Certificate) -> bytes:
    """Return the CMS enveloped data: BER with indefinite lengths, AES-128-CBC, PKCS#1 v1.5."""
    key, iv = os.urandom(16), os.urandom(16)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    chunks = b"".join(
        core.OctetString(sealed[start : start + _CHUNK]).dump() for start in range(0, len(sealed), _CHUNK)
    )
    algorithm = algos.EncryptionAlgorithm({"algorithm": "aes128_cbc", "parameters": iv}).dump()
    content_info = _open(0x30, cms.ContentType("data").dump() + algorithm + _open(0xA0, chunks))
    recipients = cms.RecipientInfos([_recipient(key, certificate)]).dump()
    body = _open(0x30, core.Integer(0).dump() + recipients + content_info)
    return _open(0x30, cms.ContentType("enveloped_data").dump() + _open(0xA0, body))


def _open(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _INDEFINITE + content + _END


def _recipient(key: bytes, certificate: x509.Certificate) -> cms.RecipientInfo:
    public_key = certificate.public_key()
    if not isinstance(public_key, rsa.RSAPublicKey):
        raise NotAPublicKey("The certificate's key is not an RSA key.")
    parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    return cms.RecipientInfo(
        name="ktri",
        value=cms.KeyTransRecipientInfo(
            {
                "version": "v0",
                "rid": cms.RecipientIdentifier(
                    name="issuer_and_serial_number",
                    value=cms.IssuerAndSerialNumber(
                        {"issuer": parsed.issuer, "serial_number": parsed.serial_number}
                    ),
                ),
                "key_encryption_algorithm": {"algorithm": "rsaes_pkcs1v15"},
                "encrypted_key": public_key.encrypt(key, rsa_padding.PKCS1v15()),
            }
        ),
    )
