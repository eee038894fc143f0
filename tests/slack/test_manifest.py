from pathlib import Path

from bot.slack.manifest import manifest, render

ROOT = Path(__file__).parents[2]


def test_the_manifest_in_the_repository_is_the_rendered_one() -> None:
    assert (ROOT / "manifest.yml").read_text() == render(None, "/enroll")


def test_with_an_address_payloads_come_over_http() -> None:
    text = render("https://bot.example.org/", "/ade")
    assert text.count('"https://bot.example.org/slack/events"') == 3
    assert "socket_mode_enabled: false" in text
    assert 'command: "/ade"' in text


def test_without_an_address_payloads_come_by_socket_mode() -> None:
    assert "socket_mode_enabled: true" in render(None, "/enroll")
    assert "url" not in render(None, "/enroll")


def test_the_texts_fit_slack() -> None:
    shown = manifest(None, "/enroll")["display_information"]
    assert isinstance(shown, dict)
    assert len(str(shown["name"])) <= 35
    assert len(str(shown["description"])) <= 140
