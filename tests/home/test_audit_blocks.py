"""What a page of the audit says, whatever stands in the entries."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.audit.facts import AuditPage, Entry, Exported
from bot.home import audit_blocks as blocks
from bot.sandbox.slack.blocks import check_message_blocks
from bot.slack.blocks import SECTION_CHARS, VALUE_CHARS, fitted
from tests.builders import NOW

USUAL: dict[str, Any] = {
    "number": 12,
    "at": NOW - timedelta(hours=2),
    "actor": "U0ANA",
    "actor_kind": "person",
    "action": "token.key_replaced",
    "subject_kind": "token",
    "subject_id": "t1",
    "subject_name": "paris",
    "tags": ["emea"],
    "detail": {},
    "reference": "ABCD1234",
    "key_id": "00",
    "mac": "a",
    "previous": "b",
}


def entry(**changes: Any) -> Entry:
    return Entry(**(USUAL | changes))


def shown(**changes: Any) -> str:
    """Return what the page sends of one entry, with what is behind its first lines alone."""
    message = blocks.page(AuditPage("", [entry(**changes)], 1), now=NOW)
    check_message_blocks(message.blocks)
    text: str = message.blocks[1]["text"]["text"]
    return text


def detail(**told: Any) -> str:
    return "\n".join(shown(detail=told).splitlines()[2:])


def test_an_entry_says_what_of_what_when_and_who() -> None:
    first, second = shown().splitlines()
    assert first == "*Token key replaced* · paris"
    assert second.startswith("<!date^")
    assert second.endswith("|Fri 1 May, 07:00 UTC> · <@U0ANA> · entry 12 · `ABCD1234`")
    assert "the job daily sync" in shown(actor="daily sync", actor_kind="job")
    assert "root at the command line" in shown(actor="root", actor_kind="cli")
    assert "· jamf · entry" in shown(actor="jamf", actor_kind="another")
    assert shown(action="api_token.added").startswith("*API token added*")
    assert "· <@U0BEN>\n" in shown(subject_kind="person", subject_id="U0BEN", subject_name="U0BEN")
    assert "· <!subteam^S0MDM>\n" in shown(subject_kind="group", subject_id="S0MDM", subject_name="S0MDM")


def test_a_request_says_who_asked_who_approved_by_which_group_why_and_where() -> None:
    link = "https://example.slack.com/archives/C1/p1700000000000100?thread_ts=1.2&cid=C1"
    told = detail(
        devices=3,
        permalink=link,
        reason="late <delivery>",
        group="S0MDM",
        approved_by=["U0BEN", "U0CLEO"],
        asked_by="U0ANA",
    )
    assert told == (
        "asked for by <@U0ANA> · approved by <@U0BEN>, <@U0CLEO> · as a member of <!subteam^S0MDM>"
        f" · reason: late &lt;delivery&gt; · <{link.replace('&', '&amp;')}|message in Slack> · devices: 3"
    )


def test_a_link_that_the_detail_does_not_have_is_shown_all_the_same() -> None:
    link = "https://example.slack.com/archives/C1/p1700000000000100"
    told = shown(detail={"asked_by": "U0ANA", "devices": 3}, link=link).splitlines()[-1]
    assert told == f"asked for by <@U0ANA> · <{link}|message in Slack> · devices: 3"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"group": "settings"}, "as an admin by ENROLLBOT_ADMINS"),
        ({"group": "person"}, "by a role of their own"),
        ({"group": "approvals are off"}, "approvals are off"),
        ({"before": ["a", "b"], "after": []}, "a, b → none"),
        ({"mdm_url": {"before": None, "after": "https://x"}}, "mdm url: none → https://x"),
        ({"agreed": True, "tags": None, "text": "", "days": 0}, "agreed: yes · days: 0"),
        ({"serials": [f"C{n}" for n in range(500)]}, "serials: C0, C1, C2, C3, C4 and 495 more"),
        ({"changed": {"a": 1, "b": {"c": [{"d": 2}]}}}, "changed: a 1, b c …"),
    ],
)
def test_detail_is_written_as_people_write_it(told: dict[str, Any], expected: str) -> None:
    assert detail(**told) == expected


EVIL = "<!channel> <@U0BEN> *`_&\n|>"
NASTY: dict[str, dict[str, Any]] = {
    "markup": {"asked_by": EVIL, "approved_by": [EVIL], "group": EVIL, "reason": EVIL, "permalink": EVIL},
    "markup in keys": {EVIL: EVIL, "x": {EVIL: [EVIL]}},
    "a link elsewhere": {"permalink": "javascript:alert(1)|Slack>"},
    "long": {key: "&" * 5000 for key in ("asked_by", "reason", "permalink", "x" * 500)},
    "many": {f"key {number}": "&" * 50 for number in range(2000)},
    "long people": {"approved_by": ["&" * 5000] * 5000},
    "long link": {"permalink": "https://x/" + "&" * 190},
    "deep": {"a": {"b": {"c": {"d": {"e": "f"}}}}},
    "not texts": {
        "asked_by": {"id": 1},
        "approved_by": 7,
        "group": ["S1"],
        "permalink": 3.5,
        "reason": False,
    },
    "lone surrogates": {"name": "\ud800", "reason": "\udfff"},
}


@pytest.mark.parametrize("told", NASTY.values(), ids=NASTY)
def test_whatever_detail_holds_is_harmless_and_fits(told: dict[str, Any]) -> None:
    rows = [
        entry(detail=told, actor=EVIL * 3, subject_name=EVIL * 9, reference="&" * 40, number=number)
        for number in range(10)
    ]
    message = fitted(blocks.page(AuditPage("x" * 900, rows, None, 9, 1), now=NOW))
    check_message_blocks(message.blocks)
    json.dumps(message.blocks, ensure_ascii=False).encode()
    texts = [block["text"]["text"] for block in message.blocks if block["type"] == "section"]
    assert len(texts) == 11
    assert all(len(text) < SECTION_CHARS for text in texts)
    for bad in ("<!channel", "<@U0BEN", "<javascript"):
        assert bad not in json.dumps(message.blocks, ensure_ascii=False)
    assert all(text.count("<") == text.count(">") for text in texts)


def test_what_has_no_room_is_in_the_export() -> None:
    told = detail(**{f"key{number}": "x" * 90 for number in range(20)})
    assert told.endswith("· 14 more in the export")


def test_buttons_lead_to_the_neighbours_and_carry_any_query() -> None:
    query = "subject:'" + '"' * 440 + "\\" * 440 + "'"
    message = blocks.page(AuditPage(query, [entry()], None, previous=30, next=21), now=NOW)
    assert "More than 1,000 entries" in message.text
    buttons = {made["action_id"]: made["value"] for made in message.blocks[-1]["elements"]}
    assert all(len(value) < VALUE_CHARS for value in buttons.values())
    places = {action_id: blocks.place_of(value) for action_id, value in buttons.items()}
    assert places == {
        blocks.PREVIOUS: (query, None, 30),
        blocks.NEXT: (query, 21, None),
        blocks.EXPORT: (query, None, None),
    }


@pytest.mark.parametrize("value", ["", "x", "[]", "7", '{"q":7,"after":true}', '{"after":"1","before":-1}'])
def test_a_value_that_cannot_be_read_is_the_whole_audit(value: str) -> None:
    assert blocks.place_of(value) == ("", None, None)
    assert blocks.place_of('{"q":"a:b","after":99999999999}') == ("a:b", None, None)


def test_a_page_says_what_else_there_is_and_what_the_reader_is_limited_to() -> None:
    empty = AuditPage("action:x", [], 0, actions=["token.added", "token.renewed"], tags=frozenset({"emea"}))
    message = blocks.page(empty, now=NOW)
    check_message_blocks(message.blocks)
    assert message.text.splitlines() == [
        "No entry for `action:x`",
        "Actions here: `token.added` `token.renewed`",
        "You see what was done with tokens tagged `emea`.",
    ]
    assert blocks.page(AuditPage("", [], 0), now=NOW).text == "No entry"
    files = blocks.exported(Exported("actor:U0ANA", 1234, {}))
    assert files.text == "1,234 entries of the audit for `actor:U0ANA`, as JSON Lines and as CSV."
