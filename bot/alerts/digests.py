"""What each channel is told in the morning: what is open, what arrived, and that all is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bot.alerts import store
from bot.alerts.facts import AlertView
from bot.alerts.models import AlertDigest
from bot.alerts.service import AlertService
from bot.audit.service import AuditProof, AuditService
from bot.devices.service import DeviceService
from bot.kit.actor import Actor
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.hours import WorkingHours
from bot.kit.leases import Lease, LeaseLost
from bot.licenses.facts import JudgedLicences
from bot.profiles.service import ProfileService
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

SYSTEM = Actor.job("alerts.digest")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The devices of a token that came, by the name of the profile that they carry now.

    `elsewhere` carry one that is not of this bot; `without` carry none, by family (None: it is not told).
    """

    token: str
    by_profile: Mapping[str, int]
    elsewhere: int
    without: Mapping[str | None, int]

    @property
    def devices(self) -> int:
        return sum(self.by_profile.values()) + self.elsewhere + sum(self.without.values())


@dataclass(frozen=True, slots=True)
class Digest:
    """What one channel is told of the time from `since` to `until`.

    `low` are apps of which nobody asked to be told; `head` is the audit's, once a week.
    """

    channel: str
    since: datetime
    until: datetime
    tokens: int
    alerts: Sequence[AlertView]
    arrivals: Sequence[Arrivals]
    low: Sequence[JudgedLicences]
    head: AuditProof | None

    @property
    def has_news(self) -> bool:
        """Whether there is anything to say. Apps that nobody watches alone are no reason to."""
        return bool(self.alerts or self.arrivals)

    @property
    def is_silent(self) -> bool:
        return not self.has_news and self.head is None


def day_of(now: datetime, hours: WorkingHours) -> date | None:
    """Return the day whose digest is due, as it is counted where people work; None outside their hours."""
    return now.astimezone(hours.zone).date() if hours.includes(now) else None


def first_of_week(day: date) -> date:
    return day - timedelta(days=day.weekday())


class Digests:
    """Knows which digests are due, reads what they say, and notes what became of them."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        alerts: AlertService,
        audit: AuditService,
        tokens: TokenService,
        devices: DeviceService,
        profiles: ProfileService,
    ) -> None:
        self.clock = clock
        self.alerts = alerts
        self._db = db
        self._audit = audit
        self._tokens = tokens
        self._devices = devices
        self._profiles = profiles

    async def due(self) -> list[AlertDigest]:
        """Return today's digests that are still to be told, none outside working hours."""
        now, settings = self.clock.now(), self.alerts.settings
        day = day_of(now, settings.hours)
        if day is None:
            return []
        tokens = await self._tokens.list_tokens(actor=SYSTEM)
        channels = {token.channel or settings.channel for token in tokens} | {settings.channel}
        # A date may have a channel that no token has.
        channels |= {view.place for view in await self.alerts.open_alerts(actor=SYSTEM)}
        rows = []
        async with self._db.begin() as session:
            for channel in sorted(each for each in channels if each):
                await self._make(session, channel, day.isoformat(), now)
                row = await store.digest(session, channel, day.isoformat())
                if row and row.posted_at is None and (row.try_at is None or row.try_at <= now):
                    rows.append(row)
        return rows

    async def _make(self, session: AsyncSession, channel: str, day: str, now: datetime) -> None:
        is_new = await store.make_digest(session, channel, day, now)
        if is_new and await store.told_digest_before(session, channel, day) is None:
            # A bot that has just come has nothing to look back at: its first digest is that of the next day.
            await store.put_digest(session, channel, day, {"posted_at": now, "is_silent": True})

    async def compose(self, row: AlertDigest) -> Digest:
        """Return what a channel is to be told now."""
        until = self.clock.now()
        week = first_of_week(date.fromisoformat(row.day)).isoformat()
        async with self._db.read() as session:
            before = await store.told_digest_before(session, row.channel, row.day)
            is_told = await store.was_told_from(session, row.channel, week)
        since = before.posted_at if before and before.posted_at else row.made_at
        main = self.alerts.settings.channel
        tokens = [
            token
            for token in await self._tokens.list_tokens(actor=SYSTEM)
            if (token.channel or main) == row.channel
        ]
        return Digest(
            channel=row.channel,
            since=since,
            until=until,
            tokens=len(tokens),
            alerts=[
                view for view in await self.alerts.open_alerts(actor=SYSTEM) if view.place == row.channel
            ],
            arrivals=await self._arrivals(tokens, since, until),
            low=await self.alerts.gathering.low_without_alert(actor=SYSTEM) if row.channel == main else (),
            head=None if is_told else await self._audit.head(),
        )

    async def _arrivals(
        self, tokens: Sequence[TokenView], since: datetime, until: datetime
    ) -> list[Arrivals]:
        ids = [token.id for token in tokens]
        arrived = await self._devices.arrived(ids, since=since, until=until)
        uuids = {each.profile_uuid for each in arrived if each.profile_uuid}
        names = await self._profiles.names_of(uuids, token_ids=ids)
        found = []
        for token in tokens:
            by_profile: dict[str, int] = {}
            without: dict[str | None, int] = {}
            elsewhere = 0
            for each in arrived:
                if each.token_id != token.id:
                    continue
                if each.profile_uuid is None:
                    without[each.family] = without.get(each.family, 0) + each.devices
                elif each.profile_uuid in names:
                    name = names[each.profile_uuid].name
                    by_profile[name] = by_profile.get(name, 0) + each.devices
                else:
                    elsewhere += each.devices
            arrivals = Arrivals(token.name, by_profile, elsewhere, without)
            if arrivals.devices:
                found.append(arrivals)
        return found

    async def begin(self, row: AlertDigest, *, lease: Lease) -> None:
        """Note that a post is begun, before it is. Raises `LeaseLost`."""
        await self._put(row, {"attempted": True}, lease)

    async def note_told(
        self, row: AlertDigest, until: datetime, *, lease: Lease, is_silent: bool = False
    ) -> None:
        """Note that a channel was told everything up to a moment. Raises `LeaseLost`."""
        await self._put(row, {"posted_at": until, "is_silent": is_silent, "try_at": None}, lease)

    async def put_off(
        self, row: AlertDigest, *, again_after: timedelta, told_admins: bool, lease: Lease
    ) -> None:
        """Note that Slack did not take it. Raises `LeaseLost`."""
        values = {
            "tries": row.tries + 1,
            "try_at": self.clock.now() + again_after,
            "admins_told": row.admins_told or told_admins,
        }
        await self._put(row, values, lease)

    async def _put(self, row: AlertDigest, values: Mapping[str, Any], lease: Lease) -> None:
        async with self._db.begin() as session:
            if not await lease.still_held(session):
                raise LeaseLost(lease.name)
            await store.put_digest(session, row.channel, row.day, values)
