import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.kit.errors import EnrollbotError
from bot.kit.nearest import nearest
from bot.slack.commands import (
    Flag,
    Option,
    Spec,
    UnclosedQuote,
    UnknownOption,
    UsageMismatch,
    parse,
    unescape,
    words,
)

ADD = Spec(("NAME",), options=(Option("--apple-id", "ID"), Option("--tags", "a,b"), Flag("--agree")))
FORGET = Spec(rest="SERIAL")
QUERY = Spec(query=True, options=(Flag("--export"),))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a b  c", ["a", "b", "c"]),
        ("“Sales iPad” x", ["Sales iPad", "x"]),
        ("„Sales iPad“", ["Sales iPad"]),
        ("‘Sales iPad’", ["Sales iPad"]),
        ("'Sales iPad'", ["Sales iPad"]),
        ('"Ana’s iPad"', ["Ana’s iPad"]),
        ("‘Ana’s iPad’", ["Ana’s iPad"]),
        ("Ana's", ["Ana's"]),
        ('model:"iPad Air"', ["model:iPad Air"]),
        ('""', [""]),
        ("—full", ["--full"]),
        ("–full", ["--full"]),
        ("--full", ["--full"]),
        ("—apple–id", ["--apple-id"]),
        ("-model:x", ["-model:x"]),
        ("–model:x", ["-model:x"]),
        ("—model:x", ["-model:x"]),
        ("north–west", ["north-west"]),
        ('"Sales – iPad"', ["Sales – iPad"]),
        ("—tags=“a b”", ["--tags=a b"]),
    ],
)
def test_words_are_read_as_typed_on_any_keyboard(typed: str, meant: list[str]) -> None:
    assert [word.value for word in words(typed)] == meant


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("&amp;lt;", "&lt;"),
        ("<mailto:a@b.org|a@b.org>", "a@b.org"),
        ("<mailto:a@b.org>", "a@b.org"),
        ("<http://mdm.example.org|mdm.example.org>", "mdm.example.org"),
        ("<https://mdm.example.org/x>", "https://mdm.example.org/x"),
        ("<https://mdm.example.org/x|our server>", "https://mdm.example.org/x"),
        ("<@U1|ana>", "U1"),
        ("<@U1>", "U1"),
        ("<#C1|ops>", "C1"),
        ("<!subteam^S1|@mdm>", "S1"),
        ("<!subteam^S1>", "S1"),
        ("<!channel>", "@channel"),
        ("actor:<@U1|ana>", "actor:U1"),
        ("&lt;@U1&gt;", "<@U1>"),
        ("a\x00b\u200bc", "abc"),
    ],
)
def test_what_slack_did_to_the_text_is_undone(sent: str, typed: str) -> None:
    assert unescape(sent) == typed


@pytest.mark.parametrize("typed", ['a "b', "“b", "‘b c", 'model:"iPad'])
def test_a_quote_that_is_not_closed_is_named(typed: str) -> None:
    with pytest.raises(UnclosedQuote, match="not closed"):
        words(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "paris --apple-id a@b.org --agree",
        "--agree --apple-id=a@b.org paris",
        "--apple-id <mailto:a@b.org|a@b.org> paris —agree",
        "--APPLE-ID a@b.org paris --Agree",
    ],
)
def test_options_may_stand_anywhere(typed: str) -> None:
    args = parse(words(typed), ADD, usage="")
    assert (args.one("NAME"), args.option("--apple-id"), args.flag("--agree")) == ("paris", "a@b.org", True)


def test_what_is_left_out_is_none() -> None:
    args = parse([], ADD, usage="")
    assert args.one("NAME") is None
    assert args.option("--apple-id") is None
    assert not args.flag("--agree")


def test_what_is_needed_and_left_out_is_named_with_the_usage() -> None:
    args = parse([], ADD, usage="/enroll token add NAME")
    with pytest.raises(UsageMismatch, match=r"NAME is missing.*`/enroll token add NAME`"):
        args.required("NAME")
    with pytest.raises(UsageMismatch, match="SERIAL is missing"):
        args.required_rest("SERIAL")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("paris lyon", "lyon is one argument too many"),
        ("paris --apple-id", "--apple-id needs a value"),
        ("paris --apple-id --agree", "--apple-id needs a value"),
        ("paris --agree=yes", "--agree takes no value"),
        ("paris --agree --agree", "--agree is given twice"),
        ("paris --apple-id a --apple-id b", "--apple-id is given twice"),
        ("paris --", "is not an option"),
    ],
)
def test_arguments_that_do_not_fit_are_named_with_the_usage(typed: str, problem: str) -> None:
    with pytest.raises(UsageMismatch) as caught:
        parse(words(typed), ADD, usage="/enroll token add NAME")
    assert problem in str(caught.value)
    assert "/enroll token add NAME" in str(caught.value)


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(UnknownOption) as caught:
        parse(words("paris --aple-id x"), ADD, usage="")
    assert caught.value.nearest == "--apple-id"


@pytest.mark.parametrize("option", ["--bogus", "--x", "--all"])
def test_an_option_far_from_any_is_not_guessed_at(option: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        parse(words(f"paris {option}"), ADD, usage="")
    assert caught.value.nearest is None


@pytest.mark.parametrize(
    "typed", ["f9fa c02b", "F9FA,C02B", "f9fa;c02b", "F9FA\nC02B", "f9fa, c02b,", "f9fa\n;C02B"]
)
def test_serials_are_separated_by_anything_and_in_any_case(typed: str) -> None:
    assert parse(words(typed), FORGET, usage="").rest == ("F9FA", "C02B")


def test_a_query_keeps_its_quotes_and_loses_its_options() -> None:
    args = parse(words('token:paris —export model:“iPad Air” "two words"'), QUERY, usage="")
    assert args.text == 'token:paris model:"iPad Air" "two words"'
    assert args.flag("--export")


def test_a_quoted_option_is_an_argument() -> None:
    assert parse(words('"--agree"'), ADD, usage="").one("NAME") == "--agree"


def test_nothing_is_near_to_a_word_of_its_own() -> None:
    assert nearest("kangaroo", ["token", "device"]) is None
    assert nearest("tokn", ["token", "device"]) == "token"


def refusal(text: str, spec: Spec) -> str | None:
    """Return the sentence with which a text is refused, None when it is read."""
    try:
        parse(words(text), spec, usage="/enroll x")
    except EnrollbotError as problem:
        return str(problem)
    return None


@given(st.text())
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    for spec in (ADD, FORGET, QUERY):
        assert refusal(text, spec) != ""


@given(st.text(alphabet=list(" \"'“”‘’—–-=:,;<>|&@#!^aB1\n")))
def test_any_mix_of_signs_is_read_or_refused_with_a_sentence(text: str) -> None:
    for spec in (ADD, FORGET, QUERY):
        assert refusal(text, spec) != ""


@given(
    st.lists(st.text(alphabet="abcXYZ019._-", min_size=1).filter(lambda t: not t.startswith("-")), min_size=1)
)
def test_plain_words_come_back_as_they_were(plain: list[str]) -> None:
    assert [word.value for word in words(" ".join(plain))] == plain


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ('--where profile:"Sales iPad" --reason x', 'profile:"Sales iPad"'),
        ("--reason x --where token:paris -profile:none F9F*", "token:paris -profile:none F9F*"),
        ('--where "token:paris profile:none" --reason x', "token:paris profile:none"),
        ("--where=token:paris model:iPad --reason x", "token:paris model:iPad"),
    ],
)
def test_a_query_as_an_option_takes_all_up_to_the_next_option(typed: str, query: str) -> None:
    spec = Spec(rest="SERIAL", options=(Option("--where", "QUERY", query=True), Option("--reason", "TEXT")))
    args = parse(words(typed), spec, usage="/enroll assign")
    assert (args.option("--where"), args.option("--reason"), args.rest) == (query, "x", ())
