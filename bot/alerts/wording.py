"""What each kind of alert says: what is wrong, what it means for devices, and what to do next. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from bot.alerts import content_wording, fleet_wording
from bot.alerts.facts import About, AlertView, Kind
from bot.alerts.words import Told, Words, ago, days, person
from bot.backend.port import BackendTexts
from bot.slack.blocks import code, escape, local_time
from bot.tokens.facts import NextAction, TokenState
from bot.tokens.rules import days_left, fill


def told(view: AlertView, *, texts: BackendTexts, now: datetime, slash: str) -> Told:
    """Return what an open alert says."""
    return _KINDS[view.kind](Words(view, texts, now, slash))


def _where(words: Words) -> str:
    server = words.fact("server")
    made_by = words.fact("made_by")
    parts = [
        words.fact("org"),
        f"MDM server in {words.portal}: {server}" if server else "",
        f"made by {made_by}" if made_by else "",
    ]
    return " · ".join(part for part in parts if part)


def _expiry(words: Words) -> Told:
    token, expires_at = words.fact("token"), words.moment("expires_at")
    if expires_at is None or expires_at <= words.now:
        return _expired(words, token, expires_at or words.now)
    left = days_left(expires_at, words.now)
    best = words.fact("made_by")
    who = f"{best} is best; another" if best else "An"
    return Told(
        headline=f"Token {token} expires in {days(left)}",
        aside=f"({local_time(expires_at, words.now, stays=True)})",
        where=_where(words),
        means=(
            "Enrolled devices keep working. After that, new devices are no longer seen here and get no"
            " profile."
        ),
        next=(
            f"renew it, about 10 minutes. {who} account that may manage device management services in"
            f" {words.portal} works too. Open *Renew token* first: generating a new token in {words.portal}"
            " ends this one at once."
        ),
        actions=(NextAction.RENEW,),
    )


def _expired(words: Words, token: str, expires_at: datetime) -> Told:
    last = words.time("last_sync_at")
    return Told(
        headline=f"Token {token} expired {ago(words.now - expires_at)}",
        aside=f"({local_time(expires_at, words.now, stays=True)})",
        where=" · ".join(part for part in (words.fact("org"), f"last good sync {last}") if part),
        means=(
            "Enrolled devices keep working. New devices get no profile; switched on now, they can start"
            " unmanaged and would have to be erased. Hold back deliveries until this is done."
        ),
        next=(
            f"renew it as usual. The devices stay assigned in {words.portal}; nothing has to be assigned"
            " again."
        ),
        actions=(NextAction.RENEW,),
    )


def _rejected(words: Words) -> Told:
    names = {
        "name": words.fact("token"),
        "server": words.fact("server") or words.fact("token"),
        "org": words.fact("org") or "the organisation",
        "apple_id": words.fact("made_by") or "the account that manages servers",
    }
    return Told(
        headline=f"{words.service} no longer accepts the token {words.fact('token')}",
        aside=f"since {words.time('since')}",
        where=_where(words),
        means=(
            "Enrolled devices keep working. New devices are not seen here and get no profile; switched on"
            " now, they can start unmanaged and would have to be erased."
        ),
        next=fill(str(words.view.facts.get("next") or ""), names),
        actions=tuple(
            NextAction(each) for each in words.view.facts.get("actions", ()) if each != NextAction.CHECK_AGAIN
        ),
        checks=True,
    )


def _terms(words: Words) -> Told:
    org_id = words.fact("org_id")
    organisation = f"{words.fact('org')} (organisation {org_id})" if org_id else words.fact("org")
    names = {"name": "", "server": "", "org": words.fact("org"), "apple_id": ""}
    tokens = "token" if len(words.view.facts.get("tokens", ())) == 1 else "tokens"
    return Told(
        headline=f"{organisation} has new {words.service} terms to accept",
        where=f"Since {local_time(words.view.since, words.now)} · {tokens} {words.names('tokens')}",
        means=(
            "Devices that already have a profile still enroll, also after an erase. New devices cannot be"
            " assigned."
        ),
        next=f"{fill(words.texts.terms_step, names)} It is asked again every hour.",
        checks=True,
    )


def _maker_gone(words: Words) -> Told:
    token, made_by = words.fact("token"), words.fact("made_by")
    return Told(
        headline=f"The account that made token {token} belongs to somebody who has left",
        where=f"{made_by}, in Slack {person(words.fact('user'))}, is deactivated · {words.fact('org')}",
        means=(
            "Enrolled devices keep working. Once that Apple ID is closed or its password is changed, the"
            " token ends: new devices are then not seen here and get no profile."
        ),
        next=(
            "renew it with an account of the organisation that stays and may manage device management"
            f" services in {words.portal}, before the other one is closed."
        ),
        actions=(NextAction.RENEW,),
    )


def _awaiting(words: Words) -> Told:
    token = words.fact("token")
    added_by = words.view.facts.get("added_by")
    return Told(
        headline=f"Token {token} still awaits its server token",
        where=f"Added by {person(str(added_by or ''))} {words.time('added_at')}",
        means="Its devices are not seen here yet and get no profile. Nothing else is affected.",
        next=(
            f"upload the certificate to its server in {words.portal}, download the server's token there and"
            f" upload it here; or remove the token with {code(f'{words.slash} token remove {token}')}."
        ),
        actions=(NextAction.GET_CERTIFICATE, NextAction.UPLOAD),
    )


def _failing(words: Words) -> Told:
    token, failures = words.fact("token"), words.view.facts.get("failures") or 0
    last = words.time("last_sync_at")
    error = words.fact("error")
    what = f"has failed {failures} times in a row" if int(failures) > 1 else "has not succeeded for two days"
    step = words.fact("next")
    return Told(
        headline=f"Syncing token {token} {what}",
        where=" · ".join(part for part in (f"last good sync {last}", error) if part),
        means=(
            "Enrolled devices keep working. New devices are not seen here and get no profile until a sync"
            " succeeds."
        ),
        next=f"{step} It is tried again by itself within 4 hours; *Sync now* tries at once.".strip(),
        syncs=True,
    )


_KINDS: Mapping[Kind, Callable[[Words], Told]] = {
    Kind.TOKEN_EXPIRY: _expiry,
    Kind.TOKEN_REJECTED: _rejected,
    Kind.TERMS: _terms,
    Kind.MAKER_GONE: _maker_gone,
    Kind.AWAITING_FILE: _awaiting,
    Kind.SYNC_FAILING: _failing,
    **content_wording.KINDS,
    **fleet_wording.KINDS,
}


# What is said once it is over


def ended(view: AlertView, *, now: datetime) -> str:
    """Return what resolved an alert, without a headline."""
    if view.kind.about is not About.TOKENS:
        return content_wording.ended(view, now)
    if view.ending.get("removed"):
        return "The token was removed."
    state = view.ending.get("state")
    if view.kind in _GIVES_WAY and state in (TokenState.EXPIRED, TokenState.REJECTED, TokenState.TERMS):
        return f"The token is now {escape(state)}, which has an alert of its own."
    return _ENDINGS[view.kind](view, now)


#: Of a token that cannot be used at all less is said.
_GIVES_WAY = frozenset({Kind.SYNC_FAILING, Kind.TOKEN_REJECTED})


def _renewed(view: AlertView, now: datetime) -> str:
    expires_at, left = view.ending.get("expires_at"), view.ending.get("days_left")
    if not isinstance(expires_at, str) or not isinstance(left, int) or left < 1:
        return "The token is in order again."
    until = local_time(datetime.fromisoformat(expires_at), now)
    if expires_at == view.facts.get("expires_at"):
        return f"It is not warned of any more: it expires {until} ({days(left)} left)."
    by = f", by {person(view.ending.get('installed_by'))}" if view.ending.get("installed_by") else ""
    return f"The token was renewed{by}. It expires {until} ({days(left)} left)."


def _accepted_again(_view: AlertView, _now: datetime) -> str:
    return "The token is accepted again."


_ENDINGS: Mapping[Kind, Callable[[AlertView, datetime], str]] = {
    Kind.TOKEN_EXPIRY: _renewed,
    Kind.TOKEN_REJECTED: _accepted_again,
    Kind.TERMS: lambda _view, _now: "The terms are accepted; the tokens sync again.",
    Kind.MAKER_GONE: lambda _view, _now: "The token was made by another account, or its maker is back.",
    Kind.AWAITING_FILE: lambda _view, _now: "The server token was uploaded.",
    Kind.SYNC_FAILING: lambda _view, _now: "A sync has succeeded.",
    **fleet_wording.ENDINGS,
}
