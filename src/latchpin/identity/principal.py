"""Who is calling, and with which credential: the result of authentication for every kind of credential. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from latchpin.identity.roles import CredentialKind, Group, Role
from latchpin.identity.scopes import ALL, Scope


@dataclass(frozen=True, slots=True)
class Credential:
    """The credential of a call, as it is named in the audit log. `name` is a description or prefix, never a secret."""

    kind: CredentialKind
    id: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, acting through a credential that can only restrict what the user may do; or an app on its own behalf.

    An app's own principal has `user_id` 0, which no user has, and its `roles` by Space id are all that it may do. `only` restricts to
    some Spaces, where None is the user's personal one; without `only` there is no restriction.
    """

    user_id: int
    organization_id: int
    full_name: str
    email: str
    group: Group
    credential: Credential
    scopes: frozenset[Scope] = ALL
    only: frozenset[int | None] | None = None
    roles: Mapping[int, Role] | None = None

    @property
    def is_administrator(self) -> bool:
        """Whether the user administers the organization. Does not say what the credential allows."""
        return self.group is Group.ADMINISTRATOR
