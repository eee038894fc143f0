"""The one place that catches: every error of a handler becomes a calm answer."""

from collections.abc import Awaitable, Sequence

from bot.kit.actor import NotAllowed
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.slack.blocks import Message, View, escape, mention, modal, section
from bot.slack.call import Call

log = get_logger(__name__)

PROBLEM = "slack.problem"


class Guard:
    """`granters` are the Slack user ids of those who can grant roles."""

    def __init__(self, *, granters: Sequence[str] = ()) -> None:
        self._granters = tuple(granters)

    async def run(self, call: Call, work: Awaitable[None]) -> None:
        """Run a handler; what it raises is told to the person, and logged where it is ours to mend."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the guard is where errors end
            await self._tell(call, self.sentence(error, call.reference))

    def sentence(self, error: Exception, reference: str) -> Message:
        """Return what the person is told; an error that is nobody's fact is logged with `reference`."""
        if isinstance(error, NotAllowed):
            return self._refusal(error)
        if isinstance(error, EnrollbotError):
            log.info("refused", problem=type(error).__name__)
            return _said(error.message, error.next_step)
        log.error("a handler failed", exc_info=error, reference=reference)
        return crash(reference)

    def _refusal(self, error: NotAllowed) -> Message:
        if not self._granters:
            return _said(error.message, error.next_step)
        who = " or ".join(mention(user_id) for user_id in self._granters[:5])
        text = f"{escape(error.message)}\n{who} can grant it."
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
