"""The sandbox's page with something on it: the screens that tests look at as a whole.

What stands there was made by the bot's own wording, so that it is what people see.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from bot.alerts.facts import Kind
from bot.devices import blocks as device_blocks
from bot.devices.facts import DeviceCounts, DevicePageView, DeviceRow, TokenSyncFacts, pack, unpack
from bot.devices.models import DeviceState
from bot.home import glance_blocks
from bot.home.facts import Glance, TokenRow
from bot.kit.actor import Rights, Role
from bot.sandbox.apple import AppleStandIn
from bot.sandbox.behind.requests import Requests
from bot.sandbox.behind.switches import Switches
from bot.sandbox.behind.web import Behind
from bot.sandbox.clock import MovedClock
from bot.sandbox.tour import first_visit
from bot.slack.blocks import Message
from bot.tokens.facts import NextAction, NextStep, TokenState
from tests.builders import NOW, alert_view, awaiting_token, token_view
from tests.fakes.backend import TEXTS, device
from tests.fakes.browser import PAST_FIRST_VISIT, close_pages, new_page
from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world
from tests.sandbox.apple_client import keys

Json = dict[str, Any]

CHANNEL = "C0ENROLL"
PHONE = {"width": 390, "height": 760}
USAGES = [
    {"usage": "status", "summary": "Health at a glance"},
    {"usage": "token list", "summary": "Tokens and their state"},
    {"usage": "token add NAME --apple-id ID", "summary": "Add an enrollment token"},
    {"usage": "token renew NAME", "summary": "Renew it"},
]

SHORTCUTS: list[Json] = [
    {"name": "Look serials up", "type": "message", "callback_id": "lookup", "description": "In this message"},
    {"name": "Renew a token", "type": "global", "callback_id": "renew", "description": "Choose which"},
]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str, value: str) -> Json:
    return {"text": plain(text), "value": value}


def field(label: str, block_id: str, kind: str, *, hint: str = "", **rest: Any) -> Json:
    element = {"type": kind, "action_id": "value", **rest}
    block = {"type": "input", "block_id": block_id, "label": plain(label), "element": element}
    return {**block, "hint": plain(hint)} if hint else block


def device_list() -> Message:
    """A page of a list, as `/enroll device list model:iPad` answers it."""
    models = ("iPad Air", "iPad Pro 11-inch", "iPad mini", "iPad (10th generation)")
    rows = [
        DeviceRow(
            serial=f"F9FX{number:04}",
            token_id="id-paris",
            token_name="paris",
            state=DeviceState.PRESENT,
            model=models[number % len(models)],
            family="iPad",
            os="iOS",
            platform="ios",
            profile_uuid=None if number % 3 else "6666AD6666",
            profile_status="empty" if number % 3 else "pushed",
            first_seen_at=NOW - timedelta(days=number),
            removed_at=None,
            facts=unpack(pack(device(f"F9FX{number:04}"))),
        )
        for number in range(10)
    ]
    page = DevicePageView(query="model:iPad", rows=rows, total=412, previous="F9FW", next="F9FX0009")
    return device_blocks.device_list(page, now=NOW, texts=TEXTS)


def tokens() -> list[TokenRow]:
    """A token that needs renewing, one that works and one that waits for its file."""
    renew = NextStep("Renew this token before it ends.", (NextAction.RENEW,))
    ending = token_view("paris", state=TokenState.EXPIRING, days_left=6, next_step=renew)
    ending = replace(ending, expires_at=NOW + timedelta(days=6))
    synced = TokenSyncFacts(last_ok_at=NOW - timedelta(hours=2))
    upload = NextStep("Upload the server token.", (NextAction.UPLOAD,))
    return [
        TokenRow(ending, DeviceCounts(present=812, without_profile=3, by_status={"pushed": 640}), synced),
        TokenRow(token_view("lyon"), DeviceCounts(present=180, by_status={"pushed": 120}), synced),
        TokenRow(awaiting_token("nice", next_step=upload), DeviceCounts(), TokenSyncFacts()),
    ]


def glance() -> Glance:
    """How everything stands with those tokens, and the alert of the one that ends."""
    ends_at = NOW + timedelta(days=6)
    ending = alert_view(
        kind=Kind.TOKEN_EXPIRY,
        facts={"token": "paris", "token_id": "id-paris", "expires_at": ends_at.isoformat()},
    )
    profiles = {"Sales iPad": 596, "Field iPhone": 301, "Kiosk": 92}
    return Glance(tokens(), alerts=[ending], by_profile=profiles)


def every_input() -> Json:
    """A modal with an input of each kind, some with a hint, one with a wrong entry to come."""
    told = "Give the *server* the same name in `ABM`."
    platforms = [option("iOS", "ios"), option("macOS", "mac"), option("tvOS", "tv")]
    two = platforms[:2]
    kinds = [option("School", "school"), option("Business", "business")]
    return {
        "type": "modal",
        "callback_id": "token.add",
        "title": plain("Add a token"),
        "submit": plain("Add"),
        "close": plain("Cancel"),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": told}},
            field("Name", "name", "plain_text_input", hint="1 to 40 letters.", placeholder=plain("paris")),
            field("Notes", "notes", "plain_text_input", multiline=True, max_length=200),
            field("Days", "days", "number_input", is_decimal_allowed=False),
            field("Apple ID", "apple", "email_text_input"),
            field("MDM server URL", "url", "url_text_input"),
            field("Platform", "platform", "static_select", options=platforms),
            field("Platforms", "platforms", "multi_static_select", options=platforms, initial_options=two),
            field("Owner", "owner", "users_select"),
            field("Channel", "channel", "channels_select"),
            field("From", "from", "datepicker", initial_date="2026-05-01"),
            field("At", "at", "timepicker", initial_time="09:30"),
            field("Kind", "kind", "radio_buttons", options=kinds),
            field("Agreement", "agree", "checkboxes", options=[option("I agree", "yes")]),
            field("Server token (.p7m)", "p7m", "file_input", filetypes=["p7m"], max_files=1),
        ],
    }  # fmt: skip


@dataclass
class Stage:
    """Both stand-ins with their switches, and a browser to look at the page with."""

    world: SlackWorld
    browser: Browser

    @property
    def url(self) -> str:
        return f"{self.world.standin.base_url}/?person=U0ANA"

    async def says(self, message: Message, **rest: Any) -> str:
        """Let the bot post a message; returns its ts."""
        posted = await self.world.slack.chat_postMessage(
            channel=CHANNEL, text=message.text, blocks=message.blocks, **rest
        )
        self.world.clock.move(timedelta(seconds=1))
        ts: str = posted["ts"]
        return ts

    async def talk(self) -> str:
        """Fill the channel: a person, the bot, and a thread below a device list. Returns the thread's ts."""
        acts = self.world.standin.acts
        acts.posted("U0ANA", channel=CHANNEL, text="Who has the *new* iPads?", thread_ts=None)
        self.world.clock.move(timedelta(seconds=1))
        await self.says(
            glance_blocks.status(
                glance(), texts=TEXTS, rights=Rights.of(Role.ADMIN), slash="/enroll", now=NOW
            )
        )
        # The thread is the last message: nothing has to be scrolled to open it.
        ts = await self.says(device_list())
        for text in ("All 412 are in `devices.csv`.", "*Three* have no profile, <@U0BEN>."):
            await self.says(Message(text), thread_ts=ts)
        return ts

    async def opened(self, *, frozen: bool = False, is_first_visit: bool = False, **settings: Any) -> Page:
        """Open the page as Ana, who is past its first visit if not told otherwise."""
        settings = {"locale": "en-GB", "timezone_id": "Europe/Paris", "reduced_motion": "reduce", **settings}
        if frozen:
            # A clock that stands still does so for the whole context.
            page = await self.browser.new_page(**settings)
            await page.clock.set_fixed_time(self.world.clock.now())
        else:
            page = await new_page(self.browser, **settings)
        if not is_first_visit:
            await page.add_init_script(PAST_FIRST_VISIT)
        await page.goto(self.url)
        await expect(page.get_by_role("heading", name="device-enrollment")).to_be_visible()
        await expect(page.get_by_text("Connecting to the sandbox")).to_have_count(0)
        return page


async def channel(stage: Stage, page: Page) -> None:
    await expect(page.get_by_role("button", name="Export CSV").last).to_be_visible()


async def thread(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="2 replies").click()
    panel = page.get_by_role("complementary", name="Thread")
    await expect(panel.get_by_role("article")).to_have_count(3)
    await page.mouse.move(0, 0)


async def modal(stage: Stage, page: Page) -> None:
    await page.get_by_label("Message #device-enrollment").fill("/enroll token add")
    await page.keyboard.press("Enter")
    bot = stage.world.bot
    while "trigger_id" not in (bot.payloads or [{}])[-1]:
        await bot.arrived.acquire()
    await stage.world.slack.views_open(trigger_id=bot.payloads[-1]["trigger_id"], view=every_input())
    dialog = page.get_by_role("dialog", name="Add a token")
    await expect(dialog.get_by_label("Server token (.p7m)")).to_be_attached()


async def refused_modal(stage: Stage, page: Page) -> None:
    """The same with what is missing told at the inputs."""
    await modal(stage, page)
    dialog = page.get_by_role("dialog", name="Add a token")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.get_by_text("Please complete this required field.").first).to_be_visible()


async def home(stage: Stage, page: Page) -> None:
    view = glance_blocks.home_tab(
        glance(), texts=TEXTS, rights=Rights.of(Role.ADMIN), slash="/enroll", now=NOW
    )
    await stage.world.slack.views_publish(user_id="U0ANA", view=view)
    await page.get_by_role("navigation", name="Channels").get_by_role("button", name="enrollbot").click()
    await page.get_by_role("tab", name="Home").click()
    await expect(page.get_by_role("button", name="Sync now").first).to_be_visible()


async def person_menu(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="You are Ana Lima").click()
    await expect(page.get_by_role("menuitemradio", name="Ben Okoro")).to_be_visible()


async def shortcuts(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="Actions on this message").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Look serials up")).to_be_visible()


async def composer_shortcuts(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="Shortcuts", exact=True).click()
    await expect(page.get_by_role("menuitem", name="Renew a token")).to_be_visible()


async def select(stage: Stage, page: Page) -> None:
    """A modal with the list of a select open, one entry lit."""
    await modal(stage, page)
    await page.get_by_label("Platforms").click()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", name="tvOS")).to_contain_class("lit")


async def suggestions(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="You are Ana Lima").click()
    await page.get_by_role("menuitem", name="Show me around").click()
    await expect(page.get_by_role("dialog", name="Three commands to begin with")).to_be_visible()
    await expect(page.get_by_role("menu")).to_have_count(0)


async def tour(stage: Stage, page: Page) -> None:
    await suggestions(stage, page)
    await page.get_by_role("button", name="Show me around").click()
    await expect(page.get_by_text("Step 1 of 5")).to_be_visible()


async def completion(stage: Stage, page: Page) -> None:
    box = page.get_by_label("Message #device-enrollment")
    await box.fill("/enroll to")
    await box.press("ArrowDown")
    await expect(page.get_by_role("option").first).to_be_visible()


async def switches(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name="Behind the scenes").click()
    drawer = page.get_by_role("dialog", name="Behind the scenes")
    await expect(drawer.get_by_role("switch", name="Terms not signed")).to_be_visible()


async def requests(stage: Stage, page: Page) -> None:
    await switches(stage, page)
    drawer = page.get_by_role("dialog", name="Behind the scenes")
    await drawer.get_by_role("tab", name="Requests").click()
    await drawer.get_by_role("button", name="chat.postMessage").first.click()
    await expect(drawer.get_by_role("region", name="Request", exact=True)).to_be_visible()


async def offered(person: str) -> Json:
    """Let everybody be shown around, as an admin of the sandbox is."""
    visit = first_visit(slash="/enroll", token="paris", server_url="http://127.0.0.1:9/abm", is_admin=True)
    return {"first_visit": visit}


Scene = Callable[[Stage, Page], Awaitable[None]]
SCENES: dict[str, Scene] = {
    "channel": channel,
    "thread": thread,
    "modal": modal,
    "refused modal": refused_modal,
    "home": home,
    "person menu": person_menu,
    "shortcuts": shortcuts,
    "composer shortcuts": composer_shortcuts,
    "select": select,
    "suggestions": suggestions,
    "tour": tour,
    "completion": completion,
    "switches": switches,
    "requests": requests,
}


@asynccontextmanager
async def staged(browser: Browser, folder: Path) -> AsyncIterator[Stage]:
    """Serve both stand-ins, the channel filled, until the end of the block."""
    clock = FakeClock(NOW)
    moved = MovedClock(folder / "clock.json", clock)
    apple = AppleStandIn(moved)
    for name, devices in (("paris", 30), ("lyon", 5)):
        apple.create_server(name, devices=devices)
    apple.upload_certificate("paris", keys().pem)
    apple.generate_token("paris")
    commands = [{"command": "/enroll", "usage_hint": "", "description": "Enrollment", "usages": USAGES}]
    links = {"abm_url": "http://127.0.0.1:9/abm"}
    async with slack_world(clock, commands=commands, links=links, shortcuts=SHORTCUTS) as world:
        log = Requests(apple, world.standin)
        levers = Switches(apple, slack=world.standin.faults, clock=moved, move_clock=moved.move)
        world.standin.page.offered = offered
        world.standin.serve_also(Behind(levers, log, closing=world.standin.closing).routes())
        stage = Stage(world, browser)
        await stage.talk()
        yield stage
        await close_pages(browser)
    apple.close()
