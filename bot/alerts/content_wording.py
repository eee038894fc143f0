"""What alerts about content tokens, licences and other dates say. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from bot.alerts.facts import AlertView, Kind
from bot.alerts.words import NAME_CHARS, Mend, Told, Words, ago, days, listed, person
from bot.backend.port import BackendTexts
from bot.deadlines.blocks import on
from bot.licenses.facts import ContentTokenState, ContentTokenView
from bot.profiles.blocks import quoted
from bot.slack.blocks import bold, code, escape, local_time, short
from bot.tokens.rules import days_left

# Content tokens


def _where(words: Words) -> str:
    manager, location = words.fact("manager"), words.fact("location")
    parts = [
        words.fact("org"),
        f"location {location}",
        f"managed by {manager}" if manager else "",
    ]
    return " · ".join(part for part in parts if part)


def _stops(words: Words) -> str:
    """Say what happens to devices whose profiles install the app of a content token; empty without any."""
    profiles, locked = words.view.facts.get("profiles") or [], words.view.facts.get("single_app") or []
    if not profiles:
        return ""
    told = f"set-up of new devices with {_profiles(profiles)} stops at Company Portal"
    if not locked:
        return told
    which = "" if len(locked) == len(profiles) else f" with {listed(locked)}"
    return f"{told}; in Single App Mode{which} the device cannot be used"


def _content_means(words: Words, *, when: str) -> str:
    """Say what an end means: `when` is from when on, empty for now."""
    stops = _stops(words)
    told = "Installed apps and enrolled devices keep working. "
    lead = f"{when}, the MDM server" if when else "The MDM server"
    told += f"{lead} can give no licence of this location to a new device"
    return f"{told}: {stops}." if stops else f"{told}."


def _renew(words: Words) -> str:
    location = bold(str(words.view.facts.get("location") or ""))
    return (
        f"renew it; whoever manages Apps and Books of location {location} in {words.portal} can."
        f" {words.texts.content_token_step} Press *Renew token* to hand it over here, and give it to the MDM"
        " server too."
    )


def _content_expiry(words: Words) -> Told:
    name, expires_at = words.fact("content_token"), words.moment("expires_at") or words.now
    if expires_at <= words.now:
        headline = f"Content token {name} expired {ago(words.now - expires_at)}"
        means = _content_means(words, when="")
    else:
        headline = f"Content token {name} expires in {days(days_left(expires_at, words.now))}"
        means = _content_means(words, when="After that")
    return Told(
        headline=headline,
        aside=f"({local_time(expires_at, words.now, stays=True)})",
        where=_where(words),
        means=means,
        next=_renew(words),
        mends=(Mend.RENEW_CONTENT,),
        checks=True,
    )


def _content_revoked(words: Words) -> Told:
    return Told(
        headline=f"{words.service} no longer accepts the content token {words.fact('content_token')}",
        aside=f"since {local_time(words.view.since, words.now)}",
        where=_where(words),
        means=(
            f"It was revoked, or the account that made it has changed. {_content_means(words, when='')} The"
            " licence counts here are the last that were read."
        ),
        next=_renew(words),
        mends=(Mend.RENEW_CONTENT,),
        checks=True,
    )


def answer(view: ContentTokenView, *, texts: BackendTexts, now: datetime) -> str:
    """Say what the service has just answered about a content token."""
    asked = f"Asked {escape(texts.service)} {local_time(view.asked_at or now, now)}:"
    if view.error is None:
        return f"{asked} content token {escape(view.name)} is accepted, and its licences are counted."
    if view.state.is_ended:
        return f"{asked} content token {escape(view.name)} is still not accepted."
    return f"{asked} content token {escape(view.name)} could not be read. {escape(view.error)}"


# Licences


def _licences(words: Words) -> Told:
    facts = words.view.facts
    if "apps" in facts:
        return _of_many(words)
    if not facts.get("is_portal"):
        return _of_app(words)
    left, needed = _number(words, "left"), _number(words, "needed")
    headline = f"{words.fact('app')}: {_left(left)}"
    if needed:
        headline += f", {_count(needed, 'device')} still {'needs' if needed == 1 else 'need'} one"
    most = facts.get("most_needed_by")
    return Told(
        headline=headline,
        where=_counted(words),
        means=_portal_means(words, left),
        next=_get_more(words),
        mends=() if most else (Mend.SHOW_CONTENT,),
        checks=True,
        query=f"profile:{quoted(str(most))} status:assigned" if most else None,
        query_of="" if facts.get("is_most_all") else f" of {most}",
    )


def _portal_means(words: Words, left: int) -> str:
    profiles, locked = words.view.facts.get("profiles") or [], words.view.facts.get("single_app") or []
    when = f"From the {ordinal(left + 1)} new device on, set-up" if left > 0 else "Set-up of new devices"
    told = f"Needed by {_profiles(profiles)}. {when} stops at Company Portal"
    if not words.view.facts.get("is_for_devices"):
        told = f"The location has no licences of it for devices. {told}"
    if locked:
        which = "" if len(locked) == len(profiles) else f" with {listed(locked)}"
        told += f", and in Single App Mode{which} the device cannot be used"
    return f"{told}. Enrolled devices keep working."


def _of_app(words: Words) -> Told:
    left, mark = _number(words, "left"), _number(words, "mark")
    when = f"The {ordinal(left + 1)} new device or person gets it" if left > 0 else "New ones get it"
    return Told(
        headline=f"{words.fact('app')}: {_left(left)}",
        where=_counted(words),
        means=(
            f"It is told of below {mark:,}, its threshold. Who has the app keeps it. {when} only once there"
            " are more licences."
        ),
        next=_get_more(words),
        mends=(Mend.SHOW_CONTENT,),
        checks=True,
    )


def _of_many(words: Words) -> Told:
    name, low, none = words.fact("content_token"), _number(words, "low"), _number(words, "none")
    apps = words.view.facts.get("apps") or []
    headline = f"Content token {name}: {_count(low, 'app')} low on licences"
    if none:
        headline += f", {'all' if none == low else f'{none:,}'} of them with none left"
    named = [
        f"{escape(short(each['name'], NAME_CHARS))}: {each['left'] or 0:,} of {each['total'] or 0:,} free"
        for each in apps
    ]
    more = f" and {low - len(named):,} more" if low > len(named) else ""
    return Told(
        headline=headline,
        where=_counted(words),
        means=(
            f"{', '.join(named)}{more}. Who has an app keeps it; where none is left, new devices and people"
            " do not get it."
        ),
        next=_get_more(words),
        mends=(Mend.SHOW_CONTENT,),
        checks=True,
    )


def _get_more(words: Words) -> str:
    more = words.view.facts.get("more")
    many = f"{more:,} or more" if isinstance(more, int) else "more"
    location = bold(str(words.view.facts.get("location") or ""))
    return (
        f"in {words.portal}, Apps and Books, get {many} at location {location}, or free those of retired"
        " devices in your MDM."
    )


def _counted(words: Words) -> str:
    total, left = words.view.facts.get("total"), words.view.facts.get("left")
    free = f"{left:,} of {total:,} free, " if isinstance(total, int) and isinstance(left, int) else ""
    parts = [
        f"Content token {words.fact('content_token')}",
        f"location {words.fact('location')}",
        f"{free}as of {words.time('counted_at')}",
    ]
    return " · ".join(parts)


def _profiles(names: list[str]) -> str:
    return f"{'profile' if len(names) == 1 else 'profiles'} {listed(names)}"


def _left(count: int) -> str:
    return "no licence left" if count <= 0 else f"{_count(count, 'licence')} left"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _number(words: Words, name: str) -> int:
    value = words.view.facts.get(name)
    return value if isinstance(value, int) else 0


def ordinal(number: int) -> str:
    """Return a place in words: 1st, 22nd, 113th."""
    teens = number % 100 in (11, 12, 13)
    return f"{number:,}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


# Other dates


def _deadline(words: Words) -> Told:
    name, at = words.fact("name"), words.moment("expires_at") or words.now
    day, topic = words.view.facts.get("day"), words.fact("topic")
    is_over = at <= words.now
    left = days(days_left(at, words.now))
    if words.view.facts.get("is_certificate"):
        what = f"{'Push certificate' if topic else 'Certificate'} {name}"
        headline = f"{what} expired {ago(words.now - at)}" if is_over else f"{what} expires in {left}"
    else:
        headline = f"Deadline {name} {'is over' if is_over else f'is in {left}'}"
    added = f"dded by {person(words.view.facts.get('added_by'))}"
    when = on(date.fromisoformat(day)) if isinstance(day, str) else local_time(at, words.now, stays=True)
    return Told(
        headline=headline,
        aside=f"({when})",
        where=f"Topic {code(topic)} · a{added}" if topic else f"A{added}",
        means=_deadline_means(words, is_over=is_over),
        next=_deadline_next(words),
        mends=(Mend.CERTIFICATE,) if words.view.facts.get("is_certificate") else (),
    )


def _deadline_means(words: Words, *, is_over: bool) -> str:
    if words.fact("topic"):
        when = "Since then" if is_over else "After that"
        return (
            f"Enrolled devices keep what they have. {when}, the MDM server reaches none of its devices and"
            " can enroll no new one, until the certificate is renewed."
        )
    if words.view.facts.get("is_certificate"):
        return (
            "What relies on this certificate stops accepting it then. Enrollment here does not depend on it."
        )
    return "Somebody wanted to be told of this date in time. Nothing changes here by itself."


def _deadline_next(words: Words) -> str:
    slash, name = words.slash, words.fact("name")
    same = (
        f"with the same {words.service} Account that made it: another account makes another topic, and then"
        " every device must enroll again"
    )
    if words.fact("topic"):
        return f"renew it {same}. Then press *Upload certificate* and choose its public part."
    if words.view.facts.get("is_certificate"):
        return "renew it, then press *Upload certificate* and choose its public part."
    return (
        f"do what the date stands for, then {code(f'{slash} watch add {name} DATE')} with the next one, or"
        f" {code(f'{slash} watch remove {name}')}. If it is the {words.service} Push certificate of the MDM"
        f" server, renew it {same}."
    )


KINDS: Mapping[Kind, Callable[[Words], Told]] = {
    Kind.CONTENT_EXPIRY: _content_expiry,
    Kind.CONTENT_REVOKED: _content_revoked,
    Kind.LICENCES: _licences,
    Kind.DEADLINE: _deadline,
}


# What is said once it is over


def ended(view: AlertView, now: datetime) -> str:
    """Return what resolved an alert of these kinds, without a headline."""
    if view.ending.get("removed"):
        return (
            "The date is watched no longer."
            if view.kind is Kind.DEADLINE
            else "The content token was removed."
        )
    state = view.ending.get("state")
    if state in _OTHERS.get(view.kind, ()):
        return f"The content token is now {escape(state)}, which has an alert of its own."
    return _ENDINGS[view.kind](view, now)


#: With an alert of its own, what is said of these states ends the alert of a kind.
_OTHERS: Mapping[Kind, frozenset[str]] = {
    Kind.CONTENT_EXPIRY: frozenset({ContentTokenState.REVOKED.value}),
    Kind.CONTENT_REVOKED: frozenset({ContentTokenState.EXPIRED.value}),
    Kind.LICENCES: frozenset({ContentTokenState.EXPIRED.value, ContentTokenState.REVOKED.value}),
}


def _until(view: AlertView, now: datetime) -> str:
    """Return until when it is good now, in words; empty where that is over."""
    expires_at, left = view.ending.get("expires_at"), view.ending.get("days_left")
    if not isinstance(expires_at, str) or not isinstance(left, int) or left < 1:
        return ""
    return f"{local_time(datetime.fromisoformat(expires_at), now)} ({days(left)} left)"


def _renewed(view: AlertView, now: datetime) -> str:
    until = _until(view, now)
    if not until:
        return "The content token is in order again."
    if view.ending.get("expires_at") == view.facts.get("expires_at"):
        return f"It is not warned of any more: it expires {until}."
    by = view.ending.get("installed_by")
    return f"The content token was renewed{f', by {person(by)}' if by else ''}. It expires {until}."


def _enough(view: AlertView, now: datetime) -> str:
    if view.subject.endswith("/*"):
        return "None of the apps that are watched together is low any more."
    left, total = view.ending.get("left"), view.ending.get("total")
    if isinstance(left, int) and isinstance(total, int):
        return f"There are enough licences: {left:,} of {total:,} free."
    return "There are enough licences, or nobody asks to be told of them any more."


def _moved(view: AlertView, now: datetime) -> str:
    until = _until(view, now)
    return f"The date is now {until}." if until else "The date was changed."


_ENDINGS: Mapping[Kind, Callable[[AlertView, datetime], str]] = {
    Kind.CONTENT_EXPIRY: _renewed,
    Kind.CONTENT_REVOKED: lambda _view, _now: "The content token is accepted.",
    Kind.LICENCES: _enough,
    Kind.DEADLINE: _moved,
}
