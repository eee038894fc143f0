"""Everything that can be done with tokens. Each method checks the right of whoever asks."""

import contextlib
import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import (
    Account,
    BackendError,
    BackendTexts,
    Connection,
    EnrollmentBackend,
    KeyPair,
    TermsNotSigned,
    TokenContents,
    TokenFileForAnotherCertificate,
    TokenFileUnusable,
    TokenRejected,
)
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.logs import get_logger
from bot.kit.once import Claimed, claim_once
from bot.kit.secrets import Keyring, SecretUnreadable
from bot.settings import Settings
from bot.tokens import rules, store
from bot.tokens.errors import (
    AgreementMissing,
    ChangedMeanwhile,
    DeliveredAgain,
    FileFitsAnotherToken,
    FileUnusable,
    NameTaken,
    NotAccepted,
    NothingToSet,
    NotVerified,
    OtherToken,
    RenewalFault,
    RenewalRefused,
    SecretsUnreadable,
    ServerHasToken,
    Standing,
    TagsNotYours,
    TokenAwaited,
    TokenGone,
    TokenUnknown,
    TypedNameDiffers,
)
from bot.tokens.facts import (
    Added,
    Certificate,
    Former,
    Renewal,
    ServiceAnswer,
    TokenView,
    Uploaded,
    WaitingSync,
)
from bot.tokens.models import (
    KeyPairRow,
    KeyPairState,
    SyncWish,
    Token,
    WishKind,
    WishReason,
)
from bot.tokens.sessions import DatabaseSessions, MemorySessions, SessionVault

log = get_logger(__name__)

RunningWork = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class _Held:
    """A token as loaded for a change: its row, tags and key pairs, the ones that open files first."""

    token: Token
    tags: frozenset[str]
    rows: Sequence[KeyPairRow]
    pairs: Sequence[KeyPair]

    @property
    def usable_rows(self) -> Sequence[KeyPairRow]:
        return [row for row in self.rows if row.private_key is not None]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that the service accepted: what it said, and the session it gave."""

    contents: TokenContents
    account: Account
    session: SecretStr
    row: KeyPairRow | None


class TokenService:
    """Adds, installs, renews, changes and removes tokens, and says how they are."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        audit: AuditService,
        backend: EnrollmentBackend,
        settings: Settings,
    ) -> None:
        self._db = db
        self._clock = clock
        self._keyring = keyring
        self._audit = audit
        self._backend = backend
        self._settings = settings
        self._vault = SessionVault(db=db, clock=clock, keyring=keyring)
        self._running: RunningWork | None = None

    def tell_running_work(self, running: RunningWork) -> None:
        """Take the function that names, in sentences, what runs on a token; the rooms above know it."""
        self._running = running

    @property
    def texts(self) -> BackendTexts:
        return self._backend.texts

    # Looking

    async def list_tokens(self, *, actor: Actor) -> list[TokenView]:
        """Return the tokens that the actor may see, by name."""
        actor.require(Role.VIEWER)
        async with self._db.read() as session:
            views = await self._views(session, await store.live_tokens(session))
        return [view for view in views if actor.rights.role_for(view.tags) >= Role.VIEWER]

    async def get(self, name: str, *, actor: Actor) -> TokenView:
        """Return a token by its name, whatever the case. Raises `TokenUnknown` with the nearest name."""
        visible = await self.list_tokens(actor=actor)
        by_key = {rules.name_key(view.name): view for view in visible}
        if rules.name_key(name) in by_key:
            return by_key[rules.name_key(name)]
        near = difflib.get_close_matches(rules.name_key(name), by_key, n=1)
        raise TokenUnknown(name.strip()[:60], by_key[near[0]].name if near else None)

    async def get_by_id(self, token_id: str, *, actor: Actor) -> TokenView:
        """Return a token by its id. Raises `TokenGone` when removed or not to be seen by the actor."""
        actor.require(Role.VIEWER)
        async with self._db.read() as session:
            token = await store.live_token(session, token_id)
            views = await self._views(session, [token] if token else [])
        if not views or actor.rights.role_for(views[0].tags) < Role.VIEWER:
            raise TokenGone
        return views[0]

    async def tags_of(self, token_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the tags per token, also of removed ones; those without tags are left out."""
        async with self._db.read() as session:
            return await store.tags_of(session, token_ids)

    # Adding

    async def check_new(
        self,
        name: str,
        *,
        actor: Actor,
        apple_id: str,
        agreed: bool,
        mdm_url: str | None = None,
        tags: Sequence[str] = (),
    ) -> tuple[Token, frozenset[str]]:
        """Raise what `add` would refuse; return the row it would store, and the tags. Takes no time."""
        found_tags = rules.check_tags(tags)
        token = self._new_token(name, actor=actor, apple_id=rules.check_apple_id(apple_id), mdm_url=mdm_url)
        self._require_tags(actor, found_tags, found_tags)
        if not agreed:
            raise AgreementMissing
        self._agree(token, actor)
        await self._refuse_taken(token.name)
        return token, found_tags

    async def add(
        self,
        name: str,
        *,
        actor: Actor,
        apple_id: str,
        agreed: bool,
        mdm_url: str | None = None,
        tags: Sequence[str] = (),
        delivery: str | None = None,
    ) -> Added:
        """Add a token that awaits its server token, with a key pair of its own."""
        async with self._db.read() as session:
            await self._refuse_again(session, delivery)
        token, found_tags = await self.check_new(
            name, actor=actor, apple_id=apple_id, agreed=agreed, mdm_url=mdm_url, tags=tags
        )
        pair = await self._backend.make_key_pair(token.name)
        row = self._pair_row(token.id, pair, state=KeyPairState.CURRENT, actor=actor)
        async with self._naming(token.name), self._db.begin() as session:
            await self._claim(session, delivery)
            await self._insert(session, token, found_tags, row)
            await self._record(
                session,
                actor,
                "token.added",
                token,
                found_tags,
                {
                    "apple_id": token.expected_apple_id,
                    "agreed": token.agreed_wording,
                    "certificate": row.fingerprint,
                    "mdm_url": token.mdm_url,
                    "tags": sorted(found_tags),
                },
            )
            view = (await self._views(session, [token]))[0]
        remarks = [rules.personal_remark(apple_id)] if rules.is_personal(apple_id) else []
        return Added(view, _certificate_file(view.name, row), self.texts.add_steps, tuple(remarks))

    async def certificate(self, token_id: str, *, actor: Actor, delivery: str | None = None) -> Certificate:
        """Return the certificate to hand to the portal: the staged one if there is one."""
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            held = await self._load(session, token_id, actor)
            row = held.usable_rows[-1]
            await self._record(
                session,
                actor,
                "token.certificate_sent",
                held.token,
                held.tags,
                {"certificate": row.fingerprint},
            )
        return _certificate_file(held.token.name, row)

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
        self._require_tags(actor, found_tags, found_tags)
        rules.check_key_pair(private_key_pem.get_secret_value().encode(), certificate_pem)
        pair = KeyPair(private_key_pem, certificate_pem.decode("ascii", "replace"))
        token = self._new_token(name, actor=actor, apple_id=None, mdm_url=mdm_url)
        if agreed:
            self._agree(token, actor)
        await self._refuse_taken(token.name)
        contents = await self._backend.read_token_file(token_file, [pair])
        verified = await self._verify(contents, None)
        token.expected_apple_id = verified.account.made_by
        row = self._pair_row(token.id, pair, state=KeyPairState.CURRENT, actor=actor)
        async with self._naming(token.name), self._db.begin() as session:
            await self._refuse_second(session, token, verified.account, actor)
            await self._insert(session, token, found_tags, row)
            await self._store(session, token, verified, actor)
            await self.wish_sync(
                session, token.id, kind=WishKind.FULL, reason=WishReason.FIRST, asked_by=actor.id, exempt=True
            )
            detail = _facts_of(verified) | {"certificate": row.fingerprint, "agreed": token.agreed_wording}
            await self._record(session, actor, "token.imported", token, found_tags, detail)
            view = (await self._views(session, [await _fresh(session, token.id)]))[0]
        return Uploaded(view, None, rules.remarks_on_maker(view.made_by, expected=None, former=None))

    # Uploading and renewing

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
        renewal; then everything is as it was.
        """
        async with self._db.read() as session:
            await self._refuse_again(session, delivery)
            held = await self._load(session, token_id, actor)
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
        async with self._db.read() as session:
            held = await self._load(session, token_id, actor)
        if held.token.installed_at is None:
            raise TokenAwaited(held.token.name)
        answer = await self._ask(held.token)
        running = await self._running(token_id) if self._running else ()
        staged = await self._staged_pair(held, actor) if new_key else None
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            now = self._clock.now()
            opened = {"renewal_opened_at": now, "renewal_opened_by": actor.id}
            if not await store.change_token(session, token_id, opened):
                raise TokenGone
            staged = await self._stage(session, held, staged, actor) if staged else None
            await self._record(
                session, actor, "token.renewal_opened", held.token, held.tags, {"new_key": new_key}
            )
            view = (await self._views(session, [await _fresh(session, token_id)]))[0]
        return Renewal(
            token=view,
            answer=answer,
            warning=self.texts.renew_warning,
            sign_in_as=view.made_by or view.expected_apple_id,
            steps=self.texts.renew_new_key_steps if new_key else self.texts.renew_steps,
            certificate=_certificate_file(view.name, staged) if staged else None,
            running=tuple(running),
        )

    async def _read_first(self, held: _Held, content: bytes, actor: Actor) -> _Verified:
        try:
            contents = await self._backend.read_token_file(content, held.pairs)
        except TokenFileForAnotherCertificate:
            await self._refuse_misdirected(held, content, actor)
            raise
        return await self._verify(contents, held)

    async def _read_renewal(self, held: _Held, content: bytes, actor: Actor) -> _Verified:
        try:
            contents = await self._backend.read_token_file(content, held.pairs)
        except TokenFileUnusable as error:
            if isinstance(error, TokenFileForAnotherCertificate):
                await self._refuse_misdirected(held, content, actor)
            raise await self._refusal(held, [FileUnusable(error)], actor) from None
        verified, trouble = None, []
        try:
            verified = await self._verify(contents, held)
        except NotVerified as error:
            trouble = [NotAccepted(error.reason, next_step=error.next_step or "")]
        offered = rules.Offered(
            consumer_key_digest=rules.digest(contents.consumer_key),
            expires_at=contents.expires_at,
            by_staged_key=held.usable_rows[contents.key_pair].state == KeyPairState.STAGED.value,
            account=verified.account if verified else None,
        )
        faults = rules.renewal_faults(_holding(held.token), offered, self._clock.now()) + trouble
        if verified is None or faults:
            raise await self._refusal(held, faults, actor, account=offered.account)
        return verified

    async def _verify(self, contents: TokenContents, held: _Held | None) -> _Verified:
        """Log in and read the account with a token that is stored nowhere. Raises `NotVerified`."""
        sessions = MemorySessions()
        connection = self._backend.connect(contents.credentials, sessions)
        service = self.texts.service
        try:
            account = await connection.account()
        except TokenRejected:
            raise NotVerified(
                f"{service} does not accept the token in this file; a later one may have ended it.",
                next_step="Download the newest token of the server in ABM and upload that one.",
            ) from None
        except TermsNotSigned:
            raise NotVerified(
                f"{service} wants the organisation's new terms accepted before it says more.",
                next_step="An Administrator accepts them in ABM; then upload the same file again.",
            ) from None
        except BackendError as error:
            raise NotVerified(
                error.message, next_step=error.next_step or "Upload the same file again in a few minutes."
            ) from None
        current = await sessions.current()
        if current is None:
            raise NotVerified(f"{service} opened no session.", next_step="Upload the same file again.")
        return _Verified(
            contents, account, current.value, held.usable_rows[contents.key_pair] if held else None
        )

    async def _refuse_misdirected(self, held: _Held, content: bytes, actor: Actor) -> None:
        """Raise `FileFitsAnotherToken` if the actor may upload the file to another token of this bot."""
        async with self._db.read() as session:
            fitting = [
                row
                for row in await store.certificates(session)
                if row.token_id != held.token.id and self._backend.fits(content, row.certificate_pem)
            ]
            tags = await store.tags_of(session, [row.token_id for row in fitting])
            others = [await store.live_token(session, row.token_id) for row in fitting]
        for other in others:
            if other and actor.rights.role_for(tags.get(other.id, frozenset())) >= Role.ADMIN:
                standing = await self._standing(held.token) if held.token.installed_at else None
                raise FileFitsAnotherToken(
                    held.token.name,
                    other=OtherToken(other.id, other.name, has_token=other.installed_at is not None),
                    server_name=held.token.server_name,
                    standing=standing,
                )

    async def _refusal(
        self,
        held: _Held,
        faults: Sequence[RenewalFault],
        actor: Actor,
        *,
        account: Account | None = None,
    ) -> RenewalRefused:
        other = await self._owner_of(account.server_uuid, held.token.id, actor) if account else None
        standing = await self._standing(held.token)
        return RenewalRefused(held.token.name, faults=faults, standing=standing, other=other)

    async def _owner_of(self, server_uuid: str, but: str, actor: Actor) -> OtherToken | None:
        async with self._db.read() as session:
            token = await store.token_of_server(session, server_uuid, but=but)
            tags = await store.tags_of(session, [token.id]) if token else {}
        if token is None or actor.rights.role_for(tags.get(token.id, frozenset())) < Role.ADMIN:
            return None
        return OtherToken(token.id, token.name, has_token=token.installed_at is not None)

    async def _standing(self, token: Token) -> Standing:
        answer = await self._ask(token)
        days = rules.days_left(token.expires_at, self._clock.now()) if token.expires_at else None
        return Standing(answer.accepted, token.expires_at, days)

    async def _install(
        self, held: _Held, verified: _Verified, actor: Actor, *, channel: str | None, delivery: str | None
    ) -> Uploaded:
        token, first = held.token, held.token.installed_at is None
        promoted = verified.row is not None and verified.row.state == KeyPairState.STAGED.value
        async with self._serving(token, verified.account), self._db.begin() as session:
            await self._claim(session, delivery)
            await self._refuse_second(session, token, verified.account, actor)
            await self._store(session, token, verified, actor)
            if promoted and verified.row:
                await store.promote_staged(session, token.id, verified.row.id)
            await self.wish_sync(
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
            view = (await self._views(session, [await _fresh(session, token.id)]))[0]
        former = Former(token.expires_at, token.made_by, promoted) if token.expires_at and not first else None
        remarks = rules.remarks_on_maker(
            view.made_by, expected=token.expected_apple_id, former=token.made_by if former else None
        )
        return Uploaded(view, former, remarks)

    async def _store(self, session: AsyncSession, token: Token, verified: _Verified, actor: Actor) -> None:
        now, account = self._clock.now(), verified.account
        values = {
            **_account_values(account),
            "server_uuid": account.server_uuid,
            "org_id": account.org_id,
            "consumer_key_digest": rules.digest(verified.contents.consumer_key),
            "expires_at": verified.contents.expires_at,
            "installed_at": now,
            "installed_by": actor.id,
            "renewal_opened_at": None,
            "renewal_opened_by": None,
            **_all_well(now),
        }
        if not await store.replace_token(session, token.id, seen_version=token.secret_version, values=values):
            raise ChangedMeanwhile(token.name)
        sealed = self._keyring.encrypt(
            verified.contents.credentials, table="token_secret", column="credentials", row=token.id
        )
        await store.put_credentials(session, token.id, sealed)
        await self._vault.put(session, token.id, verified.session)

    async def _record_install(
        self, session: AsyncSession, held: _Held, verified: _Verified, actor: Actor, *, promoted: bool
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
        await self._record(session, actor, action, token, held.tags, detail)
        if promoted and verified.row:
            changed = {"before": held.rows[0].fingerprint, "after": verified.row.fingerprint}
            await self._record(session, actor, "token.key_replaced", token, held.tags, changed)

    async def _staged_pair(self, held: _Held, actor: Actor) -> KeyPairRow:
        for row in held.usable_rows:
            if row.state == KeyPairState.STAGED.value:
                return row
        pair = await self._backend.make_key_pair(held.token.name)
        return self._pair_row(held.token.id, pair, state=KeyPairState.STAGED, actor=actor)

    async def _stage(self, session: AsyncSession, held: _Held, row: KeyPairRow, actor: Actor) -> KeyPairRow:
        """Store a staged pair, or return the one that somebody else staged in the meantime."""
        for stored in await store.key_pairs(session, held.token.id):
            if stored.state == KeyPairState.STAGED.value:
                return stored
        session.add(row)
        await session.flush()
        detail = {"certificate": row.fingerprint}
        await self._record(session, actor, "token.key_staged", held.token, held.tags, detail)
        return row

    # Changing

    async def change(
        self,
        token_id: str,
        *,
        actor: Actor,
        settings: Mapping[rules.Setting, str],
        delivery: str | None = None,
    ) -> TokenView:
        """Set what is named; `none` clears. Nothing is set unless everything can be."""
        if not settings:
            raise NothingToSet
        values = {_COLUMNS[setting]: rules.parse_setting(setting, text) for setting, text in settings.items()}
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            held = await self._load(session, token_id, actor)
            detail = {
                column: {"before": getattr(held.token, column), "after": value}
                for column, value in sorted(values.items())
            }
            await store.change_token(session, token_id, values)
            await self._record(session, actor, "token.set", held.token, held.tags, detail)
            return (await self._views(session, [await _fresh(session, token_id)]))[0]

    async def tag(
        self, token_id: str, *, actor: Actor, tags: Sequence[str], delivery: str | None = None
    ) -> TokenView:
        """Replace the tags. An admin limited to tags sets and removes only those."""
        wanted = rules.check_tags(tags)
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            held = await self._load(session, token_id, actor)
            self._require_tags(actor, held.tags, held.tags ^ wanted)
            await store.replace_tags(session, token_id, wanted)
            detail = {"before": sorted(held.tags), "after": sorted(wanted)}
            await self._record(session, actor, "token.tagged", held.token, held.tags | wanted, detail)
            return (await self._views(session, [held.token]))[0]

    async def remove(
        self, token_id: str, *, actor: Actor, typed_name: str, delivery: str | None = None
    ) -> TokenView:
        """Delete the token's secrets at once and mark it removed; its devices' room marks the devices.

        Returns it as it was. Raises `TypedNameDiffers`.
        """
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            held = await self._load(session, token_id, actor, open_keys=False)
            if typed_name.strip() != held.token.name:
                raise TypedNameDiffers(held.token.name)
            view = (await self._views(session, [held.token]))[0]
            await store.change_token(
                session, token_id, {"removed_at": self._clock.now(), "removed_by": actor.id}
            )
            await store.drop_secrets(session, token_id)
            await self.wish_sync(
                session,
                token_id,
                kind=WishKind.REMOVAL,
                reason=WishReason.REMOVED,
                asked_by=actor.id,
                exempt=True,
            )
            detail = {"server_uuid": view.server_uuid, "expires_at": _iso(view.expires_at)}
            await self._record(session, actor, "token.removed", held.token, held.tags, detail)
        return view

    # What the rooms above need

    async def connection(self, token_id: str) -> Connection:
        """Return the service as seen with a token. Raises `TokenGone`, `TokenAwaited`."""
        async with self._db.read() as session:
            token = await store.live_token(session, token_id)
            sealed = await store.credentials(session, token_id)
        if token is None:
            raise TokenGone
        if sealed is None:
            raise TokenAwaited(token.name)
        opened = self._keyring.decrypt(sealed, table="token_secret", column="credentials", row=token_id)
        return self._backend.connect(opened, DatabaseSessions(self._vault, token_id))

    async def wish_sync(
        self,
        session: AsyncSession,
        token_id: str,
        *,
        kind: WishKind,
        reason: WishReason,
        asked_by: str,
        exempt: bool = False,
        channel: str | None = None,
        user_id: str | None = None,
    ) -> None:
        """Leave a wish for the devices room inside the caller's transaction."""
        wish = SyncWish(
            id=new_id(),
            token_id=token_id,
            kind=kind.value,
            reason=reason.value,
            asked_by=asked_by,
            asked_at=self._clock.now(),
            exempt=exempt,
            channel=channel,
            user_id=user_id,
        )
        session.add(wish)
        await session.flush()

    async def take_sync_wishes(self, session: AsyncSession) -> list[WaitingSync]:
        """Take all wishes, the oldest first, inside the transaction that turns them into work."""
        return [
            WaitingSync(
                id=wish.id,
                token_id=wish.token_id,
                kind=WishKind(wish.kind),
                reason=WishReason(wish.reason),
                asked_by=wish.asked_by,
                asked_at=wish.asked_at,
                exempt=wish.exempt,
                channel=wish.channel,
                user_id=wish.user_id,
            )
            for wish in await store.take_wishes(session)
        ]

    async def record_refusal(
        self, token_id: str, error: BackendError, *, asked_at: datetime | None = None
    ) -> None:
        """Note that the service refused a token or wants terms signed; anything else says nothing of it.

        `asked_at` is when the asking began: a refusal of a token that was replaced since is dropped.
        """
        async with self._db.begin() as session:
            token = await store.live_token(session, token_id)
            if token is None or _was_replaced(token, asked_at):
                return
            now = self._clock.now()
            values: dict[str, Any]
            if isinstance(error, TermsNotSigned):
                # Terms are judged after the token: it is good.
                values = {**_all_well(now), "terms_since": token.terms_since or now}
            elif isinstance(error, TokenRejected):
                values = {
                    "asked_at": now,
                    "refused_first_at": token.refused_first_at or now,
                    "refused_last_at": now,
                    "refused_word": error.word[:200],
                }
            else:
                values = {"asked_at": now}
            await store.change_token(session, token_id, values)

    async def record_success(self, token_id: str, *, asked_at: datetime | None = None) -> None:
        """Note that the service accepted the token just now; terms and refusals are over."""
        await self._note_well(token_id, {}, asked_at)

    async def record_account(
        self, token_id: str, account: Account, *, asked_at: datetime | None = None
    ) -> None:
        """Note what the service says about a token's server and organisation; terms and refusals are over."""
        await self._note_well(token_id, _account_values(account), asked_at)

    async def _note_well(self, token_id: str, values: Mapping[str, Any], asked_at: datetime | None) -> None:
        async with self._db.begin() as session:
            token = await store.live_token(session, token_id)
            if token is None or _was_replaced(token, asked_at):
                return
            had_terms = token.terms_since is not None
            await store.change_token(session, token_id, {**values, **_all_well(self._clock.now())})
            if had_terms:
                await self.wish_sync(
                    session,
                    token_id,
                    kind=WishKind.DELTA,
                    reason=WishReason.TERMS_ACCEPTED,
                    asked_by="service",
                    exempt=True,
                    channel=token.channel,
                )

    async def check(self, token_id: str, *, actor: Actor) -> tuple[TokenView, ServiceAnswer]:
        """Ask the service about a token now."""
        before = await self.get_by_id(token_id, actor=actor)
        actor.require(Role.OPERATOR, tags=before.tags)
        if not before.has_token:
            raise TokenAwaited(before.name)
        async with self._db.read() as session:
            token = await store.live_token(session, token_id)
        if token is None:
            raise TokenGone
        answer = await self._ask(token)
        return await self.get_by_id(token_id, actor=actor), answer

    async def ask_due(self) -> int:
        """Ask the service about every token not asked for an hour, or refused once. Returns how many."""
        async with self._db.read() as session:
            due = await store.due_for_account(
                session,
                self._clock.now(),
                every=rules.ACCOUNT_EVERY,
                doubt_after=rules.REJECTION_COUNTS_AFTER,
            )
            tokens = [token for token in [await store.live_token(session, each) for each in due] if token]
        for token in tokens:
            answer = await self._ask(token)
            log.info("account asked", token=token.name, accepted=answer.accepted, terms=answer.terms_open)
        return len(tokens)

    async def _ask(self, token: Token) -> ServiceAnswer:
        """Ask about the token in use and note the answer."""
        began, service = self._clock.now(), self.texts.service
        try:
            account = await (await self.connection(token.id)).account()
        except TermsNotSigned as error:
            await self.record_refusal(token.id, error, asked_at=began)
            sentence = f"{service} accepts the token; new terms of {token.org_name} are still to be accepted."
            return ServiceAnswer(accepted=True, terms_open=True, sentence=sentence, at=began)
        except TokenRejected as error:
            await self.record_refusal(token.id, error, asked_at=began)
            sentence = f"{service} no longer accepts the current token."
            return ServiceAnswer(accepted=False, terms_open=False, sentence=sentence, at=began)
        except BackendError as error:
            await self.record_refusal(token.id, error, asked_at=began)
            return ServiceAnswer(accepted=None, terms_open=False, sentence=error.message, at=began)
        await self.record_account(token.id, account, asked_at=began)
        sentence = f"{service} still accepts the current token."
        return ServiceAnswer(accepted=True, terms_open=False, sentence=sentence, at=began)

    # Helpers

    async def _views(self, session: AsyncSession, tokens: Sequence[Token]) -> list[TokenView]:
        ids = [token.id for token in tokens]
        tags = await store.tags_of(session, ids)
        prints: dict[tuple[str, str], str] = {
            (row.token_id, row.state): row.fingerprint for row in await store.certificates(session, ids)
        }
        return [self._view(token, tags.get(token.id, frozenset()), prints) for token in tokens]

    def _view(
        self, token: Token, tags: frozenset[str], fingerprints: Mapping[tuple[str, str], str]
    ) -> TokenView:
        now = self._clock.now()
        health = self._health(token)
        return TokenView(
            **{name: getattr(token, name) for name in _SHOWN},
            state=rules.state_of(health, now),
            days_left=rules.days_left(token.expires_at, now) if token.expires_at else None,
            tags=tags,
            warn_days=tuple(health.warn_days),
            rejected_since=rules.rejected_since(health),
            certificate_fingerprint=fingerprints.get((token.id, KeyPairState.CURRENT.value)),
            staged_fingerprint=fingerprints.get((token.id, KeyPairState.STAGED.value)),
            next_step=rules.next_step(health, now, terms_step=self.texts.terms_step),
        )

    def _health(self, token: Token) -> rules.Health:
        own = rules.parse_warn_days(token.warn_days) if token.warn_days else None
        return rules.Health(
            expires_at=token.expires_at,
            warn_days=own or self._settings.expiry_warning_days,
            terms_since=token.terms_since,
            refused_first_at=token.refused_first_at,
            refused_last_at=token.refused_last_at,
            renewal_opened_at=token.renewal_opened_at,
        )

    async def _load(
        self, session: AsyncSession, token_id: str, actor: Actor, *, open_keys: bool = True
    ) -> _Held:
        """Load a token that the actor is admin of. Raises `TokenGone`, `NotAllowed`, `SecretsUnreadable`."""
        token = await store.live_token(session, token_id)
        tags = (await store.tags_of(session, [token_id])).get(token_id, frozenset())
        if token is None or actor.rights.role_for(tags) < Role.VIEWER:
            actor.require(Role.ADMIN)
            raise TokenGone
        actor.require(Role.ADMIN, tags=tags)
        rows = await store.key_pairs(session, token_id)
        return _Held(token, tags, rows, self._open_pairs(token, rows) if open_keys else ())

    def _open_pairs(self, token: Token, rows: Sequence[KeyPairRow]) -> list[KeyPair]:
        try:
            return [
                KeyPair(
                    self._keyring.decrypt(
                        row.private_key, table="token_key_pair", column="private_key", row=row.id
                    ),
                    row.certificate_pem,
                )
                for row in rows
                if row.private_key is not None
            ]
        except SecretUnreadable:
            raise SecretsUnreadable(token.name) from None

    def _pair_row(self, token_id: str, pair: KeyPair, *, state: KeyPairState, actor: Actor) -> KeyPairRow:
        row_id = new_id()
        return KeyPairRow(
            id=row_id,
            token_id=token_id,
            state=state.value,
            certificate_pem=pair.certificate_pem,
            fingerprint=rules.fingerprint(pair.certificate_pem),
            private_key=self._keyring.encrypt(
                pair.private_key_pem, table="token_key_pair", column="private_key", row=row_id
            ),
            made_by=actor.id,
            made_at=self._clock.now(),
        )

    def _new_token(self, name: str, *, actor: Actor, apple_id: str | None, mdm_url: str | None) -> Token:
        checked = rules.check_name(name)
        return Token(
            id=new_id(),
            name=checked,
            name_key=rules.name_key(checked),
            expected_apple_id=apple_id,
            mdm_url=rules.check_url(mdm_url) if mdm_url and mdm_url.strip() else None,
            added_by=actor.id,
            added_at=self._clock.now(),
        )

    def _agree(self, token: Token, actor: Actor) -> None:
        token.agreed_wording, token.agreed_by, token.agreed_at = rules.AGREEMENT, actor.id, self._clock.now()

    async def _insert(
        self, session: AsyncSession, token: Token, tags: frozenset[str], pair: KeyPairRow
    ) -> None:
        session.add(token)
        await session.flush()
        session.add(pair)
        await store.replace_tags(session, token.id, tags)

    def _require_tags(self, actor: Actor, tags: frozenset[str], changed: frozenset[str]) -> None:
        actor.require(Role.ADMIN, tags=tags)
        forbidden = rules.tags_within(actor.rights, changed)
        if forbidden:
            raise TagsNotYours(forbidden)

    async def _refuse_taken(self, name: str) -> None:
        async with self._db.read() as session:
            if await store.token_named(session, rules.name_key(name)):
                raise NameTaken(name)

    async def _refuse_second(
        self, session: AsyncSession, token: Token, account: Account, actor: Actor
    ) -> None:
        first = await store.token_of_server(session, account.server_uuid, but=token.id)
        if first is None:
            return
        tags = (await store.tags_of(session, [first.id])).get(first.id, frozenset())
        visible = actor.rights.role_for(tags) >= Role.VIEWER
        raise ServerHasToken(
            token.name, server_name=account.server_name, other=first.name if visible else None
        )

    @contextlib.asynccontextmanager
    async def _naming(self, name: str) -> AsyncIterator[None]:
        """Name the unique key that two people adding at once run into."""
        try:
            yield
        except IntegrityError:
            raise NameTaken(name) from None

    @contextlib.asynccontextmanager
    async def _serving(self, token: Token, account: Account) -> AsyncIterator[None]:
        """Name the unique key that two uploads for one server at once run into."""
        try:
            yield
        except IntegrityError:
            raise ServerHasToken(token.name, server_name=account.server_name, other=None) from None

    async def _refuse_again(self, session: AsyncSession, delivery: str | None) -> None:
        """Stop a delivery that was taken before it is refused for what its first one did."""
        if delivery is not None and await session.get(Claimed, delivery[:255]):
            raise DeliveredAgain

    async def _claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self._clock.now()):
            raise DeliveredAgain

    async def _record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        token: Token,
        tags: frozenset[str],
        detail: Mapping[str, Any],
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="token",
            subject_id=token.id,
            subject_name=token.name,
            tags=tags,
            detail=detail,
        )


_COLUMNS = {
    rules.Setting.MDM_URL: "mdm_url",
    rules.Setting.CHANNEL: "channel",
    rules.Setting.APPROVALS: "approvals_channel",
    rules.Setting.OWNER: "owner",
    rules.Setting.WARN: "warn_days",
}

#: What a view shows just as it is stored.
_SHOWN = (
    *("id", "name", "expected_apple_id", "mdm_url", "channel", "approvals_channel", "owner"),
    *("agreed_by", "agreed_at", "added_by", "added_at", "installed_at", "installed_by"),
    *("server_uuid", "server_name", "org_name", "org_id", "org_type", "made_by", "expires_at"),
    *("full_page_size", "delta_page_size", "asked_at", "last_ok_at", "refused_word", "terms_since"),
    "renewal_opened_at",
)


async def _fresh(session: AsyncSession, token_id: str) -> Token:
    """Read a token again after a statement changed it behind the session's back."""
    token = await session.get_one(Token, token_id)
    await session.refresh(token)
    return token


def _certificate_file(name: str, row: KeyPairRow) -> Certificate:
    return Certificate(f"{name}.pem", row.certificate_pem.encode(), row.fingerprint)


def _holding(token: Token) -> rules.Holding:
    if token.expires_at is None or token.server_uuid is None:
        raise TokenAwaited(token.name)
    return rules.Holding(
        name=token.name,
        consumer_key_digest=token.consumer_key_digest or "",
        expires_at=token.expires_at,
        server_uuid=token.server_uuid,
        server_name=token.server_name or "",
        org_id=token.org_id,
        org_name=token.org_name or "",
    )


def _account_values(account: Account) -> dict[str, Any]:
    return {
        "server_name": account.server_name,
        "org_name": account.org_name,
        "org_type": account.org_type,
        "made_by": account.made_by,
        "full_page_size": account.full_page_size,
        "delta_page_size": account.delta_page_size,
    }


def _all_well(now: datetime) -> dict[str, datetime | None]:
    return {
        "asked_at": now,
        "last_ok_at": now,
        "refused_first_at": None,
        "refused_last_at": None,
        "refused_word": None,
        "terms_since": None,
    }


def _was_replaced(token: Token, asked_at: datetime | None) -> bool:
    return asked_at is not None and token.installed_at is not None and token.installed_at > asked_at


def _facts_of(verified: _Verified) -> dict[str, Any]:
    account = verified.account
    return {
        "server_uuid": account.server_uuid,
        "server_name": account.server_name,
        "org_name": account.org_name,
        "org_id": account.org_id,
        "made_by": account.made_by,
        "expires_at": _iso(verified.contents.expires_at),
        "certificate": verified.row.fingerprint if verified.row else None,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
