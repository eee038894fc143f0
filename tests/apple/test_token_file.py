import json
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.apple import token_file
from bot.apple.token_file import KeyPair, make_key_pair, open_token_file
from tests.fakes import certificates, p7m

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
EXPIRY = datetime(2027, 11, 22, 8, 59, 53, tzinfo=UTC)


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return make_key_pair("paris", now=NOW)


@pytest.fixture(scope="module")
def other() -> KeyPair:
    return make_key_pair("lyon", now=NOW)


def opened_key(content: bytes, pair: KeyPair) -> str:
    return open_token_file(content, [pair], now=NOW).credentials.access_secret.get_secret_value()


def test_the_certificate_is_rsa_2048_with_sha_256_and_valid_for_ten_years(pair: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc.date() == datetime(2036, 11, 21, tzinfo=UTC).date()
    certificate.verify_directly_issued_by(certificate)


def test_a_file_as_apple_writes_it_gives_the_credentials_and_the_expiry(pair: KeyPair) -> None:
    content = p7m.mime(p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem))
    token = open_token_file(content, [pair], now=NOW)
    assert token.expires_at == EXPIRY
    assert token.key_pair == 0
    assert token.credentials.consumer_key == "CK_48dd68d198350f51258e885ce9a5c37a"
    assert token.credentials.consumer_secret.get_secret_value() == "CS_planted-consumer-secret"
    assert token.credentials.access_token.get_secret_value() == "AT_planted-access-token"
    assert token.credentials.access_secret.get_secret_value() == "AS_planted-access-secret"


@pytest.mark.parametrize("cipher", p7m.CIPHERS)
@pytest.mark.parametrize("wrap", ["pkcs1", "oaep", "oaep-sha256"])
@pytest.mark.parametrize("indefinite", [True, False])
def test_every_usual_algorithm_opens(pair: KeyPair, cipher: str, wrap: str, indefinite: bool) -> None:
    shape = p7m.Shape(cipher=cipher, wrap=wrap, indefinite=indefinite)  # type: ignore[arg-type]
    assert opened_key(p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem, shape), pair).startswith("AS_")


@pytest.mark.parametrize(
    "shape",
    [
        p7m.Shape(recipient="key"),
        p7m.Shape(recipient="key", indefinite=False),
        p7m.Shape(chunk=16),
        p7m.Shape(chunk=7),
        p7m.Shape(chunk=64, nested=True),
    ],
)
def test_recipients_by_key_and_ciphertext_in_any_chunks_open(pair: KeyPair, shape: p7m.Shape) -> None:
    assert opened_key(p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem, shape), pair).startswith("AS_")


@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["mime", "PKCS7", "CMS", "binary", "base64"])
def test_every_form_of_file_opens(pair: KeyPair, form: str, line: str) -> None:
    encoded = p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem)
    forms = {
        "mime": p7m.mime(encoded, line=line),
        "binary": encoded + line.encode(),
        "base64": p7m.mime(encoded, line=line).split((line * 2).encode())[1],
    }
    content = forms.get(form) or p7m.pem(encoded, label=form, line=line)
    assert opened_key(content, pair).startswith("AS_")


@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("markers", [True, False])
def test_the_text_inside_is_read_however_it_is_wrapped(
    pair: KeyPair, markers: bool, folded: bool, line: str
) -> None:
    text = p7m.token_text(EXPIRY, markers=markers, folded=folded, line=line)
    content = p7m.cms(text, pair.certificate_pem)
    assert opened_key(content, pair) == "AS_planted-access-secret"


@pytest.mark.parametrize("options", [["-aes-128-cbc", "-stream"], ["-aes-256-cbc"], ["-des3"], ["-keyid"]])
def test_files_written_by_openssl_open(tmp_path: Path, pair: KeyPair, options: list[str]) -> None:
    (tmp_path / "cert.pem").write_text(pair.certificate_pem)
    (tmp_path / "text").write_bytes(p7m.token_text(EXPIRY))
    subprocess.run(
        ["openssl", "cms", "-encrypt", "-binary", "-in", "text", "-out", "token.p7m"]
        + (options if options != ["-keyid"] else ["-aes-192-cbc", "-keyid"])
        + ["cert.pem"],
        cwd=tmp_path,
        check=True,
        timeout=30,
        capture_output=True,
    )
    assert opened_key((tmp_path / "token.p7m").read_bytes(), pair).startswith("AS_")


def test_the_key_pair_that_fits_is_found_and_named(pair: KeyPair, other: KeyPair) -> None:
    content = p7m.cms(p7m.token_text(EXPIRY), other.certificate_pem)
    assert open_token_file(content, [pair, other], now=NOW).key_pair == 1
    assert token_file.is_made_for(content, other.certificate_pem)
    assert not token_file.is_made_for(content, pair.certificate_pem)
    assert not token_file.is_made_for(b"nothing", pair.certificate_pem)


def test_a_file_for_another_certificate_says_so(pair: KeyPair, other: KeyPair) -> None:
    content = p7m.mime(p7m.cms(p7m.token_text(EXPIRY), other.certificate_pem))
    with pytest.raises(token_file.MadeForAnotherCertificate, match="another certificate"):
        open_token_file(content, [pair], now=NOW)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\0" * 500, b"PK\x03\x04zip", b"%PDF-1.7", b"-----BEGIN PKCS7-----\n", b"A: b\n\nxyz"],
)
def test_something_else_is_not_a_token_file(pair: KeyPair, content: bytes) -> None:
    with pytest.raises(token_file.NotATokenFile, match=r"not a server token.*\.p7m"):
        open_token_file(content, [pair], now=NOW)


def test_a_certificate_is_told_apart_in_pem_and_in_der(pair: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem.encode())
    for content in (pair.certificate_pem.encode(), certificate.public_bytes(serialization.Encoding.DER)):
        with pytest.raises(token_file.CertificateInsteadOfToken, match="goes to ABM"):
            open_token_file(content, [pair], now=NOW)


def test_a_private_key_is_told_apart_without_being_repeated(pair: KeyPair) -> None:
    key = pair.private_key_pem.get_secret_value()
    with pytest.raises(token_file.NotATokenFile, match=r"private key.*Delete it") as refusal:
        open_token_file(key.encode(), [pair], now=NOW)
    assert key.splitlines()[1] not in str(refusal.value)


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><title>x", b"\n <html lang=en>", b"\xef\xbb\xbf<?xml version='1.0'?>"]
)
def test_a_saved_web_page_is_named(pair: KeyPair, page: bytes) -> None:
    with pytest.raises(token_file.NotATokenFile, match="web page, not a server token"):
        open_token_file(page, [pair], now=NOW)


def test_a_token_decrypted_elsewhere_is_told_apart(pair: KeyPair) -> None:
    with pytest.raises(token_file.NotATokenFile, match="already decrypted") as refusal:
        open_token_file(p7m.token_text(EXPIRY, markers=False), [pair], now=NOW)
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("form", ["mime", "binary"])
def test_a_truncated_file_is_damaged(pair: KeyPair, part: float, form: str) -> None:
    encoded = p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem)
    content = encoded if form == "binary" else p7m.mime(encoded)
    with pytest.raises(token_file.TokenFileDamaged, match="damaged"):
        open_token_file(content[: max(int(len(content) * part), 350)], [pair], now=NOW)


def test_a_wrong_key_behind_the_right_recipient_is_damaged(pair: KeyPair, other: KeyPair) -> None:
    encoded = p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem, p7m.Shape(indefinite=False))
    place = encoded.index(bytes.fromhex("04820100")) + 4
    content = encoded[:place] + bytes(reversed(encoded[place : place + 256])) + encoded[place + 256 :]
    with pytest.raises(token_file.TokenFileDamaged):
        open_token_file(content, [pair], now=NOW)
    mixed = KeyPair(other.private_key_pem, pair.certificate_pem)
    with pytest.raises(token_file.KeyPairUnusable, match="not made for this private key"):
        open_token_file(encoded, [mixed], now=NOW)


@pytest.mark.parametrize("key", ["consumer_key", "consumer_secret", "access_token", "access_token_expiry"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_value_is_named(pair: KeyPair, key: str, value: str | None) -> None:
    content = p7m.cms(p7m.token_text(EXPIRY, changes={key: value}), pair.certificate_pem)
    with pytest.raises(token_file.KeyMissing, match=f"lacks {key}\\.") as refusal:
        open_token_file(content, [pair], now=NOW)
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize("text", [b"", b"no json", b"{", b'{"a":}', b"[1]", b"{" * 30000 + b"}", b"{\xff}"])
def test_anything_else_inside_is_damaged(pair: KeyPair, text: bytes) -> None:
    with pytest.raises(token_file.TokenFileDamaged, match="decrypted, but"):
        open_token_file(p7m.cms(text, pair.certificate_pem), [pair], now=NOW)


def test_an_expiry_that_is_no_date_is_damaged(pair: KeyPair) -> None:
    content = p7m.cms(
        p7m.token_text(EXPIRY, changes={"access_token_expiry": "next year"}), pair.certificate_pem
    )
    with pytest.raises(token_file.TokenFileDamaged, match="expiry date"):
        open_token_file(content, [pair], now=NOW)


def test_an_expired_token_says_since_when(pair: KeyPair) -> None:
    content = p7m.cms(p7m.token_text(NOW), pair.certificate_pem)
    with pytest.raises(token_file.TokenExpired, match="expired on 22 November 2026 at 09:00 UTC"):
        open_token_file(content, [pair], now=NOW)
    assert open_token_file(content, [pair], now=NOW - timedelta(seconds=1)).expires_at == NOW


def test_more_than_64_kib_is_refused_without_reading(pair: KeyPair) -> None:
    started = time.monotonic()
    with pytest.raises(token_file.TokenFileTooLarge, match="64 KiB"):
        open_token_file(b"0" * 10_000_000, [pair], now=NOW)
    assert time.monotonic() - started < 1


def test_key_pairs_that_cannot_be_used_say_why(pair: KeyPair) -> None:
    content = p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem)
    curve = ec.generate_private_key(ec.SECP256R1())
    encodings = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    elliptic = curve.private_bytes(*encodings, serialization.NoEncryption()).decode()
    locked = curve.private_bytes(*encodings, serialization.BestAvailableEncryption(b"x")).decode()
    for pem, words in (
        ("no key", "cannot be read"),
        (locked, "cannot be read"),
        (elliptic, "not an RSA key"),
    ):
        with pytest.raises(token_file.KeyPairUnusable, match=words):
            open_token_file(content, [KeyPair(SecretStr(pem), pair.certificate_pem)], now=NOW)
    der = ssl.PEM_cert_to_DER_cert(pair.certificate_pem)
    of_no_version = ssl.DER_cert_to_PEM_cert(certificates.of_no_version(der))
    for certificate in ("no certificate", of_no_version):
        with pytest.raises(token_file.KeyPairUnusable, match="certificate cannot be read"):
            open_token_file(content, [KeyPair(pair.private_key_pem, certificate)], now=NOW)
    with pytest.raises(token_file.NotATokenFile):
        open_token_file(certificates.of_no_version(der), [pair], now=NOW)


def test_nothing_secret_shows_in_what_was_opened(pair: KeyPair) -> None:
    token = open_token_file(p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem), [pair], now=NOW)
    assert "planted" not in repr(token)
    assert "planted" not in repr(token.credentials.sealed())
    assert "PRIVATE" not in repr(pair)
    assert json.loads(token.credentials.sealed().get_secret_value())["access_secret"].startswith("AS_planted")


FUZZ = settings(
    max_examples=150,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def outcome(content: bytes, pair: KeyPair) -> str:
    try:
        return f"opened, until {open_token_file(content, [pair], now=NOW).expires_at}"
    except token_file.TokenFileUnusable as refusal:
        return str(refusal)


@FUZZ
@given(st.binary(max_size=3000))
def test_random_bytes_are_refused_by_name(pair: KeyPair, content: bytes) -> None:
    with pytest.raises(token_file.TokenFileUnusable):
        open_token_file(content, [pair], now=NOW)


@FUZZ
@given(st.binary(max_size=600))
def test_random_bytes_behind_the_right_beginning_are_refused_by_name(pair: KeyPair, content: bytes) -> None:
    with pytest.raises(token_file.TokenFileUnusable):
        open_token_file(bytes.fromhex("308006092a864886f70d010703a080") + content, [pair], now=NOW)


@FUZZ
@given(data=st.data(), indefinite=st.booleans(), in_mime=st.booleans())
def test_a_mutated_file_opens_or_is_refused_by_name(
    pair: KeyPair, data: st.DataObject, indefinite: bool, in_mime: bool
) -> None:
    shape = p7m.Shape(indefinite=indefinite, chunk=200)
    encoded = p7m.cms(p7m.token_text(EXPIRY), pair.certificate_pem, shape)
    content = bytearray(p7m.mime(encoded) if in_mime else encoded)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "insert", "end"]))
        if change == "set":
            content[place] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del content[place : place + data.draw(st.integers(1, 50))]
        elif change == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=50))
        else:
            del content[max(place, 1) :]
        if not content:
            break
    assert "planted" not in outcome(bytes(content), pair)


@pytest.mark.parametrize("tag", [0x30, 0xA0, 0x24, 0x31])
def test_deep_nesting_is_refused_quickly(pair: KeyPair, tag: int) -> None:
    start = bytes.fromhex("308006092a864886f70d010703a080308002010031803080")
    started = time.monotonic()
    with pytest.raises(token_file.TokenFileUnusable):
        open_token_file(start + bytes([tag, 0x80]) * 30_000, [pair], now=NOW)
    assert time.monotonic() - started < 5
