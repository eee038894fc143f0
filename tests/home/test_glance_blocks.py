"""What the Home tab and `status` say, in which order, to whom, and that Slack takes it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.assignments.facts import Found, Pending, RequestView
from bot.assignments.models import Action, RequestState
from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.home import glance_blocks
from bot.home.facts import Glance, TokenRow
from bot.kit.actor import Grant, Rights, Role
from bot.licenses.facts import AppLicences, ContentTokenState, ContentTokenView, Level
from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.slack.blocks import Message, View, text_of
from bot.tokens.facts import NextAction, NextStep, TokenState, TokenView
from tests.builders import NOW, alert_view, app_licences, awaiting_token, content_token_view, token_view
from tests.fakes.backend import TEXTS

SYNCED = TokenSyncFacts(last_ok_at=NOW - timedelta(hours=2))
ADMIN = Rights.of(Role.ADMIN)
EXPIRING: dict[str, Any] = {
    "state": TokenState.EXPIRING,
    "days_left": 12,
    "next_step": NextStep("renew it.", (NextAction.RENEW,)),
}


def row(token: TokenView, *, syncs: TokenSyncFacts = SYNCED, without_profile: int = 0) -> TokenRow:
    counts = DeviceCounts(present=812, without_profile=without_profile, by_status={"pushed": 500})
    return TokenRow(token, counts, syncs)


def glance(*rows: TokenRow, **more: Any) -> Glance:
    return Glance(rows, **more)


def request(number: int = 12, **changes: Any) -> RequestView:
    view = RequestView(
        id=f"r{number}",
        number=number,
        action=Action.ASSIGN,
        state=RequestState.PENDING,
        token_id="id-paris",
        token_name="paris",
        org_name="Example Trust",
        tags=frozenset(),
        profile_id="p1",
        profile_name="Sales iPad",
        profile_version=1,
        profile_uuid="AB",
        devices=412,
        found=Found(),
        reason="Sales refresh",
        requested_by="U0BEN",
        made_at=NOW,
        requested_at=NOW,
        expires_at=NOW + timedelta(hours=72),
        decided_by=None,
        decided_at=None,
        decision_reason=None,
        stop_asked_by=None,
        ended_at=None,
        rests_until=None,
        channel="C1",
        message_ts="1.0",
        version=1,
        outcomes={},
        platforms=(),
        sync_id=None,
    )
    return replace(view, **changes)


def status(shown: Glance, rights: Rights = ADMIN) -> Message:
    message = glance_blocks.status(shown, rights=rights, slash="/enroll", now=NOW, texts=TEXTS)
    check_message_blocks(message.blocks)
    return message


def home(shown: Glance, rights: Rights = ADMIN) -> View:
    view = glance_blocks.home_tab(shown, rights=rights, slash="/enroll", now=NOW, texts=TEXTS)
    check_view(view, home=True)
    return view


def buttons(shown: Message | View) -> list[str]:
    blocks = shown.blocks if isinstance(shown, Message) else shown["blocks"]
    rows = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return [element["text"]["text"] for element in rows]


def marked(value: Any) -> list[str]:
    """Return every text that Slack reads as mrkdwn, dates left out."""
    if isinstance(value, list):
        return [text for each in value for text in marked(each)]
    if not isinstance(value, dict):
        return []
    own = [value["text"].replace("<!date^", "")] if value.get("type") == "mrkdwn" else []
    return [*own, *(text for each in value.values() for text in marked(each))]


def test_status_says_of_a_fine_token_in_a_line_how_it_is() -> None:
    text = status(glance(row(token_view(), without_profile=3))).text
    assert text.startswith("All is well: 1 token works. 812 devices.\nparis · active, 200 days left · 812")
    assert "812 devices, 3 without a profile · last sync Fri 1 May, 07:00 UTC" in text
    assert "/enroll help" in text


def test_status_says_what_needs_somebody_first_and_what_is_fine_in_a_line() -> None:
    fine = [row(token_view(f"fine{number}", days_left=300 - number)) for number in range(9)]
    text = status(glance(*fine, row(token_view("lyon", **EXPIRING)))).text
    assert text.startswith("Token lyon expires in 12 days.\nlyon · expiring, 12 days left")
    assert "9 tokens are fine: 7,308 devices, 292 days left or more." in text
    assert "fine3" not in text


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.VIEWER, []),
        (Role.OPERATOR, ["Sync now", "New assignment"]),
        (Role.ADMIN, ["Sync now", "Renew token", "New assignment"]),
    ],
)
def test_buttons_are_offered_only_to_who_may_press_them(role: Role, expected: list[str]) -> None:
    assert buttons(status(glance(row(token_view(**EXPIRING))), Rights.of(role))) == expected


def test_a_role_for_tags_offers_buttons_at_its_tokens_only() -> None:
    rights = Rights((Grant(Role.VIEWER), Grant(Role.ADMIN, frozenset({"emea"}))))
    tagged = row(token_view("paris", tags=frozenset({"emea"})))
    view = home(glance(tagged, row(token_view("lyon"))), rights)
    values = [b["value"] for block in view["blocks"][3:] for b in block.get("elements", ()) if "value" in b]
    assert set(values) == {"id-paris"}


def test_without_tokens_the_first_step_is_offered_to_an_admin_only() -> None:
    assert buttons(status(glance())) == buttons(home(glance())) == ["Add token"]
    told = status(glance(), Rights.of(Role.VIEWER))
    assert buttons(told) == []
    assert "An admin of this bot adds the first one." in told.text


def test_a_failing_sync_says_how_often_and_since_when() -> None:
    syncs = TokenSyncFacts(last_ok_at=NOW - timedelta(days=2), failures=2)
    text = status(glance(row(token_view(), syncs=syncs))).text
    assert "last sync Wed 29 Apr, 09:00 UTC, failed 2 times since" in text


def test_names_from_outside_ping_nobody() -> None:
    token = token_view(org_name="<!channel> & sons", state=TokenState.TERMS)
    loud = request(reason="<!here>", profile_name="<!channel>")
    shown = glance(row(token), pending=Pending([loud], 1), by_profile={"<!channel> `": 5})
    for blocks in (status(shown).blocks, home(shown)["blocks"]):
        # Headers and the names in charts are plain text, in which nobody is mentioned.
        told = "\n".join(marked(blocks))
        assert "<!" not in told
        assert "&lt;!here&gt;" in told
    assert "<!" not in status(shown).text


def test_somebody_without_a_role_is_told_so_and_nothing_else() -> None:
    view = home(glance(row(token_view())), Rights())
    assert len(view["blocks"]) == 1
    assert "no role here yet" in str(view["blocks"])


def test_the_home_tab_shows_what_waits_for_the_reader_before_the_tokens() -> None:
    pending = Pending([request(number) for number in (12, 13)], 7, 2)
    view = home(glance(row(token_view()), pending=pending))
    text = text_of(view["blocks"])
    order = [
        "7 requests wait for your decision",
        "REQ-12 · Assign Sales iPad to 412 devices",
        "paris · active",
    ]
    assert sorted(order, key=text.index) == order
    assert "Requested by <@U0BEN> · token paris · expires Mon 4 May, 09:00 UTC" in text
    assert "and 5 more. 2 requests wait for a decision by others." in text
    [first, _] = [block["accessory"] for block in view["blocks"] if "accessory" in block]
    assert (first["action_id"], first["value"]) == ("request.details", "r12")
    assert first["accessibility_label"] == "Details: REQ-12"


def test_all_is_well_and_requests_wait_stand_in_one_line() -> None:
    shown = glance(row(token_view()), pending=Pending([request()], 1))
    assert status(shown).text.startswith("All is well: 1 token works. 812 devices. 1 request waits for your")
    others = glance(row(token_view()), pending=Pending(others=3))
    assert "3 requests wait for a decision." in status(others).text


def test_devices_are_counted_by_profile_and_by_state_as_text_in_home_and_as_charts_in_status() -> None:
    shown = glance(row(token_view(), without_profile=12), by_profile={"Sales iPad": 700, "Kiosk": 100})
    text = text_of(home(shown)["blocks"])
    bars = "```Sales iPad  700  ████████████\nKiosk       100  █▌\nno profile   12  ▌```"
    assert f"Devices by profile\n{bars}" in text
    assert "```profile fetched   500  ████" in text
    assert "profile assigned  300" in text
    drawn = [block["chart"] for block in status(shown).blocks if block["type"] == "data_visualization"]
    assert [[each["label"] for each in chart["segments"]] for chart in drawn] == [
        ["Sales iPad", "Kiosk", "no profile"],
        ["profile fetched", "profile assigned", "no profile"],
    ]


@pytest.mark.parametrize("many", [13, 50, 130])
def test_many_tokens_with_long_names_and_much_else_fit_into_one_home_tab(many: int) -> None:
    rows = [
        row(token_view(f"{'t' * 36}{number:04}", org_name="&" * 120, **(EXPIRING if number % 2 else {})))
        for number in range(many)
    ]
    pending = Pending([request(number, reason="&" * 500) for number in range(5)], 40, 9)
    profiles = {f"{'&' * 100}{number}": number + 1 for number in range(300)}
    shown = glance(*rows, pending=pending, by_profile=profiles)
    text = text_of(home(shown)["blocks"])
    status(shown)
    assert sum(f"{'t' * 36}{number:04}" in text for number in range(many)) == min(many, 72)
    assert ("more." in text.split("Devices by profile")[0].rsplit("With", 1)[-1]) == (many > 72)


def test_of_many_tokens_those_in_need_have_buttons_and_the_others_a_line() -> None:
    rows = [row(token_view(f"t{number:02}")) for number in range(30)]
    view = home(glance(*rows, row(token_view("lyon", **EXPIRING)), row(awaiting_token("nice"))))
    labels = [
        element.get("accessibility_label", element["text"]["text"])
        for block in view["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]
    assert labels == [
        *("New assignment", "Add token"),
        *("Sync now: token lyon", "Renew token: token lyon", "Show tokens"),
    ]


def test_buttons_that_look_alike_name_their_token_to_a_screen_reader() -> None:
    view = home(glance(row(token_view("paris")), row(token_view("lyon"))))
    rows = [block for block in view["blocks"] if block["type"] == "actions"][1:]
    labels = [element["accessibility_label"] for block in rows for element in block["elements"]]
    assert labels == [
        "Sync now: token lyon",
        "Renew token: token lyon",
        "Sync now: token paris",
        "Renew token: token paris",
    ]


def test_check_again_is_offered_to_an_operator_and_the_rest_of_the_next_step_is_not() -> None:
    terms = NextStep("accept.", (NextAction.CHECK_AGAIN, NextAction.RENEW))
    shown = glance(row(token_view(state=TokenState.TERMS, next_step=terms)))
    assert buttons(status(shown, Rights.of(Role.OPERATOR))) == ["Check again", "New assignment"]


def content_token(name: str = "hq", **changes: Any) -> ContentTokenView:
    return content_token_view(name, **({"days_left": 90, "expires_at": NOW + timedelta(days=90)} | changes))


def app(name: str, available: int | None, **changes: Any) -> AppLicences:
    total = None if available is None else 500
    return app_licences(name, available, total, name=name, **({"level": Level.FINE} | changes))


def test_the_home_tab_ends_with_the_licences_left_the_scarcest_first() -> None:
    apps = [app("Notes", 480), app("Free", None), app("Company Portal", 17)]
    apps.append(app("Gone", 1, is_listed=False))
    shown = glance(row(token_view()), content_tokens=[content_token()], licences={"id-hq": apps})
    text = text_of(home(shown)["blocks"])
    head = "Licences\nhq · active, 90 days left · location Example HQ · as of Fri 1 May, 09:00 UTC\n"
    bars = "```Company Portal   17  ▌\nNotes           480  ████████████```"
    assert text.endswith(f"{head}Licences left\n{bars}")


def test_licences_of_what_a_profile_installs_come_before_scarcer_ones() -> None:
    apps = [app(f"Notes {number}", 2) for number in range(9)]
    apps += [replace(app("Company Portal", 17), app_id="719")]
    shown = glance(
        row(token_view()),
        content_tokens=[content_token()],
        licences={"id-hq": apps},
        installed={"id-hq": {"719"}},
    )
    assert "Licences left\n```Company Portal  17" in text_of(home(shown)["blocks"])


def test_others_requests_stand_apart_from_the_alerts() -> None:
    blocks = home(glance(row(token_view()), alerts=[alert_view()], pending=Pending(others=2)))["blocks"]
    (at,) = (number for number, block in enumerate(blocks) if "by others" in str(block))
    assert blocks[at - 1]["type"] == "divider"


def test_the_home_tab_draws_the_days_left_of_tokens_and_content_tokens() -> None:
    tokens = [row(token_view()), row(token_view("lyon", days_left=20)), row(awaiting_token("nice"))]
    contents = [content_token(), content_token("lyon", state=ContentTokenState.REVOKED)]
    text = text_of(home(glance(*tokens, content_tokens=contents))["blocks"])
    assert "Days left by token\n```lyon    20  █\nparis  200  ████████████```" in text
    assert "Days left by content token\n```lyon   0\nhq    90  ████████████```" in text
    assert "Days left" not in text_of(home(glance(*tokens[1:], content_tokens=contents[:1]))["blocks"])


def test_of_many_tokens_the_home_tab_draws_those_with_the_fewest_days_left() -> None:
    rows = [row(token_view(f"t{number:02}", days_left=200 + number)) for number in range(30)]
    text = text_of(home(glance(*rows))["blocks"])
    drawn = text.partition("Days left by token, the 10 with the fewest\n```")[2].partition("```")[0]
    assert [line.split()[:2] for line in drawn.splitlines()] == [
        [f"t{number:02}", str(200 + number)] for number in range(10)
    ]


def test_fifty_content_tokens_fit_beside_fifty_tokens() -> None:
    names = [f"{'n' * 38}{number:02}" for number in range(50)]
    shown = glance(
        *(row(token_view(f"t{number}", **EXPIRING)) for number in range(50)),
        content_tokens=[content_token(name, location_name="&" * 300) for name in names],
        licences={f"id-{name}": [app("&" * 90, number)] for number, name in enumerate(names)},
    )
    assert "and 42 more" in text_of(home(shown)["blocks"])


@pytest.mark.parametrize("show", [status, home])
def test_open_alerts_come_first_with_what_mends_them_and_no_more_than_fit(show: Any) -> None:
    shown = glance(row(token_view()), alerts=[alert_view(number) for number in range(1, 40)])
    told = show(shown)
    text = text_of(told.blocks if isinstance(told, Message) else told["blocks"])
    assert text.startswith("39 alerts are open.")
    assert text.index("AL-1") < text.index("paris · active")
    assert f"and {36 if show is status else 34} more: `/enroll alert list`" in text
    assert "Acknowledge" in buttons(told)
    assert "Acknowledge" not in buttons(show(shown, Rights.of(Role.VIEWER)))
