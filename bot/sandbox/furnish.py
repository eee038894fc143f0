"""What the bot of a new sandbox has, brought in as an admin would: tokens, profiles, who approves."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import SecretStr

from bot.backend.profile import Authentication, ProfilePlatform, ProfileSettings
from bot.kit.actor import Actor, Rights, Role
from bot.kit.clock import Clock
from bot.main import Services, services
from bot.sandbox.apple.stand_in import AppleStandIn
from bot.sandbox.seed import PORTAL_PROFILE, PROFILES, READY, Files, TokenFiles, hand_out, open_terms
from bot.sandbox.slack import people
from bot.settings import Settings

Json = dict[str, Any]

CONTENT_TOKEN = "hq"
MDM_URL = "https://mdm.example.com/enroll"
#: Who was at work here before anybody came.
_ANA = Actor(people.ANA, rights=Rights.of(Role.ADMIN))


async def furnish(
    settings: Settings, clock: Clock, *, files: Files, apple: AppleStandIn, groups: Mapping[str, Json]
) -> None:
    """Store tokens in the bot's database before it runs, and more than that unless the files are plain."""
    async with services(settings, clock=clock) as bot:
        token_ids = {each.server: await _import(bot, each) for each in files.tokens}
        await _let_approve(bot, groups)
        if files.content_token is None:
            return
        stored = await bot.licenses.installing.add(
            CONTENT_TOKEN, files.content_token, actor=_ANA, way="command line"
        )
        profiles = _profiles(stored.content_token.id)
        hand_out(apple, {each.name: await _define(bot, token_ids[READY], each) for each in profiles})
    open_terms(apple)


async def _import(bot: Services, files: TokenFiles) -> str:
    imported = await bot.tokens.import_token(
        files.server,
        private_key_pem=SecretStr(files.private_key.decode()),
        certificate_pem=files.certificate,
        token_file=files.token,
        mdm_url=MDM_URL,
        agreed=True,
        actor=_ANA,
    )
    return imported.token.id


async def _let_approve(bot: Services, groups: Mapping[str, Json]) -> None:
    """Let the workspace's group of approvers approve: with one person alone nothing could be decided."""

    async def members_of(group: str) -> Collection[str]:
        return list(groups.get(group, {}).get("users", ()))

    bot.access.tell_members(members_of)
    await bot.access.grant(people.GROUP, role=Role.APPROVER, tags=None, actor=_ANA)


def _profiles(content_token_id: str) -> list[ProfileSettings]:
    """Return a profile that gives its devices Company Portal, and one for each other kind of device."""
    ios, macos = ProfilePlatform.IOS, ProfilePlatform.MACOS
    return [
        ProfileSettings(
            name=PORTAL_PROFILE,
            description="For people in sales, who sign in at the first start",
            user_affinity=True,
            authentication=Authentication.COMPANY_PORTAL,
            install_company_portal=True,
            content_token=content_token_id,
            department="Sales IT",
        ),
        *(
            ProfileSettings(name=name, platform=macos if family == "Mac" else ios, department="Sales IT")
            for family, name in PROFILES.items()
        ),
    ]


async def _define(bot: Services, token_id: str, settings: ProfileSettings) -> str:
    drafts = bot.profiles.drafts
    draft = await drafts.open_new(_ANA, token_id=token_id, settings=settings)
    await drafts.begin_sending(draft.id, _ANA)
    return (await bot.profiles.define(draft.id, actor=_ANA)).profile.profile_uuid
