"""What can be wrong with a calendar: named facts, written for a person."""

from bot.kit.errors import EnrollbotError


class NoPublicAddress(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "This bot has no address that a calendar could be read from.",
            next_step="Ask who runs it to set ENROLLBOT_PUBLIC_URL.",
        )


class TooManyLinks(EnrollbotError):
    def __init__(self, most: int, *, slash: str) -> None:
        super().__init__(
            f"You have {most} calendar links already.",
            next_step=f"One link serves several calendars. `{slash} watch calendar --revoke` ends them all.",
        )


class CalendarUnknown(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("There is no such calendar, or its link was revoked.")


class CalendarClosed(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("Who made this link may not see anything now.")


class DeliveredAgain(EnrollbotError):
    """Slack delivered something a second time: its first delivery answers."""

    def __init__(self) -> None:
        super().__init__("This was done already.")
