from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bot.audit.models import BEGINNING, AuditEntry
from bot.audit.rules import chain

KEY = b"k" * 32
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def entry(**changes: Any) -> AuditEntry:
    content: dict[str, Any] = {
        "number": 1,
        "at": NOON,
        "actor": "U0ANA",
        "actor_kind": "person",
        "action": "token.added",
        "subject_kind": "token",
        "subject_id": "t1",
        "subject_name": "paris",
        "tags": ["emea"],
        "detail": {"apple_id": "it@example.com", "days": 365},
        "reference": "ABCD1234",
        "key_id": "00",
        "mac": "",
    }
    return AuditEntry(**(content | changes))


def test_the_same_entry_has_the_same_mac() -> None:
    assert chain(entry(), previous=BEGINNING, key=KEY) == chain(entry(), previous=BEGINNING, key=KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"at": NOON + timedelta(microseconds=1)},
        {"actor": "U0BEN"},
        {"actor_kind": "job"},
        {"action": "token.removed"},
        {"subject_kind": "device"},
        {"subject_id": "t2"},
        {"subject_name": "Paris"},
        {"tags": []},
        {"detail": {"apple_id": "it@example.com", "days": "365"}},
        {"reference": ""},
        {"key_id": "01"},
        {"actor": "U0ANAperson", "actor_kind": ""},
    ],
)
def test_whatever_is_changed_changes_the_mac(change: dict[str, Any]) -> None:
    assert chain(entry(**change), previous=BEGINNING, key=KEY) != chain(entry(), previous=BEGINNING, key=KEY)


def test_another_key_or_another_entry_before_changes_the_mac() -> None:
    mac = chain(entry(), previous=BEGINNING, key=KEY)
    assert chain(entry(), previous=BEGINNING, key=b"x" * 32) != mac
    assert chain(entry(), previous=mac, key=KEY) != mac


def test_how_a_database_gives_things_back_does_not_change_the_mac() -> None:
    paris = NOON.astimezone(timezone(timedelta(hours=2)))
    given_back = entry(at=paris, detail={"days": 365, "apple_id": "it@example.com"})
    assert chain(given_back, previous=BEGINNING, key=KEY) == chain(entry(), previous=BEGINNING, key=KEY)


def test_text_of_any_script_is_chained() -> None:
    mac = chain(entry(subject_name="東京 🗼", detail={"naïve": "\ud800"}), previous=BEGINNING, key=KEY)
    assert len(bytes.fromhex(mac)) == 32
