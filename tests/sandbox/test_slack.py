"""The Slack stand-in as the bot meets it: slack_sdk's own client on real HTTP, and signed requests."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.sandbox.visitor import Refused
from tests.fakes.clock import FakeClock
from tests.fakes.slack_world import SlackWorld, slack_world

Json = dict[str, Any]
CHANNEL = "C0ENROLL"
BUTTON: Json = {
    "type": "button",
    "action_id": "token.upload",
    "value": "tok_1",
    "text": {"type": "plain_text", "text": "Upload server token"},
}
CARD: list[Json] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*paris* awaits its token"}},
    {"type": "actions", "block_id": "steps", "elements": [BUTTON]},
]
MODAL: Json = {
    "type": "modal",
    "callback_id": "token.add",
    "private_metadata": "m",
    "title": {"type": "plain_text", "text": "Add a token"},
    "submit": {"type": "plain_text", "text": "Add"},
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 40},
        },
    ],
}


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[SlackWorld]:
    async with slack_world(clock) as made:
        yield made


async def open_modal(world: SlackWorld, view: Json) -> None:
    """Let the bot open a modal in answer to a command of ana's."""
    trigger: list[str] = []

    async def take_trigger(payload: Json) -> Response:
        trigger.append(payload["trigger_id"])
        return Response()

    world.bot.answer = take_trigger
    await world.visitor().types("/enroll token add")
    await world.slack.views_open(trigger_id=trigger[0], view=view)


async def test_auth_test_names_the_bot_and_its_team(world: SlackWorld) -> None:
    answer = await world.slack.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T0SANDBOX", "U0BOT", "B0ENROLL")


@pytest.mark.parametrize(("token", "word"), [("xoxb-wrong", "invalid_auth"), ("", "not_authed")])
async def test_a_wrong_or_missing_token_is_refused(world: SlackWorld, token: str, word: str) -> None:
    with pytest.raises(SlackApiError) as caught:
        await AsyncWebClient(token, base_url=world.standin.api_url).auth_test()
    assert caught.value.response["error"] == word


async def test_a_posted_message_reaches_members_and_history(world: SlackWorld) -> None:
    metadata = {"event_type": "alert", "event_payload": {"id": "AL-7"}}
    posted = await world.slack.chat_postMessage(
        channel=CHANNEL, text="paris awaits", blocks=CARD, metadata=metadata
    )
    seen = await world.visitor("cleo").sees("*paris* awaits its token")
    history = await world.slack.conversations_history(channel=CHANNEL, include_all_metadata=True, limit=1)
    assert seen.buttons == ["Upload server token"]
    assert history["messages"][0]["ts"] == posted["ts"]
    assert history["messages"][0]["metadata"] == metadata


async def test_metadata_is_left_out_of_history_unless_asked_for(world: SlackWorld) -> None:
    metadata = {"event_type": "alert", "event_payload": {}}
    await world.slack.chat_postMessage(channel=CHANNEL, text="x", metadata=metadata)
    history = await world.slack.conversations_history(channel=CHANNEL)
    assert "metadata" not in history["messages"][0]


async def test_an_update_keeps_the_place_and_marks_the_message_edited(world: SlackWorld) -> None:
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="before", blocks=CARD)
    await world.slack.chat_update(channel=CHANNEL, ts=posted["ts"], text="after", blocks=[])
    (message,) = await world.visitor().messages(CHANNEL)
    assert (message.raw["ts"], message.raw["text"], message.raw["blocks"]) == (posted["ts"], "after", [])
    assert message.raw["edited"]["user"] == "U0BOT"


async def test_replies_count_on_their_parent_and_broadcasts_stand_in_the_channel(world: SlackWorld) -> None:
    parent = await world.slack.chat_postMessage(channel=CHANNEL, text="sync started")
    await world.slack.chat_postMessage(channel=CHANNEL, text="page 1", thread_ts=parent["ts"])
    await world.slack.chat_postMessage(
        channel=CHANNEL, text="done", thread_ts=parent["ts"], reply_broadcast=True
    )
    history = await world.slack.conversations_history(channel=CHANNEL)
    replies = await world.slack.conversations_replies(channel=CHANNEL, ts=parent["ts"])
    assert [message["text"] for message in history["messages"]] == ["done", "sync started"]
    assert [message["text"] for message in replies["messages"]] == ["sync started", "page 1", "done"]
    assert history["messages"][1]["reply_count"] == 2


async def test_an_ephemeral_message_is_seen_by_one_person_and_stays_out_of_history(world: SlackWorld) -> None:
    await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="only you")
    history = await world.slack.conversations_history(channel=CHANNEL)
    assert [message.text for message in await world.visitor("ana").messages()] == ["only you"]
    assert await world.visitor("ben").messages() == []
    assert history["messages"] == []


async def test_a_deleted_message_is_gone_for_everybody(world: SlackWorld) -> None:
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="oops")
    await world.slack.chat_delete(channel=CHANNEL, ts=posted["ts"])
    assert await world.visitor().messages() == []


async def test_history_is_paged_by_cursor(world: SlackWorld) -> None:
    for number in range(5):
        await world.slack.chat_postMessage(channel=CHANNEL, text=str(number))
    pages = [
        [message["text"] for message in page["messages"]]
        async for page in await world.slack.conversations_history(channel=CHANNEL, limit=2)
    ]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": CHANNEL}, "no_text"),
        ({"channel": CHANNEL, "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": CHANNEL, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ({"channel": CHANNEL, "text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        ({"text": "x"}, "invalid_arguments"),
    ],
)
async def test_posts_are_refused_in_slacks_words(world: SlackWorld, arguments: Json, word: str) -> None:
    assert (await world.refusal("chat.postMessage", **arguments))[0] == word


async def test_a_bot_outside_a_channel_cannot_post_there(world: SlackWorld) -> None:
    world.standin.workspace.set_membership(CHANNEL, user_id="U0BOT", member=False)
    assert (await world.refusal("chat.postMessage", channel=CHANNEL, text="x"))[0] == "not_in_channel"


async def test_other_peoples_messages_cannot_be_changed(world: SlackWorld) -> None:
    await world.visitor().types("hello")
    (message,) = await world.visitor().messages()
    word, _ = await world.refusal("chat.update", channel=CHANNEL, ts=message.raw["ts"], text="x")
    assert word == "cant_update_message"


async def test_people_are_told_apart_by_users_info(world: SlackWorld) -> None:
    world.standin.workspace.change_user("U0CLEO", deleted=True)
    ana = (await world.slack.users_info(user="U0ANA"))["user"]
    cleo = (await world.slack.users_info(user="U0CLEO"))["user"]
    assert (ana["tz"], ana["profile"]["email"], ana["deleted"]) == ("Europe/Paris", "ana@example.com", False)
    assert (cleo["deleted"], cleo["is_restricted"], ana["is_restricted"]) == (True, True, False)
    assert (await world.refusal("users.info", user="U0NOBODY"))[0] == "user_not_found"


async def test_members_of_a_user_group_are_listed(world: SlackWorld) -> None:
    members = await world.slack.usergroups_users_list(usergroup="S0MDM")
    assert members["users"] == ["U0ANA", "U0BEN"]
    assert (await world.refusal("usergroups.users.list", usergroup="S0NONE"))[0] == "no_such_subteam"


async def test_a_direct_message_is_seen_by_its_person_alone(world: SlackWorld) -> None:
    opened = await world.slack.conversations_open(users="U0BEN")
    await world.slack.chat_postMessage(channel=opened["channel"]["id"], text="waiting on you")
    await world.visitor("ben").sees("waiting on you")
    assert await world.visitor("ana").messages() == []


async def test_a_file_of_the_bot_arrives_as_a_message_with_a_download(world: SlackWorld) -> None:
    channel = (await world.slack.conversations_open(users="U0ANA"))["channel"]["id"]
    await world.slack.files_upload_v2(
        channel=channel, filename="paris.pem", content=b"-----BEGIN", initial_comment="The certificate"
    )
    ana = world.visitor()
    await ana.sees("The certificate")
    assert await ana.downloads("paris.pem") == b"-----BEGIN"


async def test_files_are_served_to_the_bots_token_and_a_login_page_to_others(world: SlackWorld) -> None:
    file = world.standin.acts.uploaded("U0ANA", name="token.p7m", content=b"MIME")
    url = (await world.slack.files_info(file=file["id"]))["file"]["url_private_download"]
    async with httpx.AsyncClient(verify=False) as client:
        with_token = await client.get(url, headers={"Authorization": f"Bearer {world.standin.bot_token}"})
        without = await client.get(url)
    assert with_token.content == b"MIME"
    assert (without.status_code, without.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_a_persons_file_cannot_be_deleted_by_the_bot(world: SlackWorld) -> None:
    file = world.standin.acts.uploaded("U0ANA", name="token.p7m", content=b"MIME")
    assert (await world.refusal("files.delete", file=file["id"]))[0] == "cant_delete_file"
    assert (await world.refusal("files.info", file="F404"))[0] == "file_not_found"


async def test_a_command_arrives_signed_with_every_field_of_slacks(world: SlackWorld) -> None:
    await world.visitor("ben").types(
        "/enroll token set paris --owner @ana --channel #approvals --mdm-url https://m.example.com"
        " a@b.example <&>"
    )
    (payload,) = world.bot.payloads
    assert payload["text"] == (
        "token set paris --owner <@U0ANA|ana> --channel <#C0APPROVE|approvals> --mdm-url <https://m.example.com>"
        " <mailto:a@b.example|a@b.example> &lt;&amp;&gt;"
    )
    assert {key: payload[key] for key in ("command", "user_id", "team_id", "channel_id", "channel_name")} == {
        "command": "/enroll",
        "user_id": "U0BEN",
        "team_id": "T0SANDBOX",
        "channel_id": CHANNEL,
        "channel_name": "device-enrollment",
    }
    assert payload["is_enterprise_install"] == "false"
    assert payload["trigger_id"]
    assert payload["response_url"].startswith(world.standin.base_url)


async def test_the_body_of_an_acknowledgement_is_shown_to_the_caller_alone(world: SlackWorld) -> None:
    world.bot.answers({"text": "All well", "blocks": CARD})
    await world.visitor("ana").types("/enroll status")
    assert (await world.visitor("ana").sees("paris")).only_for_me
    assert await world.visitor("ben").messages() == []


async def test_an_in_channel_answer_is_seen_by_all(world: SlackWorld) -> None:
    world.bot.answers({"text": "All well", "response_type": "in_channel"})
    await world.visitor("ana").types("/enroll status")
    await world.visitor("ben").sees("All well")


async def test_a_bot_that_is_down_is_told_to_the_caller(world: SlackWorld) -> None:
    world.standin.bot_url = "http://127.0.0.1:9/slack/events"
    word = await world.visitor().types("/enroll status")
    seen = await world.visitor().sees('/enroll failed with the error "dispatch_failed"')
    assert word == "dispatch_failed"
    assert seen.raw["from"] == "slackbot"


async def test_a_bot_that_takes_too_long_is_told_to_the_caller(world: SlackWorld) -> None:
    async def never(payload: Json) -> Response:
        await world.standin.closing.wait()
        return Response()

    world.bot.answer = never
    world.standin.courier.patience = 0.05
    await world.visitor().types("/enroll status")
    await world.visitor().sees('/enroll failed with the error "operation_timeout"')


async def use(url: str, **body: Any) -> tuple[int, str]:
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.post(url, json=body)
    return answer.status_code, answer.text if answer.text == "ok" else answer.json()["error"]


async def test_a_response_url_serves_five_times(world: SlackWorld) -> None:
    await world.visitor().types("/enroll status")
    url = world.bot.payloads[0]["response_url"]
    answers = [await use(url, text=f"answer {number}") for number in range(6)]
    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert [message.only_for_me for message in await world.visitor().messages()] == [True] * 5


async def test_a_response_url_lives_thirty_minutes(world: SlackWorld, clock: FakeClock) -> None:
    await world.visitor().types("/enroll status")
    url = world.bot.payloads[0]["response_url"]
    clock.move(timedelta(minutes=30))
    in_time = await use(url, text="late")
    clock.move(timedelta(seconds=1))
    assert (in_time, await use(url, text="too late")) == ((200, "ok"), (404, "expired_url"))


async def test_a_response_url_replaces_and_deletes_the_message_it_came_from(world: SlackWorld) -> None:
    await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="page 1", blocks=CARD)
    ana = world.visitor()
    await ana.presses("Upload server token")
    url = world.bot.payloads[0]["response_url"]
    await use(url, replace_original=True, text="page 2")
    replaced = [message.text for message in await ana.messages()]
    await use(url, delete_original=True)
    assert (replaced, await ana.messages()) == (["page 2"], [])


async def test_a_response_url_refuses_blocks_that_slack_refuses(world: SlackWorld) -> None:
    await world.visitor().types("/enroll status")
    answer = await use(world.bot.payloads[0]["response_url"], blocks=[{"type": "nonsense"}])
    assert answer == (400, "invalid_blocks")


async def test_a_pressed_button_arrives_with_its_message_and_trigger(world: SlackWorld) -> None:
    posted = await world.slack.chat_postMessage(channel=CHANNEL, text="paris", blocks=CARD)
    await world.visitor("ben").presses("Upload server token")
    (payload,) = world.bot.payloads
    (action,) = payload["actions"]
    assert (payload["type"], payload["user"]["id"], payload["channel"]["id"]) == (
        "block_actions",
        "U0BEN",
        CHANNEL,
    )
    assert payload["container"]["message_ts"] == payload["message"]["ts"] == posted["ts"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("token.upload", "steps", "tok_1")
    assert payload["trigger_id"]
    assert payload["response_url"]


async def test_a_button_of_an_ephemeral_message_arrives_without_the_message(world: SlackWorld) -> None:
    await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="paris", blocks=CARD)
    await world.visitor().presses("Upload server token")
    (payload,) = world.bot.payloads
    assert payload["container"]["is_ephemeral"] is True
    assert "message" not in payload


async def test_a_button_that_one_does_not_see_cannot_be_pressed(world: SlackWorld) -> None:
    posted = await world.slack.chat_postEphemeral(channel=CHANNEL, user="U0ANA", text="paris", blocks=CARD)
    where = {"type": "message", "channel": CHANNEL, "ts": posted["message_ts"]}
    body = {"container": where, "block_id": "steps", "action_id": "token.upload"}
    async with httpx.AsyncClient(base_url=world.standin.base_url, verify=False) as client:
        answer = await client.post("/page/actions", params={"person": "U0BEN"}, json=body)
    assert (answer.status_code, answer.json()["error"]) == (404, "message_not_found")


async def test_what_was_typed_in_a_modal_arrives_on_submit_and_the_modal_closes(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    errors = await world.visitor().fills({"Name": "lyon"}, submit=True)
    payload = world.bot.payloads[-1]
    assert (payload["type"], payload["view"]["callback_id"]) == ("view_submission", "token.add")
    assert payload["view"]["private_metadata"] == "m"
    assert payload["view"]["state"]["values"] == {
        "name": {"value": {"type": "plain_text_input", "value": "lyon"}}
    }
    assert errors == {}
    assert await world.visitor().modal() is None


async def test_a_required_input_left_empty_never_reaches_the_bot(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    errors = await world.visitor().submits()
    assert errors == {"Name": "Please complete this required field."}
    assert [payload.get("type") for payload in world.bot.payloads] == [None]


async def test_errors_of_the_bot_keep_the_modal_open_at_their_inputs(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    world.bot.answers({"response_action": "errors", "errors": {"name": "There is a token named paris."}})
    errors = await world.visitor().fills({"Name": "paris"}, submit=True)
    assert errors == {"Name": "There is a token named paris."}
    assert await world.visitor().modal() is not None


async def test_an_error_at_an_unknown_input_is_trouble_for_the_person_and_a_complaint(
    world: SlackWorld,
) -> None:
    await open_modal(world, MODAL)
    world.bot.answers({"response_action": "errors", "errors": {"nosuch": "x"}})
    with pytest.raises(Refused, match="trouble connecting"):
        await world.visitor().fills({"Name": "paris"}, submit=True)
    assert len(world.standin.complaints) == 1


def titled(title: str) -> Json:
    return {**MODAL, "title": {"type": "plain_text", "text": title}}


async def test_an_answer_may_update_push_and_clear(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    ana = world.visitor()
    world.bot.answers({"response_action": "update", "view": titled("Checking")})
    await ana.fills({"Name": "lyon"}, submit=True)
    await ana.sees_modal("Checking")
    world.bot.answers({"response_action": "push", "view": titled("Second")})
    await ana.submits()
    await ana.sees_modal("Second")
    world.bot.answers({"response_action": "clear"})
    await ana.fills({"Name": "lyon"}, submit=True)
    await ana.sees_no_modal()
    assert world.standin.complaints == []


async def test_at_most_three_modals_stand_on_one_another(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    ana = world.visitor()
    for number in (2, 3):
        world.bot.answers({"response_action": "push", "view": titled(f"Modal {number}")})
        await ana.fills({"Name": "lyon"}, submit=True)
    await ana.fills({"Name": "lyon"})
    with pytest.raises(Refused, match="push_limit_reached"):
        await ana.submits()
    await ana.sees_modal("Modal 3")


async def test_closing_goes_back_one_modal_and_tells_the_bot_when_it_asked(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    ana = world.visitor()
    world.bot.answers({"response_action": "push", "view": {**titled("Second"), "notify_on_close": True}})
    await ana.fills({"Name": "lyon"}, submit=True)
    world.bot.answers("")
    await ana.closes()
    await ana.sees_modal("Add a token")
    await ana.closes()
    await world.standin.settled()
    closed = [payload for payload in world.bot.payloads if payload.get("type") == "view_closed"]
    assert [(payload["view"]["title"]["text"], payload["is_cleared"]) for payload in closed] == [
        ("Second", False)
    ]


async def test_an_updated_modal_is_found_by_id_and_refused_when_its_hash_is_old(world: SlackWorld) -> None:
    await open_modal(world, MODAL)
    modal = await world.visitor().sees_modal("Add a token")
    view_id, old_hash = modal.raw["id"], modal.raw["hash"]
    await world.slack.views_update(view_id=view_id, hash=old_hash, view=titled("Checked"))
    await world.visitor().sees_modal("Checked")
    word, _ = await world.refusal("views.update", view_id=view_id, hash=old_hash, view=titled("Again"))
    await world.visitor().closes()
    gone, _ = await world.refusal("views.update", view_id=view_id, view=titled("Again"))
    assert (word, gone) == ("hash_conflict", "not_found")


async def test_a_trigger_serves_once_and_for_three_seconds(world: SlackWorld, clock: FakeClock) -> None:
    ana = world.visitor()
    await ana.types("/enroll token add")
    await ana.types("/enroll token add")
    first, second = (payload["trigger_id"] for payload in world.bot.payloads)
    await world.slack.views_open(trigger_id=first, view=MODAL)
    used, _ = await world.refusal("views.open", trigger_id=first, view=MODAL)
    clock.move(timedelta(seconds=3.1))
    late, _ = await world.refusal("views.open", trigger_id=second, view=MODAL)
    unknown, _ = await world.refusal("views.open", trigger_id="1.2.3", view=MODAL)
    assert (used, late, unknown) == ("exchanged_trigger_id", "expired_trigger_id", "invalid_trigger_id")


async def test_a_file_put_into_a_modal_arrives_with_its_download_address(world: SlackWorld) -> None:
    element = {"type": "file_input", "action_id": "f", "filetypes": ["p7m"], "max_files": 1}
    label = {"type": "plain_text", "text": "Server token (.p7m)"}
    block = {"type": "input", "block_id": "p7m", "label": label, "element": element}
    await open_modal(world, {**MODAL, "blocks": [block]})
    await world.visitor().uploads("Server token (.p7m)", "srv.p7m", b"MIME", submit=True)
    (file,) = world.bot.payloads[-1]["view"]["state"]["values"]["p7m"]["f"]["files"]
    headers = {"Authorization": f"Bearer {world.standin.bot_token}"}
    async with httpx.AsyncClient(verify=False) as client:
        fetched = await client.get(file["url_private_download"], headers=headers)
    assert (file["name"], file["size"], fetched.content) == ("srv.p7m", 4, b"MIME")


async def test_opening_the_home_tab_is_an_event_and_its_view_is_published(world: SlackWorld) -> None:
    ana = world.visitor()
    await ana.opens_home()
    await world.standin.settled()
    (envelope,) = world.bot.payloads
    assert (envelope["type"], envelope["event"]["type"], envelope["event"]["tab"]) == (
        "event_callback",
        "app_home_opened",
        "home",
    )
    await world.slack.views_publish(user_id="U0ANA", view={"type": "home", "blocks": CARD})
    assert (await ana.sees_home("awaits its token")).buttons == ["Upload server token"]
    await ana.presses("Upload server token")
    assert world.bot.payloads[-1]["view"]["type"] == "home"


async def test_an_event_that_is_not_taken_in_is_repeated_with_its_number_and_reason(
    world: SlackWorld,
) -> None:
    refusals = [PlainTextResponse("no", 500), PlainTextResponse("no", 500), Response()]

    async def refuse_twice(payload: Json) -> Response:
        return refusals.pop(0)

    world.bot.answer = refuse_twice
    await world.visitor().opens_home()
    await world.standin.settled()
    numbers = [headers.get("x-slack-retry-num") for headers in world.bot.headers]
    assert numbers == [None, "1", "2"]
    assert world.bot.headers[1]["x-slack-retry-reason"] == "http_error"
    assert len({payload["event_id"] for payload in world.bot.payloads}) == 1


async def test_url_verification_hands_the_challenge_over(world: SlackWorld) -> None:
    async def echo(payload: Json) -> Response:
        return JSONResponse({"challenge": payload["challenge"]})

    world.bot.answer = echo
    assert (await world.standin.verify_url("abc")).json() == {"challenge": "abc"}


async def test_a_payload_is_delivered_twice_when_switched_on(world: SlackWorld) -> None:
    world.standin.faults.deliver_twice = 1
    await world.visitor().types("/enroll sync")
    await world.visitor().types("/enroll status")
    triggers = [payload["trigger_id"] for payload in world.bot.payloads]
    assert (len(triggers), len(set(triggers))) == (3, 2)


async def test_switched_on_refusals_limits_and_silence(world: SlackWorld) -> None:
    faults = world.standin.faults
    faults.refuse_posts = "restricted_action"
    refused, _ = await world.refusal("chat.postMessage", channel=CHANNEL, text="x")
    faults.reset()
    faults.rate_limit = 7
    with pytest.raises(SlackApiError) as limited:
        await world.slack.chat_postMessage(channel=CHANNEL, text="x")
    faults.reset()
    faults.down = True
    with pytest.raises(SlackApiError) as down:
        await world.slack.chat_postMessage(channel=CHANNEL, text="x")
    faults.reset()
    await world.slack.chat_postMessage(channel=CHANNEL, text="x")
    assert refused == "restricted_action"
    assert (limited.value.response.status_code, limited.value.response.headers["Retry-After"]) == (429, "7")
    assert down.value.response.status_code == 503


async def test_the_channel_limit_counts_only_when_switched_on(world: SlackWorld, clock: FakeClock) -> None:
    for number in range(6):
        await world.slack.chat_postMessage(channel=CHANNEL, text=str(number))
    world.standin.faults.channel_limit = True
    for number in range(3):
        await world.slack.chat_postMessage(channel=CHANNEL, text=str(number))
    limited, _ = await world.refusal("chat.postMessage", channel=CHANNEL, text="x")
    clock.move(timedelta(seconds=3))
    await world.slack.chat_postMessage(channel=CHANNEL, text="again")
    assert limited == "ratelimited"


async def test_a_dropped_answer_leaves_the_post_done(world: SlackWorld) -> None:
    world.standin.faults.drop_answers = 1
    headers = {"Authorization": f"Bearer {world.standin.bot_token}"}
    body = {"channel": CHANNEL, "text": "sent"}
    async with httpx.AsyncClient(verify=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{world.standin.api_url}chat.postMessage", json=body, headers=headers)
    await world.visitor().sees("sent")


async def test_one_method_is_refused_and_answers_held_back_when_switched_on(
    world: SlackWorld, clock: FakeClock
) -> None:
    world.standin.faults.refuse["views.publish"] = "not_enabled"
    world.standin.faults.slow = 20.0
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    assert (await world.refusal("views.publish", user_id="U0ANA", view=view))[0] == "not_enabled"
    await world.slack.chat_postMessage(channel=CHANNEL, text="x")
    assert clock.sleeps == [20.0, 20.0]


async def test_reading_direct_messages_needs_a_scope_of_its_own(clock: FakeClock) -> None:
    async with slack_world(clock, scopes=("channels:history", "chat:write")) as world:
        await world.slack.conversations_history(channel=CHANNEL)
        assert (await world.refusal("conversations.history", channel="D0ANA"))[0] == "missing_scope"


async def test_history_between_moments_that_are_none_is_refused(world: SlackWorld) -> None:
    word, _ = await world.refusal("conversations.history", channel=CHANNEL, oldest="yesterday")
    assert word == "invalid_ts_oldest"


async def test_a_change_of_a_user_group_is_an_event(world: SlackWorld) -> None:
    world.standin.change_group("S0MDM", users=["U0ANA", "U0CLEO"])
    await world.standin.settled()
    event = world.bot.payloads[0]["event"]
    assert (event["added_users"], event["removed_users"]) == (["U0CLEO"], ["U0BEN"])
    assert (await world.slack.usergroups_users_list(usergroup="S0MDM"))["users"] == ["U0ANA", "U0CLEO"]


async def test_a_missing_scope_is_named(clock: FakeClock) -> None:
    async with slack_world(clock, scopes=("chat:write",)) as world:
        assert (await world.refusal("conversations.history", channel=CHANNEL))[0] == "missing_scope"
        assert (await world.refusal("users.info", user="U0ANA"))[0] == "missing_scope"
        await world.slack.chat_postMessage(channel=CHANNEL, text="x")


async def test_the_request_log_shows_both_directions_without_secrets(world: SlackWorld) -> None:
    heard: list[Json] = []
    world.standin.log.listeners.append(heard.append)
    await world.visitor().types("/enroll status")
    await use(world.bot.payloads[0]["response_url"], text="All well")
    await world.slack.chat_postMessage(channel=CHANNEL, text="x", token=world.standin.bot_token)
    text = str(world.standin.log.entries())
    secret = world.bot.payloads[0]["response_url"].rpartition("/")[2]
    assert [entry["from"] for entry in heard] == ["slack", "bot", "bot"]
    assert "All well" in text
    for kept in (
        world.standin.bot_token,
        world.standin.signing_secret,
        secret,
        world.bot.payloads[0]["token"],
    ):
        assert kept not in text


async def test_a_restart_goes_on_with_everything_in_the_folder(clock: FakeClock, tmp_path: Path) -> None:
    async with slack_world(clock, folder=tmp_path) as world:
        await open_modal(world, MODAL)
        await world.slack.chat_postMessage(channel=CHANNEL, text="kept", blocks=CARD)
        await world.slack.views_publish(user_id="U0ANA", view={"type": "home", "blocks": CARD})
        before = world.standin.page.snapshot("U0ANA")
        token = world.standin.bot_token
    async with slack_world(clock, folder=tmp_path) as world:
        after = world.standin.page.snapshot("U0ANA")
        posted = await world.slack.chat_postMessage(channel=CHANNEL, text="later")
    for key in ("messages", "views", "home", "channels"):
        assert after[key] == before[key]
    assert world.standin.bot_token == token
    assert float(posted["ts"]) > float(before["messages"][CHANNEL][-1]["ts"])


async def test_two_folders_have_different_secrets(clock: FakeClock, tmp_path: Path) -> None:
    async with (
        slack_world(clock, folder=tmp_path / "a") as one,
        slack_world(clock, folder=tmp_path / "b") as two,
    ):
        assert one.standin.bot_token != two.standin.bot_token
        assert one.standin.signing_secret != two.standin.signing_secret
