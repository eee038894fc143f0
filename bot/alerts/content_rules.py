"""What is wrong with content tokens and with other dates, and what became of them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.alerts.facts import About, AlertView, Gathered, Kind, Level, PortalUse, Problem
from bot.alerts.rules import rung_of
from bot.deadlines.facts import DeadlineView
from bot.licenses.facts import AppLicences, ContentTokenState, ContentTokenView, JudgedLicences, Watch
from bot.licenses.facts import Level as Scarcity
from bot.licenses.rules import missing, scarcity
from bot.profiles.facts import PortalVersion
from bot.tokens.rules import days_left

#: What people call the app that set-up may stop at, whatever its store says.
PORTAL_NAME = "Company Portal"
#: What a name may have where it is stored.
NAME_CHARS = 255
#: How many apps a message about many of them names.
NAMED_AT_MOST = 5


# Which profiles need a content token


def portal_uses(versions: Sequence[PortalVersion], waiting: Mapping[str, int]) -> dict[str, PortalUse]:
    """Return what needs each content token, by its id.

    `waiting` are devices that still need a licence, by the UUID of the version that they carry.
    """
    counted: dict[str, dict[str, int]] = {}
    locked: dict[str, set[str]] = {}
    tokens: dict[str, set[str]] = {}
    for each in versions:
        devices = waiting.get(each.profile_uuid, 0)
        if not each.is_in_force and not devices:
            continue
        names = counted.setdefault(each.content_token_id, {})
        names[each.profile_name] = names.get(each.profile_name, 0) + devices
        if each.single_app_mode:
            locked.setdefault(each.content_token_id, set()).add(each.profile_name)
        if devices:
            tokens.setdefault(each.content_token_id, set()).add(each.token_id)
    return {
        each: PortalUse(
            tuple(names),
            tuple(name for name in names if name in locked.get(each, ())),
            names,
            tuple(sorted(tokens.get(each, ()))),
        )
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


# Licences


def licence_problems(
    looked_at: Sequence[JudgedLicences], uses: Mapping[str, PortalUse], *, now: datetime
) -> list[Problem]:
    """Return the apps with too few licences: one each for what a profile installs or a person named.

    All others that are watched are one problem of their content token, so that hundreds of apps that
    become low together, such as those of a content token that has just come, are one message.
    """
    found: list[Problem] = []
    many: dict[str, list[JudgedLicences]] = {}
    seen: set[tuple[str, str]] = set()
    # The same app can be had in two ways: what devices get counts, and of that the scarcer.
    for each in sorted(looked_at, key=lambda each: not each.app.device_assignable):
        view, app = each.content_token, each.app
        is_first = (view.id, app.app_id) not in seen
        seen.add((view.id, app.app_id))
        if view.state.is_ended or not is_first:
            # Nothing is given by a content token that has ended, however many are left.
            continue
        if each.watch is Watch.PROFILE:
            found += _portal(each, uses.get(view.id, PortalUse()), now)
        elif each.watch is Watch.APP:
            found.append(_app(each, now))
        elif each.watch is Watch.MANY:
            many.setdefault(view.id, []).append(each)
    return [*found, *(_apps(apps, now) for apps in many.values())]


def _portal(judged: JudgedLicences, use: PortalUse, now: datetime) -> list[Problem]:
    """Weigh what is left of the app that set-up stops at against the devices that still need it."""
    app = judged.app
    left = app.available if app.device_assignable else 0
    if left is None or (left > 0 and not judged.is_low and left >= use.needed):
        return []
    most = max(use.devices, key=lambda name: use.devices[name], default=None) if use.needed else None
    facts = {
        "app": PORTAL_NAME,
        "is_portal": True,
        "is_for_devices": app.device_assignable,
        "left": left,
        "needed": use.needed,
        "most_needed_by": most,
        "is_most_all": most is not None and use.devices[most] == sum(use.devices.values()),
        "more": use.needed - left if use.needed > left else max(missing(app), 1),
    }
    level = Level.CRITICAL if left <= 0 else Level.NOTE
    return [_licences(judged, use, level, now, facts)]


def _app(judged: JudgedLicences, now: datetime) -> Problem:
    return _licences(judged, PortalUse(), _level(judged), now, _facts_of(judged.app))


def _facts_of(app: AppLicences) -> dict[str, Any]:
    left = app.available or 0
    return {
        "app": app.title,
        "left": left,
        "total": app.total,
        "mark": app.mark,
        "more": max(missing(app), 1),
    }


def _licences(
    judged: JudgedLicences, use: PortalUse, level: Level, now: datetime, facts: dict[str, Any]
) -> Problem:
    view, app = judged.content_token, judged.app
    return Problem(
        kind=Kind.LICENCES,
        subject=f"{view.id}/{app.app_id}",
        subject_name=f"{facts['app']} of {view.name}"[:NAME_CHARS],
        level=level,
        since=now,
        facts=facts_of(view, use) | _counted(view) | {"total": app.total} | facts,
    )


def _apps(judged: Sequence[JudgedLicences], now: datetime) -> Problem:
    """Make one problem of many apps of a content token, the scarcest named."""
    view = judged[0].content_token
    scarcest = [each.app for each in sorted(judged, key=lambda each: scarcity(each.app))]
    named = [
        {"name": app.title, "left": app.available, "total": app.total} for app in scarcest[:NAMED_AT_MOST]
    ]
    told = _facts_of(scarcest[0]) if len(scarcest) == 1 else {"apps": named}
    return Problem(
        kind=Kind.LICENCES,
        subject=f"{view.id}/*",
        subject_name=f"apps of {view.name}",
        level=max(_level(each) for each in judged),
        since=now,
        facts={
            **facts_of(view, PortalUse()),
            **_counted(view),
            "low": len(judged),
            "none": sum(_level(each) is Level.CRITICAL for each in judged),
            **told,
        },
    )


def _level(judged: JudgedLicences) -> Level:
    return Level.CRITICAL if judged.app.level is Scarcity.NONE else Level.NOTE


def _counted(view: ContentTokenView) -> dict[str, Any]:
    return {"counted_at": view.counted_at.isoformat() if view.counted_at else None}


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
    if view.kind is Kind.LICENCES:
        app_id = view.subject.partition("/")[2]
        app = next(
            (
                each.app
                for each in gathered.licences
                if (each.content_token.id, each.app.app_id) == (content_token.id, app_id)
            ),
            None,
        )
        left = {"left": app.available, "total": app.total} if app is not None else {}
        return {"state": content_token.state.value, **left}
    return {
        **_until(content_token.expires_at, gathered.began_at),
        "installed_by": content_token.installed_by,
        "state": content_token.state.value,
    }


def _until(moment: datetime, now: datetime) -> dict[str, Any]:
    return {"expires_at": moment.isoformat(), "days_left": days_left(moment, now)}
