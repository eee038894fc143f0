"""Roles granted and revoked in chat, to people and to user groups."""

from datetime import timedelta

import pytest

from bot.sandbox.slack import people
from tests.flows.conftest import House

BEN = "@ben"
GROUP = "@mdm-approvers"


async def test_a_granted_role_counts_at_once_and_the_channel_is_told(paris: House) -> None:
    assert "This needs the role admin" in await paris.types(paris.ben, "/enroll token tag paris hq")
    heard = await paris.types(paris.ana, f"/enroll role grant {BEN} admin")
    assert "<@U0BEN> is admin of every token, granted by <@U0ANA>" in heard.text.replace("*", "")
    assert "<@U0BEN> *is admin* of every token" in paris.posts()
    assert "Tags of paris set" in await paris.types(paris.ben, "/enroll token tag paris hq")
    heard = await paris.types(paris.ana, f"/enroll role revoke {BEN}")
    assert "is no longer" in heard
    assert "This needs the role admin" in await paris.types(paris.ben, "/enroll token tag paris none")
    acts = [(who, what) for who, what, _ in await paris.acts() if what.startswith("role.")]
    assert acts == [("U0ANA", "role.granted"), ("U0ANA", "role.revoked")]


async def test_a_group_is_granted_with_a_word_of_warning_and_its_members_count_within_a_minute(
    paris: House,
) -> None:
    heard = await paris.types(paris.ana, f"/enroll role grant {GROUP} admin")
    assert "Whoever may edit this group in Slack can give themselves this role" in heard
    assert "Tags of paris set" in await paris.types(paris.ben, "/enroll token tag paris hq")
    paris.slack.change_group(people.GROUP, users=[people.ANA])
    paris.clock.move(timedelta(seconds=61))
    assert "This needs the role admin" in await paris.types(paris.ben, "/enroll token tag paris none")


async def test_a_group_that_slack_no_longer_tells_of_grants_nothing(paris: House) -> None:
    await paris.types(paris.ana, f"/enroll role grant {GROUP} admin")
    paris.clock.move(timedelta(seconds=61))
    paris.slack.faults.refuse["usergroups.users.list"] = "missing_scope"
    assert "This needs the role admin" in await paris.types(paris.ben, "/enroll token tag paris hq")


async def test_a_guest_stays_a_viewer_whatever_is_granted(paris: House) -> None:
    await paris.types(paris.ana, "/enroll role grant @cleo admin")
    assert "This needs the role operator" in await paris.types(paris.cleo, "/enroll sync paris")
    assert "paris" in await paris.types(paris.cleo, "/enroll token list")


async def test_the_list_marks_who_is_admin_by_settings_and_who_is_deactivated(paris: House) -> None:
    await paris.types(paris.ana, f"/enroll role grant {BEN} approver --tags schools,hq")
    paris.slack.workspace.users[people.BEN]["deleted"] = True
    paris.clock.move(timedelta(minutes=6))
    heard = await paris.types(paris.ana, "/enroll roles")
    assert "Everyone else has the role operator." in heard
    assert "<@U0ANA> · admin of every token, by ENROLLBOT_ADMINS" in heard.text.replace("*", "")
    assert "<@U0BEN> · approver of tokens tagged `hq`, `schools`" in heard.text.replace("*", "")
    assert "deactivated in Slack: no rights; revoke it" in heard


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("role grant", "@USER|@GROUP is missing."),
        ("role grant U0NOBODY9 admin", "Slack knows nobody with the id U0NOBODY9"),
        (f"role grant {BEN}", "ROLE is missing."),
        (f"role grant {BEN} amdin", "Did you mean admin?"),
        ("role grant @nobody admin", "Type @ and choose the person or group from Slack's list."),
        (f"role grant {BEN} admin --tags a/b", "cannot be a scope tag"),
        (f"role revoke {BEN}", "Nobody granted a role there."),
        ("role revoke @ana", "admin by ENROLLBOT_ADMINS, which cannot be revoked in chat"),
    ],
)
async def test_what_cannot_be_granted_or_revoked_is_said_and_changes_nothing(
    paris: House, command: str, answer: str
) -> None:
    before = await paris.contents()
    assert answer in await paris.types(paris.ana, f"/enroll {command}")
    assert await paris.contents() == before


async def test_a_group_of_unknown_members_is_not_granted_a_role(paris: House) -> None:
    paris.slack.faults.refuse["usergroups.users.list"] = "no_such_subteam"
    before = await paris.contents()
    heard = await paris.types(paris.ana, f"/enroll role grant {GROUP} admin")
    assert "Slack does not tell who is in this user group" in heard
    assert await paris.contents() == before


async def test_an_admin_limited_to_tags_grants_only_those(paris: House) -> None:
    await paris.types(paris.ana, f"/enroll role grant {BEN} admin --tags schools")
    refused = await paris.types(paris.ben, "/enroll role grant @cleo viewer")
    assert "Roles for every token need an admin without tags." in refused
    refused = await paris.types(paris.ben, "/enroll role grant @cleo viewer --tags hq")
    assert "Your role does not cover: hq." in refused
    heard = await paris.types(paris.ben, "/enroll role grant @cleo viewer --tags schools")
    assert "of tokens tagged `schools`, granted by <@U0BEN>" in heard


async def test_a_channel_that_slack_refuses_undoes_nothing(paris: House) -> None:
    paris.slack.faults.refuse["chat.postMessage"] = "channel_not_found"
    heard = await paris.types(paris.ana, f"/enroll role grant {BEN} admin")
    assert "could not be told" in heard
    assert "Tags of paris set" in await paris.types(paris.ben, "/enroll token tag paris hq")
