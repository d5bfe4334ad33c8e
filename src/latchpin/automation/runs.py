"""Single runs: started, stopped, killed, restarted and deleted by a caller; `run_lists` has the lists.

A run is visible where its agent is. A change checks first that it is visible (Missing), then the role (Denied).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.automation import agents, run_inputs, run_lifecycle
from latchpin.automation.definition_model import Definition
from latchpin.automation.run_engine import RunEngine
from latchpin.automation.run_lifecycle import Cause
from latchpin.errors import Conflict, Malformed, Missing
from latchpin.identity import access
from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind, Role
from latchpin.kit import clock
from latchpin.storage.models import Agent, Run
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import LogLevel, LogMode, ParallelExport, RunOrigin

MOST_PARALLEL = 50
_ORIGINS = {
    CredentialKind.API_KEY.value: RunOrigin.API_KEY,
    CredentialKind.ACCESS_TOKEN.value: RunOrigin.APP,
    CredentialKind.CLIENT.value: RunOrigin.APP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """How a run is started. `input` are values by parameter name, not checked yet."""

    input: Mapping[str, str] = field(default_factory=dict)
    parallelism: int = 1
    parallel_max_concurrency: int = 1
    parallel_export: ParallelExport = ParallelExport.COMBINED
    log_level: LogLevel = LogLevel.INFO
    log_mode: LogMode = LogMode.TEXT
    is_exclusive: bool = True
    is_wait_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What started a run: an API key's, app's, user's or schedule's id, and a name that outlives it."""

    kind: RunOrigin
    id: int | None
    name: str


async def get(session: AsyncSession, principal: Principal, agent_id: int, run_id: int) -> Run:
    """Return one run of a visible agent; raises Missing for the agent or the run."""
    await agents.get(session, principal, agent_id)
    run = await session.scalar(select(Run).where(Run.id == run_id, Run.agent_id == agent_id))
    if run is None:
        raise Missing("run", run_id)
    return run


async def get_for_change(session: AsyncSession, principal: Principal, agent_id: int, run_id: int) -> tuple[Run, Agent]:
    """Return one run that the principal may operate, with its agent and the organization's runs locked; raises Missing, then Denied."""
    agent = await agents.get(session, principal, agent_id)
    await run_lifecycle.lock(session, agent.organization_id)
    run = await get(session, principal, agent_id, run_id)
    await access.require_role(session, principal, agent.space_id, Role.OPERATOR)
    return run, agent


async def get_agent_to_start(session: AsyncSession, principal: Principal, agent_id: int) -> tuple[Agent, str]:
    """Return an agent that the principal may start, with its current definition's text; raises Missing, Denied, Conflict if archived."""
    agent = await agents.get(session, principal, agent_id)
    await access.require_role(session, principal, agent.space_id, Role.OPERATOR)
    require_startable(agent)
    return agent, (await agents.version(session, agent.id, agent.version)).definition


def require_startable(agent: Agent) -> None:
    """Raise Conflict where an agent is archived."""
    if agent.archived_at is not None:
        raise Conflict("The agent is archived. Unarchive it to start it.", code="agent_archived")


async def start(
    session: AsyncSession,
    agent: Agent,
    new: NewRun,
    *,
    definition: Definition,
    engine: RunEngine,
    by: Actor,
    origin: Origin | None = None,
) -> Run:
    """Start a run of the agent's version whose definition is given; its status is Queuing, and it is admitted at once if a slot is free.

    Get the agent by `get_agent_to_start`; it is read again and locked here. None as `origin` means the caller.
    Raises Malformed for the input, Conflict where the agent is archived, or in progress and one of the two runs is exclusive.
    """
    run_input = run_inputs.check(definition, new.input)
    _require_sound(new)
    version = agent.version
    await run_lifecycle.lock(session, agent.organization_id)
    await session.refresh(agent, with_for_update={"key_share": True})
    require_startable(agent)
    if new.is_exclusive:
        await _require_idle(session, agent)
    agent.started_runs += 1
    source = origin or origin_of(by)
    run = Run(
        organization_id=agent.organization_id,
        space_id=agent.space_id,
        agent_id=agent.id,
        user_id=agent.user_id,
        concurrency_group=agents.group_of_runs(agent),
        sequence=agent.started_runs,
        config_version=version,
        status=RunStatus.QUEUING,
        origin=source.kind,
        origin_id=source.id,
        origin_name=source.name[:200],
        parallelism=new.parallelism,
        parallel_max_concurrency=new.parallel_max_concurrency,
        parallel_export=new.parallel_export,
        log_level=new.log_level,
        log_mode=new.log_mode,
        is_exclusive=new.is_exclusive,
        is_wait_on_failure=new.is_wait_on_failure,
        created_at=clock.now(),
    )
    run_inputs.store(run, run_input, engine.secrets)
    session.add(run)
    await session.flush()
    await run_lifecycle.created(session, run, run_lifecycle.cause_of(by))
    await engine.admission.admit(session, run.concurrency_group)
    changes: events.Changes = {"agent_id": (None, agent.id), "config_version": (None, version)}
    record(session, events.RunStarted(target_id=run.id, target_name=display_name(agent.name, run), changes=changes), by)
    return run


def origin_of(by: Actor) -> Origin:
    """Return the origin of a run that a caller starts."""
    kind = _ORIGINS.get(by.credential_kind, RunOrigin.USER)
    return Origin(kind, by.user_id, by.name) if kind is RunOrigin.USER else Origin(kind, by.credential_id, by.credential_name)


def _require_sound(new: NewRun) -> None:
    if not 1 <= new.parallelism <= MOST_PARALLEL:
        raise Malformed(f"parallelism: Send a number from 1 to {MOST_PARALLEL}.", field="parallelism")
    if new.parallel_max_concurrency < 1:
        raise Malformed("parallelMaxConcurrency: Send a number of at least 1.", field="parallelMaxConcurrency")


async def _require_idle(session: AsyncSession, agent: Agent) -> None:
    active = await session.scalar(select(Run.sequence).where(Run.agent_id == agent.id, Run.ended_at.is_(None)).order_by(Run.id).limit(1))
    if active is not None:
        raise Conflict(
            f"Run {active} of this agent is in progress. Wait for its end or stop it, or start with isExclusive false to run beside it.",
            code="agent_already_running",
        )


async def stop(session: AsyncSession, run: Run, *, engine: RunEngine, by: Actor, agent_name: str) -> None:
    """Ask a run to finish the current page and end; one that still waits is Stopped at once. Does nothing to one that has ended.

    Get the run by `get_for_change`.
    """
    cause = run_lifecycle.cause_of(by)
    if run.status in run_lifecycle.ACCEPTED:
        await _end_waiting(session, run, engine, cause)
    elif run.status in (RunStatus.STARTING, RunStatus.RUNNING):
        await request_stop(session, run, cause)
    else:
        return
    record(session, events.RunStopped(target_id=run.id, target_name=display_name(agent_name, run)), by)


async def request_stop(session: AsyncSession, run: Run, cause: Cause, message: str | None = None) -> None:
    """Move a run that is executed to Stopping; its worker sees it within a second. `message` stays with the run when it has stopped."""
    name = cause.actor_name or cause.kind.value
    values = {"stop_requested_at": clock.now(), "stop_requested_by": name[:200]}
    await run_lifecycle.move(session, run, RunStatus.STOPPING, cause, message=message, values=values)


async def kill(session: AsyncSession, run: Run, *, engine: RunEngine, by: Actor, agent_name: str) -> None:
    """As `stop`; a run that is Stopping already is ended at once, with what it has saved. Get the run by `get_for_change`."""
    if run.status is not RunStatus.STOPPING:
        await stop(session, run, engine=engine, by=by, agent_name=agent_name)
    elif run.kill_requested_at is None:
        run.kill_requested_at = clock.now()
        record(session, events.RunKilled(target_id=run.id, target_name=display_name(agent_name, run)), by)


async def restart(session: AsyncSession, run: Run, *, engine: RunEngine, by: Actor, agent: Agent) -> None:
    """Put a failed run back into the queue: the same run, from the beginning. Get it by `get_for_change`. Raises Conflict."""
    require_startable(agent)
    if run.status is not RunStatus.FAILURE:
        raise Conflict(
            "Only a run that ended in Failure and has not been moved to history can be restarted. Start a new run instead.",
            code="run_not_restartable",
        )
    if run.input is None:
        raise Conflict("The run's input was removed. Start a new run instead.", code="run_not_restartable")
    await run_lifecycle.move(session, run, RunStatus.QUEUING, run_lifecycle.cause_of(by))
    await engine.admission.admit(session, run.concurrency_group)
    record(session, events.RunRestarted(target_id=run.id, target_name=display_name(agent.name, run)), by)


def display_name(agent_name: str, run: Run) -> str:
    """Return a run's name for people."""
    return f"{agent_name}, run {run.sequence}"


async def _end_waiting(session: AsyncSession, run: Run, engine: RunEngine, cause: Cause) -> None:
    had_slot = run.admitted_at is not None
    if had_slot:
        await engine.admission.queue.cancel(session, run.id)
    await run_lifecycle.move(session, run, RunStatus.STOPPED, cause, message="Stopped while it waited; nothing was done.")
    if had_slot:
        await engine.admission.admit(session, run.concurrency_group)
