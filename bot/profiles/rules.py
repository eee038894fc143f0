"""What holds for profiles: names, every setting, what goes together, and what differs. Pure."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from bot.backend.profile import (
    Authentication,
    Pairing,
    Platform,
    ProfilePlatform,
    ProfileSettings,
    SetupScreen,
)
from bot.kit.certificates import UNREADABLE
from bot.profiles.errors import CertificateWrong
from bot.profiles.facts import ContentFacts, Fault, HostCertificate, Step

MAX_NAME = 125
MAX_DESCRIPTION = 500
MAX_CERTIFICATES = 10
MAX_DEVICE_NAME = 63
#: What a device's serial number and kind are at most, to measure a template by.
LONGEST = {"SERIAL": "XXXXXXXXXXXX", "DEVICETYPE": "XXXXXXX"}

#: Also half a surrogate pair, which JSON can write and nobody can send or store.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: Marks that screens do not show or commands do not keep; those that join emoji are not among them.
_NO_WIDTH = re.compile(r"[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_LONGEST_TEXTS = {"department": 125, "department_phone": 50, "support_email": 250, "org_magic": 256}
_IN_WORDS = {
    "department": "The department",
    "department_phone": "The phone number",
    "support_email": "The support e-mail address",
    "org_magic": "The organisation's magic",
}
_MAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]+\.[^@\s<>\".]{2,}")
#: The characters of RFC 3986 without a fragment; what else there is has to be percent-encoded.
_URL = re.compile(r"https://(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)

#: Settings that not every platform has; the others are for all.
_ONLY_ON: Mapping[str, frozenset[ProfilePlatform]] = {
    "language": frozenset({ProfilePlatform.MACOS, ProfilePlatform.TVOS}),
    "region": frozenset({ProfilePlatform.MACOS, ProfilePlatform.TVOS}),
    "auto_advance": frozenset({ProfilePlatform.MACOS, ProfilePlatform.TVOS}),
    "shared_ipad": frozenset({ProfilePlatform.IOS}),
    "return_to_service": frozenset({ProfilePlatform.IOS}),
    "no_profile_from_backup": frozenset({ProfilePlatform.IOS}),
    "pairing": frozenset({ProfilePlatform.IOS}),
    "host_certificates": frozenset({ProfilePlatform.IOS}),
    "authentication": frozenset({ProfilePlatform.IOS, ProfilePlatform.MACOS}),
    "user_affinity": frozenset({ProfilePlatform.IOS, ProfilePlatform.MACOS}),
    "install_company_portal": frozenset({ProfilePlatform.IOS}),
    "content_token": frozenset({ProfilePlatform.IOS}),
    "single_app_mode": frozenset({ProfilePlatform.IOS}),
    "device_name_template": frozenset({ProfilePlatform.IOS, ProfilePlatform.TVOS}),
}

#: In which step of the wizard each setting is filled in; `token` stands for the choice of one.
STEP_OF: Mapping[str, Step] = {
    **dict.fromkeys(("token", "name", "description", "platform"), Step.BASICS),
    **dict.fromkeys(
        (
            *("user_affinity", "authentication", "install_company_portal"),
            *("content_token", "single_app_mode", "supervised", "locked"),
            *("pairing", "host_certificates", "device_name_template", "mdm_url"),
        ),
        Step.MANAGEMENT,
    ),
    **dict.fromkeys(("department", "department_phone", "hidden_screens"), Step.SCREENS),
    **dict.fromkeys(
        (
            *("web_url", "anchor_certificates", "org_magic", "language", "region", "support_email"),
            *("mandatory", "await_configuration", "auto_advance", "shared_ipad", "return_to_service"),
            "no_profile_from_backup",
        ),
        Step.ADVANCED,
    ),
}


def name_key(name: str) -> str:
    """Return what makes two names the same: case, the form of accents and what has no width are passed over.

    Space is told apart.
    """
    seen = _NO_WIDTH.sub("", name).strip()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", seen).casefold())


def is_offered(setting: str, platform: ProfilePlatform) -> bool:
    """Say whether a setting is offered to profiles of a platform."""
    return platform is ProfilePlatform.ANY or platform in _ONLY_ON.get(setting, {platform})


def digest(certificate_text: str) -> str:
    """Return what names a certificate (base64 DER) in a button, whether it can be read or not."""
    return hashlib.sha256(certificate_text.encode()).hexdigest()[:32]


def effective(settings: ProfileSettings, screens: Sequence[SetupScreen] = ()) -> ProfileSettings:
    """Return the settings as they hold: without what the platform or the other settings rule out.

    With `screens` also without hidden ones that only other platforms have.

    Company Portal as sign-in has it installed. What is not offered has its default.
    """
    plain = ProfileSettings()
    reset = {name: getattr(plain, name) for name in STEP_OF if not _is_kept(name, settings)}
    held = msgspec.structs.replace(settings, **{"name": settings.name.strip(), **reset})
    foreign = {screen.key for screen in screens if not screen.is_for(held.platform)}
    hidden = tuple(key for key in held.hidden_screens if key not in foreign)
    held = msgspec.structs.replace(held, hidden_screens=hidden)
    if held.authentication is Authentication.COMPANY_PORTAL and is_offered(
        "install_company_portal", held.platform
    ):
        held = msgspec.structs.replace(held, install_company_portal=True)
    return held


def _is_kept(name: str, settings: ProfileSettings) -> bool:
    if name == "token" or not is_offered(name, settings.platform):
        return name == "token"
    if name in ("authentication", "install_company_portal"):
        return settings.user_affinity
    if name in ("content_token", "single_app_mode"):
        return _installs_company_portal(settings) and settings.content_token is not None
    if name == "host_certificates":
        return settings.pairing is Pairing.CERTIFICATES
    return True


def _installs_company_portal(settings: ProfileSettings) -> bool:
    by_sign_in = settings.authentication is Authentication.COMPANY_PORTAL
    return settings.user_affinity and (by_sign_in or settings.install_company_portal)


def faults(
    settings: ProfileSettings, *, token_mdm_url: str | None, now: datetime, configurator: str
) -> list[Fault]:
    """Return what is wrong with the settings, in the order of the wizard."""
    held = effective(settings)
    found = [
        *_name_faults(held),
        *_management_faults(held, token_mdm_url=token_mdm_url, configurator=configurator),
        *_text_faults(held),
        *_locale_faults(held),
        *_certificate_faults(held, now),
    ]
    order = list(STEP_OF)
    return sorted(found, key=lambda fault: order.index(fault.setting))


def _name_faults(held: ProfileSettings) -> list[Fault]:
    found = []
    why = why_not_a_name(held.name)
    if why:
        found.append(Fault("name", why))
    if held.description and len(held.description) > MAX_DESCRIPTION:
        found.append(
            Fault(
                "description",
                f"The description has {len(held.description):,} of {MAX_DESCRIPTION} characters.",
            )
        )
    return found


def why_not_a_name(name: str) -> str | None:
    """Say what is wrong with a profile's name, None when nothing is."""
    if _is_blank(name):
        return "Give the profile a name."
    if len(name.strip()) > MAX_NAME:
        return f"The name has {len(name.strip())} characters; {MAX_NAME} is the most."
    if _CONTROL.search(name) or "/" in name:
        return "A name has no / and no control characters. Use another one, such as Sales iPad."
    return None


def _is_blank(text: str) -> bool:
    """Say whether a text shows nothing: only spaces, and marks that have no width."""
    return all(char.isspace() or unicodedata.category(char) == "Cf" for char in text)


def _management_faults(held: ProfileSettings, *, token_mdm_url: str | None, configurator: str) -> list[Fault]:
    found = []
    if held.user_affinity and held.authentication is None:
        found.append(Fault("authentication", "Choose how people sign in, or enroll without user affinity."))
    if held.locked and not held.supervised:
        found.append(
            Fault("locked", "Locked enrollment needs supervised devices: set Supervised, or do not lock it.")
        )
    if held.pairing is Pairing.CERTIFICATES and not held.host_certificates:
        found.append(
            Fault(
                "host_certificates",
                f"Add the certificate of at least one computer with {configurator}, or choose another way.",
            )
        )
    if held.device_name_template is not None:
        why = why_not_a_template(held.device_name_template)
        found += [Fault("device_name_template", why)] if why else []
    if not (held.mdm_url or token_mdm_url):
        found.append(
            Fault("mdm_url", "Give the MDM server's address: the token has none, and devices enroll there.")
        )
    found += _url_faults("mdm_url", held.mdm_url)
    return found


def _url_faults(setting: str, url: str | None) -> list[Fault]:
    if url is None or is_https(url):
        return []
    return [
        Fault(
            setting, "Give an https:// address of at most 2,000 characters, without a user name or # in it."
        )
    ]


def is_https(url: str) -> bool:
    """Say whether a text is an https address, URL-encoded, without a user name or a fragment."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return False
    is_plain = len(url) <= 2000 and bool(_URL.fullmatch(url))
    return is_plain and bool(parts.hostname) and parts.username is None


def why_not_a_template(template: str) -> str | None:
    """Say what is wrong with a device name template, None when nothing is."""
    if _CONTROL.search(template) or _is_blank(template):
        return "A device's name is one line of text."
    odd = [word for word in _PLACEHOLDER.findall(template) if word not in LONGEST]
    left = _PLACEHOLDER.sub("", template)
    if odd or "{{" in left or "}}" in left:
        shown = f"{{{{{odd[0]}}}}} is not known" if odd else "A brace is without its other half"
        return f"{shown}: {{{{SERIAL}}}} and {{{{DEVICETYPE}}}} are the two placeholders."
    length = len(device_name(template, serial=LONGEST["SERIAL"], kind=LONGEST["DEVICETYPE"]))
    if length > MAX_DEVICE_NAME:
        return f"Filled in it can have {length} characters; {MAX_DEVICE_NAME} is the most."
    return None


def device_name(template: str, *, serial: str, kind: str) -> str:
    """Fill in a template."""
    values = {"SERIAL": serial, "DEVICETYPE": kind}
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


def _text_faults(held: ProfileSettings) -> list[Fault]:
    found = []
    for setting, most in _LONGEST_TEXTS.items():
        text = getattr(held, setting)
        if text is None:
            continue
        if len(text) > most:
            found.append(
                Fault(setting, f"{_IN_WORDS[setting]} has {len(text)} characters; {most} is the most.")
            )
        elif _CONTROL.search(text) or _is_blank(text):
            found.append(Fault(setting, f"{_IN_WORDS[setting]} is one line of text."))
    mail = held.support_email
    if mail is not None and len(mail) <= _LONGEST_TEXTS["support_email"] and not _MAIL.fullmatch(mail):
        found.append(Fault("support_email", "Give an e-mail address, such as help@example.com."))
    return [*found, *_url_faults("web_url", held.web_url)]


def _locale_faults(held: ProfileSettings) -> list[Fault]:
    found = []
    if held.language is not None and not re.fullmatch(r"[a-z]{2,3}", held.language):
        found.append(Fault("language", "Give a code of two or three letters from ISO 639, such as en or fr."))
    if held.region is not None and not re.fullmatch(r"[A-Z]{2}", held.region):
        found.append(Fault("region", "Give a code of two letters from ISO 3166-1, such as GB or FR."))
    return found


def _certificate_faults(held: ProfileSettings, now: datetime) -> list[Fault]:
    found = []
    for setting in ("host_certificates", "anchor_certificates"):
        kept = getattr(held, setting)
        if len(kept) > MAX_CERTIFICATES:
            found.append(
                Fault(setting, f"There are {len(kept)} certificates; {MAX_CERTIFICATES} is the most.")
            )
        for position, text in enumerate(kept):
            try:
                shown = certificate(text, position)
            except CertificateWrong as error:
                found.append(Fault(setting, str(error)))
                continue
            if shown.expires_at <= now:
                found.append(
                    Fault(
                        setting, f"The certificate {shown.subject} has expired: remove it, add its successor."
                    )
                )
    return found


def warnings(settings: ProfileSettings, screens: Sequence[SetupScreen]) -> list[str]:
    """Return what is allowed and may surprise, one sentence each."""
    held = effective(settings)
    found = []
    if held.pairing is Pairing.CERTIFICATES and not held.supervised:
        found.append("Devices that are not supervised pass over the certificates of computers.")
    if held.await_configuration and not held.supervised and held.platform is not ProfilePlatform.MACOS:
        found.append("Devices that are not supervised do not wait until they are configured.")
    if not held.supervised and held.platform in (ProfilePlatform.IOS, ProfilePlatform.ANY):
        found.append("From iOS and iPadOS 13 on, devices are supervised all the same.")
    by_key = {screen.key: screen for screen in screens}
    unknown = [key for key in held.hidden_screens if key not in by_key]
    if unknown:
        found.append(f"These screens are not known here and are sent as they are: {', '.join(unknown)}.")
    foreign = [
        by_key[key].title
        for key in held.hidden_screens
        if key in by_key and not by_key[key].is_for(held.platform)
    ]
    if foreign:
        found.append(f"These screens are not of this platform and hide nothing: {', '.join(foreign)}.")
    return found


def content_warnings(settings: ProfileSettings, content: Mapping[str, ContentFacts]) -> list[str]:
    """Return what keeps new devices from getting Company Portal, at most one sentence."""
    held = effective(settings)
    if held.content_token is None:
        return []
    stops = why_portal_stops(content.get(held.content_token))
    if stops is None:
        return []
    why, until = stops
    locked = " In Single App Mode they cannot be used until then." if held.single_app_mode else ""
    return [f"{why}: new devices stop at Company Portal until {until}.{locked}"]


def why_portal_stops(content: ContentFacts | None) -> tuple[str, str] | None:
    """Say why devices get no Company Portal licence from a content token, and until when; None: they do.

    `content` is None for a content token that was removed.
    """
    if content is None:
        return "The content token of this profile is not here any more", "another one is chosen"
    if not content.is_active and content.is_ended:
        return f"Content token {content.name} is {content.state}", "it is renewed"
    if not content.is_active:
        return f"Content token {content.name} could not be checked for days", "it works again"
    if not content.has_portal:
        why = f"Content token {content.name} has no Company Portal app for devices"
        return why, f"location {content.location_name} gets licences of it"
    if content.available == 0:
        return f"Content token {content.name} has no Company Portal licences left", "there are more"
    return None


def left_out(settings: ProfileSettings) -> list[str]:
    """Return the settings that were filled in and do not hold for the platform chosen or the rest."""
    held = effective(settings)
    return [
        name
        for name in STEP_OF
        if name not in ("token", "name")
        and _is_set(name, settings)
        and getattr(held, name) != getattr(settings, name)
    ]


def _is_set(name: str, settings: ProfileSettings) -> bool:
    return bool(getattr(settings, name) != getattr(ProfileSettings(), name))


def screens_for(platform: ProfilePlatform, screens: Sequence[SetupScreen]) -> list[SetupScreen]:
    return [screen for screen in screens if screen.is_for(platform)]


def hides_all(settings: ProfileSettings, screens: Sequence[SetupScreen]) -> tuple[str, ...]:
    return tuple(screen.key for screen in screens_for(settings.platform, screens))


def hides_for_kiosk(settings: ProfileSettings, screens: Sequence[SetupScreen]) -> tuple[str, ...]:
    """Return what a kiosk hides: everything but what its place asks for (network, room, update)."""
    return tuple(screen.key for screen in screens_for(settings.platform, screens) if screen.for_kiosk)


def kind_of_device(family: str | None, platform: Platform | str) -> str:
    """Return what stands for DEVICETYPE: the family as the service says it."""
    by_platform = {"ios": "iPad", "macos": "Mac", "tvos": "TV", "visionos": "Vision"}
    return family or by_platform.get(str(platform), "Device")


def read_certificates(content: bytes, *, now: datetime) -> list[str]:
    """Return the certificates of a file, PEM (one or more) or DER, as base64 DER.

    Raises `CertificateWrong`: no certificate, a private key, or one that has expired.
    """
    if not content.strip():
        raise CertificateWrong("The file is empty.", next_step="Choose a .cer or .pem file.")
    labels = [(found[1], found[2]) for found in _PEM.finditer(content)]
    if any(b"PRIVATE KEY" in label for label, _ in labels) or b"PRIVATE KEY-----" in content:
        raise CertificateWrong(
            "This file has a private key in it, which only its computer should have. Nothing was stored.",
            next_step="Export the certificate alone, as .cer or .pem.",
        )
    blocks = [block for label, block in labels if label in (b"CERTIFICATE", b"X509 CERTIFICATE")]
    try:
        ders = [base64.b64decode(b"".join(block.split())) for block in blocks] or [content]
        read = [x509.load_der_x509_certificate(der) for der in ders]
    except UNREADABLE:
        raise CertificateWrong(
            "This file is no certificate that can be read.",
            next_step="Choose a .cer or .pem file: an X.509 certificate as DER or PEM.",
        ) from None
    for each in read:
        if each.not_valid_after_utc <= now:
            raise CertificateWrong(
                f"The certificate {_subject(each)} expired on {each.not_valid_after_utc:%d %B %Y}.",
                next_step="Choose its successor.",
            )
    return [base64.b64encode(der).decode("ascii") for der in ders]


def certificate(text: str, position: int = 0) -> HostCertificate:
    """Return how a certificate (base64 DER) is shown. Raises `CertificateWrong`."""
    try:
        read = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except UNREADABLE:
        raise CertificateWrong(
            f"Certificate {position + 1} cannot be read.", next_step="Remove it and add it again."
        ) from None
    digest = read.fingerprint(hashes.SHA256()).hex().upper()
    spaced = ":".join(digest[at : at + 2] for at in range(0, 16, 2))
    return HostCertificate(position, _subject(read), read.not_valid_after_utc, f"{spaced}…")


def _subject(read: x509.Certificate) -> str:
    try:
        names = read.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(names[0].value) if names else read.subject.rfc4514_string() or "without a name"
    except ValueError:
        return "whose name cannot be read"


Worded = Callable[[str, ProfileSettings], str]


def differing(before: ProfileSettings, after: ProfileSettings) -> list[str]:
    """Return the names of the settings in which two versions differ, in the order of the wizard."""
    return [name for name in STEP_OF if name != "token" and getattr(before, name) != getattr(after, name)]
