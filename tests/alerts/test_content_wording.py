"""What alerts about content tokens and licences say of devices, per kind and however long the names are."""

from datetime import timedelta
from typing import Any

import pytest

from bot.alerts import content_rules
from bot.alerts.blocks import Writer
from bot.alerts.content_wording import ordinal
from bot.alerts.facts import AlertView, Level, PortalUse, Problem
from bot.licenses.facts import ContentTokenState, JudgedLicences, Watch
from bot.profiles.facts import PortalVersion
from bot.sandbox.slack.blocks import check_message_blocks
from tests.builders import NOW, alert_view, app_licences, content_token_view
from tests.fakes.backend import TEXTS

WRITER = Writer(texts=TEXTS, slash="/enroll")
DAY = timedelta(days=1)
NASTY = "&" * 255


def judged(
    app_id: str = "1", *, left: int | None, total: int | None = 500, watch: Watch = Watch.PROFILE, **more: Any
) -> JudgedLicences:
    return JudgedLicences(content_token_view(), app_licences(app_id, left, total, **more), watch)


def version(
    name: str = "Sales iPad", *, uuid: str = "U1", locks: bool = False, old: bool = False
) -> PortalVersion:
    return PortalVersion("id-hq", uuid, name, "id-paris", locks, not old)


def view_of(problem: Problem) -> AlertView:
    shared = ("kind", "subject", "subject_name", "level", "rung", "facts", "since")
    return alert_view(**{name: getattr(problem, name) for name in shared}, token_ids=())


def told(problem: Problem) -> list[str]:
    """Return what the alert's message says, a line each, once Slack would have taken it."""
    message = WRITER.main(view_of(problem), now=NOW)
    check_message_blocks(message.blocks)
    text: str = message.blocks[0]["text"]["text"]
    return text.replace("*", "").split("\n")


def portal(left: int | None, *versions: PortalVersion, needed: int = 0, **more: Any) -> list[Problem]:
    uses = content_rules.portal_uses(versions or [version()], {"U1": needed})
    return content_rules.licence_problems([judged(left=left, **more)], uses, now=NOW)


@pytest.mark.parametrize(
    ("left", "needed", "level"),
    [
        (50, 0, None),
        (49, 0, Level.NOTE),
        (50, 50, None),
        (50, 51, Level.NOTE),
        (400, 401, Level.NOTE),
        (1, 0, Level.NOTE),
        (0, 0, Level.CRITICAL),
        (-3, 0, Level.CRITICAL),
        (None, 1000, None),
    ],
)
def test_company_portal_is_low_below_its_mark_and_below_what_devices_need(
    left: int | None, needed: int, level: Level | None
) -> None:
    found = portal(left, needed=needed, total=None if left is None else 500)
    assert [each.level for each in found] == ([] if level is None else [level])


def test_the_next_step_is_to_get_what_devices_still_need_else_what_is_low() -> None:
    (short,) = portal(17, needed=42)
    assert told(short) == [
        "Company Portal: 17 licences left, 42 devices still need one",
        f"Content token hq · location Example HQ · 17 of 500 free, as of {TIME}",
        "Needed by profile Sales iPad. From the 18th new device on, set-up stops at Company Portal. Enrolled"
        " devices keep working.",
        "Next: in ABM, Apps and Books, get 25 or more at location Example HQ, or free those of retired"
        " devices in your MDM.",
    ]
    (low,) = portal(17, needed=1)
    assert told(low)[0] == "Company Portal: 17 licences left, 1 device still needs one"
    assert "get 37 or more" in told(low)[-1]


def test_an_app_that_devices_cannot_get_has_none_left() -> None:
    (problem,) = portal(400, needed=2, device_assignable=False)
    assert problem.level is Level.CRITICAL
    assert told(problem)[0] == "Company Portal: no licence left, 2 devices still need one"
    assert told(problem)[2] == (
        "The location has no licences of it for devices. Needed by profile Sales iPad. Set-up of new devices"
        " stops at Company Portal. Enrolled devices keep working."
    )


@pytest.mark.parametrize(
    ("versions", "says"),
    [
        ([version(locks=True)], ", and in Single App Mode the device cannot be used. Enrolled"),
        (
            [version(), version("Kiosk", uuid="U2", locks=True)],
            ", and in Single App Mode with Kiosk the device cannot be used. Enrolled",
        ),
        ([version()], "stops at Company Portal. Enrolled"),
    ],
)
def test_single_app_mode_is_told_of_the_profiles_that_have_it(
    versions: list[PortalVersion], says: str
) -> None:
    (problem,) = portal(1, *versions)
    assert says in told(problem)[2]
    assert "From the 2nd new device on, set-up stops" in told(problem)[2]


def test_only_versions_that_devices_get_or_still_carry_are_counted() -> None:
    versions = [
        version(uuid="U1"),
        version("Field", uuid="U2", old=True),
        version("Gone", uuid="U3", old=True, locks=True),
    ]
    uses = content_rules.portal_uses(versions, {"U1": 3, "U2": 1})
    assert uses == {
        "id-hq": PortalUse(("Sales iPad", "Field"), (), {"Sales iPad": 3, "Field": 1}, ("id-paris",))
    }
    assert uses["id-hq"].needed == 4


def test_an_app_that_a_person_named_tells_its_threshold() -> None:
    (problem,) = content_rules.licence_problems(
        [judged("9", left=3, total=40, watch=Watch.APP, mark=10, threshold=10)], {}, now=NOW
    )
    assert told(problem) == [
        "App 9: 3 licences left",
        f"Content token hq · location Example HQ · 3 of 40 free, as of {TIME}",
        "It is told of below 10, its threshold. Who has the app keeps it. The 4th new device or person gets"
        " it only once there are more licences.",
        "Next: in ABM, Apps and Books, get 7 or more at location Example HQ, or free those of retired"
        " devices in your MDM.",
    ]


TIME = "<!date^1777626000^{date_short_pretty} at {time}|Fri 1 May, 09:00 UTC>"


def test_many_apps_are_one_problem_that_names_the_scarcest() -> None:
    low = [judged(str(number), left=number, total=100, watch=Watch.MANY) for number in range(1, 10)]
    (problem,) = content_rules.licence_problems(low, {}, now=NOW)
    assert (problem.level, problem.subject) == (Level.NOTE, "id-hq/*")
    assert told(problem)[0] == "Content token hq: 9 apps low on licences"
    assert told(problem)[2].startswith("App 1: 1 of 100 free, App 2: 2 of 100 free,")
    assert "App 5: 5 of 100 free and 4 more." in told(problem)[2]
    none = [*low, judged("0", left=0, total=100, watch=Watch.MANY)]
    (worse,) = content_rules.licence_problems(none, {}, now=NOW)
    assert worse.level is Level.CRITICAL
    assert told(worse)[0] == "Content token hq: 10 apps low on licences, 1 of them with none left"
    (alone,) = content_rules.licence_problems(low[:1], {}, now=NOW)
    assert (alone.subject, told(alone)[0]) == (problem.subject, "App 1: 1 licence left")


def test_the_same_app_had_in_two_ways_is_one_problem() -> None:
    twice = [
        judged("9", left=0, watch=Watch.APP, pricing="PLUS", device_assignable=False),
        judged("9", left=3, watch=Watch.APP),
    ]
    (problem,) = content_rules.licence_problems(twice, {}, now=NOW)
    assert problem.level is Level.NOTE


def test_what_is_long_and_full_of_signs_still_ends_with_the_next_step() -> None:
    many = [version(f"{number} {NASTY[:120]}", uuid="U1", locks=number > 0) for number in range(60)]
    uses = content_rules.portal_uses(many, {"U1": 7})
    problems = content_rules.licence_problems([judged(left=0)], uses, now=NOW)
    problems += content_rules.licence_problems([judged(left=0, watch=Watch.APP, name=NASTY)], {}, now=NOW)
    low = [judged(str(number), left=0, watch=Watch.MANY, name=NASTY) for number in range(300)]
    problems += content_rules.licence_problems(low, {}, now=NOW)
    ending = content_token_view(expires_at=NOW + DAY)
    revoked = content_token_view(state=ContentTokenState.REVOKED)
    for view in (ending, revoked):
        problems += content_rules.content_token_problems(view, uses["id-hq"], now=NOW)
    assert len(problems) == 5
    for problem in problems:
        assert told(problem)[-1].startswith("Next: ")
        assert len(problem.subject_name) <= 255


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (1023, "1,023rd")],
)
def test_a_place_is_told_in_words(number: int, word: str) -> None:
    assert ordinal(number) == word
