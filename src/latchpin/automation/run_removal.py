"""Deleting runs and what they hold, for good: the record, its files, its input."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.automation import run_files, runs
from latchpin.errors import Malformed
from latchpin.storage.models import Agent, AuditEvent, Run


class RunRemoveMethod(StrEnum):
    """What is deleted."""

    ENTIRE_RUN = "RemoveEntireRun"
    ALL_FILES = "RemoveAllFiles"
    ALL_FILES_AND_INPUT = "RemoveAllFilesAndAgentInput"


async def remove(session: AsyncSession, run: Run, method: RunRemoveMethod, *, agent_name: str, by: Actor) -> list[str]:
    """Delete a run or what it holds; returns the keys of files whose bytes the caller deletes after the commit.

    Get the run by `runs.get_for_change`. Raises Malformed while it is in progress. Doing it twice deletes nothing more.
    """
    if run.ended_at is None:
        raise Malformed("The run is in progress. Stop it first, and delete it when it has ended.", code="run_in_progress")
    keys = await run_files.remove(session, run.id)
    if method is not RunRemoveMethod.ALL_FILES:
        run.input = run.sealed_input = None
    if method is RunRemoveMethod.ENTIRE_RUN:
        await _delete_row(session, run)
        keys = [run_files.prefix_of(run.id)]
    changes: events.Changes = {"agent_id": (run.agent_id, None)} if method is RunRemoveMethod.ENTIRE_RUN else {}
    record(
        session,
        events.RunDeleted(target_id=run.id, target_name=runs.display_name(agent_name, run), reason=method.value, changes=changes),
        by,
    )
    return keys


async def _delete_row(session: AsyncSession, run: Run) -> None:
    await session.flush()
    await session.execute(delete(Run).where(Run.id == run.id).execution_options(synchronize_session=False))
    session.expunge(run)
    last = await session.scalar(select(func.max(Run.sequence)).where(Run.agent_id == run.agent_id))
    status = select(Run.status).where(Run.agent_id == run.agent_id, Run.sequence == (last or 0)).scalar_subquery()
    await session.execute(
        update(Agent)
        .where(Agent.id == run.agent_id, Agent.started_runs == run.sequence)
        .values(status=status)
        .execution_options(synchronize_session=False)
    )


async def was_removed(session: AsyncSession, organization_id: int, run_id: int) -> bool:
    """Whether a run of the organization was deleted before, so that a repeated request gets the same response as the first."""
    query = select(
        exists().where(
            AuditEvent.target_kind == "run",
            AuditEvent.target_id == run_id,
            AuditEvent.organization_id == organization_id,
            AuditEvent.action == events.RunDeleted.action,
            AuditEvent.reason == RunRemoveMethod.ENTIRE_RUN.value,
        )
    )
    return bool(await session.scalar(query))
