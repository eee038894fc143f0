import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from bot.backend.port import BackendError, ProfileRefused, RequestRefused, ServiceUnavailable, TokenRejected
from bot.backend.profile import Pairing, ProfilePlatform, ProfileSettings
from bot.kit.actor import NotAllowed, Role
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.secrets import Keyring
from bot.profiles import blocks
from bot.profiles.drafts import ASKED_AT_MOST, KEPT_FOR
from bot.profiles.errors import (
    BeingDefined,
    ChangedMeanwhile,
    DeliveredAgain,
    DraftGone,
    ImportWrong,
    NameAmbiguous,
    ProfileGone,
    ProfileNameTaken,
    ProfileUnknown,
    SettingsFaulty,
    StillCarried,
    TokenNeeded,
    TooManyProfiles,
)
from bot.profiles.facts import KnownUuid, Step
from bot.profiles.models import DraftState
from bot.settings import Settings
from bot.tokens.errors import TokenGone
from tests.fakes.clock import FakeClock
from tests.fakes.rooms import ADMIN, OPERATOR, VIEWER
from tests.profiles.conftest import BEN, SCHOOLS_ADMIN, URL, Room, make_room

UNKNOWN = "F" * 32

# Defining


async def test_a_profile_is_defined_with_the_service_and_shown_with_what_was_sent(room_on_both: Room) -> None:
    room = room_on_both
    made = await room.define("Sales iPad", description="For the shops", department="IT", locked=True)
    (body,) = room.server.profiles.values()
    # No device goes along: who gets the profile is decided elsewhere.
    assert body["devices"] == []
    assert {**made.wire, "devices": [], "profile_uuid": made.profile_uuid} == body
    assert (made.name, made.full_name, made.version) == ("Sales iPad", "paris/Sales iPad", 1)
    assert (made.created_by, made.created_at, made.is_adopted) == ("UADMIN", room.clock.now(), False)
    assert made.settings.description == "For the shops"
    for shown in (
        await room.profiles.get("sales ipad", actor=VIEWER),
        await room.profiles.get("PARIS/sales iPad", actor=VIEWER),
        await room.profiles.get_by_id(made.id, actor=VIEWER),
        (await room.profiles.version_of(made.profile_uuid.lower(), actor=VIEWER)).profile,
        *await room.profiles.list_profiles(actor=VIEWER),
    ):
        assert shown == made
    (entry,) = await room.audited()
    assert (entry.actor, entry.action, entry.subject_name) == (
        "UADMIN",
        "profile.defined",
        "paris/Sales iPad",
    )
    assert entry.tags == ["schools"]
    assert entry.detail == {"version": 1, "uuid": made.profile_uuid, "changed": None}


async def test_an_edit_defines_a_version_and_tells_what_changed(room_on_both: Room) -> None:
    room = room_on_both
    first = await room.define(department="IT")
    room.clock.move(timedelta(hours=1))
    defined = await room.edit(first, actor=BEN, name="Shop iPad", department=None)
    second = defined.profile
    assert defined.before is not None
    assert (defined.before.number, defined.before.settings) == (1, first.settings)
    assert (second.id, second.name, second.version) == (first.id, "Shop iPad", 2)
    assert second.profile_uuid != first.profile_uuid
    assert (second.created_by, second.defined_by) == ("UADMIN", "UBEN")
    versions = await room.profiles.versions(first.id, actor=VIEWER)
    assert [(each.number, each.settings.name, each.is_current) for each in versions] == [
        (2, "Shop iPad", True),
        (1, "Sales iPad", False),
    ]
    assert (await room.profiles.version_of(first.profile_uuid, actor=VIEWER)).number == 1
    asked = [first.profile_uuid, second.profile_uuid, UNKNOWN]
    assert await room.profiles.names_of(asked, token_ids=[first.token_id]) == {
        first.profile_uuid: KnownUuid("Shop iPad", 1, False, first.id, first.token_id),
        second.profile_uuid: KnownUuid("Shop iPad", 2, True, first.id, first.token_id),
    }
    assert await room.profiles.names_of(asked, token_ids=["another"]) == {}
    with pytest.raises(ProfileUnknown):
        await room.profiles.get("Sales iPad", actor=ADMIN)
    assert (await room.audited())[-1].detail["changed"] == ["name", "department"]
    # The former name is free again.
    await room.define("Sales iPad")


@pytest.mark.parametrize(
    ("first", "second"),
    [("Sales iPad", "sALES ipad"), ("Straße", "STRASSE"), ("İzmir", "i̇ZMIR"), ("Café", "Cafe\u0301")],
)
async def test_a_name_is_taken_whatever_the_case(room: Room, first: str, second: str) -> None:
    made = await room.define(first)
    with pytest.raises(SettingsFaulty, match="has a profile of this name already"):
        await room.define(second)
    other = await room.define("Other")
    with pytest.raises(ProfileNameTaken):
        await room.profiles.clone(other.id, second, actor=ADMIN, delivery=None)
    with pytest.raises(SettingsFaulty, match="has a profile of this name already"):
        await room.edit(other, name=second)
    # The profile itself may have its name written otherwise.
    assert (await room.edit(made, name=second)).profile.name == second
    assert room.server.count("define_profile") == 3


async def test_faulty_settings_never_reach_the_service_and_the_draft_is_open_again(room: Room) -> None:
    draft = await room.draft("a/b", locked=True, supervised=False)
    with pytest.raises(SettingsFaulty) as refused:
        await room.send(draft)
    assert [fault.setting for fault in refused.value.faults] == ["name", "locked"]
    assert room.server.count("define_profile") == 0
    assert (await room.drafts.get(draft.id, ADMIN)).state is DraftState.OPEN
    basics = await room.drafts.faults(await room.drafts.get(draft.id, ADMIN), Step.BASICS)
    assert [fault.setting for fault in basics] == ["name"]


async def test_a_token_has_no_more_profiles_than_the_limit_and_versions_dont_count(
    sqlite_database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    room = await make_room(sqlite_database, clock, keyring, settings=Settings(max_profiles_per_token=2))
    one = await room.define("One")
    await room.edit(one, department="IT")
    await room.define("Two")
    draft = await room.draft("Three")
    # It is said at the start, and the first step is not passed.
    first = blocks.wizard(draft, texts=room.profiles.texts, screens=(), tokens=(), now=clock.now())
    assert "Token paris has 2 profiles, which is the most that a token may have." in str(first)
    assert [fault.setting for fault in await room.drafts.faults(draft, Step.BASICS)] == ["name"]
    with pytest.raises(TooManyProfiles, match="paris has 2 profiles"):
        await room.send(draft)
    with pytest.raises(TooManyProfiles):
        await room.profiles.clone(one.id, "Three", actor=ADMIN, delivery=None)
    assert room.server.count("define_profile") == 3
    await room.edit(one, department="Sales")
    # Another token has room of its own, and a deleted profile makes room.
    _, lyon = await room.rooms.add_token("lyon")
    await room.define("One", token_id=lyon.id)
    await room.profiles.delete(one.id, actor=ADMIN, delivery=None)
    roomy = await room.drafts.get(draft.id, ADMIN)
    assert await room.drafts.faults(roomy, Step.BASICS) == []
    assert (await room.send(roomy)).profile.name == "Three"


async def test_the_limit_holds_for_many_at_once(
    database: Database, clock: FakeClock, keyring: Keyring
) -> None:
    room = await make_room(database, clock, keyring, settings=Settings(max_profiles_per_token=2))
    one = await room.define("One")
    made = await asyncio.gather(
        *(room.profiles.clone(one.id, name, actor=ADMIN, delivery=None) for name in ("A", "B", "C", "D")),
        return_exceptions=True,
    )
    assert sum(isinstance(each, TooManyProfiles) for each in made) == 3
    assert len(await room.profiles.list_profiles(actor=ADMIN)) == 2


async def test_a_clone_has_the_same_settings_under_another_name_once_a_delivery(room_on_both: Room) -> None:
    room = room_on_both
    made = await room.define(department="IT", pairing=Pairing.NONE)
    cloned = (await room.profiles.clone(made.id, " Shop iPad ", actor=BEN, delivery="D1")).profile
    assert (cloned.name, cloned.version, cloned.created_by) == ("Shop iPad", 1, "UBEN")
    assert cloned.settings.department == "IT"
    assert {**cloned.wire, "profile_name": "Sales iPad"} == made.wire
    with pytest.raises(DeliveredAgain):
        await room.profiles.clone(made.id, "Shop iPad", actor=BEN, delivery="D1")
    for wrong in ("", "a/b", "x" * 126):
        with pytest.raises(SettingsFaulty):
            await room.profiles.clone(made.id, wrong, actor=BEN, delivery=None)
    assert room.server.count("define_profile") == 2


# Finding


async def test_a_name_that_two_tokens_have_is_told_apart_by_the_token(room: Room) -> None:
    _, lyon = await room.rooms.add_token("lyon")
    for name in ("Sales iPad", "kiosk", "Ämter", "Board"):
        await room.define(name)
        await room.define(name, token_id=lyon.id)
    in_order = ("Board", "kiosk", "Sales iPad", "Ämter")
    assert await room.names() == [f"{token}/{name}" for name in in_order for token in ("lyon", "paris")]
    with pytest.raises(NameAmbiguous, match="Name the token too: lyon/Sales iPad, paris/Sales iPad") as told:
        await room.profiles.get("sales ipad", actor=ADMIN)
    assert told.value.full_names == ("lyon/Sales iPad", "paris/Sales iPad")
    assert (await room.profiles.get("lyon/sales ipad", actor=ADMIN)).token_name == "lyon"
    of_lyon = await room.profiles.list_profiles(actor=ADMIN, token_id=lyon.id)
    assert [each.full_name for each in of_lyon] == [f"lyon/{name}" for name in in_order]
    with pytest.raises(ProfileUnknown, match=r"Did you mean Sales iPad\?"):
        await room.profiles.get("Salse iPad", actor=ADMIN)
    with pytest.raises(ProfileUnknown) as unknown:
        await room.profiles.get("\x00 quite different", actor=ADMIN)
    assert unknown.value.nearest is None


async def test_tags_are_respected_everywhere(room: Room) -> None:
    """Somebody of the schools sees and changes what is of the schools, and nothing tells of the rest."""
    _, lyon = await room.rooms.add_token("lyon", tags=("hq",))
    own = await room.define("Sales iPad")
    others = await room.define("Board iPad", token_id=lyon.id)
    profiles, drafts, actor = room.profiles, room.drafts, SCHOOLS_ADMIN
    assert await room.names(actor) == ["paris/Sales iPad"]
    assert await profiles.list_profiles(actor=actor, token_id=lyon.id) == []
    for name in ("Board iPad", "Board iPda", "lyon/Board iPad"):
        with pytest.raises(ProfileUnknown, match="that you may see") as unknown:
            await profiles.get(name, actor=actor)
        assert unknown.value.nearest is None
    with pytest.raises(ProfileUnknown):
        await profiles.version_of(others.profile_uuid, actor=actor)
    for refused in (
        profiles.get_by_id(others.id, actor=actor),
        profiles.versions(others.id, actor=actor),
        drafts.open_edit(others.id, actor),
        profiles.clone(others.id, "Mine", actor=actor, delivery=None),
        profiles.delete(others.id, actor=actor, delivery=None),
    ):
        with pytest.raises(ProfileGone):
            await refused
    assert [token.name for token in await drafts.tokens_for(actor)] == ["paris"]
    draft = await room.draft("Mine", actor=actor)
    with pytest.raises(TokenGone):
        await drafts.save(draft.id, actor, {}, token_id=lyon.id)
    with pytest.raises(EnrollbotError):
        await room.draft("Mine", actor=actor, token_id=lyon.id)
    # The token's tags decide at the moment of the act.
    await room.rooms.tokens.tag(room.token_id, actor=ADMIN, tags=["hq"])
    for gone in (drafts.get(draft.id, actor), drafts.begin_sending(draft.id, actor)):
        with pytest.raises(DraftGone):
            await gone
    with pytest.raises(ProfileGone):
        await profiles.get_by_id(own.id, actor=actor)
    assert sorted(await room.names()) == ["lyon/Board iPad", "paris/Sales iPad"]


async def test_who_is_no_admin_of_the_token_only_looks(room: Room) -> None:
    made = await room.define()
    for actor in (OPERATOR, VIEWER):
        for refused in (
            room.drafts.open_edit(made.id, actor),
            room.drafts.open_new(actor, token_id=room.token_id),
            room.profiles.clone(made.id, "Mine", actor=actor, delivery=None),
            room.profiles.delete(made.id, actor=actor, delivery=None),
        ):
            with pytest.raises(NotAllowed) as denied:
                await refused
            assert denied.value.needed is Role.ADMIN
    assert await room.names(VIEWER) == ["paris/Sales iPad"]


# Two at once


async def test_who_defines_second_is_told_what_was_defined_and_can_define_on_top(room_on_both: Room) -> None:
    room = room_on_both
    made = await room.define(department="IT")
    theirs = await room.drafts.open_edit(made.id, BEN)
    mine = await room.drafts.open_edit(made.id, ADMIN)
    assert mine.others == ((BEN.id, room.clock.now()),)
    await room.drafts.save(mine.id, ADMIN, {"department": "Mine"})
    await room.send(await room.drafts.save(theirs.id, BEN, {"department": "Theirs"}), actor=BEN)
    with pytest.raises(ChangedMeanwhile, match="Version 2 of Sales iPad was defined") as told:
        await room.send(mine)
    assert told.value.newer.settings.department == "Theirs"
    assert room.server.count("define_profile") == 2
    kept = await room.drafts.get(mine.id, ADMIN)
    assert (kept.state, kept.base_version, kept.settings.department) == (DraftState.OPEN, 2, "Mine")
    assert kept.others == ()
    defined = await room.send(kept)
    assert defined.before is not None
    assert (defined.profile.version, defined.before.settings.department) == (3, "Theirs")
    assert [each.defined_by for each in await room.profiles.versions(made.id, actor=ADMIN)] == [
        *("UADMIN", "UBEN", "UADMIN")
    ]


async def test_two_who_define_a_version_at_the_same_moment_dont_lose_one(room_on_both: Room) -> None:
    room = room_on_both
    made = await room.define()
    await both_at_the_service(room)
    results = await asyncio.gather(
        room.edit(made, department="Mine"),
        room.edit(made, actor=BEN, department="Theirs"),
        return_exceptions=True,
    )
    (lost,) = [each for each in results if isinstance(each, BaseException)]
    assert isinstance(lost, ChangedMeanwhile)
    assert len(await room.profiles.versions(made.id, actor=ADMIN)) == 2
    loser = (ADMIN, BEN)[results.index(lost)]
    draft = await room.drafts.open_edit(made.id, loser)
    assert (draft.state, draft.base_version) == (DraftState.OPEN, 2)
    assert draft.settings.department == {"UADMIN": "Mine", "UBEN": "Theirs"}[loser.id]


async def test_two_profiles_of_one_name_at_once_become_one_and_nothing_is_lost(room_on_both: Room) -> None:
    room = room_on_both
    await both_at_the_service(room)
    drafts = [await room.draft("Sales iPad"), await room.draft("SALES ipad", actor=BEN, department="IT")]
    results = await asyncio.gather(
        room.send(drafts[0]), room.send(drafts[1], actor=BEN), return_exceptions=True
    )
    (lost,) = [each for each in results if isinstance(each, BaseException)]
    assert isinstance(lost, ProfileNameTaken)
    assert len(await room.names()) == 1
    place = results.index(lost)
    kept = await room.drafts.get(drafts[place].id, (ADMIN, BEN)[place])
    assert (kept.state, kept.settings) == (DraftState.OPEN, drafts[place].settings)
    assert kept.revision > drafts[place].revision


async def test_one_draft_sent_twice_at_once_is_defined_once(room_on_both: Room) -> None:
    room = room_on_both
    draft = await room.draft()
    results = await asyncio.gather(room.send(draft), room.send(draft), return_exceptions=True)
    (lost,) = [each for each in results if isinstance(each, BaseException)]
    assert isinstance(lost, BeingDefined | DraftGone)
    assert room.server.count("define_profile") == 1
    with pytest.raises(DraftGone):
        await room.drafts.get(draft.id, ADMIN)


async def test_an_answer_that_comes_after_the_draft_was_sent_again_makes_no_second_profile(
    room: Room,
) -> None:
    """The service took more than a minute, and the person did not wait: what they sent last holds."""
    draft = await room.draft("Slow")

    async def impatient(method: str) -> None:
        if method == "define_profile" and room.server.count(method) == 1:
            room.clock.move(ASKED_AT_MOST)
            again = await room.drafts.try_again(draft.id, ADMIN)
            assert again.state is DraftState.OPEN
            await room.send(await room.drafts.save(draft.id, ADMIN, {"name": "Quick"}))

    room.server.on_call = impatient
    with pytest.raises(DraftGone):
        await room.send(draft)
    assert await room.names() == ["paris/Quick"]


async def both_at_the_service(room: Room) -> None:
    """Let the service answer only when two are asking to define a profile."""
    two, present = asyncio.Event(), 0

    async def wait(method: str) -> None:
        nonlocal present
        if method == "define_profile":
            present += 1
            if present == 2:
                two.set()
            await asyncio.wait_for(two.wait(), 10)

    # A session first, so that none waits for the other's login.
    await (await room.rooms.tokens.connection(room.token_id)).account()
    room.server.on_call = wait


# The service refuses


@pytest.mark.parametrize(
    "error",
    [
        ProfileRefused("Apple does not accept it.", word="DEPARTMENT_INVALID", setting="department"),
        RequestRefused("no", word="SOMETHING"),
        ServiceUnavailable("It could not be reached."),
        TokenRejected("Apple no longer accepts it.", word="token_rejected"),
        RuntimeError("a fault of ours"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_after_a_refusal_the_draft_is_open_again_with_all_that_was_typed(
    room: Room, error: BaseException
) -> None:
    draft = await room.draft(department="IT")

    async def refuse(method: str) -> None:
        if method == "define_profile":
            raise error

    room.server.on_call = refuse
    with pytest.raises(type(error)):
        await room.send(draft)
    kept = await room.drafts.get(draft.id, ADMIN)
    assert (kept.state, kept.sending_since, kept.settings) == (DraftState.OPEN, None, draft.settings)
    assert kept.revision > draft.revision
    assert await room.names() == []
    token = await room.rooms.tokens.get_by_id(room.token_id, actor=ADMIN)
    assert (token.refused_word is not None) == isinstance(error, TokenRejected)
    room.server.on_call = None
    assert (await room.send(kept)).profile.settings.department == "IT"


async def test_the_services_error_is_told_even_when_the_draft_is_gone_meanwhile(room: Room) -> None:
    draft = await room.draft()

    async def remove(method: str) -> None:
        if method == "define_profile":
            await room.rooms.remove(room.token_id)
            raise ServiceUnavailable("It could not be reached.")

    room.server.on_call = remove
    with pytest.raises(ServiceUnavailable):
        await room.send(draft)


# Deleting


async def test_a_profile_that_devices_carry_is_not_deleted_whatever_version(room_on_both: Room) -> None:
    room = room_on_both
    first = await room.define()
    second = (await room.edit(first, department="IT")).profile
    carried = {first.profile_uuid}

    async def holds(token_id: str, uuids: Any) -> list[str]:
        assert token_id == room.token_id
        return ["3 devices carry it"] if carried & set(uuids) else []

    room.profiles.tell_holds(holds)
    with pytest.raises(StillCarried, match="3 devices carry it"):
        await room.profiles.delete(first.id, actor=ADMIN, delivery="D1")
    assert await room.names() == ["paris/Sales iPad"]
    carried.clear()
    deleted = await room.profiles.delete(first.id, actor=ADMIN, delivery="D2")
    assert deleted.profile_uuid == second.profile_uuid
    assert await room.names() == []
    for gone in (
        room.profiles.delete(first.id, actor=ADMIN, delivery="D2"),
        room.profiles.versions(first.id, actor=ADMIN),
        room.drafts.open_edit(first.id, ADMIN),
    ):
        with pytest.raises(ProfileGone):
            await gone
    entry = (await room.audited())[-1]
    assert (entry.action, entry.tags, entry.detail) == (
        *("profile.deleted", ["schools"], {"uuid": second.profile_uuid}),
    )
    # Devices that still carry it are told by its name, and the name is free.
    known = await room.profiles.names_of([first.profile_uuid], token_ids=[first.token_id])
    assert known[first.profile_uuid].name == "Sales iPad"
    await room.define("sales ipad")


# Adopting


async def test_profiles_found_on_devices_are_adopted_once(room_on_both: Room) -> None:
    room = room_on_both
    given = {"profile_name": "Old", "url": URL, "department": "IT", "skip_setup_items": ["Siri"], "zeta": [1]}
    found = room.server.put_profile(given)
    await room.profiles.adopt(room.token_id, [found.lower(), UNKNOWN, found])
    (adopted,) = await room.profiles.list_profiles(actor=VIEWER)
    assert (adopted.name, adopted.is_adopted, adopted.profile_uuid) == ("Old", True, found)
    assert (adopted.settings.department, adopted.settings.platform) == ("IT", ProfilePlatform.ANY)
    assert adopted.wire == given
    (entry,) = await room.audited()
    assert (entry.action, entry.actor_kind, entry.tags) == ("profile.adopted", "job", ["schools"])
    asked = room.server.count("read_profile")
    assert asked == 2
    assert await room.profiles.adopt(room.token_id, [found, UNKNOWN]) == []
    assert room.server.count("read_profile") == asked


async def test_what_cannot_be_read_or_asked_for_is_not_asked_again_and_stops_nothing(room: Room) -> None:
    unreadable = room.server.put_profile({"profile_name": ["Old"]})
    good = room.server.put_profile({"profile_name": "Good"})
    refused = "0" * 32

    async def refuse(method: str) -> None:
        if method == "read_profile" and room.server.count(method) == 1:
            raise RequestRefused("Apple refuses the request as wrong.", word="PROFILE_UUID_INVALID")

    room.server.on_call = refuse
    await room.profiles.adopt(room.token_id, [refused, unreadable, good])
    assert await room.names() == ["paris/Good"]
    asked = room.server.count("read_profile")
    assert await room.profiles.adopt(room.token_id, [refused, unreadable, good]) == []
    assert room.server.count("read_profile") == asked


async def test_a_service_that_does_not_answer_is_asked_again(room: Room) -> None:
    found = room.server.put_profile({"profile_name": "Old"})
    room.server.refuse("read_profile", ServiceUnavailable("It could not be reached."))
    with pytest.raises(BackendError):
        await room.profiles.adopt(room.token_id, [found])
    assert [each.name for each in await room.profiles.adopt(room.token_id, [found])] == ["Old"]


async def test_an_adopted_profile_gets_a_usable_name(room_on_both: Room) -> None:
    room = room_on_both
    await room.define("Sales iPad")
    expected = {}
    for name, adopted_as in (
        ("sales IPAD", "sales IPAD ({uuid})"),
        ("x" * 300, "x" * 125),
        ("a/b\n\x00c\u2028d\x85\ud800", "a b c d"),
        ("", "Profile {uuid}"),
        (" / ", "Profile {uuid}"),
        ("C:\\u0000", "C:\\u0000"),
        ("\u202eiPhone", "iPhone"),
    ):
        body = {"profile_name": name, "department": "I\x00T\\u0000", "odd\x00": "\ud800"}
        found = room.server.put_profile(body)
        expected[found] = adopted_as.format(uuid=found[:8])
    adopted = await room.profiles.adopt(room.token_id, list(expected))
    assert {each.profile_uuid: each.name for each in adopted} == expected
    for each in adopted:
        assert each.settings.department == "IT\\u0000"
        assert await room.profiles.get(each.name, actor=ADMIN) == each


async def test_two_adopted_profiles_of_one_name_are_told_apart(room: Room) -> None:
    found = [room.server.put_profile({"profile_name": "Old"}) for _ in range(3)]
    await room.profiles.adopt(room.token_id, found)
    names = await room.names()
    assert len(set(names)) == 3
    assert "paris/Old" in names
    assert sum(bool(re.fullmatch(r"paris/Old \([0-9A-F]{8}\)", name)) for name in names) == 2


async def test_a_removed_tokens_profiles_are_gone_and_adopted_by_the_next_one(room_on_both: Room) -> None:
    room = room_on_both
    made = await room.define()
    draft = await room.draft("Half done")
    edit = await room.drafts.open_edit(made.id, ADMIN)
    await room.rooms.remove(room.token_id)
    assert await room.names() == []
    for gone in (
        room.profiles.get_by_id(made.id, actor=ADMIN),
        room.drafts.get(draft.id, ADMIN),
        room.drafts.begin_sending(draft.id, ADMIN),
        room.drafts.open_edit(made.id, ADMIN),
        room.drafts.save(edit.id, ADMIN, {"name": "x"}),
    ):
        with pytest.raises((ProfileGone, DraftGone)):
            await gone
    with pytest.raises(TokenNeeded):
        await room.drafts.open_new(ADMIN)
    # The organisation's server is added once more: its devices carry what was defined before.
    room.clock.move(timedelta(hours=1))
    server = room.server
    added = await room.rooms.tokens.add("again", actor=ADMIN, apple_id="ade@example.com", agreed=True)
    file = server.generate_token(added.certificate.content.decode())
    token = (await room.rooms.tokens.upload(added.token.id, file, actor=ADMIN)).token
    (adopted,) = await room.profiles.adopt(token.id, [made.profile_uuid])
    assert (adopted.full_name, adopted.profile_uuid) == ("again/Sales iPad", made.profile_uuid)
    known = await room.profiles.names_of([made.profile_uuid], token_ids=[token.id])
    assert known[made.profile_uuid].profile_id == adopted.id
    assert (await room.profiles.version_of(made.profile_uuid, actor=ADMIN)).profile.id == adopted.id


# Drafts


async def test_a_draft_is_kept_for_a_day_and_taken_up_again(room_on_both: Room) -> None:
    room = room_on_both
    draft = await room.drafts.open_new(ADMIN)
    room.clock.move(KEPT_FOR - timedelta(seconds=1))
    saved = await room.drafts.save(draft.id, ADMIN, {"name": "Sales"}, step=Step.MANAGEMENT)
    assert (saved.revision, saved.step, saved.settings.name) == (1, Step.MANAGEMENT, "Sales")
    room.clock.move(KEPT_FOR - timedelta(seconds=1))
    assert await room.drafts.sweep() == 0
    assert (await room.drafts.open_new(ADMIN)).id == draft.id
    room.clock.move(timedelta(seconds=2))
    with pytest.raises(DraftGone):
        await room.drafts.get(draft.id, ADMIN)
    assert (await room.drafts.open_new(ADMIN)).id != draft.id
    assert await room.drafts.sweep() == 1


async def test_a_draft_is_its_persons_alone(room: Room) -> None:
    draft = await room.draft()
    for refused in (
        room.drafts.get(draft.id, BEN),
        room.drafts.save(draft.id, BEN, {"name": "Mine"}),
        room.drafts.begin_sending(draft.id, BEN),
        room.drafts.try_again(draft.id, BEN),
        room.drafts.start_over(draft.id, BEN),
        room.profiles.define(draft.id, actor=BEN),
    ):
        with pytest.raises(DraftGone):
            await refused
    assert (await room.drafts.open_new(BEN)).id != draft.id
    assert await room.drafts.get(draft.id, ADMIN) == draft


async def test_a_draft_with_the_service_cannot_be_changed_and_is_taken_back_after_a_minute(
    room: Room,
) -> None:
    draft = await room.draft()
    sending = await room.drafts.begin_sending(draft.id, ADMIN)
    assert (sending.state, sending.sending_since) == (DraftState.SENDING, room.clock.now())
    room.clock.move(ASKED_AT_MOST - timedelta(seconds=1))
    for refused in (
        room.drafts.save(draft.id, ADMIN, {"name": "Other"}),
        room.drafts.begin_sending(draft.id, ADMIN),
        room.drafts.try_again(draft.id, ADMIN),
    ):
        with pytest.raises(BeingDefined, match="Apple is being asked"):
            await refused
    _, lyon = await room.rooms.add_token("lyon")
    assert (await room.drafts.open_new(ADMIN, token_id=lyon.id)).token == draft.token
    room.clock.move(timedelta(seconds=1))
    again = await room.drafts.try_again(draft.id, ADMIN)
    assert (again.state, again.settings) == (DraftState.OPEN, draft.settings)
    assert (await room.drafts.try_again(draft.id, ADMIN)).state is DraftState.OPEN


async def test_starting_over_gives_up_what_was_typed(room: Room) -> None:
    made = await room.define(department="IT")
    draft = await room.drafts.open_edit(made.id, ADMIN)
    await room.drafts.save(draft.id, ADMIN, {"department": "Wrong"})
    fresh = await room.drafts.start_over(draft.id, ADMIN)
    assert (fresh.settings.department, fresh.base_version, fresh.revision) == ("IT", 1, 0)
    new = await room.draft("Half done")
    fresh = await room.drafts.start_over(new.id, ADMIN)
    assert (fresh.settings, fresh.token and fresh.token.id) == (ProfileSettings(), room.token_id)
    with pytest.raises(DraftGone):
        await room.drafts.get(new.id, ADMIN)


async def test_an_edit_stays_with_the_profiles_token(room: Room) -> None:
    server, lyon = await room.rooms.add_token("lyon")
    made = await room.define()
    draft = await room.drafts.open_edit(made.id, ADMIN)
    await room.drafts.save(draft.id, ADMIN, {"department": "IT"}, token_id=lyon.id)
    assert (await room.send(draft)).profile.token_name == "paris"
    assert server.count("define_profile") == 0


async def test_more_people_than_the_database_has_connections_fill_in_the_wizard(room_on_both: Room) -> None:
    room = room_on_both
    drafts = [await room.draft(f"Profile {number}") for number in range(25)]
    saved = await asyncio.wait_for(
        asyncio.gather(*(room.drafts.save(each.id, ADMIN, {"department": "IT"}) for each in drafts)), 20
    )
    assert [each.revision for each in saved] == [1] * 25


# Importing


def test_a_file_is_read_and_what_has_no_place_is_remarked(room: Room) -> None:
    content = (
        b'\xef\xbb\xbf{"profile_name": "Old \\u0000\\ud800C:\\\\u0000", "is_supervised": true, "zeta": 1}'
    )
    settings, remarks = room.profiles.import_settings(content)
    assert (settings.name, settings.supervised) == ("Old C:\\u0000", True)
    assert remarks == [
        "Left out, since they have no place here: zeta.",
        "Choose the platform: the file does not say it.",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{\x00", "not UTF-8"),
        (b"[]", "not one JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"is_supervised": "yes"}', "is_supervised is not true or false"),
        (b'{"skip_setup_items": [1e999]}', "skip_setup_items is not a list of texts"),
        # Slack refuses an input that begins with more, and the draft could not be shown again.
        (b'{"department": "' + b"x" * 3001 + b'"}', "a text in it has 3,001 characters; 3,000 is the most"),
    ],
    ids=range(7),
)
def test_a_file_that_is_no_profile_is_refused(room: Room, content: bytes, why: str) -> None:
    with pytest.raises(ImportWrong, match=why):
        room.profiles.import_settings(content)
