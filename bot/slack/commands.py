"""The grammar of the slash command: from the text that Slack sends to words, options and arguments.

The grammar is forgiving where phones and Slack change what was typed (typographic quotes and dashes,
links, escapes) and strict where a guess could do harm (an unclosed quote, an unknown option).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.kit.errors import EnrollbotError
from bot.kit.nearest import nearest

_MARKUP = re.compile(r"<([^<>]*)>")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b\u200e\u200f\u2060]|[\ud800-\udfff]")
_DOUBLE_QUOTES = frozenset('"“”„‟«»″')
_SINGLE_QUOTES = frozenset("'‘’‚‛′`´")
_LONG_DASHES = "—―⸺"
_SHORT_DASHES = "–‒−‐‑"
_DASH_START = re.compile(f"^[{_LONG_DASHES}{_SHORT_DASHES}-]+")
_SEPARATORS = re.compile(r"[,;，；、]")
# What comes before a quote inside a word: `model:"iPad Air"`, `--reason="late delivery"`.
_BEFORE_QUOTE = frozenset(":=,;(")


class UnclosedQuote(EnrollbotError):
    def __init__(self, rest: str) -> None:
        self.rest = rest
        super().__init__(
            f"A quote is opened and not closed: {_shown(rest)}.",
            next_step='Close it with ", or leave the quotes out where there is no space.',
        )


class UsageMismatch(EnrollbotError):
    """The command is known, its arguments do not fit."""

    def __init__(self, problem: str, usage: str) -> None:
        self.usage = usage
        super().__init__(problem, next_step=f"Usage: `{usage}`")


class UnknownOption(UsageMismatch):
    def __init__(self, name: str, usage: str, *, nearest: str | None) -> None:
        self.nearest = nearest
        guess = f" Did you mean `{nearest}`?" if nearest else ""
        super().__init__(f"{_shown(name)} is not an option of this command.{guess}", usage)


@dataclass(frozen=True, slots=True)
class Option:
    """`--name VALUE` or `--name=VALUE`.

    With `query` the value is all that follows up to the next option, quotes kept; or one quoted text.
    """

    name: str
    value: str
    query: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name`, given or not."""

    name: str


@dataclass(frozen=True, slots=True)
class Spec:
    """Which arguments a command takes.

    `positionals` are names in order; each may be left out, and the handler asks for what it needs by
    `Args.required`. `rest` names what may follow in any number, separated by spaces, commas, semicolons
    or new lines. `query` takes everything that is no option as one text, quotes kept, instead of both.
    Values of the arguments in `folded` are read in upper case.
    """

    positionals: tuple[str, ...] = ()
    rest: str | None = None
    options: tuple[Option | Flag, ...] = ()
    query: bool = False
    folded: tuple[str, ...] = ("SERIAL",)


@dataclass(frozen=True, slots=True)
class Args:
    """The arguments of one command, as typed but for what Slack and phones did to them.

    A mention arrives as its bare id: `<@U1|ana>` is `U1`, `<#C1|ops>` is `C1`, a group is `S1`.
    """

    usage: str = ""
    positionals: Mapping[str, str] = field(default_factory=dict)
    rest: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    text: str = ""

    def one(self, name: str) -> str | None:
        """Return the positional argument, None when it was left out."""
        return self.positionals.get(name)

    def required(self, name: str) -> str:
        """Return the positional argument; raises `UsageMismatch` with the usage line when left out."""
        value = self.positionals.get(name)
        if value is None:
            raise UsageMismatch(f"{name} is missing.", self.usage)
        return value

    def required_rest(self, name: str) -> tuple[str, ...]:
        """Return the repeated argument; raises `UsageMismatch` with the usage line when there is none."""
        if not self.rest:
            raise UsageMismatch(f"{name} is missing.", self.usage)
        return self.rest

    def option(self, name: str) -> str | None:
        """Return the option's value, None when it was not given."""
        return self.options.get(name)

    def flag(self, name: str) -> bool:
        return name in self.flags


@dataclass(frozen=True, slots=True)
class Word:
    """One word: `value` without its quotes, `source` with plain ones."""

    value: str
    source: str
    is_quoted: bool

    @property
    def is_option(self) -> bool:
        return not self.source.startswith(('"', "'")) and self.value.startswith("--")


def unescape(text: str) -> str:
    """Undo what Slack does to the text of a command (`should_escape: true`).

    https://docs.slack.dev/interactivity/implementing-slash-commands
    """
    linked = _MARKUP.sub(lambda found: _unlink(found[1]), _CONTROL.sub("", text))
    return _ENTITY.sub(lambda found: _ENTITIES[found[1]], linked)


def words(text: str) -> list[Word]:
    """Split a command's text into words; raises `UnclosedQuote`."""
    source = unescape(text)
    found: list[Word] = []
    at = 0
    while at < len(source):
        if source[at].isspace():
            at += 1
            continue
        word, at = _word(source, at)
        found.append(word)
    return found


def parse(given: Sequence[Word], spec: Spec, *, usage: str) -> Args:
    """Read the words that follow the command's own; raises `UsageMismatch`."""
    options, flags, others = _options(given, spec, usage)
    if spec.query:
        text = " ".join(word.source for word in others)
        return Args(usage, {}, (), options, flags, text)
    named = {
        name: _folded(word.value, name, spec) for name, word in zip(spec.positionals, others, strict=False)
    }
    left = others[len(spec.positionals) :]
    if left and spec.rest is None:
        hint = " Put a name with spaces in quotes." if spec.positionals else ""
        raise UsageMismatch(f"{_shown(left[0].value)} is one argument too many.{hint}", usage)
    rest = tuple(_folded(value, spec.rest or "", spec) for word in left for value in _split(word))
    return Args(usage, named, rest, options, flags, " ".join(word.source for word in others))


def _unlink(inner: str) -> str:
    target, _, label = inner.partition("|")
    if target.startswith(("@", "#")):
        return target[1:]
    if target.startswith("!subteam^"):
        return target.removeprefix("!subteam^")
    if target.startswith("!"):
        return label or f"@{target[1:]}"
    address = target.removeprefix("mailto:").removeprefix("tel:")
    # Slack made a link of what was typed: the label is what was typed, unless it is a name for the link.
    return label if label and address.rstrip("/").endswith(label.rstrip("/")) else address


def _word(source: str, at: int) -> tuple[Word, int]:
    start = at
    value: list[str] = []
    plain: list[str] = []
    is_quoted = False
    while at < len(source) and not source[at].isspace():
        opens = at == start or source[at - 1] in _BEFORE_QUOTE
        kind = _quote_kind(source[at]) if opens else None
        if kind is None:
            value.append(source[at])
            plain.append(source[at])
            at += 1
            continue
        inner, at = _quoted(source, at, kind)
        value.append(inner)
        mark = '"' if kind is _DOUBLE_QUOTES else "'"
        plain.append(f"{mark}{inner}{mark}")
        is_quoted = True
    if is_quoted and _quote_kind(source[start]):
        return Word("".join(value), "".join(plain), is_quoted), at
    return Word(_dashes("".join(value)), _dashes("".join(plain)), is_quoted), at


def _quote_kind(char: str) -> frozenset[str] | None:
    if char in _DOUBLE_QUOTES:
        return _DOUBLE_QUOTES
    return _SINGLE_QUOTES if char in _SINGLE_QUOTES else None


def _quoted(source: str, at: int, kind: frozenset[str]) -> tuple[str, int]:
    """Return what stands between the quote at `at` and the one that closes it, and where that ends."""
    for end in range(at + 1, len(source)):
        if source[end] in kind and _closes(source, end):
            return source[at + 1 : end], end + 1
    raise UnclosedQuote(source[at:])


def _closes(source: str, end: int) -> bool:
    # ’ is an apostrophe as well ("Ana’s iPad"): it closes only where a word ends.
    if source[end] in _DOUBLE_QUOTES:
        return True
    return end + 1 == len(source) or not source[end + 1].isalnum()


def _dashes(word: str) -> str:
    """Read typographic dashes as typed: phones make — of --, and some make – of it."""
    head = _DASH_START.match(word)
    tail = word[head.end() :] if head else word
    plain = re.sub(f"[{_LONG_DASHES}{_SHORT_DASHES}]", "-", tail.split('"', 1)[0]) if tail else ""
    plain += tail[len(tail.split('"', 1)[0]) :]
    if head is None:
        return plain
    marks = head[0]
    if marks.strip("-") == "":
        return marks + plain
    # `-key:value` negates in a query, and no option has a colon before its value.
    is_negation = re.match(r"\w+:", plain) is not None
    return ("-" if is_negation or not plain[:1].isalpha() else "--") + plain


def _options(
    given: Sequence[Word], spec: Spec, usage: str
) -> tuple[dict[str, str], frozenset[str], list[Word]]:
    options: dict[str, str] = {}
    flags: set[str] = set()
    others: list[Word] = []
    queue = list(given)
    while queue:
        word = queue.pop(0)
        if not word.is_option:
            others.append(word)
            continue
        name, equals, value = word.value.partition("=")
        kind = _option(name, spec, usage)
        if kind.name in options or kind.name in flags:
            raise UsageMismatch(f"{kind.name} is given twice.", usage)
        if isinstance(kind, Flag):
            _refuse_value(kind, equals, usage)
            flags.add(kind.name)
            continue
        if kind.query:
            options[kind.name] = _query_value(value if equals else "", queue, kind, usage)
        else:
            options[kind.name] = value if equals else _next_value(queue, kind, usage)
    return options, frozenset(flags), others


def _option(name: str, spec: Spec, usage: str) -> Option | Flag:
    by_name = {option.name: option for option in spec.options}
    found = by_name.get(name.lower())
    if found is None:
        # The dashes that all options have make none of them near.
        near = nearest(name.lstrip("-"), (known.lstrip("-") for known in by_name))
        raise UnknownOption(name, usage, nearest=f"--{near}" if near else None)
    return found


def _refuse_value(flag: Flag, equals: str, usage: str) -> None:
    if equals:
        raise UsageMismatch(f"{flag.name} takes no value.", usage)


def _next_value(queue: list[Word], option: Option, usage: str) -> str:
    if not queue or queue[0].is_option:
        raise UsageMismatch(f"{option.name} needs a value: {option.name} {option.value}.", usage)
    return queue.pop(0).value


def _query_value(first: str, queue: list[Word], option: Option, usage: str) -> str:
    taken: list[Word] = []
    while queue and not queue[0].is_option:
        taken.append(queue.pop(0))
    if not taken and not first:
        raise UsageMismatch(f"{option.name} needs a value: {option.name} {option.value}.", usage)
    if len(taken) == 1 and not first and taken[0].source.startswith(('"', "'")):
        return taken[0].value
    return " ".join([*([first] if first else []), *(word.source for word in taken)])


def _split(word: Word) -> list[str]:
    if word.is_quoted:
        return [word.value]
    return [part for part in _SEPARATORS.split(word.value) if part]


def _folded(value: str, name: str, spec: Spec) -> str:
    return value.upper() if name in spec.folded else value


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
