"""What the documentation lists is what there is."""

import re
from pathlib import Path

from bot.alerts.facts import Kind

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.md"


def test_the_operations_guide_lists_every_kind_of_alert_and_no_other() -> None:
    table = OPERATIONS.read_text().partition("\n| kind | is open while | level |\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(Kind)
