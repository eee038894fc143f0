"""What the list and the card of content tokens draw, and that Slack takes it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.kit.actor import Role
from bot.licenses import blocks
from bot.licenses.facts import (
    AppLicences,
    Availability,
    ContentTokenCard,
    ContentTokenRow,
    ContentTokenState,
    ContentTokenView,
    Level,
)
from bot.sandbox.slack.blocks import check_message_blocks
from bot.slack.blocks import Block
from tests.builders import NOW, app_licences, content_token_view
from tests.fakes.backend import TEXTS


def content_token(name: str = "hq", **changes: Any) -> ContentTokenView:
    return content_token_view(name, **({"days_left": 90, "apps": 2} | changes))


def app(app_id: str, name: str, available: int, *, is_book: bool = False) -> AppLicences:
    return app_licences(app_id, available, 500, name=name, is_book=is_book, level=Level.FINE)


def drawn(shown: list[Block]) -> dict[str, list[tuple[str, float]]]:
    """Return the points of the only chart by the name of its series; nothing where there is no chart."""
    check_message_blocks(shown)
    charts = [block["chart"] for block in shown if block["type"] == "data_visualization"]
    assert len(charts) <= 1
    return {
        series["name"]: [(point["label"], point["value"]) for point in series["data"]]
        for chart in charts
        for series in chart["series"]
    }


def shown_over_time(apps: list[AppLicences], values: Mapping[str, list[int | None]], first: int = 0) -> Any:
    past = {
        (app_id, "STDQ"): Availability(NOW - timedelta(days=30), NOW, tuple(each))
        for app_id, each in values.items()
    }
    card = ContentTokenCard(content_token(), apps, past)
    return drawn(blocks.content_token_card(card, texts=TEXTS, role=Role.VIEWER, now=NOW, first=first).blocks)


def listed(*views: ContentTokenView, first: int = 0) -> dict[str, list[tuple[str, float]]]:
    rows = [ContentTokenRow(view, low=0, none_left=0) for view in views]
    shown = blocks.content_token_list(rows, role=Role.VIEWER, slash="/enroll", now=NOW, first=first)
    return drawn(shown.blocks)


def test_a_card_draws_how_many_licences_were_free_over_time() -> None:
    values: dict[str, list[int | None]] = {"1": [None, 400, 17], "2": [500, 480, 470]}
    assert shown_over_time([app("1", "Company Portal", 17), app("2", "Notes", 470)], values) == {
        "Company Portal": [("21 Apr", 400), ("1 May", 17)],
        "Notes": [("21 Apr", 480), ("1 May", 470)],
    }


def test_an_app_that_has_just_come_does_not_cut_the_chart_of_a_scarcer_one() -> None:
    apps = [app("1", "Company Portal", 17), app("2", "Notes", 470)]
    shown = shown_over_time(apps, {"1": [450, 400, 17], "2": [None, 480, 470]})
    assert list(shown) == ["Company Portal"]
    assert [value for _, value in shown["Company Portal"]] == [450, 400, 17]


def test_only_the_scarcest_that_changed_are_drawn_and_no_books() -> None:
    apps = [app("0", "Still", 3), *(app(str(number), f"App {number}", number) for number in range(1, 9))]
    apps.append(app("9", "Atlas", 9, is_book=True))
    values: dict[str, list[int | None]] = {str(number): [400, number] for number in range(10)}
    shown = shown_over_time(apps, values | {"0": [3, 3]})
    assert list(shown) == ["App 1", "App 2", "App 3"]
    assert shown_over_time(apps[:1], {"0": [3, 3]}) == {}
    assert shown_over_time(apps[-1:], {"9": [400, 9]}) == {}


def test_two_apps_of_one_name_are_told_apart_in_the_chart() -> None:
    apps = [app("111", "Notes", 5), app("222", "Notes", 6)]
    assert list(shown_over_time(apps, {"111": [9, 5], "222": [9, 6]})) == ["111 Notes", "222 Notes"]


def test_a_chart_stands_on_the_first_page_alone() -> None:
    apps = [app(str(number), f"App {number}", number) for number in range(30)]
    values: dict[str, list[int | None]] = {"1": [9, 1]}
    assert shown_over_time(apps, values) != {}
    assert shown_over_time(apps, values, first=blocks.PAGE) == {}


def test_the_list_draws_the_days_left_of_every_content_token_the_fewest_first() -> None:
    revoked = content_token("lyon", state=ContentTokenState.REVOKED, days_left=70)
    expired = content_token("nice", state=ContentTokenState.EXPIRED, days_left=-2)
    shown = listed(content_token(), content_token("paris", days_left=12), revoked, expired)
    assert shown == {"Days left": [("lyon", 0), ("nice", 0), ("paris", 12), ("hq", 90)]}


def test_one_content_token_alone_needs_no_chart() -> None:
    assert listed(content_token()) == {}


def test_of_many_content_tokens_those_with_the_fewest_days_are_drawn_once() -> None:
    many = [content_token(f"t{number:02}", days_left=300 - number) for number in range(30)]
    points = listed(*many)["Days left"]
    assert (len(points), points[0]) == (20, ("t29", 271))
    assert listed(*many, first=blocks.PAGE) == {}
