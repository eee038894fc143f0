"""What somebody sees who opens the page for the first time: three commands to try, and a tour of five steps.

The words know what the bot says, the page does not: it goes on to the next step once the bot's answers
have a step's `until` in them.
"""

from typing import Any

Json = dict[str, Any]


def first_visit(*, slash: str, token: str, server_url: str, is_admin: bool) -> Json:
    """Return the suggestions and the steps that end with `token` renewed; none where that is not allowed.

    `server_url` is the page of the token's server in the stand-in for Apple Business Manager.
    """
    return {
        "text": (
            "This is a Slack channel with the bot in it. Nothing here reaches Slack or Apple, and nothing "
            "can be broken: `make run FRESH=1` begins anew."
        ),
        "suggestions": [
            {"command": slash, "does": "How every token stands, and what to do next"},
            {"command": f"{slash} device list model:iPad", "does": "Devices that Apple knows, ten a page"},
            {"command": f"{slash} help", "does": "What you may do"},
        ],
        "steps": _steps(slash, token=token, server_url=server_url) if is_admin else [],
    }


def _steps(slash: str, *, token: str, server_url: str) -> list[Json]:
    return [
        {
            "title": "See how the tokens stand",
            "text": (
                f"`{slash}` tells every token at a glance, and what to do next. A token works for a year; "
                "once it has expired, new devices are not seen and get no profile."
            ),
            "command": slash,
            "until": token,
        },
        {
            "title": f"Begin the renewal of {token}",
            "text": (
                "Press *Renew token* in the answer, or send the command from here. Nothing is changed yet: "
                "the bot checks itself and says who has to do what in Apple Business Manager."
            ),
            "command": f"{slash} token renew {token}",
            "until": f"Renew token {token}",
        },
        {
            "title": "Get the new file from Apple",
            "text": (
                f"Open the server *{token}* in the stand-in for Apple Business Manager and press *Download "
                "server token*. That ends the token in use; enrolled devices keep working."
            ),
            "link": {"text": "Open Apple Business Manager", "url": server_url},
            "until": "Server token (.p7m)",
            "next": "I have the file",
        },
        {
            "title": "Upload the file",
            "text": (
                "Press *Upload server token* below the bot's steps, or send the command from here, and "
                "choose the file. The bot asks Apple before it lets go of the old token."
            ),
            "command": f"{slash} token upload {token}",
            "until": f"Token {token} renewed",
        },
        {
            "title": f"The token {token} is renewed",
            "text": (
                "It works for another year, the channel was told, and its devices are being synced. Next, "
                f"`{slash} alert list` shows what else is wrong here and what mends it, `{slash} token add "
                "lyon` adds another token, and *Behind the scenes* shows each request that you just brought "
                "about."
            ),
        },
    ]
