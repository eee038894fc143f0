"""Settings of profiles in words: their labels, the notes beside them, and their values. Pure."""

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from bot.backend.port import BackendTexts
from bot.backend.profile import (
    Authentication,
    Pairing,
    Platform,
    ProfilePlatform,
    ProfileSettings,
    SetupScreen,
)
from bot.profiles import rules
from bot.profiles.errors import CertificateWrong
from bot.profiles.facts import ContentFacts, Difference, HostCertificate

LABELS: Mapping[str, str] = {
    "token": "Token",
    "name": "Name",
    "description": "Description",
    "platform": "Platform",
    "user_affinity": "User affinity",
    "authentication": "Authentication method",
    "install_company_portal": "Install Company Portal",
    "content_token": "Install with VPP",
    "single_app_mode": "Run Company Portal in Single App Mode until authentication",
    "supervised": "Supervised",
    "locked": "Locked enrollment",
    "pairing": "Sync with computers",
    "host_certificates": "Certificates of computers",
    "device_name_template": "Device name template",
    "mdm_url": "MDM server URL",
    "department": "Department",
    "department_phone": "Department phone",
    "hidden_screens": "Hidden screens",
    "web_url": "Enrolment web URL",
    "anchor_certificates": "Anchor certificates",
    "org_magic": "Organisation magic",
    "language": "Language",
    "region": "Region",
    "support_email": "Support e-mail",
    "mandatory": "Mandatory",
    "await_configuration": "Await configuration",
    "auto_advance": "Auto advance",
    "shared_ipad": "Shared iPad",
    "return_to_service": "Return to service",
    "no_profile_from_backup": "No profile from backup",
}

NOTES: Mapping[str, str] = {
    "name": "For administrators only. After a rename, groups by the old name don't match new devices.",
    "description": "For administrators only.",
    "platform": "Decides which settings and screens are offered.",
    "user_affinity": (
        "Without: for devices that have no one user; Company Portal does not work on them. With: each"
        " person needs a licence of the MDM service. A device enrollment manager account cannot enroll them."
    ),
    "authentication": (
        "Legacy: no multi-factor sign-in, no forced first password change, no expired-password reset; with"
        " ADFS it needs the WS-Trust 1.3 username/mixed endpoint. The other two can do these."
    ),
    "install_company_portal": (
        "Enrollment must be finished within 24 hours of its download, else the device has to be erased."
        " The App Store version does not work here; don't also deploy it as a required app to users. Also"
        " needed where Conditional Access or company apps are used. Devices already enrolled don't get it"
        " from a profile."
    ),
    "content_token": (
        "The content token that Company Portal's licences come from. Its location needs the app, with device"
        " licences left, and the content token must not expire: else new devices stop there."
    ),
    "single_app_mode": (
        "iOS 11.3.1 and later show only Company Portal until somebody signs in. A second factor has to be on"
        " another device; with no licence left the device stays locked."
    ),
    "supervised": (
        "iOS and iPadOS 13 and later are supervised whatever is chosen. People see on the lock screen and in"
        " Settings, About, that the device is managed. Activation Lock is off by default."
    ),
    "locked": (
        "The management profile cannot be removed in Settings. Devices already set up keep what they have"
        " until they are erased."
    ),
    "pairing": "iOS 13 and later treat this as deprecated.",
    "host_certificates": "A .cer or .pem file for each computer, at most 10. Never a private key.",
    "device_name_template": (
        "Such as {{DEVICETYPE}}-{{SERIAL}}. Applied at enrollment and at every check-in: a name that a person"
        " sets is overwritten."
    ),
    "mdm_url": "The https:// address where devices enroll.",
    "department": "Shown under About Configuration during activation.",
    "department_phone": "Shown under Need help during activation.",
    "hidden_screens": (
        "What is hidden can still be set later in Settings. Devices that nothing else protects always ask for"
        " a passcode."
    ),
    "web_url": "A page to sign in on, in place of the enrollment at the MDM server URL.",
    "anchor_certificates": "Trusted for the MDM server URL in place of the built-in roots; at most 10.",
    "org_magic": "Tells the MDM server whose profile it is. Leave it empty to use the token's own.",
    "language": "For automatic set-up, ISO 639, such as en.",
    "region": "For automatic set-up, ISO 3166-1, such as GB.",
    "support_email": "For people who need help.",
}

FLAG_NOTES: Mapping[str, str] = {
    "mandatory": "the enrollment cannot be skipped; always so from iOS 13 on",
    "await_configuration": "waits in Setup Assistant for the MDM server",
    "auto_advance": "goes through Setup Assistant by itself",
    "shared_ipad": "several people, each with their own data",
    "return_to_service": "enrolls again by itself after an erase (26 and later)",
    "no_profile_from_backup": "a restored backup brings no profile (26 and later)",
}

PLATFORMS: Mapping[ProfilePlatform, str] = {
    ProfilePlatform.IOS: "iOS and iPadOS",
    ProfilePlatform.MACOS: "macOS",
    ProfilePlatform.TVOS: "tvOS",
    ProfilePlatform.ANY: "Any",
}
AFFINITIES: Mapping[bool, str] = {True: "Enroll with user affinity", False: "Enroll without user affinity"}
AUTHENTICATIONS: Mapping[Authentication, str] = {
    Authentication.COMPANY_PORTAL: "Company Portal",
    Authentication.SETUP_ASSISTANT_LEGACY: "Setup Assistant (legacy)",
    Authentication.SETUP_ASSISTANT_MODERN: "Setup Assistant with modern authentication",
}
_SHORT_PLATFORMS = {
    Platform.IOS: "iOS",
    Platform.MACOS: "macOS",
    Platform.TVOS: "tvOS",
    Platform.VISIONOS: "visionOS",
}
_PLATFORM_NAMES = {
    Platform.IOS: "iOS and iPadOS",
    Platform.MACOS: "macOS",
    Platform.TVOS: "tvOS",
    Platform.VISIONOS: "visionOS",
    Platform.OTHER: "others",
}
#: What only the MDM server reads, from this bot.
FOR_MDM_SERVER = (
    *("name", "description", "platform"),
    *("user_affinity", "authentication", "install_company_portal"),
    *("content_token", "single_app_mode", "device_name_template"),
)
SENT = tuple(name for name in rules.STEP_OF if name not in (*FOR_MDM_SERVER, "token"))


def named(settings: ProfileSettings, content: Mapping[str, ContentFacts]) -> ProfileSettings:
    """Return settings as they are shown: with the content token by its name."""
    if settings.content_token is None:
        return settings
    found = content.get(settings.content_token)
    title = found.title if found else "one that is not here any more"
    return msgspec.structs.replace(settings, content_token=title)


def platforms_in_words(platforms: Collection[Platform]) -> str:
    """Return platforms as people list them."""
    if set(platforms) == set(Platform):
        return "all platforms"
    return ", ".join(name for platform, name in _PLATFORM_NAMES.items() if platform in platforms)


def pairings(texts: BackendTexts) -> dict[Pairing, str]:
    return {
        Pairing.ALL: "Allow all",
        Pairing.NONE: "Deny all",
        Pairing.CERTIFICATES: f"Allow {texts.configurator} by certificate",
    }


def describe(screen: SetupScreen) -> str:
    """Return what a screen asks, who knows it, and whether it is still shown; at most 75 characters."""
    known_by = ", ".join(_SHORT_PLATFORMS[platform] for platform in screen.since)
    until = f" · deprecated: {screen.until}" if screen.until else ""
    still = " · may still show" if screen.may_still_show else ""
    return f"{screen.asks} · {known_by}{until}{still}"


def groups(
    platform: ProfilePlatform, screens: Sequence[SetupScreen]
) -> list[tuple[str, str, list[SetupScreen]]]:
    """Return the screens that a platform offers, in groups with a key and a label: the usual ones first."""
    offered = rules.screens_for(platform, screens)
    found = [("usual", LABELS["hidden_screens"], [screen for screen in offered if screen.is_usual])]
    rest = [screen for screen in offered if not screen.is_usual]
    labels = {
        Platform.IOS: "Hidden screens, more of iPhone and iPad",
        Platform.MACOS: "Hidden screens, more of Mac",
        Platform.TVOS: "Hidden screens, more of TV",
        Platform.VISIONOS: "Hidden screens, more of Vision",
    }
    for each, label in labels.items():
        if not platform.includes(each):
            continue
        of_it = [screen for screen in rest if each in screen.since]
        rest = [screen for screen in rest if each not in screen.since]
        if of_it:
            found.append((each.value, label, of_it))
    return [group for group in found if group[2]]


def value_in_words(
    setting: str, settings: ProfileSettings, *, texts: BackendTexts, screens: Sequence[SetupScreen]
) -> str:
    """Return the value of a setting as plain text, empty where there is none."""
    value = getattr(settings, setting)
    if setting == "user_affinity":
        return AFFINITIES[bool(value)]
    if setting == "authentication":
        return AUTHENTICATIONS[value] if value else ""
    if setting == "pairing":
        return pairings(texts)[value]
    if setting == "platform":
        return PLATFORMS[value]
    if setting in ("host_certificates", "anchor_certificates"):
        return "; ".join(certificate_in_words(text) for text in value)
    if setting == "hidden_screens":
        return _hidden(settings, screens)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value else ""


def _hidden(settings: ProfileSettings, screens: Sequence[SetupScreen]) -> str:
    """Name the screens that are hidden, or those that are not where they are fewer."""
    hidden = settings.hidden_screens
    if not hidden:
        return "none, all are shown"
    titles = {screen.key: screen.title for screen in screens}
    offered = rules.screens_for(settings.platform, screens)
    shown = [screen.title for screen in offered if screen.key not in hidden]
    known = {screen.key for screen in offered}
    if known.issuperset(hidden) and len(shown) < len(hidden):
        return f"all {len(hidden)}" if not shown else f"{len(hidden)}, all but {', '.join(shown)}"
    return f"{len(hidden)}: {', '.join(titles.get(key, key) for key in hidden)}"


def certificate_in_words(text: str) -> str:
    try:
        shown = rules.certificate(text)
    except CertificateWrong:
        return f"a certificate that cannot be read ({_digest(text)})"
    return f"{shown.subject}, until {day(shown.expires_at)}, {shown.fingerprint}"


def certificates(texts: Sequence[str]) -> list[HostCertificate | str]:
    """Return certificates as they are shown; a text where one cannot be read."""
    shown: list[HostCertificate | str] = []
    for position, text in enumerate(texts):
        try:
            shown.append(rules.certificate(text, position))
        except CertificateWrong as error:
            shown.append(str(error))
    return shown


def day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def differences(
    before: ProfileSettings, after: ProfileSettings, *, texts: BackendTexts, screens: Sequence[SetupScreen]
) -> list[Difference]:
    """Return what differs between two versions, in words."""
    found = []
    for setting in rules.differing(before, after):
        if setting == "hidden_screens":
            found.append(_screens_differ(before, after, screens))
            continue
        old = value_in_words(setting, before, texts=texts, screens=screens) or "none"
        new = value_in_words(setting, after, texts=texts, screens=screens) or "none"
        found.append(Difference(LABELS[setting], old, new))
    return found


def _screens_differ(
    before: ProfileSettings, after: ProfileSettings, screens: Sequence[SetupScreen]
) -> Difference:
    titles = {screen.key: screen.title for screen in screens}
    shown_now = [titles.get(key, key) for key in before.hidden_screens if key not in after.hidden_screens]
    hidden_now = [titles.get(key, key) for key in after.hidden_screens if key not in before.hidden_screens]
    parts = [f"now hidden: {', '.join(hidden_now)}"] if hidden_now else []
    parts += [f"now shown: {', '.join(shown_now)}"] if shown_now else []
    return Difference(
        LABELS["hidden_screens"],
        f"{len(before.hidden_screens)} hidden",
        "; ".join(parts) or "in another order",
    )


def sample_name(template: str, platform: ProfilePlatform) -> str:
    """Return a device's name as the template makes it."""
    kinds = {ProfilePlatform.MACOS: "Mac", ProfilePlatform.TVOS: "TV"}
    return rules.device_name(template, serial="F9FXK123Q1GC", kind=kinds.get(platform, "iPad"))


def _digest(text: str) -> str:
    try:
        return hashlib.sha256(base64.b64decode(text)).hexdigest()[:8]
    except (ValueError, binascii.Error):
        return "not base64"
