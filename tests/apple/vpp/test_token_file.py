import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.apple.vpp.token_file import MAX_FILE_BYTES, ContentTokenFileUnusable, read_token_file
from tests.fakes import certificates, p7m

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
INSIDE = {"token": "planted-inside", "expDate": "2027-11-08T22:33:22+0000", "orgName": "Example Trust"}


def file_of(values: object) -> bytes:
    return base64.b64encode(json.dumps(values).encode())


def test_a_file_is_shown_to_the_service_as_it_came_without_line_breaks() -> None:
    packed = file_of(INSIDE)
    token = read_token_file(b"\xef\xbb\xbf" + packed[:40] + b"\r\n" + packed[40:] + b"\n", now=NOW)
    assert token.text.get_secret_value() == packed.decode()
    assert token.expires_at == datetime(2027, 11, 8, 22, 33, 22, tzinfo=UTC)
    assert token.org_name == "Example Trust"


def test_the_end_is_read_in_the_zone_that_it_names() -> None:
    token = read_token_file(file_of({**INSIDE, "expDate": "2027-01-01T00:00:00-0700"}), now=NOW)
    assert token.expires_at == datetime(2027, 1, 1, 7, 0, tzinfo=UTC)


OTHERS = [
    (b"", "not a content token file"),
    (b"\x00\xff\xfe random", "not a content token file"),
    (base64.b64encode(b"random"), "not a content token file"),
    (base64.b64encode(b"[1, 2]"), "not a content token file"),
    (file_of({"expDate": INSIDE["expDate"]}), "no token is in it"),
    (file_of({**INSIDE, "token": " "}), "no token is in it"),
    (file_of({**INSIDE, "expDate": "soon"}), "does not say when it expires"),
    (file_of({"token": "planted-inside"}), "does not say when it expires"),
    (file_of({**INSIDE, "expDate": "2026-11-22T08:59:59+0000"}), "expired on 22 November 2026 at 08:59"),
    (json.dumps(INSIDE).encode(), "already decoded"),
    (b"<!DOCTYPE html><html>Sign in", "a web page"),
    (b"-----BEGIN RSA PRIVATE KEY-----\nMII", "a private key"),
    (b"x" * (MAX_FILE_BYTES + 1), "larger than 64 KiB"),
    (b"eyJ0b2tlbiI6\xc3\xa4", "not a content token file"),
]


@pytest.mark.parametrize(("content", "what"), OTHERS, ids=range(len(OTHERS)))
def test_other_files_are_told_apart(content: bytes, what: str) -> None:
    with pytest.raises(ContentTokenFileUnusable) as refusal:
        read_token_file(content, now=NOW)
    assert what in refusal.value.message
    assert refusal.value.next_step
    assert "planted" not in f"{refusal.value!r} {refusal.value}"


def test_a_server_token_and_a_certificate_are_named() -> None:
    enveloped = b"\x30\x80" + bytes.fromhex("06092a864886f70d010703") + b"\xa0\x80" + bytes(60)
    for content in (p7m.mime(enveloped), p7m.pem(enveloped), enveloped, base64.b64encode(enveloped)):
        with pytest.raises(ContentTokenFileUnusable, match="server token"):
            read_token_file(content, now=NOW)
    with pytest.raises(ContentTokenFileUnusable, match="certificate"):
        read_token_file(certificates.pem(), now=NOW)


def test_a_token_shows_nothing_of_itself() -> None:
    packed = file_of(INSIDE)
    shown = repr(read_token_file(packed, now=NOW - timedelta(days=1)))
    assert packed.decode() not in shown
    assert "planted" not in shown
