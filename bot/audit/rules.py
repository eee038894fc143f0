"""How an entry is chained to the one before it."""

import hashlib
import hmac
import json
from datetime import UTC

from bot.audit.models import AuditEntry


def chain(entry: AuditEntry, *, previous: str, key: bytes) -> str:
    """Return the HMAC-SHA256 (hex) of the entry's content and of the entry before it."""
    content = [
        entry.number,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor,
        entry.actor_kind,
        entry.action,
        entry.subject_kind,
        entry.subject_id,
        entry.subject_name,
        entry.tags,
        entry.detail,
        entry.reference,
        entry.key_id,
        previous,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
