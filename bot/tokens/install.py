"""Server tokens from files: installed, renewed or taken over only after the service has accepted them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import (
    Account,
    BackendError,
    EnrollmentBackend,
    KeyPair,
    TermsNotSigned,
    TokenContents,
    TokenFileForAnotherCertificate,
    TokenFileUnusable,
    TokenRejected,
)
from bot.kit.actor import Actor
from bot.kit.secrets import SecretUnreadable
from bot.tokens import rules, store
from bot.tokens.asking import Asking, account_values, all_well
from bot.tokens.books import Books, Held, certificate_file, fresh, iso
from bot.tokens.errors import (
    AlreadyInUse,
    ChangedMeanwhile,
    FileEmpty,
    FileFitsAnotherToken,
    FileUnusable,
    NotAccepted,
    NotVerified,
    RenewalFault,
    RenewalRefused,
    Standing,
    TokenAwaited,
    TokenGone,
    ends_the_current,
)
from bot.tokens.facts import (
    Former,
    Renewal,
    Uploaded,
)
from bot.tokens.models import (
    KeyPairRow,
    KeyPairState,
    Token,
    WishKind,
    WishReason,
)
from bot.tokens.others import Others
from bot.tokens.sessions import MemorySessions

#: How long the service may take over a token from a file; the modal says meanwhile that it is asked.
VERIFIED_WITHIN_S = 60.0

RunningWork = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that the service accepted: what it said, and the session it gave."""

    contents: TokenContents
    account: Account
    session: SecretStr
    row: KeyPairRow | None


class Installer:
    """Opens token files, tries what is in them, and stores it."""

    def __init__(self, books: Books, asking: Asking, backend: EnrollmentBackend) -> None:
        self._books = books
        self._asking = asking
        self._backend = backend
        self._others = Others(books, asking, backend)
        self.running: RunningWork | None = None

    async def upload(
        self,
        token_id: str,
        content: bytes,
        *,
        actor: Actor,
        channel: str | None = None,
        delivery: str | None = None,
    ) -> Uploaded:
        """Install the first server token, or renew the one in use: whichever the token's state asks for.

        The file is opened and the service asked before anything is stored. Raises `FileFitsAnotherToken`,
        `TokenFileUnusable`, `NotVerified` or `ServerHasToken` for a first one, `RenewalRefused` for a
        renewal, `AlreadyInUse` for the file in use; then everything is as it was.
        """
        async with self._books.db.read() as session:
            await self._books.refuse_again(session, delivery)
            held = await self._books.load(session, token_id, actor)
        if held.token.installed_at is None:
            verified = await self._read_first(held, content, actor)
        else:
            verified = await self._read_renewal(held, content, actor)
        return await self._install(held, verified, actor, channel=channel, delivery=delivery)

    async def open_renewal(
        self, token_id: str, *, actor: Actor, new_key: bool = False, delivery: str | None = None
    ) -> Renewal:
        """Look whether a renewal may begin, and note that it does.

        With `new_key` a key pair is staged beside the current one, or the one staged before is given
        again. Raises `TokenAwaited` without a token to renew, `SecretsUnreadable` when the bot could
        not open the new file.
        """
        async with self._books.db.read() as session:
            held = await self._books.load(session, token_id, actor)
        if held.token.installed_at is None:
            raise TokenAwaited(held.token.name, held.token.id, portal=self._books.texts.portal)
        # Who opens a renewal may have been in the portal first: the question comes after the opening.
        opened_at = self._books.clock.now()
        answer = await self._asking.ask_for_person(held.token)
        running = await self.running(token_id) if self.running else ()
        staged = await self._staged_pair(held, actor) if new_key else None
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            await self._note_opened(session, token_id, opened_at, actor)
            staged = await self._stage(session, held, staged, actor) if staged else None
            await self._books.record(
                session, actor, "token.renewal_opened", held.token, held.tags, {"new_key": new_key}
            )
            view = (await self._books.views(session, [await fresh(session, token_id)]))[0]
        return Renewal(
            token=view,
            answer=answer,
            warning=self._books.texts.renew_warning,
            sign_in_as=view.made_by or view.expected_apple_id,
            steps=self._books.texts.renew_new_key_steps if new_key else self._books.texts.renew_steps,
            certificate=certificate_file(view.name, staged) if staged else None,
            running=tuple(running),
        )

    async def _note_opened(
        self, session: AsyncSession, token_id: str, opened_at: datetime, actor: Actor
    ) -> None:
        """Note an opened renewal; one before it that explains a refusal stays."""
        token = await store.live_token(session, token_id, locks=True)
        if token is None:
            raise TokenGone
        if not rules.explains(token.renewal_opened_at, token.refused_first_at):
            opened = {"renewal_opened_at": opened_at, "renewal_opened_by": actor.id}
            await store.change_token(session, token_id, opened)

    async def import_token(
        self,
        name: str,
        *,
        actor: Actor,
        private_key_pem: SecretStr,
        certificate_pem: bytes,
        token_file: bytes,
        tags: Sequence[str] = (),
        mdm_url: str | None = None,
        agreed: bool = False,
    ) -> Uploaded:
        """Take a key pair and token over from another server, without generating one in the portal.

        Raises what `upload` raises, and `KeyUnusable` when key and certificate don't fit each other.
        """
        found_tags = rules.check_tags(tags)
        self._books.require_tags(actor, found_tags, found_tags)
        rules.check_key_pair(private_key_pem.get_secret_value().encode(), certificate_pem)
        pair = KeyPair(private_key_pem, certificate_pem.decode("ascii", "replace"))
        token = self._books.new_token(name, actor=actor, apple_id=None, mdm_url=mdm_url)
        if agreed:
            self._books.agree(token, actor)
        await self._books.refuse_taken(token.name)
        contents = await self._backend.read_token_file(token_file, [pair])
        verified = await self._verify(contents, None)
        token.expected_apple_id = verified.account.made_by
        row = self._books.pair_row(token.id, pair, state=KeyPairState.CURRENT, actor=actor)
        async with self._books.change(token, verified.account.server_name) as session:
            await self._books.refuse_second(session, token, verified.account, actor)
            await self._books.insert(session, token, found_tags, row)
            await self._store(session, token, verified, actor)
            await self._books.wish_sync(
                session, token.id, kind=WishKind.FULL, reason=WishReason.FIRST, asked_by=actor.id, exempt=True
            )
            detail = _facts_of(verified) | {"certificate": row.fingerprint, "agreed": token.agreed_wording}
            await self._books.record(session, actor, "token.imported", token, found_tags, detail)
            view = (await self._books.views(session, [await fresh(session, token.id)]))[0]
        return Uploaded(view, None, rules.remarks_on_maker(view.made_by, expected=None, former=None))

    async def _read_first(self, held: Held, content: bytes, actor: Actor) -> Verified:
        try:
            contents = await self._read(content, held)
        except TokenFileForAnotherCertificate:
            await self._refuse_misdirected(held, content, actor)
            raise
        return await self._verify(contents, held)

    async def _read_renewal(self, held: Held, content: bytes, actor: Actor) -> Verified:
        try:
            contents = await self._read(content, held)
        except TokenFileUnusable as error:
            if isinstance(error, TokenFileForAnotherCertificate):
                await self._refuse_misdirected(held, content, actor)
            unusable = FileUnusable(error, portal=self._books.texts.portal)
            raise await self._refusal(held, [unusable], actor) from None
        await self._refuse_used(held, contents)
        verified, trouble = None, []
        try:
            verified = await self._verify(contents, held)
        except NotVerified as error:
            step = error.next_step or ""
            trouble = [NotAccepted(error.reason, next_step=step, was_refused=error.was_refused)]
        offered = rules.Offered(
            consumer_key_digest=rules.digest(contents.consumer_key),
            expires_at=contents.expires_at,
            by_staged_key=held.usable_rows[contents.key_pair].state == KeyPairState.STAGED.value,
            account=verified.account if verified else None,
        )
        holding, texts = self._holding(held.token), self._books.texts
        faults = rules.renewal_faults(holding, offered, self._books.clock.now(), texts=texts) + trouble
        if verified is None or faults:
            raise await self._refusal(held, faults, actor, account=offered.account)
        return verified

    async def _read(self, content: bytes, held: Held) -> TokenContents:
        if not content.strip():
            raise FileEmpty(portal=self._books.texts.portal)
        return await self._backend.read_token_file(content, held.pairs)

    async def _verify(self, contents: TokenContents, held: Held | None) -> Verified:
        """Log in and read the account with a token that is stored nowhere. Raises `NotVerified`."""
        sessions = MemorySessions()
        connection = self._backend.connect(contents.credentials, sessions)
        service, portal = self._books.texts.service, self._books.texts.portal
        try:
            async with asyncio.timeout(VERIFIED_WITHIN_S):
                account = await connection.account()
        except TimeoutError:
            raise NotVerified(
                f"{service} did not answer within a minute.",
                next_step="Upload the same file again in a few minutes.",
            ) from None
        except TokenRejected:
            is_renewal = held is not None and held.token.installed_at is not None
            raise NotVerified(
                f"{service} does not accept the token in this file; a later one may have ended it.",
                next_step=_newest(portal) if is_renewal else f"{_newest(portal)} {ends_the_current(portal)}",
                was_refused=True,
            ) from None
        except TermsNotSigned:
            raise NotVerified(
                f"{service} wants the organisation's new terms accepted before it says more.",
                next_step=f"An Administrator accepts them in {portal}; then upload the same file again.",
            ) from None
        except BackendError as error:
            raise NotVerified(
                error.message, next_step=error.next_step or "Upload the same file again in a few minutes."
            ) from None
        current = await sessions.current()
        if current is None:
            raise NotVerified(f"{service} opened no session.", next_step="Upload the same file again.")
        return Verified(
            contents, account, current.value, held.usable_rows[contents.key_pair] if held else None
        )

    async def _refuse_misdirected(self, held: Held, content: bytes, actor: Actor) -> None:
        """Raise `FileFitsAnotherToken` if the actor may upload the file to another token of this bot."""
        other = await self._others.that_opens(content, but=held.token.id, actor=actor)
        if other is not None:
            standing = await self._standing(held.token) if held.token.installed_at else None
            raise FileFitsAnotherToken(
                held.token.name, other=other, server_name=held.token.server_name, standing=standing
            )

    async def _refuse_used(self, held: Held, contents: TokenContents) -> None:
        """Raise `AlreadyInUse` for the very token in use, if the service accepts it."""
        try:
            used = await self._asking.credentials(held.token.id)
        except SecretUnreadable:
            return  # the file in hand mends that
        if used.get_secret_value() == contents.credentials.get_secret_value():
            standing = await self._standing(held.token)
            if standing.accepted:
                raise AlreadyInUse(held.token.name, standing.days_left)

    async def _refusal(
        self,
        held: Held,
        faults: Sequence[RenewalFault],
        actor: Actor,
        *,
        account: Account | None = None,
    ) -> RenewalRefused:
        other = None
        if account is not None:
            other = await self._others.of_server(account.server_uuid, but=held.token.id, actor=actor)
        standing = await self._standing(held.token)
        return RenewalRefused(
            held.token.name,
            faults=faults,
            standing=standing,
            other=other,
            portal=self._books.texts.portal,
        )

    async def _standing(self, token: Token) -> Standing:
        answer = await self._asking.ask_for_person(token)
        days = rules.days_left(token.expires_at, self._books.clock.now()) if token.expires_at else None
        return Standing(answer.accepted, token.expires_at, days)

    async def _install(
        self, held: Held, verified: Verified, actor: Actor, *, channel: str | None, delivery: str | None
    ) -> Uploaded:
        token, first = held.token, held.token.installed_at is None
        promoted = verified.row is not None and verified.row.state == KeyPairState.STAGED.value
        async with self._books.change(token, verified.account.server_name) as session:
            await self._books.claim(session, delivery)
            await self._books.refuse_second(session, token, verified.account, actor)
            await self._store(session, token, verified, actor)
            if promoted and verified.row:
                await store.promote_staged(session, token.id, verified.row.id)
            await self._books.wish_sync(
                session,
                token.id,
                kind=WishKind.FULL if first else WishKind.DELTA,
                reason=WishReason.FIRST if first else WishReason.RENEWAL,
                asked_by=actor.id,
                exempt=True,
                channel=channel,
                user_id=actor.id,
            )
            await self._record_install(session, held, verified, actor, promoted=promoted)
            view = (await self._books.views(session, [await fresh(session, token.id)]))[0]
        self._books.look_now()
        former = Former(token.expires_at, token.made_by, promoted) if token.expires_at and not first else None
        remarks = rules.remarks_on_maker(
            view.made_by, expected=token.expected_apple_id, former=token.made_by if former else None
        )
        return Uploaded(view, former, remarks)

    async def _store(self, session: AsyncSession, token: Token, verified: Verified, actor: Actor) -> None:
        now, account = self._books.clock.now(), verified.account
        values = {
            **account_values(account),
            "server_uuid": account.server_uuid,
            "org_id": account.org_id,
            "consumer_key_digest": rules.digest(verified.contents.consumer_key),
            "expires_at": verified.contents.expires_at,
            "installed_at": now,
            "installed_by": actor.id,
            "renewal_opened_at": None,
            "renewal_opened_by": None,
            **all_well(now),
        }
        if not await store.replace_token(session, token.id, seen_version=token.secret_version, values=values):
            raise ChangedMeanwhile(token.name)
        sealed = self._books.keyring.encrypt(
            verified.contents.credentials, table="token_secret", column="credentials", row=token.id
        )
        await store.put_credentials(session, token.id, sealed)
        await self._asking.vault.put(session, token.id, verified.session)

    async def _record_install(
        self, session: AsyncSession, held: Held, verified: Verified, actor: Actor, *, promoted: bool
    ) -> None:
        token = held.token
        detail = _facts_of(verified)
        if token.installed_at is not None:
            detail["before"] = {
                "expires_at": token.expires_at.isoformat() if token.expires_at else None,
                "made_by": token.made_by,
                "server_name": token.server_name,
            }
        action = "token.uploaded" if token.installed_at is None else "token.renewed"
        await self._books.record(session, actor, action, token, held.tags, detail)
        if promoted and verified.row:
            changed = {"before": held.rows[0].fingerprint, "after": verified.row.fingerprint}
            await self._books.record(session, actor, "token.key_replaced", token, held.tags, changed)

    async def _staged_pair(self, held: Held, actor: Actor) -> KeyPairRow:
        for row in held.usable_rows:
            if row.state == KeyPairState.STAGED.value:
                return row
        pair = await self._backend.make_key_pair(held.token.name)
        return self._books.pair_row(held.token.id, pair, state=KeyPairState.STAGED, actor=actor)

    async def _stage(self, session: AsyncSession, held: Held, row: KeyPairRow, actor: Actor) -> KeyPairRow:
        """Store a staged pair, or return the one that somebody else staged in the meantime."""
        for stored in await store.key_pairs(session, held.token.id):
            if stored.state == KeyPairState.STAGED.value:
                return stored
        session.add(row)
        await session.flush()
        detail = {"certificate": row.fingerprint}
        await self._books.record(session, actor, "token.key_staged", held.token, held.tags, detail)
        return row

    def _holding(self, token: Token) -> rules.Holding:
        if token.expires_at is None or token.server_uuid is None:
            raise TokenAwaited(token.name, token.id, portal=self._books.texts.portal)
        return rules.Holding(
            name=token.name,
            consumer_key_digest=token.consumer_key_digest or "",
            expires_at=token.expires_at,
            server_uuid=token.server_uuid,
            server_name=token.server_name or "",
            org_id=token.org_id,
            org_name=token.org_name or "",
        )


def _newest(portal: str) -> str:
    return (
        f"Upload the newest file of the server; if there is none, download its token in {portal} and upload"
        " that."
    )


def _facts_of(verified: Verified) -> dict[str, Any]:
    account = verified.account
    return {
        "server_uuid": account.server_uuid,
        "server_name": account.server_name,
        "org_name": account.org_name,
        "org_id": account.org_id,
        "made_by": account.made_by,
        "expires_at": iso(verified.contents.expires_at),
        "certificate": verified.row.fingerprint if verified.row else None,
    }
