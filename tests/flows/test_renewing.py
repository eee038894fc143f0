"""A token is renewed in time, with the wrong file first, with a new key, and after it was refused."""

from datetime import timedelta

from bot.tokens.rules import REJECTION_COUNTS_AFTER
from tests.flows.conftest import House

RENEW = "/enroll token renew paris"


async def test_a_renewal_says_who_where_and_what_it_ends_before_it_begins(paris: House) -> None:
    heard = await paris.types(paris.ana, RENEW)
    for fact in ("ade@example.com", "*Server in ABM:* *paris*", "ends", "still accepts", "The bot is ready"):
        assert fact in heard
    assert "Upload server token" in heard.buttons
    assert ("U0ANA", "token.renewal_opened", "paris") in await paris.acts()


async def test_a_renewal_tells_the_channel_both_expiries_and_the_devices_before_and_after(
    paris: House,
) -> None:
    paris.clock.move(timedelta(days=100))
    await paris.types(paris.ana, RENEW)
    paris.apple.add_devices("paris", 5)
    await paris.presses(paris.ana, "Upload server token")
    heard = await paris.uploads(paris.ana, paris.new_token_file())
    assert heard.modal is not None
    await paris.ana.closes()
    await paris.settle()
    told = paris.posts()
    assert "Token paris renewed* by <@U0ANA>" in told
    assert "Sat 1 May 2027, 09:00 UTC → Mon 9 Aug 2027, 09:00 UTC" in told
    assert "25 devices now" in told
    assert "Devices: 25 before, 30 after. Nothing else to do." in told
    assert "365 days left" in await paris.types(paris.ben, "/enroll token list")
    assert ("U0ANA", "token.renewed", "paris") in await paris.acts()


async def test_another_servers_file_leaves_the_old_token_untouched_and_says_that_it_works(
    paris: House,
) -> None:
    await paris.has_token("lyon", devices=1)
    await paris.types(paris.ana, RENEW)
    await paris.presses(paris.ana, "Upload server token")
    before = await paris.contents()
    heard = await paris.uploads(paris.ana, paris.new_token_file("lyon"))
    assert heard.modal is not None
    assert "this file belongs to another MDM server" in heard.modal.text
    assert "Nothing was changed here" in heard.modal.text
    assert "Apple still accepts the current token" in heard.modal.text
    assert "generating this file ended its former token" in heard.modal.text
    assert "Upload to lyon" in heard.modal.buttons
    assert await changed(paris, before) <= {"token"}  # when Apple was asked last
    await paris.presses(paris.ana, "Upload to lyon")
    heard = await paris.uploads(paris.ana, paris.new_token_file("lyon"))
    assert heard.modal is not None
    assert "Token lyon renewed" in heard.modal.text


async def test_another_servers_file_says_when_the_old_token_is_no_longer_accepted(paris: House) -> None:
    await paris.has_token("lyon", devices=1)
    paris.new_token_file("paris")
    await paris.types(paris.ana, RENEW)
    await paris.presses(paris.ana, "Upload server token")
    heard = await paris.uploads(paris.ana, paris.new_token_file("lyon"))
    assert heard.modal is not None
    assert "Apple no longer accepts the current token" in heard.modal.text


async def test_the_file_in_use_and_an_older_one_are_no_renewal(paris: House) -> None:
    file = paris.new_token_file()
    await paris.types(paris.ana, "/enroll token upload paris")
    assert "renewed" in str(await paris.uploads(paris.ana, file))
    await paris.ana.closes()
    await paris.types(paris.ana, "/enroll token upload paris")
    heard = await paris.uploads(paris.ana, file)
    assert heard.modal is not None
    assert "Nothing to do: this is the token that paris uses now (365 days left)." in heard.modal.text
    assert heard.modal.buttons == []


async def test_another_apple_id_renews_and_is_named(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token upload paris")
    await paris.uploads(paris.ana, paris.new_token_file(apple_id="bea@example.com"))
    assert "Made by bea@example.com, before ade@example.com" in paris.posts()


async def test_a_new_key_waits_beside_the_old_one_until_a_token_made_for_it_is_stored(paris: House) -> None:
    heard = await paris.types(paris.ana, f"{RENEW} --new-key")
    assert "Get certificate" in heard.buttons
    new = await paris.ana.downloads("paris.pem")
    await paris.presses(paris.ana, "Upload server token")
    # Made for the former certificate: taken too, and the new key goes on waiting.
    await paris.uploads(paris.ana, paris.new_token_file())
    await paris.ana.closes()
    assert "waiting for a token made for it" in await paris.types(paris.ana, "/enroll token show paris")
    paris.apple.upload_certificate("paris", new)
    await paris.types(paris.ana, "/enroll token upload paris")
    heard = await paris.uploads(paris.ana, paris.new_token_file())
    assert heard.modal is not None
    assert "The new key pair is in use" in heard.modal.text
    actions = [action for _, action, _ in await paris.acts()]
    assert actions.count("token.key_staged") == 1
    assert actions.count("token.key_replaced") == 1


async def test_a_token_generated_in_abm_and_not_uploaded_is_said_so_after_two_refusals_and_renewed(
    paris: House,
) -> None:
    await paris.types(paris.ana, RENEW)
    file = paris.new_token_file()
    await paris.waits(timedelta(hours=1))
    assert "active" in await paris.types(paris.ben, "/enroll token list")
    await paris.waits(REJECTION_COUNTS_AFTER)
    shown = await paris.types(paris.ana, "/enroll token show paris")
    assert "rejected by Apple" in shown
    assert "generated in ABM and not yet uploaded here" in shown
    assert "Upload server token" in shown.buttons
    await paris.presses(paris.ana, "Upload server token")
    assert "Token paris renewed" in str(await paris.uploads(paris.ana, file))
    await paris.ana.closes()
    await paris.settle()
    assert "*paris* · active" in await paris.types(paris.ben, "/enroll token list")
    assert "25 devices now" in paris.posts()


async def test_a_token_that_nobody_renewed_is_to_be_renewed_when_apple_rejects_it(paris: House) -> None:
    paris.apple.reject_token("paris")
    await paris.waits(timedelta(hours=1))
    await paris.waits(REJECTION_COUNTS_AFTER)
    shown = await paris.types(paris.ana, "/enroll token show paris")
    assert "rejected by Apple" in shown
    assert "generated in ABM and not yet uploaded" not in shown
    assert "Renew token" in shown.buttons


async def test_a_token_expires_at_its_hour_and_is_renewed(paris: House) -> None:
    paris.clock.move(timedelta(days=364, hours=12))
    assert "expiring, 1 day left" in await paris.types(paris.ben, "/enroll token list")
    paris.clock.move(timedelta(hours=13))
    assert "expired" in await paris.types(paris.ben, "/enroll")
    await paris.types(paris.ana, RENEW)
    await paris.presses(paris.ana, "Upload server token")
    assert "renewed" in str(await paris.uploads(paris.ana, paris.new_token_file()))


async def test_unsigned_terms_are_said_and_check_again_ends_them(paris: House) -> None:
    paris.apple.sign_terms(signed=False)
    await paris.waits(timedelta(hours=1))
    shown = await paris.types(paris.ben, "/enroll token show paris")
    assert "terms not signed" in shown
    heard = await paris.types(paris.ana, "/enroll token show paris")
    assert "Check again" in heard.buttons
    assert "still not accepted for Example Trust" in await paris.presses(paris.ana, "Check again")
    paris.apple.sign_terms()
    paris.apple.add_devices("paris", 1)
    heard = await paris.presses(paris.ana, "Check again")
    assert "Accepted. paris is syncing." in heard
    await paris.settle()
    assert "active" in await paris.types(paris.ben, "/enroll token list")
    assert "26 devices" in await paris.types(paris.ben, "/enroll status")


async def test_a_renewal_while_terms_are_open_says_to_wait_and_why(paris: House) -> None:
    paris.apple.sign_terms(signed=False)
    heard = await paris.types(paris.ana, RENEW)
    assert "Don't generate a token in ABM yet" in heard
    assert "until the terms are accepted" in heard
    assert "An Administrator of Example Trust signs in to ABM" in heard.text.replace("*", "")
    assert "Download its token" not in heard
    paris.apple.sign_terms()
    assert "Download its token" in await paris.presses(paris.ana, "Open the renewal again")


async def test_a_renewal_while_apple_is_silent_says_to_wait_and_takes_a_file_that_is_there(
    paris: House,
) -> None:
    content = paris.new_token_file()
    paris.apple.faults.plan("close", path="*")
    heard = await paris.types(paris.ana, RENEW)
    assert "Don't generate a token in ABM yet" in heard
    assert "as long as Apple does not answer" in heard
    paris.apple.faults.clear()
    await paris.presses(paris.ana, "Upload server token")
    assert "renewed" in str(await paris.uploads(paris.ana, content))


async def test_a_server_deleted_and_made_again_is_a_new_token(paris: House) -> None:
    paris.apple.sign_terms()
    paris.apple.servers[paris.apple.server("paris").server_uuid].name = "paris-old"
    paris.apple.create_server("paris")
    certificate = paris.apple.server("paris-old").certificate_pem
    assert certificate is not None
    paris.apple.upload_certificate("paris", certificate)
    await paris.types(paris.ana, "/enroll token upload paris")
    heard = await paris.uploads(paris.ana, paris.new_token_file("paris"))
    assert heard.modal is not None
    assert "deleted in ABM and made again" in heard.modal.text
    assert "Add token" in heard.modal.buttons


async def changed(house: House, before: dict[str, list[str]]) -> set[str]:
    after = await house.contents()
    return {table for table, rows in after.items() if rows != before[table]}
