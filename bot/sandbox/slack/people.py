"""Who and what stands in the workspace when it is new."""

from typing import Any

Json = dict[str, Any]

TEAM: Json = {"id": "T0SANDBOX", "name": "Sandbox", "domain": "sandbox"}
APP_ID = "A0ENROLL"
BOT_ID = "B0ENROLL"
BOT_USER = "U0BOT"
SLACKBOT = "USLACKBOT"
ENROLLMENT_CHANNEL = "C0ENROLL"
APPROVAL_CHANNEL = "C0APPROVE"
GROUP = "S0MDM"
ANA = "U0ANA"
BEN = "U0BEN"
CLEO = "U0CLEO"


def user(user_id: str, *, name: str, real_name: str, title: str, tz: str, is_bot: bool = False) -> Json:
    """Make a member as `users.info` shows it."""
    return {
        "id": user_id,
        "team_id": TEAM["id"],
        "name": name,
        "real_name": real_name,
        "deleted": False,
        "is_bot": is_bot,
        "is_admin": False,
        "is_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "is_stranger": False,
        "is_app_user": False,
        "tz": tz,
        "tz_label": tz,
        "profile": {
            "real_name": real_name,
            "display_name": name,
            "title": title,
            "email": f"{name}@example.com",
            "image_72": "",
        },
    }


def first_users() -> list[Json]:
    """Return three people with different duties, the bot, and Slack's own helper.

    Cleo is a guest: bots treat guests as readers, whatever role everybody else has.
    """
    cleo = user(CLEO, name="cleo", real_name="Cleo Tanaka", title="viewer", tz="Asia/Tokyo")
    return [
        user(ANA, name="ana", real_name="Ana Lima", title="admin", tz="Europe/Paris"),
        user(BEN, name="ben", real_name="Ben Okoro", title="approver", tz="America/New_York"),
        {**cleo, "is_restricted": True},
        user(BOT_USER, name="enrollbot", real_name="enrollbot", title="", tz="Etc/UTC", is_bot=True),
        # Slack's own helper reads is_bot false in users.info.
        user(SLACKBOT, name="slackbot", real_name="Slackbot", title="", tz="Etc/UTC"),
    ]


def channel(channel_id: str, *, name: str, members: list[str], topic: str = "") -> Json:
    return {"id": channel_id, "name": name, "kind": "channel", "topic": topic, "members": members}


def direct_channel(person: str) -> Json:
    """Make the channel between the bot and one person."""
    return {
        "id": f"D{person[1:]}",
        "name": "enrollbot",
        "kind": "im",
        "topic": "",
        "user": person,
        "members": [person, BOT_USER],
    }


def first_channels() -> list[Json]:
    everyone = [ANA, BEN, CLEO, BOT_USER]
    return [
        channel(ENROLLMENT_CHANNEL, name="device-enrollment", members=list(everyone)),
        channel(APPROVAL_CHANNEL, name="approvals", members=list(everyone)),
        *(direct_channel(person) for person in (ANA, BEN, CLEO)),
    ]


def first_groups() -> list[Json]:
    return [
        {
            "id": GROUP,
            "team_id": TEAM["id"],
            "is_usergroup": True,
            "handle": "mdm-approvers",
            "name": "MDM approvers",
            "description": "Who approves assignment requests",
            "date_delete": 0,
            "users": [ANA, BEN],
        }
    ]
