import re
from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from bot.outside.ics import Event, calendar

_ESCAPE = re.compile(r"\\(.)")
CHANGED = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)


def unfolded(content: bytes) -> list[str]:
    """Return the lines of a calendar as a subscriber reads them."""
    assert content.endswith(b"\r\n")
    return content.decode().replace("\r\n ", "").split("\r\n")[:-1]


def test_a_moment_and_a_day_are_events_with_alarms() -> None:
    moment = datetime(2027, 5, 12, 11, 12, tzinfo=timezone(timedelta(hours=2)))
    content = calendar(
        "Device enrollment",
        [
            Event("token-1@enrollbot", "Token paris expires", "Example Trust", moment, CHANGED, (7, 30)),
            Event("deadline-1@enrollbot", "contract is due", "", date(2027, 3, 1), CHANGED),
        ],
    )
    assert unfolded(content) == [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//enrollbot//enrollbot//EN", "CALSCALE:GREGORIAN"),
        *("NAME:Device enrollment", "X-WR-CALNAME:Device enrollment"),
        *("REFRESH-INTERVAL;VALUE=DURATION:PT12H", "X-PUBLISHED-TTL:PT12H"),
        *("BEGIN:VEVENT", "UID:token-1@enrollbot", "DTSTAMP:20260401T080000Z", "DTSTART:20270512T091200Z"),
        *("SUMMARY:Token paris expires", "DESCRIPTION:Example Trust", "TRANSP:TRANSPARENT"),
        *("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-P30D", "DESCRIPTION:Token paris expires", "END:VALARM"),
        *("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-P7D", "DESCRIPTION:Token paris expires", "END:VALARM"),
        *("END:VEVENT", "BEGIN:VEVENT", "UID:deadline-1@enrollbot", "DTSTAMP:20260401T080000Z"),
        *("DTSTART;VALUE=DATE:20270301", "SUMMARY:contract is due", "DESCRIPTION:", "TRANSP:TRANSPARENT"),
        *("END:VEVENT", "END:VCALENDAR"),
    ]


def test_a_calendar_without_dates_has_a_component_all_the_same() -> None:
    assert "BEGIN:VTIMEZONE" in unfolded(calendar("Empty", []))


def test_special_and_control_characters_cannot_begin_another_line() -> None:
    evil = "a;b,c\\d\r\nBEGIN:VEVENT\nx\x00\x85\u2028y"
    lines = unfolded(calendar("x", [Event("u", evil, "", date(2027, 3, 1), CHANGED)]))
    assert "SUMMARY:a\\;b\\,c\\\\d\\nBEGIN:VEVENT\\nxy" in lines
    assert lines.count("BEGIN:VEVENT") == 1


@given(st.text(max_size=200))
def test_lines_have_75_octets_at_most_and_are_cut_between_characters(text: str) -> None:
    content = calendar("x", [Event("u", text, "", date(2027, 3, 1), CHANGED)])
    for line in content.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()
        assert b"\n" not in line
        assert b"\r" not in line
    [title] = [line for line in unfolded(content) if line.startswith("SUMMARY:")]
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(letter for letter in plain if letter in "\n\t" or letter.isprintable())
    assert _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], title) == f"SUMMARY:{kept}"
