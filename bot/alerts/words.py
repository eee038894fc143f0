"""What every kind of alert is told with: an alert in words, and what its texts are filled from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.alerts.facts import AlertView
from bot.backend.port import BackendTexts
from bot.slack.blocks import escape, local_time, mention, short
from bot.tokens.facts import NextAction

#: Long names, and many of them, would hide what a text says.
NAMED_AT_MOST = 5
NAME_CHARS = 40


class Mend(StrEnum):
    """A button of another room that mends, or shows, what an alert is about."""

    RENEW_CONTENT = "renew content token"
    SHOW_CONTENT = "show content token"
    CERTIFICATE = "upload certificate"
    REQUEST = "show request"
    ASSIGN = "new assignment"


@dataclass(frozen=True, slots=True)
class Told:
    """An alert in words, all mrkdwn. `headline` is one bold fact, `aside` stands behind it.

    `actions` are buttons of the tokens room, `mends` of others, `query` is what *Show devices* lists, which
    `query_of` says more of.
    """

    headline: str
    where: str
    means: str
    next: str
    aside: str = ""
    actions: tuple[NextAction, ...] = ()
    mends: tuple[Mend, ...] = ()
    syncs: bool = False
    checks: bool = False
    query: str | None = None
    query_of: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What a text is filled with: the alert, the service's words, the moment, the slash command."""

    view: AlertView
    texts: BackendTexts
    now: datetime
    slash: str

    def fact(self, name: str) -> str:
        """Return a fact as outside text, escaped; empty when it is not known."""
        value = self.view.facts.get(name)
        return "" if value is None else escape(value)

    def names(self, name: str) -> str:
        return ", ".join(escape(each) for each in self.view.facts.get(name, ()))

    def moment(self, name: str) -> datetime | None:
        value = self.view.facts.get(name)
        return datetime.fromisoformat(value) if isinstance(value, str) else None

    def time(self, name: str, otherwise: str = "never") -> str:
        moment = self.moment(name)
        return local_time(moment, self.now) if moment else otherwise

    @property
    def service(self) -> str:
        return escape(self.texts.service)

    @property
    def portal(self) -> str:
        return escape(self.texts.portal)


def listed(names: Sequence[str]) -> str:
    """Name a few and count the others; all of it escaped."""
    shown = ", ".join(escape(short(each, NAME_CHARS)) for each in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f"{shown} and {more:,} more" if more > 0 else shown


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def ago(length: timedelta) -> str:
    """Say how long ago something was, in its largest unit."""
    if length >= timedelta(days=1):
        return f"{days(length // timedelta(days=1))} ago"
    hours = length // timedelta(hours=1)
    if hours:
        return "1 hour ago" if hours == 1 else f"{hours} hours ago"
    minutes = length // timedelta(minutes=1)
    return "1 minute ago" if minutes == 1 else f"{minutes} minutes ago" if minutes else "just now"


def person(who: str | None) -> str:
    """Name who did something: a Slack user, or somebody at the command line."""
    if not who:
        return "somebody"
    is_slack_user = who[:1] in ("U", "W") and who.isalnum() and who.isupper()
    return mention(who) if is_slack_user else escape(who)
