import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backend.port import Account
from bot.kit.actor import Grant, Rights, Role
from bot.kit.errors import EnrollbotError
from bot.tokens import rules
from bot.tokens.errors import (
    AppleIdWrong,
    ChannelWrong,
    KeyUnusable,
    NameWrong,
    NotLater,
    OwnerWrong,
    RenewedExpired,
    ServerMadeAgain,
    TagWrong,
    UrlWrong,
    WarnDaysWrong,
    WrongOrganisation,
    WrongServer,
)
from bot.tokens.facts import NextAction, TokenState
from bot.tokens.rules import Health, Holding, Offered, Setting
from tests.fakes import certificates
from tests.fakes.backend import TEXTS

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["a", "Paris", "paris-schools_2.b", "x" * 40, "1", "a..", "-a", "Unassigned2"]
)
def test_these_are_names(name: str) -> None:
    assert rules.check_name(f"  {name} ", portal="ABM") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "x" * 41,
        "café",
        "a/b",
        "<!channel>",
        "a\nb",
        "a,b",
        "naïve",
        "...",
        ".pem",
        "-_-",
        "unassigned",
        "Reassigned",
    ],
)
def test_these_are_no_names(name: str) -> None:
    with pytest.raises(NameWrong):
        rules.check_name(name, portal="ABM")


@given(st.text(max_size=60))
def test_a_name_is_refused_or_harmless(text: str) -> None:
    with contextlib.suppress(NameWrong):
        assert not set(rules.check_name(text, portal="ABM")) & set("<>&*` \n\u202e")


@pytest.mark.parametrize(
    "text", ["", "ade", "ade@", "@example.com", "a b@example.com", "ade@example", "x@" * 200]
)
def test_these_are_no_apple_ids(text: str) -> None:
    with pytest.raises(AppleIdWrong):
        rules.check_apple_id(text)


@pytest.mark.parametrize(
    ("apple_id", "personal"),
    [
        ("ana@gmail.com", True),
        ("ana@ICLOUD.com", True),
        ("ana@yahoo.co.uk", True),
        ("ana@proton.me", True),
        ("ana@example.com", False),
        ("ana@mail.example.com", False),
        ("ana@notgmail.com", False),
        ("gmail.com@example.org", False),
    ],
)
def test_a_personal_mail_service_is_known_by_its_domain(apple_id: str, *, personal: bool) -> None:
    assert rules.is_personal(apple_id) is personal


@pytest.mark.parametrize(
    "url",
    [
        "http://mdm.example.com",
        "mdm.example.com",
        "https://",
        "https://user:secret@mdm.example.com",
        "https://mdm.example.com/a b",
        "https://mdm.example.com:99999/",
        "https://[::1",
        "https://mdm.example.com/" + "a" * 2000,
        "javascript:alert(1)",
        "https://mdm.example.com/\u202e",
        "https://mdm.example.com/enroll#part",
        "https://:pw@mdm.example.com/",
        "https://-/",
        "https://:443/",
    ],
)
def test_these_are_no_addresses_of_an_mdm_server(url: str) -> None:
    with pytest.raises(UrlWrong):
        rules.check_url(url)


@pytest.mark.parametrize(
    "url", ["https://mdm.example.com/enroll?id=1", "https://mdm:8443/", "https://[2001:db8::1]/e"]
)
def test_these_are_addresses_of_an_mdm_server(url: str) -> None:
    assert rules.check_url(url) == url


def test_tags_are_read_in_lower_case_and_checked() -> None:
    assert rules.check_tags(rules.split_tags(" Schools, fr;EU  fr")) == {"schools", "fr", "eu"}
    assert rules.split_tags("") == []
    for wrong in ("a/b", "x" * 41, ",".join(f"t{number}" for number in range(21))):
        with pytest.raises(TagWrong):
            rules.check_tags(rules.split_tags(wrong))


@pytest.mark.parametrize(("text", "days"), [("30", (30,)), ("1,3, 7", (7, 3, 1)), ("365 1", (365, 1))])
def test_warning_days_come_longest_first(text: str, days: tuple[int, ...]) -> None:
    assert rules.parse_warn_days(text) == days


@pytest.mark.parametrize(
    "text", ["", "0", "366", "a", "7,7", "-1", "1.5", "²", ",".join(map(str, range(1, 12)))]
)
def test_these_are_no_warning_days(text: str) -> None:
    with pytest.raises(WarnDaysWrong):
        rules.parse_warn_days(text)


@pytest.mark.parametrize(
    ("setting", "text", "stored"),
    [
        (Setting.CHANNEL, "C0123ABC", "C0123ABC"),
        (Setting.CHANNEL, "<#C0123ABC|ops>", "C0123ABC"),
        (Setting.APPROVALS, "none", None),
        (Setting.OWNER, "<@U0123ABC|ana>", "U0123ABC"),
        (Setting.OWNER, "S0123ABC", "S0123ABC"),
        (Setting.MDM_URL, " https://mdm.example.com/e ", "https://mdm.example.com/e"),
        (Setting.WARN, "1,30", "30,1"),
        (Setting.WARN, "None", None),
    ],
)
def test_a_setting_is_stored_as(setting: Setting, text: str, stored: str | None) -> None:
    assert rules.parse_setting(setting, text) == stored


@pytest.mark.parametrize(
    ("setting", "text", "error"),
    [
        (Setting.CHANNEL, "#ops", ChannelWrong),
        (Setting.APPROVALS, "U0123ABC", ChannelWrong),
        (Setting.OWNER, "@ana", OwnerWrong),
        (Setting.OWNER, "C0123ABC", OwnerWrong),
        (Setting.WARN, "soon", WarnDaysWrong),
        (Setting.MDM_URL, "mdm", UrlWrong),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    setting: Setting, text: str, error: type[EnrollbotError]
) -> None:
    with pytest.raises(error) as refused:
        rules.parse_setting(setting, text)
    assert refused.value.next_step
    # An id of Slack's says nothing to a reader.
    assert "0123ABC" not in str(refused.value)


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(hours=24), 1),
        (timedelta(hours=24, seconds=1), 2),
        (timedelta(seconds=1), 1),
        (timedelta(), 0),
        (timedelta(seconds=-1), 0),
        (timedelta(hours=-24), -1),
        (timedelta(days=365), 365),
    ],
)
def test_days_left_are_the_hours_over_24_rounded_up(left: timedelta, days: int) -> None:
    assert rules.days_left(NOW + left, NOW) == days


def health(**facts: object) -> Health:
    usual: dict[str, object] = {
        "expires_at": NOW + timedelta(days=200),
        "warn_days": (30, 14, 7, 3, 1),
        "terms_since": None,
        "refused_first_at": None,
        "refused_last_at": None,
        "renewal_opened_at": None,
    }
    return Health(**{**usual, **facts})  # type: ignore[arg-type]


REFUSED = {"refused_first_at": NOW - timedelta(minutes=5), "refused_last_at": NOW}


@pytest.mark.parametrize(
    ("facts", "state", "actions"),
    [
        ({"expires_at": None}, TokenState.AWAITING, (NextAction.GET_CERTIFICATE, NextAction.UPLOAD)),
        ({}, TokenState.ACTIVE, None),
        ({"expires_at": NOW + timedelta(days=30, seconds=1)}, TokenState.ACTIVE, None),
        ({"expires_at": NOW + timedelta(days=30)}, TokenState.EXPIRING, (NextAction.RENEW,)),
        ({"expires_at": NOW}, TokenState.EXPIRED, (NextAction.RENEW,)),
        ({"expires_at": NOW, **REFUSED, "terms_since": NOW}, TokenState.EXPIRED, (NextAction.RENEW,)),
        ({"terms_since": NOW}, TokenState.TERMS, (NextAction.CHECK_AGAIN,)),
        (REFUSED, TokenState.REJECTED, (NextAction.RENEW, NextAction.CHECK_AGAIN)),
        ({**REFUSED, "terms_since": NOW}, TokenState.REJECTED, (NextAction.RENEW, NextAction.CHECK_AGAIN)),
        (
            {"refused_first_at": NOW - timedelta(minutes=4, seconds=59), "refused_last_at": NOW},
            TokenState.ACTIVE,
            (NextAction.CHECK_AGAIN,),
        ),
        ({"refused_first_at": NOW, "refused_last_at": NOW}, TokenState.ACTIVE, (NextAction.CHECK_AGAIN,)),
        (
            {"refused_first_at": NOW, "refused_last_at": NOW, "renewal_opened_at": NOW},
            TokenState.ACTIVE,
            (NextAction.UPLOAD, NextAction.CHECK_AGAIN),
        ),
        (
            {**REFUSED, "renewal_opened_at": NOW - timedelta(hours=24)},
            TokenState.REJECTED,
            (NextAction.UPLOAD, NextAction.CHECK_AGAIN),
        ),
        (
            {**REFUSED, "renewal_opened_at": NOW - timedelta(hours=25)},
            TokenState.REJECTED,
            (NextAction.RENEW, NextAction.CHECK_AGAIN),
        ),
        (
            {**REFUSED, "renewal_opened_at": NOW},
            TokenState.REJECTED,
            (NextAction.RENEW, NextAction.CHECK_AGAIN),
        ),
    ],
)
def test_the_state_and_what_is_to_be_done(
    facts: dict[str, object], state: TokenState, actions: tuple[NextAction, ...] | None
) -> None:
    found = health(**facts)
    assert rules.state_of(found, NOW) is state
    step = rules.next_step(found, NOW, texts=TEXTS)
    assert (step.actions if step else None) == actions


HOLDING = Holding(
    name="paris",
    consumer_key_digest=rules.digest("CK_1"),
    expires_at=NOW + timedelta(days=14),
    server_uuid="A" * 32,
    server_name="paris",
    org_id="66",
    org_name="Example Trust",
)


def account(**facts: object) -> Account:
    usual: dict[str, object] = {
        "server_uuid": "A" * 32,
        "server_name": "paris",
        "org_name": "Example Trust",
        "org_id": "66",
        "org_type": "org",
        "made_by": "ade@example.com",
        "full_page_size": 1000,
        "delta_page_size": 1000,
        "order_size": 1000,
        "asked_at": NOW,
    }
    return Account(**{**usual, **facts})  # type: ignore[arg-type]


def offered(
    *, key: str = "CK_1", days: float = 365, staged: bool = False, account: Account | None = None
) -> Offered:
    return Offered(
        consumer_key_digest=rules.digest(key),
        expires_at=NOW + timedelta(days=days),
        by_staged_key=staged,
        account=account,
    )


@pytest.mark.parametrize(
    ("offer", "faults"),
    [
        (offered(account=account()), []),
        (offered(account=account(made_by="it2@example.com", server_name="renamed")), []),
        (offered(account=account(org_name="Example Trust Ltd")), []),
        (offered(account=account(), days=14), [NotLater]),
        (offered(account=account(), days=13), [NotLater]),
        (offered(account=account(), days=-1), [RenewedExpired]),
        (offered(account=account(), key="CK_2"), [WrongServer]),
        (offered(account=None, key="CK_2"), [WrongServer]),
        (offered(account=None), []),
        (offered(account=account(server_uuid="B" * 32, server_name="lyon")), [WrongServer]),
        (offered(account=account(server_uuid="B" * 32, server_name="lyon"), key="CK_2"), [WrongServer]),
        (offered(account=account(server_uuid="B" * 32)), [ServerMadeAgain]),
        (offered(account=account(org_id="77")), [WrongOrganisation]),
        (offered(account=account(org_id=None, org_name="Other")), [WrongOrganisation]),
        (offered(account=account(server_uuid="B" * 32, org_id="77")), [WrongServer, WrongOrganisation]),
        (offered(account=account(server_uuid="B" * 32), days=-1), [ServerMadeAgain, RenewedExpired]),
        (offered(account=account(), key="CK_2", days=13, staged=True), []),
        (offered(account=account(), days=-1, staged=True), [RenewedExpired]),
        (offered(account=account(server_uuid="B" * 32, server_name="lyon"), staged=True), [WrongServer]),
    ],
)
def test_a_file_renews_a_token_or_every_failed_check_is_named(offer: Offered, faults: list[type]) -> None:
    found = rules.renewal_faults(HOLDING, offer, NOW, texts=TEXTS)
    assert [type(fault) for fault in found] == faults
    assert all(fault.next_step for fault in found)


@pytest.mark.parametrize(
    ("made_by", "expected", "former", "words"),
    [
        ("ade@example.com", "ade@example.com", None, []),
        ("ADE@example.com", "ade@example.com", "ade@Example.com", []),
        ("it2@example.com", "ade@example.com", None, ["not by ade@example.com"]),
        ("it2@example.com", "it2@example.com", "ade@example.com", ["before ade@example.com"]),
        ("ana@gmail.com", "ana@gmail.com", "ana@gmail.com", ["personal mail service"]),
        (None, "ade@example.com", "ade@example.com", []),
    ],
)
def test_the_maker_of_a_token_is_remarked_on(
    made_by: str | None, expected: str | None, former: str | None, words: list[str]
) -> None:
    remarks = rules.remarks_on_maker(made_by, expected=expected, former=former)
    assert len(remarks) == len(words)
    assert all(word in remark for word, remark in zip(words, remarks, strict=True))


def test_only_the_named_places_of_a_text_are_filled() -> None:
    text = "Open {server} {{x}} {other} {0} {server}"
    assert rules.fill(text, {"server": "paris {other}"}) == "Open paris {other} {x} {other} {0} paris {other}"


@pytest.mark.parametrize(
    ("grants", "forbidden"),
    [
        ((Grant(Role.ADMIN),), []),
        ((Grant(Role.ADMIN, frozenset({"a"})),), ["b"]),
        ((Grant(Role.ADMIN, frozenset({"a"})), Grant(Role.ADMIN, frozenset({"b"}))), []),
        ((Grant(Role.ADMIN, frozenset({"a"})), Grant(Role.VIEWER)), ["b"]),
        ((Grant(Role.OPERATOR, frozenset({"a", "b"})),), ["a", "b"]),
    ],
)
def test_tags_that_a_limited_admin_may_not_touch(grants: tuple[Grant, ...], forbidden: list[str]) -> None:
    assert rules.tags_within(Rights(grants), {"a", "b"}) == forbidden


def test_what_is_no_key_pair_is_named() -> None:
    of_no_version = ssl.DER_cert_to_PEM_cert(certificates.of_no_version(certificates.der())).encode()
    for certificate in (b"certificate", of_no_version):
        with pytest.raises(KeyUnusable, match="certificate is not"):
            rules.check_key_pair(b"key", certificate)
    with pytest.raises(KeyUnusable, match="certificate is not"):
        rules.fingerprint("nothing")
