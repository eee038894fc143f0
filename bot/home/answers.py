"""What the API answers with. Its description for others is made from these. Pure."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bot.devices.facts import DeviceRow
from bot.devices.models import DeviceState

Uuid = Annotated[str, Meta(description="As Apple writes it: 32 hexadecimal digits in capitals.")]


class ProfileOfDevice(msgspec.Struct, frozen=True):
    """The profile that Apple has for a device. Name and version are null for one that was not made here."""

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
        Meta(description="removed: gone from Apple's list; forgotten: left out here by an administrator."),
    ]
    is_removed: bool
    removed_at: datetime | None
    model: str
    description: str | None
    color: str | None
    asset_tag: str | None
    os: Annotated[str | None, Meta(description="In Apple's words, such as iOS or OSX.")]
    family: Annotated[str | None, Meta(description="In Apple's words, such as iPad or Mac.")]
    platform: Annotated[str, Meta(description="ios, macos, tvos, visionos or other.")]
    token: Annotated[str | None, Meta(description="Its enrollment token; null where that was removed.")]
    profile_status: Annotated[
        str, Meta(description="In Apple's words: empty, assigned, pushed (fetched by the device) or removed.")
    ]
    profile_assigned_at: datetime | None
    profile_pushed_at: datetime | None
    profile: ProfileOfDevice | None
    device_name: Annotated[
        str | None,
        Meta(description="The name to give the device: its profile's template, filled in. Null without one."),
    ]


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What went wrong, in a sentence, and what to do next."""

    error: str
    next_step: str


def device_answer(
    row: DeviceRow, *, profile: ProfileOfDevice | None, device_name: str | None
) -> DeviceAnswer:
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
        profile=profile,
        device_name=device_name,
    )
