"""What matters most, and the one line that says it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.tokens.facts import TokenState, TokenView

#: Two failures in a row are no hiccup any more.
FAILING_SYNCS = 2

_WORST_FIRST = (
    TokenState.REJECTED,
    TokenState.EXPIRED,
    TokenState.TERMS,
    TokenState.EXPIRING,
    TokenState.ACTIVE,
    TokenState.AWAITING,
)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token with what the devices room knows of it."""

    token: TokenView
    counts: DeviceCounts
    syncs: TokenSyncFacts

    @property
    def is_failing(self) -> bool:
        return self.token.state.can_sync and self.syncs.failures >= FAILING_SYNCS


def worst_first(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """Order tokens by what needs attention: the state, failing syncs, the days left, then the name."""
    return sorted(rows, key=_urgency)


def headline(rows: Sequence[TokenRow]) -> str:
    """Say in one line of plain words how things stand, the worst first."""
    if not rows:
        return "There is no enrollment token yet."
    troubles = [trouble for row in worst_first(rows) if (trouble := _trouble(row))]
    if not troubles:
        return _all_well(rows)
    more = f" {len(troubles) - 1} more below." if len(troubles) > 1 else ""
    return f"{troubles[0]}{more}"


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
