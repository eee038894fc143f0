"""What is said before a token is removed, and of a request that has ended."""

import csv
from dataclasses import replace

import pytest

from bot.assignments import blocks
from bot.assignments.changes_blocks import remove_modal
from bot.assignments.facts import DeviceResultRow, Found
from bot.assignments.models import Action, Outcome, RequestState
from bot.tokens.facts import TokenState
from tests.builders import NOW, token_view
from tests.fakes.backend import TEXTS
from tests.home.test_glance_blocks import request
from tests.tokens.desk import buttons, said
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


@pytest.mark.parametrize(
    ("outcomes", "is_offered"),
    [
        ({Outcome.SUCCESS: 412}, False),
        ({Outcome.SUCCESS: 400, Outcome.FAILED: 12}, True),
        # They are not here any more: asking again would leave them out.
        ({Outcome.SUCCESS: 400, Outcome.NOT_ACCESSIBLE: 12}, False),
    ],
)
def test_the_requester_is_told_what_was_done_and_may_ask_again_for_the_rest(
    outcomes: dict[Outcome, int], is_offered: bool
) -> None:
    done = request(state=RequestState.DONE, decided_by="U0ANA", outcomes=outcomes)
    told = blocks.told_requester(done)
    assert f"{outcomes[Outcome.SUCCESS]} done" in said(told)
    assert ("Request again" in buttons(told)) is is_offered
    assert ("Request again" in buttons(blocks.result(done, texts=OTHER))) is is_offered


def test_how_much_was_read_of_a_file_is_no_warning() -> None:
    found = Found(remarks=["8 rows read: 3 serial numbers.", "1 row without a serial number left out."])
    view = request(state=RequestState.PREVIEW, found=found, approvers=("U0ANA",))
    shown = said(blocks.preview(view, texts=OTHER, actor="U0BEN", approvals="required"))
    assert "\n8 rows read" in shown
    assert ":warning: 1 row without" in shown


def test_the_requests_in_the_way_are_named_the_first_of_many() -> None:
    labels = {f"REQ-{number}": 2 for number in range(1, 8)}
    found = Found(overlaps=labels, held_by=labels, left_out={"held": 14}, examples={"held": ["C02X"]})
    shown = said(blocks.preview(request(found=found), texts=OTHER, actor="U0BEN", approvals="off"))
    assert "14 left out, held by REQ-1, REQ-2, REQ-3, REQ-4, REQ-5 and 2 more: C02X and others." in shown
    assert "Also asked for: 2 devices in REQ-1, 2 devices in REQ-2, " in shown
    assert shown.count("2 devices in") == 5
    default = request(action=Action.DEFAULT, found=Found(overlaps={"REQ-1": 1}))
    assert "Also asked for: 1 device in REQ-1." in said(
        blocks.card(default, texts=OTHER, now=NOW, approvals="required")
    )


def test_the_file_of_results_says_why_for_every_device_that_did_not_get_it() -> None:
    rows = [
        DeviceResultRow("S1", "iPad", Outcome.FAILED, "UUID", None, "Apple: profile unknown"),
        *(
            DeviceResultRow(f"S{number}", "iPad", outcome, None, None)
            for number, outcome in enumerate(Outcome, 2)
        ),
    ]
    file = csv.DictReader(blocks.results_csv(rows, texts=TEXTS).decode("utf-8-sig").splitlines())
    why = {row["serial"]: row["why"] for row in file}
    assert why.pop("S1") == "Apple: profile unknown"
    told = {outcome: why[f"S{number}"] for number, outcome in enumerate(Outcome, 2)}
    done = {Outcome.WAITING, Outcome.SENT, Outcome.SUCCESS, Outcome.ALREADY}
    assert {outcome for outcome, text in told.items() if not text} == done
    assert told[Outcome.LEFT_OUT] == "the request ended before it was done"
