"""What a worker does to the rows of its runs: take, renew, report, end, hand back. Each write carries the lease and fails without it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation import run_files, run_lifecycle
from latchpin.automation.admission import Admission
from latchpin.automation.run_lifecycle import Cause, Lease, LeaseLost
from latchpin.storage.database_time import now
from latchpin.storage.models import Agent, AgentVersion, Run, Worker
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import TransitionCause

_BY_WORKER = Cause(TransitionCause.WORKER)


@dataclass(frozen=True, slots=True)
class TakenRun:
    """A run that a worker has just taken: its row, the text of the definition that it executes, and the files of earlier attempts."""

    run: Run
    lease: Lease
    agent_name: str
    definition: str
    stale_keys: tuple[str, ...]  # files of earlier attempts, to be deleted from the store


@dataclass(slots=True)
class Counters:
    """How far an attempt has come; the names are the row's columns. `traffic` is in bytes."""

    action_count: int = 0
    page_count: int = 0
    dynamic_page_count: int = 0
    request_count: int = 0
    data_count: int = 0
    error_count: int = 0
    export_count: int = 0
    traffic: int = 0

    def values(self) -> dict[str, int]:
        """Return the columns."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Orders:
    """Whether the worker of a run should stop or kill it."""

    stop: bool
    kill: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: RunStatus
    message: str | None
    cause: Cause
    counters: Counters
    field_counts: dict[str, int] | None = None


async def take(session: AsyncSession, run_id: int, worker: Worker, *, lease_seconds: int) -> TakenRun | None:
    """Make an admitted run the worker's, Starting from the beginning; None if it is no longer available."""
    organization_id = await session.scalar(select(Run.organization_id).where(Run.id == run_id))
    if organization_id is None:
        return None
    await run_lifecycle.lock(session, organization_id)
    run = await session.scalar(select(Run).where(Run.id == run_id).execution_options(populate_existing=True))
    if run is None or run.status is not RunStatus.QUEUING or run.admitted_at is None:
        return None
    at = await now(session)
    token = run.fencing_token + 1
    values = {
        **run_lifecycle.NO_COUNTERS,
        "owner": worker.id,
        "server_name": worker.name,
        "fencing_token": token,
        "lease_expires_at": at + timedelta(seconds=lease_seconds),
        "started_at": at,
    }
    await run_lifecycle.move(session, run, RunStatus.STARTING, _BY_WORKER, values=values)
    query = select(Agent.name, AgentVersion.definition).join(AgentVersion, AgentVersion.agent_id == Agent.id)
    name, definition = (await session.execute(query.where(Agent.id == run.agent_id, AgentVersion.version == run.config_version))).one()
    stale = await run_files.remove(session, run.id, keep_logs=True)
    return TakenRun(run, Lease(run.id, worker.id, token), name, definition, tuple(stale))


async def report(session: AsyncSession, lease: Lease, counters: Counters, *, lease_seconds: int) -> Orders:
    """Write how far a run has come, renew its lease, and return the orders for its worker; raises LeaseLost."""
    expires = await now(session) + timedelta(seconds=lease_seconds)
    result = await session.execute(
        update(Run)
        .where(*_held(lease))
        .values(lease_expires_at=expires, **counters.values())
        .returning(Run.stop_requested_at, Run.kill_requested_at)
        .execution_options(synchronize_session=False)
    )
    row = result.one_or_none()
    if row is None:
        raise LeaseLost(f"run {lease.run_id}")
    return Orders(row[0] is not None, row[1] is not None)


async def orders(session: AsyncSession, owner: int) -> dict[int, Orders]:
    """Return the orders for a worker, by run; a run that is missing no longer belongs to the worker."""
    rows = await session.execute(
        select(Run.id, Run.stop_requested_at, Run.kill_requested_at).where(Run.owner == owner, Run.ended_at.is_(None))
    )
    return {row[0]: Orders(row[1] is not None, row[2] is not None) for row in rows.all()}


async def advance(session: AsyncSession, lease: Lease, to: RunStatus) -> RunStatus:
    """Move a run to Running or Exporting, unless it is Stopping; returns its status. Raises LeaseLost."""
    run = await _load(session, lease)
    if run.status is not RunStatus.STOPPING:
        await run_lifecycle.move(session, run, to, Cause(TransitionCause.CHILD), message=run.message, lease=lease)
    return run.status


async def end(session: AsyncSession, lease: Lease, outcome: Outcome, admission: Admission) -> RunStatus:
    """End a run after its child process has ended, and give its slot to another; returns its last status. Raises LeaseLost.

    A run that was asked to stop ends as Stopped, whatever the outcome. The outcome's message replaces that of the stop request.
    """
    run = await _load(session, lease)
    to = RunStatus.STOPPED if run.status is RunStatus.STOPPING else outcome.status
    fields_found = msgspec.json.encode(outcome.field_counts).decode() if outcome.field_counts is not None else None
    values = {**outcome.counters.values(), "field_counts": fields_found}
    message = outcome.message
    if to is RunStatus.STOPPED and message is None:
        message = run.message or f"Stopped by {run.stop_requested_by}."
    await run_lifecycle.move(session, run, to, outcome.cause, message=message, lease=lease, values=values)
    await admission.admit(session, run.concurrency_group)
    return to


async def hand_back(session: AsyncSession, lease: Lease, admission: Admission, message: str) -> RunStatus:
    """Put a run whose child process has ended back into the queue, to start again elsewhere; one that is Stopping becomes Stopped."""
    run = await _load(session, lease)
    cause = Cause(TransitionCause.WORKER_STOPPED, None, run.server_name)
    to = RunStatus.STOPPED if run.status is RunStatus.STOPPING else RunStatus.QUEUING
    await run_lifecycle.move(session, run, to, cause, message=message, lease=lease)
    await admission.admit(session, run.concurrency_group)
    return to


async def owners(session: AsyncSession) -> frozenset[int]:
    """Return the ids of all workers that own a run, whether they are still connected or not."""
    rows = await session.scalars(select(Run.owner).where(Run.owner.is_not(None), Run.ended_at.is_(None)).distinct())
    return frozenset(owner for owner in rows if owner is not None)


async def expired(session: AsyncSession, *, owners: frozenset[int] | None = None) -> list[tuple[int, int]]:
    """Return (run, organization) of the runs whose lease has expired, or whose owner is one of `owners`, which are known to be gone."""
    gone = Run.owner.in_(owners) if owners is not None else Run.lease_expires_at < await now(session)
    query = select(Run.id, Run.organization_id).where(Run.owner.is_not(None), Run.ended_at.is_(None), gone)
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]


async def end_lost(
    session: AsyncSession,
    run_id: int,
    organization_id: int,
    admission: Admission,
    *,
    lease_seconds: int,
    owners: frozenset[int] | None = None,
) -> Run | None:
    """End a run whose worker is lost, with a message about when it was lost and what was saved; None if it was not lost after all."""
    await run_lifecycle.lock(session, organization_id)
    run = await session.scalar(select(Run).where(Run.id == run_id).execution_options(populate_existing=True))
    at = await now(session)
    if run is None or run.owner is None or run.lease_expires_at is None or run.ended_at is not None:
        return None
    if run.lease_expires_at >= at and (owners is None or run.owner not in owners):
        return None
    last_heard = run.lease_expires_at - timedelta(seconds=lease_seconds)
    is_stopping = run.status is RunStatus.STOPPING
    message = _lost(run, last_heard, is_stopping=is_stopping)
    cause = Cause(TransitionCause.WORKER_LOST, None, run.server_name)
    await run_lifecycle.move(session, run, RunStatus.STOPPED if is_stopping else RunStatus.FAILURE, cause, message=message)
    await admission.admit(session, run.concurrency_group)
    return run


def _lost(run: Run, last_heard: datetime, *, is_stopping: bool) -> str:
    records = f"{run.data_count:,} {'record was' if run.data_count == 1 else 'records were'} saved."
    text = f"The worker {run.server_name} stopped answering at {last_heard:%H:%M:%S} UTC"
    return f"{text} while the run was stopping. {records}" if is_stopping else f"{text}. {records} Start the run again with Restart."


async def _load(session: AsyncSession, lease: Lease) -> Run:
    """Return the run of a lease as it is now, with the organization's runs locked; raises LeaseLost."""
    organization_id = await session.scalar(select(Run.organization_id).where(*_held(lease)))
    if organization_id is None:
        raise LeaseLost(f"run {lease.run_id}")
    await run_lifecycle.lock(session, organization_id)
    run = await session.scalar(select(Run).where(*_held(lease)).execution_options(populate_existing=True))
    if run is None:
        raise LeaseLost(f"run {lease.run_id}")
    return run


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return Run.id == lease.run_id, Run.owner == lease.owner, Run.fencing_token == lease.fencing_token
