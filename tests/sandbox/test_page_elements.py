"""Every element in a real browser, all on one screen: used here, heard by the bot, its answer drawn."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Locator, Page, ViewportSize, expect
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.fakes.clock import FakeClock
from tests.fakes.scenes import CHANNEL, option, plain
from tests.fakes.scenes import field as input_block
from tests.fakes.slack_world import SlackWorld, slack_world

pytestmark = pytest.mark.asyncio(loop_scope="session")

Json = dict[str, Any]
Use = Callable[[Page, Locator], Awaitable[None]]

#: So high that everything is in sight.
TALL: ViewportSize = {"width": 1280, "height": 3400}
OPTIONS: list[Json] = [option("iOS", "ios"), option("macOS", "mac")]
GROUPS: list[Json] = [
    {"label": plain("Phones"), "options": [option("iPhone 15", "i15")]},
    {"label": plain("Tablets"), "options": [option("iPad Air", "air"), option("iPad mini", "mini")]},
]
CONFIRM = {
    "title": plain("Sure?"),
    "text": plain("For every device."),
    "confirm": plain("Yes"),
    "deny": plain("No"),
    "style": "danger",
}


@pytest_asyncio.fixture(loop_scope="session")
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    async with slack_world(clock) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Browser) -> Browser:
    return shared_browser


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, world: SlackWorld) -> AsyncIterator[Page]:
    # The zone is not the bot's: a date with a time has to arrive as a moment.
    page = await browser.new_page(viewport=TALL, timezone_id="Asia/Tokyo", locale="en-US")
    await page.goto(f"{world.standin.base_url}/?person=U0ANA")
    await expect(page.get_by_role("heading", name="device-enrollment")).to_be_visible()
    await expect(page.get_by_text("Connecting to the sandbox")).to_have_count(0)
    yield page
    await page.close()


def section(text: str, **rest: Any) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **rest}


def words(value: object) -> str:
    """Say in short what stands in a payload: the values of options, the names of files, the rest as it is."""
    if isinstance(value, list):
        return " + ".join(words(each) for each in value)
    if isinstance(value, dict):
        return str(value.get("value") or value["name"])
    return str(value)


def entered(entry: Json) -> str:
    """Return what an action or an entry of the state holds besides its names."""
    keys = [key for key in entry if key.startswith("selected_") or key in ("value", "files")]
    return words(entry[keys[0]]) if keys else "pressed"


async def arrived(world: SlackWorld, kind: str) -> Json:
    """Wait for the next payload of this kind."""
    while True:
        await world.bot.arrived.acquire()
        payload = world.bot.payloads[-1]
        if payload["type"] == kind:
            return payload


# -- what act at once: beside a section, or in an input that dispatches


def clicks(role: Any, name: str = "") -> Use:
    async def use(page: Page, place: Locator) -> None:
        await (place.get_by_role(role, name=name) if name else place.get_by_role(role)).click()

    return use


def picks(name: str, *, typed: str = "") -> Use:
    """Choose from the list of a select, after typing if its entries come from the bot."""

    async def use(page: Page, place: Locator) -> None:
        box = place.get_by_role("combobox")
        await box.click()
        await box.press_sequentially(typed)
        await page.get_by_role("option", name=name).click()
        await box.press("Tab")

    return use


def fills(text: str, *, key: str = "") -> Use:
    async def use(page: Page, place: Locator) -> None:
        box = place.locator("input, textarea")
        await box.fill(text)
        if key:
            await box.press(key)

    return use


async def types_date(page: Page, place: Locator) -> None:
    """Type 1 June 2026 into a date as people do: its year comes digit by digit."""
    await place.locator("input").press_sequentially("06012026")


async def leaves(page: Page, place: Locator) -> None:
    """Do nothing: what the bot has drawn in it counts."""


async def overflows(page: Page, place: Locator) -> None:
    await place.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name="macOS").click()


@dataclass(frozen=True)
class Round:
    """An element, how it is used, and what the bot hears; `rest` is what its block has besides."""

    name: str
    element: Json
    use: Use
    heard: str
    rest: Json = field(default_factory=dict)

    @property
    def block(self) -> Json:
        element = {**self.element, "action_id": self.name}
        if self.rest:
            return {"type": "input", "block_id": self.name, "label": plain(self.name), "element": element} | (
                self.rest
            )
        return section(self.name, block_id=self.name, accessory=element)


BUTTON = {"type": "button", "text": plain("Go"), "value": "go"}
CHECKBOXES = {"type": "checkboxes", "options": OPTIONS}
RADIO = {"type": "radio_buttons", "options": OPTIONS}
STATIC = {"type": "static_select", "options": OPTIONS}
STATICS = {"type": "multi_static_select", "options": OPTIONS}
EXTERNAL = {"type": "external_select", "min_query_length": 2}
OVERFLOW = {"type": "overflow", "options": OPTIONS}
DECIMAL = {"type": "number_input", "is_decimal_allowed": True}
EVERY_KEY = {"dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]}}
DISPATCHES = {"dispatch_action": True}
ROUNDS = [
    Round("button", BUTTON, clicks("button"), "go"),
    Round("primary", {**BUTTON, "style": "primary"}, clicks("button"), "go"),
    Round("danger", {**BUTTON, "style": "danger", "confirm": CONFIRM}, clicks("button"), "go"),
    Round("overflow", OVERFLOW, overflows, "mac"),
    Round("sure overflow", {**OVERFLOW, "confirm": CONFIRM}, overflows, "mac"),
    Round("static", STATIC, picks("macOS"), "mac"),
    Round("sure static", {**STATIC, "confirm": CONFIRM}, picks("iOS"), "ios"),
    Round("groups", {"type": "static_select", "option_groups": GROUPS}, picks("iPad mini"), "mini"),
    Round("external", EXTERNAL, picks("iPad Air", typed="ip"), "air"),
    Round("person", {"type": "users_select"}, picks("Ben Okoro"), "U0BEN"),
    Round("channel", {"type": "channels_select"}, picks("#approvals"), "C0APPROVE"),
    Round("conversation", {"type": "conversations_select"}, picks("#approvals"), "C0APPROVE"),
    Round("statics", STATICS, picks("iOS"), "ios"),
    Round("group", {"type": "multi_static_select", "option_groups": GROUPS}, picks("iPad mini"), "mini"),
    Round("externals", {**EXTERNAL, "type": "multi_external_select"}, picks("iPad mini", typed="ip"), "mini"),
    Round("people", {"type": "multi_users_select"}, picks("Ben Okoro"), "U0BEN"),
    Round("channels", {"type": "multi_channels_select"}, picks("#approvals"), "C0APPROVE"),
    Round("conversations", {"type": "multi_conversations_select"}, picks("#approvals"), "C0APPROVE"),
    Round("boxes", CHECKBOXES, clicks("checkbox", "macOS"), "mac"),
    Round("sure boxes", {**CHECKBOXES, "confirm": CONFIRM}, clicks("checkbox", "iOS"), "ios"),
    Round("radio", RADIO, clicks("radio", "macOS"), "mac"),
    Round("sure radio", {**RADIO, "confirm": CONFIRM}, clicks("radio", "iOS"), "ios"),
    Round("date", {"type": "datepicker"}, types_date, "2026-06-01"),
    Round("sure date", {"type": "datepicker", "confirm": CONFIRM}, fills("2026-06-02"), "2026-06-02"),
    Round("time", {"type": "timepicker"}, fills("09:30"), "09:30"),
    Round("text", {"type": "plain_text_input"}, fills("lyon", key="Enter"), "lyon", DISPATCHES),
    Round("keys", {"type": "plain_text_input", **EVERY_KEY}, fills("par"), "par", DISPATCHES),
    Round("number", DECIMAL, fills("1.5", key="Enter"), "1.5", DISPATCHES),
    Round("mail", {"type": "email_text_input"}, fills("a@b.example", key="Enter"), "a@b.example", DISPATCHES),
    Round("input select", STATIC, picks("macOS"), "mac", DISPATCHES),
    Round("input boxes", CHECKBOXES, clicks("checkbox", "iOS"), "ios", DISPATCHES),
    Round("input date", {"type": "datepicker"}, fills("2026-06-03"), "2026-06-03", DISPATCHES),
    # 18:00 in Tokyo is 09:00 in UTC.
    Round("moment", {"type": "datetimepicker"}, fills("2026-06-01T18:00"), "1780304400", DISPATCHES),
]  # fmt: skip


def repeating(world: SlackWorld, blocks: list[Json]) -> Callable[[Json], Awaitable[Response]]:
    """Answer as a bot that writes above the elements what it has heard last."""

    async def answer(payload: Json) -> Response:
        if payload["type"] == "block_suggestion":
            return JSONResponse({"option_groups": GROUPS})
        (action,) = payload["actions"]
        said = f"Heard {action['action_id']}: {entered(action)}."
        await world.slack.chat_update(
            channel=CHANNEL, ts=payload["container"]["message_ts"], text=said, blocks=[section(said), *blocks]
        )
        return PlainTextResponse("")

    return answer


async def test_every_element_of_a_message_reaches_the_bot_whose_answer_is_drawn(
    page: Page, world: SlackWorld
) -> None:
    blocks = [each.block for each in ROUNDS]
    world.bot.answer = repeating(world, blocks)
    await world.slack.chat_postMessage(channel=CHANNEL, text="all", blocks=[section("Nothing."), *blocks])
    message = page.get_by_role("article")
    question = page.get_by_role("alertdialog", name="Sure?")
    for each in ROUNDS:
        place = message.locator(".section, .input").filter(has=page.get_by_text(each.name, exact=True))
        await each.use(page, place)
        if "confirm" in each.element:
            before = len(world.bot.payloads)
            await question.get_by_role("button", name="No").click()
            await expect(question).to_have_count(0)
            chosen = place.locator("input:checked, [role=combobox]:not(:placeholder-shown)")
            await expect(chosen).to_have_count(0)
            assert len(world.bot.payloads) == before
            await each.use(page, place)
            await expect(question.get_by_role("button", name="Yes")).to_contain_class("danger")
            await question.get_by_role("button", name="Yes").click()
        await expect(message.get_by_text(f"Heard {each.name}: {each.heard}.", exact=True)).to_be_visible()
    acted = [payload for payload in world.bot.payloads if payload["type"] == "block_actions"]
    assert [payload["actions"][0]["action_id"] for payload in acted] == [each.name for each in ROUNDS]
    for style in ("primary", "danger"):
        place = message.locator(".section").filter(has=page.get_by_text(style, exact=True))
        await expect(place.get_by_role("button")).to_contain_class(style)


# -- what is filled in and sent with a modal


def modal(*blocks: Json, title: str = "Add a token", **rest: Any) -> Json:
    view = {"type": "modal", "callback_id": "token.add", "title": plain(title), "submit": plain("Add")}
    return {**view, "blocks": list(blocks), **rest}


async def show_modal(page: Page, world: SlackWorld, view: Json) -> Locator:
    await page.get_by_label("Message #device-enrollment").fill("/enroll token add")
    await page.keyboard.press("Enter")
    await world.bot.arrived.acquire()
    await world.slack.views_open(trigger_id=world.bot.payloads[-1]["trigger_id"], view=view)
    dialog = page.get_by_role("dialog", name=view["title"]["text"])
    await expect(dialog).to_be_visible()
    return dialog


async def sent(dialog: Locator, world: SlackWorld) -> Json:
    """Press Add and return the values of the state, by block."""
    await dialog.get_by_role("button", name="Add", exact=True).click()
    values: Json = (await arrived(world, "view_submission"))["view"]["state"]["values"]
    return {block: entered(entry) for block, entries in values.items() for entry in entries.values()}


async def storing(payload: Json) -> Response:
    """Answer as a bot that shows in the modal what it was sent, and then is done."""
    if payload["type"] == "block_suggestion":
        return JSONResponse({"option_groups": GROUPS})
    if payload["view"]["title"]["text"] == "Stored":
        return JSONResponse({"response_action": "clear"})
    values = payload["view"]["state"]["values"]
    told = [f"{block}: {entered(entries['value'])}." for block, entries in values.items()]
    view = modal(section("\n".join(told)), title="Stored")
    return JSONResponse({"response_action": "update", "view": view})


async def expect_stored(page: Page, values: Json) -> Locator:
    """Wait until the bot's next view repeats the values."""
    stored = page.get_by_role("dialog", name="Stored")
    for block_id, heard in values.items():
        await expect(stored).to_contain_text(f"{block_id}: {heard}.")
    return stored


#: Label, kind, its rules, what Slack would not send, what is said of it, and what is right.
RULED: list[tuple[str, str, Json, str, str, str]] = [
    ("Short", "plain_text_input", {"min_length": 3}, "ab", "Enter at least 3 characters.", "abc"),
    ("Lines", "plain_text_input", {"max_length": 4, "multiline": True}, "a\nbcd", "Enter at most 4", "a\nb"),
    ("Few", "plain_text_input", {"min_length": 4, "multiline": True}, "a\nb", "Enter at least 4", "a\nbc"),
    ("Whole", "number_input", {"is_decimal_allowed": False}, "1.5", "Enter a whole number.", "15"),
    ("Part", "number_input", {"is_decimal_allowed": True, "max_value": "2"}, "2.5", "2 or less.", "1.5"),
    ("Least", "number_input", {"is_decimal_allowed": False, "min_value": "7"}, "6", "Enter 7 or more.", "7"),
    ("Apple ID", "email_text_input", {}, "ana", "Enter an e-mail address", "ana@example.com"),
    ("Server", "url_text_input", {}, "example.com", "Enter an address that begins", "https://example.com/a"),
    ("Empty", "plain_text_input", {}, "", "Please complete this required field.", "filled"),
]  # fmt: skip


async def test_what_slack_would_not_send_is_told_at_its_field_and_sent_when_right(
    page: Page, world: SlackWorld
) -> None:
    blocks = [input_block(label, label, kind, **rules) for label, kind, rules, *_ in RULED]
    dialog = await show_modal(page, world, modal(*blocks))
    for label, _, _, wrong, *_ in RULED:
        await dialog.get_by_label(label, exact=True).fill(wrong)
    await dialog.get_by_role("button", name="Add", exact=True).click()
    for label, _, _, _, told, _ in RULED:
        await expect(dialog.locator(f"[data-block={label!r}]")).to_contain_text(told)
    assert [payload.get("type") for payload in world.bot.payloads] == [None]
    for label, *_, right in RULED:
        await dialog.get_by_label(label, exact=True).fill(right)
    world.bot.answer = storing
    expected = {label: right for label, *_, right in RULED}
    assert await sent(dialog, world) == expected
    await expect_stored(page, expected)


async def test_every_input_of_a_modal_arrives_and_the_bots_next_view_is_drawn_and_then_all_are_cleared(
    page: Page, world: SlackWorld
) -> None:
    old = input_block("Kept", "kept", "plain_text_input", initial_value="as drawn")
    app = input_block("App", "app", "external_select", min_query_length=2)
    apps = input_block("Apps", "apps", "multi_external_select", min_query_length=2)
    given: list[tuple[Json, Use, str]] = [
        (input_block("Name", "name", "plain_text_input"), fills("lyon"), "lyon"),
        (old, leaves, "as drawn"),
        (input_block("OS", "os", "static_select", options=OPTIONS), picks("macOS"), "mac"),
        (input_block("Model", "model", "static_select", option_groups=GROUPS), picks("iPad mini"), "mini"),
        (app, picks("iPad Air", typed="ip"), "air"),
        (input_block("Several", "several", "multi_static_select", options=OPTIONS), picks("iOS"), "ios"),
        (apps, picks("iPad Air", typed="ip"), "air"),
        (input_block("Who", "who", "users_select"), picks("Ben Okoro"), "U0BEN"),
        (input_block("Whos", "whos", "multi_users_select"), picks("Ben Okoro"), "U0BEN"),
        (input_block("Where", "where", "conversations_select"), picks("#approvals"), "C0APPROVE"),
        (input_block("Wheres", "wheres", "multi_conversations_select"), picks("#approvals"), "C0APPROVE"),
        (input_block("Channel", "channel", "channels_select"), picks("#approvals"), "C0APPROVE"),
        (input_block("Channels", "channels", "multi_channels_select"), picks("#approvals"), "C0APPROVE"),
        (input_block("Boxes", "boxes", "checkboxes", options=OPTIONS), clicks("checkbox", "iOS"), "ios"),
        (input_block("Kind", "kind", "radio_buttons", options=OPTIONS), clicks("radio", "macOS"), "mac"),
        (input_block("From", "from", "datepicker"), fills("2026-06-01"), "2026-06-01"),
        (input_block("At", "at", "timepicker"), fills("09:30"), "09:30"),
        (input_block("When", "when", "datetimepicker"), fills("2026-06-01T18:00"), "1780304400"),
    ]  # fmt: skip

    dialog = await show_modal(page, world, modal(*(block for block, *_ in given)))
    world.bot.answer = storing
    for block, use, _ in given:
        await use(page, dialog.locator(f"[data-block={block['block_id']!r}]"))
    expected = {block["block_id"]: heard for block, _, heard in given}
    assert await sent(dialog, world) == expected
    stored = await expect_stored(page, expected)
    await stored.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert world.standin.page.snapshot("U0ANA")["views"] == []


async def test_what_acts_at_once_in_a_modal_reaches_the_bot_whose_view_is_drawn(
    page: Page, world: SlackWorld
) -> None:
    acting = [each for each in ROUNDS if each.name in ("danger", "sure overflow", "static", "boxes", "text")]
    blocks = [each.block for each in acting]

    async def answer(payload: Json) -> Response:
        (action,) = payload["actions"]
        said = section(f"Heard {action['action_id']}: {entered(action)}.")
        await world.slack.views_update(view_id=payload["view"]["id"], view=modal(said, *blocks))
        return PlainTextResponse("")

    dialog = await show_modal(page, world, modal(*blocks))
    world.bot.answer = answer
    for each in acting:
        place = dialog.locator(".section, .input").filter(has=page.get_by_text(each.name, exact=True))
        await each.use(page, place)
        if "confirm" in each.element:
            question = page.get_by_role("alertdialog", name="Sure?")
            await question.get_by_role("button", name="Yes").click()
        await expect(dialog.get_by_text(f"Heard {each.name}: {each.heard}.", exact=True)).to_be_visible()
    # A list or menu that was open in the modal has not closed it.
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(dialog).to_have_count(0)


async def test_several_files_chosen_and_dropped_reach_the_bot_and_one_can_be_taken_back(
    page: Page, world: SlackWorld
) -> None:
    view = modal(
        input_block("Server tokens", "p7m", "file_input", filetypes=["p7m"], max_files=3),
        input_block("Only one", "one", "file_input", max_files=1),
    )
    dialog = await show_modal(page, world, view)
    tokens, single = (dialog.locator(f"[data-block={block!r}]") for block in ("p7m", "one"))
    chosen: list[FilePayload] = [
        {"name": f"{name}.p7m", "mimeType": "application/pkcs7-mime", "buffer": b"S/MIME"}
        for name in ("paris", "lyon")
    ]
    await dialog.get_by_label("Server tokens").set_input_files(chosen)
    await expect(tokens.get_by_role("button", name="Remove lyon.p7m")).to_be_visible()
    await expect(tokens.get_by_role("button", name="Remove paris.p7m")).to_be_visible()
    await drop(page, tokens.locator(".drop"), "nice.p7m", "nantes.p7m")
    await expect(tokens.get_by_role("alert")).to_have_text("At most 3 files.")
    await expect(tokens.get_by_role("button", name="Remove nice.p7m")).to_be_visible()
    await tokens.get_by_role("button", name="Remove lyon.p7m").click()
    await drop(page, single.locator(".drop"), "first.txt")
    await expect(single.get_by_role("button", name="Remove first.txt")).to_be_visible()
    await drop(page, single.locator(".drop"), "second.txt")
    await expect(single.get_by_role("button", name="Remove second.txt")).to_be_visible()
    world.bot.answer = storing
    values = await sent(dialog, world)
    assert sorted(values["p7m"].split(" + ")) == ["nice.p7m", "paris.p7m"]
    assert values["one"] == "second.txt"
    await expect_stored(page, values)


async def drop(page: Page, zone: Locator, *names: str) -> None:
    """Drag files over a place and let them go there."""
    script = """names => {
        const given = new DataTransfer();
        for (const name of names) given.items.add(new File(["S/MIME"], name));
        return given;
    }"""
    given = await page.evaluate_handle(script, list(names))
    await zone.dispatch_event("dragover", {"dataTransfer": given})
    await expect(zone).to_contain_class("over")
    await zone.dispatch_event("drop", {"dataTransfer": given})
