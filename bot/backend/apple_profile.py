"""An enrollment profile in Apple's keys, and what Apple's refusals of one mean.

Source: Apple's "Profile" and "Define a Profile" pages, and the MDM Protocol Reference of 2018: optional
texts that are empty are refused, so they are left out; `is_mdm_removable` may be false only where
`is_supervised` is true.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bot.apple.dep import errors as dep
from bot.backend.port import ProfileRefused
from bot.backend.profile import (
    Pairing,
    ProfileBody,
    ProfilePlatform,
    ProfileSettings,
    ProfileUnreadable,
    ReadProfile,
)

_TEXTS = {
    "profile_name": "name",
    "url": "mdm_url",
    "org_magic": "org_magic",
    "department": "department",
    "support_phone_number": "department_phone",
    "support_email_address": "support_email",
    "configuration_web_url": "web_url",
    "language": "language",
    "region": "region",
}
#: Sent always, so that what a device gets never hangs on a default of Apple's.
_FLAGS = {
    "is_supervised": "supervised",
    "is_mandatory": "mandatory",
    "await_device_configured": "await_configuration",
}
#: Sent where they are true: they belong to some platforms, or to later versions of the protocol.
_RARE_FLAGS = {
    "auto_advance_setup": "auto_advance",
    "is_multi_user": "shared_ipad",
    "is_return_to_service": "return_to_service",
    "do_not_use_profile_from_backup": "no_profile_from_backup",
}
_LISTS = {
    "supervising_host_certs": "host_certificates",
    "anchor_certs": "anchor_certificates",
    "skip_setup_items": "hidden_screens",
}
#: In answers or orders, but no setting of a profile.
_PASSED_OVER = frozenset({"profile_uuid", "devices"})

_SETTING_OF_WORD = {
    "CONFIG_NAME": ("name", "the name"),
    "CONFIG_URL": ("mdm_url", "the MDM server URL"),
    "MAGIC": ("org_magic", "the organisation's magic"),
    "FLAGS": ("locked", "supervision and locked enrollment together"),
    "DEPARTMENT": ("department", "the department"),
    "SUPPORT_PHONE": ("department_phone", "the department phone"),
    "SUPPORT_EMAIL": ("support_email", "the support e-mail address"),
    "LOCALE": ("language", "the language or the region"),
}


def body_of(settings: ProfileSettings, *, mdm_url: str, org_magic: str) -> ProfileBody:
    """Return what is sent to Apple, without devices."""
    body: dict[str, Any] = {key: getattr(settings, name) for key, name in _TEXTS.items()}
    body["url"] = settings.mdm_url or mdm_url
    body["org_magic"] = settings.org_magic or org_magic
    body = {key: text for key, text in body.items() if text}
    body |= {key: getattr(settings, name) for key, name in _FLAGS.items()}
    body["is_mdm_removable"] = not (settings.locked and settings.supervised)
    body["allow_pairing"] = settings.pairing is Pairing.ALL
    body |= {key: True for key, name in _RARE_FLAGS.items() if getattr(settings, name)}
    if settings.pairing is Pairing.CERTIFICATES and settings.host_certificates:
        body["supervising_host_certs"] = list(settings.host_certificates)
    if settings.anchor_certificates:
        body["anchor_certs"] = list(settings.anchor_certificates)
    body["skip_setup_items"] = list(settings.hidden_screens)
    return body


def read_body(body: ProfileBody) -> ReadProfile:
    """Read a profile in Apple's keys, with Apple's defaults for what it leaves out.

    For which platform it is, is not among them. Raises `ProfileUnreadable`.
    """
    known: dict[str, Any] = {"platform": ProfilePlatform.ANY}
    known |= _taken(body, _TEXTS, "a text", lambda value: isinstance(value, str))
    flags = _FLAGS | _RARE_FLAGS | {"is_mdm_removable": "removable", "allow_pairing": "pairs"}
    known |= {
        "supervised": False,
        **_taken(body, flags, "true or false", lambda value: isinstance(value, bool)),
    }
    lists = _taken(
        body,
        _LISTS,
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    )
    known |= {name: tuple(dict.fromkeys(value)) for name, value in lists.items()}
    known["locked"] = not known.pop("removable", True)
    pairs = known.pop("pairs", True)
    # Where pairing is allowed to all, the certificates of computers decide nothing.
    otherwise = Pairing.CERTIFICATES if known.get("host_certificates") else Pairing.NONE
    known["pairing"] = Pairing.ALL if pairs else otherwise
    known = {name: None if value == "" else value for name, value in known.items()}
    known["name"] = known.get("name") or ""
    placed = {*_TEXTS, *flags, *_LISTS, *_PASSED_OVER}
    return ReadProfile(ProfileSettings(**known), tuple(sorted(set(map(str, body)) - placed)))


def refusal_of(failure: dep.Refused) -> ProfileRefused | None:
    """Say which setting Apple refused a profile for; None where it named none."""
    said = failure.word.upper()
    for word, (setting, what) in _SETTING_OF_WORD.items():
        if any(f"{word}_{why}" in said for why in ("REQUIRED", "INVALID")):
            return ProfileRefused(
                f"Apple does not accept {what} ({failure.word}).", word=failure.word, setting=setting
            )
    return None


def _taken(
    body: ProfileBody, places: Mapping[str, str], kind: str, fits: Callable[[object], bool]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name in places.items():
        value = body.get(key)
        if value is None:
            continue
        if not fits(value):
            raise ProfileUnreadable(f"{key} is not {kind}")
        found[name] = value
    return found
