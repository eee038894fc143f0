"""What the screens of this room show: what the rooms below know, joined, as far as the reader may see it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.alerts.facts import AlertView
from bot.assignments.facts import Pending
from bot.devices.facts import DeviceCounts, TokenSyncFacts
from bot.licenses.facts import AppLicences, ContentTokenView
from bot.tokens.facts import TokenView

#: Two failures in a row are no hiccup any more.
FAILING_SYNCS = 2


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token with what the rooms above know of it.

    `defaults` are the names of the profiles that new devices get, each with its platforms in words.
    """

    token: TokenView
    counts: DeviceCounts
    syncs: TokenSyncFacts
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_failing(self) -> bool:
        return self.token.state.can_sync and self.syncs.failures >= FAILING_SYNCS


@dataclass(frozen=True, slots=True)
class Glance:
    """How everything stands at one moment, for one reader.

    `by_profile` counts the present devices by the name of the profile that they carry. `licences` are
    those of each content token, by its id, `installed` the ids of the apps that profiles install from it.
    `alerts` are the open ones, the worst first.
    """

    tokens: Sequence[TokenRow]
    pending: Pending = field(default_factory=Pending)
    by_profile: Mapping[str, int] = field(default_factory=dict)
    content_tokens: Sequence[ContentTokenView] = ()
    alerts: Sequence[AlertView] = ()
    licences: Mapping[str, Sequence[AppLicences]] = field(default_factory=dict)
    installed: Mapping[str, Collection[str]] = field(default_factory=dict)
