"""Decides which waiting runs get a slot: a Space's limit, exclusive runs, and fairness between Spaces.

A waiting run is a row. It is admitted in the transaction that inserts it or in the one that ends another, and keeps its slot until its
child process has ended and its row says so. Each group of runs (a Space, or a user's personal Space) has its own slots, so that a long
queue of one Space does not delay another; the rank of an admitted run is the number of slots that its Space holds already, so
that workers take every Space's first run before any Space's second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from latchpin.automation import workers
from latchpin.automation.run_queue import RunQueue
from latchpin.kit import clock
from latchpin.storage.models import Run, Space
from latchpin.storage.models.agent import RunStatus

_other = aliased(Run)
_NO_WORKER = "No worker is connected. An administrator starts one with `latchpin worker`."
_WAITS = and_(Run.status == RunStatus.QUEUING, Run.admitted_at.is_(None), Run.ended_at.is_(None))


@dataclass(frozen=True, slots=True)
class Admission:
    """Gives out slots; `max_concurrent_runs` is the limit of a group that has none of its own."""

    queue: RunQueue
    max_concurrent_runs: int

    async def admit(self, session: AsyncSession, group: int) -> list[int]:
        """Admit the runs of one group that may start, and enqueue them; returns their ids. Call `run_lifecycle.lock` first."""
        taken, limit = await _taken(session, group), await self.limit(session, group)
        admitted: list[int] = []
        while taken < limit:
            run = await session.scalar(
                select(Run).where(Run.concurrency_group == group, _WAITS, ~_held_up_by(_other)).order_by(Run.id).limit(1)
            )
            if run is None:
                break
            run.admitted_at, run.queue_rank = clock.now(), taken
            await session.flush()
            await self.queue.enqueue(session, run.id, taken)
            admitted.append(run.id)
            taken += 1
        return admitted

    async def limit(self, session: AsyncSession, group: int) -> int:
        """Return how many runs of a group may hold slots at the same time."""
        own = await session.scalar(select(Space.max_concurrent_runs).where(Space.id == group)) if group > 0 else None
        return own or self.max_concurrent_runs

    async def reasons(self, session: AsyncSession, runs: Iterable[Run]) -> dict[int, str]:
        """Return, for each run that waits, a text with its place in the queue and the reason; other runs are left out."""
        waiting = [run for run in runs if run.status is RunStatus.QUEUING]
        if not waiting:
            return {}
        is_worked = await workers.any_connected(session)
        blockers = await _active_of_agents(session, {run.agent_id for run in waiting})
        reasons_by_run: dict[int, str] = {}
        for group in {run.concurrency_group for run in waiting}:
            members = [run for run in waiting if run.concurrency_group == group]
            slots = f"the Space runs {await _taken(session, group)} of {await self.limit(session, group)}"
            places = await _positions(session, group, [run.id for run in members])
            for run in members:
                if run.admitted_at is not None:
                    reasons_by_run[run.id] = "Waits for a free worker." if is_worked else _NO_WORKER
                else:
                    reason = _blocked(run, blockers[run.agent_id]) or slots
                    reasons_by_run[run.id] = f"{ordinal(places.get(run.id, 1))} in the queue; {reason}."
        return reasons_by_run


async def waiting_groups(session: AsyncSession) -> list[tuple[int, int]]:
    """Return (organization, group) of all groups in which a run waits for a slot, for `worker.recovery`."""
    query = select(Run.organization_id, Run.concurrency_group).where(_WAITS).distinct()
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]


async def _taken(session: AsyncSession, group: int) -> int:
    query = select(func.count()).where(Run.concurrency_group == group, Run.ended_at.is_(None), Run.admitted_at.is_not(None))
    return await session.scalar(query) or 0


def _held_up_by(other: type[Run]) -> ColumnElement[bool]:
    """Whether another run of the agent has a slot, and one of the two is exclusive."""
    return exists().where(
        other.agent_id == Run.agent_id,
        other.ended_at.is_(None),
        other.admitted_at.is_not(None),
        or_(other.is_exclusive, Run.is_exclusive),
    )


async def _positions(session: AsyncSession, group: int, ids: list[int]) -> dict[int, int]:
    """Return the place of some of the runs that wait for a slot of a group, from 1."""
    queue = select(Run.id, func.row_number().over(order_by=Run.id).label("place")).where(Run.concurrency_group == group, _WAITS).subquery()
    rows = await session.execute(select(queue.c.id, queue.c.place).where(queue.c.id.in_(ids)))
    return {row[0]: row[1] for row in rows.all()}


async def _active_of_agents(session: AsyncSession, agents: set[int]) -> dict[int, list[tuple[int, int, bool]]]:
    """Return id, sequence and exclusiveness of the runs that have slots, by agent."""
    query = select(Run.agent_id, Run.id, Run.sequence, Run.is_exclusive)
    query = query.where(Run.agent_id.in_(agents), Run.ended_at.is_(None), Run.admitted_at.is_not(None)).order_by(Run.id)
    runs_by_agent: dict[int, list[tuple[int, int, bool]]] = {agent: [] for agent in agents}
    for agent, run_id, sequence, exclusive in (await session.execute(query)).all():
        runs_by_agent[agent].append((run_id, sequence, exclusive))
    return runs_by_agent


def _blocked(run: Run, active: list[tuple[int, int, bool]]) -> str | None:
    for run_id, sequence, exclusive in active:
        if run_id != run.id and (exclusive or run.is_exclusive):
            return f"exclusive: run {sequence} of this agent is active"
    return None


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
