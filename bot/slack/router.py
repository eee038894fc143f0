"""Which handler does what, and the role that it needs: rooms register here, nothing is global."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bot.kit.actor import NotAllowed, Role
from bot.kit.errors import EnrollbotError
from bot.kit.nearest import nearest
from bot.slack.blocks import Block, View
from bot.slack.call import Call
from bot.slack.commands import Spec, Word
from bot.slack.commands import words as split_words

Handler = Callable[[Call], Awaitable[None]]
Check = Callable[[Call], Awaitable[View | None]]
_Entry = TypeVar("_Entry")
_Told = TypeVar("_Told", bound=EnrollbotError)
_HELP = frozenset({"--help", "-h", "-help", "?"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command, such as `token add`. `usage` stands without the slash command."""

    name: str
    role: Role
    usage: str
    summary: str
    spec: Spec
    handler: Handler


@dataclass(frozen=True, slots=True)
class Screen:
    """A button, select or event, by its id."""

    role: Role
    handler: Handler


@dataclass(frozen=True, slots=True)
class Submission:
    """A sent modal: `check` decides before it closes, `then` works afterwards."""

    role: Role
    check: Check | None
    then: Handler | None


@dataclass(frozen=True, slots=True)
class Offer:
    """The buttons that go with an error; none for another one."""

    role: Role
    made: Callable[[EnrollbotError], Sequence[Block]]


class UnknownCommand(EnrollbotError):
    def __init__(self, typed: str, *, slash: str, nearest: str | None, known: Sequence[str] = ()) -> None:
        self.nearest = nearest
        step = f"Type `{slash} help` to see what you can do."
        if known:
            step = "Known here: " + ", ".join(f"`{slash} {name}`" for name in known) + "."
        if nearest:
            step = f"Did you mean `{slash} {nearest}`?"
        shown = typed if len(typed) <= 60 else f"{typed[:59]}…"
        super().__init__(f"“{shown}” is not a command.", next_step=step)


class Router:
    """The registry of one bot.

    `slash` is the slash command as people type it, `start` the command that it runs alone.
    """

    def __init__(self, *, slash: str = "/enroll", start: str = "status") -> None:
        self.slash = slash
        self._start = start
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, Screen] = {}
        self._events: dict[str, Screen] = {}
        self._submissions: dict[str, Submission] = {}
        self._offers: dict[str, Offer] = {}

    def command(
        self,
        name: str,
        *,
        role: Role,
        usage: str,
        summary: str,
        handler: Handler,
        spec: Spec | None = None,
    ) -> None:
        """Register a noun with a verb (`token add`) or a word alone (`sync`).

        `NOUN list` also answers to the bare noun and to its plural. `usage` may start with the name.
        """
        line = f"{self.slash} {usage if usage.startswith(name.split()[0]) else f'{name} {usage}'.strip()}"
        _put(self._commands, name, Command(name, role, line, summary, spec or Spec(), handler))

    def action(self, action_id: str, *, role: Role, handler: Handler) -> None:
        """Register a button or select by its action_id."""
        _put(self._actions, action_id, Screen(role, handler))

    def submission(
        self, callback_id: str, *, role: Role, check: Check | None = None, then: Handler | None = None
    ) -> None:
        """Register a modal by its callback_id.

        `check` runs before the acknowledgement and should take no longer than two seconds: it raises
        `FieldErrors`, returns a view to show next, or None to close. `then` runs afterwards, on the same
        call.
        """
        _put(self._submissions, callback_id, Submission(role, check, then))

    def offer(self, error: type[_Told], *, role: Role, buttons: Callable[[_Told], Sequence[Block]]) -> None:
        """Register the buttons of the next step that an error names, for who has `role`."""

        def made(raised: EnrollbotError) -> Sequence[Block]:
            return buttons(raised) if isinstance(raised, error) else ()

        _put(self._offers, error.__name__, Offer(role, made))

    def offers_for(self, error: EnrollbotError, role: Role) -> list[Block]:
        """Return the buttons of the next step that an error names, as far as `role` may press them."""
        return [made for offer in self._offers.values() if offer.role <= role for made in offer.made(error)]

    def event(self, kind: str, *, role: Role = Role.NONE, handler: Handler) -> None:
        """Register for an event such as `app_home_opened`; who lacks `role` is passed over in silence."""
        _put(self._events, kind, Screen(role, handler))

    def help_for(self, role: Role, topic: str | None = None) -> list[Command]:
        """Return what `role` may do, as registered; only commands of `topic` (a noun or a command) if given.

        What follows a command in `topic` is its arguments. Raises `UnknownCommand` when nothing has that
        name, `NotAllowed` when only higher roles may do it.
        """
        allowed = [command for command in self._commands.values() if command.role <= role]
        if not topic or not topic.strip():
            return allowed
        typed = [self._singular(word) for word in topic.lower().split()]
        if typed[0].strip("/") == self.slash.strip("/") and len(typed) > 1:
            del typed[0]
        command = self._commands.get(" ".join(typed[:2])) or self._commands.get(typed[0])
        if command is not None:
            if command.role > role:
                raise NotAllowed(command.role)
            return [command]
        wanted = " ".join(typed)
        found = [c for c in allowed if c.name.startswith(f"{wanted} ")]
        if not found:
            raise UnknownCommand(topic, slash=self.slash, nearest=self._nearest(wanted, allowed))
        return found

    def find_command(self, words: Sequence[Word], role: Role) -> tuple[Command, Sequence[Word]]:
        """Return the command that the words name and the words that are left for it.

        `--help` anywhere asks for `help` on that command. Raises `UnknownCommand` with the nearest one that
        `role` may do.
        """
        others = [word for word in words if word.is_quoted or word.value.lower() not in _HELP]
        if len(others) < len(words) and (about := self._commands.get("help")):
            topic = self.find_command(others, role)[0].name if others else ""
            return about, split_words(topic)
        if not words or words[0].is_option:
            return self._commands[self._start], words
        noun = self._singular(words[0].value.lower())
        if len(words) > 1 and (found := self._commands.get(f"{noun} {words[1].value.lower()}")):
            return found, words[2:]
        if alone := self._commands.get(noun):
            return alone, words[1:]
        if bare := self._commands.get(f"{noun} list"):
            self._refuse_misspelt_verb(noun, words[1:], bare, role)
            return bare, words[1:]
        return self._refuse(noun, words, role)

    @property
    def commands(self) -> Mapping[str, Command]:
        """Every command by its name."""
        return dict(self._commands)

    @property
    def actions(self) -> Mapping[str, Screen]:
        """Every button and select by its action_id."""
        return dict(self._actions)

    @property
    def submissions(self) -> Mapping[str, Submission]:
        """Every modal by its callback_id."""
        return dict(self._submissions)

    def find_action(self, action_id: str) -> Screen | None:
        return self._actions.get(action_id)

    def find_event(self, kind: str) -> Screen | None:
        return self._events.get(kind)

    def find_submission(self, callback_id: str) -> Submission | None:
        return self._submissions.get(callback_id)

    def _singular(self, word: str) -> str:
        nouns = {name.split()[0] for name in self._commands}
        if word in nouns:
            return word
        for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
            if word.endswith(ending) and (single := word.removesuffix(ending) + instead) in nouns:
                return single
        return word

    def _refuse_misspelt_verb(self, noun: str, left: Sequence[Word], bare: Command, role: Role) -> None:
        if not left or left[0].is_option or left[0].is_quoted:
            return
        typed = left[0].value.lower()
        verbs = self._verbs(noun, role)
        near = nearest(typed, verbs)
        if bare.spec.query and near is None:
            return
        raise UnknownCommand(
            f"{noun} {typed}",
            slash=self.slash,
            nearest=f"{noun} {near}" if near else None,
            known=[f"{noun} {verb}" for verb in verbs],
        )

    def _refuse(self, noun: str, words: Sequence[Word], role: Role) -> tuple[Command, Sequence[Word]]:
        allowed = self.help_for(role)
        self._refuse_bare_verb(noun, words, allowed)
        verb = words[1].value.lower() if len(words) > 1 else ""
        near_noun = nearest(noun, {command.name.split()[0] for command in allowed})
        guess = self._nearest(f"{near_noun or noun} {verb}".strip(), allowed) or near_noun
        typed = f"{noun} {verb}" if verb and near_noun else noun
        raise UnknownCommand(typed, slash=self.slash, nearest=guess)

    def _refuse_bare_verb(self, verb: str, words: Sequence[Word], allowed: Sequence[Command]) -> None:
        """Name the commands with this verb for who left out the noun, such as `renew paris`."""
        found = [command.name for command in allowed if command.name.split()[1:] == [verb]]
        if not found:
            return
        rest = " ".join(word.source for word in words[1:])
        guess = f"{found[0]} {rest}".strip() if len(found) == 1 and len(rest) <= 60 else None
        raise UnknownCommand(verb, slash=self.slash, nearest=guess, known=found)

    def _nearest(self, wanted: str, allowed: Sequence[Command]) -> str | None:
        names = {command.name for command in allowed}
        return nearest(wanted, names | {name.split()[0] for name in names})

    def _verbs(self, noun: str, role: Role) -> list[str]:
        allowed = self.help_for(role)
        return [c.name.split()[1] for c in allowed if c.name.startswith(f"{noun} ")]


def _put(registry: dict[str, _Entry], key: str, entry: _Entry) -> None:
    # Two rooms with one id would answer each other's buttons.
    if key in registry:
        raise ValueError(f"{key!r} is registered twice")
    registry[key] = entry
