"""The file of a content token (.vpptoken): base64 of JSON with the token, its end and the organisation.

The whole base64 text, without its line breaks, is what the service wants as bearer token.
"""

import binascii
import re
from dataclasses import dataclass
from datetime import datetime

import msgspec
from pydantic import SecretStr

from bot.apple.answers import is_web_page, read_moment
from bot.kit.errors import EnrollbotError

MAX_FILE_BYTES = 64 * 1024

_ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
_DOWNLOAD = (
    "In ABM, open Settings, Payments and Billing, and download the content token of the location; the file's "
    "name ends in .vpptoken."
)


class ContentTokenFileUnusable(EnrollbotError):
    """A file that cannot be used as content token; the text says why. Never holds its contents."""

    def __init__(self, what: str, next_step: str = _DOWNLOAD) -> None:
        super().__init__(what, next_step=next_step)


@dataclass(frozen=True, slots=True)
class ContentToken:
    """What a file holds; `text` is what the service is shown."""

    text: SecretStr
    expires_at: datetime
    org_name: str | None


class _Inside(msgspec.Struct):
    token: str | None = None
    exp_date: str | None = msgspec.field(default=None, name="expDate")
    org_name: str | None = msgspec.field(default=None, name="orgName")


_inside = msgspec.json.Decoder(_Inside)


def read_token_file(content: bytes, *, now: datetime) -> ContentToken:
    """Read a file, or raise a `ContentTokenFileUnusable`."""
    if len(content) > MAX_FILE_BYTES:
        raise ContentTokenFileUnusable(
            f"This file is larger than {MAX_FILE_BYTES // 1024} KiB, so it is not a content token."
        )
    packed = re.sub(rb"\s", b"", content.removeprefix(b"\xef\xbb\xbf"))
    try:
        decoded = binascii.a2b_base64(packed + b"=" * (-len(packed) % 4), strict_mode=True)
    except binascii.Error:
        raise _what_else(content) from None
    if _ENVELOPED_DATA in decoded[:64]:
        raise _server_token()
    inside = _read_inside(decoded)
    if not (inside.token or "").strip():
        raise ContentTokenFileUnusable("This file is like a content token, but no token is in it.")
    expires_at = read_moment(inside.exp_date or "")
    if expires_at is None:
        raise ContentTokenFileUnusable("This content token does not say when it expires.")
    if expires_at <= now:
        raise ContentTokenFileUnusable(
            f"The content token in this file expired on {expires_at:%d %B %Y at %H:%M} UTC.",
            "In ABM, open Settings, Payments and Billing, download the location's content token anew and use "
            "that file.",
        )
    return ContentToken(SecretStr(packed.decode()), expires_at, _shown(inside.org_name))


def _read_inside(decoded: bytes) -> _Inside:
    try:
        return _inside.decode(decoded)
    except (ValueError, RecursionError):  # msgspec's and Unicode's errors are ValueErrors
        raise ContentTokenFileUnusable("This is not a content token file.") from None


def _shown(name: str | None) -> str | None:
    if name is None:
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:200] or None


def _what_else(content: bytes) -> ContentTokenFileUnusable:
    """Name what somebody handed over that is no base64."""
    head = content[:4096]
    if b"PRIVATE KEY-----" in head:
        return ContentTokenFileUnusable("This is a private key, not a content token. Delete it from Slack.")
    if re.search(rb"-----BEGIN [A-Z0-9 ]{0,20}CERTIFICATE", head):
        return ContentTokenFileUnusable("This is a certificate, not a content token.")
    if b"pkcs7" in head.lower() or _ENVELOPED_DATA in head[:64]:
        return _server_token()
    if is_web_page(content):
        return ContentTokenFileUnusable("This is a web page, not a content token.")
    if b'"expDate"' in head:
        return ContentTokenFileUnusable(
            "This is a content token that somebody has already decoded.",
            "Use the file as ABM gave it; its name ends in .vpptoken.",
        )
    return ContentTokenFileUnusable("This is not a content token file.")


def _server_token() -> ContentTokenFileUnusable:
    return ContentTokenFileUnusable("This is a server token (.p7m) of an MDM server, not a content token.")
