import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.kit.actor import Role
from bot.settings import Settings, SettingsWrong

SECRET = "planted-secret"


def refusal(environment: dict[str, str]) -> SettingsWrong:
    with pytest.raises(SettingsWrong) as refused:
        Settings.load(environment)
    return refused.value


def shown(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def test_without_any_variable_everything_has_its_default() -> None:
    settings = Settings.load({})
    assert settings.database_url.get_secret_value() == "sqlite:///enrollbot.db"
    assert (settings.default_role, settings.admins) == (Role.NONE, [])
    assert (settings.channel, settings.approval_channel) == (None, None)
    assert settings.sync_every == timedelta(hours=24)
    assert settings.expiry_warning_days == (30, 14, 7, 3, 1)
    assert (settings.timezone, settings.command, settings.log_format) == ("UTC", "/enroll", "json")
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 3000, None)
    assert settings.dep_url == "https://mdmenrollment.apple.com"
    assert settings.slack_api_url is None
    assert settings.encryption_keys is None
    assert settings.admin_token is None


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-1", "slack_bot_token", "xoxb-1"),
        ("SLACK_BOT_TOKEN", "xoxb-1\n", "slack_bot_token", "xoxb-1"),
        ("SLACK_SIGNING_SECRET", "abc", "slack_signing_secret", "abc"),
        ("SLACK_APP_TOKEN", "xapp-1", "slack_app_token", "xapp-1"),
        (
            "ENROLLBOT_DATABASE_URL",
            "postgres://bot:pw@db/enroll",
            "database_url",
            "postgres://bot:pw@db/enroll",
        ),
        ("ENROLLBOT_ENCRYPTION_KEYS", "one,two", "encryption_keys", "one,two"),
        ("ENROLLBOT_ADMINS", "U024BE7LH, W012A3CDE ,", "admins", ["U024BE7LH", "W012A3CDE"]),
        ("ENROLLBOT_DEFAULT_ROLE", "Viewer", "default_role", Role.VIEWER),
        ("ENROLLBOT_DEFAULT_ROLE", "none", "default_role", Role.NONE),
        ("ENROLLBOT_CHANNEL", "C024BE91L", "channel", "C024BE91L"),
        ("ENROLLBOT_APPROVAL_CHANNEL", "G024BE91L", "approval_channel", "G024BE91L"),
        ("ENROLLBOT_WORKING_HOURS", "Sun-Thu 08:30-17:00", "working_hours", "Sun-Thu 08:30-17:00"),
        ("ENROLLBOT_ALERT_MENTION", "S0615G0KT", "alert_mention", "S0615G0KT"),
        ("ENROLLBOT_HISTORY_DAYS", "90", "history_days", 90),
        ("ENROLLBOT_WEBHOOK_SECRET", "abc", "webhook_secret", "abc"),
        ("ENROLLBOT_SYNC_EVERY", "6h", "sync_every", timedelta(hours=6)),
        ("ENROLLBOT_SYNC_EVERY", "90 M", "sync_every", timedelta(minutes=90)),
        ("ENROLLBOT_SYNC_EVERY", "1d", "sync_every", timedelta(hours=24)),
        ("ENROLLBOT_SYNC_EVERY", "3600s", "sync_every", timedelta(hours=1)),
        ("ENROLLBOT_EXPIRY_WARNING_DAYS", "7, 30,7,1", "expiry_warning_days", (30, 7, 1)),
        ("ENROLLBOT_TIMEZONE", "Europe/Paris", "timezone", "Europe/Paris"),
        ("ENROLLBOT_COMMAND", "/enroll-test", "command", "/enroll-test"),
        ("ENROLLBOT_ABM_STEPS", "steps.md", "abm_steps", Path("steps.md")),
        ("ENROLLBOT_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("ENROLLBOT_PORT", "8080", "port", 8080),
        ("ENROLLBOT_PUBLIC_URL", "https://bot.example.com/", "public_url", "https://bot.example.com"),
        ("ENROLLBOT_ADMIN_TOKEN", "abc", "admin_token", "abc"),
        ("ENROLLBOT_LOG_FORMAT", "console", "log_format", "console"),
        (
            "ENROLLBOT_SLACK_API_URL",
            "http://127.0.0.1:3001/api/",
            "slack_api_url",
            "http://127.0.0.1:3001/api",
        ),
        ("ENROLLBOT_DEP_URL", "http://127.0.0.1:3002", "dep_url", "http://127.0.0.1:3002"),
    ],
)
def test_a_good_value_is_read(variable: str, text: str, field: str, value: object) -> None:
    assert shown(getattr(Settings.load({variable: text}), field)) == value


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("ENROLLBOT_ADMINS", "@anna", "Slack id"),
        ("ENROLLBOT_ADMINS", "U024BE7LH;U024BE7LI", "Slack id"),
        ("ENROLLBOT_ADMINS", "U024BE7LH,C024BE91L", "U024BE7LH"),
        ("ENROLLBOT_DEFAULT_ROLE", "boss", "none, viewer, operator, approver, admin"),
        ("ENROLLBOT_CHANNEL", "#devices", "C024BE91L"),
        ("ENROLLBOT_APPROVAL_CHANNEL", "approvals", "C024BE91L"),
        ("ENROLLBOT_SYNC_EVERY", "24", "a number and a unit"),
        ("ENROLLBOT_SYNC_EVERY", "soon", "a number and a unit"),
        ("ENROLLBOT_SYNC_EVERY", "-2h", "a number and a unit"),
        ("ENROLLBOT_SYNC_EVERY", "59m", "between 1h and 24h"),
        ("ENROLLBOT_SYNC_EVERY", "25h", "between 1h and 24h"),
        ("ENROLLBOT_EXPIRY_WARNING_DAYS", "30;14", "days separated by commas"),
        ("ENROLLBOT_EXPIRY_WARNING_DAYS", "30,0", "between 1 and 365"),
        ("ENROLLBOT_EXPIRY_WARNING_DAYS", "366", "between 1 and 365"),
        ("ENROLLBOT_EXPIRY_WARNING_DAYS", ",", "between 1 and 365"),
        ("ENROLLBOT_WORKING_HOURS", "9-5", "Mon-Fri 09:00-18:00"),
        ("ENROLLBOT_WORKING_HOURS", "Mon-Fri 18:00-09:00", "end on the day"),
        ("ENROLLBOT_ALERT_MENTION", "@ana", "Slack id"),
        ("ENROLLBOT_HISTORY_DAYS", "7", "between 30 and 3650"),
        ("ENROLLBOT_WEBHOOK_URL", "example.com/hook", "http or https"),
        ("ENROLLBOT_TIMEZONE", "Paris", "Europe/Paris"),
        ("ENROLLBOT_TIMEZONE", "Europe", "Europe/Paris"),
        ("ENROLLBOT_TIMEZONE", "../../etc/passwd", "Europe/Paris"),
        ("ENROLLBOT_TIMEZONE", "x" * 5000, "Europe/Paris"),
        ("ENROLLBOT_COMMAND", "enroll", "slash command"),
        ("ENROLLBOT_COMMAND", "/En roll", "slash command"),
        ("ENROLLBOT_COMMAND", "/" + "e" * 32, "slash command"),
        ("ENROLLBOT_PORT", "http", "integer"),
        ("ENROLLBOT_PORT", "65536", "65535"),
        ("ENROLLBOT_PORT", "-1", "0"),
        ("ENROLLBOT_PUBLIC_URL", "bot.example.com", "http or https"),
        ("ENROLLBOT_PUBLIC_URL", "https://bot example.com", "http or https"),
        ("ENROLLBOT_LOG_FORMAT", "xml", "json"),
        ("ENROLLBOT_SLACK_API_URL", "ftp://slack.com", "http or https"),
        ("ENROLLBOT_DEP_URL", "https://", "http or https"),
    ],
)
def test_a_bad_value_is_refused_with_its_variable_and_a_hint(variable: str, text: str, hint: str) -> None:
    problem = refusal({variable: text})
    assert str(problem).startswith(f"{variable}: ")
    assert hint in str(problem)
    assert len(problem.problems) == 1


def test_every_wrong_variable_is_named_at_once() -> None:
    problem = refusal({"ENROLLBOT_PORT": "x", "ENROLLBOT_COMMAND": "x", "ENROLLBOT_DEP_URL": "x"})
    assert [each.split(":")[0] for each in problem.problems] == [
        "ENROLLBOT_COMMAND",
        "ENROLLBOT_PORT",
        "ENROLLBOT_DEP_URL",
    ]


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = Settings.load({"ENROLLBOT_PORT": "", "ENROLLBOT_ADMIN_TOKEN": "  ", "SLACK_APP_TOKEN": ""})
    assert (settings.port, settings.admin_token, settings.uses_socket_mode) == (3000, None, False)


def test_variables_of_other_programs_are_left_alone() -> None:
    assert Settings.load({"PORT": "x", "HOST": "y", "CHANNEL": "z", "PATH": "/bin"}) == Settings.load({})


SECRETS = {
    "SLACK_BOT_TOKEN": f"xoxb-{SECRET}",
    "SLACK_SIGNING_SECRET": SECRET,
    "SLACK_APP_TOKEN": f"xapp-{SECRET}",
    "ENROLLBOT_DATABASE_URL": f"postgresql://bot:{SECRET}@db/enroll",
    "ENROLLBOT_ENCRYPTION_KEYS": SECRET,
    "ENROLLBOT_ADMIN_TOKEN": SECRET,
}


def test_settings_never_show_a_secret() -> None:
    settings = Settings.load(SECRETS)
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in text


def test_a_refusal_never_shows_a_secret() -> None:
    problem = refusal(SECRETS | {"ENROLLBOT_PORT": "x"})
    assert SECRET not in str(problem)
    assert SECRET not in repr(problem)
    assert problem.__suppress_context__


def test_settings_do_not_change_while_the_process_runs() -> None:
    settings = Settings.load({})
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_socket_mode_needs_the_two_tokens_only() -> None:
    settings = Settings.load({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"})
    settings.require_slack()
    assert settings.uses_socket_mode


def test_http_needs_the_bot_token_and_the_signing_secret() -> None:
    settings = Settings.load({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "abc"})
    settings.require_slack()
    assert not settings.uses_socket_mode


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"]),
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, ["SLACK_SIGNING_SECRET"]),
        ({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": " "}, ["SLACK_SIGNING_SECRET"]),
        ({"SLACK_SIGNING_SECRET": "abc"}, ["SLACK_BOT_TOKEN"]),
        ({"SLACK_APP_TOKEN": "xapp-1"}, ["SLACK_BOT_TOKEN"]),
    ],
)
def test_what_slack_needs_and_is_missing_is_named(environment: dict[str, str], missing: list[str]) -> None:
    with pytest.raises(SettingsWrong) as refused:
        Settings.load(environment).require_slack()
    assert [problem.split()[0] for problem in refused.value.problems] == missing


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SLACK_BOT_TOKEN": f"xapp-{SECRET}", "SLACK_SIGNING_SECRET": "abc"}, "SLACK_BOT_TOKEN"),
        ({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": f"xoxb-{SECRET}"}, "SLACK_APP_TOKEN"),
    ],
)
def test_slack_tokens_in_each_others_place_are_told_apart(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsWrong) as refused:
        Settings.load(environment).require_slack()
    assert str(refused.value).startswith(f"{named} ")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", [None, "short", "whsec_not*base64*not*base64", "whsec_c2hvcnQ="])
def test_a_webhook_without_a_secret_that_can_be_used_stops_the_start(secret: str | None) -> None:
    given = {"ENROLLBOT_WEBHOOK_URL": "https://hooks.example.com/x"}
    settings = Settings.load(given | ({"ENROLLBOT_WEBHOOK_SECRET": secret} if secret else {}))
    with pytest.raises(SettingsWrong, match="ENROLLBOT_WEBHOOK_SECRET") as refused:
        settings.require_webhook()
    assert secret is None or secret not in str(refused.value)


@pytest.mark.parametrize("secret", ["0123456789abcdef01234567", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"])
def test_a_webhook_with_a_secret_is_usable(secret: str) -> None:
    Settings.load(
        {"ENROLLBOT_WEBHOOK_URL": "https://hooks.example.com/x", "ENROLLBOT_WEBHOOK_SECRET": secret}
    ).require_webhook()
    Settings.load({}).require_webhook()


def test_the_readme_names_every_setting_and_no_other() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    table = readme.partition("\n## Settings\n")[2].partition("\n## ")[0]
    first_cells = "\n".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))
    slacks = {"slack_bot_token", "slack_signing_secret", "slack_app_token"}
    names = {f"{'' if each in slacks else 'ENROLLBOT_'}{each.upper()}" for each in Settings.model_fields}
    assert set(re.findall(r"`([A-Z_]+)`", first_cells)) == names
