"""What holds for the settings of a profile: three tables, over all settings."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.profile import Authentication, Pairing, ProfilePlatform, ProfileSettings
from bot.profiles import rules, wording
from bot.profiles.errors import CertificateWrong
from bot.profiles.facts import Step
from tests.fakes import certificates
from tests.fakes.backend import TEXTS

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
IOS, MACOS, TVOS, ANY = ProfilePlatform
PORTAL, LEGACY, MODERN = Authentication
EXPIRED = certificates.kept("Old", until=NOW - timedelta(days=1))
COMPUTER = certificates.kept()
NEEDS_LETTER = "Give a code of two"


def filled(**changes: Any) -> ProfileSettings:
    return ProfileSettings(**{"name": "Sales iPad", **changes})


def faults(*, token_mdm_url: str | None = "https://mdm.example.com/enroll", **changes: Any) -> dict[str, str]:
    found = rules.faults(
        filled(**changes), token_mdm_url=token_mdm_url, now=NOW, configurator="Apple Configurator"
    )
    return {fault.setting: fault.text for fault in found}


class Rule(NamedTuple):
    """With these settings and everything else as usual, `setting` is refused in these words, or taken."""

    setting: str
    given: dict[str, Any]
    says: str | None


TAKEN = None
RULES = [
    # Name: 1 to 125 characters, one line, no slash, which stands between a token and a profile.
    Rule("name", {"name": "a"}, TAKEN),
    Rule("name", {"name": "é" * 125}, TAKEN),
    Rule("name", {"name": "<!channel> `*_~ 🙂 مرحبا"}, TAKEN),
    Rule("name", {"name": ""}, "Give the profile a name."),
    Rule("name", {"name": "  \u3000"}, "Give the profile a name."),
    Rule("name", {"name": "\u200b\u200d\ufeff"}, "Give the profile a name."),
    Rule("name", {"name": "a" * 126}, "126 characters; 125 is the most"),
    *(
        Rule("name", {"name": f"Sales{char}iPad"}, "no / and no control characters")
        for char in ("/", "\n", "\t", "\x00", "\x7f", "\x9f", "\u2028", "\ud800")
    ),
    Rule("description", {"description": "For the shops\nof Lyon" + "!" * 478}, TAKEN),
    Rule("description", {"description": "!" * 501}, "501 of 500 characters"),
    # Sign-in: only with user affinity, and needed with it.
    Rule("authentication", {"user_affinity": True}, "Choose how people sign in"),
    *(
        Rule("authentication", {"user_affinity": True, "authentication": way}, TAKEN)
        for way in Authentication
    ),
    Rule("authentication", {"user_affinity": False}, TAKEN),
    Rule("authentication", {"user_affinity": False, "authentication": MODERN}, TAKEN),
    Rule("authentication", {"user_affinity": True, "platform": TVOS}, TAKEN),
    # Locked enrollment needs supervision.
    Rule("locked", {"locked": True, "supervised": True}, TAKEN),
    Rule("locked", {"locked": True, "supervised": False}, "needs supervised devices"),
    Rule("supervised", {"supervised": False}, TAKEN),
    # Pairing by certificate needs a certificate that is read and still valid.
    Rule(
        "host_certificates",
        {"pairing": Pairing.CERTIFICATES},
        "at least one computer with Apple Configurator",
    ),
    Rule("host_certificates", {"pairing": Pairing.CERTIFICATES, "host_certificates": (COMPUTER,)}, TAKEN),
    Rule("host_certificates", {"pairing": Pairing.NONE}, TAKEN),
    Rule("host_certificates", {"pairing": Pairing.CERTIFICATES, "platform": MACOS}, TAKEN),
    Rule("host_certificates", {"pairing": Pairing.NONE, "host_certificates": ("no",)}, TAKEN),
    Rule(
        "host_certificates",
        {"pairing": Pairing.CERTIFICATES, "host_certificates": ("no",)},
        "Certificate 1 cannot be read",
    ),
    Rule(
        "host_certificates",
        {"pairing": Pairing.CERTIFICATES, "host_certificates": (COMPUTER, EXPIRED)},
        "The certificate Old has expired",
    ),
    Rule(
        "host_certificates",
        {"pairing": Pairing.CERTIFICATES, "host_certificates": (COMPUTER,) * 11},
        "There are 11 certificates; 10 is the most.",
    ),
    Rule("anchor_certificates", {"anchor_certificates": (COMPUTER,) * 10}, TAKEN),
    Rule("anchor_certificates", {"anchor_certificates": (COMPUTER,) * 11}, "10 is the most"),
    Rule("anchor_certificates", {"anchor_certificates": (EXPIRED,)}, "has expired"),
    # A device's name: two placeholders, 63 characters filled in.
    *(
        Rule("device_name_template", {"device_name_template": template}, TAKEN)
        for template in (
            *("{{SERIAL}}", "{{DEVICETYPE}}-{{SERIAL}}", "{{ SERIAL }}", "Till 7", "{x} iPad"),
            *("{{SERIAL}}" + "!" * 51, "{{DEVICETYPE}}" + "!" * 56),
        )
    ),
    *(
        Rule("device_name_template", {"device_name_template": template}, says)
        for template, says in (
            ("{{NAME}}", "{{NAME}} is not known"),
            ("{{serial}}", "{{serial}} is not known"),
            ("{{}}", "{{}} is not known"),
            ("{{SERIAL", "without its other half"),
            ("SERIAL}}", "without its other half"),
            (" ", "one line of text"),
            ("a\nb", "one line of text"),
            ("{{SERIAL}}" + "!" * 52, "can have 64 characters; 63 is the most"),
            ("{{DEVICETYPE}}" + "!" * 57, "can have 64 characters"),
            ("!" * 64, "can have 64 characters"),
        )
    ),
    # The MDM server: the token's or the profile's own, https.
    Rule("mdm_url", {}, TAKEN),
    Rule("mdm_url", {"token_mdm_url": None}, "the token has none"),
    Rule("mdm_url", {"token_mdm_url": ""}, "the token has none"),
    Rule("mdm_url", {"token_mdm_url": None, "mdm_url": "https://mdm.example.com"}, TAKEN),
    *(
        Rule(setting, {setting: url}, says)
        for setting in ("mdm_url", "web_url")
        for url, says in (
            ("https://mdm.example.com:8443/enroll?a=b%20c&d=(e)", TAKEN),
            ("https://[2001:db8::1]/enroll", TAKEN),
            ("https://m.example/" + "a" * 1982, TAKEN),
            ("https://m.example/" + "a" * 1983, "at most 2,000 characters"),
            *(
                (wrong, "Give an https:// address")
                for wrong in (
                    *("http://mdm.example.com", "mdm.example.com", "https://", "https:///enroll", "ftp://x"),
                    *("HTTPS://mdm.example.com", "https://user:pass@mdm.example.com", "https://m.example/#a"),
                    *("https://m.example/a b", "https://m.example/é", "https://m.example/\n", "https://["),
                    *("https://m.example:99999/", "https://m.example/{{SERIAL}}", "https://m.example/%zz"),
                    *('https://m.example/"', "https://m.example/<x>", " https://m.example"),
                )
            ),
        )
    ),
    # Texts that people see, with Apple's lengths.
    *(
        Rule(setting, {setting: text}, says)
        for setting, most in (("department", 125), ("department_phone", 50), ("org_magic", 256))
        for text, says in (
            ("x", TAKEN),
            ("x" * most, TAKEN),
            (None, TAKEN),
            ("x" * (most + 1), f"has {most + 1} characters; {most} is the most"),
            (" ", "one line of text"),
            ("a\nb", "one line of text"),
            ("a\ud800", "one line of text"),
        )
    ),
    Rule("support_email", {"support_email": "help@example.com"}, TAKEN),
    Rule("support_email", {"support_email": "a@" + "b" * 244 + ".com"}, TAKEN),
    Rule("support_email", {"support_email": "a@" + "b" * 245 + ".com"}, "251 characters; 250 is the most"),
    *(
        Rule("support_email", {"support_email": wrong}, "Give an e-mail address")
        for wrong in ("help", "help@", "@example.com", "help@example", "a b@example.com", "a@b@example.com")
    ),
    # Codes of language and region.
    Rule("language", {"language": "en", "platform": MACOS}, TAKEN),
    Rule("language", {"language": "haw", "platform": TVOS}, TAKEN),
    Rule("language", {"language": "en", "platform": ANY}, TAKEN),
    *(
        Rule("language", {"language": wrong, "platform": MACOS}, NEEDS_LETTER)
        for wrong in ("EN", "e", "engl", "en-GB", "e1", "en\n")
    ),
    Rule("region", {"region": "GB", "platform": MACOS}, TAKEN),
    *(
        Rule("region", {"region": wrong, "platform": TVOS}, NEEDS_LETTER)
        for wrong in ("gb", "G", "GBR", "G1", "GB\n")
    ),
    # What the platform does not have is not looked at.
    Rule("language", {"language": "wrong", "platform": IOS}, TAKEN),
    Rule("region", {"region": "wrong", "platform": IOS}, TAKEN),
    Rule("device_name_template", {"device_name_template": "{{wrong}}", "platform": MACOS}, TAKEN),
]


@pytest.mark.parametrize("setting", sorted({rule.setting for rule in RULES}))
def test_a_setting_is_taken_or_refused(setting: str) -> None:
    wrong = []
    for rule in RULES:
        if rule.setting != setting:
            continue
        found = faults(**rule.given)
        is_right = (
            found == {} if rule.says is None else list(found) == [setting] and rule.says in found[setting]
        )
        if not is_right:
            wrong.append((rule, found))
    assert wrong == []


class Setting(NamedTuple):
    """A value other than the usual one, the platforms that have the setting, and what it goes with."""

    value: Any
    platforms: set[ProfilePlatform]
    step: Step
    needs: dict[str, Any] = {}  # noqa: RUF012 - never changed


WITH_PORTAL = {"user_affinity": True, "install_company_portal": True}
EVERYWHERE = {IOS, MACOS, TVOS, ANY}
SETTINGS: dict[str, Setting] = {
    "name": Setting("Sales Mac", EVERYWHERE, Step.BASICS),
    "description": Setting("For the shops", EVERYWHERE, Step.BASICS),
    "platform": Setting(ANY, EVERYWHERE, Step.BASICS),
    "user_affinity": Setting(True, {IOS, MACOS, ANY}, Step.MANAGEMENT),
    "authentication": Setting(MODERN, {IOS, MACOS, ANY}, Step.MANAGEMENT, {"user_affinity": True}),
    "install_company_portal": Setting(True, {IOS, ANY}, Step.MANAGEMENT, {"user_affinity": True}),
    "content_token": Setting("hq-id", {IOS, ANY}, Step.MANAGEMENT, WITH_PORTAL),
    "single_app_mode": Setting(True, {IOS, ANY}, Step.MANAGEMENT, {**WITH_PORTAL, "content_token": "hq-id"}),
    "device_name_template": Setting("{{SERIAL}}", {IOS, TVOS, ANY}, Step.MANAGEMENT),
    "supervised": Setting(False, EVERYWHERE, Step.MANAGEMENT),
    "locked": Setting(True, EVERYWHERE, Step.MANAGEMENT),
    "pairing": Setting(Pairing.NONE, {IOS, ANY}, Step.MANAGEMENT),
    "host_certificates": Setting((COMPUTER,), {IOS, ANY}, Step.MANAGEMENT, {"pairing": Pairing.CERTIFICATES}),
    "department": Setting("IT", EVERYWHERE, Step.SCREENS),
    "department_phone": Setting("+33 1", EVERYWHERE, Step.SCREENS),
    "mdm_url": Setting("https://mdm.example.com", EVERYWHERE, Step.MANAGEMENT),
    "web_url": Setting("https://mdm.example.com", EVERYWHERE, Step.ADVANCED),
    "anchor_certificates": Setting((COMPUTER,), EVERYWHERE, Step.ADVANCED),
    "org_magic": Setting("913FABBB", EVERYWHERE, Step.ADVANCED),
    "language": Setting("fr", {MACOS, TVOS, ANY}, Step.ADVANCED),
    "region": Setting("FR", {MACOS, TVOS, ANY}, Step.ADVANCED),
    "support_email": Setting("help@example.com", EVERYWHERE, Step.ADVANCED),
    "mandatory": Setting(True, EVERYWHERE, Step.ADVANCED),
    "await_configuration": Setting(True, EVERYWHERE, Step.ADVANCED),
    "auto_advance": Setting(True, {MACOS, TVOS, ANY}, Step.ADVANCED),
    "shared_ipad": Setting(True, {IOS, ANY}, Step.ADVANCED),
    "return_to_service": Setting(True, {IOS, ANY}, Step.ADVANCED),
    "no_profile_from_backup": Setting(True, {IOS, ANY}, Step.ADVANCED),
    "hidden_screens": Setting(("Siri",), EVERYWHERE, Step.SCREENS),
}


def test_every_setting_stands_in_the_table_and_everywhere_a_new_one_has_to_be_said() -> None:
    every = set(ProfileSettings.__struct_fields__)
    assert set(SETTINGS) == every
    assert {name: rules.STEP_OF[name] for name in every} == {name: its.step for name, its in SETTINGS.items()}
    assert set(rules.STEP_OF) == every | {"token"}
    assert set(wording.LABELS) == every | {"token"}
    assert {*wording.FOR_MDM_SERVER, *wording.SENT} == every
    plain = ProfileSettings()
    assert [name for name, its in SETTINGS.items() if its.value == getattr(plain, name)] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_holds_on_the_platforms_that_have_it_and_is_told_to_be_left_out_elsewhere(
    name: str,
) -> None:
    its = SETTINGS[name]
    for platform in ProfilePlatform:
        given = filled(**{"platform": platform, **its.needs, name: its.value})
        is_kept = platform in its.platforms
        held = rules.effective(given)
        assert rules.is_offered(name, platform) is is_kept
        assert getattr(held, name) == (its.value if is_kept else getattr(ProfileSettings(), name))
        assert (name in rules.left_out(given)) is not is_kept
        assert rules.effective(held) == held
        assert rules.left_out(held) == []


@pytest.mark.parametrize(
    ("given", "held"),
    [
        # Company Portal as sign-in has it installed; without affinity there is neither.
        (
            {"user_affinity": True, "authentication": PORTAL},
            {"authentication": PORTAL, "install_company_portal": True},
        ),
        (
            {"user_affinity": True, "authentication": PORTAL, "platform": MACOS},
            {"authentication": PORTAL, "install_company_portal": False},
        ),
        (
            {"user_affinity": False, "authentication": PORTAL, "install_company_portal": True},
            {"authentication": None, "install_company_portal": False},
        ),
        (
            {"user_affinity": True, "authentication": LEGACY, "install_company_portal": True},
            {"authentication": LEGACY, "install_company_portal": True},
        ),
        # A content token is for Company Portal, and Single App Mode for who has one.
        (
            {"user_affinity": True, "content_token": "hq-id", "single_app_mode": True},
            {"content_token": None, "single_app_mode": False},
        ),
        (
            {"user_affinity": True, "authentication": PORTAL, "single_app_mode": True},
            {"single_app_mode": False},
        ),
        # Certificates go along only where they decide.
        (
            {"pairing": Pairing.ALL, "host_certificates": (COMPUTER,)},
            {"pairing": Pairing.ALL, "host_certificates": ()},
        ),
    ],
)
def test_what_goes_together(given: dict[str, Any], held: dict[str, Any]) -> None:
    effective = rules.effective(filled(**given))
    assert {name: getattr(effective, name) for name in held} == held
    told = {name for name in given if held.get(name, given[name]) != given[name]}
    assert set(rules.left_out(filled(**given))) == told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"supervised": False, "platform": TVOS}, None),
        ({"supervised": False, "platform": MACOS, "await_configuration": True}, None),
        ({"supervised": False}, "From iOS and iPadOS 13 on"),
        ({"supervised": False, "platform": ANY}, "From iOS and iPadOS 13 on"),
        ({"supervised": False, "await_configuration": True}, "do not wait until they are configured"),
        (
            {"supervised": False, "pairing": Pairing.CERTIFICATES, "host_certificates": (COMPUTER,)},
            "pass over the certificates",
        ),
        ({"hidden_screens": ("Siri", "Passcode")}, None),
        ({"hidden_screens": ("Siri", "WiFi")}, "not known here and are sent as they are: WiFi."),
        ({"hidden_screens": ("FileVault", "Siri")}, "hide nothing: FileVault."),
        ({"hidden_screens": ("FileVault", "TVRoom"), "platform": ANY}, None),
    ],
)
def test_what_may_surprise_is_said(given: dict[str, Any], said: str | None) -> None:
    found = rules.warnings(filled(**given), APPLE_SCREENS)
    assert found == [] if said is None else any(said in warning for warning in found)


def test_the_spaces_around_a_name_are_not_sent_and_not_told() -> None:
    padded = filled(name=" \u00a0Sales iPad  ")
    assert rules.effective(padded).name == "Sales iPad"
    assert rules.left_out(padded) == []


def test_faults_come_in_the_order_of_the_wizard() -> None:
    found = list(
        faults(token_mdm_url=None, name="", support_email="x", department=" ", locked=True, supervised=False)
    )
    assert found == ["name", "locked", "mdm_url", "department", "support_email"]


def test_a_kiosk_hides_all_but_what_its_place_asks_for() -> None:
    for platform in ProfilePlatform:
        every = set(rules.hides_all(filled(platform=platform), APPLE_SCREENS))
        kiosk = set(rules.hides_for_kiosk(filled(platform=platform), APPLE_SCREENS))
        kept = {"Location", "SoftwareUpdate", "SIMSetup", "FileVault", "TapToSetup", "TVRoom"}
        assert every - kiosk == kept & every
        assert {screen.key for screen in APPLE_SCREENS if screen.is_for(platform)} == every


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Sales iPad", "  sales IPAD ", True),
        ("Straße", "STRASSE", True),
        ("İstanbul", "i̇STANBUL", True),
        ("Café", "Cafe\u0301", True),
        ("ΣΟΦΟΣ", "σοφος", True),
        ("Sales iPad", "\u202aSales\u200b iPad\u200f ", True),
        ("Sales iPad", "Salesi Pad", False),
        ("Istanbul", "İstanbul", False),
    ],
)
def test_names_are_the_same_whatever_the_case_and_the_form_of_accents(
    one: str, other: str, same: bool
) -> None:
    assert (rules.name_key(one) == rules.name_key(other)) is same


def test_the_longest_name_fits_into_its_column_whatever_its_letters() -> None:
    for char in ("ΐ", "ﬃ", "İ", "ß", "\ufb2c", "é"):
        assert len(rules.name_key(char * 125)) <= 400


# Certificates


def read(content: bytes) -> list[str]:
    return rules.read_certificates(content, now=NOW)


def test_a_certificate_is_read_as_pem_and_as_der_and_several_from_one_file() -> None:
    one, two = certificates.kept("One"), certificates.kept("Two")
    assert read(certificates.pem("One")) == [one]
    assert read(certificates.der("One")) == [one]
    noted = (
        b"subject=One\r\n"
        + certificates.pem("One").replace(b"\n", b"\r\n")
        + b"\n\n"
        + certificates.pem("Two")
    )
    assert read(noted) == [one, two]
    assert read(certificates.pem("One").replace(b"CERTIFICATE", b"X509 CERTIFICATE")) == [one]


@pytest.mark.parametrize(
    "content",
    [
        certificates.private_key_pem(PrivateFormat.PKCS8),
        certificates.private_key_pem(PrivateFormat.PKCS8, b"secret"),
        certificates.private_key_pem(PrivateFormat.TraditionalOpenSSL),
        certificates.private_key_pem(PrivateFormat.OpenSSH),
        certificates.pem() + certificates.private_key_pem(PrivateFormat.PKCS8),
        certificates.private_key_pem(PrivateFormat.TraditionalOpenSSL) + certificates.pem(),
        # Its end was cut off.
        certificates.pem() + certificates.private_key_pem(PrivateFormat.PKCS8)[:90],
    ],
    ids=["pkcs8", "pkcs8 encrypted", "sec1", "openssh", "after it", "before it", "cut off"],
)
def test_a_private_key_is_refused_and_nothing_of_it_is_repeated(content: bytes) -> None:
    with pytest.raises(CertificateWrong, match="private key") as refused:
        read(content)
    assert not re.search(r"[A-Za-z0-9+/]{30}", str(refused.value))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty."),
        (b" \r\n", "The file is empty."),
        (b"PK\x03\x04 a picture", "no certificate that can be read"),
        ("Ünlesbar".encode("utf-16"), "no certificate that can be read"),
        (certificates.der()[:-1], "no certificate that can be read"),
        (certificates.of_no_version(certificates.der()), "no certificate that can be read"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "no certificate that can be read",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n",
            "no certificate that can be read",
        ),
        (certificates.pem("Old", until=NOW), "The certificate Old expired on 01 May 2026"),
        (certificates.pem() + certificates.pem("Old", until=NOW), "The certificate Old expired"),
    ],
    ids=[
        "empty",
        "blank",
        "zip",
        "text",
        "cut off",
        "no version",
        "no DER",
        "no base64",
        "expired",
        "second expired",
    ],
)
def test_a_file_without_a_valid_certificate_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(CertificateWrong, match=re.escape(says)) as refused:
        read(content)
    assert refused.value.next_step


def test_a_certificate_is_shown_by_subject_expiry_and_fingerprint() -> None:
    shown = rules.certificate(certificates.kept("Packing room"), 3)
    assert (shown.position, shown.subject, shown.expires_at) == (3, "Packing room", certificates.UNTIL)
    assert re.fullmatch(r"([0-9A-F]{2}:){7}[0-9A-F]{2}…", shown.fingerprint)
    assert rules.certificate(certificates.kept(None, unit="Shops")).subject == "OU=Shops"
    assert rules.certificate(certificates.kept(None)).subject == "without a name"
    for wrong in ("", "no base64!", "AAAA"):
        with pytest.raises(CertificateWrong):
            rules.certificate(wrong)


def test_what_differs_is_named_setting_by_setting() -> None:
    for name, its in SETTINGS.items():
        changed = msgspec.structs.replace(filled(), **{name: its.value})
        assert rules.differing(filled(), changed) == [name]
        (told,) = wording.differences(filled(), changed, texts=TEXTS, screens=APPLE_SCREENS)
        assert told.label == wording.LABELS[name]
        assert told.before != told.after
