"""Names as they are typed back."""

import pytest

from bot.profiles import blocks
from bot.profiles.blocks import quoted
from bot.slack.commands import Spec, parse, words


@pytest.mark.parametrize(
    "name",
    ["Sales", "Sales iPad", 'say "hi"', 'a"b', "it's", "--json", "a—b", "paris/Sales iPad", "-x", "a,b"],
)
def test_a_name_that_is_offered_to_be_typed_means_that_profile(name: str) -> None:
    args = parse(words(quoted(name)), Spec(positionals=("NAME",)), usage="")
    assert args.required("NAME") == name


def test_what_slack_would_take_for_bold_is_shown_as_it_was_typed() -> None:
    assert blocks._as_typed("IT & *Help*") == "`IT &amp; *Help*`"
    assert blocks._as_typed("IT <!channel>") == "IT &lt;!channel&gt;"
