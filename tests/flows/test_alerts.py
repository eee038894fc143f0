"""Alerts as people meet them: a message, its buttons, its thread, and the commands."""

from datetime import timedelta

from bot.sandbox.slack import people
from tests.flows.conftest import House

CHANNEL = people.ENROLLMENT_CHANNEL


async def look(house: House, length: timedelta = timedelta(seconds=10)) -> None:
    house.clock.move(length)
    await house.bot.jobs.run_due("alerts.look")
    await house.quiet()


def alert_of(house: House, kind: str = "token_expiry") -> dict[str, object]:
    """Return the one message of the alert of a kind."""
    (found,) = [
        message
        for message in house.slack.workspace.messages(CHANNEL)
        if kind == (message.get("metadata") or {}).get("event_payload", {}).get("kind")
        and message.get("thread_ts") in (None, message["ts"])
    ]
    return found


async def test_an_alert_is_taken_on_snoozed_and_closed_by_the_renewal(house: House) -> None:
    await house.has_token("paris", devices=0)
    house.clock.move(timedelta(days=353))
    await house.settle()
    await look(house)
    assert "Token paris expires in 12 days" in str(alert_of(house)["text"])
    heard = await house.presses(house.ben, "Acknowledge")
    assert "You are on AL-1" in heard
    assert "acknowledged by <@U0BEN>" in str(alert_of(house)["text"])
    await house.presses(house.ben, "Snooze")
    await house.fills(house.ben, {"For how long": "3 days"})
    assert "snoozed by <@U0BEN>" in str(alert_of(house)["text"])
    assert "Token paris expires in 12 days" in await house.types(house.cleo, "/enroll alerts")
    await house.types(house.ana, "/enroll token upload paris")
    await house.uploads(house.ana, house.new_token_file("paris"))
    await look(house)
    assert "1 alert closed." in house.posts()
    assert "Resolved: token expiry · paris" in str(alert_of(house)["text"])
    assert "No alert is open." in await house.types(house.ben, "/enroll alert list")
    acts = [action for _, action, _ in await house.acts()]
    assert acts.count("alert.acknowledged") == acts.count("alert.snoozed") == 1


async def test_terms_are_one_alert_of_their_organisation_and_checked_from_it(house: House) -> None:
    await house.has_token("paris", devices=3)
    await house.has_token("lyon", devices=3)
    house.apple.sign_terms(signed=False)
    await house.waits(timedelta(hours=1, minutes=1))
    await look(house)
    text = str(alert_of(house, "terms_not_signed")["text"])
    assert "has new Apple terms to accept" in text
    assert "tokens lyon, paris" in text
    assert "still not accepted" in await house.presses(house.ben, "Check again")
    house.apple.sign_terms()
    heard = await house.presses(house.ben, "Check again")
    assert "syncing" in heard.text.lower()
    await look(house)
    assert "The terms are accepted" in str(alert_of(house, "terms_not_signed")["text"])


async def test_what_a_person_may_not_do_with_alerts_is_refused(house: House) -> None:
    await house.has_token("paris", devices=0)
    house.clock.move(timedelta(days=364, hours=12))
    await house.settle()
    await look(house)
    assert "AL-1 is critical" in await house.types(house.ben, "/enroll alert snooze AL-1 3d")
    assert "There is no alert AL-9" in await house.types(house.ben, "/enroll alert ack AL-9")
    assert "is not how long" in await house.types(house.ben, "/enroll alert snooze AL-1 2w")
    assert "This needs the role operator" in await house.types(house.cleo, "/enroll alert ack 1")


async def test_a_test_alert_stands_in_the_channel(house: House) -> None:
    heard = await house.types(house.ana, "/enroll alert test")
    assert f"A test alert stands in <#{CHANNEL}>" in heard
    assert "This is a test alert: nothing is wrong" in house.posts()
