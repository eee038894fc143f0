"""Commands, buttons and modals through the door, Bolt and the dispatcher, as Slack would send them."""

import asyncio
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import Message as Part
from starlette.types import Receive, Scope, Send

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import Message, View, button, modal, section
from bot.slack.call import Call, FieldErrors
from bot.slack.commands import Option, Spec
from bot.slack.dispatch import CHECK_WITHIN_S
from tests.slack.bot import Bot
from tests.slack.web_api import Fault


class TokenNotFound(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("No token <!channel> is called lyon.", next_step="Type `/enroll token`.")


def a_view(title: str = "Next") -> View:
    return modal(title=title, callback_id="next", blocks=[section("what follows")], private_metadata="id-1")


def register(bot: Bot, handler: Any, *, role: Role = Role.VIEWER, spec: Spec | None = None) -> None:
    bot.router.command(
        "token show", role=role, usage="token show NAME", summary="", spec=spec, handler=handler
    )


async def test_a_command_reaches_its_handler_with_its_arguments(bot: Bot) -> None:
    seen: list[Any] = []

    async def show(call: Call) -> None:
        args = call.args
        seen.append(
            (args.required("NAME"), args.option("--apple-id"), call.actor.rights.highest, call.channel_id)
        )

    register(bot, show, spec=Spec(("NAME",), options=(Option("--apple-id", "ID"),)))
    await bot.command("token show paris —apple-id <mailto:a@b.org|a@b.org>")
    assert seen == [("paris", "a@b.org", Role.ADMIN, "C1")]


async def test_a_known_error_is_told_calmly_and_pings_nobody(bot: Bot) -> None:
    async def show(_call: Call) -> None:
        raise TokenNotFound

    register(bot, show, spec=Spec(("NAME",)))
    await bot.command("token show lyon")
    assert bot.said == "No token &lt;!channel&gt; is called lyon.\nType `/enroll token`."
    assert bot.web.answers[-1]["response_type"] == "ephemeral"


async def test_an_unexpected_error_is_told_with_a_reference(
    bot: Bot, capsys: pytest.CaptureFixture[str]
) -> None:
    async def show(_call: Call) -> None:
        raise ZeroDivisionError("the token is xoxb-secret")

    register(bot, show)
    response = await bot.command("token show")
    assert response.status_code == 200
    reference = re.search(r"\(reference ([0-9A-F]{8})\)", bot.said)
    assert reference
    assert "ZeroDivision" not in bot.said
    assert "secret" not in bot.said
    logged = capsys.readouterr()
    assert reference[1] in logged.out + logged.err


async def test_a_role_too_low_is_named_with_who_can_grant_it(bot: Bot) -> None:
    ran: list[str] = []

    async def show(_call: Call) -> None:
        ran.append("ran")

    register(bot, show, role=Role.ADMIN)
    await bot.command("token show", user="UVIEW")
    assert bot.said == "This needs the role admin.\n<@UADMIN> can grant it."
    assert ran == []


async def test_the_next_step_that_an_error_names_has_its_button_for_who_may_press_it(bot: Bot) -> None:
    class Missing(EnrollbotError):
        pass

    async def show(_call: Call) -> None:
        raise Missing("There is none yet.", next_step="Upload one.")

    register(bot, show)
    made = button("Upload", action_id="x.upload")
    bot.router.offer(Missing, role=Role.ADMIN, buttons=lambda _: [made])
    await bot.command("token show")
    assert bot.web.answers[-1]["blocks"][-1]["elements"] == [made]
    await bot.command("token show", user="UVIEW")
    assert [block["type"] for block in bot.web.answers[-1]["blocks"]] == ["section"]


async def test_a_misspelt_command_is_answered_with_the_nearest(bot: Bot) -> None:
    async def show(_call: Call) -> None: ...

    register(bot, show)
    await bot.command("token shwo")
    assert "Did you mean `/enroll token show`?" in bot.said


async def test_a_slow_handler_does_not_hold_up_the_acknowledgement(bot: Bot) -> None:
    gate = asyncio.Event()

    async def show(call: Call) -> None:
        await gate.wait()
        await call.answer("done")

    register(bot, show)
    loop = asyncio.get_running_loop()
    took_s = []
    for _ in range(20):
        sent = loop.time()
        response = await bot.send(urlencode(bot.command_fields("token show")).encode())
        took_s.append(loop.time() - sent)
        assert (response.status_code, response.content) == (200, b"")
    assert bot.web.answers == []
    assert sorted(took_s)[-1] < 0.3
    gate.set()
    await bot.background.idle()
    assert [answer["text"] for answer in bot.web.answers] == ["done"] * 20


async def test_the_same_delivery_runs_once(bot: Bot) -> None:
    ran: list[str] = []

    async def show(_call: Call) -> None:
        ran.append("ran")

    register(bot, show)
    for _ in range(2):
        await bot.command("token show", trigger_id="the.same")
    await bot.command("token show", trigger_id="another")
    assert ran == ["ran", "ran"]


async def test_a_button_reaches_its_handler_with_its_value(bot: Bot) -> None:
    seen: list[str] = []

    async def upload(call: Call) -> None:
        seen.append(call.value)
        await call.answer("taken", replace=True)

    bot.router.action("token.upload", role=Role.ADMIN, handler=upload)
    await bot.press("token.upload", "id-1")
    assert seen == ["id-1"]
    assert bot.web.answers[-1]["replace_original"] is True


async def test_a_button_is_no_permission(bot: Bot) -> None:
    async def upload(call: Call) -> None:
        await call.answer("taken")

    bot.router.action("token.upload", role=Role.ADMIN, handler=upload)
    await bot.press("token.upload", "id-1", user="UVIEW")
    assert "needs the role admin" in bot.said


async def test_a_button_of_an_earlier_version_says_so(bot: Bot) -> None:
    await bot.press("token.gone")
    assert "earlier version" in bot.said


async def test_a_link_button_is_answered_with_nothing(bot: Bot) -> None:
    action = {"action_id": "x1", "type": "button", "url": "https://business.apple.com"}
    await bot.press("", actions=[action])
    assert bot.web.answers == []


async def test_a_selected_option_is_the_value(bot: Bot) -> None:
    seen: list[str] = []

    async def pick(call: Call) -> None:
        seen.append(call.value)

    bot.router.action("page", role=Role.VIEWER, handler=pick)
    await bot.press("page", actions=[{"action_id": "page", "selected_option": {"value": "2"}}])
    assert seen == ["2"]


async def test_a_modal_opens_with_its_metadata_and_is_answered_where_it_came_from(bot: Bot) -> None:
    seen: list[str] = []

    async def add(call: Call) -> None:
        await call.open_modal(modal(title="Add", callback_id="add", blocks=[], private_metadata="id-7"))
        seen.append(call.view_id)

    async def then(call: Call) -> None:
        seen.append(call.metadata)
        await call.answer("added")

    bot.router.command("token add", role=Role.ADMIN, usage="", summary="", handler=add)
    bot.router.submission("add", role=Role.ADMIN, then=then)
    await bot.command("token add")
    opened = bot.web.called("views.open")[-1]["view"]
    await bot.interact(bot.submission("add", private_metadata=opened["private_metadata"]))
    assert seen == ["VNEW", "id-7"]
    whispered = bot.web.called("chat.postEphemeral")[-1]
    assert (whispered["channel"], whispered["user"], whispered["text"]) == ("C1", "UADMIN", "added")


async def test_field_errors_keep_the_modal_open(bot: Bot) -> None:
    then_ran: list[str] = []

    async def check(call: Call) -> View | None:
        raise FieldErrors({"name": f"{call.state.text('name')} is taken.", "elsewhere": "Agree first."})

    async def then(_call: Call) -> None:
        then_ran.append("ran")

    bot.router.submission("add", role=Role.ADMIN, check=check, then=then)
    payload = bot.submission(
        "add",
        state={"values": {"name": {"value": {"type": "plain_text_input", "value": " paris "}}}},
        blocks=[{"type": "section"}, {"type": "input", "block_id": "name"}],
    )
    response = await bot.interact(payload)
    assert response.json() == {
        "response_action": "errors",
        "errors": {"name": "paris is taken. Agree first."},
    }
    assert then_ran == []


async def test_a_check_may_show_another_view_which_the_work_updates(bot: Bot) -> None:
    async def check(_call: Call) -> View | None:
        return a_view()

    async def then(call: Call) -> None:
        await call.update_modal(a_view("Done"))

    bot.router.submission("add", role=Role.ADMIN, check=check, then=then)
    response = await bot.interact(bot.submission("add"))
    assert response.json()["response_action"] == "update"
    updated = bot.web.called("views.update")[-1]
    assert (updated["view_id"], updated["view"]["title"]["text"]) == ("V1", "Done")


async def test_work_that_updates_the_modal_waits_until_the_acknowledgement_has_gone_out(bot: Bot) -> None:
    async def check(_call: Call) -> View | None:
        return a_view()

    async def then(call: Call) -> None:
        await call.update_modal(a_view("Done"))

    updates_at_each_part: list[int] = []
    edge = bot.app.edge()

    async def slow_door(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly(part: Part) -> None:
            for _ in range(200):
                await asyncio.sleep(0)
            updates_at_each_part.append(len(bot.web.called("views.update")))
            await send(part)

        await edge(scope, receive, slowly)

    bot.router.submission("add", role=Role.ADMIN, check=check, then=then)
    bot.app.edge = lambda: slow_door  # type: ignore[method-assign, assignment, return-value]
    await bot.interact(bot.submission("add"))
    assert updates_at_each_part == [0, 0]
    assert len(bot.web.called("views.update")) == 1


async def test_what_a_closed_modal_would_have_said_is_said_directly(bot: Bot) -> None:
    async def then(call: Call) -> None:
        await call.update_modal(a_view("Done"))

    bot.router.submission("add", role=Role.ADMIN, then=then)
    bot.web.fail("views.update", Fault(error="not_found"))
    await bot.interact(bot.submission("add"))
    assert bot.web.messages["DUADMIN"][0]["text"] == "*Done*\nwhat follows"


async def test_an_error_of_a_check_is_shown_in_the_modal(bot: Bot) -> None:
    async def check(_call: Call) -> View | None:
        raise TokenNotFound

    bot.router.submission("add", role=Role.ADMIN, check=check)
    response = await bot.interact(bot.submission("add"))
    assert response.json()["response_action"] == "update"
    assert "is called lyon" in json.dumps(response.json()["view"]["blocks"])


async def test_a_role_too_low_is_shown_in_the_modal(bot: Bot) -> None:
    bot.router.submission("add", role=Role.ADMIN)
    response = await bot.interact(bot.submission("add", user="UVIEW"))
    assert "needs the role admin" in json.dumps(response.json())


async def test_an_error_after_a_view_was_shown_takes_its_place(bot: Bot) -> None:
    async def check(_call: Call) -> View | None:
        return a_view()

    async def then(_call: Call) -> None:
        raise TokenNotFound

    bot.router.submission("add", role=Role.ADMIN, check=check, then=then)
    await bot.interact(bot.submission("add"))
    assert "is called lyon" in json.dumps(bot.web.called("views.update")[-1])


async def test_an_error_of_a_button_in_a_modal_is_put_on_top(bot: Bot) -> None:
    async def press(_call: Call) -> None:
        raise TokenNotFound

    bot.router.action("more", role=Role.VIEWER, handler=press)
    view = {"id": "V1", "type": "modal", "private_metadata": "id-1"}
    await bot.press("more", view=view, channel=None, response_url=None)
    assert "is called lyon" in json.dumps(bot.web.called("views.push")[-1])


async def test_a_check_that_takes_too_long_is_acknowledged_and_shown_later(bot: Bot) -> None:
    gate = asyncio.Event()

    async def check(_call: Call) -> View | None:
        await gate.wait()
        return a_view("At last")

    bot.router.submission("add", role=Role.ADMIN, check=check)
    payload = bot.submission("add")
    loop = asyncio.get_running_loop()
    sent = loop.time()
    sending = asyncio.create_task(bot.interact(payload))
    loop.call_later(CHECK_WITHIN_S + 0.2, gate.set)
    response = await sending
    assert loop.time() - sent < CHECK_WITHIN_S + 2
    assert response.json()["view"]["title"]["text"] == "One moment"
    assert bot.web.called("views.update")[-1]["view"]["title"]["text"] == "At last"


async def test_a_modal_that_comes_too_late_is_explained(bot: Bot) -> None:
    async def add(call: Call) -> None:
        await call.open_modal(a_view())

    bot.router.command("token add", role=Role.ADMIN, usage="", summary="", handler=add)
    bot.web.fail("views.open", Fault(error="expired_trigger_id"))
    await bot.command("token add")
    assert "three seconds" in bot.said


async def test_an_answer_after_five_uses_goes_directly(bot: Bot) -> None:
    async def show(call: Call) -> None:
        for number in range(6):
            await call.answer(f"answer {number}")

    register(bot, show)
    await bot.command("token show")
    assert len(bot.web.answers) == 5
    assert bot.web.messages["DUADMIN"][0]["text"] == "answer 5"


async def test_an_answer_after_half_an_hour_goes_directly(bot: Bot) -> None:
    async def show(call: Call) -> None:
        bot.clock.move(timedelta(minutes=30))
        await call.answer(Message("late"))

    register(bot, show)
    await bot.command("token show")
    assert bot.web.answers == []
    assert bot.web.messages["DUADMIN"][0]["text"] == "late"


async def test_an_answer_that_slack_no_longer_takes_goes_directly(bot: Bot) -> None:
    async def show(call: Call) -> None:
        await call.answer("late")

    register(bot, show)
    bot.web.answer_status = 404
    await bot.command("token show")
    assert bot.web.messages["DUADMIN"][0]["text"] == "late"


async def test_an_answer_is_sent_to_slack_only(bot: Bot) -> None:
    async def show(call: Call) -> None:
        await call.answer("to whom")

    register(bot, show)
    await bot.command("token show", response_url="https://hooks.slack.com.example.org/x")
    assert bot.web.messages["DUADMIN"][0]["text"] == "to whom"


async def test_a_file_goes_by_direct_message(bot: Bot) -> None:
    async def show(call: Call) -> None:
        await call.send_file(name="paris.pem", content=b"PEM", comment="Upload this in ABM.")

    register(bot, show)
    await bot.command("token show")
    done = bot.web.called("files.completeUploadExternal")[-1]
    assert bot.web.uploads == [b"PEM"]
    assert (done["channel_id"], done["initial_comment"]) == ("DUADMIN", "Upload this in ABM.")


async def test_the_home_tab_is_published_when_it_is_opened(bot: Bot) -> None:
    async def opened(call: Call) -> None:
        assert call.event["tab"] == "home"
        await call.publish_home({"type": "home", "blocks": []})

    bot.router.event("app_home_opened", role=Role.VIEWER, handler=opened)
    for user in ("UVIEW", "UNONE"):
        event = {"type": "app_home_opened", "user": user, "channel": f"D{user}", "tab": "home"}
        told = {"type": "event_callback", "team_id": "T1", "event_id": f"E{user}", "event": event}
        await bot.send(json.dumps(told).encode(), "application/json")
        await bot.background.idle()
    assert [call["user_id"] for call in bot.web.called("views.publish")] == ["UVIEW"]


async def test_a_deactivated_person_may_nothing(bot: Bot) -> None:
    async def show(call: Call) -> None:
        await call.answer("shown")

    register(bot, show)
    bot.web.add_user("UADMIN", deleted=True)
    await bot.command("token show")
    assert "needs the role viewer" in bot.said
