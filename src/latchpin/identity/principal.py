"""Who is calling, and with which credential: the one answer of the gate, whatever came in. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from latchpin.identity.roles import CredentialKind, Group
from latchpin.identity.scopes import ALL, Scope


@dataclass(frozen=True, slots=True)
class Credential:
    """The credential of a call, as it is named in the audit trail. `name` is a description or prefix, never a secret."""

    kind: CredentialKind
    id: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, acting through a credential that can only narrow what the user may do."""

    user_id: int
    organization_id: int
    full_name: str
    email: str
    group: Group
    credential: Credential
    scopes: frozenset[Scope] = ALL

    @property
    def is_administrator(self) -> bool:
        """Whether the user administers the organization. Says nothing of what the credential allows."""
        return self.group is Group.ADMINISTRATOR
