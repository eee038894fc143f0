"""Asking the service about tokens in use, and noting what it answers."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bot.backend.port import (
    Account,
    BackendError,
    Connection,
    EnrollmentBackend,
    TermsNotSigned,
    TokenRejected,
)
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.tokens import rules, store
from bot.tokens.books import Books
from bot.tokens.errors import (
    TokenAwaited,
    TokenGone,
)
from bot.tokens.facts import (
    ServiceAnswer,
)
from bot.tokens.models import (
    Token,
    WishKind,
    WishReason,
)
from bot.tokens.sessions import DatabaseSessions, SessionVault

log = get_logger(__name__)

#: How long one question may take, in seconds, and how many are asked at once.
ANSWER_WITHIN_S = 60.0
#: How long a question may take that a person waits for.
PERSON_WAITS_S = 20.0
_AT_ONCE = 4


class Asking:
    """Connects with stored tokens and keeps what the service says of them."""

    def __init__(self, books: Books, backend: EnrollmentBackend) -> None:
        self._books = books
        self._backend = backend
        self.vault = SessionVault(db=books.db, clock=books.clock, keyring=books.keyring)

    async def connection(self, token_id: str) -> Connection:
        """Return the service as seen with a token. Raises what `credentials` raises."""
        credentials = await self.credentials(token_id)
        return self._backend.connect(credentials, DatabaseSessions(self.vault, token_id))

    async def credentials(self, token_id: str) -> SecretStr:
        """Return what a token in use holds. Raises `TokenGone`, `TokenAwaited`, `SecretUnreadable`."""
        async with self._books.db.read() as session:
            token = await store.live_token(session, token_id)
            sealed = await store.credentials(session, token_id)
        if token is None:
            raise TokenGone
        if sealed is None:
            raise TokenAwaited(token.name, token.id, portal=self._books.texts.portal)
        return self._books.keyring.decrypt(sealed, table="token_secret", column="credentials", row=token_id)

    async def ask_for_person(self, token: Token) -> ServiceAnswer:
        """Ask about the token in use while somebody waits; no answer in time says nothing of the token."""
        began, service = self._books.clock.now(), self._books.texts.service
        try:
            async with asyncio.timeout(PERSON_WAITS_S):
                return await self.ask(token)
        except TimeoutError:
            log.warning("account not asked", token=token.name, problem="TimeoutError")
            sentence = f"{service} did not answer within {PERSON_WAITS_S:.0f} seconds."
            return ServiceAnswer(accepted=None, terms_open=False, sentence=sentence, at=began)

    async def ask(self, token: Token) -> ServiceAnswer:
        """Ask about the token in use and note the answer."""
        began, service = self._books.clock.now(), self._books.texts.service
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

    async def ask_due(self, *, within_s: float = ANSWER_WITHIN_S) -> int:
        """Ask the service about every token not asked for an hour, or in doubt. Returns how many."""
        async with self._books.db.read() as session:
            due = await store.due_for_account(
                session,
                self._books.clock.now(),
                every=rules.ACCOUNT_EVERY,
                doubt_after=rules.REJECTION_COUNTS_AFTER,
            )
            tokens = [token for token in [await store.live_token(session, each) for each in due] if token]
        await self.ask_all(tokens, within_s=within_s)
        return len(tokens)

    async def ask_all(
        self, tokens: Sequence[Token], *, within_s: float = ANSWER_WITHIN_S
    ) -> list[ServiceAnswer | None]:
        """Ask about several tokens, a few at a time; None for one that could not be asked within its time.

        What is wrong with one token keeps no other from being asked.
        """
        turns = asyncio.Semaphore(_AT_ONCE)

        async def ask(token: Token) -> ServiceAnswer | None:
            async with turns:
                try:
                    async with asyncio.timeout(within_s):
                        answer = await self.ask(token)
                except (EnrollbotError, TimeoutError) as error:
                    log.warning("account not asked", token=token.name, problem=type(error).__name__)
                    return None
            log.info("account asked", token=token.name, accepted=answer.accepted, terms=answer.terms_open)
            return answer

        return await asyncio.gather(*(ask(token) for token in tokens))

    async def resume_organisation(self, token: Token) -> list[str]:
        """Ask about the other tokens of a token's organisation, whose terms are accepted now.

        Returns the ids of those that the service accepts; each of them gets its sync.
        """
        async with self._books.db.read() as session:
            tokens = [
                each
                for each in await store.live_tokens(session)
                if each.id != token.id and each.installed_at and rules.are_of_one_organisation(each, token)
            ]
        answers = await self.ask_all(tokens)
        resumed = [each for each, answer in zip(tokens, answers, strict=True) if _is_well(answer)]
        async with self._books.db.begin() as session:
            for each in resumed:
                if each.terms_since is None:
                    # Nobody had noticed here that the terms kept it from syncing.
                    await self._wish_after_terms(session, each)
        return [each.id for each in resumed]

    async def record_refusal(
        self, token_id: str, error: BackendError, *, asked_at: datetime | None = None
    ) -> None:
        """Note that the service refused a token or wants terms signed; anything else says nothing of it.

        `asked_at` is when the asking began: a refusal of a token that was replaced since is dropped.
        """
        async with self._books.db.begin() as session:
            token = await store.live_token(session, token_id, locks=True)
            if token is None or _was_replaced(token, asked_at):
                return
            now = self._books.clock.now()
            values: dict[str, Any]
            if isinstance(error, TermsNotSigned):
                # Terms are judged after the token: it is good.
                values = {**all_well(now), "terms_since": token.terms_since or now}
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
        await self._note_well(token_id, account_values(account), asked_at)

    async def _note_well(self, token_id: str, values: Mapping[str, Any], asked_at: datetime | None) -> None:
        async with self._books.db.begin() as session:
            token = await store.live_token(session, token_id, locks=True)
            if token is None or _was_replaced(token, asked_at):
                return
            had_terms = token.terms_since is not None
            await store.change_token(session, token_id, {**values, **all_well(self._books.clock.now())})
            if had_terms:
                await self._wish_after_terms(session, token)

    async def _wish_after_terms(self, session: AsyncSession, token: Token) -> None:
        await self._books.wish_sync(
            session,
            token.id,
            kind=WishKind.DELTA,
            reason=WishReason.TERMS_ACCEPTED,
            asked_by="service",
            exempt=True,
            channel=token.channel,
        )


def account_values(account: Account) -> dict[str, Any]:
    return {
        "server_name": account.server_name,
        "org_name": account.org_name,
        "org_type": account.org_type,
        "made_by": account.made_by,
        "full_page_size": account.full_page_size,
        "delta_page_size": account.delta_page_size,
        "order_size": account.order_size,
    }


def all_well(now: datetime) -> dict[str, datetime | None]:
    return {
        "asked_at": now,
        "last_ok_at": now,
        "refused_first_at": None,
        "refused_last_at": None,
        "refused_word": None,
        "terms_since": None,
    }


def _is_well(answer: ServiceAnswer | None) -> bool:
    return answer is not None and answer.accepted is True and not answer.terms_open


def _was_replaced(token: Token, asked_at: datetime | None) -> bool:
    return asked_at is not None and token.installed_at is not None and token.installed_at > asked_at
