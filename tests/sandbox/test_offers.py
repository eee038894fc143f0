"""What the sandbox's page offers comes from the bot itself."""

from bot.sandbox import offers
from bot.settings import Settings

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def settings(command: str = "/enroll") -> Settings:
    return Settings.load({"ENROLLBOT_COMMAND": command, "ENROLLBOT_ENCRYPTION_KEYS": KEY})


async def test_every_command_is_offered_with_the_usage_and_summary_of_its_screen() -> None:
    (slash,) = await offers.slash_commands(settings())
    usages = {entry["usage"]: entry["summary"] for entry in slash["usages"]}
    assert usages["device list [QUERY]"].startswith("Devices, such as")
    assert usages["status"] == "Health at a glance."
    assert all(usages.values())
    assert not any(usage.startswith("/") for usage in usages)


async def test_hint_and_description_are_those_of_the_manifest() -> None:
    (slash,) = await offers.slash_commands(settings("/ade"))
    assert (slash["command"], slash["description"]) == ("/ade", "Apple device enrollment")
    assert slash["usage_hint"].startswith("status |")


def test_the_bot_has_no_shortcuts() -> None:
    assert offers.shortcuts(settings()) == []
