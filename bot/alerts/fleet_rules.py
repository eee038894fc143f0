"""What is wrong with the devices and profiles of a token, and with who decides about them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from bot.alerts.facts import Kind, Level, Problem
from bot.alerts.rules import problem
from bot.assignments.facts import RequestView
from bot.devices.facts import Loss
from bot.profiles.facts import DefaultView
from bot.tokens.facts import TokenView

#: A token without any profile is being set up: its devices are told of a day later.
SET_UP_WITHIN = timedelta(hours=24)
#: A sync that marked more devices than this removed, or more than one in so many, is told.
MANY_LEFT = 20
ONE_LEFT_IN = 20
#: For how long it is told that devices left, unless as many are there before: longer than any weekend.
LEFT_FOR = timedelta(days=7)
#: An order and the reading back of its devices take no longer; what a sync finds meanwhile may be ours.
READ_BACK_WITHIN = timedelta(minutes=15)
#: From which part of its limit of profiles on a token is near it.
NEAR_LIMIT = 0.9
#: One who decides, and one who is there while the other is not.
ENOUGH_APPROVERS = 2


def waiting_problem(
    token: TokenView,
    waiting: Mapping[str, int],
    *,
    defaults: Collection[str],
    profiles: int,
    now: datetime,
) -> Problem | None:
    """Return that devices wait for a profile that nobody will give them.

    `waiting` counts them by platform, `defaults` are the platforms with a default, `profiles` is how many
    profiles the token has.
    """
    left_alone = {platform: count for platform, count in waiting.items() if platform not in defaults}
    is_new = token.installed_at is None or now - token.installed_at < SET_UP_WITHIN
    if not left_alone or (is_new and not profiles):
        return None
    facts = {"devices": sum(left_alone.values()), "by_platform": left_alone, "profiles": profiles}
    return problem(Kind.DEVICES_WAITING, token, Level.WARNING, now, facts)


def loss_problem(token: TokenView, losses: Sequence[Loss], *, present: int, now: datetime) -> Problem | None:
    """Return that the newest sync that lost many devices did so lately, unless as many are there again."""
    many = [
        each
        for each in losses
        if each.removed > MANY_LEFT or each.removed * ONE_LEFT_IN > each.devices_before
    ]
    if not many or now - many[-1].ended_at >= LEFT_FOR or present >= many[-1].devices_before:
        return None
    last = many[-1]
    facts = {
        "removed": last.removed,
        "before": last.devices_before,
        "at": last.ended_at.isoformat(),
        "day": last.ended_at.date().isoformat(),
    }
    return problem(Kind.DEVICES_LEFT, token, Level.WARNING, last.ended_at, facts)


def default_problem(
    token: TokenView, defaults: Sequence[DefaultView], gone: Collection[str], *, now: datetime
) -> Problem | None:
    """Return that the service no longer knows defaults of a token; `gone` are their UUIDs."""
    lost = [each for each in defaults if each.profile_uuid in gone]
    if not lost:
        return None
    facts = {
        "profiles": list(dict.fromkeys(each.profile_name for each in lost)),
        "platforms": [each.platform.value for each in lost],
    }
    return problem(Kind.DEFAULT_GONE, token, Level.WARNING, now, facts)


def changed_problem(token: TokenView, found: Loss | None) -> Problem | None:
    """Return that a sync found profiles changed or cleared outside this bot."""
    if found is None:
        return None
    facts = {"devices": found.profiles_changed, "at": found.ended_at.isoformat()}
    return problem(Kind.PROFILES_CHANGED, token, Level.WARNING, found.ended_at, facts)


def limit_problem(token: TokenView, profiles: int, *, limit: int, now: datetime) -> Problem | None:
    if profiles < limit * NEAR_LIMIT:
        return None
    return problem(Kind.PROFILES_LIMIT, token, Level.NOTE, now, {"profiles": profiles, "limit": limit})


def approvers_problem(
    tokens: Sequence[TokenView], active: Collection[str], *, now: datetime
) -> Problem | None:
    """Return that fewer than two active people may approve requests of these tokens.

    The tokens have the same tags.
    """
    if len(active) >= ENOUGH_APPROVERS:
        return None
    places = {token.channel for token in tokens}
    names = [token.name for token in tokens]
    return Problem(
        kind=Kind.APPROVERS_FEW,
        subject=f"tags:{','.join(sorted(tokens[0].tags))}"[:120],
        subject_name=", ".join(names)[:255],
        level=Level.NOTE if active else Level.WARNING,
        since=now,
        token_ids=tuple(token.id for token in tokens),
        place=places.pop() if len(places) == 1 else None,
        facts={"tokens": names, "approvers": sorted(active)},
    )


def request_problem(view: RequestView, token: TokenView) -> Problem:
    """Return that a request waits for a decision and half of its time is over."""
    return Problem(
        kind=Kind.REQUEST_WAITING,
        subject=view.id,
        subject_name=f"REQ-{view.number}",
        level=Level.NOTE,
        since=view.requested_at or view.made_at,
        token_ids=(token.id,),
        place=token.channel,
        facts={
            "token": token.name,
            "org": token.org_name,
            "request": f"REQ-{view.number}",
            "requested_by": view.requested_by,
            "devices": view.devices,
            "expires_at": view.expires_at.isoformat() if view.expires_at else None,
        },
    )
