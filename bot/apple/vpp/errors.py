"""What Apps and Books can refuse, as named facts.

The service says why by a number, whatever the HTTP status is: an invalid token has been answered with
200 (seen by others; undocumented). Its texts differ from place to place and are only shown.
https://developer.apple.com/documentation/devicemanagement/handling-error-responses

    VppFailure
      ├ TokenExpired, TokenRevoked
      ├ Refused (├ PageOutOfRange), Redirected
      └ Transient: Unreachable, Busy, Failing, Unreadable, ListChanging
"""

import re
from datetime import datetime, timedelta

import msgspec

from bot.apple.answers import Answer
from bot.kit.errors import EnrollbotError

MAX_SAID = 200
# No word of a sentence is as long; a token that something echoes is.
_LIKE_A_SECRET = re.compile(r"[\w+/=.-]{24,}")


class VppFailure(EnrollbotError):
    """The service did not do what it was asked.

    `number` is its own number of the error, None where it gave none; `said` is its text, at most 200
    characters, without anything that could be a token.
    """

    def __init__(self, said: str = "", *, number: int | None = None, status: int | None = None) -> None:
        self.said = _LIKE_A_SECRET.sub("…", said)[:MAX_SAID]
        self.number = number
        self.status = status
        super().__init__(f"{type(self).__name__}: {number or self.said or status or 'no answer'}")


class TokenExpired(VppFailure):
    pass


class TokenRevoked(VppFailure):
    """The service does not know the token any more, or never did."""


class Refused(VppFailure):
    """The request itself is wrong, or not allowed."""


class PageOutOfRange(Refused):
    """The list has fewer pages than that."""


class Redirected(VppFailure):
    """The address leads elsewhere. Redirects are not followed: the token stays on one host."""


class Transient(VppFailure):
    """Trying again later can help. `retry_after` is what the service asked for."""

    def __init__(
        self,
        said: str = "",
        *,
        number: int | None = None,
        status: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(said, number=number, status=status)


class Unreachable(Transient):
    """No whole answer came: not connected, cut off or too slow."""


class Busy(Transient):
    """The service has had too many requests."""


class Failing(Transient):
    """The service has a fault of its own."""


class Unreadable(Transient):
    """Something came that is not what the service answers, such as a web page of a proxy."""


class ListChanging(Transient):
    """The list changed each time that it was read."""


_BY_NUMBER: dict[int, type[VppFailure]] = {
    9621: TokenExpired,
    9601: TokenRevoked,  # login required
    9622: TokenRevoked,  # invalid token, a number of the older service that still comes
    9625: TokenRevoked,
    9722: TokenRevoked,  # the Authorization header cannot be read
    9650: PageOutOfRange,
    9646: Busy,
    9603: Failing,
    9644: Failing,  # maintenance
    9729: Failing,
}
_BY_STATUS: dict[int, type[VppFailure]] = {
    401: TokenRevoked,
    407: Unreadable,  # a proxy between here and the service
    408: Unreachable,
    425: Unreachable,
    429: Busy,
}


class _Said(msgspec.Struct, rename="camel"):
    error_number: int | str | None = None
    error_message: str | None = None


_said = msgspec.json.Decoder(_Said)


def failure_of(answer: Answer, *, now: datetime) -> VppFailure | None:
    """Name what an answer means; None when it is a good one."""
    number, said = _read(answer.body)
    if answer.status == 200 and not number:
        return None
    kind = _kind_of(answer, number)
    if issubclass(kind, Transient):
        wait = answer.retry_after(now=now)
        return kind(said, number=number, status=answer.status, retry_after=wait)
    return kind(said, number=number, status=answer.status)


def _kind_of(answer: Answer, number: int | None) -> type[VppFailure]:
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    status = answer.status
    if status >= 500:
        return Failing
    if 300 <= status < 400:
        return Redirected
    if answer.is_web_page:
        return Unreadable
    if number:
        return Busy if status == 429 else Refused
    return _BY_STATUS.get(status, Refused if 400 <= status < 500 else Unreadable)


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        found = _said.decode(body)
        return int(found.error_number or 0) or None, (found.error_message or "").strip()
    except (ValueError, RecursionError):  # msgspec's and Unicode's are ValueErrors
        return None, ""
