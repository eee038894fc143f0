"""What can be wrong with a content token, its file, a renewal, a threshold or a link, for a person."""

from collections.abc import Sequence
from datetime import datetime

from bot.kit.errors import EnrollbotError


class LicenceFault(EnrollbotError):
    """Base of what this room refuses."""


class ContentNameWrong(LicenceFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"“{name}” cannot be the name of a content token.",
            next_step="Use 1 to 40 letters, digits, dots, dashes or underscores, such as hq.",
        )


class ContentNameTaken(LicenceFault):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"There is a content token {name} already; upper and lower case make no difference.",
            next_step="Choose another name, or renew that one.",
        )


class ContentTokenUnknown(LicenceFault):
    """`is_limited`: the person sees only content tokens with certain tags, and there may be others."""

    def __init__(self, name: str, nearest: str | None = None, *, slash: str, is_limited: bool) -> None:
        self.name = name
        self.nearest = nearest
        hint = f"Did you mean {nearest}?" if nearest else f"`{slash} vpp list` shows those that there are."
        super().__init__(
            f"There is no content token {name}{' that you may see' if is_limited else ''}.", next_step=hint
        )


class ContentTokenGone(LicenceFault):
    def __init__(self) -> None:
        super().__init__("That content token is not here any more, or you may not see it.")


class DeliveredAgain(LicenceFault):
    """The same delivery was taken before; its first one answers."""

    def __init__(self) -> None:
        super().__init__("This was done already.")


class TypedNameDiffers(LicenceFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            "The name typed is another one. Nothing was removed.", next_step=f"Type {name} to remove it."
        )


class ChangedMeanwhile(LicenceFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"Content token {name} was renewed or removed by somebody else in the meantime. Nothing was"
            " stored.",
            next_step="Look at it again and repeat what is still needed.",
        )


class SecretLost(LicenceFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"The stored content token {name} cannot be read with the encryption keys of this bot.",
            next_step="Give the bot the key it was stored with, in ENROLLBOT_ENCRYPTION_KEYS, or renew the"
            " content token.",
        )


class LocationHasToken(LicenceFault):
    """`other` is the name of the content token that the location belongs to, None where not to be seen."""

    def __init__(self, location_name: str, *, other: str | None) -> None:
        self.other = other
        where = f"content token {other}" if other else "another content token"
        step = f"Renew {other} with this file" if other else "Ask an admin without a limit"
        super().__init__(
            f"Location {location_name} already belongs to {where}. Nothing was stored.",
            next_step=f"{step}, or download the content token of another location.",
        )


class StillUsed(LicenceFault):
    """Profiles use the content token; `uses` are their names."""

    def __init__(self, name: str, uses: Sequence[str]) -> None:
        self.uses = tuple(uses)
        shown = ", ".join(uses[:5]) + (f" and {len(uses) - 5} more" if len(uses) > 5 else "")
        word = "a profile uses it" if len(uses) == 1 else f"{len(uses)} profiles use it"
        super().__init__(
            f"Content token {name} was not removed: {word} ({shown}).",
            next_step="Edit them to use another content token or none, then remove this one.",
        )


# Files and what the service says of them


class NoFile(LicenceFault):
    def __init__(self) -> None:
        super().__init__(
            "No file was handed over, or an empty one.",
            next_step="Choose the content token as downloaded; its name ends in .vpptoken.",
        )


class FileTooLarge(LicenceFault):
    def __init__(self) -> None:
        super().__init__(
            "The file is larger than 64 KiB, so it is no content token.",
            next_step="Choose the content token as downloaded; its name ends in .vpptoken.",
        )


class FileExpired(LicenceFault):
    """The content token in the file has expired."""

    def __init__(self, expired_at: datetime, *, portal: str) -> None:
        super().__init__(
            f"The content token in this file expired on {expired_at:%-d %B %Y}.",
            next_step=f"Download a new one in {portal} and hand that over.",
        )


class NotAccepted(LicenceFault):
    """The service does not accept the content token in the file."""

    def __init__(self, *, service: str, portal: str) -> None:
        super().__init__(
            f"{service} does not accept the content token in this file; a newer download, or a changed"
            " password of the account that made it, has ended it.",
            next_step=f"Download a new one in {portal} and hand that over.",
        )


class NotConfirmed(LicenceFault):
    """The service could not be asked, so nothing is known of the content token in the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The content token could not be checked. {reason}",
            next_step="Hand the same file over again in a few minutes.",
        )


class WrongLocation(LicenceFault):
    """The file renews nothing here: it is of another location. `other` is the one whose it is, if seen."""

    def __init__(self, *, expected: str, got: str, other: str | None, portal: str) -> None:
        self.other = other
        elsewhere = f" The file in hand is of content token {other}: renew that with it." if other else ""
        super().__init__(
            f"This file is of location {got}; the content token is of location {expected}.",
            next_step=f"Download the content token of location {expected} in {portal}.{elsewhere}",
        )


class NotLater(LicenceFault):
    def __init__(self, offered: datetime, stored: datetime, *, portal: str) -> None:
        super().__init__(
            f"The content token in this file expires on {offered:%-d %B %Y, %H:%M} UTC, not later than the"
            f" stored one ({stored:%-d %B %Y, %H:%M} UTC).",
            next_step=f"Download a new one in {portal} and hand that over.",
        )


class AlreadyStored(LicenceFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"This is the very content token that {name} has. Nothing to do.",
        )


class RenewalRefused(LicenceFault):
    """A file that does not renew the content token. `days_left` and `is_accepted` are of the stored one.

    `is_accepted` None: not known.
    """

    def __init__(
        self, name: str, fault: EnrollbotError, *, days_left: int, is_accepted: bool | None, service: str
    ) -> None:
        self.name = name
        self.fault = fault
        self.days_left = days_left
        self.is_accepted = is_accepted
        left = "1 day left" if days_left == 1 else f"{max(days_left, 0)} days left"
        standing = {
            True: f"{service} still accepts the stored one ({left}).",
            False: f"{service} no longer accepts the stored one either.",
            None: f"Whether {service} accepts the stored one is not known now ({left}).",
        }[is_accepted]
        super().__init__(
            f"{name} was not renewed. {fault.message} Nothing was changed here. {standing}",
            next_step=fault.next_step,
        )


# Thresholds


class AppUnknown(LicenceFault):
    def __init__(self, typed: str, nearest: str | None, *, name: str, slash: str) -> None:
        step = f"Did you mean {nearest}?" if nearest else f"`{slash} vpp show {name}` lists them."
        super().__init__(f"Content token {name} has no app or book “{typed}”.", next_step=step)


class AppAmbiguous(LicenceFault):
    def __init__(self, typed: str, names: Sequence[str]) -> None:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        super().__init__(f"“{typed}” fits several apps.", next_step=f"Name one of them: {shown}.")


class ThresholdWrong(LicenceFault):
    def __init__(self, typed: str) -> None:
        super().__init__(
            f"“{typed}” is not a number of licences.",
            next_step="Give a whole number from 0 to 1,000,000, such as 25; none clears the threshold.",
        )


# Links


class LinkUnusable(LicenceFault):
    """Never made, used, or too old: which of them is nobody's business without the link."""

    def __init__(self, slash: str) -> None:
        super().__init__(
            "This link does not work any more: it works once, for ten minutes.",
            next_step=f"Ask for another one in Slack, with {slash} vpp add or {slash} vpp renew.",
        )


class LinksNotOffered(LicenceFault):
    def __init__(self) -> None:
        super().__init__(
            "The upload page is not set up.",
            next_step="Use a Slack file or the command line, or have ENROLLBOT_PUBLIC_URL set to the https"
            " address of this bot.",
        )
