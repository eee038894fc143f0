"""What Apple Business Manager says no to."""

from bot.kit.errors import EnrollbotError


class NotInBusinessManager(EnrollbotError):
    """No such organisation, server, device, location or app here."""


class NotPossible(EnrollbotError):
    """Apple Business Manager refuses what was asked."""
