"""The one place that catches: every error of a handler becomes a calm answer."""

from collections.abc import Awaitable, Callable, Sequence

from bot.kit.actor import NotAllowed, Role
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.blocks import Block, Message, View, actions, escape, mention, modal, section
from bot.slack.call import Call

log = get_logger(__name__)

PROBLEM = "slack.problem"

Offers = Callable[[EnrollbotError, Role], Sequence[Block]]


class Guard:
    """`granters` are the Slack user ids of the admins by settings; `offers` gives an error its buttons."""

    def __init__(self, *, granters: Sequence[str] = (), offers: Offers | None = None) -> None:
        self._granters = tuple(granters)
        self._offers = offers

    async def run(self, call: Call, work: Awaitable[None]) -> None:
        """Run a handler; what it raises is told to the person, and logged where it is ours to mend."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the guard is where errors end
            await self._tell(call, self.sentence(error, call))

    def sentence(self, error: Exception, call: Call) -> Message:
        """Return what the person is told; an error that is nobody's fact is logged with a reference."""
        if isinstance(error, NotAllowed):
            return self._refusal(error)
        if isinstance(error, EnrollbotError):
            log.info("refused", problem=type(error).__name__)
            told = _said(error.message, error.next_step)
            buttons = self._offers(error, call.actor.rights.highest) if self._offers else []
            return Message(told.text, [*told.blocks, actions(*buttons)]) if buttons else told
        log.error("a handler failed", exc_info=error, reference=call.reference)
        return crash(call.reference)

    def _refusal(self, error: NotAllowed) -> Message:
        who = " or ".join(mention(user_id) for user_id in self._granters[:5])
        can = f"{who} can grant it." if who else "Who runs the bot can name an admin in ENROLLBOT_ADMINS."
        text = f"{escape(error.message)}\n{can}"
        return Message(text, [section(text)])

    async def _tell(self, call: Call, told: Message) -> None:
        try:
            await _show(call, told)
        except Exception as error:  # noqa: BLE001 - nobody is left to tell
            log.warning("an answer could not be given", error=str(error) or type(error).__name__)


def crash(reference: str) -> Message:
    text = (
        f"*Something went wrong here* (reference {reference}). Nothing was changed unless it says so above.\n"
        "Try it once more. If it happens again, give the reference to an admin of this bot."
    )
    return Message(text, [section(text)])


def problem_view(told: Message) -> View:
    """Show in a modal what went wrong."""
    return modal(title="Not done", callback_id=PROBLEM, blocks=told.blocks, close="Close")


async def _show(call: Call, told: Message) -> None:
    if call.owns_modal:
        await call.update_modal(problem_view(told))
        return
    if call.is_in_modal:
        try:
            await call.open_modal(problem_view(told))
            return
        except EnrollbotError as error:
            log.info("no room for another modal", error=str(error))
    await call.answer(told)


def _said(message: str, next_step: str | None) -> Message:
    lines = [line for part in (message, next_step) if part for line in part.splitlines()]
    text = "\n".join(escape(line) for line in lines)
    return Message(text, [section(text)])
