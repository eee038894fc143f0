"""The page in a real browser: pressed here, the right payload at the bot, the answer drawn."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.fakes.browser import close_pages, new_page
from tests.fakes.clock import FakeClock
from tests.fakes.scenes import offered
from tests.fakes.slack_world import SlackWorld, slack_world

# One browser for all tests of this file: starting it takes longer than most of them.
pytestmark = pytest.mark.asyncio(loop_scope="session")

Json = dict[str, Any]
CHANNEL = "C0ENROLL"
SHORTCUTS: list[Json] = [
    {"name": "Look serials up", "type": "message", "callback_id": "lookup", "description": "In here"},
]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str, value: str) -> Json:
    return {"text": plain(text), "value": value}


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "block_id": "acts", "elements": list(elements)}


def field(label: str, block_id: str, kind: str, **rest: Any) -> Json:
    element = {"type": kind, "action_id": "value", **rest}
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element}


def modal(*blocks: Json, title: str = "Add a token", submit: str = "Add", **rest: Any) -> Json:
    view = {"type": "modal", "callback_id": "token.add", "title": plain(title), "submit": plain(submit)}
    return {**view, "blocks": list(blocks), **rest}


@pytest_asyncio.fixture(loop_scope="session")
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    usages = [
        {"usage": "status", "summary": "Health at a glance"},
        {"usage": "token add NAME --apple-id ID", "summary": "Add an enrollment token"},
        {"usage": "token renew NAME", "summary": "Renew it"},
    ]
    commands = [{"command": "/enroll", "usage_hint": "", "description": "Enrollment", "usages": usages}]
    links = {"abm_url": "http://127.0.0.1:9/abm"}
    async with slack_world(clock, commands=commands, links=links, shortcuts=SHORTCUTS) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Browser) -> Browser:
    return shared_browser


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def closed_windows(browser: Browser) -> AsyncIterator[None]:
    """Close what a test opened before its stand-in goes away."""
    yield
    await close_pages(browser)


async def opened(browser: Browser, world: SlackWorld, *, person: str = "U0ANA", **settings: Any) -> Page:
    """Open the page as one person; what it logs as an error or asks of another host fails the test."""
    page = await new_page(browser, **settings)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    own = (world.standin.base_url, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else faults.append(request.url))
    await page.goto(f"{world.standin.base_url}/?person={person}")
    await expect(page.get_by_role("heading", name="device-enrollment")).to_be_visible()
    await expect(page.get_by_text("Connecting to the sandbox")).to_have_count(0)
    assert faults == []
    return page


async def types(page: Page, text: str) -> None:
    await page.get_by_role("main").get_by_role("textbox").or_(page.get_by_label("Message #")).first.fill(text)
    await page.keyboard.press("Enter")


async def next_payload(world: SlackWorld) -> Json:
    await world.bot.arrived.acquire()
    return world.bot.payloads[-1]


async def show_modal(page: Page, world: SlackWorld, view: Json) -> None:
    """Let the bot open a modal in answer to a command typed in the page."""
    await types(page, "/enroll token add")
    trigger = (await next_payload(world))["trigger_id"]
    await world.slack.views_open(trigger_id=trigger, view=view)
    await expect(page.get_by_role("dialog", name=view["title"]["text"])).to_be_visible()


async def submitted(page: Page, world: SlackWorld) -> Json:
    await page.get_by_role("button", name="Add", exact=True).click()
    payload = await next_payload(world)
    assert payload["type"] == "view_submission"
    values: Json = payload["view"]["state"]["values"]
    return values


async def test_a_command_typed_in_the_page_reaches_the_bot_and_its_answer_is_drawn(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    world.bot.answers({"response_type": "ephemeral", "text": "*2 tokens*, all well"})
    await types(page, "/enroll status")
    payload = await next_payload(world)
    assert (payload["command"], payload["text"], payload["user_id"]) == ("/enroll", "status", "U0ANA")
    answer = page.get_by_role("article").filter(has_text="2 tokens, all well")
    await expect(answer.get_by_text("Only visible to you")).to_be_visible()


async def test_commands_are_completed_and_recalled_by_the_arrow_keys(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    box = page.get_by_label("Message #device-enrollment")
    # One who types while reading means the composer.
    await page.get_by_role("region", name="Channel").click()
    await page.keyboard.type("/enroll to")
    await expect(page.get_by_role("option")).to_have_count(2)
    await box.press("ArrowDown")
    await box.press("Enter")
    await expect(box).to_have_value("/enroll token add ")
    await box.fill("/enroll status")
    await box.press("Enter")
    assert (await next_payload(world))["text"] == "status"
    await expect(box).to_have_value("")
    await box.press("ArrowUp")
    await expect(box).to_have_value("/enroll status")


async def test_a_command_is_completed_up_to_its_first_argument_and_its_usage_stays_as_a_hint(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    box = page.get_by_label("Message #device-enrollment")
    await box.press_sequentially("/enroll token re")
    (offered,) = await page.get_by_role("option").all()
    await expect(offered).to_have_text("/enroll token renew NAMERenew it")
    await box.press("Tab")
    await expect(box).to_have_value("/enroll token renew ")
    await box.press_sequentially("paris")
    await expect(page.get_by_role("option")).to_have_text(["/enroll token renew NAMERenew it"])
    await box.press("ArrowDown")
    await box.press("Enter")
    assert (await next_payload(world))["text"] == "token renew paris"
    await box.press_sequentially("/enroll ")
    await expect(page.get_by_role("option")).to_have_count(3)
    await box.press("ArrowUp")
    await expect(page.get_by_role("option").last).to_have_attribute("aria-selected", "true")
    await box.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    await expect(box).to_have_value("/enroll ")


async def test_a_first_visit_suggests_commands_and_once_skipped_it_does_not_come_back(
    browser: Browser, world: SlackWorld
) -> None:
    world.standin.page.offered = offered
    page = await opened(browser, world)
    first = page.get_by_role("dialog", name="Three commands to begin with")
    await first.get_by_role("button", name="/enroll device list model:iPad").click()
    assert (await next_payload(world))["text"] == "device list model:iPad"
    await first.get_by_role("button", name="Show me around").click()
    tour = page.get_by_role("dialog", name="See how the tokens stand")
    # Escape belongs to where the keyboard is: beside the tour it ends nothing.
    await page.get_by_label("Message #device-enrollment").press("Escape")
    await page.reload()
    await expect(tour).to_have_accessible_description(re.compile(r"/enroll tells every token at a glance"))
    await tour.get_by_role("button", name="Skip").press("Enter")
    await expect(page.get_by_label("Message #device-enrollment")).to_be_focused()
    await page.reload()
    await types(page, "/enroll status")
    assert (await next_payload(world))["text"] == "status"
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="You are Ana Lima").click()
    await page.get_by_role("menuitem", name="Show me around").click()
    await expect(first).to_be_visible()


async def test_a_message_is_drawn_as_slack_draws_it_and_never_as_html(
    browser: Browser, world: SlackWorld
) -> None:
    text = (
        "*paris* at 10:30:45, `F9F*`, <@U0BEN>, &lt;img src=x onerror=alert(1)&gt;\n1. open ABM\n"
        "<https://business.apple.com/a|ABM> <javascript:alert(1)|bad>"
    )
    blocks = [section(text), {"type": "call", "call_id": "R1"}]
    page = await opened(browser, world)
    await world.slack.chat_postMessage(channel=CHANNEL, text="paris", blocks=[blocks[0]])
    message = page.get_by_role("article").last
    await expect(message).to_contain_text("paris at 10:30:45, F9F*, @ben, <img src=x onerror=alert(1)>")
    await expect(message).to_contain_text("1. open ABM")
    link = message.get_by_role("link", name="ABM")
    assert await link.get_attribute("href") == "https://business.apple.com/a"
    assert "noopener" in (await link.get_attribute("rel") or "")
    await expect(message.get_by_role("link")).to_have_count(1)
    await expect(message.locator("img")).to_have_count(0)


async def test_a_message_shortcut_is_chosen_with_the_keyboard_and_its_modal_is_shown(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="F9FX0001")
    await page.get_by_role("button", name="Actions on this message").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Look serials up")).to_be_focused()
    await page.keyboard.press("Enter")
    payload = await next_payload(world)
    assert (payload["type"], payload["callback_id"]) == ("message_action", "lookup")
    assert payload["message_ts"] == posted["ts"]
    await world.slack.views_open(
        trigger_id=payload["trigger_id"], view=modal(section("Found"), title="Found")
    )
    await expect(page.get_by_role("dialog", name="Found")).to_be_visible()


async def test_a_global_shortcut_is_chosen_in_the_composer_which_says_so_where_there_is_none(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await page.get_by_role("button", name="Shortcuts", exact=True).click()
    await expect(page.get_by_role("menuitem")).to_have_text("enrollbot has no shortcuts.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    world.standin.acts.shortcuts.append({"name": "Renew", "type": "global", "callback_id": "renew"})
    await page.reload()
    await page.get_by_role("button", name="Shortcuts", exact=True).click()
    await page.get_by_role("menuitem", name="Renew").click()
    payload = await next_payload(world)
    assert (payload["type"], payload["callback_id"]) == ("shortcut", "renew")
    view = modal(section("Which token?"), title="Renew a token")
    await world.slack.views_open(trigger_id=payload["trigger_id"], view=view)
    await expect(page.get_by_role("dialog", name="Renew a token")).to_contain_text("Which token?")


async def test_dates_are_shown_in_the_readers_zone(browser: Browser, world: SlackWorld) -> None:
    page = await opened(browser, world, timezone_id="Asia/Tokyo")
    stamp = int(world.clock.now().timestamp())
    text = f"synced <!date^{stamp}^{{date_short_pretty}} at {{time}}|1 May 2026, 09:00 UTC>"
    await world.slack.chat_postMessage(channel=CHANNEL, text=text)
    await expect(page.get_by_role("article").last).to_contain_text("synced today at 18:00")


async def test_a_pressed_button_reaches_the_bot_and_the_updated_message_is_drawn(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    button = {"type": "button", "action_id": "renew", "value": "tok_1", "text": plain("Renew token")}
    posted = await world.slack.chat_postMessage(
        channel=CHANNEL, text="paris", blocks=[section("*paris*"), actions(button)]
    )
    await page.get_by_role("button", name="Renew token").click()
    payload = await next_payload(world)
    (action,) = payload["actions"]
    assert (action["action_id"], action["value"], payload["container"]["message_ts"]) == (
        "renew",
        "tok_1",
        posted["ts"],
    )
    await world.slack.chat_update(channel=CHANNEL, ts=posted["ts"], text="ok", blocks=[section("*renewed*")])
    await expect(page.get_by_text("renewed")).to_be_visible()
    await expect(page.get_by_text("(edited)")).to_be_visible()
    await expect(page.get_by_role("button", name="Renew token")).to_have_count(0)


async def test_a_button_with_a_confirm_dialog_is_sent_only_when_confirmed(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    question = {"title": plain("Remove paris?"), "text": plain("For good."), "confirm": plain("Remove it")}
    button = {"type": "button", "action_id": "rm", "text": plain("Remove"), "style": "danger"}
    blocks = [actions({**button, "confirm": {**question, "deny": plain("Back")}})]
    await world.slack.chat_postMessage(channel=CHANNEL, text="paris", blocks=blocks)
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("alertdialog", name="Remove paris?")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
    assert world.bot.payloads == []
    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("button", name="Remove it").click()
    assert (await next_payload(world))["actions"][0]["action_id"] == "rm"


async def test_a_required_input_left_empty_is_told_at_the_field_and_not_sent(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await show_modal(page, world, modal(field("Name", "name", "plain_text_input")))
    await page.get_by_role("button", name="Add", exact=True).click()
    name = page.get_by_label("Name", exact=True)
    await expect(name).to_have_accessible_description("Please complete this required field.")
    await expect(name).to_be_focused()
    assert len(world.bot.payloads) == 1


async def test_an_error_of_the_bot_stands_at_its_field_and_what_was_typed_stays(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await show_modal(page, world, modal(field("Name", "name", "plain_text_input")))
    world.bot.answers({"response_action": "errors", "errors": {"name": "There is a token named paris."}})
    name = page.get_by_label("Name", exact=True)
    await name.fill("paris")
    await submitted(page, world)
    await expect(name).to_have_accessible_description("There is a token named paris.")
    await expect(name).to_have_value("paris")
    await name.fill("lyon")
    await expect(page.get_by_text("There is a token named paris.")).to_have_count(0)


async def test_a_pushed_modal_goes_back_to_one_that_kept_what_was_typed(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    view = modal(field("Name", "name", "plain_text_input"))
    await show_modal(page, world, view)
    await page.get_by_label("Name", exact=True).fill("lyon")
    world.bot.answers({"response_action": "push", "view": modal(section("Look again"), title="Check")})
    await submitted(page, world)
    await expect(page.get_by_role("dialog", name="Check")).to_be_visible()
    await page.get_by_role("button", name="Back").click()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("lyon")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_an_updated_modal_keeps_what_was_typed_in_inputs_that_stay(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    name = field("Name", "name", "plain_text_input")
    await show_modal(page, world, modal(name))
    await page.get_by_label("Name", exact=True).fill("lyon")
    (view,) = world.standin.page.snapshot("U0ANA")["views"]
    await world.slack.views_update(view_id=view["id"], view=modal(section("*One more*"), name, title="Again"))
    await expect(page.get_by_role("dialog", name="Again")).to_contain_text("One more")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("lyon")


async def test_modals_go_three_deep_and_the_bot_hears_of_those_that_are_closed(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    push = {"type": "button", "action_id": "more", "text": plain("Go deeper")}
    views = [modal(actions(push), title=title, notify_on_close=True) for title in ("One", "Two", "Three")]
    await show_modal(page, world, views[0])
    for view in views[1:]:
        await page.get_by_role("button", name="Go deeper").click()
        payload = await next_payload(world)
        await world.slack.views_push(trigger_id=payload["trigger_id"], view=view)
        await expect(page.get_by_role("dialog", name=view["title"]["text"])).to_be_visible()
    await page.get_by_role("button", name="Back").click()
    closed = await next_payload(world)
    assert (closed["type"], closed["view"]["title"]["text"], closed["is_cleared"]) == (
        "view_closed",
        "Three",
        False,
    )
    await expect(page.get_by_role("dialog", name="Two")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    for _ in range(2):
        assert (await next_payload(world))["type"] == "view_closed"
    assert [payload["is_cleared"] for payload in world.bot.payloads[-2:]] == [True, True]


async def test_a_block_that_the_page_does_not_know_is_named_in_its_place(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    video = {"type": "video", "title": plain("How to"), "alt_text": "How", "video_url": "https://a.example"}
    blocks = [section("before"), video, section("after")]
    await world.slack.chat_postMessage(channel=CHANNEL, text="video", blocks=blocks)
    article = page.get_by_role("article").last
    await expect(article.get_by_role("note")).to_have_text("The sandbox does not show the block video.")
    await expect(article).to_contain_text("after")


async def test_a_file_of_the_bot_is_a_card_with_a_download(browser: Browser, world: SlackWorld) -> None:
    page = await opened(browser, world)
    await world.slack.files_upload_v2(channel=CHANNEL, filename="paris.pem", content="PEM", title="paris.pem")
    link = page.get_by_role("link", name="Download paris.pem")
    async with page.expect_download() as coming:
        await link.click()
    assert (await coming.value).suggested_filename == "paris.pem"


async def test_a_csv_is_previewed_in_its_card_as_text_and_fetched_once(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/page/files/" in request.url else None)
    rows = [f'F9F{n:04},"<b>{n}</b>, ""Paris""",{"x" * 300}' for n in range(1234)]
    content = "\ufeffSerial number,Note,Long\r\n" + "\r\n".join(rows) + "\r\n"
    await world.slack.files_upload_v2(channel=CHANNEL, filename="devices.csv", content=content)
    table = page.get_by_role("region", name="Preview of devices.csv")
    await expect(table.get_by_role("columnheader")).to_have_text(["Serial number", "Note", "Long"])
    await expect(table.get_by_role("row")).to_have_count(6)
    cells = table.get_by_role("row").nth(1).get_by_role("cell")
    await expect(cells).to_have_text(["F9F0000", '<b>0</b>, "Paris"', "x" * 59 + "…"])
    await expect(page.get_by_text("1,234 rows, the first 5 shown")).to_be_visible()
    await page.get_by_role("navigation", name="Channels").get_by_role("button", name="approvals").click()
    await page.get_by_role("button", name="device-enrollment").click()
    await expect(table).to_be_visible()
    assert len(asked) == 1


async def test_a_file_that_is_no_table_has_a_card_without_a_preview(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    for name, content in (("binary.csv", b"a,b\0\1"), ("empty.csv", b"\n"), ("notes.txt", b"a,b\n1,2\n")):
        await world.slack.files_upload_v2(channel=CHANNEL, filename=name, content=content)
        await expect(page.get_by_role("link", name=f"Download {name}")).to_be_visible()
    await expect(page.get_by_role("table")).to_have_count(0)


async def test_what_the_page_cannot_show_says_so(browser: Browser, world: SlackWorld) -> None:
    picture = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "A chart of devices"}
    page = await opened(browser, world)
    await world.slack.chat_postMessage(channel=CHANNEL, text="picture", blocks=[picture])
    await expect(page.get_by_role("note")).to_contain_text("A chart of devices")
    await expect(page.get_by_role("article").locator("img")).to_have_count(0)


async def test_replies_stand_in_a_side_panel_where_one_can_answer(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    parent = await world.slack.chat_postMessage(channel=CHANNEL, text="REQ-12")
    await world.slack.chat_postMessage(channel=CHANNEL, text="40 of 412 done", thread_ts=parent["ts"])
    await expect(page.get_by_text("40 of 412 done")).to_have_count(0)
    await page.get_by_role("button", name="1 reply").click()
    thread = page.get_by_role("complementary", name="Thread")
    await expect(thread.get_by_text("40 of 412 done")).to_be_visible()
    await thread.get_by_label("Reply").fill("thanks")
    await page.keyboard.press("Enter")
    await expect(thread.get_by_role("article")).to_have_count(3)
    await expect(page.get_by_role("button", name="2 replies")).to_be_visible()


async def test_a_reply_sent_to_the_channel_too_stands_in_both_and_leads_to_its_thread(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    parent = await world.slack.chat_postMessage(channel=CHANNEL, text="REQ-12")
    await world.slack.chat_postMessage(
        channel=CHANNEL, text="All 412 done", thread_ts=parent["ts"], reply_broadcast=True
    )
    broadcast = page.get_by_role("log").get_by_role("article").filter(has_text="All 412 done")
    await broadcast.get_by_role("button", name="replied to a thread").click()
    thread = page.get_by_role("complementary", name="Thread")
    await expect(thread.get_by_role("article")).to_have_count(2)
    await expect(thread.get_by_text("REQ-12")).to_be_visible()
    await expect(thread.get_by_text("All 412 done")).to_be_visible()
    await expect(broadcast).to_be_visible()


async def test_channels_not_looked_at_are_marked_unread_until_they_are_opened(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await world.slack.chat_postMessage(channel="C0APPROVE", text="REQ-12 waits")
    entry = page.get_by_role("navigation", name="Channels").get_by_role("button", name="approvals")
    await expect(entry).to_have_accessible_name("approvals 1 unread")
    await entry.click()
    await expect(page.get_by_text("REQ-12 waits")).to_be_visible()
    await expect(entry).to_have_accessible_name("approvals")


HIDDEN = """hidden => {
    const get = () => hidden ? "hidden" : "visible";
    Object.defineProperty(document, "visibilityState", { configurable: true, get });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_new_is_what_came_while_one_was_elsewhere_and_not_the_answer_to_ones_own_command(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    line = page.get_by_role("separator").filter(has_text="New")
    world.bot.answers({"response_type": "ephemeral", "text": "all well"})
    await types(page, "/enroll status")
    await expect(page.get_by_text("all well")).to_be_visible()
    await expect(line).to_have_count(0)
    channels = page.get_by_role("navigation", name="Channels")
    await channels.get_by_role("button", name="approvals").click()
    await world.slack.chat_postMessage(channel=CHANNEL, text="said meanwhile")
    await channels.get_by_role("button", name="device-enrollment 1 unread").click()
    await expect(page.locator(".row").filter(has=line)).to_contain_text("said meanwhile")
    await page.evaluate(HIDDEN, True)
    await world.slack.chat_postMessage(channel=CHANNEL, text="said to nobody")
    await expect(page).to_have_title(re.compile(r"^\(1\)"))
    await page.evaluate(HIDDEN, False)
    await expect(page.locator(".row").filter(has=line)).to_contain_text("said to nobody")


async def test_one_can_become_another_person(browser: Browser, world: SlackWorld) -> None:
    page = await opened(browser, world)
    await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="only for ana")
    await expect(page.get_by_text("only for ana")).to_be_visible()
    await page.get_by_role("button", name="You are Ana Lima, admin").click()
    await page.get_by_role("menuitemradio", name="Ben Okoro").click()
    await expect(page.get_by_role("button", name="You are Ben Okoro, approver")).to_be_visible()
    await expect(page.get_by_text("only for ana")).to_have_count(0)


async def test_the_home_tab_is_asked_for_and_its_buttons_reach_the_bot(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await page.get_by_role("navigation", name="Channels").get_by_role("button", name="enrollbot").click()
    await page.get_by_role("tab", name="Home").click()
    payload = await next_payload(world)
    while payload["event"].get("tab") != "home":
        payload = await next_payload(world)
    button = {"type": "button", "action_id": "sync", "text": plain("Sync now")}
    view = {"type": "home", "blocks": [section("*2 tokens*"), actions(button)]}
    await world.slack.views_publish(user_id="U0ANA", view=view)
    await page.get_by_role("button", name="Sync now").click()
    pressed = await next_payload(world)
    while pressed["type"] != "block_actions":
        pressed = await next_payload(world)
    assert pressed["view"]["type"] == "home"


async def test_what_was_said_while_the_page_was_cut_off_appears_when_it_is_back(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    await page.context.set_offline(offline=True)
    await world.slack.chat_postMessage(channel=CHANNEL, text="said meanwhile")
    await page.context.set_offline(offline=False)
    await expect(page.get_by_text("said meanwhile")).to_be_visible(timeout=20_000)


async def test_the_page_says_that_it_connects_again_while_the_bot_starts_anew(
    browser: Browser, world: SlackWorld
) -> None:
    page = await opened(browser, world)
    world.standin.is_bot_up = False
    await expect(page.get_by_text("Connecting again…")).to_be_visible()
    world.standin.is_bot_up = True
    await expect(page.get_by_text("Connecting again…")).to_have_count(0)
    await types(page, "/enroll status")
    assert (await next_payload(world))["text"] == "status"


async def test_the_page_goes_on_by_itself_after_a_restart_of_the_server(
    browser: Browser, clock: FakeClock, tmp_path: Path
) -> None:
    async with slack_world(clock, folder=tmp_path) as before:
        page = await opened(browser, before)
        port = int(before.standin.base_url.rpartition(":")[2])
    await expect(page.get_by_text("Connecting again…")).to_be_visible(timeout=20_000)
    async with slack_world(clock, folder=tmp_path, port=port) as after:
        await after.slack.chat_postMessage(channel=CHANNEL, text="back again")
        await expect(page.get_by_text("back again")).to_be_visible(timeout=20_000)
        await expect(page.get_by_text("Connecting again…")).to_have_count(0)
        await page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_no_sideways_scrolling(browser: Browser, world: SlackWorld, scheme: str) -> None:
    page = await opened(
        browser, world, viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True
    )
    world.clock.move(timedelta(days=1))
    long = "F9F" * 60
    rows = [{"type": "mrkdwn", "text": f"*State*\n{long}"}, {"type": "mrkdwn", "text": "*Days*\n14"}]
    blocks = [section(f"`{long}`"), {"type": "section", "fields": rows}]
    await world.slack.chat_postMessage(channel=CHANNEL, text="long", blocks=blocks)
    await expect(page.get_by_role("article")).to_contain_text("State")
    widths = "[document.documentElement.scrollWidth, document.querySelector('.scroller').scrollWidth]"
    assert max(await page.evaluate(widths)) <= 360


@pytest.mark.parametrize(
    "script",
    [
        "localStorage.setItem('read:U0ANA', '{broken')",
        "for (const place of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, place, {get() { throw new Error('forbidden') }})",
    ],
    ids=["broken", "forbidden"],
)
async def test_the_page_works_where_the_browser_keeps_nothing(
    browser: Browser, world: SlackWorld, script: str
) -> None:
    context = await browser.new_context()
    await context.add_init_script(script)
    page = await context.new_page()
    await page.goto(f"{world.standin.base_url}/?person=U0ANA")
    await types(page, "/enroll status")
    assert (await next_payload(world))["text"] == "status"
    await page.get_by_role("button", name="Switch person").click()
    await page.get_by_role("menuitemradio", name="Ben").click()
    await expect(page.get_by_role("button", name="You are Ben")).to_be_visible()
