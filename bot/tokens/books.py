"""What every act on tokens shares: loading, showing, sealing, claiming and recording."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import (
    Account,
    BackendTexts,
    KeyPair,
)
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.once import Claimed, claim_once
from bot.kit.secrets import Keyring, SecretUnreadable
from bot.settings import Settings
from bot.tokens import rules, store
from bot.tokens.errors import (
    DeliveredAgain,
    NameTaken,
    SecretsUnreadable,
    ServerHasToken,
    TagsNotYours,
    TokenGone,
)
from bot.tokens.facts import (
    Certificate,
    TokenView,
)
from bot.tokens.models import (
    KeyPairRow,
    KeyPairState,
    SyncWish,
    Token,
    WishKind,
    WishReason,
)


@dataclass(frozen=True, slots=True)
class Held:
    """A token as loaded for a change: its row, tags and key pairs, the ones that open files first."""

    token: Token
    tags: frozenset[str]
    rows: Sequence[KeyPairRow]
    pairs: Sequence[KeyPair]

    @property
    def usable_rows(self) -> Sequence[KeyPairRow]:
        return [row for row in self.rows if row.private_key is not None]


class Books:
    """The rows of tokens behind their rules, for one database. Holds no state of its own."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        keyring: Keyring,
        audit: AuditService,
        texts: BackendTexts,
        settings: Settings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.keyring = keyring
        self.texts = texts
        self._audit = audit
        self._settings = settings
        self.slash = settings.command
        #: Called once a wish is committed, by the room that takes wishes.
        self.look: Callable[[], None] | None = None

    def look_now(self) -> None:
        """Have a wish that was just committed taken at once; without this the next look takes it."""
        if self.look is not None:
            self.look()

    async def load(
        self,
        session: AsyncSession,
        token_id: str,
        actor: Actor,
        *,
        open_keys: bool = True,
        locks: bool = False,
    ) -> Held:
        """Load a token that the actor is admin of, with `locks` until the transaction ends.

        Raises `TokenGone`, `NotAllowed`, `SecretsUnreadable`.
        """
        token = await store.live_token(session, token_id, locks=locks)
        tags = (await store.tags_of(session, [token_id])).get(token_id, frozenset())
        if token is None or actor.rights.role_for(tags) < Role.VIEWER:
            actor.require(Role.ADMIN)
            raise TokenGone
        actor.require(Role.ADMIN, tags=tags)
        rows = await store.key_pairs(session, token_id)
        return Held(token, tags, rows, self._open_pairs(token, rows) if open_keys else ())

    async def views(self, session: AsyncSession, tokens: Sequence[Token]) -> list[TokenView]:
        ids = [token.id for token in tokens]
        tags = await store.tags_of(session, ids)
        prints: dict[tuple[str, str], str] = {
            (row.token_id, row.state): row.fingerprint for row in await store.certificates(session, ids)
        }
        return [self._view(token, tags.get(token.id, frozenset()), prints) for token in tokens]

    def _view(
        self, token: Token, tags: frozenset[str], fingerprints: Mapping[tuple[str, str], str]
    ) -> TokenView:
        now = self.clock.now()
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
            next_step=rules.next_step(health, now, texts=self.texts),
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

    def _open_pairs(self, token: Token, rows: Sequence[KeyPairRow]) -> list[KeyPair]:
        try:
            return [
                KeyPair(
                    self.keyring.decrypt(
                        row.private_key, table="token_key_pair", column="private_key", row=row.id
                    ),
                    row.certificate_pem,
                )
                for row in rows
                if row.private_key is not None
            ]
        except SecretUnreadable:
            raise SecretsUnreadable(token.name, portal=self.texts.portal) from None

    def pair_row(self, token_id: str, pair: KeyPair, *, state: KeyPairState, actor: Actor) -> KeyPairRow:
        row_id = new_id()
        return KeyPairRow(
            id=row_id,
            token_id=token_id,
            state=state.value,
            certificate_pem=pair.certificate_pem,
            fingerprint=rules.fingerprint(pair.certificate_pem),
            private_key=self.keyring.encrypt(
                pair.private_key_pem, table="token_key_pair", column="private_key", row=row_id
            ),
            made_by=actor.id,
            made_at=self.clock.now(),
        )

    def new_token(self, name: str, *, actor: Actor, apple_id: str | None, mdm_url: str | None) -> Token:
        checked = rules.check_name(name, portal=self.texts.portal)
        return Token(
            id=new_id(),
            name=checked,
            name_key=rules.name_key(checked),
            expected_apple_id=apple_id,
            mdm_url=rules.check_url(mdm_url) if mdm_url and mdm_url.strip() else None,
            added_by=actor.id,
            added_at=self.clock.now(),
        )

    def agree(self, token: Token, actor: Actor) -> None:
        """Note who agreed, and to which wording: it may change."""
        token.agreed_wording = self.texts.agreement
        token.agreed_by, token.agreed_at = actor.id, self.clock.now()

    async def insert(
        self, session: AsyncSession, token: Token, tags: frozenset[str], pair: KeyPairRow
    ) -> None:
        session.add(token)
        await session.flush()
        session.add(pair)
        await store.replace_tags(session, token.id, tags)

    def require_tags(self, actor: Actor, tags: frozenset[str], changed: frozenset[str]) -> None:
        actor.require(Role.ADMIN, tags=tags)
        forbidden = rules.tags_within(actor.rights, changed)
        if forbidden:
            raise TagsNotYours(forbidden)

    async def refuse_taken(self, name: str) -> None:
        async with self.db.read() as session:
            taken = await store.token_named(session, rules.name_key(name))
        if taken is not None:
            raise NameTaken(taken.name)

    async def refuse_second(
        self, session: AsyncSession, token: Token, account: Account, actor: Actor
    ) -> None:
        first = await store.token_of_server(session, account.server_uuid, but=token.id)
        if first is None:
            return
        tags = (await store.tags_of(session, [first.id])).get(first.id, frozenset())
        visible = actor.rights.role_for(tags) >= Role.VIEWER
        raise ServerHasToken(
            token.name,
            server_name=account.server_name,
            other=first.name if visible else None,
            portal=self.texts.portal,
        )

    @contextlib.asynccontextmanager
    async def change(self, token: Token, server_name: str = "") -> AsyncIterator[AsyncSession]:
        """Open a writing transaction; name the unique key that two people at once run into."""
        try:
            async with self.db.begin() as session:
                yield session
        except IntegrityError as error:
            # SQLite names the column, PostgreSQL the index.
            if any(word in str(error.orig) for word in ("token.server_uuid", "uq_token_live_server")):
                raise ServerHasToken(
                    token.name, server_name=server_name, other=None, portal=self.texts.portal
                ) from None
            if any(word in str(error.orig) for word in ("token.name_key", "uq_token_live_name")):
                await self.refuse_taken(token.name)
                raise NameTaken(token.name) from None
            raise

    async def refuse_again(self, session: AsyncSession, delivery: str | None) -> None:
        """Stop a delivery that was taken before it is refused for what its first one did."""
        taken = await session.get(Claimed, delivery[:255]) if delivery is not None else None
        if taken is not None:
            raise DeliveredAgain

    async def claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def record(
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
            asked_at=self.clock.now(),
            exempt=exempt,
            channel=channel,
            user_id=user_id,
        )
        session.add(wish)
        await session.flush()


#: What a view shows just as it is stored.
_SHOWN = (
    *("id", "name", "expected_apple_id", "mdm_url", "channel", "approvals_channel", "owner"),
    *("agreed_by", "agreed_at", "added_by", "added_at", "installed_at", "installed_by"),
    *("server_uuid", "server_name", "org_name", "org_id", "org_type", "made_by", "expires_at"),
    *("full_page_size", "delta_page_size", "order_size", "asked_at", "last_ok_at", "refused_word"),
    *("terms_since", "renewal_opened_at", "refused_first_at"),
)


async def fresh(session: AsyncSession, token_id: str) -> Token:
    """Read a token again after a statement changed it behind the session's back."""
    token = await session.get_one(Token, token_id)
    await session.refresh(token)
    return token


def certificate_file(name: str, row: KeyPairRow) -> Certificate:
    return Certificate(f"{name}.pem", row.certificate_pem.encode(), row.fingerprint)


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
