"""Groups, Space roles, and the permissions that routes declare. Pure.

A permission says three things: which scope the credential must carry, which role its user must have in the object's Space, and which
kinds of credential may use it at all. A permission that names no kinds is for browser sessions only, so a new one is safe by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from latchpin.identity.scopes import Scope


class Group(StrEnum):
    """The two permission groups of an organization."""

    USER = "User"
    ADMINISTRATOR = "Administrator"


class Role(IntEnum):
    """What a user may do in one Space; a higher role includes the lower ones."""

    VIEWER = 1
    OPERATOR = 2
    EDITOR = 3

    @property
    def word(self) -> str:
        """The role as written in the API and in pages."""
        return self.name.lower()


class CredentialKind(StrEnum):
    """How a caller authenticated."""

    API_KEY = "api_key"
    ACCESS_TOKEN = "access_token"  # noqa: S105  the name of a kind
    CLIENT = "client"
    SESSION = "session"
    COMMAND_LINE = "command_line"
    NONE = "none"


SESSION_ONLY = frozenset({CredentialKind.SESSION})
PROGRAMS = frozenset({CredentialKind.SESSION, CredentialKind.API_KEY, CredentialKind.ACCESS_TOKEN})


@dataclass(frozen=True, slots=True)
class Permission:
    """What a route requires of its caller. `role` is the role that is needed in the Space of the object."""

    name: str
    scope: Scope | None = None
    role: Role = Role.VIEWER
    group: Group = Group.USER
    kinds: frozenset[CredentialKind] = SESSION_ONLY


AGENTS_READ = Permission("agents.read", Scope.AGENTS_READ, Role.VIEWER, kinds=PROGRAMS)
AGENTS_CHANGE = Permission("agents.change", Scope.AGENTS_WRITE, Role.EDITOR, kinds=PROGRAMS)
RUNS_READ = Permission("runs.read", Scope.RUNS_READ, Role.VIEWER, kinds=PROGRAMS)
RUNS_START = Permission("runs.start", Scope.AGENTS_WRITE, Role.OPERATOR, kinds=PROGRAMS)
SPACES_READ = Permission("spaces.read", Scope.SPACES_READ, Role.VIEWER, kinds=PROGRAMS)
ADMINISTER = Permission("organization.administer", group=Group.ADMINISTRATOR)
