"""Answers of Apple's services as they came, and the times in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER = timedelta(days=1)
_WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|\?xml|html|head|body|title|h1)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a service, read to its end. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def date(self) -> datetime | None:
        """The service's own clock."""
        return http_date(self.headers.get("date", ""))

    @property
    def is_web_page(self) -> bool:
        return is_web_page(self.body)

    def retry_after(self, *, now: datetime) -> timedelta | None:
        """Return how long the service asks to wait: at most a day, None when it does not ask."""
        return retry_after(self.headers.get("retry-after", ""), since=self.date or now)


def is_web_page(body: bytes) -> bool:
    return _WEB_PAGE.match(body) is not None


def retry_after(text: str, *, since: datetime) -> timedelta | None:
    """Read a Retry-After header: seconds or an HTTP date. At most a day; None when there is none."""
    if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return min(timedelta(seconds=float(text)), _LONGEST_RETRY_AFTER)
    moment = http_date(text)
    if moment is None:
        return None
    return min(max(moment - since, timedelta()), _LONGEST_RETRY_AFTER)


def http_date(text: str) -> datetime | None:
    """Read a date of an HTTP header as UTC; None for what is no date."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_moment(text: str) -> datetime | None:
    """Read an ISO 8601 time as UTC; None for what is no time."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
