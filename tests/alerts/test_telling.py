"""What Slack does not take stays due, and nothing that it took is told twice."""

import asyncio
from datetime import datetime, timedelta

import pytest

from bot.alerts.blocks import Writer
from bot.alerts.errors import CriticalNotSnoozed
from bot.alerts.facts import AlertView
from bot.kit.actor import Actor
from bot.slack.blocks import Message
from bot.tokens.rules import Setting
from tests.alerts.conftest import CHANNEL, Desk
from tests.fakes.rooms import ADMIN

SOON = timedelta(minutes=15)


class Killed(BaseException):
    """The process ends in the middle of it."""


@pytest.fixture
async def due(desk: Desk) -> Desk:
    """A token whose alert is due."""
    await desk.token(12)
    return desk


async def test_a_post_whose_answer_was_lost_is_found_and_not_repeated(due: Desk) -> None:
    due.slack.loses = 1
    assert await due.look() == ["post: Token paris expires in 12 days"]
    assert await due.look(SOON) == []
    assert len(due.slack.main()) == 1


async def test_a_post_that_a_killed_process_began_is_found_by_the_next_one(due: Desk) -> None:
    due.slack.kills = Killed
    with pytest.raises(Killed):
        await due.look()
    await due.restart()
    told = await due.look(SOON)
    assert [line for line in told if not line.startswith("update")] == [
        "post: Token paris expires in 12 days"
    ]
    assert len(due.slack.main()) == 1
    (view,) = await due.service.open_alerts(actor=ADMIN)
    assert view.message_ts == due.slack.main()[0]["ts"]


async def test_a_reply_that_a_killed_process_began_is_found_in_the_thread(due: Desk) -> None:
    await due.look()
    due.slack.kills = Killed
    with pytest.raises(Killed):
        await due.look(timedelta(days=6))
    await due.restart()
    await due.look(SOON)
    (main,) = due.slack.main()
    assert len(due.slack.thread(main["ts"])) == 1


async def test_where_the_history_may_not_be_read_at_most_one_message_is_repeated(due: Desk) -> None:
    due.slack.refusals["conversations.history"] = "missing_scope"
    due.slack.kills = Killed
    with pytest.raises(Killed):
        await due.look()
    await due.restart()
    await due.look(SOON)
    await due.look(SOON)
    assert len(due.slack.main()) == 2


async def test_after_an_hour_without_slack_only_the_present_level_is_posted(due: Desk) -> None:
    due.slack.is_down = True
    for _ in range(12):
        assert await due.look(timedelta(hours=12)) == []
    due.slack.is_down = False
    assert await due.look(timedelta(hours=2)) == ["post: Token paris expires in 6 days"]


@pytest.mark.parametrize("word", ["channel_not_found", "not_in_channel", "is_archived", "ratelimited"])
async def test_admins_are_told_directly_and_once_while_the_channel_takes_nothing(
    due: Desk, word: str
) -> None:
    due.slack.refused_channels[CHANNEL] = word
    for _ in range(4):
        await due.look(SOON)
    told = [each for each in due.slack.messages if each["channel"] in ("DUADMIN", "DUOTHER")]
    assert len(told) == 2
    assert "Token paris expires in 12 days" in told[0]["text"]
    assert f"({word})" in told[0]["text"]
    due.slack.refused_channels.clear()
    assert await due.look(SOON) == ["post: Token paris expires in 12 days"]


async def test_a_bot_that_slack_shuts_out_tells_everything_once_it_is_back(due: Desk) -> None:
    due.slack.refusal = "account_inactive"
    for _ in range(3):
        assert await due.look(SOON) == []
    due.slack.refusal = None
    assert await due.look(SOON) == ["post: Token paris expires in 12 days"]


async def test_an_alert_without_any_channel_goes_to_the_admins(due: Desk) -> None:
    object.__setattr__(due.settings, "channel", None)
    await due.look()
    await due.look(SOON)
    assert [each["channel"] for each in due.slack.messages] == ["DUADMIN", "DUOTHER"]


async def test_an_alert_whose_message_was_deleted_is_posted_anew(due: Desk) -> None:
    await due.look()
    due.slack.messages.clear()
    told = await due.look(timedelta(days=5))
    assert told == ["post: Token paris expires in 7 days"]


async def test_an_alert_moves_to_another_channel_when_its_own_is_closed(due: Desk) -> None:
    await due.look()
    due.slack.refused_channels[CHANNEL] = "is_archived"
    token = await due.rooms.tokens.get("paris", actor=ADMIN)
    await due.rooms.tokens.change(token.id, actor=ADMIN, settings={Setting.CHANNEL: "CNEW"})
    await due.look(timedelta(days=5))
    (moved,) = due.slack.main("CNEW")
    assert moved["text"].startswith("Token paris expires in 7 days")


async def test_two_replicas_that_look_at_once_post_once(due: Desk) -> None:
    first, service = due.runner, due.service
    due.start()
    await asyncio.gather(first.look(due.clock.now()), due.runner.look(due.clock.now()))
    assert len(due.slack.main()) == 1
    assert len(await service.open_alerts(actor=ADMIN)) == 1


async def test_warnings_that_begin_later_now_are_no_renewal(desk: Desk) -> None:
    token, _ = await desk.token(20)
    await desk.look()
    await desk.rooms.tokens.change(token.id, actor=ADMIN, settings={Setting.WARN: "3,1"})
    told = await desk.look(timedelta(minutes=1))
    assert told[-1].startswith("reply: Resolved")
    assert "It is not warned of any more: it expires" in str(desk.slack.messages[-1]["blocks"])
    assert "renewed" not in str(desk.slack.messages[-1]["blocks"])


async def test_a_fault_in_one_alert_keeps_no_other_silent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.token(5, "lyon")
    await desk.token(12, "paris")
    main = Writer.main

    def broken(writer: Writer, view: AlertView, *, now: datetime) -> Message:
        if view.subject_name == "lyon":
            raise KeyError("a text of ours")
        return main(writer, view, now=now)

    monkeypatch.setattr(Writer, "main", broken)
    assert await desk.look() == ["post: Token paris expires in 12 days"]


async def test_an_alert_that_turns_critical_meanwhile_is_not_snoozed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.token(5)
    await desk.look()
    (seen,) = await desk.service.open_alerts(actor=ADMIN)
    await desk.look(timedelta(days=5))

    async def as_it_was(alert_id: str, *, actor: Actor) -> AlertView:
        return seen

    monkeypatch.setattr(desk.service, "snoozable", as_it_was)
    with pytest.raises(CriticalNotSnoozed):
        await desk.service.snooze(seen.id, "1d", actor=ADMIN)
