import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.query import Condition, Key, parse
from bot.kit.query import QueryWrong, UnknownKey, ValueWrong

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_every_word_is_a_condition() -> None:
    text = 'actor:U0ANA  -action:Token.Renewed serial:c02x token:paris subject:"Sales iPad" tag:EMEA'
    query = parse(text, now=NOON)
    assert (
        query.text
        == 'actor:U0ANA -action:Token.Renewed serial:c02x token:paris subject:"Sales iPad" tag:EMEA'
    )
    assert query.conditions == (
        Condition(Key.ACTOR, "U0ANA"),
        Condition(Key.ACTION, "token.renewed", is_negated=True),
        Condition(Key.SERIAL, "C02X"),
        Condition(Key.TOKEN, "paris"),
        Condition(Key.SUBJECT, "Sales iPad"),
        Condition(Key.TAG, "emea"),
    )
    assert parse("", now=NOON).conditions == ()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("since:30d", NOON - timedelta(days=30)),
        ("until:12h", NOON - timedelta(hours=12)),
        ("since:2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        # A day that is named is meant with all of its hours.
        ("until:2026-04-01", datetime(2026, 4, 2, tzinfo=UTC)),
    ],
)
def test_a_span_begins_and_ends_at_a_moment(text: str, at: datetime) -> None:
    assert parse(text, now=NOON).conditions[0].at == at


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("actor:@nobody", "Leave a space behind the colon, type @ and choose"),
        ("serial:C02X*", "Write the whole serial number"),
        ("since:yesterday", "such as 30d or 12h, or a date"),
        ("until:9999-12-31", "such as 30d or 12h, or a date"),
        ("paris", 'Write subject:"paris", or one of actor:'),
    ],
)
def test_what_cannot_be_used_says_how_to_write_it(text: str, told: str) -> None:
    with pytest.raises(QueryWrong, match=told.replace("*", r"\*")):
        parse(text, now=NOON)


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownKey, match="Did you mean actor:"):
        parse("actr:U0ANA", now=NOON)
    assert issubclass(ValueWrong, QueryWrong)


@given(
    st.text(max_size=200)
    | st.from_regex(r'(-?(since|until|actor|serial): ?"?[0-9a-z@:*-]*"? ?)*', fullmatch=True)
)
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    with contextlib.suppress(QueryWrong):
        parse(text, now=NOON)
