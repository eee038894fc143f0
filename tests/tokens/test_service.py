import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlmodel import col

from bot.backend.port import (
    CertificateInsteadOfToken,
    NotATokenFile,
    ServiceUnavailable,
    TermsNotSigned,
    TokenFileForAnotherCertificate,
    TokenRejected,
)
from bot.kit.actor import NotAllowed
from bot.kit.db import Table
from bot.kit.errors import EnrollbotError
from bot.kit.secrets import Keyring, SecretUnreadable
from bot.settings import Settings
from bot.tokens import asking, install
from bot.tokens.errors import (
    AgreementMissing,
    AlreadyInUse,
    AppleIdWrong,
    ChangedMeanwhile,
    DeliveredAgain,
    FileFitsAnotherToken,
    FileUnusable,
    KeyAndCertificateDiffer,
    NameTaken,
    Need,
    NotAccepted,
    NothingToSet,
    NotLater,
    NotVerified,
    RenewalRefused,
    SecretsUnreadable,
    ServerHasToken,
    ServerMadeAgain,
    TagsNotYours,
    TokenAwaited,
    TokenGone,
    TokenUnknown,
    UrlWrong,
    WrongOrganisation,
    WrongServer,
)
from bot.tokens.facts import NextAction, TokenState, Uploaded
from bot.tokens.models import TokenSecret, WishKind, WishReason
from bot.tokens.rules import Setting
from bot.tokens.service import TokenService
from tests.fakes.backend import token_file
from tests.tokens.conftest import ANA, NIL, OLE, SCHOOLS_ADMIN, VIC, Room

_DAY = datetime(2026, 5, 1, tzinfo=UTC)

# Adding


async def test_a_new_token_awaits_its_file_and_hands_out_its_certificate(room_on_both: Room) -> None:
    room = room_on_both
    added = await room.tokens.add(
        " paris ", actor=ANA, apple_id="ADE@Example.com", agreed=True, mdm_url="https://mdm.example.com/e"
    )
    assert added.token.state is TokenState.AWAITING
    assert (added.token.name, added.token.expected_apple_id) == ("paris", "ade@example.com")
    assert added.certificate.file_name == "paris.pem"
    assert added.certificate.content.startswith(b"-----BEGIN CERTIFICATE-----")
    assert added.steps == room.backend.texts.add_steps
    assert added.token.next_step is not None
    assert added.token.next_step.actions == (NextAction.GET_CERTIFICATE, NextAction.UPLOAD)
    assert (added.token.agreed_by, added.token.agreed_at) == ("UANA", room.clock.now())


async def test_the_agreement_is_kept_with_its_wording_in_the_audit(room: Room) -> None:
    await room.add()
    (entry,) = await room.audited()
    assert (entry.action, entry.subject_name, entry.actor) == ("token.added", "paris", "UANA")
    assert entry.detail["agreed"] == room.backend.texts.agreement


async def test_without_agreement_nothing_is_added(room: Room) -> None:
    with pytest.raises(AgreementMissing):
        await room.tokens.add("paris", actor=ANA, apple_id="ade@example.com", agreed=False)
    assert await room.tokens.list_tokens(actor=ANA) == []


@pytest.mark.parametrize(
    ("apple_id", "url", "error"),
    [("ade", None, AppleIdWrong), ("ade@example.com", "http://mdm.example.com", UrlWrong)],
)
async def test_wrong_facts_add_nothing(
    room: Room, apple_id: str, url: str | None, error: type[EnrollbotError]
) -> None:
    with pytest.raises(error):
        await room.tokens.add("paris", actor=ANA, apple_id=apple_id, agreed=True, mdm_url=url)
    assert await room.tokens.list_tokens(actor=ANA) == []


async def test_a_name_is_taken_whatever_its_case_and_free_again_after_removal(room_on_both: Room) -> None:
    room = room_on_both
    token = await room.add("Paris")
    with pytest.raises(NameTaken, match="There is a token Paris already"):
        await room.add("pARIS")
    await room.remove(token)
    assert (await room.add("paris")).id != token.id


async def test_two_who_add_one_name_at_once_get_one_token(room_on_both: Room) -> None:
    results = await asyncio.gather(
        room_on_both.add("paris"), room_on_both.add("PARIS"), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NameTaken", "TokenView"]
    assert len(await room_on_both.tokens.list_tokens(actor=ANA)) == 1


async def test_the_same_delivery_adds_once(room_on_both: Room) -> None:
    tokens = room_on_both.tokens
    await tokens.add("paris", actor=ANA, apple_id="ade@example.com", agreed=True, delivery="T1")
    with pytest.raises(DeliveredAgain):
        await tokens.add("lyon", actor=ANA, apple_id="ade@example.com", agreed=True, delivery="T1")
    assert [view.name for view in await tokens.list_tokens(actor=ANA)] == ["paris"]


@pytest.mark.parametrize("actor", [OLE, VIC, NIL])
async def test_only_an_admin_adds(room: Room, actor: object) -> None:
    with pytest.raises(NotAllowed):
        await room.tokens.add("paris", actor=actor, apple_id="ade@example.com", agreed=True)  # type: ignore[arg-type]


async def test_a_personal_mail_address_is_remarked_on(room: Room) -> None:
    added = await room.tokens.add("paris", actor=ANA, apple_id="ana@gmail.com", agreed=True)
    assert "personal mail service" in added.remarks[0]


async def test_a_limited_admin_adds_only_tokens_with_their_tags(room: Room) -> None:
    add = room.tokens.add
    with pytest.raises(NotAllowed):
        await add("paris", actor=SCHOOLS_ADMIN, apple_id="a@example.com", agreed=True)
    with pytest.raises(TagsNotYours):
        await add("paris", actor=SCHOOLS_ADMIN, apple_id="a@example.com", agreed=True, tags=["schools", "hq"])
    added = await add("paris", actor=SCHOOLS_ADMIN, apple_id="a@example.com", agreed=True, tags=["Schools"])
    assert added.token.tags == {"schools"}


# Looking


async def test_people_limited_to_tags_see_only_tokens_that_carry_one(room: Room) -> None:
    await room.add("paris", tags=("schools",))
    hidden = await room.add("hq")
    assert [view.name for view in await room.tokens.list_tokens(actor=SCHOOLS_ADMIN)] == ["paris"]
    with pytest.raises(TokenUnknown) as unknown:
        await room.tokens.get("hq", actor=SCHOOLS_ADMIN)
    assert unknown.value.nearest is None
    with pytest.raises(TokenGone):
        await room.tokens.get_by_id(hidden.id, actor=SCHOOLS_ADMIN)
    with pytest.raises(TokenGone):
        await room.tokens.certificate(hidden.id, actor=SCHOOLS_ADMIN)


async def test_a_misspelt_name_is_answered_with_the_nearest(room: Room) -> None:
    await room.add("paris")
    with pytest.raises(TokenUnknown) as unknown:
        await room.tokens.get("pairs", actor=VIC)
    assert unknown.value.nearest == "paris"
    assert (await room.tokens.get("PARIS", actor=VIC)).name == "paris"


async def test_an_unknown_name_hints_at_hidden_tokens_only_to_whom_some_are_hidden(room: Room) -> None:
    with pytest.raises(TokenUnknown) as unknown:
        await room.tokens.get("kangaroo", actor=VIC)
    assert str(unknown.value) == (
        "There is no token kangaroo. `/enroll token list` shows the tokens that there are."
    )
    with pytest.raises(TokenUnknown, match="There is no token kangaroo that you may see"):
        await room.tokens.get("kangaroo", actor=SCHOOLS_ADMIN)


async def test_without_a_role_nothing_is_shown(room: Room) -> None:
    token = await room.add()
    with pytest.raises(NotAllowed):
        await room.tokens.list_tokens(actor=NIL)
    with pytest.raises(NotAllowed):
        await room.tokens.get_by_id(token.id, actor=NIL)


# Uploading


async def test_a_token_is_stored_once_the_service_has_accepted_it(room_on_both: Room) -> None:
    room = room_on_both
    token = await room.add()
    server = room.backend.server("paris")
    uploaded = await room.upload(token, await room.file_for(token, server))
    view = uploaded.token
    assert uploaded.former is None
    assert (view.state, view.days_left) == (TokenState.ACTIVE, 365)
    assert (view.server_name, view.org_name, view.made_by) == ("paris", "Example Trust", "ade@example.com")
    assert view.next_step is None
    (wish,) = await room.wishes()
    assert (wish.kind, wish.reason, wish.exempt, wish.user_id) == (
        WishKind.FULL,
        WishReason.FIRST,
        True,
        "UANA",
    )
    assert [entry.action for entry in await room.audited()] == [
        "token.added",
        "token.certificate_sent",
        "token.uploaded",
    ]


async def test_the_session_of_the_check_is_used_by_the_first_call(room: Room) -> None:
    token, server = await room.installed()
    connection = await room.tokens.connection(token.id)
    assert (await connection.account()).server_uuid == server.uuid
    assert server.count("login") == 1


@pytest.mark.parametrize(
    "error",
    [
        TokenRejected("no", word="token_rejected"),
        TermsNotSigned("terms"),
        ServiceUnavailable("Apple could not be reached."),
    ],
)
async def test_what_the_service_does_not_confirm_is_not_stored(room: Room, error: Exception) -> None:
    token = await room.add()
    server = room.backend.server("paris")
    content = await room.file_for(token, server)
    server.refuse("login", error)
    with pytest.raises(NotVerified) as refused:
        await room.upload(token, content)
    assert refused.value.next_step
    assert (await room.look(token)).state is TokenState.AWAITING
    with pytest.raises(TokenAwaited):
        await room.tokens.connection(token.id)
    assert (await room.upload(token, content)).token.state is TokenState.ACTIVE


async def test_a_certificate_uploaded_by_mistake_is_told_apart(room: Room) -> None:
    token = await room.add()
    with pytest.raises(CertificateInsteadOfToken):
        await room.upload(token, (await room.certificate(token)).encode())
    with pytest.raises(NotATokenFile):
        await room.upload(token, b"%PDF-1.7")


async def test_a_file_for_another_token_of_this_bot_names_it(room: Room) -> None:
    paris, lyon = await room.add("paris"), await room.add("lyon")
    content = await room.file_for(lyon, room.backend.server("lyon"))
    with pytest.raises(FileFitsAnotherToken) as refused:
        await room.upload(paris, content)
    assert (refused.value.other.id, refused.value.other.name) == (lyon.id, "lyon")
    assert refused.value.standing is None
    assert (await room.upload(lyon, content)).token.name == "lyon"


async def test_a_file_for_a_token_that_the_person_may_not_see_names_nothing(room: Room) -> None:
    hidden = await room.add("secret-project")
    own = await room.add("paris", tags=("schools",))
    content = await room.file_for(hidden, room.backend.server("secret-project"))
    with pytest.raises(TokenFileForAnotherCertificate) as refused:
        await room.tokens.upload(own.id, content, actor=SCHOOLS_ADMIN)
    assert "secret-project" not in str(refused.value)


async def test_a_second_live_token_of_one_server_is_refused_naming_the_first(room_on_both: Room) -> None:
    room = room_on_both
    _, server = await room.installed("paris")
    second = await room.add("paris2")
    content = await room.file_for(second, server)
    with pytest.raises(ServerHasToken) as refused:
        await room.upload(second, content)
    assert refused.value.other == "paris"
    assert (await room.look(second)).state is TokenState.AWAITING


async def test_two_tokens_that_take_one_server_at_once_end_with_one(room_on_both: Room) -> None:
    room = room_on_both
    server = room.backend.server("paris")
    tokens = [await room.add("paris"), await room.add("lyon")]
    server.generate_token("elsewhere")
    files = [
        token_file(
            await room.certificate(token),
            consumer_key=server.consumer_key,
            secret=server.token_secret,
            server_uuid=server.uuid,
            expires_at=room.clock.now() + timedelta(days=365),
        )
        for token in tokens
    ]
    uploads = (room.upload(token, content) for token, content in zip(tokens, files, strict=True))
    results = await asyncio.gather(*uploads, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ServerHasToken", "Uploaded"]


async def test_a_server_is_free_again_once_its_token_is_removed(room_on_both: Room) -> None:
    room = room_on_both
    first, server = await room.installed("paris")
    await room.remove(first)
    second = await room.add("paris2")
    assert (await room.upload(second, await room.file_for(second, server))).token.state is TokenState.ACTIVE


async def test_two_uploads_at_once_store_one(room_on_both: Room) -> None:
    room = room_on_both
    token = await room.add()
    content = await room.file_for(token, room.backend.server("paris"))
    results = await asyncio.gather(
        room.upload(token, content), room.upload(token, content), return_exceptions=True
    )
    kinds = {type(result) for result in results}
    # The second one reads the token before or after the first one stored it.
    assert kinds in ({Uploaded, ChangedMeanwhile}, {Uploaded, AlreadyInUse})
    assert len(await room.wishes()) == 1


async def test_another_maker_than_expected_is_remarked_on(room: Room) -> None:
    token = await room.add()
    content = await room.file_for(token, room.backend.server("paris"), made_by="it2@gmail.com")
    remarks = " ".join((await room.upload(token, content)).remarks)
    assert "Made by it2@gmail.com, not by ade@example.com" in remarks
    assert "personal mail service" in remarks


# Renewing


async def test_a_service_that_is_silent_keeps_nobody_waiting(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, server = await room.installed(days=14)
    held = asyncio.Event()

    async def hold(method: str) -> None:
        if method == "account":
            await held.wait()

    server.on_call = hold
    monkeypatch.setattr(asking, "PERSON_WAITS_S", 0.01)
    renewal = await room.tokens.open_renewal(token.id, actor=ANA)
    assert (renewal.answer.accepted, renewal.may_go_on) == (None, False)
    assert "did not answer within" in renewal.answer.sentence
    assert (await room.tokens.check(token.id, actor=ANA)).answer.accepted is None
    content = await room.file_for(token, server)
    monkeypatch.setattr(install, "VERIFIED_WITHIN_S", 0.01)
    with pytest.raises(RenewalRefused) as refused:
        await room.upload(token, content)
    assert "did not answer within a minute" in refused.value.faults[0].message
    assert (await room.look(token)).state is TokenState.EXPIRING


async def test_a_renewal_replaces_the_token_and_names_old_and_new(room_on_both: Room) -> None:
    room = room_on_both
    token, server = await room.installed(days=14)
    assert token.state is TokenState.EXPIRING
    renewal = await room.tokens.open_renewal(token.id, actor=ANA)
    assert renewal.answer.accepted is True
    assert renewal.warning == room.backend.texts.renew_warning
    assert (renewal.sign_in_as, renewal.certificate) == ("ade@example.com", None)
    await room.wishes()
    content = await room.file_for(token, server, made_by="it2@example.com")
    renewed = await room.upload(token, content)
    assert renewed.former is not None
    assert renewed.former.expires_at == token.expires_at
    assert (renewed.token.days_left, renewed.token.state) == (365, TokenState.ACTIVE)
    assert renewed.remarks[0].startswith("Made by it2@example.com, before ade@example.com")
    (wish,) = await room.wishes()
    assert (wish.reason, wish.exempt) == (WishReason.RENEWAL, True)
    entry = (await room.audited())[-1]
    assert entry.action == "token.renewed"
    assert (entry.detail["made_by"], entry.detail["before"]["made_by"]) == (
        "it2@example.com",
        "ade@example.com",
    )
    assert (await (await room.tokens.connection(token.id)).account()).server_uuid == server.uuid


async def _refused(room: Room, token_id: str, content: bytes) -> RenewalRefused:
    async with room.db.read() as session:
        before = (await session.execute(sa.select(TokenSecret.credentials))).scalars().all()  # type: ignore[call-overload]
    with pytest.raises(RenewalRefused) as refused:
        await room.tokens.upload(token_id, content, actor=ANA)
    async with room.db.read() as session:
        after = (await session.execute(sa.select(TokenSecret.credentials))).scalars().all()  # type: ignore[call-overload]
    assert before == after
    assert all(fault.next_step for fault in refused.value.faults)
    return refused.value


async def test_a_file_of_another_server_is_refused_and_the_present_token_still_works(room: Room) -> None:
    paris, _ = await room.installed("paris", days=14)
    lyon, lyon_server = await room.installed("lyon")
    content = lyon_server.generate_token(await room.certificate(paris))
    refusal = await _refused(room, paris.id, content)
    (fault,) = refusal.faults
    assert isinstance(fault, WrongServer)
    assert (fault.made_for, fault.server_name) == ("lyon", "paris")
    assert refusal.other is not None
    assert (refusal.other.id, refusal.other.need) == (lyon.id, Need.ENDED)
    assert not refusal.other.can_open
    assert (refusal.standing.accepted, refusal.standing.days_left) == (True, 14)


async def test_a_file_for_another_tokens_certificate_says_how_the_present_one_stands(room: Room) -> None:
    paris, paris_server = await room.installed("paris", days=14)
    lyon, lyon_server = await room.installed("lyon")
    content = await room.file_for(lyon, lyon_server)
    paris_server.generate_token("elsewhere")
    with pytest.raises(FileFitsAnotherToken) as refused:
        await room.upload(paris, content)
    assert refused.value.other.name == "lyon"
    assert refused.value.standing is not None
    assert refused.value.standing.accepted is False


async def test_a_server_made_again_under_its_old_name_is_a_new_token(room: Room) -> None:
    paris, _ = await room.installed("paris")
    again = room.backend.server("paris", uuid="F" * 32)
    refusal = await _refused(room, paris.id, again.generate_token(await room.certificate(paris)))
    assert [type(fault) for fault in refusal.faults] == [ServerMadeAgain]


async def test_another_organisation_is_named(room: Room) -> None:
    paris, _ = await room.installed("paris")
    other = room.backend.server("berlin", org_name="Beispiel GmbH", org_id="77")
    refusal = await _refused(room, paris.id, other.generate_token(await room.certificate(paris)))
    assert [type(fault) for fault in refusal.faults] == [WrongServer, WrongOrganisation]


async def test_the_file_in_use_asks_for_nothing_while_it_is_accepted(room: Room) -> None:
    token = await room.add()
    server = room.backend.server("paris")
    content = await room.file_for(token, server, days=300)
    await room.upload(token, content)
    with pytest.raises(AlreadyInUse) as refused:
        await room.upload(token, content)
    assert str(refused.value) == "Nothing to do: this is the token that paris uses now (300 days left)."
    server.generate_token("elsewhere")
    refusal = await _refused(room, token.id, content)
    assert refusal.standing.accepted is False
    assert isinstance(refusal.faults[0], NotLater)


async def test_a_file_that_another_token_uses_or_has_replaced_is_not_needed_there(room: Room) -> None:
    paris, _ = await room.installed("paris")
    lyon = await room.add("lyon")
    server = room.backend.server("lyon")
    former = await room.file_for(lyon, server, days=100)
    await room.upload(lyon, former)
    used = await room.file_for(lyon, server, days=200)
    await room.upload(lyon, used)
    for content, need in ((used, Need.IN_USE), (former, Need.OUTDATED)):
        with pytest.raises(FileFitsAnotherToken) as refused:
            await room.upload(paris, content)
        assert refused.value.other.need is need


async def test_a_newer_file_of_another_token_is_needed_there_only_when_its_own_is_ended(room: Room) -> None:
    paris, _ = await room.installed("paris")
    lyon, server = await room.installed("lyon", days=20)
    newer = await room.file_for(lyon, server)
    for error, need in ((ServiceUnavailable("Apple is away."), Need.FILE), (None, Need.ENDED)):
        if error:
            server.refuse("login", error)
        with pytest.raises(FileFitsAnotherToken) as refused:
            await room.upload(paris, newer)
        assert refused.value.other.need is need


async def test_an_older_file_is_refused(room: Room) -> None:
    token = await room.add()
    server = room.backend.server("paris")
    await room.upload(token, await room.file_for(token, server, days=300))
    older = await room.file_for(token, server, days=299)
    assert isinstance((await _refused(room, token.id, older)).faults[0], NotLater)


async def test_a_file_ended_by_a_later_one_is_refused_and_so_is_the_token_in_use(room: Room) -> None:
    token, server = await room.installed(days=14)
    ended = await room.file_for(token, server, days=365)
    newest = await room.file_for(token, server, days=366)
    refusal = await _refused(room, token.id, ended)
    assert isinstance(refusal.faults[0], NotAccepted)
    assert refusal.standing.accepted is False
    assert (await room.upload(token, newest)).former is not None


async def test_an_expired_or_foreign_file_does_not_renew(room: Room) -> None:
    token, server = await room.installed(days=14)
    expired = token_file(
        await room.certificate(token),
        consumer_key=server.consumer_key,
        secret="x",
        server_uuid=server.uuid,
        expires_at=room.clock.now() - timedelta(days=1),
    )
    foreign = server.generate_token("-----BEGIN CERTIFICATE-----\nelsewhere\n-----END CERTIFICATE-----")
    for content in (expired, foreign):
        refusal = await _refused(room, token.id, content)
        assert isinstance(refusal.faults[0], FileUnusable)
    assert refusal.standing.accepted is False


async def test_when_the_service_is_down_nothing_changes_and_the_same_file_works_later(room: Room) -> None:
    token, server = await room.installed(days=14)
    content = await room.file_for(token, server)
    server.refuse("login", ServiceUnavailable("Apple could not be reached."), times=None)
    refusal = await _refused(room, token.id, content)
    assert refusal.standing.accepted is None
    server.accept("login")
    assert (await room.upload(token, content)).token.days_left == 365


async def test_a_new_key_pair_waits_beside_the_current_one_until_its_token_is_stored(
    room_on_both: Room,
) -> None:
    room = room_on_both
    token, server = await room.installed(days=14)
    old_certificate = await room.certificate(token)
    renewal = await room.tokens.open_renewal(token.id, actor=ANA, new_key=True)
    assert renewal.certificate is not None
    assert renewal.steps == room.backend.texts.renew_new_key_steps
    again = await room.tokens.open_renewal(token.id, actor=ANA, new_key=True)
    assert again.certificate == renewal.certificate
    assert len(await room.key_pairs(token)) == 2

    still_old = server.generate_token(old_certificate, valid_for=timedelta(days=100))
    assert (await room.upload(token, still_old)).token.staged_fingerprint == renewal.certificate.fingerprint

    # Same server, another consumer key, and an earlier expiry: for a new key pair the server decides.
    content = server.generate_token(
        renewal.certificate.content.decode(), valid_for=timedelta(days=90), consumer_key="CK_new"
    )
    uploaded = await room.upload(token, content)
    assert uploaded.former is not None
    assert uploaded.former.key_replaced
    assert uploaded.token.certificate_fingerprint == renewal.certificate.fingerprint
    assert uploaded.token.staged_fingerprint is None
    assert len(await room.key_pairs(token)) == 1
    assert [entry.action for entry in await room.audited()][-2:] == ["token.renewed", "token.key_replaced"]


async def test_a_new_key_asked_for_twice_at_once_is_one_key_pair(room_on_both: Room) -> None:
    room = room_on_both
    token, _ = await room.installed()
    opened = await asyncio.gather(
        *(room.tokens.open_renewal(token.id, actor=ANA, new_key=True) for _ in range(4))
    )
    assert len({renewal.certificate.content for renewal in opened if renewal.certificate}) == 1
    assert len(await room.key_pairs(token)) == 2


async def test_a_removal_and_a_new_key_at_once_leave_no_private_key(room_on_both: Room) -> None:
    room = room_on_both
    token, _ = await room.installed()
    results = await asyncio.gather(
        room.remove(token),
        *(room.tokens.open_renewal(token.id, actor=ANA, new_key=True) for _ in range(4)),
        return_exceptions=True,
    )
    assert not isinstance(results[0], BaseException)
    unexpected = [
        each for each in results if isinstance(each, BaseException) and not isinstance(each, TokenGone)
    ]
    assert unexpected == []
    assert await room.key_pairs(token) == []


async def test_a_new_key_pair_does_not_excuse_another_server(room: Room) -> None:
    token, _ = await room.installed("paris")
    renewal = await room.tokens.open_renewal(token.id, actor=ANA, new_key=True)
    assert renewal.certificate is not None
    content = room.backend.server("lyon").generate_token(renewal.certificate.content.decode())
    assert isinstance((await _refused(room, token.id, content)).faults[0], WrongServer)


async def test_another_consumer_key_with_the_current_key_pair_is_refused(room: Room) -> None:
    token, server = await room.installed(days=14)
    content = server.generate_token(await room.certificate(token), consumer_key="CK_other")
    assert isinstance((await _refused(room, token.id, content)).faults[0], WrongServer)


async def test_a_renewal_opens_only_where_there_is_a_token(room: Room) -> None:
    token = await room.add()
    with pytest.raises(TokenAwaited):
        await room.tokens.open_renewal(token.id, actor=ANA)


async def test_a_renewal_does_not_open_when_the_key_pair_cannot_be_read(room: Room) -> None:
    token, _ = await room.installed()
    other = TokenService(
        db=room.db,
        clock=room.clock,
        keyring=Keyring([b"x" * 32]),
        audit=room.audit,
        backend=room.backend,
        settings=Settings(),
    )
    with pytest.raises(SecretsUnreadable) as refused:
        await other.open_renewal(token.id, actor=ANA)
    assert "Don't generate a token" in str(refused.value)
    with pytest.raises(SecretUnreadable):
        await other.connection(token.id)


async def test_running_work_is_named_before_a_renewal(room: Room) -> None:
    async def running(token_id: str) -> list[str]:
        return [f"A sync of {token_id} is running."]

    token, _ = await room.installed()
    room.tokens.tell_running_work(running)
    assert (await room.tokens.open_renewal(token.id, actor=ANA)).running == (
        f"A sync of {token.id} is running.",
    )


async def test_only_an_admin_renews(room: Room) -> None:
    token, server = await room.installed(days=14)
    content = await room.file_for(token, server)
    with pytest.raises(NotAllowed):
        await room.tokens.open_renewal(token.id, actor=OLE)
    with pytest.raises(NotAllowed):
        await room.tokens.upload(token.id, content, actor=OLE)


# Importing


def _pair(name: str) -> tuple[SecretStr, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_DAY)
        .not_valid_after(_DAY + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SecretStr(private.decode()), certificate.public_bytes(serialization.Encoding.PEM)


async def test_a_key_pair_and_token_of_another_server_are_taken_over(room_on_both: Room) -> None:
    room = room_on_both
    key, certificate = _pair("old-server")
    server = room.backend.server("paris")
    content = server.generate_token(certificate.decode().strip())
    imported = await room.tokens.import_token(
        "paris", actor=ANA, private_key_pem=key, certificate_pem=certificate, token_file=content
    )
    assert imported.token.state is TokenState.ACTIVE
    assert imported.token.expected_apple_id == "ade@example.com"
    assert [entry.action for entry in await room.audited()] == ["token.imported"]
    assert [(wish.kind, wish.reason) for wish in await room.wishes()] == [(WishKind.FULL, WishReason.FIRST)]
    assert (await (await room.tokens.connection(imported.token.id)).account()).server_name == "paris"
    later = await room.file_for(imported.token, server, days=366)
    assert (await room.upload(imported.token, later)).former is not None


async def test_a_key_that_does_not_fit_its_certificate_is_not_imported(room: Room) -> None:
    key, _ = _pair("one")
    _, certificate = _pair("two")
    with pytest.raises(KeyAndCertificateDiffer):
        await room.tokens.import_token(
            "paris", actor=ANA, private_key_pem=key, certificate_pem=certificate, token_file=b""
        )
    assert await room.tokens.list_tokens(actor=ANA) == []


# Changing and removing


async def test_settings_are_set_all_or_none_and_cleared_by_none(room_on_both: Room) -> None:
    room = room_on_both
    token = await room.add()
    view = await room.tokens.change(
        token.id,
        actor=ANA,
        settings={
            Setting.MDM_URL: "https://mdm.example.com/enroll",
            Setting.CHANNEL: "C0OPS",
            Setting.OWNER: "S0MDM",
            Setting.WARN: "7, 60,30",
        },
    )
    assert (view.mdm_url, view.channel, view.owner) == ("https://mdm.example.com/enroll", "C0OPS", "S0MDM")
    assert view.warn_days == (60, 30, 7)
    with pytest.raises(UrlWrong):
        await room.tokens.change(
            token.id, actor=ANA, settings={Setting.CHANNEL: "C1NEW", Setting.MDM_URL: "ftp://x"}
        )
    cleared = await room.tokens.change(token.id, actor=ANA, settings={Setting.WARN: "none"})
    assert (cleared.channel, cleared.warn_days) == ("C0OPS", (30, 14, 7, 3, 1))
    assert (await room.audited())[-1].detail == {"warn_days": {"before": "60,30,7", "after": None}}
    with pytest.raises(NothingToSet):
        await room.tokens.change(token.id, actor=ANA, settings={})


async def test_own_warning_days_decide_when_a_token_is_expiring(room: Room) -> None:
    token, _ = await room.installed(days=50)
    assert token.state is TokenState.ACTIVE
    changed = await room.tokens.change(token.id, actor=ANA, settings={Setting.WARN: "60"})
    assert changed.state is TokenState.EXPIRING


async def test_tags_are_replaced_and_a_limited_admin_touches_only_theirs(room_on_both: Room) -> None:
    room = room_on_both
    token = await room.add("paris", tags=("schools", "fr"))
    with pytest.raises(TagsNotYours):
        await room.tokens.tag(token.id, actor=SCHOOLS_ADMIN, tags=["schools"])
    assert (await room.tokens.tag(token.id, actor=ANA, tags=["schools", "eu"])).tags == {"schools", "eu"}
    assert (await room.audited())[-1].detail == {"before": ["fr", "schools"], "after": ["eu", "schools"]}
    assert (await room.tokens.tag(token.id, actor=ANA, tags=[])).tags == frozenset()


async def test_removal_deletes_every_secret(room_on_both: Room) -> None:
    room = room_on_both
    token, _ = await room.installed(tags=("schools",))
    await room.wishes()
    await room.remove(token)
    with pytest.raises(TokenGone):
        await room.look(token)
    with pytest.raises(TokenGone):
        await room.tokens.connection(token.id)
    assert await room.key_pairs(token) == []
    async with room.db.read() as session:
        for table in ("token_secret", "token_session"):
            assert (await session.execute(sa.text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    assert [(wish.kind, wish.reason) for wish in await room.wishes()] == [
        (WishKind.REMOVAL, WishReason.REMOVED)
    ]
    assert (await room.audited())[-1].tags == ["schools"]
    with pytest.raises(TokenGone):
        await room.remove(token)


async def test_wishes_are_taken_once_and_oldest_first(room_on_both: Room) -> None:
    room = room_on_both
    token, _ = await room.installed()
    room.clock.move(timedelta(seconds=1))
    async with room.db.begin() as session:
        await room.tokens.wish_sync(
            session, token.id, kind=WishKind.DELTA, reason=WishReason.ASKED, asked_by="UOLE", channel="C1"
        )
    assert [wish.reason for wish in await room.wishes()] == [WishReason.FIRST, WishReason.ASKED]
    assert await room.wishes() == []


# How the service answers


async def test_a_rejection_counts_after_two_refusals_five_minutes_apart(room_on_both: Room) -> None:
    room = room_on_both
    token, server = await room.installed()
    server.generate_token("made in ABM and never uploaded")
    answer = (await room.tokens.check(token.id, actor=OLE)).answer
    assert answer.accepted is False
    first = await room.look(token)
    assert (first.state, first.in_doubt) == (TokenState.ACTIVE, True)
    assert first.refused_first_at == room.clock.now()
    assert await room.tokens.ask_due() == 0
    room.clock.move(timedelta(minutes=5))
    assert await room.tokens.ask_due() == 1
    view = await room.look(token)
    assert (view.state, view.in_doubt) == (TokenState.REJECTED, False)
    assert view.refused_word == "token_rejected"
    assert view.rejected_since == room.clock.now() - timedelta(minutes=5)


async def test_a_rejection_soon_after_an_opened_renewal_says_that_the_upload_is_missing(room: Room) -> None:
    token, server = await room.installed()
    await room.tokens.open_renewal(token.id, actor=ANA)
    server.generate_token("made in ABM and never uploaded")
    for _ in range(2):
        room.clock.move(timedelta(minutes=5))
        await room.tokens.check(token.id, actor=OLE)
    step = (await room.look(token)).next_step
    assert step is not None
    assert "generated in ABM and not yet uploaded here" in step.text
    assert step.actions[0] is NextAction.UPLOAD


async def test_a_renewal_that_meets_a_refusal_notes_it_and_explains_it(room: Room) -> None:
    token, server = await room.installed()
    server.generate_token("made in ABM and never uploaded")
    opened = await room.tokens.open_renewal(token.id, actor=ANA)
    assert opened.answer.accepted is False
    assert opened.token.in_doubt
    room.clock.move(timedelta(hours=2))
    # Opened again: the first opening is the one that explains the refusal.
    await room.tokens.open_renewal(token.id, actor=ANA)
    view = await room.look(token)
    assert view.state is TokenState.REJECTED
    assert view.next_step is not None
    assert "generated in ABM and not yet uploaded here" in view.next_step.text


async def test_a_refused_upload_notes_that_the_present_token_is_refused_too(room: Room) -> None:
    token, server = await room.installed()
    server.generate_token("made in ABM and never uploaded")
    await _refused(room, token.id, b"%PDF-1.7")
    assert (await room.look(token)).in_doubt
    await room.tokens.record_success(token.id)
    assert not (await room.look(token)).in_doubt


async def test_an_accepted_token_is_asked_about_hourly(room: Room) -> None:
    token, server = await room.installed()
    assert await room.tokens.ask_due() == 0
    room.clock.move(timedelta(hours=1))
    server.name = "paris renamed"
    assert await room.tokens.ask_due() == 1
    assert await room.tokens.ask_due() == 0
    view = await room.look(token)
    assert (view.server_name, view.last_ok_at) == ("paris renamed", room.clock.now())


async def test_terms_are_noted_and_their_acceptance_wishes_a_sync(room_on_both: Room) -> None:
    room = room_on_both
    token, server = await room.installed()
    await room.wishes()
    server.refuse("account", TermsNotSigned("terms"))
    checked = await room.tokens.check(token.id, actor=OLE)
    answer = checked.answer
    assert (checked.token.state, answer.accepted, answer.terms_open) == (TokenState.TERMS, True, True)
    assert await room.wishes() == []
    checked = await room.tokens.check(token.id, actor=OLE)
    assert (checked.token.state, checked.answer.terms_open) == (TokenState.ACTIVE, False)
    assert checked.syncing == ("paris",)
    (wish,) = await room.wishes()
    assert (wish.kind, wish.reason, wish.exempt) == (WishKind.DELTA, WishReason.TERMS_ACCEPTED, True)


async def test_accepted_terms_let_every_token_of_the_organisation_sync(room_on_both: Room) -> None:
    room = room_on_both
    paris, server = await room.installed("paris")
    lyon, lyon_server = await room.installed("lyon")
    nice, nice_server = await room.installed("nice")
    berlin = await room.add("berlin")
    other = room.backend.server("berlin", org_name="Beispiel GmbH", org_id="77")
    await room.upload(berlin, await room.file_for(berlin, other))
    await room.wishes()
    for each in (server, lyon_server):
        each.refuse("account", TermsNotSigned("terms"))
    await room.tokens.check(paris.id, actor=OLE)
    await room.tokens.check(lyon.id, actor=OLE)
    asked_before = other.count("account")
    assert (await room.tokens.check(paris.id, actor=OLE)).syncing == ("lyon", "nice", "paris")
    wishes = await room.wishes()
    assert {wish.token_id for wish in wishes} == {paris.id, lyon.id, nice.id}
    assert {wish.reason for wish in wishes} == {WishReason.TERMS_ACCEPTED}
    assert nice_server.count("account") == 2
    assert other.count("account") == asked_before


async def test_a_token_with_an_unreadable_secret_keeps_no_other_from_being_asked(room: Room) -> None:
    first, _ = await room.installed("aaa")
    _, server = await room.installed("paris")
    async with room.db.begin() as session:
        await session.execute(sa.update(TokenSecret).values(credentials=b"x").where(_is_of(first.id)))
    room.clock.move(timedelta(hours=1))
    assert await room.tokens.ask_due() == 2
    assert server.count("account") == 2


async def test_a_question_without_an_answer_ends_and_the_others_are_asked(room: Room) -> None:
    async def hang(_method: str) -> None:
        await asyncio.Event().wait()

    await room.installed("aaa")
    next(iter(room.backend.servers.values())).on_call = hang
    paris, _ = await room.installed("paris")
    room.clock.move(timedelta(hours=1))
    assert await room.tokens.ask_due(within_s=1.0) == 2
    assert (await room.look(paris)).last_ok_at == room.clock.now()


async def test_an_unreachable_service_says_nothing_of_the_token(room: Room) -> None:
    token, server = await room.installed()
    server.refuse("account", ServiceUnavailable("Apple could not be reached."), times=None)
    room.clock.move(timedelta(hours=2))
    assert await room.tokens.ask_due() == 1
    assert (await room.look(token)).state is TokenState.ACTIVE


async def test_a_refusal_of_the_token_before_the_present_one_is_dropped(room: Room) -> None:
    token, server = await room.installed(days=14)
    asked_at = room.clock.now()
    room.clock.move(timedelta(seconds=1))
    await room.upload(token, await room.file_for(token, server))
    await room.tokens.record_refusal(token.id, TokenRejected("late", word="x"), asked_at=asked_at)
    assert (await room.look(token)).refused_word is None


def _is_of(token_id: str) -> sa.ColumnElement[bool]:
    return col(TokenSecret.token_id) == token_id


async def test_an_expired_token_is_not_asked_about(room: Room) -> None:
    token, server = await room.installed(days=1)
    room.clock.move(timedelta(days=2))
    assert await room.tokens.ask_due() == 0
    view = await room.look(token)
    assert (view.state, view.days_left) == (TokenState.EXPIRED, -1)
    assert server.count("account") == 1


async def test_a_token_that_awaits_its_file_cannot_be_asked_about(room: Room) -> None:
    token = await room.add()
    with pytest.raises(TokenAwaited):
        await room.tokens.check(token.id, actor=OLE)
    with pytest.raises(TokenGone):
        await room.tokens.connection("0" * 32)


async def test_a_plain_success_ends_terms_and_refusals(room: Room) -> None:
    token, _ = await room.installed()
    await room.tokens.record_refusal(token.id, TokenRejected("no", word="x"))
    await room.tokens.record_refusal(token.id, TermsNotSigned("terms"))
    view = await room.look(token)
    assert (view.refused_word, view.state) == (None, TokenState.TERMS)
    room.clock.move(timedelta(minutes=1))
    await room.tokens.record_success(token.id)
    view = await room.look(token)
    assert (view.state, view.last_ok_at) == (TokenState.ACTIVE, room.clock.now())


async def test_checking_needs_an_operator(room: Room) -> None:
    token, _ = await room.installed()
    with pytest.raises(NotAllowed):
        await room.tokens.check(token.id, actor=VIC)


# Secrets


async def test_no_secret_stands_in_the_database_the_audit_or_a_repr(room_on_both: Room) -> None:
    room = room_on_both
    token, server = await room.installed()
    renewal = await room.tokens.open_renewal(token.id, actor=ANA, new_key=True)
    planted = [server.token_secret, "session_planted", "planted private key", server.consumer_key]
    planted += [
        pair.private_key_pem.get_secret_value().splitlines()[1] for pair in await room.key_pairs(token)
    ]
    async with room.db.read() as session:
        rows = [
            str([bytes(value) if isinstance(value, memoryview) else value for value in row])
            for table in Table.metadata.sorted_tables
            for row in await session.execute(sa.select(table))
        ]
    said = "\n".join([*rows, repr(renewal), repr(await room.look(token)), str(await room.audited())])
    assert server.uuid in said
    assert [secret for secret in planted if secret in said] == []
