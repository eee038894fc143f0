"""Slack repeats itself, refuses posts, is slow, away, and comes back: nothing is lost or done twice."""

from datetime import timedelta

from tests.flows.conftest import House

ADD = "/enroll token add lyon --apple-id ade@example.com --agree"


async def test_a_command_delivered_twice_acts_once(paris: House) -> None:
    paris.slack.faults.deliver_twice = 1
    heard = await paris.types(paris.ana, ADD)
    assert heard.text.count("*Token lyon added") == 1
    assert "already" not in heard
    assert [act[1:] for act in await paris.acts()].count(("token.added", "lyon")) == 1


async def test_a_button_and_a_modal_delivered_twice_act_once(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token add")
    paris.slack.faults.deliver_twice = 1
    await paris.fills(paris.ana, {"Name": "lyon", "Apple ID": "ade@example.com", "Agreement": True})
    paris.slack.faults.deliver_twice = 1
    heard = await paris.presses(paris.ana, "Get certificate")
    assert heard.text.count("is in your direct messages") <= 2  # in text and blocks
    acts = [act[1:] for act in await paris.acts()]
    assert acts.count(("token.added", "lyon")) == 1
    assert acts.count(("token.certificate_sent", "lyon")) == 1


async def test_two_presses_are_two_presses(paris: House) -> None:
    await paris.types(paris.ana, ADD)
    await paris.presses(paris.ana, "Get certificate")
    await paris.presses(paris.ana, "Get certificate")
    assert [act[1] for act in await paris.acts()].count("token.certificate_sent") == 2


async def test_a_result_that_slack_refuses_is_told_when_it_takes_posts_again(paris: House) -> None:
    for present, word in enumerate(("channel_not_found", "not_in_channel", "account_inactive"), start=26):
        paris.apple.add_devices("paris", 1)
        paris.clock.move(timedelta(minutes=15))
        paris.slack.faults.refuse_posts = word
        await paris.types(paris.ben, "/enroll sync paris")
        assert f"{present} devices now" not in paris.posts()
        paris.slack.faults.reset()
        for _ in range(2):
            await paris.waits(timedelta(seconds=30))
            assert paris.posts().count(f"{present} devices now") == 2, word  # once, in text and blocks


async def test_a_change_stays_done_when_the_channel_cannot_be_told_and_the_person_knows(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token set paris --channel #approvals")
    paris.slack.faults.refuse["chat.postMessage"] = "not_in_channel"
    heard = await paris.types(paris.ana, "/enroll token tag paris schools")
    assert "`schools`" in heard
    assert "<#C0APPROVE> could not be told" in heard


async def test_slack_down_for_an_hour_loses_no_result(paris: House) -> None:
    paris.apple.add_devices("paris", 2)
    paris.slack.faults.down = True
    await paris.waits(timedelta(hours=25))
    await paris.waits(timedelta(hours=1))
    paris.slack.faults.reset()
    await paris.waits(timedelta(minutes=10))
    assert paris.posts().count("27 devices now") == 2


async def test_an_answer_lost_on_its_way_is_not_posted_twice(paris: House) -> None:
    paris.apple.add_devices("paris", 2)
    paris.clock.move(timedelta(minutes=15))
    await paris.ben.types("/enroll sync paris")
    paris.slack.faults.drop_answers = 1
    await paris.quiet()
    await paris.settle()
    assert paris.posts().count("27 devices now") == 2


async def test_a_rate_limited_slack_is_waited_for(paris: House) -> None:
    paris.slack.faults.channel_limit = True
    paris.apple.add_devices("paris", 2)
    paris.clock.move(timedelta(minutes=15))
    await paris.types(paris.ben, "/enroll sync paris")
    for tag in ("a", "b", "c", "d"):
        await paris.types(paris.ana, f"/enroll token tag paris {tag}")
    assert paris.posts().count("Scope tags of token paris* set by") == 4
    assert "27 devices now" in paris.posts()


async def test_a_modal_that_was_closed_meanwhile_says_its_outcome_in_a_message(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token upload paris")
    paris.gate.close()
    file = paris.new_token_file()
    await paris.ana.uploads("Server token (.p7m)", "t.p7m", file, submit=True)
    await paris.ana.closes()
    assert "Token paris renewed" in (await paris.ana.sees("Token paris renewed")).text
    paris.gate.open()
