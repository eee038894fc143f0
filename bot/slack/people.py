"""Who a person is in Slack, and how far that limits what was granted to them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.kit.actor import Grant, Rights, Role
from bot.kit.clock import Clock
from bot.kit.logs import get_logger
from bot.slack.api import SlackApi, SlackRefused, SlackUnreachable

log = get_logger(__name__)

KEPT_FOR = timedelta(minutes=5)
#: A role by user group reaches and leaves people within this time.
MEMBERS_KEPT_FOR = timedelta(seconds=60)
_ASKED_AT_MOST = 50
_KEPT_AT_MOST = 5000


@dataclass(frozen=True, slots=True)
class Person:
    """A Slack user as users.info tells; `is_stranger` is someone of another organisation."""

    id: str
    name: str
    email: str
    tz: str
    team_id: str
    is_bot: bool
    is_guest: bool
    is_stranger: bool
    is_deleted: bool

    def is_limited(self, home_team: str) -> bool:
        """Bots, guests and people of other organisations are never more than viewers."""
        return self.is_bot or self.is_guest or self.is_stranger or self.team_id != home_team


class People:
    """users.info, kept for five minutes."""

    def __init__(self, api: SlackApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[datetime, Person]] = {}
        self._members: dict[str, tuple[datetime, frozenset[str]]] = {}

    async def person(self, user_id: str) -> Person:
        """Return who `user_id` is; raises SlackRefused (`user_not_found`) and SlackUnreachable."""
        now = self._clock.now()
        kept = self._known.get(user_id)
        if kept and now - kept[0] < KEPT_FOR:
            return kept[1]
        told = await self._api.read("users.info", user=user_id)
        person = _person(user_id, told.get("user"))
        if len(self._known) >= _KEPT_AT_MOST:
            self._known.clear()
        self._known[user_id] = (now, person)
        return person

    async def is_known(self, user_id: str) -> bool:
        """Say whether there is such a person; True where Slack can't tell."""
        try:
            await self.person(user_id)
        except SlackRefused as refusal:
            return refusal.word not in ("user_not_found", "user_not_visible")
        except SlackUnreachable:
            return True
        return True

    async def members_of(self, group_id: str) -> frozenset[str]:
        """Return who is in a user group, from at most a minute ago.

        Raises SlackRefused (`no_such_subteam`, `missing_scope`) and SlackUnreachable.
        """
        now = self._clock.now()
        kept = self._members.get(group_id)
        if kept and now - kept[0] < MEMBERS_KEPT_FOR:
            return kept[1]
        told = await self._api.read("usergroups.users.list", usergroup=group_id)
        users = told.get("users")
        found = (
            frozenset(user for user in users if isinstance(user, str)) if isinstance(users, list) else None
        )
        if found is None:
            raise SlackRefused("no_such_subteam", method="usergroups.users.list")
        self._members[group_id] = (now, found)
        return found

    async def deactivated_of(self, user_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these people are deactivated; those that Slack does not tell are left out.

        The first 50 are asked about, a few at a time.
        """
        turns = asyncio.Semaphore(5)

        async def is_gone(user_id: str) -> bool:
            async with turns:
                try:
                    return (await self.person(user_id)).is_deleted
                except (SlackRefused, SlackUnreachable) as error:
                    log.info("slack does not say who this is", user=user_id, error=str(error))
                    return False

        asked = list(user_ids)[:_ASKED_AT_MOST]
        gone = await asyncio.gather(*(is_gone(user_id) for user_id in asked))
        return frozenset(user_id for user_id, is_one in zip(asked, gone, strict=True) if is_one)

    async def deactivated_by_email(self, emails: Collection[str]) -> dict[str, str]:
        """Return the deactivated people among these e-mail addresses (small letters), as ids by address.

        Slack looks up only active people by address; who is not found is searched for among all, and
        whoever never was here is left out. Raises SlackRefused (`missing_scope`) and SlackUnreachable.
        https://docs.slack.dev/reference/methods/users.lookupByEmail
        """
        missing = {email for email in emails if not await self._is_active(email)}
        found: dict[str, str] = {}
        cursor = ""
        while missing:
            told = await self._api.read("users.list", limit=200, **({"cursor": cursor} if cursor else {}))
            members = told.get("members")
            for member in members if isinstance(members, list) else ():
                person = _person(str(member.get("id")), member) if isinstance(member, dict) else None
                if person is not None and person.is_deleted and person.email.lower() in missing:
                    found[person.email.lower()] = person.id
            cursor = str((told.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return found

    async def _is_active(self, email: str) -> bool:
        try:
            await self._api.read("users.lookupByEmail", email=email)
        except SlackRefused as refusal:
            if refusal.word != "users_not_found":
                raise
            return False
        return True

    async def may_act(self, user_id: str) -> bool | None:
        """Say whether somebody is active and may be more than a viewer; None where Slack does not tell."""
        try:
            person = await self.person(user_id)
            home_team = (await self._api.identity()).team_id
        except (SlackRefused, SlackUnreachable) as error:
            log.info("slack does not say who this is", user=user_id, error=str(error))
            return None
        return not person.is_deleted and not person.is_limited(home_team)

    async def rights(self, user_id: str, granted: Rights) -> Rights:
        """Return what is left of the granted rights: none for the deactivated and where Slack can't tell."""
        if not granted.grants:
            return granted
        try:
            person = await self.person(user_id)
            home_team = (await self._api.identity()).team_id
        except (SlackRefused, SlackUnreachable) as error:
            log.warning("no rights: slack does not say who this is", user=user_id, error=str(error))
            return Rights()
        if person.is_deleted:
            return Rights()
        return _capped(granted) if person.is_limited(home_team) else granted


def _capped(granted: Rights) -> Rights:
    return Rights(tuple(Grant(min(grant.role, Role.VIEWER), grant.tags) for grant in granted.grants))


def _person(user_id: str, told: Any) -> Person:
    if not isinstance(told, dict) or told.get("id") != user_id:
        raise SlackRefused("user_not_found", method="users.info")
    described = told.get("profile")
    profile: dict[str, Any] = described if isinstance(described, dict) else {}
    names = (profile.get("display_name"), told.get("real_name"), told.get("name"))
    return Person(
        id=user_id,
        name=next((str(name) for name in names if name), user_id),
        email=str(profile.get("email") or ""),
        tz=str(told.get("tz") or "UTC"),
        team_id=str(told.get("team_id") or ""),
        is_bot=bool(told.get("is_bot")) or user_id == "USLACKBOT",
        is_guest=bool(told.get("is_restricted") or told.get("is_ultra_restricted")),
        is_stranger=bool(told.get("is_stranger")),
        is_deleted=bool(told.get("deleted")),
    )
