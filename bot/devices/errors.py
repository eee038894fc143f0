"""What this room refuses or cannot do: named facts, written for a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.kit import query
from bot.kit.errors import EnrollbotError


class DeviceFault(EnrollbotError):
    """Base of what this room refuses."""


class SyncTooSoon(DeviceFault):
    """A sync by hand came too early. `allowed_at` is when the next one may start."""

    def __init__(self, name: str, *, allowed_at: datetime, minutes: int) -> None:
        self.name = name
        self.allowed_at = allowed_at
        self.minutes = minutes
        wait = "1 minute" if minutes == 1 else f"{minutes} minutes"
        super().__init__(
            f"Token {name} was synced less than 15 minutes ago.",
            next_step=f"Sync again in {wait}, at {allowed_at:%H:%M} UTC.",
        )


class LeftAlone(DeviceFault):
    """The service asked, as it failed, not to be asked before `until`."""

    def __init__(self, name: str, *, service: str, until: datetime) -> None:
        self.name = name
        self.service = service
        self.until = until
        super().__init__(
            f"{service} asked to be left alone until {until:%a %d %b} at {until:%H:%M} UTC;"
            f" token {name} is not synced before.",
            next_step="It is synced by itself then; nothing is lost.",
        )


class FullSyncTooSoon(DeviceFault):
    """A full sync came too early: one in 7 days. `allowed_at` is when the next one may start."""

    def __init__(self, name: str, *, last_at: datetime, allowed_at: datetime) -> None:
        self.name = name
        self.last_at = last_at
        self.allowed_at = allowed_at
        super().__init__(
            f"Token {name} had a full sync on {last_at:%a %d %b} at {last_at:%H:%M} UTC;"
            " one in 7 days is allowed.",
            next_step=f"The next may start on {allowed_at:%a %d %b} at {allowed_at:%H:%M} UTC."
            f" A sync without --full brings what has changed.",
        )


class NothingToSync(DeviceFault):
    def __init__(self) -> None:
        super().__init__(
            "There is no token here yet that could be synced.", next_step="Add one with token add."
        )


class CursorRepeated(DeviceFault):
    """The service gave the cursor that it had been given, and said that more follows."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"{service} answered with the same place in the list again, so the list cannot be read on.",
            next_step="The sync is tried again by itself.",
        )


class NotStored(DeviceFault):
    """What a sync read could not be written, again and again."""

    def __init__(self) -> None:
        super().__init__(
            "The bot's database does not take what the sync reads.",
            next_step="Whoever runs this bot looks at its database and disk; the log says what was refused.",
        )


class ValueWrong(query.ValueWrong):
    def __init__(self, key: str, value: str, *, known: Sequence[str]) -> None:
        step = f"Use one of: {', '.join(known)}." if known else f"No device here has a {key} yet."
        super().__init__(key, value, next_step=step)


class DeviceUnknown(DeviceFault):
    """No device of this serial is stored, or none that the actor may see: both sound the same."""

    def __init__(self) -> None:
        super().__init__(
            "There is no such device here, or it is not yours to see.",
            next_step="Compare the serial number; a device that was just assigned comes with the next sync.",
        )


class TooManySerials(DeviceFault):
    def __init__(self, given: int, limit: int) -> None:
        super().__init__(
            f"{given:,} serials are more than the {limit:,} that one command takes.",
            next_step="Give them in several commands.",
        )


def minutes_until(moment: datetime, now: datetime) -> int:
    """Whole minutes to wait, rounded up, at least 1."""
    return max(1, -((now - moment) // timedelta(minutes=1)))
