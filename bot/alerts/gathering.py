"""Looking at the rooms below for what is wrong."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.access.service import AccessService
from bot.alerts import content_rules, fleet_rules, rules
from bot.alerts.facts import Gathered, Kind, PortalUse, Problem
from bot.assignments.service import AssignmentService
from bot.backend.profile import Platform
from bot.deadlines.service import DeadlineService
from bot.devices.facts import Loss
from bot.devices.service import DeviceService
from bot.kit.actor import Actor, Role
from bot.kit.clock import Clock
from bot.kit.errors import EnrollbotError
from bot.kit.logs import get_logger
from bot.licenses.facts import ContentTokenView, JudgedLicences, Watch
from bot.licenses.service import LicenseService
from bot.profiles.facts import DefaultView
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

log = get_logger(__name__)

#: Return the deactivated people of a workspace among these e-mail addresses, by address; raises an
#: EnrollbotError when Slack can't tell.
GoneOf = Callable[[frozenset[str]], Awaitable[Mapping[str, str]]]
#: Say whether somebody is active and may be more than a viewer; None where Slack does not tell.
MayAct = Callable[[str], Awaitable[bool | None]]
Look = Callable[[], Awaitable[Gathered]]

SYSTEM = Actor.job("alerts")
#: Tokens are synced once a day, or more often.
SYNCED_WITHIN = timedelta(hours=25)
#: Kinds for which Slack or the service has to be asked: looked at less often.
SELDOM = frozenset({Kind.MAKER_GONE, Kind.APPROVERS_FEW, Kind.DEFAULT_GONE})
#: After so long without a look nobody was awake here; looks are seconds apart.
ASLEEP_AFTER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that are looked at."""

    tokens: TokenService
    devices: DeviceService
    profiles: ProfileService
    licenses: LicenseService
    deadlines: DeadlineService
    assignments: AssignmentService
    access: AccessService


class Gathering:
    """Reads what the rooms know and says what of it is a problem."""

    def __init__(self, rooms: Rooms, *, clock: Clock, settings: Settings) -> None:
        self._tokens = rooms.tokens
        self._devices = rooms.devices
        self._profiles = rooms.profiles
        self._licenses = rooms.licenses
        self._deadlines = rooms.deadlines
        self._assignments = rooms.assignments
        self._access = rooms.access
        self._clock = clock
        self._settings = settings
        self._up_since = self._last_look = clock.now()
        self.gone_of: GoneOf | None = None
        self.may_act: MayAct | None = None
        #: What is looked at on request too, by the kind that it is asked for.
        self.seldom: Mapping[Kind, Look] = {
            Kind.APPROVERS_FEW: self.look_at_approvers,
            Kind.DEFAULT_GONE: self.look_at_defaults,
        }

    async def look(self) -> Gathered:
        """Return what is wrong as far as this database knows; people are left out."""
        now = self._clock.now()
        if now - self._last_look >= ASLEEP_AFTER:
            # The machine slept, or its clock was moved: like one that was down, it syncs first.
            self._up_since = now
        self._last_look = now
        tokens = await self._tokens.list_tokens(actor=SYSTEM)
        found = rules.terms_problems(tokens, now=now)
        # How many devices they have is of no interest here.
        syncs = await self._devices.sync_facts_of(tokens, {})
        for token in tokens:
            found += rules.token_problems(token, now=now, syncs=syncs[token.id], up_since=self._up_since)
        unclear = {
            (Kind.SYNC_FAILING, token.id)
            for token in tokens
            if token.state.can_sync
            and rules.is_sync_unclear(token, syncs[token.id], now=now, up_since=self._up_since)
        }
        found += await self._of_fleets(tokens, now)
        content_tokens = await self._licenses.list_content_tokens(actor=SYSTEM)
        uses = await self._portal_uses() if content_tokens else {}
        licences = await self._looked_at(content_tokens, uses) if content_tokens else []
        uses |= await self._with_given(licences, uses)
        for each in content_tokens:
            found += content_rules.content_token_problems(each, uses.get(each.id, PortalUse()), now=now)
        found += content_rules.licence_problems(licences, uses, now=now)
        deadlines = await self._deadlines.list_deadlines(actor=SYSTEM)
        warn_days = self._settings.expiry_warning_days
        for deadline in deadlines:
            found += content_rules.deadline_problems(deadline, warn_days=warn_days, now=now)
        return Gathered(
            now,
            self._placed(found),
            _by_id(tokens),
            SELDOM,
            unclear=unclear,
            content_tokens={each.id: each for each in content_tokens},
            deadlines={each.id: each for each in deadlines},
            licences=licences,
        )

    async def look_at_people(self) -> Gathered:
        """Return what is wrong with people: who made a token and has left."""
        now = self._clock.now()
        tokens = await self._tokens.list_tokens(actor=SYSTEM)
        unknown = set(Kind) - {Kind.MAKER_GONE}
        found: list[Problem] = []
        try:
            found += await self._makers(tokens, now)
        except EnrollbotError as error:
            log.warning("slack does not say who has left", reason=str(error))
            unknown.add(Kind.MAKER_GONE)
        return Gathered(now, self._placed(found), _by_id(tokens), unknown)

    async def _of_fleets(self, tokens: Sequence[TokenView], now: datetime) -> list[Problem]:
        """Return what is wrong with devices, profiles and requests."""
        used = {token.id: token for token in tokens if token.has_token}
        waiting, profiles = await self._devices.waiting_by_platform(), await self._profiles.counts()
        losses = await self._devices.losses(since=now - fleet_rules.LEFT_FOR)
        lost = {each.token_id for each in losses}
        counts = await self._devices.counts(sorted(lost)) if lost else {}
        defaults: dict[str, set[str]] = {}
        for default in await self._profiles.defaults.of(list(used)) if used else ():
            defaults.setdefault(default.token_id, set()).add(default.platform.value)
        found: list[Problem | None] = []
        for token in used.values():
            held = profiles.get(token.id, 0)
            found.append(
                fleet_rules.waiting_problem(
                    token,
                    waiting.get(token.id, {}),
                    defaults=defaults.get(token.id, ()),
                    profiles=held,
                    now=now,
                )
            )
            found.append(
                fleet_rules.limit_problem(token, held, limit=self._settings.max_profiles_per_token, now=now)
            )
            if token.id in lost:
                own = [each for each in losses if each.token_id == token.id]
                found.append(fleet_rules.loss_problem(token, own, present=counts[token.id].present, now=now))
                found.append(fleet_rules.changed_problem(token, await self._changed_outside(own)))
        found += [
            fleet_rules.request_problem(view, used[view.token_id])
            for view in await self._assignments.reminding.half_over()
            if view.token_id in used
        ]
        return [each for each in found if each is not None]

    async def look_at_approvers(self) -> Gathered:
        """Return the tokens with too few people who approve."""
        now = self._clock.now()
        tokens = await self._tokens.list_tokens(actor=SYSTEM)
        found: list[Problem] = []
        untold: set[str] = set()
        alike: dict[frozenset[str], list[TokenView]] = {}
        if self._settings.approvals == "required" and self.may_act is not None:
            for token in tokens:
                if token.has_token:
                    alike.setdefault(token.tags, []).append(token)
        for tags, group in alike.items():
            could = await self._access.could_hold(Role.APPROVER, tags=tags)
            if could.everybody:
                continue
            active, unclear = await self._active(could.people - could.lately)
            problem = fleet_rules.approvers_problem(group, active, now=now)
            if problem and (unclear or could.unclear):
                log.warning("slack does not say who may approve", tokens=[token.name for token in group])
                untold.update(token.id for token in group)
            elif problem:
                found.append(problem)
        unknown = set(Kind) - {Kind.APPROVERS_FEW}
        return Gathered(now, self._placed(found), _by_id(tokens), unknown, untold=untold)

    async def look_at_defaults(self) -> Gathered:
        """Return the tokens whose default profiles the service no longer knows: each is asked for."""
        now = self._clock.now()
        tokens = await self._tokens.list_tokens(actor=SYSTEM)
        asked = [token for token in tokens if token.state.can_sync and not token.in_doubt]
        untold = {token.id for token in tokens} - {token.id for token in asked}
        defaults: dict[str, list[DefaultView]] = {}
        for each in await self._profiles.defaults.of([token.id for token in asked]) if asked else ():
            defaults.setdefault(each.token_id, []).append(each)
        found: list[Problem] = []
        for token in asked:
            own = defaults.get(token.id, [])
            try:
                gone = await self._profiles.defaults.gone(token.id, [each.profile_uuid for each in own])
            except EnrollbotError as error:
                log.warning("default profiles cannot be asked for", token=token.name, reason=str(error))
                untold.add(token.id)
                continue
            lost = fleet_rules.default_problem(token, own, gone, now=now)
            found += [lost] if lost else []
        unknown = set(Kind) - {Kind.DEFAULT_GONE}
        return Gathered(now, self._placed(found), _by_id(tokens), unknown, untold=untold)

    async def _active(self, people: Collection[str]) -> tuple[list[str], bool]:
        """Return who of these is active, up to enough of them, and whether of somebody Slack did not tell."""
        active: list[str] = []
        is_unclear = False
        for person in sorted(people):
            if len(active) >= fleet_rules.ENOUGH_APPROVERS:
                break
            may = await self.may_act(person) if self.may_act is not None else None
            active += [person] if may else []
            is_unclear = is_unclear or may is None
        return active, is_unclear

    async def _changed_outside(self, losses: Sequence[Loss]) -> Loss | None:
        """Return the newest sync that found profiles changed while nothing was ordered here."""
        for each in reversed(losses):
            if each.profiles_changed and not await self._assignments.ordered_between(
                each.token_id, each.started_at - fleet_rules.READ_BACK_WITHIN, each.ended_at
            ):
                return each
        return None

    async def _portal_uses(self) -> dict[str, PortalUse]:
        versions = await self._profiles.content.portal_versions()
        waiting = await self._devices.to_set_up([each.profile_uuid for each in versions], Platform.IOS)
        return content_rules.portal_uses(versions, waiting)

    async def _looked_at(
        self, content_tokens: Sequence[ContentTokenView], uses: Mapping[str, PortalUse]
    ) -> list[JudgedLicences]:
        installed = dict.fromkeys(uses, (self._licenses.company_portal_id,))
        return await self._licenses.looked_at(content_tokens, installed=installed)

    async def _with_given(
        self, licences: Sequence[JudgedLicences], uses: Mapping[str, PortalUse]
    ) -> dict[str, PortalUse]:
        """Take off what was given since the last sync, where devices seem to need more than is left.

        Licences are counted more often than devices are synced: those set up in between would be counted
        as needing the licence that they have got.
        """
        found = {}
        for each in licences:
            use = uses.get(each.content_token.id)
            seems_short = (
                use is not None and each.app.available is not None and use.needed > each.app.available
            )
            if each.watch is not Watch.PROFILE or use is None or not seems_short:
                continue
            synced = await self._devices.last_good(use.token_ids)
            if synced:
                # A token that cannot be synced must not make all that was given since count as its own.
                since = max(min(synced.values()), self._clock.now() - SYNCED_WITHIN)
                given = await self._licenses.given_since(each.app, since)
                found[each.content_token.id] = replace(use, given=given)
        return found

    async def low_without_alert(self, *, actor: Actor) -> list[JudgedLicences]:
        """Return the apps that are low and raise no alert: nobody asked to be told of them at once.

        Only those of content tokens that the actor may see and that licences are given by.
        """
        content_tokens = await self._licenses.list_content_tokens(actor=actor)
        usable = [each for each in content_tokens if not each.state.is_ended]
        found = await self._looked_at(usable, await self._portal_uses()) if usable else []
        return [each for each in found if not each.is_watched]

    async def _makers(self, tokens: list[TokenView], now: datetime) -> list[Problem]:
        made_by = frozenset(token.made_by.lower() for token in tokens if token.made_by and token.has_token)
        gone = await self.gone_of(made_by) if self.gone_of is not None and made_by else {}
        return rules.maker_problems(tokens, gone, now=now)

    def _placed(self, found: list[Problem]) -> list[Problem]:
        """Give each problem the channel and the people of the settings where it has none of its own."""
        settings = self._settings
        named = (settings.alert_mention,) if settings.alert_mention else ()
        return [
            replace(each, place=each.place or settings.channel, mentions=each.mentions or named)
            for each in found
        ]


def _by_id(tokens: list[TokenView]) -> dict[str, TokenView]:
    return {token.id: token for token in tokens}
