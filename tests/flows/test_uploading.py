"""A file is uploaded: the right one, and all those that people take for it."""

from datetime import timedelta

import pytest

from tests.fakes.house import ready_key_pair
from tests.flows.conftest import House


@pytest.fixture
async def awaiting(house: House) -> House:
    """A house in which paris awaits its server token and the upload form is open."""
    house.apple.create_server("paris", devices=3)
    await house.types(house.ana, "/enroll token add paris --apple-id ade@example.com --agree")
    house.apple.upload_certificate("paris", await house.ana.downloads("paris.pem"))
    await house.presses(house.ana, "Upload server token")
    return house


async def test_the_right_file_makes_the_token_active_and_starts_the_first_sync(awaiting: House) -> None:
    heard = await awaiting.uploads(awaiting.ana, awaiting.new_token_file())
    assert heard.modal is not None
    for fact in ("Example Trust", "paris", "ade@example.com", "365 days"):
        assert fact in heard.modal.text
    await awaiting.ana.closes()
    await awaiting.settle()
    assert "3 devices" in awaiting.posts()
    assert "is active" in awaiting.posts()


async def test_another_apple_id_than_expected_is_remarked_on(awaiting: House) -> None:
    heard = await awaiting.uploads(awaiting.ana, awaiting.new_token_file(apple_id="bea@example.com"))
    assert heard.modal is not None
    assert "bea@example.com, not by ade@example.com" in heard.modal.text


async def test_a_server_without_devices_says_how_they_get_there(house: House) -> None:
    await house.add_token("paris", devices=0)
    assert "No device is assigned" in house.posts()


async def test_the_certificate_by_mistake_is_told_apart(awaiting: House) -> None:
    await refused(awaiting, await awaiting.ana.downloads("paris.pem"), "certificate")


async def test_a_damaged_file_is_refused(awaiting: House) -> None:
    content = awaiting.new_token_file()
    await refused(awaiting, content[: len(content) // 2], "damaged")


async def test_a_file_of_another_kind_is_refused(awaiting: House) -> None:
    await refused(awaiting, b"serial,model\nC02,iPad\n", "not a server token")


async def test_an_expired_token_is_refused(awaiting: House) -> None:
    await refused(awaiting, awaiting.new_token_file(valid_for=timedelta(days=-1)), "expired")


async def test_a_token_that_apple_does_not_accept_is_not_stored(awaiting: House) -> None:
    old = awaiting.new_token_file()
    awaiting.new_token_file()
    await refused(awaiting, old, "does not accept")


async def test_a_file_over_64_kib_is_refused(awaiting: House) -> None:
    await refused(awaiting, b"x" * 65_537, "larger than 64 KiB")


async def test_a_file_for_nobody_here_is_refused(awaiting: House) -> None:
    awaiting.apple.create_server("other")
    awaiting.apple.upload_certificate("other", ready_key_pair("other")[1])
    await refused(awaiting, awaiting.new_token_file("other"), "another certificate")


async def test_a_file_of_another_token_offers_to_be_uploaded_there(awaiting: House) -> None:
    await awaiting.ana.closes()
    awaiting.apple.create_server("lyon", devices=2)
    await awaiting.types(awaiting.ana, "/enroll token add lyon --apple-id ade@example.com --agree")
    awaiting.apple.upload_certificate("lyon", await awaiting.ana.downloads("lyon.pem"))
    content = awaiting.apple.generate_token("lyon")[1]
    await awaiting.types(awaiting.ana, "/enroll token upload paris")
    heard = await awaiting.uploads(awaiting.ana, content)
    assert heard.modal is not None
    assert "belongs to another MDM server" in heard.modal.text
    assert "Upload to lyon" in heard.modal.buttons
    await awaiting.presses(awaiting.ana, "Upload to lyon")
    await awaiting.uploads(awaiting.ana, content)
    await awaiting.settle()
    listed = await awaiting.types(awaiting.ben, "/enroll token list")
    assert "*lyon* · active" in listed
    assert "*paris* · awaiting token" in listed


async def test_a_server_that_has_a_token_here_is_refused_a_second(paris: House) -> None:
    await paris.types(paris.ana, "/enroll token add again --apple-id ade@example.com --agree")
    paris.apple.upload_certificate("paris", await paris.ana.downloads("again.pem"))
    await paris.types(paris.ana, "/enroll token upload again")
    heard = await paris.uploads(paris.ana, paris.new_token_file())
    assert heard.modal is not None
    assert "already belongs to token paris" in heard.modal.text
    assert "*again* · awaiting token" in await paris.types(paris.ana, "/enroll token list")


async def refused(house: House, content: bytes, why: str) -> None:
    """Upload something that is refused: nothing changes, the reason and a next step are said."""
    before = await house.contents()
    heard = await house.uploads(house.ana, content)
    assert heard.modal is not None
    assert why in heard.modal.text
    assert "Nothing was stored" in heard.modal.text
    assert "Upload server token" in heard.modal.buttons
    assert "Something went wrong" not in heard.modal.text
    assert await house.contents() == before
