"""The key pair of an enrollment token, and the server token file (.p7m) that is made for it.

The file is S/MIME: CMS EnvelopedData around a small text with OAuth 1.0a credentials. Apple writes
it as BER with indefinite lengths and the ciphertext in chunks, encrypted with AES-128-CBC for an RSA
key (seen in the sample of Apple's "MDM Protocol Reference"); other common algorithms are read too.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from bot.apple.answers import is_web_page
from bot.apple.dep.auth import Credentials
from bot.kit.certificates import UNREADABLE
from bot.kit.errors import EnrollbotError

MAX_FILE_BYTES = 64 * 1024
CERTIFICATE_YEARS = 10

_ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
# what asn1crypto and cryptography raise on bytes that are not what they should be
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_CIPHERS: dict[str, tuple[type[AES] | type[TripleDES], int]] = {
    "aes128_cbc": (AES, 16),
    "aes192_cbc": (AES, 24),
    "aes256_cbc": (AES, 32),
    "tripledes_3key": (TripleDES, 24),
}


class TokenFileUnusable(EnrollbotError):
    """A file that cannot be used as a server token; subclasses say why. Never holds its contents."""


class NotATokenFile(TokenFileUnusable):
    def __init__(self, what: str = "This is not a server token file.") -> None:
        super().__init__(
            what,
            next_step="Download the token of the MDM server in ABM and upload that file; "
            "its name ends in .p7m.",
        )


class CertificateInsteadOfToken(TokenFileUnusable):
    def __init__(self) -> None:
        super().__init__(
            "This is a certificate, not a server token.",
            next_step="A certificate goes to ABM: upload it to the MDM server there, then download "
            "the server's token and upload that file here; its name ends in .p7m.",
        )


class MadeForAnotherCertificate(TokenFileUnusable):
    def __init__(self) -> None:
        super().__init__(
            "This server token was made for another certificate.",
            next_step="In ABM, check that the MDM server holds this token's certificate (get it here "
            "again if in doubt), then download its token and upload that file.",
        )


class TokenFileDamaged(TokenFileUnusable):
    def __init__(self, what: str = "This server token file is damaged or incomplete.") -> None:
        super().__init__(what, next_step="Download the token in ABM again and upload the new file as it is.")


class KeyMissing(TokenFileUnusable):
    """The text inside lacks values that every server token has. `keys` are their names."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        super().__init__(
            f"This server token lacks {', '.join(keys)}.",
            next_step="Download the token in ABM again and upload the new file as it is.",
        )


class TokenExpired(TokenFileUnusable):
    def __init__(self, expired_at: datetime) -> None:
        self.expired_at = expired_at
        super().__init__(
            f"The server token in this file expired on {expired_at:%d %B %Y at %H:%M} UTC.",
            next_step="Download a new token from the MDM server in ABM and upload that file.",
        )


class KeyPairUnusable(TokenFileUnusable):
    """The private key or the certificate at hand is no good, whatever the file is."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what,
            next_step="A key pair is an RSA private key without a password and its certificate, both PEM.",
        )


class TokenFileTooLarge(TokenFileUnusable):
    def __init__(self) -> None:
        super().__init__(
            f"This file is larger than {MAX_FILE_BYTES // 1024} KiB, so it is not a server token.",
            next_step="Download the token of the MDM server in ABM and upload that file; "
            "its name ends in .p7m.",
        )


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA private key and its self-signed certificate, both PEM."""

    private_key_pem: SecretStr
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class OpenedToken:
    """What a server token file holds. `key_pair` is the position of the one that opened it."""

    credentials: Credentials
    expires_at: datetime
    key_pair: int


def make_key_pair(name: str, *, now: datetime) -> KeyPair:
    """Make an RSA-2048 key and a SHA-256 certificate valid ten years; takes about 100 ms.

    Apple needs an RSA key and seems not to look at the subject. Validity begins a day early, for
    clocks that disagree.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"enrollbot {name}"[:64])])
    start = now - timedelta(days=1)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(now + timedelta(days=round(CERTIFICATE_YEARS * 365.25)))
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(
        private_key_pem=SecretStr(private_pem.decode()),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
    )


def open_token_file(content: bytes, key_pairs: Sequence[KeyPair], *, now: datetime) -> OpenedToken:
    """Open a file with whichever key pair it was made for, or raise a `TokenFileUnusable`."""
    envelope = _envelope(content)
    for position, pair in enumerate(key_pairs):
        recipient = _recipient_for(envelope, pair.certificate_pem)
        if recipient is not None:
            text = _decrypt(envelope, recipient, pair)
            credentials, expires_at = _read_token(text)
            if expires_at <= now:
                raise TokenExpired(expires_at)
            return OpenedToken(credentials, expires_at, position)
    raise MadeForAnotherCertificate


def is_made_for(content: bytes, certificate_pem: str) -> bool:
    """Say whether a file was made for a certificate; False for anything that is no token file."""
    try:
        return _recipient_for(_envelope(content), certificate_pem) is not None
    except TokenFileUnusable:
        return False


# --- from the file to CMS ----------------------------------------------------------------------


def _envelope(content: bytes) -> cms.EnvelopedData:
    if len(content) > MAX_FILE_BYTES:
        raise TokenFileTooLarge
    encoded = _unwrap(content)
    if _ENVELOPED_DATA not in encoded[:64]:
        raise _what_else(encoded)
    try:
        # strict=False: some exports leave a line end behind the structure
        info = cms.ContentInfo.load(encoded, strict=False)
        envelope: cms.EnvelopedData = info["content"]
        # asn1crypto parses on demand: this makes every part be looked at now
        if not envelope["recipient_infos"].native or not envelope["encrypted_content_info"].native:
            raise TokenFileDamaged
    except _UNREADABLE:
        raise TokenFileDamaged from None
    return envelope


def _unwrap(content: bytes) -> bytes:
    """Return the CMS bytes of a file in MIME, PEM, bare base64 or binary form."""
    if _ENVELOPED_DATA in content[:64]:
        return content
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip()
    label = re.match(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----", text)
    if label is not None:
        return _unwrap_pem(text, label[1])
    if re.match(rb"[A-Za-z][A-Za-z0-9-]{1,40}:", text):
        _, _, text = text.partition(b"\n\n")
    return _base64(text) or content


def _unwrap_pem(text: bytes, label: bytes) -> bytes:
    if label in (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE", b"CERTIFICATE REQUEST"):
        raise CertificateInsteadOfToken
    if b"PRIVATE KEY" in label:
        raise NotATokenFile("This is a private key, not a server token. Delete it from Slack.")
    if label == b"MESSAGE":
        raise NotATokenFile("This is a server token that somebody has already decrypted.")
    body, _, _ = text.partition(b"-----\n")[2].partition(b"-----END")
    return _base64(body)


def _base64(text: bytes) -> bytes:
    """Decode as far as the text is base64: what was cut off shows in the structure."""
    digits = re.match(rb"[A-Za-z0-9+/\s]*={0,2}", text)
    packed = b"" if digits is None else re.sub(rb"[\s=]", b"", digits[0])
    packed = packed[: len(packed) - 1] if len(packed) % 4 == 1 else packed
    return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))


def _what_else(encoded: bytes) -> TokenFileUnusable:
    """Name what somebody uploaded that holds no enveloped data."""
    if b'"consumer_key"' in encoded:
        return NotATokenFile("This is a server token that somebody has already decrypted.")
    if is_web_page(encoded):
        return NotATokenFile("This is a web page, not a server token.")
    try:
        x509.load_der_x509_certificate(encoded)
    except UNREADABLE:
        return NotATokenFile()
    return CertificateInsteadOfToken()


# --- from CMS to the text ----------------------------------------------------------------------


def _recipient_for(envelope: cms.EnvelopedData, certificate_pem: str) -> cms.KeyTransRecipientInfo | None:
    certificate = _certificate(certificate_pem)
    issuer = asn1_x509.Name.load(certificate.issuer.public_bytes())
    identifiers = _key_identifiers(certificate)
    try:
        for info in envelope["recipient_infos"]:
            if info.name == "ktri" and _is_for(info.chosen, certificate, issuer, identifiers):
                return info.chosen
    except _UNREADABLE:
        raise TokenFileDamaged from None
    return None


def _is_for(
    recipient: cms.KeyTransRecipientInfo,
    certificate: x509.Certificate,
    issuer: asn1_x509.Name,
    identifiers: set[bytes],
) -> bool:
    rid = recipient["rid"]
    if rid.name == "subject_key_identifier":
        return rid.native in identifiers
    same_serial: bool = rid.chosen["serial_number"].native == certificate.serial_number
    return same_serial and bool(rid.chosen["issuer"] == issuer)


def _key_identifiers(certificate: x509.Certificate) -> set[bytes]:
    """The identifier that the certificate names, and the usual one, for certificates that name none."""
    usual = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    try:
        named = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return {usual}
    return {usual, named}


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except UNREADABLE:
        raise KeyPairUnusable("The certificate cannot be read.") from None


def _private_key(pair: KeyPair) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(
            pair.private_key_pem.get_secret_value().encode(), password=None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise KeyPairUnusable("The private key cannot be read.") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyPairUnusable("The private key is not an RSA key.")
    if key.public_key() != _certificate(pair.certificate_pem).public_key():
        raise KeyPairUnusable("The certificate was not made for this private key.")
    return key


def _decrypt(envelope: cms.EnvelopedData, recipient: cms.KeyTransRecipientInfo, pair: KeyPair) -> bytes:
    private_key = _private_key(pair)
    try:
        scheme = _key_scheme(recipient["key_encryption_algorithm"])
        # With a wrong key OpenSSL returns random bytes instead of an error (implicit rejection):
        # they have the wrong length, or what they decrypt is no token.
        content_key = private_key.decrypt(recipient["encrypted_key"].native, scheme)
        return _decrypt_content(envelope["encrypted_content_info"], content_key)
    except _UNREADABLE:
        raise TokenFileDamaged from None


def _key_scheme(algorithm: cms.KeyEncryptionAlgorithm) -> rsa_padding.AsymmetricPadding:
    name: str = algorithm["algorithm"].native
    if name in ("rsaes_pkcs1v15", "rsa"):
        return rsa_padding.PKCS1v15()
    if name != "rsaes_oaep":
        raise ValueError(name)
    parameters = algorithm["parameters"]
    mask = parameters["mask_gen_algorithm"]
    source = parameters["p_source_algorithm"]["parameters"].native
    return rsa_padding.OAEP(
        mgf=rsa_padding.MGF1(_HASHES[mask["parameters"]["algorithm"].native]()),
        algorithm=_HASHES[parameters["hash_algorithm"]["algorithm"].native](),
        label=source or None,
    )


def _decrypt_content(content: cms.EncryptedContentInfo, key: bytes) -> bytes:
    algorithm = content["content_encryption_algorithm"]
    cipher, key_bytes = _CIPHERS[algorithm["algorithm"].native]
    if len(key) != key_bytes:
        raise ValueError("length of the content key")
    block: BlockCipherAlgorithm = cipher(key)
    decryptor = Cipher(block, CBC(algorithm["parameters"].native)).decryptor()
    padded = decryptor.update(content["encrypted_content"].native) + decryptor.finalize()
    unpadder = padding.PKCS7(block.block_size).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


# --- from the text to the token ----------------------------------------------------------------

_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_secret", "access_token_expiry")


def _read_token(text: bytes) -> tuple[Credentials, datetime]:
    values = _json_inside(text)
    missing = [key for key in _KEYS if not isinstance(values.get(key), str) or not values[key]]
    if missing:
        raise KeyMissing(missing)
    credentials = Credentials(
        consumer_key=str(values["consumer_key"]),
        consumer_secret=SecretStr(str(values["consumer_secret"])),
        access_token=SecretStr(str(values["access_token"])),
        access_secret=SecretStr(str(values["access_secret"])),
    )
    return credentials, _moment(str(values["access_token_expiry"]))


def _json_inside(text: bytes) -> dict[str, object]:
    """Return the JSON object between the MESSAGE markers, or else between the outermost braces.

    Lines may be folded anywhere, also inside strings: no value contains a line end.
    """
    between = re.search(rb"-----BEGIN MESSAGE-----(.*)-----END MESSAGE-----", text, re.DOTALL)
    text = text if between is None else between[1]
    found = re.search(rb"\{.*\}", text, re.DOTALL)
    if found is None:
        raise TokenFileDamaged("This file was decrypted, but there is no server token inside.")
    try:
        return msgspec.json.decode(re.sub(rb"[\r\n]", b"", found[0]), type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise TokenFileDamaged("This file was decrypted, but what is inside cannot be read.") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise TokenFileDamaged("The expiry date in this server token cannot be read.") from None
