from datetime import UTC, datetime, timedelta

import pytest

from bot.kit import query
from bot.kit.query import MOST_CHARS, QueryWord, QueryWrong, UnknownKey

KEYS = ("actor", "action", "since")


def test_words_have_keys_quotes_and_negation() -> None:
    found = query.words("actor:ana -action:\"a b\", SINCE:'x' plain", keys=KEYS)
    assert found == [
        QueryWord("actor", "ana"),
        QueryWord("action", "a b", is_negated=True, is_quoted=True),
        QueryWord("since", "x", is_quoted=True),
        QueryWord("", "plain"),
    ]
    assert query.words("", keys=KEYS) == []


def test_a_space_may_stand_behind_the_colon() -> None:
    found = query.words('actor: U0ANA -action: "a b"', keys=KEYS)
    assert found == [QueryWord("actor", "U0ANA"), QueryWord("action", "a b", is_negated=True, is_quoted=True)]


def test_an_unknown_key_is_answered_with_the_nearest_or_with_all() -> None:
    with pytest.raises(UnknownKey, match="Did you mean actor:") as unknown:
        query.words("acter:ana", keys=KEYS)
    assert unknown.value.nearest == "actor"
    with pytest.raises(UnknownKey, match="Known here: actor, action, since"):
        query.words("zzz:ana", keys=KEYS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('actor:""', "actor: has no value"),
        ("actor: since:30d", "actor: has no value"),
        ("since:30d -actor:", "actor: has no value"),
        ("actor:a " * 41, "41 words are more than the 40"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, told: str) -> None:
    with pytest.raises(QueryWrong, match=told):
        query.words(query.tidy(text), keys=KEYS)


def test_a_query_has_one_space_between_words_and_a_length() -> None:
    assert query.tidy("  actor:a \n b\x00 ") == "actor:a b"
    assert query.tidy("half \ud83d") == "half ?"
    with pytest.raises(QueryWrong, match="Keep it below 900 characters"):
        query.tidy("x" * (MOST_CHARS + 1))


def test_lengths_and_days_are_read() -> None:
    assert query.length_of("30d") == timedelta(days=30)
    assert query.length_of("12H") == timedelta(hours=12)
    assert query.length_of("2w") == timedelta(days=14)
    assert query.length_of("12345d") is None
    assert query.day_of("2026-05-01") == datetime(2026, 5, 1, tzinfo=UTC)
    assert query.day_of("yesterday") is None
