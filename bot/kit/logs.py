"""Structured logs: one reference id from the slash command to the last outside call, no secrets."""

import contextlib
import contextvars
import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import structlog
from pydantic import SecretStr
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, WrappedLogger

_reference: contextvars.ContextVar[str] = contextvars.ContextVar("reference", default="")

#: Bolt warns that it ignores a token in the environment, which is where ours comes from.
_MISTAKEN = ("slack_bolt",)
#: Libraries that would log each call; their warnings are kept.
_NOISY = ("httpx", "httpcore", "apscheduler", "slack_sdk", "uvicorn", "aiosqlite", "alembic")

_MASK = "[secret]"
#: Names under which a value is never logged, whatever it is.
_SECRET_NAME = re.compile(
    r"secret|password|passwd|authorization|cookie|signature|credential|response_url"
    r"|(?:private|api|encryption)[_-]?keys?$|adm-auth-session"
    r"|(?:auth|access|admin|app|bearer|bot|content|oauth|session)[_-]?token$|\bs_?token$",
    re.IGNORECASE,
)
#: What a secret looks like inside a longer text.
_SECRET_TEXT = re.compile(
    "|".join(
        (
            r"xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+",  # Slack's tokens
            r"\b(?-i:eb)_[\w-]{20,}",  # API tokens of this bot
            r"\b(?-i:CK|CS|AT|AS)_\w{8,}",  # the OAuth values of a server token
            r'oauth_\w+="[^"]*"',
            r"(?<![\w+/=])(?-i:eyJ|eyA|ewo|ewk|ew0)[\w+/.=-]{40,}",  # JSON in base64: a content token
            r"(?<=itvt=)[^\s;\"']+|(?<=bearer )\S+|(?<=basic )\S{8,}",
            r"(?<=/calendar/)[\w-]{20,}",  # links of calendars
            r"https?://[^\s\"']*/(?:actions|commands|services)/[^\s\"']+",  # response_url, webhooks
            # A key that was cut off has no END.
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"(?<=://)[^\s:/@\"']*:[^\s@\"']+(?=@)",  # user and password of an address
            r"(?<=password=)[^\s&\"']+",
            r"(?<![\w+/=-])[\w+/-]{43}=(?!=)",  # 32 bytes in base64: an encryption key
        )
    ),
    re.DOTALL | re.IGNORECASE,
)
#: Secrets of this process that no pattern tells from other text, such as Slack's signing secret.
_hidden: set[str] = set()
#: Shorter ones would mask ordinary words.
_SHORTEST_HIDDEN = 8


def get_logger(name: str) -> BoundLogger:
    """Return the logger of a module."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def new_reference() -> str:
    """Make a short id that a person can quote and that stands in every log line of one piece of work."""
    return secrets.token_hex(4).upper()


def reference() -> str:
    """Return the id of the work under way, or an empty text."""
    return _reference.get()


@contextlib.contextmanager
def with_reference(value: str) -> Iterator[str]:
    """Put `value` into every log line written inside the block, tasks started there included."""
    token = _reference.set(value)
    try:
        yield value
    finally:
        _reference.reset(token)


def hide(*secrets_of_ours: SecretStr | None) -> None:
    """Mask these values wherever they stand in a log line, from now on."""
    values = [secret.get_secret_value() for secret in secrets_of_ours if secret is not None]
    _hidden.update(value for value in values if len(value) >= _SHORTEST_HIDDEN)


def redact(text: str) -> str:
    """Mask everything in `text` that looks like a secret, or is one that `hide` was told."""
    for secret in _hidden:
        text = text.replace(secret, _MASK)
    return _SECRET_TEXT.sub(_MASK, text)


def configure(log_format: Literal["json", "console"], *, level: int = logging.INFO) -> None:
    """Send our own and the libraries' log lines to standard error, masked."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_reference,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for mistaken in _MISTAKEN:
        logging.getLogger(mistaken).setLevel(logging.ERROR)


def _add_reference(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if value := _reference.get():
        event.setdefault("reference", value)
    return event


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # `_record` and its like are the formatter's own, and taken out before the line is drawn.
    return {key: value if key.startswith("_") else _masked_item(key, value) for key, value in event.items()}


def _masked_item(key: object, value: object) -> object:
    return _MASK if _SECRET_NAME.search(str(key)) else _masked(value)


def _masked(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _masked_item(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    # The renderer would write the repr itself, and after us.
    return redact(repr(value))
