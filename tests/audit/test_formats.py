import csv
import io
import json
from datetime import UTC, datetime

from bot.audit import formats
from bot.audit.facts import Entry, Form

ENTRY = Entry(
    number=7,
    at=datetime(2026, 5, 1, 12, 0, 0, 1, tzinfo=UTC),
    actor="=cmd()",
    actor_kind="cli",
    action="token.tagged",
    subject_kind="token",
    subject_id="t1",
    subject_name='+1, "paris"\nnice',
    tags=["emea"],
    detail={"before": [], "name": "naïve \ud800"},
    reference="ABCD1234",
    key_id="00",
    mac="a" * 64,
    previous="0" * 64,
    link="https://example.slack.com/archives/C1/p1",
)


def test_json_lines_have_every_field_as_it_is_chained() -> None:
    (line, end) = formats.lines([ENTRY], Form.JSONL).split(b"\n")
    told = json.loads(line)
    assert end == b""
    assert list(told) == list(formats.HEADINGS)
    assert told["at"] == "2026-05-01T12:00:00.000001+00:00"
    assert (told["number"], told["tags"], told["detail"]) == (7, ["emea"], ENTRY.detail)
    assert (told["mac"], told["previous"]) == ("a" * 64, "0" * 64)
    assert told["link"] == "https://example.slack.com/archives/C1/p1"


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    content = formats.head(Form.CSV) + formats.lines([ENTRY], Form.CSV)
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert row["actor"] == "'=cmd()"
    assert row["subject_name"] == '\'+1, "paris"\nnice'
    assert (row["number"], row["tags"]) == ("7", '["emea"]')
    assert json.loads(row["detail"]) == ENTRY.detail
