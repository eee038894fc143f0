"""What matters most comes first, in one line."""

import pytest

from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home.rules import TokenRow, headline, worst_first
from bot.tokens.facts import TokenState, TokenView
from tests.builders import NOW, awaiting_token, token_view


def row(token: TokenView, *, devices: int = 10, failures: int = 0) -> TokenRow:
    return TokenRow(token, DeviceCounts(present=devices), TokenSyncFacts(failures=failures))


def test_without_tokens_the_line_says_so() -> None:
    assert headline([]) == "There is no enrollment token yet."


def test_when_all_is_well_tokens_and_devices_are_counted() -> None:
    rows = [row(token_view("paris"), devices=1200), row(token_view("lyon"), devices=1)]
    assert headline(rows) == "All is well: 2 tokens work. 1,201 devices."


def test_a_token_that_awaits_its_file_is_no_trouble_but_named() -> None:
    assert headline([row(token_view()), row(awaiting_token(), devices=0)]) == (
        "All is well: 1 token works, 1 awaiting a server token. 10 devices."
    )


def test_a_token_refused_once_is_not_called_well_and_comes_before_one_that_expires() -> None:
    doubted = row(token_view("paris", refused_first_at=NOW))
    expiring = row(token_view("lyon", state=TokenState.EXPIRING, days_left=3))
    assert worst_first([expiring, doubted]) == [doubted, expiring]
    assert headline([doubted]) == "Token paris was refused once; it is asked about again within 5 minutes."


@pytest.mark.parametrize(
    ("state", "days_left", "line"),
    [
        (TokenState.REJECTED, 100, "Token paris is no longer accepted."),
        (TokenState.EXPIRED, 0, "Token paris has expired."),
        (TokenState.TERMS, 100, "Example Trust has new terms to accept."),
        (TokenState.EXPIRING, 1, "Token paris expires in 1 day."),
        (TokenState.EXPIRING, 12, "Token paris expires in 12 days."),
    ],
)
def test_each_trouble_has_its_sentence(state: TokenState, days_left: int, line: str) -> None:
    assert headline([row(token_view(state=state, days_left=days_left))]) == line


def test_one_failed_sync_is_a_hiccup_and_two_are_a_trouble() -> None:
    assert headline([row(token_view(), failures=1)]).startswith("All is well")
    assert headline([row(token_view(), failures=2)]) == "Token paris has not synced 2 times in a row."


def test_the_worst_trouble_leads_and_the_others_are_counted() -> None:
    rows = [
        row(token_view("lyon", state=TokenState.EXPIRING, days_left=3)),
        row(token_view("paris", state=TokenState.EXPIRED, days_left=0)),
        row(token_view("nice"), failures=3),
    ]
    assert headline(rows) == "Token paris has expired. 2 more below."


def test_tokens_stand_worst_first_then_by_days_left_then_by_name() -> None:
    rows = [
        row(token_view("calm")),
        row(token_view("bold", days_left=300)),
        row(awaiting_token("new")),
        row(token_view("late", state=TokenState.EXPIRING, days_left=20)),
        row(token_view("soon", state=TokenState.EXPIRING, days_left=2)),
        row(token_view("gone", state=TokenState.EXPIRED, days_left=-1)),
        row(token_view("sick"), failures=2),
        row(token_view("shut", state=TokenState.REJECTED)),
    ]
    order = [found.token.name for found in worst_first(rows)]
    assert order == ["shut", "gone", "soon", "late", "sick", "calm", "bold", "new"]
