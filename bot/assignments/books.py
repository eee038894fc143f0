"""What every act on requests shares: loading, showing, claiming and recording."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access.service import AccessService
from bot.assignments import store
from bot.assignments.errors import DeliveredAgain, RequestUnknown
from bot.assignments.facts import Change, ChangeKind, Found, RequestedDevice, RequestView
from bot.assignments.models import Action, Request, RequestState
from bot.audit.service import AuditService
from bot.backend.profile import Platform
from bot.devices.facts import DeviceRow
from bot.devices.rules import has_profile
from bot.kit.actor import Actor, Rights, Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.once import claim_once
from bot.profiles.facts import KnownUuid
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

RightsOf = Callable[[str], Awaitable[Rights]]
#: Says whether Slack knows somebody as active and no guest; None where it does not tell.
MayAct = Callable[[str], Awaitable[bool | None]]

#: How many people who may approve are named, and how many at a time Slack is asked about.
NAMED = 10
_ASKED_AT_ONCE = 10
#: Who acts when nobody asked.
SYSTEM = Actor.job("assignments")


class Books:
    """The rows of requests behind their rules, for one database. Holds no state of its own."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        audit: AuditService,
        access: AccessService,
        tokens: TokenService,
        profiles: ProfileService,
        settings: Settings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.access = access
        self.tokens = tokens
        self.profiles = profiles
        self.settings = settings
        self.texts = tokens.texts
        #: Says what a person may do now, as far as Slack limits them too; the toolkit knows it.
        self.rights_of: RightsOf = access.rights
        self.may_act: MayAct = _may_act
        self._audit = audit

    async def claim(self, session: AsyncSession, delivery: str | None) -> None:
        if delivery is not None and not await claim_once(session, delivery, self.clock.now()):
            raise DeliveredAgain

    async def load(
        self, session: AsyncSession, request_id: str, actor: Actor, role: Role, *, counts: bool = True
    ) -> RequestView:
        """Load a request for somebody with a role for its token. Raises `RequestUnknown`, `NotAllowed`.

        Without `counts` what became of its devices is not counted: there may be a hundred thousand.
        """
        row = await store.one(session, request_id)
        if row is None:
            raise RequestUnknown("of this kind", slash=self.settings.command)
        view = await self.view(session, row, counts=counts)
        if actor.rights.role_for(view.tags) < Role.VIEWER:
            actor.require(role)
            raise RequestUnknown("of this kind", slash=self.settings.command)
        actor.require(role, tags=view.tags)
        return view

    async def view(self, session: AsyncSession, row: Request, *, counts: bool = True) -> RequestView:
        token = await self.tokens.get_in(session, row.token_id)
        tags = token.tags if token else await self.tokens.tags_in(session, row.token_id)
        known = await self.profiles.names_in(session, [row.profile_uuid] if row.profile_uuid else [])
        profile = known.get(row.profile_uuid or "")
        return RequestView(
            id=row.id,
            number=row.number,
            action=Action(row.action),
            state=RequestState(row.state),
            token_id=row.token_id,
            token_name=token.name if token else await self.tokens.name_in(session, row.token_id),
            org_name=token.org_name if token else None,
            tags=tags,
            undoes_id=row.undoes_id,
            profile_id=row.profile_id,
            profile_name=row.profile_name,
            profile_version=row.profile_version,
            profile_uuid=row.profile_uuid,
            platforms=tuple(Platform(each) for each in row.platforms or ()),
            sync_id=row.sync_id,
            devices=row.devices,
            found=msgspec.convert(row.facts, Found, strict=False),
            reason=row.reason,
            requested_by=row.requested_by,
            made_at=row.made_at,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
            decided_as=row.decided_as,
            decision_reason=row.decision_reason,
            is_glass_open=row.glass_open_since is not None,
            glass_broken_at=row.glass_broken_at,
            is_glass_told=row.glass_told_at is not None,
            stop_asked_by=row.stop_asked_by,
            ended_at=row.ended_at,
            rests_until=row.rests_until,
            rests_because=row.rests_because,
            channel=row.channel,
            message_ts=row.message_ts,
            permalink=row.permalink,
            version=row.version,
            stale=_stale(row, token, profile),
            changes=tuple(msgspec.convert(row.changes or [], list[Change], strict=False)),
            # Nothing has become of them before, and there may be a hundred thousand.
            outcomes=await store.outcomes(session, row.id)
            if counts and row.state != RequestState.PENDING.value
            else {},
            shown=row.shown,
            is_result_told=row.result_told_at is not None,
            is_requester_told=row.requester_told_at is not None,
            tell_tries=row.tell_tries,
        )

    async def keep_preview(
        self, request: Request, devices: Sequence[RequestedDevice], delivery: str | None
    ) -> RequestView:
        """Keep a new preview and its fixed list of devices."""
        async with self.db.begin() as session:
            await self.claim(session, delivery)
            await store.add(session, request, devices)
            await store.supersede(session, request)
            return await self.view(session, request)

    async def others(
        self, inside: Sequence[DeviceRow], holders: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Name the requests that are in the way: undecided ones about these devices, and the holders.

        `holders` has the id of the running request for each device that is left out for it.
        """
        async with self.db.read() as session:
            overlaps = await store.overlaps(session, [row.serial for row in inside])
            return await store.counted(session, overlaps), await store.counted(session, Counter(holders))

    async def with_approvers(self, view: RequestView) -> RequestView:
        """Name who may approve: asks Slack who is still active, so never inside a transaction."""
        holders = sorted(await self.access.holders(Role.APPROVER, tags=view.tags))
        active: list[str] = []
        # One more than are named, beside the requester: enough to say that there are others.
        while holders and len(active) < NAMED + 2:
            asked, holders = holders[:_ASKED_AT_ONCE], holders[_ASKED_AT_ONCE:]
            rights = await asyncio.gather(*(self.rights_of(each) for each in asked))
            active += [
                each
                for each, held in zip(asked, rights, strict=True)
                if held.role_for(view.tags) >= Role.APPROVER
            ]
        may_all = self.settings.default_role >= Role.APPROVER
        return replace(view, approvers=tuple(active), may_all_approve=may_all)

    async def tags_lately(self, token_id: str, *, since: datetime) -> frozenset[str]:
        """Return the tags that a token had at some time since a moment and were taken from it."""
        entries = await self._audit.since(["token.tagged"], since)
        before = (each.detail.get("before") or () for each in entries if each.subject_id == token_id)
        return frozenset(str(tag) for tags in before for tag in tags)

    def place(self, token: TokenView | None) -> str | None:
        """Return the channel in which approval is asked for."""
        own = (token.approvals_channel or token.channel) if token else None
        return own or self.settings.approval_channel or self.settings.channel

    async def record(
        self,
        session: AsyncSession,
        actor: Actor,
        action: str,
        view: RequestView,
        detail: Mapping[str, Any],
    ) -> None:
        """Record an act; every one says who asked, why, and once it is decided who approved and as what."""
        await self._audit.record(
            session,
            actor=actor,
            action=action,
            subject_kind="request",
            subject_id=view.id,
            subject_name=view.label,
            tags=view.tags,
            detail={
                "token": view.token_name,
                "profile": view.profile_name,
                "uuid": view.profile_uuid,
                "devices": view.devices,
                "asked_by": view.requested_by,
                "approved_by": view.decided_by,
                "group": view.decided_as,
                "reason": view.reason,
                # The first act comes before its card: the audit looks that one's link up when it is read.
                **({"permalink": view.permalink} if view.permalink is not None else {}),
                **{key: told for key, told in detail.items() if told is not None},
            },
        )


async def _may_act(_person: str) -> bool | None:
    """Answer as long as no toolkit was told: nobody is known to be gone."""
    return True


def _stale(row: Request, token: TokenView | None, profile: KnownUuid | None) -> Change | None:
    """Say what of a request cannot come right again: its token or its profile's version is gone."""
    if token is None:
        return Change(ChangeKind.TOKEN_REMOVED)
    if row.profile_uuid is None:
        return None
    if profile is None or profile.is_removed:
        return Change(ChangeKind.PROFILE_DELETED)
    return None if profile.is_current else Change(ChangeKind.PROFILE_EDITED)


def device_of(row: DeviceRow, *, target_uuid: str | None = None) -> RequestedDevice:
    """Return a device as a preview takes it up: with what it carries now."""
    carries = has_profile(row.profile_status, row.profile_uuid)
    return RequestedDevice(
        serial=row.serial,
        model=row.model,
        previous_uuid=row.profile_uuid if carries else None,
        target_uuid=target_uuid,
    )


def values_of(found: Found) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(found)
    return made


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names in one line, the first of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def sentences(found: Found, *, service: str) -> Sequence[str]:
    """Say why devices are left out, one sentence a reason."""
    texts = {
        "unknown": "not known here, nor to {service} on a token that you may see",
        "unasked": "not known here, and {service} could not be asked about them",
        "removed": "removed or forgotten",
        "elsewhere": "of another token",
        "already": "already as asked",
        "changed": "changed by somebody else since",
        "held": f"held by {listed(list(found.held_by)) or 'another request'}",
    }
    told = []
    for reason, count in found.left_out.items():
        some = ", ".join(found.examples.get(reason, ())[:3])
        text = texts.get(reason, reason).format(service=service)
        told.append(f"{count:,} left out, {text}: {some}{' and others' if count > 3 else ''}.")
    return told
