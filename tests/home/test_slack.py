"""Status, help, tokens and the Home tab, over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.devices import slack as device_screens
from bot.home import slack
from bot.home.readers import Readers
from bot.home.service import HomeService
from bot.kit.actor import Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.sandbox.slack.blocks import check_message_blocks, check_view
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import NoAlerts, NoLicences, Rooms
from tests.slack.bot import Bot, make_bot
from tests.slack.conftest import web_api
from tests.slack.web_api import WebApi

__all__ = ["web_api"]


@pytest.fixture
def rooms(sqlite_database: Database, clock: FakeClock, keyring: Keyring) -> Rooms:
    return Rooms.open(sqlite_database, clock, keyring)


@pytest.fixture
async def bot(web_api: WebApi, clock: FakeClock, rooms: Rooms) -> AsyncIterator[Bot]:
    made = await make_bot(web_api, clock)
    made.roles["UOPER"] = Role.OPERATOR
    web_api.add_user("UOPER")
    home = HomeService(
        tokens=rooms.tokens,
        devices=rooms.devices,
        profiles=rooms.profiles,
        licenses=NoLicences(),
        alerts=NoAlerts(),
        assignments=rooms.assignments,
    )
    readers = Readers(rooms.db, clock, rooms.leases)
    slack.register(made.router, home, readers, clock=clock)
    device_screens.register(made.router, rooms.devices, clock=clock)
    yield made
    await made.app.stop()
    await made.background.drain(1.0)
    await made.slack.close()


async def synced(rooms: Rooms, name: str = "paris", devices: int = 3) -> None:
    server, _ = await rooms.add_token(name)
    server.put(*[device(f"{name.upper()}{number}") for number in range(devices)])
    await rooms.run_all()


async def open_home(bot: Bot, user: str, tab: str = "home") -> list[dict[str, Any]]:
    """Open the bot's tab, and return what was published since the beginning."""
    event = {"type": "app_home_opened", "user": user, "channel": f"D{user}", "tab": tab}
    told = {"type": "event_callback", "team_id": "T1", "event_id": f"E{user}{tab}", "event": event}
    await bot.send(json.dumps(told).encode(), "application/json")
    await bot.background.idle()
    return bot.web.called("views.publish")


def buttons(view: dict[str, Any]) -> list[str]:
    rows = [block for block in view["blocks"] if block["type"] == "actions"]
    return [element["text"]["text"] for row in rows for element in row["elements"]]


@pytest.mark.parametrize(
    ("user", "offered"),
    [
        ("UVIEW", []),
        ("UOPER", ["New assignment", "Sync now"]),
        ("UADMIN", ["New assignment", "Add token", "Sync now", "Renew token"]),
    ],
)
async def test_the_home_tab_shows_each_what_they_may_do(
    bot: Bot, rooms: Rooms, user: str, offered: list[str]
) -> None:
    await synced(rooms)
    [published] = await open_home(bot, user)
    check_view(published["view"], home=True)
    assert published["user_id"] == user
    assert buttons(published["view"]) == offered
    said = str(published["view"])
    assert "All is well: 1 token works. 3 devices." in said
    assert "active, 365 days left" in said
    assert "last sync <!date^" in said


async def test_the_home_tab_without_a_role_names_no_token(bot: Bot, rooms: Rooms) -> None:
    await synced(rooms)
    [published] = await open_home(bot, "UNONE")
    assert "no role here yet" in str(published["view"])
    assert "paris" not in str(published["view"])


async def test_the_tab_of_messages_is_left_alone(bot: Bot) -> None:
    assert await open_home(bot, "UADMIN", tab="messages") == []


async def test_a_button_of_the_home_tab_is_answered_by_direct_message(bot: Bot, rooms: Rooms) -> None:
    await synced(rooms)
    [published] = await open_home(bot, "UOPER")
    rows = [block["elements"] for block in published["view"]["blocks"] if block["type"] == "actions"]
    element = rows[1][0]
    home = {"id": "V1", "type": "home", "callback_id": "", "hash": "h", "private_metadata": ""}
    await bot.press(
        element["action_id"], element["value"], user="UOPER", channel=None, response_url="", view=home
    )
    assert "Token paris was synced less than 15 minutes ago." in bot.web.messages["DUOPER"][0]["text"]


@pytest.mark.parametrize("text", ["", "status", "token list", "token show paris", "help", "help sync"])
async def test_slack_takes_every_answer(bot: Bot, rooms: Rooms, text: str) -> None:
    await synced(rooms)
    await bot.command(text)
    blocks = bot.web.answers[-1]["blocks"]
    check_message_blocks(blocks)
    assert blocks


async def test_help_names_only_what_the_role_may_do(bot: Bot) -> None:
    await bot.command("help", user="UVIEW")
    assert "`/enroll device list [QUERY]`" in bot.said
    assert "/enroll sync" not in bot.said
    await bot.command("help", user="UNONE")
    assert "/enroll device" not in bot.said


async def test_help_on_a_command_shows_its_options(bot: Bot) -> None:
    await bot.command("help sync")
    assert bot.said.startswith("`/enroll sync [NAME] [--full]`")
    await bot.command("sync --help")
    assert bot.said.startswith("`/enroll sync [NAME] [--full]`")


async def test_help_on_what_is_not_allowed_does_not_describe_it(bot: Bot) -> None:
    await bot.command("help sync", user="UVIEW")
    assert "This needs the role operator." in bot.said
    assert "--full" not in bot.said


@pytest.mark.parametrize("text", ["status", "token list", "token show paris"])
async def test_without_a_role_nothing_is_seen(bot: Bot, rooms: Rooms, text: str) -> None:
    await synced(rooms)
    await bot.command(text, user="UNONE")
    assert "This needs the role viewer." in bot.said
    assert "365 days" not in bot.said


async def test_a_button_in_the_list_opens_the_tokens_card(bot: Bot, rooms: Rooms) -> None:
    await synced(rooms)
    await bot.command("tokens", user="UVIEW")
    show = next(block["accessory"] for block in bot.web.answers[-1]["blocks"] if "accessory" in block)
    await bot.press(show["action_id"], show["value"], user="UVIEW")
    assert bot.said.startswith("Token paris · active, 365 days left")
