"""What the API answers with. Its description for others is made from these. Pure."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bot.backend.profile import ProfileSettings
from bot.devices.facts import DeviceRow
from bot.devices.models import DeviceState
from bot.devices.rules import has_profile
from bot.profiles.facts import ContentFacts, VersionView
from bot.profiles.rules import device_name, kind_of_device
from bot.profiles.service import plain_uuid

#: Where the description of an answer stands, by its name.
SCHEMAS = "#/components/schemas/{name}"
#: What the service's profile has no key for, and the MDM server can have from here alone: first in an answer.
KEPT_HERE = (
    *("user_affinity", "authentication", "install_company_portal"),
    *("content_token", "single_app_mode", "device_name_template"),
)

Uuid = Annotated[
    str, Meta(description="As the enrollment service writes it: 32 hexadecimal digits in capitals.")
]


class ProfileOfDevice(msgspec.Struct, frozen=True):
    """The profile that the service has for a device; name and version are null for one not made here."""

    uuid: Uuid
    name: str | None
    version: int | None
    is_current: Annotated[
        bool | None, Meta(description="Whether this version is the one that devices are given now.")
    ]


class DeviceAnswer(msgspec.Struct, frozen=True):
    """A device as it stood at the last sync."""

    serial: str
    state: Annotated[
        Literal["present", "removed", "forgotten"],
        Meta(
            description="removed: gone from the service's list; forgotten: left out here by an administrator."
        ),
    ]
    is_removed: bool
    removed_at: datetime | None
    model: str
    description: str | None
    color: str | None
    asset_tag: str | None
    os: Annotated[str | None, Meta(description="In the service's words, such as iOS or OSX.")]
    family: Annotated[str | None, Meta(description="In the service's words, such as iPad or Mac.")]
    platform: Annotated[str, Meta(description="ios, macos, tvos, visionos or other.")]
    token: Annotated[str | None, Meta(description="Its enrollment token; null where that was removed.")]
    profile_status: Annotated[
        str,
        Meta(
            description="In the service's words: empty, assigned, pushed (fetched by the device) or removed."
        ),
    ]
    profile_assigned_at: datetime | None
    profile_pushed_at: datetime | None
    profile: ProfileOfDevice | None
    device_name: Annotated[
        str | None,
        Meta(description="The name to give the device: its profile's template, filled in. Null without one."),
    ]


class LocationOfLicences(msgspec.Struct, frozen=True):
    """Where the licences of Company Portal come from."""

    content_token: Annotated[str, Meta(description="What the content token is called here.")]
    location_id: Annotated[str, Meta(description="The location's id in Apps and Books, its uId.")]
    location_name: Annotated[str, Meta(description="The location's name in Apps and Books.")]


class ProfileAnswer(msgspec.Struct, frozen=True):
    """One version of a profile. A UUID stands for one version, whose settings never change."""

    uuid: Uuid
    name: Annotated[str, Meta(description="What the profile is called now, whatever the version.")]
    description: str | None
    version: int
    is_current: Annotated[bool, Meta(description="Whether this is the version that devices are given now.")]
    current_uuid: Annotated[Uuid, Meta(description="The version that devices are given now.")]
    token: Annotated[str, Meta(description="Its enrollment token.")]
    defined_at: datetime
    settings: Annotated[
        dict[str, Any], Meta(extra_json_schema={"$ref": SCHEMAS.format(name=ProfileSettings.__name__)})
    ]
    licences_of: Annotated[
        LocationOfLicences | None,
        Meta(
            description="The location of settings.content_token, as it is now. Null without one, and once"
            " it was removed here."
        ),
    ]
    service_profile: Annotated[
        dict[str, Any],
        Meta(description="What the service was sent, in its own keys, or has of one made elsewhere."),
    ]


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What went wrong, in a sentence, and what to do next."""

    error: str
    next_step: str


def device_answer(row: DeviceRow, *, version: VersionView | None) -> DeviceAnswer:
    """`version` is what is known here of the profile that the device has, None where nothing is."""
    return DeviceAnswer(
        serial=row.serial,
        state=row.state.value,
        is_removed=row.state is DeviceState.REMOVED,
        removed_at=row.removed_at,
        model=row.model,
        description=row.facts.description,
        color=row.facts.color,
        asset_tag=row.facts.asset_tag,
        os=row.os,
        family=row.family,
        platform=row.platform,
        token=row.token_name,
        profile_status=row.profile_status,
        profile_assigned_at=row.facts.profile_assigned_at,
        profile_pushed_at=row.facts.profile_pushed_at,
        profile=_profile_of(row, version),
        device_name=_name_of(row, version),
    )


def profile_answer(version: VersionView, *, content: ContentFacts | None) -> ProfileAnswer:
    """`content` is the content token that the version's devices get Company Portal with."""
    location = None
    if content is not None:
        location = LocationOfLicences(content.name, content.location_id, content.location_name)
    return ProfileAnswer(
        uuid=version.profile_uuid,
        name=version.profile.name,
        description=version.settings.description,
        version=version.number,
        is_current=version.is_current,
        current_uuid=version.profile.profile_uuid,
        token=version.profile.token_name,
        defined_at=version.defined_at,
        settings=_ordered(version.settings),
        licences_of=location,
        service_profile=dict(version.wire),
    )


def uuid_of(row: DeviceRow) -> str | None:
    """Return the UUID of the profile that a device has; a removed one is none."""
    if row.profile_uuid is None or not has_profile(row.profile_status, row.profile_uuid):
        return None
    return plain_uuid(row.profile_uuid)


def _ordered(settings: ProfileSettings) -> dict[str, Any]:
    found = msgspec.structs.asdict(settings)
    return {name: found[name] for name in (*KEPT_HERE, *(each for each in found if each not in KEPT_HERE))}


def _profile_of(row: DeviceRow, version: VersionView | None) -> ProfileOfDevice | None:
    if version is not None:
        return ProfileOfDevice(version.profile_uuid, version.profile.name, version.number, version.is_current)
    uuid = uuid_of(row)
    return None if uuid is None else ProfileOfDevice(uuid, name=None, version=None, is_current=None)


def _name_of(row: DeviceRow, version: VersionView | None) -> str | None:
    template = None if version is None else version.settings.device_name_template
    if template is None:
        return None
    return device_name(template, serial=row.serial, kind=kind_of_device(row.family, row.platform))
