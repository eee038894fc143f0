"""Message and global shortcuts: payloads as Slack sends them, and the modals that they open."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world

Json = dict[str, Any]
CHANNEL = "C0ENROLL"
SHORTCUTS = [
    {"name": "Look up", "type": "message", "callback_id": "lookup", "description": "Look serials up"},
    {"name": "Add a token", "type": "global", "callback_id": "add", "description": "Add one"},
]
MODAL: Json = {
    "type": "modal",
    "callback_id": "token.add",
    "title": {"type": "plain_text", "text": "Add a token"},
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Here"}}],
}


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    async with slack_world(clock, shortcuts=SHORTCUTS) as made:
        yield made


async def chosen(world: SlackWorld, body: Json) -> httpx.Response:
    async with httpx.AsyncClient(base_url=world.standin.base_url) as client:
        return await client.post("/page/shortcuts?person=U0ANA", json=body)


async def test_a_global_shortcut_arrives_as_slack_sends_it_and_its_trigger_opens_a_modal(
    world: SlackWorld,
) -> None:
    async def open_modal(payload: Json) -> Response:
        await world.slack.views_open(trigger_id=payload["trigger_id"], view=MODAL)
        return Response()

    world.bot.answer = open_modal
    assert (await chosen(world, {"callback_id": "add"})).json() == {"ok": True}
    (payload,) = world.bot.payloads
    assert payload["type"] == "shortcut"
    assert set(payload) == {
        *("type", "token", "action_ts", "team", "user", "is_enterprise_install", "enterprise"),
        *("callback_id", "trigger_id"),
    }
    assert payload["callback_id"] == "add"
    assert payload["user"] == {"id": "U0ANA", "username": "ana", "team_id": "T0SANDBOX"}
    (view,) = world.standin.page.snapshot("U0ANA")["views"]
    assert view["title"]["text"] == "Add a token"


async def test_a_message_shortcut_tells_the_message_and_its_response_url_answers_there(
    world: SlackWorld,
) -> None:
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="F9FX0001 is here")
    await chosen(world, {"callback_id": "lookup", "channel": CHANNEL, "ts": posted["ts"]})
    (payload,) = world.bot.payloads
    assert payload["type"] == "message_action"
    assert set(payload) == {
        *("type", "token", "action_ts", "team", "user", "is_enterprise_install", "enterprise"),
        *("callback_id", "trigger_id", "channel", "message_ts", "message", "response_url"),
    }
    assert (payload["message_ts"], payload["message"]["text"]) == (posted["ts"], "F9FX0001 is here")
    assert payload["channel"] == {"id": CHANNEL, "name": "device-enrollment"}
    assert payload["user"] == {"id": "U0ANA", "name": "ana", "team_id": "T0SANDBOX"}
    async with httpx.AsyncClient() as client:
        await client.post(payload["response_url"], json={"text": "It is ready."})
    last = world.standin.page.snapshot("U0ANA")["messages"][CHANNEL][-1]
    assert (last["text"], last["ephemeral_for"]) == ("It is ready.", "U0ANA")


async def test_unknown_shortcuts_and_messages_that_only_one_person_sees_are_refused(
    world: SlackWorld,
) -> None:
    told = await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="only you")
    at = {"channel": CHANNEL, "ts": told["message_ts"]}
    assert (await chosen(world, {"callback_id": "lookup", **at})).json()["error"] == "message_not_found"
    assert (await chosen(world, {"callback_id": "lookup"})).json()["error"] == "unknown_shortcut"
    assert (await chosen(world, {"callback_id": "gone"})).status_code == 404
    assert world.bot.payloads == []
