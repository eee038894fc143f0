"""What requests for another default, and for the removal of a token, say. Pure."""

from collections.abc import Sequence

from bot.assignments.books import listed
from bot.assignments.facts import Found, RequestView
from bot.assignments.models import Action, Outcome, RequestState
from bot.backend.port import BackendTexts
from bot.backend.profile import Platform
from bot.profiles.wording import platforms_in_words
from bot.slack.blocks import bold, escape, short

_NAME = 60
_NOT_GIVEN = {
    Outcome.WAITING: "wait for it",
    Outcome.SENT: "being sent",
    Outcome.THROTTLED: "throttled, tried again later",
    Outcome.FAILED: "failed",
    Outcome.NOT_ACCESSIBLE: "not on this server any more",
    Outcome.LEFT_OUT: "left out",
}


def how_many(number: int, thing: str = "device") -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def is_about_token(view: RequestView) -> bool:
    """Say whether a request changes a token: these are worded here, those about devices alone are not."""
    return view.action in (Action.DEFAULT, Action.REMOVE)


def what(view: RequestView) -> str:
    """Return in mrkdwn what a request does, as a part of a sentence."""
    token = f"token {bold(view.token_name)}"
    if view.action is Action.REMOVE:
        return f"Remove {token}"
    where = f"{token} for {platforms_in_words(view.platforms)}"
    if view.profile_id is None:
        return f"Take away the default profile of {where}"
    more = f", and assign it to {how_many(view.devices)} waiting now" if view.devices else ""
    return f"Make {bold(view.profile_name or '')} the default profile of {where}{more}"


def headline(view: RequestView) -> str:
    """Return what a request does for the first line of its card, which is bold."""
    token = f"token {escape(view.token_name)}"
    if view.action is Action.REMOVE:
        return f"Remove {token}"
    if view.profile_id is None:
        return f"No default profile any more for {token}"
    return f"“{escape(short(view.profile_name or '', _NAME))}” as default profile of {token}"


def question(view: RequestView) -> str:
    """Return what is asked before it is approved."""
    if view.action is Action.REMOVE:
        return f"Remove token {bold(view.token_name)}? Its secrets are deleted at once. There is no way back."
    if view.profile_id is None:
        return f"Take away the default profile of token {bold(view.token_name)}? New devices then wait."
    count = f" It is assigned to *{how_many(view.devices)}* too; see Details." if view.devices else ""
    name = bold(short(view.profile_name or "", _NAME))
    return f"Give new devices of token {bold(view.token_name)} {name} from now on?{count}"


def counts(view: RequestView) -> list[str]:
    """Return the lines that say what is there now."""
    if view.action is Action.REMOVE:
        verb = "had" if view.is_token_removed else "has"
        its_own = f"{how_many(view.found.of_token)} and {how_many(view.found.profiles, 'profile')}"
        return [f"It {verb} {its_own}."]
    lines = [f"For: {platforms_in_words(view.platforms)} · Until now: {_until_now(view)}"]
    if view.found.waiting and not view.devices:
        is_asked = view.state is RequestState.PREVIEW
        ask = f": include {'it' if view.found.waiting == 1 else 'them'}?" if is_asked else "."
        lines.append(
            f"*{how_many(view.found.waiting)} waiting* for a profile"
            f" {'is' if view.found.waiting == 1 else 'are'} *not* included{ask}"
        )
    return lines


def _until_now(view: RequestView) -> str:
    by_name: dict[str, list[Platform]] = {}
    for platform in view.platforms:
        by_name.setdefault(view.found.defaults.get(platform.value, ""), []).append(platform)
    if len(by_name) == 1:
        return escape(next(iter(by_name)) or "none")
    return ", ".join(
        f"{escape(name or 'none')} ({platforms_in_words(platforms)})" for name, platforms in by_name.items()
    )


def warnings(view: RequestView, *, texts: BackendTexts) -> list[str]:
    """Return what has to be known before it is approved."""
    if view.action is Action.REMOVE:
        return _of_removal(view, texts)
    if view.profile_id is None:
        return ["New devices then wait until somebody assigns one; switched on before, they start unmanaged."]
    told = ["After each sync, new devices get it by themselves, without another approval."]
    if view.devices:
        told.append("Takes effect at the next activation; any that were switched on before need an erase.")
    return [*told, *of_overlaps(view.found)]


def of_overlaps(found: Found) -> list[str]:
    """Return which undecided requests are about some of the same devices."""
    others = [f"{how_many(count)} in {label}" for label, count in found.overlaps.items()]
    return [f"Also asked for: {listed(others)}."] if others else []


def of_licences(found: Found) -> list[str]:
    """Return whether the licences of Company Portal suffice."""
    told = []
    if found.portal_left is not None and found.portal_left < found.portal_needed:
        told.append(f"Licences: Company Portal {found.portal_needed:,} needed, {found.portal_left:,} left")
    return [*told, *([escape(found.portal_stops)] if found.portal_stops else [])]


def _of_removal(view: RequestView, texts: BackendTexts) -> list[str]:
    service, portal = escape(texts.service), escape(texts.portal)
    told = [
        "Its secrets are deleted at once, and there is no way back; its devices and profiles are marked"
        f" removed here. {service} keeps the profiles on the devices: enrolled ones keep working, and all"
        f" still get theirs when they are set up again, until another server takes them over in {portal}."
    ]
    if view.found.ends and view.state in (RequestState.PREVIEW, RequestState.PENDING):
        told.append(
            f"Open requests of this token end with it: {', '.join(view.found.ends)}. What they have not done"
            " by then is left out."
        )
    return told


def given(view: RequestView) -> str:
    """Say for a sync's message how many devices got the default profile after it."""
    done = view.outcomes.get(Outcome.SUCCESS, 0) + view.outcomes.get(Outcome.ALREADY, 0)
    others = [
        f"{view.outcomes[each]:,} {words}" for each, words in _NOT_GIVEN.items() if view.outcomes.get(each)
    ]
    text = f"{done:,} given the default profile {bold(view.profile_name or '')}"
    return " · ".join([text, *others])


def result(view: RequestView, *, texts: BackendTexts) -> Sequence[str]:
    """Return what became of it, in lines."""
    name = bold(view.token_name)
    if view.action is Action.REMOVE:
        return [
            f"Token {name} is removed: its secrets are deleted, its {how_many(view.found.of_token)} and"
            f" {how_many(view.found.profiles, 'profile')} are marked removed here.",
            f"{escape(texts.service)} keeps the profiles on the devices. Next: in {escape(texts.portal)},"
            " move the devices to another server, or delete the server there.",
        ]
    where = f"token {name} for {platforms_in_words(view.platforms)}"
    if view.profile_id is None:
        return [f"There is no default profile any more of {where}."]
    return [f"{bold(view.profile_name or '')} is the default profile of {where}."]
