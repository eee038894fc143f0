"""Listing requests: a page of them, or all as CSV."""

from collections.abc import AsyncIterator, Collection
from datetime import timedelta

from bot.assignments import rules, store
from bot.assignments.books import Books
from bot.assignments.facts import ListKey, RequestPage, RequestView
from bot.assignments.models import Request
from bot.kit.actor import Actor, Role

#: How long a request that has ended stands in the list.
_LISTED_FOR = timedelta(days=30)
PAGE_ROWS = 10
_CSV_BATCH = 200


class Listing:
    """Requests that a person may see: undecided and running ones first, then the newest.

    Of their own they see previews too, before all others, as long as these are kept.
    """

    def __init__(self, books: Books) -> None:
        self._books = books

    async def page(
        self,
        *,
        actor: Actor,
        mine: bool = False,
        after: ListKey | None = None,
        before: ListKey | None = None,
        rows: int = PAGE_ROWS,
        counts: bool = True,
    ) -> RequestPage:
        """Return a page; `after` and `before` are keys of rows that it follows or precedes."""
        actor.require(Role.VIEWER)
        tokens = await self._tokens(actor)
        now = self._books.clock.now()
        backwards = before is not None and after is None
        async with self._books.db.read() as session:
            found: list[Request] = []
            if mine:
                previews = await store.previews_of(session, actor.id, since=now - rules.PREVIEW_KEPT)
                found = [each for each in previews if _is_within(rules.list_key(each), after, before)]
            if backwards or len(found) <= rows:
                found += await store.listed(
                    session,
                    # Who may see every token sees what became of requests of a removed one too.
                    token_ids=tokens,
                    since=now - _LISTED_FOR,
                    most=rows + 1 if backwards else rows + 1 - len(found),
                    requested_by=actor.id if mine else None,
                    after=after,
                    before=before if backwards else None,
                )
            more = len(found) > rows
            kept = (found[-rows:] if backwards else found[:rows]) if more else found
            views = [await self._books.view(session, row, counts=counts) for row in kept]
        if backwards and not more:
            # The first page is full, whatever has come or gone since.
            return await self.page(actor=actor, mine=mine, rows=rows, counts=counts)
        has_previous, has_next = (True, True) if backwards else (after is not None, more)
        return RequestPage(
            rows=views,
            is_mine=mine,
            previous=rules.list_key(kept[0]) if kept and has_previous else None,
            next=rules.list_key(kept[-1]) if kept and has_next else None,
        )

    async def all_of(self, *, actor: Actor, mine: bool = False) -> AsyncIterator[list[RequestView]]:
        """Return everything that stands in the list, in parts."""
        after: ListKey | None = None
        while True:
            page = await self.page(actor=actor, mine=mine, after=after, rows=_CSV_BATCH, counts=False)
            yield page.rows
            if page.next is None:
                return
            after = page.next

    async def _tokens(self, actor: Actor) -> Collection[str] | None:
        if actor.rights.is_unlimited:
            return None
        return [token.id for token in await self._books.tokens.list_tokens(actor=actor)]


def _is_within(key: ListKey, after: ListKey | None, before: ListKey | None) -> bool:
    """Say whether a row stands after one key or before the other; the greatest key stands first."""
    if after is not None:
        return key < after
    return before is None or key > before
