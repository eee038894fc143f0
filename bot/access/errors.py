"""What can be wrong with a grant or an API token, each with what to do next."""

from collections.abc import Iterable

from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError

GRANTABLE = tuple(role for role in Role if role > Role.NONE)


class SubjectWrong(EnrollbotError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            f"“{typed}” is not a person or user group.",
            next_step="Type @ and choose the person or group from Slack's list.",
        )


class RoleWrong(EnrollbotError):
    def __init__(self, typed: str, nearest: str | None) -> None:
        guess = f" Did you mean {nearest}?" if nearest else ""
        known = ", ".join(role.word for role in GRANTABLE)
        super().__init__(f"“{typed}” is not a role.{guess}", next_step=f"Use one of: {known}.")


class TagsNeeded(EnrollbotError):
    """An admin limited to tags tried to give or take a role for every token."""

    def __init__(self, own: Iterable[str]) -> None:
        super().__init__(
            "Roles for every token need an admin without tags.",
            next_step=f"Name tags of your own: --tags {','.join(sorted(own))}.",
        )


class TagsNotOwn(EnrollbotError):
    def __init__(self, tags: Iterable[str], own: Iterable[str]) -> None:
        super().__init__(
            f"Your role does not cover: {', '.join(sorted(tags))}.",
            next_step=f"You can give and take roles for: {', '.join(sorted(own))}.",
        )


class TagTyped(EnrollbotError):
    def __init__(self, tag: str) -> None:
        super().__init__(
            f"“{tag}” cannot be a scope tag.",
            next_step="Use letters, digits, dots, dashes or underscores, at most 40.",
        )


class NothingGranted(EnrollbotError):
    """There is no such grant, or none that the person may see."""

    def __init__(self, *, is_by_settings: bool, role: Role | None, slash: str) -> None:
        if is_by_settings:
            super().__init__(
                "This person is an admin by ENROLLBOT_ADMINS, which cannot be revoked in chat.",
                next_step="Who runs the bot can change that setting.",
            )
            return
        what = f"the role {role.word}" if role else "a role"
        super().__init__(f"Nobody granted {what} there.", next_step=f"`{slash} role list` shows all grants.")


class GroupUnknown(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "Slack does not tell who is in this user group, so the role would reach nobody.",
            next_step="Look whether the group still exists, and whether the bot may read user groups.",
        )


class PersonUnknown(EnrollbotError):
    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"Slack knows nobody with the id {user_id}, so the role would reach nobody.",
            next_step="Type @ and choose the person from Slack's list.",
        )


class GrantedMeanwhile(EnrollbotError):
    """The delivery was taken before; its first one answers."""

    def __init__(self) -> None:
        super().__init__("This was done already.")


class ApiTokenNameWrong(EnrollbotError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"“{name}” cannot be the name of an API token.",
            next_step="Use 1 to 40 letters, digits, dots, dashes or underscores, such as mdm-server.",
        )


class ApiTokenNameTaken(EnrollbotError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is an API token {name} already; upper and lower case make no difference.",
            next_step=f"Choose another name, or revoke that one first: enrollbot api-token revoke {name}",
        )


class ApiTokenUnknown(EnrollbotError):
    """There is no API token of this name that could be revoked, or none that the actor may see."""

    def __init__(self, name: str, nearest: str | None) -> None:
        guess = f" Did you mean {nearest}?" if nearest else ""
        super().__init__(
            f"There is no API token “{name}” in use.{guess}",
            next_step="enrollbot api-token list shows all of them.",
        )


class ApiTokenRefused(EnrollbotError):
    """A secret of no API token, or of one that was revoked: whoever has it learns no more than that."""

    def __init__(self) -> None:
        super().__init__(
            "This API token is not known here, or was revoked.",
            next_step="Whoever runs the bot makes a new one: enrollbot api-token add NAME",
        )
