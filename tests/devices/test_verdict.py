"""`device show` ends with the first reason that holds, in the order that is promised."""

from dataclasses import replace

import pytest

from bot.devices import rules
from bot.devices.facts import DeviceView, Verdict
from bot.devices.models import DeviceState
from bot.devices.rules import NO_PROSPECT, Prospect
from bot.tokens.facts import TokenState
from tests.builders import NOW
from tests.devices.test_blocks import row, view

UUID = "A" * 32
STOPS = ("Content token hq has expired.", "it is renewed")
WORK = "Waiting in REQ-7, which is being carried out."
HAS = row(profile_uuid=UUID, profile_status="assigned")


def judged(
    shown: DeviceView,
    *,
    state: TokenState | None = TokenState.ACTIVE,
    prospect: Prospect = NO_PROSPECT,
    stops: tuple[str, str] | None = None,
) -> Verdict:
    return rules.verdict(
        shown,
        token_name="paris" if state else None,
        token_state=state,
        service="Apple",
        portal="ABM",
        terms_step="Sign them in ABM.",
        prospect=prospect,
        portal_stops=stops,
    )


def firsts(*found: str) -> list[str]:
    """Return the beginnings of sentences, to be compared."""
    return [each[:16] for each in found]


def test_of_a_device_that_is_gone_all_reasons_are_told_in_order() -> None:
    gone = view(
        row(state=DeviceState.REMOVED, profile_uuid=UUID, profile_status="assigned"), forgotten_at=NOW
    )
    found = judged(gone, state=TokenState.EXPIRED, prospect=Prospect(WORK), stops=STOPS)
    assert firsts(found.first, *found.others) == firsts(
        "Removed: it is no longer assigned", "Forgotten here by an admin.", "Token paris has expired.", WORK
    )


def test_of_a_device_that_is_here_all_reasons_are_told_in_order() -> None:
    found = judged(
        view(HAS),
        state=TokenState.REJECTED,
        prospect=Prospect(WORK, is_profile_unknown=True),
        stops=STOPS,
    )
    assert firsts(found.first, *found.others) == firsts(
        "Apple no longer accepts token paris.",
        WORK,
        "Profile unknown to Apple",
        "Company Portal blocked: content token hq has expired.",
    )
    fetched = view(row(profile_uuid=UUID, profile_status="pushed"))
    found = judged(fetched, prospect=Prospect(WORK, is_profile_unknown=True), stops=STOPS)
    # One that has fetched its profile is past Company Portal.
    assert firsts(found.first, *found.others) == firsts(
        WORK, "Profile unknown to Apple", "Has fetched its profile"
    )


@pytest.mark.parametrize(
    ("state", "first", "next_step"),
    [
        (TokenState.REJECTED, "Apple no longer accepts token paris.", "Renew token paris."),
        (TokenState.EXPIRED, "Token paris has expired.", "Renew token paris."),
        (TokenState.TERMS, "Apple has new terms to accept for token paris.", "Sign them in ABM."),
        (None, "Its token was removed here.", "Add the token again to manage its devices."),
    ],
)
def test_a_token_that_does_not_work_leads(state: TokenState | None, first: str, next_step: str) -> None:
    found = judged(view(row()), state=state)
    assert (found.is_ready, found.first, found.next_step) == (False, first, next_step)
    assert found.others[0].startswith("No profile")


@pytest.mark.parametrize(
    ("prospect", "told"),
    [
        (NO_PROSPECT, "No default profile is set for its platform."),
        (Prospect(None, "Kiosk", is_coming=True), "The default, Kiosk, comes with the next sync."),
        (
            Prospect(None, "Kiosk"),
            "The default, Kiosk, is given by itself only to devices that come from now on.",
        ),
    ],
)
def test_a_device_without_a_profile_says_whether_a_default_comes(prospect: Prospect, told: str) -> None:
    found = judged(view(row()), prospect=prospect)
    assert (found.is_ready, found.others) == (False, ())
    assert found.first == f"No profile: switched on now, it starts unmanaged. {told}"


def test_a_profile_unknown_to_the_service_names_it_and_the_default_that_comes() -> None:
    found = judged(view(HAS), prospect=Prospect(None, "Kiosk", is_coming=True, is_profile_unknown=True))
    assert found.first == (
        f"Profile unknown to Apple: it knows none with the UUID {UUID}. The default, Kiosk, comes with the"
        " next sync."
    )
    assert found.next_step == "Keep it switched off and assign it another profile."


def test_what_was_fetched_is_named_and_what_is_ready_is_called_so() -> None:
    named = replace(row(profile_uuid=UUID, profile_status="pushed"), profile_name="Kiosk")
    found = judged(view(named))
    assert (found.is_ready, found.others) == (None, ())
    assert found.first == "Has fetched Kiosk: set up, or being set up. Another profile needs an erase."
    ready = judged(view(HAS))
    assert (ready.is_ready, ready.first) == (
        True,
        "Ready to enroll: it gets its profile when it is switched on.",
    )
