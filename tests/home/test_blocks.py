"""What the screens that join rooms say, and to whom they offer which button."""

from datetime import timedelta

import pytest

from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home import blocks
from bot.home.rules import TokenRow
from bot.kit.actor import Role
from bot.sandbox.slack.blocks import check_view
from bot.slack.blocks import Message
from bot.slack.call import Call
from bot.slack.commands import Spec
from bot.slack.router import Command
from bot.tokens.facts import NextAction, NextStep, TokenState, TokenView
from tests.builders import NOW, awaiting_token, token_view
from tests.fakes.backend import TEXTS

SYNCED = TokenSyncFacts(last_ok_at=NOW - timedelta(hours=2))


def row(token: TokenView, *, syncs: TokenSyncFacts = SYNCED, without_profile: int = 0) -> TokenRow:
    return TokenRow(token, DeviceCounts(present=812, without_profile=without_profile), syncs)


def buttons(message: Message) -> list[str]:
    found = [block for block in message.blocks if block["type"] == "actions"]
    return [element["text"]["text"] for block in found for element in block["elements"]]


def status(*rows: TokenRow, role: Role = Role.ADMIN) -> Message:
    return blocks.status(rows, role=role, slash="/enroll", now=NOW, texts=TEXTS)


def test_status_says_state_days_devices_and_last_sync_of_each_token() -> None:
    text = status(row(token_view(), without_profile=3)).text
    assert "paris · active, 200 days left" in text
    assert "812 devices, 3 without a profile · last sync Fri 1 May, 07:00 UTC" in text
    assert "Example Trust · MDM server in ABM: paris" in text


def test_the_text_of_a_message_carries_the_facts_of_its_blocks() -> None:
    message = status(row(token_view()))
    assert "All is well: 1 token works. 812 devices." in message.text
    assert "/enroll help" in message.text


def test_status_without_tokens_offers_the_first_step_to_an_admin_only() -> None:
    assert buttons(status()) == ["Add token"]
    told = status(role=Role.VIEWER)
    assert buttons(told) == []
    assert "An admin of this bot adds the first one." in told.text


@pytest.mark.parametrize(
    ("role", "expected"),
    [(Role.VIEWER, []), (Role.OPERATOR, ["Sync now"]), (Role.ADMIN, ["Sync now", "Renew token"])],
)
def test_buttons_are_offered_only_to_who_may_press_them(role: Role, expected: list[str]) -> None:
    assert buttons(status(row(token_view()), role=role)) == expected


def test_a_token_that_awaits_its_file_offers_certificate_and_upload_and_no_sync() -> None:
    step = NextStep("upload its server token.", (NextAction.GET_CERTIFICATE, NextAction.UPLOAD))
    card = blocks.token_card(row(awaiting_token(next_step=step)), role=Role.ADMIN, now=NOW, texts=TEXTS)
    assert buttons(card) == ["Get certificate", "Upload server token"]
    assert "Next: upload its server token." in card.text
    assert "Devices" not in card.text


def test_a_failing_sync_says_how_often_and_since_when() -> None:
    syncs = TokenSyncFacts(last_ok_at=NOW - timedelta(days=2), failures=2)
    assert (
        "last sync Wed 29 Apr, 09:00 UTC, failed 2 times since" in status(row(token_view(), syncs=syncs)).text
    )


def test_a_token_card_names_organisation_server_maker_and_settings() -> None:
    token = token_view(tags=frozenset({"emea", "retail"}), owner="U0BEN", channel="C1")
    text = blocks.token_card(row(token), role=Role.VIEWER, now=NOW, texts=TEXTS).text
    for fact in ("Example Trust (6666666)", "ade@example.com", "emea, retail", "30, 14, 7, 3, 1 days before"):
        assert fact in text
    assert "<@U0BEN>" in text
    assert "<#C1>" in text


def test_names_from_outside_ping_nobody() -> None:
    token = token_view(org_name="<!channel> & sons", state=TokenState.TERMS)
    told = status(row(token))
    assert "<!channel>" not in str(told.blocks)
    assert "&lt;!channel&gt; &amp; sons" in str(told.blocks)


def test_the_home_tab_of_somebody_without_a_role_shows_nothing_else() -> None:
    view = blocks.home_tab([row(token_view())], role=Role.NONE, slash="/enroll", now=NOW, texts=TEXTS)
    assert len(view["blocks"]) == 1
    assert "no role here yet" in str(view["blocks"])


def test_a_hundred_tokens_stay_within_one_home_tab() -> None:
    rows = [row(token_view(f"t{number}")) for number in range(100)]
    view = blocks.home_tab(rows, role=Role.ADMIN, slash="/enroll", now=NOW, texts=TEXTS)
    assert len(view["blocks"]) <= 100


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


def test_buttons_that_look_alike_name_their_token_to_a_screen_reader() -> None:
    view = blocks.home_tab(
        [row(token_view("paris")), row(token_view("lyon"))],
        role=Role.ADMIN,
        slash="/enroll",
        now=NOW,
        texts=TEXTS,
    )
    rows = [block for block in view["blocks"] if block["type"] == "actions"][:2]
    labels = [element["accessibility_label"] for block in rows for element in block["elements"]]
    assert labels == [
        "Sync now: token lyon",
        "Renew token: token lyon",
        "Sync now: token paris",
        "Renew token: token paris",
    ]


def test_check_again_is_offered_to_an_operator_and_the_rest_of_the_next_step_is_not() -> None:
    terms = NextStep("accept.", (NextAction.CHECK_AGAIN, NextAction.RENEW))
    told = status(row(token_view(state=TokenState.TERMS, next_step=terms)), role=Role.OPERATOR)
    assert buttons(told) == ["Check again"]


def test_slack_takes_the_home_tab() -> None:
    rows = [row(token_view(f"t{number}")) for number in range(20)]
    view = blocks.home_tab(rows, role=Role.ADMIN, slash="/enroll", now=NOW, texts=TEXTS)
    check_view(view, home=True)
    assert view["type"] == "home"


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
    assert lines[1].endswith("a b,812,3,2026-05-01T07:00:00Z")
