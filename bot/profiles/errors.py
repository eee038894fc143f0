"""What can be wrong with a profile or the wish to change one: named facts, written for a person."""

from collections.abc import Sequence

from bot.kit.errors import EnrollbotError
from bot.profiles.facts import Fault, VersionView


class ProfileFault(EnrollbotError):
    """Base of what this room refuses."""


class ProfileUnknown(ProfileFault):
    """`is_limited`: the person sees only tokens with certain tags, and there may be others."""

    def __init__(self, name: str, nearest: str | None = None, *, slash: str, is_limited: bool) -> None:
        self.name = name
        self.nearest = nearest
        hint = (
            f"Did you mean {nearest}?" if nearest else f"`{slash} profile list` shows those that there are."
        )
        super().__init__(
            f"There is no profile {name}{' that you may see' if is_limited else ''}.", next_step=hint
        )


class ProfileGone(ProfileFault):
    def __init__(self) -> None:
        super().__init__("That profile is not here any more, or you may not see it.")


class NameAmbiguous(ProfileFault):
    def __init__(self, name: str, full_names: Sequence[str]) -> None:
        self.full_names = tuple(full_names)
        shown = ", ".join(full_names[:5]) + (", …" if len(full_names) > 5 else "")
        super().__init__(
            f"More than one token has a profile {name}.", next_step=f"Name the token too: {shown}."
        )


class ProfileNameTaken(ProfileFault):
    def __init__(self, name: str, token_name: str) -> None:
        self.name = name
        super().__init__(
            f"Token {token_name} has a profile {name} already; upper and lower case make no difference.",
            next_step="Choose another name, or edit that profile.",
        )


class TooManyProfiles(ProfileFault):
    def __init__(self, token_name: str, limit: int) -> None:
        super().__init__(
            f"Token {token_name} has {limit} profiles, which is the most that a token may have.",
            next_step="Delete one that no device carries, or edit one: its versions don't count.",
        )


class SettingsFaulty(ProfileFault):
    """Settings that cannot be sent as they are; each fault names its setting."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(fault.text for fault in faults))


class DraftGone(ProfileFault):
    def __init__(self, slash: str) -> None:
        super().__init__(
            "This form is no longer kept: it was finished, started over, is older than a day, or your"
            " role for its token has changed.",
            next_step=f"Nothing was changed. Type `{slash} profile create` or `{slash} profile edit NAME`.",
        )


class BeingDefined(ProfileFault):
    """The draft is with the service at this moment."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} is being asked to define it.", next_step="Wait a moment.")


class ChangedMeanwhile(ProfileFault):
    """Somebody defined a version of the profile after this draft was opened."""

    def __init__(self, newer: VersionView) -> None:
        self.newer = newer
        super().__init__(
            f"Version {newer.number} of {newer.profile.name} was defined while you were editing."
            " Nothing of yours was sent.",
            next_step="Compare the two, then define yours on top of it or leave it.",
        )


class StillCarried(ProfileFault):
    """A profile that devices carry, or that a token gives to new ones, is not deleted."""

    def __init__(self, name: str, holds: Sequence[str]) -> None:
        self.holds = tuple(holds)
        super().__init__(
            f"Profile {name} is not deleted: {'; '.join(holds)}.",
            next_step="Free it of all that first.",
        )


class CertificateWrong(ProfileFault):
    pass


class ImportWrong(ProfileFault):
    def __init__(self, why: str, *, service: str) -> None:
        super().__init__(
            f"This file is no profile: {why}. Nothing was stored.",
            next_step=f"Give a JSON file with {service}'s keys, such as `profile show NAME --json` makes.",
        )


class DeliveredAgain(ProfileFault):
    """The same delivery was taken before; its first one answers."""

    def __init__(self) -> None:
        super().__init__("This was delivered before.")


class TokenNeeded(ProfileFault):
    def __init__(self, slash: str) -> None:
        super().__init__(
            "There is no token that you are admin of and that is in use.",
            next_step=f"Add one first: `{slash} token add`.",
        )


class TokenNotReady(ProfileFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"Token {name} has no server token yet, so that no profile can be defined with it.",
            next_step="Upload its server token first.",
        )
