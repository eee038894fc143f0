import json
import logging
from collections.abc import Callable
from types import MappingProxyType

import pytest
from pydantic import SecretStr

from bot.kit import logs
from bot.kit.logs import get_logger, hide, new_reference, redact, reference, with_reference
from tests.kit.conftest import Lines

PRIVATE_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAplanted\nplanted==\n-----END RSA PRIVATE KEY-----"
)

#: What has to be masked -> the part of it that must not be seen.
PLANTED = {
    "xoxb-12345-67890-planted": "planted",
    "xapp-1-A012-34567-planted": "planted",
    "xoxe.xoxp-1-planted": "planted",
    "sent eb_-planted0123456789abcdef": "planted",
    "consumer CK_planted0123456789": "planted",
    "CS_planted0123456789": "planted",
    "token AT_planted0123456789, next": "planted",
    "AS_planted0123456789": "planted",
    'OAuth realm="ADM", oauth_token="planted", oauth_signature="planted2"': "planted",
    'OAuth oauth_signature="planted%3D", realm="ADM"': "planted",
    "Authorization: Bearer planted.token": "planted",
    "authorization: bearer planted.token": "planted",
    "Basic cGxhbnRlZDpwbGFudGVk": "cGxhbnRlZD",
    PRIVATE_KEY: "planted",
    PRIVATE_KEY[:55]: "MIIEow",
    repr(PRIVATE_KEY): "planted",
    "file eyJ0b2tlbiI6ICJwbGFudGVkLWluc2lkZSIsICJleHBEYXRlIjogIjIwMjctMTEtMDgifQ==": "cGxhbnRlZC",
    "Cookie: itvt=planted/token+=; a=b": "planted",
    "https://hooks.slack.com/commands/T1/2/planted": "planted",
    "https://hooks.slack.com/actions/T1/2/planted": "planted",
    "http://127.0.0.1:3001/services/T1/B1/planted": "planted",
    "postgresql://bot:planted@db.example.com/enroll": "planted",
    "postgresql://bot:pl/anted@db.example.com/enroll": "anted",
    "postgresql://:planted@db.example.com/enroll": "planted",
    "host=db user=bot password=planted dbname=enroll": "planted",
    "q8mKcYVfTzJ0cG9pVbXwLk3uH2sNe7RtQaZ1dOyIxPE=": "=",
}

HARMLESS = [
    "token paris: 1,200 devices, serial C02XK1ZJJGH5, profile 3f2a-11",
    "https://mdmenrollment.apple.com/server/devices",
    "sqlite:///enrollbot.db",
    "http://127.0.0.1:3000/healthz",
    "as_integer_ratio and at_midnight_utc and cs_something_long",
    "d41d8cd98f00b204e9800998ecf8427e",
    "anna@example.com asked at 10:00",
]


class Shown:
    """Something whose repr tells more than it should."""

    def __repr__(self) -> str:
        return "Shown(xoxb-planted)"


@pytest.mark.parametrize(("text", "secret"), PLANTED.items())
def test_a_secret_in_a_text_is_masked(text: str, secret: str) -> None:
    masked = redact(f"before {text} after")
    assert secret not in masked
    assert "[secret]" in masked
    assert masked.startswith("before ")


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_masking_an_address_keeps_what_helps() -> None:
    assert (
        redact("postgresql://bot:pw@db.example.com/enroll") == "postgresql://[secret]@db.example.com/enroll"
    )


def in_the_message(secret: str) -> None:
    get_logger("test").warning(f"refused {secret}")


def in_a_keyword(secret: str) -> None:
    get_logger("test").warning("refused", answer=secret)


def nested(secret: str) -> None:
    get_logger("test").warning("refused", answer={"outer": [{"inner": (secret,)}]})


def refuse(secret: str) -> None:
    raise ValueError(f"refused {secret}")


def in_an_exception(secret: str) -> None:
    try:
        refuse(secret)
    except ValueError:
        get_logger("test").exception("refused")


def as_an_exception(secret: str) -> None:
    get_logger("test").warning("refused", error=ValueError(secret))


def as_bytes(secret: str) -> None:
    get_logger("test").warning("refused", body=secret.encode())


def by_a_library(secret: str) -> None:
    logging.getLogger("library").warning("refused %s", secret)


def by_a_librarys_exception(secret: str) -> None:
    try:
        refuse(secret)
    except ValueError:
        logging.getLogger("library").exception("refused")


def by_a_librarys_extra(secret: str) -> None:
    logging.getLogger("library").warning("refused", extra={"answer": secret})


WAYS = [
    in_the_message,
    in_a_keyword,
    nested,
    in_an_exception,
    as_an_exception,
    as_bytes,
    by_a_library,
    by_a_librarys_exception,
    by_a_librarys_extra,
]


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_masked_whichever_way_it_comes(way: Callable[[str], None], logged: Lines) -> None:
    for secret in ("xoxb-planted", "AS_planted0123", "postgresql://bot:planted@db/enroll", PRIVATE_KEY):
        way(secret)
    shown = json.dumps(logged())
    assert shown.count("[secret]") >= 4
    assert "planted" not in shown


@pytest.mark.parametrize(
    "name",
    [
        "access_secret",
        "signing_secret",
        "password",
        "private_key",
        "Authorization",
        "X-ADM-Auth-Session",
        "auth_session_token",
        "session_token",
        "bot_token",
        "admin_token",
        "content_token",
        "sToken",
        "encryption_keys",
        "response_url",
        "Cookie",
    ],
)
def test_a_value_under_a_secret_name_is_never_shown(name: str, logged: Lines) -> None:
    get_logger("test").warning("called", **{name: "planted"})
    get_logger("test").warning("called", headers=MappingProxyType({name: ["planted"]}))
    shown = json.dumps(logged())
    assert "planted" not in shown
    assert shown.count("[secret]") == 2


@pytest.mark.parametrize("name", ["token", "token_name", "token_id", "key_id", "user", "status"])
def test_a_value_under_another_name_is_shown(name: str, logged: Lines) -> None:
    get_logger("test").warning("called", **{name: "paris"})
    assert logged()[0][name] == "paris"


def test_what_shows_more_than_it_should_is_masked(logged: Lines) -> None:
    get_logger("test").warning("called", thing=Shown(), many={Shown()}, pair={"xoxb-planted": 1})
    assert "planted" not in json.dumps(logged())


def test_numbers_and_nothing_stay_what_they_are(logged: Lines) -> None:
    get_logger("test").warning("called", pages=3, ratio=0.5, is_full=True, cursor=None)
    (line,) = logged()
    assert (line["pages"], line["ratio"], line["is_full"], line["cursor"]) == (3, 0.5, True, None)


def test_a_secret_that_looks_like_any_text_is_masked_once_it_was_named() -> None:
    signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
    assert signing_secret in redact(f"key {signing_secret}")
    hide(SecretStr(signing_secret), None, SecretStr("short"))
    assert redact(f"key {signing_secret}, in short") == "key [secret], in short"


def test_every_line_of_a_piece_of_work_has_its_reference(logged: Lines) -> None:
    with with_reference("ABCD1234"):
        get_logger("test").info("ours")
        logging.getLogger("library").warning("theirs")
    get_logger("test").info("outside")
    lines = logged()
    assert [(line["event"], line.get("reference")) for line in lines] == [
        ("ours", "ABCD1234"),
        ("theirs", "ABCD1234"),
        ("outside", None),
    ]


def test_references_nest_and_end_with_their_block() -> None:
    with with_reference("OUTER"):
        with with_reference("INNER") as inner:
            assert (inner, reference()) == ("INNER", "INNER")
        assert reference() == "OUTER"
    assert reference() == ""


def test_references_are_short_and_differ() -> None:
    references = {new_reference() for _ in range(100)}
    assert len(references) == 100
    assert {len(each) for each in references} == {8}


def test_a_line_says_when_who_and_how_grave(logged: Lines) -> None:
    get_logger("bot.devices").error("sync failed")
    logging.getLogger("library").warning("slow")
    ours, theirs = logged()
    assert (ours["logger"], ours["level"], theirs["logger"], theirs["level"]) == (
        "bot.devices",
        "error",
        "library",
        "warning",
    )
    assert ours["timestamp"].endswith("Z")


def test_libraries_that_log_each_call_are_quiet(logged: Lines) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://slack.com/api/auth.test")
    assert logged() == []


@pytest.mark.usefixtures("logged")
def test_the_console_form_goes_to_standard_error_and_masks_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console")
    in_an_exception("xoxb-planted")
    by_a_librarys_exception("xoxb-planted")
    shown = capsys.readouterr().err
    assert shown.count("Traceback") == 2
    assert "planted" not in shown
