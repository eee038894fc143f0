"""Everything that can be done with alerts. Each method checks the right of whoever asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.alerts import content_rules, rules, store
from bot.alerts.errors import AlertOver, AlertUnknown, CriticalNotSnoozed, DeliveredAgain, LengthWrong
from bot.alerts.facts import About, AlertView, Attempt, Gathered, Kind, Level, Part, Problem
from bot.alerts.gathering import Gathering
from bot.alerts.models import Alert
from bot.alerts.scopes import Scopes, Tags
from bot.audit.service import AuditService
from bot.backend.port import BackendTexts
from bot.deadlines.service import DeadlineService
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.leases import Lease, LeaseLost
from bot.kit.logs import get_logger
from bot.kit.once import claim_once
from bot.licenses.facts import ContentTokenView
from bot.licenses.service import LicenseService
from bot.outside.events import Events
from bot.settings import Settings
from bot.tokens.facts import Checked
from bot.tokens.service import TokenService

log = get_logger(__name__)


class AlertService:
    """Opens alerts, keeps them true and ends them; takes what people promise; says what is to be told."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        audit: AuditService,
        tokens: TokenService,
        licenses: LicenseService,
        deadlines: DeadlineService,
        gathering: Gathering,
        settings: Settings,
    ) -> None:
        self.clock = clock
        self.gathering = gathering
        self.settings = settings
        self._db = db
        self._audit = audit
        self._tokens = tokens
        self._licenses = licenses
        self._scopes = Scopes(tokens=tokens, licenses=licenses, deadlines=deadlines)
        self._tell_now: Callable[[], None] | None = None
        self._events: Events | None = None

    @property
    def texts(self) -> BackendTexts:
        return self._tokens.texts

    # Looking

    async def open_alerts(self, *, actor: Actor) -> list[AlertView]:
        """Return the open alerts that the actor may see, the worst first."""
        actor.require(Role.VIEWER)
        async with self._db.read() as session:
            views = await self._views(session, await store.open_alerts(session))
        return rules.worst_first(view for view in views if view.role_of(actor.rights) >= Role.VIEWER)

    async def counts(self) -> dict[Level, int]:
        """Return how many alerts are open at each level; for metrics, so nobody's right is asked."""
        async with self._db.read() as session:
            levels = [row.level for row in await store.open_alerts(session)]
        return {level: levels.count(level.value) for level in Level}

    async def get(self, label: str, *, actor: Actor) -> AlertView:
        """Return an alert by its label, such as `AL-7`. Raises `AlertUnknown`."""
        number = rules.number_of(label)
        async with self._db.read() as session:
            row = await store.numbered(session, number) if number is not None else None
            return await self._visible(session, row, label.strip()[:40], actor)

    async def get_by_id(self, alert_id: str, *, actor: Actor) -> AlertView:
        async with self._db.read() as session:
            row = await store.one(session, alert_id)
            return await self._visible(session, row, "of this kind", actor)

    async def _visible(self, session: AsyncSession, row: Alert | None, label: str, actor: Actor) -> AlertView:
        views = await self._views(session, [row] if row else [])
        if not views or views[0].role_of(actor.rights) < Role.VIEWER:
            raise AlertUnknown(label, slash=self.settings.command)
        return views[0]

    async def _views(self, session: AsyncSession, rows: Sequence[Alert]) -> list[AlertView]:
        scopes = await self._scopes.of(session, rows)
        return [_view(row, scopes[row.id]) for row in rows]

    # What people promise

    async def acknowledge(self, alert_id: str, *, actor: Actor, delivery: str | None = None) -> AlertView:
        """Name the actor as who is on it, for three days. Raises `AlertOver`."""
        now = self.clock.now()
        values = {
            "acknowledged_by": actor.id,
            "acknowledged_at": now,
            "acknowledged_until": now + rules.ACKNOWLEDGED_FOR,
            "word": None,
        }
        return await self._promise(
            alert_id, values, actor=actor, action="alert.acknowledged", delivery=delivery
        )

    async def snooze(
        self, alert_id: str, length: str, *, actor: Actor, delivery: str | None = None
    ) -> AlertView:
        """Keep an alert silent for `1d`, `3d` or `7d`, not past its next level.

        Raises `AlertOver`, `CriticalNotSnoozed`, `LengthWrong`.
        """
        wanted = rules.SNOOZES.get(length.strip().lower())
        if wanted is None:
            raise LengthWrong(length)
        view = await self.snoozable(alert_id, actor=actor)
        until = rules.snoozed_until(view, wanted, now=self.clock.now())
        values = {"snoozed_by": actor.id, "snoozed_until": until, "word": None}
        return await self._promise(alert_id, values, actor=actor, action="alert.snoozed", delivery=delivery)

    async def snoozable(self, alert_id: str, *, actor: Actor) -> AlertView:
        """Return an alert that the actor may snooze. Raises `AlertOver`, `CriticalNotSnoozed`."""
        view = await self.get_by_id(alert_id, actor=actor)
        self._require_operator(view, actor)
        if not view.is_open:
            raise AlertOver(view.label)
        if view.level is Level.CRITICAL:
            raise CriticalNotSnoozed(view.label)
        return view

    def _require_operator(self, view: AlertView, actor: Actor) -> None:
        if view.role_of(actor.rights) < Role.OPERATOR:
            actor.require(Role.OPERATOR, tags=view.scopes[0])

    async def record_test(self, *, actor: Actor, delivery: str | None = None) -> None:
        """Note that somebody has a test alert posted."""
        actor.require(Role.ADMIN)
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            await self._audit.record(
                session,
                actor=actor,
                action="alert.tested",
                subject_kind="alert",
                subject_id="test",
                subject_name="test alert",
            )

    async def _claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def _promise(
        self, alert_id: str, values: Mapping[str, Any], *, actor: Actor, action: str, delivery: str | None
    ) -> AlertView:
        async with self._db.begin() as session:
            await self._claim(session, delivery)
            view = await self._visible(session, await store.one(session, alert_id), "of this kind", actor)
            self._require_operator(view, actor)
            if "snoozed_until" in values and values["snoozed_until"] and view.level is Level.CRITICAL:
                # It has turned critical since it was looked at.
                raise CriticalNotSnoozed(view.label)
            changed = {**values, "version": view.version + 1}
            if not await store.change_open(session, alert_id, changed):
                raise AlertOver(view.label)
            until = values.get("acknowledged_until") or values.get("snoozed_until")
            detail = {"kind": view.kind.value, "level": view.level.word, "until": str(until)}
            await self._record(session, actor, action, view, detail)
            row = await store.one(session, alert_id)
            return (await self._views(session, [row] if row else []))[0]

    async def _record(
        self, session: AsyncSession, actor: Actor, action: str, view: AlertView, detail: Mapping[str, Any]
    ) -> None:
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="alert",
            subject_id=view.id,
            subject_name=f"{view.label} {view.subject_name}",
            tags=frozenset().union(*view.scopes),
            detail=detail,
        )

    async def check(self, alert_id: str, *, actor: Actor) -> Checked:
        """Ask the service about a token of an alert, and look at once whether the alert is over.

        Raises `AlertUnknown`, `NotAllowed`, and what asking about a token raises.
        """
        view = await self.get_by_id(alert_id, actor=actor)
        mine = [
            token_id
            for token_id, tags in zip(view.token_ids, view.scopes, strict=False)
            if actor.rights.role_for(tags) >= Role.OPERATOR
        ]
        if not mine:
            actor.require(Role.OPERATOR, tags=view.scopes[0])
            raise AlertUnknown("of this kind", slash=self.settings.command)
        checked = await self._tokens.check(mine[0], actor=actor)
        await self.look()
        return checked

    async def check_content(self, alert_id: str, *, actor: Actor) -> tuple[ContentTokenView, AlertView]:
        """Read the content token of an alert anew, and look at once. Returns both as they are then.

        Raises `AlertUnknown`, `NotAllowed`, `ContentTokenGone`, and `LeaseTaken` while it is being read.
        """
        view = await self.get_by_id(alert_id, actor=actor)
        self._require_operator(view, actor)
        content_token = await self._licenses.sync(view.subject_id, actor=actor)
        await self.look()
        return content_token, await self.get_by_id(alert_id, actor=actor)

    async def look_anew(self, alert_id: str, *, actor: Actor) -> tuple[AlertView, bool]:
        """Look at once at what is looked at seldom. Returns the alert then, and whether all was told.

        Raises `AlertUnknown`, `NotAllowed`.
        """
        view = await self.get_by_id(alert_id, actor=actor)
        self._require_operator(view, actor)
        gathered = await self.gathering.seldom[view.kind]()
        await self.apply(gathered)
        is_told = not set(view.token_ids).intersection(gathered.untold)
        return await self.get_by_id(alert_id, actor=actor), is_told

    # What happens by itself

    async def look(self) -> list[AlertView]:
        """Look at everything that this database knows of. Returns the alerts that are over now."""
        return await self.apply(await self.gathering.look())

    async def closed_for(self, token_id: str) -> int:
        """Look at once, since something was mended; return how many alerts are over by it.

        Those of one token count, or of one content token.
        """
        ended = [view for view in await self.look() if token_id in (*view.token_ids, view.subject_id)]
        self.tell_now()
        return len(ended)

    async def apply(self, gathered: Gathered) -> list[AlertView]:
        """Open, change and end alerts so that they are as gathered. Returns those that are over now.

        What was gathered before another look opened or ended an alert does not undo that.
        """
        ended: list[AlertView] = []
        async with self._db.begin() as session:
            await store.lock(session)
            views = await self._views(session, await store.open_alerts(session))
            open_now = {(view.kind, view.subject): view for view in views}
            for found in gathered.problems:
                view = open_now.pop((found.kind, found.subject), None)
                if view is None:
                    await self._open(session, found, gathered)
                else:
                    await self._change(session, view, found)
            for view in open_now.values():
                if rules.is_missing(view, gathered):
                    await self._end(session, view, gathered)
                    ended.append(view)
        return ended

    async def _open(self, session: AsyncSession, found: Problem, gathered: Gathered) -> None:
        if await store.was_resolved_since(session, found.kind.value, found.subject, gathered.began_at):
            return
        now = self.clock.now()
        number = await store.next_number(session)
        row = Alert(
            id=new_id(),
            number=number,
            kind=found.kind.value,
            subject=found.subject,
            subject_name=found.subject_name,
            level=int(found.level),
            rung=found.rung,
            since=found.since,
            token_ids=list(found.token_ids),
            facts=dict(found.facts),
            place=found.place,
            mentions=list(found.mentions),
            opened_at=now,
            level_since=now,
            changed_at=now,
        )
        if await store.insert(session, row.model_dump()):
            log.info("alert opened", alert=number, kind=found.kind.value, level=found.level.word)
            scopes = await self._scopes.of(session, [row])
            await self._put_event(session, "alert.opened", _view(row, scopes[row.id]))

    async def _change(self, session: AsyncSession, view: AlertView, found: Problem) -> None:
        now = self.clock.now()
        values = rules.changes(view, found, now=now)
        if found.level <= view.level:
            values = {**rules.lapses(view, now=now), **values}
        if values:
            await store.put(session, view.id, values)
        if found.level is not view.level:
            after = replace(view, level=found.level)
            await self._put_event(session, "alert.level_changed", after, before=view.level.word)

    async def _end(self, session: AsyncSession, view: AlertView, gathered: Gathered) -> None:
        values = {
            "resolved_at": self.clock.now(),
            "ending": _ending(view, gathered),
            "version": view.version + 1,
            "word": None,
        }
        await store.put(session, view.id, values)
        log.info("alert resolved", alert=view.number, kind=view.kind.value)
        await self._put_event(session, "alert.resolved", view)

    def tell_events(self, events: Events) -> None:
        """Take the outbox of what is told outside Slack: what opens, changes its level or ends goes there."""
        self._events = events

    async def _put_event(self, session: AsyncSession, kind: str, view: AlertView, **more: str) -> None:
        if self._events is None:
            return
        data = {
            "subject": {"kind": "alert", "id": view.id, "name": view.label},
            "tags": sorted(frozenset[str]().union(*view.scopes)),
            "detail": {
                "kind": view.kind.value,
                "about": view.subject_name,
                "level": view.level.word,
                "since": view.since.isoformat(),
                **more,
            },
        }
        await self._events.put(session, kind, subject=f"alert:{view.id}", data=data)

    # What is told

    def tell_work(self, look: Callable[[], None]) -> None:
        """Take what tells alerts at once, without waiting for the job."""
        self._tell_now = look

    def tell_now(self) -> None:
        """Have what has just changed told; without this the job does it in a moment."""
        if self._tell_now is not None:
            self._tell_now()

    async def untold(self) -> list[AlertView]:
        """Return the alerts of which something is to be told now, the worst first."""
        now, hours = self.clock.now(), self.settings.hours
        async with self._db.read() as session:
            views = await self._views(session, await store.untold(session, now=now))
        return [view for view in views if rules.next_part(view, now=now, hours=hours) is not None]

    async def next_part(self, alert_id: str) -> tuple[AlertView, Part | None]:
        """Return an alert as it is now, and what is to be told of it next."""
        async with self._db.read() as session:
            row = await store.one(session, alert_id)
            view = (await self._views(session, [row] if row else []))[0]
        return view, rules.next_part(view, now=self.clock.now(), hours=self.settings.hours)

    async def begin_attempt(self, view: AlertView, part: Part, *, lease: Lease) -> None:
        """Note that a post is begun, before it is. Raises `LeaseLost`."""
        attempt = Attempt(part, view.level, view.rung)
        await self._put(view.id, {"attempt": str(attempt)}, lease)

    async def note_posted(
        self, view: AlertView, attempt: Attempt, *, channel: str, ts: str, lease: Lease, is_new: bool
    ) -> None:
        """Note that a post stands. With `is_new` it shows the alert as it is in `view`."""
        values = rules.told(view, attempt, now=self.clock.now())
        if attempt.part is Part.POST:
            values |= {"channel": channel, "message_ts": ts, "shown": view.version if is_new else 0}
        await self._put(view.id, values, lease)

    async def note_shown(self, view: AlertView, *, lease: Lease) -> None:
        """Note that the message shows this version."""
        await self._put(view.id, {"shown": view.version, "tries": 0, "try_at": None}, lease)

    async def forget_attempt(self, view: AlertView, *, lease: Lease) -> None:
        """Note that a post that was begun has not arrived."""
        await self._put(view.id, {"attempt": None}, lease)

    async def forget_message(self, view: AlertView, *, lease: Lease) -> None:
        """Note that the message is gone or its channel closed: the alert is posted anew."""
        values = {"channel": None, "message_ts": None, "posted_level": 0, "shown": 0, "attempt": None}
        await self._put(view.id, values, lease)

    async def put_off(self, view: AlertView, *, told_admins: bool) -> None:
        """Note that Slack did not take something: it is tried again, less and less often."""
        values: dict[str, Any] = {
            "try_at": self.clock.now() + rules.tell_again_after(view.tries),
            "tries": view.tries + 1,
        }
        if told_admins:
            values["admins_told_level"] = int(view.level)
        async with self._db.begin() as session:
            await store.put(session, view.id, values)

    async def _put(self, alert_id: str, values: Mapping[str, Any], lease: Lease) -> None:
        async with self._db.begin() as session:
            if not await lease.still_held(session):
                raise LeaseLost(lease.name)
            await store.put(session, alert_id, values)


def _ending(view: AlertView, gathered: Gathered) -> dict[str, Any]:
    if view.kind.about is About.TOKENS:
        return rules.ending(view, gathered.tokens)
    return content_rules.ending(view, gathered)


def _view(row: Alert, scopes: Tags) -> AlertView:
    plain = {name: getattr(row, name) for name in AlertView.__slots__ if hasattr(row, name)}
    plain |= {
        "kind": Kind(row.kind),
        "level": Level(row.level),
        "token_ids": tuple(row.token_ids),
        "mentions": tuple(row.mentions),
        "scopes": scopes,
    }
    return AlertView(**plain)
