"""A profile in Apple's keys: what is sent, what is read back, and what a refusal means."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.apple.dep.auth import Credentials
from bot.apple.dep.client import DepService
from bot.apple.exchange import Patience
from bot.backend.apple import AppleBackend, AppleConnection
from bot.backend.apple_profile import body_of, read_body
from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.port import ProfileRefused, RequestRefused, ServiceUnavailable
from bot.backend.profile import (
    Authentication,
    Pairing,
    ProfilePlatform,
    ProfileSettings,
    ProfileUnreadable,
)
from bot.profiles import rules
from bot.sandbox.apple.oauth import Refused
from bot.sandbox.apple.service import check_profile
from tests.fakes import certificates
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_http import Asked, Reply, ScriptedHttp, json_reply, word_reply
from tests.fakes.sessions import FakeSessions

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
URL, MAGIC = "https://mdm.example.com/enroll", "913FABBB-0032-4E13-9966-D6BBAC900331"
COMPUTER, ROOT = certificates.kept("Packing room"), certificates.kept("Root")
FEW = settings(max_examples=25, deadline=None)

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "Profile.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(
    # Apple's own page says more than its schema, which forbids no unknown key.
    SCHEMA | {"additionalProperties": False},
    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
)


def sent(**changes: Any) -> dict[str, Any]:
    return dict(body_of(ProfileSettings(**changes), mdm_url=URL, org_magic=MAGIC))


def test_a_profile_of_nothing_but_a_name_says_what_never_hangs_on_a_default() -> None:
    assert sent(name="Sales iPad") == {
        "profile_name": "Sales iPad",
        "url": URL,
        "org_magic": MAGIC,
        "is_supervised": True,
        "is_mdm_removable": True,
        "is_mandatory": False,
        "await_device_configured": False,
        "allow_pairing": True,
        "skip_setup_items": [],
    }


@pytest.mark.parametrize(
    ("given", "adds"),
    [
        ({"mdm_url": "https://own.example"}, {"url": "https://own.example"}),
        ({"org_magic": "own"}, {"org_magic": "own"}),
        ({"department": "IT"}, {"department": "IT"}),
        ({"department_phone": "+33 1"}, {"support_phone_number": "+33 1"}),
        ({"support_email": "help@example.com"}, {"support_email_address": "help@example.com"}),
        ({"web_url": URL}, {"configuration_web_url": URL}),
        ({"language": "fr", "region": "FR"}, {"language": "fr", "region": "FR"}),
        ({"supervised": False}, {"is_supervised": False}),
        ({"locked": True}, {"is_mdm_removable": False}),
        ({"locked": True, "supervised": False}, {"is_supervised": False, "is_mdm_removable": True}),
        ({"mandatory": True}, {"is_mandatory": True}),
        ({"await_configuration": True}, {"await_device_configured": True}),
        ({"auto_advance": True}, {"auto_advance_setup": True}),
        ({"shared_ipad": True}, {"is_multi_user": True}),
        ({"return_to_service": True}, {"is_return_to_service": True}),
        ({"no_profile_from_backup": True}, {"do_not_use_profile_from_backup": True}),
        ({"pairing": Pairing.NONE}, {"allow_pairing": False}),
        (
            {"pairing": Pairing.CERTIFICATES, "host_certificates": (COMPUTER,)},
            {"allow_pairing": False, "supervising_host_certs": [COMPUTER]},
        ),
        ({"pairing": Pairing.ALL, "host_certificates": (COMPUTER,)}, {}),
        ({"anchor_certificates": (ROOT, COMPUTER)}, {"anchor_certs": [ROOT, COMPUTER]}),
        ({"hidden_screens": ("Siri", "Payment")}, {"skip_setup_items": ["Siri", "Payment"]}),
        # Apple refuses an empty text, so that it is left out; what only the MDM server reads is not sent.
        (dict.fromkeys(("department", "department_phone", "support_email", "web_url", "language"), ""), {}),
        ({"mdm_url": "", "org_magic": ""}, {}),
        ({"description": "For the shops", "platform": ProfilePlatform.TVOS}, {}),
        ({"user_affinity": True, "authentication": Authentication.COMPANY_PORTAL}, {}),
        ({"install_company_portal": True, "device_name_template": "{{SERIAL}}"}, {}),
        ({"content_token": "hq-id", "single_app_mode": True}, {}),
    ],
    ids=lambda value: ",".join(value),
)
def test_a_setting_is_sent_under_apples_key(given: dict[str, Any], adds: dict[str, Any]) -> None:
    assert sent(name="Sales iPad", **given) == sent(name="Sales iPad") | adds


# Any settings

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf"), exclude_characters="/"))
WORD = st.text("abcxyz0189", min_size=1, max_size=12)
ADDRESSES = st.builds("https://{}.example/{}?q=%20{}".format, WORD, WORD, WORD)
PADDING = st.sampled_from(["", " ", "  "])


def line(most: int) -> st.SearchStrategy[str]:
    """One line of text that shows something."""
    return st.builds(lambda word, text: (word + text)[:most], WORD, TEXT) | st.just("é" * most)


def optional(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | texts


VALID: dict[str, st.SearchStrategy[Any]] = {
    "name": st.builds("{}{}{}".format, PADDING, line(rules.MAX_NAME), PADDING),
    "description": optional(st.text(max_size=rules.MAX_DESCRIPTION)),
    "platform": st.sampled_from(ProfilePlatform),
    "user_affinity": st.booleans(),
    "authentication": st.sampled_from(Authentication),
    "install_company_portal": st.booleans(),
    "content_token": optional(WORD),
    "single_app_mode": st.booleans(),
    "device_name_template": optional(st.sampled_from(["{{SERIAL}}", "{{DEVICETYPE}}-{{ SERIAL }}", "Till"])),
    "supervised": st.just(True),
    "locked": st.booleans(),
    "pairing": st.sampled_from(Pairing),
    "host_certificates": st.sampled_from([(COMPUTER,), (COMPUTER, ROOT)]),
    "department": optional(line(125)),
    "department_phone": optional(line(50)),
    "mdm_url": optional(ADDRESSES),
    "web_url": optional(ADDRESSES),
    "anchor_certificates": st.sampled_from([(), (ROOT,)]),
    "org_magic": optional(line(256)),
    "language": optional(st.from_regex(r"[a-z]{2,3}", fullmatch=True)),
    "region": optional(st.from_regex(r"[A-Z]{2}", fullmatch=True)),
    "support_email": optional(st.builds("{}@{}.example".format, WORD, WORD)),
    "mandatory": st.booleans(),
    "await_configuration": st.booleans(),
    "auto_advance": st.booleans(),
    "shared_ipad": st.booleans(),
    "return_to_service": st.booleans(),
    "no_profile_from_backup": st.booleans(),
    "hidden_screens": st.lists(
        st.sampled_from([screen.key for screen in APPLE_SCREENS]) | WORD, max_size=8, unique=True
    ).map(tuple),
}
#: What Apple or we refuse somewhere; each is put in the place of each setting.
ODD_TEXTS = (
    *("", " ", "x" * 300, "a\nb", "\x00", "a@b", "é@é.éé", "EN", "{{X}}", "{{SERIAL}}", "{{"),
    *("http://x.example", "HTTPS://x.example", "https://x.example/a b", "https:///x"),
    *("https://x.example/" + "x" * 2000, "a@" + "b" * 300 + ".com"),
)
ODD: list[dict[str, Any]] = [
    {name: text}
    for name, kind in ProfileSettings.__annotations__.items()
    if kind in (str, str | None)
    for text in ODD_TEXTS
]
ODD += [{"supervised": False}, {"authentication": None}, {"host_certificates": ("AAAA",)}]
valid_settings = st.fixed_dictionaries(VALID).map(lambda drawn: ProfileSettings(**drawn))


def faults(given: ProfileSettings) -> list[str]:
    found = rules.faults(given, token_mdm_url=URL, now=NOW, configurator="Apple Configurator")
    return [fault.setting for fault in found]


def why_refused(body: dict[str, Any]) -> str | None:
    """Say why Apple's schema, or the stand-in's judge, refuses a body."""
    for error in VALIDATOR.iter_errors(body):
        return str(error.message)
    try:
        check_profile(body)
    except Refused as refused:
        return str(refused.args)
    return None


def test_the_judges_refuse_what_apple_says_is_wrong() -> None:
    good = sent(name="Sales iPad")
    assert why_refused(good) is None
    for wrong in (
        *({"profile_name": ""}, {"department": ""}, {"language": "e"}, {"is_supervised": "yes"}),
        *({"is_supervised": False, "is_mdm_removable": False}, {"support_email_address": "x"}, {"new": 1}),
    ):
        assert why_refused(good | wrong)


@FEW
@given(valid_settings)
def test_valid_settings_make_a_body_that_apple_accepts(given: ProfileSettings) -> None:
    assert faults(given) == []
    body = dict(body_of(rules.effective(given), mdm_url=URL, org_magic=MAGIC))
    assert why_refused(body) is None


@settings(max_examples=5, deadline=None)
@given(valid_settings)
def test_what_apple_would_refuse_is_refused_before_it_is_asked(given: ProfileSettings) -> None:
    slipped = []
    for odd in ODD:
        changed = msgspec.structs.replace(given, **odd)
        body = dict(body_of(rules.effective(changed), mdm_url=URL, org_magic=MAGIC))
        if (why := why_refused(body)) and not faults(changed):
            slipped.append((odd, why))
    assert slipped == []


@FEW
@given(valid_settings)
def test_what_is_sent_is_read_back_but_for_what_apple_has_no_key_for(given: ProfileSettings) -> None:
    held = rules.effective(given)
    body = body_of(held, mdm_url=URL, org_magic=MAGIC)
    read = read_body({**body, "profile_uuid": "88FC", "devices": []})
    plain = ProfileSettings()
    ours = (
        "description",
        "user_affinity",
        "authentication",
        "install_company_portal",
        "content_token",
        "single_app_mode",
        "device_name_template",
    )
    assert read.left_out == ()
    assert read.settings == msgspec.structs.replace(
        held,
        **{name: getattr(plain, name) for name in ours},
        platform=ProfilePlatform.ANY,
        mdm_url=held.mdm_url or URL,
        org_magic=held.org_magic or MAGIC,
    )
    assert body_of(read.settings, mdm_url="", org_magic="") == body


# Reading


def test_what_a_body_leaves_out_has_apples_default_not_ours() -> None:
    read = read_body({"profile_name": "Old"}).settings
    assert (read.name, read.platform) == ("Old", ProfilePlatform.ANY)
    assert (read.supervised, read.locked, read.pairing) == (False, False, Pairing.ALL)
    assert read_body({}).settings.name == ""
    assert read_body({"department": "", "language": None}).settings == read_body({}).settings


def test_certificates_decide_over_pairing_only_where_it_is_not_allowed_to_all() -> None:
    certificate = {"supervising_host_certs": [COMPUTER]}
    assert read_body(certificate).settings.pairing is Pairing.ALL
    assert read_body({**certificate, "allow_pairing": True}).settings.pairing is Pairing.ALL
    assert read_body({**certificate, "allow_pairing": False}).settings.pairing is Pairing.CERTIFICATES
    assert read_body({"allow_pairing": False}).settings.pairing is Pairing.NONE


def test_keys_that_have_no_place_here_are_named() -> None:
    read = read_body({"profile_name": "Old", "zeta": 1, "alpha": None, "profile_uuid": "A", "devices": ["B"]})
    assert read.left_out == ("alpha", "zeta")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"profile_name": 7}, "profile_name is not a text"),
        ({"url": ["https://x"]}, "url is not a text"),
        ({"is_supervised": "true"}, "is_supervised is not true or false"),
        ({"is_mdm_removable": 0}, "is_mdm_removable is not true or false"),
        ({"skip_setup_items": "Siri"}, "skip_setup_items is not a list of texts"),
        ({"anchor_certs": [1]}, "anchor_certs is not a list of texts"),
    ],
)
def test_a_body_of_the_wrong_shape_is_unreadable(body: dict[str, Any], why: str) -> None:
    with pytest.raises(ProfileUnreadable, match=why):
        read_body(body)


# What Apple answers


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    def answer(asked: Asked) -> Reply:
        return json_reply({"auth_session_token": "session"} if asked.path == "/session" else {})

    async with ScriptedHttp(answer).running() as server:
        yield server


@pytest.fixture
async def connection(http: ScriptedHttp) -> AsyncIterator[AppleConnection]:
    credentials = Credentials("CK", SecretStr("CS"), SecretStr("AT"), SecretStr("AS"))
    clock = FakeClock(NOW)
    async with httpx.AsyncClient() as client:
        service = DepService(client, base_url=http.url, clock=clock, patience=Patience(tries=1))
        yield AppleBackend(service, clock=clock).connect(credentials.sealed(), FakeSessions())


WORDS = {
    "CONFIG_NAME_REQUIRED": "name",
    "CONFIG_NAME_INVALID": "name",
    "CONFIG_URL_REQUIRED": "mdm_url",
    "CONFIG_URL_INVALID": "mdm_url",
    "MAGIC_INVALID": "org_magic",
    "FLAGS_INVALID": "locked",
    "DEPARTMENT_INVALID": "department",
    "department_required": "department",
    "SUPPORT_PHONE_INVALID": "department_phone",
    "support_phone_required": "department_phone",
    "SUPPORT_EMAIL_INVALID": "support_email",
    "LOCALE_INVALID": "language",
}


async def test_each_word_of_apples_names_its_setting(connection: AppleConnection, http: ScriptedHttp) -> None:
    named = {}
    for word in WORDS:
        http.script.append(word_reply(400, word))
        with pytest.raises(ProfileRefused, match=word) as refused:
            await connection.define_profile({**sent(name="Sales iPad"), "devices": []})
        assert refused.value.word == word
        named[word] = refused.value.setting
    assert named == WORDS
    assert set(named.values()) <= set(rules.STEP_OF)


async def test_a_refusal_that_names_no_setting_stays_one(
    connection: AppleConnection, http: ScriptedHttp
) -> None:
    for reply in (word_reply(400, "MALFORMED_REQUEST_BODY"), word_reply(400, "SOMETHING_INVALID_NEW")):
        http.script.append(reply)
        with pytest.raises(RequestRefused) as refused:
            await connection.define_profile(sent(name="Sales iPad"))
        assert not isinstance(refused.value, ProfileRefused)
    # A profile that Apple cannot read has been seen to be answered with a bare 500.
    http.script.append(Reply(status=500))
    with pytest.raises(ServiceUnavailable):
        await connection.define_profile(sent(name="Sales iPad"))
