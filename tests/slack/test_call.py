import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.blocks import modal
from bot.slack.call import ModalState, origin_of, with_origin

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["value", "selected_options", "selected_option", "files", "selected_user"]


def filled(element: dict[str, Any]) -> ModalState:
    return ModalState({"block": {"value": element}})


def test_what_was_filled_in_is_read_by_block() -> None:
    assert filled({"type": "plain_text_input", "value": " par\x00is \n"}).text("block") == "paris"
    assert filled({"selected_options": [{"value": "agree"}, {"value": "b"}]}).checked("block") == [
        "agree",
        "b",
    ]
    assert filled({"selected_option": {"value": "ios"}}).selected("block") == "ios"
    assert filled({"files": ["F1", {"id": "F2"}, None]}).files("block") == [{"id": "F1"}, {"id": "F2"}]


@pytest.mark.parametrize("state", [ModalState(), filled({}), filled({"value": None, "files": None})])
def test_what_was_left_out_is_empty(state: ModalState) -> None:
    read = (state.text("block"), state.checked("block"), state.selected("block"), state.files("block"))
    assert read == ("", [], None, [])


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_state_is_read_without_a_failure(element: dict[str, Any]) -> None:
    state = filled(element)
    assert "\x00" not in state.text("block")
    assert all(isinstance(value, str) for value in state.checked("block"))
    assert all(isinstance(file, dict) for file in state.files("block"))


@given(st.text(max_size=2800))
def test_metadata_comes_back_as_it_was_given(metadata: str) -> None:
    view = with_origin(modal(title="x", callback_id="c", blocks=[], private_metadata=metadata), "C1")
    assert len(view["private_metadata"]) <= 3000
    origin, given_back = origin_of(view["private_metadata"])
    assert given_back == metadata
    assert origin in {"C1", ""}


@pytest.mark.parametrize("metadata", ["", "id-1", "{}", "[1]", json.dumps({"in": "x"}), "{"])
def test_metadata_without_an_origin_is_the_screens_own(metadata: str) -> None:
    assert origin_of(metadata) == ("", metadata)
