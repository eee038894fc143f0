from datetime import UTC, datetime

import pytest

from bot.access import rules
from bot.access.errors import RoleWrong, SubjectWrong, TagsNeeded, TagsNotOwn, TagTyped
from bot.access.facts import Granted
from bot.access.models import SubjectKind
from bot.kit.actor import Grant, Rights, Role

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
EVERYWHERE = Rights.of(Role.ADMIN)
SCHOOLS = Rights((Grant(Role.ADMIN, frozenset({"schools"})), Grant(Role.VIEWER)))


def granted(subject: str, role: Role, *tags: str) -> Granted:
    kind = SubjectKind.GROUP if subject.startswith("S") else SubjectKind.PERSON
    return Granted(subject, kind, role, frozenset(tags) if tags else None, "UANA", NOW)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("U0ANA", SubjectKind.PERSON), ("W01", SubjectKind.PERSON), ("S0MDM", SubjectKind.GROUP)],
)
def test_a_mention_is_a_person_or_a_group(text: str, kind: SubjectKind) -> None:
    assert rules.subject_of(text) == (text, kind)


@pytest.mark.parametrize("text", ["", "ana", "@ana", "C0ENROLL", "u0ana", "U0ANA U0BEN", "U"])
def test_what_is_no_mention_is_refused(text: str) -> None:
    with pytest.raises(SubjectWrong, match="Type @ and choose"):
        rules.subject_of(text)


def test_a_role_is_read_in_any_case_and_a_misspelt_one_is_guessed() -> None:
    assert rules.parse_role(" Approver ") is Role.APPROVER
    with pytest.raises(RoleWrong, match=r"Did you mean operator\?"):
        rules.parse_role("operater")
    with pytest.raises(RoleWrong, match="viewer, operator, approver, admin"):
        rules.parse_role("none")


def test_tags_are_read_like_everywhere() -> None:
    assert rules.parse_tags(None) is None
    assert rules.parse_tags("Schools, france;paris") == frozenset({"schools", "france", "paris"})
    for wrong in ("", " , ", "a/b", "x" * 41):
        with pytest.raises(TagTyped):
            rules.parse_tags(wrong)


@pytest.mark.parametrize(
    ("grants", "groups", "rights"),
    [
        ([], [], Rights.of(Role.VIEWER)),
        ([granted("UBEN", Role.ADMIN)], [], Rights.of(Role.VIEWER)),
        ([granted("UANA", Role.OPERATOR)], [], Rights.of(Role.OPERATOR)),
        ([granted("S1", Role.ADMIN)], [], Rights.of(Role.VIEWER)),
        ([granted("S1", Role.ADMIN)], ["S1"], Rights.of(Role.ADMIN)),
        (
            [granted("UANA", Role.VIEWER, "a"), granted("S1", Role.ADMIN, "b")],
            ["S1"],
            Rights((Grant(Role.VIEWER, frozenset({"a"})), Grant(Role.ADMIN, frozenset({"b"})))),
        ),
    ],
)
def test_rights_are_the_union_of_grants_and_else_the_default(
    grants: list[Granted], groups: list[str], rights: Rights
) -> None:
    assert rules.rights_of("UANA", grants, groups=groups, default_role=Role.VIEWER) == rights


def test_an_admin_of_every_token_gives_and_takes_every_role() -> None:
    for tags in (None, frozenset({"schools"}), frozenset({"a", "b"})):
        rules.check_may_change(EVERYWHERE, tags)


def test_an_admin_limited_to_tags_gives_and_takes_only_roles_for_those() -> None:
    rules.check_may_change(SCHOOLS, frozenset({"schools"}))
    with pytest.raises(TagsNeeded, match="--tags schools"):
        rules.check_may_change(SCHOOLS, None)
    with pytest.raises(TagsNotOwn, match="does not cover: france"):
        rules.check_may_change(SCHOOLS, frozenset({"schools", "france"}))


def test_an_admin_limited_to_tags_sees_the_grants_for_those() -> None:
    mine, shared = granted("U1", Role.VIEWER, "schools"), granted("U2", Role.ADMIN, "schools", "france")
    others = [granted("U3", Role.ADMIN), granted("U4", Role.VIEWER, "france")]
    assert rules.visible(SCHOOLS, [mine, *others, shared]) == [mine, shared]
    assert rules.visible(EVERYWHERE, [mine, *others, shared]) == [mine, *others, shared]


def test_an_admin_limited_to_tags_does_not_learn_of_the_other_tags_of_a_grant() -> None:
    shared = granted("U2", Role.ADMIN, "schools", "france")
    assert rules.as_shown(SCHOOLS, shared).tags == frozenset({"schools"})
    assert rules.as_shown(EVERYWHERE, shared) == shared
