from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.slack.blocks import Block, Message
from bot.tokens import blocks
from bot.tokens.errors import (
    FileFitsAnotherToken,
    Need,
    NotLater,
    NotVerified,
    OtherToken,
    RenewalRefused,
    Standing,
    WrongServer,
)
from bot.tokens.facts import (
    Added,
    Certificate,
    Checked,
    Former,
    NextAction,
    NextStep,
    Renewal,
    ServiceAnswer,
    TokenState,
    TokenView,
    Uploaded,
)
from tests.fakes.backend import TEXTS
from tests.tokens.desk import buttons, said

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=14)
PARIS = TokenView(
    id="p" * 32,
    name="paris",
    state=TokenState.EXPIRING,
    days_left=14,
    tags=frozenset(),
    expected_apple_id="ade@example.com",
    mdm_url=None,
    channel=None,
    approvals_channel=None,
    owner=None,
    warn_days=(30, 14, 7, 3, 1),
    agreed_by="UANA",
    agreed_at=NOW,
    added_by="UANA",
    added_at=NOW,
    server_uuid="A" * 32,
    server_name="paris",
    org_name="Example Trust",
    org_id="66",
    org_type="org",
    made_by="ade@example.com",
    expires_at=EXPIRES,
    installed_at=NOW,
    installed_by="UANA",
    full_page_size=1000,
    delta_page_size=1000,
    asked_at=NOW,
    last_ok_at=NOW,
    rejected_since=None,
    refused_word=None,
    terms_since=None,
    renewal_opened_at=None,
    certificate_fingerprint="ab" * 32,
    staged_fingerprint=None,
    next_step=NextStep("Renew *{server}* of {org}.", (NextAction.RENEW,)),
)
CERTIFICATE = Certificate("paris.pem", b"pem", "ab" * 32)
LYON = OtherToken("l" * 32, "lyon", Need.ENDED)
ACCEPTED = ServiceAnswer(accepted=True, terms_open=False, sentence="Apple still accepts it.", at=NOW)


def refusal(*, standing: Standing, other: OtherToken | None = None) -> RenewalRefused:
    fault = WrongServer("paris", server_name="paris", made_for="lyon", portal=TEXTS.portal)
    return RenewalRefused("paris", faults=[fault], standing=standing, other=other, portal=TEXTS.portal)


MESSAGES = {
    "added": blocks.added(Added(PARIS, CERTIFICATE, TEXTS.add_steps, ("Remark.",)), texts=TEXTS),
    "installed": blocks.installed(Uploaded(PARIS, None, ("Remark.",)), by="UANA", texts=TEXTS),
    "renewed": blocks.renewed(
        Uploaded(PARIS, Former(EXPIRES, "ade@example.com", key_replaced=True), ()), by="UANA", texts=TEXTS
    ),
    "renewal": blocks.renewal(
        Renewal(
            PARIS,
            ACCEPTED,
            TEXTS.renew_warning,
            "ade@example.com",
            TEXTS.renew_steps,
            CERTIFICATE,
            ("Sync.",),
        ),
        texts=TEXTS,
    ),
    "refused": blocks.refused(PARIS, refusal(standing=Standing(True, EXPIRES, 14), other=LYON), texts=TEXTS),
    "another's": blocks.refused(
        PARIS, FileFitsAnotherToken("paris", other=LYON, server_name="paris", standing=None), texts=TEXTS
    ),
    "another's already": blocks.refused(
        PARIS,
        FileFitsAnotherToken("paris", other=replace(LYON, need=Need.IN_USE), server_name=None, standing=None),
        texts=TEXTS,
    ),
    "not verified": blocks.refused(PARIS, NotVerified("Apple said no.", next_step="Try again."), texts=TEXTS),
    "settings": blocks.settings_changed(replace(PARIS, owner="S0MDM", channel="C0OPS")),
    "tags": blocks.tags(replace(PARIS, tags=frozenset({"b", "a"})), slash="/enroll"),
    "tags set": blocks.tags_set(replace(PARIS, tags=frozenset({"b", "a"}))),
    "tags changed": blocks.tags_changed(PARIS, by="UANA"),
    "checked": blocks.checked(Checked(PARIS, ACCEPTED, ()), texts=TEXTS),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_the_plain_text_carries_what_the_blocks_say(message: Message) -> None:
    shown = {block["text"]["text"].split("\n")[0] for block in message.blocks if block["type"] == "section"}
    for line in shown:
        assert line.replace("*", "").split("<!date")[0] in message.text
    assert "!" not in message.text.replace("<!", "")


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_buttons_of_one_row_have_ids_of_their_own(message: Message) -> None:
    for row in (block for block in message.blocks if block["type"] == "actions"):
        ids = [element["action_id"] for element in row["elements"]]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(True, EXPIRES, 14), "Apple still accepts the current token (14 days left)."),
        (Standing(True, EXPIRES, 1), "(1 day left)"),
        (Standing(False, EXPIRES, 14), "Apple no longer accepts the current token"),
        (Standing(None, EXPIRES, 14), "Apple could not be asked about the current token."),
    ],
)
def test_a_refusal_says_how_the_current_token_stands(standing: Standing, words: str) -> None:
    assert words in said(blocks.refused(PARIS, refusal(standing=standing), texts=TEXTS))


def test_a_refusal_names_the_check_that_failed_and_what_to_do() -> None:
    fault = NotLater(NOW, EXPIRES, portal=TEXTS.portal)
    standing = Standing(True, EXPIRES, 14)
    error = RenewalRefused("paris", faults=[fault], standing=standing, portal=TEXTS.portal)
    shown = said(blocks.refused(PARIS, error, texts=TEXTS))
    assert "*Not renewed: this file holds no newer token*" in shown
    assert "The token in this file expires before the one in use." in shown
    assert "Next: If the right file was generated, upload it; else nothing has to be done." in shown


def test_nobody_is_sent_to_generate_a_token_while_the_current_one_is_accepted() -> None:
    for standing in (Standing(True, EXPIRES, 14), Standing(None, EXPIRES, 14)):
        assert "ownload" not in said(blocks.refused(PARIS, refusal(standing=standing), texts=TEXTS))


def test_the_advice_to_download_says_that_it_ends_the_current_token() -> None:
    shown = said(blocks.refused(PARIS, refusal(standing=Standing(False, EXPIRES, 14)), texts=TEXTS))
    assert "Next: In ABM, open server paris, download its token and upload it here. Generating" in shown
    assert "Generating a token in ABM ends the current one at once." in shown


@pytest.mark.parametrize(
    ("need", "fact"),
    [
        (Need.IN_USE, "This is the token that lyon already uses. Nothing to do."),
        (Need.OUTDATED, "lyon already uses a newer token than this. Nothing to do."),
    ],
)
def test_a_file_that_another_token_has_no_need_of_offers_nothing(need: Need, fact: str) -> None:
    other = replace(LYON, need=need)
    standing = Standing(True, EXPIRES, 14)
    error = FileFitsAnotherToken("paris", other=other, server_name="paris", standing=standing)
    message = blocks.refused(PARIS, error, texts=TEXTS)
    assert fact in said(message)
    assert "ended" not in said(message)
    assert "ownload" not in said(message)
    assert buttons(message) == {}


def test_a_file_that_its_servers_token_cannot_open_is_not_sent_there() -> None:
    other = replace(LYON, can_open=False)
    message = blocks.refused(PARIS, refusal(standing=Standing(True, EXPIRES, 14), other=other), texts=TEXTS)
    assert "lyon: generating this file ended its former token." in said(message)
    assert "upload this file to lyon" not in said(message)
    assert "Put the one of lyon there" in said(message)
    assert buttons(message)["Certificate of lyon"]["value"] == LYON.id


def test_another_tokens_button_carries_its_id() -> None:
    message = blocks.refused(PARIS, refusal(standing=Standing(True, EXPIRES, 14), other=LYON), texts=TEXTS)
    assert buttons(message)["Upload to lyon"]["value"] == LYON.id
    assert buttons(message)["Upload server token"]["value"] == PARIS.id


def test_another_token_that_never_had_one_is_not_said_to_have_lost_it() -> None:
    other = replace(LYON, need=Need.FILE)
    message = blocks.refused(PARIS, refusal(standing=Standing(True, EXPIRES, 14), other=other), texts=TEXTS)
    assert "ended its former token" not in said(message)


def test_a_next_step_has_its_places_filled_and_its_buttons() -> None:
    told, row = blocks.next_step(PARIS)
    assert told["text"]["text"] == "Next: Renew *paris* of Example Trust."
    assert [element["text"]["text"] for element in row["elements"]] == ["Renew token"]
    assert row["elements"][0]["value"] == PARIS.id
    assert blocks.next_step(replace(PARIS, next_step=None)) == []


def test_terms_still_open_are_said_for_the_organisation() -> None:
    open_terms = replace(ACCEPTED, terms_open=True, sentence="x")
    message = blocks.checked(Checked(replace(PARIS, state=TokenState.TERMS), open_terms, ()), texts=TEXTS)
    assert "Asked Apple at <!date" in said(message)
    assert "still not accepted for Example Trust." in said(message)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("paris",), "Accepted. paris is syncing."),
        (("lyon", "paris"), "Accepted. lyon and paris are syncing."),
        (("lyon", "nice", "paris"), "Accepted. lyon, nice and paris are syncing."),
    ],
)
def test_accepted_terms_name_the_tokens_that_sync(names: tuple[str, ...], sentence: str) -> None:
    assert sentence in said(blocks.checked(Checked(PARIS, ACCEPTED, names), texts=TEXTS))


@pytest.mark.parametrize(("owner", "mention"), [("U0ANA", "<@U0ANA>"), ("S0MDM", "<!subteam^S0MDM>")])
def test_an_owner_is_a_person_or_a_group(owner: str, mention: str) -> None:
    assert mention in said(blocks.settings_changed(replace(PARIS, owner=owner)))


def test_what_is_not_set_is_said_in_the_words_of_the_token_card() -> None:
    shown = said(blocks.settings_changed(PARIS))
    assert "Channel: the bot's channel · Approvals: the bot's channel" in shown
    alone = said(blocks.settings_changed(PARIS, has_channel=False))
    assert "Channel: none · Approvals: none" in alone
    assert "Owner: nobody" in shown
    assert "MDM server URL: not set" in shown


def test_a_changed_maker_is_not_said_to_be_as_before() -> None:
    result = Uploaded(
        PARIS, Former(EXPIRES, "it2@example.com", key_replaced=False), ("Made by ade@example.com.",)
    )
    shown = said(blocks.renewed(result, by="UANA", texts=TEXTS))
    assert "as before" not in shown
    assert "Made by ade@example.com." in shown


@pytest.mark.parametrize(
    "view",
    [
        blocks.add_modal("paris", texts=TEXTS),
        blocks.upload_modal(PARIS, texts=TEXTS),
        blocks.adding_view(),
        blocks.checking_view(texts=TEXTS),
    ],
)
def test_a_view_has_inputs_only_with_a_submit_button(view: Block) -> None:
    has_inputs = any(block["type"] == "input" for block in view["blocks"])
    assert has_inputs == ("submit" in view)
    assert len(view["title"]["text"]) <= 24
    assert not view["title"]["text"].endswith("…")
