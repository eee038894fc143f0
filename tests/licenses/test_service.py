import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.backend.content import ContentRefused, ContentTokenUnusable, ContentUnavailable
from bot.kit.actor import Actor, NotAllowed
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.leases import LeaseTaken
from bot.kit.secrets import Keyring
from bot.licenses.errors import (
    AlreadyStored,
    ContentNameTaken,
    ContentTokenGone,
    ContentTokenUnknown,
    DeliveredAgain,
    FileExpired,
    FileTooLarge,
    LinksNotOffered,
    LinkUnusable,
    LocationHasToken,
    NoFile,
    NotAccepted,
    NotConfirmed,
    RenewalRefused,
    StillUsed,
    TypedNameDiffers,
    WrongLocation,
)
from bot.licenses.facts import ContentTokenState, Level
from bot.licenses.models import ContentToken, ContentTokenSecret, LicenceChange, UploadLink
from bot.tokens.errors import TagsNotYours
from tests.fakes.clock import FakeClock
from tests.fakes.content import COMPANY_PORTAL, FakeContentBackend, count
from tests.licenses.conftest import ANA, OLE, SCHOOLS_ADMIN, VIC, Room, make_room

PAGES, BOOK = "361309726", "1439419580"
SIX_HOURS, DAY = timedelta(hours=6), timedelta(days=1)

# Adding


async def test_a_content_token_is_stored_with_its_location_and_counts(room_on_both: Room) -> None:
    room = room_on_both
    location = room.service.location()
    location.manager = "Example MDM"
    content = location.download()
    stored = await room.licenses.installing.add(" HQ ", content, actor=ANA, way="test")
    view = stored.content_token
    assert (view.name, view.location_name, view.org_name) == ("HQ", "Example HQ", "Example Trust")
    assert (view.state, view.days_left, view.manager) == (ContentTokenState.ACTIVE, 365, "Example MDM")
    assert (view.apps, view.books, view.counted_at) == (2, 1, room.clock.now())
    apps = await room.apps(view)
    portal = apps[COMPANY_PORTAL]
    assert (portal.name, portal.total, portal.assigned, portal.available) == ("Company Portal", 500, 100, 400)
    assert (portal.level, portal.mark) == (Level.FINE, 50)
    assert apps[PAGES].is_unlimited
    assert apps[PAGES].level is Level.FINE
    assert apps[BOOK].is_book
    assert apps[BOOK].title == f"book {BOOK}"
    async with room.db.read() as session:
        kept = (await session.scalars(sa.select(ContentTokenSecret))).one()
    assert content not in kept.secret
    entry = (await room.audited())[-1]
    assert (entry.action, entry.subject_name, entry.actor) == ("content_token.added", "HQ", "UANA")
    assert content.decode() not in str(entry.detail)


async def test_of_two_who_add_the_same_location_at_once_one_is_refused(room_on_both: Room) -> None:
    room = room_on_both
    location = room.service.location()
    adding = [
        room.licenses.installing.add(name, location.download(), actor=ANA, way="test")
        for name in ("hq", "two")
    ]
    done = await asyncio.gather(*adding, return_exceptions=True)
    assert [type(each) for each in done if isinstance(each, Exception)] == [LocationHasToken]
    assert len(await room.licenses.list_content_tokens(actor=ANA)) == 1


async def test_a_second_content_token_of_a_location_is_refused_naming_the_first(room: Room) -> None:
    _, location = await room.has("hq", tags=("hq",))
    for actor, words in ((ANA, "belongs to content token hq"), (SCHOOLS_ADMIN, "belongs to another content")):
        with pytest.raises(LocationHasToken, match=words):
            await room.licenses.installing.add(
                "again", location.download(), actor=actor, way="test", tags=["schools"]
            )
    assert [each.name for each in await room.licenses.list_content_tokens(actor=ANA)] == ["hq"]


async def test_a_name_is_taken_whatever_the_case_and_free_again_after_removal(room_on_both: Room) -> None:
    room = room_on_both
    first, _ = await room.has("hq")
    with pytest.raises(ContentNameTaken, match="hq already"):
        await room.has("HQ")
    await room.licenses.remove(first.id, actor=ANA, typed_name="hq")
    second, _ = await room.has("HQ")
    assert second.id != first.id


async def test_files_that_are_none_are_told_apart_and_nothing_is_stored(room: Room) -> None:
    location = room.service.location()
    revoked = location.download()
    location.revoke_all()
    old = location.download(days=1)
    room.clock.move(2 * DAY)
    for content, fault in [
        (b" \n", NoFile),
        (b"x" * 70_000, FileTooLarge),
        (b"not base64 {}", ContentTokenUnusable),
        (old, FileExpired),
        (revoked, NotAccepted),
    ]:
        with pytest.raises(fault):
            await room.licenses.installing.add("hq", content, actor=ANA, way="test")
    location.always = ContentUnavailable("The service is busy.")
    with pytest.raises(NotConfirmed, match=r"could not be checked\. The service is busy\."):
        await room.licenses.installing.add("hq", location.download(), actor=ANA, way="test")
    assert await room.licenses.list_content_tokens(actor=ANA) == []
    assert await room.audited() == []


async def test_a_limited_admin_adds_only_with_their_tags_and_sees_only_those(room: Room) -> None:
    location = room.service.location()
    for tags in ([], ["hq"], ["schools", "hq"]):
        with pytest.raises((NotAllowed, TagsNotYours)):
            await room.licenses.installing.add(
                "s", location.download(), actor=SCHOOLS_ADMIN, way="test", tags=tags
            )
    stored = await room.licenses.installing.add(
        "s", location.download(), actor=SCHOOLS_ADMIN, way="test", tags=["schools"]
    )
    hq, _ = await room.has("hq")
    seen = await room.licenses.list_content_tokens(actor=SCHOOLS_ADMIN)
    assert [each.id for each in seen] == [stored.content_token.id]
    assert list(await room.licenses.licences(actor=SCHOOLS_ADMIN)) == [stored.content_token.id]
    with pytest.raises(ContentTokenGone):
        await room.licenses.get_by_id(hq.id, actor=SCHOOLS_ADMIN)
    with pytest.raises(ContentTokenUnknown, match="that you may see"):
        await room.licenses.get("hq", actor=SCHOOLS_ADMIN)
    for act in (
        room.licenses.sync(hq.id, actor=SCHOOLS_ADMIN),
        room.licenses.set_threshold(hq.id, actor=SCHOOLS_ADMIN, typed="5"),
        room.licenses.remove(hq.id, actor=SCHOOLS_ADMIN, typed_name="hq"),
        room.licenses.links.make_for_renewal(hq.id, actor=SCHOOLS_ADMIN),
        room.licenses.installing.renew(hq.id, b"x", actor=SCHOOLS_ADMIN, way="test"),
    ):
        with pytest.raises(ContentTokenGone):
            await act


@pytest.mark.parametrize("actor", [OLE, VIC], ids=["operator", "viewer"])
async def test_only_admins_change_content_tokens(room: Room, actor: Actor) -> None:
    hq, location = await room.has("hq")
    before = await room.audited()
    for act in (
        room.licenses.installing.add("two", location.download(), actor=actor, way="test"),
        room.licenses.installing.renew(hq.id, location.download(), actor=actor, way="test"),
        room.licenses.set_threshold(hq.id, actor=actor, typed="5"),
        room.licenses.remove(hq.id, actor=actor, typed_name="hq"),
        room.licenses.links.make_for_new("two", actor=actor, tags=()),
        room.licenses.links.make_for_renewal(hq.id, actor=actor),
    ):
        with pytest.raises(NotAllowed):
            await act
    assert await room.audited() == before


async def test_a_misspelt_name_is_answered_with_the_nearest(room: Room) -> None:
    await room.has("headquarters")
    with pytest.raises(ContentTokenUnknown, match="Did you mean headquarters"):
        await room.licenses.get("headquaters", actor=VIC)


# Renewing


async def test_a_later_content_token_of_the_same_location_takes_the_place_of_the_stored(
    room_on_both: Room,
) -> None:
    room = room_on_both
    hq, location = await room.has("hq", days=10)
    location.assign(COMPANY_PORTAL, 390)
    stored = await room.licenses.installing.renew(
        hq.id, location.download(), actor=ANA, way="test", delivery="d1"
    )
    assert stored.former_expiry == hq.expires_at
    assert (hq.state, stored.content_token.state) == (ContentTokenState.EXPIRING, ContentTokenState.ACTIVE)
    assert stored.content_token.days_left == 365
    assert [each.title for each in stored.low] == ["Company Portal"]
    location.revoked = set(list(location.tokens)[:1])
    room.clock.move(SIX_HOURS)
    assert (await room.licenses.sync(hq.id, actor=OLE)).error is None
    with pytest.raises(DeliveredAgain):
        await room.licenses.installing.renew(
            hq.id, location.download(days=400), actor=ANA, way="test", delivery="d1"
        )
    entry = (await room.audited())[1]
    assert (entry.action, entry.detail["before"]) == ("content_token.renewed", hq.expires_at.isoformat())


async def test_what_does_not_renew_changes_nothing_and_says_how_the_stored_one_stands(room: Room) -> None:
    hq, location = await room.has("hq", days=10)
    lyon, elsewhere = await room.has("lyon")
    before = await room.look(hq)
    for content, words in [
        (elsewhere.download(), "This file is of location Example LYON"),
        (location.download(days=9), "not later than the stored one"),
        (b"%PDF-1.7", "no content token"),
        (b"", "No file was handed over"),
    ]:
        with pytest.raises(RenewalRefused, match=words) as refused:
            await room.licenses.installing.renew(hq.id, content, actor=ANA, way="test")
        assert "Apple still accepts the stored one (10 days left)." in str(refused.value)
    assert await room.look(hq) == before
    with pytest.raises(RenewalRefused) as refused:
        await room.licenses.installing.renew(hq.id, elsewhere.download(), actor=ANA, way="test")
    assert isinstance(refused.value.fault, WrongLocation)
    assert refused.value.fault.other == lyon.name
    location.revoke_all()
    location.tokens[(late := location.download()).decode()] = room.clock.now() + 500 * DAY
    location.revoke_all()
    with pytest.raises(RenewalRefused, match="no longer accepts the stored one either"):
        await room.licenses.installing.renew(hq.id, late, actor=ANA, way="test")
    location.always = ContentUnavailable("Busy.")
    with pytest.raises(RenewalRefused, match="is not known now"):
        await room.licenses.installing.renew(hq.id, location.download(), actor=ANA, way="test")


async def test_the_stored_content_token_once_more_is_nothing_to_do(room: Room) -> None:
    location = room.service.location()
    content = location.download()
    stored = await room.licenses.installing.add("hq", content, actor=ANA, way="test")
    with pytest.raises(AlreadyStored):
        await room.licenses.installing.renew(stored.content_token.id, content, actor=ANA, way="test")


async def test_a_renewal_mends_a_secret_that_no_key_opens(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    before = make_room(sqlite_database, clock, keyring)
    hq, location = await before.has("hq")
    after = make_room(sqlite_database, clock, Keyring([b"n" * 32]), service=before.service)
    clock.move(SIX_HOURS)
    await after.count_due()
    assert "cannot be read with the encryption keys" in str((await after.look(hq)).error)
    await after.licenses.installing.renew(hq.id, location.download(), actor=ANA, way="test")
    assert (await after.licenses.sync(hq.id, actor=OLE)).error is None


async def test_of_two_renewals_at_once_one_is_stored(room_on_both: Room) -> None:
    room = room_on_both
    hq, location = await room.has("hq", days=10)
    asking = asyncio.Barrier(2)

    async def until_both_have_begun(_call: str) -> None:
        async with asyncio.timeout(30):
            await asking.wait()
        location.on_call = None

    location.on_call = until_both_have_begun
    renewing = [
        room.licenses.installing.renew(hq.id, location.download(days=days), actor=ANA, way="test")
        for days in (300, 365)
    ]
    done = await asyncio.gather(*renewing, return_exceptions=True)
    refused = [each for each in done if isinstance(each, EnrollbotError)]
    assert len(refused) == 1
    assert "in the meantime" in str(refused[0])


# Counting


async def test_counts_are_read_every_six_hours_and_each_change_is_kept(room_on_both: Room) -> None:
    room = room_on_both
    hq, location = await room.has("hq")
    assert await room.waits(timedelta(hours=5)) == []
    location.assign(COMPANY_PORTAL, 383)
    location.has(count("9", 20))
    assert await room.waits(timedelta(hours=1)) == [hq.id]
    apps = await room.apps(hq)
    assert (apps[COMPANY_PORTAL].available, apps[COMPANY_PORTAL].level) == (17, Level.LOW)
    assert apps["9"].title == "app 9"
    async with room.db.read() as session:
        rows = (await session.scalars(sa.select(LicenceChange).order_by(LicenceChange.at))).all()  # type: ignore[arg-type]
    assert [(row.app_id, row.available) for row in rows if row.app_id == COMPANY_PORTAL] == [
        (COMPANY_PORTAL, 400),
        (COMPANY_PORTAL, 17),
    ]
    assert len(rows) == 5
    await room.waits(SIX_HOURS)
    async with room.db.read() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(LicenceChange)) == 5


async def test_what_a_location_no_longer_has_counts_as_nothing(room: Room) -> None:
    hq, location = await room.has("hq")
    del location.counts[COMPANY_PORTAL, "STDQ"]
    await room.waits(SIX_HOURS)
    gone = (await room.apps(hq))[COMPANY_PORTAL]
    assert (gone.is_listed, gone.available, gone.title) == (False, 0, "Company Portal")
    assert (await room.look(hq)).apps == 1
    assert await room.licenses.company_portal(hq.id, actor=VIC) is None
    assert await room.licenses.below(actor=VIC) == []
    low = await room.licenses.below(actor=VIC, installed={hq.id: [COMPANY_PORTAL]})
    assert [(each.app.title, each.app.level, each.is_watched) for each in low] == [
        ("Company Portal", Level.NONE, True)
    ]
    location.has(count(COMPANY_PORTAL, 10))
    await room.waits(SIX_HOURS)
    back = await room.licenses.company_portal(hq.id, actor=VIC)
    assert back is not None
    assert (back.available, back.is_listed) == (10, True)


async def test_names_are_asked_for_until_the_store_tells_them(room: Room) -> None:
    room.service.store_is_down = True
    hq, _ = await room.has("hq")
    assert (await room.apps(hq))[PAGES].name is None
    room.service.store_is_down = False
    await room.waits(SIX_HOURS)
    assert (await room.apps(hq))[PAGES].name == "Pages"
    await room.waits(SIX_HOURS)
    # The book is not in the store.
    assert room.service.names_asked[-1] == (BOOK,)


async def test_a_revoked_content_token_is_noted_and_a_good_answer_ends_it(room_on_both: Room) -> None:
    room = room_on_both
    hq, location = await room.has("hq")
    location.revoke_all()
    await room.waits(SIX_HOURS)
    since = room.clock.now()
    view = await room.look(hq)
    assert (view.state, view.ended_since, view.failures) == (ContentTokenState.REVOKED, since, 1)
    assert (await room.apps(hq))[COMPANY_PORTAL].available == 400
    await room.waits(timedelta(minutes=15))
    location.always = ContentUnavailable("Busy.", retry_after=timedelta(hours=3))
    await room.waits(timedelta(hours=1))
    view = await room.look(hq)
    assert (view.state, view.ended_since, view.failures) == (ContentTokenState.REVOKED, since, 3)
    location.always = None
    location.revoked.clear()
    assert await room.waits(timedelta(hours=3)) == []
    await room.waits(timedelta(hours=1))
    view = await room.look(hq)
    assert (view.state, view.ended_since, view.error) == (ContentTokenState.ACTIVE, None, None)


async def test_an_expired_content_token_is_noted(room: Room) -> None:
    hq, _ = await room.has("hq", days=3)
    await room.waits(3 * DAY)
    view = await room.look(hq)
    assert (view.state, view.ended_since) == (ContentTokenState.EXPIRED, hq.expires_at)
    assert view.error == "The content token has expired."


async def test_a_service_that_refuses_is_told_with_its_sentence(room: Room) -> None:
    hq, location = await room.has("hq")
    location.refusals.append(ContentRefused("The service refused (9602).", number=9602))
    view = await room.licenses.sync(hq.id, actor=OLE)
    assert (view.state, view.error) == (ContentTokenState.ACTIVE, "The service refused (9602).")
    room.clock.move(timedelta(hours=49))
    assert (await room.look(hq)).state is ContentTokenState.UNKNOWN


async def test_counts_are_read_by_one_at_a_time_over_all_replicas(
    database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    room = make_room(database, clock, keyring)
    other = make_room(database, clock, keyring, service=room.service)
    hq, _ = await room.has("hq")
    reached, go_on = asyncio.Event(), asyncio.Event()
    read = room.service.licence_counts

    async def slow(secret: object) -> object:
        reached.set()
        await go_on.wait()
        return await read(secret)  # type: ignore[arg-type]

    room.service.licence_counts = slow  # type: ignore[method-assign,assignment]
    first = asyncio.create_task(room.licenses.sync(hq.id, actor=OLE))
    await reached.wait()
    with pytest.raises(LeaseTaken):
        await other.licenses.sync(hq.id, actor=OLE)
    go_on.set()
    assert (await first).error is None


async def test_counts_read_with_a_former_content_token_are_not_written(room: Room) -> None:
    hq, location = await room.has("hq", days=10)
    location.assign(COMPANY_PORTAL, 300)
    read = room.service.licence_counts

    async def renewed_meanwhile(secret: object) -> object:
        room.service.licence_counts = read  # type: ignore[method-assign]
        old = await read(secret)  # type: ignore[arg-type]
        location.assign(COMPANY_PORTAL, 50)
        await room.licenses.installing.renew(hq.id, location.download(), actor=ANA, way="test")
        return old

    room.service.licence_counts = renewed_meanwhile  # type: ignore[method-assign,assignment]
    await room.licenses.sync(hq.id, actor=OLE)
    assert (await room.apps(hq))[COMPANY_PORTAL].available == 50


async def test_history_is_forgotten_but_for_how_the_time_kept_began(room_on_both: Room) -> None:
    room = room_on_both
    hq, location = await room.has("hq", days=900)
    for _ in range(3):
        room.clock.move(200 * DAY)
        location.assign(COMPANY_PORTAL, 10)
        await room.licenses.sync(hq.id, actor=OLE)
    await room.licenses.forget_old()
    async with room.db.read() as session:
        rows = (await session.scalars(sa.select(LicenceChange))).all()
    kept = sorted(row.available or 0 for row in rows if row.app_id == COMPANY_PORTAL)
    # 400 days are kept: the changes since, and the one that they began with.
    assert kept == [370, 380, 390]
    assert len([row for row in rows if row.app_id == PAGES]) == 1


# Thresholds and scarcity


async def test_a_threshold_of_an_app_comes_before_that_of_the_content_token(room_on_both: Room) -> None:
    room = room_on_both
    hq, _ = await room.has("hq")
    assert await room.licenses.below(actor=VIC) == []
    done = await room.licenses.set_threshold(hq.id, actor=ANA, typed="450")
    assert (done.before, done.after, done.app, done.content_token.threshold) == (None, 450, None, 450)
    low = await room.licenses.below(actor=VIC)
    assert [(each.app.title, each.app.mark, each.is_watched) for each in low] == [
        ("Company Portal", 450, True),
        (f"book {BOOK}", 450, True),
    ]
    done = await room.licenses.set_threshold(hq.id, actor=ANA, app="company portal", typed="30")
    assert done.app is not None
    assert (done.app.level, done.app.mark) == (Level.FINE, 30)
    await room.licenses.set_threshold(hq.id, actor=ANA, typed="none")
    assert await room.licenses.below(actor=VIC) == []
    _, lyon = await room.has("lyon")
    lyon.has(count("1", 2_000_000_000, 1_900_000_000), count("2", 2_000_000_000, 1_700_000_000))
    await room.waits(SIX_HOURS)
    assert [each.app.app_id for each in await room.licenses.below(actor=VIC)] == ["1"]
    cleared = await room.licenses.set_threshold(hq.id, actor=ANA, app=COMPANY_PORTAL, typed="none")
    assert (cleared.before, cleared.after) == (30, None)
    assert (await room.apps(hq))[COMPANY_PORTAL].mark == 50
    acts = [entry for entry in await room.audited() if entry.action == "content_token.threshold_set"]
    assert acts[1].detail == {"app": "Company Portal", "app_id": COMPANY_PORTAL, "before": None, "after": 30}


async def test_a_card_shows_how_the_scarce_ones_went(room: Room) -> None:
    hq, location = await room.has("hq")
    room.clock.move(10 * DAY)
    location.assign(COMPANY_PORTAL, 390)
    await room.licenses.sync(hq.id, actor=OLE)
    card = await room.licenses.card(hq.id, actor=VIC)
    assert [each.app_id for each in card.licences] == [COMPANY_PORTAL, PAGES, BOOK]
    drawn = card.availability[COMPANY_PORTAL, "STDQ"].values
    assert (drawn[0], drawn[-2], drawn[-1]) == (None, 400, 10)
    assert (PAGES, "STDQ") not in card.availability


# Removing


async def test_a_removed_content_token_leaves_no_secret(room_on_both: Room) -> None:
    room = room_on_both
    hq, location = await room.has("hq")
    await room.licenses.links.make_for_renewal(hq.id, actor=ANA)
    with pytest.raises(TypedNameDiffers):
        await room.licenses.remove(hq.id, actor=ANA, typed_name="HQ")
    await room.licenses.remove(hq.id, actor=ANA, typed_name="hq")
    async with room.db.read() as session:
        assert (await session.scalars(sa.select(ContentTokenSecret))).all() == []
        assert (await session.scalars(sa.select(UploadLink))).all() == []
        assert (await session.scalars(sa.select(ContentToken))).one().removed_by == "UANA"
    assert await room.waits(SIX_HOURS) == []
    with pytest.raises(ContentTokenGone):
        await room.licenses.sync(hq.id, actor=OLE)
    again = await room.licenses.installing.add("hq", location.download(), actor=ANA, way="test")
    assert again.content_token.id != hq.id


async def test_a_content_token_that_profiles_use_is_not_removed(room: Room) -> None:
    hq, _ = await room.has("hq")

    async def uses(content_token_id: str, actor: Actor) -> list[str]:
        return ["Sales iPad", "Kiosk"] if content_token_id == hq.id else []

    room.licenses.tell_uses(uses)
    with pytest.raises(StillUsed, match=r"2 profiles use it \(Sales iPad, Kiosk\)"):
        await room.licenses.remove(hq.id, actor=ANA, typed_name="hq")
    assert (await room.look(hq)).name == "hq"


# Links


async def test_a_link_works_once_and_looking_uses_nothing_up(room_on_both: Room) -> None:
    room = room_on_both
    links = room.licenses.links
    made = await links.make_for_new("hq", actor=ANA, tags=("schools",))
    secret = made.secret.get_secret_value()
    assert links.address(made) == f"https://bot.example.com/upload/{secret}"
    for _ in range(3):
        seen = await links.look(secret)
    assert (seen.name, seen.content_token_id, seen.tags, seen.made_by) == ("hq", None, ("schools",), "UANA")
    used = await asyncio.gather(links.use(secret), links.use(secret), return_exceptions=True)
    assert [type(each) for each in used if isinstance(each, Exception)] == [LinkUnusable]
    with pytest.raises(LinkUnusable):
        await links.look(secret)
    async with room.db.read() as session:
        assert secret not in repr((await session.scalars(sa.select(UploadLink))).all())
    assert secret not in repr(made)
    assert secret not in str([entry.detail for entry in await room.audited()])


async def test_a_link_is_of_no_use_after_ten_minutes_and_is_then_forgotten(room: Room) -> None:
    made = await room.licenses.links.make_for_new("hq", actor=ANA, tags=())
    secret = made.secret.get_secret_value()
    room.clock.move(timedelta(minutes=10))
    for act in (room.licenses.links.look, room.licenses.links.use):
        with pytest.raises(LinkUnusable):
            await act(secret)
    await room.licenses.forget_old()
    async with room.db.read() as session:
        assert (await session.scalars(sa.select(UploadLink))).all() == []


@pytest.mark.parametrize("secret", ["", "x", "ü" * 20, "x" * 5000, "\x00"])
async def test_a_link_that_was_never_made_opens_nothing(room: Room, secret: str) -> None:
    with pytest.raises(LinkUnusable):
        await room.licenses.links.use(secret)


@pytest.mark.parametrize(
    ("url", "is_offered"),
    [
        (None, False),
        ("http://bot.example.com", False),
        ("https://bot.example.com/base", True),
        ("http://127.0.0.1:3000", True),
    ],
)
async def test_links_are_offered_where_they_are_encrypted(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring, url: str | None, is_offered: bool
) -> None:
    room = make_room(sqlite_database, clock, keyring, service=FakeContentBackend(clock), public_url=url)
    assert (room.licenses.links.base is not None) == is_offered
    if not is_offered:
        with pytest.raises(LinksNotOffered):
            await room.licenses.links.make_for_new("hq", actor=ANA, tags=())
