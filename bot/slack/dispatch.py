"""From a payload to its handler: who is it, may they, was it delivered before, and then the work."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bot.kit.actor import Actor, NotAllowed, Rights, Role
from bot.kit.background import Background
from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger, new_reference, with_reference
from bot.slack.blocks import Message, View, escape, modal, section
from bot.slack.call import Call, FieldErrors, ModalState, Outlet, origin_of, with_origin
from bot.slack.commands import parse, words
from bot.slack.guard import Guard, problem_view
from bot.slack.payloads import Actions, Command, Event, Payload, Shown, Submitted
from bot.slack.router import Router, Submission

log = get_logger(__name__)

RightsOf = Callable[[str], Awaitable[Rights]]
Claim = Callable[[str], Awaitable[bool]]

# Slack waits three seconds; the rest is for the way there and back.
CHECK_WITHIN_S = 2.0
SLACK_WAITS_S = 3.0


class ButtonGone(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "This button belongs to an earlier version of this bot and does nothing any more.",
            next_step="Nothing was changed. Type the command again.",
        )


@dataclass(frozen=True, slots=True)
class Ack:
    """What is answered to a sent modal: nothing (it closes), errors at its inputs, or another view."""

    errors: dict[str, str] = field(default_factory=dict)
    view: View | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of Bolt's `ack`."""
        if self.errors:
            return {"response_action": "errors", "errors": self.errors}
        return {"response_action": "update", "view": self.view} if self.view else {}


@dataclass(slots=True)
class _Outcome:
    """How a check ended. `is_duplicate`: the same delivery was taken before."""

    view: View | None = None
    errors: dict[str, str] = field(default_factory=dict)
    problem: Message | None = None
    is_duplicate: bool = False

    @property
    def is_passed(self) -> bool:
        return not (self.errors or self.problem or self.is_duplicate)


class Dispatcher:
    """Starts the work of each payload in the background, so that the acknowledgement never waits for it.

    `rights_of` returns what a person may do now. `claim` returns False for a delivery seen before; its
    key starts with `seen:`, so that a service may claim the call's `delivery` in its own transaction.
    """

    def __init__(
        self,
        *,
        router: Router,
        outlet: Outlet,
        clock: Clock,
        background: Background,
        guard: Guard,
        rights_of: RightsOf,
        claim: Claim | None = None,
    ) -> None:
        self._router = router
        self._outlet = outlet
        self._clock = clock
        self._background = background
        self._guard = guard
        self._rights_of = rights_of
        self._claim = claim

    async def take(self, payload: Payload, *, sent: asyncio.Event | None = None) -> Ack:
        """Take a payload and return its acknowledgement, at the latest after two seconds.

        The caller sets `sent` when the acknowledgement has gone out: what changes the modal waits for it.
        """
        with with_reference(new_reference()) as reference:
            if isinstance(payload, Command):
                if payload.command == self._router.slash:
                    call = self._command_call(payload, reference)
                    self._start(call, self._command(call, payload.text), name="command")
            elif isinstance(payload, Actions):
                self._start_action(payload, reference)
            elif isinstance(payload, Submitted):
                return await self._submitted(payload, reference, sent)
            elif isinstance(payload, Event):
                self._start_event(payload, reference)
        return Ack()

    async def _command(self, call: Call, text: str) -> None:
        if not await self._is_first(call):
            return
        given = words(text)
        held = await self._identify(call)
        command, left = self._router.find_command(given, held)
        _require(held, command.role)
        call.args = parse(left, command.spec, usage=command.usage)
        log.info("command", command=command.name, user=call.user_id)
        await command.handler(call)

    def _start_action(self, payload: Actions, reference: str) -> None:
        action = payload.actions[0]
        is_link = bool(action.url) and self._router.find_action(action.action_id) is None
        if not is_link:
            call = self._action_call(payload, reference)
            self._start(call, self._action(call, action.action_id), name="action")

    async def _action(self, call: Call, action_id: str) -> None:
        if not await self._is_first(call):
            return
        screen = self._router.find_action(action_id)
        if screen is None:
            raise ButtonGone
        _require(await self._identify(call), screen.role)
        log.info("action", action=action_id, user=call.user_id)
        await screen.handler(call)

    def _start_event(self, payload: Event, reference: str) -> None:
        if self._router.find_event(payload.event.type) is None:
            return
        call = self._call(
            reference,
            user_id=payload.user_id,
            team_id=payload.team_id,
            delivery=payload.delivery,
            channel_id=payload.event.channel if isinstance(payload.event.channel, str) else "",
            event=payload.event.model_dump(),
        )
        # Nobody asked for anything: an event that fails is logged and answered to no one.
        self._background.start(self._event(call, payload.event.type), name="event")

    async def _event(self, call: Call, kind: str) -> None:
        screen = self._router.find_event(kind)
        if screen is None or not await self._is_first(call):
            return
        if await self._identify(call) >= screen.role:
            await screen.handler(call)

    async def _submitted(self, payload: Submitted, reference: str, sent: asyncio.Event | None) -> Ack:
        screen = self._router.find_submission(payload.view.callback_id)
        if screen is None:
            return Ack()
        call = self._view_call(payload, reference)
        outcome = _Outcome()
        check = self._background.start(self._check(call, screen, outcome), name="submission")
        done, _ = await asyncio.wait({check}, timeout=CHECK_WITHIN_S)
        if not done:
            late = self._go_on_late(call, screen, check, outcome)
            self._start(call, _after(sent, late), name="submission")
            return Ack(view=with_origin(_patience(), call.channel_id))
        if outcome.is_passed and screen.then:
            call.owns_modal = outcome.view is not None
            self._start(call, _after(sent, screen.then(call)), name="submission")
        return _ack(outcome, payload.view, call.channel_id)

    async def _check(self, call: Call, screen: Submission, outcome: _Outcome) -> None:
        """Decide what a sent modal is answered, into `outcome`."""
        try:
            if not await self._is_first(call):
                outcome.is_duplicate = True
                return
            _require(await self._identify(call), screen.role)
            log.info("submission", user=call.user_id)
            outcome.view = await screen.check(call) if screen.check else None
        except FieldErrors as wrong:
            outcome.errors = wrong.errors
        except Exception as error:  # noqa: BLE001 - the guard says it; the acknowledgement must go out
            outcome.problem = self._guard.sentence(error, call)

    async def _go_on_late(
        self, call: Call, screen: Submission, check: "asyncio.Task[None]", outcome: _Outcome
    ) -> None:
        """Show the outcome of a check that took longer than Slack waits, in the modal still open."""
        await asyncio.wait({check})
        if outcome.is_duplicate:
            return
        call.owns_modal = True
        if not outcome.is_passed:
            told = outcome.problem or _listed(outcome.errors)
            await call.update_modal(problem_view(told))
            return
        await call.update_modal(outcome.view or _accepted())
        if screen.then:
            await screen.then(call)

    async def _is_first(self, call: Call) -> bool:
        if self._claim is None or await self._claim(f"seen:{call.delivery}"):
            return True
        log.info("delivered before")
        return False

    async def _identify(self, call: Call) -> Role:
        """Give the call what its person may do now, and return the highest role."""
        rights = await self._rights_of(call.user_id) if call.user_id else Rights()
        call.actor = Actor(call.user_id, rights=rights)
        return rights.highest

    def _start(self, call: Call, work: Awaitable[None], *, name: str) -> None:
        self._background.start(self._guard.run(call, work), name=name)

    def _call(self, reference: str, **known: Any) -> Call:
        return Call(
            outlet=self._outlet,
            clock=self._clock,
            actor=Actor(known["user_id"]),
            reference=reference,
            received_at=self._clock.now(),
            **known,
        )

    def _command_call(self, payload: Command, reference: str) -> Call:
        return self._call(
            reference,
            user_id=payload.user_id,
            team_id=payload.team_id,
            delivery=payload.delivery,
            channel_id=payload.channel_id,
            trigger_id=payload.trigger_id,
            response_url=payload.response_url,
        )

    def _action_call(self, payload: Actions, reference: str) -> Call:
        is_in_modal = payload.view is not None and payload.view.type == "modal"
        origin, metadata = origin_of(payload.view.private_metadata) if payload.view else ("", "")
        state = payload.view.state if payload.view else payload.state
        return self._call(
            reference,
            user_id=payload.user.id,
            team_id=payload.team.id if payload.team else payload.user.team_id,
            delivery=payload.delivery,
            channel_id=payload.channel.id if payload.channel else origin,
            trigger_id=payload.trigger_id,
            response_url=payload.response_url,
            value=payload.actions[0].chosen,
            state=ModalState(state.values if state else None),
            metadata=metadata,
            view_id=payload.view.id if payload.view and is_in_modal else "",
            is_in_modal=is_in_modal,
        )

    def _view_call(self, payload: Submitted, reference: str) -> Call:
        origin, metadata = origin_of(payload.view.private_metadata)
        return self._call(
            reference,
            user_id=payload.user.id,
            team_id=payload.team.id if payload.team else payload.user.team_id,
            delivery=payload.delivery,
            channel_id=origin,
            trigger_id=payload.trigger_id,
            state=ModalState(payload.view.state.values if payload.view.state else None),
            metadata=metadata,
            view_id=payload.view.id,
        )


async def _after(sent: asyncio.Event | None, work: Awaitable[None]) -> None:
    """Do the work once the acknowledgement has gone out.

    Slack puts the acknowledgement's view into the modal whenever it arrives: an update that came before it
    would be replaced by "Checking…" for good.
    """
    if sent is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), SLACK_WAITS_S)
    await work


def _require(held: Role, needed: Role) -> None:
    if held < needed:
        raise NotAllowed(needed)


def _ack(outcome: _Outcome, shown: Shown, channel_id: str) -> Ack:
    if outcome.problem:
        return Ack(view=with_origin(problem_view(outcome.problem), channel_id))
    if outcome.errors:
        return Ack(errors=_at_inputs(outcome.errors, shown))
    return Ack(view=with_origin(outcome.view, channel_id) if outcome.view else None)


def _at_inputs(errors: dict[str, str], shown: Shown) -> dict[str, str]:
    """Put each error at an input that the modal has: Slack refuses errors for any other block."""
    inputs = [str(block.get("block_id")) for block in shown.blocks if block.get("type") == "input"]
    if not inputs:
        return errors
    placed: dict[str, str] = {}
    for block_id, text in errors.items():
        place = block_id if block_id in inputs else inputs[0]
        placed[place] = f"{placed[place]} {text}" if place in placed else text
    return placed


def _listed(errors: dict[str, str]) -> Message:
    text = "\n".join(escape(text) for text in errors.values()) + "\nOpen the dialog again and correct this."
    return Message(text, [section(text)])


def _patience() -> View:
    text = (
        "This takes a little longer. You can leave it open, or close it and go on: the answer comes anyway."
    )
    return modal(title="One moment", callback_id="slack.patience", blocks=[section(text)], close="Close")


def _accepted() -> View:
    text = "Accepted. You can close this; what follows is said in Slack."
    return modal(title="Accepted", callback_id="slack.accepted", blocks=[section(text)], close="Close")
