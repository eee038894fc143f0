"""What matters most, and the one line that says it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bot.assignments.facts import Pending
from bot.backend.profile import Platform
from bot.home.facts import Glance, TokenRow
from bot.profiles.facts import DefaultView, KnownUuid
from bot.profiles.wording import platforms_in_words
from bot.tokens.facts import TokenState

_WORST_FIRST = (
    TokenState.REJECTED,
    TokenState.EXPIRED,
    TokenState.TERMS,
    TokenState.EXPIRING,
    TokenState.ACTIVE,
    TokenState.AWAITING,
)


def worst_first(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """Order tokens by what needs attention: the state, failing syncs, the days left, then the name."""
    return sorted(rows, key=_urgency)


def headline(glance: Glance) -> str:
    """Say in one line of plain words how things stand, the worst first."""
    rows = glance.tokens
    if not rows:
        return "There is no enrollment token yet."
    troubles = [trouble for row in worst_first(rows) if (trouble := _trouble(row))]
    if not troubles:
        stand = _open(len(glance.alerts)) if glance.alerts else _all_well(rows)
        return " ".join(part for part in (stand, _waits(glance.pending)) if part)
    more = f" {len(troubles) - 1} more below." if len(troubles) > 1 else ""
    return f"{troubles[0]}{more}"


def defaults_by_token(defaults: Iterable[DefaultView]) -> dict[str, dict[str, str]]:
    """Return the default profiles of each token by name, with their platforms in words."""
    found: dict[str, dict[str, list[Platform]]] = {}
    for each in defaults:
        found.setdefault(each.token_id, {}).setdefault(each.profile_name, []).append(each.platform)
    return {
        token_id: {name: platforms_in_words(platforms) for name, platforms in named.items()}
        for token_id, named in found.items()
    }


def in_trouble(rows: Sequence[TokenRow]) -> tuple[list[TokenRow], list[TokenRow]]:
    """Part tokens into those that need attention, one that awaits its file too, and those that are fine."""
    ordered = worst_first(rows)
    needy = [row for row in ordered if _trouble(row) or row.token.state is TokenState.AWAITING]
    return needy, [row for row in ordered if row not in needy]


def by_profile(
    rows: Sequence[TokenRow], known: Mapping[str, KnownUuid], names: Mapping[str, str]
) -> dict[str, int]:
    """Count present devices by the name of their profile, the most first; `names` are the tokens'.

    Versions of a profile are one; profiles of the same name of two tokens are told apart.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for uuid, devices_of_it in row.counts.by_profile.items():
            profile = known.get(uuid)
            # A profile of a token that is not to be seen, or of nobody: like in lists, by its UUID.
            key = (profile.token_id, profile.name) if profile else ("", f"profile {uuid[:8]}…")
            counts[key] += devices_of_it
    shared = Counter(name for _, name in counts)
    labels: Counter[str] = Counter()
    for (token_id, name), number in counts.items():
        labels[f"{names.get(token_id, '')}/{name}" if shared[name] > 1 else name] += number
    return dict(sorted(labels.items(), key=lambda each: (-each[1], each[0])))


def by_state(rows: Iterable[TokenRow]) -> dict[str, int]:
    """Count present devices by how far they are; the three together are all of them."""
    states: Counter[str] = Counter()
    for row in rows:
        states.update(_states(row))
    return dict(states) if any(states.values()) else {}


def _states(row: TokenRow) -> dict[str, int]:
    fetched = min(row.counts.by_status.get("pushed", 0), row.counts.present - row.counts.without_profile)
    return {
        "profile fetched": fetched,
        "profile assigned": row.counts.present - row.counts.without_profile - fetched,
        "no profile": row.counts.without_profile,
    }


def _open(alerts: int) -> str:
    return "1 alert is open." if alerts == 1 else f"{alerts} alerts are open."


def _waits(pending: Pending) -> str:
    if pending.decidable:
        return f"{requests(pending.decidable)} for your decision."
    return f"{requests(pending.others)} for a decision." if pending.others else ""


def requests(number: int) -> str:
    return "1 request waits" if number == 1 else f"{number:,} requests wait"


def days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"


def devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number:,} devices"


def _all_well(rows: Sequence[TokenRow]) -> str:
    working = [row for row in rows if row.token.state is TokenState.ACTIVE]
    awaiting = len(rows) - len(working)
    waits = f", {awaiting} awaiting a server token" if awaiting else ""
    total = devices(sum(row.counts.present for row in rows))
    word = "token works" if len(working) == 1 else "tokens work"
    return f"All is well: {len(working)} {word}{waits}. {total}."


def _trouble(row: TokenRow) -> str | None:
    token = row.token
    left = token.days_left if token.days_left is not None else 0
    sentences = {
        TokenState.REJECTED: f"Token {token.name} is no longer accepted.",
        TokenState.EXPIRED: f"Token {token.name} has expired.",
        TokenState.TERMS: f"{token.org_name or token.name} has new terms to accept.",
        TokenState.EXPIRING: f"Token {token.name} expires in {days(left)}.",
    }
    if token.in_doubt:
        return f"Token {token.name} was refused once; it is asked about again within 5 minutes."
    if token.state in sentences:
        return sentences[token.state]
    if row.is_failing:
        return f"Token {token.name} has not synced {row.syncs.failures} times in a row."
    return None


def _urgency(row: TokenRow) -> tuple[int, bool, int, str]:
    left = row.token.days_left if row.token.days_left is not None else 10_000
    state = TokenState.TERMS if row.token.in_doubt else row.token.state
    return _WORST_FIRST.index(state), not row.is_failing, left, row.token.name.lower()


def scarcest(glance: Glance, *, most: int) -> dict[str, int]:
    """Return how many licences are left of the scarcest apps, the fewest first.

    Before all others come those that a profile installs or that have a threshold. Apps without a limit
    and books are left out; of several content tokens each app names its own.
    """
    found: dict[str, int] = {}
    watched: set[str] = set()
    for content_token in glance.content_tokens:
        installed = glance.installed.get(content_token.id, ())
        for app in glance.licences.get(content_token.id, ()):
            if app.available is None or app.is_book or not app.is_listed:
                continue
            # A bar's name holds 20 characters: what tells two apart comes first.
            title = app.title if len(glance.content_tokens) == 1 else f"{content_token.name}: {app.title}"
            found[title] = min(app.available, found.get(title, app.available))
            if app.app_id in installed or app.threshold is not None:
                watched.add(title)
    return dict(sorted(found.items(), key=lambda each: (each[0] not in watched, each[1], each[0]))[:most])
