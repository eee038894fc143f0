import pytest

from bot.kit.actor import NotAllowed, Role
from bot.slack.call import Call
from bot.slack.commands import Spec, words
from bot.slack.router import Router, UnknownCommand


async def nothing(_call: Call) -> None: ...


@pytest.fixture
def router() -> Router:
    made = Router()
    for name, role, spec in [
        ("status", Role.VIEWER, Spec()),
        ("help", Role.NONE, Spec(query=True)),
        ("token list", Role.VIEWER, Spec()),
        ("token show", Role.VIEWER, Spec(("NAME",))),
        ("token renew", Role.ADMIN, Spec(("NAME",))),
        ("device list", Role.VIEWER, Spec(query=True)),
        ("device show", Role.VIEWER, Spec(("SERIAL",))),
        ("sync", Role.OPERATOR, Spec(("NAME",))),
    ]:
        made.command(name, role=role, usage=name, summary=f"does {name}", spec=spec, handler=nothing)
    return made


@pytest.mark.parametrize(
    ("typed", "name", "left"),
    [
        ("", "status", []),
        ("token", "token list", []),
        ("tokens", "token list", []),
        ("TOKENS", "token list", []),
        ("tokens list", "token list", []),
        ("tokens show paris", "token show", ["paris"]),
        ("Token Show paris", "token show", ["paris"]),
        ("sync paris", "sync", ["paris"]),
        ("devices token:paris", "device list", ["token:paris"]),
        ("device F9F*", "device list", ["F9F*"]),
        ("device list F9F*", "device list", ["F9F*"]),
        ("--help", "help", []),
        ("?", "help", []),
        ("help token renew", "help", ["token", "renew"]),
        ("token renew paris —help", "help", ["token", "renew"]),
    ],
)
def test_words_name_a_command(router: Router, typed: str, name: str, left: list[str]) -> None:
    command, others = router.find_command(words(typed), Role.ADMIN)
    assert (command.name, [word.value for word in others]) == (name, left)


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("tokn", "token"),
        ("statsu", "status"),
        ("token renw paris", "token renew"),
        ("tokn renew paris", "token renew"),
        ("device shwo F9F", "device show"),
        ("renew paris", "token renew paris"),
        ("renew", "token renew"),
        ("kangaroo", None),
    ],
)
def test_an_unknown_word_suggests_the_nearest(router: Router, typed: str, suggested: str | None) -> None:
    with pytest.raises(UnknownCommand) as caught:
        router.find_command(words(typed), Role.ADMIN)
    assert caught.value.nearest == suggested
    assert (f"Did you mean `/enroll {suggested}`?" in str(caught.value)) == (suggested is not None)


def test_a_verb_of_several_nouns_names_them_all(router: Router) -> None:
    with pytest.raises(UnknownCommand, match="Known here: `/enroll token show`, `/enroll device show`"):
        router.find_command(words("show paris"), Role.ADMIN)


def test_only_what_the_caller_may_do_is_suggested(router: Router) -> None:
    with pytest.raises(UnknownCommand) as caught:
        router.find_command(words("token renw paris"), Role.VIEWER)
    assert "renew" not in str(caught.value)


def test_an_argument_after_a_bare_noun_names_the_verbs(router: Router) -> None:
    with pytest.raises(
        UnknownCommand, match="Known here: `/enroll token list`, `/enroll token show`, `/enroll token renew`"
    ):
        router.find_command(words("token paris"), Role.ADMIN)


def test_help_shows_what_the_role_may_do(router: Router) -> None:
    assert [c.name for c in router.help_for(Role.NONE)] == ["help"]
    assert "token renew" not in [c.name for c in router.help_for(Role.VIEWER)]
    assert [c.name for c in router.help_for(Role.ADMIN, "tokens")] == [
        "token list",
        "token show",
        "token renew",
    ]
    assert [c.usage for c in router.help_for(Role.ADMIN, "token renew")] == ["/enroll token renew"]


def test_help_on_an_unknown_word_suggests_the_nearest(router: Router) -> None:
    with pytest.raises(UnknownCommand, match="Did you mean `/enroll device`"):
        router.help_for(Role.VIEWER, "devcie")


def test_help_on_a_command_of_a_higher_role_names_the_role(router: Router) -> None:
    with pytest.raises(NotAllowed, match="role admin"):
        router.help_for(Role.VIEWER, "token renew")


@pytest.mark.parametrize(
    "topic", ["token renew paris", "/enroll token renew", "enroll tokens renew --new-key"]
)
def test_help_on_a_command_takes_it_as_it_is_typed(router: Router, topic: str) -> None:
    assert [command.name for command in router.help_for(Role.ADMIN, topic)] == ["token renew"]


def test_two_handlers_of_one_name_are_refused(router: Router) -> None:
    router.action("token.upload", role=Role.ADMIN, handler=nothing)
    with pytest.raises(ValueError, match="twice"):
        router.action("token.upload", role=Role.ADMIN, handler=nothing)
