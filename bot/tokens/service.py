"""Everything that can be done with tokens. Each method checks the right of whoever asks."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import (
    EnrollmentBackend,
)
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.nearest import nearest
from bot.kit.secrets import Keyring
from bot.settings import Settings
from bot.tokens import rules, store
from bot.tokens.asking import Asking
from bot.tokens.books import Books, certificate_file, fresh, iso
from bot.tokens.errors import (
    AgreementMissing,
    FormWrong,
    NothingToSet,
    TokenAwaited,
    TokenFault,
    TokenGone,
    TokenUnknown,
)
from bot.tokens.facts import (
    Added,
    Certificate,
    Checked,
    TokenView,
    WaitingSync,
)
from bot.tokens.install import Installer, RunningWork
from bot.tokens.models import (
    KeyPairState,
    SyncWish,
    Token,
    WishKind,
    WishReason,
)

AlertsClosed = Callable[[str], Awaitable[int]]


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
        self.texts = backend.texts
        self._backend = backend
        self._books = Books(
            db=db, clock=clock, keyring=keyring, audit=audit, texts=backend.texts, settings=settings
        )
        self._asking = Asking(self._books, backend)
        self._alerts_closed: AlertsClosed | None = None
        self._installer = Installer(self._books, self._asking, backend)
        # One door for the rooms above, without a line of its own for each of these.
        self.upload = self._installer.upload
        self.open_renewal = self._installer.open_renewal
        self.import_token = self._installer.import_token
        self.connection = self._asking.connection
        self.ask_due = self._asking.ask_due
        self.record_refusal = self._asking.record_refusal
        self.record_success = self._asking.record_success
        self.record_account = self._asking.record_account
        self.wish_sync = self._books.wish_sync

    def tell_running_work(self, running: RunningWork) -> None:
        """Take the function that names, in sentences, what runs on a token; the rooms above know it."""
        self._installer.running = running

    def tell_wishes(self, look: Callable[[], None]) -> None:
        """Take the function that has wishes looked for at once, after an upload or a removal."""
        self._books.look = look

    def tell_alerts(self, closed: AlertsClosed) -> None:
        """Take the function that ends a token's alerts that no longer hold, and counts them."""
        self._alerts_closed = closed

    async def close_alerts(self, token_id: str) -> int:
        """End the alerts of a token that no longer hold; returns how many."""
        return await self._alerts_closed(token_id) if self._alerts_closed else 0

    # Looking

    async def list_tokens(self, *, actor: Actor) -> list[TokenView]:
        """Return the tokens that the actor may see, by name."""
        actor.require(Role.VIEWER)
        async with self._books.db.read() as session:
            views = await self._books.views(session, await store.live_tokens(session))
        return [view for view in views if actor.rights.role_for(view.tags) >= Role.VIEWER]

    async def get(self, name: str, *, actor: Actor) -> TokenView:
        """Return a token by its name, whatever the case. Raises `TokenUnknown` with the nearest name."""
        visible = await self.list_tokens(actor=actor)
        by_key = {rules.name_key(view.name): view for view in visible}
        if rules.name_key(name) in by_key:
            return by_key[rules.name_key(name)]
        near = nearest(rules.name_key(name), by_key)
        raise TokenUnknown(
            name.strip()[:60],
            by_key[near].name if near else None,
            slash=self._books.slash,
            is_limited=not actor.rights.is_unlimited,
        )

    async def get_by_id(self, token_id: str, *, actor: Actor) -> TokenView:
        """Return a token by its id. Raises `TokenGone` when removed or not to be seen by the actor."""
        actor.require(Role.VIEWER)
        async with self._books.db.read() as session:
            token = await store.live_token(session, token_id)
            views = await self._books.views(session, [token] if token else [])
        if not views or actor.rights.role_for(views[0].tags) < Role.VIEWER:
            raise TokenGone
        return views[0]

    async def get_in(self, session: AsyncSession, token_id: str) -> TokenView | None:
        """Return a token inside the caller's transaction, None when it was removed.

        Within a transaction a second connection must not be waited for. The caller checks the right.
        """
        token = await store.live_token(session, token_id)
        return (await self._books.views(session, [token]))[0] if token else None

    async def keep_in(self, session: AsyncSession, token_id: str) -> None:
        """Let nobody remove a token before the caller's transaction commits."""
        await store.keep(session, token_id)

    async def tags_in(self, session: AsyncSession, token_id: str) -> frozenset[str]:
        """Return a token's tags inside the caller's transaction, also of a removed one."""
        return (await store.tags_of(session, [token_id])).get(token_id, frozenset())

    async def all_tags_in(self, session: AsyncSession, token_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the tags of these tokens inside the caller's transaction, those without any left out."""
        return await store.tags_of(session, token_ids)

    async def name_in(self, session: AsyncSession, token_id: str) -> str:
        """Return a token's name inside the caller's transaction, also of a removed one."""
        return (await session.get_one(Token, token_id)).name

    async def tags_of(self, token_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return the tags per token, also of removed ones; those without tags are left out."""
        async with self._books.db.read() as session:
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
        """Raise all that `add` would refuse; return the row it would store, and the tags. Takes no time.

        One fault is raised as itself, several as `FormWrong`.
        """
        actor.require(Role.ADMIN)
        faults: list[TokenFault] = []
        with _noting(faults):
            await self._books.refuse_taken(rules.check_name(name, portal=self.texts.portal))
        with _noting(faults):
            rules.check_apple_id(apple_id)
        with _noting(faults):
            rules.parse_setting(rules.Setting.MDM_URL, mdm_url or "")
        with _noting(faults):
            found_tags = rules.check_tags(tags)
            self._books.require_tags(actor, found_tags, found_tags)
        if not agreed:
            faults.append(AgreementMissing(service=self.texts.service))
        if faults:
            raise faults[0] if len(faults) == 1 else FormWrong(faults)
        checked_id = rules.check_apple_id(apple_id)
        token = self._books.new_token(name, actor=actor, apple_id=checked_id, mdm_url=mdm_url)
        self._books.agree(token, actor)
        return token, rules.check_tags(tags)

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
        async with self._books.db.read() as session:
            await self._books.refuse_again(session, delivery)
        token, found_tags = await self.check_new(
            name, actor=actor, apple_id=apple_id, agreed=agreed, mdm_url=mdm_url, tags=tags
        )
        pair = await self._backend.make_key_pair(token.name)
        row = self._books.pair_row(token.id, pair, state=KeyPairState.CURRENT, actor=actor)
        async with self._books.change(token) as session:
            await self._books.claim(session, delivery)
            await self._books.insert(session, token, found_tags, row)
            await self._books.record(
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
            view = (await self._books.views(session, [token]))[0]
        remarks = [rules.personal_remark(apple_id)] if rules.is_personal(apple_id) else []
        return Added(view, certificate_file(view.name, row), self.texts.add_steps, tuple(remarks))

    async def certificate(self, token_id: str, *, actor: Actor, delivery: str | None = None) -> Certificate:
        """Return the certificate to hand to the portal: the staged one if there is one."""
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, token_id, actor)
            row = held.usable_rows[-1]
            await self._books.record(
                session,
                actor,
                "token.certificate_sent",
                held.token,
                held.tags,
                {"certificate": row.fingerprint},
            )
        return certificate_file(held.token.name, row)

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
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, token_id, actor, locks=True)
            detail = {
                column: {"before": getattr(held.token, column), "after": value}
                for column, value in sorted(values.items())
            }
            await store.change_token(session, token_id, values)
            await self._books.record(session, actor, "token.set", held.token, held.tags, detail)
            return (await self._books.views(session, [await fresh(session, token_id)]))[0]

    async def tag(
        self, token_id: str, *, actor: Actor, tags: Sequence[str], delivery: str | None = None
    ) -> TokenView:
        """Replace the tags. An admin limited to tags sets and removes only those."""
        wanted = rules.check_tags(tags)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            held = await self._books.load(session, token_id, actor, locks=True)
            self._books.require_tags(actor, held.tags, held.tags ^ wanted)
            await store.replace_tags(session, token_id, wanted)
            detail = {"before": sorted(held.tags), "after": sorted(wanted)}
            await self._books.record(session, actor, "token.tagged", held.token, held.tags | wanted, detail)
            return (await self._books.views(session, [held.token]))[0]

    async def remove_in(self, session: AsyncSession, token_id: str, *, actor: Actor) -> None:
        """Delete a token's secrets and mark it removed; its devices' room marks the devices.

        Inside the transaction of the caller, who has checked the right and calls `look_for_wishes` after
        it. Raises `TokenGone`.
        """
        token = await store.live_token(session, token_id, locks=True)
        if token is None:
            raise TokenGone
        view = (await self._books.views(session, [token]))[0]
        await store.change_token(
            session, token_id, {"removed_at": self._books.clock.now(), "removed_by": actor.id}
        )
        await store.drop_secrets(session, token_id)
        await self._books.wish_sync(
            session,
            token_id,
            kind=WishKind.REMOVAL,
            reason=WishReason.REMOVED,
            asked_by=actor.id,
            exempt=True,
        )
        detail = {"server_uuid": view.server_uuid, "expires_at": iso(view.expires_at)}
        await self._books.record(session, actor, "token.removed", token, view.tags, detail)

    def look_for_wishes(self) -> None:
        """Have wishes looked for at once, now that they are committed."""
        self._books.look_now()

    # What the rooms above need

    async def check(self, token_id: str, *, actor: Actor) -> Checked:
        """Ask the service about a token now; where terms were open, about all of its organisation."""
        before = await self.get_by_id(token_id, actor=actor)
        actor.require(Role.OPERATOR, tags=before.tags)
        if not before.has_token:
            raise TokenAwaited(before.name, before.id, portal=self.texts.portal)
        async with self._books.db.read() as session:
            token = await store.live_token(session, token_id)
        if token is None:
            raise TokenGone
        had_terms = token.terms_since is not None
        answer = await self._asking.ask_for_person(token)
        syncing: list[str] = []
        if had_terms and answer.accepted and not answer.terms_open:
            resumed = {token.id, *await self._asking.resume_organisation(token)}
            syncing = [view.name for view in await self.list_tokens(actor=actor) if view.id in resumed]
        return Checked(await self.get_by_id(token_id, actor=actor), answer, tuple(syncing))

    async def sync_wishes(self, session: AsyncSession) -> list[WaitingSync]:
        """Return all wishes, the oldest first, and leave them."""
        return [_waiting(wish) for wish in await store.wishes(session)]

    async def take_sync_wishes(
        self, session: AsyncSession, ids: Collection[str] | None = None
    ) -> list[WaitingSync]:
        """Take these wishes, or all, the oldest first, inside the transaction that turns them into work.

        Those that another replica took meanwhile are not among them.
        """
        return [_waiting(wish) for wish in await store.take_wishes(session, ids)]


@contextlib.contextmanager
def _noting(faults: list[TokenFault]) -> Iterator[None]:
    try:
        yield
    except TokenFault as fault:
        faults.append(fault)


def _waiting(wish: SyncWish) -> WaitingSync:
    return WaitingSync(
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


_COLUMNS = {
    rules.Setting.MDM_URL: "mdm_url",
    rules.Setting.CHANNEL: "channel",
    rules.Setting.APPROVALS: "approvals_channel",
    rules.Setting.OWNER: "owner",
    rules.Setting.WARN: "warn_days",
}
