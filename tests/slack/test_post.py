from pathlib import Path

import pytest

from bot.slack.blocks import Message, section
from bot.slack.post import Posted, SlackRefused, SlackUnclear, SlackUnreachable
from tests.fakes.clock import FakeClock
from tests.slack.bot import Bot
from tests.slack.web_api import Fault

CARD = Message("*Token paris renewed*", [section("*Token paris renewed*")])
METADATA = {"event_type": "alert", "event_payload": {"id": "AL-7", "level": "note"}}


async def test_a_message_is_posted_and_updated_in_place(bot: Bot) -> None:
    posted = await bot.slack.poster.post("C1", CARD)
    await bot.slack.poster.update(posted, Message("changed"))
    assert [(m["ts"], m["text"], m["blocks"]) for m in bot.web.messages["C1"]] == [(posted.ts, "changed", [])]


async def test_a_reply_may_be_shown_in_the_channel_too(bot: Bot) -> None:
    await bot.slack.poster.post("C1", CARD, thread_ts="1.0", broadcast=True)
    sent = bot.web.called("chat.postMessage")[0]
    assert (sent["thread_ts"], sent["reply_broadcast"]) == ("1.0", True)


async def test_a_direct_message_opens_the_conversation_once(bot: Bot) -> None:
    for _ in range(2):
        assert (await bot.slack.poster.direct("U1", CARD)).channel == "DU1"
    assert len(bot.web.called("conversations.open")) == 1


async def test_a_channel_gets_a_message_a_second(bot: Bot, clock: FakeClock) -> None:
    for channel in ("C1", "C1", "C2", "C1"):
        await bot.slack.poster.post(channel, CARD)
    assert clock.sleeps == [1.0, 1.0]


async def test_a_rate_limit_is_waited_for_as_long_as_slack_says(bot: Bot, clock: FakeClock) -> None:
    bot.web.fail("chat.postMessage", Fault(status=429, retry_after=7))
    await bot.slack.poster.post("C1", CARD)
    assert clock.sleeps == [7.0]
    assert len(bot.web.messages["C1"]) == 1


@pytest.mark.parametrize("retry_after", [31, 1])
async def test_a_rate_limit_is_not_waited_for_endlessly(bot: Bot, retry_after: int) -> None:
    bot.web.fail("chat.postMessage", *[Fault(status=429, retry_after=retry_after)] * 3)
    with pytest.raises(SlackRefused, match="try again in a minute") as caught:
        await bot.slack.poster.post("C1", CARD)
    assert caught.value.word == "ratelimited"
    assert bot.web.messages["C1"] == []


async def test_a_lost_answer_does_not_post_twice(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(drops=True, is_done=True))
    posted = await bot.slack.poster.post("C1", CARD, metadata=METADATA)
    assert [message["ts"] for message in bot.web.messages["C1"]] == [posted.ts]


async def test_a_lost_answer_in_a_thread_does_not_post_twice(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(drops=True, is_done=True))
    posted = await bot.slack.poster.post("C1", CARD, thread_ts="1.0")
    assert [message["ts"] for message in bot.web.messages["C1"]] == [posted.ts]


async def test_an_earlier_post_of_the_same_kind_is_not_taken_for_the_lost_one(bot: Bot) -> None:
    await bot.slack.poster.post("C1", CARD, metadata=METADATA)
    bot.web.fail("chat.postMessage", Fault(drops=True))
    await bot.slack.poster.post("C1", CARD, metadata=METADATA)
    assert len(bot.web.messages["C1"]) == 2


async def test_a_lost_post_is_repeated(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(drops=True))
    await bot.slack.poster.post("C1", CARD, metadata=METADATA)
    assert len(bot.web.messages["C1"]) == 1


async def test_a_lost_answer_is_posted_again_where_history_may_not_be_read(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(drops=True, is_done=True))
    bot.web.fail("conversations.history", Fault(error="missing_scope"))
    await bot.slack.poster.post("C1", CARD)
    assert len(bot.web.messages["C1"]) == 2


async def test_a_post_stays_unclear_when_the_history_cannot_be_reached(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(drops=True, is_done=True))
    bot.web.fail("conversations.history", *[Fault(status=500)] * 3)
    with pytest.raises(SlackUnclear):
        await bot.slack.poster.post("C1", CARD)
    assert len(bot.web.messages["C1"]) == 1


async def test_a_slack_that_is_down_raises(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", *[Fault(status=503)] * 5)
    with pytest.raises(SlackUnclear):
        await bot.slack.poster.post("C1", CARD)
    assert bot.web.messages["C1"] == []


async def test_an_update_is_repeated_after_a_lost_answer(bot: Bot) -> None:
    posted = await bot.slack.poster.post("C1", CARD)
    bot.web.fail("chat.update", Fault(drops=True), Fault(status=500))
    await bot.slack.poster.update(posted, Message("changed"))
    assert bot.web.messages["C1"][0]["text"] == "changed"


@pytest.mark.parametrize(
    ("word", "step"),
    [("channel_not_found", "invite"), ("not_in_channel", "invite"), ("account_inactive", "install the app")],
)
async def test_a_refusal_says_what_to_do(bot: Bot, word: str, step: str) -> None:
    bot.web.fail("chat.postMessage", Fault(error=word))
    with pytest.raises(SlackRefused, match=step) as caught:
        await bot.slack.poster.post("C1", CARD)
    assert caught.value.word == word


async def test_blocks_that_slack_refuses_leave_the_text(bot: Bot) -> None:
    bot.web.fail("chat.postMessage", Fault(error="invalid_blocks"))
    await bot.slack.poster.post("C1", CARD)
    assert [(m["text"], "blocks" in m) for m in bot.web.messages["C1"]] == [(CARD.text, False)]


async def test_ones_own_post_is_found_by_its_metadata(bot: Bot) -> None:
    posted = await bot.slack.poster.post("C1", CARD, metadata=METADATA)
    for _ in range(120):
        bot.web.messages["C1"].insert(0, {"ts": "9.9", "user": "UX", "metadata": METADATA})
    assert await bot.slack.poster.find("C1", kind="alert", id="AL-7") == posted
    assert await bot.slack.poster.find("C1", kind="alert", id="AL-8") is None
    assert await bot.slack.poster.find("C1", kind="request", id="AL-7") is None


async def test_a_post_has_a_link(bot: Bot) -> None:
    posted = await bot.slack.poster.post("C1", CARD)
    link = await bot.slack.poster.permalink(posted)
    assert link == f"https://example.slack.com/archives/C1/p{posted.ts.replace('.', '')}"
    with pytest.raises(SlackRefused):
        await bot.slack.poster.permalink(Posted("C1", "9.9"))


async def test_a_file_is_uploaded_into_a_thread(bot: Bot) -> None:
    await bot.slack.poster.upload("C1", name="failed.csv", content=b"a,b", comment=CARD, thread_ts="1.0")
    asked = bot.web.called("files.getUploadURLExternal")[0]
    done = bot.web.called("files.completeUploadExternal")[0]
    assert (asked["filename"], asked["length"]) == ("failed.csv", "3")
    assert bot.web.uploads == [b"a,b"]
    assert (done["files"], done["channel_id"], done["thread_ts"]) == (
        [{"id": "F9", "title": "failed.csv"}],
        "C1",
        "1.0",
    )


async def test_a_file_on_the_disk_is_uploaded_as_it_is_read(bot: Bot, tmp_path: Path) -> None:
    content = b"0123456789" * 100_000
    (tmp_path / "audit.jsonl").write_bytes(content)
    await bot.slack.poster.upload_direct("U1", name="audit.jsonl", content=tmp_path / "audit.jsonl")
    assert bot.web.called("files.getUploadURLExternal")[0]["length"] == "1000000"
    assert bot.web.uploads == [content]


async def test_the_token_is_sent_and_never_shown(bot: Bot) -> None:
    await bot.slack.poster.post("C1", CARD)
    assert set(bot.web.authorizations) == {"Bearer xoxb-worthless"}
    bot.web.fail("chat.postMessage", Fault(error="invalid_auth"))
    with pytest.raises(SlackRefused) as caught:
        await bot.slack.poster.post("C1", CARD)
    assert "xoxb" not in str(caught.value) + repr(caught.value) + repr(bot.slack)


async def test_a_slack_that_cannot_be_reached_is_told_apart(bot: Bot, clock: FakeClock) -> None:
    posted = Posted("C1", "1.0")
    await bot.slack.close()
    bot.slack.api.http = type(bot.slack.api.http)(trust_env=False)
    object.__setattr__(bot.slack.api.hosts, "api_url", "http://127.0.0.1:1/api/")
    with pytest.raises(SlackUnreachable) as caught:
        await bot.slack.poster.update(posted, CARD)
    assert not isinstance(caught.value, SlackUnclear)
    assert len(clock.sleeps) == 2
