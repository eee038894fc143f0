"""What holds for content tokens and licences: names, states, when licences are low, how they went."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.kit.nearest import nearest
from bot.licenses.errors import (
    AppAmbiguous,
    AppUnknown,
    ContentNameWrong,
    FileExpired,
    LicenceFault,
    NotLater,
    ThresholdWrong,
    WrongLocation,
)
from bot.licenses.facts import (
    AppLicences,
    Availability,
    ContentTokenRow,
    ContentTokenState,
    ContentTokenView,
    JudgedLicences,
    Level,
    Watch,
)
from bot.licenses.models import Trouble
from bot.tokens.rules import days_left

#: How often the counts of a content token are read.
COUNT_EVERY = timedelta(hours=6)
#: Tokens added together are not read together for ever: each has its own part of this added.
SPREAD = timedelta(minutes=20)
#: After so long without a good answer nobody knows whether the service still accepts a content token.
NOT_CONFIRMED_AFTER = timedelta(hours=48)
#: When a read that failed is tried again, by how many failed in a row.
RETRY_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))

#: Below this part of all, or this many, whichever is larger, licences are low.
LOW_PERCENT = 10
LOW_COUNT = 5

#: Of a content token with more thresholds than this, the apps are told of together.
TOLD_ALONE_AT_MOST = 10

LINK_LIFE = timedelta(minutes=10)
#: A content token is a few hundred bytes; a link's page and a Slack file take no more than this.
FILE_LIMIT = 64 * 1024

HIGHEST_THRESHOLD = 1_000_000

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")


def check_name(text: str) -> str:
    """Return the name of a content token as typed, without space around it. Raises `ContentNameWrong`."""
    name = text.strip()
    if not _NAME.fullmatch(name) or not re.search(r"[A-Za-z0-9]", name):
        raise ContentNameWrong(name[:60])
    return name


def name_key(name: str) -> str:
    """Return what makes two names the same."""
    return name.strip().lower()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the state of a content token is read off."""

    expires_at: datetime
    warn_days: Sequence[int]
    trouble: Trouble | None
    trouble_since: datetime | None
    counted_at: datetime | None


def state_of(standing: Standing, now: datetime) -> ContentTokenState:
    """Return the state; the worst that holds wins."""
    if standing.trouble is Trouble.REVOKED:
        return ContentTokenState.REVOKED
    if standing.trouble is Trouble.EXPIRED or standing.expires_at <= now:
        return ContentTokenState.EXPIRED
    if days_left(standing.expires_at, now) <= max(standing.warn_days, default=0):
        return ContentTokenState.EXPIRING
    if standing.counted_at is None or now - standing.counted_at > NOT_CONFIRMED_AFTER:
        return ContentTokenState.UNKNOWN
    return ContentTokenState.ACTIVE


def ended_since(standing: Standing, now: datetime) -> datetime | None:
    """Return since when a content token is of no use, None while it is."""
    if standing.trouble is Trouble.REVOKED:
        return standing.trouble_since
    if standing.expires_at <= now:
        return standing.expires_at
    return standing.trouble_since if standing.trouble else None


def due_after(content_token_id: str, now: datetime, *, failures: int, wait: timedelta | None) -> datetime:
    """Return when to read the counts again, after a success (no failures) or so many failures in a row.

    `wait` is what the service asked for. The spread is the same each time for a content token.
    """
    if failures == 0:
        part = int(hashlib.sha256(content_token_id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        # Within the six hours, not beyond them.
        return now + COUNT_EVERY - part * SPREAD
    tries = RETRY_AFTER[min(failures, len(RETRY_AFTER)) - 1]
    return now + max(tries, wait or timedelta())


# How scarce licences are


def low_mark(total: int | None, threshold: int | None) -> int | None:
    """Return below how many available licences an app is low: its threshold, or 10 % or 5, the larger.

    None where the licences have no limit: they are never low.
    """
    if total is None:
        return None
    if threshold is not None:
        return threshold
    # Of 55 licences 10 % are 5.5, and 5 are below that.
    return max(LOW_COUNT, -(-total * LOW_PERCENT // 100))


def missing(app: AppLicences) -> int:
    """Return how many more licences an app needs so that it is not low any more, 0 where it is not."""
    if app.total is None or app.available is None or app.mark is None or app.available >= app.mark:
        return 0
    if app.threshold is not None:
        return app.threshold - app.available
    # Ten per cent of a larger number is more: of 100 with none left, 11 are too few and 12 are enough.
    return max(LOW_COUNT - app.available, -(-(app.total - 10 * app.available) // 9))


def level_of(available: int | None, mark: int | None) -> Level:
    """Return how scarce licences are; without a limit (None) they are fine."""
    if available is None or mark is None:
        return Level.FINE
    if available <= 0:
        return Level.NONE
    return Level.LOW if available < mark else Level.FINE


def scarcity(app: AppLicences) -> tuple[object, ...]:
    """Return what puts licences in order: books last, the scarcest first, those without a limit behind."""
    order = {Level.NONE: 0, Level.LOW: 1, Level.FINE: 2}
    share = 2.0
    if app.total is not None and app.available is not None:
        share = app.available / app.total if app.total > 0 else 0.0
    return (
        *(app.is_book, order[app.level], share, app.available or 0),
        *(app.title.casefold(), app.app_id, app.pricing),
    )


def looked_at(
    content_tokens: Iterable[ContentTokenView],
    licences: Mapping[str, Sequence[AppLicences]],
    *,
    installed: Mapping[str, Collection[str]],
    thresholds: Mapping[str, int] | None = None,
) -> list[JudgedLicences]:
    """Return the apps with too few licences and those that profiles install, the watched ones first.

    `licences`, `installed` and `thresholds` are by the content token's id: what it has, the ids of apps
    that profiles install, how many apps have a threshold of their own. What has no limit is never low;
    what a profile installs and the location does not have at all is none left. An app that the location
    had once is told only while somebody watches it.
    """
    found: list[JudgedLicences] = []
    for each in content_tokens:
        wanted = frozenset(installed.get(each.id, ()))
        held = licences.get(each.id, ())
        missing = wanted - {app.app_id for app in held}
        for app in [*held, *(_absent(each.id, app_id) for app_id in sorted(missing))]:
            watch = _watch(app, wanted, (thresholds or {}).get(each.id, 0))
            is_low = app.level is not Level.FINE and (app.is_listed or watch is not Watch.NOBODY)
            if is_low or watch is Watch.PROFILE:
                found.append(JudgedLicences(each, app, watch))
    return sorted(
        found,
        key=lambda low: (not low.is_watched, scarcity(low.app), name_key(low.content_token.name)),
    )


def _watch(app: AppLicences, wanted: Collection[str], thresholds: int) -> Watch:
    if app.app_id in wanted:
        return Watch.PROFILE
    if app.has_own_threshold and thresholds <= TOLD_ALONE_AT_MOST:
        return Watch.APP
    return Watch.NOBODY if app.threshold is None else Watch.MANY


_WORST_FIRST = (
    *(ContentTokenState.REVOKED, ContentTokenState.EXPIRED, ContentTokenState.EXPIRING),
    *(ContentTokenState.UNKNOWN, ContentTokenState.ACTIVE),
)


def worst_first(rows: Iterable[ContentTokenRow]) -> list[ContentTokenRow]:
    """Return content tokens in the order in which they need care, else by name."""
    return sorted(
        rows,
        key=lambda row: (
            _WORST_FIRST.index(row.content_token.state),
            -row.none_left,
            -row.low,
            name_key(row.content_token.name),
        ),
    )


def row_of(content_token: ContentTokenView, licences: Iterable[AppLicences]) -> ContentTokenRow:
    levels = [each.level for each in licences if each.is_listed]
    return ContentTokenRow(content_token, levels.count(Level.LOW), levels.count(Level.NONE))


def _absent(content_token_id: str, app_id: str) -> AppLicences:
    return AppLicences(
        content_token_id=content_token_id,
        app_id=app_id,
        pricing="",
        name=None,
        bundle_id=None,
        is_book=False,
        total=0,
        assigned=0,
        available=0,
        retired=0,
        device_assignable=False,
        platforms=(),
        threshold=None,
        mark=LOW_COUNT,
        level=Level.NONE,
        is_listed=False,
    )


def parse_threshold(text: str) -> int | None:
    """Read a number of licences; `none` and `-` are None. Raises `ThresholdWrong`."""
    word = text.strip().lower().replace(",", "")
    if word in ("none", "-"):
        return None
    if not re.fullmatch(r"[0-9]{1,7}", word) or int(word) > HIGHEST_THRESHOLD:
        raise ThresholdWrong(text.strip()[:60])
    return int(word)


def find_app(typed: str, licences: Sequence[AppLicences], *, name: str, slash: str) -> AppLicences:
    """Return the app that a person means: its number, bundle id, name, or a part that one name alone has.

    Raises `AppUnknown` with the nearest name, `AppAmbiguous`.
    """
    wanted = typed.strip().casefold()
    exact = [each for each in licences if wanted in _names_of(each)]
    if not exact and wanted:
        exact = [each for each in licences if wanted in each.title.casefold()]
    ids = {each.app_id for each in exact}
    if len(ids) > 1:
        raise AppAmbiguous(typed.strip()[:60], [f"{each.title} ({each.app_id})" for each in exact])
    if exact:
        return exact[0]
    near = nearest(typed, [each.title for each in licences])
    known = {each.title.casefold(): each.title for each in licences}
    guess = known.get(near.casefold()) if near else None
    raise AppUnknown(typed.strip()[:60], guess, name=name, slash=slash)


def _names_of(app: AppLicences) -> set[str]:
    return {name.casefold() for name in (app.app_id, app.bundle_id, app.title) if name}


# Renewing


@dataclass(frozen=True, slots=True)
class Held:
    """What a stored content token is known by: what a renewed one is compared with."""

    location_id: str
    location_name: str
    expires_at: datetime


def renewal_fault(
    held: Held, offered: Held, now: datetime, *, other: str | None, portal: str
) -> LicenceFault | None:
    """Return why a file renews nothing, the reason that decides first; None where it renews.

    `other` is the content token that the offered location belongs to, where the reader may see it.
    """
    if offered.location_id != held.location_id:
        return WrongLocation(
            expected=held.location_name, got=offered.location_name, other=other, portal=portal
        )
    if offered.expires_at <= now:
        return FileExpired(offered.expires_at, portal=portal)
    if offered.expires_at <= held.expires_at:
        return NotLater(offered.expires_at, held.expires_at, portal=portal)
    return None


# How they went


def availability(
    changes: Sequence[tuple[datetime, int | None]], now: datetime, *, length: timedelta, steps: int
) -> Availability:
    """Return how many were available at the end of each of `steps` even steps up to now.

    `changes` say from when on how many were available, the oldest first; None before the first of them
    and where there was no limit.
    """
    since = now - length
    values: list[int | None] = []
    for step in range(1, steps + 1):
        moment = since + length * step / steps
        known = [available for at, available in changes if at <= moment]
        values.append(known[-1] if known else None)
    return Availability(since, now, tuple(values))


def digest(secret: str) -> str:
    """Return what a link's secret part, or a content token, is known again by."""
    return hashlib.sha256(secret.encode()).hexdigest()
