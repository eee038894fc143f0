from datetime import UTC, datetime

from bot.access import blocks
from bot.access.facts import Granted
from bot.access.models import SubjectKind
from bot.access.service import RoleTable
from bot.kit.actor import Role
from bot.sandbox.slack.blocks import check_message_blocks

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def granted(number: int, tags: int) -> Granted:
    names = frozenset(f"{tag:02}-{'x' * 37}" for tag in range(tags)) or None
    return Granted(f"U{number:08}", SubjectKind.PERSON, Role.OPERATOR, names, "U0ANA", NOW)


def test_four_hundred_grants_of_many_long_tags_are_all_listed_within_slacks_limits() -> None:
    table = RoleTable(tuple(granted(number, 20) for number in range(400)), ("U0ANA",), Role.VIEWER)
    message = blocks.role_list(table, deactivated=[], slash="/enroll", now=NOW)
    check_message_blocks(message.blocks)
    shown = "\n".join(block["text"]["text"] for block in message.blocks if block["type"] == "section")
    assert all(f"<@U{number:08}>" in shown for number in range(400))
    assert "and 17 more" in shown


def test_more_grants_than_a_message_holds_are_counted() -> None:
    table = RoleTable(tuple(granted(number, 0) for number in range(412)), (), Role.NONE)
    message = blocks.role_list(table, deactivated=["U00000001"], slash="/enroll", now=NOW)
    check_message_blocks(message.blocks)
    shown = "\n".join(block["text"]["text"] for block in message.blocks if block["type"] == "section")
    assert "… and 12 more" in shown
    assert shown.count("deactivated in Slack") == 1
    assert "Everyone else has no role." in shown
