"""What the audit refuses: named facts, written for a person."""

from bot.kit.errors import EnrollbotError


class ExportedBefore(EnrollbotError):
    """The same wish for files was delivered twice: they are under way."""

    def __init__(self) -> None:
        super().__init__(
            "These files of the audit are on their way already.",
            next_step="Ask once more if they do not come within a minute.",
        )
