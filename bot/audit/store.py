"""Rows of the audit."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from bot.audit.facts import Entry, Told
from bot.audit.models import BEGINNING, AuditEntry, AuditHead
from bot.audit.query import Condition, Key, Query
from bot.kit.db import insert_ignoring

_HEAD = 1
_PAGE = 500
#: An entry's columns, by the names and in the order of the value that is made of them.
_COLUMNS = [getattr(AuditEntry, each.name) for each in fields(Entry) if each.name not in ("previous", "link")]


async def lock_head(session: AsyncSession) -> AuditHead:
    """Return the end of the chain, locked until the transaction ends: entries are written one by one."""
    await insert_ignoring(session, AuditHead, {"id": _HEAD, "number": 0, "mac": BEGINNING})
    query = sa.select(AuditHead).where(col(AuditHead.id) == _HEAD).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one()


async def head(session: AsyncSession) -> AuditHead | None:
    return await session.get(AuditHead, _HEAD)


async def entries(session: AsyncSession) -> AsyncIterator[AuditEntry]:
    """Yield all entries, oldest first, a page at a time: a reader that gives up leaves no cursor open."""
    after = 0
    while page := await _page(session, after=after):
        for entry in page:
            yield entry
        after = page[-1].number


async def _page(session: AsyncSession, *, after: int) -> Sequence[AuditEntry]:
    query = sa.select(AuditEntry).where(col(AuditEntry.number) > after).order_by(col(AuditEntry.number))
    return (await session.execute(query.limit(_PAGE))).scalars().all()


async def acts_after(session: AsyncSession, number: int, *, limit: int) -> list[Told]:
    """Return the acts behind an entry's number, oldest first."""
    columns = [getattr(AuditEntry, each.name) for each in fields(Told)]
    query = sa.select(*columns).where(col(AuditEntry.number) > number).order_by(col(AuditEntry.number))
    return [Told(*row) for row in await session.execute(query.limit(limit))]


async def newest(session: AsyncSession, *, limit: int) -> list[AuditEntry]:
    query = sa.select(AuditEntry).order_by(col(AuditEntry.number).desc()).limit(limit)
    return list((await session.execute(query)).scalars())


async def since(session: AsyncSession, actions: Collection[str], at: datetime) -> list[AuditEntry]:
    """Return the entries of some acts from a moment on, oldest first."""
    query = sa.select(AuditEntry).where(col(AuditEntry.action).in_(list(actions)), col(AuditEntry.at) >= at)
    return list((await session.scalars(query.order_by(col(AuditEntry.number)))).all())


@dataclass(frozen=True, slots=True)
class Filter:
    """What entries have to be: what a query says, and with one of `tags` (None: any, or none at all).

    `involved` are the ids of the subjects that the devices of the query were part of, by serial number.
    """

    query: Query
    tags: frozenset[str] | None = None
    involved: Mapping[str, Collection[str]] = field(default_factory=dict)


async def page_of(
    session: AsyncSession, wanted: Filter, *, after: int | None, before: int | None, limit: int
) -> list[Entry]:
    """Return the entries that stand after (or before) an entry number, newest first.

    Going back, those nearest to `before`.
    """
    number = col(AuditEntry.number)
    backwards = before is not None and after is None
    query = _fitting(session, wanted)
    if after is not None:
        query = query.where(number < after)
    elif before is not None:
        query = query.where(number > before)
    query = query.order_by(number.asc() if backwards else number.desc()).limit(limit)
    found = [Entry(*row) for row in await session.execute(query)]
    return found[::-1] if backwards else found


async def fitting(session: AsyncSession, wanted: Filter, *, rows: int) -> AsyncIterator[list[Entry]]:
    """Yield the entries that fit, oldest first, so many at a time."""
    number, after = col(AuditEntry.number), 0
    while True:
        query = _fitting(session, wanted).where(number > after).order_by(number).limit(rows)
        found = [Entry(*row) for row in await session.execute(query)]
        if found:
            yield found
        if len(found) < rows:
            return
        after = found[-1].number


async def count_up_to(session: AsyncSession, wanted: Filter, *, limit: int) -> int:
    few = sa.select(sa.literal(1)).where(*_conditions(session, wanted)).select_from(AuditEntry).limit(limit)
    return (await session.execute(sa.select(sa.func.count()).select_from(few.subquery()))).scalar_one()


async def actions_of(session: AsyncSession, wanted: Filter) -> list[str]:
    """Return every action that occurs among the entries that fit."""
    action = col(AuditEntry.action)
    query = sa.select(action).where(*_conditions(session, wanted)).distinct().order_by(action)
    return list((await session.execute(query)).scalars())


def _fitting(session: AsyncSession, wanted: Filter) -> sa.Select[*tuple[Any, ...]]:
    """Return the query for entries, each with the mac of the one before it, which it is chained to."""
    earlier = aliased(AuditEntry)
    is_before = col(earlier.number) == col(AuditEntry.number) - 1
    previous = sa.func.coalesce(col(earlier.mac), BEGINNING)
    query = sa.select(*_COLUMNS, previous).select_from(AuditEntry).outerjoin(earlier, is_before)
    return query.where(*_conditions(session, wanted))


def _conditions(session: AsyncSession, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    found = [_condition(session, condition, wanted) for condition in wanted.query.conditions]
    if wanted.tags is not None:
        found.append(sa.or_(sa.false(), *(_names(session, AuditEntry.tags, tag) for tag in wanted.tags)))
    return found


def _condition(session: AsyncSession, condition: Condition, wanted: Filter) -> sa.ColumnElement[bool]:
    holds = _test(session, condition, wanted)
    return sa.not_(holds) if condition.is_negated else holds


def _test(session: AsyncSession, condition: Condition, wanted: Filter) -> sa.ColumnElement[bool]:
    value, at = condition.value, col(AuditEntry.at)
    if condition.at is not None:
        return at >= condition.at if condition.key is Key.SINCE else at < condition.at
    subject_id, kind = col(AuditEntry.subject_id), col(AuditEntry.subject_kind)
    tests: dict[Key, sa.ColumnElement[bool]] = {
        # Slack's ids are in capitals, other names mostly not; a list leaves the index of use.
        Key.ACTOR: col(AuditEntry.actor).in_({value, value.upper(), value.lower()}),
        Key.ACTION: col(AuditEntry.action).startswith(value, autoescape=True),
        Key.SUBJECT: sa.or_(
            subject_id == value, col(AuditEntry.subject_name).icontains(value, autoescape=True)
        ),
        Key.SERIAL: sa.or_(
            sa.and_(kind == "device", subject_id == value),
            subject_id.in_(wanted.involved.get(value, ())),
            _names(session, AuditEntry.detail, value),
        ),
        Key.TOKEN: _is_of_token(value.lower()),
        Key.TAG: _names(session, AuditEntry.tags, value),
        Key.REFERENCE: col(AuditEntry.reference) == value.upper(),
    }
    return tests[condition.key]


def _is_of_token(name: str) -> sa.ColumnElement[bool]:
    """Say whether an entry is of the token, of something named `TOKEN/…`, or names it in its detail."""
    subject = sa.func.lower(col(AuditEntry.subject_name))
    told = sa.func.lower(sa.func.coalesce(col(AuditEntry.detail)["token"].as_string(), ""))
    is_token = sa.and_(col(AuditEntry.subject_kind) == "token", subject == name)
    return sa.or_(is_token, subject.startswith(f"{name}/", autoescape=True), told == name)


def _names(session: AsyncSession, column: Any, word: str) -> sa.ColumnElement[bool]:
    """Say whether the JSON of a column holds a text, on its own: neither as part of one nor in other case."""
    position = sa.func.strpos if session.get_bind().dialect.name == "postgresql" else sa.func.instr
    return position(sa.cast(col(column), sa.Text), json.dumps(word)) > 0
