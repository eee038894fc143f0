"""What is said before a token is removed, in the words of the service at hand."""

from dataclasses import replace

import pytest

from bot.assignments.changes_blocks import remove_modal
from bot.tokens.facts import TokenState
from tests.builders import token_view
from tests.tokens.desk import said
from tests.tokens.test_words import OTHER, strays


@pytest.mark.parametrize(("devices", "words"), [(812, "Its 812 devices are"), (1, "Its 1 device is")])
def test_a_removal_names_the_number_of_devices(devices: int, words: str) -> None:
    shown = said(remove_modal(token_view(), devices=devices, texts=OTHER))
    assert f"{words} marked removed here" in shown
    assert strays(shown) == []


def test_the_removal_of_an_awaiting_token_speaks_of_no_devices() -> None:
    awaiting = replace(token_view(), state=TokenState.AWAITING, installed_at=None)
    shown = said(remove_modal(awaiting, devices=0, texts=OTHER))
    assert "evices" not in shown
    assert "key pair is deleted" in shown
