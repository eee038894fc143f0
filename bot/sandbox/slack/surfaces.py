"""Triggers, modals and home tabs: what `views.*` and the answer to a submitted view do."""

from dataclasses import dataclass
from typing import Any

from bot.kit.clock import Clock
from bot.sandbox.slack.blocks import check_view
from bot.sandbox.slack.delivery import new_trigger
from bot.sandbox.slack.refusals import SlackRefuses
from bot.sandbox.slack.workspace import MODALS_DEEP, Workspace

Json = dict[str, Any]
TRIGGER_SECONDS = 3.0


@dataclass
class Trigger:
    person: str
    at: float
    view_id: str | None
    used: bool = False


class Surfaces:
    """The modals and home tabs of all people. A trigger opens one view within 3 s of the clock."""

    def __init__(self, clock: Clock, *, workspace: Workspace) -> None:
        self._clock = clock
        self._workspace = workspace
        self._triggers: dict[str, Trigger] = {}

    def trigger(self, person: str, *, view_id: str | None = None) -> str:
        """Make a trigger for something that a person just did, in a view or elsewhere."""
        now = self._clock.now().timestamp()
        self._triggers = {name: kept for name, kept in self._triggers.items() if now - kept.at < 3600}
        name = new_trigger()
        self._triggers[name] = Trigger(person, now, view_id)
        return name

    def _take(self, name: str) -> Trigger:
        trigger = self._triggers.get(name)
        if trigger is None:
            raise SlackRefuses("invalid_trigger_id")
        if trigger.used:
            raise SlackRefuses("exchanged_trigger_id")
        if self._clock.now().timestamp() - trigger.at > TRIGGER_SECONDS:
            raise SlackRefuses("expired_trigger_id")
        trigger.used = True
        return trigger

    def open(self, trigger_id: str, view: Json) -> Json:
        """Open a modal for the person behind a trigger, in place of any that is open."""
        check_view(view)
        trigger = self._take(trigger_id)
        made = self._workspace.make_view(view)
        self._workspace.set_modals(trigger.person, [made])
        return made

    def push(self, trigger_id: str, view: Json) -> Json:
        """Open a modal on top of the one in which the trigger came to be."""
        check_view(view)
        trigger = self._take(trigger_id)
        if trigger.view_id is None:
            raise SlackRefuses("invalid_trigger_id")
        return self.push_onto(trigger.person, view)

    def push_onto(self, person: str, view: Json) -> Json:
        stack = self._workspace.modals(person)
        if not stack:
            raise SlackRefuses("not_found")
        if len(stack) >= MODALS_DEEP:
            raise SlackRefuses("push_limit_reached")
        made = self._workspace.make_view(view, below=stack[-1])
        self._workspace.set_modals(person, [*stack, made])
        return made

    def update(self, view: Json, *, view_id: str, external_id: str = "", hash_: str = "") -> Json:
        """Replace an open view, found by id or external id, when `hash_` is empty or still its own."""
        check_view(view)
        found = self._workspace.modal(view_id or self._by_external_id(external_id))
        if found is None:
            raise SlackRefuses("not_found")
        person, old = found
        if hash_ and hash_ != old["hash"]:
            raise SlackRefuses("hash_conflict")
        made = self._workspace.make_view(view, same=old)
        stack = [made if kept["id"] == old["id"] else kept for kept in self._workspace.modals(person)]
        self._workspace.set_modals(person, stack)
        return made

    def _by_external_id(self, external_id: str) -> str:
        people = self._workspace.human_ids()
        views = [view for person in people for view in self._workspace.modals(person)]
        return next(
            (str(view["id"]) for view in views if external_id and view["external_id"] == external_id), ""
        )

    def publish(self, person: str, view: Json, *, hash_: str = "") -> Json:
        """Show a home tab to one person."""
        check_view(view, home=True)
        if person not in self._workspace.human_ids():
            raise SlackRefuses("user_not_found")
        old = self._workspace.homes.get(person)
        if hash_ and (old is None or hash_ != old["hash"]):
            raise SlackRefuses("hash_conflict")
        made = self._workspace.make_view(view, same=old)
        self._workspace.set_home(person, made)
        return made

    def close_top(self, person: str, view: Json) -> None:
        """Close a submitted view: the one below comes back, or none when it clears the stack."""
        stack = [] if view["clear_on_close"] else self._workspace.modals(person)
        self._workspace.set_modals(person, [kept for kept in stack if kept["id"] != view["id"]])

    def clear(self, person: str) -> None:
        self._workspace.set_modals(person, [])
