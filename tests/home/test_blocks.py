"""What the screens that join rooms say, and to whom they offer which button."""

from datetime import timedelta

import pytest

from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home import blocks
from bot.home.facts import TokenRow
from bot.kit.actor import Role
from bot.sandbox.slack.blocks import check_message_blocks
from bot.slack.blocks import Message
from bot.slack.call import Call
from bot.slack.commands import Spec
from bot.slack.router import Command
from bot.tokens.facts import NextAction, NextStep, TokenView
from tests.builders import NOW, awaiting_token, token_view
from tests.fakes.backend import TEXTS

SYNCED = TokenSyncFacts(last_ok_at=NOW - timedelta(hours=2))


def row(token: TokenView, *, syncs: TokenSyncFacts = SYNCED, without_profile: int = 0) -> TokenRow:
    return TokenRow(token, DeviceCounts(present=812, without_profile=without_profile), syncs)


def buttons(message: Message) -> list[str]:
    found = [block for block in message.blocks if block["type"] == "actions"]
    return [element["text"]["text"] for block in found for element in block["elements"]]


def test_a_token_that_awaits_its_file_offers_certificate_and_upload_and_no_sync() -> None:
    step = NextStep("upload its server token.", (NextAction.GET_CERTIFICATE, NextAction.UPLOAD))
    card = blocks.token_card(row(awaiting_token(next_step=step)), role=Role.ADMIN, now=NOW, texts=TEXTS)
    assert buttons(card) == ["Get certificate", "Upload server token"]
    assert "Next: upload its server token." in card.text
    assert "Devices" not in card.text


def test_a_token_card_names_organisation_server_maker_and_settings() -> None:
    token = token_view(tags=frozenset({"emea", "retail"}), owner="U0BEN", channel="C1")
    text = blocks.token_card(row(token), role=Role.VIEWER, now=NOW, texts=TEXTS).text
    for fact in ("Example Trust (6666666)", "ade@example.com", "emea, retail", "30, 14, 7, 3, 1 days before"):
        assert fact in text
    assert "<@U0BEN>" in text
    assert "<#C1>" in text


def test_help_is_one_line_a_command_by_noun_without_the_options() -> None:
    usages = [
        "token add NAME --apple-id ID [--tags a,b]",
        "token show NAME",
        "sync [NAME] [--full]",
        "status",
    ]
    text = blocks.help_overview([command(usage) for usage in usages], slash="/enroll").text
    assert text.splitlines()[:7] == [
        "What you can do here",
        "Tokens",
        "`/enroll token add NAME` Does it.",
        "`/enroll token show NAME` Does it.",
        "Devices",
        "`/enroll sync [NAME]` Does it.",
        "At a glance",
    ]


def test_a_noun_of_a_later_room_has_a_group_of_its_own() -> None:
    assert "Profiles" in blocks.help_overview([command("profile list")], slash="/enroll").text


def test_the_help_of_a_command_shows_its_options_and_role() -> None:
    text = blocks.help_topic([command("token add NAME --apple-id ID")]).text
    assert text == "`/enroll token add NAME --apple-id ID`\nDoes it. _Needs the role admin._"


def command(usage: str) -> Command:
    async def nothing(_call: Call) -> None:
        return None

    name = " ".join(word for word in usage.split(" --")[0].split() if word.islower())
    return Command(name, Role.ADMIN, f"/enroll {usage}", "Does it.", Spec(), nothing)


def test_tokens_are_listed_ten_a_page_with_a_way_on_and_back() -> None:
    rows = [row(token_view(f"t{number:02}")) for number in range(25)]
    first = blocks.token_list(rows, role=Role.VIEWER, slash="/enroll", now=NOW, texts=TEXTS)
    assert "25 enrollment tokens, 1 to 10" in first.text
    assert buttons(first) == ["Next", "Export CSV"]
    last = blocks.token_list(rows, role=Role.VIEWER, slash="/enroll", now=NOW, first=20, texts=TEXTS)
    assert "25 enrollment tokens, 21 to 25" in last.text
    assert "t24" in last.text
    assert "t19" not in last.text
    assert buttons(last) == ["Previous", "Export CSV"]


def test_a_page_that_is_not_there_any_more_shows_the_last_one() -> None:
    rows = [row(token_view(f"t{number:02}")) for number in range(12)]
    shown = blocks.token_list(rows, role=Role.VIEWER, slash="/enroll", now=NOW, first=400, texts=TEXTS)
    assert "12 enrollment tokens, 11 to 12" in shown.text


def test_the_file_of_tokens_holds_every_fact_and_no_formula() -> None:
    told = row(token_view(org_name="=HYPERLINK(1)", tags=frozenset({"b", "a"})), without_profile=3)
    lines = blocks.token_csv([told], texts=TEXTS).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("token,state,days_left,expires_at")
    assert lines[1].split(",")[:5] == ["paris", "active", "200", "2026-11-17T09:00:00Z", "'=HYPERLINK(1)"]
    assert lines[1].endswith("a b,812,3,2026-05-01T07:00:00Z,")


def test_the_list_draws_the_days_left_of_every_token_the_fewest_first() -> None:
    tokens = [token_view("paris", days_left=200), token_view("lyon", days_left=-2), awaiting_token("nice")]
    shown = blocks.token_list(
        [row(each) for each in tokens], role=Role.VIEWER, slash="/enroll", now=NOW, texts=TEXTS
    )
    [chart] = [block for block in shown.blocks if block["type"] == "data_visualization"]
    points = chart["chart"]["series"][0]["data"]
    assert [(point["label"], point["value"]) for point in points] == [("lyon", 0), ("paris", 200)]
    check_message_blocks(shown.blocks)


def test_one_token_alone_needs_no_chart() -> None:
    shown = blocks.token_list([row(token_view())], role=Role.VIEWER, slash="/enroll", now=NOW, texts=TEXTS)
    assert "data_visualization" not in str(shown.blocks)


@pytest.mark.parametrize(
    ("noun", "group"),
    [
        ("request list", "Assignments"),
        ("unassign", "Assignments"),
        ("vpp show", "Licences"),
        ("alert list", "Alerts"),
        ("watch add", "Deadlines"),
    ],
)
def test_every_noun_has_its_group_in_the_help(noun: str, group: str) -> None:
    assert f"{group}\n`/enroll {noun}`" in blocks.help_overview([command(noun)], slash="/enroll").text
