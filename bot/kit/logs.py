"""Structured logs: one reference id from the slash command to the last outside call, no secrets."""

import contextlib
import contextvars
import logging
import re
import secrets
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, Literal

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, WrappedLogger

_reference: contextvars.ContextVar[str] = contextvars.ContextVar("reference", default="")

#: Libraries that would log each call; their warnings are kept.
_NOISY = ("httpx", "httpcore", "apscheduler", "slack_bolt", "slack_sdk", "uvicorn.access", "aiosqlite")

_MASK = "[secret]"
#: Names under which a value is never logged, whatever it is.
_SECRET_NAME = re.compile(
    r"secret|password|private_?key|authorization|signature|credential|api_?key|session_?token|bot_?token|app_?token"
    r"|encryption_?key|response_url",
    re.IGNORECASE,
)
#: What a secret looks like inside a longer text: Slack tokens, OAuth secrets of a token file,
#: authorization values, response addresses, private keys, passwords in a database address.
_SECRET_TEXT = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|\b(?:CS|AS|AT|CK)_\w{8,}|(?<=Bearer )\S+|(?<=OAuth )realm=.*"
    r"|https?://[^\s\"']*/(?:actions|commands|services)/[^\s\"']+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
    r"|(?<=://)([^\s:/@]*):[^\s@/]+(?=@)",
    re.DOTALL,
)


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


def redact(text: str) -> str:
    """Mask everything in `text` that looks like a secret."""
    return _SECRET_TEXT.sub(_MASK, text)


def configure(log_format: Literal["json", "console"], *, level: int = logging.INFO) -> None:
    """Send our own and the libraries' log lines to standard error, masked."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_reference,
        structlog.processors.format_exc_info,
        _mask,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
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


def _add_reference(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if value := _reference.get():
        event.setdefault("reference", value)
    return event


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _MASK if _SECRET_NAME.search(key) else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, MutableMapping):
        return {k: _MASK if _SECRET_NAME.search(str(k)) else _masked(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
