"""What can be wrong with a request or a decision: named facts, written for a person."""

import contextlib
from collections.abc import Iterator, Sequence

from bot.backend.profile import Platform, ProfilePlatform
from bot.kit.errors import EnrollbotError


class AssignmentFault(EnrollbotError):
    """Base of what this room refuses."""


class RequestUnknown(AssignmentFault):
    def __init__(self, label: str, *, slash: str) -> None:
        super().__init__(
            f"There is no request {label} that you may see.", next_step=f"`{slash} request list` shows them."
        )


class NoDevices(AssignmentFault):
    """Nothing is left of what was asked for; `why` says what became of it."""

    def __init__(self, why: Sequence[str]) -> None:
        super().__init__(
            "No device is left to do this with." + "".join(f" {sentence}" for sentence in why),
            next_step="Nothing was requested.",
        )


class QueryNeeded(AssignmentFault):
    def __init__(self, usage: str) -> None:
        super().__init__(
            "Say which devices, in one way: serial numbers, a query or a file.", next_step=f"Usage: `{usage}`"
        )


class SeveralTokens(AssignmentFault):
    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"These devices are of several tokens: {', '.join(names)}.",
            next_step="Ask for each token in a request of its own, with token:NAME in the query.",
        )


class TooMany(AssignmentFault):
    """`given` is None where counting stopped at `most`."""

    def __init__(self, given: int | None, most: int) -> None:
        count = f"{given:,} devices are" if given else "These are"
        super().__init__(
            f"{count} more than the {most:,} that one request takes.",
            next_step="Ask in several requests.",
        )


class PreviewGone(AssignmentFault):
    def __init__(self) -> None:
        super().__init__(
            "This preview is older than half an hour, or was sent already.",
            next_step="Nothing was requested now. Type the command again to see how things stand.",
        )


class PreviewStale(AssignmentFault):
    """What a preview was made of does not hold any more; `why` completes a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"Nothing was requested: {why}.", next_step="Type the command again to see how things stand."
        )


class NoPlaceToAsk(AssignmentFault):
    def __init__(self, slash: str) -> None:
        super().__init__(
            "There is no channel for requests.",
            next_step=f"An admin sets one: `{slash} token set NAME --approvals #channel`.",
        )


class NotUndoable(AssignmentFault):
    def __init__(self, label: str, how: str) -> None:
        super().__init__(
            f"{label} {how}: there is nothing to undo.",
            next_step="What was carried out here, and whose token is still here, can be undone.",
        )


class NumberDiffers(AssignmentFault):
    def __init__(self, devices: int) -> None:
        super().__init__(f"Type {devices} to confirm how many devices this is about.")


class AlreadyDecided(AssignmentFault):
    """Somebody was quicker, or the request ended by itself; `how` is that in words."""

    def __init__(self, label: str, how: str) -> None:
        self.label, self.how = label, how
        super().__init__(f"{label} {how}. Your press changed nothing.")


class OwnRequest(AssignmentFault):
    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is your own request: somebody else decides.",
            next_step="Cancel it if it is no longer wanted.",
        )


class GlassClosed(AssignmentFault):
    """An admin may not approve alone now; `why` completes a sentence."""

    def __init__(self, label: str, why: str, next_step: str) -> None:
        super().__init__(f"The glass of {label} stays whole: {why}.", next_step=next_step)


class GlassReasonShort(AssignmentFault):
    def __init__(self, least: int) -> None:
        super().__init__(f"Say why in at least {least} characters: the channel and the audit are told.")


class NotYours(AssignmentFault):
    def __init__(self, label: str) -> None:
        super().__init__(f"{label} can be cancelled by who requested it, or by an admin.")


class Stale(AssignmentFault):
    """What was asked for no longer holds, such as a profile that was edited meanwhile."""

    def __init__(self, label: str, why: str, next_step: str) -> None:
        super().__init__(f"{label} was not approved: {why}.", next_step=next_step)


class RequesterUnclear(AssignmentFault):
    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} was not approved: Slack does not say whether who requested it is still active.",
            next_step="Approve it again in a few minutes.",
        )


class HeldElsewhere(AssignmentFault):
    def __init__(self, label: str, devices: int, other: str) -> None:
        count = "1 of its devices is" if devices == 1 else f"{devices:,} of its devices are"
        super().__init__(
            f"{label} was not approved: {count} being worked on in {other}.",
            next_step=f"Approve it when {other} has ended.",
        )


class NotCarriedOut(AssignmentFault):
    """Where nobody has to approve: another request works on some of the devices."""

    def __init__(self, devices: int, other: str) -> None:
        count = "1 of its devices is" if devices == 1 else f"{devices:,} of its devices are"
        super().__init__(
            f"Nothing was carried out: {count} being worked on in {other}.",
            next_step=f"Press Carry out again when {other} has ended, or type the command again: it leaves"
            " out what is worked on.",
        )


class PlatformWrong(AssignmentFault):
    def __init__(self, typed: str) -> None:
        super().__init__(f"“{typed}” is no platform.", next_step="Say ios, macos or tvos.")


class PlatformDiffers(AssignmentFault):
    def __init__(self, name: str, own: ProfilePlatform, wanted: Platform) -> None:
        super().__init__(
            f"Profile {name} is for {own.value}, not for {wanted.value}.",
            next_step="Leave --platform out, or name another profile.",
        )


class NothingToChange(AssignmentFault):
    """What was asked for is so already."""

    def __init__(self, how: str) -> None:
        super().__init__(f"{how} Nothing was requested.")


class DeliveredAgain(AssignmentFault):
    """The same delivery was taken before; its first one answers."""

    def __init__(self) -> None:
        super().__init__("This was delivered before.")


@contextlib.contextmanager
def once() -> Iterator[None]:
    """Stay silent about a delivery that was taken before: its first one answers."""
    with contextlib.suppress(DeliveredAgain):
        yield
