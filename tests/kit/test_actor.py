import pytest

from bot.kit.actor import Actor, ActorKind, Grant, NotAllowed, Rights, Role

EMEA, APAC = frozenset({"emea"}), frozenset({"apac"})


def test_roles_are_ordered_and_have_words() -> None:
    assert [role.word for role in sorted(Role)] == ["none", "viewer", "operator", "approver", "admin"]


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_it_and_the_ones_below_may(role: Role) -> None:
    actor = Actor("U0ANA", rights=Rights.of(role))
    for needed in Role:
        if needed <= role:
            actor.require(needed)
            continue
        with pytest.raises(NotAllowed) as refused:
            actor.require(needed)
        assert refused.value.needed == needed


def test_a_refusal_names_the_role_and_who_can_help() -> None:
    with pytest.raises(NotAllowed, match=r"This needs the role operator\. .*admin"):
        Actor("U0ANA").require(Role.OPERATOR)


def test_without_grants_there_are_no_rights() -> None:
    assert Rights().highest == Role.NONE
    assert Rights.of(Role.NONE) == Rights()
    assert not Rights().is_unlimited


def test_a_grant_with_tags_covers_only_what_carries_one_of_them() -> None:
    rights = Rights((Grant(Role.ADMIN, EMEA), Grant(Role.VIEWER)))
    assert rights.role_for(EMEA | APAC) == Role.ADMIN
    assert rights.role_for(APAC) == Role.VIEWER
    assert rights.role_for(frozenset()) == Role.VIEWER
    assert rights.highest == Role.ADMIN


def test_rights_limited_to_tags_are_not_unlimited() -> None:
    assert not Rights((Grant(Role.ADMIN, EMEA),)).is_unlimited
    assert Rights.of(Role.VIEWER).is_unlimited


def test_an_actor_limited_to_tags_is_refused_elsewhere() -> None:
    actor = Actor("U0ANA", rights=Rights((Grant(Role.OPERATOR, EMEA),)))
    actor.require(Role.OPERATOR, tags=EMEA)
    for tags in (APAC, frozenset[str]()):
        with pytest.raises(NotAllowed):
            actor.require(Role.OPERATOR, tags=tags)


@pytest.mark.parametrize(
    ("actor", "kind"),
    [
        (Actor.job("daily sync"), ActorKind.JOB),
        (Actor.cli("root"), ActorKind.CLI),
        (Actor("U1"), ActorKind.PERSON),
    ],
)
def test_jobs_and_the_command_line_may_do_everything_and_say_what_they_are(
    actor: Actor, kind: ActorKind
) -> None:
    assert actor.kind == kind
    assert (actor.rights.highest == Role.ADMIN) == (kind != ActorKind.PERSON)
