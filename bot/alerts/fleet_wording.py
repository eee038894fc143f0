"""What alerts about devices, profiles and who decides about them say. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from bot.alerts.facts import AlertView, Kind
from bot.alerts.words import Mend, Told, Words, listed, person
from bot.backend.profile import Platform
from bot.profiles.blocks import quoted
from bot.slack.blocks import code, local_time

_PLATFORMS = {
    Platform.IOS: "iOS and iPadOS",
    Platform.MACOS: "macOS",
    Platform.TVOS: "tvOS",
    Platform.VISIONOS: "visionOS",
    Platform.OTHER: "of another platform",
}


def _number(words: Words, name: str) -> int:
    value = words.view.facts.get(name)
    return value if isinstance(value, int) else 0


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"


def _waiting(words: Words) -> Told:
    token, count = words.fact("token"), _number(words, "devices")
    by_platform: Mapping[str, int] = words.view.facts.get("by_platform") or {}
    platforms = sorted(by_platform.items(), key=lambda each: -each[1])
    named = ", ".join(f"{devices:,} {_PLATFORMS[Platform(each)]}" for each, devices in platforms)
    since = f"since {local_time(words.view.since, words.now)}"
    has = "has" if count == 1 else "have"
    first = (
        f"choose the profile that new devices get with {code(f'{words.slash} token default {token} PROFILE')}"
        f"; it asks whether those that wait now are included. Or assign one to them."
        if _number(words, "profiles")
        else f"define a profile with {code(f'{words.slash} profile create --token {token}')}, then make it"
        " the default."
    )
    return Told(
        headline=f"{_devices(count)} of token {token} {has} no profile and will get none by default",
        where=" · ".join(part for part in (words.fact("org"), named, since) if part),
        means=(
            "Enrolled devices keep working. These, switched on now, start unmanaged and would have to be"
            " erased to be enrolled."
        ),
        next=first,
        mends=(Mend.ASSIGN,) if _number(words, "profiles") else (),
        query=f"token:{token} profile:none -status:removed",
    )


def _left(words: Words) -> Told:
    token, removed, before = words.fact("token"), _number(words, "removed"), _number(words, "before")
    left = "has" if removed == 1 else "have"
    return Told(
        headline=f"{_devices(removed)} of token {token} {left} left",
        aside=f"(of {before:,}, seen by the sync of {words.time('at')})",
        where=words.fact("org"),
        means=(
            f"{words.service} no longer lists them for this MDM server: they were released, or assigned to"
            " another server. Enrolled devices keep working; after an erase they start without a profile of"
            " this bot."
        ),
        next=(
            f"look in {words.portal}, at a device's history, who moved them. If that was not meant, assign"
            " them to the server again: the next sync brings them back with their history. If it was,"
            " nothing is to be done; this ends by itself after a week."
        ),
        query=f"token:{token} removed:{words.fact('day')}",
    )


def _default_gone(words: Words) -> Told:
    token = words.fact("token")
    names: list[str] = words.view.facts.get("profiles") or []
    platforms: list[str] = words.view.facts.get("platforms") or []
    what = "default profile" if len(names) == 1 else "default profiles"
    edit = code(f"{words.slash} profile edit {quoted(f'{_token_name(words)}/{names[0]}')}") if names else ""
    return Told(
        headline=f"{words.service} no longer knows the {what} {listed(names)} of token {token}",
        where=" · ".join(
            part
            for part in (
                words.fact("org"),
                ", ".join(_PLATFORMS[Platform(each)] for each in platforms),
                f"noticed {local_time(words.view.since, words.now)}",
            )
            if part
        ),
        means=(
            "Enrolled devices keep working. New devices of these platforms get no profile; switched on now,"
            " they can start unmanaged and would have to be erased."
        ),
        next=(
            f"an admin edits the profile with {edit}, which defines it anew: the default moves along, and it"
            " asks which devices are to get it. Or choose another default with"
            f" {code(f'{words.slash} token default {_token_name(words)} PROFILE')}."
        ),
        checks=True,
        query=f"token:{_token_name(words)} profile:none -status:removed",
    )


def _token_name(words: Words) -> str:
    return str(words.view.facts.get("token") or "")


def _changed(words: Words) -> Told:
    token, count = words.fact("token"), _number(words, "devices")
    their = "its" if count == 1 else "their"
    return Told(
        headline=f"{_devices(count)} of token {token} had {their} profile changed outside enrollbot",
        aside=f"(seen by the sync of {words.time('at')})",
        where=words.fact("org"),
        means=(
            "Enrolled devices keep working. At their next activation these get what they carry now: another"
            " profile than they were given here, or none."
        ),
        next=(
            "find out who else changes profiles on this MDM server, such as another service that has its"
            f" token. {code(f'{words.slash} device show SERIAL')} shows a device's history; assign the"
            " profile again where it should not have changed. This ends by itself after a week."
        ),
        query=f"token:{token}",
    )


def _limit(words: Words) -> Told:
    token, profiles, limit = words.fact("token"), _number(words, "profiles"), _number(words, "limit")
    left = limit - profiles
    room = "no other" if left <= 0 else "1 more" if left == 1 else f"{left:,} more"
    return Told(
        headline=f"Token {token} has {profiles:,} of at most {limit:,} profiles",
        where=words.fact("org"),
        means=f"Devices and profiles go on as they are; {room} can be defined for this token.",
        next=(
            f"delete profiles that no device carries; {code(f'{words.slash} profile list --token {token}')}"
            " counts the devices of each. Editing a profile adds none."
        ),
    )


def _approvers(words: Words) -> Told:
    names: list[str] = words.view.facts.get("tokens") or []
    found: list[str] = words.view.facts.get("approvers") or []
    who = f"Only {person(found[0])} may" if found else "Nobody may"
    tokens = "token" if len(names) == 1 else "tokens"
    return Told(
        headline=f"{who} approve requests for {tokens} {listed(names)}",
        where=f"Since {local_time(words.view.since, words.now)}",
        means=(
            "Enrolled devices keep working. Their own requests can be approved by nobody else, so that an"
            " assignment may wait."
            if found
            else "Enrolled devices keep working. No request can be approved, so that nothing can be assigned."
        ),
        next=_next_approver(words, is_nobody=not found),
        checks=True,
    )


def _next_approver(words: Words, *, is_nobody: bool) -> str:
    told = (
        "an admin grants the role approver to at least two people, best to a user group:"
        f" {code(f'{words.slash} role grant @GROUP approver')}. People who have left Slack don't count."
    )
    if is_nobody:
        # Whoever is an admin of these tokens could approve too.
        told += " As no admin of them is active either, whoever runs this bot names one in ENROLLBOT_ADMINS."
    return f"{told} Then press *Check again*; it is counted every 6 hours too."


def _request(words: Words) -> Told:
    expires_at = words.moment("expires_at")
    until = f", until {local_time(expires_at, words.now)}" if expires_at else ""
    return Told(
        headline=f"{words.fact('request')} waits for a decision",
        aside=f"({_devices(_number(words, 'devices'))}, token {words.fact('token')})",
        where=f"Requested by {person(str(words.view.facts.get('requested_by') or ''))}{until}",
        means="Half of its time is over; undecided, it expires and nothing is changed.",
        next="somebody who may approve it looks at its card and decides.",
        mends=(Mend.REQUEST,),
    )


KINDS: Mapping[Kind, Callable[[Words], Told]] = {
    Kind.DEVICES_WAITING: _waiting,
    Kind.DEVICES_LEFT: _left,
    Kind.DEFAULT_GONE: _default_gone,
    Kind.PROFILES_CHANGED: _changed,
    Kind.PROFILES_LIMIT: _limit,
    Kind.APPROVERS_FEW: _approvers,
    Kind.REQUEST_WAITING: _request,
}


def _fixed(text: str) -> Callable[[AlertView, datetime], str]:
    return lambda _view, _now: text


ENDINGS: Mapping[Kind, Callable[[AlertView, datetime], str]] = {
    Kind.DEVICES_WAITING: _fixed(
        "These devices have a profile, or there is a default now. Those that came before it get it only"
        " where they were included."
    ),
    Kind.DEVICES_LEFT: _fixed("As many devices are there as before, or it was a week ago."),
    Kind.DEFAULT_GONE: _fixed("Every default profile of the token is known again, or is another one now."),
    Kind.PROFILES_CHANGED: _fixed("It was a week ago."),
    Kind.PROFILES_LIMIT: _fixed("There is room for new profiles again."),
    Kind.APPROVERS_FEW: _fixed(
        "At least two active people may approve for these tokens now, nobody else has to, or the tokens have"
        " other tags."
    ),
    Kind.REQUEST_WAITING: _fixed("It was decided, cancelled, or it expired."),
}
