"""What the page offers: the bot's slash command and shortcuts, as its manifest and its screens have them."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from bot.access.service import AccessService
from bot.audit.service import AuditService
from bot.kit.actor import Role
from bot.kit.clock import Clock
from bot.kit.db import Database
from bot.kit.secrets import Keyring
from bot.main import registered_commands
from bot.settings import Settings
from bot.slack.manifest import manifest

Json = dict[str, Any]
RoleOf = Callable[[str], Awaitable[Role]]


async def slash_commands(settings: Settings) -> list[Json]:
    """Return the manifest's slash command with usage, summary and role of every registered command."""
    usages = [
        {
            "usage": command.usage.removeprefix(f"{settings.command} "),
            "summary": command.summary,
            "role": command.role.word,
        }
        for command in await registered_commands(settings)
    ]
    keys = ("command", "usage_hint", "description")
    slashes = _features(settings).get("slash_commands", [])
    return [{**{key: slash.get(key, "") for key in keys}, "usages": usages} for slash in slashes]


def allowed(commands: Sequence[Mapping[str, Any]], role: Role) -> list[Json]:
    """Return the commands with those usages alone that `role` may have; one without a role is everybody's."""
    return [
        {
            **command,
            "usages": [each for each in command["usages"] if Role[each.get("role", "none").upper()] <= role],
        }
        for command in commands
    ]


def shortcuts(settings: Settings) -> list[Json]:
    """Return the manifest's shortcuts: none, as long as the bot has none."""
    return list(_features(settings).get("shortcuts", []))


@contextlib.asynccontextmanager
async def roles(
    settings: Settings, clock: Clock, *, users: Mapping[str, Json], groups: Mapping[str, Json]
) -> AsyncIterator[RoleOf]:
    """Tell a person's highest role, as the bot's `help` knows it: what was granted in chat counts at once."""
    db = Database.open(settings.database_url.get_secret_value())
    audit = AuditService(db, Keyring.from_text(settings.encryption_keys), clock)
    access = AccessService(db=db, clock=clock, audit=audit, settings=settings)

    async def members_of(group: str) -> Collection[str]:
        return list(groups.get(group, {}).get("users", ()))

    async def role_of(person: str) -> Role:
        role = (await access.rights(person)).highest
        is_guest = users[person]["is_restricted"] or users[person]["is_ultra_restricted"]
        return min(role, Role.VIEWER) if is_guest else role

    access.tell_members(members_of)
    try:
        yield role_of
    finally:
        await db.close()


def _features(settings: Settings) -> Json:
    features: Any = manifest(None, settings.command)["features"]
    return dict(features)
