"""Which Spaces a person sees and what they may do in each, for the lists of agents and Spaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from latchpin.identity import access, spaces
from latchpin.identity.principal import Principal
from latchpin.identity.queries import overview
from latchpin.identity.roles import Role
from latchpin.storage import Session
from latchpin.storage.models import Space
from latchpin.web import rows
from latchpin.web.views.automation import AgentRow
from latchpin.web.views.common import Option

PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class SpaceAccess:
    """Visible Spaces by name, and the person's role in each by id; `organization_id` is the person's."""

    organization_id: int
    visible: tuple[Space, ...]
    roles: dict[int, Role | None]

    def may_edit(self, space_id: int | None) -> bool:
        """Whether the person may change agents there; None is their own personal Space."""
        return space_id is None or (self.roles.get(space_id) or 0) >= Role.EDITOR

    @property
    def names(self) -> dict[int, str]:
        """Names by id."""
        return {each.id: each.name for each in self.visible}

    def is_at_home(self, space_id: int, organization_id: int) -> bool:
        """Whether a visible Space is the organization's own; the members of another organization's global Space are not shown."""
        return any(each.id == space_id and each.organization_id == organization_id for each in self.visible)

    def filter_options(self) -> tuple[Option, ...]:
        """All Spaces, to filter a list by."""
        each = (Option(str(space.id), space.name) for space in self.visible)
        return (Option("", "All Spaces"), *each, Option(PERSONAL, "Personal"))

    def editable_options(self) -> tuple[Option, ...]:
        """The Spaces where the person may create an agent."""
        each = (Option(str(space.id), space.name) for space in self.visible if self.may_edit(space.id))
        return (Option(PERSONAL, "My personal Space"), *each)


async def load(session: Session, principal: Principal) -> SpaceAccess:
    """Load the Spaces that a person sees."""
    visible = await spaces.list_all(session, principal)
    roles = {space.id: await access.role_in(session, principal, space.id) for space in visible}
    return SpaceAccess(principal.organization_id, tuple(visible), roles)


async def agent_rows(session: Session, space_access: SpaceAccess, agents: Iterable[Any]) -> tuple[AgentRow, ...]:
    """Turn agents into rows, with owners of the person's organization by name and what the person may do."""
    agent_list = list(agents)
    owners = await overview.names(session, space_access.organization_id, (agent.user_id for agent in agent_list if agent.user_id))
    return tuple(
        rows.agent(agent, spaces=space_access.names, owners=owners, editable=space_access.may_edit(agent.space_id)) for agent in agent_list
    )
