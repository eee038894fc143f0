from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import blocks
from bot.slack.blocks import Message

NOON = datetime(2027, 5, 12, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("a & b", "a &amp; b"),
        ("one\ntwo\u2028three", "one two three"),
        ("\u202egpj.exe", "gpj.exe"),
        ("half \ud83d", "half ?"),
        (7, "7"),
    ],
)
def test_outside_text_pings_nobody(outside: object, shown: str) -> None:
    assert blocks.escape(outside) == shown


@given(st.text())
def test_no_outside_text_holds_a_control_character_of_slack(text: str) -> None:
    for shown in (blocks.escape(text), blocks.bold(text), blocks.code(text)):
        assert not set("<>\n") & set(shown)
    assert "`" not in blocks.code(text)[1:-1]
    assert "*" not in blocks.bold(text)[1:-1]


@given(st.text(min_size=1, max_size=9000), st.integers(min_value=100, max_value=3000))
def test_no_text_is_longer_than_its_limit(text: str, limit: int) -> None:
    cut = blocks.trim(text, limit)
    assert len(cut) <= limit
    assert (cut == text) == (len(text) <= limit)


def test_what_is_cut_says_how_much_is_missing() -> None:
    lines = "\n".join(f"line {number}" for number in range(1000))
    cut = blocks.section(lines)["text"]["text"]
    kept = cut.splitlines()[:-1]
    assert cut.splitlines()[-1] == f"… and {1000 - len(kept)} more lines"
    assert lines.startswith("\n".join(kept))
    assert "more characters" in blocks.section("word " * 1000)["text"]["text"]


def test_a_cut_leaves_no_half_of_an_escape() -> None:
    cut = blocks.trim("a" * 55 + "&amp;" * 20, 100)
    assert cut.replace("&amp;", "").startswith("a" * 55 + " …")


def test_too_many_blocks_end_in_how_many_are_missing() -> None:
    fitted = blocks.fitted(Message("all", [blocks.section(str(n)) for n in range(60)]))
    assert len(fitted.blocks) == 50
    assert fitted.blocks[-1]["elements"][0]["text"] == "… and 11 more"
    assert blocks.fields(*"abcdefghijkl")["fields"][-1]["text"] == "… and 3 more"


def test_times_are_shown_in_the_readers_zone_with_utc_to_fall_back_on() -> None:
    stamp = int(NOON.timestamp())
    assert blocks.local_time(NOON) == (
        f"<!date^{stamp}^{{date_short_pretty}} at {{time}}|Wed 12 May 2027, 09:12 UTC>"
    )
    assert "|Wed 12 May, 09:12 UTC>" in blocks.local_time(NOON, NOON)
    assert "^{date_short} at {time}|" in blocks.local_time(NOON, NOON, stays=True)


def test_a_message_carries_the_facts_of_its_blocks() -> None:
    message = Message.of(
        blocks.header("Token <paris>"),
        blocks.section(f"*Expires* {blocks.local_time(NOON)}"),
        blocks.fields("Devices", "812"),
        blocks.context("as of noon"),
        blocks.actions(blocks.button("Renew token", action_id="token.renew")),
    )
    assert message.text == (
        "Token &lt;paris&gt;\nExpires Wed 12 May 2027, 09:12 UTC\nDevices\n812\nas of noon"
    )


def test_a_view_can_be_said_in_a_message() -> None:
    view = blocks.modal(
        title="Add a token",
        callback_id="add",
        blocks=[
            blocks.section("First this."),
            blocks.input_block(label="Name", block_id="name", element=blocks.text_input()),
            blocks.actions(blocks.button("Upload", action_id="x.upload")),
        ],
    )
    message = Message.from_view(view)
    assert message.text == "*Add a token*\nFirst this."
    assert [block["type"] for block in message.blocks] == ["section", "section", "actions"]


def test_what_must_not_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        blocks.button("x", action_id="a", value="v" * 2001)
    with pytest.raises(ValueError, match="too long"):
        blocks.modal(title="x", callback_id="c", blocks=[], private_metadata="v" * 2801)
    with pytest.raises(ValueError, match="too long"):
        blocks.option("x", "v" * 151)
    with pytest.raises(ValueError, match="1 to 25"):
        blocks.actions()


def test_elements_have_the_form_of_slack() -> None:
    question = blocks.confirm(title="Remove", text="Remove *paris*?", confirm="Remove", deny="Back")
    button = blocks.button("Remove", action_id="token.remove", value="id", style="danger", confirm=question)
    assert button == {
        "type": "button",
        "text": {"type": "plain_text", "text": "Remove", "emoji": False},
        "action_id": "token.remove",
        "value": "id",
        "style": "danger",
        "confirm": question,
    }
    boxes = blocks.checkboxes({"agree": "I agree"}, initial=["agree"])
    assert boxes["initial_options"] == boxes["options"]
    chosen = blocks.select([("ios", "iOS"), ("macos", "macOS")], initial="macos", placeholder="Platform")
    assert chosen["initial_option"]["value"] == "macos"
    assert blocks.file_input(["p7m"])["filetypes"] == ["p7m"]


def test_the_plain_text_keeps_every_asterisk_that_is_not_bold() -> None:
    told = [blocks.section("*3 devices* for `F9F*` and `A*`: *moved*, *added*\n*Ready*")]
    assert blocks.text_of(told) == "3 devices for `F9F*` and `A*`: moved, added\nReady"
