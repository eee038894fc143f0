"""The form for a new assignment, however many profiles there are."""

from dataclasses import replace
from typing import Any

import pytest

from bot.assignments import new_blocks
from bot.profiles.facts import ProfileView
from bot.sandbox.slack.blocks import check_view
from tests.profiles.test_limits import profile

FIRST = profile()


def some(number: int, *, tokens: int = 1) -> list[ProfileView]:
    return [
        replace(
            FIRST,
            id=f"p{at}",
            name=f"{'Sales ' * 20}{at // tokens}",
            token_id=f"t{at % tokens}",
            token_name=f"token-{at % tokens}",
        )
        for at in range(number)
    ]


def inputs(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}


def test_up_to_a_hundred_profiles_are_chosen_from_one_list() -> None:
    view = new_blocks.form(some(100, tokens=2), chosen="p7")
    check_view(view)
    element = inputs(view)["profile.t0"]
    assert len(element["options"]) == 100
    assert element["initial_option"]["value"] == "p7"
    # Profiles of the same name are told apart by their token.
    assert element["initial_option"]["text"]["text"].startswith("token-1/Sales")


def test_of_more_profiles_the_token_is_asked_first_and_then_offers_its_own() -> None:
    profiles = some(101, tokens=4)
    first = new_blocks.form(profiles)
    check_view(first)
    assert [name for name in inputs(first) if name.startswith(("token", "profile"))] == ["token"]
    second = new_blocks.form(profiles, token_id="t2")
    check_view(second)
    assert inputs(second)["token"]["initial_option"]["value"] == "t2"
    assert len(inputs(second)["profile.t2"]["options"]) == 25


def test_a_profile_that_was_chosen_brings_its_token() -> None:
    view = new_blocks.form(some(101, tokens=4), chosen="p5")
    assert inputs(view)["profile.t1"]["initial_option"]["value"] == "p5"


@pytest.mark.parametrize(("number", "tokens", "token_id"), [(1000, 1, "t0"), (5000, 101, None)])
def test_what_no_list_can_hold_is_typed(number: int, tokens: int, token_id: str | None) -> None:
    view = new_blocks.form(some(number, tokens=tokens), token_id=token_id)
    check_view(view)
    assert inputs(view)["name"]["type"] == "plain_text_input"
