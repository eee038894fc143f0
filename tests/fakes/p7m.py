"""Writes server token files as Apple and others do: a small BER writer of its own."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

CIPHERS = {
    "aes-128-cbc": ("2.16.840.1.101.3.4.1.2", 16),
    "aes-192-cbc": ("2.16.840.1.101.3.4.1.22", 24),
    "aes-256-cbc": ("2.16.840.1.101.3.4.1.42", 32),
    "3des-cbc": ("1.2.840.113549.3.7", 24),
}
RSA, OAEP, MGF1 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.8"
DATA, ENVELOPED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.3"
SHA256 = "2.16.840.1.101.3.4.2.1"
MIME = (
    'Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data\n'
    "Content-Transfer-Encoding: base64\n"
    'Content-Disposition: attachment; filename="smime.p7m"\n'
    "Content-Description: S/MIME Encrypted Message\n\n"
)


@dataclass(frozen=True)
class Shape:
    """How a file is written; the defaults are what Apple does."""

    cipher: str = "aes-128-cbc"
    wrap: Literal["pkcs1", "oaep", "oaep-sha256"] = "pkcs1"
    recipient: Literal["issuer", "key"] = "issuer"
    indefinite: bool = True
    chunk: int = 1000
    nested: bool = False


def token_text(
    expires_at: datetime,
    *,
    markers: bool = True,
    folded: bool = False,
    line: str = "\n",
    changes: Mapping[str, str | None] | None = None,
) -> bytes:
    """Write the text inside. `changes` replace values; None leaves a key out."""
    values: dict[str, str | None] = {
        "consumer_key": "CK_48dd68d198350f51258e885ce9a5c37a",
        "consumer_secret": "CS_planted-consumer-secret",
        "access_token": "AT_planted-access-token",
        "access_secret": "AS_planted-access-secret",
        "access_token_expiry": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    values.update(changes or {})
    body = json.dumps({key: value for key, value in values.items() if value is not None})
    if folded:
        body = line.join(body[i : i + 30] for i in range(0, len(body), 30))
    if markers:
        body = f"-----BEGIN MESSAGE-----{line}{body}{line}-----END MESSAGE-----{line}"
    return f"Content-Type: text/plain;charset=UTF-8{line}{line}{body}".encode()


def cms(text: bytes, certificate_pem: str, shape: Shape | None = None) -> bytes:
    """Encrypt a text to a certificate and return CMS EnvelopedData."""
    shape = shape or Shape()
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    oid, key_bytes = CIPHERS[shape.cipher]
    key = os.urandom(key_bytes)
    block = TripleDES(key) if shape.cipher == "3des-cbc" else AES(key)
    iv = os.urandom(block.block_size // 8)
    padder = padding.PKCS7(block.block_size).padder()
    encryptor = Cipher(block, CBC(iv)).encryptor()
    secret = encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()
    algorithm = _tlv(0x30, _oid(oid) + _tlv(0x04, iv))
    content = _tlv(0x30, _oid(DATA) + algorithm + _ciphertext(secret, shape), shape)
    version = _tlv(0x02, b"\0" if shape.recipient == "issuer" else b"\2")
    enveloped = _tlv(0x30, version + _tlv(0x31, _recipient(certificate, key, shape)) + content, shape)
    return _tlv(0x30, _oid(ENVELOPED_DATA) + _tlv(0xA0, enveloped, shape), shape)


def mime(encoded: bytes, *, line: str = "\n") -> bytes:
    return MIME.replace("\n", line).encode() + _lines(encoded, 76, line)


def pem(encoded: bytes, *, label: str = "PKCS7", line: str = "\n") -> bytes:
    start, end = f"-----BEGIN {label}-----{line}".encode(), f"-----END {label}-----{line}".encode()
    return start + _lines(encoded, 64, line) + end


def _lines(encoded: bytes, width: int, line: str) -> bytes:
    text = base64.b64encode(encoded).decode()
    return "".join(text[i : i + width] + line for i in range(0, len(text), width)).encode()


def _recipient(certificate: x509.Certificate, key: bytes, shape: Shape) -> bytes:
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    if shape.recipient == "key":
        rid = _tlv(0x80, x509.SubjectKeyIdentifier.from_public_key(public).digest)
    else:
        serial = certificate.serial_number.to_bytes(certificate.serial_number.bit_length() // 8 + 1, "big")
        rid = _tlv(0x30, certificate.issuer.public_bytes() + _tlv(0x02, serial))
    version = _tlv(0x02, b"\0" if shape.recipient == "issuer" else b"\2")
    algorithm, scheme = _wrapping(shape)
    return _tlv(0x30, version + rid + algorithm + _tlv(0x04, public.encrypt(key, scheme)))


def _wrapping(shape: Shape) -> tuple[bytes, rsa_padding.AsymmetricPadding]:
    null = _tlv(0x05, b"")
    if shape.wrap == "pkcs1":
        return _tlv(0x30, _oid(RSA) + null), rsa_padding.PKCS1v15()
    if shape.wrap == "oaep":
        parameters, hash_used = b"", hashes.SHA1()
        scheme = rsa_padding.OAEP(rsa_padding.MGF1(hash_used), hash_used, None)
        return _tlv(0x30, _oid(OAEP) + _tlv(0x30, parameters)), scheme
    sha256 = _tlv(0x30, _oid(SHA256) + null)
    mask = _tlv(0x30, _oid(MGF1) + sha256)
    scheme = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return _tlv(0x30, _oid(OAEP) + _tlv(0x30, _tlv(0xA0, sha256) + _tlv(0xA1, mask))), scheme


def _ciphertext(secret: bytes, shape: Shape) -> bytes:
    if not shape.indefinite:
        return _tlv(0x80, secret)
    pieces = [secret[i : i + shape.chunk] for i in range(0, len(secret), shape.chunk)]
    chunks = [_tlv(0x04, piece) for piece in pieces]
    if shape.nested:
        chunks = [_tlv(0x24, chunk, shape) for chunk in chunks]
    return _tlv(0xA0, b"".join(chunks), shape)


def _tlv(tag: int, content: bytes, shape: Shape | None = None) -> bytes:
    if shape is not None and shape.indefinite:
        return bytes([tag, 0x80]) + content + b"\0\0"
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    encoded = bytearray([first * 40 + second])
    for arc in rest:
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(septets))
    return _tlv(0x06, bytes(encoded))
