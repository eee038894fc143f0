"""Content tokens, licences and other dates: what raises an alert, who sees it, and what ends it."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bot.alerts.errors import AlertUnknown
from bot.alerts.facts import AlertView, Kind, Level
from bot.backend.profile import Authentication, ProfileSettings
from bot.deadlines.service import Wishes
from bot.kit.actor import Actor, Grant, NotAllowed, Rights, Role
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.profiles.facts import ProfileView
from tests.alerts.conftest import CHANNEL, Desk, SlackFake, open_desk
from tests.deadlines.certificates import TOPIC, push
from tests.fakes.backend import device
from tests.fakes.clock import FakeClock
from tests.fakes.content import COMPANY_PORTAL, FakeLocation, count
from tests.fakes.rooms import ADMIN, VIEWER

SCHOOLS = Actor("USCH", rights=Rights((Grant(Role.OPERATOR, frozenset({"schools"})),)))
SHOPS = Actor("USHO", rights=Rights((Grant(Role.OPERATOR, frozenset({"shops"})),)))
SOON = timedelta(minutes=1)


async def defines(desk: Desk, content_token_id: str, name: str = "Sales iPad", **more: object) -> ProfileView:
    """Define a profile whose devices get Company Portal by a content token."""
    settings = {
        "name": name,
        "mdm_url": "https://mdm.example.com",
        "user_affinity": True,
        "authentication": Authentication.COMPANY_PORTAL,
        "content_token": content_token_id,
    }
    given = ProfileSettings(**{**settings, **more})  # type: ignore[arg-type]
    profiles = desk.rooms.profiles
    draft = await profiles.drafts.open_new(ADMIN, settings=given)
    await profiles.drafts.begin_sending(draft.id, ADMIN)
    return (await profiles.define(draft.id, actor=ADMIN)).profile


async def has_left(desk: Desk, location: FakeLocation, left: int, total: int = 500) -> list[str]:
    """Have so many licences of Company Portal left; return what Slack was told of it."""
    location.has(count(COMPANY_PORTAL, total, total - left))
    for view in await desk.rooms.licenses.list_content_tokens(actor=ADMIN):
        await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    for token in await desk.rooms.tokens.list_tokens(actor=ADMIN):
        await desk.rooms.sync(token.name)
    return await desk.look(SOON)


async def open_of(desk: Desk, kind: Kind) -> list[AlertView]:
    return [each for each in await desk.service.open_alerts(actor=ADMIN) if each.kind is kind]


# Content tokens


async def test_a_revoked_content_token_is_critical_and_over_once_one_is_accepted(desk: Desk) -> None:
    location, view = await desk.rooms.add_content_token("hq", days=20)
    assert await desk.look() == ["post: Content token hq expires in 20 days"]
    location.revoke_all()
    await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    told = await desk.look(SOON)
    # An expiry to come is of no interest any more: one alert takes the place of the other.
    assert [line for line in told if line.startswith("post")] == [
        "post: Apple no longer accepts the content token hq since Fri 1 May, 09:00 UTC · <!subteam^SONCALL>"
    ]
    assert "now revoked, which has an alert of its own" in str(desk.slack.messages)
    (alert,) = await desk.service.open_alerts(actor=ADMIN)
    assert (alert.kind, alert.level) == (Kind.CONTENT_REVOKED, Level.CRITICAL)
    later = location.download(days=365)
    await desk.rooms.licenses.installing.renew(view.id, later, actor=ADMIN, way="test")
    assert [line for line in await desk.look(SOON) if line.startswith("reply")] == [
        "reply: Resolved Fri 1 May, 09:02 UTC. The content token is accepted."
    ]


async def test_one_that_the_service_calls_expired_early_has_expired(desk: Desk) -> None:
    location, view = await desk.rooms.add_content_token("hq")
    location.tokens = dict.fromkeys(location.tokens, desk.clock.now())
    await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    assert await desk.look(timedelta(hours=2)) == ["post: Content token hq expired 2 hours ago"]


async def test_what_an_end_means_names_the_profiles_that_need_it(desk: Desk) -> None:
    await desk.token(400)
    _, view = await desk.rooms.add_content_token("hq", days=6)
    await defines(desk, view.id)
    await defines(desk, view.id, "Kiosk", single_app_mode=True)
    await desk.look()
    (main,) = desk.slack.main()
    assert (
        "Installed apps and enrolled devices keep working. After that, the MDM server can give no licence of"
        " this location to a new device: set-up of new devices with profiles Kiosk, Sales iPad stops at"
        " Company Portal; in Single App Mode with Kiosk the device cannot be used." in main["text"]
    )
    labels = [each["text"]["text"] for each in main["blocks"][-1]["elements"]]
    assert labels == ["Renew token", "Check again", "Acknowledge", "Snooze"]


async def test_checking_again_asks_the_service_and_says_what_holds(desk: Desk) -> None:
    location, view = await desk.rooms.add_content_token("hq")
    location.revoke_all()
    await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    await desk.look(SOON)
    (alert,) = await desk.service.open_alerts(actor=ADMIN)
    content_token, still = await desk.service.check_content(alert.id, actor=ADMIN)
    assert (content_token.state.is_ended, still.is_open) == (True, True)
    location.revoked.clear()
    with pytest.raises(NotAllowed):
        await desk.service.check_content(alert.id, actor=VIEWER)
    desk.clock.move(SOON)
    content_token, over = await desk.service.check_content(alert.id, actor=ADMIN)
    assert (content_token.state.is_ended, over.is_open) == (False, False)


async def test_one_that_was_removed_ends_its_alerts(desk: Desk) -> None:
    _, view = await desk.rooms.add_content_token("hq", days=3)
    await desk.look()
    await desk.rooms.licenses.remove(view.id, actor=ADMIN, typed_name="hq")
    await desk.look(SOON)
    assert desk.slack.main()[0]["text"].startswith(
        "Resolved: content token expiry · hq\nThe content token was"
    )


async def test_an_alert_is_seen_by_who_may_see_its_content_token_or_date(
    database: Database, clock: FakeClock, keyring: Keyring, slack: SlackFake
) -> None:
    desk = open_desk(database, clock, keyring, slack)
    _, view = await desk.rooms.add_content_token("hq", days=3, tags=("schools",))
    wishes = Wishes(tags=["shops"], channel="CSHOPS", owner="UOWNER")
    await desk.rooms.deadlines.watch("lease", "2026-05-02", actor=ADMIN, wishes=wishes)
    await desk.rooms.deadlines.watch("audit", "2026-05-02", actor=ADMIN)
    await desk.look()

    async def seen(actor: Actor) -> list[str]:
        return sorted(each.subject_name for each in await desk.service.open_alerts(actor=actor))

    assert (await seen(SCHOOLS), await seen(SHOPS)) == (["hq"], ["lease"])
    assert await seen(VIEWER) == ["audit", "hq", "lease"]
    (lease,) = desk.slack.main("CSHOPS")
    assert "<@UOWNER>" in lease["text"]
    (alert,) = await open_of(desk, Kind.CONTENT_EXPIRY)
    with pytest.raises(AlertUnknown):
        await desk.service.acknowledge(alert.id, actor=SHOPS)
    await desk.service.acknowledge(alert.id, actor=SCHOOLS)
    # What was removed keeps its tags; who was limited to others is not let in by that.
    await desk.rooms.licenses.remove(view.id, actor=ADMIN, typed_name="hq")
    await desk.look(SOON)
    assert (await desk.service.get(alert.label, actor=SCHOOLS)).resolved_at is not None
    with pytest.raises(AlertUnknown):
        await desk.service.get(alert.label, actor=SHOPS)


# Licences


async def test_company_portal_is_weighed_against_the_devices_that_still_need_it(desk: Desk) -> None:
    _, server = await desk.token(400)
    location, view = await desk.rooms.add_content_token("hq")
    profile = await defines(desk, view.id)
    uuid = profile.profile_uuid
    for number in range(60):
        server.put(device(f"A{number}", profile_uuid=uuid, profile_status="assigned"))
    server.put(
        device("SET-UP", profile_uuid=uuid, profile_status="pushed"),
        device("OTHER", profile_status="removed"),
    )
    await desk.rooms.sync("paris")
    assert await has_left(desk, location, 80) == []
    assert await has_left(desk, location, 55) == [
        "post: Company Portal: 55 licences left, 60 devices still need one"
    ]
    assert await open_of(desk, Kind.LICENCES)
    assert (await has_left(desk, location, 17))[0].startswith("update: Company Portal: 17 licences left")
    (main,) = desk.slack.main()
    assert main["text"].split("\n")[1:4] == [
        "Content token hq · location Example HQ · 17 of 500 free, as of Fri 1 May, 09:02 UTC",
        "Needed by profile Sales iPad. From the 18th new device on, set-up stops at Company Portal. Enrolled"
        " devices keep working.",
        "Next: in ABM, Apps and Books, get 43 or more at location Example HQ, or free those of"
        " retired devices in your MDM.",
    ]
    buttons = {each["text"]["text"]: each.get("value") for each in main["blocks"][-1]["elements"]}
    assert list(buttons) == ["Check again", "Show devices", "Acknowledge", "Snooze"]
    listed = await desk.rooms.devices.list_devices(buttons["Show devices"] or "", actor=ADMIN)
    assert listed.total == 60
    told = await has_left(desk, location, 0)
    assert (
        told[0]
        == "broadcast: Company Portal: no licence left, 60 devices still need one · <!subteam^SONCALL>"
    )
    assert (await open_of(desk, Kind.LICENCES))[0].level is Level.CRITICAL
    await has_left(desk, location, 400)
    assert "There are enough licences: 400 of 500 free." in desk.slack.main()[0]["text"]


async def test_devices_that_got_their_licence_since_the_last_sync_need_none_any_more(desk: Desk) -> None:
    _, server = await desk.token(400)
    location, view = await desk.rooms.add_content_token("hq")
    uuid = (await defines(desk, view.id)).profile_uuid
    server.put(*(device(f"A{each}", profile_uuid=uuid, profile_status="assigned") for each in range(90)))
    assert await has_left(desk, location, 95) == []
    location.assign(COMPANY_PORTAL, 20)
    desk.clock.move(SOON)
    await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    # 75 are left, and the last sync has seen 90 devices that need one: 20 of them have got it.
    assert await desk.look() == []
    server.put(*(device(f"B{each}", profile_uuid=uuid, profile_status="assigned") for each in range(6)))
    await desk.rooms.sync("paris")
    assert await desk.look(SOON) == ["post: Company Portal: 75 licences left, 96 devices still need one"]


async def test_without_a_profile_that_installs_them_or_a_threshold_low_licences_raise_nothing(
    desk: Desk,
) -> None:
    location, view = await desk.rooms.add_content_token("hq")
    assert await has_left(desk, location, 3) == []
    (low,) = await desk.service.gathering.low_without_alert(actor=ADMIN)
    assert (low.app.title, low.content_token.name) == ("Company Portal", "hq")
    assert await desk.service.gathering.low_without_alert(actor=SCHOOLS) == []
    await desk.rooms.licenses.set_threshold(view.id, actor=ADMIN, app="company portal", typed="4")
    assert await desk.look() == ["post: Company Portal: 3 licences left"]
    show = desk.slack.main()[0]["blocks"][-1]["elements"][0]
    assert (show["action_id"], show["value"]) == ("vpp.show", view.id)
    assert await desk.service.gathering.low_without_alert(actor=ADMIN) == []


async def test_a_content_token_that_has_ended_tells_of_no_licences(desk: Desk) -> None:
    location, view = await desk.rooms.add_content_token("hq")
    await desk.rooms.licenses.set_threshold(view.id, actor=ADMIN, app=COMPANY_PORTAL, typed="450")
    assert await desk.look() == ["post: Company Portal: 400 licences left"]
    location.revoke_all()
    await desk.rooms.licenses.sync(view.id, actor=ADMIN)
    await desk.look(SOON)
    assert [each.kind for each in await desk.service.open_alerts(actor=ADMIN)] == [Kind.CONTENT_REVOKED]


async def test_many_apps_that_become_low_together_are_one_message_of_their_content_token(desk: Desk) -> None:
    location = desk.rooms.content.location("Example HQ")
    location.has(*(count(str(number), 100, 97 + number % 4) for number in range(1000, 1300)))
    await desk.rooms.licenses.installing.add("hq", location.download(), actor=ADMIN, way="test")
    assert await desk.look() == []
    (view,) = await desk.rooms.licenses.list_content_tokens(actor=ADMIN)
    await desk.rooms.licenses.set_threshold(view.id, actor=ADMIN, typed="3")
    told = await desk.look()
    assert told == [
        "post: Content token hq: 225 apps low on licences, 75 of them with none left · <!subteam^SONCALL>"
    ]
    for number in range(1000, 1010):
        await desk.rooms.licenses.set_threshold(view.id, actor=ADMIN, app=str(number), typed="3")
    told = await desk.look(SOON)
    # Of the ten that a person named, those that are low have a message of their own.
    assert len([line for line in told if line.startswith("post: app 10")]) == 7
    assert len(desk.slack.main()) == 8
    await desk.rooms.licenses.set_threshold(view.id, actor=ADMIN, app="1010", typed="3")
    await desk.look(SOON)
    assert len(await desk.service.open_alerts(actor=ADMIN)) == 1


# Other dates


async def test_a_push_certificate_is_to_be_renewed_with_the_same_account(desk: Desk) -> None:
    until = (desk.clock.now() + timedelta(days=12)).replace(microsecond=0)
    content = push(until=until).public_bytes(Encoding.PEM)
    await desk.rooms.deadlines.watch_certificate("mdm-push", content, actor=ADMIN)
    assert await desk.look() == ["post: Push certificate mdm-push expires in 12 days"]
    (main,) = desk.slack.main()
    assert f"Topic `{TOPIC}` · added by" in main["text"]
    assert "the MDM server reaches none of its devices" in main["text"]
    assert (
        "Next: renew it with the same Apple Account that made it: another account makes another topic, and"
        " then every device must enroll again. Then press Upload certificate" in main["text"]
    )
    (deadline,) = await desk.rooms.deadlines.list_deadlines(actor=ADMIN)
    upload = main["blocks"][-1]["elements"][0]
    assert (upload["action_id"], upload["value"]) == ("deadline.upload", deadline.id)


async def test_a_day_is_told_as_it_was_given_and_is_over_once_it_is_moved_or_removed(desk: Desk) -> None:
    for name in ("lease", "audit"):
        await desk.rooms.deadlines.watch(name, "2026-05-06", actor=ADMIN)
    told = await desk.look()
    assert sorted(told) == ["post: Deadline audit is in 5 days", "post: Deadline lease is in 5 days"]
    (lease,) = [each for each in desk.slack.main(CHANNEL) if "lease" in each["text"]]
    assert "(Wed 6 May 2026)" in lease["text"]
    assert "watch add lease DATE" in lease["text"]
    await desk.rooms.deadlines.watch("lease", "2027-05-06", actor=ADMIN)
    await desk.rooms.deadlines.remove("audit", actor=ADMIN)
    await desk.look(SOON)
    ends = sorted(each["text"].split("\n")[1] for each in desk.slack.main())
    assert ends == [
        "The date is now Thu 6 May 2027, 00:00 UTC (370 days left).",
        "The date is watched no longer.",
    ]
