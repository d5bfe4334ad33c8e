"""A token's claims about its user's organization, group and Spaces, and whether they are still true.

The claims are a snapshot. They give no right by themselves: every decision uses the present state. They must never say more than is
true, so a token whose snapshot claims too much is refused, and its app refreshes to get a current one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import access
from latchpin.identity.principal import Principal
from latchpin.identity.roles import Group, Role

MOST_SPACES = 100
MOST_BYTES = 4096  # of the encoded list, so that a token fits into a header of 8 KB, the default limit of proxies
_WORDS = {role.word: role for role in Role}


@dataclass(frozen=True, slots=True)
class SpaceRole:
    """A Space that the token's holder may enter."""

    id: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Membership:
    """Organization, group and Spaces of a principal. `space` is what a grant is bound to: `all`, `personal` or a Space's id."""

    organization_id: int
    group: Group
    space: str | int
    spaces: tuple[SpaceRole, ...]

    @property
    def too_many(self) -> bool:
        """Whether the list is too long for a token."""
        return len(self.spaces) > MOST_SPACES or len(msgspec.json.encode(self._space_claims())) > MOST_BYTES

    def claims(self) -> dict[str, Any]:
        """Return the claims `org`, `role`, `space` and `spaces`; with too many Spaces `spaces_omitted` and a digest instead of a list."""
        common = {"org": self.organization_id, "role": self.group.value, "space": self.space}
        if self.too_many:
            return {**common, "spaces_omitted": len(self.spaces), "spaces_digest": self._digest()}
        return {**common, "spaces": self._space_claims()}

    def covers(self, claims: Mapping[str, Any]) -> bool:
        """Whether all that a token claims is still true; rights that were added since then do not matter.

        A token whose list was left out claims exactly the Spaces of that moment, so every change makes it untrue. A Space's name is
        not compared: it gives no access. Claims of any form are accepted as input; malformed ones are not covered.
        """
        if claims.get("org") != self.organization_id or claims.get("space") != self.space:
            return False
        if claims.get("role") == Group.ADMINISTRATOR.value and self.group is not Group.ADMINISTRATOR:
            return False
        if "spaces_omitted" in claims:
            return "spaces" not in claims and claims.get("spaces_digest") == self._digest()
        claimed_spaces = claims.get("spaces")
        if not isinstance(claimed_spaces, list):
            return False
        have = {each.id: each.role for each in self.spaces}
        return all(_is_held(each, have) for each in claimed_spaces)

    def _space_claims(self) -> list[dict[str, Any]]:
        return [{"id": each.id, "name": each.name, "role": each.role.word} for each in self.spaces]

    def _digest(self) -> str:
        spaces_json = json.dumps([[each.id, int(each.role)] for each in self.spaces])
        return hashlib.sha256(spaces_json.encode()).hexdigest()[:32]


def _is_held(claimed: object, have: Mapping[int, Role]) -> bool:
    if not isinstance(claimed, Mapping):
        return False
    space_id, word = claimed.get("id"), claimed.get("role")
    if type(space_id) is not int or not isinstance(word, str) or word not in _WORDS:
        return False
    return have.get(space_id, 0) >= _WORDS[word]


async def of(session: AsyncSession, principal: Principal, space: str | int) -> Membership:
    """Look up a principal's present organization, group and Spaces."""
    space_roles = await access.roles_in_all(session, principal)
    spaces = tuple(SpaceRole(each.id, each.name, role) for each, role in space_roles)
    return Membership(principal.organization_id, principal.group, space, spaces)
