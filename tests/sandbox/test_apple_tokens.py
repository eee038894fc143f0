"""Server token files of the stand-in: Apple's layout, opened by others' tools."""

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.sandbox.apple import AppleStandIn, NotPossible
from bot.sandbox.apple.p7m import NotAPublicKey, enveloped
from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import certificate, keys


@pytest.fixture
def standin(clock: FakeClock) -> AppleStandIn:
    made = AppleStandIn(clock)
    made.create_server("paris")
    return made


def token_file(standin: AppleStandIn) -> bytes:
    standin.upload_certificate("paris", keys().pem)
    return standin.generate_token("paris")[1]


def envelope(content: bytes) -> bytes:
    return base64.b64decode(content.split(b"\n\n", 1)[1])


def opened(der: bytes) -> bytes:
    enveloped_data = cms.ContentInfo.load(der)["content"]
    recipient = enveloped_data["recipient_infos"][0].chosen
    sealed = enveloped_data["encrypted_content_info"]
    key = keys().private.decrypt(recipient["encrypted_key"].native, padding.PKCS1v15())
    iv = sealed["content_encryption_algorithm"].encryption_iv
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(sealed["encrypted_content"].native) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    plain: bytes = unpadder.update(padded) + unpadder.finalize()
    return plain


def token_in(message: bytes) -> dict[str, str]:
    found = re.search(rb"-----BEGIN MESSAGE-----\s+(.*?)\s+-----END MESSAGE-----", message, re.DOTALL)
    assert found is not None
    token: dict[str, str] = json.loads(found[1])
    return token


def test_the_outer_file_is_mime_with_base64_in_76_columns(standin: AppleStandIn) -> None:
    head, _, body = token_file(standin).decode().partition("\n\n")

    lines = body.splitlines()
    assert head.splitlines() == [
        'Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7m"',
        "Content-Description: S/MIME Encrypted Message",
    ]
    assert {len(line) for line in lines[:-1]} == {76}
    assert lines[0].startswith("MIAGCSqGSIb3DQEHA6CAMIACAQAx")


def test_the_envelope_has_indefinite_lengths_and_more_than_one_chunk(standin: AppleStandIn) -> None:
    der = envelope(token_file(standin))

    data = cms.ContentInfo.load(der)["content"]
    sealed = data["encrypted_content_info"]
    assert der[:2] == b"\x30\x80"
    assert der.endswith(b"\x00" * 10)
    assert der.count(b"\x04\x82\x01\x00") >= 2
    assert sealed["content_encryption_algorithm"].encryption_cipher == "aes"
    assert sealed["content_encryption_algorithm"].key_length == 16
    assert data["version"].native == "v0"


def test_the_recipient_is_the_uploaded_certificate(standin: AppleStandIn) -> None:
    data = cms.ContentInfo.load(envelope(token_file(standin)))["content"]

    recipient = data["recipient_infos"][0].chosen
    assert len(data["recipient_infos"]) == 1
    assert recipient["rid"].name == "issuer_and_serial_number"
    assert recipient["rid"].chosen["serial_number"].native == keys().certificate.serial_number
    assert recipient["rid"].chosen["issuer"].dump() == keys().certificate.issuer.public_bytes()
    assert recipient["key_encryption_algorithm"]["algorithm"].native == "rsaes_pkcs1v15"


def test_the_text_inside_holds_the_credentials_of_the_server(standin: AppleStandIn) -> None:
    message = opened(envelope(token_file(standin)))

    token = token_in(message)
    made = standin.server("paris").credentials
    assert made is not None
    assert message.startswith(
        b"Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n"
    )
    assert token == {
        "consumer_key": made.consumer_key,
        "consumer_secret": made.consumer_secret,
        "access_token": made.access_token,
        "access_secret": made.access_secret,
        "access_token_expiry": "2027-05-01T09:00:00Z",
    }
    assert [token[key][:3] for key in token if key != "access_token_expiry"] == ["CK_", "CS_", "AT_", "AS_"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@pytest.mark.parametrize("tool", ["smime", "cms"])
def test_openssl_opens_the_file(standin: AppleStandIn, tmp_path: Path, tool: str) -> None:
    path, key = tmp_path / "token.p7m", tmp_path / "key.pem"
    path.write_bytes(token_file(standin))
    key.write_bytes(keys().private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    done = subprocess.run(
        ["openssl", tool, "-decrypt", "-in", path, "-inkey", key], capture_output=True, check=True, timeout=30
    )

    assert token_in(done.stdout)["access_token_expiry"] == "2027-05-01T09:00:00Z"


def test_the_file_is_named_after_server_and_moment(standin: AppleStandIn, clock: FakeClock) -> None:
    standin.upload_certificate("paris", keys().pem)
    clock.move(datetime(2026, 11, 22, 21, 0, tzinfo=UTC) - clock.now())

    name, _ = standin.generate_token("paris")

    assert name == "paris_Token_2026-11-22T21-00-00Z_smime.p7m"


def test_a_token_can_be_made_to_end_sooner(standin: AppleStandIn) -> None:
    standin.upload_certificate("paris", keys().pem)

    _, content = standin.generate_token("paris", valid_for=timedelta(days=12))

    assert token_in(opened(envelope(content)))["access_token_expiry"] == "2026-05-13T09:00:00Z"


def test_each_token_has_new_credentials_and_the_servers_consumer_key(standin: AppleStandIn) -> None:
    first = token_in(opened(envelope(token_file(standin))))
    second = token_in(opened(envelope(token_file(standin))))

    changed = {key for key in first if first[key] != second[key]}
    assert changed == {"consumer_secret", "access_token", "access_secret"}


def test_content_of_every_length_comes_back_whole(standin: AppleStandIn) -> None:
    for length in (0, 1, 15, 16, 255, 256, 257, 5000):
        assert opened(enveloped(b"x" * length, keys().certificate)) == b"x" * length


def test_a_certificate_may_be_der(standin: AppleStandIn) -> None:
    standin.upload_certificate("paris", keys().certificate.public_bytes(Encoding.DER))

    assert standin.server("paris").certificate_pem == keys().pem


def ec_certificate() -> bytes:
    return certificate(ec.generate_private_key(ec.SECP256R1())).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an X.509 certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not an X.509 certificate"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
        (ec_certificate(), "not an RSA key"),
    ],
)
def test_anything_else_is_no_public_key(standin: AppleStandIn, content: bytes, words: str) -> None:
    with pytest.raises(NotAPublicKey, match=words):
        standin.upload_certificate("paris", content)

    assert standin.server("paris").certificate_pem is None


def test_an_organisation_has_at_most_250_certificates(standin: AppleStandIn) -> None:
    standin.server("paris").certificates = 250

    with pytest.raises(NotPossible, match="250"):
        standin.upload_certificate("paris", keys().pem)


def test_no_token_without_a_certificate_or_with_terms_open(standin: AppleStandIn) -> None:
    with pytest.raises(NotPossible, match="certificate first"):
        standin.generate_token("paris")
    standin.upload_certificate("paris", keys().pem)
    standin.sign_terms(signed=False)
    with pytest.raises(NotPossible, match="terms"):
        standin.generate_token("paris")


@pytest.mark.parametrize("name", ["", "  ", "Unassigned", "reassigned", "PARIS"])
def test_a_server_needs_a_name_of_its_own(standin: AppleStandIn, name: str) -> None:
    with pytest.raises(NotPossible):
        standin.create_server(name)
