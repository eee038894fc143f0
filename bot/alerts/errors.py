"""What can be wrong with what people do with alerts: named facts, written for a person."""

from bot.kit.errors import EnrollbotError


class AlertFault(EnrollbotError):
    """Base of what this room refuses."""


class AlertUnknown(AlertFault):
    def __init__(self, label: str, *, slash: str) -> None:
        super().__init__(
            f"There is no alert {label} that you may see.",
            next_step=f"`{slash} alert list` shows those open.",
        )


class AlertOver(AlertFault):
    def __init__(self, label: str) -> None:
        super().__init__(f"{label} is resolved.", next_step="Nothing else to do.")


class CriticalNotSnoozed(AlertFault):
    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} is critical, so it is not snoozed.",
            next_step="Acknowledge it to say that you are on it.",
        )


class LengthWrong(AlertFault):
    def __init__(self, typed: str) -> None:
        super().__init__(f"“{typed[:20]}” is not how long.", next_step="Choose 1d, 3d or 7d.")


class NoChannel(AlertFault):
    """There is nowhere to post to."""

    def __init__(self) -> None:
        super().__init__(
            "No channel is set for this.", next_step="Set ENROLLBOT_CHANNEL, or one of the token's own."
        )


class DeliveredAgain(AlertFault):
    """The same press or command was taken before; its first delivery answers."""

    def __init__(self) -> None:
        super().__init__("This was done already.")
