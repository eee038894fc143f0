"""The page's calls over HTTP, as bot/sandbox/ui/API.md promises them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world

Json = dict[str, Any]
CHANNEL = "C0ENROLL"
ANA = {"person": "U0ANA"}


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    commands = [{"command": "/enroll", "usage_hint": "status", "description": "", "usages": []}]
    async with slack_world(clock, commands=commands, links={"abm_url": "http://127.0.0.1:1/abm"}) as made:
        yield made


@pytest.fixture
async def browser(world: SlackWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=world.standin.base_url, verify=False) as client:
        yield client


async def events(browser: httpx.AsyncClient, number: int, *, after: str = "", last: str = "") -> list[Json]:
    """Read that many events of ana's stream."""
    found: list[Json] = []
    headers = {"Last-Event-ID": last} if last else {}
    async with browser.stream("GET", "/page/events", params={**ANA, "after": after}, headers=headers) as live:
        event: Json = {}
        async for line in live.aiter_lines():
            key, _, value = line.partition(": ")
            if key in ("id", "event", "data"):
                event[key] = json.loads(value) if key == "data" else value
            elif not line and event:
                found.append(event)
                event = {}
                if len(found) == number:
                    break
    return found


async def test_there_are_three_people_to_choose_from(browser: httpx.AsyncClient) -> None:
    people = (await browser.get("/page/people")).json()["people"]
    assert [(person["name"], person["title"]) for person in people] == [
        ("ana", "admin"),
        ("ben", "approver"),
        ("cleo", "viewer"),
    ]


async def test_the_snapshot_has_every_documented_part(browser: httpx.AsyncClient) -> None:
    snapshot = (await browser.get("/page/snapshot", params=ANA)).json()
    assert set(snapshot) == {
        *(
            "ok",
            "event_id",
            "now",
            "team",
            "me",
            "users",
            "usergroups",
            "bot",
            "channels",
            "messages",
            "more",
        ),
        *("views", "home", "commands", "shortcuts", "links", "first_visit"),
    }
    assert [(channel["name"], channel["kind"]) for channel in snapshot["channels"]] == [
        ("device-enrollment", "channel"),
        ("approvals", "channel"),
        ("enrollbot", "im"),
    ]
    assert snapshot["links"] == {"abm_url": "http://127.0.0.1:1/abm"}
    assert snapshot["commands"][0]["usage_hint"] == "status"


@pytest.mark.parametrize("person", ["", "U0NOBODY", "U0BOT"])
async def test_an_unknown_person_is_a_clear_error(browser: httpx.AsyncClient, person: str) -> None:
    answer = await browser.get("/page/snapshot", params={"person": person})
    assert answer.status_code == 404
    assert answer.json() == {"ok": False, "error": "person_not_found", "text": "Choose who you are first."}


async def test_a_deactivated_person_cannot_act(world: SlackWorld, browser: httpx.AsyncClient) -> None:
    world.standin.workspace.change_user("U0BEN", deleted=True)
    answer = await browser.get("/page/snapshot", params={"person": "U0BEN"})
    assert answer.status_code == 404


async def test_an_unknown_channel_command_or_call_is_a_clear_error(browser: httpx.AsyncClient) -> None:
    nowhere = {"channel": "C0NOWHERE", "command": "/enroll", "text": ""}
    other = {"channel": CHANNEL, "command": "/giphy", "text": ""}
    answers = [
        await browser.post("/page/commands", params=ANA, json=nowhere),
        await browser.post("/page/commands", params=ANA, json=other),
        await browser.get("/page/nonsense", params=ANA),
        await browser.post(
            "/page/posts", params=ANA, content="{", headers={"Content-Type": "application/json"}
        ),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (404, "channel_not_found"),
        (404, "unknown_command"),
        (404, "unknown_path"),
        (400, "invalid_json"),
    ]


async def test_older_messages_come_page_by_page(world: SlackWorld, browser: httpx.AsyncClient) -> None:
    for number in range(5):
        await world.slack.chat_postMessage(channel=CHANNEL, text=str(number))
    query = {**ANA, "channel": CHANNEL, "limit": "2"}
    newest = (await browser.get("/page/messages", params=query)).json()
    older = (
        await browser.get("/page/messages", params={**query, "before": newest["messages"][0]["ts"]})
    ).json()
    assert [message["text"] for message in newest["messages"]] == ["3", "4"]
    assert [message["text"] for message in older["messages"]] == ["1", "2"]
    assert (newest["more"], older["more"]) == (True, True)


async def test_changes_arrive_live_for_those_who_see_them(
    world: SlackWorld, browser: httpx.AsyncClient
) -> None:
    after = world.standin.page.snapshot("U0ANA")["event_id"]
    await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0BEN", text="for ben")
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="for all")
    await world.slack.chat_delete(channel=CHANNEL, ts=posted["ts"])
    await world.slack.views_publish(user_id="U0ANA", view={"type": "home", "blocks": [{"type": "divider"}]})
    gone, home = await events(browser, 2, after=after)
    assert (gone["event"], gone["data"]) == ("message_gone", {"channel": CHANNEL, "ts": posted["ts"]})
    assert (home["event"], home["data"]["view"]["type"]) == ("home", "home")


async def test_a_stream_goes_on_where_it_broke_off(world: SlackWorld, browser: httpx.AsyncClient) -> None:
    after = world.standin.page.snapshot("U0ANA")["event_id"]
    await world.slack.chat_postMessage(channel=CHANNEL, text="one")
    await world.slack.chat_postMessage(channel=CHANNEL, text="two")
    first, _ = await events(browser, 2, after=after)
    (again,) = await events(browser, 1, after=after, last=first["id"])
    assert again["data"]["message"]["text"] == "two"


async def test_a_stream_of_another_run_starts_with_a_reset(browser: httpx.AsyncClient) -> None:
    (event,) = await events(browser, 1, last="earlier-7")
    assert (event["event"], event["data"]) == ("reset", {})


async def test_an_uploaded_file_is_posted_and_downloaded(browser: httpx.AsyncClient) -> None:
    query = {**ANA, "name": "serials ü.csv", "channel": CHANNEL, "text": "the list"}
    file = (await browser.post("/page/files", params=query, content=b"serial\n")).json()["file"]
    answer = await browser.get(file["url"])
    snapshot = (await browser.get("/page/snapshot", params={"person": "U0BEN"})).json()
    assert answer.content == b"serial\n"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert snapshot["messages"][CHANNEL][0]["files"][0]["url"].endswith("person=U0BEN")


async def test_a_file_that_one_does_not_see_is_not_served(browser: httpx.AsyncClient) -> None:
    file = (await browser.post("/page/files", params={**ANA, "name": "a.p7m"}, content=b"x")).json()["file"]
    answer = await browser.get(file["url"].replace("U0ANA", "U0BEN"))
    assert (answer.status_code, answer.json()["error"]) == (404, "file_not_found")


async def test_a_file_beyond_10_mb_is_refused(browser: httpx.AsyncClient) -> None:
    big = b"x" * (10 * 1024 * 1024 + 1)
    answer = await browser.post("/page/files", params={**ANA, "name": "a.p7m"}, content=big)
    assert (answer.status_code, answer.json()["error"]) == (413, "file_too_large")


async def test_options_of_an_external_select_are_asked_from_the_bot(
    world: SlackWorld, browser: httpx.AsyncClient
) -> None:
    options = [{"text": {"type": "plain_text", "text": "iPad"}, "value": "ipad"}]

    async def suggest(payload: Json) -> Response:
        return JSONResponse({"options": options})

    select = {"type": "external_select", "action_id": "model"}
    block = {"type": "actions", "block_id": "b", "elements": [select]}
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="x", blocks=[block])
    world.bot.answer = suggest
    container = {"type": "message", "channel": CHANNEL, "ts": posted["ts"]}
    body = {"container": container, "block_id": "b", "action_id": "model", "query": "ipa"}
    answer = await browser.post("/page/options", params=ANA, json=body)
    assert answer.json() == {"ok": True, "options": options}
    assert (world.bot.payloads[0]["type"], world.bot.payloads[0]["value"]) == ("block_suggestion", "ipa")


async def test_a_chosen_option_arrives_with_the_state_of_all_inputs(
    world: SlackWorld, browser: httpx.AsyncClient
) -> None:
    option = {"text": {"type": "plain_text", "text": "iPad"}, "value": "ipad"}
    select = {"type": "static_select", "action_id": "model", "options": [option]}
    note = {"type": "plain_text_input", "action_id": "note", "initial_value": "first"}
    label = {"type": "plain_text", "text": "Note"}
    blocks: list[Json] = [
        {"type": "actions", "block_id": "b", "elements": [select]},
        {"type": "input", "block_id": "n", "label": label, "element": note},
    ]
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    container = {"type": "message", "channel": CHANNEL, "ts": posted["ts"]}
    where = {"container": container, "block_id": "b", "action_id": "model"}
    await browser.post("/page/actions", params=ANA, json={**where, "value": {"selected_option": option}})
    (payload,) = world.bot.payloads
    assert payload["actions"][0]["selected_option"] == option
    assert payload["state"]["values"] == {
        "b": {"model": {"type": "static_select", "selected_option": option}},
        "n": {"note": {"type": "plain_text_input", "value": "first"}},
    }


@pytest.mark.parametrize("state", [[], {"b": []}, {"b": {"a": "typed"}}])
async def test_a_state_of_the_wrong_shape_is_refused(
    world: SlackWorld, browser: httpx.AsyncClient, state: object
) -> None:
    body = {"view_id": "V1", "state": state or "typed"}
    answer = await browser.post("/page/views/submit", params=ANA, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_arguments")


async def test_the_page_is_closed_while_the_bot_is_not_up(
    world: SlackWorld, browser: httpx.AsyncClient
) -> None:
    assert (await browser.get("/page/people")).status_code == 200
    world.standin.is_bot_up = False
    answer = await browser.get("/page/people")
    assert answer.status_code == 503
    assert "starting" in answer.json()["text"]


@pytest.mark.parametrize("host", ["rebound.example.com", "192.168.1.2:3000", ""])
async def test_only_loopback_names_are_answered(browser: httpx.AsyncClient, host: str) -> None:
    answer = await browser.get("/page/people", headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert "people" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_posts_from_other_sites_are_refused(
    browser: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    body = {"channel": CHANNEL, "text": "hello"}
    assert (await browser.post("/page/posts", params=ANA, json=body, headers=headers)).status_code == status


async def test_posts_of_the_page_itself_are_taken(world: SlackWorld, browser: httpx.AsyncClient) -> None:
    body = {"channel": CHANNEL, "text": "hello"}
    headers = {"Origin": world.standin.base_url}
    assert (await browser.post("/page/posts", params=ANA, json=body, headers=headers)).status_code == 200


async def test_faults_are_switched_over_http(world: SlackWorld, browser: httpx.AsyncClient) -> None:
    await browser.post("/_control/faults", json={"refuse_posts": "restricted_action"})
    refused, _ = await world.refusal("chat.postMessage", channel=CHANNEL, text="x")
    unknown = await browser.post("/_control/faults", json={"nonsense": 1})
    await browser.delete("/_control/faults")
    await world.slack.chat_postMessage(channel=CHANNEL, text="x")
    log = (await browser.get("/_control/requests")).json()["requests"]
    assert (refused, unknown.status_code) == ("restricted_action", 400)
    assert [entry["answer"]["ok"] for entry in log] == [False, True]


async def test_files_outside_the_static_folder_are_not_served(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/static/..%2Frun.py")
    assert answer.status_code == 404


async def test_live_streams_end_when_the_stand_in_closes(
    world: SlackWorld, browser: httpx.AsyncClient
) -> None:
    async with browser.stream("GET", "/page/events", params=ANA, timeout=5) as live:
        lines = live.aiter_lines()
        assert await anext(lines) == ": connected"
        await world.standin.close()
        assert [line async for line in lines if line] == []
