"""Bodies of requests as a person may see them: cut to a length that can be read, without secrets."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MASK = "…"
#: Of more devices than this in one body, the first two stand for all.
_DEVICES = 5
_ENTRIES = 100
#: Characters of one text, and of a whole body. A view of Slack's largest size has about 60,000.
_TEXT = 4_000
_WHOLE = 64_000
_PAGE = '{"devices":['
_SHORTEST = 6
_SECRET_KEYS = frozenset(
    {
        "token",
        "auth_session_token",
        "access_token",
        "access_secret",
        "consumer_key",
        "consumer_secret",
        "client_secret",
        "signing_secret",
        "verification_token",
        "x-adm-auth-session",
        "x-slack-signature",
        "cookie",
        "set-cookie",
    }
)
_SHAPES = (
    (re.compile(r"(/hooks/|/upload/)[A-Za-z0-9]+"), rf"\1{MASK}"),
    (re.compile(r"xox[a-z]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+|v0=[0-9a-f]{16,}"), MASK),
    (re.compile(r'(oauth_(?:consumer_key|token|signature|nonce)=)("?)[^",&\s]*'), rf"\1\2{MASK}"),
    (re.compile(r"(?i)(bearer )\S+"), rf"\1{MASK}"),
)


class Mask:
    """Takes secrets out of what is shown: `secrets` at the moment, and whatever has a secret's name or shape.

    A secret is found in clear, percent-encoded, as JSON writes it, and inside base64 wherever it begins.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets

    def __call__(self, value: Any) -> Any:
        """Return `value` without secrets; its shape stays."""
        forms = [form for secret in self._secrets() if len(secret) >= _SHORTEST for form in _forms(secret)]
        return _masked(value, forms)


def _masked(value: Any, forms: list[str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {_text(str(name), forms): _masked(entry, forms, str(name)) for name, entry in value.items()}
    if isinstance(value, list):
        return [_masked(entry, forms, key) for entry in value]
    if not isinstance(value, str):
        return value
    if key.lower() in _SECRET_KEYS and value:
        return MASK
    # A cursor opens nothing by itself, and its end shows that it moves on.
    return f"{MASK}{value[-8:]}" if key == "cursor" and len(value) > 16 else _text(value, forms)


def _text(text: str, forms: list[str]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, MASK)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


@lru_cache(maxsize=500)
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may stand in a text; of base64 the characters that come from it alone."""
    forms = [
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ]
    for shift in range(3):
        plain = bytes(shift) + secret.encode()
        coded = base64.b64encode(plain).decode().rstrip("=")
        # The first characters mix with what stands before, the last one with what follows.
        core = coded[(0, 2, 3)[shift] : len(coded) - (1 if len(plain) % 3 else 0)]
        forms += [core, core.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(forms))


def opened(raw: bytes) -> Any:
    """Return a body as it can be shown: JSON opened and with its lists cut, a text, or how large it is."""
    if not raw:
        return None
    text = raw.decode(errors="replace")
    try:
        if len(text) > _WHOLE and text.startswith(_PAGE):
            return _page(text)
        return cut(json.loads(text), size=len(raw))
    except ValueError:
        return f"{size_of(len(raw))} that are no text" if "\ufffd" in text else text


def cut(value: Any, *, size: int = 0) -> Any:
    """Return JSON with long lists cut; `size` of the whole, in bytes, is told where devices are left out."""
    if isinstance(value, dict) and isinstance(value.get("devices"), list | dict):
        return {**_cut(value), "devices": _few(value["devices"], size)}
    return _cut(value)


def clip(value: Any) -> Any:
    """Cut what is too long to be read, when nothing secret is in it any more."""
    short = _clipped(value)
    whole = json.dumps(short, ensure_ascii=False, default=str)
    return short if len(whole) <= _WHOLE else f"{whole[:_TEXT]} … {size_of(len(whole))}"


def size_of(number: int) -> str:
    """Write a number of bytes for a person."""
    return f"{number:,} bytes" if number < 1000 else f"{round(number / 1000):,} kB"


def _page(text: str) -> Any:
    """Cut a page of devices without reading all of it: a sync of a million devices has a thousand pages."""
    first, _ = json.JSONDecoder().raw_decode(text, len(_PAGE))
    end = text.rfind("],")
    count = text.count('"serial_number":')
    rest = json.loads("{" + text[end + 2 :])
    return {"devices": [first, f"… {count:,} devices, {size_of(len(text))}"], **rest}


def _few(devices: Any, size: int) -> Any:
    if len(devices) <= _DEVICES:
        return _cut(devices)
    told = f"… {len(devices):,} devices, {size_of(size)}" if size else f"… {len(devices):,} devices"
    if isinstance(devices, list):
        return [*_cut(devices[:2]), told]
    return {**_cut(dict(list(devices.items())[:2])), told: ""}


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _cut(entry) for key, entry in list(value.items())[:_ENTRIES]}
        return kept if len(value) <= _ENTRIES else {**kept, f"… {len(value):,} in all": ""}
    if isinstance(value, list):
        kept_entries = [_cut(entry) for entry in value[:_ENTRIES]]
        return kept_entries if len(value) <= _ENTRIES else [*kept_entries, f"… {len(value):,} in all"]
    return value


def _clipped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clipped(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_clipped(entry) for entry in value]
    if isinstance(value, str) and len(value) > _TEXT:
        return f"{value[:_TEXT]} … {len(value):,} characters"
    return value
