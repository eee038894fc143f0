"""Who acts, and what they may do: plain values, checked by services."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from bot.kit.errors import EnrollbotError


class Role(IntEnum):
    """What a person may do; each role may do all that the ones below it may."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    APPROVER = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The role as people type and read it, such as `admin`."""
        return self.name.lower()


class ActorKind(StrEnum):
    PERSON = "person"
    JOB = "job"
    CLI = "cli"
    API = "api"


@dataclass(frozen=True, slots=True)
class Grant:
    """One role, for every token (`tags` is None) or only for tokens that carry one of `tags`."""

    role: Role
    tags: frozenset[str] | None = None

    def covers(self, tags: frozenset[str]) -> bool:
        return self.tags is None or bool(self.tags & tags)


@dataclass(frozen=True, slots=True)
class Rights:
    """The union of a person's grants. No grants means no rights."""

    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, role: Role) -> "Rights":
        """Return rights for every token."""
        return cls((Grant(role),)) if role > Role.NONE else cls()

    @property
    def highest(self) -> Role:
        """The highest role held anywhere: enough to show help, never enough to change something."""
        return max((grant.role for grant in self.grants), default=Role.NONE)

    @property
    def is_unlimited(self) -> bool:
        return any(grant.tags is None for grant in self.grants)

    def role_for(self, tags: frozenset[str]) -> Role:
        """Return the role held for something that carries `tags`."""
        return max((g.role for g in self.grants if g.covers(tags)), default=Role.NONE)

    def tags_as(self, role: Role) -> frozenset[str] | None:
        """Return the tags for which at least `role` is held, None for every token."""
        held = [grant.tags for grant in self.grants if grant.role >= role]
        if any(tags is None for tags in held):
            return None
        return frozenset[str]().union(*(tags or frozenset() for tags in held))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person in Slack, a job, somebody at the command line, a program at the API.

    `id` is the Slack user id, the job's name, the operating system's user name or the API token's name.
    """

    id: str
    kind: ActorKind = ActorKind.PERSON
    rights: Rights = field(default_factory=Rights)

    @classmethod
    def job(cls, name: str) -> "Actor":
        return cls(name, ActorKind.JOB, Rights.of(Role.ADMIN))

    @classmethod
    def cli(cls, user: str) -> "Actor":
        return cls(user, ActorKind.CLI, Rights.of(Role.ADMIN))

    @classmethod
    def api(cls, name: str, *, tags: frozenset[str] | None) -> "Actor":
        return cls(name, ActorKind.API, Rights((Grant(Role.VIEWER, tags),)))

    def require(self, role: Role, *, tags: frozenset[str] | None = None) -> None:
        """Raise `NotAllowed` unless the actor holds `role` (for what carries `tags`, if given)."""
        held = self.rights.highest if tags is None else self.rights.role_for(tags)
        if held < role:
            raise NotAllowed(role)


class NotAllowed(EnrollbotError):
    """The person's role is too low for what they tried."""

    def __init__(self, needed: Role) -> None:
        self.needed = needed
        super().__init__(
            f"This needs the role {needed.word}.",
            next_step="An admin of this bot can grant it.",
        )
