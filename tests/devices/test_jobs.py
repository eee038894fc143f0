"""What syncs tell, where, and how often: the real jobs, the real database, Slack over HTTP."""

import asyncio
from datetime import timedelta

import pytest

from bot.backend.port import (
    CursorUnusable,
    DeviceFacts,
    ServiceUnavailable,
    TermsNotSigned,
    TokenRejected,
    UnreadableDevice,
)
from bot.devices import jobs
from bot.devices.models import DeviceState, SyncState
from bot.kit.background import Background
from bot.tokens.rules import Setting
from tests.devices.conftest import CHANNEL, Desk, GatedClock, buttons
from tests.fakes.backend import FakeServer, device, page
from tests.fakes.rooms import ADMIN
from tests.slack.web_api import Fault


def some(count: int, start: int = 0) -> list[DeviceFacts]:
    return [device(f"S{number:03}") for number in range(start, start + count)]


@pytest.fixture
async def paris(desk: Desk) -> FakeServer:
    """A token with 5 devices, synced and told an hour ago."""
    return await synced_token(desk)


async def synced_token(desk: Desk) -> FakeServer:
    server, _ = await desk.rooms.add_token("paris")
    server.put(*some(5))
    await desk.work()
    desk.rooms.clock.move(timedelta(hours=1))
    return server


def texts(desk: Desk) -> list[str]:
    return [str(post["text"]) for post in desk.posts]


# Results


async def test_the_first_sync_is_told_with_its_number_and_leads_to_the_devices(desk: Desk) -> None:
    server, _ = await desk.rooms.add_token("paris")
    server.put(*some(5))
    await desk.work()
    assert texts(desk)[-1].startswith(
        "Token paris synced · full sync, the first one\n"
        "5 devices now: 5 added, 0 modified, 0 removed\n1 page in"
    )
    said = await desk.press(buttons(desk.posts[-1])["Show devices"], user="UVIEW")
    assert said.startswith("5 devices for `token:paris`")


async def test_without_any_device_the_first_sync_says_how_devices_are_assigned(desk: Desk) -> None:
    await desk.rooms.add_token("paris")
    await desk.work()
    said = texts(desk)[-1]
    assert "No device is assigned to server paris in ABM yet. Next:" in said
    assert "1. Assign devices to server paris in ABM." in said
    assert "Sync now" in buttons(desk.posts[-1])


async def test_a_renewal_says_the_devices_before_and_after(desk: Desk, paris: FakeServer) -> None:
    token = await desk.rooms.tokens.get("paris", actor=ADMIN)
    certificate = await desk.rooms.tokens.certificate(token.id, actor=ADMIN)
    paris.put(*some(4, start=5))
    paris.take("S000")
    desk.rooms.clock.move(timedelta(days=300))
    file = paris.generate_token(certificate.content.decode())
    await desk.rooms.tokens.upload(token.id, file, actor=ADMIN)
    await desk.work()
    assert "Devices: 5 before, 8 after. Nothing else to do." in texts(desk)[-1]


async def test_a_forced_full_sync_says_why(desk: Desk, paris: FakeServer) -> None:
    paris.expire_cursors()
    await desk.type("sync paris")
    await desk.work()
    assert "full sync, forced: the place reached in the list had expired" in texts(desk)[-1]


async def test_devices_that_could_not_be_read_are_counted_and_nothing_is_removed(
    desk: Desk, paris: FakeServer
) -> None:
    paris.refuse("delta_page", CursorUnusable("Gone.", reason="expired"))
    unreadable = UnreadableDevice("S001", "no model")

    async def answer(method: str) -> None:
        if method == "full_page":
            paris.pages.append(page(*some(1), cursor="delta:0:0:0", unreadable=[unreadable]))

    paris.on_call = answer
    await desk.type("sync paris")
    await desk.work()
    assert "1 device could not be read. Nothing was marked removed in this sync" in texts(desk)[-1]
    assert (await desk.synced()).removed == 0


@pytest.mark.parametrize(
    ("error", "words", "offered"),
    [
        (ServiceUnavailable("Apple is down."), "Next: It is tried again by itself", ["Sync now"]),
        (
            TokenRejected("Apple does not accept this token.", next_step="Renew the token."),
            "Next: Renew the token.",
            ["Renew token", "Sync now"],
        ),
        (
            TermsNotSigned("New terms.", next_step="An Administrator accepts."),
            "Next: An Administrator accepts.",
            ["Check again", "Sync now"],
        ),
    ],
)
async def test_a_failed_sync_says_what_failed_the_next_step_and_offers_it(
    desk: Desk, paris: FakeServer, error: Exception, words: str, offered: list[str]
) -> None:
    paris.refuse("delta_page", error, times=None)
    await desk.type("sync paris")
    await desk.work()
    said = texts(desk)[-1]
    assert said.startswith("Sync of token paris did not finish · changes only")
    assert "What was read is kept; enrolled devices are not touched." in said
    assert words in said
    assert list(buttons(desk.posts[-1])) == offered
    assert (await desk.synced()).state is SyncState.FAILED


# Stopping and going on


async def test_a_sync_that_takes_too_long_pauses_in_one_message_and_goes_on_in_it(desk: Desk) -> None:
    server, token = await desk.rooms.add_token("paris")
    server.page_size = 5
    server.put(*some(15))
    await desk.rooms.tokens.check(token.id, actor=ADMIN)

    async def slow(method: str) -> None:
        if method == "full_page":
            desk.rooms.clock.move(timedelta(minutes=9))

    server.on_call = slow
    await desk.work()
    [paused] = texts(desk)
    assert paused.startswith("Sync of token paris is paused · full sync, the first one")
    assert "What was read is kept. It goes on by itself at" in paused
    server.on_call = None
    desk.rooms.clock.move(timedelta(minutes=15))
    await desk.work()
    [done] = texts(desk)
    assert "15 devices now: 15 added" in done


async def test_a_paused_sync_goes_on_at_once_when_somebody_asks(desk: Desk) -> None:
    server, token = await desk.rooms.add_token("paris")
    server.page_size = 5
    server.put(*some(15))
    await desk.rooms.tokens.check(token.id, actor=ADMIN)

    async def slow(method: str) -> None:
        desk.rooms.clock.move(timedelta(minutes=9))

    server.on_call = slow
    await desk.work()
    server.on_call = None
    assert (await desk.type("sync paris")).startswith("Sync of token paris goes on · full sync")
    await desk.background.idle()
    assert (await desk.synced()).devices == 15


async def test_a_renewal_meets_an_automatic_sync_that_paused_and_is_told_all_the_same(
    desk: Desk, paris: FakeServer
) -> None:
    async def slow(method: str) -> None:
        if method == "delta_page":
            desk.rooms.clock.move(timedelta(minutes=9))

    paris.page_size = 1
    token = await desk.rooms.tokens.get("paris", actor=ADMIN)
    await desk.rooms.tokens.check(token.id, actor=ADMIN)
    paris.put(*some(4, start=5))
    paris.on_call = slow
    desk.rooms.clock.move(timedelta(hours=25))
    await desk.jobs.run_due("devices.schedule")
    await desk.work()
    paris.on_call = None
    certificate = await desk.rooms.tokens.certificate(token.id, actor=ADMIN)
    file = paris.generate_token(certificate.content.decode())
    await desk.rooms.tokens.upload(token.id, file, actor=ADMIN)
    await desk.work()
    assert "9 devices now: 4 added" in texts(desk)[-1]
    await desk.work()
    assert "Devices: 9 before, 9 after. Nothing else to do." in texts(desk)[-1]


# Progress


async def test_quick_syncs_show_only_their_result(desk: Desk, paris: FakeServer, clock: GatedClock) -> None:
    before, updates = len(desk.posts), len(desk.bot.web.called("chat.update"))
    clock.gate.clear()
    await desk.type("sync paris")
    await desk.background.idle()
    assert len(desk.posts) == before + 1
    assert len(desk.bot.web.called("chat.update")) == updates


async def test_progress_and_result_are_one_message_updated_at_most_every_3_s(desk: Desk) -> None:
    server, token = await desk.rooms.add_token("paris")
    server.page_size = 1
    server.put(*some(20))
    await desk.rooms.tokens.check(token.id, actor=ADMIN)
    web, began = desk.bot.web, desk.rooms.clock.monotonic()

    async def slow(method: str) -> None:
        desk.rooms.clock.move(timedelta(seconds=2))
        if server.count("full_page") == 6:
            await web.until(lambda: bool(web.called("chat.postMessage")))
        if server.count("full_page") == 15:
            await web.until(lambda: bool(web.called("chat.update")))

    server.on_call = slow
    await desk.work()
    [result] = texts(desk)
    assert "20 devices now: 20 added" in result
    [first] = web.called("chat.postMessage")
    assert first["text"].startswith("Token paris is syncing · full sync, the first one")
    assert "read so far" in first["text"]
    shown_times = 1 + len(web.called("chat.update"))
    assert shown_times - 1 <= (desk.rooms.clock.monotonic() - began) / 3


async def test_a_first_page_that_is_slow_is_seen_to_be_under_way(desk: Desk) -> None:
    server, _ = await desk.rooms.add_token("paris")
    server.put(*some(1))
    seen: list[str] = []

    async def slow(method: str) -> None:
        if method != "full_page":
            return
        for _ in range(200):
            desk.rooms.clock.move(timedelta(seconds=1))
            await asyncio.sleep(0.01)
            seen.extend(texts(desk))
            if seen:
                return

    server.on_call = slow
    await desk.work()
    assert seen[0].startswith("Token paris is syncing · full sync, the first one\n0 devices read so far")
    assert len(texts(desk)) == 1


# What is announced


async def test_an_automatic_sync_begins_as_soon_as_it_is_due(desk: Desk, paris: FakeServer) -> None:
    paris.put(device("NEW"))
    desk.rooms.clock.move(timedelta(hours=25))
    await desk.jobs.run_due("devices.schedule")
    await desk.background.idle()
    assert "1 added" in texts(desk)[-1]


async def test_an_automatic_sync_is_told_only_when_something_came_or_left(
    desk: Desk, paris: FakeServer
) -> None:
    before = len(desk.posts)
    for changes, told in (([], 0), (some(1, start=50), 1)):
        paris.put(*changes)
        desk.rooms.clock.move(timedelta(hours=25))
        await desk.jobs.run_due("devices.schedule")
        await desk.work()
        assert len(desk.posts) == before + told
    assert "6 devices now: 1 added" in texts(desk)[-1]


async def test_of_automatic_failures_in_a_row_only_the_first_is_told(desk: Desk, paris: FakeServer) -> None:
    before = len(desk.posts)
    paris.refuse("delta_page", ServiceUnavailable("Apple is down."), times=None)
    desk.rooms.clock.move(timedelta(hours=25))
    for _ in range(3):
        await desk.jobs.run_due("devices.schedule")
        await desk.work()
        desk.rooms.clock.move(timedelta(hours=5))
    assert [text.split(" · ")[0] for text in texts(desk)[before:]] == ["Sync of token paris did not finish"]


async def test_a_sync_that_somebody_waits_for_is_not_begun_as_an_automatic_one_beside(desk: Desk) -> None:
    # As after `enrollbot token import`: the wish was left by another process.
    desk.rooms.tokens.tell_wishes(lambda: None)
    _, token = await desk.rooms.add_token("paris")
    await desk.jobs.run_due("devices.schedule")
    await desk.background.idle()
    last = (await desk.rooms.devices.sync_facts(token.id)).last
    assert last is not None
    assert last.reason == "first"


async def test_a_tokens_own_channel_is_told_instead(desk: Desk, paris: FakeServer) -> None:
    before = len(desk.posts)
    token = await desk.rooms.tokens.get("paris", actor=ADMIN)
    await desk.rooms.tokens.change(token.id, actor=ADMIN, settings={Setting.CHANNEL: "C0OWN"})
    await desk.type("sync paris")
    await desk.work()
    assert len(desk.posts) == before
    assert "Token paris synced" in desk.bot.web.messages["C0OWN"][0]["text"]


async def test_without_a_channel_who_asked_is_told_directly(desk_without_channel: Desk) -> None:
    desk = desk_without_channel
    await synced_token(desk)
    await desk.type("sync paris")
    await desk.work()
    assert desk.posts == []
    assert "Token paris synced · changes only" in desk.directs[-1]


# Slack down


@pytest.mark.parametrize("word", ["channel_not_found", "not_in_channel", "account_inactive"])
async def test_what_slack_refuses_is_told_directly_at_once_and_in_the_channel_later(
    desk: Desk, paris: FakeServer, clock: GatedClock, word: str
) -> None:
    before = len(desk.posts)
    clock.gate.clear()
    desk.bot.web.fail("chat.postMessage", Fault(error=word))
    await desk.type("sync paris")
    await desk.work()
    assert "Token paris synced" in desk.directs[-1]
    assert f"Slack does not let this bot post in <#{CHANNEL}>" in desk.directs[-1]
    assert len(desk.posts) == before
    desk.bot.web.fail("chat.postMessage", Fault(error=word))
    for _ in range(3):
        desk.rooms.clock.move(timedelta(minutes=2))
        await desk.work()
    assert [text.split(" · ")[0] for text in texts(desk)[before:]] == ["Token paris synced"]
    assert len(desk.directs) == 1


async def test_what_a_channel_refuses_of_an_automatic_sync_is_told_to_the_admins(
    desk: Desk, paris: FakeServer, clock: GatedClock
) -> None:
    clock.gate.clear()
    paris.put(device("NEW"))
    desk.rooms.clock.move(timedelta(hours=25))
    desk.bot.web.fail("chat.postMessage", Fault(error="is_archived"))
    await desk.jobs.run_due("devices.schedule")
    await desk.work()
    assert "Token paris synced" in desk.bot.web.messages["DUADMIN"][0]["text"]


async def test_a_refused_result_is_tried_less_and_less_often(
    desk: Desk, paris: FakeServer, clock: GatedClock
) -> None:
    clock.gate.clear()
    desk.bot.web.fail("chat.postMessage", *[Fault(error="not_in_channel")] * 1000)
    await desk.type("sync paris")
    await desk.work()
    first = len(desk.bot.web.called("chat.postMessage"))
    for _ in range(5):
        await desk.work()
    assert len(desk.bot.web.called("chat.postMessage")) == first
    desk.rooms.clock.move(timedelta(seconds=30))
    await desk.work()
    again = len(desk.bot.web.called("chat.postMessage"))
    assert again > first
    desk.rooms.clock.move(timedelta(seconds=60))
    await desk.work()
    assert len(desk.bot.web.called("chat.postMessage")) == again


async def test_a_direct_message_that_slack_refuses_is_sent_later(desk_without_channel: Desk) -> None:
    desk = desk_without_channel
    await synced_token(desk)
    told = len(desk.directs)
    desk.bot.web.fail("chat.postMessage", Fault(error="account_inactive"))
    await desk.type("sync paris")
    await desk.work()
    assert len(desk.directs) == told
    desk.rooms.clock.move(timedelta(seconds=30))
    await desk.work()
    assert len(desk.directs) == told + 1


async def test_slack_being_down_holds_up_no_other_sync(
    desk: Desk, paris: FakeServer, clock: GatedClock
) -> None:
    desk.bot.web.fail("chat.postMessage", *[Fault(error="channel_not_found")] * 100)
    clock.gate.clear()
    await desk.type("sync paris")
    await clock.slept.wait()
    servers = [(await desk.rooms.add_token(name))[0] for name in ("lyon", "nice", "metz", "lille", "brest")]
    asked = asyncio.Event()

    async def note(_method: str) -> None:
        if all(server.count("full_page") for server in servers):
            asked.set()

    for server in servers:
        server.on_call = note
    clock.move(jobs.LOOK_EVERY)
    await desk.jobs.run_due("devices.syncs")
    async with asyncio.timeout(10):
        await asked.wait()
    clock.gate.set()


# Several replicas, restarts


async def test_two_replicas_tell_one_result_once(desk_on_both: Desk) -> None:
    desk = desk_on_both
    await synced_token(desk)
    before = len(desk.posts)
    desk.rooms.devices.tell_work(lambda _: None)
    await desk.type("sync paris")
    await desk.rooms.run_all()
    others = [replica(desk) for _ in range(2)]
    await asyncio.gather(*(runner.look(desk.rooms.clock.now()) for runner, _ in others))
    await asyncio.gather(*(background.idle() for _, background in others))
    assert len(desk.posts) == before + 1


async def test_what_a_killed_process_left_is_done_and_told_by_the_next(
    desk_on_both: Desk,
) -> None:
    desk = desk_on_both
    server = await synced_token(desk)
    server.put(device("NEW"))
    started = await desk.rooms.devices.start_sync("paris", actor=ADMIN)
    assert started.is_new
    await desk.work()
    assert "6 devices now: 1 added" in texts(desk)[-1]


async def test_a_process_that_stops_starts_no_sync(desk: Desk, paris: FakeServer) -> None:
    await desk.background.drain(1.0)
    await desk.type("sync paris")
    await desk.work()
    assert (await desk.rooms.devices.due_syncs()) != []


def replica(desk: Desk) -> tuple[jobs.SyncRunner, Background]:
    background = Background()
    runner = jobs.SyncRunner(
        desk.rooms.devices, poster=desk.bot.slack.poster, background=background, channel=CHANNEL
    )
    return runner, background


# At once


async def test_a_removed_tokens_devices_are_removed_before_the_job_looks(
    desk: Desk, paris: FakeServer
) -> None:
    token = await desk.rooms.tokens.get("paris", actor=ADMIN)
    await desk.rooms.remove(token.id)
    await desk.background.idle()
    answer = await desk.rooms.devices.show("S000", actor=ADMIN)
    assert answer.view is not None
    assert answer.view.row.state is DeviceState.REMOVED


async def test_an_uploaded_tokens_first_sync_runs_before_the_job_looks(desk: Desk) -> None:
    await desk.rooms.add_token("paris")
    await desk.background.idle()
    assert (await desk.synced()).is_first
