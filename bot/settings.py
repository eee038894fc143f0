"""Every environment variable: typed, read once, secrets kept apart from their names."""

import base64
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.hours import WorkingHours

_SHORTEST_SECRET = 24
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SettingsWrong(EnrollbotError):
    """One or more environment variables cannot be used; the message names each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_duration(text: object) -> object:
    """Read `72h`, `15m`, `7d` or `30s` as a length of time; leave anything else to the type."""
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", str(text).strip().lower())
    if match is None:
        if isinstance(text, timedelta):
            return text
        raise ValueError("write a number and a unit, such as 15m, 24h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _split(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _check_id(first_letters: str, example: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(f"[{first_letters}][A-Z0-9]{{2,20}}", text):
            raise ValueError(f"{text} is not a Slack id such as {example}; its profile or details show it")
        return text

    return AfterValidator(check)


def _parse_role(text: object) -> object:
    if isinstance(text, Role):
        return text
    words = {role.word: role for role in Role}
    if str(text).strip().lower() not in words:
        raise ValueError("choose one of " + ", ".join(words))
    return words[str(text).strip().lower()]


def _parse_warning_days(text: object) -> object:
    try:
        days = sorted({int(str(day)) for day in _split(text)}, reverse=True)  # type: ignore[attr-defined]
    except ValueError:
        raise ValueError("write days separated by commas, such as 30,14,7,3,1") from None
    if not days or days[-1] < 1 or days[0] > 365:
        raise ValueError("days lie between 1 and 365")
    return tuple(days)


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, a name too long
        raise ValueError("is not a time zone; write one such as Europe/Paris or UTC") from None
    return name


def _check_hours(text: str) -> str:
    WorkingHours.parse(text, "UTC")
    return text


def _check_mention(text: str) -> str:
    if not re.fullmatch(r"[UWS][A-Z0-9]{2,20}", text):
        raise ValueError(
            f"{text} is not the Slack id of a person or a user group, such as U024BE7LH or S0615G0KT"
        )
    return text


def _check_history(days: int) -> int:
    if not 30 <= days <= 3650:
        raise ValueError("lies between 30 and 3650 days")
    return days


def _check_command(text: str) -> str:
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", text):
        raise ValueError("a slash command is / and 1 to 31 small letters, digits, - or _")
    return text


def _check_every(length: timedelta) -> timedelta:
    if not timedelta(hours=1) <= length <= timedelta(hours=24):
        raise ValueError("lies between 1h and 24h")
    return length


def _check_ttl(length: timedelta) -> timedelta:
    if not timedelta(hours=1) <= length <= timedelta(days=30):
        raise ValueError("lies between 1h and 30d")
    return length


def _check_address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError("is not an http or https address")
    return text.rstrip("/")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PersonId = Annotated[str, _check_id("UW", "U024BE7LH")]
ChannelId = Annotated[str, _check_id("CGD", "C024BE91L")]
PersonIds = Annotated[list[PersonId], BeforeValidator(_split)]
Address = Annotated[str, AfterValidator(_check_address)]


class Settings(BaseModel):
    """The settings of one process. Field names are the environment names without their prefix."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    database_url: SecretStr = SecretStr("sqlite:///enrollbot.db")
    encryption_keys: SecretStr | None = None
    admins: PersonIds = Field(default_factory=list)
    default_role: Annotated[Role, BeforeValidator(_parse_role)] = Role.NONE
    channel: ChannelId | None = None
    approval_channel: ChannelId | None = None
    approvals: Literal["required", "self", "off"] = "required"
    request_ttl: Annotated[Duration, AfterValidator(_check_ttl)] = timedelta(hours=72)
    sync_every: Annotated[Duration, AfterValidator(_check_every)] = timedelta(hours=24)
    expiry_warning_days: Annotated[tuple[int, ...], BeforeValidator(_parse_warning_days)] = (30, 14, 7, 3, 1)
    max_profiles_per_token: Annotated[int, Field(ge=1, le=1000)] = 100
    history_days: Annotated[int, AfterValidator(_check_history)] = 400
    timezone: Annotated[str, AfterValidator(_check_timezone)] = "UTC"
    working_hours: Annotated[str, AfterValidator(_check_hours)] = "Mon-Fri 09:00-18:00"
    alert_mention: Annotated[str, AfterValidator(_check_mention)] | None = None
    heartbeat_url: Annotated[Address | None, Field(repr=False)] = None
    webhook_url: Annotated[Address | None, Field(repr=False)] = None
    webhook_secret: SecretStr | None = None
    command: Annotated[str, AfterValidator(_check_command)] = "/enroll"
    abm_steps: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    public_url: Address | None = None
    admin_token: SecretStr | None = None
    log_format: Literal["json", "console"] = "json"
    slack_api_url: Address | None = None
    dep_url: Address = "https://mdmenrollment.apple.com"
    vpp_url: Address = "https://vpp.itunes.apple.com/mdm/v2"

    @property
    def each_encryption_key(self) -> list[SecretStr]:
        keys = self.encryption_keys.get_secret_value() if self.encryption_keys else ""
        return [SecretStr(key.strip()) for key in keys.split(",") if key.strip()]

    @property
    def hours(self) -> WorkingHours:
        return WorkingHours.parse(self.working_hours, self.timezone)

    @property
    def uses_socket_mode(self) -> bool:
        return self.slack_app_token is not None

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises `SettingsWrong` naming every variable that is wrong."""
        given = {
            name: environment[_variable(name)].strip()
            for name in cls.model_fields
            if environment.get(_variable(name), "").strip()
        }
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsWrong([_sentence(problem) for problem in error.errors()]) from None

    def require_slack(self) -> None:
        """Raise `SettingsWrong` unless everything needed to speak with Slack is there."""
        problems = []
        if self.slack_bot_token is None:
            problems.append("SLACK_BOT_TOKEN is missing: the bot token (xoxb-…) of the installed app.")
        elif not self.slack_bot_token.get_secret_value().startswith("xoxb-"):
            problems.append("SLACK_BOT_TOKEN is not a bot token: those begin with xoxb-.")
        if self.slack_app_token and not self.slack_app_token.get_secret_value().startswith("xapp-"):
            problems.append("SLACK_APP_TOKEN is not an app-level token: those begin with xapp-.")
        if not self.uses_socket_mode and self.slack_signing_secret is None:
            problems.append(
                "SLACK_SIGNING_SECRET is missing: without SLACK_APP_TOKEN (Socket Mode) the bot listens on "
                "HTTP and must be able to tell Slack's requests from others."
            )
        if problems:
            raise SettingsWrong(problems)

    def require_webhook(self) -> None:
        """Raise `SettingsWrong` where the webhook has an address and no secret that can be used."""
        if self.webhook_url is None:
            return
        secret = self.webhook_secret.get_secret_value() if self.webhook_secret else ""
        if not secret:
            raise SettingsWrong(
                [
                    "ENROLLBOT_WEBHOOK_SECRET is missing: without it the receiver of ENROLLBOT_WEBHOOK_URL"
                    " cannot tell the bot's events from forged ones."
                ]
            )
        if len(secret) < _SHORTEST_SECRET or not _is_usable(secret):
            raise SettingsWrong(
                [
                    "ENROLLBOT_WEBHOOK_SECRET cannot be used: write at least 24 random characters, or whsec_"
                    " and base64."
                ]
            )


def _is_usable(secret: str) -> bool:
    if not secret.startswith("whsec_"):
        return True
    try:
        return len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 16
    except ValueError:
        return False


def _variable(field: str) -> str:
    is_slacks = field in ("slack_bot_token", "slack_signing_secret", "slack_app_token")
    return field.upper() if is_slacks else f"ENROLLBOT_{field.upper()}"


def _sentence(problem: Any) -> str:
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{_variable(str(problem['loc'][0]))}: {reason}."
