"""Lists and counts of runs, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation.run_lifecycle import FINISHED
from latchpin.storage.models import Organization, Run, RunTransition
from latchpin.storage.models.agent import RunStatus


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many runs have one status."""

    status: RunStatus
    count: int


async def recent(session: AsyncSession, agent_id: int, limit: int) -> list[Run]:
    """Return an agent's newest runs, active and history together. Check first that the agent is visible."""
    query = select(Run).where(Run.agent_id == agent_id).order_by(Run.sequence.desc()).limit(limit)
    return list((await session.scalars(query)).all())


async def counts(session: AsyncSession, agent_id: int) -> list[StatusCount]:
    """Return how many runs an agent has in each status, ordered by status; statuses without runs are left out."""
    query = select(Run.status, func.count()).where(Run.agent_id == agent_id).group_by(Run.status).order_by(Run.status)
    return [StatusCount(row[0], row[1]) for row in (await session.execute(query)).all()]


async def transitions(session: AsyncSession, run_id: int) -> list[RunTransition]:
    """Return a run's transitions, oldest first. Check first that the run is visible."""
    query = select(RunTransition).where(RunTransition.run_id == run_id).order_by(RunTransition.ordinal)
    return list((await session.scalars(query)).all())


async def organization_name(session: AsyncSession, organization_id: int) -> str | None:
    """Return the name of a run's organization."""
    return await session.scalar(select(Organization.name).where(Organization.id == organization_id))


def has_ended(run: Run) -> bool:
    """Whether a run needs no more polling."""
    return run.status in FINISHED
