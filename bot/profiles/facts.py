"""What this room's service answers with: plain values, ready to be shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.backend.profile import Platform, ProfileSettings
from bot.profiles.models import DraftState
from bot.tokens.facts import TokenView


class Step(StrEnum):
    """The steps of the wizard, in order."""

    BASICS = "basics"
    MANAGEMENT = "management"
    SCREENS = "screens"
    ADVANCED = "advanced"
    REVIEW = "review"

    @property
    def heading(self) -> str:
        return _HEADINGS[self]

    @property
    def after(self) -> "Step":
        order = list(Step)
        return order[min(order.index(self) + 1, len(order) - 1)]

    @property
    def before(self) -> "Step":
        order = list(Step)
        return order[max(order.index(self) - 1, 0)]


_HEADINGS = {
    Step.BASICS: "Basics",
    Step.MANAGEMENT: "Device management",
    Step.SCREENS: "Setup Assistant",
    Step.ADVANCED: "Advanced",
    Step.REVIEW: "Review and create",
}


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a profile. `wire` is what the service was sent, in its own keys."""

    profile: "ProfileView"
    number: int
    profile_uuid: str
    settings: ProfileSettings
    wire: Mapping[str, Any]
    defined_by: str
    defined_at: datetime

    @property
    def is_current(self) -> bool:
        return self.number == self.profile.version


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile as it is now: its version in force. `tags` are its token's."""

    id: str
    token_id: str
    token_name: str
    tags: frozenset[str]
    name: str
    version: int
    profile_uuid: str
    settings: ProfileSettings
    wire: Mapping[str, Any]
    is_adopted: bool
    created_by: str
    created_at: datetime
    defined_by: str
    defined_at: datetime
    read_at: datetime | None

    @property
    def full_name(self) -> str:
        """The name by which it is told from one of the same name of another token."""
        return f"{self.token_name}/{self.name}"


@dataclass(frozen=True, slots=True)
class KnownUuid:
    """A version's UUID in words: the profile's name, and which version it is of how many."""

    name: str
    number: int
    is_current: bool
    profile_id: str
    token_id: str
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class DefaultView:
    """The profile that new devices of one platform of a token get: its version in force."""

    token_id: str
    platform: Platform
    profile_id: str
    profile_name: str
    profile_uuid: str
    version: int


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """A content token as far as profiles need it.

    `has_portal`: its location has the Company Portal app for devices, of which `available` licences are
    left, None without a limit. `state` is the word for how it stands.
    """

    id: str
    name: str
    location_id: str
    location_name: str
    state: str
    is_active: bool
    is_ended: bool
    has_portal: bool
    available: int | None

    @property
    def title(self) -> str:
        return f"{self.name} · {self.location_name}"


@dataclass(frozen=True, slots=True)
class PortalVersion:
    """A version of a profile whose devices get Company Portal by a content token.

    `is_in_force`: new devices get it. Another one, of a removed profile too, may still be on devices.
    """

    content_token_id: str
    profile_uuid: str
    profile_name: str
    token_id: str
    single_app_mode: bool
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one setting, by its name in `ProfileSettings`, in a sentence."""

    setting: str
    text: str


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """A certificate as it is shown. `position` is its place in the draft."""

    position: int
    subject: str
    expires_at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft of the person who asks. `token` is None until one is chosen, `profile` for a new one.

    `others` are people who have a draft of the same profile open, with the time of its last change.
    `is_resumed`: it was left earlier and is opened again. `content` are the content tokens to choose from
    and those chosen, where they are asked for. `no_room` says that its token may have no more profiles.
    """

    id: str
    step: Step
    revision: int
    state: DraftState
    settings: ProfileSettings
    token: TokenView | None
    profile: ProfileView | None
    base_version: int | None
    remarks: tuple[str, ...]
    opened_at: datetime
    changed_at: datetime
    sending_since: datetime | None
    others: tuple[tuple[str, datetime], ...] = ()
    is_resumed: bool = False
    content: tuple[ContentFacts, ...] = ()
    no_room: str = ""

    @property
    def is_edit(self) -> bool:
        return self.profile is not None


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs, in words."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Defined:
    """A version that the service knows now. `before` is the one it follows, None for a new profile."""

    profile: ProfileView
    before: VersionView | None
    warnings: tuple[str, ...]
