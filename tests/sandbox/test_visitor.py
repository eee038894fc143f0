"""The visitor over HTTP and in process: it waits for what appears and says what it saw instead."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bot.sandbox.visitor import NotSeen, Visitor
from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world

Json = dict[str, Any]
CHANNEL = "C0ENROLL"
Meet = Callable[[SlackWorld], Visitor]


def in_process(world: SlackWorld) -> Visitor:
    return Visitor(world.standin, "ana")


def over_http(world: SlackWorld) -> Visitor:
    return Visitor(world.standin.base_url, "ana")


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    async with slack_world(clock) as made:
        yield made


@pytest.fixture(params=[in_process, over_http])
def meet(request: pytest.FixtureRequest) -> Meet:
    chosen: Meet = request.param
    return chosen


async def test_it_waits_for_a_message_that_comes_later(world: SlackWorld, meet: Meet) -> None:
    waiting = asyncio.create_task(meet(world).sees("sync ended"))
    await world.slack.chat_postMessage(channel=CHANNEL, text="sync started")
    await world.slack.chat_postMessage(channel=CHANNEL, text="sync ended")
    assert (await waiting).text == "sync ended"


async def test_it_says_what_is_to_be_seen_when_the_text_does_not_come(world: SlackWorld, meet: Meet) -> None:
    await world.slack.chat_postMessage(channel=CHANNEL, text="sync failed")
    with pytest.raises(NotSeen, match="sync failed"):
        await meet(world).sees("sync ended", within=0.1)


async def test_it_passes_over_what_it_has_read(world: SlackWorld, meet: Meet) -> None:
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="page 1")
    ana = meet(world)
    await ana.sees("page")
    ana.reads()
    with pytest.raises(NotSeen):
        await ana.sees("page", within=0.1)
    await world.slack.chat_update(channel=CHANNEL, ts=posted["ts"], text="page 2")
    assert (await ana.sees("page")).text == "page 2"


async def test_it_fills_every_kind_of_input_by_its_label(world: SlackWorld, meet: Meet) -> None:
    def labelled(block_id: str, element: Json) -> Json:
        label = {"type": "plain_text", "text": block_id.title()}
        return {
            "type": "input",
            "block_id": block_id,
            "label": label,
            "element": {"action_id": "v", **element},
        }

    def option(text: str) -> Json:
        return {"text": {"type": "plain_text", "text": text}, "value": text.lower()}

    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "All"},
        "submit": {"type": "plain_text", "text": "Go"},
        "blocks": [
            labelled("name", {"type": "plain_text_input"}),
            labelled("agree", {"type": "checkboxes", "options": [option("I agree")]}),
            labelled("platform", {"type": "static_select", "options": [option("iOS"), option("macOS")]}),
            labelled(
                "tags", {"type": "multi_static_select", "options": [option("A"), option("B"), option("C")]}
            ),
            labelled("date", {"type": "datepicker"}),
        ],
    }
    ana = meet(world)
    await ana.types("/enroll token add")
    await world.slack.views_open(trigger_id=world.bot.payloads[0]["trigger_id"], view=view)
    await ana.fills(
        {"Name": "lyon", "Agree": True, "Platform": "macOS", "Tags": ["A", "C"], "Date": "2026-01-31"}
    )
    assert await ana.submits() == {}
    values = world.bot.payloads[-1]["view"]["state"]["values"]
    assert values["name"]["v"]["value"] == "lyon"
    assert [chosen["value"] for chosen in values["agree"]["v"]["selected_options"]] == ["i agree"]
    assert values["platform"]["v"]["selected_option"]["value"] == "macos"
    assert [chosen["value"] for chosen in values["tags"]["v"]["selected_options"]] == ["a", "c"]
    assert values["date"]["v"]["selected_date"] == "2026-01-31"


async def test_it_presses_the_newest_button_with_a_label(world: SlackWorld, meet: Meet) -> None:
    for value in ("old", "new"):
        text = {"type": "plain_text", "text": "Renew"}
        button = {"type": "button", "action_id": "renew", "value": value, "text": text}
        blocks = [{"type": "actions", "elements": [button]}]
        await world.slack.chat_postMessage(channel=CHANNEL, text=value, blocks=blocks)
    await meet(world).presses("Renew")
    assert world.bot.payloads[0]["actions"][0]["value"] == "new"


async def test_it_chooses_an_option_in_a_message(world: SlackWorld, meet: Meet) -> None:
    options = [{"text": {"type": "plain_text", "text": text}, "value": text} for text in ("Export", "Forget")]
    menu = {"type": "overflow", "action_id": "more", "options": options}
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "C02X"}, "accessory": menu}
    await world.slack.chat_postMessage(channel=CHANNEL, text="C02X", blocks=[section])
    await meet(world).chooses("more", "Forget")
    assert world.bot.payloads[0]["actions"][0]["selected_option"]["value"] == "Forget"
