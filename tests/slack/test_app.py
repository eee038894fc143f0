"""Socket Mode: the same handlers behind the other door."""

import pytest

from bot.kit.actor import Role
from bot.slack.blocks import View, modal, section
from bot.slack.call import Call
from bot.slack.post import SlackRefused
from tests.slack.bot import Bot
from tests.slack.web_api import Fault


async def test_socket_payloads_reach_the_same_handlers(bot: Bot) -> None:
    ran: list[str] = []

    async def status(call: Call) -> None:
        ran.append(call.user_id)

    async def check(_call: Call) -> View | None:
        return modal(title="Next", callback_id="next", blocks=[section("next")])

    bot.router.command("status", role=Role.VIEWER, usage="", summary="", handler=status)
    bot.router.submission("add", role=Role.VIEWER, check=check)
    bot.web.socket_frames.extend(
        [
            {"type": "slash_commands", "envelope_id": "E1", "payload": bot.command_fields("")},
            {"type": "interactive", "envelope_id": "E2", "payload": bot.submission("add")},
            {"type": "interactive", "envelope_id": "E3", "payload": {"type": "block_actions", "user": []}},
            {"type": "events_api", "envelope_id": "E4", "payload": {"type": "something_new"}},
        ]
    )
    await bot.app.connect_socket()
    await bot.web.until(lambda: len(bot.web.socket_answers) == 4)
    await bot.background.idle()
    given = {answer["envelope_id"]: answer.get("payload", {}) for answer in bot.web.socket_answers}
    assert ran == ["UADMIN"]
    assert given["E2"]["response_action"] == "update"
    assert [given[envelope] for envelope in ("E1", "E3", "E4")] == [{}, {}, {}]


async def test_an_app_token_that_slack_refuses_is_said_at_once(bot: Bot) -> None:
    bot.web.fail("apps.connections.open", Fault(error="invalid_auth"))
    with pytest.raises(SlackRefused, match="invalid_auth"):
        await bot.app.connect_socket()


async def test_a_bot_token_that_slack_refuses_is_said(bot: Bot) -> None:
    await bot.slack.check()
    bot.web.fail("auth.test", Fault(error="invalid_auth"))
    with pytest.raises(SlackRefused, match="SLACK_BOT_TOKEN"):
        await bot.slack.check()
