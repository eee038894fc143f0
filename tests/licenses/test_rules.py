from datetime import UTC, datetime, timedelta

import pytest

from bot.licenses import rules
from bot.licenses.errors import (
    AppAmbiguous,
    AppUnknown,
    ContentNameWrong,
    FileExpired,
    NotLater,
    ThresholdWrong,
    WrongLocation,
)
from bot.licenses.facts import ContentTokenState, Level, Watch
from bot.licenses.models import Trouble
from tests.builders import app_licences, content_token_view

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("total", "threshold", "mark"),
    [
        (500, None, 50),
        (55, None, 6),
        (50, None, 5),
        (49, None, 5),
        (3, None, 5),
        (0, None, 5),
        (500, 20, 20),
        (500, 80, 80),
        (500, 0, 0),
        (None, None, None),
        (None, 20, None),
    ],
)
def test_low_is_below_a_tenth_or_five_whichever_is_larger_or_the_threshold(
    total: int | None, threshold: int | None, mark: int | None
) -> None:
    assert rules.low_mark(total, threshold) == mark


@pytest.mark.parametrize(
    ("available", "total", "threshold", "missing"),
    [
        (17, 500, None, 37),
        (0, 100, None, 12),
        (3, 20, None, 2),
        (0, 0, None, 5),
        (50, 500, None, 0),
        (17, 500, 20, 3),
        (17, 500, 10, 0),
        (None, None, None, 0),
    ],
)
def test_with_what_is_missing_an_app_is_low_no_more_and_with_one_less_it_still_is(
    available: int | None, total: int | None, threshold: int | None, missing: int
) -> None:
    assert rules.missing(app_licences(available=available, total=total, threshold=threshold)) == missing
    if missing and available is not None and total is not None:
        for more, level in ((missing, Level.FINE), (missing - 1, Level.LOW)):
            bought = app_licences(available=available + more, total=total + more, threshold=threshold)
            assert bought.level is level or bought.available == 0


@pytest.mark.parametrize(
    ("available", "total", "threshold", "level"),
    [
        (50, 500, None, Level.FINE),
        (49, 500, None, Level.LOW),
        (5, 55, None, Level.LOW),
        (6, 55, None, Level.FINE),
        (5, 10, None, Level.FINE),
        (4, 10, None, Level.LOW),
        (0, 10, None, Level.NONE),
        (-3, 10, None, Level.NONE),
        (0, 10, 0, Level.NONE),
        (1, 10, 0, Level.FINE),
        (19, 500, 20, Level.LOW),
        (20, 500, 20, Level.FINE),
        (None, None, None, Level.FINE),
        (None, None, 20, Level.FINE),
    ],
)
def test_how_scarce_licences_are(
    available: int | None, total: int | None, threshold: int | None, level: Level
) -> None:
    assert rules.level_of(available, rules.low_mark(total, threshold)) is level


def test_the_scarcest_come_first_those_without_a_limit_last_and_books_behind_apps() -> None:
    held = [
        app_licences("5", None, None),
        app_licences("4", 90, 100),
        app_licences("6", 0, 10, is_book=True),
        app_licences("3", 300, 1000),
        app_licences("2", 9, 100),
        app_licences("1", 0, 40),
    ]
    assert [each.app_id for each in sorted(held, key=rules.scarcity)] == ["1", "2", "3", "4", "5", "6"]


def test_what_is_low_comes_with_watched_apps_first_and_never_what_has_no_limit() -> None:
    held = [
        app_licences("free", None, None),
        app_licences("installed", 3, 100),
        app_licences("plenty", 80, 100),
        app_licences("other", 0, 100),
        app_licences("set", 15, 100, threshold=20),
        app_licences("left", 0, 0, is_listed=False),
    ]
    installed = {"id-hq": {"installed", "free", "never bought"}}
    looked_at = rules.looked_at([content_token_view()], {"id-hq": held}, installed=installed)
    assert {each.app.app_id for each in looked_at if not each.is_low} == {"free"}
    found = [each for each in looked_at if each.is_low]
    assert [(low.app.app_id, low.app.level, low.is_watched) for low in found] == [
        ("never bought", Level.NONE, True),
        ("installed", Level.LOW, True),
        ("set", Level.LOW, True),
        ("other", Level.NONE, False),
    ]
    absent = found[0].app
    assert (absent.title, absent.available, absent.is_listed) == ("app never bought", 0, False)


def test_an_app_that_a_location_gave_up_is_told_while_a_profile_installs_it() -> None:
    gone = app_licences("left", 0, 0, is_listed=False)
    found = rules.looked_at([content_token_view()], {"id-hq": [gone]}, installed={"id-hq": ["left"]})
    assert [(low.app.title, low.app.level) for low in found] == [("App left", Level.NONE)]


@pytest.mark.parametrize(("thresholds", "watch"), [(10, Watch.APP), (11, Watch.MANY)])
def test_apps_with_a_threshold_are_told_of_alone_while_those_are_few(thresholds: int, watch: Watch) -> None:
    held = [
        app_licences("own", 3, 100, threshold=5, has_own_threshold=True),
        app_licences("of all", 3, 100, threshold=5),
        app_licences("installed", 3, 100, threshold=5, has_own_threshold=True),
    ]
    found = rules.looked_at(
        [content_token_view()],
        {"id-hq": held},
        installed={"id-hq": ["installed"]},
        thresholds={"id-hq": thresholds},
    )
    assert {each.app.app_id: each.watch for each in found} == {
        "own": watch,
        "of all": Watch.MANY,
        "installed": Watch.PROFILE,
    }


def standing(**facts: object) -> rules.Standing:
    usual = {
        "expires_at": NOW + 200 * DAY,
        "warn_days": (30, 14),
        "trouble": None,
        "trouble_since": None,
        "counted_at": NOW,
    }
    return rules.Standing(**(usual | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "state", "since"),
    [
        ({}, ContentTokenState.ACTIVE, None),
        ({"expires_at": NOW + 30 * DAY}, ContentTokenState.EXPIRING, None),
        ({"expires_at": NOW + 30 * DAY + timedelta(hours=1)}, ContentTokenState.ACTIVE, None),
        ({"expires_at": NOW}, ContentTokenState.EXPIRED, NOW),
        ({"trouble": Trouble.EXPIRED, "trouble_since": NOW - DAY}, ContentTokenState.EXPIRED, NOW - DAY),
        ({"trouble": Trouble.REVOKED, "trouble_since": NOW - DAY}, ContentTokenState.REVOKED, NOW - DAY),
        (
            {"trouble": Trouble.REVOKED, "trouble_since": NOW - DAY, "expires_at": NOW},
            ContentTokenState.REVOKED,
            NOW - DAY,
        ),
        ({"counted_at": NOW - 2 * DAY}, ContentTokenState.ACTIVE, None),
        ({"counted_at": NOW - 2 * DAY - timedelta(seconds=1)}, ContentTokenState.UNKNOWN, None),
    ],
)
def test_the_state_is_the_worst_that_holds(
    facts: dict[str, object], state: ContentTokenState, since: datetime | None
) -> None:
    assert rules.state_of(standing(**facts), NOW) is state
    assert rules.ended_since(standing(**facts), NOW) == since


def test_counts_are_due_every_six_hours_each_at_its_own_moment() -> None:
    due = {rules.due_after(f"c{n}", NOW, failures=0, wait=None) - NOW for n in range(50)}
    assert len(due) > 40
    assert all(timedelta(hours=5, minutes=40) <= wait <= timedelta(hours=6) for wait in due)


@pytest.mark.parametrize(
    ("failures", "asked", "wait"),
    [
        (1, None, timedelta(minutes=15)),
        (2, None, timedelta(hours=1)),
        (3, None, timedelta(hours=4)),
        (9, None, timedelta(hours=4)),
        (1, timedelta(minutes=40), timedelta(minutes=40)),
        (2, timedelta(minutes=2), timedelta(hours=1)),
    ],
)
def test_a_read_that_failed_is_tried_again_later_and_later(
    failures: int, asked: timedelta | None, wait: timedelta
) -> None:
    assert rules.due_after("id-hq", NOW, failures=failures, wait=asked) == NOW + wait


@pytest.mark.parametrize("name", ["hq", "Example.HQ-2_b", "x" * 40, " hq "])
def test_a_name_has_letters_digits_dots_dashes_and_underscores(name: str) -> None:
    assert rules.check_name(name) == name.strip()


@pytest.mark.parametrize("name", ["", "x" * 41, "a b", "héq", "hq/1", "...", "<!channel>"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ContentNameWrong):
        rules.check_name(name)


@pytest.mark.parametrize(
    ("typed", "read"),
    [("25", 25), ("0", 0), ("1,000", 1000), ("none", None), ("-", None), ("1000000", 10**6)],
)
def test_a_threshold_is_a_whole_number_or_none(typed: str, read: int | None) -> None:
    assert rules.parse_threshold(typed) == read


@pytest.mark.parametrize("typed", ["", "-1", "2.5", "1e3", "1000001", "many", "٣"])
def test_other_thresholds_are_refused(typed: str) -> None:
    with pytest.raises(ThresholdWrong):
        rules.parse_threshold(typed)


def test_an_app_is_found_by_number_bundle_name_and_part() -> None:
    held = [
        app_licences("719171358", name="Company Portal", bundle_id="com.example.portal"),
        app_licences("361309726", name="Pages"),
        app_licences("9", name="Pages Viewer"),
    ]
    for typed, found in [
        ("719171358", "719171358"),
        ("company portal", "719171358"),
        ("COM.EXAMPLE.PORTAL", "719171358"),
        ("portal", "719171358"),
        ("Pages", "361309726"),
        ("view", "9"),
    ]:
        assert rules.find_app(typed, held, name="hq", slash="/enroll").app_id == found
    with pytest.raises(AppAmbiguous, match=r"Pages \(361309726\), Pages Viewer \(9\)"):
        rules.find_app("page", held, name="hq", slash="/enroll")
    with pytest.raises(AppUnknown, match="Did you mean Company Portal"):
        rules.find_app("Compny Portal", held, name="hq", slash="/enroll")
    with pytest.raises(AppUnknown, match="vpp show hq"):
        rules.find_app("", held, name="hq", slash="/enroll")


HELD = rules.Held("20490", "Example HQ", NOW + 20 * DAY)


@pytest.mark.parametrize(
    ("offered", "fault"),
    [
        (rules.Held("20490", "Renamed HQ", NOW + 365 * DAY), None),
        (rules.Held("20491", "Example HQ", NOW + 365 * DAY), WrongLocation),
        (rules.Held("20490", "Example HQ", NOW), FileExpired),
        (rules.Held("20490", "Example HQ", NOW + 20 * DAY), NotLater),
        (rules.Held("20490", "Example HQ", NOW + 3 * DAY), NotLater),
    ],
)
def test_a_later_content_token_of_the_same_location_renews(offered: rules.Held, fault: type | None) -> None:
    found = rules.renewal_fault(HELD, offered, NOW, other=None, portal="Portal")
    assert type(found) is (fault or type(None))


def test_a_content_token_of_another_location_is_said_to_be_whose_it_is() -> None:
    offered = rules.Held("20491", "Example Lyon", NOW + 365 * DAY)
    fault = rules.renewal_fault(HELD, offered, NOW, other="lyon", portal="Portal")
    assert "of location Example Lyon" in str(fault)
    assert "is of content token lyon: renew that with it" in str(fault)
    assert "Download the content token of location Example HQ in Portal." in str(fault)


def test_availability_is_drawn_from_changes() -> None:
    changes = [(NOW - 40 * DAY, 90), (NOW - 20 * DAY, 50), (NOW - DAY, 17)]
    drawn = rules.availability(changes, NOW, length=30 * DAY, steps=3)
    assert drawn.since == NOW - 30 * DAY
    assert drawn.values == (50, 50, 17)
    young = rules.availability(changes[2:], NOW, length=30 * DAY, steps=3)
    assert young.values == (None, None, 17)
