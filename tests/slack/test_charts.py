"""Charts: within Slack's limits, the same facts as text, and sent again as bars where they are refused."""

import math
from typing import Any

import pytest

from bot.kit.db import Database
from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.sandbox.slack.refusals import SlackRefuses
from bot.slack import charts
from bot.slack.abilities import ASK_AGAIN, InDatabase
from bot.slack.blocks import Message, home, section, text_of
from tests.fakes.clock import FakeClock
from tests.slack.bot import Bot
from tests.slack.web_api import Fault

PROFILES = {"Sales iPad": 1840, "Kiosk": 96, "no profile": 12}
CHART = charts.bars("Devices by profile", PROFILES, unit="Devices")
MESSAGE = Message.of(section("*1,948 devices*"), CHART)
INVALID = Fault(error="invalid_blocks")


def kinds(sent: dict[str, Any]) -> list[str]:
    return [block["type"] for block in sent.get("blocks", [])]


def test_a_chart_has_slacks_shape_and_its_message_the_same_facts() -> None:
    data = [{"label": name, "value": value} for name, value in PROFILES.items()]
    expected = {
        "type": "data_visualization",
        "title": "Devices by profile",
        "chart": {
            "type": "bar",
            "series": [{"name": "Devices", "data": data}],
            "axis_config": {"categories": list(PROFILES), "y_label": "Devices"},
        },
    }
    assert expected == CHART
    assert MESSAGE.text == "1,948 devices\nDevices by profile: Sales iPad 1,840, Kiosk 96, no profile 12"


@pytest.mark.parametrize("many", [1, 6, 7, 20, 21, 500])
def test_charts_of_any_size_and_with_any_names_are_taken_by_slack(many: int) -> None:
    values = {f"{'Very long profile name ' * 3}{at} <!channel> `\n&": at + 1 for at in range(many)}
    moments = [f"day {at}" for at in range(many)]
    made = [
        charts.pie("A title that is a good deal longer than fifty characters are", values),
        charts.bars("Devices\nby profile", values, unit="Devices that are here", x_label="x" * 80),
        charts.lines("Licences", moments, {"left": list(values.values())}, y_label="Licences"),
    ]
    for block in made:
        check_message_blocks([block])
        check_message_blocks(charts.without_charts(Message("x", [block])).blocks)
    labels = [segment["label"] for segment in made[0]["chart"]["segments"]]
    assert len(set(labels)) == len(labels) == min(many, 6)


def test_what_is_too_much_is_brought_together_and_not_left_out() -> None:
    values = {f"p{at:02}": at for at in range(30)}
    shown = charts.pie("Devices", values)["chart"]["segments"]
    assert [each["label"] for each in shown] == ["p29", "p28", "p27", "p26", "p25", "others"]
    assert sum(each["value"] for each in shown) == sum(values.values())
    drawn = charts.bars("Devices", values, unit="Devices")["chart"]["series"][0]["data"]
    assert sum(each["value"] for each in drawn) == sum(values.values())
    assert len(drawn) == 20


def test_of_many_moments_the_first_and_the_newest_stay() -> None:
    moments = [str(at) for at in range(365)]
    chart = charts.lines("Licences", moments, {"left": list(range(365))}, y_label="Licences")["chart"]
    kept = chart["axis_config"]["categories"]
    assert (len(kept), kept[0], kept[-1]) == (10, "0", "364")
    assert [point["label"] for point in chart["series"][0]["data"]] == kept


def test_bars_of_text_are_aligned_and_give_the_number_first() -> None:
    text = charts.text_bars("Devices", {"Sales iPad": 1840, "キオスク": 920, "Kiosk": 1}, unit="by profile")
    assert text["text"]["text"] == (
        "*Devices* (by profile)\n"
        "```Sales iPad  1,840  ████████████\n"
        "キオスク      920  ██████\n"
        "Kiosk           1  ▌```"
    )


def test_bars_of_text_are_harmless_whatever_a_name_says() -> None:
    text = charts.text_bars("<!here>", {"```<!channel>": 3, "zero": 0})["text"]["text"]
    assert text == "*&lt;!here&gt;*\n```ˋˋˋ&lt;!channel&gt;  3  ████████████\nzero           0```"


def test_nothing_to_draw_is_a_mistake_and_no_empty_chart() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        charts.pie("Devices", {"a": 0})
    with pytest.raises(ValueError, match="nothing to draw"):
        charts.bars("Devices", {}, unit="Devices")
    with pytest.raises(ValueError, match="below zero"):
        charts.bars("Days", {"a": -1}, unit="Days")
    with pytest.raises(ValueError, match="a value for each moment"):
        charts.lines("Days", ["Mon"], {"a": [1, 2]}, y_label="Days")


def test_a_home_tab_takes_bars_of_text_and_no_chart() -> None:
    check_view(home(charts.text_bars("Devices", PROFILES)), home=True)
    with pytest.raises(SlackRefuses):
        check_view(home(CHART), home=True)


def test_a_third_chart_of_a_message_is_sent_as_text() -> None:
    fitted = charts.fitting(Message.of(CHART, CHART, CHART))
    assert [block["type"] for block in fitted.blocks] == [charts.CHART, charts.CHART, "section"]
    check_message_blocks(fitted.blocks)
    assert text_of(fitted.blocks[2:]).startswith("Devices by profile\n```Sales iPad  1,840  ██")


async def test_a_refused_chart_comes_as_text_and_the_next_one_at_once(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", INVALID)
    posted = await bot.slack.poster.post("C1", MESSAGE)
    await bot.slack.poster.update(posted, MESSAGE)
    await bot.slack.poster.post("C2", MESSAGE)
    assert [kinds(sent) for name, sent in bot.web.calls if name.startswith("chat.")] == [
        ["section", charts.CHART],
        ["section", "section"],
        ["section", "section"],
        ["section", "section"],
    ]
    assert "Sales iPad  1,840" in bot.web.messages["C1"][0]["blocks"][1]["text"]["text"]
    assert bot.web.messages["C1"][0]["text"] == MESSAGE.text


async def test_a_workspace_is_asked_again_after_four_weeks(bot: Bot, clock: FakeClock) -> None:
    bot.web.fail("chat.postMessage", INVALID)
    await bot.slack.poster.post("C1", MESSAGE)
    clock.move(ASK_AGAIN)
    await bot.slack.poster.post("C1", MESSAGE)
    assert kinds(bot.web.called("chat.postMessage")[-1]) == ["section", charts.CHART]


async def test_charts_are_not_blamed_for_other_blocks(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", INVALID, INVALID)
    await bot.slack.poster.post("C1", MESSAGE)
    await bot.slack.poster.post("C1", MESSAGE)
    sent = [kinds(sent) for sent in bot.web.called("chat.postMessage")]
    assert sent == [["section", charts.CHART], ["section", "section"], [], ["section", charts.CHART]]


@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_whose_chart_is_refused_is_given_again(bot: Bot, status: int) -> None:
    bot.web.refuse_charts_with = status
    assert await bot.slack.outlet.respond(bot.web.response_url, MESSAGE, replace=False) is True
    assert [kinds(answer) for answer in bot.web.answers] == [["section", "section"]]
    bot.web.fail("chat.postEphemeral", INVALID)
    assert await bot.slack.outlet.whisper("C1", "U1", MESSAGE) is False
    assert kinds(bot.web.called("chat.postEphemeral")[0]) == ["section", "section"]


async def test_a_refusal_is_remembered_by_workspace_for_every_replica(
    database: Database, clock: FakeClock
) -> None:
    one, other = InDatabase(database), InDatabase(database)
    await one.note("T1", clock.now())
    clock.move(ASK_AGAIN)
    await one.note("T1", clock.now())
    assert await other.refused_at("T1") == clock.now()
    assert await other.refused_at("T2") is None


def test_bars_are_never_longer_than_the_longest() -> None:
    shown = charts.text_bars("x", {"a": math.pi, "b": 1e-9})["text"]["text"]
    assert shown.count("█") == charts.BAR_CELLS
