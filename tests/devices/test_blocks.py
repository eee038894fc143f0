"""What the screens of devices say that no flow shows at once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.devices import blocks, rules, sync_blocks
from bot.devices.errors import FullSyncTooSoon, SyncTooSoon
from bot.devices.facts import (
    Asked,
    AskedDevice,
    Change,
    DeviceAnswer,
    DevicePageView,
    DeviceRow,
    DeviceView,
    Forgotten,
    SyncStarted,
    SyncView,
    pack,
    unpack,
)
from bot.devices.models import ChangeKind, DeviceState, SyncKind, SyncState
from bot.kit.actor import Role
from bot.sandbox.slack.blocks import check_message_blocks
from bot.slack.blocks import Message
from bot.tokens.facts import NextAction, NextStep, TokenState
from tests.builders import NOW, token_view
from tests.fakes.backend import TEXTS, device

SYNC = SyncView(
    id="s1",
    token_id="t1",
    token_name="paris",
    server_name="paris",
    kind=SyncKind.DELTA,
    reason="asked",
    forced=None,
    is_first=False,
    state=SyncState.FINISHED,
    asked_by="UANA",
    asked_by_person=True,
    user_id="UANA",
    started_at=NOW,
    resume_at=None,
    ended_at=NOW,
    took=timedelta(seconds=3),
    pages=2,
    received=1500,
    added=1,
    modified=2,
    removed=3,
    returned=0,
    moved=0,
    ignored=0,
    unreadable=0,
    removals_judged=True,
    devices=812,
    error=None,
    next_step=None,
    channel=None,
    message_ts=None,
    token_channel=None,
)


def row(serial: str = "C02", *, state: DeviceState = DeviceState.PRESENT, **facts: object) -> DeviceRow:
    made = device(serial, **facts)
    return DeviceRow(
        serial=serial,
        token_id="t1",
        token_name="paris",
        state=state,
        model=made.model,
        family=made.family,
        os=made.os,
        platform="ios",
        profile_uuid=made.profile_uuid,
        profile_status=made.profile_status,
        first_seen_at=NOW,
        removed_at=NOW if state is DeviceState.REMOVED else None,
        facts=unpack(pack(made)),
    )


def view(shown: DeviceRow, *, forgotten_at: datetime | None = None, history: int = 1) -> DeviceView:
    changes = [Change(NOW, ChangeKind.MODIFIED, "paris", {"color": ("A", "B")})] * (history - 1)
    added = Change(NOW - timedelta(days=400), ChangeKind.ADDED, "paris")
    return DeviceView(shown, NOW, None, None, forgotten_at, [*changes, added])


def card(shown: DeviceView, *, state: TokenState = TokenState.ACTIVE, role: Role = Role.ADMIN) -> Message:
    token = token_view(state=state, next_step=NextStep("Renew.", (NextAction.RENEW,)))
    verdict = rules.verdict(
        shown, token_name="paris", token_state=state, service="Apple", portal="ABM", terms_step="Sign."
    )
    answer = DeviceAnswer(shown.row.serial, shown, None, verdict, token)
    return blocks.device_card(answer, texts=TEXTS, role=role, now=NOW)


def page(*rows: DeviceRow, total: int | None = 1, query: str = "") -> DevicePageView:
    return DevicePageView(query, rows, total, None, None)


MESSAGES = {
    "list": blocks.device_list(page(row(), query="F9F* model:x"), now=NOW, texts=TEXTS),
    "empty": blocks.device_list(page(query="C02"), now=NOW, texts=TEXTS),
    "card": card(view(row(), history=40)),
    "card of all facts": card(
        view(row(imei=("1",), meid=("2",), eid="3", wifi_mac="4", bluetooth_mac="5", ethernet_mac="6"))
    ),
    "progress": sync_blocks.sync_progress(SYNC),
    "paused": sync_blocks.sync_stopped(replace(SYNC, resume_at=NOW)),
    "result": sync_blocks.sync_result(SYNC, TEXTS),
    "first": sync_blocks.sync_result(replace(SYNC, is_first=True, devices=0), TEXTS),
    "failed": sync_blocks.sync_result(
        replace(SYNC, state=SyncState.FAILED, error="No.", token_actions=(NextAction.RENEW,)), TEXTS
    ),
    "forgotten": blocks.forgotten(Forgotten(("A",) * 30, ("B",), ("C",)), texts=TEXTS),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_slack_takes_every_message(message: Message) -> None:
    check_message_blocks(message.blocks)
    assert len(message.blocks) <= 50


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_the_plain_text_carries_what_the_blocks_say_and_no_exclamation(message: Message) -> None:
    for block in message.blocks:
        if block["type"] == "section" and "text" in block:
            first = block["text"]["text"].split("\n")[0].split("<!date")[0]
            assert first.replace("*", "") in message.text.replace("*", "")
    assert "!" not in message.text.replace("<!", "")


def test_a_query_in_any_script_fits_the_buttons_that_carry_it() -> None:
    query = f'-model:"{"é" * 850}"'
    (*_, buttons) = blocks.device_list(page(row(), query=query), now=NOW, texts=TEXTS).blocks
    assert [blocks.place_of(made["value"])[0] for made in buttons["elements"]] == [query]


def test_more_than_1000_devices_begin_with_a_capital() -> None:
    message = blocks.device_list(page(row(), total=None, query="model:iPad"), now=NOW, texts=TEXTS)
    assert message.text.startswith("More than 1,000 devices for `model:iPad`")


def test_one_device_is_not_many() -> None:
    assert blocks.device_list(page(row()), now=NOW, texts=TEXTS).text.startswith("1 device\n")


@pytest.mark.parametrize("state", [DeviceState.REMOVED, DeviceState.FORGOTTEN])
def test_a_card_says_beside_the_serial_that_the_device_left(state: DeviceState) -> None:
    first = card(view(row(state=state), forgotten_at=NOW)).text.split("\n")[0]
    assert first.startswith(f"C02 · iPad Air · {state.value} Fri 1 May")


def test_every_fact_is_on_the_card() -> None:
    text = MESSAGES["card of all facts"].text
    for name in (
        "Wi-Fi address\n4",
        "Bluetooth address\n5",
        "Ethernet address\n6",
        "IMEI\n1",
        "MEID\n2",
        "EID\n3",
    ):
        assert name in text


def test_what_the_service_reports_under_unknown_keys_is_on_the_card_too() -> None:
    shown = card(view(row(extra={"warranty": {"until": 2028}, "batch": "<!channel>"})))
    assert "Also reported\nbatch: &lt;!channel&gt;, warranty: {'until': 2028}" in shown.text
    check_message_blocks(card(view(row(extra={f"key{n}": "x" * 99 for n in range(99)}))).blocks)
    assert "Also reported" not in card(view(row())).text


def test_the_history_on_a_card_ends_with_when_the_device_came() -> None:
    text = MESSAGES["card"].text
    assert "… 30 changes between\nThu 27 Mar 2025, 09:00 UTC: added to token paris" in text


@pytest.mark.parametrize(
    ("state", "role", "offered"),
    [
        (TokenState.EXPIRED, Role.ADMIN, ["Renew token"]),
        (TokenState.EXPIRED, Role.APPROVER, []),
        (TokenState.ACTIVE, Role.ADMIN, []),
    ],
)
def test_a_card_offers_what_mends_the_token_to_who_may(
    state: TokenState, role: Role, offered: list[str]
) -> None:
    found = [
        block for block in card(view(row()), state=state, role=role).blocks if block["type"] == "actions"
    ]
    assert [element["text"]["text"] for block in found for element in block["elements"]] == offered


def test_the_first_reason_that_holds_leads_and_the_others_follow() -> None:
    gone = view(row(state=DeviceState.REMOVED), forgotten_at=NOW)
    text = card(gone, state=TokenState.EXPIRED).text
    verdict = text[text.index("Not ready") :]
    assert verdict.split("\n")[:3] == [
        "Not ready: Removed: it is no longer assigned to the MDM server of a token here.",
        "• Forgotten here by an admin.",
        "• Token paris has expired.",
    ]


def test_a_device_that_fetched_its_profile_is_not_called_unready() -> None:
    text = card(view(row(profile_uuid="A" * 32, profile_status="pushed"))).text
    assert "Not ready" not in text
    assert text.endswith("Another profile needs an erase.")


def test_the_services_own_words_are_used() -> None:
    texts = replace(TEXTS, service="Intune", portal="the admin center")
    found = AskedDevice("C02", Asked.FOUND, "paris", "paris", added=True)
    nowhere = AskedDevice("C02", Asked.NOT_FOUND)
    assert blocks.asked_line(found, texts) == "Intune says `C02` is on server paris: added."
    assert blocks.asked_line(nowhere, texts) == "`C02`: no token here has it; assign it in the admin center."


def test_serials_too_many_to_name_are_counted() -> None:
    text = MESSAGES["forgotten"].text
    assert "and 10 more" in text


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            SyncTooSoon("paris", allowed_at=NOW + timedelta(minutes=1), minutes=1),
            "Token paris was synced less than 15 minutes ago. Sync again in 1 minute, at 09:01 UTC.",
        ),
        (
            FullSyncTooSoon("paris", last_at=NOW, allowed_at=NOW + timedelta(days=7)),
            "Token paris had a full sync on Fri 1 May, 09:00 UTC; one in 7 days is allowed."
            " The next may start on Fri 8 May, 09:00 UTC. A sync without `--full` brings what has changed.",
        ),
    ],
)
def test_limits_say_when_it_goes_again(refusal: SyncTooSoon | FullSyncTooSoon, words: str) -> None:
    message = sync_blocks.started([], [sync_blocks.Refused(token_view(), refusal)], now=NOW)
    assert message.text == words


def test_a_result_counts_what_came_back_or_moved_only_where_it_happened() -> None:
    assert "returned" not in sync_blocks.sync_result(SYNC, TEXTS).text
    text = sync_blocks.sync_result(replace(SYNC, returned=1, moved=2), TEXTS).text
    assert (
        "812 devices now: 1 added, 2 modified, 3 removed, 1 returned, 2 moved here from another token" in text
    )
    assert "2 pages in 3.0 s" in text


def test_an_unknown_reason_for_a_forced_sync_is_shown_as_it_is() -> None:
    started = SyncStarted(replace(SYNC, kind=SyncKind.FULL, forced="<odd>", pages=0), is_new=True)
    assert "full sync, forced: &lt;odd&gt;" in sync_blocks.started([started], [], now=NOW).text


def test_names_from_outside_ping_nobody() -> None:
    failed = replace(
        SYNC, state=SyncState.FAILED, error="<!channel>", next_step="<@U1>", token_name="<!here>"
    )
    text = str(sync_blocks.sync_result(failed, TEXTS))
    assert not any(mark in text for mark in ("<!channel>", "<@U1>", "<!here>"))


def test_an_unknown_serial_to_forget_comes_with_a_next_step() -> None:
    text = blocks.forgotten(Forgotten((), (), ("C",)), texts=TEXTS).text
    assert "Not known here: `C`\nNext: check the serial; `device show` asks Apple about it." in text
    assert "Next: check" not in blocks.forgotten(Forgotten(("A",), (), ()), texts=TEXTS).text
