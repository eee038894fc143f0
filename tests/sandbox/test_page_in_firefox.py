"""The page in Firefox: what must work in another engine than the one that all other tests use."""

import os
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.firefox import firefox
from tests.fakes.slack_world import slack_world

COMPOSER = "document.querySelector('[aria-label=\"Message #device-enrollment\"]')"
DIALOGS = "document.querySelectorAll('[role=dialog]')"
MODAL = {
    "type": "modal",
    "callback_id": "token.add",
    "title": {"type": "plain_text", "text": "Add a token"},
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Give it a *name*."}}],
}


def says(text: str) -> str:
    return (
        f"[...document.querySelectorAll('[role=article], article')].some(a => a.innerText.includes({text!r}))"
    )


async def test_a_command_is_answered_and_a_modal_opens_and_closes_by_escape(
    clock: FakeClock, tmp_path: Path
) -> None:
    commands = [{"command": "/enroll", "usage_hint": "", "description": "Enrollment", "usages": []}]
    profile = tmp_path / "profile"
    profile.mkdir()
    async with slack_world(clock, commands=commands) as world, firefox(profile) as page:
        await page.goto(f"{world.standin.base_url}/?person=U0ANA")
        await page.until(f"{COMPOSER} !== null")
        await page.evaluate(f"void {COMPOSER}.focus()")

        world.bot.answers({"response_type": "ephemeral", "text": "*2 tokens*, all well"})
        await page.types("/enroll status", "Enter")
        await page.until(says("2 tokens, all well"))
        await world.bot.arrived.acquire()
        assert world.bot.payloads[-1]["text"] == "status"

        world.bot.answers("")
        await page.types("/enroll token add", "Enter")
        await world.bot.arrived.acquire()
        await world.slack.views_open(trigger_id=world.bot.payloads[-1]["trigger_id"], view=MODAL)
        await page.until(f"{DIALOGS}.length === 1 && {DIALOGS}[0].innerText.includes('Give it a name.')")
        await page.types("Escape")
        await page.until(f"{DIALOGS}.length === 0")
        assert world.standin.page.snapshot("U0ANA")["views"] == []
    with pytest.raises(ProcessLookupError):
        os.kill(page.pid, 0)
