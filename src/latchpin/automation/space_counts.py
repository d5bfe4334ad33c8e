"""How many agents and members Spaces have, for lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models import Agent, SpaceMember


@dataclass(frozen=True, slots=True)
class Counts:
    """Agents that are not archived, and named members."""

    agents: int = 0
    members: int = 0


async def of_spaces(session: AsyncSession, space_ids: Iterable[int]) -> dict[int, Counts]:
    """Return the counts of Spaces by id. Give only ids of Spaces that are visible to the caller."""
    ids = list(space_ids)
    agents = await session.execute(
        select(Agent.space_id, func.count()).where(Agent.space_id.in_(ids), Agent.archived_at.is_(None)).group_by(Agent.space_id)
    )
    members = await session.execute(
        select(SpaceMember.space_id, func.count()).where(SpaceMember.space_id.in_(ids)).group_by(SpaceMember.space_id)
    )
    by_agents = dict(agents.all())
    by_members = dict(members.all())
    return {space_id: Counts(by_agents.get(space_id, 0), by_members.get(space_id, 0)) for space_id in ids}
