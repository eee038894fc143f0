import asyncio

import pytest

from bot.kit.actor import NotAllowed, Role
from bot.slack import telling
from bot.slack.blocks import Message
from bot.slack.call import FieldErrors
from bot.slack.commands import UsageMismatch
from bot.tokens.errors import FormWrong, NothingToSet, TokenAwaited, TokenUnknown
from bot.tokens.facts import TokenState
from tests.tokens.conftest import ANA, OLE, SCHOOLS_ADMIN, Room
from tests.tokens.desk import Desk, Outlet, buttons, said, ticked, typed


class AnnouncingOutlet(Outlet):
    """Says when the person has been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    async def respond(self, url: str, message: Message, *, replace: bool) -> bool:
        self.answered.set()
        return await super().respond(url, message, replace=replace)


@pytest.fixture
def desk(room: Room) -> Desk:
    return Desk(room)


def new_token(**changed: object) -> dict[str, object]:
    return {
        "name": typed("paris"),
        "apple_id": typed("ade@example.com"),
        "mdm_url": typed(""),
        "tags": typed("schools"),
        "agree": ticked("agree"),
        **changed,
    }


async def test_a_token_is_added_by_one_line(desk: Desk) -> None:
    await desk.type("token add paris --apple-id ade@example.com --tags schools,fr --agree")
    (answer,) = desk.outlet.answers
    assert "Token paris added" in answer.text
    assert "1. Make a new server named *paris* in ABM." in said(answer)
    assert list(buttons(answer)) == ["Get certificate", "Upload server token"]
    assert desk.outlet.sent["paris.pem"].startswith(b"-----BEGIN CERTIFICATE")
    assert (await desk.room.tokens.get("paris", actor=ANA)).tags == {"schools", "fr"}


async def test_the_modal_has_the_inputs_that_people_script_against(desk: Desk) -> None:
    await desk.type("token add")
    view = desk.outlet.view
    assert view is not None
    labels = [block["label"]["text"] for block in view["blocks"]]
    assert labels[:4] == ["Name", "Apple ID", "MDM server URL", "Scope tags"]
    options = view["blocks"][4]["element"]["options"]
    assert [option["text"]["text"] for option in options] == [
        "I agree that user and device information is sent to Apple"
    ]


async def test_a_token_is_added_by_the_modal_and_its_steps_stay_in_direct_messages(desk: Desk) -> None:
    await desk.type("token add paris")
    assert desk.outlet.view is not None
    assert desk.outlet.view["blocks"][0]["element"]["initial_value"] == "paris"
    await desk.send(new_token())
    assert "1. Make a new server named *paris* in ABM." in said(desk.outlet.view)
    assert "Upload server token" in buttons(desk.outlet.view)
    assert said(desk.outlet.directs[0]) == said(desk.outlet.view)
    assert list(desk.outlet.sent) == ["paris.pem"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": typed("pa ris")}, "name"),
        ({"name": typed("LYON")}, "name"),
        ({"apple_id": typed("ade")}, "apple_id"),
        ({"mdm_url": typed("http://mdm.example.com")}, "mdm_url"),
        ({"tags": typed("a/b")}, "tags"),
        ({"agree": ticked()}, "agree"),
    ],
)
async def test_a_fault_is_shown_at_its_input(desk: Desk, wrong: dict[str, object], field: str) -> None:
    await desk.room.add("lyon")
    await desk.type("token add")
    with pytest.raises(FieldErrors) as refused:
        await desk.send(new_token(**wrong))
    assert list(refused.value.errors) == [field]
    assert len(await desk.room.tokens.list_tokens(actor=ANA)) == 1


async def test_all_faults_are_shown_at_once(desk: Desk) -> None:
    await desk.type("token add")
    wrong = {"name": typed("."), "apple_id": typed("x"), "mdm_url": typed("y"), "tags": typed("a/b")}
    with pytest.raises(FieldErrors) as refused:
        await desk.send(new_token(**wrong, agree=ticked()))
    assert set(refused.value.errors) == {"name", "apple_id", "mdm_url", "tags", "agree"}
    with pytest.raises(FormWrong) as listed:
        await desk.type("token add unassigned --apple-id x --mdm-url y --tags a/b")
    assert len(listed.value.faults) == 5


async def test_an_option_without_the_apple_id_says_what_is_missing(desk: Desk) -> None:
    with pytest.raises(UsageMismatch, match="--apple-id"):
        await desk.type("token add paris --agree")


async def test_the_same_command_delivered_twice_is_answered_once(desk: Desk) -> None:
    for _ in range(2):
        await desk.type("token add paris --apple-id ade@example.com --agree", delivery="SAME")
        # A second name would show that the second delivery did something.
    assert len(desk.outlet.answers) == 1


async def test_a_file_is_uploaded_and_the_channel_told(desk: Desk) -> None:
    room = desk.room
    token = await room.add()
    content = await room.file_for(token, room.backend.server("paris"))
    await desk.type("token upload paris")
    view = desk.outlet.view
    assert view is not None
    assert view["blocks"][1]["label"]["text"] == "Server token (.p7m)"
    await desk.upload(content)
    assert "*Token paris is active*, uploaded by <@UANA>" in said(desk.outlet.view)
    ((channel, message),) = desk.channel.posts
    assert channel == "COPS"
    assert "Example Trust · MDM server in ABM: paris · made by ade@example.com" in said(message)
    assert "(365 days left)" in said(message)


async def test_the_tokens_own_channel_is_told_instead_of_the_bots(desk: Desk) -> None:
    token = await desk.room.add()
    await desk.type("token set paris --channel <#C0TEAM1|team> --warn 60,30")
    assert "<#C0TEAM1>" in said(desk.outlet.answers[0])
    assert "Warns 60, 30 days before expiry" in said(desk.outlet.answers[0])
    await desk.type("token upload paris")
    await desk.upload(await desk.room.file_for(token, desk.room.backend.server("paris")))
    assert [channel for channel, _ in desk.channel.posts] == ["C0TEAM1"]
    assert [wish.channel for wish in await desk.room.wishes()] == ["C0TEAM1"]


async def test_a_certificate_uploaded_by_mistake_offers_both_next_steps(desk: Desk) -> None:
    token = await desk.room.add()
    await desk.type("token upload paris")
    await desk.upload((await desk.room.certificate(token)).encode())
    assert "This is a certificate, not a server token." in said(desk.outlet.view)
    assert list(buttons(desk.outlet.view)) == ["Get certificate", "Upload server token"]
    assert desk.channel.posts == []


async def test_a_file_of_another_token_can_be_uploaded_there_at_once(desk: Desk) -> None:
    room = desk.room
    await room.installed("paris", days=14)
    lyon, server = await room.installed("lyon", days=20)
    content = await room.file_for(lyon, server)
    await desk.type("token upload paris")
    await desk.upload(content)
    shown = said(desk.outlet.view)
    assert "*Not renewed: this file belongs to another MDM server*" in shown
    assert "paris: Apple still accepts the current token (14 days left)." in shown
    assert "lyon: generating this file ended its former token, so it is needed there now." in shown
    assert list(buttons(desk.outlet.view)) == ["Upload to lyon", "Upload server token"]
    await desk.press(buttons(desk.outlet.view)["Upload to lyon"])
    await desk.upload(content)
    assert "*Token lyon renewed* by <@UANA>" in said(desk.outlet.view)


async def test_a_wrong_server_names_both_and_what_still_works(desk: Desk) -> None:
    room = desk.room
    paris, paris_server = await room.installed("paris", days=14)
    paris_server.generate_token("never uploaded")
    content = room.backend.server("lyon").generate_token(await room.certificate(paris))
    await desk.type("token upload paris")
    await desk.upload(content)
    shown = said(desk.outlet.view)
    assert "It was made for server lyon; token paris needs one made for server paris." in shown
    assert "Apple no longer accepts the current token; new devices get no profile" in shown
    assert "Next: In ABM, open server paris" in shown


async def test_a_server_made_again_offers_to_add_it(desk: Desk) -> None:
    room = desk.room
    paris, _ = await room.installed("paris")
    again = room.backend.server("paris", uuid="F" * 32)
    await desk.type("token upload paris")
    await desk.upload(again.generate_token(await room.certificate(paris)))
    await desk.press(buttons(desk.outlet.view)["Add token"])
    assert desk.outlet.view is not None
    assert desk.outlet.view["title"]["text"] == "Add a token"


async def test_a_renewal_warns_first_and_then_names_old_and_new(desk: Desk) -> None:
    room = desk.room
    token, server = await room.installed(days=14)
    await desk.type("token renew paris")
    shown = said(desk.outlet.answers[0])
    assert "*Before you begin:* Generating a new token in ABM ends the current one at once." in shown
    assert "*Who signs in:* *ade@example.com*" in shown
    assert "*Server in ABM:* *paris*" in shown
    assert "2. Open server *paris*." in shown
    assert "Apple still accepts the current token." in shown
    await desk.press(buttons(desk.outlet.answers[0])["Upload server token"])
    await desk.upload(await room.file_for(token, server))
    message = desk.channel.posts[0][1]
    assert "*Token paris renewed* by <@UANA>" in said(message)
    assert "→" in said(message)
    assert "Same MDM server, same organisation. Made by ade@example.com, as before." in said(message)
    assert "(365 days left)" in message.text


async def test_a_token_without_a_server_token_offers_the_upload(desk: Desk) -> None:
    token = await desk.room.add()
    with pytest.raises(TokenAwaited) as refused:
        await desk.type("token renew paris")
    (button,) = desk.router.offers_for(refused.value, Role.ADMIN)
    assert (button["text"]["text"], button["value"]) == ("Upload server token", token.id)
    assert desk.router.offers_for(refused.value, Role.OPERATOR) == []


async def test_a_new_key_pair_comes_with_its_certificate(desk: Desk) -> None:
    token, _ = await desk.room.installed()
    first = await desk.room.certificate(token)
    await desk.type("token renew paris --new-key")
    assert desk.outlet.sent["paris.pem"].decode() != first
    assert list(buttons(desk.outlet.answers[0])) == ["Upload server token", "Get certificate"]


async def test_a_result_is_answered_when_the_modal_was_closed_meanwhile(desk: Desk) -> None:
    token = await desk.room.add()
    content = await desk.room.file_for(token, desk.room.backend.server("paris"))
    await desk.type("token upload paris")

    async def close(_method: str) -> None:
        desk.outlet.view = None

    desk.room.backend.servers[next(iter(desk.room.backend.servers))].on_call = close
    await desk.upload(content)
    assert "Token paris is active" in desk.outlet.answers[-1].text


async def test_a_refusal_keeps_its_buttons_when_the_modal_was_closed_meanwhile(desk: Desk) -> None:
    await desk.room.add()
    await desk.type("token upload paris")
    desk.outlet.closes_after_check = True
    await desk.upload(b"%PDF-1.7")
    assert list(buttons(desk.outlet.answers[-1])) == ["Get certificate", "Upload server token"]


async def test_a_channel_that_refuses_leaves_the_work_done_and_says_so(desk: Desk) -> None:
    token = await desk.room.add()
    desk.channel.refuses = True
    await desk.type("token upload paris")
    await desk.upload(await desk.room.file_for(token, desk.room.backend.server("paris")))
    assert (await desk.room.look(token)).state is TokenState.ACTIVE
    assert "This is done, but <#COPS> could not be told" in desk.outlet.answers[-1].text


async def test_without_any_channel_nothing_is_posted(room: Room) -> None:
    desk = Desk(room, channel=None)
    token = await room.add()
    await desk.type("token upload paris")
    await desk.upload(await room.file_for(token, room.backend.server("paris")))
    assert desk.channel.posts == []
    assert desk.outlet.answers == []


async def test_upload_wants_one_file(desk: Desk) -> None:
    await desk.room.add()
    await desk.type("token upload paris")
    with pytest.raises(FieldErrors) as refused:
        await desk.send({"file": {"type": "file_input", "files": []}})
    assert list(refused.value.errors) == ["file"]


async def test_an_empty_file_is_called_empty(desk: Desk) -> None:
    await desk.room.add("lyon")
    await desk.room.installed("paris")
    for name in ("lyon", "paris"):
        await desk.type(f"token upload {name}")
        await desk.upload(b"\n")
        assert "The file is empty." in said(desk.outlet.view)


async def test_setting_nothing_says_what_can_be_set(desk: Desk) -> None:
    await desk.room.add()
    with pytest.raises(NothingToSet, match="These can be set: --mdm-url URL"):
        await desk.type("token set paris")


async def test_tags_are_shown_replaced_and_cleared_and_the_channel_told_of_changes(desk: Desk) -> None:
    await desk.room.add("paris", tags=("schools",))
    await desk.type("token tag paris")
    assert "`schools`" in said(desk.outlet.answers[-1])
    assert "`/enroll token tag paris none` clears them" in said(desk.outlet.answers[-1])
    await desk.type("token tag paris fr,eu")
    assert "`eu`, `fr`" in said(desk.channel.posts[-1][1])
    await desk.type("token tag paris eu fr")
    assert len(desk.channel.posts) == 1
    assert "*Tags of paris set:* `eu`, `fr`" in said(desk.outlet.answers[-1])
    for clearing in ("none", '""'):
        await desk.type("token tag paris eu")
        await desk.type(f"token tag paris {clearing}")
        assert (await desk.room.tokens.get("paris", actor=ANA)).tags == frozenset()


async def test_the_certificate_is_sent_again(desk: Desk) -> None:
    await desk.type("token add paris --apple-id ade@example.com --agree")
    first = desk.outlet.sent.pop("paris.pem")
    await desk.press(buttons(desk.outlet.answers[0])["Get certificate"])
    assert desk.outlet.sent == {"paris.pem": first}
    assert "`paris.pem` is in your direct messages." in desk.outlet.answers[-1].text


async def test_who_waits_for_the_service_is_told_that_it_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, server = await desk.room.installed(days=14)
    outlet = desk.outlet = AnnouncingOutlet()

    async def hold(method: str) -> None:
        if method == "account":
            await outlet.answered.wait()

    server.on_call = hold
    monkeypatch.setattr(telling, "SAY_AFTER_S", 0.01)
    await desk.type("token renew paris")
    first, second = outlet.answers
    assert first.text == "Asking Apple…"
    assert "Renew token paris" in second.text


async def test_check_again_says_what_apple_answered(desk: Desk) -> None:
    token, server = await desk.room.installed()
    button = {"action_id": "token.check", "value": token.id}
    await desk.press(button, actor=OLE)
    assert "Apple still accepts the current token." in said(desk.outlet.answers[-1])
    server.generate_token("never uploaded")
    await desk.press(button, actor=OLE)
    assert "Apple no longer accepts the current token." in said(desk.outlet.answers[-1])


@pytest.mark.parametrize("command", ["token upload hq", "token renew hq", "token tag hq x"])
async def test_a_limited_admin_meets_no_other_token(desk: Desk, command: str) -> None:
    await desk.room.add("hq")
    with pytest.raises(TokenUnknown):
        await desk.type(command, actor=SCHOOLS_ADMIN)
    assert desk.outlet.view is None


@pytest.mark.parametrize("command", ["token upload hq", "token renew hq", "token tag hq x"])
async def test_the_service_refuses_an_operator_whatever_the_router_says(desk: Desk, command: str) -> None:
    await desk.room.add("hq")
    with pytest.raises(NotAllowed):
        await desk.type(command, actor=OLE)
    assert desk.outlet.view is None


def test_every_command_of_this_room_needs_an_admin(desk: Desk) -> None:
    assert desk.router.help_for(Role.APPROVER) == []
    assert [command.name for command in desk.router.help_for(Role.ADMIN)] == [
        "token add",
        "token upload",
        "token renew",
        "token set",
        "token tag",
    ]


async def test_text_from_outside_mentions_nobody(desk: Desk) -> None:
    token = await desk.room.add()
    server = desk.room.backend.server("paris", org_name="<!channel> & <https://evil.test|Trust>")
    await desk.type("token upload paris")
    await desk.upload(await desk.room.file_for(token, server))
    message = desk.channel.posts[0][1]
    assert "<!channel>" not in message.text + said(message)
    assert "&lt;!channel&gt; &amp; &lt;https://evil.test|Trust&gt;" in said(message)
