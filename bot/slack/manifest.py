"""The manifest with which the Slack app is created: features, scopes and where payloads go."""

import json
from collections.abc import Mapping, Sequence

Node = Mapping[str, "Node"] | Sequence["Node"] | str | bool | int

#: Each with what it is for.
SCOPES = {
    "commands": "the slash command",
    "chat:write": "answers, results and alerts",
    "im:write": "direct messages",
    "files:read": "fetch the server token that a person uploads",
    "files:write": "send certificates and exports",
    "users:read": "tell guests, bots and deactivated people apart",
    "users:read.email": "name the account that made a token",
    "usergroups:read": "roles granted to a user group",
    "channels:read": "check the channels set",
    "groups:read": "the same for private channels",
    "channels:history": "find one's own post again after an unclear answer",
    "groups:history": "the same in private channels",
    "im:history": "the same in direct messages",
}
EVENTS = ("app_home_opened",)


def manifest(url: str | None, command: str) -> dict[str, Node]:
    """Return the app's manifest.

    With `url`, the public address of this bot, payloads come over HTTP; without, by Socket Mode.
    https://docs.slack.dev/reference/app-manifest
    """
    endpoint = f"{url.rstrip('/')}/slack/events" if url else None
    slash: dict[str, Node] = {
        "command": command,
        "description": "Apple device enrollment",
        "usage_hint": "status | token | device | profile | assign | request | sync | help",
        "should_escape": True,
    }
    events: dict[str, Node] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Node] = {"is_enabled": True}
    if endpoint:
        slash["url"] = endpoint
        events["request_url"] = endpoint
        interactivity["request_url"] = endpoint
    return {
        "display_information": {
            "name": "enrollbot",
            "description": "Automated device enrollment of Apple devices, run from Slack",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "enrollbot", "always_online": True},
            "slash_commands": [slash],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": endpoint is None,
            "token_rotation_enabled": False,
        },
    }


def render(url: str | None, command: str) -> str:
    """Return the manifest as YAML, as Slack's page takes it."""
    return "\n".join(_lines(manifest(url, command), "")) + "\n"


def _lines(node: Node, indent: str) -> list[str]:
    if isinstance(node, Mapping):
        return [line for key, value in node.items() for line in _entry(f"{indent}{key}:", value, indent)]
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [line for value in node for line in _item(value, indent)]
    # A JSON text is a YAML one.
    return [f"{indent}{json.dumps(node, ensure_ascii=False)}"]


def _entry(key: str, value: Node, indent: str) -> list[str]:
    if isinstance(value, Mapping | list):
        return [key, *_lines(value, indent + "  ")]
    return [f"{key} {_lines(value, '')[0]}"]


def _item(value: Node, indent: str) -> list[str]:
    first, *others = _lines(value, indent + "  ")
    return [f"{indent}- {first.lstrip()}", *others]
