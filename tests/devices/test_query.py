import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.devices import query
from bot.devices.errors import ValueWrong
from bot.devices.query import Condition, Key
from bot.kit.query import QueryWrong, UnknownKey

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", ()),
        ("token:Paris", (Condition(Key.TOKEN, "paris"),)),
        ('model:"iPad Air" f9f*', (Condition(Key.MODEL, "ipad air"), Condition(Key.SERIAL, "F9F"))),
        ("-status:pushed", (Condition(Key.STATUS, "pushed", is_negated=True),)),
        ("-F9F*", (Condition(Key.SERIAL, "F9F", is_negated=True),)),
        ("platform:ipados", (Condition(Key.PLATFORM, "ios"),)),
        ("profile:none removed:yes", (Condition(Key.PROFILE, "none"), Condition(Key.REMOVED, "yes"))),
        ("added:7d", (Condition(Key.ADDED, "7d", since=NOW - timedelta(days=7)),)),
        (
            "removed:2026-04-01",
            (Condition(Key.REMOVED, "2026-04-01", since=datetime(2026, 4, 1, tzinfo=UTC)),),
        ),
    ],
)
def test_a_query_is_read(text: str, conditions: tuple[Condition, ...]) -> None:
    assert query.parse(text, now=NOW).conditions == conditions


@pytest.mark.parametrize(("typed", "nearest"), [("modle:x", "model"), ("staus:x", "status"), ("zzz:x", None)])
def test_an_unknown_key_names_the_nearest(typed: str, nearest: str | None) -> None:
    with pytest.raises(UnknownKey) as refused:
        query.parse(typed, now=NOW)
    assert refused.value.nearest == nearest


@pytest.mark.parametrize("text", ["status:broken", "platform:windows", "added:soon", "removed:maybe"])
def test_an_unknown_value_names_the_known_ones(text: str) -> None:
    with pytest.raises(ValueWrong):
        query.parse(text, now=NOW)


@pytest.mark.parametrize("text", ["x" * 2000, "token:''", "iPad-Air!", "a " * 60, "a," * 60])
def test_what_cannot_be_a_query_is_refused(text: str) -> None:
    with pytest.raises(QueryWrong):
        query.parse(text, now=NOW)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    with contextlib.suppress(QueryWrong):
        assert len(query.parse(text, now=NOW).text) <= len(text)
