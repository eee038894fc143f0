"""What is wrong with content tokens and with other dates, and what became of them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.alerts.facts import About, AlertView, Gathered, Kind, Level, PortalUse, Problem
from bot.alerts.rules import rung_of
from bot.deadlines.facts import DeadlineView
from bot.licenses.facts import ContentTokenState, ContentTokenView
from bot.profiles.facts import PortalVersion
from bot.tokens.rules import days_left

# Which profiles need a content token


def portal_uses(versions: Sequence[PortalVersion], waiting: Mapping[str, int]) -> dict[str, PortalUse]:
    """Return what needs each content token, by its id.

    `waiting` are devices that still need a licence, by the UUID of the version that they carry.
    """
    counted: dict[str, dict[str, int]] = {}
    locked: dict[str, set[str]] = {}
    for each in versions:
        devices = waiting.get(each.profile_uuid, 0)
        if not each.is_in_force and not devices:
            continue
        names = counted.setdefault(each.content_token_id, {})
        names[each.profile_name] = names.get(each.profile_name, 0) + devices
        if each.single_app_mode:
            locked.setdefault(each.content_token_id, set()).add(each.profile_name)
    return {
        each: PortalUse(tuple(names), tuple(name for name in names if name in locked.get(each, ())), names)
        for each, names in counted.items()
    }


# Content tokens


def content_token_problems(view: ContentTokenView, use: PortalUse, *, now: datetime) -> list[Problem]:
    """Return what is wrong with a content token itself. `use` are the profiles that need it."""
    if view.state is ContentTokenState.REVOKED and view.expires_at > now:
        # An expiry that is still to come is of no interest any more.
        since = view.ended_since or now
        return [of_content_token(Kind.CONTENT_REVOKED, view, use, Level.CRITICAL, since, {})]
    expires_at = ends_at(view)
    rung = rung_of(expires_at, warn_days=view.warn_days, now=now)
    if rung is None:
        return []
    facts = {"expires_at": expires_at.isoformat(), "warn_days": list(view.warn_days)}
    since = expires_at - timedelta(days=max(view.warn_days, default=0))
    return [of_content_token(Kind.CONTENT_EXPIRY, view, use, rung.level, since, facts, rung=rung.days)]


def ends_at(view: ContentTokenView) -> datetime:
    """Return when a content token expires, or when the service said that it had before that."""
    if view.state is ContentTokenState.EXPIRED and view.ended_since is not None:
        return min(view.ended_since, view.expires_at)
    return view.expires_at


def of_content_token(
    kind: Kind,
    view: ContentTokenView,
    use: PortalUse,
    level: Level,
    since: datetime,
    facts: dict[str, Any],
    *,
    rung: int | None = None,
) -> Problem:
    return Problem(
        kind=kind,
        subject=view.id,
        subject_name=view.name,
        level=level,
        since=since,
        rung=rung,
        facts=facts_of(view, use) | facts,
    )


def facts_of(view: ContentTokenView, use: PortalUse) -> dict[str, Any]:
    return {
        "content_token": view.name,
        "location": view.location_name,
        "org": view.org_name,
        "manager": view.manager,
        "profiles": list(use.profiles),
        "single_app": list(use.single_app),
    }


# Other dates


def deadline_problems(view: DeadlineView, *, warn_days: Sequence[int], now: datetime) -> list[Problem]:
    rung = rung_of(view.at, warn_days=warn_days, now=now)
    if rung is None:
        return []
    certificate = view.certificate
    return [
        Problem(
            kind=Kind.DEADLINE,
            subject=view.id,
            subject_name=view.name,
            level=rung.level,
            since=view.at - timedelta(days=max(warn_days, default=0)),
            rung=rung.days,
            place=view.channel,
            mentions=(view.owner,) if view.owner else (),
            facts={
                "name": view.name,
                "expires_at": view.at.isoformat(),
                "warn_days": list(warn_days),
                "day": view.day.isoformat() if view.day else None,
                "is_certificate": certificate is not None,
                "topic": certificate.topic if certificate else None,
                "added_by": view.added_by,
            },
        )
    ]


# What became of them


def ending(view: AlertView, gathered: Gathered) -> dict[str, Any]:
    """Return what became of the subject of an alert that is over, for its last word."""
    if view.kind.about is About.DEADLINE:
        deadline = gathered.deadlines.get(view.subject_id)
        return _until(deadline.at, gathered.began_at) if deadline else {"removed": True}
    content_token = gathered.content_tokens.get(view.subject_id)
    if content_token is None:
        return {"removed": True}
    return {
        **_until(content_token.expires_at, gathered.began_at),
        "installed_by": content_token.installed_by,
        "state": content_token.state.value,
    }


def _until(moment: datetime, now: datetime) -> dict[str, Any]:
    return {"expires_at": moment.isoformat(), "days_left": days_left(moment, now)}
