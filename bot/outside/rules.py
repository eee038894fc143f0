"""Which acts are events, how they are signed, and when they are tried again. Pure."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.audit.facts import Told

#: The acts of the audit that are events, by their names there.
TOLD = frozenset(
    {
        *(f"token.{act}" for act in ("added", "uploaded", "imported", "renewed", "removed")),
        *(f"content_token.{act}" for act in ("added", "renewed", "removed")),
        *(f"deadline.{act}" for act in ("added", "changed", "removed")),
        *(f"request.{act}" for act in ("sent", "approved", "denied", "cancelled", "expired", "stopped")),
        "request.carried_out",
        "request.glass_broken",
    }
)
GIVE_UP_AFTER = timedelta(days=1)
#: After each failure; the last one from then on.
WAITS = (
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
ENCODED = "whsec_"


def wait_after(tries: int) -> timedelta:
    """Return how long to wait after so many failures."""
    return WAITS[min(tries, len(WAITS)) - 1]


def is_over(at: datetime, now: datetime) -> bool:
    """Say whether an event is too old to be told: nobody could do anything about it any more."""
    return now - at >= GIVE_UP_AFTER


def body_of(act: Told) -> dict[str, Any]:
    """Return what is told of an act of the audit."""
    return {
        "type": act.action,
        "timestamp": act.at.isoformat().replace("+00:00", "Z"),
        "data": {
            "subject": {"kind": act.subject_kind, "id": act.subject_id, "name": act.subject_name},
            "actor": {"kind": act.actor_kind, "id": act.actor},
            "tags": list(act.tags),
            "detail": dict(act.detail),
            "audit_number": act.number,
        },
    }


def encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def signing_key(secret: str) -> bytes:
    """Return the key of a secret: base64 behind `whsec_`, else its characters. Raises ValueError."""
    if secret.startswith(ENCODED):
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    return secret.encode()


def headers_of(event_id: str, body: bytes, *, key: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of one delivery: id, time and signature, as Standard Webhooks has them."""
    stamp = str(int(now.timestamp()))
    signed = b".".join((event_id.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }
