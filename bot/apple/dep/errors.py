"""What the enrollment service can refuse, as named facts.

The service says why in a bare word of plain text (`T_C_NOT_SIGNED`), which test servers put in
quotes and some versions in JSON. The same word can come from a login or from any call. Sources:
Apple's "Interpreting error codes" page and the MDM Protocol Reference of 2018; words in lower case
were seen on the live service by others and are not documented.

    DepFailure
      ├ TermsNotSigned, TokenRejected, ClockWrong, AccessDenied
      ├ CursorExpired, CursorInvalid, CursorRequired, CursorExhausted
      ├ NotFound, Refused (├ MethodRefused), SessionInvalid, Redirected
      └ Transient: Unreachable, Busy, Failing, Unreadable
"""

import re
from datetime import datetime, timedelta

import msgspec

from bot.apple.answers import Answer
from bot.kit.errors import EnrollbotError

MAX_WORD = 200
CLOCK_TOLERANCE = timedelta(minutes=5)


class DepFailure(EnrollbotError):
    """The service did not do what it was asked.

    `word` is what it said, as it came, at most 200 characters; `at` is its own clock.
    """

    def __init__(self, word: str = "", *, at: datetime | None = None, status: int | None = None) -> None:
        self.word = word[:MAX_WORD]
        self.at = at
        self.status = status
        super().__init__(f"{type(self).__name__}: {self.word or status or 'no answer'}")


class TermsNotSigned(DepFailure):
    """New terms wait to be accepted. They are judged after the token, so the token is good."""


class TokenRejected(DepFailure):
    pass


class ClockWrong(DepFailure):
    """The token was refused while the two clocks are too far apart for any signature to be good."""

    def __init__(self, word: str, *, ours: datetime, theirs: datetime) -> None:
        self.ours = ours
        self.theirs = theirs
        super().__init__(word, at=theirs)


class AccessDenied(DepFailure):
    pass


class CursorExpired(DepFailure):
    """The cursor is older than seven days."""


class CursorInvalid(DepFailure):
    pass


class CursorRequired(DepFailure):
    pass


class CursorExhausted(DepFailure):
    """A fetch was already read to its end with this cursor."""


class NotFound(DepFailure):
    pass


class Refused(DepFailure):
    """The request itself is wrong."""


class MethodRefused(Refused):
    """The path knows the request by another HTTP method."""


class SessionInvalid(DepFailure):
    """The session is over; a new login helps."""


class Redirected(DepFailure):
    """The address leads elsewhere. Redirects are not followed: credentials stay on one host."""


class Transient(DepFailure):
    """Trying again later can help. `retry_after` is what the service asked for."""

    def __init__(
        self,
        word: str = "",
        *,
        at: datetime | None = None,
        status: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(word, at=at, status=status)


class Unreachable(Transient):
    """No whole answer came: not connected, cut off or too slow."""


class Busy(Transient):
    """The service has had too many requests."""


class Failing(Transient):
    """The service has a fault of its own (5xx)."""


class Unreadable(Transient):
    """Something came that is not what the service answers, such as a web page of a proxy."""


_REJECTED = (
    "TOKEN_REJECTED",
    "SIGNATURE_INVALID",
    "EXPIRED_TOKEN",
    "TOKEN_EXPIRED",
    "CONSUMER_KEY_UNKNOWN",
    "TIMESTAMP_REFUSED",
    "NONCE_USED",
)
_BY_WORD: dict[str, type[DepFailure]] = {
    "T_C_NOT_SIGNED": TermsNotSigned,
    "ACCESS_DENIED": AccessDenied,
    "EXPIRED_CURSOR": CursorExpired,
    "INVALID_CURSOR": CursorInvalid,
    "CURSOR_REQUIRED": CursorRequired,
    "EXHAUSTED_CURSOR": CursorExhausted,
    "THROTTLED": Busy,
    "NOT_FOUND": NotFound,
    "PROFILE_NOT_FOUND": NotFound,
    **dict.fromkeys(_REJECTED, TokenRejected),
}
_BY_STATUS: dict[int, type[DepFailure]] = {
    401: TokenRejected,
    403: TokenRejected,  # a 403 whose word nobody knows
    404: NotFound,
    405: MethodRefused,
    407: Unreadable,  # a proxy between here and the service
    408: Unreachable,
    425: Unreachable,
    429: Busy,
}


def failure_of(answer: Answer, *, now: datetime, is_login: bool = False) -> DepFailure:
    """Name what an answer other than 200 means.

    A 401 of a call, or a 403 with `FORBIDDEN`, is the session's end; a 401 of the login itself
    means that the token is no good. `now` is compared with the service's clock on a rejection.
    """
    word = _said(answer.body)
    kind = _kind_of(answer, word, is_login=is_login)
    theirs = answer.date
    if kind is TokenRejected and theirs is not None and abs(theirs - now) > CLOCK_TOLERANCE:
        return ClockWrong(word, ours=now, theirs=theirs)
    if issubclass(kind, Transient):
        wait = answer.retry_after(now=now)
        return kind(word, at=theirs, status=answer.status, retry_after=wait)
    return kind(word, at=theirs, status=answer.status)


def _kind_of(answer: Answer, word: str, *, is_login: bool) -> type[DepFailure]:
    status = answer.status
    if status >= 500:
        return Failing
    if 300 <= status < 400:
        return Redirected
    words = set() if answer.is_web_page else {found.upper() for found in re.findall(r"[A-Za-z_]+", word)}
    for known, kind in _BY_WORD.items():
        if known in words:
            return kind
    if not is_login and (status == 401 or (status == 403 and "FORBIDDEN" in words)):
        return SessionInvalid
    if answer.is_web_page:
        return Unreadable
    return _BY_STATUS.get(status, Refused if 400 <= status < 500 else Unreadable)


class _SaidInJson(msgspec.Struct):
    code: str | None = None
    error: str | None = None


def _said(body: bytes) -> str:
    """Return the word of an error body, whatever it is wrapped in."""
    text = body[: 4 * MAX_WORD].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            found = msgspec.json.decode(body, type=_SaidInJson)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return text[:MAX_WORD]
        text = found.code or found.error or text
    return text.strip(' "\r\n\t')[:MAX_WORD]
