"""The switches that a person throws on the page, whichever stand-in they belong to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from bot.kit.errors import EnrollbotError
from bot.sandbox.apple.apps import COMPANY_PORTAL
from bot.sandbox.apple.locations import Location
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.apple.state import Server, iso
from bot.sandbox.clock import MovedClock
from bot.sandbox.slack.wire import Faults

Json = dict[str, Any]
MOST = 1000
THROTTLED_SHARE = 0.25
SLOW_PAGE_MS = 2000
#: What Slack answers when a bot was taken out of a channel.
REFUSAL = "not_in_channel"


class NotASwitch(EnrollbotError):
    """What was sent is no switch of these stand-ins."""


class NothingToBringBack(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("No devices were moved away here.", next_step="Move some first.")


class SwitchOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`of` names the organisation (`terms`, by id), the server (`rejected`) or the location (`revoked`)."""

    switch: Literal["terms", "rejected", "revoked", "throttle", "slow", "refuse_posts", "refuse_charts"]
    on: bool
    of: str | None = None


class DeviceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`to` is another server's name, None for none at all; `back` takes the last move back."""

    act: Literal["add", "move", "back"]
    server: str = ""
    count: int = 0
    to: str | None = None


class LicenceOrder(msgspec.Struct, forbid_unknown_fields=True):
    act: Literal["use", "buy"]
    location: str
    count: int


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    # Wide enough for the clock's own refusal, with its sentence, narrow enough to be counted with.
    days: Annotated[int, msgspec.Meta(ge=-36_500, le=36_500)]


@dataclass(frozen=True, slots=True)
class Moved:
    """Devices that were taken off a server here, to be brought back."""

    server: str
    to: str | None
    serials: tuple[str, ...]


class Switches:
    """Throws the switches of both stand-ins and says how they stand; each can be taken back."""

    def __init__(
        self,
        apple: AppleStandIn,
        *,
        slack: Faults,
        clock: MovedClock,
        move_clock: Callable[[timedelta], datetime],
    ) -> None:
        self._apple = apple
        self._slack = slack
        self._clock = clock
        self._move_clock = move_clock
        self._moves: list[Moved] = []

    def state(self) -> Json:
        """Return how every switch stands at this moment, and what time it is for the bot."""
        apple = self._apple
        moved = self._moves[-1] if self._moves else None
        return {
            "now": self._clock.now().timestamp(),
            "ahead_s": self._clock.ahead.total_seconds(),
            "organisations": [
                {"id": o.org_id, "name": o.name, "terms_signed": o.terms_signed}
                for o in apple.organisations.values()
            ],
            "servers": [self._server(server) for server in apple.servers.values()],
            "locations": [_location(location) for location in apple.content.all.values()],
            "throttle": apple.switches.throttle_fraction > 0,
            "slow": apple.switches.slow_page_ms > 0,
            "refuse_posts": self._slack.refuse_posts is not None,
            "refuse_charts": self._slack.refuse_charts,
            "moved": moved and {"server": moved.server, "to": moved.to, "count": len(moved.serials)},
        }

    def _server(self, server: Server) -> Json:
        made = server.credentials
        return {
            "name": server.name,
            "devices": self._apple.store.count(server.number),
            "has_token": made is not None,
            "rejected": made is not None and made.is_rejected,
            "expires_at": iso(made.expires_at) if made else None,
        }

    def throw(self, order: SwitchOrder) -> None:
        """Throw one switch, or take it back. Raises an EnrollbotError for what is not there."""
        if order.switch in ("terms", "rejected", "revoked"):
            self._throw_of(order)
            return
        match order.switch:
            case "throttle":
                self._apple.switches.throttle_fraction = THROTTLED_SHARE if order.on else 0.0
            case "slow":
                self._apple.switches.slow_page_ms = SLOW_PAGE_MS if order.on else 0
            case "refuse_posts":
                self._slack.refuse_posts = REFUSAL if order.on else None
            case "refuse_charts":
                self._slack.refuse_charts = order.on

    def _throw_of(self, order: SwitchOrder) -> None:
        if not order.of:
            raise NotASwitch(f"The switch {order.switch} needs to know of whom, in `of`.")
        match order.switch:
            case "terms":
                self._apple.sign_terms(signed=not order.on, organisation=order.of)
            case "rejected":
                self._apple.reject_token(order.of, rejected=order.on)
            case _:
                self._apple.content.revoke(order.of, revoked=order.on)

    def put_back(self) -> None:
        """Take every switch and every move of devices back. Added ones stay; the clock never goes back."""
        while self._moves:
            self._bring_back()
        for organisation in self._apple.organisations.values():
            if not organisation.terms_signed:
                self._apple.sign_terms(organisation=organisation)
        for server in self._apple.servers.values():
            if server.credentials is not None and server.credentials.is_rejected:
                self._apple.reject_token(server, rejected=False)
        for location in self._apple.content.all.values():
            self._apple.content.revoke(location, revoked=False)
        for name in ("throttle", "slow", "refuse_posts", "refuse_charts"):
            self.throw(msgspec.convert({"switch": name, "on": False}, SwitchOrder))

    def devices(self, order: DeviceOrder) -> int:
        """Add devices, move the oldest away, or bring the last ones back; return how many."""
        if order.act == "back":
            return self._bring_back()
        if not 1 <= order.count <= MOST:
            raise NotASwitch(f"Give a number of devices from 1 to {MOST:,}.")
        if order.act == "add":
            return len(self._apple.add_devices(order.server, order.count))
        if order.to is None:
            serials = self._apple.remove_devices(order.server, order.count)
        else:
            serials = self._apple.reassign_devices(order.server, order.count, to=order.to)
        self._moves.append(Moved(order.server, order.to, tuple(serials)))
        return len(serials)

    def _bring_back(self) -> int:
        if not self._moves:
            raise NothingToBringBack
        moved = self._moves.pop()
        return len(self._apple.assign_in_portal(moved.serials, moved.server))

    def licences(self, order: LicenceOrder) -> int:
        """Let the location's MDM give licences of Company Portal out, or buy some; return what is left."""
        if not 1 <= order.count <= MOST:
            raise NotASwitch(f"Give a number of licences from 1 to {MOST:,}.")
        changes = {"bought": order.count} if order.act == "buy" else {"assigned": order.count}
        return self._apple.content.change(order.location, COMPANY_PORTAL, **changes).available

    def move_clock(self, order: ClockOrder) -> None:
        """Let days pass for the bot and the stand-ins. Raises `ClockRefuses`."""
        self._move_clock(timedelta(days=order.days))


def _location(location: Location) -> Json:
    token = location.token
    portal = next((each for each in location.stock if each.adam_id == COMPANY_PORTAL), None)
    return {
        "name": location.name,
        "has_token": token is not None,
        "revoked": token is not None and token.is_revoked,
        "portals": portal and {"total": portal.total, "left": portal.available},
    }
