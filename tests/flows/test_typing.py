"""What phones and Slack make of what was typed, and what the bot makes of mistakes."""

from tests.flows.conftest import House


async def test_typographic_quotes_dashes_and_slacks_escapes_are_read_as_typed(house: House) -> None:
    heard = await house.types(house.ana, "/enroll token add “paris” —apple-id ade@example.com –agree")
    assert "Token paris added" in heard
    heard = await house.types(
        house.ana, "/enroll token set PARIS —mdm-url https://mdm.example.com/a?b=1&c=2 —owner @mdm-approvers"
    )
    assert "https://mdm.example.com/a?b=1&amp;c=2" in heard
    assert "<!subteam^S0MDM>" in heard
    heard = await house.types(house.ana, "/enroll token set paris --channel #device-enrollment --warn ‘30,7’")
    assert "<#C0ENROLL>" in heard
    assert "30, 7 days" in heard


async def test_a_quoted_model_and_serials_in_any_case_and_separation_are_found(paris: House) -> None:
    models = [device["model"] for device in paris.apple.snapshot()]
    airs = sum("iPad Air" in model for model in models)
    assert f"{airs} device" in await paris.types(paris.ben, "/enroll device list model:“iPad Air”")
    one, two, three = sorted(device["serial_number"] for device in paris.apple.snapshot())[:3]
    heard = await paris.types(paris.ana, f"/enroll device forget {one.lower()},{two};\n{three.lower()}")
    assert "3 devices forgotten" in heard


async def test_an_unknown_word_gets_the_nearest_known_one(house: House) -> None:
    meant = {
        "tokne renew paris": "token renew",
        "token shwo paris": "token show",
        "stauts": "status",
        "devices lst": "device list",
        "sycn": "sync",
    }
    for typed, nearest in meant.items():
        assert f"Did you mean `/enroll {nearest}`?" in await house.types(house.ana, f"/enroll {typed}"), typed


async def test_the_nearest_word_is_one_that_the_caller_may_do(house: House) -> None:
    heard = await house.types(house.cleo, "/enroll token renwe paris")
    assert "token renew" not in heard


async def test_mistakes_are_answered_with_what_would_be_right(paris: House) -> None:
    expected = {
        "token show pariss": "Did you mean paris?",
        "token show": "NAME is missing",
        "token renew paris --new-kye": "Did you mean `--new-key`?",
        "token add lyon --agree": "--apple-id is missing",
        "device list modle:iPad": "Did you mean model:?",
        "device list token:pariss": "Use one of: paris",
        'device list model:"iPad': "A quote is opened and not closed",
        "device show": "SERIAL is missing",
        "device forget": "SERIAL is missing",
        "sync paris now": "one argument too many",
        "sync paris --full=yes": "takes no value",
    }
    for typed, said in expected.items():
        assert said in await paris.types(paris.ana, f"/enroll {typed}"), typed


async def test_help_on_a_command_says_how_to_use_it_and_which_role_it_needs(house: House) -> None:
    for typed in ("help token renew", "token renew --help"):
        heard = await house.types(house.ana, f"/enroll {typed}")
        assert "/enroll token renew NAME [--new-key]" in heard
        assert "Needs the role admin" in heard


async def test_plural_and_bare_nouns_mean_the_list(paris: House) -> None:
    for typed in ("token", "tokens", "token list", "TOKENS"):
        assert "1 enrollment token" in await paris.types(paris.ben, f"/enroll {typed}"), typed
    for typed in ("device", "devices", "device list", "devices list"):
        assert "25 devices" in await paris.types(paris.ben, f"/enroll {typed}"), typed


async def test_a_new_house_says_how_to_begin(house: House) -> None:
    heard = await house.types(house.ana, "/enroll")
    assert "There is no enrollment token yet" in heard
    assert heard.buttons == ["Add token"]
    assert "An admin of this bot adds the first one" in await house.types(house.ben, "/enroll")
    heard = await house.presses(house.ana, "Add token")
    assert heard.modal is not None
