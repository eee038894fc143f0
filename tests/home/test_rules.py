"""What matters most comes first, in one line."""

import pytest

from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home.facts import Glance, TokenRow
from bot.home.rules import by_profile, by_state, headline, worst_first
from bot.profiles.facts import KnownUuid
from bot.tokens.facts import TokenState, TokenView
from tests.builders import NOW, awaiting_token, token_view


def row(token: TokenView, *, devices: int = 10, failures: int = 0) -> TokenRow:
    return TokenRow(token, DeviceCounts(present=devices), TokenSyncFacts(failures=failures))


def test_without_tokens_the_line_says_so() -> None:
    assert headline(Glance([])) == "There is no enrollment token yet."


def test_when_all_is_well_tokens_and_devices_are_counted() -> None:
    rows = [row(token_view("paris"), devices=1200), row(token_view("lyon"), devices=1)]
    assert headline(Glance(rows)) == "All is well: 2 tokens work. 1,201 devices."


def test_a_token_that_awaits_its_file_is_no_trouble_but_named() -> None:
    assert headline(Glance([row(token_view()), row(awaiting_token(), devices=0)])) == (
        "All is well: 1 token works, 1 awaiting a server token. 10 devices."
    )


def test_a_token_refused_once_is_not_called_well_and_comes_before_one_that_expires() -> None:
    doubted = row(token_view("paris", refused_first_at=NOW))
    expiring = row(token_view("lyon", state=TokenState.EXPIRING, days_left=3))
    assert worst_first([expiring, doubted]) == [doubted, expiring]
    assert (
        headline(Glance([doubted]))
        == "Token paris was refused once; it is asked about again within 5 minutes."
    )


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
    assert headline(Glance([row(token_view(state=state, days_left=days_left))])) == line


def test_one_failed_sync_is_a_hiccup_and_two_are_a_trouble() -> None:
    assert headline(Glance([row(token_view(), failures=1)])).startswith("All is well")
    assert headline(Glance([row(token_view(), failures=2)])) == "Token paris has not synced 2 times in a row."


def test_the_worst_trouble_leads_and_the_others_are_counted() -> None:
    rows = [
        row(token_view("lyon", state=TokenState.EXPIRING, days_left=3)),
        row(token_view("paris", state=TokenState.EXPIRED, days_left=0)),
        row(token_view("nice"), failures=3),
    ]
    assert headline(Glance(rows)) == "Token paris has expired. 2 more below."


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


def known(name: str, token_id: str, number: int = 1) -> KnownUuid:
    return KnownUuid(name, number, number == 1, f"{token_id}-{name}", token_id)


def test_devices_are_counted_by_profile_whatever_the_version_and_told_apart_by_token() -> None:
    profiles = {
        "A1": known("Sales", "id-paris"),
        "A2": known("Sales", "id-paris", 2),
        "B1": known("Kiosk", "id-paris"),
    }
    carried = {"A1": 5, "A2": 2, "B1": 9, "C0FFEE0000": 1}
    paris = TokenRow(token_view("paris"), DeviceCounts(present=17, by_profile=carried), TokenSyncFacts())
    names = {"id-paris": "paris", "id-lyon": "lyon"}
    assert by_profile([paris], profiles, names) == {"Kiosk": 9, "Sales": 7, "profile C0FFEE00…": 1}
    lyon = TokenRow(token_view("lyon"), DeviceCounts(present=4, by_profile={"D1": 4}), TokenSyncFacts())
    both = by_profile([paris, lyon], profiles | {"D1": known("Sales", "id-lyon")}, names)
    assert both == {"Kiosk": 9, "paris/Sales": 7, "lyon/Sales": 4, "profile C0FFEE00…": 1}


def test_every_present_device_is_in_one_state() -> None:
    counts = DeviceCounts(present=10, without_profile=4, by_status={"pushed": 5, "assigned": 1, "empty": 4})
    states = by_state([TokenRow(token_view(), counts, TokenSyncFacts())])
    assert states == {"profile fetched": 5, "profile assigned": 1, "no profile": 4}
    assert by_state([]) == {}
