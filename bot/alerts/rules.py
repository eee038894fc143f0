"""What is wrong and how bad it is, what that changes on an alert, and what is told of it next. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.alerts.facts import NOT_POSTED, AlertView, Attempt, Gathered, Kind, Level, Part, Problem, Word
from bot.devices.facts import TokenSyncFacts
from bot.kit.hours import WorkingHours
from bot.tokens.facts import TokenView
from bot.tokens.rules import are_of_one_organisation, days_left

#: Days before an expiry from which on it is a warning, and critical.
WARNING_DAYS = 7
CRITICAL_DAYS = 1
#: For how many days after an expiry the thread is told daily.
TOLD_AFTER_DAYS = 7
AWAITED_FOR = timedelta(days=7)
#: Two failures in a row are no hiccup any more; without any, a sync is missed after two days.
FAILING_SYNCS = 2
SYNC_MISSED_AFTER = timedelta(hours=48)
#: A bot that was down for days syncs first and complains then.
UP_FOR = timedelta(hours=1)

ACKNOWLEDGED_FOR = timedelta(days=3)
SNOOZES = {"1d": timedelta(days=1), "3d": timedelta(days=3), "7d": timedelta(days=7)}
#: A level that was posted so lately is not posted again when it goes and comes.
QUIET_FOR = timedelta(days=1)
#: What counts devices changes often while a sync runs: it is shown once in this time.
SHOWN_EVERY = timedelta(seconds=15)
#: How long to wait before what Slack did not take is told again, by how often that was in a row.
TELL_AGAIN = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))

_LABEL = re.compile(r"(?:al-?)?#?([0-9]{1,9})", re.IGNORECASE)


def number_of(text: str) -> int | None:
    """Read `AL-7`, `al7` or `7`; None for anything else."""
    found = _LABEL.fullmatch(text.strip())
    return int(found[1]) if found else None


# The ladder: anything that expires


@dataclass(frozen=True, slots=True)
class Rung:
    """Where something stands on its way to an expiry.

    `days` are those of the last warning due before it, 0 at the expiry, and below 0 the days since then,
    as long as they are told.
    """

    days: int
    level: Level


def rung_of(expires_at: datetime, *, warn_days: Iterable[int], now: datetime) -> Rung | None:
    """Return the step that is due now, None before the first; of several missed ones the last."""
    if expires_at <= now:
        since = (now - expires_at) // timedelta(days=1)
        return Rung(-min(since, TOLD_AFTER_DAYS), Level.CRITICAL)
    left = days_left(expires_at, now)
    reached = [days for days in warn_days if days >= left]
    return Rung(min(reached), level_of(min(reached))) if reached else None


def level_of(days: int) -> Level:
    if days <= CRITICAL_DAYS:
        return Level.CRITICAL
    return Level.WARNING if days <= WARNING_DAYS else Level.NOTE


def next_level_at(expires_at: datetime, *, warn_days: Iterable[int], level: Level) -> datetime | None:
    """Return when an expiry gets worse than `level`, None where it cannot."""
    worse = [days for days in (*warn_days, 0) if level_of(days) > level]
    return expires_at - timedelta(days=max(worse)) if worse else None


# What is wrong with tokens


def token_problems(
    token: TokenView, *, now: datetime, syncs: TokenSyncFacts, up_since: datetime
) -> list[Problem]:
    """Return what is wrong with one token, terms and its maker apart: those concern several."""
    if not token.has_token:
        return _awaiting(token, now)
    found = _expiry(token, now, syncs)
    if token.expires_at is not None and token.expires_at > now:
        # Once it has expired, all else follows from that.
        found += _rejected(token)
        found += _failing(token, now, syncs, up_since)
    return found


def problem(
    kind: Kind,
    token: TokenView,
    level: Level,
    since: datetime,
    facts: Mapping[str, Any],
    *,
    rung: int | None = None,
) -> Problem:
    """Make a problem of one token; place and people to name are its own."""
    return Problem(
        kind=kind,
        subject=token.id,
        subject_name=token.name,
        level=level,
        since=since,
        rung=rung,
        token_ids=(token.id,),
        place=token.channel,
        mentions=(token.owner,) if token.owner else (),
        facts={
            "token": token.name,
            "token_id": token.id,
            "org": token.org_name,
            "server": token.server_name,
            "made_by": token.made_by,
            **facts,
        },
    )


def _awaiting(token: TokenView, now: datetime) -> list[Problem]:
    if now - token.added_at < AWAITED_FOR:
        return []
    facts = {"added_at": token.added_at.isoformat(), "added_by": token.added_by}
    return [problem(Kind.AWAITING_FILE, token, Level.NOTE, token.added_at, facts)]


def _expiry(token: TokenView, now: datetime, syncs: TokenSyncFacts) -> list[Problem]:
    if token.expires_at is None:
        return []
    rung = rung_of(token.expires_at, warn_days=token.warn_days, now=now)
    if rung is None:
        return []
    facts: dict[str, Any] = {"expires_at": token.expires_at.isoformat(), "warn_days": list(token.warn_days)}
    if token.expires_at <= now:
        facts["last_sync_at"] = syncs.last_ok_at.isoformat() if syncs.last_ok_at else None
    since = token.expires_at - timedelta(days=max(token.warn_days, default=0))
    return [problem(Kind.TOKEN_EXPIRY, token, rung.level, since, facts, rung=rung.days)]


def _rejected(token: TokenView) -> list[Problem]:
    if token.rejected_since is None:
        return []
    step = token.next_step
    facts = {
        "since": token.rejected_since.isoformat(),
        "next": step.text if step else "",
        "actions": [action.value for action in step.actions] if step else [],
    }
    return [problem(Kind.TOKEN_REJECTED, token, Level.CRITICAL, token.rejected_since, facts)]


def _failing(token: TokenView, now: datetime, syncs: TokenSyncFacts, up_since: datetime) -> list[Problem]:
    # Terms and a rejection fail every sync, and have alerts of their own.
    if not token.state.can_sync or token.in_doubt:
        return []
    started_at = syncs.running.started_at if syncs.running else None
    known = [each for each in (syncs.last_ok_at, token.installed_at, started_at) if each is not None]
    is_missed = now - max(known) >= SYNC_MISSED_AFTER and now - up_since >= UP_FOR
    if syncs.failures < FAILING_SYNCS and not is_missed:
        return []
    last = syncs.last
    facts = {
        "failures": syncs.failures,
        "last_sync_at": syncs.last_ok_at.isoformat() if syncs.last_ok_at else None,
        "error": last.error if last else None,
        "next": last.next_step if last else None,
    }
    since = syncs.last_ok_at or token.installed_at or now
    return [problem(Kind.SYNC_FAILING, token, Level.WARNING, since, facts)]


def is_sync_unclear(token: TokenView, syncs: TokenSyncFacts, *, now: datetime, up_since: datetime) -> bool:
    """Say whether a sync that failed or was missed may still do so: the next one has not said it yet."""
    return token.in_doubt or syncs.running is not None or now - up_since < UP_FOR


def terms_problems(tokens: Sequence[TokenView], *, now: datetime) -> list[Problem]:
    """Return the organisations whose terms are open, each with its tokens that are kept from work."""
    waiting = [
        token
        for token in tokens
        if token.terms_since is not None and token.expires_at is not None and token.expires_at > now
    ]
    groups: list[list[TokenView]] = []
    for token in waiting:
        own = next((group for group in groups if are_of_one_organisation(group[0], token)), None)
        if own is None:
            groups.append([token])
        else:
            own.append(token)
    return [_terms_of(group) for group in groups]


def _terms_of(tokens: Sequence[TokenView]) -> Problem:
    first = tokens[0]
    name = first.org_name or first.name
    places = {token.channel for token in tokens}
    since = min(token.terms_since for token in tokens if token.terms_since is not None)
    return Problem(
        kind=Kind.TERMS,
        subject=f"org:{first.org_id or name}"[:120],
        subject_name=name,
        level=Level.CRITICAL,
        since=since,
        token_ids=tuple(token.id for token in tokens),
        place=places.pop() if len(places) == 1 else None,
        mentions=tuple(dict.fromkeys(token.owner for token in tokens if token.owner)),
        facts={"org": name, "org_id": first.org_id, "tokens": [token.name for token in tokens]},
    )


def maker_problems(tokens: Sequence[TokenView], gone: Mapping[str, str], *, now: datetime) -> list[Problem]:
    """Return the tokens whose maker is gone: `gone` are deactivated Slack users by their e-mail."""
    return [
        problem(Kind.MAKER_GONE, token, Level.WARNING, now, {"user": gone[token.made_by.lower()]})
        for token in tokens
        if token.has_token and token.made_by and token.made_by.lower() in gone
    ]


# What that changes on an open alert

_SHOWN = ("level", "rung", "subject_name", "facts")
_COPIED = (*_SHOWN, "place", "mentions", "token_ids")


def changes(view: AlertView, found: Problem, *, now: datetime) -> dict[str, Any]:
    """Return the columns of an open alert that a look at its problem changes, none when all is as it was."""
    differing = [name for name in _COPIED if _plain(getattr(view, name)) != _plain(getattr(found, name))]
    shown = [name for name in differing if name in _SHOWN]
    if shown == ["facts"] and now - view.changed_at < SHOWN_EVERY:
        differing.remove("facts")
        shown = []
    values: dict[str, Any] = {name: _plain(getattr(found, name)) for name in differing}
    if shown:
        values |= {"version": view.version + 1, "changed_at": now}
    if found.level != view.level:
        values["level_since"] = now
    if found.level > view.level:
        values |= _NOBODYS
    return values | _cooled(view, found.level, now)


#: A promise made of one level says nothing of a worse one.
_NOBODYS: Mapping[str, Any] = {
    **dict.fromkeys(("acknowledged_by", "acknowledged_at", "acknowledged_until")),
    **dict.fromkeys(("snoozed_by", "snoozed_until", "word")),
}


def _cooled(view: AlertView, level: Level, now: datetime) -> dict[str, Any]:
    """Let a worse level be posted again once it has been gone for a day."""
    if level >= view.posted_level or view.posted_level_at is None:
        return {}
    return {"posted_level": int(level)} if now - view.posted_level_at >= QUIET_FOR else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Level):
        return int(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def lapses(view: AlertView, *, now: datetime) -> dict[str, Any]:
    """Return the columns of an open alert that change as a promise runs out."""
    if view.acknowledged_until is not None and view.acknowledged_until <= now:
        return {"acknowledged_until": None, "word": Word.LAPSED.value, "version": view.version + 1}
    if view.snoozed_until is not None and view.snoozed_until <= now:
        return {"snoozed_until": None, "word": Word.WOKEN.value, "version": view.version + 1}
    return {}


def ending(view: AlertView, tokens: Mapping[str, TokenView]) -> dict[str, Any]:
    """Return what became of the subject of an alert that is over, for its last word."""
    if not view.token_ids:
        return {}
    left = [tokens[each] for each in view.token_ids if each in tokens]
    if not left:
        return {"removed": True}
    token = left[0]
    return {
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "days_left": token.days_left,
        "installed_by": token.installed_by,
        "installed_at": token.installed_at.isoformat() if token.installed_at else None,
        "state": token.state.value,
    }


def snoozed_until(view: AlertView, length: timedelta, *, now: datetime) -> datetime:
    """Return until when an alert may be silent: `length`, but not past its next level."""
    expires_at = view.facts.get("expires_at")
    if view.rung is None or not isinstance(expires_at, str):
        return now + length
    worse_at = next_level_at(
        datetime.fromisoformat(expires_at), warn_days=view.facts.get("warn_days", ()), level=view.level
    )
    return min(now + length, worse_at) if worse_at is not None else now + length


# What is told next


def next_part(view: AlertView, *, now: datetime, hours: WorkingHours) -> Part | None:
    """Return what is to be told of an alert now, None when its message and thread say all there is.

    Told is what holds at this moment alone: what was missed on the way is not made up for.
    """
    if view.kind in NOT_POSTED:
        return None
    if not view.is_open:
        return _last_part(view, now=now, hours=hours)
    may_post = _is_loud(view, now, hours) and not view.is_snoozed(now)
    if view.message_ts is None:
        return Part.POST if may_post else _look(view)
    if may_post and view.level > view.posted_level:
        return Part.RAISE
    if may_post and _has_day_to_tell(view):
        return Part.DAY
    if may_post and view.word is not None:
        return Part.WORD
    return Part.UPDATE if view.shown < view.version else None


def _last_part(view: AlertView, *, now: datetime, hours: WorkingHours) -> Part | None:
    if view.message_ts is None:
        return _look(view)
    if view.shown < view.version:
        return Part.UPDATE
    is_told = view.resolution_told_at is not None
    return Part.RESOLVED if not is_told and _is_loud(view, now, hours) else None


def _look(view: AlertView) -> Part | None:
    return Part.LOOK if view.attempt is not None else None


def _is_loud(view: AlertView, now: datetime, hours: WorkingHours) -> bool:
    return view.level is Level.CRITICAL or hours.includes(now)


def _has_day_to_tell(view: AlertView) -> bool:
    """Say whether a day after an expiry is to be told; whoever has taken it on is left in peace."""
    if view.rung is None or view.rung > 0 or view.acknowledged_until is not None:
        return False
    return view.told_rung is None or view.rung < view.told_rung


def told(view: AlertView, attempt: Attempt, *, now: datetime) -> dict[str, Any]:
    """Return the columns that change once a post has arrived, whenever it was begun."""
    values: dict[str, Any] = {"attempt": None, "tries": 0, "try_at": None}
    if attempt.part is not Part.POST:
        values["posts"] = view.posts + 1
    if attempt.part in (Part.POST, Part.RAISE):
        values |= {"posted_level": attempt.level, "posted_level_at": now}
    if attempt.part in (Part.POST, Part.RAISE, Part.DAY) and attempt.rung is not None and attempt.rung <= 0:
        values["told_rung"] = attempt.rung
    if attempt.part in (Part.WORD, Part.DAY):
        # Said of the day that it still holds, nothing is left to say of a promise that ran out.
        values["word"] = None
    if attempt.part is Part.RESOLVED:
        values["resolution_told_at"] = now
    return values


def tell_again_after(tries: int) -> timedelta:
    return TELL_AGAIN[min(tries, len(TELL_AGAIN) - 1)]


def worst_first(views: Iterable[AlertView]) -> list[AlertView]:
    return sorted(views, key=lambda view: (-view.level, view.level_since, view.number))


def is_missing(view: AlertView, gathered: Gathered) -> bool:
    """Say whether an open alert without its problem is over, or only was not looked at."""
    if view.kind in gathered.unknown or (view.kind, view.subject) in gathered.unclear:
        return False
    if set(view.token_ids).intersection(gathered.untold):
        return False
    return view.opened_at < gathered.began_at
