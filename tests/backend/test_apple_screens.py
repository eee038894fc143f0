"""The screens of Setup Assistant against Apple's own list of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.profile import Platform, ProfilePlatform
from bot.profiles import wording

APPLES: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "schemas" / "skipkeys.json").read_text("utf-8")
)
OURS = {screen.key: screen for screen in APPLE_SCREENS}
PLATFORMS = {
    "iOS": Platform.IOS,
    "macOS": Platform.MACOS,
    "tvOS": Platform.TVOS,
    "visionOS": Platform.VISIONOS,
}
#: Screens that Apple's list does not have; other consoles and the reference of 2018 do.
NOT_IN_APPLES = {"Registration", "ExpressLanguage", "PreferredLanguage"}
USUAL = (
    *("Passcode", "Location Services", "Restore", "Apple ID and iCloud", "Terms and conditions", "Touch ID"),
    *("Apple Pay", "Zoom", "Siri", "Diagnostics Data", "Display Tone", "Privacy", "Android migration"),
    *("iMessage & FaceTime", "Onboarding", "Watch migration", "Screen time", "Software update", "SIM setup"),
    *("Appearance", "Express language", "Preferred language", "Device to device migration"),
)


def test_no_screen_is_missing_and_none_is_made_up() -> None:
    assert set(OURS) == set(APPLES) | NOT_IN_APPLES
    assert len(APPLE_SCREENS) == len(OURS)


def test_every_screen_is_known_to_the_platforms_and_from_the_versions_that_apple_says() -> None:
    said = {
        key: {PLATFORMS[name]: facts["since"] for name, facts in platforms.items()}
        for key, platforms in APPLES.items()
    }
    assert {key: dict(OURS[key].since) for key in APPLES} == said


def test_what_apple_calls_deprecated_or_removed_is_marked_with_the_version() -> None:
    said = {key: ", ".join(_ends(platforms)) for key, platforms in APPLES.items()}
    assert {key: OURS[key].until for key in APPLES} == said


def _ends(platforms: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, facts in platforms.items():
        if "until" in facts:
            yield f"{name} {facts['until'].removesuffix('.0')}"


def test_a_screen_that_comes_before_the_profile_is_said_to_show_all_the_same() -> None:
    early = {key for key, on in APPLES.items() if any("may_still_show" in facts for facts in on.values())}
    assert {screen.key for screen in APPLE_SCREENS if screen.may_still_show} == early


def test_the_usual_ones_come_first_under_the_names_that_administrators_know() -> None:
    assert tuple(screen.title for screen in APPLE_SCREENS[: len(USUAL)]) == USUAL
    assert [screen.is_usual for screen in APPLE_SCREENS] == [
        position < len(USUAL) for position in range(len(APPLE_SCREENS))
    ]


def test_every_screen_fits_into_a_choice_of_slacks() -> None:
    assert max(len(wording.describe(screen)) for screen in APPLE_SCREENS) <= 75
    assert max(len(screen.title) for screen in APPLE_SCREENS) <= 75
    assert max(len(screen.asks) for screen in APPLE_SCREENS) <= 40
    assert len({screen.title for screen in APPLE_SCREENS}) == len(APPLE_SCREENS)


def test_every_screen_is_offered_once_to_each_platform_that_shows_it() -> None:
    for platform in ProfilePlatform:
        offered = [screen for _, _, of in wording.groups(platform, APPLE_SCREENS) for screen in of]
        assert sorted(screen.key for screen in offered) == sorted(
            screen.key for screen in APPLE_SCREENS if screen.is_for(platform)
        )
        assert max(len(of) for _, _, of in wording.groups(platform, APPLE_SCREENS)) <= 100
