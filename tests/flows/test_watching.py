"""Other dates than those of tokens, above all that of the push certificate."""

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from tests.deadlines.certificates import OTHER_TOPIC, TOPIC, push
from tests.fakes.certificates import PKCS8, private_key_pem
from tests.flows.conftest import House

CERTIFICATE = "Certificate (.pem or .cer)"
UNTIL = datetime(2026, 5, 31, 9, 30, tzinfo=UTC)


async def test_a_date_is_watched_and_told_to_the_channel(house: House) -> None:
    heard = await house.types(house.ana, "/enroll watch")
    assert "No other date is watched yet" in heard
    assert "same Apple Account" in heard
    heard = await house.types(house.ana, "/enroll watch add contract 2027-03-01 --tags hq")
    assert "Deadline contract is watched: Mon 1 Mar 2027, 304 days left" in heard.text.replace("*", "")
    assert "Deadline contract is watched" in house.posts()
    assert "is not a date" in await house.types(house.ana, "/enroll watch add contract 1.3.2027")
    heard = await house.types(house.ana, "/enroll watches")
    assert "304 days left (Mon 1 Mar 2027)" in heard
    assert "tags hq" in heard.text.replace("`", "")
    assert "watched no longer" in await house.types(house.ana, "/enroll watch remove Contract")


async def test_a_push_certificate_is_uploaded_renewed_and_never_with_its_key(house: House) -> None:
    pem = push(until=UNTIL).public_bytes(Encoding.PEM)
    await house.types(house.ana, "/enroll watch")
    await house.presses(house.ana, "Watch a certificate")
    await house.ana.fills({"Name": "mdm-push"})
    heard = await house.uploads(house.ana, pem + private_key_pem(PKCS8), name="push.pem", label=CERTIFICATE)
    assert heard.modal is not None
    assert "holds a private key" in heard.modal.text
    assert "mdm-push" not in house.posts()
    await house.presses(house.ana, "Upload certificate")
    await house.ana.fills({"Name": "mdm-push"})
    heard = await house.uploads(house.ana, pem, name="push.pem", label=CERTIFICATE)
    assert heard.modal is not None
    assert TOPIC in heard.modal.text
    assert "31 days left" in house.posts()
    await house.ana.closes()
    await house.types(house.ana, "/enroll watch list")
    await house.presses(house.ana, "Upload certificate")
    other = push(OTHER_TOPIC, until=UNTIL + timedelta(days=300)).public_bytes(Encoding.DER)
    heard = await house.uploads(house.ana, other, name="push.cer", label=CERTIFICATE)
    assert heard.modal is not None
    assert "every device must enroll again" in heard.modal.text
    await house.presses(house.ana, "Upload certificate")
    renewed = push(until=UNTIL + timedelta(days=365)).public_bytes(Encoding.DER)
    heard = await house.uploads(house.ana, renewed, name="push.cer", label=CERTIFICATE)
    assert heard.modal is not None
    assert "Same topic as before" in heard.modal.text
    assert "396 days left" in house.posts()
