"""What the page offers: the bot's slash command and shortcuts, as its manifest and its screens have them."""

from typing import Any

from bot.main import registered_commands
from bot.settings import Settings
from bot.slack.manifest import manifest

Json = dict[str, Any]


async def slash_commands(settings: Settings) -> list[Json]:
    """Return the manifest's slash command with the usage and summary of every registered command."""
    usages = [
        {"usage": command.usage.removeprefix(f"{settings.command} "), "summary": command.summary}
        for command in await registered_commands(settings)
    ]
    keys = ("command", "usage_hint", "description")
    slashes = _features(settings).get("slash_commands", [])
    return [{**{key: slash.get(key, "") for key in keys}, "usages": usages} for slash in slashes]


def shortcuts(settings: Settings) -> list[Json]:
    """Return the manifest's shortcuts: none, as long as the bot has none."""
    return list(_features(settings).get("shortcuts", []))


def _features(settings: Settings) -> Json:
    features: Any = manifest(None, settings.command)["features"]
    return dict(features)
