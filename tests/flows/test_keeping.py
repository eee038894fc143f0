"""Tokens are set, tagged, listed, shown and removed."""

from datetime import timedelta

from tests.flows.conftest import House


async def test_settings_are_shown_as_they_are_now(paris: House) -> None:
    command = (
        "/enroll token set paris --channel #approvals --approvals #approvals --owner @ben --warn 60,30,7"
    )
    heard = await paris.types(paris.ana, f"{command} --mdm-url https://mdm.example.com/new")
    for fact in ("<#C0APPROVE>", "<@U0BEN>", "60, 30, 7", "https://mdm.example.com/new"):
        assert fact in heard
    assert ("U0ANA", "token.set", "paris") in await paris.acts()
    heard = await paris.types(paris.ana, "/enroll token set paris --owner none")
    assert "Owner: nobody" in heard


async def test_nothing_is_set_unless_everything_can_be(paris: House) -> None:
    before = await paris.contents()
    for wrong in ("", "--warn 0,7", "--channel nowhere", "--owner somebody", "--mdm-url ftp://x"):
        heard = await paris.types(paris.ana, f"/enroll token set paris --owner @ben {wrong}")
        assert heard.text or not wrong
    assert await changed(paris, before) == {"token", "audit_entry", "audit_head"}
    assert len([act for act in await paris.acts() if act[1] == "token.set"]) == 1


async def test_what_concerns_a_token_goes_to_its_own_channel(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token set paris --channel #approvals")
    before = paris.posts()
    await paris.waits(timedelta(minutes=16))
    await paris.types(paris.ben, "/enroll sync paris")
    await paris.types(paris.ana, "/enroll token tag paris schools")
    assert "Scope tags of token paris" in paris.posts("C0APPROVE")
    assert paris.posts() == before


async def test_tags_are_replaced_shown_and_cleared_and_the_channel_is_told(paris: House) -> None:
    heard = await paris.types(paris.ana, "/enroll token tag paris schools,france")
    assert "`france`, `schools`" in heard
    assert "Scope tags of token paris* set by <@U0ANA>" in paris.posts()
    assert "schools" in await paris.types(paris.ana, "/enroll token tag paris")
    assert "25 devices" in await paris.types(paris.ben, "/enroll device list tag:schools")
    heard = await paris.types(paris.ana, "/enroll token tag paris none")
    assert "none" in heard
    assert "No device here has a tag yet" in await paris.types(paris.ben, "/enroll device list tag:schools")
    assert [act[1] for act in await paris.acts()].count("token.tagged") == 2


async def test_the_list_shows_state_days_devices_and_last_sync(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token add lyon --apple-id ade@example.com --agree")
    heard = await paris.types(paris.cleo, "/enroll tokens")
    assert "2 enrollment tokens" in heard
    assert "*paris* · active, 365 days left" in heard
    assert "25 devices" in heard
    assert "last sync" in heard
    assert "*lyon* · awaiting token" in heard
    assert heard.buttons == ["Show", "Show", "Export CSV"]
    assert "awaiting token" in await paris.presses(paris.cleo, "Show")


async def test_a_token_is_removed_only_when_its_name_is_typed(paris: House) -> None:
    before = await paris.contents()
    await paris.types(paris.ana, "/enroll token remove paris")
    heard = await paris.fills(paris.ana, {"Name of the token": "Paris"})
    assert list(heard.errors) == ["Name of the token"]
    assert await paris.contents() == before


async def test_a_removed_token_takes_its_secrets_with_it_and_leaves_its_devices_marked(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token remove paris")
    heard = await paris.fills(paris.ana, {"Name of the token": "paris"})
    assert "Apple keeps the profiles" in heard.text
    await paris.presses(paris.ana, "Send for approval")
    await paris.quiet()
    assert len((await paris.contents())["token_secret"]) == 1
    await paris.types(paris.ana, "/enroll role grant @ben approver")
    assert "You approved REQ-1" in await paris.presses(paris.ben, "Approve")
    assert (await paris.contents())["token_secret"] == []
    assert "REQ-1 finished:* Token *paris* is removed" in paris.posts()
    await paris.settle()
    assert "25 devices" in await paris.types(paris.ana, "/enroll device list removed:yes")
    assert "No device" in await paris.types(paris.ana, "/enroll device list")
    assert "There is no enrollment token" in await paris.types(paris.ben, "/enroll status")
    assert ("U0BEN", "token.removed", "paris") in await paris.acts()
    heard = await paris.types(paris.ana, "/enroll token add PARIS --apple-id ade@example.com --agree")
    assert "Token PARIS added" in heard


async def changed(house: House, before: dict[str, list[str]]) -> set[str]:
    after = await house.contents()
    return {table for table, rows in after.items() if rows != before[table]}
