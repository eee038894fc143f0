"""A whole Slack app in front of the small Web API, and ways to send it what Slack would."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from bot.kit.actor import Rights, Role
from bot.kit.background import Background
from bot.slack.app import AppConfig, Slack, SlackApp
from bot.slack.edge import sign
from bot.slack.router import Router
from tests.fakes.clock import FakeClock
from tests.slack.web_api import WebApi

SECRET = SecretStr("signing-secret")
FORM = "application/x-www-form-urlencoded"


@dataclass
class Bot:
    web: WebApi
    clock: FakeClock
    slack: Slack
    router: Router
    background: Background
    app: SlackApp
    roles: dict[str, Role]
    claimed: set[str] = field(default_factory=set)
    _sent: int = 0

    async def send(self, body: bytes, content_type: str = FORM, **headers: str) -> httpx.Response:
        """Send a signed body; headers given take the place of the right ones."""
        stamp = str(int(self.clock.now().timestamp())).encode()
        right = {
            "content-type": content_type,
            "x-slack-request-timestamp": stamp.decode(),
            "x-slack-signature": sign(SECRET, stamp, body).decode(),
        }
        return await self.send_raw(body, right | headers)

    async def send_raw(self, body: bytes, headers: dict[str, str], method: str = "POST") -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app.edge())
        async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
            return await client.request(method, "/slack/events", content=body, headers=headers)

    async def command(self, text: str, *, user: str = "UADMIN", **changes: str) -> httpx.Response:
        """Type `/enroll text`, and wait until the work behind it is done."""
        response = await self.send(urlencode(self.command_fields(text, user=user) | changes).encode())
        await self.background.idle()
        return response

    def command_fields(self, text: str, *, user: str = "UADMIN") -> dict[str, str]:
        self._sent += 1
        return {
            "command": "/enroll",
            "text": text,
            "user_id": user,
            "team_id": "T1",
            "channel_id": "C1",
            "trigger_id": f"trigger.{self._sent}",
            "response_url": self.web.response_url,
        }

    async def interact(self, payload: dict[str, Any]) -> httpx.Response:
        """Send an interaction, and wait until the work behind it is done."""
        response = await self.send(urlencode({"payload": json.dumps(payload)}).encode())
        await self.background.idle()
        return response

    async def press(
        self, action_id: str, value: str = "", *, user: str = "UADMIN", **more: Any
    ) -> httpx.Response:
        self._sent += 1
        return await self.interact(
            {
                "type": "block_actions",
                "user": {"id": user, "team_id": "T1"},
                "team": {"id": "T1"},
                "channel": {"id": "C1"},
                "trigger_id": f"trigger.{self._sent}",
                "response_url": self.web.response_url,
                "actions": [{"action_id": action_id, "type": "button", "value": value, "action_ts": "1.0"}],
            }
            | more
        )

    def submission(self, callback_id: str, *, user: str = "UADMIN", **view: Any) -> dict[str, Any]:
        self._sent += 1
        shown = {"id": "V1", "type": "modal", "callback_id": callback_id, "hash": "h", "private_metadata": ""}
        return {
            "type": "view_submission",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "trigger_id": f"trigger.{self._sent}",
            "view": shown | view,
        }

    @property
    def said(self) -> str:
        """The text of the last ephemeral answer."""
        return str(self.web.answers[-1]["text"])


async def make_bot(web: WebApi, clock: FakeClock) -> Bot:
    roles = {"UADMIN": Role.ADMIN, "UVIEW": Role.VIEWER, "UNONE": Role.NONE}
    for user_id in roles:
        web.add_user(user_id)
    claimed: set[str] = set()

    async def granted_to(user_id: str) -> Rights:
        return Rights.of(roles.get(user_id, Role.NONE))

    async def claim(key: str) -> bool:
        is_new = key not in claimed
        claimed.add(key)
        return is_new

    slack = Slack.connect(SecretStr("xoxb-worthless"), api_url=web.api_url, clock=clock)
    router, background = Router(), Background()
    app = SlackApp(
        AppConfig(signing_secret=SECRET, app_token=SecretStr("xapp-worthless"), granters=("UADMIN",)),
        slack=slack,
        router=router,
        background=background,
        clock=clock,
        granted_to=granted_to,
        claim=claim,
    )
    return Bot(web, clock, slack, router, background, app, roles, claimed)
