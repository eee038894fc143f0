"""What holds for roles and API tokens: who and what they reach, and who may give and take them."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.access.errors import (
    GRANTABLE,
    ApiTokenNameWrong,
    RoleWrong,
    SubjectWrong,
    TagsNeeded,
    TagsNotOwn,
    TagTyped,
)
from bot.access.facts import Granted
from bot.access.models import SubjectKind
from bot.kit.actor import Grant, Rights, Role
from bot.kit.nearest import nearest

_PERSON = re.compile(r"[UW][A-Z0-9]{2,}")
_GROUP = re.compile(r"S[A-Z0-9]{2,}")
_TAG = re.compile(r"[a-z0-9._-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")

#: For how long a role that was taken counts as held where somebody wants to act alone.
COUNTED_AFTER = timedelta(hours=24)
#: What the secret of an API token begins with, so that people and scanners know one where they see it.
API_TOKEN_BEGINS = "eb_"
#: 32 random bytes, url-safe.
_API_TOKEN = re.compile(API_TOKEN_BEGINS + r"[A-Za-z0-9_-]{43}")


def subject_of(text: str) -> tuple[str, SubjectKind]:
    """Return the Slack id of a mention and what it is. Raises `SubjectWrong`."""
    if _PERSON.fullmatch(text):
        return text, SubjectKind.PERSON
    if _GROUP.fullmatch(text):
        return text, SubjectKind.GROUP
    raise SubjectWrong(text[:60])


def parse_role(text: str) -> Role:
    """Read a role that can be granted. Raises `RoleWrong` with the nearest one."""
    by_word = {role.word: role for role in GRANTABLE}
    found = by_word.get(text.strip().lower())
    if found is None:
        raise RoleWrong(text[:60], nearest(text, by_word))
    return found


def parse_tags(text: str | None) -> frozenset[str] | None:
    """Read scope tags between commas, semicolons or spaces; None is every token. Raises `TagTyped`."""
    if text is None:
        return None
    tags = frozenset(tag for tag in re.split(r"[\s,;]+", text.lower()) if tag)
    for tag in sorted(tags):
        if not _TAG.fullmatch(tag):
            raise TagTyped(tag[:60])
    if not tags:
        raise TagTyped(text[:60])
    return tags


def rights_of(
    user_id: str, grants: Iterable[Granted], *, groups: Collection[str], default_role: Role
) -> Rights:
    """Return the union of a person's grants, of their own and of the `groups` that they are in.

    Who has no grant has the default role.
    """
    held = [each for each in grants if each.subject == user_id or each.subject in groups]
    if not held:
        return Rights.of(default_role)
    return Rights(tuple(Grant(each.role, each.tags) for each in held))


def covers(granted: frozenset[str] | None, tags: frozenset[str]) -> bool:
    return granted is None or bool(granted & tags)


def is_group(subject: str) -> bool:
    return _GROUP.fullmatch(subject) is not None


def was_held(detail: Mapping[str, Any], role: Role, tags: frozenset[str]) -> bool:
    """Say whether a grant that an entry of the audit took or replaced gave at least `role` for `tags`."""
    before = detail.get("tags_before")
    if before is None or Role[str(detail["role"]).upper()] < role:
        return False
    return covers(None if isinstance(before, str) else frozenset(before), tags)


def admin_tags(rights: Rights) -> frozenset[str] | None:
    """Return the tags that somebody is admin of, None for every token."""
    return rights.tags_as(Role.ADMIN)


def check_may_change(rights: Rights, tags: frozenset[str] | None) -> None:
    """Raise `TagsNeeded` or `TagsNotOwn` unless a role for these tags is theirs to give and to take."""
    own = admin_tags(rights)
    if own is None:
        return
    if tags is None:
        raise TagsNeeded(own)
    if tags - own:
        raise TagsNotOwn(tags - own, own)


def visible(rights: Rights, grants: Sequence[Granted]) -> list[Granted]:
    """Return what an admin sees: an admin limited to tags, the grants that are for one of those."""
    return [each for each in grants if is_visible(rights, each.tags)]


def as_shown(rights: Rights, granted: Granted) -> Granted:
    """Return a grant with no more of its tags than an admin may know of."""
    own = admin_tags(rights)
    if own is None or granted.tags is None:
        return granted
    return replace(granted, tags=granted.tags & own)


def is_visible(rights: Rights, tags: frozenset[str] | None) -> bool:
    """Say whether an admin sees what is for these tags; None is every token."""
    own = admin_tags(rights)
    return own is None or (tags is not None and bool(tags & own))


def check_api_token_name(text: str) -> str:
    """Return the name of an API token as typed, without space around it. Raises `ApiTokenNameWrong`."""
    name = text.strip()
    if not _NAME.fullmatch(name):
        raise ApiTokenNameWrong(name[:60])
    return name


def name_key(name: str) -> str:
    """Return what makes two names the same."""
    return name.strip().lower()


def looks_like_api_token(text: str) -> bool:
    """Say whether a text has the form of a secret of ours: nothing else is worth a look-up."""
    return _API_TOKEN.fullmatch(text) is not None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret.

    A plain SHA-256 is right here: the secret is 32 random bytes, so nobody finds it by trying, however
    quick a try is. Salt and a slow hash protect what people choose, and would cost every request dear.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
