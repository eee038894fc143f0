"""Finding devices: a page of a list, or all of it as CSV."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

from rapidfuzz import fuzz, process
from sqlalchemy.ext.asyncio import AsyncSession

from bot.devices import query as grammar
from bot.devices import rules, store
from bot.devices.books import Books
from bot.devices.csv import csv_rows
from bot.devices.errors import ValueWrong
from bot.devices.facts import DevicePageView, DeviceRow, Kind
from bot.devices.models import DeviceKind, DeviceState
from bot.devices.query import Key, Query
from bot.devices.store import Filter
from bot.devices.views import Profiles, names_of, row_of
from bot.kit.actor import Actor, Role
from bot.profiles.rules import name_key
from bot.tokens.facts import TokenView

PAGE_ROWS = 10
COUNT_UP_TO = 1000
_CSV_BATCH = 5000


class Lists:
    """Answers queries."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def list_devices(
        self,
        text: str,
        *,
        actor: Actor,
        after: str | None = None,
        before: str | None = None,
        rows: int = PAGE_ROWS,
    ) -> DevicePageView:
        """Return a page of the devices that fit a QUERY, by serial. Raises `QueryWrong`."""
        query, names = await self._read_query(text, actor)
        async with self._books.db.read() as session:
            kinds, wanted = await self._filter(session, query, actor, names)
            found = await store.page_of(session, wanted, after=after, before=before, limit=rows + 1)
            total = await store.count_up_to(session, wanted, limit=COUNT_UP_TO + 1)
        backwards = before is not None and after is None
        more = len(found) > rows
        page = (found[1:] if backwards else found[:rows]) if more else found
        has_previous, has_next = (more, True) if backwards else (after is not None, more)
        profiles = await self._profiles_of((kinds[device.kind_id] for device in page), names)
        shown_rows = [row_of(device, kinds[device.kind_id], names_of(names), profiles) for device in page]
        return DevicePageView(
            query=query.text,
            rows=shown_rows,
            total=None if total > COUNT_UP_TO else total,
            previous=page[0].serial if page and has_previous else None,
            next=page[-1].serial if page and has_next else None,
            beginnings=tuple(c.value for c in query.of(Key.SERIAL) if c.value and not c.is_negated),
        )

    async def csv(self, text: str, *, actor: Actor, delivery: str | None = None) -> tuple[bytes, int]:
        """Return the devices that fit a QUERY as CSV (UTF-8 with a mark, for spreadsheets), and how many."""
        query, names = await self._read_query(text, actor)
        parts = [part async for part in self._csv_parts(query, actor, names)]
        total = sum(count for _, count in parts)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            await self._books.audit.record(
                session,
                actor=actor,
                action="device.exported",
                subject_kind="device",
                subject_id="*",
                subject_name=query.text or "all devices",
                detail={"query": query.text, "devices": total},
            )
        return b"".join(part for part, _ in parts), total

    async def all_of(self, text: str, *, actor: Actor, most: int) -> list[DeviceRow]:
        """Return every device that fits a QUERY, by serial, up to `most` and one more."""
        query, names = await self._read_query(text, actor)
        found: list[DeviceRow] = []
        after: str | None = None
        while len(found) <= most:
            async with self._books.db.read() as session:
                kinds, wanted = await self._filter(session, query, actor, names)
                page = await store.page_of(session, wanted, after=after, before=None, limit=_CSV_BATCH)
            profiles = await self._profiles_of((kinds[device.kind_id] for device in page), names)
            found += [row_of(device, kinds[device.kind_id], names_of(names), profiles) for device in page]
            if len(page) < _CSV_BATCH:
                break
            after = found[-1].serial
        return found[: most + 1]

    async def of_serials(self, serials: Sequence[str], *, actor: Actor) -> dict[str, DeviceRow]:
        """Return those of these devices that are known here and that the actor may see, by serial."""
        visible = await self._books.visible(actor)
        found: dict[str, DeviceRow] = {}
        for first in range(0, len(serials), _CSV_BATCH):
            async with self._books.db.read() as session:
                rows = await store.devices_of(session, serials[first : first + _CSV_BATCH])
            kinds = [store.kind_of(kind) for _, kind in rows]
            profiles = await self._profiles_of(kinds, visible)
            for (device, _), kind in zip(rows, kinds, strict=True):
                if kind.token_id in visible:
                    found[device.serial] = row_of(device, kind, names_of(visible), profiles)
        return found

    async def _csv_parts(
        self, query: Query, actor: Actor, names: Mapping[str, TokenView]
    ) -> AsyncIterator[tuple[bytes, int]]:
        after: str | None = None
        while True:
            async with self._books.db.read() as session:
                kinds, wanted = await self._filter(session, query, actor, names)
                found = await store.page_of(session, wanted, after=after, before=None, limit=_CSV_BATCH)
            profiles = await self._profiles_of((kinds[device.kind_id] for device in found), names)
            rows = [row_of(device, kinds[device.kind_id], names_of(names), profiles) for device in found]
            yield await asyncio.to_thread(csv_rows, rows, with_header=after is None), len(rows)
            if len(found) < _CSV_BATCH:
                return
            after = found[-1].serial

    async def _profiles_of(self, kinds: Iterable[Kind], token_ids: Collection[str]) -> Profiles:
        return await self._books.profiles.names_of(
            {kind.profile_uuid for kind in kinds if kind.profile_uuid}, token_ids=token_ids
        )

    async def _read_query(self, text: str, actor: Actor) -> tuple[Query, dict[str, TokenView]]:
        actor.require(Role.VIEWER)
        query = grammar.parse(text, now=self._books.clock.now())
        visible = await self._books.visible(actor)
        names = {token.name.lower() for token in visible.values()}
        for condition in query.of(Key.TOKEN):
            if condition.value not in names:
                raise _unknown_token(condition.value, names)
        return query, visible

    async def _filter(
        self, session: AsyncSession, query: Query, actor: Actor, visible: Mapping[str, TokenView]
    ) -> tuple[dict[int, Kind], Filter]:
        rows = await store.kinds_of(session, None if actor.rights.is_unlimited else list(visible))
        profiles: Profiles = {}
        if query.of(Key.PROFILE):
            profiles = await self._books.profiles.names_of(
                {row.profile_uuid for row in rows if row.profile_uuid}, token_ids=visible
            )
            await self._refuse_unknown_profile(query, rows, actor)
        _refuse_unknown_values(query, rows, visible)
        wanted = [row for row in rows if _fits(row, query, visible, profiles)]
        kinds = {row.id: store.kind_of(row) for row in wanted}
        return kinds, Filter(
            kinds=list(kinds),
            weight=sum(row.devices for row in wanted),
            prefixes=[(c.value, c.is_negated) for c in query.of(Key.SERIAL) if c.value],
            added=[(c.since, c.is_negated) for c in query.of(Key.ADDED) if c.since],
            removed=[(c.since, c.is_negated) for c in query.of(Key.REMOVED) if c.since],
        )

    async def _refuse_unknown_profile(self, query: Query, rows: Sequence[DeviceKind], actor: Actor) -> None:
        """Raise `ValueWrong` for a name that no profile has and no UUID that devices carry begins with."""
        profiles = await self._books.profiles.list_profiles(actor=actor)
        names = [each.name for each in profiles]
        known = {name_key(name) for each in profiles for name in (each.name, each.full_name)} | {"none"}
        uuids = [(row.profile_uuid or "").lower() for row in rows]
        for condition in query.of(Key.PROFILE):
            value = condition.value
            is_uuid = any(each.startswith(value.replace("-", "")) for each in uuids if each)
            if name_key(value) not in known and not is_uuid:
                raise ValueWrong("profile", value, known=["none", *names[:20]])


def _fits(row: DeviceKind, query: Query, visible: Mapping[str, TokenView], profiles: Profiles) -> bool:
    """Whether devices of this kind can fit the query, as far as their kind tells."""
    if not query.of(Key.REMOVED) and row.state != DeviceState.PRESENT.value:
        return False
    token = visible.get(row.token_id)
    kind = store.kind_of(row)
    known = profiles.get(kind.profile_uuid or "")
    return all(
        rules.kind_fits(
            kind,
            condition,
            token_name=token.name if token else None,
            tags=token.tags if token else frozenset(),
            profile_name=known.name if known else None,
        )
        for condition in query.conditions
    )


def _refuse_unknown_values(
    query: Query, rows: Sequence[DeviceKind], visible: Mapping[str, TokenView]
) -> None:
    """Raise `ValueWrong` for what no device here ever had: a negated slip of the pen would leave all in."""
    known = {
        Key.FAMILY: {row.family.lower(): row.family for row in rows if row.family},
        Key.OS: {grammar.system(row.os): grammar.system(row.os) for row in rows if row.os},
        Key.TAG: {tag.lower(): tag for token in visible.values() for tag in token.tags},
    }
    for key, values in known.items():
        for condition in query.of(key):
            if condition.value not in values:
                raise ValueWrong(key.value, condition.value, known=_some(values))


def _some(values: Mapping[str, str]) -> list[str]:
    return sorted(values.values())[:20]


def _unknown_token(name: str, known: Iterable[str]) -> ValueWrong:
    guess = process.extractOne(name, sorted(known), scorer=fuzz.ratio, score_cutoff=55)
    return ValueWrong("token", name, known=[guess[0]] if guess else sorted(known)[:10])
