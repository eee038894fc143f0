"""What an enrollment profile is to the rooms: its settings and the screens of Setup Assistant.

Neutral values: the backend says how they are sent, and what it calls them there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Platform(StrEnum):
    IOS = "ios"
    MACOS = "macos"
    TVOS = "tvos"
    VISIONOS = "visionos"
    OTHER = "other"


class ProfilePlatform(StrEnum):
    """What a profile is for; it decides which settings and screens are offered."""

    IOS = "ios"
    MACOS = "macos"
    TVOS = "tvos"
    ANY = "any"

    def includes(self, platform: Platform) -> bool:
        """Say whether devices of this platform may carry such a profile."""
        return self is ProfilePlatform.ANY or self.value == platform.value


class Authentication(StrEnum):
    """How the person at the device signs in; only with user affinity."""

    COMPANY_PORTAL = "company_portal"
    SETUP_ASSISTANT_LEGACY = "setup_assistant_legacy"
    SETUP_ASSISTANT_MODERN = "setup_assistant_modern"


class Pairing(StrEnum):
    """Which computers a device may sync with."""

    ALL = "all"
    NONE = "none"
    CERTIFICATES = "certificates"


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of a profile. Texts that were left empty are None.

    The first group is for administrators and for the MDM server alone: the service's profile has no
    place for it. `mdm_url` and `org_magic` None are the token's. Certificates are base64 DER.
    `content_token` is the id of the content token that Company Portal's licences come from, with
    `single_app_mode` devices show nothing but that app until somebody signs in. `hidden_screens` are keys
    of Setup Assistant screens, also such as are not known here.
    """

    name: str = ""
    description: str | None = None
    platform: ProfilePlatform = ProfilePlatform.IOS
    user_affinity: bool = False
    authentication: Authentication | None = None
    install_company_portal: bool = False
    content_token: str | None = None
    single_app_mode: bool = False
    device_name_template: str | None = None

    supervised: bool = True
    locked: bool = False
    pairing: Pairing = Pairing.ALL
    host_certificates: tuple[str, ...] = ()
    department: str | None = None
    department_phone: str | None = None
    mdm_url: str | None = None
    web_url: str | None = None
    anchor_certificates: tuple[str, ...] = ()
    org_magic: str | None = None
    language: str | None = None
    region: str | None = None
    support_email: str | None = None
    mandatory: bool = False
    await_configuration: bool = False
    auto_advance: bool = False
    shared_ipad: bool = False
    return_to_service: bool = False
    no_profile_from_backup: bool = False
    hidden_screens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetupScreen:
    """A screen of Setup Assistant that can be hidden.

    `asks` is what it asks the person, at most 40 characters. `since` is the first version per platform
    that knows it. `until` says from when it is no longer shown, empty where it still is.
    `may_still_show`: it comes before the device has its profile. `is_usual`: one of those that
    administrators know from elsewhere, shown first. `for_kiosk`: hidden on a shared kiosk.
    """

    key: str
    title: str
    asks: str
    since: Mapping[Platform, str] = field(default_factory=dict)
    until: str = ""
    may_still_show: bool = False
    is_usual: bool = False
    for_kiosk: bool = True

    def is_for(self, platform: ProfilePlatform) -> bool:
        return any(platform.includes(each) for each in self.since)


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """A profile read from the service's own keys. `left_out` are keys that have no place here."""

    settings: ProfileSettings
    left_out: tuple[str, ...] = ()


class ProfileUnreadable(ValueError):
    """What was given is no profile in the service's keys; the text says why."""


ProfileBody = Mapping[str, Any]
"""A profile in the service's own keys."""
