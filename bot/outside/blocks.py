"""How a calendar's link is handed over. Pure."""

from bot.slack.blocks import Message, code, context, escape, section


def link(address: str, *, slash: str) -> Message:
    """Return the link, for its maker alone."""
    return Message.of(
        section(f"*Your calendar of expiry dates*\n{escape(address)}"),
        section(
            "Subscribe to it in your calendar (by address, not by importing it). It shows every date that you"
            " may see here, with reminders, and follows them when they move."
        ),
        context(
            "Whoever has this link reads these dates, with the rights that you have then: don't pass it on."
            f" It cannot be shown again; {code(f'{slash} watch calendar --revoke')} ends all your links."
        ),
    )


def link_sent() -> Message:
    return Message.of(section("The link to your calendar is in your direct messages."))


def revoked(links: int) -> Message:
    if not links:
        return Message.of(section("You had no calendar link."))
    ended = "Your calendar link is ended" if links == 1 else f"Your {links} calendar links are ended"
    return Message.of(section(f"*{ended}.* From now on nothing is read by it."))
