"""A token is added: by form and by command, with the agreement, under a free name."""

from tests.flows.conftest import House

ADD = "/enroll token add paris --apple-id ade@example.com --agree"
AGREEMENT = "I agree that user and device information is sent to Apple"


def form(**changes: object) -> dict[str, object]:
    return {
        "Name": "paris",
        "Apple ID": "ade@example.com",
        "MDM server URL": "https://mdm.example.com/enroll",
        "Scope tags": "schools, france",
        "Agreement": True,
    } | changes


async def test_a_token_added_by_form_awaits_its_server_token(house: House) -> None:
    await house.types(house.ana, "/enroll token add")
    heard = await house.fills(house.ana, form())
    assert heard.modal is not None
    assert "Upload server token" in heard.modal.buttons
    assert "Get certificate" in heard.modal.buttons
    assert b"BEGIN CERTIFICATE" in await house.ana.downloads("paris.pem")
    await house.ana.closes()
    shown = await house.types(house.ben, "/enroll token show paris")
    assert "awaiting token" in shown
    assert "https://mdm.example.com/enroll" in shown
    assert "france, schools" in shown
    assert ("U0ANA", "token.added", "paris") in await house.acts()


async def test_a_token_added_by_command_first_asks_for_a_new_server(house: House) -> None:
    heard = await house.types(house.ana, ADD)
    assert "Upload server token" in heard.buttons
    first_step = next(line for line in heard.text.splitlines() if line.startswith("1."))
    assert "new" in first_step
    assert b"BEGIN CERTIFICATE" in await house.ana.downloads("paris.pem")
    assert "paris.pem" not in house.posts()


async def test_the_form_keeps_the_name_that_was_typed(house: House) -> None:
    heard = await house.types(house.ana, "/enroll token add lyon")
    assert heard.modal is not None
    assert "lyon" in heard.modal.text
    assert AGREEMENT in heard.modal.text


async def test_without_agreement_nothing_is_added(house: House) -> None:
    before = await house.contents()
    heard = await house.types(house.ana, "/enroll token add paris --apple-id ade@example.com")
    assert "--agree" in heard
    await house.types(house.ana, "/enroll token add")
    heard = await house.fills(house.ana, form(Agreement=False))
    assert list(heard.errors) == ["Agreement"]
    assert await house.contents() == before


async def test_a_taken_name_is_refused_at_its_field(house: House) -> None:
    await house.types(house.ana, ADD)
    before = await house.contents()
    await house.types(house.ana, "/enroll token add")
    heard = await house.fills(house.ana, form(Name="PARIS"))
    assert list(heard.errors) == ["Name"]
    assert "already" in heard.errors["Name"]
    assert await house.contents() == before


async def test_each_wrong_input_is_named_at_its_field(house: House) -> None:
    wrong = {
        "Name": "pa ris",
        "Apple ID": "nobody",
        "MDM server URL": "http://mdm.example.com",
        "Scope tags": "a,!",
    }
    for label, value in wrong.items():
        await house.types(house.ana, "/enroll token add")
        heard = await house.fills(house.ana, form(**{label: value}))
        assert list(heard.errors) == [label]
        await house.ana.closes()
    assert await house.acts() == []


async def test_a_personal_apple_id_is_remarked_on(house: House) -> None:
    heard = await house.types(house.ana, "/enroll token add paris --apple-id ade@gmail.com --agree")
    assert "personal" in heard


async def test_get_certificate_sends_the_same_one_again(house: House) -> None:
    await house.types(house.ana, ADD)
    first = await house.ana.downloads("paris.pem")
    heard = await house.presses(house.ana, "Get certificate")
    assert [file["name"] for message in heard.messages for file in message.raw.get("files", [])] == [
        "paris.pem"
    ]
    assert await house.ana.downloads("paris.pem") == first
    assert ("U0ANA", "token.certificate_sent", "paris") in await house.acts()


async def test_the_whole_way_works_on_both_databases(house_on_both: House) -> None:
    house = house_on_both
    await house.add_token("paris", devices=12)
    assert "12 devices" in await house.types(house.ana, "/enroll status")
    assert "12 devices" in house.posts()
    actions = [action for _, action, _ in await house.acts()]
    assert actions[:2] == ["token.added", "token.uploaded"]
    proof = await house.bot.services.audit.verify()
    assert proof.entries == len(actions)
